//! Evaluation of primitives that the user defined.

use crate::id::Id;
use crate::node::Node;
use crate::op::Op;
use crate::op::alignment::Aligned;
use crate::op::fault::Fault;
use crate::plate::{Plates, merge};
use crate::primitive::{Primitive, PrimitiveInputs};
use crate::tape::Tape;
use smallvec::SmallVec;
use std::sync::Arc;
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// A primitive with its operands. It does not borrow the tape, so that the primitive can use the tape itself.
struct PrimitiveCall<F: Real> {
    primitive: Arc<dyn Primitive<F>>,
    operands: Aligned<F>,
    sizes: Shape,
}

impl<F: Real> PrimitiveCall<F> {
    fn inputs<'a>(&'a self, pool: &'a Pool<F>) -> PrimitiveInputs<'a, F> {
        PrimitiveInputs { values: &self.operands.values, plates: self.sizes.clone(), pool }
    }

    fn first_shape(&self) -> Shape {
        self.operands.values.first().map(|value| value.shape().clone()).unwrap_or_default()
    }

    fn fault(&self, problem: String, shape: &Shape) -> Fault {
        let problem = format!("{}: {problem}", self.primitive.name());
        Fault::Operand { problem, shape: shape.clone(), plates: String::new() }
    }
}

impl<F: Real> Tape<F> {
    /// Checks a primitive with [`Primitive::holds`] for the current values of its operands.
    pub(crate) fn holds(&self, op: &Op, inputs: &[Id]) -> Result<(), Fault> {
        let Op::Custom(number) = op else { return Ok(()) };
        let call = self.primitive_call(*number, inputs);
        call.primitive.holds(call.inputs(&self.pool)).map_err(|problem| call.fault(problem, &call.first_shape()))
    }

    pub(super) fn evaluate_custom(&self, number: u32, inputs: &[Id]) -> Result<(Tensor<F>, Plates), Fault> {
        let call = self.primitive_call(number, inputs);
        let value = call
            .primitive
            .forward(call.inputs(&self.pool))
            .map_err(|problem| call.fault(problem, &call.first_shape()))?;
        let sizes = &call.sizes;
        if value.shape().len() < sizes.len() || value.shape()[..sizes.len()] != sizes[..] {
            let problem = format!("expected a value whose leading axes are the plates {sizes}");
            return Err(call.fault(problem, value.shape()));
        }
        Ok((value, call.operands.plates))
    }

    fn primitive_call(&self, number: u32, inputs: &[Id]) -> PrimitiveCall<F> {
        let inner = self.inner.borrow();
        let nodes: SmallVec<[&Node<F>; 3]> = inputs.iter().map(|id| &inner.nodes[id.index()]).collect();
        let mut plates = Plates::new();
        nodes.iter().for_each(|node| merge(&mut plates, &node.plates));
        let values = nodes.iter().map(|node| inner.spread(node, &plates, node.event().len())).collect();
        let sizes = inner.full_shape(&plates, &[]);
        let primitive = inner.primitives[number as usize].clone();
        PrimitiveCall { primitive, operands: Aligned { plates, values }, sizes }
    }
}
