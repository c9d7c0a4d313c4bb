//! Which lowering an operation has.

use crate::error::XlaResult;
use crate::lowering::axes::Fold;
use crate::lowering::builder::Value;
use crate::lowering::context::{Context, Operand, Target};
use crate::lowering::noise::Noise;
use crate::lowering::refusal::{UNKNOWN, refused};
use crate::lowering::types::Element;
use crate::lowering::{contraction, convolution, index, map, order, plates, pooling, reduction, scan, special, zip};
use stochgrad_tape::{ImageSize, ListedValue, Listing, Op, Plate, PlateReduction, ValueOrigin};
use stochgrad_tensor::pooling::Pooling;
use stochgrad_tensor::{Real, Shape};

/// The value of an operation that is no primitive and no draw by a sampler.
pub(crate) fn lower<'b, F: Real>(
    context: &Context<'b>,
    noise: &Noise<'_, 'b>,
    listing: &Listing<'_, F>,
    listed: &ListedValue<'_, F>,
    op: &Op,
    x: &[&Operand<'b>],
    target: &Target<'_>,
) -> XlaResult<Value<'b>> {
    let refused = |reason: &str| refused(listing, listed, reason);
    match op {
        Op::Noise { .. } => noise.lower(listing, listed, op, target).ok_or_else(|| refused(UNKNOWN)),
        Op::Map(function) => {
            let value = map::map(*function, x[0].value);
            value.or_else(|| special::map(context.builder, *function, x[0].value)).ok_or_else(|| refused(UNKNOWN))
        }
        Op::Special(function) => {
            let operands: Vec<Value<'b>> = x.iter().map(|operand| context.aligned(operand, target)).collect();
            special::lower(context.builder, *function, &operands).ok_or_else(|| refused(UNKNOWN))
        }
        Op::ScatterAdd(axis, len) => Ok(match Pooled::of(listing, listed, *len) {
            Some(pooled) => pooled.adjoint(context, [x[0], x[1]], *axis, target),
            None => index::scatter_add(context, [x[0], x[1]], *axis, *len, target),
        }),
        _ => structural(context, op, x, target).ok_or_else(|| refused(UNKNOWN)),
    }
}

/// An addition at the positions of the largest elements of windows.
struct Pooled {
    pooling: Pooling<2>,
    /// The sizes of the images and of the results of pooling.
    sizes: [ImageSize; 2],
}

impl Pooled {
    /// The windows, if the positions of an addition are those of largest elements, with height and width as one axis.
    fn of<F: Real>(listing: &Listing<'_, F>, listed: &ListedValue<'_, F>, len: usize) -> Option<Self> {
        let flat = listing.value(*listed.operands.get(1)?);
        let ValueOrigin::Operation(Op::Reshape(_)) = flat.origin else { return None };
        let positions = listing.value(*flat.operands.first()?);
        let ValueOrigin::Operation(Op::MaxPoolPositions(pooling)) = positions.origin else { return None };
        let images = listing.value(*positions.operands.first()?);
        let (results, images) = (positions.event(), images.event());
        let lead = results.len() - 3;
        let joined: Vec<usize> =
            results[..lead].iter().copied().chain([results[lead] * results[lead + 1], results[lead + 2]]).collect();
        let size = |event: &[usize]| [event[lead], event[lead + 1]];
        let fits = *flat.event() == joined[..] && len == images[lead] * images[lead + 1];
        fits.then(|| Pooled { pooling: *pooling, sizes: [size(images), size(results)] })
    }

    fn adjoint<'b>(
        &self,
        context: &Context<'b>,
        operands: [&Operand<'b>; 2],
        axis: usize,
        target: &Target<'_>,
    ) -> Value<'b> {
        let [size, results] = self.sizes;
        let at = axis + target.plates.len();
        let flat = target.shape.with_size(at, results[0] * results[1]);
        let images: Shape = flat[..at].iter().copied().chain(results).chain(flat[at + 1..].iter().copied()).collect();
        let [y, positions] =
            operands.map(|x| context.spread(x, target.plates, &flat[target.plates.len()..]).reshape(&images));
        pooling::max_pool_adjoint(y, positions.convert(Element::I32), &self.pooling, size).reshape(target.shape)
    }
}

