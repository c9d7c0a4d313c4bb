//! The smoothness of an operation in each of its operands.

use crate::op::{DetachReason, Estimated, Op, ShardReduction};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;

/// How a value depends on one of its inputs, from best to worst. Gradient methods return an error if a path is not
/// smooth enough for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Smoothness {
    /// No derivative, by design: nothing is missing.
    Constant,
    /// Differentiable any number of times.
    Smooth,
    /// Continuous with a kink. The first derivative may be used under an expectation, the second one may not.
    Kinked,
    /// With jumps, or with a gradient that was stopped. No derivative flows, and derivatives of the expectation cannot
    /// be computed along it.
    Jump,
}

impl Smoothness {
    /// Whether a derivative flows along the dependence. It does if the dependence is smooth or has kinks.
    pub fn passes_gradient(self) -> bool {
        matches!(self, Smoothness::Smooth | Smoothness::Kinked)
    }
}

impl Op {
    /// How the result depends on the given input. For a custom primitive, use
    /// [`Tape::smoothness`](crate::Tape::smoothness).
    pub fn smoothness(&self, input: usize) -> Smoothness {
        use Smoothness::{Constant, Jump, Kinked, Smooth};
        match self {
            Op::Map(map) => match map {
                // Values in use do not reach the ends of a guard.
                Map::Clamp(..) if map.is_guard() => Smooth,
                Map::Abs | Map::Relu | Map::LeakyRelu(_) | Map::MaxScalar(_) | Map::MinScalar(_) | Map::Clamp(..) => {
                    Kinked
                }
                Map::Sign
                | Map::Floor
                | Map::Ceil
                | Map::Round
                | Map::Step
                | Map::LeakyStep(_)
                | Map::Within(..)
                | Map::Outside(..)
                | Map::IsNan => Jump,
                Map::OnesLike | Map::ZerosLike => Constant,
                Map::Neg
                | Map::Exp
                | Map::Ln
                | Map::LnHeld
                | Map::Log1p
                | Map::Expm1
                | Map::ExpExcess
                | Map::Sqrt
                | Map::Square
                | Map::Recip
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
                | Map::Erf
                | Map::Lgamma
                | Map::Polygamma(_)
                | Map::AddScalar(_)
                | Map::MulScalar(_)
                | Map::RsubScalar(_)
                | Map::RdivScalar(_)
                | Map::PowScalar(_)
                | Map::Guard(_)
                | Map::Unguard => Smooth,
            },
            Op::Zip(zip) => match zip {
                Zip::Maximum | Zip::Minimum => Kinked,
                Zip::Greater
                | Zip::GreaterEqual
                | Zip::Less
                | Zip::LessEqual
                | Zip::Equal
                | Zip::NotEqual
                | Zip::Share => Jump,
                Zip::Keep => Constant,
                Zip::Hold if input == 1 => Constant,
                // Samples of bits and relaxed bits never leave [0, 1].
                Zip::MulBit | Zip::ChanceOfBit => Smooth,
                Zip::MulCount if input == 0 => Jump,
                Zip::MulCount => Smooth,
                Zip::Add
                | Zip::Sub
                | Zip::SubUnguarded
                | Zip::Mul
                | Zip::Div
                | Zip::Pow
                | Zip::LogAddExp
                | Zip::Log1pSquareRatio
                | Zip::Log1pSquareRatioByFirst
                | Zip::Log1pSquareRatioBySecond
                | Zip::Weigh
                | Zip::Hold => Smooth,
            },
            Op::Special(special) => special.smoothness(input),
            Op::Reduce(reduce, _) => match reduce {
                Reduce::Max | Reduce::Min => Kinked,
                Reduce::Sum | Reduce::LogSumExp | Reduce::Product => Smooth,
            },
            Op::Select if input == 0 => Jump,
            Op::Gather(_) | Op::ScatterAdd(..) | Op::Lookup | Op::LookupAdd { .. } if input == 1 => Jump,
            // The positions change where elements are equal, and the value is continuous there.
            Op::Ordered(_) if input == 1 => Constant,
            Op::MaxPool(_) | Op::Ordered(_) => Kinked,
            Op::Argmax(_)
            | Op::Argsort { .. }
            | Op::MaxPoolPositions(_)
            | Op::LastWriters(..)
            | Op::Categories
            | Op::OneHot(_) => Jump,
            Op::StraightThrough | Op::Estimated(Estimated::Value) if input == 0 => Constant,
            // Only the first derivative is known.
            Op::Estimated(_) => Kinked,
            Op::AllReduce(ShardReduction::Level) => Constant,
            Op::Detach(reason) => match reason {
                DetachReason::Stopped => Jump,
                DetachReason::Sampled | DetachReason::Detached => Constant,
            },
            Op::Leaf { .. }
            | Op::Noise { .. }
            | Op::Draw { .. }
            | Op::Slot(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::CumulativeSum { .. }
            | Op::LinearRecurrence { .. }
            | Op::LogCumulativeSumExp(_)
            | Op::Matmul { .. }
            | Op::Cholesky
            | Op::TriangularSolve { .. }
            | Op::MatmulLeading
            | Op::Dot
            | Op::DotOver(_)
            | Op::Convolve(_)
            | Op::ConvolveAdjoint(..)
            | Op::ConvolveWeights(..)
            | Op::SumPool(_)
            | Op::SumPoolAdjoint(..)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice { .. }
            | Op::PadInto { .. }
            | Op::Concat(_)
            | Op::IndexSelect(..)
            | Op::IndexAdd(..)
            | Op::Select
            | Op::Gather(_)
            | Op::ScatterAdd(..)
            | Op::Lookup
            | Op::LookupAdd { .. }
            | Op::StraightThrough
            | Op::MagicBox
            | Op::Expand(..)
            | Op::SumOut(..)
            | Op::PlateReduce(..)
            | Op::AllReduce(ShardReduction::Sum)
            | Op::PlateMember(..)
            | Op::PlateScatter(..)
            | Op::PlateToEvent(_)
            | Op::EventToPlate(_)
            | Op::Sample(_)
            | Op::Custom(_) => Smooth,
        }
    }

    /// Whether a derivative may flow to the given input.
    pub(crate) fn passes_gradient(&self, input: usize) -> bool {
        match self {
            Op::Sample(_) => input == 0,
            Op::Leaf { .. } | Op::Noise { .. } | Op::Draw { .. } | Op::Slot(_) => false,
            // The rule of the operation answers with an error.
            Op::Special(special) if special.is_count(input) => true,
            _ => self.smoothness(input).passes_gradient(),
        }
    }
}
