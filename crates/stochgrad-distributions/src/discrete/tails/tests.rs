//! Both tails of each discrete distribution against values from mpmath at 60 digits, and their ends.

use crate::discrete::bernoulli::Bernoulli;
use crate::discrete::binomial::Binomial;
use crate::discrete::categorical::Categorical;
use crate::discrete::delta::Delta;
use crate::discrete::discrete_uniform::DiscreteUniform;
use crate::discrete::empirical::Empirical;
use crate::discrete::geometric::Geometric;
use crate::discrete::negative_binomial::NegativeBinomial;
use crate::discrete::poisson::Poisson;
use crate::discrete::skellam::Skellam;
use crate::distribution::{CumulativeDistribution, QuantileFunction};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

const INF: f64 = f64::INFINITY;

/// A number as a parameter of the tape.
fn leaf<F: Real>(tape: &Tape<F>, x: f64) -> Var<'_, F> {
    tape.parameter(Tensor::from_fn(Shape::scalar(), |_| F::from_f64(x)))
}

/// The logarithms of both tails at a count, and the distribution and survival function.
fn tails<'t, F: Real>(distribution: &dyn CumulativeDistribution<'t, F>, k: f64) -> [Var<'t, F>; 4] {
    let tape = distribution.tape().unwrap();
    let k = tape.constant(k);
    [distribution.log_cdf(k), distribution.log_survival(k), distribution.cdf(k), distribution.survival(k)]
}

#[track_caller]
fn check<'t, F: Real>(distribution: &dyn CumulativeDistribution<'t, F>, k: f64, logs: [f64; 2], bound: f64) {
    let got = tails(distribution, k).map(|tail| tail.item().unwrap().to_f64());
    let expected = [logs[0], logs[1], logs[0].exp(), logs[1].exp()];
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        // What a probability loses by its logarithm, and what underflows.
        let bound = if i < 2 { bound } else { bound * logs[i - 2].abs().max(1.0) };
        let least = F::MIN_POSITIVE.to_f64();
        assert!(
            (got - expected).abs() <= bound * expected.abs() + least,
            "{distribution:?} at {k}, {i}: {got:e}, expected {expected:e}"
        );
    }
}

/// Parameters, count, and the logarithms of the distribution and the survival function.
type Row = ([f64; 2], f64, [f64; 2]);

const POISSON: [Row; 12] = [
    ([2.5, 0.0], 0.0, [-2.5, -0.08565048374203818]),
    ([2.5, 0.0], 30.0, [-2.3475600844315836e-23, -52.10608061201829]),
    ([2.5, 0.0], 300.0, [-0.0, -1147.3011375458068]),
    ([1e-09, 0.0], 0.0, [-1e-09, -20.723265837446412]),
    ([1e-09, 0.0], 3.0, [-4.166666663333334e-38, -86.07111717893359]),
    ([2000.0, 0.0], 3.0, [-1978.987551715977, -0.0]),
    ([2000.0, 0.0], 5000.0, [-0.0, -1587.0372314294157]),
    ([10000.0, 0.0], 9990.0, [-0.7704310891475056, -0.6214099662108302]),
    ([10000.0, 0.0], 10010.0, [-0.6116300665851181, -0.7819038450458332]),
    ([1000000000000000.0, 0.0], 1062500000000000.0, [-0.0, -1913660679977.4663]),
    ([1000000000000000.0, 0.0], 937500000000000.0, [-1995136433542.41, -0.0]),
    ([1.0, 0.0], 1000000000000000.0, [-0.0, -3.353877639491074e+16]),
];

const BINOMIAL: [Row; 10] = [
    ([10.0, 0.25], 0.0, [-2.8768207245178092, -0.057961281038081174]),
    ([10.0, 0.25], 9.0, [-9.5367477115389e-07, -13.862943611198906]),
    ([1000.0, 0.5], 3.0, [-674.2156691862394, -1.5554471507014885e-293]),
    ([1000.0, 0.5], 990.0, [-2.503319603882797e-280, -643.8062083457074]),
    ([10000.0, 0.25], 2490.0, [-0.8821634987376155, -0.5342418211614429]),
    ([1000000000.0, 1e-09], 5.0, [-0.0005943614092033816, -7.4283201566048245]),
    ([1000000000.0, 1e-09], 100.0, [-3.941456378448178e-161, -369.3446496778312]),
    ([5000.0, 0.75], 1.0, [-6921.8559334549245, -0.0]),
    ([1000000000000000.0, 0.5], 468750000000000.0, [-1954398556759.8765, -0.0]),
    ([1000000000000000.0, 1e-15], 4.0, [-0.0036665604523084872, -5.610333982897161]),
];

