//! Elementwise functions of two or three operands, which broadcast.

use crate::broadcast::Plan;
use crate::parallel::{ARITHMETIC, PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::{Pool, Real, Shape, Tensor};

/// An elementwise function of two operands. Comparisons give 1 or 0 (0 with a NaN, except [`Zip::NotEqual`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zip {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a · b
    Mul,
    /// a / b
    Div,
    /// a^b
    Pow,
    /// The larger one; NaN if one is NaN.
    Maximum,
    /// The smaller one; NaN if one is NaN.
    Minimum,
    /// a > b
    Greater,
    /// a ≥ b
    GreaterEqual,
    /// a < b
    Less,
    /// a ≤ b
    LessEqual,
    /// a = b
    Equal,
    /// a ≠ b
    NotEqual,
}

/// Applies an elementwise function to two operands that broadcast.
///
/// # Panics
/// If the shapes do not broadcast (see [`Shape::broadcast`]).
pub fn zip<F: Real>(pool: &Pool<F>, op: Zip, a: &Tensor<F>, b: &Tensor<F>) -> Tensor<F> {
    let choose = |condition: bool| if condition { F::ONE } else { F::ZERO };
    let run = Run { pool, a, b, threshold: if op == Zip::Pow { TRANSCENDENTAL } else { ARITHMETIC } };
    match op {
        Zip::Add => run.each(|a, b| a + b),
        Zip::Sub => run.each(|a, b| a - b),
        Zip::Mul => run.each(|a, b| a * b),
        Zip::Div => run.each(|a, b| a / b),
        Zip::Pow => run.each(F::powf),
        Zip::Maximum => run.each(|a, b| if a > b || a.is_nan() { a } else { b }),
        Zip::Minimum => run.each(|a, b| if a < b || a.is_nan() { a } else { b }),
        Zip::Greater => run.each(|a, b| choose(a > b)),
        Zip::GreaterEqual => run.each(|a, b| choose(a >= b)),
        Zip::Less => run.each(|a, b| choose(a < b)),
        Zip::LessEqual => run.each(|a, b| choose(a <= b)),
        Zip::Equal => run.each(|a, b| choose(a == b)),
        Zip::NotEqual => run.each(|a, b| choose(a != b)),
    }
}

/// `a` where the condition is not 0, else `b`; the three broadcast together.
///
/// # Panics
/// If the shapes do not broadcast.
pub fn select<F: Real>(pool: &Pool<F>, condition: &Tensor<F>, a: &Tensor<F>, b: &Tensor<F>) -> Tensor<F> {
    let shape = broadcast(&broadcast(condition.shape(), a.shape()), b.shape());
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let plan = Plan::new(&out.shape().clone(), [condition.shape(), a.shape(), b.shape()]);
    let threads = threads_for(pool.threads(), out.len(), ARITHMETIC);
    let [step_condition, step_a, step_b] = plan.steps;
    let (condition, a, b) = (condition.as_slice(), a.as_slice(), b.as_slice());
    fill_rows(threads, &plan, out.make_mut(), |out, [at_condition, at_a, at_b]| {
        if plan.steps == [1; 3] {
            let operands = condition[at_condition..].iter().zip(&a[at_a..]);
            for (out, ((&condition, &a), &b)) in out.iter_mut().zip(operands.zip(&b[at_b..])) {
                *out = if condition != F::ZERO { a } else { b };
            }
        } else {
            for (i, out) in out.iter_mut().enumerate() {
                *out = if condition[at_condition + i * step_condition] != F::ZERO {
                    a[at_a + i * step_a]
                } else {
                    b[at_b + i * step_b]
                };
            }
        }
    });
    out
}

/// a + b, in the place of `a` where it is shared with nothing and has the shape of the sum.
///
/// # Panics
/// If the shapes do not broadcast.
pub fn add_assign<F: Real>(pool: &Pool<F>, mut a: Tensor<F>, b: &Tensor<F>) -> Tensor<F> {
    if a.shape() == b.shape() && a.is_unique() {
        let threads = threads_for(pool.threads(), a.len(), ARITHMETIC);
        let b = b.as_slice();
        fill(threads, a.make_mut(), PIECE, |start, a| {
            for (a, &b) in a.iter_mut().zip(&b[start..]) {
                *a += b;
            }
        });
        return a;
    }
    let sum = zip(pool, Zip::Add, &a, b);
    pool.recycle(a);
    sum
}

