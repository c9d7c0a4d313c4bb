//! Beam search, deterministic and stochastic.
//!
//! A beam holds the best prefixes of all sequences, its *rows*. In each step, every prefix is extended by every token,
//! and the best of these candidates are the next rows. By what is best, the search is one of two:
//!
//! * *Deterministic*: by the log-probability of the prefix.
//! * *Stochastic* (Kool, van Hoof and Welling 2019): every sequence $s$ arrives after an exponential time with rate
//!   $p(s)$, whose logarithm is minus $\ln p(s)$ perturbed by a Gumbel variate, and those that arrive first are a sample
//!   without replacement. A prefix arrives with the first of its sequences, after an exponential time with the rate of
//!   all of them together. Given the arrival $\tau$ of a prefix, those of its candidates $c$ are drawn from the top down,
//!   by times $e_c$ of their own:
//!
//!   $$\tau_c = \tau + e_c - \min_{c^\prime} e_{c^\prime}, \qquad e_c \sim \operatorname{Exponential}(p(c)).$$
//!
//!   One candidate arrives with the prefix, and the waits of the others have no memory. A sequence among the first $k$
//!   has no prefix that is not among the first $k$ prefixes of its length, so that the beam misses none of them.
//!
//! The probability of what the stochastic beam drops, added up over the steps, is that of all sequences outside of the
//! set. It is accurate even if it is small, unlike one minus the probability of the set.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::scan::values::ScanValues;
use crate::method::sample_context::SampleContext;
use crate::sequences::distinct::DistinctSequences;
use crate::sequences::model::SequenceModel;
use std::panic::Location;
use stochgrad_tape::{Plate, PlateKind, PlateSet, Var};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The sequences that a beam search found, the most probable first.
#[derive(Clone, Copy, Debug)]
pub struct Beam<'t, F: Real> {
    /// The tokens, event shape `[rows, steps]`. Behind the end token, they are end tokens.
    pub tokens: Var<'t, F>,
    /// The log-probability of each sequence, event shape `[rows]`, with derivatives. It is −∞ for the last rows if there
    /// are fewer sequences than rows.
    pub log_probs: Var<'t, F>,
    /// The number of tokens before the end token, event shape `[rows]`.
    pub lengths: Var<'t, F>,
}

/// The noise of a stochastic search.
struct Arrivals<'a, 't, F: Real> {
    graph: &'a Graph<'t, F>,
    name: &'a str,
    at: &'static Location<'static>,
}

/// What is known of the rows between two steps, along a first event axis.
struct Rows<'t, F: Real> {
    /// The log-probability of each prefix; −∞ for a row that is not used.
    logs: Var<'t, F>,
    /// The logarithm of the arrival time of each prefix; +∞ for a row that is not used.
    arrivals: Option<Var<'t, F>>,
    /// 1 for a sequence that has not ended.
    running: Var<'t, F>,
    /// The logarithm of the probability of all that was dropped.
    log_rest: Var<'t, F>,
    /// For each step so far: the row from which each row continues, and its token.
    history: Vec<(Var<'t, F>, Var<'t, F>)>,
}

