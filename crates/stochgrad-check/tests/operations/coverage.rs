//! Every variant of every operation is recorded by some case.

use crate::cases::Case;
use crate::control::control_cases;
use crate::elementwise::{map_cases, select_cases, zip_cases};
use crate::images::image_cases;
use crate::matrices::{matmul_cases, matrix_cases};
use crate::plates::plate_cases;
use crate::primitives::other_cases;
use crate::reductions::reduction_cases;
use crate::shapes::{lookup_cases, order_cases, shape_cases};
use crate::special::special_cases;
use std::collections::BTreeSet;
use std::path::Path;
use stochgrad_tape::{Op, Tape, Var};

/// The name of the variant: the first word of its debug form.
fn variant(debug: &str) -> String {
    debug.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// The names of an operation, and of the function in it.
pub(crate) fn names(op: &Op) -> Vec<String> {
    let inner = match op {
        Op::Map(map) => Some(format!("Map::{}", variant(&format!("{map:?}")))),
        Op::Zip(zip) => Some(format!("Zip::{zip:?}")),
        Op::Special(special) => Some(format!("Special::{}", variant(&format!("{special:?}")))),
        Op::Reduce(reduce, _) => Some(format!("Reduce::{reduce:?}")),
        Op::Detach(reason) => Some(format!("DetachReason::{reason:?}")),
        Op::PlateReduce(_, how) => Some(format!("PlateReduction::{how:?}")),
        _ => None,
    };
    std::iter::once(format!("Op::{}", variant(&format!("{op:?}")))).chain(inner).collect()
}

/// The parameters of a case, and all values that it records for its value, its gradient and its second derivative.
pub(crate) fn values<'t>(case: &Case, tape: &'t Tape<f64>) -> (Vec<Var<'t, f64>>, Vec<Var<'t, f64>>) {
    let vars: Vec<Var<'_, f64>> = case.inputs.iter().map(|input| tape.parameter(input)).collect();
    let mut pending = Vec::new();
    let mut total = (case.function)(tape, &vars);
    for _ in 0..2 {
        total = total.sum().square();
        for plate in total.plates() {
            total = total.sum_over(plate);
        }
        pending.push(total);
        let gradients = tape.gradients(total, &vars).unwrap();
        pending.extend(&gradients);
        total = gradients.iter().fold(tape.constant(0.0), |sum, gradient| sum + gradient.square().sum());
    }
    let (mut visited, mut values) = (BTreeSet::new(), Vec::new());
    while let Some(var) = pending.pop() {
        if visited.insert(var.id()) {
            values.push(var);
            pending.extend(var.inputs());
        }
    }
    (vars, values)
}

/// The names of the variants of an enum, read from its source.
pub(crate) fn variants(path: &str, name: &str) -> BTreeSet<String> {
    let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap();
    let (_, rest) = source.split_once(&format!("pub enum {name} {{")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_uppercase()))
        .map(|line| format!("{name}::{}", variant(line)))
        .collect()
}

/// All cases, in groups with a name.
pub(crate) fn all_cases() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("functions of an element", map_cases()),
        ("functions of pairs", zip_cases()),
        ("special functions", special_cases()),
        ("matrices", matrix_cases()),
        ("choices", select_cases()),
        ("reductions", reduction_cases()),
        ("products", matmul_cases()),
        ("shapes", shape_cases()),
        ("orders", order_cases()),
        ("lookups", lookup_cases()),
        ("images", image_cases()),
        ("plates", plate_cases()),
        ("primitives", other_cases()),
        ("control", control_cases()),
    ]
}

#[test]
fn every_operation_is_covered() {
    let mut seen = BTreeSet::new();
    for (_, cases) in all_cases() {
        for case in &cases {
            let tape = Tape::new();
            seen.extend(values(case, &tape).1.iter().filter_map(|value| value.op()).flat_map(|op| names(&op)));
        }
    }
    let mut all = variants("stochgrad-tape/src/op/mod.rs", "Op");
    all.extend(variants("stochgrad-tape/src/op/mod.rs", "PlateReduction"));
    all.extend(variants("stochgrad-tape/src/op/mod.rs", "DetachReason"));
    all.extend(variants("stochgrad-tensor/src/kernels/map/function.rs", "Map"));
    all.extend(variants("stochgrad-tensor/src/kernels/zip/function.rs", "Zip"));
    all.extend(variants("stochgrad-tensor/src/kernels/reduce/reduction.rs", "Reduce"));
    all.extend(variants("stochgrad-tape/src/op/special/function.rs", "Special"));
    assert!(all.len() > 90, "expected more than 90 variants in the sources, got {}", all.len());
    // Its value is known only when the programs of all shards run. The test `shards` of the crate `stochgrad-tape`
    // compares its derivatives with those of the whole plate.
    all.remove("Op::AllReduce");
    // It has no second derivative. The test `randomized_backward` compares the first ones with exact moments.
    all.remove("Op::Estimated");
    let missing: Vec<&String> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "operations that no case records: {missing:?}");
}
