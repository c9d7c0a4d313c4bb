//! What a model is recorded for.

/// What a model is recorded for. [`Record::mode`](crate::Record::mode) returns it, so that a model can, for example,
/// draw more samples in an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The gradients of the costs are computed.
    #[default]
    Train,
    /// The costs are computed without gradients.
    Evaluate,
    /// The named outputs are computed. Costs need not be recorded.
    Predict,
}
