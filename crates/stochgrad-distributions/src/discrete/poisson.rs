//! The Poisson distribution: the number of events in a period in which they occur independently at a constant rate.
//!
//! $$P(X = k; \lambda) = \frac{\lambda^k e^{-\lambda}}{k!}, \quad k \in \{0, 1, \dots\}, \quad \lambda \ge 0.$$
//!
//! Parameter: the rate $\lambda \ge 0$ or its logarithm; its shape is the event shape, and each element is an
//! independent count. Support: $0, 1, \dots$
//!
//! | capability | |
//! |---|---|
//! | score | $x \ln\lambda - \lambda - \ln x!$, any order |
//! | weak derivative | $\partial_\lambda E f(X) = E[f(X + 1) - f(X)]$; by $\ln\lambda$ times $\lambda$. One replay (Mohamed et al. 2020) |
//! | stochastic derivative | right: to $X + 1$ at rate 1; left: to $X - 1$ at rate $X/\lambda$ (Arya et al. 2022) |

use crate::capabilities;
use crate::derivative::weak::drawn_by_quantile;
use crate::distribution::check_parameter;
use crate::distribution::{
    Alternatives, CumulativeDistribution, Distribution, IntegerSupport, KlDivergence, Parameter, Parameters,
    QuantileFunction, ScoreDifferentiable, Side, StochasticDerivative, Support, WeakDerivative,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::{above_zero, check_sample, finite_ln, held};
use smallvec::smallvec;
use stochgrad_tape::{Var, special};
use stochgrad_tensor::special::poisson_cdf;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Counts of independent events, given by the rate or by its logarithm.
///
/// ```
/// use stochgrad_distributions::{Distribution, Poisson};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let calls = Poisson::from_rate(tape.constant(2.0));
/// assert!((calls.log_prob(tape.constant(1.0)).item()? - (2.0 * (-2.0_f64).exp()).ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Poisson<V> {
    parameter: RateOrLog<V>,
}

#[derive(Clone, Copy, Debug)]
enum RateOrLog<V> {
    Rate(V),
    Log(V),
}

impl<V> Poisson<V> {
    /// Counts whose mean is `rate ≥ 0`.
    pub fn from_rate(rate: V) -> Self {
        Poisson { parameter: RateOrLog::Rate(rate) }
    }

    /// Counts whose mean is `exp(log_rate)`; −∞ is a rate of 0.
    pub fn from_log_rate(log_rate: V) -> Self {
        Poisson { parameter: RateOrLog::Log(log_rate) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Poisson<W>, E> {
        let parameter = match &self.parameter {
            RateOrLog::Rate(v) => RateOrLog::Rate(f(v)?),
            RateOrLog::Log(v) => RateOrLog::Log(f(v)?),
        };
        Ok(Poisson { parameter })
    }
}

family!(Poisson);

impl<'t, F: Real> Poisson<Var<'t, F>> {
    /// The rate: the mean, and the variance.
    pub fn rate(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => rate,
            RateOrLog::Log(log) => log.exp(),
        }
    }

    /// The logarithm of the rate.
    pub fn log_rate(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => rate.ln(),
            RateOrLog::Log(log) => log,
        }
    }

    fn var(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(v) | RateOrLog::Log(v) => v,
        }
    }

    fn finite_log_rate(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => finite_ln(rate),
            RateOrLog::Log(log) => held(log),
        }
    }

    fn rates(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let value = draw.parameter(self.var(), &self.event_shape())?;
        Ok(match self.parameter {
            RateOrLog::Rate(_) => value,
            RateOrLog::Log(_) => value.map(|log| log.exp()),
        })
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let rates = self.rates(draw)?;
        draw.invert(&self.event_shape(), &|element, k| poisson_cdf(k as f64, rates.as_slice()[element].to_f64()))
    }

    /// The derivative of the rate with respect to the parameter.
    fn derivative(&self, rate: F) -> F {
        match self.parameter {
            RateOrLog::Rate(_) => F::ONE,
            RateOrLog::Log(_) => rate,
        }
    }
}

