//! The degree of a value as a polynomial in another value.
//!
//! The degree of a result follows from the degrees of its operands: a linear operation keeps the largest one, a product
//! adds them, and a square doubles it. Any other function of the variable is not a polynomial. The degree is an upper
//! bound of the *total* degree in all elements and members of the variable. It is that of the recorded expression: the
//! square of a bit has degree 2, although it equals the bit, since its derivative is that of a square.

use crate::op::{Op, PlateReduction, ShardReduction};
use std::fmt;
use std::ops::Add;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;

/// The degree of a value as a polynomial in another one.
///
/// ```
/// use stochgrad_tape::Degree;
///
/// let (linear, square) = (Degree::new(1), Degree::new(2));
/// assert!(linear < square && square < Degree::UNBOUNDED);
/// assert_eq!(linear + square, Degree::new(3));
/// assert_eq!(Degree::new(3).get(), Some(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Degree(u8);

impl Degree {
    /// The degree of a value that does not depend on the variable.
    pub const CONSTANT: Degree = Degree(0);

    /// The degree of a value that is not a polynomial, or whose degree is not known.
    pub const UNBOUNDED: Degree = Degree(u8::MAX);

    /// The degree of a polynomial. Degrees of 255 or more are [`UNBOUNDED`](Self::UNBOUNDED).
    pub const fn new(degree: usize) -> Self {
        if degree < u8::MAX as usize { Degree(degree as u8) } else { Self::UNBOUNDED }
    }

    /// The degree as a number, or `None` if it is unbounded.
    pub fn get(self) -> Option<usize> {
        (self != Self::UNBOUNDED).then_some(usize::from(self.0))
    }

    /// The degree of the power with this exponent.
    pub fn times(self, exponent: usize) -> Self {
        self.get().map_or(Self::UNBOUNDED, |degree| Self::new(degree.saturating_mul(exponent)))
    }

    /// The degree of an arbitrary function of operands with these degrees.
    pub fn of_function(operands: &[Degree]) -> Self {
        if operands.iter().all(|&degree| degree == Self::CONSTANT) { Self::CONSTANT } else { Self::UNBOUNDED }
    }
}

impl Add for Degree {
    type Output = Degree;

    /// The degree of a product.
    fn add(self, other: Degree) -> Degree {
        Degree(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Degree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(degree) => write!(f, "{degree}"),
            None => f.write_str("unbounded"),
        }
    }
}

