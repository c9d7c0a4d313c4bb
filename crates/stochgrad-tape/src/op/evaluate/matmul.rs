//! Evaluation of products of matrices.

use crate::node::Node;
use crate::op::fault::Fault;
use crate::plate::Plates;
use crate::tape::{Inner, Tape};
use stochgrad_tensor::{Real, Shape, Tensor, matmul, reduce};

impl<F: Real> Tape<F> {
    pub(super) fn evaluate_matmul(
        &self,
        inner: &Inner<F>,
        a: &Node<F>,
        b: &Node<F>,
        ta: bool,
        tb: bool,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let (left, right) = (a.event(), b.event());
        let mismatch = || Fault::Broadcast { left: left.clone(), right: right.clone(), plates: inner.words(&a.plates) };
        let rows = |shape: &Shape, transposed: bool| {
            if transposed { shape[shape.len() - 1] } else { shape[shape.len() - 2] }
        };
        let columns = |shape: &Shape, transposed: bool| {
            if transposed { shape[shape.len() - 2] } else { shape[shape.len() - 1] }
        };
        if right.len() < 2 || left.is_empty() {
            return Err(mismatch());
        }
        if b.plates.is_empty() && right.len() == 2 && !ta {
            if left[left.len() - 1] != rows(&right, tb) {
                return Err(mismatch());
            }
            let total = a.value.shape().clone();
            if total.len() == 1 {
                let row = a.value.clone().with_shape(Shape::from([1, total[0]]));
                let value = matmul::matmul(&self.pool, &row, false, &b.value, tb);
                return Ok((value.with_shape(Shape::from([columns(&right, tb)])), a.plates.clone()));
            }
            return Ok((matmul::matmul(&self.pool, &a.value, false, &b.value, tb), a.plates.clone()));
        }
        let leading = |shape: &Shape| Shape::from(&shape[..shape.len().saturating_sub(2)]);
        if left.len() < 2
            || columns(&left, ta) != rows(&right, tb)
            || Shape::broadcast(&leading(&left), &leading(&right)).is_none()
        {
            return Err(mismatch());
        }
        let aligned = inner.align(&[a, b]);
        Ok((matmul::matmul(&self.pool, &aligned.values[0], ta, &aligned.values[1], tb), aligned.plates))
    }

    pub(super) fn evaluate_matmul_leading(
        &self,
        inner: &Inner<F>,
        a: &Node<F>,
        b: &Node<F>,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let (left, right) = (a.event(), b.event());
        if left.is_empty() || right.is_empty() {
            return Err(Fault::Broadcast { left, right, plates: inner.words(&a.plates) });
        }
        let lead = |value: &Tensor<F>| Shape::from(&value.shape()[..value.shape().len() - 1]);
        let last = |value: &Tensor<F>| value.shape()[value.shape().len() - 1];
        let aligned = inner.align(&[a, b]);
        let [x, y] = [0, 1].map(|i| &aligned.values[i]);
        let Some(common) = Shape::broadcast(&lead(x), &lead(y)) else {
            return Err(Fault::Broadcast { left, right, plates: inner.words(&aligned.plates) });
        };
        let widen = |value: &Tensor<F>| {
            let full: Shape = common.iter().copied().chain([last(value)]).collect();
            let value = if *value.shape() == full { value.clone() } else { reduce::expand(&self.pool, value, &full) };
            if common.is_empty() { value.with_shape(Shape::from([1, full[0]])) } else { value }
        };
        let (x, y) = (widen(x), widen(y));
        let value = matmul::matmul_leading(&self.pool, &x, &y);
        self.pool.recycle(x);
        self.pool.recycle(y);
        Ok((value, Plates::new()))
    }
}
