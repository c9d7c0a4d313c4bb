//! The exponential distribution: the waiting time until an event of constant rate. It is the only continuous
//! distribution without memory.
//!
//! $$p(x; \lambda) = \lambda e^{-\lambda x}, \quad x \ge 0, \quad \lambda = 1/s > 0.$$
//!
//! Parameter: the rate $\lambda > 0$ or the scale $s = 1/\lambda > 0$, which is the mean; its shape is the event shape,
//! and each element is an independent value. Support: the nonnegative real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = sE$, any order |
//! | weak derivative with respect to $\lambda$ | $1/\lambda$, the distribution itself and $(E + E')/\lambda$ (Mohamed et al. 2020); with respect to $s$ the parts are exchanged, $1/s$. One replay: $x + sE'$ |

use crate::capabilities;
use crate::derivative::known_logarithms::logarithm_of;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, KlDivergence, Parameters, QuantileFunction,
    Reparameterized, ScoreDifferentiable, Support, Tempered, WeakDerivative,
};
use crate::distribution::{Boundary, Tail, ends, log_one_minus_exp_exp, one_minus_exp, quantile_between};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::rate_or_scale::RateOrScale;
use smallvec::smallvec;
use stochgrad_tape::{Var, special};
use stochgrad_tensor::{Real, Shape};

/// Waiting times until an event of constant rate, given by the rate or by the scale, which is the mean.
///
/// ```
/// use stochgrad_distributions::{Distribution, Exponential};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let times = Exponential::new(tape.constant(2.0));
/// assert!((times.log_prob(tape.constant(0.5)).item()? - (2.0_f64.ln() - 1.0)).abs() < 1e-12);
/// assert_eq!(times.log_prob(tape.constant(-0.5)).item()?, f64::NEG_INFINITY);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Exponential<V = stochgrad_tape::Id> {
    parameter: RateOrScale<V>,
}

impl<V> Exponential<V> {
    /// Exponential samples with a `rate > 0`, whose mean is `1 / rate`.
    pub fn new(rate: V) -> Self {
        Exponential { parameter: RateOrScale::Rate(rate) }
    }

    /// Exponential samples with mean `scale > 0`.
    pub fn from_scale(scale: V) -> Self {
        Exponential { parameter: RateOrScale::Scale(scale) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Exponential<W>, E> {
        Ok(Exponential { parameter: self.parameter.try_map(f)? })
    }
}

family!(Exponential);

impl<'t, F: Real> Exponential<Var<'t, F>> {
    /// The rate.
    pub fn rate(&self) -> Var<'t, F> {
        self.parameter.rate()
    }

    /// The scale: the reciprocal of the rate.
    pub fn scale(&self) -> Var<'t, F> {
        self.parameter.scale()
    }
}

impl<'t, F: Real> Distribution<'t, F> for Exponential<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Exponential"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.var().shape()
    }

    fn support(&self) -> Support {
        Support::Positive
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let outside = Boundary::Included.outside(value);
        let nothing = value.tape().constant(f64::NEG_INFINITY);
        outside.select(nothing, self.parameter.log_rate() - self.parameter.standardize(value))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.rsample(draw)?.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.scale())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.scale().square())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.parameter.var() * 0.0)
    }

    fn validate(&self) -> DistributionResult<()> {
        self.parameter.validate("Exponential")
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Exponential<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_half_line(self.parameter.standardize(value), one_minus_exp)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_half_line(self.parameter.standardize(value), |u| (-u).exp())
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(log) = logarithm_of(value) {
            return Tail::LogLower.on_line(log + self.parameter.log_rate(), log_one_minus_exp_exp);
        }
        Tail::LogLower.on_half_line(self.parameter.standardize(value), |u| special::log1mexp(-u))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_half_line(self.parameter.standardize(value), |u| -u)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Exponential<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, 0.0, f64::INFINITY), |p| self.parameter.stretch(-(-p).log1p()))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, 0.0), |p| self.parameter.stretch(-p.ln()))
    }
}