/// A plate that an operation names, besides those of its operands.
pub(crate) fn plate(op: &Op) -> Option<Plate> {
    match op {
        Op::PlateReduce(plate, _) | Op::PlateMember(plate, _) | Op::PlateScatter(plate, _) => Some(*plate),
        _ => None,
    }
}

/// A number above all elements of a result, if they are known to be integers from 0 on.
pub(crate) fn below(op: &Op, x: &[&Operand<'_>]) -> Option<usize> {
    match op {
        Op::Argmax(axis) | Op::Argsort { axis, .. } => Some(x[0].event()[*axis]),
        Op::MaxPoolPositions(_) => {
            let event = x[0].event();
            Some(event[event.len() - 3] * event[event.len() - 2])
        }
        Op::Categories => x[0].event().last().copied(),
        Op::OneHot(_) => Some(2),
        Op::Detach(_)
        | Op::Sample(_)
        | Op::StraightThrough
        | Op::Estimated(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice { .. }
        | Op::IndexSelect(..)
        | Op::Expand(..)
        | Op::PlateMember(..)
        | Op::PlateToEvent(_)
        | Op::EventToPlate(_) => x[0].below,
        Op::PadInto { .. } | Op::PlateScatter(..) => x[0].below.map(|below| below.max(1)),
        Op::Concat(_) => x.iter().map(|operand| operand.below).try_fold(0, |most, below| Some(most.max(below?))),
        _ => None,
    }
}

/// The height and the width of a result.
fn image(target: &Target<'_>) -> ImageSize {
    let rank = target.shape.rank();
    [target.shape[rank - 3], target.shape[rank - 2]]
}

/// The value of an operation that needs nothing but its operands.
fn structural<'b>(context: &Context<'b>, op: &Op, x: &[&Operand<'b>], target: &Target<'_>) -> Option<Value<'b>> {
    let pair = || [x[0], x[1]];
    let first = x.first()?;
    let own = first.plates.len();
    let value = first.value;
    let aligned = |operand: usize| context.aligned(x[operand], target);
    Some(match op {
        Op::Zip(function) => zip::zip(*function, aligned(0), aligned(1)),
        Op::Select => aligned(0).differs(0.0).select(aligned(1), aligned(2)),
        Op::Reduce(how, axes) => {
            reduction::reduce(*how, value, &axes.iter().map(|axis| axis + own).collect::<Vec<_>>())
        }
        Op::Softmax(axis) => reduction::softmax(value, axis + own),
        Op::LogSoftmax(axis) => reduction::log_softmax(value, axis + own),
        Op::CumulativeSum { axis, reverse } => scan::cumulative_sum(value, axis + own, *reverse),
        Op::LinearRecurrence { axis, reverse } => {
            scan::linear_recurrence(aligned(0), aligned(1), axis + target.plates.len(), *reverse)
        }
        Op::LogCumulativeSumExp(axis) => scan::log_cumulative_sum_exp(value, axis + own),
        Op::Argmax(axis) => order::argmax(context, first, axis + own, target),
        Op::Argsort { axis, order, count } => order::argsort(context, first, axis + own, *order, *count),
        Op::Gather(axis) | Op::Ordered(axis) => index::gather(context, pair(), *axis, target),
        Op::LastWriters(axis, len) => index::last_writers(context, first, *axis, *len, target),
        Op::Lookup => index::lookup(context, pair(), target),
        Op::LookupAdd { removed, entries } => index::lookup_add(context, pair(), removed, *entries, target),
        Op::Categories => index::categories(context, pair(), target),
        Op::OneHot(classes) => index::one_hot(context, first, *classes, target),
        Op::IndexSelect(axis, indices) => index::index_select(value, axis + own, indices),
        Op::IndexAdd(axis, indices, len) => index::index_add(value, axis + own, indices, *len),
        Op::Matmul { transpose_left, transpose_right } => {
            contraction::matmul(context, pair(), [*transpose_left, *transpose_right], target)
        }
        Op::MatmulLeading => contraction::matmul_leading(context, pair(), target),
        Op::Dot => contraction::dot(context, pair(), target),
        Op::DotOver(_) => contraction::dot_over(context, pair(), target),
        Op::Cholesky => contraction::cholesky(context, first, target),
        Op::TriangularSolve { transpose } => contraction::triangular_solve(context, pair(), *transpose, target),
        Op::Convolve(geometry) => convolution::convolve(context, geometry, pair(), target),
        Op::ConvolveAdjoint(geometry, size) => convolution::convolve_adjoint(context, geometry, *size, pair(), target),
        Op::ConvolveWeights(geometry, kernel, _) => {
            convolution::convolve_weights(context, geometry, *kernel, pair(), target)
        }
        Op::MaxPool(pooling) => pooling::max_pool(value, pooling, image(target)),
        Op::MaxPoolPositions(pooling) => pooling::max_pool_positions(value, pooling, image(target)),
        Op::SumPool(pooling) => pooling::sum_pool(value, pooling, image(target)),
        Op::SumPoolAdjoint(pooling, size) => pooling::sum_pool_adjoint(value, pooling, *size),
        Op::Reshape(_) => value.reshape(target.shape),
        Op::Transpose(axes) => value.transpose(&(0..own).chain(axes.iter().map(|axis| axis + own)).collect::<Vec<_>>()),
        Op::Slice { axis, start, len } => value.slice(axis + own, *start, *len),
        Op::PadInto { axis, start, full } => {
            let at = axis + own;
            value.pad(at, *start, full - start - value.shape()[at], context.builder.float(context.element, 0.0))
        }
        Op::Concat(axis) => {
            let parts: Vec<Value<'b>> =
                x.iter().map(|operand| context.spread(operand, target.plates, &operand.event())).collect();
            parts[0].concat(&parts[1..], axis + target.plates.len())
        }
        Op::Detach(_) | Op::Estimated(_) | Op::Sample(_) => value,
        Op::MagicBox => value.fill(1.0),
        Op::StraightThrough | Op::Expand(..) => aligned(0),
        Op::SumOut(removed, axes) => {
            let at = removed.iter().filter_map(|&plate| first.axis_of(plate)).chain(axes.iter().map(|axis| axis + own));
            value.reduce(Fold::Sum, &at.collect::<Vec<_>>()).reshape(target.shape)
        }
        Op::PlateReduce(plate, how) => {
            let weights = if *how == PlateReduction::Weighted { Some(x[1]) } else { None };
            plates::reduce(context, first, weights, *plate, *how, target)
        }
        Op::AllReduce(how) => plates::all_reduce(value, *how),
        Op::PlateMember(plate, member) => value.slice(first.axis_of(*plate)?, *member, 1).reshape(target.shape),
        Op::PlateScatter(plate, member) => plates::scatter(context, first, *plate, *member, target),
        Op::PlateToEvent(plate) => {
            let at = first.axis_of(*plate)?;
            value.transpose(&moved(value.shape(), at, own - 1))
        }
        Op::EventToPlate(plate) => {
            value.transpose(&moved(value.shape(), own, target.plates.binary_search(plate).ok()?))
        }
        Op::Leaf { .. } | Op::Noise { .. } | Op::Draw { .. } | Op::Slot(_) => return None,
        Op::Map(_) | Op::Special(_) | Op::Custom(_) | Op::ScatterAdd(..) => return None,
        _ => return None,
    })
}

/// The order of axes after one of them has moved to another place.
fn moved(shape: Shape, from: usize, to: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..shape.rank()).filter(|&axis| axis != from).collect();
    order.insert(to, from);
    order
}
