//! What a gradient method can use when it samples.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::method::sample_set::{GroupedScheme, SamplePlate, SampleSet};
use std::panic::Location;
use stochgrad_distributions::{Distribution, DistributionError, Draw, NoiseSource};
use stochgrad_tape::{Plate, PlateKind, PlateSet, Plates, Tape};
use stochgrad_tensor::Real;

/// What a gradient method can use to sample its node: the tape, the noise, and the plates.
pub struct SampleContext<'a, 't, F: Real> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) noise: &'a dyn NoiseSource<F>,
    pub(crate) address: &'a Address,
    /// The plates of the parameters.
    pub(crate) plates: PlateSet,
    /// In a replay, the plate that the primal run made.
    pub(crate) replayed: Option<Option<Plate>>,
    pub(crate) at: &'static Location<'static>,
}

impl<'a, 't, F: Real> SampleContext<'a, 't, F> {
    /// The tape.
    pub fn tape(&self) -> &'t Tape<F> {
        self.tape
    }

    /// The address of the node.
    pub fn address(&self) -> &Address {
        self.address
    }

    /// Where the node is sampled.
    pub fn location(&self) -> &'static Location<'static> {
        self.at
    }

    /// The plates of the parameters.
    pub fn parameter_plates(&self) -> &Plates {
        self.plates.as_plates()
    }

    /// Whether the node is drawn again downstream of a counterfactual replay.
    pub fn is_replay(&self) -> bool {
        self.replayed.is_some()
    }

    /// The context of a node inside this one, whose sample set becomes a part of that of this node. Its noise is that of
    /// its own address, and its plate is its own. In a replay, the plate is the
    /// [part](Tape::plate_part) of the plate of this node.
    pub fn nested<'b>(&'b self, address: &'b Address) -> SampleContext<'b, 't, F> {
        SampleContext {
            tape: self.tape,
            noise: self.noise,
            address,
            plates: self.plates.clone(),
            replayed: self.replayed.map(|plate| plate.and_then(|plate| self.tape.plate_part(plate))),
            at: self.at,
        }
    }

    /// Makes a plate that belongs to the node, inside the plates of the parameters. In a replay, returns the plate of
    /// the primal run.
    ///
    /// # Errors
    /// For a plate without members, or of another size than in the primal run.
    pub fn plate(&self, size: usize, kind: PlateKind) -> GraphResult<Plate> {
        if size == 0 {
            return Err(GraphError::EmptyPlate { name: self.address.to_string(), at: self.at });
        }
        match self.replayed {
            None => Ok(self.tape.plate(&self.address.to_string(), size, kind, &self.plates)),
            Some(Some(plate)) if self.tape.plate_size(plate) == size => Ok(plate),
            Some(_) => Err(GraphError::Replay {
                node: self.address.to_string(),
                problem: format!(
                    "expected as many members as in the primal run, got {size}; a method must draw sets of the same \
                     size each time"
                ),
                at: self.at,
            }),
        }
    }

    /// The plate for a setting, if it has one: made, or that of the primal run in a replay.
    ///
    /// # Errors
    /// As [`plate`](Self::plate).
    pub fn sample_plate(&self, setting: SamplePlate) -> GraphResult<Option<Plate>> {
        match setting {
            SamplePlate::Single => Ok(None),
            SamplePlate::New(size) => self.plate(size, PlateKind::Samples).map(Some),
            SamplePlate::Shared(plate) if self.tape.plate_size(plate) == 0 => Err(GraphError::Refused {
                node: self.address.to_string(),
                method: "along a shared plate".into(),
                problem: "the plate belongs to another graph; make it on this one, with graph.plate(name, size)".into(),
                at: self.at,
            }),
            SamplePlate::Shared(plate) => Ok(Some(plate)),
        }
    }

    /// The plate for a setting, and inside it a new plate for draws that depend on one another. The new plate belongs
    /// to the node. In a replay, returns the plates of the primal run.
    ///
    /// # Errors
    /// As [`plate`](Self::plate).
    pub fn joint_plate(&self, setting: SamplePlate, size: usize) -> GraphResult<(Option<Plate>, Plate)> {
        if let Some(Some(joint)) = self.replayed {
            let outer = match setting {
                SamplePlate::New(_) => self.tape.closure(&[joint]).into_iter().rfind(|plate| *plate != joint),
                SamplePlate::Shared(plate) => Some(plate),
                SamplePlate::Single => None,
            };
            return Ok((outer, joint));
        }
        let outer = self.sample_plate(setting)?;
        let inside = self.plates.union(outer.as_slice());
        let name = match outer {
            None => self.address.to_string(),
            Some(_) => format!("{} together", self.address),
        };
        Ok((outer, self.tape.plate(&name, size, PlateKind::JointSamples, &inside)))
    }

    /// The plate for a setting, and a request for values on it: independent, or drawn by a sampling scheme. The members
    /// of a scheme depend on one another, which the kind of the plate states, and a cost of several of them is refused.
    /// Several groups lie on a plate around that of their members.
    ///
    /// # Errors
    /// As [`plate`](Self::plate). Also for a scheme without a plate, for a scheme along a plate whose members are
    /// independent draws, and for groups along a shared plate.
    pub fn members(
        &self,
        setting: SamplePlate,
        scheme: Option<GroupedScheme>,
    ) -> GraphResult<(Option<Plate>, Draw<'_, F>)> {
        let Some(GroupedScheme { scheme, groups }) = scheme else {
            let plate = self.sample_plate(setting)?;
            return Ok((plate, self.draw(plate)));
        };
        let refused = |problem: &str| GraphError::Refused {
            node: self.address.to_string(),
            method: format!("the {scheme} scheme"),
            problem: problem.into(),
            at: self.at,
        };
        let (outer, plate) = match setting {
            SamplePlate::Single => {
                return Err(refused(
                    "a sampling scheme draws several samples, got one; set their number with .samples(n)",
                ));
            }
            SamplePlate::New(size) if groups == 1 => (None, self.plate(size, PlateKind::SchemeSamples)?),
            SamplePlate::New(size) => self.grouped_plates(groups, size)?,
            SamplePlate::Shared(_) if groups != 1 => {
                return Err(refused(
                    "the groups of a scheme have a plate of the node's own, and the shared plate has none around it; \
                     leave .groups(n) out, or use .samples(n) instead of .on_plate(plate)",
                ));
            }
            SamplePlate::Shared(_) => match self.sample_plate(setting)? {
                Some(plate) if self.tape.plate_kind(plate) == PlateKind::SchemeSamples => (None, plate),
                _ => {
                    return Err(refused(
                        "the members of the shared plate are independent draws, and those of a sampling scheme are \
                         not; make the plate with graph.scheme_plate(name, size)",
                    ));
                }
            },
        };
        let plates: Plates = outer.into_iter().chain([plate]).collect();
        Ok((Some(plate), self.draw_on(&plates).with_scheme(scheme, plate)))
    }

    /// The plate of the groups of a scheme, and inside it that of the members of each group.
    fn grouped_plates(&self, groups: usize, size: usize) -> GraphResult<(Option<Plate>, Plate)> {
        if groups == 0 {
            return Err(GraphError::EmptyPlate { name: format!("{} groups", self.address), at: self.at });
        }
        if self.replayed.is_some() {
            let plate = self.plate(size, PlateKind::SchemeSamples)?;
            return Ok((groups_around(self.tape, plate), plate));
        }
        let groups =
            self.tape.plate(&format!("{} groups", self.address), groups, PlateKind::SampleGroups, &self.plates);
        let inside = self.plates.union(&[groups]);
        if size == 0 {
            return Err(GraphError::EmptyPlate { name: self.address.to_string(), at: self.at });
        }
        let plate = self.tape.plate(&self.address.to_string(), size, PlateKind::SchemeSamples, &inside);
        Ok((Some(groups), plate))
    }

    /// A request for values on the plates of the parameters and the given plate.
    pub fn draw(&self, plate: Option<Plate>) -> Draw<'_, F> {
        self.draw_on(plate.as_slice())
    }

    /// A request for values on the plates of the parameters and the given plates.
    pub fn draw_on(&self, more: &[Plate]) -> Draw<'_, F> {
        Draw::new(self.tape, self.noise, self.address.key(), self.plates.union(more).into())
    }

    /// Draws independent samples through which no gradient flows.
    ///
    /// # Errors
    /// Those of the distribution and the noise source.
    pub fn independent(
        &self,
        distribution: &dyn Distribution<'t, F>,
        setting: SamplePlate,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sampled(distribution, setting, None)
    }

    /// Draws samples through which no gradient flows: independent, or by a sampling scheme.
    ///
    /// # Errors
    /// As [`members`](Self::members), and those of the distribution and the noise source.
    pub fn sampled(
        &self,
        distribution: &dyn Distribution<'t, F>,
        setting: SamplePlate,
        scheme: Option<GroupedScheme>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let (plate, draw) = self.members(setting, scheme)?;
        let value = distribution.sample(&draw).map_err(|source| self.error(source))?;
        Ok(SampleSet::equal(value.drawn(), plate))
    }

    /// An error of the distribution, with the address of the node and where it was sampled.
    pub fn error(&self, source: DistributionError) -> GraphError {
        match source {
            DistributionError::Tape(error) => GraphError::Tape(error),
            source => GraphError::Distribution { node: self.address.to_string(), source, at: self.at },
        }
    }
}

/// The plate of the independent groups of which those on a plate of scheme members are one, if there is one.
pub fn groups_around<F: Real>(tape: &Tape<F>, members: Plate) -> Option<Plate> {
    let around = tape.closure(&[members]);
    around.into_iter().rfind(|&plate| plate != members && tape.plate_kind(plate) == PlateKind::SampleGroups)
}
