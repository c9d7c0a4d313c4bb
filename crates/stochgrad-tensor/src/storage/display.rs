//! Tensors in messages and debug output.

use std::fmt;

use crate::real::Real;
use crate::storage::tensor::Tensor;

/// The longest axis that is shown whole.
const SHOWN: usize = 8;

impl<F: Real> fmt::Display for Tensor<F> {
    /// Writes nested brackets with about six significant digits, or with the precision of the formatter. Of axes longer
    /// than 8, only the first and last four entries are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_axis(f, self.shape(), self.as_slice())
    }
}

impl<F: Real> fmt::Debug for Tensor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor<{}>{} ", F::NAME, self.shape())?;
        fmt::Display::fmt(self, f)
    }
}

fn write_axis<F: Real>(f: &mut fmt::Formatter<'_>, shape: &[usize], data: &[F]) -> fmt::Result {
    let Some((&size, rest)) = shape.split_first() else {
        return write_number(f, data[0]);
    };
    let inner = data.len().checked_div(size).unwrap_or(0);
    f.write_str("[")?;
    let mut index = 0;
    while index < size {
        if index > 0 {
            f.write_str(", ")?;
        }
        if size > SHOWN && index == SHOWN / 2 {
            f.write_str("…")?;
            index = size - SHOWN / 2 + 1;
            continue;
        }
        if inner > 0 {
            write_axis(f, rest, &data[index * inner..(index + 1) * inner])?;
        } else {
            f.write_str("[]")?;
        }
        index += 1;
    }
    f.write_str("]")
}

fn write_number<F: Real>(f: &mut fmt::Formatter<'_>, value: F) -> fmt::Result {
    if let Some(precision) = f.precision() {
        return write!(f, "{value:.precision$}");
    }
    let magnitude = value.to_f64().abs();
    if !magnitude.is_finite() || magnitude == 0.0 {
        return write!(f, "{value}");
    }
    if !(1e-4..1e6).contains(&magnitude) {
        return write!(f, "{value:.5e}");
    }
    let digits = (5 - magnitude.log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    f.write_str(short)
}

#[cfg(test)]
mod tests {
    use crate::storage::tensor::Tensor;

    #[test]
    fn small_tensors_are_shown_in_full() {
        let matrix = Tensor::from([[1.0, -0.5], [1.0 / 3.0, 1e-9]]);
        assert_eq!(matrix.to_string(), "[[1, -0.5], [0.333333, 1.00000e-9]]");
        assert_eq!(format!("{matrix:.1}"), "[[1.0, -0.5], [0.3, 0.0]]");
        assert_eq!(format!("{:?}", Tensor::scalar(2.5_f32)), "Tensor<f32>[] 2.5");
    }

    #[test]
    fn long_axes_are_elided() {
        let long = Tensor::from_fn([100], |i| i as f64);
        assert_eq!(long.to_string(), "[0, 1, 2, 3, …, 97, 98, 99]");
        assert_eq!(Tensor::<f64>::zeros([8]).to_string(), "[0, 0, 0, 0, 0, 0, 0, 0]");
    }

    #[test]
    fn empty_and_non_finite_tensors_can_be_shown() {
        assert_eq!(Tensor::<f64>::zeros([0]).to_string(), "[]");
        assert_eq!(Tensor::<f64>::zeros([2, 0]).to_string(), "[[], []]");
        assert_eq!(Tensor::from([f64::NAN, f64::NEG_INFINITY]).to_string(), "[NaN, -inf]");
    }
}
