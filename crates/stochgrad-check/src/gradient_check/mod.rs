//! Derivatives of a function on a tape, compared with differences of its values.

mod differences;
mod probe;
mod reduction;

use crate::error::{CheckError, CheckResult};
use crate::gradient_check::differences::derivative_at_zero;
use crate::gradient_check::probe::Probe;
use crate::gradient_check::reduction::{Reduction, random_weights};
use std::fmt;
use stochgrad_tape::{Tape, Var, Workspace};
use stochgrad_tensor::Tensor;

/// Checks the first and second derivatives of a function with the default settings of [`GradientCheck`].
///
/// Use it to test your own primitive or function.
///
/// ```
/// use stochgrad_check::gradient_check;
/// use stochgrad_tensor::Tensor;
///
/// let inputs = [Tensor::from([0.3, -1.2]), Tensor::from([[1.0, 0.5], [-0.7, 2.0]])];
/// let report = gradient_check(|_, x| (x[0].matmul(x[1]) * 0.5).tanh(), &inputs)?;
/// assert!(report.first_order < 1e-6 && report.second_order < 1e-6);
/// # Ok::<(), stochgrad_check::CheckError>(())
/// ```
///
/// # Errors
/// See [`GradientCheck::run`].
pub fn gradient_check<G>(function: G, inputs: &[Tensor<f64>]) -> CheckResult<GradientReport>
where
    G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    GradientCheck::new().run(function, inputs)
}

/// Settings of a gradient check.
///
/// The value of the function may have any shape and any plates. The check reduces it to a scalar in four ways: with
/// random weights for every element, with weights that vary along the event axes only, with weights that vary along the
/// plates only, and by the plain sum. The reductions differ in how far they broadcast the adjoint of the value, which
/// a gradient rule must handle. The check then takes s + s²/4 of the reduced value s, so that linear functions have
/// second derivatives as well.
///
/// For each reduction, the check compares
///
/// * each element of the gradient with central differences, extrapolated to step 0 (Ridders 1982);
/// * the product of the Hessian with a random direction, with differences of the gradient along that direction;
/// * `Tape::backward_all` with `Tape::gradients`.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientCheck {
    relative: f64,
    absolute: f64,
    order: u32,
    step: f64,
    seed: u64,
}

/// The largest discrepancies in a check that passed, each as |expected − found| / max(1, |expected|).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GradientReport {
    /// The largest one of first derivatives.
    pub first_order: f64,
    /// The largest one of products of the Hessian with a direction; 0 if second derivatives were not checked.
    pub second_order: f64,
    /// How many derivatives were compared.
    pub compared: usize,
}

impl fmt::Display for GradientReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} derivatives compared, largest discrepancy {:.1e} at order 1 and {:.1e} at order 2",
            self.compared, self.first_order, self.second_order
        )
    }
}

impl Default for GradientCheck {
    fn default() -> Self {
        Self::new()
    }
}

impl GradientCheck {
    /// First and second derivatives, relative tolerance 1e-6, absolute tolerance 1e-7, first step 0.01.
    pub fn new() -> Self {
        GradientCheck { relative: 1e-6, absolute: 1e-7, order: 2, step: 0.01, seed: 1 }
    }

    /// The tolerances: `relative` to the derivative itself, and `absolute` relative to the largest derivative or 1,
    /// whichever is larger. A derivative may be off by their sum.
    pub fn tolerance(mut self, relative: f64, absolute: f64) -> Self {
        self.relative = relative;
        self.absolute = absolute;
        self
    }

    /// Omits second derivatives.
    pub fn first_order_only(mut self) -> Self {
        self.order = 1;
        self
    }

    /// The largest step of the central differences: `step` for inputs of magnitude up to 1, and `step` times the
    /// magnitude for larger ones. A kink must be farther away from the inputs than that.
    pub fn step(mut self, step: f64) -> Self {
        self.step = step;
        self
    }

