//! Pooling over windows of images, and its derivative rule.

use crate::node::Node;
use crate::op::convolution::image_size;
use crate::op::fault::Fault;
use crate::op::{ImageSize, Op};
use crate::tape::Inner;
use crate::var::Var;
use stochgrad_tensor::pooling::Pooling;
use stochgrad_tensor::{Real, Shape, Tensor};

impl<F: Real> Inner<F> {
    /// The images, whose size fits the windows.
    pub(crate) fn images<'n>(&self, node: &'n Node<F>, pooling: &Pooling<2>) -> Result<&'n Tensor<F>, Fault> {
        self.pooled_size(node, pooling, image_size(&node.event()))?;
        Ok(&node.value)
    }

    /// The results of pooling images of some size.
    pub(crate) fn pooled<'n>(
        &self,
        node: &'n Node<F>,
        pooling: &Pooling<2>,
        size: ImageSize,
    ) -> Result<&'n Tensor<F>, Fault> {
        let expected = self.pooled_size(node, pooling, size)?;
        if image_size(&node.event()) != expected {
            let problem =
                format!("expected images of the size {expected:?} for windows of images of the size {size:?}");
            return Err(self.operand(node, problem));
        }
        Ok(&node.value)
    }

    fn pooled_size(&self, node: &Node<F>, pooling: &Pooling<2>, size: ImageSize) -> Result<ImageSize, Fault> {
        if node.event().len() < 3 {
            return Err(self.operand(node, "expected images as the last three event axes, [height, width, channels]"));
        }
        pooling.output_size(size).map_err(|problem| self.operand(node, problem))
    }

    /// An upper bound of the number of elements of the result of pooling.
    pub(crate) fn pooling_elements(&self, op: &Op, node: &Node<F>) -> usize {
        let (event, len) = (node.event(), node.value.len());
        let [height, width] = image_size(&event).map(|size| size.max(1));
        match op {
            Op::SumPoolAdjoint(_, size) => (len / (height * width)).saturating_mul(size[0]).saturating_mul(size[1]),
            _ => match op {
                Op::MaxPool(pooling) | Op::MaxPoolPositions(pooling) | Op::SumPool(pooling) => {
                    let [rows, columns] = pooling.output_size([height, width]).unwrap_or([1, 1]);
                    (len / (height * width)).saturating_mul(rows).saturating_mul(columns)
                }
                _ => len,
            },
        }
    }
}

/// The adjoint of the operand of [`Op::MaxPool`], given the full adjoint `g` of the result: zeros with the adjoint of
/// each window added at the position of its largest element.
pub(crate) fn max_pool_rule<'t, F: Real>(pooling: Pooling<2>, x: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F> {
    let event = x.shape();
    let [height, width] = image_size(&event);
    let axis = event.len() - 3;
    let flat = |value: Var<'t, F>| {
        let own = value.shape();
        value.reshape(own[..axis].iter().copied().chain([own[axis] * own[axis + 1], own[axis + 2]]).collect::<Shape>())
    };
    let positions = x.apply(Op::MaxPoolPositions(pooling));
    flat(g).apply_with(Op::ScatterAdd(axis, height * width), &[flat(positions)]).reshape(event)
}
