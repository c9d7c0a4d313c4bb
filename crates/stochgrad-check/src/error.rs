//! What a check can find.

use stochgrad_tape::TapeError;

/// The result of a check.
pub type CheckResult<T> = Result<T, CheckError>;

/// Why a check failed, or could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The function under test recorded an error.
    #[error("the function under test failed: {0}")]
    Tape(#[from] TapeError),
    /// There is no number to differentiate with respect to.
    #[error("expected at least one input with at least one element, came none")]
    NoInputs,
    /// A value or a derivative that is not a finite number.
    #[error("{what} is {found}, expected a finite number; choose inputs inside the domain of the function")]
    NotFinite {
        /// The value or derivative, in words.
        what: String,
        /// What was found.
        found: f64,
    },
    /// A derivative that differs from the differences of the function.
    #[error(
        "derivative of order {order} at input {input}, element {element} (value reduced by {reduction}): \
         expected {expected:e} by central differences, found {found:e}; check the gradient rule, and that no kink is near"
    )]
    Derivative {
        /// 1 for the gradient, 2 for the product of the Hessian with a direction.
        order: u32,
        /// The position of the input in the list of inputs.
        input: usize,
        /// The position of the element in the row-major input.
        element: usize,
        /// How the value of the function was reduced to a number.
        reduction: &'static str,
        /// By central differences.
        expected: f64,
        /// By the tape.
        found: f64,
    },
    /// The gradient as plain tensors differs from the gradient on the tape.
    #[error(
        "input {input}, element {element} (value reduced by {reduction}): `backward` gives {backward:e}, `grad` gives {grad:e}; \
         both must apply the same rules"
    )]
    Passes {
        /// The position of the input in the list of inputs.
        input: usize,
        /// The position of the element in the row-major input.
        element: usize,
        /// How the value of the function was reduced to a number.
        reduction: &'static str,
        /// By `Tape::backward_all`.
        backward: f64,
        /// By `Tape::gradients`.
        grad: f64,
    },
}
