use super::*;
use crate::compound::zero_inflated::tests::check_counts;
use crate::continuous::{Exponential, Normal};
use crate::discrete::Poisson;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{check_family, check_score, leaves, on_samples, variance};
use approx::assert_abs_diff_eq;
use stochgrad_tape::{Plates, Tape};
use stochgrad_tensor::special::normal_cdf;

const PARAMETERS: [f64; 4] = [0.3, 1.4, -0.6, 1.9];

fn censored<'t>(p: &[Var<'t, f64>]) -> Censored<Var<'t, f64>, Normal<Var<'t, f64>>> {
    Censored::new(Normal::new(p[0], p[1]), p[2], p[3]).unwrap()
}

fn cost(x: f64) -> f64 {
    x.sin() + 0.1 * x * x
}

/// The expected cost: that of the atoms, and the integral of the density between them, by midpoints.
fn expected(p: &[f64; 4]) -> f64 {
    let [m, s, low, high] = *p;
    let count = 4000;
    let step = (high - low) / f64::from(count);
    let density = |x: f64| (-0.5 * ((x - m) / s).powi(2)).exp() / (s * (2.0 * std::f64::consts::PI).sqrt());
    let inside = |i: i32| low + (f64::from(i) + 0.5) * step;
    let integral: f64 = (0..count).map(|i| density(inside(i)) * cost(inside(i)) * step).sum();
    normal_cdf((low - m) / s) * cost(low) + integral + normal_cdf((m - high) / s) * cost(high)
}

#[test]
fn atoms_and_density() {
    let tape = Tape::<f64>::new();
    let p = leaves(&tape, &PARAMETERS);
    let distribution = censored(&p);
    distribution.validate().unwrap();
    let normal = Normal::new(p[0], p[1]);
    let at = |x: f64| distribution.log_prob(tape.constant(x)).item().unwrap();
    assert_eq!(at(-0.6), normal.log_cdf(tape.constant(-0.6)).item().unwrap());
    assert_eq!(at(1.9), normal.log_survival(tape.constant(1.9)).item().unwrap());
    assert_eq!(at(0.4), normal.log_prob(tape.constant(0.4)).item().unwrap());
    assert_eq!((at(-0.7), at(2.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    assert!(at(f64::NAN).is_nan());
    let values = tape.constant([-0.7, -0.6, 0.4, 1.9]);
    let [own, inside] = [distribution.cdf(values), normal.cdf(values)].map(|var| var.peek().unwrap().to_vec());
    assert_eq!(own, [0.0, inside[1], inside[2], 1.0]);
    let quantiles = distribution.icdf(tape.constant([0.01, 0.5, 0.99])).peek().unwrap().to_vec();
    assert_eq!((quantiles[0], quantiles[2]), (-0.6, 1.9));
    assert_abs_diff_eq!(quantiles[1], 0.3, epsilon = 1e-14);
    check_family(&tape, &distribution, tape.constant(1.9));
    // A censored lifetime tells something about the rate.
    check_score(&[0.4], |v| {
        let lifetimes = Censored::new(Exponential::new(v.index(0, 0)), 0.2, 3.0).unwrap();
        lifetimes.log_prob_each(v.tape().constant([0.2, 1.0, 3.0])).sum()
    });
}

#[test]
fn draws_and_paths_follow_the_distribution() {
    let tape = Tape::<f64>::new();
    let p = leaves(&tape, &PARAMETERS);
    let distribution = censored(&p);
    let noise = KeyedNoise::new(5, 0);
    let draw = on_samples(&tape, &noise, 100_000);
    let sample = distribution.rsample(&draw).unwrap();
    let values = sample.peek().unwrap();
    let costs: Vec<f64> = values.as_slice().iter().map(|&x| cost(x)).collect();
    let error = (variance(&costs) / 1e5).sqrt();
    let mean = costs.iter().sum::<f64>() / 1e5;
    assert!((mean - expected(&PARAMETERS)).abs() < 4.0 * error, "{mean}");
    for (number, bound) in [(2, -0.6), (3, 1.9)] {
        let share = values.as_slice().iter().filter(|&&x| x == bound).count() as f64 / 1e5;
        let exact = distribution.log_prob(tape.constant(PARAMETERS[number])).item().unwrap().exp();
        assert!((share - exact).abs() < 4.0 * (exact / 1e5).sqrt(), "{bound}: {share}, expected {exact}");
    }
    let total = (sample.sin() + sample.square() * 0.1).mean_over(draw.plates()[0]);
    for (index, gradient) in tape.backward_all(total, &p).unwrap().iter().enumerate() {
        let at = |step: f64| {
            let mut moved = PARAMETERS;
            moved[index] += step;
            expected(&moved)
        };
        let exact = (at(1e-4) - at(-1e-4)) / 2e-4;
        let found = gradient.item().unwrap();
        assert!((found - exact).abs() < 0.015, "{index}: {found}, expected {exact}");
    }
}

#[test]
fn counts_and_mistakes() {
    let tape = Tape::<f64>::new();
    for (low, high) in [(0.0, 4.0), (2.0, 6.0), (1.3, 5.8), (3.0, f64::INFINITY)] {
        let counts = Censored::new(Poisson::from_rate(tape.parameter(3.1)), low, high).unwrap();
        counts.validate().unwrap();
        check_counts(&tape, &counts, 40);
        assert!(counts.capabilities().score.is_some() && counts.capabilities().reparameterized.is_none());
    }
    let counts = Censored::new(Poisson::from_rate(tape.parameter(3.1)), 1.0, 4.0).unwrap();
    assert_eq!(counts.has_successor(tape.constant([1.0, 4.0])).peek().unwrap().to_vec(), [1.0, 0.0]);
    let normal = Normal::new(tape.constant(0.0), 1.0);
    for (low, high) in [(2.0, 1.0), (1.0, 1.0), (f64::NAN, 1.0)] {
        let error = Censored::new(normal, low, high).unwrap().validate().unwrap_err();
        assert!(error.to_string().contains("bounds"), "{low}, {high}");
    }
    let noise = KeyedNoise::new(1, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
    assert!(counts.inner.rsample(&draw).unwrap_err().to_string().contains("a path"));
}
