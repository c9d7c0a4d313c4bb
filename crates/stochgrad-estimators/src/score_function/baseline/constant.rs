//! A constant baseline, or none.
//!
//! The best constant for one parameter is $b^* = \mathbb{E}[f s^2] / \mathbb{E}[s^2]$ with the score $s = \partial \ln
//! p$. The expected cost is not the best one, and can be worse than no baseline (Weaver & Tao 2001; Greensmith et al.
//! 2004).

use super::{Baseline, Baselines, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult};
use stochgrad_tensor::Real;

/// No baseline.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBaseline;

impl Memory for NoBaseline {
    fn name(&self) -> Option<String> {
        None
    }
}

impl<F: Real> Baseline<F> for NoBaseline {
    fn baselines<'t>(
        &self,
        _context: &CostContext<'_, 't, F>,
        _distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        Ok(Baselines::default())
    }
}

/// A constant that is subtracted from the total of the costs downstream.
#[derive(Clone, Copy, Debug)]
pub struct Constant(pub f64);

impl Memory for Constant {
    fn name(&self) -> Option<String> {
        Some(format!("baseline {}", self.0))
    }

    fn check(&self, _members: usize) -> Result<(), String> {
        if self.0.is_finite() { Ok(()) } else { Err(format!("expected a finite baseline, got {}", self.0)) }
    }
}

impl<F: Real> Baseline<F> for Constant {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        _distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let b = context.tape().constant(self.0);
        Ok(Baselines::new(context.totals()?.into_iter().map(|cost| (cost, b))))
    }
}