fn broadcast(a: &Shape, b: &Shape) -> Shape {
    match Shape::broadcast(a, b) {
        Some(shape) => shape,
        None => panic!("shapes {a} and {b} do not broadcast"),
    }
}

/// Calls `work(row, offsets)` on every row of `out`.
pub(crate) fn fill_rows<F: Real, const K: usize>(
    threads: usize,
    plan: &Plan<K>,
    out: &mut [F],
    work: impl Fn(&mut [F], [usize; K]) + Sync,
) {
    let inner = plan.inner;
    fill(threads, out, PIECE.div_ceil(inner) * inner, |start, out| {
        let first = start / inner;
        plan.for_rows(first, out.len() / inner, |row, offsets| {
            let begin = (row - first) * inner;
            work(&mut out[begin..begin + inner], offsets);
        });
    });
}

struct Run<'a, F: Real> {
    pool: &'a Pool<F>,
    a: &'a Tensor<F>,
    b: &'a Tensor<F>,
    threshold: usize,
}

impl<F: Real> Run<'_, F> {
    #[inline]
    fn each(&self, f: impl Fn(F, F) -> F + Sync) -> Tensor<F> {
        let (shape_a, shape_b) = (self.a.shape(), self.b.shape());
        let (a, b) = (self.a.as_slice(), self.b.as_slice());
        let threads = |len| threads_for(self.pool.threads(), len, self.threshold);
        if shape_a == shape_b {
            let mut out = self.pool.take(shape_a.clone());
            fill(threads(a.len()), out.make_mut(), PIECE, |start, out| {
                both(out, &a[start..], &b[start..], &f);
            });
            out
        } else if b.len() == 1 && shape_b.rank() <= shape_a.rank() {
            let mut out = self.pool.take(shape_a.clone());
            fill(threads(a.len()), out.make_mut(), PIECE, |start, out| {
                left(out, &a[start..], b[0], &f);
            });
            out
        } else if a.len() == 1 && shape_a.rank() <= shape_b.rank() {
            let mut out = self.pool.take(shape_b.clone());
            fill(threads(b.len()), out.make_mut(), PIECE, |start, out| {
                left(out, &b[start..], a[0], &|b, a| f(a, b));
            });
            out
        } else {
            let mut out = self.pool.take(broadcast(shape_a, shape_b));
            if out.is_empty() {
                return out;
            }
            let plan = Plan::new(&out.shape().clone(), [shape_a, shape_b]);
            let threads = threads(out.len());
            fill_rows(threads, &plan, out.make_mut(), |out, [at_a, at_b]| match plan.steps {
                [0, _] => left(out, &b[at_b..], a[at_a], &|b, a| f(a, b)),
                [_, 0] => left(out, &a[at_a..], b[at_b], &f),
                _ => both(out, &a[at_a..], &b[at_b..], &f),
            });
            out
        }
    }
}

#[inline]
fn both<F: Real>(out: &mut [F], a: &[F], b: &[F], f: &impl Fn(F, F) -> F) {
    for (out, (&a, &b)) in out.iter_mut().zip(a.iter().zip(b)) {
        *out = f(a, b);
    }
}

