//! Plates of a graph, and how costs are reduced over them.

use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::reduction::Reduction;
use std::panic::Location;
use stochgrad_tape::{Plate, PlateKind, Weights};
use stochgrad_tensor::Real;

impl<'t, F: Real> Graph<'t, F> {
    /// A plate of independent samples that several nodes can share.
    ///
    /// # Errors
    /// For a plate without members, and if another plate has this name.
    #[track_caller]
    pub fn plate(&self, name: &str, size: usize) -> GraphResult<Plate> {
        self.new_plate(name, size, PlateKind::Samples, Location::caller())
    }

    /// A plate of samples that several nodes can share, and whose members need not be independent: nodes along it may
    /// be drawn by a sampling scheme.
    ///
    /// # Errors
    /// As [`plate`](Graph::plate).
    #[track_caller]
    pub fn scheme_plate(&self, name: &str, size: usize) -> GraphResult<Plate> {
        self.new_plate(name, size, PlateKind::SchemeSamples, Location::caller())
    }

    /// Makes a plate of data a shard: the data recorded under this plate name are those of the members from position
    /// `first` on of `whole` members, and other graphs hold the other members. Call it before the data are recorded. The
    /// compiled graphs of all shards run together; see [`CompiledGraph::run_shards`](crate::CompiledGraph::run_shards)
    /// and [`Tape::shard_plate`](stochgrad_tape::Tape::shard_plate).
    ///
    /// # Errors
    /// If a plate has this name already.
    #[track_caller]
    pub fn shard(&self, plate: &str, first: usize, whole: usize) -> GraphResult<()> {
        let at = Location::caller();
        if self.state().plates.contains_key(plate) {
            return Err(GraphError::Duplicate { what: "plate", name: plate.into(), before: at, at });
        }
        self.state.borrow_mut().shards.insert(plate.into(), (first, whole));
        Ok(())
    }

    pub(crate) fn new_plate(
        &self,
        name: &str,
        size: usize,
        kind: PlateKind,
        at: &'static Location<'static>,
    ) -> GraphResult<Plate> {
        if size == 0 {
            return Err(GraphError::EmptyPlate { name: name.into(), at });
        }
        if self.state().plates.contains_key(name) {
            return Err(GraphError::Duplicate { what: "plate", name: name.into(), before: at, at });
        }
        let plate = self.tape.plate(name, size, kind, &[]);
        let shard = self.state().shards.get(name).copied();
        if let Some((first, whole)) = shard {
            self.tape.shard_plate(plate, first, whole)?;
        }
        self.state.borrow_mut().plates.insert(name.into(), plate);
        Ok(plate)
    }

    /// The plate of this name: a plate of data, a plate made with [`plate`](Graph::plate), or the plate that the method
    /// of the node of this name made.
    ///
    /// While the [joint distribution](Graph::set_joint_distribution) is recorded, each node is drawn once, whatever
    /// plate its method would make (the states of an enumerated node, for example). Such a node has a plate of one
    /// member, which its value lacks: an average over one member is the value itself.
    pub fn plate_named(&self, name: &str) -> Option<Plate> {
        let single = {
            let state = self.state();
            let node = || state.nodes.iter().find(|node| node.address.to_string() == name);
            match state.plates.get(name).copied().or_else(|| node().and_then(|node| node.plate)) {
                Some(plate) => return Some(plate),
                None if self.joint_distribution.get() => node()?.plates.clone(),
                None => return None,
            }
        };
        let plate = self.tape.plate(name, 1, PlateKind::Samples, &single);
        self.state.borrow_mut().plates.insert(name.into(), plate);
        Some(plate)
    }

    /// Sets how costs are reduced over a plate: averaged (the default), or summed, as for time steps.
    ///
    /// Call it right after making the plate. The first node or cost that carries the plate fixes the reduction. A later
    /// change would silently turn the average in a recorded cost into a sum.
    ///
    /// # Errors
    /// If a node or a cost has fixed the other reduction, and for a plate whose members have weights.
    #[track_caller]
    pub fn set_reduction(&self, plate: Plate, reduction: Reduction) -> GraphResult<()> {
        let at = Location::caller();
        let asked = match reduction {
            Reduction::Mean => Weights::Mean,
            Reduction::Sum => Weights::Sum,
        };
        if self.tape.weights(plate) == asked {
            return Ok(());
        }
        if let Some(used) = self.state().used.get(&plate) {
            return Err(GraphError::Reduction { plate: self.tape.plate_name(plate), used, at });
        }
        self.tape.set_weights(plate, asked);
        Ok(())
    }
}
