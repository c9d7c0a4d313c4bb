//! What the lowering of an operation knows: the builder, the plates, and the alignment of operands.

use crate::lowering::builder::{Builder, Value};
use crate::lowering::check::Check;
use crate::lowering::options::Precision;
use crate::lowering::types::Element;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use stochgrad_tape::{Plate, Plates};
use stochgrad_tensor::Shape;

/// What all operations of a program share.
pub struct Context<'b> {
    /// The builder of the module.
    pub builder: &'b Builder,
    /// The element type of the program.
    pub element: Element,
    /// The precision of products of matrices.
    pub precision: Precision,
    /// The number of members of each plate on this device.
    pub sizes: HashMap<Plate, usize>,
    /// The number of members of each plate on all devices.
    pub wholes: HashMap<Plate, usize>,
    /// The truth values of checks.
    pub(crate) checks: RefCell<Vec<(Value<'b>, Check)>>,
}

/// An operand of an operation.
#[derive(Clone)]
pub struct Operand<'b> {
    /// Its value, with an axis for each of its plates, and then the event axes.
    pub value: Value<'b>,
    /// Its plates, sorted.
    pub plates: Plates,
    /// A number above all elements, if these are known to be integers from 0 on.
    pub below: Option<usize>,
}

impl<'b> Operand<'b> {
    /// The event shape.
    pub fn event(&self) -> Shape {
        Shape::from(&self.value.shape()[self.plates.len()..])
    }

    /// The position of a plate among the axes.
    pub fn axis_of(&self, plate: Plate) -> Option<usize> {
        self.plates.binary_search(&plate).ok()
    }
}

/// The type of the result of an operation, and where it was recorded.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The shape: an axis for each plate, and then the event axes.
    pub shape: &'a Shape,
    /// The plates, sorted.
    pub plates: &'a [Plate],
    /// The line that recorded it.
    pub at: &'static Location<'static>,
}

impl<'b> Context<'b> {
    /// An operand in the axes of `plates`, which contain its own, and in as many event axes as `event`, to whose sizes
    /// it is broadcast.
    pub fn spread(&self, operand: &Operand<'b>, plates: &[Plate], event: &[usize]) -> Value<'b> {
        let shape: Shape = plates.iter().map(|plate| self.sizes[plate]).chain(event.iter().copied()).collect();
        let own = operand.value.shape().rank() - operand.plates.len();
        let mut axes: Vec<usize> = operand.plates.iter().filter_map(|plate| plates.binary_search(plate).ok()).collect();
        axes.extend(shape.rank() - own..shape.rank());
        operand.value.broadcast(&shape, &axes)
    }

    /// An operand, broadcast to the shape of the result.
    pub fn aligned(&self, operand: &Operand<'b>, target: &Target<'_>) -> Value<'b> {
        self.spread(operand, target.plates, &target.shape[target.plates.len()..])
    }

    /// Adds a check. The run fails with `message` if `holds` is false.
    pub fn check(&self, holds: Value<'b>, target: &Target<'_>, message: impl Into<String>) {
        self.checks.borrow_mut().push((holds.all(), Check::Operand { at: target.at, message: message.into() }));
    }

    /// The elements of an operand as positions below `limit`, which are checked unless they are known to be.
    pub fn positions(&self, operand: &Operand<'b>, limit: usize, of: &str, target: &Target<'_>) -> Value<'b> {
        let x = operand.value;
        let positions = x.convert(Element::I32);
        if operand.below.is_none_or(|below| below > limit) {
            let holds = x.ge(0.0) & x.lt(limit as f64) & x.equal(x.floor());
            self.check(holds, target, format!("expected integer positions below {limit} of {of}"));
            // Positions outside would read other memory on some devices.
            return positions.max(0_i64).min(limit.saturating_sub(1) as i64);
        }
        positions
    }
}

impl<'b> Value<'b> {
    /// The value of a reduction, repeated along the axes that the reduction removed from `shape`.
    pub fn restored(self, shape: &Shape, removed: &[usize]) -> Value<'b> {
        let kept: Vec<usize> = (0..shape.rank()).filter(|axis| !removed.contains(axis)).collect();
        self.broadcast(shape, &kept)
    }
}
