//! The gamma distribution.
//!
//! $$p(x; a, \lambda) = \frac{\lambda^a}{\Gamma(a)} x^{a - 1} e^{-\lambda x}, \quad x > 0, \quad a > 0, \quad \lambda = 1/s > 0.$$
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = sz$, $z$ standard with concentration $a$; any order by $\lambda$ and $s$, order 1 by $a$, where $dz/da = -\partial_a P(a, z)/p(z; a, 1)$ (Figurnov et al. 2018) |
//! | weak derivative by $\lambda$ | $a/\lambda$, the law itself and $x + E/\lambda$; by $s$ the parts exchanged, $a/s$ (Mohamed et al. 2020). One replay: $x + sE$ |
//!
//! The weak derivative by the concentration has no cheap sampler and is not given.

use crate::distribution::{
    Alternatives, Capabilities, ClosedFormEntropy, Distribution, KlDivergence, Parameter, Parameters, Reparameterized, ScoreDifferentiable, Support,
    WeakDerivative, check_parameter,
};
use crate::exponential::RateOrScale;
use crate::noise::Draw;
use crate::{DistributionResult, family};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use smallvec::smallvec;
use stochgrad_tape::{IntoVar, Smoothness, Var};
use stochgrad_tensor::special::{gamma_sample_derivative, normal_icdf};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Positive numbers, by concentration (the shape) and rate or scale.
///
/// Samples that would be smaller than the smallest positive normal number, as most are where the concentration is far below
/// one thousandth, are that number: the logarithm of a sample is always finite.
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
            // Twice the smallest, so that rounding in the product with the scale does not get below it.
            let smallest = 2.0 * F::MIN_POSITIVE.to_f64() * (1.0 / scale.as_slice()[i].to_f64()).max(1.0);
            F::from_f64(z.max(smallest))
        })?;
        Ok((concentration, z))
    }
}

/// The logarithm of a Gamma(a, 1) number, by the method of Marsaglia and Tsang (2000); for a < 1 through the concentration a + 1.
/// It is NaN for a concentration that is not a positive finite number.
fn log_standard_gamma(a: f64, rng: &mut ChaCha8Rng) -> f64 {
    if !(a > 0.0 && a.is_finite()) {
        return f64::NAN;
    }
    // The centre of one of 2⁵³ cells of the unit interval: never 0, never 1.
    let mut uniform = || ((rng.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let boost = if a < 1.0 { uniform().ln() / a } else { 0.0 };
    let d = if a < 1.0 { a + 1.0 } else { a } - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal_icdf(uniform());
        let root = 1.0 + c * x;
        if root > 0.0 {
            let log_v = 3.0 * root.ln();
            if uniform().ln() < 0.5 * x * x + d - d * root.powi(3) + d * log_v {
                return d.ln() + log_v + boost;
            }
        }
    }
}

impl<'t, F: Real> Distribution<'t, F> for Gamma<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Gamma"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("concentration", self.concentration).with_path(Smoothness::Kinked), self.width.parameter()]
    }

    fn event_shape(&self) -> Shape {
        Shape::broadcast(&self.concentration.shape(), &self.width.var().shape()).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Positive
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let outside = value.le(tape.constant(0.0));
        // The logarithm must be of something positive even where it is not used: its derivatives are multiplied by zero.
        let inside = outside.select(tape.constant(1.0), value);
        let a = self.concentration;
        let density = a * self.width.log_rate() + (a - 1.0) * inside.ln() - self.width.standardize(inside) - a.lgamma();
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

    fn validate(&self) -> DistributionResult<()> {
        let hint = "use exp() or softplus() of an unconstrained number";
        check_parameter("Gamma", "concentration", self.concentration, "a positive finite number", hint, |a| a > 0.0 && a.is_finite())?;
        self.width.validate("Gamma")
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        Capabilities { score: Some(self), reparameterized: Some(self), weak_derivative: Some(self), entropy: Some(self), ..Capabilities::default() }
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Gamma<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Gamma<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (concentration, z) = self.standard(draw)?;
        let derivative = Tensor::from_fn(z.shape().clone(), |i| {
            F::from_f64(gamma_sample_derivative(concentration.as_slice()[i].to_f64(), z.as_slice()[i].to_f64()))
        });
        let tape = self.concentration.tape();
        let moving = draw.record(tape, derivative) * self.concentration;
        Ok(self.width.stretch(draw.record(tape, z).straight_through(moving)))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Gamma<Var<'t, F>> {
    fn weak_derivative(&self, parameter: usize, sample: &Tensor<F>, draw: &Draw<'_, F>) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 1 {
            return Ok(None);
        }
        let event = self.event_shape();
        let (concentration, scale) = (draw.parameter(self.concentration, &event)?, self.width.scales(draw, &event)?);
        let e = draw.purpose("more").exponential(&event)?;
        let more = Tensor::from_fn(sample.shape().clone(), |i| sample.as_slice()[i] + scale.as_slice()[i] * e.as_slice()[i]);
        let weights = Tensor::from_fn(scale.shape().clone(), |i| concentration.as_slice()[i] * self.width.log_scale_derivative(scale.as_slice()[i]));
        Ok(Some(Alternatives { values: vec![more], weights: vec![weights] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Gamma<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let a = self.concentration;
        (a - self.width.log_rate() + a.lgamma() + (1.0 - a) * a.digamma()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Gamma<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (a, b) = (self.concentration, other.concentration);
        let log_ratio = other.width.log_rate() - self.width.log_rate();
        ((a - b) * a.digamma() - a.lgamma() + b.lgamma() - b * log_ratio + a * log_ratio.expm1()).sum()
    }
}
