//! Samples by rejection (Devroye 1986, chapter X.6).
//!
//! With $e = s - 1$ and a uniform $u$, the proposal $\lfloor u^{-1/e} \rfloor$ is $k$ with the probability
//! $k^{-e} - (k + 1)^{-e}$. It is accepted with the probability
//!
//! $$\frac{1 - 2^{-e}}{k\,(1 - (1 + 1/k)^{-e})} \le 1,$$
//!
//! the ratio of the probabilities in units of that of 1. At least 69 % of the proposals are accepted.

use std::f64::consts::LN_2;
use stochgrad_tape::{Attempt, RecordedAttempt, RecordedProposal, Sampler};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

/// The sampler, given the exponent. A proposal above the largest number of the type is that number.
pub(super) struct Ranks;

impl<F: Real> Sampler<F> for Ranks {
    fn name(&self) -> &str {
        "ranks"
    }

    fn attempt(&self, attempt: &mut Attempt<'_, F>) {
        let count = attempt.len();
        let mut noise = [[F::ZERO; Attempt::<f64>::LARGEST]; 2];
        for (slot, uniforms) in noise.iter_mut().enumerate() {
            attempt.uniform(slot, &mut uniforms[..count]);
        }
        for element in 0..count {
            let excess = attempt.parameter(0)[element].to_f64() - 1.0;
            let [place, level] = noise.map(|uniforms| uniforms[element].to_f64());
            let rank = (-place.ln() / excess).exp().floor().min(F::MAX.to_f64());
            let share = |log: f64| -(-excess * log).exp_m1();
            let valid = excess > 0.0 && excess <= F::MAX.to_f64();
            attempt.values[element] = F::from_f64(if valid { rank } else { f64::NAN });
            attempt.rejected[element] = valid && level * rank * share(rank.recip().ln_1p()) > share(LN_2);
        }
    }

    fn as_operations<'t>(&self, attempt: &RecordedAttempt<'t, F>) -> Option<RecordedProposal<'t, F>> {
        let (tape, excess) = (attempt.tape, *attempt.parameters.first()? - 1.0);
        let [place, level] = [0, 1].map(|slot| attempt.uniforms[slot]);
        let rank = (-place.ln() / excess).exp().floor().map(Map::MinScalar(F::MAX.to_f64()));
        let next = -(-(excess * rank.recip().log1p())).expm1();
        let second = -(excess * -LN_2).expm1();
        let valid = excess.gt(tape.constant(0.0)) * excess.le(tape.constant(F::MAX.to_f64()));
        let value = valid.select(rank, tape.constant(f64::NAN));
        Some(RecordedProposal { value, rejected: valid * (level * rank * next).gt(second) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_description;

    #[test]
    fn attempts_are_described() {
        let exponents = [1.0625, 1.25, 2.0, 7.5, 60.0, 1e6, 1e300, 1.0, 0.5, f64::INFINITY, f64::NAN];
        check_description::<f64>(Ranks, &exponents, 1e-10);
        check_description::<f32>(Ranks, &[1.25, 2.0, 7.5, 60.0, 1e6, 1e37, 1.0, f64::NAN], 1e-3);
    }
}
