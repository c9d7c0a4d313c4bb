//! The normal distribution: the usual model of real values with errors of many small causes, and the usual approximate
//! posterior.
//!
//! $$p(x; \mu, \sigma) = \frac{1}{\sigma\sqrt{2\pi}} \exp\Big(-\frac{(x - \mu)^2}{2\sigma^2}\Big), \quad \sigma > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, and `scale` $\sigma > 0$, the mean and the standard deviation. The
//! parameters broadcast; their common shape is the event shape, and each element is an independent value. Support: the
//! real line.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + \sigma\varepsilon$, any order |
//! | weak derivative with respect to $\mu$ | $1/(\sigma\sqrt{2\pi})$, $\mu \pm \sigma R$ with $R$ Rayleigh, the same $R$ in both parts |
//! | weak derivative with respect to $\sigma$ | $1/\sigma$, $\mu + \sigma M$ and the distribution itself, $\mu + \sigma U M$, with $M$ double-sided Maxwell, $U$ uniform (Mohamed et al. 2020). One replay: the sample moved away from $\mu$ |

use crate::capabilities;
use crate::declared;
use crate::derivative::weak::drawn_by_path;
use crate::distribution;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, KlDivergence, QuantileFunction,
    Reparameterized, ScoreDifferentiable, Tempered, WeakDerivative,
};
use crate::distribution::{Tail, ends, quantile_between};
use crate::distribution::{finite, positive};
use crate::error::DistributionResult;
use crate::noise::Draw;
use std::f64::consts::PI;
use stochgrad_tape::{IntoVar, Var, special};
use stochgrad_tensor::Real;

distribution! {
    /// Real values, given by location (the mean) and scale (the standard deviation).
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Normal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let normal = Normal::new(tape.constant(1.0), 2.0);
    /// let density = normal.log_prob(tape.constant(1.0)).item()?;
    /// assert!((density + (2.0 * (2.0 * std::f64::consts::PI).sqrt()).ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Normal {
        /// The location.
        location: finite,
        /// The scale.
        scale: positive,
    }
    support: Real
}

impl<'t, F: Real> Normal<Var<'t, F>> {
    /// Normal samples around `location` with standard deviation `scale > 0`.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Normal { location, scale: scale.into_var(location.tape()) }
    }

    /// Normal samples whose standard deviation is `exp(log_scale)`.
    pub fn from_log_scale(location: Var<'t, F>, log_scale: Var<'t, F>) -> Self {
        Normal { location, scale: log_scale.exp() }
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }
}

impl<'t, F: Real> Distribution<'t, F> for Normal<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let z = self.standardize(value);
        z.square() * -0.5 - self.scale.ln() - 0.5 * (2.0 * PI).ln()
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.scale.square().broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Normal<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.standardize(value), special::normal_cdf)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.standardize(value), |z| special::normal_cdf(-z))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.standardize(value), special::normal_log_cdf)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.standardize(value), |z| special::normal_log_cdf(-z))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Normal<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::NEG_INFINITY, f64::INFINITY), |p| {
            self.location + self.scale * special::normal_icdf(p)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, f64::NEG_INFINITY), |p| {
            self.location - self.scale * special::normal_icdf(p)
        })
    }
}

