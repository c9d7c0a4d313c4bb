//! Latin hypercube sampling as a copula.
//!
//! The unit interval is cut into $n$ strata, and each variate lies at a random position in a stratum of its own. The
//! strata are assigned independently for every element. With $n p = j + r$, for $j$ whole strata and a fraction $r$ of
//! another one,
//!
//! $$P(u_1 < p, \dots, u_m < p) = \frac{(n - m)!}{n!} \Big[\frac{j!}{(j - m)!} + m\, r\, \frac{j!}{(j - m + 1)!}\Big].$$
//!
//! McKay, Beckman and Conover (1979).

use super::{Copula, along};
use stochgrad_distributions::{DistributionResult, Draw};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// The Latin hypercube copula: one variate in each of $n$ strata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatinHypercube;

impl Copula for LatinHypercube {
    fn name(&self) -> String {
        "Latin hypercube".into()
    }

    fn uniforms<'t, F: Real>(
        &self,
        tape: &'t Tape<F>,
        draw: &Draw<'_, F>,
        samples: usize,
        event: &Shape,
    ) -> DistributionResult<Var<'t, F>> {
        let shape = along(samples, event);
        let order = draw.purpose("strata").record_uniform(tape, &shape)?;
        let stratum = order.unsqueeze(0).gt(order.unsqueeze(1)).sum_axis(0);
        Ok((stratum + draw.record_uniform(tape, &shape)?) * (1.0 / samples as f64))
    }

    fn second_below<'t, F: Real>(&self, samples: usize, p: Var<'t, F>) -> Var<'t, F> {
        let n = samples as f64;
        let strata = p * n;
        let whole = strata.floor();
        // Here n p = j + r, and both parts are clamped at 0.
        let ordered = whole * (strata * 2.0 - whole - 1.0) * (1.0 / (n * (n - 1.0)));
        ordered.gt(p.tape().constant(0.0)).select(ordered / p, p * 0.0)
    }

    fn all_below(&self, samples: usize, count: usize, p: f64) -> Option<f64> {
        let strata = p * samples as f64;
        let whole = strata.floor();
        // The number of ways to assign different strata among the first `strata` to `count` variates.
        let ways = |strata: f64, count: usize| (0..count).map(|i| (strata - i as f64).max(0.0)).product::<f64>();
        let partial = if count == 0 { 0.0 } else { count as f64 * (strata - whole) * ways(whole, count - 1) };
        Some((ways(whole, count) + partial) / ways(samples as f64, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::copula::tests::check;

    #[test]
    fn numbers_are_as_it_says() {
        [2, 3, 4, 7].into_iter().for_each(|samples| check(&LatinHypercube, samples));
    }
}
