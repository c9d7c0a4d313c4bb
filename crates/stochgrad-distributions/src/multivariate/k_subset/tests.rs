use super::*;
use crate::noise::KeyedNoise;
use crate::testing::{assert_close, capabilities, check_enumeration, check_family, check_score, on_samples};
use stochgrad_tape::{PlateKind, Tape};

const LOGITS: [f64; 5] = [0.5, 0.0, -0.4, 1.0, -1.3];

/// All subsets of a size with their probabilities, from the definition.
fn subsets(size: usize, logits: &[f64]) -> Vec<(Vec<f64>, f64)> {
    let items = logits.len();
    let of = |set: u32| (0..items).map(|i| f64::from(set >> i & 1)).collect::<Vec<f64>>();
    let weight = |x: &[f64]| x.iter().zip(logits).map(|(x, l)| x * l).sum::<f64>().exp();
    let all: Vec<Vec<f64>> = (0..1_u32 << items).filter(|set| set.count_ones() as usize == size).map(of).collect();
    let total: f64 = all.iter().map(|x| weight(x)).sum();
    all.into_iter()
        .map(|x| {
            let p = weight(&x) / total;
            (x, p)
        })
        .collect()
}

#[test]
fn every_size_agrees_with_a_sum_over_subsets() {
    for size in 1..=5 {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter(LOGITS);
        let distribution = KSubset::from_logits(size, logits);
        distribution.validate().unwrap();
        let all = subsets(size, &LOGITS);
        let mut mean = vec![0.0; 5];
        let mut entropy = 0.0;
        for (x, p) in &all {
            let found = distribution.log_prob(tape.constant(x.as_slice())).item().unwrap();
            assert_close(&[found], &[p.ln()], 1e-13);
            mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += p * x);
            entropy -= p * p.ln();
        }
        assert_close(&distribution.mean().unwrap().peek().unwrap().to_vec(), &mean, 1e-13);
        let variance: Vec<f64> = mean.iter().map(|m| m * (1.0 - m)).collect();
        assert_close(&distribution.variance().unwrap().peek().unwrap().to_vec(), &variance, 1e-13);
        assert_close(&[distribution.entropy().item().unwrap()], &[entropy], 1e-13);
        // The mean is the gradient of the logarithm of the normaliser.
        let [slope] = tape.backward(distribution.log_normalizer(), [logits]).unwrap();
        assert_close(&slope.to_vec(), &mean, 1e-13);
        let mode = distribution.mode().unwrap().peek().unwrap();
        let best = all.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(mode.to_vec(), best.0);

        check_enumeration(&distribution, logits);
        assert_eq!(distribution.states().unwrap(), all.len() as u128);
        check_family(&tape, &distribution, mode_of(&tape, &best.0));
        check_score(&LOGITS, |v| KSubset::from_logits(size, v).log_prob(v.tape().constant(best.0.as_slice())));
        check_score(&LOGITS, |v| (KSubset::from_logits(size, v).mean().unwrap().square()).sum());
    }
}

fn mode_of<'t>(tape: &'t Tape<f64>, mode: &[f64]) -> Var<'t, f64> {
    tape.constant(mode)
}

#[test]
fn draws_have_the_probabilities_of_the_subsets() {
    for size in [1, 2, 4, 5] {
        let tape = Tape::<f64>::new();
        let distribution = KSubset::from_logits(size, tape.constant(LOGITS));
        let noise = KeyedNoise::new(8, 0);
        let sample = distribution.draw(&on_samples(&tape, &noise, 100_000)).unwrap();
        assert_eq!(sample.shape().to_vec(), [100_000, 5]);
        for (x, p) in subsets(size, &LOGITS) {
            let share = sample.as_slice().chunks(5).filter(|drawn| *drawn == x).count() as f64 / 1e5;
            assert!((share - p).abs() <= 4.0 * (p * (1.0 - p) / 1e5).sqrt(), "{x:?}: {share} where {p} is exact");
        }
    }
}

