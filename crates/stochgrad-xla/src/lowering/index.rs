//! Elements and rows at given positions.
//!
//! Some engines add at given positions one after the other. Along short axes, each position of the result therefore
//! sums what names it.

use crate::lowering::axes::{Fold, integers};
use crate::lowering::builder::Value;
use crate::lowering::context::{Context, Operand, Target};
use crate::lowering::literal::Elements;
use crate::lowering::types::{Element, TensorType};
use stochgrad_tape::Plates;
use stochgrad_tensor::Shape;

/// The largest axis whose elements are chosen by comparing positions.
const FEW: usize = 8;

/// The largest axis to which elements are added by comparing positions.
const COMPARED: usize = 128;

fn list(values: &[usize]) -> String {
    let list: Vec<String> = values.iter().map(usize::to_string).collect();
    format!("[{}]", list.join(", "))
}

/// An operand with an axis for each of some plates, of size 1 where it lacks one.
fn shaped<'b>(operand: &Operand<'b>, plates: &[stochgrad_tape::Plate]) -> Value<'b> {
    let own = operand.value.shape();
    let size = |plate| operand.axis_of(plate).map_or(1, |at| own[at]);
    let shape: Shape =
        plates.iter().map(|&plate| size(plate)).chain(own[operand.plates.len()..].iter().copied()).collect();
    operand.value.reshape(&shape)
}

/// See [`stochgrad_tape::Op::Gather`]. `axis` is an event axis.
pub fn gather<'b>(context: &Context<'b>, [x, index]: [&Operand<'b>; 2], axis: usize, target: &Target<'_>) -> Value<'b> {
    let at = axis + target.plates.len();
    let size = x.event()[axis];
    let positions = context.positions(index, size, &format!("axis {axis}"), target);
    let positions = context.aligned(&Operand { value: positions, ..index.clone() }, target);
    let x = shaped(x, target.plates);
    let (own, shape) = (x.shape(), target.shape);
    let rank = shape.rank();
    if shape.numel() == 0 || size == 0 {
        return context.builder.float(x.element(), 0.0).broadcast(shape, &[]);
    }
    if size <= FEW {
        let all: Vec<usize> = (0..rank).collect();
        let part = |k: usize| x.slice(at, k, 1).broadcast(shape, &all);
        return (1..size).fold(part(0), |chosen, k| positions.equal(k as i64).select(part(k), chosen));
    }
    let repeated = |other: usize| other != at && own[other] == 1 && shape[other] != 1;
    let batch: Vec<usize> = (0..rank).filter(|&other| other != at && !repeated(other)).collect();
    let collapsed: Vec<usize> = (0..rank).filter(|&other| other == at || repeated(other)).collect();
    let attributes = format!(
        "dimension_numbers = #stablehlo.gather<collapsed_slice_dims = {}, operand_batching_dims = {batch}, \
         start_indices_batching_dims = {batch}, start_index_map = [{at}], index_vector_dim = {rank}>, slice_sizes = {}",
        list(&collapsed),
        integers(std::iter::repeat_n(1, rank)),
        batch = list(&batch),
    );
    let kind = TensorType::new(x.element(), shape.clone());
    context.builder.op("stablehlo.gather", &[x, positions], &attributes, kind)
}

/// Values and positions of one shape, compared with all positions below `len`: the values where they name the position,
/// else `otherwise`. The axis of the positions comes after `at`.
fn compared<'b>(values: Value<'b>, positions: Value<'b>, at: usize, len: usize, otherwise: f64) -> Value<'b> {
    let own = values.shape();
    let mut sizes: Vec<usize> = own.to_vec();
    sizes.insert(at + 1, len);
    let shape = Shape::from(sizes.as_slice());
    let axes: Vec<usize> = (0..shape.rank()).filter(|&axis| axis != at + 1).collect();
    let places = values.builder.iota(TensorType::new(Element::I32, shape.clone()), at + 1);
    let [values, positions] = [values, positions].map(|value| value.broadcast(&shape, &axes));
    positions.equal(places).select(values, otherwise)
}

