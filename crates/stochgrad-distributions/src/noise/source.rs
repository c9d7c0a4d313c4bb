//! Where a draw gets its noise from.

use crate::error::DistributionResult;
use crate::noise::key::NoiseKey;
use crate::noise::quantile::quantile;
use crate::noise::scheme_uniform::SchemeUniform;
use rand_chacha::ChaCha8Rng;
use stochgrad_tape::{NoiseLayout, NoiseSeed};
use stochgrad_tensor::Real;

/// A source of noise.
///
/// The one in use is [`KeyedNoise`](crate::KeyedNoise). The exact oracle has another, which hands out each uniform as
/// an interval that every inversion splits. A method that draws through this trait is therefore checked exactly as it
/// is used.
pub trait NoiseSource<F: Real> {
    /// Uniform numbers in the open interval (0, 1): the very numbers that [`invert`](Self::invert) of the same key
    /// inverts.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn uniform(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()>;

    /// Standard normal numbers.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()>;

    /// Standard exponential numbers.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn exponential(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        self.uniform(key, layout, out)?;
        out.iter_mut().for_each(|x| *x = -x.ln());
        Ok(())
    }

    /// Whole numbers by inversion: for each element the smallest `k` with `u < cdf(element, k)`, hence a monotone map
    /// of the noise. `cdf` must reach 1, or come within rounding of it.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn invert(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [F],
    ) -> DistributionResult<()>;

    /// As [`invert`](Self::invert), of the numbers of a plan: `layout` is that of the numbers behind them.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn invert_planned(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        numbers: &[SchemeUniform],
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [F],
    ) -> DistributionResult<()> {
        let mut base = vec![F::ZERO; layout.len()];
        self.uniform(key, layout, &mut base)?;
        for (element, (x, number)) in out.iter_mut().zip(numbers).enumerate() {
            let u = number.place.uniform(base[number.base]).to_f64();
            *x = F::from_f64(quantile(u, |k| cdf(element, k)) as f64);
        }
        Ok(())
    }

    /// Ones with the given probabilities: 1 where `u ≥ 1 − p`.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn bernoulli(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        probabilities: &[F],
        out: &mut [F],
    ) -> DistributionResult<()> {
        self.invert(
            key,
            layout,
            &|element, k| {
                if k == 0 { 1.0 - probabilities[element].to_f64() } else { 1.0 }
            },
            out,
        )
    }

    /// A random generator for one element, for samplers that need a random number of numbers.
    ///
    /// # Errors
    /// If the source cannot give one; the exact oracle cannot.
    fn generator(&self, key: NoiseKey, index: u64) -> DistributionResult<ChaCha8Rng>;

    /// The seed, if this is the noise that a tape makes from a seed: draws are then recorded as operations.
    fn seed(&self) -> Option<NoiseSeed> {
        None
    }
}
