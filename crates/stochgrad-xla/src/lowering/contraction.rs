//! Products of operands with named axes, summed over some of them.

use crate::lowering::axes::Fold;
use crate::lowering::builder::Value;
use crate::lowering::context::{Context, Operand, Target};
use crate::lowering::options::Precision;
use crate::lowering::types::{Element, TensorType};
use stochgrad_tape::Plate;
use stochgrad_tensor::Shape;

/// The name of an axis. Axes of two operands with the same name are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// A plate.
    Plate(Plate),
    /// A leading event axis, counted from the last one.
    Lead(usize),
    /// The rows of the result.
    Row,
    /// The columns of the result.
    Column,
    /// The axis of the products that are summed.
    Inner,
    /// An event axis, counted from the first one.
    Event(usize),
}

/// A value with the names of its axes.
struct Named<'b> {
    value: Value<'b>,
    names: Vec<Name>,
}

impl<'b> Named<'b> {
    fn new(operand: &Operand<'b>, event: Vec<Name>) -> Self {
        let names = operand.plates.iter().map(|&plate| Name::Plate(plate)).chain(event).collect();
        Named { value: operand.value, names }
    }

    fn size(&self, name: Name) -> Option<usize> {
        let at = self.names.iter().position(|&other| other == name)?;
        Some(self.value.shape()[at])
    }

    fn place(&self, name: Name) -> usize {
        self.names.iter().position(|&other| other == name).expect("an axis of this name")
    }

    /// Without its axes of size 1 that the other operand repeats, and summed over the axes that only it has and that
    /// `result` lacks.
    fn prepared(self, other: &Named<'b>, result: &[Name]) -> Self {
        let shape = self.value.shape();
        let broadcast = |at: usize| shape[at] == 1 && other.size(self.names[at]).is_some_and(|size| size != 1);
        let kept: Vec<usize> = (0..shape.rank()).filter(|&at| !broadcast(at)).collect();
        let value = self.value.reshape(&kept.iter().map(|&at| shape[at]).collect());
        let names: Vec<Name> = kept.iter().map(|&at| self.names[at]).collect();
        let shared = |name: Name| other.size(name).is_some_and(|size| size != 1) || Some(1) == other.size(name);
        let summed: Vec<usize> = (0..names.len())
            .filter(|&at| {
                let repeated = other.size(names[at]) == Some(1) && value.shape()[at] != 1;
                !result.contains(&names[at]) && (!shared(names[at]) || repeated)
            })
            .collect();
        let names = names.iter().enumerate().filter(|(at, _)| !summed.contains(at)).map(|(_, name)| *name).collect();
        Named { value: value.reduce(Fold::Sum, &summed), names }
    }

    /// Without the plates and leading axes of size 1. Compilers have faster products for fewer axes.
    fn without_units(self) -> Self {
        let shape = self.value.shape();
        let is_kept = |at: usize| shape[at] != 1 || matches!(self.names[at], Name::Row | Name::Column | Name::Inner);
        let kept: Vec<usize> = (0..shape.rank()).filter(|&at| is_kept(at)).collect();
        let value = self.value.reshape(&kept.iter().map(|&at| shape[at]).collect());
        Named { value, names: kept.iter().map(|&at| self.names[at]).collect() }
    }
}

/// The sum of the products of two operands over all axes that `result` lacks, in the order of its axes. Axes of size 1 may
/// be missing.
fn contract<'b>(context: &Context<'b>, left: Named<'b>, right: Named<'b>, result: &[Name]) -> Value<'b> {
    let (whole_left, whole_right) = (
        Named { value: left.value, names: left.names.clone() },
        Named { value: right.value, names: right.names.clone() },
    );
    let (left, right) = (left.prepared(&whole_right, result), right.prepared(&whole_left, result));
    let (left, right) = (left.without_units(), right.without_units());
    let both = |name: &Name| right.names.contains(name);
    let batch: Vec<Name> = left.names.iter().copied().filter(|name| both(name) && result.contains(name)).collect();
    let inner: Vec<Name> = left.names.iter().copied().filter(|name| both(name) && !result.contains(name)).collect();
    let free = |side: &Named<'b>| -> Vec<Name> {
        side.names.iter().copied().filter(|name| !batch.contains(name) && !inner.contains(name)).collect()
    };
    let names: Vec<Name> = batch.iter().copied().chain(free(&left)).chain(free(&right)).collect();
    let shape: Shape =
        names.iter().map(|&name| left.size(name).or(right.size(name)).expect("an axis of an operand")).collect();
    let places = |side: &Named<'b>, names: &[Name]| {
        let list: Vec<String> = names.iter().map(|&name| side.place(name).to_string()).collect();
        format!("[{}]", list.join(", "))
    };
    let precision = match context.precision {
        Precision::Default => "DEFAULT",
        Precision::Highest => "HIGHEST",
    };
    let attributes = format!(
        "dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = {}, rhs_batching_dimensions = {}, \
         lhs_contracting_dimensions = {}, rhs_contracting_dimensions = {}>, precision_config = \
         [#stablehlo<precision {precision}>, #stablehlo<precision {precision}>]",
        places(&left, &batch),
        places(&right, &batch),
        places(&left, &inner),
        places(&right, &inner)
    );
    let kind = TensorType::new(left.value.element(), shape);
    let product = context.builder.op("stablehlo.dot_general", &[left.value, right.value], &attributes, kind);
    let order: Vec<usize> = result.iter().filter_map(|name| names.iter().position(|other| other == name)).collect();
    product.transpose(&order)
}

