//! Categories by inversion of uniform values.

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::zip::fill_rows;
use crate::parallel::{TRANSCENDENTAL, threads_for};
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// Samples categories by inversion. The last axis of `table` contains the weights of the categories. The sample is the
/// first category at which the cumulative weight exceeds the uniform value times the total weight. A negative uniform
/// value is the distance to 1, as in [folded](crate::random::Fill::Folded) noise, so that rare last categories occur as
/// often as they should in single precision too.
///
/// The leading axes of `table` broadcast to the shape of `uniforms`, which is also the shape of the result. Rows are
/// summed in double precision; a category with weight 0 is never drawn.
///
/// # Panics
/// If the leading axes of the table do not broadcast to the shape of the uniform values, or there is no category.
pub fn categories<F: Real>(pool: &Pool<F>, table: &Tensor<F>, uniforms: &Tensor<F>) -> Tensor<F> {
    let Some((&count, lead)) = table.shape().split_last() else {
        panic!("expected a table of categories with at least one axis, got a scalar")
    };
    assert!(count > 0, "expected at least one category, got a table of shape {}", table.shape());
    let lead = Shape::from(lead);
    let shape = uniforms.shape().clone();
    assert!(
        Shape::broadcast(&lead, &shape).as_ref() == Some(&shape),
        "leading axes {lead} of the table do not broadcast to the shape {shape} of the uniform values"
    );
    let mut out = pool.take(shape.clone());
    if out.is_empty() {
        return out;
    }
    let iter = BroadcastIter::new(&shape, [&lead, &shape]);
    let threads = threads_for(pool.threads(), out.len(), TRANSCENDENTAL);
    let (table, uniforms) = (table.as_slice(), uniforms.as_slice());
    let [step, _] = iter.steps;
    fill_rows(threads, &iter, out.make_mut(), |out, [at, first]| {
        for (i, out) in out.iter_mut().enumerate() {
            let row = &table[(at + i * step) * count..][..count];
            *out = F::from_usize(category(row, uniforms[first + i].to_f64()));
        }
    });
    out
}

fn category<F: Real>(row: &[F], uniform: f64) -> usize {
    let total: f64 = row.iter().map(|p| p.to_f64()).sum();
    let target = if uniform < 0.0 { 1.0 + uniform } else { uniform } * total;
    let mut sum = 0.0;
    let mut last = row.len() - 1;
    for (category, p) in row.iter().map(|p| p.to_f64()).enumerate() {
        sum += p;
        if p > 0.0 {
            last = category;
            if target < sum {
                return category;
            }
        }
    }
    // Because of rounding, the cumulative sum may stay below the total.
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_category_is_as_frequent_as_the_noise_allows() {
        let table = Tensor::from([0.25_f32, 0.75, 2.5e-8]);
        let noise = Tensor::from([-2.4e-8_f32, -2.6e-8, -0.5, 1e-9]);
        assert_eq!(categories(&Pool::new(), &table, &noise), Tensor::from([2.0, 1.0, 1.0, 0.0]));
    }

    #[test]
    fn categories_are_drawn_by_inversion() {
        let pool = Pool::new();
        let table = Tensor::from([[0.0, 0.5, 0.5, 0.0], [2.0, 0.0, 0.0, 6.0]]).with_shape([2, 1, 4]);
        let uniforms = Tensor::from([[0.001, 0.499, 0.501, 0.999], [0.001, 0.249, 0.251, 0.999]]);
        let drawn = categories(&pool, &table, &uniforms);
        assert_eq!(drawn, Tensor::from([[1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 3.0, 3.0]]));
        let many = Tensor::from_fn([50_000], |i| (i as f64 + 0.5) / 50_000.0);
        let one = categories(&pool, &Tensor::from([0.25, 0.75]), &many);
        assert_eq!(one.as_slice().iter().sum::<f64>(), 37_500.0);
        assert_eq!(one, categories(&Pool::with_threads(3), &Tensor::from([0.25, 0.75]), &many));
    }
}