impl<'t, F: Real> Tempered<'t, F> for Exponential<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(Exponential::new(self.rate() * (1.0 / temperature)))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Exponential<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Exponential<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_exponential(self.parameter.var().tape(), &self.event_shape())?;
        Ok(self.parameter.stretch(noise))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Exponential<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let e = draw.purpose("second").record_exponential(sample.tape(), &self.event_shape())?;
        let longer = sample + self.parameter.stretch(e);
        Ok(Some(Alternatives { values: vec![longer], weights: vec![self.parameter.log_scale_slope()] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Exponential<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (1.0 - self.parameter.log_rate()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Exponential<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = self.parameter.rate_ratio(&other.parameter);
        special::deviance(ratio.tape().constant(1.0), ratio).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Family;
    use crate::error::DistributionError;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::{Id, IdMap, Smoothness, Tape};

    const BY_RATE: Build = |p| Box::new(Exponential::new(p[0]));
    const BY_SCALE: Build = |p| Box::new(Exponential::from_scale(p[0]));

    fn distributions() -> [DistributionCheck; 2] {
        [
            DistributionCheck::new(BY_RATE, &[0.8], Domain::HalfLine),
            DistributionCheck::new(BY_SCALE, &[1.6], Domain::HalfLine),
        ]
    }

    #[test]
    fn log_density_is_the_formula() {
        for (distribution, rate) in distributions().iter().zip([0.8_f64, 1.0 / 1.6]) {
            let got = distribution.log_density(&distribution.parameters, &[0.0, 0.3, 4.0, f64::NAN]);
            for (got, x) in got.iter().zip([0.0, 0.3, 4.0]) {
                assert_abs_diff_eq!(*got, (rate * (-rate * x).exp()).ln(), epsilon = 1e-13);
            }
            assert!(got[3].is_nan());
            distribution.assert_moments();
            distribution.assert_cdf(&[0.01, 0.3, 4.0]);
            distribution.assert_score(&[0.01, 0.3, 4.0]);
            assert_nothing_at(distribution.build, &distribution.parameters, -0.1);
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        for (distribution, rate) in distributions().iter().zip([0.8, 1.0 / 1.6]) {
            distribution.assert_draws(31, |x| -(-rate * x).exp_m1());
        }
    }

    #[test]
    fn path_derivatives_are_right() {
        distributions().iter().for_each(|distribution| distribution.assert_path(32));
    }

    #[test]
    fn weak_derivatives_are_right() {
        distributions().iter().for_each(|distribution| distribution.assert_weak(0, 33));
    }

    #[test]
    fn divergence_is_the_expected_difference() {
        let tape = Tape::new();
        let [by_rate, by_scale] = distributions();
        let p = Exponential::new(tape.constant(0.8));
        let q = Exponential::from_scale(tape.constant(1.6));
        by_rate.assert_divergence(&[1.0 / 1.6], p.kl_to(&q).item().unwrap());
        by_scale.assert_divergence(&[1.0 / 0.8], q.kl_to(&p).item().unwrap());
        assert_eq!(p.kl_to(&p).item(), Ok(0.0));
    }

    #[test]
    fn extremes_are_finite() {
        for build in [BY_RATE, BY_SCALE] {
            for parameter in [1e-8, 1e8] {
                assert_finite(build, &[parameter], 34);
            }
        }
    }

    #[test]
    fn the_log_density_of_own_samples_has_no_jump() {
        let tape = Tape::<f64>::new();
        let sample = tape.sample(tape.new_site(), tape.parameter([0.5, 2.0]), &[]);
        let inside = Exponential::new(tape.parameter(1.0)).log_prob_each(sample);
        let mask = inside.inputs()[0];
        assert_eq!(tape.smoothness(mask, 0), Smoothness::Constant);
    }

    #[test]
    fn a_stored_exponential_binds_again() {
        let tape = Tape::<f64>::new();
        let exponential = Exponential::from_scale(tape.parameter(0.5));
        let bound = <Exponential<Id> as Family<f64>>::store(&exponential).bind(&tape, &IdMap::identity()).unwrap();
        assert_eq!(bound.scale().id(), exponential.scale().id());
        assert_eq!(bound.parameters()[0].name, "scale");
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let check = |distribution: Exponential<_>, name| {
                assert!(
                    matches!(distribution.validate(), Err(DistributionError::Parameter { parameter, .. }) if parameter == name)
                )
            };
            check(Exponential::new(tape.constant(wrong)), "rate");
            check(Exponential::from_scale(tape.constant(wrong)), "scale");
        }
        assert_eq!(Exponential::new(tape.constant(2.0)).validate(), Ok(()));
    }
}