impl<'t, F: Real> Distribution<'t, F> for Poisson<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Poisson"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![match self.parameter {
            RateOrLog::Rate(rate) => Parameter::smooth("rate", rate).with_hiding(&[0.0]),
            RateOrLog::Log(log_rate) => Parameter::smooth("log_rate", log_rate),
        }]
    }

    fn event_shape(&self) -> Shape {
        self.var().shape()
    }

    fn support(&self) -> Support {
        Support::Counts
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => special::poisson_log_pmf(value, rate),
            RateOrLog::Log(log) => special::poisson_log_pmf_by_log(value, log),
        }
    }

    drawn_by_quantile!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.rate())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.rate())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.rate().floor())
    }

    fn validate(&self) -> DistributionResult<()> {
        match self.parameter {
            RateOrLog::Rate(rate) => check_parameter(
                "Poisson",
                "rate",
                rate,
                "a finite number, at least 0",
                "use from_log_rate for unconstrained numbers",
                |rate| (0.0..f64::INFINITY).contains(&rate),
            ),
            RateOrLog::Log(log) => {
                let hint = "look for the operation that made it so large, or NaN";
                check_parameter("Poisson", "log_rate", log, "a number with a finite exponential", hint, |log| {
                    F::from_f64(log).exp().is_finite()
                })
            }
        }
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Poisson<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let possible = (value + 1.0).floor().step();
        let count = possible.select(value.floor(), tape.constant(0.0));
        possible.select(special::gamma_q(count + 1.0, above_zero(self.rate())), tape.constant(0.0))
    }
}

