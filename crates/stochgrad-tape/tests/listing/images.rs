//! Convolutions and pooling of images, by plain loops.

use crate::interpreter::{Members, Value, build, indices};
use crate::products::each;
use stochgrad_tape::{ImageSize, ListedValue, Listing, Op, Plate};
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::pooling::Pooling;

/// The position of the input that an output reads through a tap, if it is inside.
fn read(geometry: &Convolution<2>, output: &[usize], tap: &[usize], size: ImageSize) -> Option<ImageSize> {
    let mut position = [0; 2];
    for axis in 0..2 {
        let padded = output[axis] * geometry.stride[axis] + tap[axis] * geometry.dilation[axis];
        position[axis] = padded.checked_sub(geometry.padding[axis]).filter(|&at| at < size[axis])?;
    }
    Some(position)
}

/// The sizes of the last three axes.
fn image(event: &[usize]) -> [usize; 3] {
    *event.last_chunk().expect("an image")
}

/// The leading axes and the last three indices.
fn split(event: &[usize]) -> (&[usize], [usize; 3]) {
    let (lead, &last) = event.split_last_chunk().expect("an image");
    (lead, last)
}

pub(crate) fn evaluate(listing: &Listing<'_, f64>, listed: &ListedValue<'_, f64>, op: &Op, x: &[&Value]) -> Value {
    match op {
        Op::Convolve(geometry) => build(listed, |members, event| {
            let (lead, [row, column, output]) = split(event);
            let &[rows, columns, inputs, outputs] = x[1].event() else { panic!("weights") };
            let [height, width, _] = image(x[0].event());
            let from = output / (outputs / geometry.groups) * inputs;
            let term = |tap: &Vec<usize>| {
                let Some([y, z]) = read(geometry, &[row, column], tap, [height, width]) else { return 0.0 };
                let value = x[0].at(members, &[lead, &[y, z, from + tap[2]]].concat());
                value * x[1].at(members, &[&tap[..], &[output]].concat())
            };
            indices(&[rows, columns, inputs]).iter().map(term).sum()
        }),
        Op::ConvolveAdjoint(geometry, size) => build(listed, |members, event| {
            let (lead, [row, column, input]) = split(event);
            let &[rows, columns, inputs, outputs] = x[1].event() else { panic!("weights") };
            let [height, width, _] = image(x[0].event());
            let own = outputs / geometry.groups;
            let term = |at: &Vec<usize>| {
                if read(geometry, &at[..2], &at[2..], *size) != Some([row, column]) {
                    return 0.0;
                }
                let output = input / inputs * own + at[4];
                let value = x[0].at(members, &[lead, &[at[0], at[1], output]].concat());
                value * x[1].at(members, &[at[2], at[3], input % inputs, output])
            };
            indices(&[height, width, rows, columns, own]).iter().map(term).sum()
        }),
        Op::ConvolveWeights(geometry, _, over) => build(listed, |members, event| {
            let &[row, column, input, output] = event else { panic!("weights") };
            let [height, width, channels] = image(x[0].event());
            let [rows, columns, outputs] = image(x[1].event());
            let from = output / (outputs / geometry.groups) * (channels / geometry.groups) + input;
            let lead = &x[0].event()[..x[0].event().len() - 3];
            let term = |members: &Members, at: &[usize]| {
                let (lead, place) = at.split_at(lead.len());
                let Some([y, z]) = read(geometry, place, &[row, column], [height, width]) else { return 0.0 };
                let value = x[0].at(members, &[lead, &[y, z, from]].concat());
                value * x[1].at(members, &[lead, place, &[output]].concat())
            };
            let all = each(listing, members, &over.iter().copied().collect::<Vec<Plate>>());
            let places = indices(&[lead, &[rows, columns]].concat());
            all.iter().flat_map(|members| places.iter().map(move |at| term(members, at))).sum()
        }),
        Op::MaxPool(pooling) => build(listed, |members, event| largest(pooling, x[0], members, event)[0]),
        Op::MaxPoolPositions(pooling) => build(listed, |members, event| largest(pooling, x[0], members, event)[1]),
        Op::SumPool(pooling) => build(listed, |members, event| {
            let (lead, [row, column, channel]) = split(event);
            let [height, width, _] = image(x[0].event());
            let places = indices(&[height, width]).into_iter().filter(|at| covers(pooling, [row, column], at));
            places.map(|at| x[0].at(members, &[lead, &[at[0], at[1], channel]].concat())).sum()
        }),
        Op::SumPoolAdjoint(pooling, _) => build(listed, |members, event| {
            let (lead, [row, column, channel]) = split(event);
            let [height, width, _] = image(x[0].event());
            let windows = indices(&[height, width]).into_iter();
            let windows = windows.filter(|at| covers(pooling, [at[0], at[1]], &[row, column]));
            windows.map(|at| x[0].at(members, &[lead, &[at[0], at[1], channel]].concat())).sum()
        }),
        other => panic!("{other:?} is not an operation on images"),
    }
}

/// Whether a window covers a position.
fn covers(pooling: &Pooling<2>, window: ImageSize, position: &[usize]) -> bool {
    (0..2).all(|axis| {
        let start = window[axis] * pooling.stride[axis];
        (start..start + pooling.window[axis]).contains(&(position[axis] + pooling.padding[axis]))
    })
}

/// The largest element of a window and its position.
fn largest(pooling: &Pooling<2>, x: &Value, members: &Members, event: &[usize]) -> [f64; 2] {
    let (lead, [row, column, channel]) = split(event);
    let [height, width, _] = image(x.event());
    let mut best = [f64::NEG_INFINITY, 0.0];
    for at in indices(&[height, width]).into_iter().filter(|at| covers(pooling, [row, column], at)) {
        let value = x.at(members, &[lead, &[at[0], at[1], channel]].concat());
        if value > best[0] {
            best = [value, (at[0] * width + at[1]) as f64];
        }
    }
    best
}