/// Combines values at positions of one shape along an axis. The result has size `len` there.
fn scatter<'b>(fold: Fold, start: Value<'b>, [positions, values]: [Value<'b>; 2], dimensions: &str) -> Value<'b> {
    let region = fold.region(values);
    let attributes = format!("scatter_dimension_numbers = #stablehlo.scatter<{dimensions}>, unique_indices = false");
    let operands = [start, positions, values];
    start.builder.with_regions("stablehlo.scatter", &operands, &attributes, &[start.kind()], &[region]).swap_remove(0)
}

/// Combines values at positions of one shape along an axis, which has size `len` in the result. Where no element names
/// a position, the result is 0.
fn combined<'b>(fold: Fold, values: Value<'b>, positions: Value<'b>, at: usize, len: usize) -> Value<'b> {
    let own = values.shape();
    let shape = own.with_size(at, len);
    if own.numel() == 0 || len == 0 {
        return values.builder.float(values.element(), 0.0).broadcast(&shape, &[]);
    }
    if own[at] == 1 {
        let places = values.builder.iota(TensorType::new(Element::I32, shape.clone()), at);
        let all: Vec<usize> = (0..shape.rank()).collect();
        let [values, positions] = [values, positions].map(|value| value.broadcast(&shape, &all));
        return positions.equal(places).select(values, 0.0);
    }
    if len <= COMPARED {
        return compared(values, positions, at, len, 0.0).reduce(fold, &[at]);
    }
    let rank = own.rank();
    let batch: Vec<usize> = (0..rank).filter(|&other| other != at).collect();
    let dimensions = format!(
        "inserted_window_dims = [{at}], input_batching_dims = {batch}, scatter_indices_batching_dims = {batch}, \
         scatter_dims_to_operand_dims = [{at}], index_vector_dim = {rank}",
        batch = list(&batch)
    );
    let start = values.builder.float(values.element(), 0.0).broadcast(&shape, &[]);
    scatter(fold, start, [positions, values], &dimensions)
}

/// See [`stochgrad_tape::Op::ScatterAdd`]. `axis` is an event axis.
pub fn scatter_add<'b>(
    context: &Context<'b>,
    [x, index]: [&Operand<'b>; 2],
    axis: usize,
    len: usize,
    target: &Target<'_>,
) -> Value<'b> {
    let at = axis + target.plates.len();
    let positions = context.positions(index, len, &format!("axis {axis}"), target);
    let size = x.event()[axis].max(index.event()[axis]);
    let both_empty = x.event()[axis].min(index.event()[axis]) == 0;
    let event = target.shape.with_size(at, if both_empty { 0 } else { size });
    let event = &event[target.plates.len()..];
    let values = context.spread(x, target.plates, event);
    let positions = context.spread(&Operand { value: positions, ..index.clone() }, target.plates, event);
    combined(Fold::Sum, values, positions, at, len)
}

/// See [`stochgrad_tape::Op::LastWriters`]. `axis` is an event axis.
pub fn last_writers<'b>(
    context: &Context<'b>,
    index: &Operand<'b>,
    axis: usize,
    len: usize,
    target: &Target<'_>,
) -> Value<'b> {
    let at = axis + target.plates.len();
    let positions = context.positions(index, len, &format!("axis {axis}"), target);
    let numbers = context.builder.iota(TensorType::new(context.element, positions.shape()), at) + 1.0;
    combined(Fold::Max, numbers, positions, at, len)
}

