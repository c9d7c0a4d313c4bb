//! Counts of categories in a number of independent trials, by inversion of uniform values.

use crate::kernels::reduce::expand;
use crate::parallel::{TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::special::binomial_icdf;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// About as many elements are worth a thread of their own.
const PIECE: usize = 1024;

/// Samples how often each category occurs in a number of trials. The last axis of `table` contains the weights of the
/// categories, `trials` has an axis of size 1 there, and `uniforms` has a uniform value for each category. A negative
/// one is the distance to 1, as in [folded](crate::random::Fill::Folded) noise.
///
/// One category is drawn after the other, each as a binomial count in the trials that are left. The counts of a row
/// therefore sum to its number of trials. Rows of the table are summed in more than double precision; a category with
/// weight 0 never occurs. Trials that are no count, and weights that have no positive sum, give NaN.
///
/// # Panics
/// If the table and the trials do not broadcast to the shape of the uniform values, or there is no category.
///
/// ```
/// use stochgrad_tensor::layout::category_counts;
/// use stochgrad_tensor::{Pool, Tensor};
///
/// let (table, trials) = (Tensor::from([1.0, 0.0, 1.0]), Tensor::from([5.0]));
/// let counts = category_counts(&Pool::new(), &table, &trials, &Tensor::from([0.45, 0.3, 0.7]));
/// assert_eq!(counts.to_vec(), [2.0, 0.0, 3.0]);
/// ```
pub fn category_counts<F: Real>(
    pool: &Pool<F>,
    table: &Tensor<F>,
    trials: &Tensor<F>,
    uniforms: &Tensor<F>,
) -> Tensor<F> {
    let shape = uniforms.shape().clone();
    let count = shape.last().copied().unwrap_or(0);
    assert!(count > 0, "expected at least one category, got uniform values of shape {shape}");
    let one = shape.with_size(shape.rank() - 1, 1);
    let (table, trials) = (expand(pool, table, &shape), expand(pool, trials, &one));
    let mut out = pool.take(shape);
    let threads = threads_for(pool.threads(), out.len(), TRANSCENDENTAL / 8);
    let (weights, numbers, noise) = (table.as_slice(), trials.as_slice(), uniforms.as_slice());
    fill(threads, out.make_mut(), PIECE.next_multiple_of(count), |start, out| {
        for (row, counts) in out.chunks_mut(count).enumerate() {
            let (row, at) = (start / count + row, start + row * count);
            row_of_counts(&weights[at..at + count], numbers[row].to_f64(), &noise[at..at + count], counts);
        }
    });
    pool.recycle(table);
    pool.recycle(trials);
    out
}

fn row_of_counts<F: Real>(weights: &[F], trials: f64, uniforms: &[F], counts: &mut [F]) {
    let last = weights.iter().rposition(|p| p.to_f64() > 0.0).unwrap_or(weights.len() - 1);
    let total = weights.iter().fold(Sum::default(), |sum, p| sum.plus(p.to_f64()));
    let (mut drawn, mut left) = (Sum::default(), trials);
    for (k, (p, u)) in weights.iter().zip(uniforms).enumerate() {
        let (p, u) = (p.to_f64(), u.to_f64());
        let u = if u < 0.0 { 1.0 + u } else { u };
        // From the last possible category on the share is exactly 1, in spite of rounding.
        let share = if k >= last && total.high > 0.0 { 1.0 } else { (p / total.minus(drawn)).clamp(0.0, 1.0) };
        let found = binomial_icdf(u, left, if p < 0.0 { f64::NAN } else { share });
        counts[k] = F::from_f64(found);
        (drawn, left) = (drawn.plus(p), left - found);
    }
}

/// A sum with its rounding error, so that a small rest keeps its digits.
#[derive(Clone, Copy, Default)]
struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    fn plus(self, x: f64) -> Self {
        let high = self.high + x;
        let part = high - self.high;
        Sum { high, low: self.low + ((self.high - (high - part)) + (x - part)) }
    }

    fn minus(self, other: Self) -> f64 {
        (self.high - other.high) + (self.low - other.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special::binomial_cdf;

    #[test]
    fn each_count_is_the_quantile_given_the_earlier_ones() {
        let table = Tensor::from([0.2, 0.3, 0.5]);
        for (first, second) in [(0.1, 0.2), (0.5, 0.9), (0.999, 0.01)] {
            let counts = category_counts(
                &Pool::new(),
                &table,
                &Tensor::from([7.0]),
                &Tensor::from([first, second, 0.4]).with_shape([1, 3]),
            );
            let [a, b, c] = [0, 1, 2].map(|k| counts.as_slice()[k]);
            assert!(binomial_cdf(a, 7.0, 0.2) >= first && (a == 0.0 || binomial_cdf(a - 1.0, 7.0, 0.2) < first));
            let share = 0.3 / 0.8;
            assert!(binomial_cdf(b, 7.0 - a, share) >= second);
            assert!(b == 0.0 || binomial_cdf(b - 1.0, 7.0 - a, share) < second);
            assert_eq!(a + b + c, 7.0);
        }
    }

    #[test]
    fn impossible_categories_never_occur_and_rare_ones_do() {
        let pool = Pool::new();
        let uniforms = Tensor::from_fn([1000, 4], |i| ((i * 7919 % 4003) as f32 + 0.5) / 4003.0);
        let counts = category_counts(&pool, &Tensor::from([0.0, 1.0, 3.0, 0.0]), &Tensor::from([9.0]), &uniforms);
        for row in counts.as_slice().chunks(4) {
            assert!(row[0] == 0.0 && row[3] == 0.0 && row[1] + row[2] == 9.0, "{row:?}");
        }
        // In single precision, the sum of the weights is 1 after the first category.
        let rare = category_counts(
            &pool,
            &Tensor::from([1.0_f32, 1e-9, 1e-9]),
            &Tensor::from([1e9_f32]),
            &Tensor::from([0.5_f32, 0.5, 0.5]),
        );
        let [_, a, b] = [0, 1, 2].map(|k| rare.as_slice()[k]);
        assert_eq!((a, b), (1.0, 1.0));
    }

    #[test]
    fn threads_do_not_matter_and_operands_broadcast() {
        let table = Tensor::from_fn([3, 1, 5], |i| (i % 4) as f64 + 0.1);
        let trials = Tensor::from_fn([2000, 1], |i| (i % 13) as f64);
        let uniforms = Tensor::from_fn([3, 2000, 5], |i| ((i * 7919 % 30_011) as f64 + 0.5) / 30_011.0);
        let one = category_counts(&Pool::new(), &table, &trials, &uniforms);
        assert_eq!(one, category_counts(&Pool::with_threads(3), &table, &trials, &uniforms));
        for (row, counts) in one.as_slice().chunks(5).enumerate() {
            assert_eq!(counts.iter().sum::<f64>(), (row % 2000 % 13) as f64);
        }
    }

    #[test]
    fn what_is_no_count_or_no_distribution_gives_nan() {
        let counts = |weights: [f64; 2], trials: f64| {
            category_counts(&Pool::new(), &weights.into(), &Tensor::from([trials]), &Tensor::from([0.5, 0.5])).to_vec()
        };
        for (weights, trials) in
            [([0.5, 0.5], 1.5), ([0.5, 0.5], -1.0), ([0.0, 0.0], 2.0), ([-0.5, 1.5], 2.0), ([f64::NAN, 1.0], 2.0)]
        {
            assert!(counts(weights, trials)[0].is_nan(), "{weights:?}, {trials}");
        }
    }
}
