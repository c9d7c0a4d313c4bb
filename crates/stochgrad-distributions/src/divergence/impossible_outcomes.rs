//! Checks of divergences where an outcome has probability 0: infinite if it is possible in the first distribution,
//! and without effect if it is impossible in both. No derivative is NaN.

use crate::discrete::bernoulli::Bernoulli;
use crate::discrete::binomial::Binomial;
use crate::discrete::categorical::Categorical;
use crate::discrete::geometric::Geometric;
use crate::discrete::negative_binomial::NegativeBinomial;
use crate::discrete::one_hot_categorical::OneHotCategorical;
use crate::discrete::poisson::Poisson;
use crate::distribution::KlDivergence;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

const INF: f64 = f64::INFINITY;

/// A divergence as a function of the parameters of both distributions.
type Divergence<F> = for<'t> fn(Var<'t, F>, Var<'t, F>) -> Var<'t, F>;

/// The divergence and its derivatives, in both precisions.
fn evaluated<F: Real>(divergence: Divergence<F>, own: &[f64], others: &[f64]) -> (f64, Vec<Tensor<F>>) {
    let tape = Tape::<F>::new();
    let leaf = |values: &[f64]| {
        let shape = if values.len() == 1 { Shape::scalar() } else { Shape::from(&[values.len()][..]) };
        tape.parameter(Tensor::from_fn(shape, |i| F::from_f64(values[i])))
    };
    let (own, others) = (leaf(own), leaf(others));
    let value = divergence(own, others);
    let gradients = tape.backward(value, [own, others]).unwrap();
    (value.item().unwrap().to_f64(), gradients.to_vec())
}

macro_rules! both_precisions {
    ($name:expr, $divergence:expr, $own:expr, $others:expr, $expected:expr) => {{
        let (single, by_single) = evaluated::<f32>($divergence, $own, $others);
        let (double, by_double) = evaluated::<f64>($divergence, $own, $others);
        let what = format!("{} of {:?} and {:?}", $name, $own, $others);
        let expected: f64 = $expected;
        for (got, bound) in [(single, 2e-6), (double, 1e-14)] {
            assert!(
                got == expected || (got - expected).abs() <= bound * expected.abs(),
                "{what}: {got:e}, expected {expected:e}"
            );
        }
        assert!(by_single.iter().all(|g| g.as_slice().iter().all(|g| !g.is_nan())), "{what}: {by_single:?}");
        assert!(by_double.iter().all(|g| g.as_slice().iter().all(|g| !g.is_nan())), "{what}: {by_double:?}");
        by_double
    }};
}

#[test]
fn bits() {
    for (p, q, expected) in [
        (0.5, 0.0, INF),
        (0.5, 1.0, INF),
        (1e-30, 0.0, INF),
        (1.0, 0.0, INF),
        (0.0, 1.0, INF),
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 0.0),
        (0.0, 0.25, -(0.75_f64.ln())),
        (1.0, 0.25, 4.0_f64.ln()),
    ] {
        let by = both_precisions!(
            "Bernoulli",
            |p, q| Bernoulli::from_probabilities(p).kl_to(&Bernoulli::from_probabilities(q)),
            &[p],
            &[q],
            expected
        );
        if expected == 0.0 {
            assert_eq!((by[0].to_vec(), by[1].to_vec()), (vec![0.0], vec![0.0]));
        }
        both_precisions!(
            "Binomial",
            |p, q| Binomial::from_probabilities(3.0, p).kl_to(&Binomial::from_probabilities(3.0, q)),
            &[p],
            &[q],
            3.0 * expected
        );
        both_precisions!(
            "Binomial without trials",
            |p, q| Binomial::from_probabilities(0.0, p).kl_to(&Binomial::from_probabilities(0.0, q)),
            &[p],
            &[q],
            0.0
        );
        let logit = |p: f64| (p / (1.0 - p)).ln();
        both_precisions!(
            "Bernoulli by logits",
            |p, q| Bernoulli::from_logits(p).kl_to(&Bernoulli::from_logits(q)),
            &[logit(p)],
            &[logit(q)],
            expected
        );
        both_precisions!(
            "Bernoulli by probability and logit",
            |p, q| Bernoulli::from_probabilities(p).kl_to(&Bernoulli::from_logits(q)),
            &[p],
            &[logit(q)],
            expected
        );
        both_precisions!(
            "Bernoulli by logit and probability",
            |p, q| Bernoulli::from_logits(p).kl_to(&Bernoulli::from_probabilities(q)),
            &[logit(p)],
            &[q],
            expected
        );
        if p > 0.0 && q > 0.0 {
            both_precisions!(
                "Geometric",
                |p, q| Geometric::from_probabilities(p).kl_to(&Geometric::from_probabilities(q)),
                &[p],
                &[q],
                expected / p
            );
            both_precisions!(
                "NegativeBinomial",
                |p, q| {
                    NegativeBinomial::from_probabilities(2.5, p).kl_to(&NegativeBinomial::from_probabilities(2.5, q))
                },
                &[p],
                &[q],
                2.5 * expected / p
            );
        }
    }
    // The derivative with respect to the other logit has a limit: the difference of the probabilities.
    let (_, by) = evaluated::<f64>(|p, q| Bernoulli::from_logits(p).kl_to(&Bernoulli::from_logits(q)), &[0.0], &[-INF]);
    assert_eq!(by[1].to_vec(), [-0.5]);
}

