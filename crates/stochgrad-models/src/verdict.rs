//! The result of comparing an estimator with the meaning of its model.

/// The kind of a failure. When a program is shrunk, its failure must stay of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The expected value of the surrogate is wrong.
    Value,
    /// The expected gradient is wrong.
    Gradient,
    /// A directional derivative of the surrogate is wrong.
    Derivative,
    /// The gradient or a directional derivative is wrong, and the model lies on the boundary of its parameters, where
    /// only one-sided derivatives exist.
    Boundary,
    /// A value or derivative is not finite, and no error was returned.
    NotFinite,
    /// An infinite expected cost was accepted.
    Infinite,
    /// A panic.
    Panic,
    /// A compiled graph and a new recording differ in a bit.
    Compiled,
    /// The exact oracle could not average the outcomes.
    Oracle,
    /// The exact oracle finds another expected cost than the reference.
    Truth,
    /// An error without a message.
    EmptyReason,
}

/// A wrong result.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The kind of the failure.
    pub kind: FailureKind,
    /// The quantity that is wrong, or what happened.
    pub what: String,
    /// The expected value.
    pub expected: f64,
    /// The value found.
    pub found: f64,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// All compared quantities agree, with derivatives up to this order.
    Agreed(usize),
    /// The cost agrees, and the gradient is labelled as biased.
    Labelled,
    /// The graph returned an error with this message.
    Refused(String),
    /// The estimator has too many outcomes.
    TooLarge,
    /// The estimator has draws that cannot be enumerated.
    NotEnumerable,
    /// A wrong result.
    Failed(Failure),
}

/// Settings of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The largest number of outcomes of an estimator.
    pub max_outcomes: usize,
    /// Whether to compare a compiled graph with new recordings.
    pub compiled: bool,
    /// Whether to compare the exact oracle itself with the reference.
    pub oracle: bool,
}
