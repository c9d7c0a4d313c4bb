use super::*;
use crate::discrete::{BetaBinomial, Binomial, Categorical, Geometric, NegativeBinomial, Poisson, Skellam};
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{
    COSTS, SIDES, States, assert_close, check_enumeration, check_family, check_score, on_samples, variance,
};
use stochgrad_tape::{PlateKind, Plates, Tape};

/// The probabilities of the first counts.
fn probabilities<'t>(distribution: &dyn Distribution<'t, f64>, tape: &'t Tape<f64>, states: usize) -> Vec<f64> {
    let counts: Vec<f64> = (0..states).map(|k| k as f64).collect();
    distribution.log_prob_each(tape.constant(counts)).exp().peek().unwrap().to_vec()
}

/// Draws, moments, distribution function and quantiles are those of the probabilities, which add up to 1.
#[track_caller]
pub(in crate::compound) fn check_counts<'t, D>(tape: &'t Tape<f64>, distribution: &D, states: usize)
where
    D: QuantileFunction<'t, f64>,
{
    const DRAWS: usize = 40_000;
    let p = probabilities(distribution, tape, states);
    assert_close(&[p.iter().sum()], &[1.0], 1e-12);
    let moment = |f: &dyn Fn(f64) -> f64| p.iter().enumerate().map(|(k, p)| p * f(k as f64)).sum::<f64>();
    let mean = moment(&|k| k);
    let at = |value: Var<'_, f64>| value.peek().unwrap().to_vec();
    if let (Some(own), Some(spread)) = (distribution.mean(), distribution.variance()) {
        assert_close(&at(own), &[mean], 1e-10);
        assert_close(&at(spread), &[moment(&|k| (k - mean).powi(2))], 1e-10);
    }
    if let Some(mode) = distribution.mode() {
        let highest = p.iter().copied().fold(0.0, f64::max);
        assert_eq!(p[mode.item().unwrap() as usize], highest);
    }
    let sums: Vec<f64> = (0..states).map(|k| p[..=k].iter().sum()).collect();
    let beyond: Vec<f64> = (0..states).map(|k| p[k + 1..].iter().sum()).collect();
    let counts = || tape.constant((0..states).map(|k| k as f64 + 0.3).collect::<Vec<f64>>());
    assert_close(&at(distribution.cdf(counts())), &sums, 1e-12);
    assert_close(&at(distribution.survival(counts())), &beyond, 1e-12);
    assert_close(&at(distribution.log_cdf(counts()).exp()), &sums, 1e-12);
    assert_close(&at(distribution.log_survival(counts()).exp()), &beyond, 1e-12);
    let (below, nan) = (tape.constant(-0.5), tape.constant(f64::NAN));
    assert_eq!((distribution.cdf(below).item(), distribution.survival(below).item()), (Ok(0.0), Ok(1.0)));
    assert!(distribution.log_cdf(nan).item().unwrap().is_nan() && distribution.icdf(nan).item().unwrap().is_nan());
    let likely: Vec<usize> = (0..states).filter(|&k| p[k] > 1e-9).collect();
    let numbers: Vec<f64> = likely.iter().map(|&k| k as f64).collect();
    let middles: Vec<f64> = likely.iter().map(|&k| sums[k] - 0.5 * p[k]).collect();
    assert_eq!(at(distribution.icdf(tape.constant(middles))), numbers, "{}", distribution.name());
    let middles: Vec<f64> = likely.iter().map(|&k| beyond[k] + 0.5 * p[k]).collect();
    assert_eq!(at(distribution.inverse_survival(tape.constant(middles))), numbers, "{}", distribution.name());
    let noise = KeyedNoise::new(9, 0);
    let sample = distribution.draw(&on_samples(tape, &noise, DRAWS)).unwrap();
    let mut rest = DRAWS as f64;
    for (k, p) in p.iter().enumerate() {
        let found = sample.as_slice().iter().filter(|&&x| x == k as f64).count() as f64;
        rest -= found;
        let spread = (p * (1.0 - p) * DRAWS as f64).sqrt();
        assert!((found - p * DRAWS as f64).abs() <= 4.5 * spread + 2.0, "{k}: {found}, expected {}", p * DRAWS as f64);
    }
    assert_eq!(rest, 0.0, "draws beyond the first counts");
}

