//! The windows of an image.

use std::ops::Range;

use super::geometry::Pooling;
use crate::storage::shape::Shape;

/// The sizes of pooling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) pooling: Pooling<2>,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) channels: usize,
}

impl Windows {
    /// The windows of the last three axes, and the leading axes.
    ///
    /// # Panics
    /// If there are fewer than three axes, or the windows do not fit.
    pub(super) fn new(pooling: &Pooling<2>, shape: &Shape) -> (Self, Shape) {
        let Some((lead, &[height, width, channels])) = shape.split_last_chunk() else {
            panic!("expected at least three axes for pooling, got shape {shape}");
        };
        let output = match pooling.output_size([height, width]) {
            Ok(output) => output,
            Err(problem) => panic!("pooling: {problem}"),
        };
        (Windows { pooling: *pooling, input: [height, width], output, channels }, Shape::from(lead))
    }

    /// The number of elements of an input image.
    pub(super) fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// The number of elements of a row of the output.
    pub(super) fn output_row(&self) -> usize {
        self.output[1] * self.channels
    }

    /// The number of elements of an output image.
    pub(super) fn output_len(&self) -> usize {
        self.output[0] * self.output_row()
    }

    /// The positions of the input that window `number` covers along an axis.
    #[inline(always)]
    pub(super) fn covered(&self, axis: usize, number: usize) -> Range<usize> {
        let Pooling { window, stride, padding } = self.pooling;
        let start = number * stride[axis];
        let end = (start + window[axis]).saturating_sub(padding[axis]).min(self.input[axis]);
        start.saturating_sub(padding[axis]).min(end)..end
    }
}
