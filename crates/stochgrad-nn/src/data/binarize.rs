//! Binarisation of pixels.

use stochgrad_tensor::random::Key;
use stochgrad_tensor::{Real, Tensor};

/// Draws binary pixels: element `i` is 1 with probability `intensities[i]`, else 0. The shape stays the same.
///
/// The draws are independent, and depend only on `key` and the position. Use a new key for every step. An intensity of
/// 0 or less always gives 0, an intensity of 1 or more always gives 1, and NaN stays NaN, so that invalid data is
/// visible.
///
/// Source: dynamic binarisation of image data, Salakhutdinov and Murray (2008).
///
/// ```
/// use stochgrad_nn::data::binarize;
/// use stochgrad_tensor::{Tensor, random::Key};
///
/// let pixels = binarize(&Tensor::from([0.0, 1.0, 0.5]), Key::new(7, 0, 1));
/// assert_eq!(pixels.as_slice()[..2], [0.0, 1.0]);
/// ```
pub fn binarize<F: Real>(intensities: &Tensor<F>, key: Key) -> Tensor<F> {
    let mut uniforms = vec![F::ZERO; intensities.len()];
    key.uniform(0, &mut uniforms);
    let source = intensities.as_slice();
    Tensor::from_fn(intensities.shape().clone(), |i| {
        if source[i].is_nan() {
            F::NAN
        } else if uniforms[i] < source[i] {
            F::ONE
        } else {
            F::ZERO
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_follow_the_intensities() {
        let levels = [0.0_f64, 0.1, 0.5, 0.9, 1.0];
        let n = 20_000;
        let intensities = Tensor::from_fn([n, levels.len()], |i| levels[i % levels.len()]);
        let drawn = binarize(&intensities, Key::new(3, 0, 1));
        assert_eq!(drawn.shape(), intensities.shape());
        for (column, level) in levels.into_iter().enumerate() {
            let ones: f64 = drawn.as_slice().iter().skip(column).step_by(levels.len()).sum();
            let deviation = (ones - n as f64 * level).abs();
            assert!(deviation <= 4.0 * (n as f64 * level * (1.0 - level)).sqrt(), "{level}: {ones}");
        }
    }

    #[test]
    fn the_key_decides() {
        let half = Tensor::<f32>::full([4, 100], 0.5);
        let one = binarize(&half, Key::new(3, 5, 1));
        assert_eq!(one, binarize(&half, Key::new(3, 5, 1)));
        assert_ne!(one, binarize(&half, Key::new(3, 6, 1)));
    }

    #[test]
    fn bad_intensities_stay_visible() {
        let drawn = binarize(&Tensor::from([f64::NAN, -1.0, 2.0, f64::INFINITY]), Key::new(0, 0, 1));
        assert!(drawn.as_slice()[0].is_nan());
        assert_eq!(drawn.as_slice()[1..], [0.0, 1.0, 1.0]);
    }
}
