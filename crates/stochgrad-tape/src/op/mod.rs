//! The operations of a tape, as plain data, and everything that has to be known of each of them: how smooth it is, its
//! degree as a polynomial, how it is evaluated, and its derivative rule.
//!
//! Each answer is one `match` without a wildcard for operations: a new operation does not compile until every question
//! has an answer.

pub(crate) mod alignment;
pub(crate) mod broadcast;
mod contraction;
mod degree;
mod derivative;
mod evaluate;
pub(crate) mod fault;
mod linalg;
pub(crate) mod slope;
mod smoothness;
pub mod special;

pub use degree::Degree;
pub use smoothness::Smoothness;

use crate::noise_source::{Fill, NoiseScheme};
use crate::plate::{Plate, Plates};
use crate::sets::SiteId;
use smallvec::SmallVec;
use special::function::Special;
use std::fmt;
use std::sync::Arc;
use stochgrad_tensor::Shape;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;

/// A few event axes, in rising order.
pub type Axes = SmallVec<[usize; 4]>;

/// How a plate is removed from a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlateReduction {
    /// The sum over the members.
    Sum,
    /// The plain average over the members.
    Mean,
    /// The sum of the members times weights, which are the second input. A member of weight 0 that is infinite or NaN
    /// is taken away: it adds 0 to the sum and to the derivatives with respect to the member and by its weight. The
    /// derivative by the weight of any other member is the member.
    Weighted,
    /// The logarithm of the sum of the exponentials of the members.
    LogSumExp,
}

/// Why no gradient flows through a detached value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DetachReason {
    /// The gradient was stopped: a dependence may be hidden.
    Stopped,
    /// The value was sampled from a distribution: how it depends on what it was computed from is for the gradient
    /// method of the distribution to say.
    Sampled,
    /// Whoever recorded it accounts for the derivatives that are missing.
    Detached,
}

