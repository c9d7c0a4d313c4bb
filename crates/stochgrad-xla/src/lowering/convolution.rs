//! Convolutions of images, with channels as the last axis.

use crate::lowering::axes::integers;
use crate::lowering::builder::Value;
use crate::lowering::context::{Context, Operand, Target};
use crate::lowering::options::Precision;
use crate::lowering::types::TensorType;
use stochgrad_tape::{ImageSize, Plate, Plates};
use stochgrad_tensor::Shape;
use stochgrad_tensor::convolution::Convolution;

/// How a window moves along both axes of images.
struct Window {
    strides: ImageSize,
    padding: [[i64; 2]; 2],
    base_dilation: ImageSize,
    kernel_dilation: ImageSize,
}

/// The attribute of a padding.
pub(crate) fn padding(sides: &[[i64; 2]]) -> String {
    let rows: Vec<String> = sides.iter().map(|[low, high]| format!("[{low}, {high}]")).collect();
    format!("padding = dense<[{}]> : tensor<{}x2xi64>", rows.join(", "), sides.len())
}

/// The order of the axes in which all convolutions are written. The plugin for CPUs has fast kernels for this order only.
/// It rearranges other convolutions, but not inside a loop.
const DIMENSIONS: &str = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]";

fn convolution<'b>(
    context: &Context<'b>,
    [images, kernel]: [Value<'b>; 2],
    window: &Window,
    [feature_groups, batch_groups]: [usize; 2],
    shape: Shape,
) -> Value<'b> {
    let precision = match context.precision {
        Precision::Default => "DEFAULT",
        Precision::Highest => "HIGHEST",
    };
    let attributes = format!(
        "batch_group_count = {batch_groups} : i64, dimension_numbers = #stablehlo.conv<{DIMENSIONS}>, \
         feature_group_count = {feature_groups} : i64, lhs_dilation = {}, rhs_dilation = {}, window_strides = {}, {}, \
         precision_config = [#stablehlo<precision {precision}>, #stablehlo<precision {precision}>]",
        integers(window.base_dilation),
        integers(window.kernel_dilation),
        integers(window.strides),
        padding(&window.padding),
    );
    let kind = TensorType::new(context.element, shape);
    context.builder.op("stablehlo.convolution", &[images, kernel], &attributes, kind)
}

/// A value in the order of some of its axes, in another shape.
fn arranged<'b>(value: Value<'b>, order: &[usize], shape: Shape) -> Value<'b> {
    value.transpose(order).reshape(&shape)
}

fn product(sizes: &[usize]) -> usize {
    sizes.iter().product()
}

