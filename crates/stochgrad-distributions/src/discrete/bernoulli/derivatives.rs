//! Derivatives of the Bernoulli distribution by alternative bits.
//!
//! The only alternative of a bit is the other bit. The weak derivative weights it by the derivative of the probability,
//! with the sign of the change. The stochastic derivative weights it by the rate at which bits of a coupled run with a
//! larger (right) or smaller (left) probability change.

use crate::discrete::bernoulli::Bernoulli;
use crate::distribution::{Alternatives, Side, StochasticDerivative, WeakDerivative};
use crate::error::DistributionResult;
use crate::noise::Draw;
use crate::parameter::probability::ProbabilityOrLogit;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

impl<'t, F: Real> WeakDerivative<'t, F> for Bernoulli<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
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
        Ok(Some(Alternatives { values: vec![1.0 - sample], weights: vec![weight] }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Bernoulli<Var<'t, F>> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let x = sample.stop_gradient();
        let other = 1.0 - x;
        let weight = match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                let p = p.stop_gradient();
                // A bit that was drawn has a positive probability. If it is certain, its derivative is one-sided.
                let ((all, none), up, down) = (self.parameter.at_ends()?, (1.0 - p).recip(), -p.recip());
                match side {
                    Side::Right => x.select(-all, up),
                    Side::Left => x.select(down, none),
                    Side::TwoSided => x.select(down, up) * ((all + none + 1.0) * 0.5),
                }
            }
            ProbabilityOrLogit::Logit(logit) => {
                let p = logit.stop_gradient().sigmoid();
                let (up, down) = (other * p, x * (p - 1.0));
                match side {
                    Side::Right => up,
                    Side::Left => down,
                    Side::TwoSided => (up + down) * 0.5,
                }
            }
        };
        Ok(Some(Alternatives { values: vec![other], weights: vec![weight] }))
    }
}
