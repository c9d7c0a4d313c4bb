//! The Stein gradient estimator: the score of a distribution at its samples, from the samples alone. Use it where the
//! score is needed at the samples themselves, such as for the entropy of an implicit distribution; it is one solution
//! of a linear system, and cheaper than [`SpectralStein`](crate::SpectralStein).
//!
//! Stein's identity $\mathbb E_q[\nabla \ln q(x)\, h(x) + \nabla h(x)] = 0$ holds for all smooth $h$ that vanish at
//! infinity. With the functions $k(\cdot, x_i)$ of a kernel and $M$ samples, and a ridge $\eta$, it has the solution
//!
//! $$G = -(K + \eta I)^{-1} \langle \nabla, K \rangle, \qquad
//!     \langle \nabla, K \rangle_i = \sum_m \nabla_{x_m} k(x_i, x_m), \qquad K_{ij} = k(x_i, x_j).$$
//!
//! Row $i$ of $G$ is the estimate of the score at $x_i$. Li and Turner (2018).
//!
//! | | |
//! |---|---|
//! | bias | of the kernel, the ridge and the number of samples; it vanishes with many samples and a small ridge |
//! | order | 0: the estimate is detached |
//! | cost | $O(M^3 + M^2 d)$ for $M$ samples in $d$ dimensions |

use crate::scores::kernel_width::KernelWidth;
use crate::scores::pairs::{Pairs, failed};
use std::panic::Location;
use stochgrad_graph::GraphResult;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// The Stein gradient estimator, with a Gaussian kernel.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Pathwise, SteinGradient};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let samples = graph.plate("samples", 200)?;
/// let x = graph.sample("x", &Normal::new(graph.constant(1.0), 2.0), &Pathwise::new().on_plate(samples))?;
/// let score = SteinGradient::new().ridge(1.0).score(x, samples)?;
/// let exact = (x - 1.0) * -0.25; // its mean square is 0.25
/// // The mean square of the error is 0.026 on average over such samples, and above 0.084 for one in a hundred.
/// assert!((score - exact).square().mean_over(samples).item()? < 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SteinGradient {
    width: KernelWidth,
    ridge: f64,
}

impl Default for SteinGradient {
    fn default() -> Self {
        Self::new()
    }
}

impl SteinGradient {
    /// The median of the distances as the width of the kernel, and a ridge of 0.1.
    pub fn new() -> Self {
        SteinGradient { width: KernelWidth::Median, ridge: 0.1 }
    }

    /// Sets the width of the kernel.
    pub fn width(self, width: KernelWidth) -> Self {
        SteinGradient { width, ..self }
    }

    /// Sets the ridge $\eta > 0$. A small one has less bias and more variance.
    pub fn ridge(self, ridge: f64) -> Self {
        SteinGradient { ridge, ..self }
    }

    /// The estimate of the score at each of the samples along a plate: recorded, of the shape and the plates of the
    /// samples, and detached. All event axes together are one vector. Members of other plates are separate
    /// distributions.
    ///
    /// # Errors
    /// For samples that lack the plate, fewer than two samples, a width or a ridge that is not positive, and earlier
    /// errors on the tape. A kernel matrix that is singular up to rounding is an error of its factorisation.
    #[track_caller]
    pub fn score<'t, F: Real>(&self, samples: Var<'t, F>, plate: Plate) -> GraphResult<Var<'t, F>> {
        let (what, at) = ("Stein gradient", Location::caller());
        if !(self.ridge > 0.0 && self.ridge.is_finite()) {
            return Err(failed(what, format!("expected a finite ridge above 0, got {}", self.ridge), at));
        }
        let tape = samples.tape();
        tape.located(at, || {
            let pairs = Pairs::new(what, samples, plate, self.width, at)?;
            let count = tape.plate_size(plate);
            let ridge = tape.constant_from_fn([count, count], |cell| {
                if cell / count == cell % count { F::from_f64(self.ridge) } else { F::ZERO }
            });
            let factor = (pairs.kernel + ridge).cholesky();
            let solution = factor.transposed_triangular_solve(factor.triangular_solve(pairs.slopes / pairs.width));
            tape.check()?;
            Ok(pairs.values(-solution))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    fn score(samples: Tensor<f64>, estimator: SteinGradient) -> Vec<f64> {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let samples = graph.data("samples", samples).unwrap();
        estimator.score(samples, samples.plates()[0]).unwrap().peek().unwrap().to_vec()
    }

    #[test]
    fn it_has_the_known_values() {
        let numbers = Tensor::from([-1.3, -0.2, 0.4, 1.1, 2.0]);
        let found = score(numbers, SteinGradient::new().width(KernelWidth::Fixed(1.0)));
        let expected = [0.9436523093, 0.192570332, 0.06648249105, -0.06247899607, -1.139114561];
        assert_abs_diff_eq!(found[..], expected[..], epsilon = 1e-9);
        let vectors = Tensor::from([[0.0, 0.0], [1.0, 0.5], [-0.7, 1.2], [0.3, -1.0], [1.5, -0.4]]);
        let found = score(vectors, SteinGradient::new().width(KernelWidth::Fixed(1.2)));
        let expected = [
            1.262778069,
            0.2045350787,
            -0.8839185179,
            -1.739855295,
            0.4438259645,
            -0.6073893197,
            0.4921514749,
            1.365626502,
            -1.351875046,
            0.7690850331,
        ];
        assert_abs_diff_eq!(found[..], expected[..], epsilon = 1e-8);
    }

    #[test]
    fn members_of_other_plates_are_separate_distributions() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let numbers = [-1.3, -0.2, 0.4, 1.1, 2.0];
        let scales = graph.data("scales", [1.0, 2.0]).unwrap();
        let samples = graph.constant(numbers).event_to_plate(graph.plate("samples", 5).unwrap());
        let plate = samples.plates()[0];
        let found = SteinGradient::new().score(samples * scales, plate).unwrap();
        // The median scales with the samples, so that the scores are divided by the scale.
        let once = SteinGradient::new().score(samples, plate).unwrap();
        let error = (found * scales - once).square().mean_over(plate).mean_over(scales.plates()[0]);
        assert!(error.item().unwrap() < 1e-20);
    }

    #[test]
    fn arguments_outside_of_their_domain_are_errors() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let (one, two) = (graph.data("one", [1.0]).unwrap(), graph.data("two", [1.0, 2.0]).unwrap());
        let error = |estimator: SteinGradient, x: Var<'_, f64>, plate: Plate| {
            estimator.score(x, plate).unwrap_err().to_string()
        };
        let plate = two.plates()[0];
        assert!(error(SteinGradient::new(), one, one.plates()[0]).contains("at least 2 samples"));
        assert!(error(SteinGradient::new(), one, plate).contains("along plate"));
        assert!(error(SteinGradient::new().ridge(0.0), two, plate).contains("ridge above 0"));
        assert!(error(SteinGradient::new().width(KernelWidth::Fixed(-1.0)), two, plate).contains("width above 0"));
    }
}
