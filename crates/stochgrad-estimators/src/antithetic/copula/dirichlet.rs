//! The Dirichlet copula.
//!
//! The variates are $u = (1 - d)^{n - 1}$ with $d \sim \operatorname{Dir}(1, \dots, 1)$. The gaps between $n$ points on
//! a circle cannot all be large, so that the variates cannot all be small:
//!
//! $$P(u_1 < p, \dots, u_m < p) = \max\big(0,\, m\, p^{1/(n-1)} - m + 1\big)^{n-1}.$$
//!
//! With two variates, $u_2 = 1 - u_1$. Dimitriev and Zhou (2021).

use super::{Copula, along};
use stochgrad_distributions::{DistributionResult, Draw};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// The Dirichlet copula, the default: its variates are rarely small together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirichletCopula;

impl Copula for DirichletCopula {
    fn name(&self) -> String {
        "Dirichlet".into()
    }

    fn uniforms<'t, F: Real>(
        &self,
        tape: &'t Tape<F>,
        draw: &Draw<'_, F>,
        samples: usize,
        event: &Shape,
    ) -> DistributionResult<Var<'t, F>> {
        let gaps = draw.record_exponential(tape, &along(samples, event))?;
        Ok((1.0 - gaps / gaps.sum_axis(0).unsqueeze(0)).powf(samples.saturating_sub(1) as f64))
    }

    fn second_below<'t, F: Real>(&self, samples: usize, p: Var<'t, F>) -> Var<'t, F> {
        let others = samples.saturating_sub(1) as f64;
        let both = (p.powf(1.0 / others) * 2.0 - 1.0).relu().powf(others);
        // Below a small number, there is never more than one of them.
        both.gt(p.tape().constant(0.0)).select(both / p, both)
    }

    fn all_below(&self, samples: usize, count: usize, p: f64) -> Option<f64> {
        let (others, count) = (samples.saturating_sub(1) as f64, count as f64);
        Some((count * p.powf(1.0 / others) - count + 1.0).max(0.0).powf(others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::copula::tests::check;

    #[test]
    fn numbers_are_as_it_says() {
        [2, 3, 4, 7].into_iter().for_each(|samples| check(&DirichletCopula, samples));
    }
}