impl Op {
    /// The degree of the result as a polynomial in some variable, given the degrees of the operands. For a custom
    /// primitive, use [`Visit::degree`](crate::Visit::degree).
    pub fn degree(&self, operands: &[Degree]) -> Degree {
        let of = |operand: usize| operands.get(operand).copied().unwrap_or(Degree::CONSTANT);
        let linear = || operands.iter().copied().max().unwrap_or(Degree::CONSTANT);
        let product = || of(0) + of(1);
        let function = || Degree::of_function(operands);
        // Linear in one operand, if another one does not depend on the variable.
        let linear_beside = |other: usize, result: Degree| {
            if of(other) == Degree::CONSTANT { result } else { Degree::UNBOUNDED }
        };
        match self {
            Op::Map(map) => match map {
                Map::Neg | Map::AddScalar(_) | Map::MulScalar(_) | Map::RsubScalar(_) => linear(),
                Map::Square => of(0).times(2),
                Map::PowScalar(exponent) if *exponent >= 1.0 && exponent.fract() == 0.0 => {
                    of(0).times(*exponent as usize)
                }
                Map::OnesLike | Map::ZerosLike => Degree::CONSTANT,
                Map::Guard(_) | Map::Unguard => linear(),
                Map::Clamp(..) if map.is_guard() => linear(),
                Map::Exp
                | Map::Ln
                | Map::LnHeld
                | Map::Log1p
                | Map::Expm1
                | Map::ExpExcess
                | Map::Sqrt
                | Map::Recip
                | Map::Abs
                | Map::Sign
                | Map::Sin
                | Map::Cos
                | Map::Versine
                | Map::VersineSlope
                | Map::ExpWithin(..)
                | Map::Tanh
                | Map::Sigmoid
                | Map::Softplus
                | Map::Log1pSquare
                | Map::Log1pSquareSlope
                | Map::Relu
                | Map::LeakyRelu(_)
                | Map::Erf
                | Map::Lgamma
                | Map::Polygamma(_)
                | Map::Floor
                | Map::Ceil
                | Map::Round
                | Map::Step
                | Map::LeakyStep(_)
                | Map::RdivScalar(_)
                | Map::PowScalar(_)
                | Map::MaxScalar(_)
                | Map::MinScalar(_)
                | Map::Clamp(..)
                | Map::Within(..)
                | Map::Outside(..)
                | Map::IsNan => function(),
            },
            Op::Zip(zip) => match zip {
                Zip::Add | Zip::Sub | Zip::SubUnguarded => linear(),
                Zip::Mul | Zip::MulBit | Zip::MulCount | Zip::ChanceOfBit => product(),
                Zip::Div => linear_beside(1, of(0)),
                Zip::Pow
                | Zip::Maximum
                | Zip::Minimum
                | Zip::LogAddExp
                | Zip::Log1pSquareRatio
                | Zip::Log1pSquareRatioByFirst
                | Zip::Log1pSquareRatioBySecond
                | Zip::Greater
                | Zip::GreaterEqual
                | Zip::Less
                | Zip::LessEqual
                | Zip::Equal
                | Zip::NotEqual
                | Zip::Share
                | Zip::Weigh
                | Zip::Keep
                | Zip::Hold => function(),
            },
            Op::Select => linear_beside(0, of(1).max(of(2))),
            Op::Gather(_) | Op::ScatterAdd(..) | Op::Lookup | Op::LookupAdd { .. } => linear_beside(1, of(0)),
            Op::TriangularSolve { .. } | Op::LinearRecurrence { .. } => linear_beside(0, of(1)),
            Op::Matmul { .. } | Op::MatmulLeading | Op::Dot | Op::DotOver(_) => product(),
            Op::Convolve(_) | Op::ConvolveAdjoint(..) | Op::ConvolveWeights(..) => product(),
            Op::PlateReduce(_, PlateReduction::Weighted) => product(),
            Op::Reduce(Reduce::Sum, _)
            | Op::PlateReduce(_, PlateReduction::Sum | PlateReduction::Mean)
            | Op::SumOut(..)
            | Op::AllReduce(ShardReduction::Sum)
            | Op::CumulativeSum { .. }
            | Op::SumPool(_)
            | Op::SumPoolAdjoint(..)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice { .. }
            | Op::PadInto { .. }
            | Op::Concat(_)
            | Op::IndexSelect(..)
            | Op::IndexAdd(..)
            | Op::Expand(..)
            | Op::PlateMember(..)
            | Op::PlateScatter(..)
            | Op::PlateToEvent(_)
            | Op::EventToPlate(_) => linear(),
            Op::Reduce(Reduce::Max | Reduce::Min | Reduce::LogSumExp | Reduce::Product, _)
            | Op::PlateReduce(_, PlateReduction::LogSumExp)
            | Op::AllReduce(ShardReduction::Level)
            | Op::Leaf { .. }
            | Op::Noise { .. }
            | Op::Draw { .. }
            | Op::Slot(_)
            | Op::Special(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::LogCumulativeSumExp(_)
            | Op::Argmax(_)
            | Op::Argsort { .. }
            | Op::Ordered(_)
            | Op::LastWriters(..)
            | Op::MaxPool(_)
            | Op::MaxPoolPositions(_)
            | Op::Cholesky
            | Op::Categories
            | Op::OneHot(_)
            | Op::Detach(_)
            | Op::MagicBox
            | Op::StraightThrough
            | Op::Estimated(_)
            | Op::Sample(_)
            | Op::Custom(_) => function(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plate, PlateKind, Primitive, PrimitiveInputs, Tape, Var};
    use std::sync::Arc;
    use stochgrad_tensor::Tensor;

    /// The degree of the result of `record` for a vector of two elements.
    fn degree(record: impl for<'t> Fn(&'t Tape<f64>, Var<'t, f64>, Plate) -> Var<'t, f64>) -> Degree {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("members", 3, PlateKind::Data, &[]);
        let x = tape.constant([1.0, 2.0]).expand_plates(&[plate]);
        let y = record(&tape, x, plate);
        tape.check().unwrap();
        let mut degrees = vec![Degree::CONSTANT; tape.len()];
        degrees[x.id().index()] = Degree::new(1);
        tape.visit(tape.len(), &mut |visit| {
            let operands: Vec<Degree> = visit.inputs.iter().map(|id| degrees[id.index()]).collect();
            let own = &mut degrees[visit.id.index()];
            *own = (*own).max(visit.degree(&operands));
        });
        degrees[y.id().index()]
    }

    #[test]
    fn polynomials_have_their_degree() {
        assert_eq!(degree(|tape, _, _| tape.constant(2.0).exp()), Degree::CONSTANT);
        assert_eq!(degree(|_, x, _| (3.0 - x * 2.0 + 1.0) / 4.0), Degree::new(1));
        assert_eq!(degree(|tape, x, _| (x * tape.constant([1.0, 2.0])).sum()), Degree::new(1));
        assert_eq!(degree(|tape, x, _| x.dot(tape.constant([1.0, 2.0]))), Degree::new(1));
        assert_eq!(degree(|_, x, _| x.dot(x)), Degree::new(2));
        assert_eq!(degree(|_, x, plate| x.mean_over(plate).square() * x.sum()), Degree::new(3));
        assert_eq!(degree(|_, x, plate| x.sum().weighted_sum_over(plate, x.index(0, 0))), Degree::new(2));
        assert_eq!(degree(|_, x, _| x.index(0, 0) * x.index(0, 1)), Degree::new(2));
        assert_eq!(degree(|_, x, _| x.powf(3.0)), Degree::new(3));
        assert_eq!(degree(|tape, x, _| tape.constant([[1.0, 2.0], [3.0, 4.0]]).matmul(x.unsqueeze(1))), Degree::new(1));
        assert_eq!(degree(|tape, x, _| tape.constant(1.0).select(x, x.square())), Degree::new(2));
        assert_eq!(degree(|_, x, _| x.clamp(f64::MIN, f64::MAX)), Degree::new(1));
    }

    #[test]
    fn everything_else_is_no_polynomial() {
        assert_eq!(degree(|_, x, _| x.exp()), Degree::UNBOUNDED);
        assert_eq!(degree(|_, x, _| x.powf(0.5)), Degree::UNBOUNDED);
        assert_eq!(degree(|_, x, _| 1.0 / x), Degree::UNBOUNDED);
        assert_eq!(degree(|_, x, _| x.abs()), Degree::UNBOUNDED);
        assert_eq!(degree(|_, x, _| x.softmax(-1)), Degree::UNBOUNDED);
        assert_eq!(degree(|_, x, plate| x.log_mean_exp_over(plate)), Degree::UNBOUNDED);
        assert_eq!(degree(|tape, x, _| x.gt(tape.constant(1.0)).select(x, x)), Degree::UNBOUNDED);
        // The derivative is not that of the value.
        assert_eq!(degree(|_, x, _| x * x.stop_gradient()), Degree::UNBOUNDED);
        assert_eq!(degree(|tape, x, _| tape.constant(0.0).straight_through(x.sum())), Degree::UNBOUNDED);
        assert_eq!(degree(|_, x, _| x.magic_box()), Degree::UNBOUNDED);
    }

    /// Twice its operand, which may state its degree.
    struct Twice(bool);

    impl Primitive<f64> for Twice {
        fn name(&self) -> &str {
            "twice"
        }

        fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
            Ok(inputs.values[0].map(|x| 2.0 * x))
        }

        fn gradient<'t>(
            &self,
            _: &[Var<'t, f64>],
            _: Var<'t, f64>,
            adjoint: Var<'t, f64>,
        ) -> Vec<Option<Var<'t, f64>>> {
            vec![Some(adjoint * 2.0)]
        }

        fn degree(&self, operands: &[Degree]) -> Degree {
            if self.0 { operands[0] } else { Degree::of_function(operands) }
        }
    }

    #[test]
    fn primitives_speak_for_themselves() {
        assert_eq!(degree(|tape, x, _| tape.custom(Arc::new(Twice(true)), &[x.square()])), Degree::new(2));
        assert_eq!(degree(|tape, x, _| tape.custom(Arc::new(Twice(false)), &[x])), Degree::UNBOUNDED);
    }

    #[test]
    fn large_degrees_are_unbounded() {
        assert_eq!(Degree::new(200).times(2), Degree::UNBOUNDED);
        assert_eq!(Degree::new(200) + Degree::new(54), Degree::new(254));
        assert_eq!(Degree::new(200) + Degree::new(55), Degree::UNBOUNDED);
        assert_eq!(Degree::UNBOUNDED.times(2).to_string(), "unbounded");
    }
}
