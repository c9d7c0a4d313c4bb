//! The Laplace distribution.
//!
//! $$p(x; \mu, b) = \frac{1}{2b} \exp\Big(-\frac{|x - \mu|}{b}\Big), \quad b > 0.$$
//!
//! | capability | |
//! |---|---|
//! | score | order 1 by $\mu$, where the log-density has a kink; any order by $b$ |
//! | reparameterised | $x = \mu + b\varepsilon$ with $\varepsilon$ by inversion of a uniform, any order |
//! | weak derivative by $\mu$ | $1/(2b)$, $\mu \pm bE$ with $E$ exponential, the same $E$ in both parts. One replay: the sample mirrored at $\mu$ |
//! | weak derivative by $b$ | $1/b$, $\mu + bS(E + E')$ and the law itself, $S$ a random sign. One replay: the sample moved away from $\mu$ by $bE'$ |

use crate::distribution::{
    Alternatives, Capabilities, ClosedFormEntropy, Distribution, KlDivergence, Parameter, Parameters, Reparameterized, ScoreDifferentiable, Support,
    WeakDerivative, check_parameter,
};
use crate::noise::Draw;
use crate::{DistributionResult, family};
use smallvec::smallvec;
use std::f64::consts::LN_2;
use stochgrad_tape::{IntoVar, Smoothness, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Laplace numbers, by location and scale (the mean distance from the location).
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
pub struct Laplace<V> {
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
    /// Laplace numbers around `location` with `scale > 0`, whose standard deviation is `√2 · scale`.
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

    /// Numbers with location 0 and scale 1, rising with the noise.
    fn standard(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let half = F::from_f64(0.5);
        Ok(draw.uniform(&self.event_shape())?.map(|u| if u < half { (u + u).ln() } else { -(F::ONE - u + (F::ONE - u)).ln() }))
    }
}

impl<'t, F: Real> Distribution<'t, F> for Laplace<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Laplace"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("location", self.location).with_score(Smoothness::Kinked), Parameter::smooth("scale", self.scale)]
    }

    fn event_shape(&self) -> Shape {
        Shape::broadcast(&self.location.shape(), &self.scale.shape()).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Real
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        -((value - self.location) / self.scale).abs() - self.scale.ln() - LN_2
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let (location, scale) = (draw.parameter(self.location, &event)?, draw.parameter(self.scale, &event)?);
        let noise = self.standard(draw)?;
        Ok(Tensor::from_fn(noise.shape().clone(), |i| location.as_slice()[i] + scale.as_slice()[i] * noise.as_slice()[i]))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.scale.square() * 2.0).broadcast_to(self.event_shape()))
    }

    fn validate(&self) -> DistributionResult<()> {
        check_parameter("Laplace", "location", self.location, "a finite number", "look for the operation that made it", f64::is_finite)?;
        check_parameter("Laplace", "scale", self.scale, "a positive finite number", "use exp() or softplus() of an unconstrained number", |s| s > 0.0 && s.is_finite())
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        Capabilities { score: Some(self), reparameterized: Some(self), weak_derivative: Some(self), entropy: Some(self), ..Capabilities::default() }
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Laplace<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Laplace<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record(self.location.tape(), self.standard(draw)?);
        Ok(self.location + self.scale * noise)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Laplace<Var<'t, F>> {
    fn weak_derivative(&self, parameter: usize, sample: &Tensor<F>, draw: &Draw<'_, F>) -> DistributionResult<Option<Alternatives<F>>> {
        let event = self.event_shape();
        let (location, scale) = (draw.parameter(self.location, &event)?, draw.parameter(self.scale, &event)?);
        let (location, scale, x) = (location.as_slice(), scale.as_slice(), sample.as_slice());
        let (values, weights) = match parameter {
            // The distance of the sample is bE: the sample is one of the two parts, its mirror image the other.
            0 => (
                Tensor::from_fn(sample.shape().clone(), |i| location[i] - (x[i] - location[i])),
                Tensor::from_fn(sample.shape().clone(), |i| -(x[i] - location[i]).signum() / (scale[i] + scale[i])),
            ),
            // Scaled by a uniform, S(E + E') is a Laplace number; given that, what was cut off is exponential.
            1 => {
                let e = draw.purpose("scale").exponential(&event)?;
                (
                    Tensor::from_fn(sample.shape().clone(), |i| x[i] + (x[i] - location[i]).signum() * scale[i] * e.as_slice()[i]),
                    Tensor::from_fn(sample.shape().clone(), |i| F::ONE / scale[i]),
                )
            }
            _ => return Ok(None),
        };
        Ok(Some(Alternatives { values: vec![values], weights: vec![weights] }))
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
        (ratio * (-distance / self.scale).exp() + distance / other.scale - ratio.ln() - 1.0).sum()
    }
}