impl<'t, F: Real, C, S> SequenceModel<'t, F, C, S>
where
    C: ScanValues<'t, F>,
    S: Fn(C, Var<'t, F>) -> GraphResult<(C, Var<'t, F>)>,
{
    /// The most probable sequences that a beam of some rows finds. With one row it is the [greedy](Self::greedy)
    /// sequence, and with as many rows as there are prefixes of a length it finds the most probable sequences of all.
    /// In between it may miss them, but the log-probabilities that it returns are exact.
    ///
    /// # Errors
    /// For no rows, for logits of another shape than `[vocabulary]`, and those of the transition.
    #[track_caller]
    pub fn beam_search(&self, graph: &Graph<'t, F>, name: &str, rows: usize) -> GraphResult<Beam<'t, F>> {
        let at = Location::caller();
        let (rows, tokens) = self.search(graph, name, rows, None, at)?;
        Ok(Beam { tokens, log_probs: rows.logs, lengths: self.lengths(tokens) })
    }

    /// Draws different sequences, one after the other, each by its probability among the remaining ones: stochastic beam
    /// search. The result is the distribution of a node whose values are these sequences; sample it by `SequenceSet` of
    /// `stochgrad-estimators`, which knows their weights.
    ///
    /// ```
    /// use stochgrad_estimators::SequenceSet;
    /// use stochgrad_graph::{Graph, Seed, SequenceModel};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> stochgrad_graph::GraphResult<()> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let table = graph.param("table", [[0.2, -0.3, 0.5], [-0.6, 0.7, 0.1], [0.0; 3], [0.4, 0.1, -1.0]])?;
    /// let model = SequenceModel::new(4, (), graph.constant(3.0), |(), last| Ok(((), table.lookup(last)))).end(2);
    ///
    /// let drawn = model.without_replacement(&graph, "search", 3)?;
    /// let tokens = graph.sample("sequences", &drawn, &SequenceSet::new(3))?;
    /// graph.cost("number of a", tokens.equal(graph.constant(0.0)).sum())?;
    /// assert_eq!(graph.backward()?.get("table")?.shape()[..], [4, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`beam_search`](Self::beam_search), and under the exact oracle, which cannot enumerate the arrival times. A
    /// set that is larger than the number of possible sequences is an error when the node is sampled.
    #[track_caller]
    pub fn without_replacement(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        size: usize,
    ) -> GraphResult<DistinctSequences<Var<'t, F>>> {
        let at = Location::caller();
        let (rows, tokens) = self.search(graph, name, size, Some(Arrivals { graph, name, at }), at)?;
        Ok(DistinctSequences::new(tokens, rows.logs, rows.log_rest))
    }

    /// The rows after the last step, and their tokens.
    fn search(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        size: usize,
        noise: Option<Arrivals<'_, 't, F>>,
        at: &'static Location<'static>,
    ) -> GraphResult<(Rows<'t, F>, Var<'t, F>)> {
        let tape = graph.tape();
        let refused = |problem: String| GraphError::Sequence { name: name.into(), problem, at };
        if size == 0 || self.longest == 0 {
            return Err(refused(format!(
                "expected at least one sequence of at least one token, got {size} of {}",
                self.longest
            )));
        }
        let plate = tape.plate(&format!("{name} rows"), size, PlateKind::JointSamples, &[]);
        // The first row is the empty prefix.
        let first = |one: f64, others: f64| {
            tape.constant_from_fn([size], |row| F::from_f64(if row == 0 { one } else { others }))
        };
        let mut rows = Rows {
            logs: first(0.0, f64::NEG_INFINITY),
            // Times are measured from the first arrival.
            arrivals: noise.as_ref().map(|_| first(f64::NEG_INFINITY, f64::INFINITY)),
            running: tape.constant_from_fn([size], |_| F::ONE),
            log_rest: tape.constant(f64::NEG_INFINITY),
            history: Vec::new(),
        };
        // Without room for the rows, there is none for the steps.
        tape.check()?;
        let (mut state, mut token) = (self.first_state(), self.first);
        for step in 0..self.longest {
            let start_of_step = tape.len();
            let (next, logits) = self.next(name, state, token, rows.running.event_to_plate(plate), at)?;
            let candidates = size as f64 * logits.shape()[0] as f64;
            if candidates * F::EPSILON.to_f64() > 0.25 {
                return Err(refused(format!(
                    "expected at most {} candidates, whose positions have exact numbers, got {candidates}; use fewer \
                     rows, or double precision",
                    0.25 / F::EPSILON.to_f64()
                )));
            }
            let (parents, tokens) = tape.located(at, || rows.extend(logits, plate, noise.as_ref(), step))?;
            rows.running = self.goes_on(rows.running.gather(0, parents), tokens);
            state = next.with(&mut next.vars().into_iter().map(|var| of_parents(var, parents, plate)));
            token = tokens.event_to_plate(plate);
            rows.history.push((parents, tokens));
            tape.check()?;
            // The second step records what all later ones do.
            if step == 1 {
                tape.located(at, || tape.check_repetitions(start_of_step, self.longest - 2))?;
            }
        }
        let tokens = tape.located(at, || rows.tokens(size))?;
        tape.check()?;
        Ok((rows, tokens))
    }
}