/// The weak derivative with respect to a parameter has the exact derivative as its mean. `leaf` is the parameter.
#[track_caller]
pub(in crate::compound) fn check_weak<'t, D>(
    tape: &'t Tape<f64>,
    distribution: &D,
    parameter: usize,
    leaf: Var<'t, f64>,
    states: usize,
) where
    D: WeakDerivative<'t, f64>,
{
    const DRAWS: usize = 40_000;
    let states = States::new(tape, distribution, states);
    let noise = KeyedNoise::new(3, 1);
    let plate = tape.plate("draws", DRAWS, PlateKind::Samples, &[]);
    let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let sample = draw.record(tape, distribution.draw(&draw).unwrap());
    let parts = distribution.weak_derivative(parameter, sample, &draw).unwrap().expect("a weak derivative");
    for f in COSTS {
        let exact = states.exact(distribution, leaf, f);
        let primal: Vec<f64> = sample.peek().unwrap().to_vec().into_iter().map(f).collect();
        let mut terms = vec![0.0; DRAWS];
        let (values, weights) = parts.to_tensors(draw.plates(), &Shape::default(), 0).unwrap();
        for (values, weights) in values.iter().zip(&weights) {
            for (at, term) in terms.iter_mut().enumerate() {
                *term += weights.as_slice()[at] * (f(values.as_slice()[at]) - primal[at]);
            }
        }
        let mean = terms.iter().sum::<f64>() / DRAWS as f64;
        let error = (variance(&terms) / DRAWS as f64).sqrt();
        assert!((mean - exact[0]).abs() <= 4.0 * error + 1e-12, "{parameter}: {mean} ± {error}, expected {exact:?}");
    }
}

#[test]
fn everything_follows_from_the_probabilities() {
    for gate in [0.0, 0.3, 0.95] {
        let tape = Tape::<f64>::new();
        let (gate, p) = (tape.parameter(gate), tape.parameter(0.4));
        let poisson = ZeroInflated::from_probability(gate, Poisson::from_rate(p * 6.0)).unwrap();
        poisson.validate().unwrap();
        check_counts(&tape, &poisson, 60);
        check_family(&tape, &poisson, tape.constant(2.0));
        check_counts(&tape, &ZeroInflated::from_probability(gate, Geometric::from_probabilities(p)).unwrap(), 90);
        let failures = NegativeBinomial::from_logits(0.7, p);
        check_counts(&tape, &ZeroInflated::from_probability(gate, failures).unwrap(), 90);
        let trials = ZeroInflated::from_probability(gate, Binomial::from_probabilities(6.0, p)).unwrap();
        check_counts(&tape, &trials, 7);
        check_enumeration(&trials, p);
        check_enumeration(&trials, gate);
        check_counts(&tape, &ZeroInflated::from_probability(gate, BetaBinomial::new(5.0, p, 2.0)).unwrap(), 6);
        let bits = ZeroInflated::from_probability(gate, Bernoulli::from_probabilities(p)).unwrap();
        check_counts(&tape, &bits, 2);
        let categories = Categorical::from_logits(Var::stack(&[p, p * 2.0, -p]).unwrap());
        check_counts(&tape, &ZeroInflated::from_probability(gate, categories).unwrap(), 3);
    }
    let tape = Tape::<f64>::new();
    let logits = ZeroInflated::from_logit(tape.parameter(-0.4), Poisson::from_log_rate(tape.constant(0.7))).unwrap();
    check_counts(&tape, &logits, 50);
    check_score(&[-0.4, 0.7], |v| {
        let counts = ZeroInflated::from_logit(v.index(0, 0), Poisson::from_log_rate(v.index(0, 1))).unwrap();
        (counts.log_prob_each(v.tape().constant([0.0, 3.0])) + counts.log_cdf(v.tape().constant([0.0, 2.0]))).sum()
    });
    check_score(&[0.3, 0.7], |v| {
        let counts = ZeroInflated::from_probability(v.index(0, 0), Poisson::from_rate(v.index(0, 1))).unwrap();
        (counts.log_prob_each(v.tape().constant([0.0, 3.0])) + counts.survival(v.tape().constant([0.0, 2.0]))).sum()
    });
}

