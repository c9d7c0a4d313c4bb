//! Plates of a graph, and how costs are reduced over them.

use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::reduction::Reduction;
use std::panic::Location;
use stochgrad_tape::{Plate, PlateKind, Weights};
use stochgrad_tensor::Real;

impl<'t, F: Real> Graph<'t, F> {
    /// A plate of samples for several nodes to share, so that they have one set of members together.
    ///
    /// # Errors
    /// For a plate without members, or a name that exists.
    #[track_caller]
    pub fn plate(&self, name: &str, size: usize) -> GraphResult<Plate> {
        self.new_plate(name, size, PlateKind::Samples, Location::caller())
    }

    /// A plate of samples for several nodes to share, whose members need not be independent: nodes along it may be
    /// drawn by a plan.
    ///
    /// # Errors
    /// As [`plate`](Graph::plate).
    #[track_caller]
    pub fn scheme_plate(&self, name: &str, size: usize) -> GraphResult<Plate> {
        self.new_plate(name, size, PlateKind::SchemeSamples, Location::caller())
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
        self.state.borrow_mut().plates.insert(name.into(), plate);
        Ok(plate)
    }

    /// The plate of this name: of data, or made with [`plate`](Graph::plate), or made by the method of the node of this
    /// name.
    ///
    /// While the [joint distribution](Graph::set_joint_distribution) is recorded, each node is drawn by itself,
    /// whatever plate its method would make (the states of a node that is enumerated, say). Such a node has a plate of
    /// one member, which its value lacks: an average over one member is the value itself.
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

    /// Says how costs are reduced over a plate: averaged (as all plates are at first), or summed, as for time steps.
    ///
    /// Say so right after making the plate. A node or a cost that carries the plate has used its reduction, which
    /// cannot change any more: an average that a cost was recorded with would silently become a sum.
    ///
    /// # Errors
    /// If a node or a cost has used the other reduction, and for a plate whose members have weights.
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
        if let Some((_, used)) = self.state().used.iter().find(|(known, _)| *known == plate) {
            return Err(GraphError::Reduction { plate: self.tape.plate_name(plate), used, at });
        }
        self.tape.set_weights(plate, asked);
        Ok(())
    }
}
