//! Gradient clipping.

use stochgrad_graph::Gradients;
use stochgrad_tensor::Real;

use crate::error::{NnError, NnResult};

/// Scales all gradients by a common factor so that the Euclidean norm of all their elements together is at most `max`.
/// Returns the norm before scaling.
///
/// If the norm is not finite, since a gradient is not, the gradients are not changed. The optimiser then returns an
/// error that names the parameter.
///
/// # Errors
///
/// [`NnError::InvalidArgument`] for a maximum that is not positive.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::clip_by_global_norm;
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.param("x", [1.5, 2.0])?;
/// graph.cost("square", x.square().sum())?;
/// let mut gradients = graph.backward()?;
/// assert_eq!(clip_by_global_norm(&mut gradients, 1.0)?, 5.0);
/// assert!((gradients.get("x")?.as_slice()[0] - 0.6).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn clip_by_global_norm<F: Real>(gradients: &mut Gradients<F>, max: f64) -> NnResult<f64> {
    check_maximum("`max` of `clip_by_global_norm`", max)?;
    let norm = global_norm(gradients);
    if norm.is_finite() && norm > max {
        let factor = max / norm;
        for (_, gradient) in gradients.iter_mut() {
            for element in gradient.make_mut() {
                *element = F::from_f64(element.to_f64() * factor);
            }
        }
    }
    Ok(norm)
}

/// Clamps every element of every gradient to `[-max, max]`.
///
/// NaN and infinities are not changed. The optimiser then returns an error that names the parameter.
///
/// # Errors
///
/// [`NnError::InvalidArgument`] for a maximum that is not positive.
pub fn clip_by_value<F: Real>(gradients: &mut Gradients<F>, max: f64) -> NnResult<()> {
    check_maximum("`max` of `clip_by_value`", max)?;
    let max = F::from_f64(max);
    for (_, gradient) in gradients.iter_mut() {
        let exceeds = |element: F| element.is_finite() && element.abs() > max;
        if gradient.as_slice().iter().any(|&element| exceeds(element)) {
            for element in gradient.make_mut() {
                if exceeds(*element) {
                    *element = if *element > F::ZERO { max } else { -max };
                }
            }
        }
    }
    Ok(())
}

fn check_maximum(argument: &'static str, max: f64) -> NnResult<()> {
    if max > 0.0 {
        Ok(())
    } else {
        Err(NnError::argument(
            argument,
            "a positive number",
            max.to_string(),
            "omit the call if nothing should be clipped",
        ))
    }
}

/// The sum of squares is scaled by the largest element, so that no square overflows or underflows.
fn global_norm<F: Real>(gradients: &Gradients<F>) -> f64 {
    let elements = || {
        let tensors = gradients.iter().map(|(_, gradient)| gradient.as_slice());
        tensors.flatten().map(|element| element.to_f64().abs())
    };
    let largest = elements().fold(
        0.0,
        |largest: f64, element| {
            if element > largest || element.is_nan() { element } else { largest }
        },
    );
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let squares: f64 = elements().map(|element| (element / largest).powi(2)).sum();
    largest * squares.sqrt()
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::parameters::Parameters;
    use crate::testing::gradients;

    fn made(x: [f64; 2], y: f64) -> Gradients<f64> {
        let mut parameters = Parameters::new();
        parameters.insert("x", Tensor::from([1.0, 1.0])).unwrap();
        parameters.insert("y", Tensor::scalar(1.0)).unwrap();
        let slopes = [("x", Tensor::from(x)), ("y", Tensor::scalar(y))];
        gradients(&parameters, &slopes)
    }

    fn elements(gradients: &Gradients<f64>) -> Vec<f64> {
        let tensors = gradients.iter().map(|(_, gradient)| gradient.to_vec());
        tensors.flatten().collect()
    }

    #[test]
    fn a_norm_above_the_maximum_is_scaled_down_to_it() {
        let mut gradients = made([2.0, -3.0], 6.0);
        assert_eq!(clip_by_global_norm(&mut gradients, 3.5).unwrap(), 7.0);
        assert_eq!(elements(&gradients), [1.0, -1.5, 3.0]);
    }

    #[test]
    fn a_norm_below_the_maximum_is_left_alone() {
        for max in [7.0, 100.0, f64::INFINITY] {
            let mut gradients = made([2.0, -3.0], 6.0);
            assert_eq!(clip_by_global_norm(&mut gradients, max).unwrap(), 7.0);
            assert_eq!(elements(&gradients), [2.0, -3.0, 6.0]);
        }
        assert_eq!(clip_by_global_norm(&mut made([0.0, 0.0], 0.0), 1.0).unwrap(), 0.0);
    }

    #[test]
    fn norms_neither_overflow_nor_vanish() {
        for scale in [1e200, 1e-200] {
            let mut gradients = made([2.0 * scale, -3.0 * scale], 6.0 * scale);
            let norm = clip_by_global_norm(&mut gradients, scale).unwrap();
            assert_abs_diff_eq!(norm / scale, 7.0, epsilon = 1e-12);
            let largest = elements(&gradients)[2] / scale;
            assert_abs_diff_eq!(largest, 6.0 / 7.0, epsilon = 1e-12);
        }
    }

    #[test]
    fn infinities_are_left_for_the_optimiser_to_refuse() {
        let mut gradients = made([2.0, f64::INFINITY], 6.0);
        assert_eq!(clip_by_global_norm(&mut gradients, 1.0).unwrap(), f64::INFINITY);
        assert_eq!(elements(&gradients), [2.0, f64::INFINITY, 6.0]);
        clip_by_value(&mut gradients, 1.0).unwrap();
        assert_eq!(elements(&gradients), [1.0, f64::INFINITY, 1.0]);
    }

    #[test]
    fn elements_are_brought_into_the_interval() {
        let mut gradients = made([2.0, -3.0], 0.5);
        clip_by_value(&mut gradients, 2.5).unwrap();
        assert_eq!(elements(&gradients), [2.0, -2.5, 0.5]);
    }

    #[test]
    fn maxima_that_are_not_positive_are_errors() {
        for max in [0.0, -1.0, f64::NAN] {
            let mut gradients = made([2.0, -3.0], 6.0);
            assert!(clip_by_global_norm(&mut gradients, max).is_err());
            assert!(clip_by_value(&mut gradients, max).is_err());
            assert_eq!(elements(&gradients), [2.0, -3.0, 6.0]);
        }
    }
}
