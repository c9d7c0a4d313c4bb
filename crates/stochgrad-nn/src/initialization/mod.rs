//! Initial values of layers.

mod orthogonal;

use stochgrad_graph::Seed;
use stochgrad_tensor::random::{Key, address_hash};
use stochgrad_tensor::{Real, Shape, Tensor};

use orthogonal::orthogonal;

/// How the initial values of a layer are drawn.
///
/// All draws are determined by the seed and the full name of the parameter, so adding a layer does not change the
/// initial values of the other layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Initialization {
    /// Weights and biases uniform within $\pm 1 / \sqrt{n}$, with $n$ inputs.
    #[default]
    Uniform,
    /// Weights uniform within $\pm\sqrt{6 / (n + m)}$, with $n$ inputs and $m$ outputs; biases 0. For tanh and sigmoid
    /// (Glorot & Bengio 2010).
    Xavier,
    /// Weights normal with variance $2 / n$, with $n$ inputs; biases 0. For relu (He et al. 2015).
    He,
    /// Weights standard normal, for embeddings; biases 0.
    Normal,
    /// Weights with orthonormal rows or columns, whichever are fewer, uniformly distributed; biases 0. A product with
    /// them keeps the length of vectors or projects them. For deep and recurrent networks (Saxe et al. 2014).
    Orthogonal,
    /// All values are 0, for an output layer that initially outputs 0.
    Zeros,
}

impl Initialization {
    /// The weights of a layer, of shape `[inputs, outputs]`.
    ///
    /// `name` is the full name of the parameter. The tensor is empty if there are no inputs or no outputs.
    pub fn weight<F: Real>(self, name: &str, inputs: usize, outputs: usize, seed: Seed) -> Tensor<F> {
        self.values(name, Shape::from([inputs, outputs]), [inputs, outputs], seed)
    }

    /// Weights of any shape, whose last axis is that of the outputs. `n` inputs contribute to each output, and `m`
    /// outputs depend on each input.
    pub(crate) fn values<F: Real>(self, name: &str, shape: Shape, [n, m]: [usize; 2], seed: Seed) -> Tensor<F> {
        let (n, m) = (n as f64, m as f64);
        match self {
            Self::Uniform => uniform(name, shape, 1.0 / n.sqrt(), seed),
            Self::Xavier => uniform(name, shape, (6.0 / (n + m)).sqrt(), seed),
            Self::He => scaled(normal(name, shape, seed), |z: F| z * F::from_f64((2.0 / n).sqrt())),
            Self::Normal => normal(name, shape, seed),
            Self::Orthogonal => orthogonal(&key(name, seed), shape),
            Self::Zeros => Tensor::zeros(shape),
        }
    }

    /// The biases of a layer, of shape `[outputs]`.
    pub fn bias<F: Real>(self, name: &str, inputs: usize, outputs: usize, seed: Seed) -> Tensor<F> {
        let shape = Shape::from([outputs]);
        match self {
            Self::Uniform => uniform(name, shape, 1.0 / (inputs as f64).sqrt(), seed),
            Self::Xavier | Self::He | Self::Normal | Self::Orthogonal | Self::Zeros => Tensor::zeros(shape),
        }
    }
}

/// The key differs from that of a stochastic node of the same name, so that their draws are independent.
fn key(name: &str, seed: Seed) -> Key {
    Key::new(seed.seed, seed.step, address_hash(name, &[])).derive("initialization")
}

fn normal<F: Real>(name: &str, shape: Shape, seed: Seed) -> Tensor<F> {
    let mut values = Tensor::zeros(shape);
    key(name, seed).normal(0, values.make_mut());
    values
}

fn uniform<F: Real>(name: &str, shape: Shape, bound: f64, seed: Seed) -> Tensor<F> {
    let mut values = Tensor::zeros(shape);
    key(name, seed).uniform(0, values.make_mut());
    let (two, bound) = (F::from_f64(2.0), F::from_f64(bound));
    scaled(values, |u: F| (two * u - F::ONE) * bound)
}

fn scaled<F: Real>(mut values: Tensor<F>, scale: impl Fn(F) -> F) -> Tensor<F> {
    values.make_mut().iter_mut().for_each(|value| *value = scale(*value));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 11;

    fn moments(values: &Tensor<f64>) -> (f64, f64, f64) {
        let n = values.len() as f64;
        let mean = values.as_slice().iter().sum::<f64>() / n;
        let variance = values.as_slice().iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let largest = values.as_slice().iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        (mean, variance, largest)
    }

    #[test]
    fn weights_have_the_mean_variance_and_bound_of_their_distribution() {
        let (inputs, outputs) = (100, 300);
        let count = (inputs * outputs) as f64;
        let cases = [
            (Initialization::Uniform, 0.1 * 0.1 / 3.0, Some(0.1)),
            (Initialization::Xavier, 6.0 / 400.0 / 3.0, Some((6.0_f64 / 400.0).sqrt())),
            (Initialization::He, 2.0 / 100.0, None),
            (Initialization::Normal, 1.0, None),
        ];
        for (initialization, variance, bound) in cases {
            let weight = initialization.weight::<f64>("layer.weight", inputs, outputs, Seed::new(SEED));
            assert_eq!(weight.shape()[..], [inputs, outputs]);
            let (mean, found, largest) = moments(&weight);
            assert!(mean.abs() < 4.0 * (variance / count).sqrt(), "{mean}");
            // The fourth moment of a normal is three squared variances.
            let deviation = variance * (2.0 / count).sqrt();
            assert!((found - variance).abs() < 4.0 * deviation, "{found}");
            if let Some(bound) = bound {
                assert!(largest <= bound && largest > 0.99 * bound, "{largest}");
            }
        }
    }

    #[test]
    fn biases_are_within_the_bound_or_zero() {
        let (_, _, largest) = moments(&Initialization::Uniform.bias("b", 4, 1000, Seed::new(SEED)));
        assert!(largest <= 0.5 && largest > 0.49, "{largest}");
        use Initialization::{He, Normal, Orthogonal, Xavier, Zeros};
        for initialization in [Xavier, He, Normal, Orthogonal, Zeros] {
            let bias = initialization.bias::<f32>("b", 4, 3, Seed::new(SEED));
            assert_eq!(bias.as_slice(), [0.0; 3]);
        }
        let weight = Initialization::Zeros.weight::<f64>("w", 2, 2, Seed::new(SEED));
        assert_eq!(weight.as_slice(), [0.0; 4]);
    }

    #[test]
    fn the_name_and_the_seed_decide_the_values() {
        let draw = |name: &str, seed: u64| Initialization::Uniform.weight::<f64>(name, 3, 4, Seed::new(seed));
        assert_eq!(draw("a", 1), draw("a", 1));
        assert_ne!(draw("a", 1), draw("b", 1));
        assert_ne!(draw("a", 1), draw("a", 2));
    }
}
