//! The geometric distribution: the number of failures before the first success in independent trials.
//!
//! $$P(X = k; p) = (1 - p)^k p, \quad k \in \{0, 1, \dots\}, \quad p \in (0, 1], \quad p = \sigma(\eta).$$
//!
//! The values start at 0: the successful trial is not counted. The mean is $(1 - p)/p$.
//!
//! Parameter: the probability $p \in (0, 1]$ or the log-odds $\eta > -\infty$ of success; its shape is the event shape,
//! and each element is an independent count. Support: $0, 1, \dots$
//!
//! | capability | |
//! |---|---|
//! | score | $x \ln(1 - p) + \ln p$, any order |
//! | weak derivative | $\partial_p E f(X) = -\frac1p E[f(1 + X + X') - f(X)]$ with $X'$ independent of the same distribution; by $\eta$ times $p(1-p)$. One replay |
//! | stochastic derivative | right: to $X - 1$ at rate $X/(p(1-p))$; left: to $X + 1$ at rate $(X+1)/p$ (Arya et al. 2022) |
//!
//! The weak derivative: $\partial_p P(X = k) = (1-p)^k - k p (1-p)^{k-1}$, and $k p^2 (1-p)^{k-1}$ is the distribution
//! of $1 + X + X'$.

use crate::capabilities;
use crate::derivative::weak::drawn_by_quantile;
use crate::distribution::check_parameter;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, IntegerSupport, KlDivergence, Parameters,
    QuantileFunction, ScoreDifferentiable, Side, StochasticDerivative, Support, WeakDerivative,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::{ProbabilityOrLogit, check_sample};
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::special::geometric_cdf;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Numbers of failures before the first success, given by the probability or the log-odds of success in each trial.
///
/// ```
/// use stochgrad_distributions::{Distribution, Geometric};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let failures = Geometric::from_probabilities(tape.constant(0.25));
/// assert!((failures.log_prob(tape.constant(1.0)).item()? - (0.75 * 0.25_f64).ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Geometric<V> {
    parameter: ProbabilityOrLogit<V>,
}

impl<V> Geometric<V> {
    /// Failures before a success whose log-odds in each trial are `logits`, above −∞.
    pub fn from_logits(logits: V) -> Self {
        Geometric { parameter: ProbabilityOrLogit::Logit(logits) }
    }

    /// Failures before a success that has the given probability in each trial, in (0, 1].
    pub fn from_probabilities(probabilities: V) -> Self {
        Geometric { parameter: ProbabilityOrLogit::Probability(probabilities) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Geometric<W>, E> {
        Ok(Geometric { parameter: self.parameter.try_map(f)? })
    }
}

family!(Geometric);

impl<'t, F: Real> Geometric<Var<'t, F>> {
    /// The probabilities of success in each trial.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probability()
    }

    /// The log-odds of success in each trial.
    pub fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let probabilities = self.parameter.probabilities(draw, &self.event_shape())?;
        draw.invert(&self.event_shape(), &|element, k| {
            geometric_cdf(k as f64, probabilities.as_slice()[element].to_f64())
        })
    }
}

impl<'t, F: Real> Distribution<'t, F> for Geometric<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Geometric"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.var().shape()
    }

    fn support(&self) -> Support {
        Support::Counts
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.parameter.log_power(value.tape().constant(1.0), value)
    }

    drawn_by_quantile!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(match self.parameter {
            ProbabilityOrLogit::Probability(p) => (1.0 - p) / p,
            ProbabilityOrLogit::Logit(l) => (-l).exp(),
        })
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(match self.parameter {
            ProbabilityOrLogit::Probability(p) => (1.0 - p) / p.square(),
            ProbabilityOrLogit::Logit(l) => (-l).exp() / l.sigmoid(),
        })
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.parameter.var() * 0.0)
    }

    fn validate(&self) -> DistributionResult<()> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                let hint = "without successes the count is infinite; use logits for unconstrained numbers";
                check_parameter("Geometric", "probabilities", p, "in (0, 1]", hint, |p| p > 0.0 && p <= 1.0)
            }
            ProbabilityOrLogit::Logit(l) => {
                let hint = "without successes the count is infinite; look for the operation that made it";
                check_parameter("Geometric", "logits", l, "a number above −∞", hint, |l| l > f64::NEG_INFINITY)
            }
        }
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Geometric<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let rest = match self.parameter {
            ProbabilityOrLogit::Probability(p) => (-p).log1p(),
            ProbabilityOrLogit::Logit(l) => (-l).log_sigmoid(),
        };
        -((value.floor() + 1.0).relu() * rest).expm1()
    }
}

