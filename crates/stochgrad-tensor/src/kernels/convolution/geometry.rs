//! Strides, paddings, dilations and groups of convolutions.

/// How a convolution moves its kernel over the axes of its input: stride, padding, dilation and groups.
///
/// Along each axis, the result at position `i` reads the input at the positions `i · stride + t · dilation − padding`,
/// where `t` is the position in the kernel. Positions outside the input count as zeros.
///
/// ```
/// use stochgrad_tensor::convolution::Convolution;
///
/// let halving = Convolution::new().stride([2, 2]).padding([1, 1]);
/// assert_eq!(halving.output_size([28, 28], [4, 4]), Ok([14, 14]));
/// assert_eq!(halving.transposed_size([14, 14], [4, 4], [0, 0]), Ok([28, 28]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution<const AXES: usize> {
    /// The distance between the input positions that neighbouring results read; 1 by default.
    pub stride: [usize; AXES],
    /// The number of zeros on either side of each axis; 0 by default.
    pub padding: [usize; AXES],
    /// The distance between the input positions that neighbouring positions of the kernel read; 1 by default.
    pub dilation: [usize; AXES],
    /// The number of groups of channels, each of which is convolved separately; 1 by default.
    pub groups: usize,
}

impl<const AXES: usize> Convolution<AXES> {
    /// A convolution with stride 1, without padding and dilation, and with one group.
    pub const fn new() -> Self {
        Convolution { stride: [1; AXES], padding: [0; AXES], dilation: [1; AXES], groups: 1 }
    }

    /// With these distances between the input positions that neighbouring results read.
    pub const fn stride(self, stride: [usize; AXES]) -> Self {
        Convolution { stride, ..self }
    }

    /// With these numbers of zeros on either side of each axis.
    pub const fn padding(self, padding: [usize; AXES]) -> Self {
        Convolution { padding, ..self }
    }

    /// With these distances between the input positions that neighbouring positions of the kernel read.
    pub const fn dilation(self, dilation: [usize; AXES]) -> Self {
        Convolution { dilation, ..self }
    }

    /// With this number of groups of channels, each of which is convolved separately.
    pub const fn groups(self, groups: usize) -> Self {
        Convolution { groups, ..self }
    }

    /// The size of the result for an input of size `input`.
    ///
    /// # Errors
    /// If a stride, a dilation, the number of groups or a size of the kernel is 0, or if the kernel is larger than the
    /// padded input.
    pub fn output_size(&self, input: [usize; AXES], kernel: [usize; AXES]) -> Result<[usize; AXES], String> {
        self.check(kernel)?;
        let mut output = [0; AXES];
        for axis in 0..AXES {
            let padded = self.padding[axis].saturating_mul(2).saturating_add(input[axis]);
            let reach = self.reach(axis, kernel);
            let Some(free) = padded.checked_sub(reach) else {
                return Err(format!(
                    "expected a kernel that spans at most {padded} positions along axis {axis}, which is the input \
                     with its padding, got {reach}; use a smaller kernel or more padding"
                ));
            };
            output[axis] = free / self.stride[axis] + 1;
        }
        Ok(output)
    }

    /// The size of the result of the transposed convolution for an input of size `input`. Several sizes give the same
    /// `output_size` if the stride is above 1; `output_padding` is added to the least of them.
    ///
    /// # Errors
    /// As for [`output_size`](Self::output_size); also if an output padding is not below the stride or the dilation,
    /// if the input is empty, or if the padding is larger than the result.
    pub fn transposed_size(
        &self,
        input: [usize; AXES],
        kernel: [usize; AXES],
        output_padding: [usize; AXES],
    ) -> Result<[usize; AXES], String> {
        self.check(kernel)?;
        let mut output = [0; AXES];
        for axis in 0..AXES {
            let (extra, limit) = (output_padding[axis], self.stride[axis].max(self.dilation[axis]));
            if extra >= limit {
                return Err(format!(
                    "expected an output padding below {limit} on axis {axis}, which is the larger one of stride and \
                     dilation, got {extra}"
                ));
            }
            let Some(steps) = input[axis].checked_sub(1) else {
                return Err(format!("expected at least one position along axis {axis}, got none"));
            };
            let padded =
                steps.saturating_mul(self.stride[axis]).saturating_add(self.reach(axis, kernel)).saturating_add(extra);
            let removed = self.padding[axis].saturating_mul(2);
            let Some(size) = padded.checked_sub(removed) else {
                return Err(format!(
                    "expected a padding that removes at most {padded} positions along axis {axis}, got {removed}; use \
                     less padding"
                ));
            };
            output[axis] = size;
        }
        Ok(output)
    }

