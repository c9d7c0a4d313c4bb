//! The spectral Stein gradient estimator: the score of a distribution at any point, from samples alone. Use it for the
//! entropy of an implicit distribution, whose samples are the output of a network, and wherever the score is needed at
//! other points than the samples.
//!
//! The score is expanded in the eigenfunctions $\psi_j$ of a kernel with respect to the distribution. By Stein's
//! identity, its coefficients are means of derivatives: $\nabla \ln q = \sum_j \beta_j \psi_j$ with $\beta_j =
//! -\mathbb E_q[\nabla \psi_j]$. The Nyström method finds the eigenfunctions from $M$ samples and the eigenvectors $u_j$
//! of their kernel matrix with the largest eigenvalues $\lambda_j$:
//!
//! $$\psi_j(x) = \frac{\sqrt M}{\lambda_j} \sum_m u_{jm}\, k(x, x_m), \qquad
//!     \hat\beta_j = -\frac1M \sum_m \nabla \psi_j(x_m), \qquad \widehat{\nabla \ln q}(x) = \sum_{j \le J} \hat\beta_j\, \psi_j(x).$$
//!
//! Shi, Sun and Zhu (2018).
//!
//! | | |
//! |---|---|
//! | bias | of the eigenfunctions that are left out and the number of samples |
//! | order | 0: the estimate is detached |
//! | cost | $O(M^3 + M^2 d)$ for $M$ samples in $d$ dimensions, and $O(M^2)$ for each further point |

use crate::scores::kernel_width::KernelWidth;
use crate::scores::leading_eigenvectors::{InverseSquare, Leading};
use crate::scores::pairs::{Pairs, failed};
use std::panic::Location;
use std::sync::Arc;
use stochgrad_graph::GraphResult;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// What the messages of errors name.
const WHAT: &str = "spectral Stein gradient";

/// The spectral Stein gradient estimator, with a Gaussian kernel.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Pathwise, SpectralStein};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let samples = graph.plate("samples", 200)?;
/// let x = graph.sample("x", &Normal::new(graph.constant(1.0), 2.0), &Pathwise::new().on_plate(samples))?;
/// let score = SpectralStein::new().score_at(x, samples, graph.constant(2.0))?;
/// assert!((score.item()? + 0.25).abs() < 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectralStein {
    width: KernelWidth,
    leading: Leading,
}

impl Default for SpectralStein {
    fn default() -> Self {
        Self::new()
    }
}

impl SpectralStein {
    /// The median of the distances as the width of the kernel, and the eigenfunctions with 95 % of the eigenvalues.
    pub fn new() -> Self {
        SpectralStein { width: KernelWidth::Median, leading: Leading::Share(0.95) }
    }

    /// Sets the width of the kernel.
    pub fn width(self, width: KernelWidth) -> Self {
        SpectralStein { width, ..self }
    }

    /// Uses this number of eigenfunctions.
    pub fn eigenfunctions(self, count: usize) -> Self {
        SpectralStein { leading: Leading::Count(count), ..self }
    }

    /// Uses as few eigenfunctions as have this share of the sum of all eigenvalues.
    pub fn share(self, share: f64) -> Self {
        SpectralStein { leading: Leading::Share(share), ..self }
    }

