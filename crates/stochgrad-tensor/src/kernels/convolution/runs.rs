//! Runs of images that share their weights.

use crate::kernels::broadcast::BroadcastIter;
use crate::storage::shape::Shape;

/// Consecutive results with the same weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// The number of the first result.
    pub(super) result: usize,
    /// The number of the first image.
    pub(super) image: usize,
    /// The number of the weights.
    pub(super) weights: usize,
    /// The number of results, which read consecutive images.
    pub(super) count: usize,
}

/// Calls `visit` with the runs of the results, whose leading axes are the broadcast of those of the images and of the
/// weights.
pub(super) fn for_runs(lead: &Shape, images: &Shape, weights: &Shape, mut visit: impl FnMut(Run)) {
    let iter = BroadcastIter::new(lead, [images, weights]);
    let mut run = Run { result: 0, image: 0, weights: 0, count: 0 };
    iter.for_rows(0, iter.rows(), |row, [image, weights]| {
        let shared = iter.steps[1] == 0 && iter.steps[0] == 1;
        let (pieces, count) = if shared { (1, iter.inner) } else { (iter.inner, 1) };
        for piece in 0..pieces {
            let next = Run {
                result: row * iter.inner + piece,
                image: image + piece * iter.steps[0],
                weights: weights + piece * iter.steps[1],
                count,
            };
            if run.count > 0 && next.weights == run.weights && next.image == run.image + run.count {
                run.count += count;
            } else {
                if run.count > 0 {
                    visit(run);
                }
                run = next;
            }
        }
    });
    if run.count > 0 {
        visit(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_with_the_same_weights_are_runs() {
        let runs = |lead: &[usize], images: &[usize], weights: &[usize]| {
            let mut found = Vec::new();
            let [lead, images, weights] = [lead, images, weights].map(Shape::from);
            for_runs(&lead, &images, &weights, |run| found.push([run.result, run.image, run.weights, run.count]));
            found
        };
        assert_eq!(runs(&[], &[], &[]), [[0, 0, 0, 1]]);
        assert_eq!(runs(&[4, 3], &[4, 3], &[]), [[0, 0, 0, 12]]);
        assert_eq!(runs(&[2, 3], &[2, 3], &[2, 1]), [[0, 0, 0, 3], [3, 3, 1, 3]]);
        assert_eq!(runs(&[2, 2], &[2, 1], &[1, 2]), [[0, 0, 0, 1], [1, 0, 1, 1], [2, 1, 0, 1], [3, 1, 1, 1]]);
        assert_eq!(runs(&[2, 2], &[1, 2], &[2, 1]), [[0, 0, 0, 2], [2, 0, 1, 2]]);
    }
}
