//! The operations of a tape, as plain data, with all their properties: value, derivative rule, smoothness, and degree
//! as a polynomial.
//!
//! Each property is a `match` without a wildcard for operations, so a new operation does not compile until all its
//! properties are stated.

pub(crate) mod alignment;
pub(crate) mod broadcast;
mod contraction;
mod convolution;
mod degree;
mod derivative;
mod estimated;
mod evaluate;
pub(crate) mod fault;
mod linalg;
mod lookup;
mod pooling;
mod scan;
mod shards;
pub(crate) mod slope;
mod smoothness;
pub mod special;
pub(crate) mod support;

pub use degree::Degree;
pub use smoothness::Smoothness;

use crate::noise_source::NoiseScheme;
use crate::plate::{Plate, Plates};
use crate::sets::SiteId;
use smallvec::SmallVec;
use special::function::Special;
use std::fmt;
use std::sync::Arc;
use stochgrad_tensor::Shape;
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::pooling::Pooling;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::sort::Order;
use stochgrad_tensor::zip::Zip;

/// A list of event axes, in increasing order.
pub type Axes = SmallVec<[usize; 6]>;

/// The height and the width of an image or of a kernel.
pub type ImageSize = [usize; 2];

/// The reductions over a plate, which remove it from a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlateReduction {
    /// The sum over the members.
    Sum,
    /// The plain average over the members.
    Mean,
    /// The sum of the members times weights, which are the second input. A member with weight 0 is removed, even if it
    /// is infinite or NaN: it adds 0 to the sum, and the derivatives with respect to the member and, if it is infinite
    /// or NaN, to its weight are 0. The derivative with respect to the weight of any other member is the member.
    Weighted,
    /// The logarithm of the sum of the exponentials of the members.
    LogSumExp,
}

/// How the parts of the shards of a plate are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShardReduction {
    /// The sum of the parts. Its derivative with respect to each part is 1.
    Sum,
    /// The largest of the parts, as a level that cancels: no derivative flows through it.
    Level,
}

/// Why no gradient flows through a detached value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DetachReason {
    /// The user stopped the gradient, which may hide a dependence.
    Stopped,
    /// The value is a sample of a distribution. The gradient method of the distribution accounts for its dependence on
    /// the parameters.
    Sampled,
    /// The code that recorded it accounts for the missing derivatives.
    Detached,
}

/// What an estimated derivative is recorded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Estimated {
    /// A value, which has the derivative of its estimate.
    Value,
    /// The adjoint that the estimate gets. It is not differentiated again.
    Adjoint,
}