    /// The estimate of the score at each of the samples along a plate: recorded, of the shape and the plates of the
    /// samples, and detached. All event axes together are one vector. Members of other plates are separate
    /// distributions.
    ///
    /// # Errors
    /// For samples that lack the plate, fewer than two samples, settings outside of their domain, more eigenfunctions
    /// than the kernel has above rounding, and earlier errors on the tape.
    #[track_caller]
    pub fn score<'t, F: Real>(&self, samples: Var<'t, F>, plate: Plate) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        samples.tape().located(at, || {
            let (pairs, coefficients) = self.expand(samples, plate, at)?;
            samples.tape().check()?;
            Ok(pairs.values(pairs.kernel.matmul(coefficients)))
        })
    }

    /// The estimate of the score at points of the shape of the samples: recorded, of the shape and the plates of the
    /// points, and detached.
    ///
    /// # Errors
    /// As [`score`](Self::score), and for points of another shape.
    #[track_caller]
    pub fn score_at<'t, F: Real>(
        &self,
        samples: Var<'t, F>,
        plate: Plate,
        points: Var<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        samples.tape().located(at, || {
            let (pairs, coefficients) = self.expand(samples, plate, at)?;
            let kernel = pairs.kernel_at(WHAT, points, at)?;
            samples.tape().check()?;
            Ok(pairs.value(kernel.matmul(coefficients)))
        })
    }

    /// The pairs of samples, and the matrix that maps the kernel of a point with the samples to its score.
    fn expand<'t, F: Real>(
        &self,
        samples: Var<'t, F>,
        plate: Plate,
        at: &'static Location<'static>,
    ) -> GraphResult<(Pairs<'t, F>, Var<'t, F>)> {
        let pairs = Pairs::new(WHAT, samples, plate, self.width, at)?;
        let count = samples.tape().plate_size(plate);
        let problem = match self.leading {
            Leading::Count(chosen) if !(1..=count).contains(&chosen) => {
                Some(format!("expected 1 to {count} eigenfunctions of {count} samples, got {chosen}"))
            }
            Leading::Share(share) if !(share > 0.0 && share <= 1.0) => {
                Some(format!("expected a share of the eigenvalues in (0, 1], got {share}"))
            }
            Leading::Count(_) | Leading::Share(_) => None,
        };
        if let Some(problem) = problem {
            return Err(failed(WHAT, problem, at));
        }
        let inverse = samples.tape().custom(Arc::new(InverseSquare { leading: self.leading }), &[pairs.kernel]);
        let coefficients = -inverse.matmul(pairs.slopes / pairs.width);
        Ok((pairs, coefficients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    fn at_points(samples: Tensor<f64>, width: f64, points: Tensor<f64>) -> Vec<f64> {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let samples = graph.data("samples", samples).unwrap();
        let points = graph.data("points", points).unwrap();
        let estimator = SpectralStein::new().width(KernelWidth::Fixed(width)).eigenfunctions(3);
        estimator.score_at(samples, samples.plates()[0], points).unwrap().peek().unwrap().to_vec()
    }

    #[test]
    fn it_has_the_known_values() {
        let numbers = Tensor::from([-1.3, -0.2, 0.4, 1.1, 2.0]);
        let found = at_points(numbers, 1.0, Tensor::from([-1.0, 0.0, 1.5]));
        let expected = [0.8221091615, 0.4408889107, -0.7942261155];
        assert_abs_diff_eq!(found[..], expected[..], epsilon = 1e-9);
        let vectors = Tensor::from([[0.0, 0.0], [1.0, 0.5], [-0.7, 1.2], [0.3, -1.0], [1.5, -0.4]]);
        let found = at_points(vectors, 1.2, Tensor::from([[0.0, 0.0], [0.5, 0.5]]));
        let expected = [0.8053104475, 0.3334627907, -0.2964631331, -0.7672714972];
        assert_abs_diff_eq!(found[..], expected[..], epsilon = 1e-9);
    }

    #[test]
    fn the_samples_are_points_like_others_and_a_share_selects_eigenfunctions() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let samples = graph.data("samples", [-1.3, -0.2, 0.4, 1.1, 2.0]).unwrap();
        let plate = samples.plates()[0];
        let found = |estimator: SpectralStein, at_points: bool| {
            let score =
                if at_points { estimator.score_at(samples, plate, samples) } else { estimator.score(samples, plate) };
            score.unwrap().peek().unwrap().to_vec()
        };
        let fixed = SpectralStein::new().width(KernelWidth::Fixed(1.0));
        for estimator in [fixed.eigenfunctions(3), fixed.share(0.9), SpectralStein::new()] {
            assert_abs_diff_eq!(found(estimator, true)[..], found(estimator, false)[..], epsilon = 1e-9);
        }
        // The eigenvalues are 2.717, 1.356, 0.708 and less, with the sum 5.
        assert_eq!(found(fixed.share(0.9), false), found(fixed.eigenfunctions(3), false));
        assert_eq!(found(fixed.share(0.8), false), found(fixed.eigenfunctions(2), false));
    }

    /// The banana-shaped distribution x₁ ~ N(0, 4), x₂ ~ N((x₁² − 4) / 2, 1).
    #[test]
    fn it_approaches_the_exact_score() {
        let error = |count: usize| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let plate = graph.plate("samples", count).unwrap();
            let method = crate::Pathwise::new().on_plate(plate);
            let normal = stochgrad_distributions::Normal::new(graph.constant([0.0, 0.0]), 1.0);
            let noise = graph.sample("noise", &normal, &method).unwrap();
            let first = noise.index(0, 0) * 2.0;
            let bent = (first.square() - 4.0) * 0.5;
            let x = Var::stack(&[first, noise.index(0, 1) + bent]).unwrap();
            let residual = noise.index(0, 1);
            let exact = Var::stack(&[first * -0.25 + residual * first, -residual]).unwrap();
            let found = SpectralStein::new().share(0.999).score(x, plate).unwrap();
            (found - exact).square().sum().mean_over(plate).item().unwrap() / 5.25
        };
        let (few, many) = (error(50), error(400));
        assert!(many < 0.7 * few && many < 0.45, "{few}, {many}");
    }

    #[test]
    fn too_many_eigenfunctions_are_errors() {
        let message = |estimator: SpectralStein| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let samples = graph.data("samples", [1.0, 1.0, 2.0]).unwrap();
            estimator.score(samples, samples.plates()[0]).unwrap_err().to_string()
        };
        assert!(message(SpectralStein::new().eigenfunctions(4)).contains("1 to 3 eigenfunctions"));
        assert!(message(SpectralStein::new().share(1.5)).contains("share of the eigenvalues"));
        // Two samples agree.
        let fixed = SpectralStein::new().width(KernelWidth::Fixed(1.0));
        assert!(message(fixed.eigenfunctions(3)).contains("above rounding"));
        assert!(message(SpectralStein::new()).contains("set a width"));
    }
}
