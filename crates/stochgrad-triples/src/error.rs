//! The errors of this crate.

/// The result of the fallible functions of this crate.
pub type TripleResult<T> = Result<T, TripleError>;

/// Why a program has no estimate of its derivative.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TripleError {
    /// A parameter of a distribution is outside of its domain.
    #[error("expected {expected} in {distribution}, got {got}")]
    Domain {
        /// The distribution.
        distribution: &'static str,
        /// What its parameters must be.
        expected: &'static str,
        /// The parameters.
        got: String,
    },

    /// The derivative with respect to a parameter of a distribution is not known.
    #[error(
        "expected a parameter \"{parameter}\" of {distribution} that does not change smoothly with the argument of the \
         program, got one with the derivative {derivative}; its jump rates are not known"
    )]
    NoRate {
        /// The distribution.
        distribution: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// Its derivative.
        derivative: f64,
    },

    /// Control flow depends on a value that changes smoothly. Where the branch changes, the result jumps, and no triple
    /// carries the derivative of this jump.
    #[error(
        "expected a {statement} on discrete values, got a value with the derivative {derivative}; the result may jump \
         where the branch changes, and the derivative would be wrong; draw the decision from a distribution, whose \
         probabilities may depend on the value"
    )]
    SmoothBranch {
        /// The kind of the control flow.
        statement: &'static str,
        /// The derivative of the value.
        derivative: f64,
    },

    /// A branch returned structures of different lengths for the two values.
    #[error("expected a {statement} that returns as many values for each decision, got {first} and {second}")]
    Lengths {
        /// The kind of the control flow.
        statement: &'static str,
        /// The number of triples for the value.
        first: usize,
        /// The number of triples for the alternative.
        second: usize,
    },

    /// A loop did not end.
    #[error("expected a loop of at most {limit} iterations, got more; raise the limit with `Run::loop_limit`")]
    EndlessLoop {
        /// The largest number of iterations.
        limit: u64,
    },

    /// A value or a derivative is NaN or infinite.
    #[error(
        "expected a finite {what}, got {got}; a function was evaluated outside of its domain or at a kink, perhaps at \
         an alternative value that the program never draws at this argument"
    )]
    NotFinite {
        /// The value or the derivative.
        what: &'static str,
        /// What it is.
        got: f64,
    },
}
