//! One sequence, token by token: sampled, greedy, or given.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::scan::step::ScanStep;
use crate::graph::scan::values::ScanValues;
use crate::method::GradientMethod;
use crate::method::sample_set::SamplePlate;
use crate::sequences::model::SequenceModel;
use std::panic::Location;
use stochgrad_distributions::{Categorical, Distribution};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// Sequences with one token for each step. Behind the end token, they are filled with end tokens.
#[derive(Clone, Copy, Debug)]
pub struct SampledSequence<'t, F: Real> {
    /// The tokens, event shape `[steps]`.
    pub tokens: Var<'t, F>,
    /// 1 for the tokens up to the end token, which is included, and 0 behind it; event shape `[steps]`.
    pub mask: Var<'t, F>,
    /// The log-probability of each token given those before it, 0 behind the end; event shape `[steps]`.
    pub log_probs: Var<'t, F>,
    /// The number of tokens before the end token, without event axes.
    pub lengths: Var<'t, F>,
}

/// Records the costs of a step with its token.
type Reward<'c, 't, F> = dyn FnMut(&ScanStep<'_, 't, F>, SampledToken<'t, F>) -> GraphResult<()> + 'c;

/// Chooses the token of a step, from the logits of all tokens.
type Choice<'c, 't, F> = dyn FnMut(&ScanStep<'_, 't, F>, Var<'t, F>) -> GraphResult<Var<'t, F>> + 'c;

impl<'t, F: Real> SampledSequence<'t, F> {
    /// The log-probability of the whole sequence.
    #[track_caller]
    pub fn log_prob(&self) -> Var<'t, F> {
        self.log_probs.sum()
    }
}

/// One token of a sequence, as the body of [`SequenceModel::sample_each`] gets it.
#[derive(Clone, Copy, Debug)]
pub struct SampledToken<'t, F: Real> {
    /// The token.
    pub token: Var<'t, F>,
    /// 1 up to the end token, which is included, and 0 behind it.
    pub mask: Var<'t, F>,
    /// Its log-probability given those before it, 0 behind the end.
    pub log_prob: Var<'t, F>,
}

