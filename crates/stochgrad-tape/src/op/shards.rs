//! Operations that remove a plate of which the tape holds a shard.

use crate::error::TapeError;
use crate::id::{Id, Inputs};
use crate::node::Node;
use crate::op::fault::Fault;
use crate::op::{Op, PlateReduction, ShardReduction};
use crate::plate::Plate;
use crate::tape::{Inner, Tape};
use std::panic::Location;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Real, Shape};

/// Levels of log-sum-exp stay within this distance of 0, so that the differences of infinite values from them are
/// defined.
const FARTHEST_LEVEL: f64 = 1e30;

impl Op {
    /// Whether a plate that the operation removes is summed over.
    fn sums_removed_plates(&self) -> bool {
        matches!(
            self,
            Op::SumOut(..)
                | Op::PlateReduce(..)
                | Op::MatmulLeading
                | Op::DotOver(_)
                | Op::ConvolveWeights(..)
                | Op::LookupAdd { .. }
        )
    }
}

impl<F: Real> Inner<F> {
    fn is_shard(&self, plate: Plate) -> bool {
        self.plates[plate.index as usize].whole.is_some()
    }

    /// Whether the result of an operation is a part, which must be combined with those of other shards.
    fn is_part(&self, op: &Op, inputs: &[Id], plates: &[Plate]) -> bool {
        let removes = |input: &Id| {
            let own = &self.nodes[input.index()].plates;
            own.iter().any(|&plate| self.is_shard(plate) && !plates.contains(&plate))
        };
        op.sums_removed_plates() && inputs.iter().any(removes)
    }

    /// # Errors
    /// For an operation that needs individual members, some of which other shards may hold.
    fn check_members(&self, op: &Op, inputs: &[Id]) -> Result<(), Fault> {
        let plate = match op {
            Op::PlateMember(plate, _)
            | Op::PlateScatter(plate, _)
            | Op::PlateToEvent(plate)
            | Op::EventToPlate(plate) => *plate,
            _ => return Ok(()),
        };
        let entry = &self.plates[plate.index as usize];
        let Some(whole) = entry.whole else { return Ok(()) };
        let problem = format!(
            "expected all {whole} members of plate \"{}\", got a shard of {}, and other shards hold the others; reduce \
             the plate with sum_over, mean_over or log_mean_exp_over, or do not shard the minibatch",
            entry.name, entry.size
        );
        Err(self.operand(&self.nodes[inputs[0].index()], problem))
    }

    /// Whether a value was computed from results of reductions over shards.
    pub(crate) fn depends_on_shards(&self, id: Id) -> bool {
        let is_reduction = |node: &Node<F>| matches!(node.op, Op::AllReduce(_));
        self.has_shards && self.nodes[..=id.index()].iter().any(is_reduction)
    }
}

impl<F: Real> Tape<F> {
    /// Records an operation on a tape that holds a shard of a plate, and combines the parts of all shards.
    ///
    /// # Errors
    /// For unsuitable operands, and for an operation that needs members of other shards.
    pub(crate) fn apply_on_shards(
        &self,
        op: &Op,
        inputs: &[Id],
        location: &'static Location<'static>,
    ) -> Result<Id, Fault> {
        self.inner.borrow().check_members(op, inputs)?;
        if matches!(op, Op::AllReduce(_)) {
            // A replay has already combined the parts of an operand that it recorded again.
            let part = {
                let inner = self.inner.borrow();
                let node = &inner.nodes[inputs[0].index()];
                inner.is_part(&node.op, &node.inputs, &node.plates)
            };
            if !part {
                return Ok(inputs[0]);
            }
        }
        let (value, plates) = self.evaluate(op, inputs)?;
        let part = self.inner.borrow().is_part(op, inputs, &plates);
        let pooled = self.inner.borrow().takes_from_pool(op);
        let id = self.push(op.clone(), Inputs::from_slice(inputs), value.clone(), pooled, plates.clone(), location);
        if !part {
            return Ok(id);
        }
        let combined = |reduction: ShardReduction| {
            self.push(
                Op::AllReduce(reduction),
                Inputs::from_slice(&[id]),
                value.clone(),
                pooled,
                plates.clone(),
                location,
            )
        };
        match op {
            Op::PlateReduce(plate, PlateReduction::LogSumExp) => {
                let level = combined(ShardReduction::Level);
                Ok(self.located(location, || self.log_sum_exp(inputs[0], *plate, level)))
            }
            _ => Ok(combined(ShardReduction::Sum)),
        }
    }

    /// The logarithm of the sum of exponentials over the members of all shards, computed relative to the largest of the
    /// logarithms of the shards. The sum of the exponentials is then at least 1, unless all members are −∞.
    fn log_sum_exp(&self, of: Id, plate: Plate, level: Id) -> Id {
        let level = self.at(level).map(Map::Clamp(-FARTHEST_LEVEL, FARTHEST_LEVEL)).held();
        let sum = (self.at(of) - level).exp().sum_over(plate);
        let number = |value: F| self.filled(Shape::scalar(), value);
        let nothing = sum.equal(number(F::ZERO)).held();
        let log = nothing.select(number(F::ONE), sum).ln() + level;
        nothing.select(number(F::NEG_INFINITY), log).id
    }

    /// The error of host code that reads a value which is known only when all shards run.
    #[cold]
    pub(crate) fn unknown_on_a_shard(what: &str, at: &'static Location<'static>) -> TapeError {
        let message = format!(
            "{what}: the value depends on a reduction of a sharded plate, whose result is known only when the compiled \
             programs of all shards run; compile the recording and use Shards::run, or do not shard the minibatch"
        );
        TapeError::Other { message, at }
    }
}
