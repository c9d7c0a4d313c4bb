//! Covariance functions of Gaussian processes.
//!
//! Each is a function of the distance $r$ of two points in units of the length scale, times the square of the standard
//! deviation $\sigma$:
//!
//! | kernel | covariance over $\sigma^2$ | samples are |
//! |---|---|---|
//! | `Exponential` | $e^{-r}$ | continuous |
//! | `Matern32` | $(1 + \sqrt3 r) e^{-\sqrt3 r}$ | once differentiable |
//! | `Matern52` | $(1 + \sqrt5 r + \tfrac53 r^2) e^{-\sqrt5 r}$ | twice differentiable |
//! | `SquaredExponential` | $e^{-r^2/2}$ | smooth |
//!
//! Source: Rasmussen and Williams, "Gaussian processes for machine learning", 2006, chapter 4.

use stochgrad_tape::{IntoVar, Var};
use stochgrad_tensor::Real;

/// The covariance function of a [`GaussianProcess`](crate::GaussianProcess).
///
/// For sums and products of kernels, add or multiply their matrices, and use
/// [`MultivariateNormal::from_covariance`](crate::MultivariateNormal::from_covariance).
///
/// ```
/// use stochgrad_distributions::{Kernel, MultivariateNormal};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let points = tape.constant([[0.0], [0.5], [2.0]]);
/// let trend = Kernel::SquaredExponential.matrix(points, points, tape.constant(1.0), 5.0);
/// let detail = Kernel::Matern32.matrix(points, points, tape.constant(0.2), 0.3);
/// let noise = tape.constant(Tensor::eye(3)) * 0.01;
/// let values = MultivariateNormal::from_covariance(tape.constant([0.0, 0.0, 0.0]), trend + detail + noise);
/// assert!((values.covariance().index(-1, 0).index(-1, 0).item()? - 1.05).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// $e^{-r}$: the Ornstein–Uhlenbeck process, or Matérn kernel of smoothness 1/2.
    Exponential,
    /// The Matérn kernel of smoothness 3/2.
    Matern32,
    /// The Matérn kernel of smoothness 5/2.
    Matern52,
    /// $e^{-r^2/2}$.
    SquaredExponential,
}

impl Kernel {
    /// The covariances of two lists of points, shape `[…, n, m]`. The points have shapes `[…, n, d]` and `[…, m, d]`.
    /// `deviation` is the standard deviation of values at one point, `length` the length scale: a number, or one for each
    /// of the d coordinates along a last axis. The axes before these broadcast.
    ///
    /// Where a point of one list is equal to one of the other, derivatives of the Matérn kernels with respect to the points
    /// are right to first order, and that of `Exponential`, which has a kink there, is 0.
    #[track_caller]
    pub fn matrix<'t, F: Real>(
        self,
        points: Var<'t, F>,
        others: Var<'t, F>,
        deviation: Var<'t, F>,
        length: impl IntoVar<'t, F>,
    ) -> Var<'t, F> {
        let (tape, length) = (points.tape(), length.into_var(points.tape()));
        // One length for all coordinates needs no axis of its own.
        let rows = if length.shape().is_empty() { length } else { length.unsqueeze(-2) };
        let differences = (points / rows).unsqueeze(-2) - (others / rows).unsqueeze(-3);
        let square = differences.square().sum_axis(-1);
        let shape = match self {
            Kernel::SquaredExponential => (square * -0.5).exp(),
            Kernel::Exponential | Kernel::Matern32 | Kernel::Matern52 => {
                // The root has no derivative at 0, where the kernel itself has the derivative 0.
                let apart = square.held().gt(tape.constant(0.0));
                let r = apart.select(apart.select(square, tape.constant(1.0)).sqrt(), tape.constant(0.0));
                match self {
                    Kernel::Exponential => (-r).exp(),
                    Kernel::Matern32 => {
                        let r = r * 3.0_f64.sqrt();
                        (r + 1.0) * (-r).exp()
                    }
                    _ => {
                        let r = r * 5.0_f64.sqrt();
                        (r + r.square() * (1.0 / 3.0) + 1.0) * (-r).exp()
                    }
                }
            }
        };
        shape * deviation.square().unsqueeze(-1).unsqueeze(-1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, check_score};
    use stochgrad_tape::Tape;

    const ALL: [Kernel; 4] = [Kernel::Exponential, Kernel::Matern32, Kernel::Matern52, Kernel::SquaredExponential];

    #[test]
    fn entries_are_those_of_the_formulas() {
        let tape = Tape::<f64>::new();
        let points = tape.constant([[0.0, 1.0], [0.6, 1.8]]);
        let others = tape.constant([[0.0, 1.0], [3.0, 1.0], [0.6, 1.8]]);
        // Distances in units of the length scales 1.5 and 0.5.
        let distance = |a: [f64; 2], b: [f64; 2]| ((a[0] - b[0]) / 1.5).hypot((a[1] - b[1]) / 0.5);
        for kernel in ALL {
            let lengths = tape.constant([1.5, 0.5]);
            let found = kernel.matrix(points, others, tape.constant(0.7), lengths).peek().unwrap();
            assert_eq!(found.shape().to_vec(), [2, 3]);
            let shape = |r: f64| match kernel {
                Kernel::Exponential => (-r).exp(),
                Kernel::Matern32 => (1.0 + 3f64.sqrt() * r) * (-(3f64.sqrt()) * r).exp(),
                Kernel::Matern52 => (1.0 + 5f64.sqrt() * r + 5.0 / 3.0 * r * r) * (-(5f64.sqrt()) * r).exp(),
                Kernel::SquaredExponential => (-0.5 * r * r).exp(),
            };
            let mut expected = Vec::new();
            for a in [[0.0, 1.0], [0.6, 1.8]] {
                for b in [[0.0, 1.0], [3.0, 1.0], [0.6, 1.8]] {
                    expected.push(0.49 * shape(distance(a, b)));
                }
            }
            assert_close(found.as_slice(), &expected, 1e-14);
        }
    }

    #[test]
    fn derivatives_are_those_of_differences_also_at_equal_points() {
        let weights = [[0.3, -1.0], [0.7, 0.2]];
        for kernel in ALL {
            check_score(&[0.4, 1.2], |v| {
                let points = v.tape().constant([[0.1], [0.9]]);
                let matrix = kernel.matrix(points, points, v.index(0, 0), v.index(0, 1));
                (matrix * v.tape().constant(weights)).sum()
            });
        }
        // The points themselves, one of which is in both lists: its distance to itself does not change.
        for kernel in [Kernel::Matern32, Kernel::Matern52, Kernel::SquaredExponential] {
            check_score(&[0.4, 1.2], |v| {
                let points = v.unsqueeze(-1);
                let matrix = kernel.matrix(points, points, v.tape().constant(1.3), 0.8);
                (matrix * v.tape().constant(weights)).sum()
            });
        }
    }
}
