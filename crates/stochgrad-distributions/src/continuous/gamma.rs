//! The gamma distribution.
//!
//! $$p(x; a, \lambda) = \frac{\lambda^a}{\Gamma(a)} x^{a - 1} e^{-\lambda x}, \quad x > 0, \quad a > 0, \quad \lambda = 1/s > 0.$$
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = sz$, $z$ standard with concentration $a$; any order by $\lambda$ and $s$, order 1 by $a$, where $dz/da = -\partial_a P(a, z)/p(z; a, 1)$ (Figurnov et al. 2018) |
//! | weakly reparameterised | by the proposal of rejection sampling, or the standardised logarithm (Naesseth et al. 2017; Ruiz et al. 2016) |
//! | weak derivative with respect to $\lambda$ | $a/\lambda$, the distribution itself and $x + E/\lambda$; by $s$ the parts exchanged, $a/s$ (Mohamed et al. 2020). One replay: $x + sE$ |
//!
//! By the concentration the parts of the weak derivative lie on either side of $e^{\psi(a)}$, where the score changes
//! its sign; their numbers are roots of $\partial_a P(a, x) = -cv$ with a uniform $v$ in both parts, a few microseconds
//! each.

use crate::capabilities;
use crate::derivative::gamma_variates::{concentration_parts, log_standard_gamma};
use crate::derivative::underflow::refusing;
use crate::derivative::weak_gamma::weak_log_gammas;
use crate::distribution::Boundary;
use crate::distribution::positive;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, KlDivergence, Parameter, Parameters,
    QuantileFunction, Reparameterized, ScoreDifferentiable, Support, WeakDerivative, WeaklyReparameterized,
};
use crate::distribution::{Order, SamplePath, WeakNoise, WeakPath};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::rate_or_scale::RateOrScale;
use smallvec::smallvec;
use stochgrad_tape::{IntoVar, Var, special};
use stochgrad_tensor::special::gamma_sample_derivative;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Positive numbers, by concentration (the shape) and rate or scale.
///
/// Samples that would be smaller than the smallest positive normal number, as most are where the concentration is far
/// below one thousandth, are that number: the logarithm of a sample is always finite.
///
/// ```
/// use stochgrad_distributions::{Distribution, Gamma};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let gamma = Gamma::new(tape.constant(3.0), 2.0);
/// let density = gamma.log_prob(tape.constant(1.0)).item()?;
/// assert!((density - (4.0_f64.ln() - 2.0)).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gamma<V> {
    concentration: V,
    width: RateOrScale<V>,
}

impl<V> Gamma<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Gamma<W>, E> {
        Ok(Gamma { concentration: f(&self.concentration)?, width: self.width.try_map(f)? })
    }
}

family!(Gamma);

impl<'t, F: Real> Gamma<Var<'t, F>> {
    /// Gamma numbers with `concentration > 0` and `rate > 0`, whose mean is `concentration / rate`.
    pub fn new(concentration: Var<'t, F>, rate: impl IntoVar<'t, F>) -> Self {
        Gamma { concentration, width: RateOrScale::Rate(rate.into_var(concentration.tape())) }
    }

    /// Gamma numbers with `concentration > 0` and `scale > 0`, whose mean is `concentration · scale`.
    pub fn from_scale(concentration: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Gamma { concentration, width: RateOrScale::Scale(scale.into_var(concentration.tape())) }
    }

    /// The concentration.
    pub fn concentration(&self) -> Var<'t, F> {
        self.concentration
    }

    /// The rate.
    pub fn rate(&self) -> Var<'t, F> {
        self.width.rate()
    }

    /// The scale: one over the rate.
    pub fn scale(&self) -> Var<'t, F> {
        self.width.scale()
    }

    /// Concentrations on the plates of the request, and numbers with those concentrations and scale 1.
    fn standard(&self, draw: &Draw<'_, F>) -> DistributionResult<(Tensor<F>, Tensor<F>)> {
        let event = self.event_shape();
        let concentration = draw.parameter(self.concentration, &event)?;
        let scale = self.width.scales(draw, &event)?;
        let z = draw.generate(&event, |i, rng| {
            let z = log_standard_gamma(concentration.as_slice()[i].to_f64(), rng).exp();
            let smallest = smallest_standard::<F>(scale.as_slice()[i]);
            F::from_f64(if z < smallest { smallest } else { z })
        })?;
        Ok((concentration, z))
    }
}

