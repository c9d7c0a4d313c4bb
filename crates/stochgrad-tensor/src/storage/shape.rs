//! Shapes of tensors.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use smallvec::SmallVec;

/// The sizes of a tensor's axes, outermost first. Up to six axes need no heap allocation.
///
/// Dereferences to a slice of sizes.
///
/// ```
/// use stochgrad_tensor::Shape;
///
/// let shape = Shape::from([2, 3]);
/// assert_eq!(shape.numel(), 6);
/// assert_eq!(shape.to_string(), "[2, 3]");
/// assert_eq!(Shape::broadcast(&shape, &[4, 1, 3].into()), Some([4, 2, 3].into()));
/// assert_eq!(Shape::broadcast(&shape, &[2].into()), None);
/// ```
#[derive(Default, PartialEq, Eq)]
pub struct Shape(SmallVec<[usize; 8]>);

impl Shape {
    /// The shape without axes, which has one element.
    #[inline]
    pub fn scalar() -> Self {
        Self(SmallVec::new())
    }

    /// The number of elements: the product of the sizes, 1 for a scalar. Saturates instead of overflowing.
    #[inline]
    pub fn numel(&self) -> usize {
        self.0.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
    }

    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The shape that two operands broadcast to, or `None` if they do not broadcast.
    ///
    /// Axes are aligned at the right, a missing axis counts as size 1, and a size of 1 is stretched to the size of the
    /// other operand.
    pub fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
        let (long, short) = if a.rank() >= b.rank() { (a, b) } else { (b, a) };
        let mut sizes = long.clone();
        let lead = long.rank() - short.rank();
        for (size, &other) in sizes.0[lead..].iter_mut().zip(short.iter()) {
            if *size == 1 {
                *size = other;
            } else if other != 1 && other != *size {
                return None;
            }
        }
        Some(sizes)
    }

    /// The distance between neighbours along each axis of a row-major buffer, in elements.
    pub fn strides(&self) -> SmallVec<[usize; 8]> {
        let mut strides: SmallVec<[usize; 8]> = SmallVec::from_elem(1, self.rank());
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(self.0[axis]);
        }
        strides
    }

    /// The sizes, mutable.
    #[inline]
    pub fn sizes_mut(&mut self) -> &mut SmallVec<[usize; 8]> {
        &mut self.0
    }

    /// This shape with the size of one axis changed.
    ///
    /// # Panics
    /// If there is no such axis.
    pub fn with_size(&self, axis: usize, size: usize) -> Shape {
        let mut shape = self.clone();
        shape.0[axis] = size;
        shape
    }

    /// This shape without one axis.
    ///
    /// # Panics
    /// If there is no such axis.
    pub fn without(&self, axis: usize) -> Shape {
        let mut shape = self.clone();
        shape.0.remove(axis);
        shape
    }

    /// The products of the sizes before, at and after an axis: a view of the tensor as `[outer, size, inner]`.
    pub(crate) fn around(&self, axis: usize) -> (usize, usize, usize) {
        assert!(axis < self.rank(), "expected an axis below {}, got axis {axis} of shape {self}", self.rank());
        let product = |sizes: &[usize]| sizes.iter().fold(1, |product: usize, &size| product.saturating_mul(size));
        (product(&self.0[..axis]), self.0[axis], product(&self.0[axis + 1..]))
    }
}

impl Clone for Shape {
    #[inline]
    fn clone(&self) -> Self {
        Self(SmallVec::from_slice(&self.0))
    }
}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

impl Deref for Shape {
    type Target = [usize];

    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, size) in self.iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{size}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&[usize]> for Shape {
    #[inline]
    fn from(sizes: &[usize]) -> Self {
        Self(SmallVec::from_slice(sizes))
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[inline]
    fn from(sizes: [usize; N]) -> Self {
        Self(SmallVec::from_slice(&sizes))
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    #[inline]
    fn from(sizes: &[usize; N]) -> Self {
        Self(SmallVec::from_slice(sizes))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(sizes: Vec<usize>) -> Self {
        Self(SmallVec::from_slice(&sizes))
    }
}

impl From<&Shape> for Shape {
    #[inline]
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(sizes: I) -> Self {
        Self(sizes.into_iter().collect())
    }
}

impl Extend<usize> for Shape {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, sizes: I) {
        self.0.extend(sizes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_has_one_element() {
        assert_eq!(Shape::scalar().numel(), 1);
        assert_eq!(Shape::scalar(), Shape::default());
        assert_eq!(Shape::scalar().to_string(), "[]");
    }

    #[test]
    fn strides_are_row_major() {
        assert_eq!(Shape::from([2, 3, 4]).strides().as_slice(), [12, 4, 1]);
        assert!(Shape::scalar().strides().is_empty());
    }

    #[test]
    fn broadcasting_follows_the_right_aligned_rule() {
        let broadcast = |a: &[usize], b: &[usize]| Shape::broadcast(&a.into(), &b.into());
        assert_eq!(broadcast(&[], &[2, 3]), Some([2, 3].into()));
        assert_eq!(broadcast(&[2, 1], &[3]), Some([2, 3].into()));
        assert_eq!(broadcast(&[1], &[0]), Some([0].into()));
        assert_eq!(broadcast(&[2, 3], &[2]), None);
    }

    #[test]
    fn numel_saturates() {
        assert_eq!(Shape::from([usize::MAX, usize::MAX]).numel(), usize::MAX);
        assert_eq!(Shape::from([usize::MAX, usize::MAX, 0]).numel(), 0);
    }
}