/// A convolution of images with a kernel `[height, width, inputs, groups, outputs]` after its plates, where images have
/// `groups · inputs` channels. The plates that both have become groups of channels, and the plates that only the kernel
/// has become outputs.
fn by_groups<'b>(
    context: &Context<'b>,
    images: &Operand<'b>,
    kernel: &Operand<'b>,
    window: &Window,
    target: &Target<'_>,
) -> Value<'b> {
    let shared: Plates = images.plates.iter().copied().filter(|plate| kernel.plates.contains(plate)).collect();
    let sizes = |plates: &[Plate]| -> Vec<usize> { plates.iter().map(|plate| context.sizes[plate]).collect() };
    let lacks =
        |plates: &[Plate]| -> Plates { plates.iter().copied().filter(|plate| !shared.contains(plate)).collect() };
    let (only_images, only_kernel) = (lacks(&images.plates), lacks(&kernel.plates));
    let event = images.event();
    let (lead, image) = event.split_at(event.len() - 3);
    let taps = kernel.event();
    let [height, width, inputs, groups, outputs] = [taps[0], taps[1], taps[2], taps[3], taps[4]];
    let (s, repeats) = (product(&sizes(&shared)), product(&sizes(&only_kernel)));
    let places = |operand: &Operand<'b>, plates: &[Plate]| -> Vec<usize> {
        plates.iter().filter_map(|&plate| operand.axis_of(plate)).collect()
    };
    let own = images.plates.len();
    let rank = images.value.shape().rank();
    let batch = product(&sizes(&only_images)) * product(lead);
    let order: Vec<usize> = places(images, &only_images)
        .into_iter()
        .chain(own..rank - 1)
        .chain(places(images, &shared))
        .chain([rank - 1])
        .collect();
    let x = arranged(images.value, &order, Shape::from([batch, image[0], image[1], s * image[2]]));
    let own = kernel.plates.len();
    let order: Vec<usize> = (own..own + 3)
        .chain(places(kernel, &shared))
        .chain([own + 3])
        .chain(places(kernel, &only_kernel))
        .chain([own + 4])
        .collect();
    let w = arranged(kernel.value, &order, Shape::from([height, width, inputs, s * groups * repeats * outputs]));
    let size = &target.shape[target.shape.rank() - 3..];
    let shape = Shape::from([batch, size[0], size[1], s * groups * repeats * outputs]);
    let y = convolution(context, [x, w], window, [s * groups, 1], shape);
    // [plates of the images, lead, height, width, shared plates, groups, plates of the kernel, outputs]
    let whole: Shape = sizes(&only_images)
        .into_iter()
        .chain(lead.iter().copied())
        .chain([size[0], size[1]])
        .chain(sizes(&shared))
        .chain([groups])
        .chain(sizes(&only_kernel))
        .chain([outputs])
        .collect();
    let (a, l, b) = (only_images.len(), lead.len(), shared.len());
    let groups_at = a + l + 2 + b;
    let place = |plate: &Plate| {
        let among = |plates: &Plates| plates.iter().position(|other| other == plate);
        let of_shared = || among(&shared).map(|at| a + l + 2 + at);
        among(&only_images).or_else(of_shared).or_else(|| among(&only_kernel).map(|at| groups_at + 1 + at))
    };
    let order: Vec<usize> =
        target.plates.iter().filter_map(place).chain(a..a + l + 2).chain([groups_at, whole.rank() - 1]).collect();
    y.reshape(&whole).transpose(&order).reshape(target.shape)
}

/// The weights with their outputs divided into groups: `[height, width, inputs, groups, outputs]` after the plates.
fn grouped<'b>(weights: &Operand<'b>, groups: usize) -> Operand<'b> {
    let own = weights.value.shape();
    let last = own.rank() - 1;
    let shape: Shape = own[..last].iter().copied().chain([groups, own[last] / groups]).collect();
    Operand { value: weights.value.reshape(&shape), ..weights.clone() }
}

/// See [`stochgrad_tape::Op::Convolve`].
pub fn convolve<'b>(
    context: &Context<'b>,
    geometry: &Convolution<2>,
    [images, weights]: [&Operand<'b>; 2],
    target: &Target<'_>,
) -> Value<'b> {
    if target.shape.numel() == 0 || images.value.shape().numel() == 0 {
        return context.builder.float(context.element, 0.0).broadcast(target.shape, &[]);
    }
    let window = Window {
        strides: geometry.stride,
        padding: geometry.padding.map(|side| [side as i64; 2]),
        base_dilation: [1, 1],
        kernel_dilation: geometry.dilation,
    };
    by_groups(context, images, &grouped(weights, geometry.groups), &window, target)
}

/// The positions from the first to the last one that a kernel of this size reads.
fn reach(geometry: &Convolution<2>, kernel: ImageSize, axis: usize) -> i64 {
    (geometry.dilation[axis] * (kernel[axis] - 1) + 1) as i64
}

