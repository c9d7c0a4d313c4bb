//! States of all enumerated nodes together: the most probable ones, and samples from their posterior.
//!
//! An elimination keeps for each node the weights of its states given those of the nodes that are eliminated later.
//! Going back through the nodes, the states of the later ones are known, so that each node has weights of its own
//! states alone, of which the largest one is taken (Viterbi's algorithm), or one is drawn.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::evidence::elimination::{Eliminated, Rule};
use crate::evidence::variables::Evidence;
use crate::graph::Graph;
use std::collections::HashMap;
use std::panic::Location;
use stochgrad_distributions::{Categorical, Distribution, Draw};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::{Real, Shape};

/// The most probable states of all enumerated nodes, given the factors.
#[derive(Debug)]
pub struct MostProbable<'t, F: Real> {
    /// The logarithm of their joint probability, times that of the factors.
    pub log_joint: Var<'t, F>,
    /// The value of each node.
    pub states: Vec<(Address, Var<'t, F>)>,
}

impl<'t, F: Real> Graph<'t, F> {
    /// The most probable states of all enumerated nodes together, given the factors: in a chain, Viterbi's path.
    ///
    /// The values have no derivatives.
    ///
    /// # Errors
    /// As [`log_evidence`](Self::log_evidence).
    #[track_caller]
    pub fn most_probable_states(&self) -> GraphResult<MostProbable<'t, F>> {
        let at = Location::caller();
        let evidence = self.collect_evidence(at);
        self.tape().located(at, || {
            let eliminated = evidence.eliminate(&[], Rule::Max)?;
            let states = evidence.decode(&eliminated, |_, scores| Ok(scores.argmax(0)))?;
            Ok(MostProbable { log_joint: eliminated.log_total, states })
        })
    }

    /// A sample of all enumerated nodes together from their posterior, given the factors. The noise is determined by
    /// the seed of the graph and the address.
    ///
    /// The values have no derivatives: a cost of them lacks the dependence of the posterior on the parameters.
    ///
    /// # Errors
    /// As [`log_evidence`](Self::log_evidence), if something else has this address, and if no states have a positive
    /// probability.
    #[track_caller]
    pub fn posterior_sample(&self, address: impl Into<Address>) -> GraphResult<Vec<(Address, Var<'t, F>)>> {
        let (address, at) = (address.into(), Location::caller());
        self.claim(&address, at)?;
        let evidence = self.collect_evidence(at);
        let tape = self.tape();
        tape.located(at, || {
            let eliminated = evidence.eliminate(&[], Rule::Sum)?;
            evidence.decode(&eliminated, |node, scores| {
                let distribution = Categorical::from_logits(scores);
                let key = Address::from(format!("{address} {node}")).key();
                let draw = Draw::new(tape, self.noise(), key, scores.plates());
                let failed = |source| GraphError::Distribution { node: address.to_string(), source, at };
                distribution.sample(&draw).map_err(failed)
            })
        })
    }
}

impl<'t, F: Real> Evidence<'t, F> {
    /// Chooses a state for each variable, the last eliminated one first. `choose` gets the logarithms of the weights of
    /// the states, of event shape `[states]`, and returns a position.
    fn decode(
        &self,
        eliminated: &Eliminated<'t, F>,
        choose: impl Fn(&Address, Var<'t, F>) -> GraphResult<Var<'t, F>>,
    ) -> GraphResult<Vec<(Address, Var<'t, F>)>> {
        let mut chosen: HashMap<Plate, Var<'t, F>> = HashMap::new();
        let mut states = vec![None; self.variables.len()];
        for &(number, scores) in eliminated.steps.iter().rev() {
            let variable = &self.variables[number];
            let known = scores.plates().into_iter().filter_map(|plate| Some((plate, *chosen.get(&plate)?)));
            let scores = known.into_iter().fold(scores, |scores, (plate, at)| row(scores, plate, at));
            let at = choose(&variable.address, scores.plate_to_event(variable.plate))?.stop_gradient();
            chosen.insert(variable.plate, at);
            states[number] = Some(row(variable.states, variable.plate, at).stop_gradient());
        }
        self.tape.check()?;
        let named = self.variables.iter().zip(states);
        Ok(named.filter_map(|(variable, value)| Some((variable.address.clone(), value?))).collect())
    }
}

/// The member of a plate at a recorded position.
fn row<'t, F: Real>(value: Var<'t, F>, plate: Plate, at: Var<'t, F>) -> Var<'t, F> {
    let event = value.shape();
    let rows: Shape = [value.tape().plate_size(plate), event.numel()].into_iter().collect();
    value.plate_to_event(plate).reshape(rows).lookup(at).reshape(event)
}
