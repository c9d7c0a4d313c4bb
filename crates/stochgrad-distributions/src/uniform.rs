//! The uniform distribution on an interval.
//!
//! $$p(x; a, b) = \frac{1}{b - a}, \quad a \le x \le b.$$
//!
//! | capability | |
//! |---|---|
//! | score | none: the support depends on the parameters, so that the score function is biased |
//! | reparameterised | $x = a + (b - a)u$, any order |
//! | weak derivative by $b$ | $1/(b - a)$, $b$ and the law itself. One replay: the sample moved to $b$ |
//! | weak derivative by $a$ | $1/(b - a)$, the law itself and $a$. One replay: the sample moved to $a$ (Pflug 1989) |

use crate::distribution::{
    Alternatives, Capabilities, ClosedFormEntropy, Distribution, KlDivergence, Parameter, Parameters, Reparameterized, Support, WeakDerivative,
    check_parameter,
};
use crate::noise::Draw;
use crate::{DistributionResult, family};
use smallvec::smallvec;
use stochgrad_tape::{IntoVar, Smoothness, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Numbers that are equally likely everywhere between two bounds.
///
/// ```
/// use stochgrad_distributions::{Distribution, Uniform};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let uniform = Uniform::new(tape.constant(-1.0), 3.0);
/// assert!((uniform.log_prob(tape.constant(0.5)).item()? + 4.0_f64.ln()).abs() < 1e-12);
/// assert_eq!(uniform.log_prob(tape.constant(4.0)).item()?, f64::NEG_INFINITY);
/// # Ok(())
/// # }
/// ```
///
/// Its support depends on its parameters, so that it is not [`ScoreDifferentiable`](crate::ScoreDifferentiable):
///
/// ```compile_fail,E0277
/// use stochgrad_distributions::{ScoreDifferentiable, Uniform};
/// use stochgrad_tape::{Tape, Var};
///
/// fn score<'t>(_: &impl ScoreDifferentiable<'t, f64>) {}
/// let tape = Tape::<f64>::new();
/// score(&Uniform::new(tape.constant(0.0), 1.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Uniform<V> {
    low: V,
    high: V,
}

impl<V> Uniform<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Uniform<W>, E> {
        Ok(Uniform { low: f(&self.low)?, high: f(&self.high)? })
    }
}

family!(Uniform);

impl<'t, F: Real> Uniform<Var<'t, F>> {
    /// Numbers between `low` and `high > low`.
    pub fn new(low: Var<'t, F>, high: impl IntoVar<'t, F>) -> Self {
        Uniform { low, high: high.into_var(low.tape()) }
    }

    /// The lower bound.
    pub fn low(&self) -> Var<'t, F> {
        self.low
    }

    /// The upper bound.
    pub fn high(&self) -> Var<'t, F> {
        self.high
    }

    fn width(&self) -> Var<'t, F> {
        self.high - self.low
    }
}

impl<'t, F: Real> Distribution<'t, F> for Uniform<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Uniform"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("low", self.low).with_score(Smoothness::Jump), Parameter::smooth("high", self.high).with_score(Smoothness::Jump)]
    }

    fn event_shape(&self) -> Shape {
        Shape::broadcast(&self.low.shape(), &self.high.shape()).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Interval
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // Comparisons with NaN do not hold, so that the product with the value carries a NaN through.
        let outside = value.lt(self.low) + value.gt(self.high);
        let nothing = value.tape().constant(f64::NEG_INFINITY);
        outside.select(nothing, value.stop_gradient() * 0.0 - self.width().ln())
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let (low, high) = (draw.parameter(self.low, &event)?, draw.parameter(self.high, &event)?);
        let noise = draw.uniform(&event)?;
        Ok(Tensor::from_fn(noise.shape().clone(), |i| low.as_slice()[i] + (high.as_slice()[i] - low.as_slice()[i]) * noise.as_slice()[i]))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some((self.low + self.high) * 0.5)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.width().square() * (1.0 / 12.0))
    }

    fn validate(&self) -> DistributionResult<()> {
        let hint = "look for the operation that made it";
        check_parameter("Uniform", "low", self.low, "a finite number", hint, f64::is_finite)?;
        check_parameter("Uniform", "high", self.high, "a finite number", hint, f64::is_finite)?;
        check_parameter("Uniform", "high - low", self.width(), "a positive finite number", "give the lower bound first", |w| w > 0.0 && w.is_finite())
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        Capabilities { reparameterized: Some(self), weak_derivative: Some(self), entropy: Some(self), ..Capabilities::default() }
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for Uniform<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record(self.low.tape(), draw.uniform(&self.event_shape())?);
        Ok(self.low + self.width() * noise)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Uniform<Var<'t, F>> {
    fn weak_derivative(&self, parameter: usize, _sample: &Tensor<F>, draw: &Draw<'_, F>) -> DistributionResult<Option<Alternatives<F>>> {
        let event = self.event_shape();
        let (low, high) = (draw.parameter(self.low, &event)?, draw.parameter(self.high, &event)?);
        let sign = match parameter {
            0 => -F::ONE,
            1 => F::ONE,
            _ => return Ok(None),
        };
        let weights = Tensor::from_fn(low.shape().clone(), |i| sign / (high.as_slice()[i] - low.as_slice()[i]));
        Ok(Some(Alternatives { values: vec![if parameter == 0 { low } else { high }], weights: vec![weights] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Uniform<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.width().ln().sum()
    }
}

/// Infinite where the other interval does not contain this one.
impl<'t, F: Real> KlDivergence<'t, F> for Uniform<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let outside = self.low.lt(other.low) + self.high.gt(other.high);
        let infinite = self.low.tape().constant(f64::INFINITY);
        outside.select(infinite, (other.width() / self.width()).ln()).sum()
    }
}
