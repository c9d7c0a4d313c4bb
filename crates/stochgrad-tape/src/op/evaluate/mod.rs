//! Evaluation of an operation: aligns plates, checks event shapes, and calls a kernel.

mod matmul;
mod plates;
mod primitive;

use crate::id::Id;
use crate::node::Node;
use crate::noise::{self, NoiseLayout};
use crate::op::fault::Fault;
use crate::op::{Axes, Estimated, Op};
use crate::plate::{Plates, merge};
use crate::tape::{Inner, Tape};
use smallvec::SmallVec;
use stochgrad_tensor::map::{Map, map};
use stochgrad_tensor::random::Key;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::{Real, Shape, Tensor, layout, pooling, reduce, sort, zip};

impl<F: Real> Tape<F> {
    pub(crate) fn evaluate(&self, op: &Op, inputs: &[Id]) -> Result<(Tensor<F>, Plates), Fault> {
        if let Op::Custom(number) = op {
            return self.evaluate_custom(*number, inputs);
        }
        let inner = &*self.inner.borrow();
        let pool = &self.pool;
        match op {
            Op::Noise { fill, address, plates, event, scheme } => {
                let seed = inner.noise.unwrap_or_default();
                let key = Key::new(seed.seed, seed.step, *address);
                let entries = plates.iter().map(|plate| inner.plates[plate.index as usize].extent());
                let value =
                    match scheme.as_ref().zip(scheme.and_then(|scheme| plates.binary_search(&scheme.plate).ok())) {
                        Some((scheme, at)) => {
                            let strata = Key::new(seed.seed, seed.step, scheme.strata);
                            noise::filled_by_scheme(pool, [&key, &strata], *fill, scheme.scheme, (entries, at), event)
                        }
                        None => {
                            let layout = NoiseLayout::of(entries, event.numel());
                            noise::filled(pool, &key, *fill, &layout, inner.full_shape(plates, event))
                        }
                    };
                return Ok((value, plates.clone()));
            }
            Op::Draw { sampler, address, plates, event } => {
                return inner.drawn(pool, (*sampler, *address), (plates, event), inputs);
            }
            Op::Slot(number) => return Ok((inner.slots[*number as usize].tensor(pool), Plates::new())),
            _ => {}
        }
        let node = |index: usize| &inner.nodes[inputs[index].index()];
        let first = node(0);
        let plates = first.plates.clone();
        let offset = plates.len();
        let shape = first.value.shape();
        let value = match op {
            Op::Leaf { .. } | Op::Noise { .. } | Op::Draw { .. } | Op::Slot(_) | Op::Custom(_) => first.value.clone(),
            Op::Map(function) => map(pool, *function, &first.value),
            Op::Zip(function) => {
                let second = node(1);
                if first.plates == second.plates && shape.len() == second.value.shape().len() {
                    inner.broadcast(&[first, second])?;
                    return Ok((zip::zip(pool, *function, &first.value, &second.value), plates));
                }
                inner.broadcast(&[first, second])?;
                let aligned = inner.align(&[first, second]);
                return Ok((zip::zip(pool, *function, &aligned.values[0], &aligned.values[1]), aligned.plates));
            }
            Op::Special(special) => {
                let nodes: SmallVec<[&Node<F>; 5]> = (0..inputs.len()).map(node).collect();
                inner.broadcast(&nodes)?;
                let aligned = inner.align(&nodes);
                return Ok((special.evaluate(pool, &aligned.values), aligned.plates));
            }
            Op::Select => {
                let nodes = [first, node(1), node(2)];
                inner.broadcast(&nodes)?;
                let aligned = inner.align(&nodes);
                let [condition, yes, no] = [0, 1, 2].map(|i| &aligned.values[i]);
                return Ok((zip::select(pool, condition, yes, no), aligned.plates));
            }
            Op::Reduce(function, axes) => {
                let axes: Axes = axes.iter().map(|&axis| inner.axis(first, axis)).collect::<Result<_, _>>()?;
                if matches!(function, Reduce::Max | Reduce::Min) && axes.iter().any(|&axis| shape[axis] == 0) {
                    return Err(inner.operand(first, "expected at least one element to choose from, got none"));
                }
                if axes.is_empty() {
                    first.value.clone()
                } else {
                    reduce::reduce(pool, *function, &first.value, &axes, false)
                }
            }
            Op::Softmax(axis) => reduce::softmax(pool, &first.value, inner.axis(first, *axis)?),
            Op::LogSoftmax(axis) => reduce::log_softmax(pool, &first.value, inner.axis(first, *axis)?),
            Op::CumulativeSum { axis, reverse } => {
                reduce::cumsum(pool, &first.value, inner.axis(first, *axis)?, *reverse)
            }
            Op::LinearRecurrence { axis, reverse } => {
                return inner.linear_recurrence(pool, [first, node(1)], *axis, *reverse);
            }
            Op::LogCumulativeSumExp(axis) => reduce::log_cumsum_exp(pool, &first.value, inner.axis(first, *axis)?),
            Op::Argsort { axis, order, count } => {
                let at = inner.axis(first, *axis)?;
                if *count > shape[at] {
                    let problem = format!("expected at most {} elements of axis {axis}, got {count}", shape[at]);
                    return Err(inner.operand(first, problem));
                }
                sort::argsort(pool, &first.value, at, *order, *count)
            }
            Op::LastWriters(axis, len) => {
                inner.check_positions(first, *len, &format_args!("axis {axis}"))?;
                layout::last_writers(pool, &first.value, inner.axis(first, *axis)?, *len)
            }
            Op::Lookup => return inner.lookup(pool, first, node(1)),
            Op::LookupAdd { removed, entries } => {
                return inner.lookup_add(pool, first, node(1), removed, *entries);
            }
            Op::Argmax(axis) => {
                let at = inner.axis(first, *axis)?;
                if shape[at] == 0 {
                    return Err(
                        inner.operand(first, format!("expected at least one element along axis {axis}, got none"))
                    );
                }
                if first.value.as_slice().iter().fold(false, |any, x| any | x.is_nan()) {
                    return Err(inner.operand(first, "expected values that can be ordered, got NaN"));
                }
                reduce::argmax(pool, &first.value, at)
            }
            Op::Matmul { transpose_left, transpose_right } => {
                return self.evaluate_matmul(inner, first, node(1), *transpose_left, *transpose_right);
            }
            Op::Cholesky => inner.cholesky(pool, first)?,
            Op::TriangularSolve { transpose } => return inner.triangular_solve(pool, first, node(1), *transpose),
            Op::Dot => return inner.dot(pool, first, node(1)),
            Op::DotOver(removed) => return inner.dot_over(pool, first, node(1), removed),
            Op::MatmulLeading => return self.evaluate_matmul_leading(inner, first, node(1)),
            Op::Convolve(geometry) => return inner.convolve(pool, geometry, first, node(1)),
            Op::ConvolveAdjoint(geometry, size) => {
                return inner.convolve_adjoint(pool, geometry, *size, first, node(1));
            }
            Op::ConvolveWeights(geometry, kernel, over) => {
                return inner.convolve_weights(pool, geometry, *kernel, over, first, node(1));
            }
            Op::MaxPool(pooling) => pooling::max_pool(pool, pooling, inner.images(first, pooling)?),
            Op::MaxPoolPositions(pooling) => pooling::max_pool_positions(pool, pooling, inner.images(first, pooling)?),
            Op::SumPool(pooling) => pooling::sum_pool(pool, pooling, inner.images(first, pooling)?),
            Op::SumPoolAdjoint(pooling, size) => {
                pooling::sum_pool_adjoint(pool, pooling, *size, inner.pooled(first, pooling, *size)?)
            }
            Op::Reshape(event) => {
                if event.numel() != shape[offset..].iter().product::<usize>() {
                    return Err(inner.operand(first, format!("expected {} elements for {event}", event.numel())));
                }
                first.value.clone().with_shape(shape[..offset].iter().chain(event.iter()).copied().collect::<Shape>())
            }
            Op::Transpose(order) => {
                let mut seen: Axes = order.clone();
                seen.sort_unstable();
                if !seen.iter().copied().eq(0..shape.len() - offset) {
                    return Err(
                        inner.operand(first, format!("expected each event axis once, got {:?}", order.as_slice()))
                    );
                }
                let axes: SmallVec<[usize; 8]> = (0..offset).chain(order.iter().map(|axis| axis + offset)).collect();
                layout::transpose(pool, &first.value, &axes)
            }
            Op::Slice { axis, start, len } => {
                let at = inner.axis(first, *axis)?;
                let end = start.saturating_add(*len);
                if end > shape[at] {
                    return Err(inner.operand(
                        first,
                        format!("expected a range inside 0..{} on axis {axis}, got {start}..{end}", shape[at]),
                    ));
                }
                layout::slice(pool, &first.value, at, *start, *len)
            }
            Op::PadInto { axis, start, full } => {
                let at = inner.axis(first, *axis)?;
                if start + shape[at] > *full {
                    return Err(inner.operand(
                        first,
                        format!("expected at most {full} positions on axis {axis}, got {}", start + shape[at]),
                    ));
                }
                layout::pad_into(pool, &first.value, at, *start, *full)
            }
            Op::Concat(axis) => return self.evaluate_concat(inner, inputs, *axis),
            Op::IndexSelect(axis, indices) => {
                let at = inner.axis(first, *axis)?;
                if let Some(bad) = indices.iter().find(|&&index| index >= shape[at]) {
                    return Err(inner
                        .operand(first, format!("expected positions below {} on axis {axis}, got {bad}", shape[at])));
                }
                layout::index_select(pool, &first.value, at, indices)
            }
            Op::IndexAdd(axis, indices, len) => {
                layout::index_add(pool, &first.value, inner.axis(first, *axis)?, indices, *len)
            }
            Op::Gather(axis) | Op::Ordered(axis) | Op::ScatterAdd(axis, _) => {
                let index = node(1);
                let at = inner.axis(first, *axis)?;
                if index.event().len() != shape.len() - offset {
                    return Err(inner
                        .operand(first, format!("expected an index of the same event rank, got {}", index.event())));
                }
                let (has, along) = (first.event(), index.event());
                let added = matches!(op, Op::ScatterAdd(..));
                let walked = if added { has.clone() } else { has.with_size(*axis, along[*axis]) };
                let mut common = plates.clone();
                merge(&mut common, &index.plates);
                if Shape::broadcast(&walked, &along).is_none() {
                    return Err(Fault::Broadcast { left: has, right: along, plates: inner.words(&common) });
                }
                let at = at - offset + common.len();
                let rank = shape.len() - offset;
                let source = inner.spread(first, &common, rank);
                let index = inner.spread(index, &common, rank);
                let limit = if let Op::ScatterAdd(_, len) = op { *len } else { source.shape()[at] };
                if let Some(bad) = index
                    .as_slice()
                    .iter()
                    .find(|i| !(i.to_f64() >= 0.0 && i.to_f64() < limit as f64 && i.to_f64().fract() == 0.0))
                {
                    return Err(inner.operand(
                        first,
                        format!("expected integer positions below {limit} on axis {axis}, got {bad}"),
                    ));
                }
                let value = match op {
                    Op::ScatterAdd(_, len) => layout::scatter_add(pool, &source, at, &index, *len),
                    _ => layout::gather(pool, &source, at, &index),
                };
                return Ok((value, common));
            }
            Op::Categories => {
                let noise = node(1);
                let event = first.event();
                let Some((&categories, independent)) = event.split_last() else {
                    return Err(inner.operand(first, "expected an axis of categories"));
                };
                if categories == 0 {
                    return Err(inner.operand(first, "expected at least one category"));
                }
                let own = noise.event();
                if Shape::broadcast(&independent.into(), &own).as_ref() != Some(&own) {
                    return Err(Fault::Broadcast {
                        left: event.clone(),
                        right: own,
                        plates: inner.words(&noise.plates),
                    });
                }
                let mut common = plates.clone();
                merge(&mut common, &noise.plates);
                let table = inner.spread(first, &common, own.len() + 1);
                let uniforms = inner.spread(noise, &common, own.len());
                let full = inner.full_shape(&common, &own);
                let uniforms =
                    if *uniforms.shape() == full { uniforms } else { reduce::expand(pool, &uniforms, &full) };
                return Ok((layout::categories(pool, &table, &uniforms), common));
            }
            Op::OneHot(classes) => {
                let fits = |x: &&F| {
                    let x = x.to_f64();
                    x >= 0.0 && x < *classes as f64 && x.fract() == 0.0
                };
                if let Some(bad) = first.value.as_slice().iter().find(|x| !fits(x)) {
                    return Err(inner.operand(first, format!("expected integer positions below {classes}, got {bad}")));
                }
                layout::one_hot(pool, &first.value, *classes)
            }
            // While it is recorded, the part of this shard stands for the result.
            Op::Detach(_) | Op::AllReduce(_) => first.value.clone(),
            Op::MagicBox => map(pool, Map::OnesLike, &first.value),
            Op::StraightThrough => {
                let soft = node(1);
                if first.event() != soft.event() {
                    return Err(Fault::Broadcast {
                        left: first.event(),
                        right: soft.event(),
                        plates: inner.words(&plates),
                    });
                }
                let mut common = plates.clone();
                merge(&mut common, &soft.plates);
                if common == plates {
                    first.value.clone()
                } else {
                    let spread = inner.spread(first, &common, shape.len() - offset);
                    return Ok((reduce::expand(pool, &spread, &inner.full_shape(&common, &first.event())), common));
                }
            }
            Op::Estimated(Estimated::Value) if first.event() != node(1).event() || plates != node(1).plates => {
                let estimate = node(1);
                return Err(Fault::Broadcast {
                    left: first.event(),
                    right: estimate.event(),
                    plates: inner.words(&estimate.plates),
                });
            }
            Op::Estimated(_) => first.value.clone(),
            Op::Expand(wider, event) => {
                let mut common = plates.clone();
                merge(&mut common, wider);
                if Shape::broadcast(&first.event(), event).as_ref() != Some(event) {
                    return Err(Fault::Broadcast {
                        left: first.event(),
                        right: event.clone(),
                        plates: inner.words(&plates),
                    });
                }
                let spread = inner.spread(first, &common, event.len());
                let full = inner.full_shape(&common, event);
                return Ok((
                    if *spread.shape() == full { spread } else { reduce::expand(pool, &spread, &full) },
                    common,
                ));
            }
            Op::SumOut(removed, axes) => {
                let mut out: SmallVec<[usize; 8]> =
                    removed.iter().filter_map(|plate| plates.binary_search(plate).ok()).collect();
                let kept: Plates = plates.iter().copied().filter(|plate| !removed.contains(plate)).collect();
                for &axis in axes {
                    out.push(inner.axis(first, axis)?);
                }
                let value = reduce::reduce(pool, Reduce::Sum, &first.value, &out, true);
                let event: SmallVec<[usize; 8]> = value.shape()[offset..].into();
                return Ok((value.with_shape(inner.full_shape(&kept, &event)), kept));
            }
            Op::PlateReduce(plate, how) => return self.evaluate_plate_reduce(inner, inputs, *plate, *how),
            Op::PlateMember(plate, index) => {
                let Ok(at) = plates.binary_search(plate) else {
                    return Err(
                        inner.operand(first, format!("expected a value along the plate{}", inner.words(&[*plate])))
                    );
                };
                if *index >= shape[at] {
                    return Err(inner.operand(first, format!("expected a member below {}, got {index}", shape[at])));
                }
                let value = layout::slice(pool, &first.value, at, *index, 1);
                let kept: Plates = plates.iter().copied().filter(|other| other != plate).collect();
                return Ok((value.with_shape(inner.full_shape(&kept, &first.event())), kept));
            }
            Op::PlateScatter(plate, index) => {
                let mut common = plates.clone();
                merge(&mut common, &[*plate]);
                let at = common.binary_search(plate).unwrap_or(0);
                let spread = inner.spread(first, &common, shape.len() - offset);
                return Ok((layout::pad_into(pool, &spread, at, *index, inner.plate_size(*plate)), common));
            }
            Op::PlateToEvent(plate) => {
                let Ok(at) = plates.binary_search(plate) else {
                    return Err(
                        inner.operand(first, format!("expected a value along the plate{}", inner.words(&[*plate])))
                    );
                };
                let axes: SmallVec<[usize; 8]> =
                    (0..offset).filter(|&axis| axis != at).chain([at]).chain(offset..shape.len()).collect();
                let kept: Plates = plates.iter().copied().filter(|other| other != plate).collect();
                return Ok((layout::transpose(pool, &first.value, &axes), kept));
            }
            Op::EventToPlate(plate) => {
                if plates.contains(plate) || shape.get(offset) != Some(&inner.plate_size(*plate)) {
                    return Err(inner.operand(
                        first,
                        format!(
                            "expected the first event axis to have the size of the plate{}",
                            inner.words(&[*plate])
                        ),
                    ));
                }
                let mut common = plates.clone();
                merge(&mut common, &[*plate]);
                let at = common.binary_search(plate).unwrap_or(0);
                let axes: SmallVec<[usize; 8]> =
                    (0..at).chain([offset]).chain(at..offset).chain(offset + 1..shape.len()).collect();
                return Ok((layout::transpose(pool, &first.value, &axes), common));
            }
            Op::Sample(_) => first.value.clone(),
        };
        Ok((value, plates))
    }