impl<'t, F: Real> IntegerSupport<'t, F> for Poisson<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value * 0.0 + 1.0
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Poisson<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        special::poisson_icdf(probability, self.rate())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Poisson<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for Poisson<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        self.stochastic_derivative(parameter, Side::Right, sample, draw)
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Poisson<Var<'t, F>> {
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
        let rates = self.rates(draw)?;
        check_sample("Poisson", sample, rates.shape())?;
        // A rate of 0 has a derivative from the right only. Where none flows through it, it counts as any other.
        let matters = match self.parameter {
            RateOrLog::Rate(rate) => rate.tape().has_derivative(rate, &|rate| rate == F::ZERO)?,
            RateOrLog::Log(_) => false,
        };
        let at_end = |rate: F| matters && rate == F::ZERO;
        let right = |share: f64| {
            let weights =
                rates.map(|rate| self.derivative(rate) * if at_end(rate) { F::ONE } else { F::from_f64(share) });
            (sample.map(|x| x + F::ONE), weights)
        };
        let left = |share: f64| {
            let weights = Tensor::from_fn(rates.shape().clone(), |i| {
                let (x, rate) = (sample.as_slice()[i], rates.as_slice()[i]);
                let flow = match self.parameter {
                    _ if x == F::ZERO => F::ZERO,
                    RateOrLog::Rate(_) => x / rate,
                    RateOrLog::Log(_) => x,
                };
                -flow * F::from_f64(share)
            });
            (sample.map(|x| (x - F::ONE).max(F::ZERO)), weights)
        };
        let jumps = match side {
            Side::Right => vec![right(1.0)],
            Side::Left if rates.as_slice().iter().any(|&rate| at_end(rate)) => vec![right(0.0), left(1.0)],
            Side::Left => vec![left(1.0)],
            Side::TwoSided => vec![right(0.5), left(0.5)],
        };
        let (values, weights) = jumps.into_iter().unzip();
        Ok(Some(Alternatives { values, weights }))
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Poisson<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let rate = self.rate();
        (rate * (self.finite_log_rate() - other.finite_log_rate()) - rate + other.rate()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DistributionError;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{
        COSTS, States, assert_close, capabilities, check_draws, check_family, check_score, check_stochastic_derivative,
        check_weak_derivative, with_gradient,
    };
    use stochgrad_tape::{PlateKind, Plates, Tape};
    use stochgrad_tensor::special::poisson_log_pmf;

    type Build = for<'t> fn(Var<'t, f64>) -> Poisson<Var<'t, f64>>;

    fn both(rate: f64) -> [(Build, f64); 2] {
        [(|v| Poisson::from_rate(v), rate), (|v| Poisson::from_log_rate(v), rate.ln())]
    }

    #[test]
    fn log_probabilities_are_those_of_the_formula() {
        for (build, theta) in both(2.5) {
            let tape = Tape::<f64>::new();
            let distribution = build(tape.parameter(theta));
            for k in 0..30 {
                let k = f64::from(k);
                assert_close(
                    &[distribution.log_prob(tape.constant(k)).item().unwrap()],
                    &[poisson_log_pmf(k, 2.5)],
                    1e-13,
                );
            }
            check_score(&[theta, theta], |v| build(v).log_prob(v.tape().constant([0.0, 4.0])));
        }
    }

    #[test]
    fn derivatives_of_the_distribution_are_exact() {
        for rate in [0.3, 2.5] {
            for (build, theta) in both(rate) {
                let tape = Tape::<f64>::new();
                let theta = tape.parameter(theta);
                check_stochastic_derivative(&tape, &build(theta), theta, 60, <[f64]>::to_vec);
                check_weak_derivative(&tape, &build(theta), theta, 60, <[f64]>::to_vec);
            }
        }
    }

    #[test]
    fn known_derivatives_at_three_tenths() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(0.3);
        let distribution = Poisson::from_rate(theta);
        let states = States::new(&tape, &distribution, 60);
        for (f, known) in COSTS[1..].iter().zip([7.0, 3.6, 0.38727]) {
            assert_close(&states.exact(&distribution, theta, *f), &[known], 1e-5);
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        for (build, theta) in both(2.5) {
            let tape = Tape::<f64>::new();
            check_draws(&tape, &build(tape.parameter(theta)), 40);
        }
    }

    #[test]
    fn large_rates_are_drawn_near_their_mean() {
        let tape = Tape::<f64>::new();
        let distribution = Poisson::from_rate(tape.constant([1e4, 1e-3]));
        let noise = KeyedNoise::new(9, 0);
        let plates = Plates::from_slice(&[tape.plate("draws", 2000, PlateKind::Samples, &[])]);
        let sample = distribution.draw(&Draw::new(&tape, &noise, NoiseKey::new("x", None), plates)).unwrap();
        let mean = |k: usize| sample.as_slice().iter().skip(k).step_by(2).sum::<f64>() / 2000.0;
        assert!((mean(0) - 1e4).abs() < 4.0 * 100.0 / 2000.0_f64.sqrt() && mean(1) < 0.01);
    }

    #[test]
    fn a_rate_of_zero_gives_no_nan() {
        for (build, theta) in both(0.0) {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(theta);
            let distribution = build(theta);
            assert!(distribution.validate().is_ok());
            assert_eq!(distribution.log_prob(tape.constant(1.0)).item().unwrap(), f64::NEG_INFINITY);
            let other = Poisson::from_rate(tape.constant(0.7));
            for (scalar, known) in [
                (distribution.log_prob(tape.constant(0.0)), 0.0),
                (distribution.kl_to(&distribution), 0.0),
                (distribution.kl_to(&other), 0.7),
            ] {
                let (value, gradient) = with_gradient(scalar, theta);
                assert_close(&[value], &[known], 1e-14);
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
    fn divergence_is_that_of_the_formula() {
        let exact = 2.5 * (2.5_f64 / 1.5).ln() - 2.5 + 1.5;
        for (build, theta) in both(2.5) {
            let tape = Tape::<f64>::new();
            for (other, log) in both(1.5) {
                let divergence = build(tape.parameter([theta, theta])).kl_to(&other(tape.constant([log, log])));
                assert_close(&[divergence.item().unwrap()], &[2.0 * exact], 1e-13);
            }
        }
    }

    #[test]
    fn stored_and_bound_it_is_the_same() {
        for (build, theta) in both(2.5) {
            let tape = Tape::<f64>::new();
            let distribution = build(tape.parameter(theta));
            check_family(&tape, &distribution, tape.constant(2.0));
            assert_eq!(capabilities(&distribution), [true, false, false, true, true, false, false]);
            assert_close(&[distribution.log_rate().item().unwrap()], &[2.5_f64.ln()], 1e-14);
        }
    }

    #[test]
    fn parameters_outside_their_domain_are_errors() {
        let tape = Tape::<f64>::new();
        for wrong in [-0.1, f64::NAN, f64::INFINITY] {
            let found = Poisson::from_rate(tape.constant([1.0, wrong])).validate();
            assert!(
                matches!(found, Err(DistributionError::Parameter { distribution: "Poisson", position: 1, .. })),
                "{found:?}"
            );
        }
        assert!(Poisson::from_log_rate(tape.constant(800.0)).validate().is_err());
        assert!(Poisson::from_log_rate(tape.constant(f64::NAN)).validate().is_err());
        let single = Tape::<f32>::new();
        assert!(Poisson::from_log_rate(single.constant(100.0)).validate().is_err());
        assert!(Poisson::from_log_rate(single.constant(80.0)).validate().is_ok());
    }
}