/// What stands for smaller gamma numbers with scale 1: twice the smallest positive number, so that rounding in the
/// product with the scale does not get below it.
fn smallest_standard<F: Real>(scale: F) -> f64 {
    2.0 * F::MIN_POSITIVE.to_f64() * (1.0 / scale.to_f64()).max(1.0)
}

impl<'t, F: Real> Distribution<'t, F> for Gamma<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Gamma"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("concentration", self.concentration).with_path(SamplePath::Implicit(Order::Finite(1))),
            self.width.parameter()
        ]
    }

    fn event_shape(&self) -> Shape {
        Shape::broadcast(&self.concentration.shape(), &self.width.var().shape()).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Positive
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let outside = Boundary::Excluded.outside(value);
        // The logarithm must be of something positive even where it is not used: its derivatives are multiplied by
        // zero.
        let inside = outside.select(tape.constant(1.0), value);
        let standard = self.width.standardize(inside);
        let density = special::log_gamma_kernel(self.concentration, standard) - inside.ln();
        outside.select(tape.constant(f64::NEG_INFINITY), density)
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let (_, z) = self.standard(draw)?;
        let parameter = draw.parameter(self.width.var(), &self.event_shape())?;
        // Divided, not multiplied by the inverse: to the bit what `rsample` gives.
        Ok(Tensor::from_fn(z.shape().clone(), |i| match self.width {
            RateOrScale::Rate(_) => z.as_slice()[i] / parameter.as_slice()[i],
            RateOrScale::Scale(_) => z.as_slice()[i] * parameter.as_slice()[i],
        }))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.width.stretch(self.concentration))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.width.stretch(self.width.stretch(self.concentration)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // At concentrations below 1 the density has a pole at 0.
        Some(self.width.stretch((self.concentration - 1.0).relu()))
    }

    fn validate(&self) -> DistributionResult<()> {
        positive("Gamma", "concentration", self.concentration)?;
        self.width.validate("Gamma")
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Gamma<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        special::gamma_p(self.concentration, self.width.standardize(value.relu()))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Gamma<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.width.stretch(special::gamma_p_inverse(self.concentration, probability))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Gamma<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Gamma<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (concentration, z) = self.standard(draw)?;
        self.path(draw, &concentration, z)
    }
}

impl<'t, F: Real> WeaklyReparameterized<'t, F> for Gamma<Var<'t, F>> {
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>> {
        let path = weak_log_gammas(self.concentration, draw, &self.event_shape(), noise)?;
        let standard = path.value.exp();
        let smallest = 2.0 * F::MIN_POSITIVE.to_f64();
        let below = standard.inspect()?.map(|z| F::from_usize(usize::from(z.to_f64() < smallest)));
        let standard = standard.clamp(smallest, f64::INFINITY);
        let standard = if below.as_slice().contains(&F::ONE) { refusing("Gamma", standard, below) } else { standard };
        Ok(WeakPath { value: self.width.stretch(standard), ..path })
    }
}