    fn evaluate_concat(&self, inner: &Inner<F>, inputs: &[Id], axis: usize) -> Result<(Tensor<F>, Plates), Fault> {
        let nodes: SmallVec<[&Node<F>; 8]> = inputs.iter().map(|id| &inner.nodes[id.index()]).collect();
        let first = nodes[0].event();
        let mut plates = Plates::new();
        for node in &nodes {
            let event = node.event();
            let fits = event.len() == first.len()
                && axis < first.len()
                && (0..first.len()).all(|i| i == axis || event[i] == first[i]);
            if !fits {
                return Err(Fault::Broadcast { left: first, right: event, plates: inner.words(&node.plates) });
            }
            merge(&mut plates, &node.plates);
        }
        let values: SmallVec<[Tensor<F>; 8]> = nodes
            .iter()
            .map(|node| {
                let spread = inner.spread(node, &plates, first.len());
                let full = inner.full_shape(&plates, &node.event());
                if *spread.shape() == full { spread } else { reduce::expand(&self.pool, &spread, &full) }
            })
            .collect();
        let views: SmallVec<[&Tensor<F>; 8]> = values.iter().collect();
        let value = layout::concat(&self.pool, &views, axis + plates.len());
        drop(views);
        values.into_iter().for_each(|part| self.pool.recycle(part));
        Ok((value, plates))
    }
}
