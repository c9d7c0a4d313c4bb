//! Contractions of values on different plates, as products of matrices.
//!
//! If each operand has plates that the other lacks, their element-wise product has an element for each pair of members,
//! which is expensive to compute and to sum. A product of matrices gives the sums directly: a log-probability of 128
//! images under 100 states costs one product of a matrix with 128 rows and one with 100 rows. Both operations keep
//! every plate that is not summed, so that credit goes to the members that caused a cost.

use crate::node::Node;
use crate::op::Op;
use crate::op::fault::Fault;
use crate::plate::{Plate, Plates, merge};
use crate::tape::Inner;
use crate::var::Var;
use smallvec::SmallVec;
use stochgrad_tensor::{Pool, Real, Shape, Tensor, layout, matmul};

/// The plates of the first list that are not in the second.
fn without(plates: &[Plate], others: &[Plate]) -> Plates {
    plates.iter().copied().filter(|plate| !others.contains(plate)).collect()
}

/// The value as a stack of matrices: `plates` in this order, then the event axes, reshaped to the given sizes.
fn arranged<F: Real>(pool: &Pool<F>, node: &Node<F>, plates: &[Plate], sizes: [usize; 3]) -> Tensor<F> {
    let lead = node.plates.len();
    let axes: SmallVec<[usize; 8]> = plates
        .iter()
        .filter_map(|plate| node.plates.binary_search(plate).ok())
        .chain(lead..node.value.rank())
        .collect();
    permuted(pool, &node.value, &axes).with_shape(Shape::from(sizes))
}

/// The value with its axes in another order. The buffer is shared if the order does not change.
fn permuted<F: Real>(pool: &Pool<F>, value: &Tensor<F>, axes: &[usize]) -> Tensor<F> {
    if axes.is_sorted() { value.clone() } else { layout::transpose(pool, value, axes) }
}

impl<F: Real> Inner<F> {
    /// A value with its plates in order, from a stack of matrices whose axes before the last belong to `plates`.
    fn disarranged(
        &self,
        pool: &Pool<F>,
        product: Tensor<F>,
        plates: &[Plate],
        event: &[usize],
    ) -> (Tensor<F>, Plates) {
        let mut sorted = Plates::new();
        merge(&mut sorted, plates);
        let sizes = plates.iter().map(|&plate| self.members(&[plate]));
        let shape: Shape = sizes.chain(event.iter().copied()).collect();
        let axes: SmallVec<[usize; 8]> = sorted
            .iter()
            .filter_map(|plate| plates.iter().position(|other| other == plate))
            .chain(plates.len()..shape.len())
            .collect();
        let product = product.with_shape(shape);
        let value = permuted(pool, &product, &axes);
        pool.recycle(product);
        (value, sorted)
    }

    /// See [`Op::Dot`].
    pub(crate) fn dot(&self, pool: &Pool<F>, a: &Node<F>, b: &Node<F>) -> Result<(Tensor<F>, Plates), Fault> {
        let (left, right) = (a.event(), b.event());
        if left != right {
            return Err(Fault::Broadcast { left, right, plates: String::new() });
        }
        let n = left.numel();
        let common: Plates = a.plates.iter().copied().filter(|plate| b.plates.contains(plate)).collect();
        let (mine, others) = (without(&a.plates, &common), without(&b.plates, &common));
        let lead = |plates: &Plates| -> Plates { common.iter().chain(plates).copied().collect() };
        let [c, rows, columns] = [&common, &mine, &others].map(|plates| self.members(plates));
        let x = arranged(pool, a, &lead(&mine), [c, rows, n]);
        let y = arranged(pool, b, &lead(&others), [c, columns, n]);
        let product = matmul::matmul(pool, &x, false, &y, true);
        pool.recycle(x);
        pool.recycle(y);
        let plates: Plates = common.iter().chain(&mine).chain(&others).copied().collect();
        Ok(self.disarranged(pool, product, &plates, &[]))
    }

