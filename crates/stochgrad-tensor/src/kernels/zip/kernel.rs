//! The kernels of functions of two elements.

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::map::unguarded;
use crate::kernels::zip::function::Zip;
use crate::kernels::zip::ratio;
use crate::parallel::{ARITHMETIC, PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// An operand of a slice kernel.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a, F> {
    /// One element for each element of the result.
    Slice(&'a [F]),
    /// One value for all elements of the result.
    Scalar(F),
}

/// Applies an elementwise function to two operands, with broadcasting.
///
/// # Panics
/// If the shapes do not broadcast (see [`Shape::broadcast`]).
pub fn zip<F: Real>(pool: &Pool<F>, op: Zip, a: &Tensor<F>, b: &Tensor<F>) -> Tensor<F> {
    let threshold = if op.is_transcendental() { TRANSCENDENTAL } else { ARITHMETIC };
    let threads = |len| threads_for(pool.threads(), len, threshold);
    let (shape_a, shape_b) = (a.shape(), b.shape());
    let (a, b) = (a.as_slice(), b.as_slice());
    if shape_a == shape_b || (b.len() == 1 && shape_b.rank() <= shape_a.rank()) {
        let mut out = pool.take(shape_a.clone());
        let whole = shape_a == shape_b;
        fill(threads(a.len()), out.make_mut(), PIECE, |start, out| {
            let range = start..start + out.len();
            let b = if whole { Operand::Slice(&b[range.clone()]) } else { Operand::Scalar(b[0]) };
            zip_slice(op, Operand::Slice(&a[range]), b, out);
        });
        return out;
    }
    if a.len() == 1 && shape_a.rank() <= shape_b.rank() {
        let mut out = pool.take(shape_b.clone());
        fill(threads(b.len()), out.make_mut(), PIECE, |start, out| {
            let b = &b[start..start + out.len()];
            zip_slice(op, Operand::Scalar(a[0]), Operand::Slice(b), out);
        });
        return out;
    }
    let mut out = pool.take(broadcast(shape_a, shape_b));
    if out.is_empty() {
        return out;
    }
    let iter = BroadcastIter::new(&out.shape().clone(), [shape_a, shape_b]);
    let [step_a, step_b] = iter.steps;
    fill_rows(threads(out.len()), &iter, out.make_mut(), |out, [at_a, at_b]| {
        zip_slice(op, along(a, at_a, step_a, out.len()), along(b, at_b, step_b, out.len()), out);
    });
    out
}

/// The operand for a row that starts at `at`. Along the row it advances by one element or stays at the same one.
#[inline]
pub(super) fn along<F: Real>(x: &[F], at: usize, step: usize, len: usize) -> Operand<'_, F> {
    if step == 0 { Operand::Scalar(x[at]) } else { Operand::Slice(&x[at..at + len]) }
}

dispatch! {
    /// Applies an elementwise function of two operands to slices on the calling thread, with the same bits as [`zip`].
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn zip_slice<F: Real>(op: Zip, a: Operand<'_, F>, b: Operand<'_, F>, out: &mut [F]) = zip_body;
}

