//! What a gradient method sees when it samples.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::method::sample_set::{SamplePlate, SampleSet};
use std::panic::Location;
use stochgrad_distributions::{Distribution, DistributionError, Draw, NoiseSource};
use stochgrad_tape::{Plate, PlateKind, PlateSet, Plates, Tape};
use stochgrad_tensor::Real;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// The surroundings of a draw.
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

    /// The plates of the parameters.
    pub fn parameter_plates(&self) -> &Plates {
        self.plates.as_plates()
    }

    /// Whether this is a draw downstream of a counterfactual replay.
    pub fn is_replay(&self) -> bool {
        self.replayed.is_some()
    }

    /// A plate of the node's own, inside those of the parameters. In a replay, the plate of the primal run.
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
                    "expected as many members as in the primal run, got {size}; a method must draw sets of one size"
                ),
                at: self.at,
            }),
        }
    }

    /// The plate that a setting asks for.
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

    /// A plate for draws that depend on one another, inside the plate that a setting asks for: that plate, and the new
    /// one, which is to be the node's own. In a replay, those of the primal run.
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

    /// The plate that a setting asks for, and a request for values on it: independent ones, or by a plan. The members
    /// of a plan depend on one another, which the kind of the plate says: costs of several of them are refused.
    ///
    /// # Errors
    /// As [`plate`](Self::plate); for a plan without a plate, and along a plate whose members are taken to be
    /// independent.
    pub fn members(
        &self,
        setting: SamplePlate,
        plan: Option<SamplingScheme>,
    ) -> GraphResult<(Option<Plate>, Draw<'_, F>)> {
        let Some(plan) = plan else {
            let plate = self.sample_plate(setting)?;
            return Ok((plate, self.draw(plate)));
        };
        let refused = |problem: &str| GraphError::Refused {
            node: self.address.to_string(),
            method: format!("the {plan} plan"),
            problem: problem.into(),
            at: self.at,
        };
        let plate = match setting {
            SamplePlate::Single => return Err(refused("a plan is for several samples; ask for them with .samples(n)")),
            SamplePlate::New(size) => self.plate(size, PlateKind::SchemeSamples)?,
            SamplePlate::Shared(_) => match self.sample_plate(setting)? {
                Some(plate) if self.tape.plate_kind(plate) == PlateKind::SchemeSamples => plate,
                _ => {
                    return Err(refused(
                        "the members of the shared plate are independent draws, those of a plan are not; make the plate with \
                         graph.scheme_plate(name, size)",
                    ));
                }
            },
        };
        Ok((Some(plate), self.draw(Some(plate)).planned(plan, plate)))
    }

    /// A request for values on the plates of the parameters and the given one.
    pub fn draw(&self, plate: Option<Plate>) -> Draw<'_, F> {
        self.draw_on(plate.as_slice())
    }

    /// A request for values on the plates of the parameters and the given ones.
    pub fn draw_on(&self, more: &[Plate]) -> Draw<'_, F> {
        Draw::new(self.tape, self.noise, self.address.key(), self.plates.union(more).into())
    }

    /// Independent draws through which no gradient flows.
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

    /// Draws through which no gradient flows: independent ones, or by a plan.
    ///
    /// # Errors
    /// As [`members`](Self::members), and those of the distribution and the noise source.
    pub fn sampled(
        &self,
        distribution: &dyn Distribution<'t, F>,
        setting: SamplePlate,
        plan: Option<SamplingScheme>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let (plate, draw) = self.members(setting, plan)?;
        let value = distribution.sample(&draw).map_err(|source| self.error(source))?;
        Ok(SampleSet::equal(value.drawn(), plate))
    }

    /// An error of the distribution, with the node and its place.
    pub fn error(&self, source: DistributionError) -> GraphError {
        match source {
            DistributionError::Tape(error) => GraphError::Tape(error),
            source => GraphError::Distribution { node: self.address.to_string(), source, at: self.at },
        }
    }
}