/// See [`stochgrad_tape::Op::Lookup`].
pub fn lookup<'b>(context: &Context<'b>, [table, index]: [&Operand<'b>; 2], target: &Target<'_>) -> Value<'b> {
    let event = table.event();
    let [entries, width] = [event[0], event[1]];
    let positions = context.positions(index, entries, "a table", target);
    let own = index.event();
    let positions = context.spread(&Operand { value: positions, ..index.clone() }, target.plates, &own);
    if target.shape.numel() == 0 {
        return context.builder.float(context.element, 0.0).broadcast(target.shape, &[]);
    }
    let tables = table.plates.len();
    let places: Vec<usize> = table.plates.iter().filter_map(|plate| target.plates.binary_search(plate).ok()).collect();
    let rank = positions.shape().rank();
    let attributes = format!(
        "dimension_numbers = #stablehlo.gather<offset_dims = [{rank}], collapsed_slice_dims = [{tables}], \
         operand_batching_dims = {}, start_indices_batching_dims = {}, start_index_map = [{tables}], index_vector_dim = \
         {rank}>, slice_sizes = {}",
        list(&(0..tables).collect::<Vec<_>>()),
        list(&places),
        integers(std::iter::repeat_n(1, tables + 1).chain([width])),
    );
    let kind = TensorType::new(context.element, target.shape.clone());
    context.builder.op("stablehlo.gather", &[table.value, positions], &attributes, kind)
}

/// See [`stochgrad_tape::Op::LookupAdd`].
pub fn lookup_add<'b>(
    context: &Context<'b>,
    [rows, index]: [&Operand<'b>; 2],
    removed: &Plates,
    entries: usize,
    target: &Target<'_>,
) -> Value<'b> {
    let positions = context.positions(index, entries, "a table", target);
    let mut plates: Plates = rows.plates.iter().chain(&index.plates).copied().collect();
    plates.sort_unstable();
    plates.dedup();
    let (event, own) = (rows.event(), index.event());
    let rows = context.spread(rows, &plates, &event);
    let positions = context.spread(&Operand { value: positions, ..index.clone() }, &plates, &own);
    let start = context.builder.float(context.element, 0.0).broadcast(target.shape, &[]);
    if rows.shape().numel() == 0 || entries == 0 {
        return start;
    }
    let kept: Vec<usize> = (0..plates.len()).filter(|&at| !removed.contains(&plates[at])).collect();
    let rank = positions.shape().rank();
    let tables = kept.len();
    let dimensions = format!(
        "update_window_dims = [{rank}], inserted_window_dims = [{tables}], input_batching_dims = {}, \
         scatter_indices_batching_dims = {}, scatter_dims_to_operand_dims = [{tables}], index_vector_dim = {rank}",
        list(&(0..tables).collect::<Vec<_>>()),
        list(&kept),
    );
    scatter(Fold::Sum, start, [positions, rows], &dimensions)
}

/// The elements at fixed positions along an axis.
pub fn index_select<'b>(x: Value<'b>, at: usize, indices: &[usize]) -> Value<'b> {
    let shape = x.shape().with_size(at, indices.len());
    if shape.numel() == 0 {
        return x.builder.float(x.element(), 0.0).broadcast(&shape, &[]);
    }
    let stride = indices.get(1).map_or(1, |&second| second.saturating_sub(indices[0]));
    if stride > 0 && indices.iter().enumerate().all(|(step, &index)| index == indices[0] + step * stride) {
        return x.strided_slice(at, indices[0], indices.len(), stride);
    }
    if indices.len() <= FEW {
        let parts: Vec<Value<'b>> = indices.iter().map(|&index| x.slice(at, index, 1)).collect();
        return parts[0].concat(&parts[1..], at);
    }
    let list_of: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
    let kind = TensorType::new(Element::I32, [indices.len()]);
    let positions = x.builder.constant(Elements::Integers(&list_of), &kind);
    let own = x.shape();
    let others: Vec<usize> = (0..own.rank()).filter(|&axis| axis != at).collect();
    let attributes = format!(
        "dimension_numbers = #stablehlo.gather<offset_dims = {}, collapsed_slice_dims = [{at}], start_index_map = \
         [{at}], index_vector_dim = 1>, slice_sizes = {}",
        list(&others),
        integers((0..own.rank()).map(|axis| if axis == at { 1 } else { own[axis] })),
    );
    x.builder.op("stablehlo.gather", &[x, positions], &attributes, TensorType::new(x.element(), shape))
}