const NEGATIVE_BINOMIAL: [Row; 8] = [
    ([2.5, 0.25], 0.0, [-3.4657359027997265, -0.0317486983145803]),
    ([2.5, 0.25], 40.0, [-0.00021635924461423014, -8.438678539976424]),
    ([2.5, 0.25], 3000.0, [-0.0, -853.6858492932596]),
    ([0.125, 0.5], 2.0, [-0.00961002108716615, -4.649750024233749]),
    ([1000.0, 0.5], 200.0, [-294.3580111825729, -1.4519111465076645e-128]),
    ([1000.0, 0.5], 3000.0, [-4.148382039669067e-230, -528.1718530003662]),
    ([1000000.0, 0.5], 1000100.0, [-0.6377755586333278, -0.751765470287449]),
    ([3.0, 0.0009765625], 100.0, [-8.78444336188268, -0.0001531080297629911]),
];

const GEOMETRIC: [Row; 7] = [
    ([0.25, 0.0], 0.0, [-1.3862943611198906, -0.2876820724517809]),
    ([0.25, 0.0], 50.0, [-4.247413325227902e-07, -14.671785695040827]),
    ([0.25, 0.0], 5000.0, [0.0, -1438.6980443313564]),
    ([1e-12, 0.0], 0.0, [-27.631021115928547, -1.0000000000005e-12]),
    ([1e-12, 0.0], 1000000000000000.0, [0.0, -1000.000000000501]),
    ([0.9990234375, 0.0], 0.0, [-0.0009770396478266127, -6.931471805599453]),
    ([1e-300, 0.0], 1000000000000000.0, [-656.236751503303, -1.000000000000001e-285]),
];

#[test]
fn both_tails_have_known_values() {
    fn in_precision<F: Real>(bound: f64) {
        let fits = |row: &&Row| {
            F::EPSILON.to_f64() < 1e-10 || row.0.iter().chain([&row.1]).all(|x| *x == f64::from(*x as f32))
        };
        for &([rate, _], k, logs) in POISSON.iter().filter(fits) {
            let tape = Tape::<F>::new();
            check(&Poisson::from_rate(leaf(&tape, rate)), k, logs, bound);
        }
        for &([n, p], k, logs) in BINOMIAL.iter().filter(fits) {
            let tape = Tape::<F>::new();
            check(&Binomial::from_probabilities(leaf(&tape, n), leaf(&tape, p)), k, logs, bound);
        }
        for &([r, p], k, logs) in NEGATIVE_BINOMIAL.iter().filter(fits) {
            let tape = Tape::<F>::new();
            check(&NegativeBinomial::from_probabilities(leaf(&tape, r), leaf(&tape, p)), k, logs, bound);
        }
        for &([p, _], k, logs) in GEOMETRIC.iter().filter(fits) {
            let tape = Tape::<F>::new();
            check(&Geometric::from_probabilities(leaf(&tape, p)), k, logs, bound);
        }
    }
    in_precision::<f64>(1e-11);
    in_precision::<f32>(1e-5);
}

