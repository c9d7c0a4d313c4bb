//! Noise that the members of a plate share and order, by a sampling scheme.

use crate::lowering::axes::{Fold, integers};
use crate::lowering::builder::Value;
use crate::lowering::context::Target;
use crate::lowering::index::index_select;
use crate::lowering::literal::Elements;
use crate::lowering::noise::kind::unfold;
use crate::lowering::scan::dynamic_slice;
use crate::lowering::special;
use crate::lowering::types::{Element, TensorType};
use stochgrad_tape::Special;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::sampling_scheme::SamplingScheme;
use stochgrad_tensor::{Shape, sobol};

/// The noise of all members along the axis `at`, from folded uniform values, or from normal ones for a scheme that
/// mirrors them, and from the uniform values that decide the strata.
pub(crate) fn arranged<'b>(
    scheme: SamplingScheme,
    fill: Fill,
    [base, choices]: [Value<'b>; 2],
    at: usize,
    target: &Target<'_>,
) -> Option<Value<'b>> {
    let members = target.shape[at];
    let used: Vec<usize> = (0..members).map(|member| scheme.number_of(member)).collect();
    let base = index_select(base, at, &used);
    let element = base.element();
    if scheme == SamplingScheme::Antithetic {
        let mirrored: Vec<bool> = (0..members).map(|member| member % 2 == 1).collect();
        let mirrored = base.builder.constant(Elements::Bool(&mirrored), &TensorType::new(Element::Bool, [members]));
        let values = mirrored.broadcast(target.shape, &[at]).select(-base, base);
        return Some(unfold(fill, values));
    }
    let strata = match scheme {
        _ if members < 2 => base.fill(0.0).convert(Element::F64),
        SamplingScheme::Sobol { first } => sobol_strata(first, choices, at, target),
        _ => shuffled(choices, at, target),
    };
    let folded = folded(scheme.strata(members) as f64, strata, base.convert(Element::F64));
    if fill != Fill::Normal {
        return Some(unfold(fill, folded.convert(element)));
    }
    let tail = special::lower(base.builder, Special::NormalIcdf, &[folded.abs()])?;
    Some(folded.gt(0.0).select(tail, -tail).convert(element))
}

/// The folded uniform values of members in their strata, in double precision.
fn folded<'b>(count: f64, stratum: Value<'b>, v: Value<'b>) -> Value<'b> {
    // A division by a constant could become a product, which is rounded in another way.
    let count_of = v.fill(count).barrier();
    let lower = v.gt(0.0);
    let (low, high) = (lower.select(v, v + 1.0), lower.select(1.0 - v, -v));
    let below = (stratum + low) / count_of;
    let above = ((count - 1.0) - stratum + high) / count_of;
    below.lt(above).select(below, -above)
}

/// One of several equally likely options, by inversion of uniform values in double precision.
fn option<'b>(u: Value<'b>, options: Value<'b>) -> Value<'b> {
    let found = (u * options).floor().min(options - 1.0);
    let lower = found.gt(0.0) & u.lt(found / options);
    let found = lower.select(found - 1.0, found);
    let upper = (found + 1.0).lt(options) & !u.lt((found + 1.0) / options);
    upper.select(found + 1.0, found)
}

/// A random order of the members, by the method of Fisher and Yates.
fn shuffled<'b>(choices: Value<'b>, at: usize, target: &Target<'_>) -> Value<'b> {
    let builder = choices.builder;
    let members = target.shape[at];
    let places = TensorType::new(Element::F64, target.shape.clone());
    let places = builder.iota(places, at);
    let all: Vec<usize> = (0..target.shape.rank()).collect();
    let carried = builder.while_loop(
        &[builder.integer(Element::I32, 1), places, places, choices],
        |carry| carry[0].lt(members as i64),
        |carry| {
            let (step, order, places, choices) = (carry[0], carry[1], carry[2], carry[3]);
            let u = dynamic_slice(choices, at, step - 1_i64).convert(Element::F64);
            let member = step.convert(Element::F64).broadcast(&u.shape(), &[]);
            let chosen = option(u, member + 1.0);
            let wide = |value: Value<'b>| value.broadcast(target.shape, &all);
            let here = places.equal(wide(chosen));
            let found = here.select(order, 0.0).reduce(Fold::Sum, &[at]).reshape(&u.shape());
            let moved = here.select(wide(member), order);
            // The member itself comes last: it may choose itself.
            let own = chosen.equal(member).select(member, found);
            let order = places.equal(wide(member)).select(wide(own), moved);
            vec![step + 1_i64, order, places, choices]
        },
    );
    carried[1]
}

/// The scrambled coordinates of the Sobol points.
fn sobol_strata<'b>(first: usize, choices: Value<'b>, at: usize, target: &Target<'_>) -> Value<'b> {
    let builder = choices.builder;
    let shape = target.shape;
    let (members, lead) = (shape[at], target.plates.len());
    let elements: usize = shape[lead..].iter().product();
    let bits = members.next_power_of_two().trailing_zeros();
    // [member, element]
    let mut coordinates = vec![0_u32; members * elements];
    let mut column = vec![0; members];
    for element in 0..elements {
        sobol::points(first + element, bits, &mut column);
        column.iter().enumerate().for_each(|(member, &point)| coordinates[member * elements + element] = point);
    }
    // [other plates, choice, element]
    let order: Vec<usize> = (0..lead).filter(|&axis| axis != at).chain([at]).chain(lead..shape.rank()).collect();
    let options = choices.shape()[at];
    let rest: usize = shape.numel() / (members * elements);
    let flips = choices.ge(0.5).transpose(&order).reshape(&Shape::from([rest, options, elements]));
    let table = TensorType::new(Element::I64, [members, elements]);
    let whole = Shape::from([rest, members, elements]);
    let integers_of = |value: &dyn Fn(u32) -> i64| {
        let list: Vec<i64> = coordinates.iter().map(|&point| value(point)).collect();
        builder.constant(Elements::Integers(&list), &table)
    };
    let mut points = integers_of(&|point| i64::from(point)).broadcast(&whole, &[1, 2]);
    for level in 0..bits {
        let interval = integers_of(&|point| (1_i64 << level) - 1 + (u64::from(point) >> (bits - level)) as i64);
        let attributes = format!(
            "dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], operand_batching_dims = \
             [2], start_indices_batching_dims = [1], start_index_map = [1], index_vector_dim = 2>, slice_sizes = {}",
            integers([rest, 1, 1]),
        );
        let kind = TensorType::new(Element::Bool, whole.clone());
        let flip = builder.op("stablehlo.gather", &[flips, interval], &attributes, kind);
        points = flip.select(points ^ (1_i64 << (bits - 1 - level)), points);
    }
    let sizes: Shape = order.iter().map(|&axis| shape[axis]).collect();
    let back: Vec<usize> = (0..shape.rank()).filter_map(|axis| order.iter().position(|&other| other == axis)).collect();
    points.convert(Element::F64).reshape(&sizes).transpose(&back)
}
