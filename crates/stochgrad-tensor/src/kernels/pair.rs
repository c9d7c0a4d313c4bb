//! Two arithmetic functions in one pass.
//!
//! On a block in the first-level cache, the loads, the stores and the call dominate the cost of arithmetic: two
//! functions in one pass take as long as one. [Chains](crate::kernels::fused::Chain) therefore evaluate arithmetic
//! functions in pairs. Each of the two is rounded on its own, so that a pair gives the bits of its two functions.

use crate::kernels::zip::Operand;
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::buffer::Aligned;

/// The function of the first two operands. A function of one operand uses the second as its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a · b
    Mul,
    /// 1 if a > 0, else b.
    LeakyStep,
}

/// The function of t, the result of the first function, and of the third operand, c.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// t + c
    Add,
    /// t − c
    Sub,
    /// c − t
    SubFrom,
    /// t · c
    Mul,
    /// t / c
    Div,
    /// t if t > 0, else c · t.
    LeakyRelu,
    /// t ≤ c
    LessEqual,
    /// t clamped to [−c, c].
    Guard,
    /// t²; the third operand is ignored.
    Square,
}

dispatch! {
    /// Applies two functions to slices on the calling thread, with the same bits as one after the other.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn pair_slice<F: Real>(
        first: First, second: Second, a: Operand<'_, F>, b: Operand<'_, F>, c: Operand<'_, F>, out: &mut [F],
    ) = pair_body;
}

#[inline(always)]
fn pair_body<const FMA: bool, F: Real>(
    first: First,
    second: Second,
    a: Operand<'_, F>,
    b: Operand<'_, F>,
    c: Operand<'_, F>,
    out: &mut [F],
) {
    let operands = [a, b, c];
    match first {
        First::Add => then(second, operands, out, |a, b| a + b),
        First::Sub => then(second, operands, out, |a, b| a - b),
        First::Mul => then(second, operands, out, |a, b| a * b),
        First::LeakyStep => then(second, operands, out, |a, b| if a > F::ZERO { F::ONE } else { b }),
    }
}

#[inline(always)]
fn then<F: Real>(second: Second, operands: [Operand<'_, F>; 3], out: &mut [F], first: impl Fn(F, F) -> F) {
    match second {
        Second::Add => triples(operands, out, |a, b, c| first(a, b) + c),
        Second::Sub => triples(operands, out, |a, b, c| first(a, b) - c),
        Second::SubFrom => triples(operands, out, |a, b, c| c - first(a, b)),
        Second::Mul => triples(operands, out, |a, b, c| first(a, b) * c),
        Second::Div => triples(operands, out, |a, b, c| first(a, b) / c),
        Second::LeakyRelu => triples(operands, out, |a, b, c| {
            let t = first(a, b);
            t * if t > F::ZERO { F::ONE } else { c }
        }),
        Second::LessEqual => triples(operands, out, |a, b, c| if first(a, b) <= c { F::ONE } else { F::ZERO }),
        Second::Guard => triples(operands, out, |a, b, c| {
            let t = first(a, b);
            let t = if t < -c { -c } else { t };
            if t > c { c } else { t }
        }),
        Second::Square => triples(operands, out, |a, b, _| {
            let t = first(a, b);
            t * t
        }),
    }
}

/// The number of elements that are processed together. It is large enough that the compiler vectorises the loop instead
/// of unrolling it into single operations.
const WIDTH: usize = 64;

/// An operand in pieces of [`WIDTH`] elements. A scalar operand is one piece that is read repeatedly.
struct Pieces<'a, F> {
    whole: &'a [[F; WIDTH]],
    rest: &'a [F],
    /// A mask for the index of a piece: all bits for a slice, and none for a scalar.
    mask: usize,
}

impl<'a, F: Real> Pieces<'a, F> {
    #[inline(always)]
    fn new(operand: Operand<'a, F>, len: usize, number: &'a mut [F; WIDTH]) -> Self {
        match operand {
            Operand::Slice(elements) => {
                assert_eq!(elements.len(), len, "expected operands and a result of equal length");
                let (whole, rest) = elements.as_chunks();
                Pieces { whole, rest, mask: usize::MAX }
            }
            Operand::Scalar(value) => {
                *number = [value; WIDTH];
                Pieces { whole: std::slice::from_ref(number), rest: number, mask: 0 }
            }
        }
    }

    #[inline(always)]
    fn piece(&self, i: usize) -> &'a [F; WIDTH] {
        &self.whole[i & self.mask]
    }
}