#[inline]
fn left<F: Real>(out: &mut [F], a: &[F], b: F, f: &impl Fn(F, F) -> F) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = f(a, b);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{broadcast_all, broadcast_at, broadcasting, same_bits, scrambled, tensor_of};

    proptest! {
        #[test]
        fn zip_agrees_with_index_arithmetic(shapes in broadcasting(2)) {
            let (a, b) = (scrambled(&shapes[0]), scrambled(&shapes[1]).map(|x| x - 0.3));
            let expected = tensor_of(&broadcast_all(&shapes), |index| {
                broadcast_at(&a, index) - broadcast_at(&b, index)
            });
            prop_assert_eq!(zip(&Pool::new(), Zip::Sub, &a, &b), expected);
        }

        #[test]
        fn select_agrees_with_index_arithmetic(shapes in broadcasting(3)) {
            let condition = scrambled(&shapes[0]).map(|x| if x > 0.0 { x } else { 0.0 });
            let (a, b) = (scrambled(&shapes[1]), scrambled(&shapes[2]).map(|x| x - 0.3));
            let expected = tensor_of(&broadcast_all(&shapes), |index| {
                broadcast_at(if broadcast_at(&condition, index) != 0.0 { &a } else { &b }, index)
            });
            prop_assert_eq!(select(&Pool::new(), &condition, &a, &b), expected);
        }

        #[test]
        fn add_assign_is_addition(shapes in broadcasting(2)) {
            let pool = Pool::new();
            let (a, b) = (scrambled(&shapes[0]), scrambled(&shapes[1]));
            let sum = zip(&pool, Zip::Add, &a, &b);
            prop_assert_eq!(&add_assign(&pool, a.clone(), &b), &sum);
            prop_assert_eq!(&a, &scrambled(&shapes[0]));
            prop_assert_eq!(&add_assign(&pool, a, &b), &sum);
        }
    }

    #[test]
    fn add_assign_works_in_place_where_it_can() {
        let pool = Pool::new();
        let a = Tensor::from([1.0, 2.0]);
        let address = a.as_slice().as_ptr();
        let sum = add_assign(&pool, a, &Tensor::from([10.0, 20.0]));
        assert_eq!(sum, Tensor::from([11.0, 22.0]));
        assert_eq!(sum.as_slice().as_ptr(), address);
    }

    #[test]
    fn every_function_has_its_known_value() {
        let nan = f64::NAN;
        let cases = [
            (Zip::Add, 3.0, 2.0, 5.0),
            (Zip::Sub, 3.0, 2.0, 1.0),
            (Zip::Mul, 3.0, 2.0, 6.0),
            (Zip::Div, 3.0, 2.0, 1.5),
            (Zip::Pow, 3.0, 2.0, 9.0),
            (Zip::Maximum, 3.0, 2.0, 3.0),
            (Zip::Maximum, nan, 2.0, nan),
            (Zip::Maximum, 2.0, nan, nan),
            (Zip::Minimum, 3.0, 2.0, 2.0),
            (Zip::Minimum, nan, 2.0, nan),
            (Zip::Minimum, 2.0, nan, nan),
            (Zip::Greater, 3.0, 2.0, 1.0),
            (Zip::Greater, 2.0, 2.0, 0.0),
            (Zip::GreaterEqual, 2.0, 2.0, 1.0),
            (Zip::GreaterEqual, nan, 2.0, 0.0),
            (Zip::Less, 2.0, 2.0, 0.0),
            (Zip::LessEqual, 2.0, 2.0, 1.0),
            (Zip::LessEqual, 3.0, 2.0, 0.0),
            (Zip::Equal, 2.0, 2.0, 1.0),
            (Zip::Equal, nan, nan, 0.0),
            (Zip::NotEqual, nan, nan, 1.0),
            (Zip::NotEqual, 2.0, 2.0, 0.0),
        ];
        let pool = Pool::new();
        for (op, a, b, expected) in cases {
            let (vector_a, vector_b) = (Tensor::from([a, a]), Tensor::from([b, b]));
            let (scalar_a, scalar_b) = (Tensor::scalar(a), Tensor::scalar(b));
            for (a, b) in [(&vector_a, &vector_b), (&vector_a, &scalar_b), (&scalar_a, &vector_b)] {
                for found in zip(&pool, op, a, b).to_vec() {
                    assert!(
                        found == expected || (found.is_nan() && expected.is_nan()),
                        "{op:?} of {a} and {b}: {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let shapes: [[&[usize]; 2]; 6] = [
            [&[300, 401], &[300, 401]],
            [&[300, 401], &[401]],
            [&[300, 1], &[401]],
            [&[2, 100_001], &[2, 1]],
            [&[], &[100_000]],
            [&[50, 1, 60, 41], &[3, 1, 41]],
        ];
        for [a, b] in shapes {
            let (a, b) = (scrambled(a), scrambled(b).map(|x| x * 0.7));
            for op in [Zip::Div, Zip::Pow] {
                let one = zip(&Pool::new(), op, &a, &b);
                let three = zip(&Pool::with_threads(3), op, &a, &b);
                assert!(same_bits(&one, &three), "{op:?} of {} and {}", a.shape(), b.shape());
            }
            let one = select(&Pool::new(), &a, &a, &b);
            assert!(same_bits(&one, &select(&Pool::with_threads(3), &a, &a, &b)));
        }
    }

    #[test]
    #[should_panic(expected = "shapes [2] and [3] do not broadcast")]
    fn shapes_that_do_not_broadcast_are_a_bug_of_the_caller() {
        zip(&Pool::new(), Zip::Add, &Tensor::from([1.0, 2.0]), &Tensor::from([1.0, 2.0, 3.0]));
    }
}