/// One operation. Axes and shapes are those of the event part: an operation means the same on any plates, so that it
/// can be recorded again with inputs that carry more of them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// A value from outside; gradients are collected in the trainable ones.
    Leaf {
        /// Whether it is a parameter.
        trainable: bool,
    },
    /// Random numbers, decided by the seed of the tape, an address and the position of each element.
    Noise {
        /// Their distribution.
        fill: Fill,
        /// What they are for.
        address: u128,
        /// The plates that they carry.
        plates: Plates,
        /// The event shape.
        event: Shape,
        /// How the members of a plate share and order them, if they are not independent.
        plan: Option<NoiseScheme>,
    },
    /// Numbers that host code supplies, asked for again whenever a program runs; by the number of the source on this
    /// tape.
    Host(u32),
    /// A function of each element.
    Map(Map),
    /// A function of pairs of elements, broadcast.
    Zip(Zip),
    /// A special function of one to three operands, broadcast.
    Special(Special),
    /// The second input where the first is not 0, else the third.
    Select,
    /// A reduction over event axes.
    Reduce(Reduce, Axes),
    /// Softmax along an event axis.
    Softmax(usize),
    /// Logarithm of the softmax along an event axis.
    LogSoftmax(usize),
    /// Running sum along an event axis.
    CumulativeSum {
        /// The event axis.
        axis: usize,
        /// From the end to the start.
        reverse: bool,
    },
    /// Position of the largest element along an event axis, which it removes.
    Argmax(usize),
    /// Product of matrices in the last two event axes, or of row vectors in the last one with a matrix.
    Matmul {
        /// Whether the first operand is transposed.
        transpose_left: bool,
        /// Whether the second operand is transposed.
        transpose_right: bool,
    },
    /// Lower Cholesky factors of the matrices in the last two event axes.
    Cholesky,
    /// Solutions of systems with lower triangular matrices (first operand), or with their transposes.
    TriangularSolve {
        /// Whether the triangle is transposed.
        transpose: bool,
    },
    /// Sum over all plates and leading axes of the outer products of the last axes: the gradient of a weight matrix.
    MatmulLeading,
    /// Sum over the event axes of the products of two operands of one event shape, on the plates of both.
    Dot,
    /// Sum over the named plates, which both operands carry, of the second operand times the first, which has no event
    /// axes and lies on all plates of the second.
    DotOver(Plates),
    /// The same elements in another event shape.
    Reshape(Shape),
    /// Event axes in another order.
    Transpose(Axes),
    /// A range along an event axis.
    Slice {
        /// The event axis.
        axis: usize,
        /// First position.
        start: usize,
        /// How many.
        len: usize,
    },
    /// Zeros with the input at a range of an event axis.
    PadInto {
        /// The event axis.
        axis: usize,
        /// First position.
        start: usize,
        /// Size of the result along the axis.
        full: usize,
    },
    /// Inputs one after the other along an event axis.
    Concat(usize),
    /// Chosen positions along an event axis.
    IndexSelect(usize, Arc<[usize]>),
    /// Zeros with the input added at the chosen positions of an event axis of the given size.
    IndexAdd(usize, Arc<[usize]>, usize),
    /// Elements at positions given by the second input, along an event axis.
    Gather(usize),
    /// Zeros with the first input added at positions given by the second, along an event axis of the given size.
    ScatterAdd(usize, usize),
    /// A draw from the categories along the last event axis of the first input, by inversion of the uniform numbers of
    /// the second.
    Categories,
    /// A new last axis with a 1 at the position that the input names.
    OneHot(usize),
    /// The same value, through which no gradient flows, and why none does.
    Detach(DetachReason),
    /// `exp(l − stop(l))`: the value is 1, the derivative is that of `l` times itself, at every order.
    MagicBox,
    /// The value of the first input with the derivative of the second.
    StraightThrough,
    /// The input repeated along plates and event axes that it lacks.
    Expand(Plates, Shape),
    /// Sum over the named plates, which are removed, and over the named event axes, which keep size 1.
    SumOut(Plates, Axes),
    /// Reduction over one plate.
    PlateReduce(Plate, PlateReduction),
    /// One member of a plate.
    PlateMember(Plate, usize),
    /// Zeros along a plate with the input at one member.
    PlateScatter(Plate, usize),
    /// A plate axis as first event axis.
    PlateToEvent(Plate),
    /// The first event axis as a plate axis.
    EventToPlate(Plate),
    /// The value of a stochastic node (first input) and the parameters of its distribution (the others).
    Sample(SiteId),
    /// A user's own primitive, by its number on this tape.
    Custom(u32),
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Leaf { trainable: true } => f.write_str("parameter"),
            Op::Leaf { trainable: false } => f.write_str("constant"),
            Op::Noise { fill, plan: None, .. } => write!(f, "{fill:?} noise"),
            Op::Noise { fill, plan: Some(planned), .. } => write!(f, "{fill:?} noise, {}", planned.plan),
            Op::Host(_) => f.write_str("host value"),
            Op::Map(map) => write!(f, "{map:?}"),
            Op::Zip(zip) => write!(f, "{zip:?}"),
            Op::Special(special) => write!(f, "{special:?}"),
            Op::Reduce(reduce, axes) => write!(f, "{reduce:?} over event axes {:?}", axes.as_slice()),
            Op::Matmul { .. } | Op::MatmulLeading => f.write_str("matmul"),
            Op::Detach(DetachReason::Stopped) => f.write_str("stop_gradient"),
            Op::Detach(DetachReason::Sampled) => f.write_str("sampled value"),
            Op::Detach(DetachReason::Detached) => f.write_str("detached value"),
            Op::Sample(site) => write!(f, "sample {}", site.0),
            Op::Custom(_) => f.write_str("custom operation"),
            // Plates have names, which the tape knows: messages list them beside the operation.
            Op::Expand(_, event) => write!(f, "repetition to event shape {event}"),
            Op::SumOut(..) => f.write_str("sum over plates and event axes"),
            Op::PlateReduce(_, reduction) => write!(f, "{reduction:?} over a plate"),
            Op::PlateMember(_, member) => write!(f, "member {member} of a plate"),
            Op::PlateScatter(_, member) => write!(f, "member {member} of a plate of zeros"),
            Op::PlateToEvent(_) => f.write_str("plate_to_event"),
            Op::EventToPlate(_) => f.write_str("event_to_plate"),
            other => write!(f, "{other:?}"),
        }
    }
}
