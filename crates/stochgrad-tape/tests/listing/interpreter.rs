//! An interpreter of the list of operations of a program, by plain loops.

use crate::images;
use crate::products;
use std::collections::HashMap;
use stochgrad_tape::{
    DrawKey, Id, ListedValue, Listing, NoiseSeed, Op, Plate, PlateReduction, PrimitiveInputs, ValueOrigin,
    draw_elements,
};
use stochgrad_tensor::map::map_slice;
use stochgrad_tensor::random::{Fill, Key};
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::sampling_scheme::arrange;
use stochgrad_tensor::sort::Order;
use stochgrad_tensor::zip::zip;
use stochgrad_tensor::{Pool, Shape, Tensor};

/// A computed value: an axis for each plate, and then the event axes.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) plates: Vec<Plate>,
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: Vec<f64>,
}

/// The members of the plates, and the event indices, of an element.
pub(crate) type Members = HashMap<Plate, usize>;

/// All index vectors of a shape, in row-major order.
pub(crate) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let numel: usize = shape.iter().product();
    let of = |mut flat: usize| {
        let mut index = vec![0; shape.len()];
        for (at, &size) in shape.iter().enumerate().rev() {
            (index[at], flat) = (flat % size, flat / size);
        }
        index
    };
    (0..numel).map(of).collect()
}

impl Value {
    pub(crate) fn event(&self) -> &[usize] {
        &self.shape[self.plates.len()..]
    }

    fn flat(&self, index: &[usize]) -> usize {
        self.shape.iter().zip(index).fold(0, |flat, (&size, &i)| flat * size + i)
    }

    /// The element for some members and an event index. It is the same for all members of a plate that this value lacks,
    /// and along event axes of size 1 or that it lacks on the left.
    pub(crate) fn at(&self, members: &Members, event: &[usize]) -> f64 {
        let rank = self.event().len();
        let own = &event[event.len() - rank..];
        let index = self.plates.iter().map(|plate| members[plate]);
        let event = self.event().iter().zip(own).map(|(&size, &i)| if size == 1 { 0 } else { i });
        self.elements[self.flat(&index.chain(event).collect::<Vec<_>>())]
    }

    /// The value with all of some plates and an event rank, with size 1 where it lacks them.
    fn spread(&self, plates: &[Plate], rank: usize) -> Tensor<f64> {
        let size = |plate| self.plates.iter().position(|own| own == plate).map_or(1, |at| self.shape[at]);
        let missing = std::iter::repeat_n(1, rank - self.event().len());
        let shape = plates.iter().map(size).chain(missing).chain(self.event().iter().copied());
        Tensor::new(self.elements.clone(), shape.collect::<Shape>()).unwrap()
    }
}

/// The result of an operation, element by element, with the plates and the shape of the list.
pub(crate) fn build(listed: &ListedValue<'_, f64>, element: impl Fn(&Members, &[usize]) -> f64) -> Value {
    let plates = listed.plates.to_vec();
    let shape = listed.shape.to_vec();
    let element = |index: Vec<usize>| {
        let (members, event) = index.split_at(plates.len());
        element(&plates.iter().copied().zip(members.iter().copied()).collect(), event)
    };
    Value { elements: indices(&shape).into_iter().map(element).collect(), plates: plates.clone(), shape: shape.clone() }
}

fn with(index: &[usize], axis: usize, position: usize) -> Vec<usize> {
    let mut index = index.to_vec();
    index[axis] = position;
    index
}

fn reduced(reduce: Reduce, row: &[f64]) -> f64 {
    match reduce {
        Reduce::Sum => row.iter().sum(),
        Reduce::Product => row.iter().product(),
        Reduce::Max => row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Reduce::Min => row.iter().copied().fold(f64::INFINITY, f64::min),
        Reduce::LogSumExp => {
            let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shift = if highest.is_finite() { highest } else { 0.0 };
            shift + row.iter().map(|x| (x - shift).exp()).sum::<f64>().ln()
        }
    }
}

/// Computes the outputs of a program from its list.
pub(crate) fn interpret(listing: &Listing<'_, f64>, inputs: &[Tensor<f64>], seed: NoiseSeed) -> Vec<Value> {
    let mut values: HashMap<Id, Value> = HashMap::new();
    for listed in listing.values() {
        let given = |tensor: &Tensor<f64>| Value {
            plates: listed.plates.to_vec(),
            shape: tensor.shape().to_vec(),
            elements: tensor.to_vec(),
        };
        let value = match listed.origin {
            ValueOrigin::Input(number) => given(&inputs[number]),
            ValueOrigin::Constant(value) => given(value),
            ValueOrigin::Operation(op) => {
                let operands: Vec<&Value> = listed.operands.iter().map(|id| &values[id]).collect();
                evaluate(listing, &listed, op, &operands, seed)
            }
            other => panic!("unknown origin {other:?}"),
        };
        assert_eq!(value.shape[..], listed.shape[..], "{}", listing.name(&listed));
        values.insert(listed.id, value);
    }
    listing.outputs().iter().map(|id| values[id].clone()).collect()
}