#[test]
fn elements_have_plates_and_axes_of_their_own() {
    let tape = Tape::<f64>::new();
    let data = tape.plate("data", 2, PlateKind::Data, &[]);
    let logits = tape.constant_on(&[data], Tensor::from_fn([2, 3, 5], |i| (i as f64).cos()));
    let distribution = KSubset::from_logits(3, logits);
    let mean = distribution.mean().unwrap().peek().unwrap();
    assert_eq!(mean.shape().to_vec(), [2, 3, 5]);
    for row in mean.as_slice().chunks(5) {
        assert_close(&[row.iter().sum()], &[3.0], 1e-13);
    }
    assert_eq!(distribution.log_prob_each(distribution.mode().unwrap()).peek().unwrap().shape().to_vec(), [2, 3]);
}

#[test]
fn divergences_and_tempered_distributions_are_those_of_the_family() {
    let tape = Tape::<f64>::new();
    let other = [-0.2, 0.7, 0.0, 0.1, 0.4];
    let (p, q) = (KSubset::from_logits(2, tape.constant(LOGITS)), KSubset::from_logits(2, tape.constant(other)));
    let exact: f64 = subsets(2, &LOGITS).iter().zip(subsets(2, &other)).map(|((_, p), (_, q))| p * (p / q).ln()).sum();
    assert_close(&[p.kl_to(&q).item().unwrap()], &[exact], 1e-13);
    assert_eq!(p.kl_to(&KSubset::from_logits(3, tape.constant(other))).item().unwrap(), f64::INFINITY);
    let halves = LOGITS.map(|l| l / 2.0);
    let x = tape.constant([0.0, 1.0, 0.0, 1.0, 0.0]);
    let direct = KSubset::from_logits(2, tape.constant(halves)).log_prob(x).item().unwrap();
    assert_close(&[p.tempered(2.0).log_prob(x).item().unwrap()], &[direct], 1e-14);
    assert_eq!(capabilities(&p), [true, false, true, false, false, false, true]);
}

#[test]
fn large_and_distant_logits_keep_their_digits() {
    let tape = Tape::<f64>::new();
    // The polynomial is dominated by two terms that plain sums would lose.
    let distribution = KSubset::from_logits(2, tape.constant([800.0, -800.0, -801.0, -900.0]));
    let mean = distribution.mean().unwrap().peek().unwrap().to_vec();
    let second = 1.0 / (1.0 + (-1.0_f64).exp());
    assert_close(&mean, &[1.0, second, 1.0 - second, (-100.0_f64).exp() * second], 1e-13);
    let single = Tape::<f32>::new();
    let many = KSubset::from_logits(20, single.constant(Tensor::from_fn([300], |i| (i as f32 * 0.7).sin() * 3.0)));
    let total: f32 = many.mean().unwrap().peek().unwrap().as_slice().iter().sum();
    assert!((total - 20.0).abs() < 1e-3, "{total}");
}

#[test]
fn what_is_no_subset_is_refused_or_impossible() {
    let tape = Tape::<f64>::new();
    for (size, words) in [(0, "between 1 and 5 of 5 items, got 0"), (6, "got 6")] {
        let error = KSubset::from_logits(size, tape.constant(LOGITS)).validate().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(KSubset::from_logits(1, tape.constant([0.0, f64::INFINITY])).validate().is_err());
    let logits = tape.parameter(LOGITS);
    for value in [[1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0], [0.5, 0.5, 1.0, 0.0, 0.0]] {
        let log = KSubset::from_logits(2, logits).log_prob(tape.constant(value));
        assert_eq!(log.item().unwrap(), f64::NEG_INFINITY);
        let [slope] = tape.backward(log, [logits]).unwrap();
        assert_eq!(slope.to_vec(), [0.0; 5]);
    }
    let unknown = KSubset::from_logits(2, logits).log_prob(tape.constant([f64::NAN, 1.0, 1.0, 0.0, 0.0]));
    assert!(unknown.item().unwrap().is_nan());
}