    /// See [`Op::DotOver`].
    pub(crate) fn dot_over(
        &self,
        pool: &Pool<F>,
        weights: &Node<F>,
        value: &Node<F>,
        removed: &[Plate],
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let shared = |plate: &Plate| weights.plates.contains(plate) && value.plates.contains(plate);
        if !weights.event().is_empty() || !removed.iter().all(shared) {
            return Err(Fault::Operand {
                problem: "expected one value for each combination of members, on the plates that are summed".into(),
                shape: weights.event(),
                plates: String::new(),
            });
        }
        let event = value.event();
        let kept = without(&value.plates, removed);
        let common: Plates = kept.iter().copied().filter(|plate| weights.plates.contains(plate)).collect();
        if common.len() != kept.len() {
            return Err(Fault::Operand {
                problem: "expected weights on all plates of the value".into(),
                shape: weights.event(),
                plates: String::new(),
            });
        }
        let mine = without(&without(&weights.plates, removed), &common);
        let [c, rows, inner] = [&common[..], &mine, removed].map(|plates| self.members(plates));
        let order: Plates = common.iter().chain(&mine).chain(removed).copied().collect();
        let x = arranged(pool, weights, &order, [c, rows, inner]);
        let order: Plates = common.iter().chain(removed).copied().collect();
        let y = arranged(pool, value, &order, [c, inner, event.numel()]);
        let product = matmul::matmul(pool, &x, false, &y, false);
        pool.recycle(x);
        pool.recycle(y);
        let plates: Plates = common.iter().chain(&mine).copied().collect();
        Ok(self.disarranged(pool, product, &plates, &event))
    }
}

impl<'t, F: Real> Var<'t, F> {
    /// The sum over all event axes of the element-wise product, like `(self * other).sum()`. If each operand has plates
    /// that the other lacks, it is computed as a product of matrices, without the product for each pair of members.
    #[track_caller]
    pub fn dot(self, other: Self) -> Self {
        let (mine, others) = (self.plates(), other.plates());
        let crossed = !without(&mine, &others).is_empty() && !without(&others, &mine).is_empty();
        if crossed && self.shape() == other.shape() { self.apply_with(Op::Dot, &[other]) } else { (self * other).sum() }
    }
}

/// The adjoint of an operand of [`Op::Dot`], given the other operand and the full adjoint of the result.
pub(crate) fn dot_rule<'t, F: Real>(adjoint: Var<'t, F>, other: Var<'t, F>, operand: Var<'t, F>) -> Var<'t, F> {
    let removed = without(&other.plates(), &operand.plates());
    adjoint.apply_with(Op::DotOver(removed), &[other])
}

/// The adjoints of the operands of [`Op::DotOver`], given the full adjoint of the result.
pub(crate) fn dot_over_rule<'t, F: Real>(
    adjoint: Var<'t, F>,
    weights: Var<'t, F>,
    value: Var<'t, F>,
) -> [Var<'t, F>; 2] {
    let removed = without(&adjoint.plates(), &value.plates());
    [adjoint.apply_with(Op::Dot, &[value]), weights.apply_with(Op::DotOver(removed), &[adjoint])]
}

#[cfg(test)]
mod tests {
    use crate::{PlateKind, Tape};
    use stochgrad_tensor::Tensor;

    #[test]
    fn a_dot_product_is_the_sum_of_the_products() {
        let tape = Tape::<f64>::new();
        let [a, b, c, d] = [2, 3, 4, 5].map(|size| tape.plate("plate", size, PlateKind::Data, &[]));
        let value = |plates: &[_], shape: &[usize], seed: f64| {
            tape.constant_on(plates, Tensor::from_fn(shape, |i| ((i as f64 + 1.0) * seed).sin()))
        };
        let event = [6, 7];
        for (left, right) in [
            (vec![a], vec![b]),
            (vec![b], vec![a]),
            (vec![a, c], vec![b, c]),
            (vec![b, c], vec![a, d]),
            (vec![a, b, d], vec![a, c, d]),
        ] {
            let shaped = |plates: &[_], seed| {
                let shape: Vec<usize> = plates.iter().map(|&plate| tape.plate_size(plate)).chain(event).collect();
                value(plates, &shape, seed)
            };
            let (x, y) = (shaped(&left, 0.7), shaped(&right, 1.3));
            let (found, expected) = (x.dot(y), (x * y).sum());
            assert_eq!(found.plates(), expected.plates());
            let difference = found.peek().unwrap().max_abs_difference(&expected.peek().unwrap());
            assert!(difference.is_some_and(|difference| difference < 1e-12), "{left:?} {right:?}: {difference:?}");
        }
    }

    #[test]
    fn events_that_differ_are_broadcast() {
        let tape = Tape::<f64>::new();
        let [a, b] = [2, 3].map(|size| tape.plate("plate", size, PlateKind::Data, &[]));
        let x = tape.constant_on(&[a], Tensor::from([1.0, 2.0]));
        let y = tape.constant_on(&[b], Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
        assert_eq!(x.dot(y).peek().unwrap(), Tensor::from([[3.0, 7.0, 11.0], [6.0, 14.0, 22.0]]));
    }
}
