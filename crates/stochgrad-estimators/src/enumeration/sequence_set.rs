//! Weights for sequences that were drawn without replacement. Use it for models of sequences, whose sequences are too
//! many to list, together with [`SequenceModel::without_replacement`](stochgrad_graph::SequenceModel).
//!
//! The search draws $k$ different sequences $S$, each by its probability among the remaining ones, and adds up the
//! probability of all others. This is all that the estimators of [`UnorderedSet`](crate::UnorderedSet) and
//! [`WithoutReplacement`](crate::WithoutReplacement) need:
//!
//! $$g = \sum_{s \in S} R(S, s)\, \nabla p(s) \Big[f(s) - \sum_{s' \in S} p(s')\, R^{D \setminus s}(S, s')\, f(s')\Big]$$
//!
//! for the unordered set, with the leave-one-out ratio $R(S, s) = P^{D \setminus s}(S \setminus s) / P(S)$, and
//!
//! $$g = \sum_{s \in S} w_s\, \nabla \ln p(s)\, \big[f(s)\,(1 + w_s - p(s)) - B\big], \quad B = \sum_{s' \in S} w_{s'}
//!     f(s'), \quad w_s = \frac{p(s)}{1 - e^{-p(s)\, t}}$$
//!
//! for importance weights, with the arrival time $t$ of the sequence that would have been drawn next. Its waits are
//! drawn by the method, since they do not depend on which sequences arrived. Normalised weights are divided by their sum,
//! and use $B$ without the correction. Kool, van Hoof and Welling (2019, 2020).
//!
//! The weights are detached, and $\ln p(s)$ is the gradient function, so that derivatives of every order are unbiased.
//!
//! **Assumptions.** A cost must not depend on the sets of several plate members together.
//!
//! | | unordered set, importance weights | normalised |
//! |---|---|---|
//! | bias | none | of costs and gradients, of order $1/k$ |
//! | order | any | any |
//! | cost evaluations | $k$; the ratios of unordered sets cost $O(k\, 2^k)$ | $k$ |
//! | requirement on the cost | values | values |

use crate::enumeration::distinct_states::weighted;
use crate::enumeration::set_probabilities::{LARGEST, SetProbabilities};
use crate::enumeration::without_replacement::{importance_weights, normalized, own_baseline};
use stochgrad_distributions::{Distribution, DistributionError};
use stochgrad_graph::{
    Bias, CostContext, DistinctSequences, GradientMethod, GraphResult, Method, Order, Path, Profile, SampleContext,
    SampleSet, Terms,
};
use stochgrad_tape::{Degree, Plate, PlateKind, Var};
use stochgrad_tensor::{Real, Shape};

/// How the sequences are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weights {
    Unordered,
    Importance,
    Normalized,
}

/// Sequences without replacement, by the unordered set or by importance weights.
///
/// ```
/// use stochgrad_estimators::SequenceSet;
/// use stochgrad_graph::{Graph, Seed, SequenceModel};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> stochgrad_graph::GraphResult<()> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.5])?;
/// let model = SequenceModel::new(5, (), graph.constant(0.0), |(), _| Ok(((), logits))); // five tokens
/// let drawn = model.without_replacement(&graph, "search", 4)?;
/// let tokens = graph.sample("sequences", &drawn, &SequenceSet::new(4))?; // four members, event shape [5]
/// graph.cost("loss", (tokens.sum() - 3.0).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceSet {
    size: usize,
    weights: Weights,
    baseline: bool,
}

impl SequenceSet {
    /// The unordered set of this number of sequences, at most 10. From two sequences on, it has the built-in baseline.
    pub fn new(size: usize) -> Self {
        SequenceSet { size, weights: Weights::Unordered, baseline: true }
    }

    /// Uses importance weights instead, which need no sums over orders: for large sets.
    pub fn importance_weighted(self) -> Self {
        SequenceSet { weights: Weights::Importance, ..self }
    }

    /// Uses importance weights that are divided by their sum, which is biased and has a lower variance.
    pub fn normalized(self) -> Self {
        SequenceSet { weights: Weights::Normalized, ..self }
    }

    /// Leaves out the built-in baseline.
    pub fn without_baseline(self) -> Self {
        SequenceSet { baseline: false, ..self }
    }
}

/// The log-probabilities of the sequences one by one, without derivatives.
fn logs<'t, F: Real>(distribution: &DistinctSequences<Var<'t, F>>) -> Vec<Var<'t, F>> {
    let logs = distribution.log_probs().stop_gradient();
    (0..distribution.size()).map(|s| logs.index(0, s)).collect()
}

