//! Derivatives of von Mises samples with respect to the concentration.

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::zip::fill_rows;
use crate::parallel::threads_for;
use crate::real::Real;
use crate::special::VonMisesPath;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// More elements than this are split over threads.
const COSTLY: usize = 1000;

/// The derivatives of von Mises samples with mean 0 with respect to the concentration, at constant values of the
/// distribution function, with broadcasting: minus the derivative of the distribution function, over the density.
///
/// What depends on the concentration only is computed once for neighbours with the same concentration. Samples outside
/// [-pi, pi] count as the nearest end.
///
/// # Panics
/// If the shapes do not broadcast.
///
/// ```
/// use stochgrad_tensor::{Pool, Tensor, von_mises_sample_derivatives};
///
/// let angles = Tensor::from([-1.0, 0.0, 1.0]);
/// let slopes = von_mises_sample_derivatives(&Pool::new(), &Tensor::scalar(2.0), &angles);
/// assert_eq!(slopes.as_slice()[0], -slopes.as_slice()[2]); // a larger concentration moves samples to the mean
/// assert!(slopes.as_slice()[0] > 0.0 && slopes.as_slice()[1] == 0.0);
/// ```
pub fn von_mises_sample_derivatives<F: Real>(
    pool: &Pool<F>,
    concentration: &Tensor<F>,
    angles: &Tensor<F>,
) -> Tensor<F> {
    let inputs = [concentration, angles];
    let shape = Shape::broadcast(concentration.shape(), angles.shape())
        .unwrap_or_else(|| panic!("shapes {} and {} do not broadcast", concentration.shape(), angles.shape()));
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let iter = BroadcastIter::new(&out.shape().clone(), inputs.map(Tensor::shape));
    let steps = iter.steps;
    let [kappa, angles] = inputs.map(Tensor::as_slice);
    fill_rows(threads_for(pool.threads(), out.len(), COSTLY), &iter, out.make_mut(), |row, at| {
        let mut path = VonMisesPath::new(kappa[at[0]].to_f64());
        for (i, out) in row.iter_mut().enumerate() {
            let own = kappa[at[0] + i * steps[0]].to_f64();
            if own != path.kappa {
                path = VonMisesPath::new(own);
            }
            let angle = angles[at[1] + i * steps[1]].to_f64();
            *out = F::from_f64(path.at(angle.clamp(-std::f64::consts::PI, std::f64::consts::PI)));
        }
    });
    out
}