/// The names of the plates of a result, followed by those of its event axes.
fn result_names(target: &Target<'_>, event: Vec<Name>) -> Vec<Name> {
    target.plates.iter().map(|&plate| Name::Plate(plate)).chain(event).collect()
}

/// The names of leading event axes.
fn leading(count: usize) -> impl Iterator<Item = Name> {
    (0..count).rev().map(Name::Lead)
}

/// See [`stochgrad_tape::Op::Matmul`].
pub fn matmul<'b>(
    context: &Context<'b>,
    [left, right]: [&Operand<'b>; 2],
    [transpose_left, transpose_right]: [bool; 2],
    target: &Target<'_>,
) -> Value<'b> {
    let matrix = |operand: &Operand<'b>, last: [Name; 2], transposed: bool| {
        let rank = operand.event().rank();
        let last = if transposed { [last[1], last[0]] } else { last };
        let names = leading(rank.saturating_sub(2)).chain(last.into_iter().skip(2_usize.saturating_sub(rank)));
        Named::new(operand, names.collect())
    };
    let left = matrix(left, [Name::Row, Name::Inner], transpose_left);
    let right = matrix(right, [Name::Inner, Name::Column], transpose_right);
    let event = target.shape.rank() - target.plates.len();
    let rows = left.names.contains(&Name::Row).then_some(Name::Row);
    let lead = event - 1 - usize::from(rows.is_some());
    let event = leading(lead).chain(rows).chain([Name::Column]).collect();
    contract(context, left, right, &result_names(target, event)).reshape(target.shape)
}

/// See [`stochgrad_tape::Op::MatmulLeading`].
pub fn matmul_leading<'b>(context: &Context<'b>, [left, right]: [&Operand<'b>; 2], target: &Target<'_>) -> Value<'b> {
    let named = |operand: &Operand<'b>, last: Name| {
        let rank = operand.event().rank();
        Named::new(operand, leading(rank - 1).chain([last]).collect())
    };
    let names = result_names(target, vec![Name::Row, Name::Column]);
    contract(context, named(left, Name::Row), named(right, Name::Column), &names).reshape(target.shape)
}

/// See [`stochgrad_tape::Op::Dot`].
pub fn dot<'b>(context: &Context<'b>, [left, right]: [&Operand<'b>; 2], target: &Target<'_>) -> Value<'b> {
    let named = |operand: &Operand<'b>| Named::new(operand, (0..operand.event().rank()).map(Name::Event).collect());
    contract(context, named(left), named(right), &result_names(target, Vec::new())).reshape(target.shape)
}

/// See [`stochgrad_tape::Op::DotOver`].
pub fn dot_over<'b>(context: &Context<'b>, [weights, value]: [&Operand<'b>; 2], target: &Target<'_>) -> Value<'b> {
    let event: Vec<Name> = (0..value.event().rank()).map(Name::Event).collect();
    let [weights, value] = [Named::new(weights, Vec::new()), Named::new(value, event.clone())];
    contract(context, weights, value, &result_names(target, event)).reshape(target.shape)
}

/// See [`stochgrad_tape::Op::Cholesky`].
pub fn cholesky<'b>(context: &Context<'b>, x: &Operand<'b>, target: &Target<'_>) -> Value<'b> {
    let x = x.value;
    if x.shape().numel() == 0 {
        return x;
    }
    let factor = context.builder.op("stablehlo.cholesky", &[x], "lower = true", x.kind());
    let rank = target.shape.rank();
    let kind = TensorType::new(Element::I32, target.shape.clone());
    let [rows, columns] = [rank - 2, rank - 1].map(|axis| context.builder.iota(kind.clone(), axis));
    let factor = columns.le(rows).select(factor, 0.0);
    context.check(
        factor.is_finite(),
        target,
        "expected positive definite matrices; add a small multiple of the identity, or pass the Cholesky factor instead",
    );
    factor
}

/// See [`stochgrad_tape::Op::TriangularSolve`].
pub fn triangular_solve<'b>(
    context: &Context<'b>,
    [triangle, right]: [&Operand<'b>; 2],
    transpose: bool,
    target: &Target<'_>,
) -> Value<'b> {
    let event = &target.shape[target.plates.len()..];
    let rows = event[event.len() - 2];
    let square: Vec<usize> = event[..event.len() - 2].iter().copied().chain([rows, rows]).collect();
    let triangle = context.spread(triangle, target.plates, &square);
    let right = context.aligned(right, target);
    if target.shape.numel() == 0 {
        return right;
    }
    let transposed = if transpose { "TRANSPOSE" } else { "NO_TRANSPOSE" };
    let attributes = format!(
        "left_side = true, lower = true, unit_diagonal = false, transpose_a = #stablehlo<transpose {transposed}>"
    );
    context.builder.op("stablehlo.triangular_solve", &[triangle, right], &attributes, right.kind())
}