#[inline(always)]
fn zip_body<const FMA: bool, F: Real>(op: Zip, a: Operand<'_, F>, b: Operand<'_, F>, out: &mut [F]) {
    let choose = |condition: bool| if condition { F::ONE } else { F::ZERO };
    match op {
        Zip::Add => pairs(a, b, out, |a, b| a + b),
        Zip::Sub => pairs(a, b, out, |a, b| a - b),
        Zip::SubUnguarded => pairs(a, b, out, |a, b| unguarded(a - b)),
        Zip::Mul => pairs(a, b, out, |a, b| a * b),
        Zip::MulBit => {
            let (impossible, one) = (F::from_f64(f64::NEG_INFINITY), F::ONE);
            pairs(a, b, out, |a, b| if (a < F::ZERO) | (a > one) { impossible } else { a * b });
        }
        Zip::MulCount => {
            let impossible = F::from_f64(f64::NEG_INFINITY);
            // False for NaN and for ∞, whose products are right.
            pairs(a, b, out, |a, b| if (a < F::ZERO) | (a - a.floor() > F::ZERO) { impossible } else { a * b });
        }
        Zip::ChanceOfBit => {
            let one = F::ONE;
            pairs(a, b, out, |a, b| {
                let chance = a * b + (one - a) * (one - b);
                if (a < F::ZERO) | (a > one) { F::ZERO } else { chance }
            });
        }
        Zip::Div => pairs(a, b, out, |a, b| a / b),
        Zip::Pow => pairs(a, b, out, F::powf),
        Zip::Maximum => pairs(a, b, out, |a, b| if (a > b) | a.is_nan() { a } else { b }),
        Zip::Minimum => pairs(a, b, out, |a, b| if (a < b) | a.is_nan() { a } else { b }),
        Zip::LogAddExp => pairs(
            a,
            b,
            out,
            #[inline(always)]
            |a, b| {
                // The difference of equal infinities would be NaN.
                let apart = if a == b { F::ZERO } else { -(a - b).abs() };
                let larger = if (a > b) | a.is_nan() { a } else { b };
                larger + apart.exp_fast::<FMA>().ln_1p_fast::<FMA>()
            },
        ),
        Zip::Log1pSquareRatio => ratio::log1p_square_ratio::<FMA, F>(a, b, out),
        Zip::Log1pSquareRatioByFirst => ratio::by_first::<FMA, F>(a, b, out),
        Zip::Log1pSquareRatioBySecond => ratio::by_second::<FMA, F>(a, b, out),
        Zip::Greater => pairs(a, b, out, |a, b| choose(a > b)),
        Zip::GreaterEqual => pairs(a, b, out, |a, b| choose(a >= b)),
        Zip::Less => pairs(a, b, out, |a, b| choose(a < b)),
        Zip::LessEqual => pairs(a, b, out, |a, b| choose(a <= b)),
        Zip::Equal => pairs(a, b, out, |a, b| choose(a == b)),
        Zip::NotEqual => pairs(a, b, out, |a, b| choose(a != b)),
        Zip::Share => {
            let half = F::from_f64(0.5);
            pairs(a, b, out, |a, b| {
                let tie = if a == b { half } else { F::ZERO };
                if a > b { F::ONE } else { tie }
            });
        }
        Zip::Weigh => pairs(a, b, out, |a, b| if b == F::ZERO { F::ZERO } else { a * b }),
        Zip::Keep => pairs(a, b, out, |a, b| choose((b != F::ZERO) | a.is_finite())),
        Zip::Hold => pairs(a, b, out, |a, b| if (b != F::ZERO) | a.is_finite() { a } else { F::ZERO }),
    }
}

#[inline(always)]
pub(super) fn pairs<F: Real>(a: Operand<'_, F>, b: Operand<'_, F>, out: &mut [F], f: impl Fn(F, F) -> F) {
    let mismatch = "expected operands and a result of equal length";
    match (a, b) {
        (Operand::Slice(a), Operand::Slice(b)) => {
            assert!(a.len() == out.len() && b.len() == out.len(), "{mismatch}");
            for (out, (&a, &b)) in out.iter_mut().zip(a.iter().zip(b)) {
                *out = f(a, b);
            }
        }
        (Operand::Slice(a), Operand::Scalar(b)) => {
            assert_eq!(a.len(), out.len(), "{mismatch}");
            for (out, &a) in out.iter_mut().zip(a) {
                *out = f(a, b);
            }
        }
        (Operand::Scalar(a), Operand::Slice(b)) => {
            assert_eq!(b.len(), out.len(), "{mismatch}");
            for (out, &b) in out.iter_mut().zip(b) {
                *out = f(a, b);
            }
        }
        (Operand::Scalar(a), Operand::Scalar(b)) => out.fill(f(a, b)),
    }
}

/// a + b, in place if the buffer of `a` is not shared and `a` has the shape of the sum.
///
/// # Panics
/// If the shapes do not broadcast.
pub fn add_assign<F: Real>(pool: &Pool<F>, mut a: Tensor<F>, b: &Tensor<F>) -> Tensor<F> {
    if a.shape() == b.shape() && a.is_unique() {
        let threads = threads_for(pool.threads(), a.len(), ARITHMETIC);
        let b = b.as_slice();
        fill(threads, a.make_mut(), PIECE, |start, a| {
            add_slice(a, &b[start..start + a.len()]);
        });
        return a;
    }
    let sum = zip(pool, Zip::Add, &a, b);
    pool.recycle(a);
    sum
}

