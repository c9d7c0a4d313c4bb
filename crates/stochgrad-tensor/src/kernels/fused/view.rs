use smallvec::SmallVec;

use crate::storage::shape::Shape;

/// Where the elements of an operand of a chain are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View(pub(super) Elements);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    /// The size of each axis of the chain, or 1 where the operand is the same all along it, and its stride in one
    /// buffer.
    Strided { axes: SmallVec<[(usize, usize); 6]>, offset: usize },
    /// In as many buffers, in turn: this many elements of each.
    Stacked { buffers: usize, turn: usize },
}

impl View {
    /// All elements of a tensor that has the rank of the chain.
    pub fn whole(shape: &Shape) -> Self {
        View(Elements::Strided { axes: shape.iter().copied().zip(shape.strides()).collect(), offset: 0 })
    }

    /// The elements at one position of an axis that the chain does not have.
    ///
    /// # Panics
    /// If there is no such axis or position.
    pub fn member(shape: &Shape, axis: usize, position: usize) -> Self {
        let mut axes: SmallVec<[(usize, usize); 6]> = shape.iter().copied().zip(shape.strides()).collect();
        let (size, stride) = axes.remove(axis);
        assert!(position < size, "position {position} of an axis of size {size}");
        View(Elements::Strided { axes, offset: position * stride })
    }

    /// A tensor of the shape of the chain whose parts along an axis are tensors of their own, without that axis: as
    /// many inputs, one after the other.
    ///
    /// # Panics
    /// If there is no such axis.
    pub fn stack(shape: &Shape, axis: usize) -> Self {
        View(Elements::Stacked { buffers: shape[axis], turn: shape[axis + 1..].iter().product() })
    }

    /// How many inputs of the chain it takes.
    pub(super) fn inputs(&self) -> usize {
        match self.0 {
            Elements::Strided { .. } => 1,
            Elements::Stacked { buffers, .. } => buffers,
        }
    }
}
