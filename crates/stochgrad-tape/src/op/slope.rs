//! What an operation does to an adjoint that is 0 in some elements: see [`mask`](crate::mask).

use crate::op::{Op, PlateReduction};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;

/// What the slope of an operation can be where the adjoint is 0.
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
    /// It moves them, and changes nothing else.
    Move,
    /// It moves them, and adds some of them up.
    Sum,
    /// Each element of the result depends on several of them in its own way: masks end here.
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
                _ => Slope::Any,
            },
            Op::Zip(Zip::Add | Zip::Sub | Zip::SubUnguarded | Zip::Maximum | Zip::Minimum | Zip::Hold) => Slope::Finite,
            Op::Reduce(Reduce::Max | Reduce::Min, _) => Slope::FiniteUnlessNan,
            Op::Zip(_) | Op::Special(_) | Op::Reduce(Reduce::LogSumExp | Reduce::Product, _) => Slope::Any,
            Op::PlateReduce(_, PlateReduction::Weighted | PlateReduction::LogSumExp) => Slope::Any,
            _ => Slope::Finite,
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
            | Op::Sample(_)
            | Op::Reduce(..)
            | Op::PlateReduce(..) => Passage::Elementwise,
            Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice { .. }
            | Op::PadInto { .. }
            | Op::SumOut(..)
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
            | Op::ScatterAdd(..) => Passage::Sum,
            _ => Passage::Mix,
        }
    }

    /// The slope that an operation of its own mask must find upstream for that mask to be kept; `None` for an operation that makes none.
    pub(crate) fn masks_from(&self) -> Option<Slope> {
        match self {
            Op::Select => Some(Slope::FiniteUnlessNan),
            // The members that a weight of 0 takes away are rarely there, and the sums are hot.
            Op::Zip(Zip::Hold | Zip::Weigh) | Op::PlateReduce(_, PlateReduction::Weighted) => Some(Slope::Any),
            _ => None,
        }
    }
}