#[test]
fn categories() {
    let ln = |p: f64| p.ln();
    for (p, q, expected) in [
        ([0.25, 0.25, 0.5], [0.5, 0.5, 0.0], INF),
        ([0.5, 0.5, 0.0], [0.25, 0.25, 0.5], 2.0_f64.ln()),
        ([0.5, 0.5, 0.0], [0.25, 0.75, 0.0], 0.5 * (4.0_f64 / 3.0).ln()),
        ([0.0, 1.0, 0.0], [0.0, 1.0, 0.0], 0.0),
        ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], INF),
        ([1.0 - 1e-30, 1e-30, 0.0], [1.0, 0.0, 0.0], INF),
    ] {
        let (log_p, log_q) = (p.map(ln), q.map(ln));
        both_precisions!(
            "Categorical",
            |p, q| Categorical::from_probabilities(p).kl_to(&Categorical::from_probabilities(q)),
            &p,
            &q,
            expected
        );
        both_precisions!(
            "OneHotCategorical by logits",
            |p, q| OneHotCategorical::from_logits(p).kl_to(&OneHotCategorical::from_logits(q)),
            &log_p,
            &log_q,
            expected
        );
        both_precisions!(
            "Categorical by probabilities and logits",
            |p, q| Categorical::from_probabilities(p).kl_to(&Categorical::from_logits(q)),
            &p,
            &log_q,
            expected
        );
        both_precisions!(
            "Categorical by logits and probabilities",
            |p, q| Categorical::from_logits(p).kl_to(&Categorical::from_probabilities(q)),
            &log_p,
            &q,
            expected
        );
    }
}

#[test]
fn counts() {
    for (own, others, expected) in
        [(2.0, 0.0, INF), (1e-30, 0.0, INF), (0.0, 2.0, 2.0), (0.0, 0.0, 0.0), (2.0, 1.0, 2.0 * 2.0_f64.ln() - 1.0)]
    {
        let (log_own, log_others) = (f64::ln(own), f64::ln(others));
        both_precisions!(
            "Poisson",
            |p, q| Poisson::from_rate(p).kl_to(&Poisson::from_rate(q)),
            &[own],
            &[others],
            expected
        );
        both_precisions!(
            "Poisson by logarithms",
            |p, q| Poisson::from_log_rate(p).kl_to(&Poisson::from_log_rate(q)),
            &[log_own],
            &[log_others],
            expected
        );
        both_precisions!(
            "Poisson by rate and logarithm",
            |p, q| Poisson::from_rate(p).kl_to(&Poisson::from_log_rate(q)),
            &[own],
            &[log_others],
            expected
        );
    }
    for (p, rate, expected) in [(0.5, 0.0, INF), (0.0, 0.0, 0.0), (0.0, 2.0, 2.0), (1.0, 2.0, 2.0 - 2.0_f64.ln())] {
        both_precisions!(
            "Bernoulli to Poisson",
            |p, rate| Bernoulli::from_probabilities(p).kl_to(&Poisson::from_rate(rate)),
            &[p],
            &[rate],
            expected
        );
        both_precisions!(
            "Bernoulli by logit to Poisson",
            |p, rate| Bernoulli::from_logits(p).kl_to(&Poisson::from_rate(rate)),
            &[(p / (1.0 - p)).ln()],
            &[rate],
            expected
        );
    }
    for (rate, q, expected) in [(0.5, 0.5, INF), (0.0, 0.5, 2.0_f64.ln()), (0.0, 0.0, 0.0), (0.0, 1.0, INF)] {
        both_precisions!(
            "Poisson to Bernoulli",
            |rate, q| Poisson::from_rate(rate).kl_to(&Bernoulli::from_probabilities(q)),
            &[rate],
            &[q],
            expected
        );
        both_precisions!(
            "Poisson to Binomial",
            |rate, q| Poisson::from_rate(rate).kl_to(&Binomial::from_probabilities(2.0, q)),
            &[rate],
            &[q],
            2.0 * expected
        );
    }
}
