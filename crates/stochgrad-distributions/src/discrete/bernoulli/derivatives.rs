//! Derivatives of the Bernoulli distribution by alternative bits.
//!
//! The only alternative of a bit is the other bit. The weak derivative weights it by the derivative of the probability,
//! with the sign of the change. The stochastic derivative weights it by the rate at which bits of a coupled run with a
//! larger (right) or smaller (left) probability change.

use crate::discrete::bernoulli::Bernoulli;
use crate::distribution::{
    Alternatives, Distribution, RecordedAlternatives, Side, StochasticDerivative, WeakDerivative,
};
use crate::error::DistributionResult;
use crate::noise::Draw;
use crate::parameter::probability::{ProbabilityOrLogit, check_sample};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

impl<'t, F: Real> WeakDerivative<'t, F> for Bernoulli<Var<'t, F>> {
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
        check_sample("Bernoulli", sample, p.shape())?;
        let flipped = sample.map(|x| F::ONE - x);
        let weights = Tensor::from_fn(p.shape().clone(), |i| {
            (F::ONE - sample.as_slice()[i] - sample.as_slice()[i]) * self.parameter.derivative(p.as_slice()[i])
        });
        Ok(Some(Alternatives { values: vec![flipped], weights: vec![weights] }))
    }

    fn record_weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<RecordedAlternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let sample = sample.stop_gradient();
        let sign = 1.0 - sample - sample;
        let weight = match self.parameter {
            ProbabilityOrLogit::Probability(_) => sign,
            ProbabilityOrLogit::Logit(logit) => {
                let p = logit.stop_gradient().sigmoid();
                sign * (p * (1.0 - p))
            }
        };
        Ok(Some(RecordedAlternatives { values: vec![1.0 - sample], weights: vec![weight] }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Bernoulli<Var<'t, F>> {
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
        check_sample("Bernoulli", sample, p.shape())?;
        let flipped = sample.map(|x| F::ONE - x);
        let half = F::from_f64(0.5);
        let rate = |i: usize| {
            let (x, p) = (sample.as_slice()[i], p.as_slice()[i]);
            let (right, left) = (self.parameter.rate_up(F::ONE - x, p), -self.parameter.rate_down(x, p));
            match side {
                _ if at_end(p) => right + left,
                Side::Right => right,
                Side::Left => left,
                Side::TwoSided => half * (right + left),
            }
        };
        Ok(Some(Alternatives { values: vec![flipped], weights: vec![Tensor::from_fn(p.shape().clone(), rate)] }))
    }

    fn record_stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<RecordedAlternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let sample = sample.stop_gradient();
        let other = 1.0 - sample;
        let one = sample.tape().constant(1.0);
        let (up, down, inside) = match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                // A bit that was drawn has a positive probability.
                let p = p.stop_gradient();
                let (possible, zero) = (sample.select(p, 1.0 - p), sample * 0.0);
                let inside = (p * (1.0 - p)).gt(one * 0.0);
                (sample.select(zero, 1.0 / possible), sample.select(1.0 / possible, zero), inside)
            }
            ProbabilityOrLogit::Logit(logit) => {
                let p = logit.stop_gradient().sigmoid();
                (other * p, sample * (1.0 - p), one)
            }
        };
        let weight = match side {
            Side::Right => inside.select(up, up - down),
            Side::Left => inside.select(-down, up - down),
            Side::TwoSided => (up - down) * inside.select(one * 0.5, one),
        };
        Ok(Some(RecordedAlternatives { values: vec![other], weights: vec![weight] }))
    }
}
