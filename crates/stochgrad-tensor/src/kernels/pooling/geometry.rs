//! Windows, strides and paddings of pooling.

/// How pooling moves a window over the axes of its input.
///
/// Along each axis, the result at position `i` combines the `window` positions of the input from
/// `i · stride − padding` on.
///
/// ```
/// use stochgrad_tensor::pooling::Pooling;
///
/// assert_eq!(Pooling::new([2, 2]).output_size([28, 27]), Ok([14, 13]));
/// assert_eq!(Pooling::new([3]).stride([2]).padding([1]).output_size([8]), Ok([4]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pooling<const AXES: usize> {
    /// The sizes of the window.
    pub window: [usize; AXES],
    /// The distance between neighbouring windows; the size of the window by default.
    pub stride: [usize; AXES],
    /// The number of positions that are added on either side of each axis; 0 by default.
    pub padding: [usize; AXES],
}

impl<const AXES: usize> Pooling<AXES> {
    /// Windows side by side, without padding.
    pub const fn new(window: [usize; AXES]) -> Self {
        Pooling { window, stride: window, padding: [0; AXES] }
    }

    /// With these distances between neighbouring windows.
    pub const fn stride(self, stride: [usize; AXES]) -> Self {
        Pooling { stride, ..self }
    }

    /// With these numbers of positions added on either side of each axis. At most half of a window may lie outside.
    pub const fn padding(self, padding: [usize; AXES]) -> Self {
        Pooling { padding, ..self }
    }

    /// The number of positions of a window.
    pub fn positions(&self) -> usize {
        self.window.iter().product()
    }

    /// The size of the result for an input of size `input`.
    ///
    /// # Errors
    /// If a size of the window or a stride is 0, if the padding is more than half of the window, or if the window is
    /// larger than the padded input.
    pub fn output_size(&self, input: [usize; AXES]) -> Result<[usize; AXES], String> {
        let mut output = [0; AXES];
        for axis in 0..AXES {
            let (window, stride, padding) = (self.window[axis], self.stride[axis], self.padding[axis]);
            if window == 0 || stride == 0 {
                return Err(format!(
                    "expected a window and a stride of at least 1 on axis {axis}, got {window} and {stride}"
                ));
            }
            if padding > window / 2 {
                return Err(format!(
                    "expected a padding of at most {} on axis {axis}, which is half of the window, got {padding}",
                    window / 2
                ));
            }
            let padded = input[axis].saturating_add(2 * padding);
            let fits = if input[axis] == 0 { None } else { padded.checked_sub(window) };
            let Some(free) = fits else {
                return Err(format!(
                    "expected a window of at most {padded} positions along axis {axis}, which is the input with its \
                     padding, got {window}; use a smaller window"
                ));
            };
            output[axis] = free / stride + 1;
        }
        Ok(output)
    }
}

/// Pooling along one axis, as pooling along two axes whose first one has size 1.
impl From<Pooling<1>> for Pooling<2> {
    fn from(one: Pooling<1>) -> Self {
        Pooling { window: [1, one.window[0]], stride: [1, one.stride[0]], padding: [0, one.padding[0]] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_windows_are_errors() {
        for (pooling, part) in [
            (Pooling::new([0, 2]), "at least 1 on axis 0, got 0 and 0"),
            (Pooling::new([2, 2]).stride([2, 0]), "at least 1 on axis 1, got 2 and 0"),
            (Pooling::new([2, 3]).padding([1, 2]), "at most 1 on axis 1, which is half of the window, got 2"),
            (Pooling::new([2, 6]), "at most 5 positions along axis 1"),
        ] {
            let message = pooling.output_size([4, 5]).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        assert!(Pooling::new([2]).padding([1]).output_size([0]).is_err());
        assert_eq!(Pooling::new([3, 2]).stride([1, 2]).output_size([3, 5]), Ok([1, 2]));
    }
}
