//! The enumerated nodes of a graph as variables, with their factors.

use crate::address::Address;
use crate::graph::state::State;
use crate::reduction::reduced_plates;
use std::panic::Location;
use stochgrad_tape::{Plate, PlateKind, PlateSet, Tape, Var, Weights};
use stochgrad_tensor::Real;

/// An enumerated node.
pub(crate) struct Variable<'t, F: Real> {
    pub(crate) address: Address,
    /// Its states, along its plate.
    pub(crate) states: Var<'t, F>,
    pub(crate) plate: Plate,
    /// The probabilities of the states, on the plates of the nodes above it.
    pub(crate) probabilities: Var<'t, F>,
    /// The other enumerated nodes that the probabilities depend on.
    pub(crate) parents: PlateSet,
    /// The plates of data whose members have a node of their own each.
    pub(crate) data: PlateSet,
}

/// Everything that the evidence is computed from.
pub(crate) struct Evidence<'t, F: Real> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) variables: Vec<Variable<'t, F>>,
    pub(crate) factors: Vec<Var<'t, F>>,
    /// Where the evidence was asked for.
    pub(crate) at: &'static Location<'static>,
}

impl<'t, F: Real> Evidence<'t, F> {
    pub(crate) fn new(tape: &'t Tape<F>, state: &State<'t, F>, at: &'static Location<'static>) -> Self {
        let is_enumerated = |plate: Plate| tape.plate_kind(plate) == PlateKind::Enumerated;
        let mut variables = Vec::new();
        for node in &state.nodes {
            let Some(plate) = node.plate.filter(|plate| is_enumerated(*plate)) else { continue };
            let Weights::Given { id, .. } = tape.weights(plate) else { continue };
            let Ok(probabilities) = tape.var(id) else { continue };
            let parents = PlateSet::from(probabilities.plates()).without(&[plate]).filtered(is_enumerated);
            let is_data = |plate| tape.plate_kind(plate) == PlateKind::Data;
            variables.push(Variable {
                address: node.address.clone(),
                states: node.value,
                plate,
                probabilities,
                parents,
                data: reduced_plates(tape, &[plate]).filtered(is_data),
            });
        }
        let factors = state.factors.iter().map(|factor| factor.log_weight).collect();
        Evidence { tape, variables, factors, at }
    }
}