/// One operation. Axes and shapes are those of the event part. An operation is therefore independent of the plates of
/// its inputs, and can be recorded again with inputs on more plates.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// A parameter or a constant.
    Leaf {
        /// Whether it is a parameter, with respect to which gradients can be taken.
        trainable: bool,
    },
    /// Random values, determined by the seed of the tape, an address and the position of each element.
    Noise {
        /// Their distribution.
        fill: Fill,
        /// The address of the noise.
        address: u128,
        /// The plates of the noise.
        plates: Plates,
        /// The event shape.
        event: Shape,
        /// The sampling scheme by which the members of a plate are drawn jointly, unless they are independent.
        scheme: Option<NoiseScheme>,
    },
    /// A draw by a sampler, whose inputs are the parameters. See [`Tape::draw`](crate::Tape::draw).
    Draw {
        /// The number of the sampler on this tape.
        sampler: u32,
        /// The address of the noise.
        address: u128,
        /// The plates that the draw carries, besides those of the parameters.
        plates: Plates,
        /// The event shape.
        event: Shape,
    },
    /// The value of a slot, which is read again in each run of a program. Contains the number of the slot on this tape.
    Slot(u32),
    /// A function of each element.
    Map(Map),
    /// A function of pairs of elements, broadcast.
    Zip(Zip),
    /// A special function of one to three operands, broadcast.
    Special(Special),
    /// The second input where the first input is not 0, else the third.
    Select,
    /// A reduction over event axes.
    Reduce(Reduce, Axes),
    /// Softmax along an event axis.
    Softmax(usize),
    /// The logarithm of the softmax along an event axis.
    LogSoftmax(usize),
    /// The running sum along an event axis.
    CumulativeSum {
        /// The event axis.
        axis: usize,
        /// Whether it sums from the end to the start.
        reverse: bool,
    },
    /// The recurrence yᵢ = aᵢ yᵢ₋₁ + bᵢ along an event axis, with the coefficients a (first operand) and the terms b
    /// (second operand), which broadcast. The first element is its term.
    LinearRecurrence {
        /// The event axis.
        axis: usize,
        /// Whether it runs from the end to the start.
        reverse: bool,
    },
    /// The logarithm of the running sum of exponentials along an event axis.
    LogCumulativeSumExp(usize),
    /// The position of the largest element along an event axis, which is removed.
    Argmax(usize),
    /// The positions of the first `count` elements along an event axis, in order.
    Argsort {
        /// The event axis.
        axis: usize,
        /// The direction.
        order: Order,
        /// The number of positions.
        count: usize,
    },
    /// The elements of the first input at the positions that sort them along an event axis, which are the second input.
    /// It is [`Gather`](Op::Gather) for positions that depend on the elements, but only change where some are equal:
    /// the result has kinks and no jumps.
    Ordered(usize),
    /// The product of matrices in the last two event axes, or of row vectors in the last event axis with a matrix.
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
    /// The sum over all plates and leading axes of the outer products of the last axes. It is the gradient of a weight
    /// matrix.
    MatmulLeading,
    /// The sum over the event axes of the product of two operands with the same event shape, on the plates of both.
    Dot,
    /// The sum over the given plates of the product of both operands. Both have these plates. The first operand has no
    /// event axes, and all plates of the second one.
    DotOver(Plates),
    /// The convolution of images (first operand) with weights. Images are the last three event axes, [height, width,
    /// channels].
    Convolve(Convolution<2>),
    /// The adjoint of a convolution with respect to its images, which is the transposed convolution. The operands are
    /// an adjoint of the result of the convolution and its weights.
    ConvolveAdjoint(Convolution<2>, ImageSize),
    /// The adjoint of a convolution with respect to its weights, for a kernel of the given size. The operands are the
    /// images and an adjoint of the result. The sum runs over the given plates and the leading event axes.
    ConvolveWeights(Convolution<2>, ImageSize, Plates),
    /// The largest elements of windows of images.
    MaxPool(Pooling<2>),
    /// The positions of the largest elements of windows of images, as row · width + column.
    MaxPoolPositions(Pooling<2>),
    /// The sums of the elements of windows of images.
    SumPool(Pooling<2>),
    /// The adjoint of sums of windows, for images of the given size.
    SumPoolAdjoint(Pooling<2>, ImageSize),
    /// The same elements in another event shape.
    Reshape(Shape),
    /// Event axes in another order.
    Transpose(Axes),
    /// A range along an event axis.
    Slice {
        /// The event axis.
        axis: usize,
        /// The first position.
        start: usize,
        /// The number of positions.
        len: usize,
    },
    /// Zeros with the input at a range of an event axis.
    PadInto {
        /// The event axis.
        axis: usize,
        /// The first position.
        start: usize,
        /// Size of the result along the axis.
        full: usize,
    },
    /// The inputs, concatenated along an event axis.
    Concat(usize),
    /// The elements at chosen positions along an event axis.
    IndexSelect(usize, Arc<[usize]>),
    /// Zeros with the input added at the chosen positions of an event axis of the given size.
    IndexAdd(usize, Arc<[usize]>, usize),
    /// The elements at positions given by the second input, along an event axis.
    Gather(usize),
    /// Zeros with the first input added at positions given by the second, along an event axis of the given size.
    ScatterAdd(usize, usize),
    /// For each position of an event axis of the given size, the number of the last element along the axis that names
    /// it, counted from 1, or 0 if none does.
    LastWriters(usize, usize),
    /// The rows of a table of event shape `[entries, width]` at the positions given by the second input.
    Lookup,
    /// Zeros of event shape `[entries, width]`, to which the rows of the first input are added at the positions given
    /// by the second. It sums over the given plates and all event axes of the positions.
    LookupAdd {
        /// The plates, which are removed.
        removed: Plates,
        /// The number of rows of the result.
        entries: usize,
    },
    /// A draw from the categories along the last event axis of the first input, by inversion of the uniform values in
    /// the second input.
    Categories,
    /// One-hot vectors along a new last axis, with the 1 at the position given by the input.
    OneHot(usize),
    /// The same value without a gradient, and the reason.
    Detach(DetachReason),
    /// `exp(l − stop(l))`: the value is 1, and the derivative is the derivative of `l` times the magic box itself.
    MagicBox,
    /// The value of the first input with the derivative of the second.
    StraightThrough,
    /// The value of the first input. The second input is a random estimate of the differentiated value, which carries
    /// its first derivative. See [`Var::with_estimated_derivative`](crate::Var::with_estimated_derivative).
    Estimated(Estimated),
    /// The input, repeated along plates and event axes that it lacks.
    Expand(Plates, Shape),
    /// The sum over the given plates, which are removed, and over the given event axes, which keep size 1.
    SumOut(Plates, Axes),
    /// A reduction over one plate.
    PlateReduce(Plate, PlateReduction),
    /// The parts of all shards of a plate, combined element by element, in the order of the shards. The input is this
    /// shard's part of the result of an operation that removed the plate. The result is equal on all shards.
    AllReduce(ShardReduction),
    /// One member of a plate.
    PlateMember(Plate, usize),
    /// Zeros along a plate with the input at one member.
    PlateScatter(Plate, usize),
    /// The input with a plate as its first event axis.
    PlateToEvent(Plate),
    /// The input with its first event axis as a plate.
    EventToPlate(Plate),
    /// The value of a stochastic node (first input) and the parameters of its distribution (the others).
    Sample(SiteId),
    /// A primitive that the user defined, by its number on this tape.
    Custom(u32),
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Leaf { trainable: true } => f.write_str("parameter"),
            Op::Leaf { trainable: false } => f.write_str("constant"),
            Op::Noise { fill, scheme: None, .. } => write!(f, "{fill:?} noise"),
            Op::Noise { fill, scheme: Some(scheme), .. } => write!(f, "{fill:?} noise, {}", scheme.scheme),
            Op::Draw { .. } => f.write_str("draw"),
            Op::Slot(_) => f.write_str("slot"),
            Op::Map(map) => write!(f, "{map:?}"),
            Op::Zip(zip) => write!(f, "{zip:?}"),
            Op::Special(special) => write!(f, "{special:?}"),
            Op::Reduce(reduce, axes) => write!(f, "{reduce:?} over event axes {:?}", axes.as_slice()),
            Op::Matmul { .. } | Op::MatmulLeading => f.write_str("matmul"),
            Op::Convolve(_) => f.write_str("convolution"),
            Op::ConvolveAdjoint(..) => f.write_str("transposed convolution"),
            Op::ConvolveWeights(..) => f.write_str("gradient of the weights of a convolution"),
            Op::MaxPool(pooling) => write!(f, "largest elements of windows {:?}", pooling.window),
            Op::MaxPoolPositions(pooling) => {
                write!(f, "positions of the largest elements of windows {:?}", pooling.window)
            }
            Op::SumPool(pooling) => write!(f, "sums of windows {:?}", pooling.window),
            Op::SumPoolAdjoint(pooling, _) => write!(f, "adjoint of sums of windows {:?}", pooling.window),
            Op::Detach(DetachReason::Stopped) => f.write_str("stop_gradient"),
            Op::Detach(DetachReason::Sampled) => f.write_str("sampled value"),
            Op::Detach(DetachReason::Detached) => f.write_str("detached value"),
            Op::Estimated(Estimated::Value) => f.write_str("value with an estimated derivative"),
            Op::Estimated(Estimated::Adjoint) => f.write_str("adjoint of an estimate"),
            Op::Sample(site) => write!(f, "sample {}", site.0),
            Op::Custom(_) => f.write_str("custom operation"),
            // The names of plates are stored in the tape. Messages list them after the operation.
            Op::Expand(_, event) => write!(f, "repetition to event shape {event}"),
            Op::SumOut(..) => f.write_str("sum over plates and event axes"),
            Op::PlateReduce(_, reduction) => write!(f, "{reduction:?} over a plate"),
            Op::AllReduce(reduction) => write!(f, "{reduction:?} over the shards of a plate"),
            Op::PlateMember(_, member) => write!(f, "member {member} of a plate"),
            Op::PlateScatter(_, member) => write!(f, "member {member} of a plate of zeros"),
            Op::PlateToEvent(_) => f.write_str("plate_to_event"),
            Op::EventToPlate(_) => f.write_str("event_to_plate"),
            other => write!(f, "{other:?}"),
        }
    }
}
