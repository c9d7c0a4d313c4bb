//! The exponential distribution.
//!
//! $$p(x; \lambda) = \lambda e^{-\lambda x}, \quad x \ge 0, \quad \lambda = 1/s > 0.$$
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = sE$, any order |
//! | weak derivative by $\lambda$ | $1/\lambda$, the law itself and $(E + E')/\lambda$ (Mohamed et al. 2020); by $s$ the parts exchanged, $1/s$. One replay: $x + sE'$ |

use crate::distribution::{
    Alternatives, Capabilities, ClosedFormEntropy, Distribution, KlDivergence, Parameter, Parameters, Reparameterized, ScoreDifferentiable, Support,
    WeakDerivative, check_parameter,
};
use crate::noise::Draw;
use crate::{DistributionResult, family};
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor};

/// How fast a positive number falls off, given by rate or by scale.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RateOrScale<V> {
    Rate(V),
    Scale(V),
}

impl<V> RateOrScale<V> {
    pub(crate) fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<RateOrScale<W>, E> {
        Ok(match self {
            RateOrScale::Rate(v) => RateOrScale::Rate(f(v)?),
            RateOrScale::Scale(v) => RateOrScale::Scale(f(v)?),
        })
    }
}

impl<'t, F: Real> RateOrScale<Var<'t, F>> {
    pub(crate) fn var(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) | RateOrScale::Scale(v) => v,
        }
    }

    pub(crate) fn parameter(&self) -> Parameter<'t, F> {
        match *self {
            RateOrScale::Rate(v) => Parameter::smooth("rate", v),
            RateOrScale::Scale(v) => Parameter::smooth("scale", v),
        }
    }

    pub(crate) fn rate(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => v,
            RateOrScale::Scale(v) => v.recip(),
        }
    }

    pub(crate) fn scale(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => v.recip(),
            RateOrScale::Scale(v) => v,
        }
    }

    pub(crate) fn log_rate(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => v.ln(),
            RateOrScale::Scale(v) => -v.ln(),
        }
    }

    /// A value in units of the scale.
    pub(crate) fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => value * v,
            RateOrScale::Scale(v) => value / v,
        }
    }

    /// The value that is `standard` in units of the scale.
    pub(crate) fn stretch(&self, standard: Var<'t, F>) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => standard / v,
            RateOrScale::Scale(v) => standard * v,
        }
    }

    pub(crate) fn validate(&self, distribution: &'static str) -> DistributionResult<()> {
        let parameter = self.parameter();
        let hint = "use exp() or softplus() of an unconstrained number";
        check_parameter(distribution, parameter.name, parameter.var, "a positive finite number", hint, |s| s > 0.0 && s.is_finite())
    }

    /// The scales as a tensor on the plates of a request.
    pub(crate) fn scales(&self, draw: &Draw<'_, F>, event: &Shape) -> DistributionResult<Tensor<F>> {
        let value = draw.parameter(self.var(), event)?;
        Ok(match self {
            RateOrScale::Rate(_) => value.map(|rate| F::ONE / rate),
            RateOrScale::Scale(_) => value,
        })
    }

    /// The derivative of the logarithm of the scale by the parameter, given the scale.
    pub(crate) fn log_scale_derivative(&self, scale: F) -> F {
        match self {
            RateOrScale::Rate(_) => -scale,
            RateOrScale::Scale(_) => F::ONE / scale,
        }
    }
}

/// Waiting times of a memoryless event, by rate or by scale (the mean).
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
pub struct Exponential<V> {
    parameter: RateOrScale<V>,
}

impl<V> Exponential<V> {
    /// Exponential numbers with a `rate > 0`, whose mean is `1 / rate`.
    pub fn new(rate: V) -> Self {
        Exponential { parameter: RateOrScale::Rate(rate) }
    }

    /// Exponential numbers with mean `scale > 0`.
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

    /// The scale: one over the rate.
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
        let outside = value.lt(value.tape().constant(0.0));
        let nothing = value.tape().constant(f64::NEG_INFINITY);
        outside.select(nothing, self.parameter.log_rate() - self.parameter.standardize(value))
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let parameter = draw.parameter(self.parameter.var(), &event)?;
        let noise = draw.exponential(&event)?;
        // Divided, not multiplied by the inverse: to the bit what `rsample` gives.
        Ok(Tensor::from_fn(noise.shape().clone(), |i| match self.parameter {
            RateOrScale::Rate(_) => noise.as_slice()[i] / parameter.as_slice()[i],
            RateOrScale::Scale(_) => noise.as_slice()[i] * parameter.as_slice()[i],
        }))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.scale())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.scale().square())
    }

    fn validate(&self) -> DistributionResult<()> {
        self.parameter.validate("Exponential")
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        Capabilities { score: Some(self), reparameterized: Some(self), weak_derivative: Some(self), entropy: Some(self), ..Capabilities::default() }
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Exponential<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Exponential<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record(self.parameter.var().tape(), draw.exponential(&self.event_shape())?);
        Ok(self.parameter.stretch(noise))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Exponential<Var<'t, F>> {
    fn weak_derivative(&self, parameter: usize, sample: &Tensor<F>, draw: &Draw<'_, F>) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let event = self.event_shape();
        let scale = self.parameter.scales(draw, &event)?;
        let e = draw.purpose("second").exponential(&event)?;
        let longer = Tensor::from_fn(sample.shape().clone(), |i| sample.as_slice()[i] + scale.as_slice()[i] * e.as_slice()[i]);
        let weights = scale.map(|scale| self.parameter.log_scale_derivative(scale));
        Ok(Some(Alternatives { values: vec![longer], weights: vec![weights] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Exponential<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (1.0 - self.parameter.log_rate()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Exponential<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let log_ratio = other.parameter.log_rate() - self.parameter.log_rate();
        (log_ratio.expm1() - log_ratio).sum()
    }
}
