//! The effect of an operation on an adjoint that is 0 in some elements; see [`mask`](crate::mask).

use crate::op::{Op, PlateReduction};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;

/// The possible values of the slope of an operation where the adjoint is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slope {
    /// Finite for all operands.
    Finite,
    /// Finite for all operands that are not NaN.
    FiniteUnlessNan,
    /// Infinite or NaN for some operands.
    Any,
}

/// How an operation treats the elements of an adjoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// One by one, except for broadcasting.
    Elementwise,
    /// It moves elements without changing them.
    Move,
    /// It moves elements, and adds some of them.
    Sum,
    /// Each element of the result is another function of several elements. Masks end here.
    Mix,
}

impl Op {
    pub(crate) fn slope(&self) -> Slope {
        match self {
            Op::Map(map) => match map {
                Map::Neg
                | Map::AddScalar(_)
                | Map::RsubScalar(_)
                | Map::MulScalar(_)
                | Map::Guard(_)
                | Map::Unguard
                | Map::Relu
                | Map::LeakyRelu(_)
                | Map::MaxScalar(_)
                | Map::MinScalar(_)
                | Map::Clamp(..) => Slope::Finite,
                Map::Abs | Map::Tanh | Map::Sigmoid | Map::Softplus | Map::Erf | Map::Log1pSquare => {
                    Slope::FiniteUnlessNan
                }
                Map::Exp
                | Map::Ln
                | Map::LnHeld
                | Map::Log1p
                | Map::Expm1
                | Map::ExpExcess
                | Map::Sqrt
                | Map::Square
                | Map::Recip
                | Map::Sign
                | Map::Sin
                | Map::Cos
                | Map::Versine
                | Map::VersineSlope
                | Map::ExpWithin(..)
                | Map::Log1pSquareSlope
                | Map::Lgamma
                | Map::Polygamma(_)
                | Map::Floor
                | Map::Ceil
                | Map::Round
                | Map::Step
                | Map::LeakyStep(_)
                | Map::RdivScalar(_)
                | Map::PowScalar(_)
                | Map::Within(..)
                | Map::Outside(..)
                | Map::IsNan
                | Map::OnesLike
                | Map::ZerosLike => Slope::Any,
            },
            Op::Zip(zip) => match zip {
                Zip::Add | Zip::Sub | Zip::SubUnguarded | Zip::Maximum | Zip::Minimum | Zip::Hold => Slope::Finite,
                Zip::LogAddExp => Slope::FiniteUnlessNan,
                Zip::Mul
                | Zip::MulBit
                | Zip::MulCount
                | Zip::ChanceOfBit
                | Zip::Div
                | Zip::Pow
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
                | Zip::Keep => Slope::Any,
            },
            Op::Special(_) => Slope::Any,
            Op::Reduce(reduce, _) => match reduce {
                Reduce::Sum => Slope::Finite,
                Reduce::Max | Reduce::Min => Slope::FiniteUnlessNan,
                Reduce::LogSumExp | Reduce::Product => Slope::Any,
            },
            Op::PlateReduce(_, reduction) => match reduction {
                PlateReduction::Sum | PlateReduction::Mean => Slope::Finite,
                PlateReduction::Weighted | PlateReduction::LogSumExp => Slope::Any,
            },
            Op::Leaf { .. }
            | Op::Noise { .. }
            | Op::Draw { .. }
            | Op::Slot(_)
            | Op::Select
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::CumulativeSum { .. }
            | Op::LinearRecurrence { .. }
            | Op::LogCumulativeSumExp(_)
            | Op::Argmax(_)
            | Op::Argsort { .. }
            | Op::Ordered(_)
            | Op::Matmul { .. }
            | Op::Cholesky
            | Op::TriangularSolve { .. }
            | Op::MatmulLeading
            | Op::Dot
            | Op::DotOver(_)
            | Op::Convolve(_)
            | Op::ConvolveAdjoint(..)
            | Op::ConvolveWeights(..)
            | Op::MaxPool(_)
            | Op::MaxPoolPositions(_)
            | Op::SumPool(_)
            | Op::SumPoolAdjoint(..)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice { .. }
            | Op::PadInto { .. }
            | Op::Concat(_)
            | Op::IndexSelect(..)
            | Op::IndexAdd(..)
            | Op::Gather(_)
            | Op::ScatterAdd(..)
            | Op::LastWriters(..)
            | Op::Lookup
            | Op::LookupAdd { .. }
            | Op::Categories
            | Op::OneHot(_)
            | Op::Detach(_)
            | Op::MagicBox
            | Op::StraightThrough
            | Op::Estimated(_)
            | Op::Expand(..)
            | Op::SumOut(..)
            | Op::AllReduce(_)
            | Op::PlateMember(..)
            | Op::PlateScatter(..)
            | Op::PlateToEvent(_)
            | Op::EventToPlate(_)
            | Op::Sample(_)
            | Op::Custom(_) => Slope::Finite,
        }
    }