/// Each distribution with the last value of its support.
fn with_each(check: &mut dyn FnMut(&dyn QuantileFunction<'_, f64>, f64)) {
    let tape = Tape::<f64>::new();
    let number = |x: f64| tape.parameter(x);
    check(&Bernoulli::from_probabilities(number(0.3)), 1.0);
    check(&Bernoulli::from_logits(number(-0.7)), 1.0);
    check(&Binomial::from_probabilities(7.0, number(0.3)), 7.0);
    check(&Binomial::from_logits(7.0, number(0.3)), 7.0);
    check(&Categorical::from_probabilities(tape.parameter([0.5, 0.2, 0.3])), 2.0);
    check(&Categorical::from_logits(tape.parameter([0.5, 0.2, 0.3])), 2.0);
    check(&DiscreteUniform::new(tape.constant(0.0), 5.0), 5.0);
    check(&Geometric::from_probabilities(number(0.3)), INF);
    check(&Geometric::from_logits(number(0.3)), INF);
    check(&NegativeBinomial::from_probabilities(2.5, number(0.3)), INF);
    check(&Poisson::from_rate(number(2.5)), INF);
    check(&Poisson::from_log_rate(number(0.5)), INF);
    check(&Skellam::new(number(2.5), number(0.7)), INF);
}

#[test]
fn ends_and_nan() {
    with_each(&mut |distribution, last| {
        let tape = distribution.tape().unwrap();
        let parameters: Vec<Var<'_, f64>> = distribution.parameters().iter().map(|p| p.var).collect();
        let signs = if distribution.name() == "Skellam" { [-INF, -INF] } else { [-0.5, -INF] };
        for (x, expected) in [
            (signs[0], [-INF, 0.0, 0.0, 1.0]),
            (signs[1], [-INF, 0.0, 0.0, 1.0]),
            (last, [0.0, -INF, 1.0, 0.0]),
            (INF, [0.0, -INF, 1.0, 0.0]),
        ] {
            let x = tape.parameter(x);
            for (tail, expected) in
                [distribution.log_cdf(x), distribution.log_survival(x), distribution.cdf(x), distribution.survival(x)]
                    .into_iter()
                    .zip(expected)
            {
                assert_eq!(tail.item(), Ok(expected), "{distribution:?} at {x:?}");
                // A derivative with respect to a Skellam value is an error.
                let by_value = if distribution.name() == "Skellam" { vec![] } else { vec![x] };
                for gradient in tape.backward_all(tail, &[&parameters[..], &by_value[..]].concat()).unwrap() {
                    assert!(gradient.as_slice().iter().all(|&g| g == 0.0), "{distribution:?} at {x:?}: {gradient:?}");
                }
            }
        }
        for tail in tails(distribution, f64::NAN) {
            assert!(tail.item().unwrap().is_nan(), "{distribution:?}");
        }
        assert!(distribution.log_prob(tape.constant(f64::NAN)).item().unwrap().is_nan(), "{distribution:?}");
        for wrong in [-0.5, 1.5, f64::NAN] {
            for quantile in
                [distribution.icdf(tape.constant(wrong)), distribution.inverse_survival(tape.constant(wrong))]
            {
                assert!(quantile.item().unwrap().is_nan(), "{distribution:?} at probability {wrong}");
            }
        }
    });
}

#[test]
fn tails_agree_and_quantiles_invert_them() {
    with_each(&mut |distribution, last| {
        let tape = distribution.tape().unwrap();
        let first = if distribution.name() == "Skellam" { -12.0 } else { 0.0 };
        let mut k = first;
        while k < last.min(25.0) {
            let [log_cdf, log_survival, cdf, survival] = tails(distribution, k).map(|tail| tail.item().unwrap());
            assert!((cdf + survival - 1.0).abs() < 1e-12, "{distribution:?} at {k}");
            assert!((log_cdf - cdf.ln()).abs() < 1e-12 * cdf.ln().abs().max(1.0), "{distribution:?} at {k}");
            assert!((log_survival - survival.ln()).abs() < 1e-11 * survival.ln().abs().max(1.0), "{distribution:?}");
            // Between the integers the functions are constant.
            assert_eq!(distribution.survival(tape.constant(k + 0.5)).item(), Ok(survival));
            if survival > 1e-300 {
                assert_eq!(
                    distribution.inverse_survival(tape.constant(survival)).item(),
                    Ok(k),
                    "{distribution:?} at its own value {survival:e}"
                );
            }
            k += 1.0;
        }
    });
}

#[test]
fn certain_and_given_values() {
    let tape = Tape::<f64>::new();
    let certain = Delta::new(tape.parameter(1.5));
    let values = |k: f64| tails(&certain, k).map(|tail| tail.item().unwrap());
    assert_eq!((values(1.4), values(1.5)), ([-INF, 0.0, 0.0, 1.0], [0.0, -INF, 1.0, 0.0]));
    assert!(values(f64::NAN).iter().all(|x| x.is_nan()));
    let given = Empirical::new(tape.parameter([1.0, 2.0, 2.0, 5.0]));
    assert_eq!(given.survival(tape.constant(2.0)).item(), Ok(0.25));
    assert!(given.cdf(tape.constant(f64::NAN)).item().unwrap().is_nan());
    for p in [0.0, 1.0] {
        let bit = Bernoulli::from_probabilities(tape.parameter(p));
        let [log_cdf, log_survival, ..] = tails(&bit, 0.0).map(|tail| tail.item().unwrap());
        assert_eq!((log_cdf, log_survival), if p == 0.0 { (0.0, -INF) } else { (-INF, 0.0) });
        let count = Binomial::from_probabilities(3.0, tape.parameter(p));
        let [log_cdf, log_survival, ..] = tails(&count, 1.0).map(|tail| tail.item().unwrap());
        assert_eq!((log_cdf, log_survival), if p == 0.0 { (0.0, -INF) } else { (-INF, 0.0) });
    }
    let failures = Geometric::from_probabilities(tape.parameter(1.0));
    assert_eq!(tails(&failures, 0.0).map(|tail| tail.item().unwrap()), [0.0, -INF, 1.0, 0.0]);
    assert_eq!(failures.inverse_survival(tape.constant(0.0)).item(), Ok(0.0));
    assert_eq!(tails(&Poisson::from_rate(tape.parameter(0.0)), 0.0)[1].item(), Ok(-INF));
}
