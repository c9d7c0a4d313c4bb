//! The sources of noise for draws.

use crate::error::DistributionResult;
use crate::noise::key::NoiseKey;
use crate::noise::quantile::quantile;
use crate::noise::scheme_uniform::SchemeUniform;
use rand_chacha::ChaCha8Rng;
use stochgrad_tape::{NoiseLayout, NoiseSeed};
use stochgrad_tensor::Real;
use stochgrad_tensor::random::{Fill, unfold};

/// A source of noise.
///
/// Ordinary runs use [`KeyedNoise`](crate::KeyedNoise). The exact oracle uses another source, which represents each
/// uniform sample as an interval and splits it at every inversion. A method that draws through this trait is therefore
/// checked in the same form in which it is used.
pub trait NoiseSource<F: Real> {
    /// Fills `out` with uniform samples in the open interval (0, 1). [`invert`](Self::invert) with the same key inverts
    /// the same samples.
    ///
    /// # Errors
    /// If the source cannot provide them.
    fn uniform(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()>;

    /// Fills `out` with standard normal samples.
    ///
    /// # Errors
    /// If the source cannot provide them.
    fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()>;

    /// Fills `out` with noise of a kind: functions of the samples of [`uniform`](Self::uniform) with the same key, or
    /// normal samples.
    ///
    /// # Errors
    /// If the source cannot provide them.
    fn fill(&self, fill: Fill, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        if fill == Fill::Normal {
            return self.normal(key, layout, out);
        }
        self.uniform(key, layout, out)?;
        if fill != Fill::Uniform {
            out.iter_mut().for_each(|u| *u = if *u < F::from_f64(0.5) { *u } else { *u - F::ONE });
            unfold(fill, out);
        }
        Ok(())
    }

    /// Fills `out` with standard exponential samples. They have the distribution of [`Fill::Exponential`], but a source
    /// that integrates over the noise may choose points of its own for them.
    ///
    /// # Errors
    /// If the source cannot provide them.
    fn exponential(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        self.fill(Fill::Exponential, key, layout, out)
    }

    /// Fills `out` with integers by inversion: for each element the smallest `k` with `u < cdf(element, k)`, which is a
    /// monotone function of the noise `u`. `cdf` must reach 1 up to rounding.
    ///
    /// # Errors
    /// If the source cannot provide them.
    fn invert(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [F],
    ) -> DistributionResult<()>;

    /// As [`invert`](Self::invert), for uniform samples that a sampling scheme has moved to their places. `layout` is
    /// the layout of the samples before they were moved.
    ///
    /// # Errors
    /// If the source cannot provide them.
    fn invert_by_scheme(
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
            let u = number.place.uniform(base[number.base].to_f64());
            *x = F::from_f64(quantile(u, |k| cdf(element, k)) as f64);
        }
        Ok(())
    }

    /// Fills `out` with bits that are 1 with the given probabilities, where `u ≥ 1 − p`.
    ///
    /// # Errors
    /// If the source cannot provide them.
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

    /// A random generator for one element, for samplers such as rejection that need an unknown number of random values.
    ///
    /// # Errors
    /// If the source has no generators, as the exact oracle.
    fn generator(&self, key: NoiseKey, index: u64) -> DistributionResult<ChaCha8Rng>;

    /// The seed, if a tape can produce the same noise from it. Draws are then recorded as operations on noise, so that
    /// a compiled graph can draw again.
    fn seed(&self) -> Option<NoiseSeed> {
        None
    }
}