/// Zeros, of size `len` along an axis, with the elements added at fixed positions.
///
/// The elements of the result are chosen: the first ones at their positions, then the second ones, and so on.
pub fn index_add<'b>(x: Value<'b>, at: usize, indices: &[usize], len: usize) -> Value<'b> {
    let shape = x.shape().with_size(at, len);
    let mut writers: Vec<Vec<usize>> = vec![Vec::new(); len];
    indices.iter().enumerate().for_each(|(number, &index)| writers[index].push(number));
    let layers = writers.iter().map(Vec::len).max().unwrap_or(0);
    let builder = x.builder;
    let zeros = builder.float(x.element(), 0.0).broadcast(&shape, &[]);
    if shape.numel() == 0 {
        return zeros;
    }
    (0..layers).fold(zeros, |sum, layer| {
        let chosen: Vec<usize> = writers.iter().map(|all| all.get(layer).copied().unwrap_or(0)).collect();
        let present: Vec<bool> = writers.iter().map(|all| all.len() > layer).collect();
        let part = index_select(x, at, &chosen);
        let mask = builder.constant(Elements::Bool(&present), &TensorType::new(Element::Bool, [len]));
        let part = mask.broadcast(&shape, &[at]).select(part, 0.0);
        if layer == 0 { part } else { sum + part }
    })
}

/// One-hot vectors along a new last axis.
pub fn one_hot<'b>(context: &Context<'b>, x: &Operand<'b>, classes: usize, target: &Target<'_>) -> Value<'b> {
    let positions = context.positions(x, classes, "one-hot vectors", target);
    let last = target.shape.rank() - 1;
    let places = context.builder.iota(TensorType::new(Element::I32, target.shape.clone()), last);
    let positions = positions.restored(target.shape, &[last]);
    positions.equal(places).choose(context.element, 1.0, 0.0)
}

/// See [`stochgrad_tape::Op::Categories`].
pub fn categories<'b>(context: &Context<'b>, [table, uniforms]: [&Operand<'b>; 2], target: &Target<'_>) -> Value<'b> {
    let count = table.event().last().copied().unwrap_or(1);
    let uniform = context.aligned(uniforms, target).convert(Element::F64);
    if target.shape.numel() == 0 {
        return context.aligned(uniforms, target);
    }
    // Rows are summed before they are repeated for their uniform values.
    let last = table.value.shape().rank() - 1;
    let weights = table.value.convert(Element::F64);
    let sums = running(weights, last, count);
    let axis = target.shape.rank();
    let whole: Vec<usize> = target.shape[target.plates.len()..].iter().copied().chain([count]).collect();
    let wide = |value: Value<'b>| context.spread(&Operand { value, ..table.clone() }, target.plates, &whole);
    let (weights, sums) = (wide(weights), wide(sums));
    let total = sums.slice(axis, count - 1, 1).reshape(target.shape);
    let folded = uniform.lt(0.0).select(uniform + 1.0, uniform);
    let goal = (folded * total).restored(&weights.shape(), &[axis]);
    let places = context.builder.iota(TensorType::new(Element::I32, weights.shape()), axis);
    let possible = weights.gt(0.0);
    let none = places.fill_integer(Element::I32, count as i64);
    let first = (possible & goal.lt(sums)).select(places, none).reduce(Fold::Min, &[axis]);
    // Because of rounding, the sum may stay below the goal. Without any weight, it is the last category.
    let last = possible.select(places, places.fill_integer(Element::I32, -1)).reduce(Fold::Max, &[axis]);
    let last = last.lt(0_i64).select(last.fill_integer(Element::I32, count as i64 - 1), last);
    first.lt(count as i64).select(first, last).convert(context.element)
}

/// The running sums along an axis, one after the other for short ones.
fn running<'b>(x: Value<'b>, axis: usize, count: usize) -> Value<'b> {
    if count > 16 {
        return crate::lowering::scan::cumulative_sum(x, axis, false);
    }
    let mut parts = vec![x.slice(axis, 0, 1)];
    for step in 1..count {
        parts.push(parts[step - 1] + x.slice(axis, step, 1));
    }
    parts[0].concat(&parts[1..], axis)
}
