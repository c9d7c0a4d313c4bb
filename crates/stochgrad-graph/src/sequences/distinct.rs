//! Sequences that were drawn without replacement, as the distribution of a node.

use stochgrad_distributions::{
    CustomSupport, Distribution, DistributionError, DistributionResult, Draw, Parameter, Parameters, Support,
    check_parameter, distribution,
};
use stochgrad_tape::{Condition, Var};
use stochgrad_tensor::{Real, Shape};

distribution! {
    /// Different sequences that were drawn one after the other, each by its probability among the remaining ones. Made
    /// by [`SequenceModel::without_replacement`](crate::SequenceModel::without_replacement), and the distribution of the
    /// node whose values they are. The method of the node gives them their weights.
    ///
    /// The sequences are what was drawn, so that this distribution knows the probabilities of these sequences only: the
    /// log-probability of another one is NaN, and a method that draws sequences of its own is an error.
    pub struct DistinctSequences {
        /// The tokens, event shape `[size, steps]`, in the order in which the sequences were drawn.
        tokens,
        /// The log-probabilities of the sequences, event shape `[size]`, with derivatives.
        log_probs,
        /// The logarithm of the probability of all other sequences together.
        log_rest,
    }
}

impl<'t, F: Real> DistinctSequences<Var<'t, F>> {
    /// Values that were drawn without replacement in another way, such as by your own search: event shapes
    /// `[size, ..]`, `[size]` and `[]`. They must be in the order of the draws for weights by arrival times; the
    /// unordered set does not depend on the order.
    pub fn new(tokens: Var<'t, F>, log_probs: Var<'t, F>, log_rest: Var<'t, F>) -> Self {
        DistinctSequences { tokens, log_probs, log_rest }
    }

    /// The number of sequences.
    pub fn size(&self) -> usize {
        self.log_probs.shape().first().copied().unwrap_or(0)
    }
}

impl<'t, F: Real> Distribution<'t, F> for DistinctSequences<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "DistinctSequences"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        [Parameter::smooth("log_probs", self.log_probs)].into_iter().collect()
    }

    fn event_shape(&self) -> Shape {
        let shape = self.tokens.shape();
        shape[shape.len().min(1)..].into()
    }

    fn element_rank(&self) -> usize {
        self.event_shape().len()
    }

    fn support(&self) -> Support {
        Support::Custom(CustomSupport { name: "sequences of tokens", continuous_scalar: false, fixed: true })
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let mut other = self.tokens.not_equal(value.unsqueeze(0));
        while other.shape().len() > 1 {
            other = other.max_axis(-1);
        }
        let log_prob = other.select(tape.constant(f64::NEG_INFINITY), self.log_probs).logsumexp(0);
        other.min_axis(0).select(tape.constant(f64::NAN), log_prob)
    }

    fn sample(&self, _draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let problem = "its sequences are drawn already, and no others can be drawn; sample the node by SequenceSet. The \
                       exact oracle cannot draw them either: test the gradient statistically";
        Err(DistributionError::Unsupported { distribution: "DistinctSequences", problem: problem.into() })
    }

    fn validate(&self) -> DistributionResult<()> {
        let size = self.size();
        let shape = self.tokens.shape();
        if size == 0 || shape.first() != Some(&size) || self.log_probs.shape().len() != 1 {
            return Err(DistributionError::Unsupported {
                distribution: "DistinctSequences",
                problem: format!(
                    "expected tokens of event shape [size, ..] and log-probabilities of event shape [size], got {shape} \
                     and {}",
                    self.log_probs.shape()
                ),
            });
        }
        let hint = "there are fewer possible sequences than the set holds; draw a smaller set";
        check_parameter("DistinctSequences", "log_probs", self.log_probs, "finite", hint, Condition::Finite)
    }
}
