//! How an operand of a chain lies in its buffer.

use smallvec::SmallVec;

use crate::storage::shape::Shape;

/// The layout of an operand of a chain in its buffer, or buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View(pub(super) Elements);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    /// In one buffer. Each axis has the size of that axis of the chain, or 1 if the operand is constant along it, and a
    /// stride.
    Strided { axes: SmallVec<[(usize, usize); 6]>, offset: usize },
    /// In several buffers: `turn` elements from each buffer in turn.
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

    /// A tensor with the shape of the chain that is stacked along an axis from separate tensors without that axis. They
    /// are consecutive inputs of the chain.
    ///
    /// # Panics
    /// If there is no such axis.
    pub fn stack(shape: &Shape, axis: usize) -> Self {
        View(Elements::Stacked { buffers: shape[axis], turn: shape[axis + 1..].iter().product() })
    }

    /// The number of inputs of the chain that the operand consists of.
    pub(super) fn inputs(&self) -> usize {
        match self.0 {
            Elements::Strided { .. } => 1,
            Elements::Stacked { buffers, .. } => buffers,
        }
    }
}