fn evaluate(
    listing: &Listing<'_, f64>,
    listed: &ListedValue<'_, f64>,
    op: &Op,
    x: &[&Value],
    seed: NoiseSeed,
) -> Value {
    let scalar = |x: f64| Tensor::from(x);
    let size = |plate: &Plate| listing.plate(*plate).size;
    match op {
        Op::Map(map) => build(listed, |members, event| {
            let mut out = [0.0];
            map_slice(*map, &[x[0].at(members, event)], &mut out);
            out[0]
        }),
        Op::Zip(function) => build(listed, |members, event| {
            let [a, b] = [0, 1].map(|i| scalar(x[i].at(members, event)));
            zip(&Pool::new(), *function, &a, &b).as_slice()[0]
        }),
        Op::Special(special) => build(listed, |members, event| {
            let operands: Vec<Tensor<f64>> = x.iter().map(|x| scalar(x.at(members, event))).collect();
            special.evaluate(&Pool::new(), &operands).as_slice()[0]
        }),
        Op::Select => build(listed, |members, event| {
            let [condition, yes, no] = [0, 1, 2].map(|i| x[i].at(members, event));
            if condition != 0.0 { yes } else { no }
        }),
        Op::Reduce(reduce, axes) => build(listed, |members, event| {
            let walked: Vec<usize> = axes.iter().map(|&axis| x[0].event()[axis]).collect();
            let element = |at: Vec<usize>| {
                let (mut at, mut kept) = (at.into_iter(), event.iter().copied());
                let next = |axis| if axes.contains(&axis) { at.next() } else { kept.next() };
                x[0].at(members, &(0..x[0].event().len()).map_while(next).collect::<Vec<_>>())
            };
            reduced(*reduce, &indices(&walked).into_iter().map(element).collect::<Vec<_>>())
        }),
        Op::Softmax(axis) | Op::LogSoftmax(axis) => build(listed, |members, event| {
            let row: Vec<f64> = (0..x[0].event()[*axis]).map(|i| x[0].at(members, &with(event, *axis, i))).collect();
            let log = x[0].at(members, event) - reduced(Reduce::LogSumExp, &row);
            if matches!(op, Op::Softmax(_)) { log.exp() } else { log }
        }),
        Op::CumulativeSum { axis, reverse } => build(listed, |members, event| {
            let (here, len) = (event[*axis], x[0].event()[*axis]);
            let range = if *reverse { here..len } else { 0..here + 1 };
            range.map(|i| x[0].at(members, &with(event, *axis, i))).sum()
        }),
        Op::LinearRecurrence { axis, reverse } => build(listed, |members, event| {
            let (here, len) = (event[*axis], listed.event()[*axis]);
            let at = |operand: usize, i: usize| x[operand].at(members, &with(event, *axis, i));
            let walked: Vec<usize> = if *reverse { (here..len).rev().collect() } else { (0..=here).collect() };
            walked[1..].iter().fold(at(1, walked[0]), |y, &i| at(0, i) * y + at(1, i))
        }),
        Op::LogCumulativeSumExp(axis) => build(listed, |members, event| {
            let row: Vec<f64> = (0..=event[*axis]).map(|i| x[0].at(members, &with(event, *axis, i))).collect();
            reduced(Reduce::LogSumExp, &row)
        }),
        Op::Argsort { axis, order, .. } => build(listed, |members, event| {
            let mut row: Vec<(f64, usize)> =
                (0..x[0].event()[*axis]).map(|i| (x[0].at(members, &with(event, *axis, i)), i)).collect();
            row.sort_by(|a, b| if *order == Order::Ascending { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
            row[event[*axis]].1 as f64
        }),
        Op::LastWriters(axis, _) => build(listed, |members, event| {
            let names = |&i: &usize| x[0].at(members, &with(event, *axis, i)) as usize == event[*axis];
            (0..x[0].event()[*axis]).rev().find(names).map_or(0.0, |i| (i + 1) as f64)
        }),
        Op::Lookup => build(listed, |members, event| {
            let (&column, at) = event.split_last().expect("an axis of columns");
            x[0].at(members, &[x[1].at(members, at) as usize, column])
        }),
        Op::LookupAdd { removed, .. } => build(listed, |members, event| {
            let rows = &x[0].event()[..x[0].event().len() - 1];
            let walked: Vec<usize> = removed.iter().map(size).chain(rows.iter().copied()).collect();
            let row = |at: Vec<usize>| {
                let mut members = members.clone();
                members.extend(removed.iter().copied().zip(at.iter().copied()));
                let at = &at[removed.len()..];
                let here = x[1].at(&members, at) as usize == event[0];
                if here { x[0].at(&members, &[at, &event[1..]].concat()) } else { 0.0 }
            };
            indices(&walked).into_iter().map(row).sum()
        }),
        Op::Argmax(axis) => build(listed, |members, event| {
            let at = |i: usize| {
                let mut event = event.to_vec();
                event.insert(*axis, i);
                x[0].at(members, &event)
            };
            (1..x[0].event()[*axis]).fold(0, |best, i| if at(i) > at(best) { i } else { best }) as f64
        }),
        Op::Reshape(_) => build(listed, |members, event| {
            let flat = listed.event().iter().zip(event).fold(0, |flat, (&size, &i)| flat * size + i);
            x[0].at(members, &indices(x[0].event())[flat])
        }),
        Op::Transpose(order) => build(listed, |members, event| {
            let mut from = vec![0; event.len()];
            order.iter().zip(event).for_each(|(&axis, &i)| from[axis] = i);
            x[0].at(members, &from)
        }),
        Op::Slice { axis, start, .. } => {
            build(listed, |members, event| x[0].at(members, &with(event, *axis, start + event[*axis])))
        }
        Op::PadInto { axis, start, .. } => build(listed, |members, event| {
            let inside = (*start..start + x[0].event()[*axis]).contains(&event[*axis]);
            if inside { x[0].at(members, &with(event, *axis, event[*axis] - start)) } else { 0.0 }
        }),
        Op::Concat(axis) => build(listed, |members, event| {
            let mut at = event[*axis];
            let mut parts = x.iter();
            loop {
                let part = parts.next().expect("a part");
                match at.checked_sub(part.event()[*axis]) {
                    Some(rest) => at = rest,
                    None => return part.at(members, &with(event, *axis, at)),
                }
            }
        }),
        Op::IndexSelect(axis, chosen) => {
            build(listed, |members, event| x[0].at(members, &with(event, *axis, chosen[event[*axis]])))
        }
        Op::IndexAdd(axis, chosen, _) => build(listed, |members, event| {
            let here = (0..chosen.len()).filter(|&i| chosen[i] == event[*axis]);
            here.map(|i| x[0].at(members, &with(event, *axis, i))).sum()
        }),
        Op::Gather(axis) | Op::Ordered(axis) => {
            build(listed, |members, event| x[0].at(members, &with(event, *axis, x[1].at(members, event) as usize)))
        }
        Op::ScatterAdd(axis, _) => build(listed, |members, event| {
            let from = (0..x[1].event()[*axis]).map(|i| with(event, *axis, i));
            let here = from.filter(|from| x[1].at(members, from) as usize == event[*axis]);
            here.map(|from| x[0].at(members, &from)).sum()
        }),
        Op::Categories => build(listed, |members, event| {
            let weight = |i| x[0].at(members, &[event, &[i]].concat());
            let count = *x[0].event().last().expect("an axis of categories");
            let (total, u) = ((0..count).map(weight).sum::<f64>(), x[1].at(members, event));
            let mut sum = 0.0;
            let exceeds = |&i: &usize| {
                sum += weight(i);
                sum > u * total
            };
            (0..count).find(exceeds).unwrap_or(count - 1) as f64
        }),
        Op::OneHot(_) => build(listed, |members, event| {
            let (&class, rest) = event.split_last().expect("an axis of classes");
            f64::from(u8::from(x[0].at(members, rest) as usize == class))
        }),
        Op::Detach(_) | Op::StraightThrough | Op::Estimated(_) | Op::Sample(_) | Op::Expand(..) => {
            build(listed, |members, event| x[0].at(members, event))
        }
        Op::MagicBox => build(listed, |_, _| 1.0),
        Op::SumOut(plates, axes) => build(listed, |members, event| {
            // A plate that the operand lacks is not summed.
            let plates: Vec<Plate> = plates.iter().copied().filter(|plate| x[0].plates.contains(plate)).collect();
            let walked: Vec<usize> =
                plates.iter().map(size).chain(axes.iter().map(|&axis| x[0].event()[axis])).collect();
            let element = |at: Vec<usize>| {
                let (mut members, mut event) = (members.clone(), event.to_vec());
                members.extend(plates.iter().copied().zip(at.iter().copied()));
                axes.iter().zip(&at[plates.len()..]).for_each(|(&axis, &i)| event[axis] = i);
                x[0].at(&members, &event)
            };
            indices(&walked).into_iter().map(element).sum()
        }),
        Op::PlateReduce(plate, how) => build(listed, |members, event| {
            let member = |member: usize| {
                let mut members = members.clone();
                members.insert(*plate, member);
                let value = x[0].at(&members, event);
                match how {
                    PlateReduction::Weighted if x[1].at(&members, &[]) == 0.0 => 0.0,
                    PlateReduction::Weighted => value * x[1].at(&members, &[]),
                    _ => value,
                }
            };
            let row: Vec<f64> = (0..size(plate)).map(member).collect();
            match how {
                PlateReduction::Sum | PlateReduction::Weighted => row.iter().sum(),
                PlateReduction::Mean => row.iter().sum::<f64>() / row.len() as f64,
                PlateReduction::LogSumExp => reduced(Reduce::LogSumExp, &row),
            }
        }),
        Op::PlateMember(plate, member) => build(listed, |members, event| {
            let mut members = members.clone();
            members.insert(*plate, *member);
            x[0].at(&members, event)
        }),
        Op::PlateScatter(plate, member) => {
            build(listed, |members, event| if members[plate] == *member { x[0].at(members, event) } else { 0.0 })
        }
        Op::PlateToEvent(plate) => build(listed, |members, event| {
            let mut members = members.clone();
            members.insert(*plate, event[0]);
            x[0].at(&members, &event[1..])
        }),
        Op::EventToPlate(plate) => {
            build(listed, |members, event| x[0].at(members, &[&[members[plate]], event].concat()))
        }
        Op::Slot(number) => {
            let slot = listing.slot(*number).expect("a slot");
            Value { plates: Vec::new(), shape: slot.shape().to_vec(), elements: slot.values() }
        }
        Op::Custom(number) => {
            let rank = x.iter().map(|x| x.event().len()).max().unwrap_or(0);
            let operands: Vec<Tensor<f64>> = x.iter().map(|x| x.spread(listed.plates, rank)).collect();
            let plates = listed.plates.iter().map(size).collect();
            let pool = Pool::new();
            let inputs = PrimitiveInputs { values: &operands, plates, pool: &pool };
            let tensor = listing.primitive(*number).expect("a primitive").forward(inputs).expect("a value");
            Value { plates: listed.plates.to_vec(), shape: tensor.shape().to_vec(), elements: tensor.to_vec() }
        }
        Op::Draw { sampler, address, .. } => {
            let (sampler, layout) = (listing.sampler(*sampler).expect("a sampler"), listing.noise_layout(listed, None));
            let mut drawn = build(listed, |_, _| 0.0);
            let parameters: Vec<Value> =
                x.iter().map(|x| build(listed, |members, event| x.at(members, event))).collect();
            let parameters: Vec<&[f64]> = parameters.iter().map(|parameter| &parameter.elements[..]).collect();
            let key = DrawKey::new(seed.seed, seed.step, *address);
            draw_elements(&Pool::new(), &**sampler, &key, &layout, &parameters, &mut drawn.elements).expect("a draw");
            drawn
        }
        Op::Noise { fill, address, scheme, .. } => {
            let fills = |address: u128, fill: Fill, members: Option<(Plate, usize)>| -> Vec<f64> {
                let layout = listing.noise_layout(listed, members);
                let key = Key::new(seed.seed, seed.step, address);
                let element = |element| {
                    let mut out = [0.0];
                    key.fill(fill, layout.index(element), &mut out);
                    out[0]
                };
                (0..layout.len()).map(element).collect()
            };
            let mut noise = build(listed, |_, _| 0.0);
            match scheme {
                None => noise.elements = fills(*address, *fill, None),
                Some(joint) => {
                    let members = size(&joint.plate);
                    let at = listed.plates.iter().position(|plate| *plate == joint.plate).expect("the plate");
                    let mirrors = joint.scheme.is_mirroring() && *fill == Fill::Normal;
                    let base = if mirrors { Fill::Normal } else { Fill::Folded };
                    let base = fills(*address, base, Some((joint.plate, joint.scheme.numbers(members))));
                    let choices = joint.scheme.choices(members);
                    let choices = fills(joint.strata, Fill::Uniform, Some((joint.plate, choices)));
                    let sizes = [&listed.shape[..at], &listed.shape[at + 1..]].map(|axes| axes.iter().product());
                    let elements = listed.event().iter().product();
                    let sizes = [sizes[0], members, sizes[1]];
                    arrange(joint.scheme, *fill, sizes, elements, [&base, &choices], &mut noise.elements);
                }
            }
            noise
        }
        Op::Matmul { .. }
        | Op::MatmulLeading
        | Op::Dot
        | Op::DotOver(_)
        | Op::Cholesky
        | Op::TriangularSolve { .. } => products::evaluate(listing, listed, op, x),
        Op::Convolve(_)
        | Op::ConvolveAdjoint(..)
        | Op::ConvolveWeights(..)
        | Op::MaxPool(_)
        | Op::MaxPoolPositions(_)
        | Op::SumPool(_)
        | Op::SumPoolAdjoint(..) => images::evaluate(listing, listed, op, x),
        other => panic!("{other:?} is not known to the interpreter"),
    }
}