    pub(crate) fn passage(&self) -> Passage {
        match self {
            Op::Map(_)
            | Op::Zip(_)
            | Op::Special(_)
            | Op::Select
            | Op::MagicBox
            | Op::StraightThrough
            | Op::Estimated(_)
            | Op::Sample(_)
            | Op::Reduce(..)
            | Op::PlateReduce(..) => Passage::Elementwise,
            Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice { .. }
            | Op::PadInto { .. }
            | Op::SumOut(..)
            | Op::AllReduce(_)
            | Op::PlateMember(..)
            | Op::PlateScatter(..)
            | Op::PlateToEvent(_)
            | Op::EventToPlate(_) => Passage::Move,
            Op::Expand(..)
            | Op::Concat(_)
            | Op::CumulativeSum { .. }
            | Op::IndexSelect(..)
            | Op::IndexAdd(..)
            | Op::Gather(_)
            | Op::Ordered(_)
            | Op::ScatterAdd(..) => Passage::Sum,
            Op::Leaf { .. }
            | Op::Noise { .. }
            | Op::Draw { .. }
            | Op::Slot(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::LinearRecurrence { .. }
            | Op::LogCumulativeSumExp(_)
            | Op::Argmax(_)
            | Op::Argsort { .. }
            | Op::LastWriters(..)
            | Op::Lookup
            | Op::LookupAdd { .. }
            | Op::Matmul { .. }
            | Op::Cholesky
            | Op::TriangularSolve { .. }
            | Op::MatmulLeading
            | Op::Dot
            | Op::DotOver(_)
            | Op::Convolve(_)
            | Op::ConvolveAdjoint(..)
            | Op::ConvolveWeights(..)
            | Op::MaxPool(_)
            | Op::MaxPoolPositions(_)
            | Op::SumPool(_)
            | Op::SumPoolAdjoint(..)
            | Op::Categories
            | Op::OneHot(_)
            | Op::Detach(_)
            | Op::Custom(_) => Passage::Mix,
        }
    }

    /// The least slope upstream for which the mask that an operation introduces is kept. `None` for an operation that
    /// introduces none.
    pub(crate) fn masks_from(&self) -> Option<Slope> {
        match self {
            Op::Select => Some(Slope::FiniteUnlessNan),
            // Members with weight 0 are rare, and these sums dominate the run time.
            Op::Zip(zip) => match zip {
                Zip::Hold | Zip::Weigh => Some(Slope::Any),
                Zip::Add
                | Zip::Sub
                | Zip::SubUnguarded
                | Zip::Mul
                | Zip::MulBit
                | Zip::MulCount
                | Zip::ChanceOfBit
                | Zip::Div
                | Zip::Pow
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
                | Zip::Keep => None,
            },
            Op::PlateReduce(_, reduction) => match reduction {
                PlateReduction::Weighted => Some(Slope::Any),
                PlateReduction::Sum | PlateReduction::Mean | PlateReduction::LogSumExp => None,
            },
            Op::Leaf { .. }
            | Op::Noise { .. }
            | Op::Draw { .. }
            | Op::Slot(_)
            | Op::Map(_)
            | Op::Special(_)
            | Op::Reduce(..)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::CumulativeSum { .. }
            | Op::LinearRecurrence { .. }
            | Op::LogCumulativeSumExp(_)
            | Op::Argmax(_)
            | Op::Argsort { .. }
            | Op::Ordered(_)
            | Op::Matmul { .. }
            | Op::Cholesky
            | Op::TriangularSolve { .. }
            | Op::MatmulLeading
            | Op::Dot
            | Op::DotOver(_)
            | Op::Convolve(_)
            | Op::ConvolveAdjoint(..)
            | Op::ConvolveWeights(..)
            | Op::MaxPool(_)
            | Op::MaxPoolPositions(_)
            | Op::SumPool(_)
            | Op::SumPoolAdjoint(..)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice { .. }
            | Op::PadInto { .. }
            | Op::Concat(_)
            | Op::IndexSelect(..)
            | Op::IndexAdd(..)
            | Op::Gather(_)
            | Op::ScatterAdd(..)
            | Op::LastWriters(..)
            | Op::Lookup
            | Op::LookupAdd { .. }
            | Op::Categories
            | Op::OneHot(_)
            | Op::Detach(_)
            | Op::MagicBox
            | Op::StraightThrough
            | Op::Estimated(_)
            | Op::Expand(..)
            | Op::SumOut(..)
            | Op::AllReduce(_)
            | Op::PlateMember(..)
            | Op::PlateScatter(..)
            | Op::PlateToEvent(_)
            | Op::EventToPlate(_)
            | Op::Sample(_)
            | Op::Custom(_) => None,
        }
    }
}
