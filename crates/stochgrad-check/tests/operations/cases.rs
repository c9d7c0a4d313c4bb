//! Cases of the gradient check, and the values and layouts of plates that they use.

use stochgrad_check::gradient_check;
use stochgrad_tape::{Plate, PlateKind, Tape, Var};
use stochgrad_tensor::Tensor;

type Function = Box<dyn for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>>;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) inputs: Vec<Tensor<f64>>,
    pub(crate) function: Function,
}

pub(crate) fn case<G>(name: impl Into<String>, inputs: Vec<Tensor<f64>>, function: G) -> Case
where
    G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64> + 'static,
{
    Case { name: name.into(), inputs, function: Box::new(function) }
}

pub(crate) fn check(cases: Vec<Case>) {
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            gradient_check(&case.function, &case.inputs).err().map(|error| format!("{}: {error}", case.name))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Pseudo-random values between `low` and `high`, at least 0.05 away from every integer.
pub(crate) fn numbers(shape: &[usize], low: f64, high: f64, seed: u64) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| {
        let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.wrapping_mul(0xd1b5_4a32_d192_ed03);
        let bits = (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let x = low + (high - low) * (bits >> 11) as f64 / (1_u64 << 53) as f64;
        if (x - x.round()).abs() < 0.05 { x.round() + if x < x.round() { -0.07 } else { 0.07 } } else { x }
    })
}

pub(crate) fn real(shape: &[usize], seed: u64) -> Tensor<f64> {
    numbers(shape, -1.9, 1.9, seed)
}

pub(crate) fn positive(shape: &[usize], seed: u64) -> Tensor<f64> {
    numbers(shape, 0.3, 2.4, seed)
}

pub(crate) fn rows(tape: &Tape<f64>, size: usize) -> Plate {
    tape.plate("rows", size, PlateKind::Data, &[])
}

/// Two plates, of 2 and of 3 members.
pub(crate) fn two_plates(tape: &Tape<f64>) -> [Plate; 2] {
    let outer = tape.plate("outer", 2, PlateKind::Data, &[]);
    [outer, tape.plate("inner", 3, PlateKind::Samples, &[outer])]
}

/// The ways to place two operands on up to two plates and to broadcast them, with the shapes of both operands. A shape
/// starts with the axes that move to plates.
pub(crate) fn layouts() -> Vec<(&'static str, Vec<usize>, Vec<usize>)> {
    vec![
        ("no plates", vec![2, 3], vec![2, 3]),
        ("no plates, a scalar with a vector", vec![], vec![3]),
        ("no plates, a vector with a scalar", vec![3], vec![]),
        ("no plates, a missing axis", vec![3], vec![2, 3]),
        ("no plates, sizes 1 on both sides", vec![2, 1, 3], vec![1, 4, 1]),
        ("no plates, sizes 1 and a missing axis", vec![2, 1, 3], vec![4, 1]),
        ("no plates, one element of rank 2 with a scalar", vec![1, 1], vec![]),
        ("no plates, a missing axis of size 1", vec![1, 3], vec![3]),
        ("both on a plate", vec![2, 3], vec![2, 3]),
        ("left on a plate", vec![2, 3], vec![3]),
        ("right on a plate", vec![3], vec![2, 3]),
        ("left on a plate, a scalar there", vec![2], vec![4]),
        ("left on a plate, right wider", vec![2, 3], vec![4, 1]),
        ("right on a plate, left wider", vec![4, 1], vec![2, 3]),
        ("different plates", vec![2, 4], vec![3, 4]),
        ("different plates, scalars", vec![2], vec![3]),
        ("different plates, broadcast", vec![2, 1, 2], vec![3, 2, 1]),
        ("left on two plates, right on none", vec![2, 3, 2], vec![2]),
        ("left on two plates, right on the inner one", vec![2, 3, 2], vec![3, 1]),
        ("left on the outer plate, right on both", vec![2, 2], vec![2, 3]),
    ]
}

/// Moves event axes to the plates that a layout names.
pub(crate) fn lay_out<'t>(
    tape: &'t Tape<f64>,
    layout: &str,
    left: Var<'t, f64>,
    right: Var<'t, f64>,
) -> (Var<'t, f64>, Var<'t, f64>) {
    let [outer, inner] = two_plates(tape);
    let both = |x: Var<'t, f64>| x.event_to_plate(outer).event_to_plate(inner);
    match layout.split(',').next().unwrap_or_default() {
        "no plates" => (left, right),
        "both on a plate" => (left.event_to_plate(outer), right.event_to_plate(outer)),
        "left on a plate" => (left.event_to_plate(outer), right),
        "right on a plate" => (left, right.event_to_plate(outer)),
        "different plates" => (left.event_to_plate(outer), right.event_to_plate(inner)),
        "left on two plates" if layout.contains("inner one") => (both(left), right.event_to_plate(inner)),
        "left on two plates" => (both(left), right),
        "left on the outer plate" => (left.event_to_plate(outer), both(right)),
        other => panic!("no layout {other}"),
    }
}