dispatch! {
    fn add_slice<F: Real>(a: &mut [F], b: &[F]) = add_body;
}

#[inline(always)]
fn add_body<const FMA: bool, F: Real>(a: &mut [F], b: &[F]) {
    for (a, &b) in a.iter_mut().zip(b) {
        *a += b;
    }
}

pub(super) fn broadcast(a: &Shape, b: &Shape) -> Shape {
    match Shape::broadcast(a, b) {
        Some(shape) => shape,
        None => panic!("shapes {a} and {b} do not broadcast"),
    }
}

/// Calls `work(row, offsets)` on every row of `out`, with the offsets of the operands at the start of the row.
pub(crate) fn fill_rows<F: Real, const K: usize>(
    threads: usize,
    iter: &BroadcastIter<K>,
    out: &mut [F],
    work: impl Fn(&mut [F], [usize; K]) + Sync,
) {
    let inner = iter.inner;
    fill(threads, out, PIECE.div_ceil(inner) * inner, |start, out| {
        let first = start / inner;
        iter.for_rows(first, out.len() / inner, |row, offsets| {
            let begin = (row - first) * inner;
            work(&mut out[begin..begin + inner], offsets);
        });
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::zip::select;
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
            (Zip::Log1pSquareRatio, 3.0, 1.5, 5.0_f64.ln()),
            (Zip::Log1pSquareRatioByFirst, 3.0, 1.0, 0.6),
            (Zip::Log1pSquareRatioBySecond, 3.0, 1.0, -1.8),
            (Zip::Add, 3.0, 2.0, 5.0),
            (Zip::Sub, 3.0, 2.0, 1.0),
            (Zip::SubUnguarded, 3.0, 2.0, 1.0),
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
            for op in [Zip::Div, Zip::Pow, Zip::LogAddExp, Zip::Log1pSquareRatio, Zip::Log1pSquareRatioByFirst] {
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

    #[test]
    fn sums_of_exponentials_keep_small_terms_and_infinities() {
        let (inf, ln2) = (f64::INFINITY, 2.0_f64.ln());
        let apply =
            |a: f64, b: f64| zip(&Pool::new(), Zip::LogAddExp, &Tensor::from([a]), &Tensor::from([b])).to_vec()[0];
        for (a, b, expected) in [
            (1.0, 1.0, 1.0 + ln2),
            (1000.0, 1000.0, 1000.0 + ln2),
            (-1000.0, -1001.0, -1000.0 + 1.0_f64.recip().exp().recip().ln_1p()),
            (0.0, -60.0, (-60.0_f64).exp()),
            (-inf, 2.0, 2.0),
            (-inf, -inf, -inf),
            (inf, inf, inf),
            (inf, -inf, inf),
        ] {
            for found in [apply(a, b), apply(b, a)] {
                let close = found == expected || (found - expected).abs() <= 4.0 * f64::EPSILON * expected.abs();
                assert!(close, "{a} and {b}: {found}, not {expected}");
            }
        }
        assert!(apply(f64::NAN, 1.0).is_nan() && apply(inf, f64::NAN).is_nan());
    }

    #[test]
    fn bits_and_counts_are_checked() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let apply = |op, a: &[f64], b: f64| zip(&Pool::new(), op, &Tensor::from(a), &Tensor::from(b)).to_vec();
        let values = [0.0, 0.25, 1.0, -0.1, 1.5, 2.0, -inf, inf];
        assert_eq!(apply(Zip::MulBit, &values, 2.0), [0.0, 0.5, 2.0, -inf, -inf, -inf, -inf, -inf]);
        assert_eq!(apply(Zip::MulCount, &values, -2.0), [-0.0, -inf, -2.0, -inf, -inf, -4.0, -inf, -inf]);
        assert_eq!(apply(Zip::ChanceOfBit, &values, 0.75), [0.25, 0.375, 0.75, 0.0, 0.0, 0.0, 0.0, 0.0]);
        for op in [Zip::MulBit, Zip::MulCount, Zip::ChanceOfBit] {
            assert!(apply(op, &[nan], 0.5)[0].is_nan() && apply(op, &[1.0], nan)[0].is_nan(), "{op:?}");
        }
    }
}