impl<'t, F: Real> Tempered<'t, F> for Normal<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(Normal { location: self.location, scale: self.scale * temperature.sqrt() })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Normal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Normal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_normal(self.location.tape(), &self.event_shape())?;
        Ok(self.location + self.scale * noise)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Normal<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let (tape, event) = (sample.tape(), self.event_shape());
        let [location, scale, sample] = [self.location, self.scale, sample].map(Var::stop_gradient);
        match parameter {
            0 => {
                let e = draw.purpose("rayleigh").record_exponential(tape, &event)?;
                let radius = scale * (e + e).sqrt();
                let weight = scale.recip() * (1.0 / (2.0 * PI).sqrt());
                let values = vec![location + radius, location - radius];
                Ok(Some(Alternatives { values, weights: vec![weight, -weight] }))
            }
            1 => {
                let e = draw.purpose("maxwell").record_exponential(tape, &event)?;
                let z = (sample - location) / scale;
                let out = location + scale * z.sign() * (z.square() + (e + e)).sqrt();
                Ok(Some(Alternatives { values: vec![out], weights: vec![scale.recip()] }))
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Normal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + 0.5 * (1.0 + (2.0 * PI).ln())).broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Normal<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = self.scale / other.scale;
        let shift = (self.location - other.location) / other.scale;
        // Without the cancellation of r² − 1 − ln r² where the scales are nearly equal.
        let spread = special::deviance(ratio.tape().constant(1.0), ratio.square());
        ((spread + shift.square()) * 0.5).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Family;
    use crate::distribution::{Order, SamplePath};
    use crate::error::DistributionError;
    use crate::noise::KeyedNoise;
    use crate::testing::{Build, DistributionCheck, Domain, Evaluated, assert_finite, leaves, on_samples, variance};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::{Id, IdMap, Smoothness, Tape};
    use stochgrad_tensor::special::normal_cdf;

    const BUILD: Build = |p| Box::new(Normal::new(p[0], p[1]));

    fn distribution() -> DistributionCheck {
        DistributionCheck::new(BUILD, &[0.3, 1.7], Domain::Line(-25.0, 25.0))
    }

    #[test]
    fn log_density_is_the_formula() {
        let got = distribution().log_density(&[0.3, 1.7], &[-1.0, 2.0]);
        for (got, x) in got.iter().zip([-1.0_f64, 2.0]) {
            let expected = ((-(x - 0.3).powi(2) / (2.0 * 1.7 * 1.7)).exp() / (1.7 * (2.0 * PI).sqrt())).ln();
            assert_abs_diff_eq!(*got, expected, epsilon = 1e-13);
        }
        distribution().assert_moments();
        distribution().assert_score(&[-2.0, 0.1, 3.0]);
        distribution().assert_cdf(&[-2.0, 0.1, 3.0]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        distribution().assert_draws(1, |x| normal_cdf((x - 0.3) / 1.7));
    }

    #[test]
    fn path_derivatives_are_right() {
        distribution().assert_path(2);
    }

    #[test]
    fn weak_derivatives_are_right() {
        distribution().assert_weak(0, 3);
        distribution().assert_weak(1, 4);
    }

    /// The variances of Mohamed et al. (2020), figure 2, with the parts coupled.
    #[test]
    fn weak_derivatives_have_the_variance_of_the_coupling() {
        for (k, seed) in [(-1.0, 5), (0.5, 6), (3.0, 7)] {
            let toy = DistributionCheck::new(BUILD, &[1.0, 1.0], Domain::Line(-15.0, 17.0));
            let a = 1.0 - k;
            for (parameter, expected) in [(0, a * a * (16.0 / PI - 4.0)), (1, 4.0 * a * a + 4.0)] {
                let got = variance(&toy.weak_terms(parameter, seed, |x| (x - k).powi(2)));
                assert!(
                    (got / expected - 1.0).abs() < 0.03,
                    "k = {k}, parameter {parameter}: {got}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn values_on_event_axes_are_independent_and_broadcast() {
        let tape = Tape::new();
        let normal = Normal::new(tape.parameter([[0.0], [10.0]]), tape.parameter([1.0, 2.0, 3.0]));
        let noise = KeyedNoise::new(8, 0);
        let draw = on_samples(&tape, &noise, 20_000);
        let x = normal.rsample(&draw).unwrap();
        assert_eq!((x.shape().to_vec(), normal.mean().unwrap().shape().to_vec()), (vec![2, 3], vec![2, 3]));
        let means = x.mean_over(draw.plates()[0]).peek().unwrap();
        let spread = (x.square().mean_over(draw.plates()[0]) - x.mean_over(draw.plates()[0]).square()).peek().unwrap();
        for element in 0..6 {
            let (location, scale) = ([0.0, 10.0][element / 3], [1.0, 2.0, 3.0][element % 3]);
            assert!((means.as_slice()[element] - location).abs() < 4.0 * scale / 20_000_f64.sqrt());
            assert_abs_diff_eq!(spread.as_slice()[element].sqrt() / scale, 1.0, epsilon = 0.03);
        }
        assert_eq!(normal.log_prob(x).shape().len(), 0);
        let weak = normal.weak_derivative(1, x, &draw).unwrap().unwrap();
        let weak = Evaluated::new(&normal, &draw, &weak);
        assert_eq!(weak.values[0].shape().to_vec(), vec![20_000, 2, 3]);
    }

    #[test]
    fn divergence_is_the_expected_difference() {
        let tape = Tape::new();
        let p = Normal::new(tape.constant(0.3), 1.7);
        let q = Normal::from_log_scale(tape.constant(-0.4), tape.constant(2.5_f64.ln()));
        distribution().assert_divergence(&[-0.4, 2.5], p.kl_to(&q).item().unwrap());
        assert_eq!(p.kl_to(&p).item(), Ok(0.0));
    }

    #[test]
    fn extremes_are_finite() {
        for parameters in [[0.0, 1e-8], [1e6, 1e-8], [-3.0, 1e8]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn a_stored_normal_binds_again() {
        let tape = Tape::<f64>::new();
        let normal = Normal::new(tape.parameter(0.5), tape.parameter(2.0));
        let stored = <Normal<Id> as Family<f64>>::store(&normal);
        let other = tape.parameter(3.0);
        let mut ids = IdMap::identity();
        ids.insert(normal.scale().id(), other.id());
        let bound = stored.bind(&tape, &ids).unwrap();
        assert_eq!((bound.location().id(), bound.scale().id()), (normal.location().id(), other.id()));
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        let validate = |p: [f64; 2]| Normal::new(tape.constant(p[0]), tape.constant(p[1])).validate();
        assert_eq!(validate([0.0, 1.0]), Ok(()));
        for (wrong, name) in [
            ([f64::NAN, 1.0], "location"),
            ([0.0, 0.0], "scale"),
            ([0.0, -1.0], "scale"),
            ([0.0, f64::INFINITY], "scale"),
        ] {
            assert!(
                matches!(validate(wrong), Err(DistributionError::Parameter { parameter, .. }) if parameter == name),
                "{wrong:?}"
            );
        }
        let parameters = BUILD(&leaves(&tape, &[0.0, 1.0])).parameters();
        assert!(parameters.iter().all(|p| p.score == Smoothness::Smooth && p.path == SamplePath::Recorded(Order::Any)));
    }
}