    /// The seed of the random weights and directions.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the derivatives of `function` at `inputs`, which it receives as parameters without plates. The function
    /// may create plates and move event axes to them with `event_to_plate`.
    ///
    /// # Errors
    /// [`CheckError::Derivative`] or [`CheckError::Passes`] for the first wrong derivative, [`CheckError::NotFinite`] if
    /// the inputs are outside the domain of the function, [`CheckError::Tape`] if the function fails,
    /// [`CheckError::NoInputs`] if there is no input element.
    pub fn run<G>(&self, function: G, inputs: &[Tensor<f64>]) -> CheckResult<GradientReport>
    where
        G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
    {
        if inputs.iter().all(Tensor::is_empty) {
            return Err(CheckError::NoInputs);
        }
        let mut report = GradientReport::default();
        for reduction in Reduction::ALL {
            let mut probe = Probe { function: &function, reduction, seed: self.seed, workspace: Workspace::new() };
            self.check_first_order(&mut probe, inputs, &mut report)?;
            if self.order > 1 {
                self.check_second_order(&mut probe, inputs, &mut report)?;
            }
        }
        Ok(report)
    }

    fn check_first_order<G>(
        &self,
        probe: &mut Probe<'_, G>,
        inputs: &[Tensor<f64>],
        report: &mut GradientReport,
    ) -> CheckResult<()>
    where
        G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
    {
        let value = probe.value(inputs)?;
        finite("the value", value)?;
        let (backward, grad) = (probe.backward(inputs)?, probe.grad(inputs)?);
        let largest = largest(&backward);
        for (input, tensor) in inputs.iter().enumerate() {
            for element in 0..tensor.len() {
                let found = backward[input].as_slice()[element];
                let other = grad[input].as_slice()[element];
                if (found - other).abs() > 1e-13 * largest || found.is_nan() != other.is_nan() {
                    let reduction = probe.reduction.name();
                    return Err(CheckError::Passes { input, element, reduction, backward: found, grad: other });
                }
                let x = tensor.as_slice()[element];
                let mut moved = inputs.to_vec();
                let expected = derivative_at_zero(self.step * x.abs().max(1.0), |offset| {
                    moved[input].make_mut()[element] = x + offset;
                    Ok(vec![probe.value(&moved)?])
                })?[0];
                let place = Place { order: 1, input, element, reduction: probe.reduction.name() };
                report.first_order = report.first_order.max(self.compare(place, expected, found, largest)?);
                report.compared += 1;
            }
        }
        Ok(())
    }

    fn check_second_order<G>(
        &self,
        probe: &mut Probe<'_, G>,
        inputs: &[Tensor<f64>],
        report: &mut GradientReport,
    ) -> CheckResult<()>
    where
        G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
    {
        let seed = self.seed ^ 0xd1ce;
        let direction: Vec<Tensor<f64>> = inputs
            .iter()
            .enumerate()
            .map(|(input, tensor)| random_weights(tensor.shape(), seed + input as u64))
            .collect();
        let found = probe.hessian_vector_product(inputs, &direction)?;
        let flat = derivative_at_zero(self.step, |offset| {
            let moved: Vec<Tensor<f64>> = inputs
                .iter()
                .zip(&direction)
                .map(|(x, d)| Tensor::from_fn(x.shape().clone(), |i| x.as_slice()[i] + offset * d.as_slice()[i]))
                .collect();
            Ok(probe.backward(&moved)?.iter().flat_map(Tensor::to_vec).collect())
        })?;
        let largest = flat.iter().fold(1.0, |largest: f64, derivative| largest.max(derivative.abs()));
        let mut expected = flat.into_iter();
        for (input, tensor) in found.iter().enumerate() {
            for (element, (&found, expected)) in tensor.as_slice().iter().zip(expected.by_ref()).enumerate() {
                let place = Place { order: 2, input, element, reduction: probe.reduction.name() };
                report.second_order = report.second_order.max(self.compare(place, expected, found, largest)?);
                report.compared += 1;
            }
        }
        Ok(())
    }

    fn compare(&self, place: Place, expected: f64, found: f64, largest: f64) -> CheckResult<f64> {
        let Place { order, input, element, reduction } = place;
        finite("a difference of the function", expected)?;
        let discrepancy = (expected - found).abs();
        if discrepancy <= self.relative * expected.abs() + self.absolute * largest {
            Ok(discrepancy / expected.abs().max(1.0))
        } else {
            Err(CheckError::Derivative { order, input, element, reduction, expected, found })
        }
    }
}

struct Place {
    order: u32,
    input: usize,
    element: usize,
    reduction: &'static str,
}

fn finite(what: &str, found: f64) -> CheckResult<()> {
    if found.is_finite() { Ok(()) } else { Err(CheckError::NotFinite { what: what.into(), found }) }
}