#[test]
fn derivatives_of_the_distribution_are_exact() {
    for by_logit in [false, true] {
        let tape = Tape::<f64>::new();
        let (gate, rate) = (tape.parameter(if by_logit { -0.6 } else { 0.35 }), tape.parameter(1.7));
        let base = Poisson::from_rate(rate);
        let distribution = match by_logit {
            true => ZeroInflated::from_logit(gate, base),
            false => ZeroInflated::from_probability(gate, base),
        }
        .unwrap();
        check_weak(&tape, &distribution, 0, gate, 60);
        let states = States::new(&tape, &distribution, 60);
        let noise = KeyedNoise::new(1, 0);
        let draw = states.draw(&noise);
        for f in COSTS {
            let of_rate = states.exact(&distribution, rate, f);
            let weak = distribution.weak_derivative(1, states.recorded(), &draw).unwrap().unwrap();
            assert_close(&states.estimated(&distribution, &weak, f), &of_rate, 1e-9);
            for side in SIDES {
                let jumps = distribution.stochastic_derivative(1, side, states.recorded(), &draw).unwrap().unwrap();
                assert_close(&states.estimated(&distribution, &jumps, f), &of_rate, 1e-9);
            }
            let of_gate = states.exact(&distribution, gate, f);
            let right = distribution.stochastic_derivative(0, Side::Right, states.recorded(), &draw).unwrap().unwrap();
            assert_close(&states.estimated(&distribution, &right, f), &of_gate, 1e-9);
        }
        // To the left the jump is to a sample of the counts.
        const DRAWS: usize = 60_000;
        let draw = on_samples(&tape, &noise, DRAWS);
        let zero = tape.constant_on(draw.plates(), Tensor::zeros([DRAWS]));
        let left = distribution.stochastic_derivative(0, Side::Left, zero, &draw).unwrap().unwrap();
        let none = distribution.log_prob(tape.constant(0.0)).item().unwrap().exp();
        let (values, weights) = left.to_tensors(draw.plates(), &Shape::default(), 0).unwrap();
        for f in COSTS {
            let terms: Vec<f64> = values[0]
                .as_slice()
                .iter()
                .zip(weights[0].as_slice())
                .map(|(&x, w)| none * w * (f(x) - f(0.0)))
                .collect();
            let exact = states.exact(&distribution, gate, f)[0];
            let mean = terms.iter().sum::<f64>() / DRAWS as f64;
            let error = (variance(&terms) / DRAWS as f64).sqrt();
            assert!((mean - exact).abs() < 4.0 * error, "{mean} ± {error}, expected {exact}");
        }
    }
    let tape = Tape::<f64>::new();
    let logits = tape.parameter([0.3, -0.2, 0.5]);
    let distribution = ZeroInflated::from_probability(tape.constant(0.3), Categorical::from_logits(logits)).unwrap();
    let states = States::new(&tape, &distribution, 3);
    let noise = KeyedNoise::new(1, 0);
    for f in COSTS {
        let weak = distribution.weak_derivative(1, states.recorded(), &states.draw(&noise)).unwrap().unwrap();
        assert_close(&states.estimated(&distribution, &weak, f), &states.exact(&distribution, logits, f), 1e-9);
    }
}

#[test]
fn ends_of_the_gate_elements_and_mistakes() {
    let tape = Tape::<f64>::new();
    let gate = tape.parameter([0.0, 1.0, 0.5]);
    let rate = tape.parameter([1.0, 2.0, 3.0]);
    let distribution = ZeroInflated::from_probability(gate, Poisson::from_rate(rate)).unwrap();
    distribution.validate().unwrap();
    let value = tape.constant([2.0, 0.0, 0.0]);
    let log = distribution.log_prob(value);
    assert!(log.item().unwrap().is_finite());
    for gradient in tape.backward(log, [gate, rate]).unwrap() {
        assert!(gradient.all_finite(), "{gradient:?}");
    }
    let impossible = distribution.log_prob_each(tape.constant([0.5, 1.0, -1.0]));
    assert_eq!(impossible.peek().unwrap().to_vec(), [f64::NEG_INFINITY; 3]);
    for gradient in tape.backward(impossible.sum(), [gate, rate]).unwrap() {
        assert!(gradient.as_slice().iter().all(|g| !g.is_nan()), "{gradient:?}");
    }
    assert!(distribution.log_prob_each(tape.constant(f64::NAN)).peek().unwrap().as_slice()[0].is_nan());
    let other = ZeroInflated::from_probability(tape.constant(0.5), Skellam::new(tape.constant(1.0), 2.0));
    assert!(other.unwrap_err().to_string().contains("Mixture"));
    let wide = ZeroInflated::from_probability(gate, Poisson::from_rate(tape.constant(1.0)));
    assert!(wide.unwrap_err().to_string().contains("full shape"));
    let far = ZeroInflated::from_probability(tape.constant(1.5), Poisson::from_rate(tape.constant(1.0))).unwrap();
    assert!(far.validate().is_err());
}

#[test]
fn variances_of_large_counts_are_known() {
    for (gate, expected) in [(0.0, 1e300), (1.0, 0.0), (0.3, f64::INFINITY)] {
        let tape = Tape::<f64>::new();
        let (gate, rate) = (tape.parameter(gate), tape.parameter(1e300));
        let variance = ZeroInflated::from_probability(gate, Poisson::from_rate(rate)).unwrap().variance().unwrap();
        assert_eq!(variance.item(), Ok(expected));
        for slope in tape.backward(variance, [gate, rate]).unwrap() {
            assert!(!slope.item().unwrap().is_nan(), "{gate:?}: {slope:?}");
        }
    }
}