impl SequenceSet {
    fn weights<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &DistinctSequences<Var<'t, F>>,
    ) -> GraphResult<Vec<Var<'t, F>>> {
        let (logs, log_rest) = (logs(distribution), distribution.log_rest().stop_gradient());
        if self.weights == Weights::Unordered {
            let set = SetProbabilities::new(&logs, log_rest)?;
            return Ok((0..self.size).map(|s| set.weight(s)).collect());
        }
        // The rates of the sequences that had not been drawn: before the first draw, before the second, and so on.
        let mut rates = vec![log_rest.exp()];
        for log in logs.iter().rev() {
            rates.push(rates[rates.len() - 1] + log.exp());
        }
        rates.reverse();
        // For a smaller probability, the weight has reached its limit 1/t.
        let tiny = context.tape().constant(1e-30);
        let chances: Vec<Var<'t, F>> = logs.iter().map(|log| log.exp().maximum(tiny)).collect();
        let waits = context.draw(None).purpose("threshold");
        let waits = waits.record_exponential(context.tape(), &Shape::from([rates.len()]));
        let waits = waits.map_err(|source| context.error(source))?;
        let weights = importance_weights(&chances, &rates, waits)?;
        Ok(if self.weights == Weights::Normalized { normalized(&weights)? } else { weights })
    }

    fn baselines<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &DistinctSequences<Var<'t, F>>,
        plate: Plate,
    ) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        if self.weights != Weights::Unordered {
            let chances = distribution.log_prob(context.value()).stop_gradient().exp();
            return own_baseline(context, plate, chances, self.weights == Weights::Normalized);
        }
        let logs = logs(distribution);
        let set = SetProbabilities::new(&logs, distribution.log_rest().stop_gradient())?;
        let chances: Vec<Var<'t, F>> = logs.iter().map(|log| log.exp()).collect();
        for cost in context.totals()? {
            let Some(l) = cost.gradient_function else { continue };
            let baselines = set.baselines(&chances, |s| cost.value.member(plate, s))?;
            let baseline = baselines.event_to_plate(plate).stop_gradient();
            terms.control_variates.push((1.0 - l.magic_box()) * baseline);
        }
        Ok(terms)
    }
}

impl Method for SequenceSet {
    fn name(&self) -> String {
        let weights = match self.weights {
            Weights::Unordered => "",
            Weights::Importance => ", importance weights",
            Weights::Normalized => ", normalised weights",
        };
        let baseline = if self.baseline { "" } else { ", no baseline" };
        format!("sequence set ({} sequences{weights}{baseline})", self.size)
    }

    fn profile(&self) -> Profile {
        let profile = Profile::unbiased(Order::Any).times(self.size);
        match self.weights {
            Weights::Unordered | Weights::Importance => profile,
            Weights::Normalized => Profile { bias: Bias::Distribution, exact_to: Degree::CONSTANT, ..profile },
        }
    }
}

impl<F: Real> GradientMethod<F, DistinctSequences> for SequenceSet {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &DistinctSequences<Var<'t, F>>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let unsupported = |problem: String| {
            context.error(DistributionError::Unsupported { distribution: distribution.name(), problem })
        };
        if distribution.size() != self.size {
            return Err(unsupported(format!(
                "expected {} sequences, as the method states, got {}; pass the same size to the search and to \
                 SequenceSet::new",
                self.size,
                distribution.size()
            )));
        }
        if self.weights == Weights::Unordered && self.size > LARGEST {
            return Err(unsupported(format!(
                "expected a set of at most {LARGEST} sequences, since it has sums over their orders, got {}; use \
                 .importance_weighted()",
                self.size
            )));
        }
        let plate = context.plate(self.size, PlateKind::JointSamples)?;
        let value = distribution.tokens().event_to_plate(plate).drawn();
        weighted(value, &self.weights(context, distribution)?, plate)
    }

    fn gradient_function<'t>(
        &self,
        distribution: &DistinctSequences<Var<'t, F>>,
        value: Var<'t, F>,
        _path: &Path,
    ) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &DistinctSequences<Var<'t, F>>,
    ) -> GraphResult<Terms<'t, F>> {
        match context.plate().filter(|_| self.baseline && self.size >= 2) {
            Some(plate) => self.baselines(context, distribution, plate),
            None => Ok(Terms::default()),
        }
    }
}
