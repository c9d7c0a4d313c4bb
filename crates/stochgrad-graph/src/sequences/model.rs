//! A model of sequences: a transition, its first state, and the end of a sequence.

use crate::error::{GraphError, GraphResult};
use crate::graph::scan::values::ScanValues;
use std::panic::Location;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// A distribution of sequences of tokens, given by a transition: from the state and the previous token to the next
/// state and the logits of the next token. A recurrent cell, a table of transitions, or any other recorded function.
///
/// $$p(x) = \prod_{t=1}^{n} p(x_t \mid x_{<t})$$
///
/// A sequence ends with the end token, if there is one, or at the largest number of steps, where no further factor is
/// needed. The end token is the last factor of a sequence that ends before.
///
/// | function | sequences |
/// |---|---|
/// | [`sample`](Self::sample) | one, token by token: a node for each step |
/// | [`sample_each`](Self::sample_each) | the same, with costs that are recorded in each step |
/// | [`greedy`](Self::greedy) | the most probable token in each step |
/// | [`log_probs`](Self::log_probs) | given ones |
/// | [`beam_search`](Self::beam_search) | the most probable ones that a beam finds |
/// | [`without_replacement`](Self::without_replacement) | several different ones, drawn at random |
///
/// The state is a [`Var`], or several in an array, a vector or a tuple. Tokens are integers from 0 on. The transition
/// gets a token without event axes, on the plates of the batch, of the samples, or of the rows of a search, and returns
/// logits with the vocabulary along their only event axis. It must not depend on host state that changes.
///
/// ```
/// use stochgrad_graph::{Graph, Seed, SequenceModel};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> stochgrad_graph::GraphResult<()> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// // Rows: after a, after b, at the end (unused), at the start; columns: a, b, end.
/// let table = graph.param("table", [[0.2, -0.3, 0.5], [-0.6, 0.7, 0.1], [0.0; 3], [0.4, 0.1, -1.0]])?;
/// let model = SequenceModel::new(4, (), graph.constant(3.0), |(), previous| Ok(((), table.lookup(previous)))).end(2);
///
/// let best = model.beam_search(&graph, "beam", 3)?;
/// assert_eq!(best.tokens.index(0, 0).value()?.as_slice(), [0.0, 2.0, 2.0, 2.0]); // a, then the end
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SequenceModel<'t, F: Real, C, S> {
    pub(crate) longest: usize,
    pub(crate) start: C,
    pub(crate) first: Var<'t, F>,
    pub(crate) transition: S,
    pub(crate) end: Option<usize>,
}

impl<'t, F: Real, C, S> SequenceModel<'t, F, C, S>
where
    C: ScanValues<'t, F>,
    S: Fn(C, Var<'t, F>) -> GraphResult<(C, Var<'t, F>)>,
{
    /// Sequences of at most `longest` tokens. `start` is the state before the first step, and `first` is what the step
    /// function gets there in place of the previous token: a token that is never drawn, for example.
    pub fn new(longest: usize, start: C, first: Var<'t, F>, transition: S) -> Self {
        SequenceModel { longest, start, first, transition, end: None }
    }

    /// Sets the token that ends a sequence. Without one, all sequences have the same length.
    pub fn end(self, token: usize) -> Self {
        SequenceModel { end: Some(token), ..self }
    }

    /// A state that a loop can carry on. It holds the same variables.
    pub(crate) fn first_state(&self) -> C {
        self.start.with(&mut self.start.vars().into_iter())
    }

    /// The next state, and the logits of the next token: those of the transition while the sequence is `running`,
    /// and a certain end after that.
    pub(crate) fn next(
        &self,
        name: &str,
        state: C,
        token: Var<'t, F>,
        running: Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<(C, Var<'t, F>)> {
        let tape = self.first.tape();
        let (state, logits) = (self.transition)(state, token)?;
        tape.check()?;
        let refused = |problem: String| GraphError::Sequence { name: name.into(), problem, at };
        let shape = logits.shape();
        let &[vocabulary] = &shape[..] else {
            return Err(refused(format!(
                "expected logits with the vocabulary along their only event axis, got event shape {shape}; put other \
                 axes on plates"
            )));
        };
        let Some(end) = self.end else { return Ok((state, logits)) };
        if end >= vocabulary {
            return Err(refused(format!(
                "expected an end token below {vocabulary}, the number of logits, got {end}; logits include that of the \
                 end"
            )));
        }
        let certain =
            Tensor::from_fn([vocabulary], |token| F::from_f64(if token == end { 0.0 } else { f64::NEG_INFINITY }));
        let logits = tape.located(at, || running.select(logits, tape.constant(certain)));
        tape.check()?;
        Ok((state, logits))
    }

    /// 1 where a sequence that was running goes on after this token, else 0.
    pub(crate) fn goes_on(&self, running: Var<'t, F>, token: Var<'t, F>) -> Var<'t, F> {
        match self.end {
            Some(end) => running * token.not_equal(token.tape().constant(end as f64)),
            None => running,
        }
    }

    /// The number of tokens of each sequence before the end: along the last event axis.
    pub(crate) fn lengths(&self, tokens: Var<'t, F>) -> Var<'t, F> {
        let tape = tokens.tape();
        match self.end {
            // Everything behind an end token is an end token.
            Some(end) => tokens.not_equal(tape.constant(end as f64)).sum_axis(-1),
            None => tape.constant(self.longest as f64),
        }
    }
}
