//! The noise of a run: a function of seed, step and address.

use crate::error::DistributionResult;
use crate::noise::key::NoiseKey;
use crate::noise::quantile::quantile;
use crate::noise::source::NoiseSource;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use stochgrad_tape::{NoiseLayout, NoiseSeed};
use stochgrad_tensor::Real;
use stochgrad_tensor::random::Key;

/// The noise of a run: the ChaCha8 stream whose key is made of seed, step and address.
///
/// The noise at an address depends neither on the number of threads, nor on the order of draws, nor on other draws.
///
/// ```
/// use stochgrad_distributions::{Distribution, Draw, KeyedNoise, NoiseKey, Normal};
/// use stochgrad_tape::{Plates, Tape};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (tape, noise) = (Tape::<f64>::new(), KeyedNoise::new(7, 0));
/// let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
/// let normal = Normal::new(tape.constant([0.0, 1.0]), 1.0);
/// assert_eq!(normal.draw(&draw)?, normal.draw(&draw)?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyedNoise {
    seed: u64,
    step: u64,
}

impl KeyedNoise {
    /// The noise of one step of a run with this seed.
    pub const fn new(seed: u64, step: u64) -> Self {
        KeyedNoise { seed, step }
    }

    /// Noise with a seed and a step drawn from a generator, one word each.
    pub fn from_rng<R: Rng + ?Sized>(rng: &mut R) -> Self {
        let seed = rng.next_u64();
        KeyedNoise::new(seed, rng.next_u64())
    }

    fn key(&self, key: NoiseKey) -> Key {
        Key::new(self.seed, self.step, key.address())
    }

    fn fill<F: Real>(layout: &NoiseLayout, out: &mut [F], mut fill: impl FnMut(u64, &mut [F])) {
        let run = layout.run();
        for (index, chunk) in out.chunks_mut(run).enumerate() {
            fill(layout.index(index * run), chunk);
        }
    }
}

impl<F: Real> NoiseSource<F> for KeyedNoise {
    fn uniform(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        let key = self.key(key);
        Self::fill(layout, out, |start, chunk| key.uniform(start, chunk));
        Ok(())
    }

    fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        let key = self.key(key);
        Self::fill(layout, out, |start, chunk| key.normal(start, chunk));
        Ok(())
    }

    fn invert(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [F],
    ) -> DistributionResult<()> {
        NoiseSource::<F>::uniform(self, key, layout, out)?;
        for (element, x) in out.iter_mut().enumerate() {
            *x = F::from_f64(quantile(x.to_f64(), |k| cdf(element, k)) as f64);
        }
        Ok(())
    }

    fn bernoulli(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        probabilities: &[F],
        out: &mut [F],
    ) -> DistributionResult<()> {
        NoiseSource::<F>::uniform(self, key, layout, out)?;
        for (x, &p) in out.iter_mut().zip(probabilities) {
            *x = if *x >= F::ONE - p { F::ONE } else { F::ZERO };
        }
        Ok(())
    }

    fn generator(&self, key: NoiseKey, index: u64) -> DistributionResult<ChaCha8Rng> {
        Ok(self.key(key).rng(index))
    }

    fn seed(&self) -> Option<NoiseSeed> {
        Some(NoiseSeed { seed: self.seed, step: self.step })
    }
}