    /// The number of positions between the first and the last position of the kernel, both included.
    fn reach(&self, axis: usize, kernel: [usize; AXES]) -> usize {
        self.dilation[axis].saturating_mul(kernel[axis] - 1).saturating_add(1)
    }

    fn check(&self, kernel: [usize; AXES]) -> Result<(), String> {
        let positive = |what: &str, sizes: &[usize]| {
            if sizes.contains(&0) { Err(format!("expected {what} of at least 1, got {sizes:?}")) } else { Ok(()) }
        };
        positive("strides", &self.stride)?;
        positive("dilations", &self.dilation)?;
        positive("a number of groups", &[self.groups])?;
        positive("sizes of the kernel", &kernel)
    }
}

impl<const AXES: usize> Default for Convolution<AXES> {
    fn default() -> Self {
        Self::new()
    }
}

/// A convolution along one axis, as one along two axes whose first one has size 1.
impl From<Convolution<1>> for Convolution<2> {
    fn from(one: Convolution<1>) -> Self {
        Convolution {
            stride: [1, one.stride[0]],
            padding: [0, one.padding[0]],
            dilation: [1, one.dilation[0]],
            groups: one.groups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_results_agree_with_positions_counted_one_by_one() {
        for (input, kernel, stride, padding, dilation) in
            [(7, 3, 1, 0, 1), (7, 3, 2, 1, 1), (8, 4, 2, 1, 1), (9, 2, 3, 0, 3), (5, 1, 4, 2, 1), (1, 3, 1, 1, 1)]
        {
            let convolution = Convolution::new().stride([stride]).padding([padding]).dilation([dilation]);
            let starts = (0..).map(|i| i * stride);
            let fits = |start: &usize| start + (kernel - 1) * dilation < input + 2 * padding;
            let count = starts.take_while(fits).count();
            let output = convolution.output_size([input], [kernel]).unwrap();
            assert_eq!(output, [count], "{input} {kernel} {convolution:?}");
            let back: Vec<usize> = (0..stride.max(dilation))
                .map(|extra| convolution.transposed_size(output, [kernel], [extra]).unwrap()[0])
                .collect();
            assert!(back.contains(&input), "{back:?} does not contain {input}");
        }
    }

    #[test]
    fn impossible_geometries_are_errors() {
        let plain = Convolution::<2>::new();
        let message = plain.output_size([2, 5], [3, 3]).unwrap_err();
        assert!(message.contains("at most 2 positions along axis 0") && message.contains("got 3"), "{message}");
        for (convolution, part) in [
            (plain.stride([1, 0]), "expected strides of at least 1, got [1, 0]"),
            (plain.dilation([0, 1]), "expected dilations"),
            (plain.groups(0), "a number of groups of at least 1, got [0]"),
        ] {
            let message = convolution.output_size([5, 5], [3, 3]).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        assert!(
            plain.output_size([5, 5], [0, 3]).unwrap_err().contains("sizes of the kernel of at least 1, got [0, 3]")
        );
        let message = plain.stride([2, 2]).transposed_size([3, 3], [2, 2], [0, 2]).unwrap_err();
        assert!(message.contains("output padding below 2 on axis 1") && message.contains("got 2"), "{message}");
        assert!(plain.transposed_size([0, 3], [2, 2], [0, 0]).unwrap_err().contains("at least one position"));
        let message = plain.padding([3, 0]).transposed_size([2, 2], [2, 2], [0, 0]).unwrap_err();
        assert!(message.contains("at most 3 positions") && message.contains("got 6"), "{message}");
    }
}