/// See [`stochgrad_tape::Op::ConvolveAdjoint`].
pub fn convolve_adjoint<'b>(
    context: &Context<'b>,
    geometry: &Convolution<2>,
    size: ImageSize,
    [adjoint, weights]: [&Operand<'b>; 2],
    target: &Target<'_>,
) -> Value<'b> {
    if target.shape.numel() == 0 || adjoint.value.shape().numel() == 0 {
        return context.builder.float(context.element, 0.0).broadcast(target.shape, &[]);
    }
    let kernel = grouped(weights, geometry.groups);
    let own = kernel.plates.len();
    let order: Vec<usize> = (0..own).chain([0, 1, 4, 3, 2].map(|axis| own + axis)).collect();
    let turned = kernel.value.reverse(own).reverse(own + 1).transpose(&order);
    let (taps, image) = (kernel.event(), adjoint.event());
    let results = [image[image.len() - 3], image[image.len() - 2]];
    let padding = [0, 1].map(|axis| {
        let reach = reach(geometry, [taps[0], taps[1]], axis);
        let low = reach - 1 - geometry.padding[axis] as i64;
        let spread = ((results[axis] - 1) * geometry.stride[axis] + 1) as i64;
        [low, size[axis] as i64 - spread + reach - 1 - low]
    });
    let window =
        Window { strides: [1, 1], padding, base_dilation: geometry.stride, kernel_dilation: geometry.dilation };
    by_groups(context, adjoint, &Operand { value: turned, ..kernel }, &window, target)
}

/// See [`stochgrad_tape::Op::ConvolveWeights`].
pub fn convolve_weights<'b>(
    context: &Context<'b>,
    geometry: &Convolution<2>,
    kernel: ImageSize,
    [images, adjoint]: [&Operand<'b>; 2],
    target: &Target<'_>,
) -> Value<'b> {
    if target.shape.numel() == 0 || images.value.shape().numel() == 0 || adjoint.value.shape().numel() == 0 {
        return context.builder.float(context.element, 0.0).broadcast(target.shape, &[]);
    }
    let mut plates: Plates = images.plates.iter().chain(&adjoint.plates).copied().collect();
    plates.sort_unstable();
    plates.dedup();
    let (kept, summed): (Vec<usize>, Vec<usize>) =
        (0..plates.len()).partition(|&at| target.plates.contains(&plates[at]));
    let groups = geometry.groups;
    let outer = product(&kept.iter().map(|&at| context.sizes[&plates[at]]).collect::<Vec<_>>());
    // The summed plates and the leading axes first, then the image, then the kept plates with the channels.
    let placed = |operand: &Operand<'b>| {
        let event = operand.event();
        let value = context.spread(operand, &plates, &event);
        let own = value.shape();
        let last = own.rank() - 1;
        let order: Vec<usize> =
            summed.iter().copied().chain(plates.len()..last).chain(kept.iter().copied()).chain([last]).collect();
        let [height, width, channels] = [own[last - 2], own[last - 1], own[last]];
        let batch = own.numel() / (height * width * channels * outer);
        arranged(value, &order, Shape::from([batch, height, width, outer * channels]))
    };
    let (x, y) = (placed(images), placed(adjoint));
    let (size, results) = (x.shape(), y.shape());
    let padding = [0, 1].map(|axis| {
        let low = geometry.padding[axis] as i64;
        let spread = ((results[axis + 1] - 1) * geometry.stride[axis] + 1) as i64;
        [low, spread + reach(geometry, kernel, axis) - 1 - size[axis + 1] as i64 - low]
    });
    let window =
        Window { strides: geometry.dilation, padding, base_dilation: [1, 1], kernel_dilation: geometry.stride };
    let (inputs, outputs) = (size[3] / (outer * groups), results[3] / outer);
    // The channels of the images are a batch, and their batch is the channels.
    let (x, y) = (x.transpose(&[3, 1, 2, 0]), y.transpose(&[1, 2, 0, 3]));
    let shape = Shape::from([inputs, kernel[0], kernel[1], outer * outputs]);
    let w = convolution(context, [x, y], &window, [1, outer * groups], shape);
    let split = Shape::from([inputs, kernel[0], kernel[1], outer, outputs]);
    w.reshape(&split).transpose(&[3, 1, 2, 0, 4]).reshape(target.shape)
}
