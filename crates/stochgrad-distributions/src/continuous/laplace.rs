//! The Laplace distribution: the density falls exponentially on both sides of its location. It is the likelihood of
//! absolute errors, and a prior that favours sparse values.
//!
//! $$p(x; \mu, b) = \frac{1}{2b} \exp\Big(-\frac{|x - \mu|}{b}\Big), \quad b > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, and `scale` $b > 0$, the mean distance from the location. The
//! parameters broadcast; their common shape is the event shape, and each element is an independent value. Support: the
//! real line.
//!
//! | capability | |
//! |---|---|
//! | score | order 1 in $\mu$, where the log-density has a kink; any order in $b$ |
//! | reparameterised | $x = \mu + b\varepsilon$ with $\varepsilon$ by inversion of a uniform, any order |
//! | weak derivative with respect to $\mu$ | $1/(2b)$, $\mu \pm bE$ with $E$ exponential, the same $E$ in both parts. One replay: the sample mirrored at $\mu$ |
//! | weak derivative with respect to $b$ | $1/b$, $\mu + bS(E + E')$ and the distribution itself, $S$ a random sign. One replay: the sample moved away from $\mu$ by $bE'$ |

use crate::capabilities;
use crate::derivative::weak::drawn_by_path;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, KlDivergence, Parameter, Parameters,
    QuantileFunction, Reparameterized, ScoreDifferentiable, Support, Tempered, WeakDerivative,
};
use crate::distribution::{Tail, above, ends, quantile_between};
use crate::distribution::{finite, positive};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use smallvec::smallvec;
use std::f64::consts::LN_2;
use stochgrad_tape::{IntoVar, Smoothness, Var, special};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape};

/// Real values with an exponential tail on both sides, given by location and scale (the mean distance from the
/// location).
///
/// ```
/// use stochgrad_distributions::{Distribution, Laplace};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let laplace = Laplace::new(tape.constant(1.0), 0.5);
/// let density = laplace.log_prob(tape.constant(2.0)).item()?;
/// assert!((density - (-2.0)).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Laplace<V = stochgrad_tape::Id> {
    location: V,
    scale: V,
}

impl<V> Laplace<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Laplace<W>, E> {
        Ok(Laplace { location: f(&self.location)?, scale: f(&self.scale)? })
    }
}

family!(Laplace);

impl<'t, F: Real> Laplace<Var<'t, F>> {
    /// Laplace samples around `location` with `scale > 0`, whose standard deviation is `√2 · scale`.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Laplace { location, scale: scale.into_var(location.tape()) }
    }

    /// The location: mean, median and mode.
    pub fn location(&self) -> Var<'t, F> {
        self.location
    }

    /// The scale.
    pub fn scale(&self) -> Var<'t, F> {
        self.scale
    }
}

impl<'t, F: Real> Laplace<Var<'t, F>> {
    /// A function of probability from its form below the location, of z = (x − μ)/b, and its form above it, of −z.
    fn tail(
        &self,
        tail: Tail,
        value: Var<'t, F>,
        lower: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
        upper: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        tail.on_line((value - self.location) / self.scale, |z| {
            let (beyond, zero) = (above(z, 0.0), z.tape().constant(0.0));
            beyond.select(upper(beyond.select(-z, zero)), lower(beyond.select(zero, z)))
        })
    }
}

/// The quantile of the distribution around 0 with scale 1, computed from the nearer end.
fn standard_quantile<F: Real>(p: Var<'_, F>) -> Var<'_, F> {
    let upper = above(p, 0.5);
    let log = (upper.select(1.0 - p, p) * 2.0).ln();
    upper.select(-log, log)
}

impl<'t, F: Real> Distribution<'t, F> for Laplace<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Laplace"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("location", self.location).with_score(Smoothness::Kinked),
            Parameter::smooth("scale", self.scale)
        ]
    }

    fn event_shape(&self) -> Shape {
        Shape::broadcast(&self.location.shape(), &self.scale.shape()).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Real
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        -((value - self.location) / self.scale).abs() - (self.scale.ln() + LN_2)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.scale.square() * 2.0).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("Laplace", "location", self.location)?;
        positive("Laplace", "scale", self.scale)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Laplace<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value, |z| z.exp() * 0.5, |z| 1.0 - z.exp() * 0.5)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value, |z| 1.0 - z.exp() * 0.5, |z| z.exp() * 0.5)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogLower, value, |z| z - LN_2, |z| (z.exp() * -0.5).log1p())
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogUpper, value, |z| (z.exp() * -0.5).log1p(), |z| z - LN_2)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Laplace<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::NEG_INFINITY, f64::INFINITY), |p| {
            self.location + self.scale * standard_quantile(p)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, f64::NEG_INFINITY), |p| {
            self.location - self.scale * standard_quantile(p)
        })
    }
}

