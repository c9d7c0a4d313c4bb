use super::*;
use crate::noise::keyed::KeyedNoise;
use stochgrad_tape::{Plate, PlateKind};

const NOISE: KeyedNoise = KeyedNoise::new(1, 0);

fn uniform(tape: &Tape<f64>, name: &str, plates: &[Plate], event: &[usize]) -> Tensor<f64> {
    Draw::new(tape, &NOISE, NoiseKey::new(name, None), Plates::from_slice(plates)).uniform(&Shape::from(event)).unwrap()
}

fn all_different(values: &[f64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

#[test]
fn noise_is_independent_along_data_and_samples() {
    let tape = Tape::new();
    let plates = [PlateKind::Data, PlateKind::Samples].map(|kind| tape.plate("plate", 3, kind, &[]));
    let drawn = uniform(&tape, "x", &plates, &[2]);
    assert_eq!(drawn.shape().to_vec(), [3, 3, 2]);
    assert!(all_different(drawn.as_slice()));
}

#[test]
fn noise_is_shared_along_states_and_alternatives() {
    for kind in [PlateKind::JointSamples, PlateKind::Enumerated, PlateKind::Alternatives] {
        let tape = Tape::new();
        let data = tape.plate("data", 3, PlateKind::Data, &[]);
        let shared = tape.plate("shared", 4, kind, &[]);
        let samples = tape.plate("samples", 5, PlateKind::Samples, &[]);
        let without = uniform(&tape, "x", &[data, samples], &[2]);
        assert!(all_different(without.as_slice()));
        let with = uniform(&tape, "x", &[data, shared, samples], &[2]);
        for i in 0..3 {
            for j in 0..4 {
                for k in 0..5 {
                    for e in 0..2 {
                        assert_eq!(with.get(&[i, j, k, e]), without.get(&[i, k, e]));
                    }
                }
            }
        }
    }
}

#[test]
fn every_kind_of_noise_follows_the_layout() {
    let tape = Tape::<f64>::new();
    let shared = tape.plate("alternatives", 2, PlateKind::Alternatives, &[]);
    let samples = tape.plate("samples", 7, PlateKind::Samples, &[]);
    let key = NoiseKey::new("x", None);
    let draw = |plates: &[Plate]| Draw::new(&tape, &NOISE, key, Plates::from_slice(plates));
    let event = Shape::from(&[3][..]);
    type Kind = fn(&Draw<'_, f64>, &Shape) -> Tensor<f64>;
    let kinds: [Kind; 6] = [
        |draw, event| draw.uniform(event).unwrap(),
        |draw, event| draw.normal(event).unwrap(),
        |draw, event| draw.exponential(event).unwrap(),
        |draw, event| draw.invert(event, &|_, k| 1.0 - 0.9_f64.powi(k as i32 + 1)).unwrap(),
        |draw, event| draw.bernoulli(event, &Tensor::full(draw.shape(event), 0.5)).unwrap(),
        |draw, event| {
            let gamma = crate::continuous::gamma::Gamma::new(draw.tape.constant([2.0; 3]), 1.0);
            assert_eq!(crate::Distribution::event_shape(&gamma), *event);
            crate::Distribution::draw(&gamma, draw).unwrap()
        },
    ];
    for kind in kinds {
        let (once, twice) = (kind(&draw(&[samples]), &event), kind(&draw(&[shared, samples]), &event));
        assert_eq!(twice.as_slice()[..21], *once.as_slice());
        assert_eq!(twice.as_slice()[21..], *once.as_slice());
        assert!(once.as_slice().iter().any(|&x| x != once.as_slice()[0]));
    }
}

#[test]
fn a_shard_draws_what_the_whole_batch_would() {
    for samples_first in [false, true] {
        let tape = Tape::new();
        let early = tape.plate("samples", 3, PlateKind::Samples, &[]);
        let (whole, shard) =
            (tape.plate("batch", 10, PlateKind::Data, &[]), tape.plate("batch", 4, PlateKind::Data, &[]));
        let late = tape.plate("samples", 3, PlateKind::Samples, &[]);
        tape.set_plate_offset(shard, 5);
        let plates = |batch: Plate| if samples_first { [early, batch] } else { [batch, late] };
        let (all, part) = (uniform(&tape, "x", &plates(whole), &[2]), uniform(&tape, "x", &plates(shard), &[2]));
        assert!(all_different(all.as_slice()));
        for i in 0..4 {
            for k in 0..3 {
                for e in 0..2 {
                    let at = |i: usize| if samples_first { [k, i, e] } else { [i, k, e] };
                    assert_eq!(part.get(&at(i)), all.get(&at(i + 5)), "samples first: {samples_first}");
                }
            }
        }
    }
}

#[test]
fn runs_are_consecutive() {
    let tape = Tape::<f64>::new();
    let data = tape.plate("data", 3, PlateKind::Data, &[]);
    let shared = tape.plate("states", 2, PlateKind::Enumerated, &[]);
    let samples = tape.plate("samples", 4, PlateKind::Samples, &[]);
    tape.set_plate_offset(data, 7);
    for (plates, run) in [
        (vec![], 5),
        (vec![samples], 20),
        (vec![data, samples], 60),
        (vec![data, shared], 5),
        (vec![data, shared, samples], 20),
    ] {
        let layout = NoiseLayout::new(&tape, &plates, 5);
        assert_eq!(layout.run(), run, "{plates:?}");
        for element in 0..layout.len() {
            assert_eq!(layout.index(element), layout.index(element - element % run) + (element % run) as u64);
        }
    }
    assert!(NoiseLayout::flat(0).is_empty() && NoiseLayout::flat(0).run() == 1);
}

#[test]
fn keys_separate_names_indices_and_purposes() {
    let key = NoiseKey::new("x", None);
    let keys = [
        key,
        NoiseKey::new("y", None),
        NoiseKey::new("x", Some(0)),
        NoiseKey::new("x", Some(1)),
        key.purpose("a"),
        key.purpose("b"),
        key.purpose("a").purpose("b"),
    ];
    for (i, one) in keys.iter().enumerate() {
        for other in &keys[..i] {
            assert_ne!(one, other);
        }
    }
    let tape = Tape::<f64>::new();
    let event = Shape::from(&[50][..]);
    let draw = Draw::new(&tape, &NOISE, key, Plates::new());
    let streams: Vec<f64> = [&draw, &draw.purpose("a"), &draw.purpose("b")]
        .iter()
        .flat_map(|draw| draw.uniform(&event).unwrap().to_vec())
        .collect();
    assert!(all_different(&streams));
    assert_eq!(draw.purpose("a").uniform(&event), draw.purpose("a").uniform(&event));
}

#[test]
fn seeds_and_steps_separate_runs() {
    let tape = Tape::<f64>::new();
    let event = Shape::from(&[50][..]);
    let of = |seed, step| {
        Draw::new(&tape, &KeyedNoise::new(seed, step), NoiseKey::new("x", None), Plates::new())
            .uniform(&event)
            .unwrap()
            .to_vec()
    };
    assert!(all_different(&[of(1, 0), of(2, 0), of(1, 1)].concat()));
    assert_eq!(of(1, 1), of(1, 1));
}

#[test]
fn another_node_changes_no_noise() {
    let alone = Tape::new();
    let plate = alone.plate("samples", 3, PlateKind::Samples, &[]);
    let expected = uniform(&alone, "x", &[plate], &[2]);
    let crowded = Tape::new();
    let other = crowded.plate("data", 5, PlateKind::Data, &[]);
    let _ = uniform(&crowded, "y", &[other], &[4]);
    let plate = crowded.plate("samples", 3, PlateKind::Samples, &[]);
    let _ = uniform(&crowded, "z", &[other, plate], &[4]);
    assert_eq!(uniform(&crowded, "x", &[plate], &[2]), expected);
}

#[test]
fn categories_of_probability_zero_are_never_drawn() {
    let tape = Tape::<f64>::new();
    let plate = tape.plate("samples", 20_000, PlateKind::Samples, &[]);
    let draw = Draw::new(&tape, &NOISE, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let row = [0.0, 0.3, 0.0, 0.7, 0.0];
    let probabilities = Tensor::from_fn([20_000, 5], |i| row[i % 5]);
    let drawn = draw.categorical(&Shape::scalar(), &probabilities).unwrap();
    let count = |k: f64| drawn.as_slice().iter().filter(|&&x| x == k).count();
    assert_eq!(count(1.0) + count(3.0), 20_000);
    assert!((count(1.0) as f64 / 20_000.0 - 0.3).abs() < 4.0 * (0.3 * 0.7 / 20_000.0_f64).sqrt());
}

#[test]
fn certain_bits_are_certain() {
    let tape = Tape::<f64>::new();
    let draw = Draw::new(&tape, &NOISE, NoiseKey::new("x", None), Plates::new());
    let event = Shape::from(&[1000][..]);
    for chance in [0.0, 1.0] {
        assert!(draw.bernoulli(&event, &Tensor::full([1000], chance)).unwrap().as_slice().iter().all(|&x| x == chance));
    }
}

#[test]
fn parameters_are_repeated_to_the_plates_of_the_request() {
    let tape = Tape::<f64>::new();
    let (data, samples) =
        (tape.plate("data", 2, PlateKind::Data, &[]), tape.plate("samples", 3, PlateKind::Samples, &[]));
    let draw = Draw::new(&tape, &NOISE, NoiseKey::new("x", None), Plates::from_slice(&[data, samples]));
    let parameter = tape.constant_on(&[data], [[1.0, 2.0], [3.0, 4.0]]);
    let repeated = draw.parameter(parameter, &Shape::from(&[2][..])).unwrap();
    assert_eq!(repeated.shape().to_vec(), [2, 3, 2]);
    assert!((0..3).all(|k| repeated.get(&[1, k, 0]) == Some(3.0) && repeated.get(&[0, k, 1]) == Some(2.0)));
    let other = tape.plate("other", 2, PlateKind::Data, &[]);
    let stranger = tape.constant_on(&[other], [1.0, 2.0]);
    assert!(matches!(draw.parameter(stranger, &Shape::scalar()), Err(DistributionError::Noise(_))));
    assert!(matches!(draw.parameter(parameter, &Shape::scalar()), Err(DistributionError::Noise(_))));
}
