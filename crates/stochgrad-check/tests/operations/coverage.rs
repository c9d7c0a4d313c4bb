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

fn collect(op: &Op, seen: &mut BTreeSet<String>) {
    seen.insert(format!("Op::{}", variant(&format!("{op:?}"))));
    match op {
        Op::Map(map) => seen.insert(format!("Map::{}", variant(&format!("{map:?}")))),
        Op::Zip(zip) => seen.insert(format!("Zip::{zip:?}")),
        Op::Special(special) => seen.insert(format!("Special::{}", variant(&format!("{special:?}")))),
        Op::Reduce(reduce, _) => seen.insert(format!("Reduce::{reduce:?}")),
        Op::Detach(reason) => seen.insert(format!("DetachReason::{reason:?}")),
        Op::PlateReduce(_, how) => seen.insert(format!("PlateReduction::{how:?}")),
        _ => false,
    };
}

/// Collects the operations that a case records for its value, its gradient and its second derivative.
fn recorded(case: &Case, seen: &mut BTreeSet<String>) {
    let tape = Tape::new();
    let vars: Vec<Var<'_, f64>> = case.inputs.iter().map(|input| tape.parameter(input)).collect();
    let mut pending = Vec::new();
    let mut total = (case.function)(&tape, &vars);
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
    let mut visited = BTreeSet::new();
    while let Some(var) = pending.pop() {
        if visited.insert(var.id()) {
            var.op().iter().for_each(|op| collect(op, seen));
            pending.extend(var.inputs());
        }
    }
}

/// The names of the variants of an enum, read from its source.
fn variants(path: &str, name: &str) -> BTreeSet<String> {
    let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap();
    let (_, rest) = source.split_once(&format!("pub enum {name} {{")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_uppercase()))
        .map(|line| format!("{name}::{}", variant(line)))
        .collect()
}

#[test]
fn every_operation_is_covered() {
    let mut seen = BTreeSet::new();
    let groups = [
        map_cases(),
        zip_cases(),
        special_cases(),
        matrix_cases(),
        select_cases(),
        reduction_cases(),
        matmul_cases(),
        shape_cases(),
        order_cases(),
        lookup_cases(),
        image_cases(),
        plate_cases(),
        other_cases(),
        control_cases(),
    ];
    for case in groups.iter().flatten() {
        recorded(case, &mut seen);
    }
    let mut all = variants("stochgrad-tape/src/op/mod.rs", "Op");
    all.extend(variants("stochgrad-tape/src/op/mod.rs", "PlateReduction"));
    all.extend(variants("stochgrad-tape/src/op/mod.rs", "DetachReason"));
    all.extend(variants("stochgrad-tensor/src/kernels/map/function.rs", "Map"));
    all.extend(variants("stochgrad-tensor/src/kernels/zip.rs", "Zip"));
    all.extend(variants("stochgrad-tensor/src/kernels/reduce/reduction.rs", "Reduce"));
    all.extend(variants("stochgrad-tape/src/op/special/function.rs", "Special"));
    assert!(all.len() > 90, "expected more than 90 variants in the sources, got {}", all.len());
    let missing: Vec<&String> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "operations that no case records: {missing:?}");
}