impl<'t, F: Real> Gamma<Var<'t, F>> {
    /// The sample that is `z` in units of the scale, with its derivatives.
    fn path(&self, draw: &Draw<'_, F>, concentration: &Tensor<F>, z: Tensor<F>) -> DistributionResult<Var<'t, F>> {
        let derivative = Tensor::from_fn(z.shape().clone(), |i| {
            F::from_f64(gamma_sample_derivative(concentration.as_slice()[i].to_f64(), z.as_slice()[i].to_f64()))
        });
        let tape = self.concentration.tape();
        let moving = draw.record(tape, derivative) * self.concentration;
        let scale = self.width.scales(draw, &self.event_shape())?;
        let below = Tensor::from_fn(z.shape().clone(), |i| {
            F::from_usize(usize::from(z.as_slice()[i] <= F::from_f64(smallest_standard::<F>(scale.as_slice()[i]))))
        });
        let any = below.as_slice().contains(&F::ONE);
        let standard =
            draw.record(tape, z).straight_through(if any { refusing("Gamma", moving, below) } else { moving });
        Ok(self.width.stretch(standard))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Gamma<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        let event = self.event_shape();
        let (concentration, scale) = (draw.parameter(self.concentration, &event)?, self.width.scales(draw, &event)?);
        match parameter {
            0 => {
                return concentration_parts(&concentration, draw, &event, |i, z| z * scale.as_slice()[i].to_f64())
                    .map(Some);
            }
            1 => {}
            _ => return Ok(None),
        }
        let e = draw.purpose("more").exponential(&event)?;
        let more =
            Tensor::from_fn(sample.shape().clone(), |i| sample.as_slice()[i] + scale.as_slice()[i] * e.as_slice()[i]);
        let weights = Tensor::from_fn(scale.shape().clone(), |i| {
            concentration.as_slice()[i] * self.width.log_scale_derivative(scale.as_slice()[i])
        });
        Ok(Some(Alternatives { values: vec![more], weights: vec![weights] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Gamma<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let a = self.concentration;
        // a + ln Γ(a) + (1 − a) ψ(a), where the large terms have been taken together.
        let rest = (1.0 - a) * special::digamma_minus_log(a) - special::log_gamma_kernel(a, a);
        (a.ln() - self.width.log_rate() + rest).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Gamma<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (a, b) = (self.concentration, other.concentration);
        let log_ratio = other.width.log_rate() - self.width.log_rate();
        ((a - b) * a.digamma() - a.lgamma() + b.lgamma() - b * log_ratio + a * log_ratio.expm1()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Family;
    use crate::error::DistributionError;
    use crate::noise::{KeyedNoise, NoiseKey, NoiseSource};
    use crate::testing::distribution_checks::{
        Build, DistributionCheck, Domain, assert_finite, assert_nothing_at, on_samples,
    };
    use stochgrad_tape::NoiseLayout;
    use stochgrad_tape::{Id, IdMap, Plates, Smoothness, Tape};
    use stochgrad_tensor::special::{gamma_p, lgamma};

    const BY_RATE: Build = |p| Box::new(Gamma::new(p[0], p[1]));
    const BY_SCALE: Build = |p| Box::new(Gamma::from_scale(p[0], p[1]));

    fn distributions() -> [DistributionCheck; 2] {
        [
            DistributionCheck::new(BY_RATE, &[2.3, 1.4], Domain::HalfLine),
            DistributionCheck::new(BY_SCALE, &[0.6, 1.2], Domain::HalfLine),
        ]
    }

    #[test]
    fn log_density_is_the_formula() {
        for (distribution, (a, rate)) in distributions().iter().zip([(2.3_f64, 1.4_f64), (0.6, 1.0 / 1.2)]) {
            let got = distribution.log_density(&distribution.parameters, &[1e-3, 0.3, 4.0, f64::NAN]);
            for (got, x) in got.iter().zip([1e-3_f64, 0.3, 4.0]) {
                assert!((got - (a * rate.ln() + (a - 1.0) * x.ln() - rate * x - lgamma(a))).abs() < 1e-12);
            }
            assert!(got[3].is_nan());
            distribution.assert_moments();
            distribution.assert_cdf(&[0.01, 0.3, 4.0]);
            distribution.assert_score(&[0.01, 0.3, 4.0]);
        }
    }

    #[test]
    fn there_is_nothing_at_zero_and_below() {
        for a in [0.5, 1.0, 3.0] {
            assert_nothing_at(BY_RATE, &[a, 1.0], -1.0);
            assert_nothing_at(BY_RATE, &[a, 1.0], 0.0);
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        distributions()[0].assert_draws(41, |x| gamma_p(2.3, 1.4 * x));
        distributions()[1].assert_draws(42, |x| gamma_p(0.6, x / 1.2));
        DistributionCheck::new(BY_RATE, &[1.0, 1.0], Domain::HalfLine).assert_draws(43, |x| gamma_p(1.0, x));
        DistributionCheck::new(BY_RATE, &[0.05, 1.0], Domain::HalfLine).assert_draws(44, |x| gamma_p(0.05, x));
        DistributionCheck::new(BY_SCALE, &[1e6, 2.0], Domain::HalfLine).assert_draws(45, |x| gamma_p(1e6, x / 2.0));
    }

    #[test]
    fn path_derivatives_are_right() {
        for (distribution, seed) in distributions().iter().zip([46, 47]) {
            distribution.assert_path(seed);
        }
    }

    #[test]
    fn weak_derivatives_by_rate_and_scale_are_right() {
        for (distribution, seed) in distributions().iter().zip([48, 49]) {
            distribution.assert_weak(0, seed + 7);
            distribution.assert_weak(1, seed);
        }
        let tape = Tape::new();
        let gamma = Gamma::new(tape.parameter(2.0), 1.0);
        let noise = KeyedNoise::new(0, 0);
        let draw = on_samples(&tape, &noise, 2);
        let x = gamma.draw(&draw).unwrap();
        assert!(gamma.weak_derivative(2, &x, &draw).unwrap().is_none());
    }

    #[test]
    fn the_path_has_the_implicit_derivative() {
        let golden = [
            (0.1, 1e-4, 0.0087874669007225),
            (1.0, 1.0, 1.17356302722473),
            (2.0, 1.5, 0.936639067877217),
            (100.0, 95.0, 0.976198311218707),
        ];
        for (a, z, expected) in golden {
            for stretch in [1.0 / 3.0, 3.0] {
                let tape = Tape::<f64>::new();
                let (concentration, width) = (tape.parameter(a), tape.parameter(3.0));
                let gamma = if stretch < 1.0 {
                    Gamma::new(concentration, width)
                } else {
                    Gamma::from_scale(concentration, width)
                };
                let noise = KeyedNoise::new(0, 0);
                let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
                let x = gamma.path(&draw, &Tensor::scalar(a), Tensor::scalar(z)).unwrap();
                assert!((x.item().unwrap() / (z * stretch) - 1.0).abs() < 1e-14);
                let [by_concentration, by_width] =
                    tape.backward(x, [gamma.concentration(), gamma.width.var()]).unwrap();
                assert!(
                    (by_concentration.item().unwrap() / (expected * stretch) - 1.0).abs() < 1e-13,
                    "a = {a}, z = {z}"
                );
                let of_width = if stretch > 1.0 { z } else { -z / 9.0 };
                assert!((by_width.item().unwrap() / of_width - 1.0).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn only_the_first_derivative_by_the_concentration_is_promised() {
        let tape = Tape::<f64>::new();
        let parameters = Gamma::new(tape.parameter(1.0), 1.0).parameters();
        assert_eq!(
            (parameters[0].score, parameters[0].path),
            (Smoothness::Smooth, SamplePath::Implicit(Order::Finite(1)))
        );
        assert_eq!((parameters[1].score, parameters[1].path), (Smoothness::Smooth, SamplePath::Recorded(Order::Any)));
    }

    #[test]
    fn divergence_is_the_expected_difference() {
        let tape = Tape::new();
        let [by_rate, by_scale] = distributions();
        let p = Gamma::new(tape.constant(2.3), 1.4);
        let q = Gamma::from_scale(tape.constant(0.6), 1.2);
        by_rate.assert_divergence(&[0.6, 1.0 / 1.2], p.kl_to(&q).item().unwrap());
        by_scale.assert_divergence(&[2.3, 1.0 / 1.4], q.kl_to(&p).item().unwrap());
        assert!(p.kl_to(&p).item().unwrap().abs() < 1e-14);
    }

    #[test]
    fn extremes_are_finite() {
        for build in [BY_RATE, BY_SCALE] {
            for a in [1e-3, 1.0, 1e6] {
                for width in [1e-8, 1.0, 1e8] {
                    assert_finite(build, &[a, width], 51);
                }
            }
        }
    }

    /// Half of the samples at a thousandth are below the smallest number: the others must follow the distribution.
    #[test]
    fn tiny_concentrations_underflow_no_earlier_than_the_numbers_do() {
        let tape = Tape::new();
        let gamma = Gamma::new(tape.constant(1e-3), 1.0);
        let noise = KeyedNoise::new(52, 0);
        let draw = on_samples(&tape, &noise, 40_000);
        let x = gamma.draw(&draw).unwrap();
        for bound in [1e-300_f64, 1e-100, 1e-10, 0.1] {
            let below = x.as_slice().iter().filter(|&&x| x < bound).count() as f64 / 40_000.0;
            assert!((below - gamma_p(1e-3, bound)).abs() < 0.01, "{bound}: {below}");
        }
    }

    #[test]
    fn single_precision_samples_are_positive_and_finite() {
        let tape = Tape::<f32>::new();
        let plate = tape.plate("samples", 2000, stochgrad_tape::PlateKind::Samples, &[]);
        let noise = KeyedNoise::new(53, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        for (a, scale) in [(1e-3_f64, 1.0_f64), (1e-3, 1e-8), (1e-3, 1e8), (1e6, 1e-8), (1e6, 1e8)] {
            let gamma = Gamma::from_scale(tape.parameter(a), tape.parameter(scale));
            let x = gamma.rsample(&draw).unwrap();
            assert!(x.peek().unwrap().as_slice().iter().all(|&x| x > 0.0 && x.is_finite()), "a = {a}, scale = {scale}");
            // Where samples underflow, the density at them has a derivative that they have lost.
            let density = gamma.log_prob(if a < 0.1 { x.stop_gradient() } else { x });
            let total = (x * (1.0 / scale) + density).mean_over(plate);
            for gradient in tape.backward(total, [gamma.concentration(), gamma.scale()]).unwrap() {
                assert!(gradient.all_finite(), "a = {a}, scale = {scale}: {gradient:?}");
            }
        }
    }

    #[test]
    fn a_bad_concentration_ends_the_sampler() {
        let generator = |index| {
            <KeyedNoise as NoiseSource<f64>>::generator(&KeyedNoise::new(0, 0), NoiseKey::new("x", None), index)
                .unwrap()
        };
        for (index, bad) in [0.0, -1.0, f64::NAN, f64::INFINITY].into_iter().enumerate() {
            let index = NoiseLayout::flat(4).index(index);
            assert!(log_standard_gamma(bad, &mut generator(index)).is_nan());
        }
    }

    #[test]
    fn a_stored_gamma_binds_again() {
        let tape = Tape::<f64>::new();
        let gamma = Gamma::new(tape.parameter(0.5), tape.parameter(2.0));
        let bound = <Gamma<Id> as Family<f64>>::store(&gamma).bind(&tape, &IdMap::identity()).unwrap();
        assert_eq!((bound.concentration().id(), bound.rate().id()), (gamma.concentration().id(), gamma.rate().id()));
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        let check = |distribution: Gamma<_>, name| {
            assert!(
                matches!(distribution.validate(), Err(DistributionError::Parameter { parameter, .. }) if parameter == name)
            )
        };
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            check(Gamma::new(tape.constant(wrong), 1.0), "concentration");
            check(Gamma::new(tape.constant(1.0), wrong), "rate");
            check(Gamma::from_scale(tape.constant(1.0), wrong), "scale");
        }
        assert_eq!(Gamma::new(tape.constant(2.0), 1.0).validate(), Ok(()));
    }
}
