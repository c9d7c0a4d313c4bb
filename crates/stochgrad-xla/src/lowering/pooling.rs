//! Pooling over windows of images, with channels as the last axis.

use crate::lowering::axes::{Fold, integers};
use crate::lowering::builder::Value;
use crate::lowering::convolution::padding;
use crate::lowering::types::{Element, TensorType};
use stochgrad_tape::ImageSize;
use stochgrad_tensor::Shape;
use stochgrad_tensor::pooling::Pooling;

/// The shape of images with another size.
fn resized(x: Value<'_>, size: ImageSize) -> Shape {
    let shape = x.shape();
    let rank = shape.rank();
    shape.with_size(rank - 3, size[0]).with_size(rank - 2, size[1])
}

fn size_of(x: Value<'_>) -> ImageSize {
    let shape = x.shape();
    [shape[shape.rank() - 3], shape[shape.rank() - 2]]
}

fn windows<'b>(
    fold: Fold,
    x: Value<'b>,
    window: ImageSize,
    strides: ImageSize,
    dilation: ImageSize,
    sides: [[i64; 2]; 2],
    size: ImageSize,
) -> Value<'b> {
    let shape = resized(x, size);
    let rank = shape.rank();
    if shape.numel() == 0 {
        return x.builder.float(x.element(), 0.0).broadcast(&shape, &[]);
    }
    let along = |sizes: ImageSize| {
        integers((0..rank).map(|axis| if axis + 3 < rank || axis + 1 == rank { 1 } else { sizes[axis + 3 - rank] }))
    };
    let mut whole = vec![[0, 0]; rank];
    whole[rank - 3..rank - 1].copy_from_slice(&sides);
    let attributes = format!(
        "window_dimensions = {}, window_strides = {}, base_dilations = {}, window_dilations = {}, {}",
        along(window),
        along(strides),
        along(dilation),
        along([1, 1]),
        padding(&whole)
    );
    let region = fold.region(x);
    let kind = TensorType::new(x.element(), shape);
    let operands = [x, fold.identity(x)];
    x.builder.with_regions("stablehlo.reduce_window", &operands, &attributes, &[kind], &[region]).swap_remove(0)
}

/// The padding on the lower and the upper side with which all windows of a size fit.
fn sides(pooling: &Pooling<2>, input: ImageSize, output: ImageSize) -> [[i64; 2]; 2] {
    [0, 1].map(|axis| {
        let low = pooling.padding[axis] as i64;
        let read = ((output[axis].max(1) - 1) * pooling.stride[axis] + pooling.window[axis]) as i64;
        [low, read - input[axis] as i64 - low]
    })
}

/// The largest elements of windows.
pub fn max_pool<'b>(x: Value<'b>, pooling: &Pooling<2>, size: ImageSize) -> Value<'b> {
    windows(Fold::Max, x, pooling.window, pooling.stride, [1, 1], sides(pooling, size_of(x), size), size)
}

/// The sums of the elements of windows.
pub fn sum_pool<'b>(x: Value<'b>, pooling: &Pooling<2>, size: ImageSize) -> Value<'b> {
    windows(Fold::Sum, x, pooling.window, pooling.stride, [1, 1], sides(pooling, size_of(x), size), size)
}

/// The adjoint of sums of windows, for images of a size.
pub fn sum_pool_adjoint<'b>(y: Value<'b>, pooling: &Pooling<2>, size: ImageSize) -> Value<'b> {
    let output = size_of(y);
    let sides = [0, 1].map(|axis| {
        let low = pooling.window[axis] as i64 - 1 - pooling.padding[axis] as i64;
        let spread = ((output[axis].max(1) - 1) * pooling.stride[axis] + 1) as i64;
        [low, size[axis] as i64 - spread + pooling.window[axis] as i64 - 1 - low]
    });
    windows(Fold::Sum, y, pooling.window, [1, 1], pooling.stride, sides, size)
}