impl<'t, F: Real> Rows<'t, F> {
    /// Extends every row by every token, and keeps the best candidates. Returns the rows that they continue, and their
    /// tokens.
    fn extend(
        &mut self,
        logits: Var<'t, F>,
        plate: Plate,
        noise: Option<&Arrivals<'_, 't, F>>,
        step: usize,
    ) -> GraphResult<(Var<'t, F>, Var<'t, F>)> {
        let vocabulary = logits.shape()[0];
        let size = self.logs.shape()[0];
        let next = logits.log_softmax(-1).expand_plates(&[plate]).plate_to_event(plate);
        let candidates = self.logs.unsqueeze(-1) + next;
        let logs = candidates.drawn();
        let arrivals = match (self.arrivals, noise) {
            (Some(arrivals), Some(noise)) => Some(noise.of_candidates(arrivals, logs, step)?),
            _ => None,
        };
        let flat = [size * vocabulary];
        let best = arrivals.map_or(logs, |arrivals| -arrivals).reshape(flat);
        let (best, positions) = best.topk(0, size);
        let positions = positions.drawn();
        if arrivals.is_some() {
            let dropped = logs.reshape(flat).scatter(0, positions, positions * 0.0 + f64::NEG_INFINITY);
            self.log_rest = self.log_rest.logaddexp(dropped.logsumexp(0));
            self.arrivals = Some(-best.drawn());
        }
        self.logs = candidates.reshape(flat).gather(0, positions);
        // Half a position, so that rounding does not change the row.
        let parents = ((positions + 0.5) / vocabulary as f64).floor();
        Ok((parents.drawn(), (positions - parents * vocabulary as f64).drawn()))
    }

    /// The tokens of the rows, of shape `[rows, steps]`: from the last step back to the first.
    fn tokens(&self, size: usize) -> GraphResult<Var<'t, F>> {
        let mut row = self.logs.tape().constant(Tensor::from_fn([size], F::from_usize));
        let mut columns = Vec::with_capacity(self.history.len());
        for &(parents, tokens) in self.history.iter().rev() {
            columns.push(tokens.gather(0, row));
            row = parents.gather(0, row);
        }
        columns.reverse();
        Ok(Var::stack(&columns)?.transpose().drawn())
    }
}

/// The values of the rows that are continued, for a value that lies on the plate of the rows.
fn of_parents<'t, F: Real>(value: Var<'t, F>, parents: Var<'t, F>, plate: Plate) -> Var<'t, F> {
    if !value.plates().contains(&plate) {
        return value;
    }
    let rows = value.plate_to_event(plate);
    let shape = rows.shape();
    let width = shape[1..].iter().product::<usize>();
    rows.reshape([shape[0], width]).lookup(parents).reshape(shape).event_to_plate(plate)
}

impl<'t, F: Real> Arrivals<'_, 't, F> {
    /// The logarithms of the arrival times of all candidates, from those of their prefixes.
    fn of_candidates(&self, arrivals: Var<'t, F>, logs: Var<'t, F>, step: usize) -> GraphResult<Var<'t, F>> {
        let tape = logs.tape();
        let own = self.exponential(step, &logs.plates(), logs.shape())?.ln() - logs;
        // The number takes the place of an infinite minimum, in rows that are not used.
        let least = own.min_axis(-1).minimum(tape.constant(F::MAX.to_f64())).unsqueeze(-1);
        // ln(exp(own) − exp(least)), which is −∞ for the candidate that arrives with its prefix.
        let wait = own + (-(least - own).expm1()).ln();
        Ok(arrivals.unsqueeze(-1).logaddexp(wait))
    }

    fn exponential(&self, step: usize, plates: &[Plate], event: Shape) -> GraphResult<Var<'t, F>> {
        let (graph, at) = (self.graph, self.at);
        let address = graph.claim_next(&Address::from((self.name, step)), at)?;
        let plates = PlateSet::from(plates);
        let context =
            SampleContext { tape: graph.tape(), noise: graph.noise(), address: &address, plates, replayed: None, at };
        let draw = context.draw(None);
        if !draw.records_noise(graph.tape()) {
            let problem = "the arrival times of a stochastic beam search are continuous, so that no source of finitely \
                           many outcomes, such as the exact oracle, can draw it; test it with Categorical nodes \
                           (SequenceModel::sample), or statistically";
            return Err(GraphError::Sequence { name: self.name.into(), problem: problem.into(), at });
        }
        let noise = draw.record_noise(graph.tape(), Fill::Exponential, &event);
        noise.map_err(|source| context.error(source))
    }
}