impl<'t, F: Real> Tempered<'t, F> for Laplace<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(Laplace { location: self.location, scale: self.scale * temperature })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Laplace<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Laplace<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let u = draw.record_noise(self.location.tape(), Fill::Folded, &self.event_shape())?;
        let noise = (u.abs() * 2.0).ln() * u.sign();
        Ok(self.location + self.scale * noise)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Laplace<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let [location, scale, x] = [self.location, self.scale, sample].map(Var::stop_gradient);
        let away = x - location;
        let (value, weight) = match parameter {
            // The distance of the sample is bE: the sample is one of the two parts, its mirror image the other.
            0 => (location - away, -away.sign() / (scale + scale)),
            // S(E + E') times a uniform sample is a Laplace sample; given that, the part that was cut off is
            // exponential.
            1 => {
                let e = draw.purpose("scale").record_exponential(x.tape(), &self.event_shape())?;
                (x + away.sign() * scale * e, scale.recip())
            }
            _ => return Ok(None),
        };
        Ok(Some(Alternatives { values: vec![value], weights: vec![weight] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Laplace<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + (1.0 + LN_2)).broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Laplace<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = self.scale / other.scale;
        let distance = (self.location - other.location).abs();
        // ρ (e^(−z) − 1 + z) + ρ − 1 − ln ρ, both parts without cancellation.
        let (tape, z) = (ratio.tape(), distance / self.scale);
        let shift = special::deviance_by_log(tape.constant(0.0), -z);
        (ratio * shift + special::deviance(tape.constant(1.0), ratio)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Family;
    use crate::distribution::{Order, SamplePath};
    use crate::error::DistributionError;
    use crate::noise::KeyedNoise;
    use crate::testing::{Build, DistributionCheck, Domain, Evaluated, assert_finite, on_samples};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::{Id, IdMap, Tape};

    const BUILD: Build = |p| Box::new(Laplace::new(p[0], p[1]));

    fn distribution() -> DistributionCheck {
        DistributionCheck::new(BUILD, &[0.4, 0.8], Domain::Line(-30.0, 30.0))
    }

    #[test]
    fn log_density_is_the_formula() {
        let got = distribution().log_density(&[0.4, 0.8], &[-1.0, 2.0]);
        for (got, x) in got.iter().zip([-1.0_f64, 2.0]) {
            assert_abs_diff_eq!(*got, ((-(x - 0.4).abs() / 0.8).exp() / 1.6).ln(), epsilon = 1e-13);
        }
        distribution().assert_moments();
        distribution().assert_cdf(&[-2.0, 0.1, 3.0]);
        distribution().assert_score(&[-2.0, 0.1, 3.0]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        distribution().assert_draws(11, |x| {
            if x < 0.4 { 0.5 * ((x - 0.4) / 0.8).exp() } else { 1.0 - 0.5 * (-(x - 0.4) / 0.8).exp() }
        });
    }

    #[test]
    fn path_derivatives_are_right() {
        distribution().assert_path(12);
    }

    #[test]
    fn weak_derivatives_are_right() {
        distribution().assert_weak(0, 13);
        distribution().assert_weak(1, 14);
    }

    /// The parts are those of two independent exponential samples and one uniform sample, as in the table above.
    #[test]
    fn the_alternative_by_scale_follows_the_positive_part() {
        let tape = Tape::new();
        let laplace = Laplace::new(tape.constant(0.0), 1.0);
        let noise = KeyedNoise::new(15, 0);
        let draw = on_samples(&tape, &noise, 50_000);
        let x = laplace.draw(&draw).unwrap();
        let weak = laplace.weak_derivative(1, draw.record(&tape, x.clone()), &draw).unwrap().unwrap();
        let weak = Evaluated::new(&laplace, &draw, &weak);
        // E|S(E + E')| = 2, E(E + E')² = 6.
        let moment = |power: i32| weak.values[0].as_slice().iter().map(|y| y.abs().powi(power)).sum::<f64>() / 50_000.0;
        assert!((moment(1) - 2.0).abs() < 0.03 && (moment(2) - 6.0).abs() < 0.2, "{} {}", moment(1), moment(2));
        let ratio = x.as_slice().iter().zip(weak.values[0].as_slice()).map(|(x, y)| x / y);
        assert!(
            (ratio.clone().sum::<f64>() / 50_000.0 - 0.5).abs() < 0.01
                && ratio.clone().all(|u| (0.0..=1.0).contains(&u))
        );
    }

    #[test]
    fn the_score_has_a_kink_in_the_location_only() {
        let tape = Tape::<f64>::new();
        let parameters = Laplace::new(tape.parameter(0.0), 1.0).parameters();
        assert_eq!((parameters[0].score, parameters[0].path), (Smoothness::Kinked, SamplePath::Recorded(Order::Any)));
        assert_eq!((parameters[1].score, parameters[1].path), (Smoothness::Smooth, SamplePath::Recorded(Order::Any)));
    }

    #[test]
    fn divergence_is_the_expected_difference() {
        let tape = Tape::new();
        let p = Laplace::new(tape.constant(0.4), 0.8);
        let q = Laplace::new(tape.constant(-0.5), 1.9);
        distribution().assert_divergence(&[-0.5, 1.9], p.kl_to(&q).item().unwrap());
        assert_eq!(p.kl_to(&p).item(), Ok(0.0));
    }

    #[test]
    fn extremes_are_finite() {
        for parameters in [[0.0, 1e-8], [1e6, 1e-8], [-3.0, 1e8]] {
            assert_finite(BUILD, &parameters, 16);
        }
    }

    #[test]
    fn single_precision_draws_are_finite_and_rise_with_the_noise() {
        let tape = Tape::<f32>::new();
        let noise = KeyedNoise::new(17, 0);
        let plate = tape.plate("samples", 100_000, stochgrad_tape::PlateKind::Samples, &[]);
        let draw = Draw::new(&tape, &noise, crate::NoiseKey::new("x", None), [plate].into_iter().collect());
        let x = Laplace::new(tape.constant(0.0), 1.0).draw(&draw).unwrap();
        assert!(x.all_finite());
        let folded = draw.noise(Fill::Folded, &Shape::scalar()).unwrap();
        let u = folded.as_slice().iter().map(|&t| if t > 0.0 { f64::from(t) } else { 1.0 + f64::from(t) });
        let mut pairs: Vec<(f64, f32)> = u.zip(x.as_slice().iter().copied()).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(pairs.windows(2).all(|two| two[0].1 <= two[1].1));
    }

    #[test]
    fn a_stored_laplace_binds_again() {
        let tape = Tape::<f64>::new();
        let laplace = Laplace::new(tape.parameter(0.5), tape.parameter(2.0));
        let bound = <Laplace<Id> as Family<f64>>::store(&laplace).bind(&tape, &IdMap::identity()).unwrap();
        assert_eq!((bound.location().id(), bound.scale().id()), (laplace.location().id(), laplace.scale().id()));
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        let validate = |p: [f64; 2]| Laplace::new(tape.constant(p[0]), tape.constant(p[1])).validate();
        assert_eq!(validate([0.0, 1.0]), Ok(()));
        for (wrong, name) in [([f64::INFINITY, 1.0], "location"), ([0.0, 0.0], "scale"), ([0.0, f64::NAN], "scale")] {
            assert!(
                matches!(validate(wrong), Err(DistributionError::Parameter { parameter, .. }) if parameter == name),
                "{wrong:?}"
            );
        }
    }
}
