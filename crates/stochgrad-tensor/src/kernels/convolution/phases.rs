//! Phases of a transposed convolution.

use super::patches::Line;
use super::problem::Problem;

/// The positions of the input of a convolution along one axis that leave the same remainder when they are divided by
/// the stride. They are read by the outputs through the same taps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    /// The first position.
    pub(super) start: usize,
    /// The outputs that the positions are read by. Their taps run in the order of decreasing taps of the kernel.
    pub(super) line: Line,
    /// The tap of the kernel that belongs to the first tap of the line.
    last: usize,
    /// The distance between the taps.
    apart: usize,
}

impl Phase {
    /// The phase along an axis with the given remainder; `None` if it has no positions. It may have no taps.
    pub(super) fn new(problem: &Problem, axis: usize, remainder: usize) -> Option<Self> {
        let (stride, dilation) = (problem.geometry.stride[axis], problem.geometry.dilation[axis]);
        let padding = problem.geometry.padding[axis];
        // Position `stride · number + remainder − padding`, for each number.
        let number = padding.saturating_sub(remainder).div_ceil(stride);
        let start = stride * number + remainder - padding;
        let count = problem.input[axis].checked_sub(start)?.div_ceil(stride);
        if count == 0 {
            return None;
        }
        let size = problem.output[axis];
        let mut fitting = (0..problem.kernel[axis]).filter(|tap| tap * dilation % stride == remainder);
        let Some(first) = fitting.next() else {
            let line = Line { count, first: 0, step: 1, taps: 0, spacing: 1, size };
            return Some(Phase { start, line, last: 0, apart: 1 });
        };
        let apart = stride / common_divisor(stride, dilation);
        let taps = (problem.kernel[axis] - first).div_ceil(apart);
        let last = first + (taps - 1) * apart;
        let line = Line {
            count,
            first: number as isize - ((last * dilation - remainder) / stride) as isize,
            step: 1,
            taps,
            spacing: apart * dilation / stride,
            size,
        };
        Some(Phase { start, line, last, apart })
    }

    /// The tap of the kernel that belongs to a tap of the line.
    pub(super) fn tap(&self, tap: usize) -> usize {
        self.last - tap * self.apart
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
