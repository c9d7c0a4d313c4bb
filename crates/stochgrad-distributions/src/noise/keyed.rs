//! The noise of a run: a function of seed, step and address.

use crate::error::DistributionResult;
use crate::noise::key::NoiseKey;
use crate::noise::quantile::quantile;
use crate::noise::scheme_uniform::SchemeUniform;
use crate::noise::source::NoiseSource;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use stochgrad_tape::{NoiseLayout, NoiseSeed};
use stochgrad_tensor::Real;
use stochgrad_tensor::random::{Fill, Key};

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
}

/// The uniform value of a folded one in double precision, where it keeps the digits of both tails of single precision.
fn level<F: Real>(folded: F) -> f64 {
    let t = folded.to_f64();
    if t > 0.0 { t } else { 1.0 + t }
}

impl<F: Real> NoiseSource<F> for KeyedNoise {
    fn uniform(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        self.fill(Fill::Uniform, key, layout, out)
    }

    fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        self.fill(Fill::Normal, key, layout, out)
    }

    fn fill(&self, fill: Fill, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        let (key, run) = (self.key(key), layout.run());
        for (index, chunk) in out.chunks_mut(run).enumerate() {
            key.fill(fill, layout.index(index * run), chunk);
        }
        Ok(())
    }

    fn invert(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [F],
    ) -> DistributionResult<()> {
        self.fill(Fill::Folded, key, layout, out)?;
        for (element, x) in out.iter_mut().enumerate() {
            *x = F::from_f64(quantile(level(*x), |k| cdf(element, k)) as f64);
        }
        Ok(())
    }

    fn invert_by_scheme(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        numbers: &[SchemeUniform],
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [F],
    ) -> DistributionResult<()> {
        let mut base = vec![F::ZERO; layout.len()];
        self.fill(Fill::Folded, key, layout, &mut base)?;
        for (element, (x, number)) in out.iter_mut().zip(numbers).enumerate() {
            let u = level(number.place.folded(base[number.base]));
            *x = F::from_f64(quantile(u, |k| cdf(element, k)) as f64);
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
        self.fill(Fill::Mirrored, key, layout, out)?;
        for (x, &p) in out.iter_mut().zip(probabilities) {
            *x = if *x < p { F::ONE } else { F::ZERO };
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