/// The positions of the largest elements of windows: the first of equal elements, or the first NaN.
pub fn max_pool_positions<'b>(x: Value<'b>, pooling: &Pooling<2>, size: ImageSize) -> Value<'b> {
    let shape = resized(x, size);
    let input = size_of(x);
    let rank = shape.rank();
    let builder = x.builder;
    if shape.numel() == 0 {
        return builder.float(x.element(), 0.0).broadcast(&shape, &[]);
    }
    let places = [rank - 3, rank - 2].map(|axis| builder.iota(TensorType::new(Element::I32, shape.clone()), axis));
    let lowest = builder.float(x.element(), f64::NEG_INFINITY);
    let mut best: Option<[Value<'b>; 2]> = None;
    // Windows may reach beyond the padding that they need.
    let after = [0, 1].map(|axis| {
        (pooling.window[axis] + (size[axis] - 1) * pooling.stride[axis])
            .saturating_sub(input[axis] + pooling.padding[axis])
    });
    let padded =
        x.pad(rank - 3, pooling.padding[0], after[0], lowest).pad(rank - 2, pooling.padding[1], after[1], lowest);
    let inside_always = pooling.padding == [0, 0] && after == [0, 0];
    for row in 0..pooling.window[0] {
        for column in 0..pooling.window[1] {
            let at = [row, column];
            let value = padded.strided_slice(rank - 3, row, size[0], pooling.stride[0]).strided_slice(
                rank - 2,
                column,
                size[1],
                pooling.stride[1],
            );
            let [y, x] = [0, 1].map(|axis| {
                places[axis] * pooling.stride[axis] as i64 + (at[axis] as i64 - pooling.padding[axis] as i64)
            });
            let position = y * input[1] as i64 + x;
            best = Some(match best {
                None if inside_always => [value, position],
                None => {
                    let start = [value.fill(f64::NEG_INFINITY), position.fill_integer(Element::I32, -1)];
                    better(start, [value, position], Some(inside([y, x], input)))
                }
                Some(best) => {
                    let inside = (!inside_always).then(|| inside([y, x], input));
                    better(best, [value, position], inside)
                }
            });
        }
    }
    best.expect("a window with positions")[1].convert(x.element())
}

/// Zeros of the size of images, with the elements of `y` added at the positions of [`max_pool_positions`]: the adjoint
/// of the largest elements of windows. Both operands have the size of the results of pooling.
///
/// Each place of the windows is compared with the positions, since adding at positions is slow on some devices.
pub fn max_pool_adjoint<'b>(y: Value<'b>, positions: Value<'b>, pooling: &Pooling<2>, size: ImageSize) -> Value<'b> {
    let (builder, shape) = (y.builder, y.shape());
    let rank = shape.rank();
    let results = size_of(y);
    let zero = builder.float(y.element(), 0.0);
    let out = resized(y, size);
    if shape.numel() == 0 || out.numel() == 0 {
        return zero.broadcast(&out, &[]);
    }
    let places = [rank - 3, rank - 2].map(|axis| builder.iota(TensorType::new(Element::I32, shape.clone()), axis));
    let mut sum: Option<Value<'b>> = None;
    for row in 0..pooling.window[0] {
        for column in 0..pooling.window[1] {
            let first = [row, column].map(|at| at as i64);
            let [i, j] = [0, 1]
                .map(|axis| places[axis] * pooling.stride[axis] as i64 + (first[axis] - pooling.padding[axis] as i64));
            // Outside the images, another place could have the same number.
            let here = positions.equal(i * size[1] as i64 + j) & inside([i, j], size);
            let part = here.select(y, zero);
            let mut sides = vec![[0, 0, 0]; rank];
            for axis in 0..2 {
                let low = first[axis] - pooling.padding[axis] as i64;
                let spread = ((results[axis] - 1) * pooling.stride[axis] + 1) as i64;
                sides[rank - 3 + axis] = [low, size[axis] as i64 - low - spread, pooling.stride[axis] as i64 - 1];
            }
            let list = |side: usize| {
                let sizes: Vec<String> = sides.iter().map(|sides| sides[side].to_string()).collect();
                format!("array<i64: {}>", sizes.join(", "))
            };
            let attributes = format!(
                "edge_padding_low = {}, edge_padding_high = {}, interior_padding = {}",
                list(0),
                list(1),
                list(2)
            );
            let kind = TensorType::new(y.element(), out.clone());
            let part = builder.op("stablehlo.pad", &[part, zero], &attributes, kind);
            sum = Some(sum.map_or(part, |sum| sum + part));
        }
    }
    sum.expect("a window with positions")
}

/// Whether positions are inside images.
fn inside<'b>([y, x]: [Value<'b>; 2], size: ImageSize) -> Value<'b> {
    y.ge(0_i64) & y.lt(size[0] as i64) & x.ge(0_i64) & x.lt(size[1] as i64)
}

/// The better one of two elements with their positions. A position of −1 is worse than any inside.
fn better<'b>(best: [Value<'b>; 2], other: [Value<'b>; 2], inside: Option<Value<'b>>) -> [Value<'b>; 2] {
    let larger = other[0].gt(best[0]) | (other[0].is_nan() & !best[0].is_nan());
    let chosen = match inside {
        Some(inside) => inside & (larger | best[1].lt(0_i64)),
        None => larger,
    };
    [chosen.select(other[0], best[0]), chosen.select(other[1], best[1])]
}
