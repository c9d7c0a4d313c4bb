//! The table of operations that can run on devices.

use crate::cases::Case;
use crate::coverage::{all_cases, names, values, variants};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use stochgrad_tape::{Op, Program, Tape, ValueOrigin, Var};
use stochgrad_xla::XlaError;
use stochgrad_xla::lowering::stablehlo;

const START: &str = "# Operations on devices

Which operations are lowered to StableHLO. The test `operations` of `stochgrad-check` writes this page, and compares the
results of all operations on a device with those of the CPU.

";

/// The enums of operations, with their source files and what they are.
const ENUMS: [(&str, &str, &str); 6] = [
    ("Op", "stochgrad-tape/src/op/mod.rs", "operations of the tape"),
    ("PlateReduction", "stochgrad-tape/src/op/mod.rs", "reductions over a plate"),
    ("Map", "stochgrad-tensor/src/kernels/map/function.rs", "functions of an element"),
    ("Zip", "stochgrad-tensor/src/kernels/zip/function.rs", "functions of a pair of elements"),
    ("Reduce", "stochgrad-tensor/src/kernels/reduce/reduction.rs", "reductions over axes"),
    ("Special", "stochgrad-tape/src/op/special/function.rs", "special functions"),
];

/// Operations that are in no list: their values are those of operands, or arguments and constants.
const NEVER: [&str; 7] =
    ["Op::Leaf", "Op::Detach", "Op::Estimated", "Op::MagicBox", "Op::Sample", "Map::OnesLike", "Map::ZerosLike"];

/// Operations that only the tests of `stochgrad-xla` lower: one needs several devices, and the value of the other is
/// that of an operand, unless both operands have different plates.
const ELSEWHERE: [&str; 2] = ["Op::AllReduce", "Op::StraightThrough"];

/// A program that keeps all values of a case and of its first two derivatives. Constants are inputs, since operations
/// on constants would not be in its list.
fn whole(case: &Case) -> Program<f64> {
    let tape = Tape::new();
    let (mut vars, values) = values(case, &tape);
    let is_constant = |value: &&Var<'_, f64>| matches!(value.op(), Some(Op::Leaf { trainable: false }));
    vars.extend(values.iter().filter(is_constant).copied());
    let values: Vec<Var<'_, f64>> = values.into_iter().filter(|value| !value.inputs().is_empty()).collect();
    tape.compile(&vars, &values).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// Operations that run code of the user, and what they must implement to be lowered.
fn described(name: &str) -> Option<&'static str> {
    match name {
        "Op::Custom" => Some("lowered if the primitive implements `Primitive::as_operations`"),
        "Op::Draw" => Some("lowered if the sampler implements `Sampler::as_operations`"),
        _ => None,
    }
}

/// For each operation that some case has, why it is not lowered, if it is not.
fn reasons() -> BTreeMap<String, Option<String>> {
    let mut reasons = BTreeMap::new();
    for case in all_cases().iter().flat_map(|(_, cases)| cases) {
        let program = whole(case);
        let listing = program.listing();
        let error = stablehlo(&listing).err();
        for value in listing.values() {
            let ValueOrigin::Operation(op) = value.origin else { continue };
            let refused = match &error {
                // Operations after the refused one may be lowered, and other cases have them.
                Some(XlaError::NoLowering { operation, reason, .. }) => {
                    Some((*operation == listing.name(&value)).then(|| reason.clone()))
                }
                Some(other) => panic!("{}: {other}", case.name),
                None => None,
            };
            for name in names(op) {
                match &refused {
                    None => {
                        reasons.entry(name).or_insert(None);
                    }
                    Some(Some(reason)) => {
                        reasons.insert(name, Some(reason.clone()));
                    }
                    Some(None) => {}
                }
            }
        }
    }
    reasons
}

fn table() -> String {
    let reasons = reasons();
    let mut text = START.to_owned();
    let mut lists = String::new();
    text += "| | operations | lowered |\n|---|---|---|\n";
    for (kind, path, what) in ENUMS {
        let all = variants(path, kind);
        let lowered = |name: &String| {
            let known = NEVER.contains(&name.as_str()) || ELSEWHERE.contains(&name.as_str());
            known || described(name).is_some() || reasons.get(name) == Some(&None)
        };
        let count = all.iter().filter(|name| lowered(name)).count();
        // Writing to a string does not fail.
        let _ = writeln!(text, "| `{kind}`, {what} | {} | {count} |", all.len());
        let _ = writeln!(lists, "\n## {kind}\n\n| operation | on a device |\n|---|---|");
        for name in &all {
            let short = name.rsplit("::").next().unwrap_or(name);
            let status = match reasons.get(name) {
                _ if NEVER.contains(&name.as_str()) => "computes nothing: an operand, an argument or a constant",
                _ if ELSEWHERE.contains(&name.as_str()) => "lowered",
                Some(None) => "lowered",
                Some(Some(reason)) => described(name).unwrap_or(reason),
                None => "no case",
            };
            let _ = writeln!(lists, "| `{short}` | {status} |");
        }
    }
    text + &lists
}

#[test]
fn the_table_of_operations_on_devices_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/devices/operations.md");
    let text = table();
    assert!(!text.contains("| no case |"), "an operation has no case:\n{text}");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == text,
        "expected {} to be current; write it with UPDATE_TABLES=1 cargo test -p stochgrad-check --test operations",
        path.display()
    );
}