fn largest(tensors: &[Tensor<f64>]) -> f64 {
    tensors.iter().flat_map(Tensor::as_slice).fold(1.0, |largest: f64, x| largest.max(x.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_tape::{PlateKind, Primitive, PrimitiveInputs};

    /// A cube whose gradient rule is wrong by a factor at each order, unless the factor is 1.
    struct Cube {
        first: f64,
        second: f64,
    }

    impl Primitive<f64> for Cube {
        fn name(&self) -> &str {
            "cube"
        }

        fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
            Ok(inputs.values[0].map(|x| x * x * x))
        }

        fn gradient<'t>(
            &self,
            inputs: &[Var<'t, f64>],
            _: Var<'t, f64>,
            adjoint: Var<'t, f64>,
        ) -> Vec<Option<Var<'t, f64>>> {
            let x = inputs[0];
            let wrong = (x - x.stop_gradient()) * (self.second - 1.0) * 6.0 * x.stop_gradient();
            vec![Some(adjoint * (x.square() * 3.0 * self.first + wrong))]
        }
    }

    fn check_cube(first: f64, second: f64) -> CheckResult<GradientReport> {
        let inputs = [Tensor::from([0.7, -1.1, 2.0])];
        gradient_check(|tape, x| tape.custom(Arc::new(Cube { first, second }), &[x[0]]), &inputs)
    }

    #[test]
    fn a_right_rule_passes() {
        let report = check_cube(1.0, 1.0).unwrap();
        assert!(report.first_order < 1e-8 && report.second_order < 1e-8, "{report}");
        assert_eq!(report.compared, 4 * 2 * 3);
    }

    #[test]
    fn a_wrong_first_derivative_is_found() {
        let error = check_cube(1.0 + 1e-5, 1.0).unwrap_err();
        assert!(matches!(error, CheckError::Derivative { order: 1, input: 0, .. }), "{error}");
    }

    #[test]
    fn a_wrong_second_derivative_is_found() {
        let error = check_cube(1.0, 1.0 + 1e-4).unwrap_err();
        assert!(matches!(error, CheckError::Derivative { order: 2, input: 0, .. }), "{error}");
    }

    #[test]
    fn first_order_only_does_not_check_the_second() {
        let inputs = [Tensor::from([0.7, -1.1, 2.0])];
        let check = GradientCheck::new().first_order_only();
        let report =
            check.run(|tape, x| tape.custom(Arc::new(Cube { first: 1.0, second: 2.0 }), &[x[0]]), &inputs).unwrap();
        assert_eq!(report.second_order, 0.0);
    }

    #[test]
    fn the_place_of_a_wrong_derivative_is_named() {
        let inputs = [Tensor::from([1.0, 2.0]), Tensor::from([0.5, -0.5])];
        let error = gradient_check(|_, x| x[0] + x[1] * x[1].stop_gradient(), &inputs).unwrap_err();
        let CheckError::Derivative { order, input, element, expected, found, .. } = error else { panic!("{error}") };
        assert_eq!((order, input, element), (1, 1, 0));
        assert_abs_diff_eq!(expected, 2.0 * found, epsilon = 1e-6 * expected.abs());
    }

    #[test]
    fn plates_of_the_function_are_reduced() {
        let inputs = [Tensor::from([[1.0, 2.0, 0.5], [0.5, -0.5, 3.0]]), Tensor::from([0.3, 0.4, -1.5])];
        let report = gradient_check(
            |tape, x| {
                let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
                (x[0].event_to_plate(plate) * x[1]).sin()
            },
            &inputs,
        );
        assert!(report.unwrap().second_order < 1e-7);
    }

    #[test]
    fn a_small_domain_is_respected() {
        let report = gradient_check(|_, x| x[0].ln(), &[Tensor::from([0.004])]).unwrap();
        assert!(report.first_order < 1e-7, "{report}");
    }

    #[test]
    fn what_cannot_be_checked_is_an_error() {
        assert_eq!(gradient_check(|tape, _| tape.constant(1.0), &[]).unwrap_err(), CheckError::NoInputs);
        let outside = gradient_check(|_, x| x[0].ln(), &[Tensor::from([-1.0])]).unwrap_err();
        assert!(matches!(outside, CheckError::NotFinite { .. }), "{outside}");
        let failed = gradient_check(|_, x| x[0].reshape([7]), &[Tensor::from([-1.0])]).unwrap_err();
        assert!(matches!(failed, CheckError::Tape(_)), "{failed}");
    }
}