impl<'t, F: Real, C, S> SequenceModel<'t, F, C, S>
where
    C: ScanValues<'t, F>,
    S: Fn(C, Var<'t, F>) -> GraphResult<(C, Var<'t, F>)>,
{
    /// Samples a sequence token by token (ancestral sampling), in a [scan](Graph::scan). The token of step $t$ is a
    /// [`Categorical`] node at the address `(name, t)`, with the gradient method that is given. Costs that are recorded
    /// afterwards, such as a reward of the whole sequence, are credited to all tokens.
    ///
    /// For several sequences, make a plate and pass it to the method, so that all steps share it:
    ///
    /// ```
    /// use stochgrad_estimators::{LeaveOneOut, ScoreFunction};
    /// use stochgrad_graph::{Graph, Seed, SequenceModel};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> stochgrad_graph::GraphResult<()> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let table = graph.param("table", [[0.2, -0.3, 0.5], [-0.6, 0.7, 0.1], [0.0; 3], [0.4, 0.1, -1.0]])?;
    /// let model = SequenceModel::new(4, (), graph.constant(3.0), |(), last| Ok(((), table.lookup(last)))).end(2);
    ///
    /// let method = ScoreFunction::new().on_plate(graph.plate("samples", 8)?).baseline(LeaveOneOut);
    /// let sampled = model.sample(&graph, "token", &method)?;
    /// graph.cost("length", (sampled.lengths - 3.0).square())?;
    /// assert_eq!(graph.backward()?.get("table")?.shape()[..], [4, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For logits of another shape than `[vocabulary]`, for a method that would make a plate of samples in each step,
    /// and those of [`Graph::scan`] and [`Graph::sample`].
    #[track_caller]
    pub fn sample<M>(&self, graph: &Graph<'t, F>, name: &str, method: &M) -> GraphResult<SampledSequence<'t, F>>
    where
        M: GradientMethod<F, Categorical> + Clone + 'static,
    {
        self.sample_at(graph, name, method, &mut |_, _| Ok(()), Location::caller())
    }

    /// As [`sample`](Self::sample), and calls `each` in every step, which may record costs. A cost that is recorded
    /// there depends on the tokens up to this step only, so that it is credited to them and not to later ones. Multiply
    /// it by the mask, if it should not count behind the end.
    ///
    /// ```
    /// use stochgrad_estimators::ScoreFunction;
    /// use stochgrad_graph::{Graph, Seed, SequenceModel};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> stochgrad_graph::GraphResult<()> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let logits = graph.param("logits", [0.0, 0.5, -0.5])?;
    /// let wanted = graph.constant([2.0, 0.0, 1.0, 1.0]);
    /// let model = SequenceModel::new(4, (), graph.constant(0.0), |(), _| Ok(((), logits)));
    /// model.sample_each(&graph, "token", &ScoreFunction::new(), |step, sampled| {
    ///     graph.cost("wrong", sampled.token.not_equal(step.of(wanted)))
    /// })?;
    /// assert_eq!(graph.backward()?.get("logits")?.shape()[..], [3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`sample`](Self::sample), and those of `each`.
    #[track_caller]
    pub fn sample_each<M>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        method: &M,
        mut each: impl FnMut(&ScanStep<'_, 't, F>, SampledToken<'t, F>) -> GraphResult<()>,
    ) -> GraphResult<SampledSequence<'t, F>>
    where
        M: GradientMethod<F, Categorical> + Clone + 'static,
    {
        self.sample_at(graph, name, method, &mut each, Location::caller())
    }

    fn sample_at<M>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        method: &M,
        each: &mut Reward<'_, 't, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<SampledSequence<'t, F>>
    where
        M: GradientMethod<F, Categorical> + Clone + 'static,
    {
        if let SamplePlate::New(samples) = method.sample_plate() {
            let problem = format!(
                "expected one token for each member of the plates, got a method that draws {samples} in every step, \
                 which are {samples} to the power of the number of steps; make a plate with graph.plate(name, \
                 {samples}), and pass it to the method with on_plate(plate)"
            );
            return Err(GraphError::Sequence { name: name.into(), problem, at });
        }
        let address = Address::from(name);
        let mut choose =
            |_: &ScanStep<'_, 't, F>, logits| graph.sample_at(&address, &Categorical::from_logits(logits), method, at);
        self.tokens(graph, name, at, &mut choose, each)
    }

    /// The sequence of the most probable token in each step. The reward of this sequence is the baseline of
    /// self-critical sequence training: record it with the costs of the sampled sequence, and pass it to
    /// `RecordedBaseline` of `stochgrad-estimators`.
    ///
    /// # Errors
    /// For logits of another shape than `[vocabulary]`, and those of [`Graph::scan`].
    #[track_caller]
    pub fn greedy(&self, graph: &Graph<'t, F>, name: &str) -> GraphResult<SampledSequence<'t, F>> {
        let mut choose = |_: &ScanStep<'_, 't, F>, logits: Var<'t, F>| Ok(logits.argmax(-1));
        self.tokens(graph, name, Location::caller(), &mut choose, &mut |_, _| Ok(()))
    }

    /// The log-probability of each token of given sequences, of event shape `[steps]` with as many steps as the longest
    /// sequence: teacher forcing. What is behind an end token does not count, and has the log-probability 0. The sum is
    /// the log-probability of the sequence.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed, SequenceModel};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> stochgrad_graph::GraphResult<()> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let logits = graph.param("logits", [0.0, 0.0])?;
    /// let model = SequenceModel::new(3, (), graph.constant(0.0), |(), _| Ok(((), logits))).end(1);
    /// let log_prob = model.log_probs(&graph, "given", graph.constant([0.0, 1.0, 1.0]))?.sum();
    /// assert!((log_prob.item()? - 0.25_f64.ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For tokens with another number of steps, and as [`greedy`](Self::greedy).
    #[track_caller]
    pub fn log_probs(&self, graph: &Graph<'t, F>, name: &str, tokens: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let mut choose = |step: &ScanStep<'_, 't, F>, _: Var<'t, F>| Ok(step.of(tokens));
        Ok(self.tokens(graph, name, Location::caller(), &mut choose, &mut |_, _| Ok(()))?.log_probs)
    }

    /// A sequence whose tokens are chosen one after the other from their logits.
    #[track_caller]
    fn tokens(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        at: &'static Location<'static>,
        choose: &mut Choice<'_, 't, F>,
        each: &mut Reward<'_, 't, F>,
    ) -> GraphResult<SampledSequence<'t, F>> {
        let carry = (self.first_state(), self.first, graph.constant(1.0));
        let (_, [tokens, mask, log_probs]) =
            graph.scan(name, self.longest, carry, |step, (state, last, running)| {
                let (state, logits) = self.next(name, state, last, running, at)?;
                let token = choose(step, logits)?;
                let log_prob = graph.tape().located(at, || Categorical::from_logits(logits).log_prob(token));
                graph.tape().check()?;
                each(step, SampledToken { token, mask: running, log_prob })?;
                Ok(((state, token, self.goes_on(running, token)), [token, running, log_prob]))
            })?;
        Ok(SampledSequence { tokens, mask, log_probs, lengths: self.lengths(tokens) })
    }
}
