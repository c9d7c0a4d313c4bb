//! The errors of checks.

use std::time::Duration;
use stochgrad_graph::GraphError;
use stochgrad_tape::TapeError;

/// The result of a check.
pub type CheckResult<T> = Result<T, CheckError>;

/// Why a check failed, or why it could not be made.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The function under test recorded an error.
    #[error("the function under test failed: {0}")]
    Tape(#[from] TapeError),
    /// There is no input element to differentiate with respect to.
    #[error("expected at least one input with at least one element, got none")]
    NoInputs,
    /// A value or a derivative that is not a finite number.
    #[error("expected {what} to be a finite number, got {found}; choose inputs inside the domain of the function")]
    NotFinite {
        /// The value or derivative, in words.
        what: String,
        /// What was found.
        found: f64,
    },
    /// A derivative that differs from the central differences of the function.
    #[error(
        "derivative of order {order} at input {input}, element {element} (value reduced by {reduction}): \
         expected {expected:e} by central differences, got {found:e}; check the gradient rule, and that no kink is near"
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
    /// The gradient as plain tensors differs from the gradient as variables of the tape.
    #[error(
        "input {input}, element {element} (value reduced by {reduction}): `backward` gives {backward:e} and `grad` \
         gives {grad:e}, expected equal values; both must apply the same gradient rules"
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
    /// The model under test failed.
    #[error("the model under test failed: {0}")]
    Graph(#[from] GraphError),
    /// A draw that the oracle cannot enumerate.
    #[error("the oracle cannot enumerate this draw: {problem}")]
    Noise {
        /// What the draw asked for, and what to try.
        problem: String,
    },
    /// A program that gives different results for the same noise.
    #[error(
        "the program is not a function of its noise: {problem}; draw all randomness from the noise source, and keep no \
         state between runs"
    )]
    NotDeterministic {
        /// What differed between two runs.
        problem: String,
    },
    /// A program with more outcomes than the oracle may visit.
    #[error(
        "stopped after {limit} outcomes, of probability {covered}, out of about {estimate:.3e}; draw fewer samples, \
         use fewer quadrature nodes, or raise max_outcomes"
    )]
    TooManyOutcomes {
        /// The limit.
        limit: usize,
        /// The probability of the visited outcomes.
        covered: f64,
        /// An estimate of the number of all outcomes, from the number of options of the visited choices.
        estimate: f64,
    },
    /// A program whose outcomes take longer than the time limit.
    #[error(
        "stopped after {limit:?} and {outcomes} outcomes, of probability {covered}, out of about {estimate:.3e}; draw \
         fewer samples, use fewer quadrature nodes, or raise time_limit"
    )]
    TooLong {
        /// The limit.
        limit: Duration,
        /// How many outcomes were visited.
        outcomes: usize,
        /// The probability of the visited outcomes.
        covered: f64,
        /// An estimate of the number of all outcomes, from the number of options of the visited choices.
        estimate: f64,
    },
    /// Two computations of the same total cost that disagree: an error of the library, not of the model.
    #[error(
        "an error of the library: {what} of one outcome is {engine} by the graph, but {plain} by plain sums over the \
         members of the plates of each cost; please report it with the model, and do not use the gradients of this \
         model until it is fixed"
    )]
    Library {
        /// The total cost, or an element of its gradient, in words.
        what: String,
        /// By the graph's own reduction.
        engine: f64,
        /// By plain loops over the costs as they were passed.
        plain: f64,
    },
    /// Outcomes whose probabilities do not add up to 1.
    #[error(
        "expected the probabilities of all outcomes to add up to 1, got {total} for {outcomes} outcomes; check the \
         distribution functions of the draws"
    )]
    Probability {
        /// How many outcomes there are.
        outcomes: usize,
        /// The sum of their probabilities.
        total: f64,
    },
    /// Results of several runs that cannot be averaged.
    #[error(
        "{what} differs between runs: expected {expected}, got {found}; create all parameters before anything random, \
         with fixed shapes"
    )]
    Runs {
        /// What differs.
        what: String,
        /// What the first run gave.
        expected: String,
        /// What a later run gave.
        found: String,
    },
    /// An unknown name.
    #[error("no {what} is called \"{name}\"; there are: {known}")]
    Unknown {
        /// `parameter` or `cost`.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// An estimate whose exact expectation is wrong.
    #[error(
        "derivative of order {order} along {direction}: expected {expected:.12e}, got an estimate with expectation \
         {found:.12e} (tolerance {tolerance:e} relative to max(1, |expected|)); the gradient method is biased at this \
         order"
    )]
    Expectation {
        /// The order; 0 for the value.
        order: usize,
        /// The direction in the space of the parameters, in words.
        direction: String,
        /// The exact derivative of the expected cost.
        expected: f64,
        /// The exact expectation of the estimate.
        found: f64,
        /// The tolerance.
        tolerance: f64,
    },
    /// A mean over runs that is too far from its exact value.
    #[error(
        "the mean of {what} over {runs} runs: expected {expected:e}, got {found:e}, which is {distance:.2} standard \
         errors of {standard_error:e} away (threshold {threshold} with Holm's correction; {rejected} of {tested} \
         elements are rejected); the estimate is biased, or the exact value is wrong"
    )]
    Mean {
        /// The element that is farthest off.
        what: String,
        /// How many runs there were.
        runs: usize,
        /// The exact value.
        expected: f64,
        /// The mean over the runs.
        found: f64,
        /// The standard error of the mean.
        standard_error: f64,
        /// The distance in standard errors.
        distance: f64,
        /// How many standard errors a single element that is tested alone may be off.
        threshold: f64,
        /// How many elements are rejected.
        rejected: usize,
        /// How many elements were tested.
        tested: usize,
    },
    /// A variance over runs that is too far from its exact value.
    #[error(
        "the variance of {what} over {runs} runs: expected {expected:e} to a relative tolerance of {tolerance}, got \
         {found:e}; the estimator has another variance, or needs more runs"
    )]
    Variance {
        /// The element.
        what: String,
        /// How many runs there were.
        runs: usize,
        /// The exact variance of one run.
        expected: f64,
        /// The variance over the runs.
        found: f64,
        /// The relative tolerance.
        tolerance: f64,
    },
    /// A setting outside its domain.
    #[error("expected {setting} to be {expected}, got {found}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its domain.
        expected: &'static str,
        /// What was passed.
        found: String,
    },
}

stochgrad_tensor::message_as_debug!(CheckError);