#[inline(always)]
fn triples<F: Real>(operands: [Operand<'_, F>; 3], out: &mut [F], f: impl Fn(F, F, F) -> F) {
    let [a, b, c] = operands;
    // The most frequent forms, without a second operand to load.
    match (a, b, c) {
        (Operand::Slice(a), Operand::Scalar(b), Operand::Scalar(c)) => {
            assert_eq!(a.len(), out.len(), "expected operands and a result of equal length");
            return out.iter_mut().zip(a).for_each(|(out, &a)| *out = f(a, b, c));
        }
        (Operand::Slice(a), Operand::Slice(b), Operand::Scalar(c)) => {
            let fits = a.len() == out.len() && b.len() == out.len();
            assert!(fits, "expected operands and a result of equal length");
            return out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = f(a, b, c));
        }
        _ => {}
    }
    let mut numbers = Aligned([[F::ZERO; WIDTH]; 3]);
    let [number_a, number_b, number_c] = &mut numbers.0;
    let a = Pieces::new(a, out.len(), number_a);
    let b = Pieces::new(b, out.len(), number_b);
    let c = Pieces::new(c, out.len(), number_c);
    let (whole, rest) = out.as_chunks_mut::<WIDTH>();
    for (i, out) in whole.iter_mut().enumerate() {
        let (a, b, c) = (a.piece(i), b.piece(i), c.piece(i));
        for lane in 0..WIDTH {
            out[lane] = f(a[lane], b[lane], c[lane]);
        }
    }
    for (out, ((&a, &b), &c)) in rest.iter_mut().zip(a.rest.iter().zip(b.rest).zip(c.rest)) {
        *out = f(a, b, c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::map::{Map, map_slice};
    use crate::kernels::zip::{Zip, zip_slice};
    use crate::testing::scrambled;

    /// The elements of an operand.
    fn spread(operand: Operand<'_, f32>, len: usize) -> Vec<f32> {
        match operand {
            Operand::Slice(elements) => elements.to_vec(),
            Operand::Scalar(value) => vec![value; len],
        }
    }

    fn one_after_the_other(first: First, second: Second, [a, b, c]: [Operand<'_, f32>; 3], len: usize) -> Vec<f32> {
        let (mut t, mut out) = (vec![0.0; len], vec![0.0; len]);
        match first {
            First::Add => zip_slice(Zip::Add, a, b, &mut t),
            First::Sub => zip_slice(Zip::Sub, a, b, &mut t),
            First::Mul => zip_slice(Zip::Mul, a, b, &mut t),
            First::LeakyStep => {
                let slopes = spread(b, len);
                for ((t, &a), &slope) in t.iter_mut().zip(&spread(a, len)).zip(&slopes) {
                    map_slice(Map::LeakyStep(f64::from(slope)), &[a], std::slice::from_mut(t));
                }
            }
        }
        let done = Operand::Slice(&t);
        match second {
            Second::Add => zip_slice(Zip::Add, done, c, &mut out),
            Second::Sub => zip_slice(Zip::Sub, done, c, &mut out),
            Second::SubFrom => zip_slice(Zip::Sub, c, done, &mut out),
            Second::Mul => zip_slice(Zip::Mul, done, c, &mut out),
            Second::Div => zip_slice(Zip::Div, done, c, &mut out),
            Second::LessEqual => zip_slice(Zip::LessEqual, done, c, &mut out),
            Second::Square => map_slice(Map::Square, &t, &mut out),
            Second::LeakyRelu | Second::Guard => {
                let numbers = spread(c, len);
                for ((out, &t), &number) in out.iter_mut().zip(&t).zip(&numbers) {
                    let number = f64::from(number);
                    let op = if second == Second::Guard { Map::Guard(number) } else { Map::LeakyRelu(number) };
                    map_slice(op, &[t], std::slice::from_mut(out));
                }
            }
        }
        out
    }

    #[test]
    fn a_pair_gives_the_bits_of_its_two_functions() {
        const FIRST: [First; 4] = [First::Add, First::Sub, First::Mul, First::LeakyStep];
        const SECOND: [Second; 9] = [
            Second::Add,
            Second::Sub,
            Second::SubFrom,
            Second::Mul,
            Second::Div,
            Second::LeakyRelu,
            Second::LessEqual,
            Second::Guard,
            Second::Square,
        ];
        for len in [0, 1, 15, 16, 33, 100] {
            let values = scrambled(&[3, len.max(1)]).cast::<f32>();
            let of = |row: usize| &values.as_slice()[row * len..][..len];
            for first in FIRST {
                for second in SECOND {
                    for numbers in 0..8 {
                        let operands = [0, 1, 2].map(|i| match numbers >> i & 1 {
                            0 => Operand::Slice(of(i)),
                            _ => Operand::Scalar([0.7, 0.3, 0.2][i]),
                        });
                        let expected = one_after_the_other(first, second, operands, len);
                        let mut found = vec![f32::NAN; len];
                        let [a, b, c] = operands;
                        pair_slice(first, second, a, b, c, &mut found);
                        assert_eq!(found, expected, "{first:?}, then {second:?} of {len} elements");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "expected operands and a result of equal length")]
    fn lengths_that_differ_are_a_bug_of_the_caller() {
        let [short, long] = [Operand::Slice(&[1.0][..]), Operand::Slice(&[1.0, 2.0][..])];
        pair_slice(First::Add, Second::Mul, long, short, Operand::Scalar(1.0), &mut [0.0; 2]);
    }
}
