//! Distributions whose parameters are tensors, and their sampling with the generators of the crate `rand`.

use crate::distribution::traits::Distribution;
use crate::error::DistributionResult;
use crate::noise::{Draw, NoiseKey, NoiseSource};
use stochgrad_tape::{Plates, Tape};
use stochgrad_tensor::{Real, Tensor};

/// A distribution whose parameters are tensors, such as `Normal<Tensor<f64>>`. It belongs to no tape.
///
/// Use it to draw values without derivatives: for test data, for the state of an environment, or wherever code expects
/// a distribution of the crate [`rand`]. Every such type also implements [`rand::distr::Distribution`], so that any
/// generator draws from it. The macros [`family!`](crate::family) and [`distribution!`](crate::distribution) write both
/// implementations for your own types.
///
/// One sample has the event shape of the distribution, which is the shape to which its parameters broadcast. Each
/// sample is computed on a tape of its own. For many samples, give the parameters a leading axis and draw once.
///
/// ```
/// use rand::distr::Distribution as _;
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
/// use stochgrad_distributions::{Bernoulli, Normal, ToTensors};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut rng = ChaCha8Rng::seed_from_u64(7);
/// let coins = Bernoulli::from_probabilities(Tensor::from([0.0, 0.5, 1.0]));
/// let sides: Tensor<f64> = coins.sample(&mut rng);
/// assert_eq!((sides.as_slice()[0], sides.as_slice()[2]), (0.0, 1.0));
///
/// let tape = Tape::<f64>::new();
/// let normal = Normal::new(tape.constant([0.0, 5.0]), 1.0).to_tensors()?;
/// let samples: Vec<Tensor<f64>> = normal.sample_iter(rng).take(3).collect();
/// assert!(samples.iter().all(|sample| sample.shape().to_vec() == [2]));
/// # Ok(())
/// # }
/// ```
pub trait TensorDistribution<F: Real> {
    /// The same distribution with parameters on a tape.
    type On<'t>: Distribution<'t, F>;

    /// Records the parameters on a tape as constants.
    fn on<'t>(&self, tape: &'t Tape<F>) -> Self::On<'t>;

    /// Draws one sample from a noise source, at the address [`NoiseKey::new("sample", None)`](NoiseKey::new).
    ///
    /// [`rand::distr::Distribution::sample`] calls this with [`KeyedNoise::from_rng`](crate::KeyedNoise::from_rng) and
    /// panics where this returns an error.
    ///
    /// # Errors
    /// If a parameter is outside its domain, or the noise source cannot give what is needed.
    fn sample_from(&self, noise: &dyn NoiseSource<F>) -> DistributionResult<Tensor<F>> {
        let tape = Tape::new();
        let live = self.on(&tape);
        live.validate()?;
        live.draw(&Draw::new(&tape, noise, NoiseKey::new("sample", None), Plates::new()))
    }
}

/// A live distribution whose parameters can be copied from the tape.
pub trait ToTensors<'t, F: Real>: Distribution<'t, F> {
    /// The same distribution with tensors as parameters.
    type Tensors: TensorDistribution<F, On<'t> = Self>;

    /// Copies the values of the parameters. Plates of the parameters become leading axes of the tensors.
    ///
    /// # Errors
    /// The first error on the tape.
    fn to_tensors(&self) -> DistributionResult<Self::Tensors>;
}

/// Implements [`rand::distr::Distribution`] for a type that is a
/// [`TensorDistribution`](crate::TensorDistribution).
#[doc(hidden)]
#[macro_export]
macro_rules! sampled_by_rand {
    ([$($generics:tt)*] $name:ty) => {
        impl<F: $crate::Real, $($generics)*> $crate::rand::distr::Distribution<$crate::Tensor<F>> for $name {
            /// Draws one sample.
            ///
            /// # Panics
            /// If a parameter is outside its domain.
            #[track_caller]
            fn sample<R: $crate::rand::Rng + ?Sized>(&self, rng: &mut R) -> $crate::Tensor<F> {
                match $crate::TensorDistribution::sample_from(self, &$crate::KeyedNoise::from_rng(rng)) {
                    Ok(sample) => sample,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
}
