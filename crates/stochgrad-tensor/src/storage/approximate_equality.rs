//! Approximate equality of tensors, for the macros of the `approx` crate.

use approx::{AbsDiffEq, RelativeEq, UlpsEq};

use crate::real::Real;
use crate::storage::tensor::Tensor;

/// Whether the shapes are equal and all pairs of elements are.
fn all_equal<F: Real>(a: &Tensor<F>, b: &Tensor<F>, equal: impl Fn(&F, &F) -> bool) -> bool {
    a.shape() == b.shape() && a.as_slice().iter().zip(b.as_slice()).all(|(a, b)| equal(a, b))
}

/// Tensors are equal up to an absolute difference if their shapes are equal and every element is within `epsilon` of
/// its counterpart. NaN is not equal to anything.
///
/// ```
/// use approx::{assert_abs_diff_eq, assert_abs_diff_ne};
/// use stochgrad_tensor::Tensor;
///
/// let x = Tensor::from([1.0, 2.0]);
/// assert_abs_diff_eq!(x, Tensor::from([1.0 + 1e-9, 2.0]), epsilon = 1e-8);
/// assert_abs_diff_ne!(x, Tensor::from([[1.0, 2.0]]), epsilon = 1e-8); // another shape
/// assert_abs_diff_ne!(x, Tensor::from([f64::NAN, 2.0]), epsilon = 1e-8);
/// ```
impl<F: Real> AbsDiffEq for Tensor<F> {
    type Epsilon = F;

    fn default_epsilon() -> F {
        F::default_epsilon()
    }

    fn abs_diff_eq(&self, other: &Self, epsilon: F) -> bool {
        all_equal(self, other, |a, b| a.abs_diff_eq(b, epsilon))
    }
}

/// Tensors are equal up to a relative difference if their shapes are equal and every element is within `epsilon` of its
/// counterpart, or within `max_relative` times the larger magnitude of the two. NaN is not equal to anything; an
/// infinity is equal to itself.
///
/// ```
/// use approx::assert_relative_eq;
/// use stochgrad_tensor::Tensor;
///
/// let x = Tensor::from([1.0, 1e6]);
/// assert_relative_eq!(x, Tensor::from([1.0, 1e6 + 1e-4]), max_relative = 1e-9);
/// ```
impl<F: Real> RelativeEq for Tensor<F> {
    fn default_max_relative() -> F {
        F::default_max_relative()
    }

    fn relative_eq(&self, other: &Self, epsilon: F, max_relative: F) -> bool {
        all_equal(self, other, |a, b| a.relative_eq(b, epsilon, max_relative))
    }
}

/// Tensors are equal up to units in the last place if their shapes are equal and every element is within `epsilon` of
/// its counterpart, or has the same sign and at most `max_ulps` floats in between. NaN is not equal to anything.
///
/// ```
/// use approx::assert_ulps_eq;
/// use stochgrad_tensor::Tensor;
///
/// assert_ulps_eq!(Tensor::scalar(0.1 + 0.2), Tensor::scalar(0.3), max_ulps = 1);
/// ```
impl<F: Real> UlpsEq for Tensor<F> {
    fn default_max_ulps() -> u32 {
        F::default_max_ulps()
    }

    fn ulps_eq(&self, other: &Self, epsilon: F, max_ulps: u32) -> bool {
        all_equal(self, other, |a, b| a.ulps_eq(b, epsilon, max_ulps))
    }
}

#[cfg(test)]
mod tests {
    use approx::{abs_diff_eq, relative_eq, ulps_eq};

    use super::*;

    const INF: f64 = f64::INFINITY;

    #[test]
    fn every_element_counts() {
        let x = Tensor::from([[1.0, 2.0], [3.0, 1e6]]);
        let near = x.map(|x| x * (1.0 + 1e-9));
        assert!(abs_diff_eq!(x, near, epsilon = 1e-2) && !abs_diff_eq!(x, near, epsilon = 1e-4));
        assert!(relative_eq!(x, near, max_relative = 1e-8) && !relative_eq!(x, near, max_relative = 1e-10));
        let mut far = x.clone();
        far.make_mut()[3] = 1.1e6;
        assert!(!abs_diff_eq!(x, far, epsilon = 1.0) && !relative_eq!(x, far, max_relative = 1e-2));
        let single = Tensor::from([1.0_f32, 2.0]);
        assert!(relative_eq!(single, single.map(|x| x * (1.0 + f32::EPSILON)), max_relative = 1e-6));
    }

    #[test]
    fn units_in_the_last_place_are_counted() {
        let x = Tensor::from([1.0_f64, -2.0]);
        let next = x.map(|x| f64::from_bits(x.to_bits() + 3));
        assert!(ulps_eq!(x, next, epsilon = 0.0, max_ulps = 3) && !ulps_eq!(x, next, epsilon = 0.0, max_ulps = 2));
    }

    #[test]
    fn another_shape_is_another_tensor() {
        let (row, column) = (Tensor::from([[1.0, 1.0]]), Tensor::from([[1.0], [1.0]]));
        assert!(!abs_diff_eq!(row, column) && !relative_eq!(row, column) && !ulps_eq!(row, column));
        assert!(!abs_diff_eq!(Tensor::<f64>::zeros([0, 2]), Tensor::zeros([2, 0])));
        assert!(relative_eq!(Tensor::<f64>::zeros([0, 2]), Tensor::zeros([0, 2])));
    }

    #[test]
    fn nan_is_not_equal_to_anything() {
        let nan = Tensor::from([f64::NAN]);
        for other in [&nan, &Tensor::from([0.0]), &Tensor::from([INF])] {
            assert!(!abs_diff_eq!(nan, *other, epsilon = INF), "{other}");
            assert!(!relative_eq!(nan, *other, epsilon = INF, max_relative = INF), "{other}");
            assert!(!ulps_eq!(nan, *other, epsilon = INF, max_ulps = u32::MAX), "{other}");
        }
    }

    #[test]
    fn infinities_are_equal_to_themselves_only() {
        let (plus, minus, one) = (Tensor::from([INF]), Tensor::from([-INF]), Tensor::from([1.0]));
        assert!(relative_eq!(plus, plus) && !relative_eq!(plus, minus) && !relative_eq!(plus, one));
        assert!(ulps_eq!(plus, plus) && !ulps_eq!(plus, minus));
    }
}
