//! The sizes of a convolution.

use super::geometry::Convolution;
use super::patches::{Line, Patches};
use crate::real::Real;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The sizes of a convolution of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem {
    pub(super) geometry: Convolution<2>,
    /// The sizes of the input.
    pub(super) input: [usize; 2],
    pub(super) kernel: [usize; 2],
    /// The sizes of the output.
    pub(super) output: [usize; 2],
    /// The number of input channels.
    pub(super) inputs: usize,
    /// The number of output channels.
    pub(super) outputs: usize,
}

/// The leading axes, and the last `N` sizes.
pub(super) fn split<const N: usize>(shape: &Shape) -> (Shape, [usize; N]) {
    match shape.split_last_chunk() {
        Some((lead, &sizes)) => (Shape::from(lead), sizes),
        None => panic!("expected at least {N} axes for a convolution, got shape {shape}"),
    }
}

/// The value with the given leading axes and matrices.
pub(super) fn with_matrices<F: Real>(value: &Tensor<F>, lead: &Shape, matrix: [usize; 2]) -> Tensor<F> {
    value.clone().with_shape(lead.iter().copied().chain(matrix).collect::<Shape>())
}

impl Problem {
    /// The sizes of a convolution with weights of the given sizes.
    ///
    /// # Panics
    /// If the sizes do not fit.
    pub(super) fn new(geometry: Convolution<2>, input: [usize; 3], weights: [usize; 4]) -> Self {
        let ([height, width, inputs], [rows, columns, per_group, outputs]) = (input, weights);
        let [input, kernel] = [[height, width], [rows, columns]];
        let output = match geometry.output_size(input, kernel) {
            Ok(output) => output,
            Err(problem) => panic!("convolution: {problem}"),
        };
        let groups = geometry.groups;
        assert!(
            inputs == per_group * groups && outputs.is_multiple_of(groups),
            "convolution of {inputs} channels in {groups} groups with weights for {per_group} channels of a group and \
             {outputs} outputs"
        );
        Problem { geometry, input, kernel, output, inputs, outputs }
    }

    /// The number of input channels of a group.
    pub(super) fn group_inputs(&self) -> usize {
        self.inputs / self.geometry.groups
    }

    /// The number of output channels of a group.
    pub(super) fn group_outputs(&self) -> usize {
        self.outputs / self.geometry.groups
    }

    /// The number of positions of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The number of elements of an input image.
    pub(super) fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.inputs
    }

    /// The number of positions of an output image.
    pub(super) fn output_positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// The number of elements of an output image.
    pub(super) fn output_len(&self) -> usize {
        self.output_positions() * self.outputs
    }

    /// The number of elements of the weights.
    pub(super) fn weights_len(&self) -> usize {
        self.taps() * self.group_inputs() * self.outputs
    }

    /// The number of multiplications for an image.
    pub(super) fn work(&self) -> usize {
        self.output_positions() * self.taps() * self.group_inputs() * self.outputs
    }

    /// The patches of the input that the outputs of a group read.
    pub(super) fn patches(&self, group: usize) -> Patches {
        let line = |axis: usize| Line {
            count: self.output[axis],
            first: -(self.geometry.padding[axis] as isize),
            step: self.geometry.stride[axis],
            taps: self.kernel[axis],
            spacing: self.geometry.dilation[axis],
            size: self.input[axis],
        };
        let width = self.group_inputs();
        Patches { rows: line(0), columns: line(1), channels: self.inputs, from: group * width, width }
    }

    /// Whether each output reads the input at its own position only, so that the convolution is a product of matrices.
    pub(super) fn is_pointwise(&self) -> bool {
        let Convolution { stride, padding, groups, .. } = self.geometry;
        self.kernel == [1, 1] && stride == [1, 1] && padding == [0, 0] && groups == 1
    }
}