impl<'t, F: Real> IntegerSupport<'t, F> for Geometric<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value * 0.0 + 1.0
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Geometric<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let rest = match self.parameter {
            ProbabilityOrLogit::Probability(p) => (-p).log1p(),
            ProbabilityOrLogit::Logit(l) => (-l).log_sigmoid(),
        };
        // Less the rounding, so that the quantile of the distribution function's value at k is k.
        let trials = (-probability).log1p() / rest * (1.0 - 8.0 * F::EPSILON.to_f64());
        (trials.ceil() - 1.0).relu()
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Geometric<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // There are 1 / p trials on average.
        (self.parameter.entropy() / self.probabilities()).sum()
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Geometric<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for Geometric<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let p = self.parameter.probabilities(draw, &self.event_shape())?;
        check_sample("Geometric", sample, p.shape())?;
        // The primal sample is the positive part.
        let more = self.draw(&draw.purpose("more failures"))?;
        let longer = Tensor::from_fn(p.shape().clone(), |i| F::ONE + sample.as_slice()[i] + more.as_slice()[i]);
        let weights = p.map(|p| -self.parameter.rate_down(F::ONE, p));
        Ok(Some(Alternatives { values: vec![longer], weights: vec![weights] }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Geometric<Var<'t, F>> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let at_end = self.parameter.ends()?;
        let p = self.parameter.probabilities(draw, &self.event_shape())?;
        check_sample("Geometric", sample, p.shape())?;
        let weights = |share: f64, rate: &dyn Fn(F, F) -> F| {
            Tensor::from_fn(p.shape().clone(), |i| F::from_f64(share) * rate(sample.as_slice()[i], p.as_slice()[i]))
        };
        let right = |share: f64| {
            let rate = |x: F, p: F| match self.parameter {
                ProbabilityOrLogit::Logit(_) => x,
                ProbabilityOrLogit::Probability(_) if x == F::ZERO => F::ZERO,
                ProbabilityOrLogit::Probability(_) => x / (p * (F::ONE - p)),
            };
            (sample.map(|x| (x - F::ONE).max(F::ZERO)), weights(share, &rate))
        };
        let left = |share: f64| {
            let weights = Tensor::from_fn(p.shape().clone(), |i| {
                let (x, p) = (sample.as_slice()[i], p.as_slice()[i]);
                let share = if at_end(p) { F::ONE } else { F::from_f64(share) };
                -share * self.parameter.rate_down(x + F::ONE, p)
            });
            (sample.map(|x| x + F::ONE), weights)
        };
        let jumps = match side {
            Side::Right if p.as_slice().iter().any(|&p| at_end(p)) => vec![right(1.0), left(0.0)],
            Side::Right => vec![right(1.0)],
            Side::Left => vec![left(1.0)],
            Side::TwoSided => vec![right(0.5), left(0.5)],
        };
        let (values, weights) = jumps.into_iter().unzip();
        Ok(Some(Alternatives { values, weights }))
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Geometric<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // There are 1 / p trials on average.
        (self.parameter.kl_to(&other.parameter) / self.probabilities()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DistributionError;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{
        COSTS, Fixed, States, assert_close, capabilities, check_draws, check_family, check_score,
        check_stochastic_derivative, check_weak_arguments, with_gradient,
    };
    use stochgrad_tape::{Plates, Tape};
    use stochgrad_tensor::special::geometric_log_pmf;

    type Build = for<'t> fn(Var<'t, f64>) -> Geometric<Var<'t, f64>>;

    const P: f64 = 0.3;

    fn both() -> [(Build, f64); 2] {
        [(|v| Geometric::from_probabilities(v), P), (|v| Geometric::from_logits(v), (P / (1.0 - P)).ln())]
    }

    #[test]
    fn log_probabilities_are_those_of_the_formula() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let distribution = build(tape.parameter(theta));
            for k in 0..30 {
                let k = f64::from(k);
                assert_close(
                    &[distribution.log_prob(tape.constant(k)).item().unwrap()],
                    &[geometric_log_pmf(k, P)],
                    1e-13,
                );
            }
            check_score(&[theta, theta], |v| build(v).log_prob(v.tape().constant([0.0, 4.0])));
        }
    }

    #[test]
    fn stochastic_derivatives_are_exact() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(theta);
            check_stochastic_derivative(&tape, &build(theta), theta, 150, <[f64]>::to_vec);
            check_weak_arguments(&tape, &build(theta), 150);
        }
    }

    #[test]
    fn the_weak_derivative_is_exact() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(theta);
            let distribution = build(theta);
            let states = States::new(&tape, &distribution, 150);
            for f in COSTS {
                let estimated: f64 = (0..150)
                    .map(|more| {
                        let noise = Fixed(more);
                        let alternatives =
                            distribution.weak_derivative(0, &states.sample, &states.draw(&noise)).unwrap().unwrap();
                        geometric_log_pmf(more as f64, P).exp() * states.estimated(&distribution, &alternatives, f)[0]
                    })
                    .sum();
                assert_close(&[estimated], &states.exact(&distribution, theta, f), 1e-9);
            }
        }
    }

    #[test]
    fn known_derivatives_at_three_tenths() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(P);
        let distribution = Geometric::from_probabilities(theta);
        let states = States::new(&tape, &distribution, 200);
        for (f, known) in COSTS[1..].iter().zip([-77.77778, -137.03704, -2.60900]) {
            assert_close(&states.exact(&distribution, theta, *f), &[known], 1e-5);
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            check_draws(&tape, &build(tape.parameter(theta)), 150);
        }
    }

    #[test]
    fn certain_success_gives_no_nan() {
        let cases: [(Build, f64); 3] = [(both()[0].0, 1.0), (both()[1].0, f64::INFINITY), (both()[1].0, 50.0)];
        for (build, theta) in cases {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(theta);
            let distribution = build(theta);
            assert!(distribution.validate().is_ok());
            assert!(distribution.log_prob(tape.constant(1.0)).item().unwrap() <= -50.0);
            let other = Geometric::from_probabilities(tape.constant(0.25));
            for (scalar, known) in [
                (distribution.log_prob(tape.constant(0.0)), 0.0),
                (distribution.kl_to(&distribution), 0.0),
                (distribution.kl_to(&other), 4.0_f64.ln()),
            ] {
                let (value, gradient) = with_gradient(scalar, theta);
                assert_close(&[value], &[known], 1e-12);
                assert!(gradient.iter().all(|g| !g.is_nan()), "{gradient:?}");
            }
            let noise = KeyedNoise::new(9, 0);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
            let sample = distribution.draw(&draw).unwrap();
            assert_eq!(sample.to_vec(), [0.0]);
            for side in crate::testing::SIDES {
                let alternatives = distribution.stochastic_derivative(0, side, &sample, &draw).unwrap().unwrap();
                assert!(alternatives.weights.iter().all(Tensor::all_finite));
            }
        }
    }

    #[test]
    fn divergence_is_that_of_the_sum() {
        let exact: f64 = (0..400)
            .map(f64::from)
            .map(|k| geometric_log_pmf(k, P).exp() * (geometric_log_pmf(k, P) - geometric_log_pmf(k, 0.6)))
            .sum();
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let divergence =
                build(tape.parameter([theta, theta])).kl_to(&Geometric::from_probabilities(tape.constant([0.6, 0.6])));
            assert_close(&[divergence.item().unwrap()], &[2.0 * exact], 1e-12);
        }
    }

    #[test]
    fn stored_and_bound_it_is_the_same() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let distribution = build(tape.parameter(theta));
            check_family(&tape, &distribution, tape.constant(2.0));
            assert_eq!(capabilities(&distribution), [true, false, false, true, true, false, true]);
            assert_close(
                &[distribution.probabilities().item().unwrap(), distribution.logits().item().unwrap()],
                &[P, (P / (1.0 - P)).ln()],
                1e-14,
            );
        }
    }

    #[test]
    fn parameters_outside_their_domain_are_errors() {
        let tape = Tape::<f64>::new();
        for wrong in [0.0, 1.2, f64::NAN] {
            let found = Geometric::from_probabilities(tape.constant([0.5, wrong])).validate();
            assert!(
                matches!(found, Err(DistributionError::Parameter { distribution: "Geometric", position: 1, .. })),
                "{found:?}"
            );
        }
        for wrong in [f64::NEG_INFINITY, f64::NAN] {
            assert!(Geometric::from_logits(tape.constant(wrong)).validate().is_err());
        }
    }
}
