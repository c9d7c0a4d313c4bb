//! Every operation of the tape: first and second derivatives against central differences.

use approx::assert_abs_diff_eq;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use stochgrad_check::gradient_check;
use stochgrad_tape::{
    Fill, NoiseSeed, Op, Plate, PlateKind, Primitive, PrimitiveInputs, Smoothness, Tape, Var, Weights, special,
};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape, Tensor};

type Function = Box<dyn for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>>;

struct Case {
    name: String,
    inputs: Vec<Tensor<f64>>,
    function: Function,
}

fn case<G>(name: impl Into<String>, inputs: Vec<Tensor<f64>>, function: G) -> Case
where
    G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64> + 'static,
{
    Case { name: name.into(), inputs, function: Box::new(function) }
}

fn check(cases: Vec<Case>) {
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            gradient_check(&case.function, &case.inputs).err().map(|error| format!("{}: {error}", case.name))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Numbers between `low` and `high` without a pattern, at least 0.05 away from the integers and from 0.
fn numbers(shape: &[usize], low: f64, high: f64, seed: u64) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| {
        let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.wrapping_mul(0xd1b5_4a32_d192_ed03);
        let bits = (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let x = low + (high - low) * (bits >> 11) as f64 / (1_u64 << 53) as f64;
        if (x - x.round()).abs() < 0.05 { x.round() + if x < x.round() { -0.07 } else { 0.07 } } else { x }
    })
}

fn real(shape: &[usize], seed: u64) -> Tensor<f64> {
    numbers(shape, -1.9, 1.9, seed)
}

fn positive(shape: &[usize], seed: u64) -> Tensor<f64> {
    numbers(shape, 0.3, 2.4, seed)
}

fn rows(tape: &Tape<f64>, size: usize) -> Plate {
    tape.plate("rows", size, PlateKind::Data, &[])
}

/// Two plates, of 2 and of 3 members.
fn two_plates(tape: &Tape<f64>) -> [Plate; 2] {
    let outer = tape.plate("outer", 2, PlateKind::Data, &[]);
    [outer, tape.plate("inner", 3, PlateKind::Samples, &[outer])]
}

fn smooth_maps() -> Vec<(Map, bool)> {
    vec![
        (Map::Neg, false),
        (Map::Exp, false),
        (Map::Ln, true),
        (Map::LnHeld, true),
        (Map::Log1p, true),
        (Map::Expm1, false),
        (Map::Sqrt, true),
        (Map::Square, false),
        (Map::Recip, true),
        (Map::Abs, false),
        (Map::Sign, false),
        (Map::Sin, false),
        (Map::Cos, false),
        (Map::Tanh, false),
        (Map::Sigmoid, false),
        (Map::Softplus, false),
        (Map::Log1pSquare, false),
        (Map::Log1pSquareSlope, false),
        (Map::Relu, false),
        (Map::LeakyRelu(0.2), false),
        (Map::Erf, false),
        (Map::Lgamma, true),
        (Map::Polygamma(0), true),
        (Map::Polygamma(1), true),
        (Map::Polygamma(2), true),
        (Map::Floor, false),
        (Map::Ceil, false),
        (Map::Step, false),
        (Map::LeakyStep(0.3), false),
        (Map::AddScalar(0.7), false),
        (Map::MulScalar(-1.3), false),
        (Map::RsubScalar(0.4), false),
        (Map::RdivScalar(1.7), true),
        (Map::PowScalar(0.0), true),
        (Map::PowScalar(1.0), false),
        (Map::PowScalar(2.0), false),
        (Map::PowScalar(3.0), false),
        (Map::PowScalar(-1.0), true),
        (Map::PowScalar(0.5), true),
        (Map::PowScalar(2.7), true),
        (Map::PowScalar(-1.6), true),
        (Map::MaxScalar(0.0), false),
        (Map::MinScalar(0.0), false),
        (Map::Clamp(-1.0, 1.0), false),
        (Map::Within(-1.0, 1.0), false),
        (Map::Guard(2.0), false),
        (Map::Unguard, false),
        (Map::OnesLike, false),
        (Map::ZerosLike, false),
        (Map::IsNan, false),
    ]
}

fn map_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (map, needs_positive) in smooth_maps() {
        let numbers = |shape: &[usize], seed| {
            if needs_positive { positive(shape, seed) } else { real(shape, seed) }
        };
        cases.push(case(format!("{map:?}"), vec![numbers(&[5], 1)], move |_, x| x[0].map(map)));
        cases.push(case(
            format!("{map:?} of a plate, times another value"),
            vec![numbers(&[3, 2], 2), real(&[2], 3)],
            move |tape, x| x[0].event_to_plate(rows(tape, 3)).map(map) * x[1],
        ));
    }
    let away_from_halves = Tensor::from([0.3, -1.2, 1.8, 0.7]);
    cases.push(case("Round", vec![away_from_halves], |_, x| x[0].map(Map::Round) * x[0]));
    cases
}

#[test]
fn functions_of_one_operand() {
    check(map_cases());
}

const SMOOTH_ZIPS: [Zip; 14] = [
    Zip::Add,
    Zip::Sub,
    Zip::SubUnguarded,
    Zip::Mul,
    Zip::Div,
    Zip::Pow,
    Zip::Maximum,
    Zip::Minimum,
    Zip::Greater,
    Zip::GreaterEqual,
    Zip::Less,
    Zip::LessEqual,
    Zip::Equal,
    Zip::NotEqual,
];

/// The ways in which two operands can be laid out on up to two plates and broadcast. `left` and `right` are shapes with
/// room for the plates in front.
fn layouts() -> Vec<(&'static str, Vec<usize>, Vec<usize>)> {
    vec![
        ("no plates", vec![2, 3], vec![2, 3]),
        ("no plates, a number with a vector", vec![], vec![3]),
        ("no plates, a vector with a number", vec![3], vec![]),
        ("no plates, a missing axis", vec![3], vec![2, 3]),
        ("no plates, sizes 1 on both sides", vec![2, 1, 3], vec![1, 4, 1]),
        ("no plates, sizes 1 and a missing axis", vec![2, 1, 3], vec![4, 1]),
        ("no plates, one element of rank 2 with a number", vec![1, 1], vec![]),
        ("no plates, a missing axis of size 1", vec![1, 3], vec![3]),
        ("both on a plate", vec![2, 3], vec![2, 3]),
        ("left on a plate", vec![2, 3], vec![3]),
        ("right on a plate", vec![3], vec![2, 3]),
        ("left on a plate, a number there", vec![2], vec![4]),
        ("left on a plate, right wider", vec![2, 3], vec![4, 1]),
        ("right on a plate, left wider", vec![4, 1], vec![2, 3]),
        ("different plates", vec![2, 4], vec![3, 4]),
        ("different plates, numbers", vec![2], vec![3]),
        ("different plates, broadcast", vec![2, 1, 2], vec![3, 2, 1]),
        ("left on two plates, right on none", vec![2, 3, 2], vec![2]),
        ("left on two plates, right on the inner one", vec![2, 3, 2], vec![3, 1]),
        ("left on the outer plate, right on both", vec![2, 2], vec![2, 3]),
    ]
}

/// Moves event axes to the plates that the layout names.
fn lay_out<'t>(
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

fn zip_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, zip) in SMOOTH_ZIPS.into_iter().enumerate() {
        for (layout, left, right) in layouts() {
            let inputs = vec![positive(&left, 10 + at as u64), positive(&right, 110 + at as u64)];
            cases.push(case(format!("{zip:?}, {layout}"), inputs, move |tape, x| {
                let (left, right) = lay_out(tape, layout, x[0], x[1]);
                left.zip(zip, right)
            }));
        }
        cases.push(case(format!("{zip:?} of a value with itself"), vec![positive(&[3], 7)], move |_, x| {
            x[0].zip(zip, x[0] * 1.5)
        }));
    }
    cases
}

#[test]
fn functions_of_two_operands() {
    check(zip_cases());
}

fn select_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (layout, left, right) in layouts() {
        let inputs = vec![real(&left, 20), real(&right, 21)];
        cases.push(case(format!("select, {layout}"), inputs.clone(), move |tape, x| {
            let (left, right) = lay_out(tape, layout, x[0], x[1]);
            left.step().select(left * right, right.exp())
        }));
        cases.push(case(format!("select by the right, {layout}"), inputs, move |tape, x| {
            let (left, right) = lay_out(tape, layout, x[0], x[1]);
            right.step().select(left, right)
        }));
    }
    cases.push(case("select by a value on a plate of its own", vec![real(&[3], 22), real(&[2], 23)], |tape, x| {
        let [_, inner] = two_plates(tape);
        let condition = tape.constant([1.0, 0.0, 1.0]).event_to_plate(inner);
        condition.select(x[0], x[1].sum())
    }));
    cases
}

#[test]
fn choices() {
    check(select_cases());
}

fn reduction_cases() -> Vec<Case> {
    type Reduction = for<'t> fn(Var<'t, f64>, isize) -> Var<'t, f64>;
    let along: [(&str, Reduction); 10] = [
        ("sum_axis", |x, axis| x.sum_axis(axis)),
        ("mean_axis", |x, axis| x.mean_axis(axis)),
        ("max_axis", |x, axis| x.max_axis(axis)),
        ("logsumexp", |x, axis| x.logsumexp(axis)),
        ("softmax", |x, axis| x.softmax(axis)),
        ("log_softmax", |x, axis| x.log_softmax(axis)),
        ("cumsum", |x, axis| x.cumsum(axis)),
        ("softmax of a sum", |x, axis| x.softmax(axis).sum_axis(axis)),
        ("square of a sum", |x, axis| (x * x.sum_axis(axis).unsqueeze(axis)).tanh()),
        ("argmax", |x, axis| x * x.argmax(axis).unsqueeze(axis)),
    ];
    let mut cases = Vec::new();
    for (name, reduce) in along {
        for axis in 0..3 {
            cases.push(case(format!("{name} {axis}"), vec![real(&[2, 3, 2], 30)], move |_, x| reduce(x[0], axis)));
            cases.push(case(
                format!("{name} {axis}, two axes summed afterwards"),
                vec![real(&[2, 3, 2], 31)],
                move |_, x| {
                    let y = reduce(x[0], axis);
                    (y.sum_axis(0).sin()).sum_last(1)
                },
            ));
        }
        for axis in [-1, 0] {
            cases.push(case(format!("{name} {axis} on two plates"), vec![real(&[2, 3, 2, 2], 32)], move |tape, x| {
                let [outer, inner] = two_plates(tape);
                reduce(x[0].event_to_plate(outer).event_to_plate(inner), axis)
            }));
        }
        cases.push(case(format!("{name} of size 1"), vec![real(&[1, 2], 33)], move |_, x| reduce(x[0], 0) + x[0]));
    }
    type Whole = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let whole: [(&str, Whole); 6] = [
        ("sum", |x| x.sum()),
        ("mean", |x| x.mean()),
        ("max", |x| x.max()),
        ("sum_last 2", |x| x.sum_last(2)),
        ("sum_last 0", |x| x.sum_last(0)),
        ("two sums", |x| x.sum_axis(0).sum_axis(0)),
    ];
    for (name, reduce) in whole {
        cases.push(case(name, vec![real(&[2, 3], 34)], move |_, x| reduce(x[0])));
        cases.push(case(format!("{name} on a plate"), vec![real(&[3, 2, 2], 35)], move |tape, x| {
            reduce(x[0].event_to_plate(rows(tape, 3)))
        }));
        cases.push(case(format!("{name} of rank 0 on a plate"), vec![real(&[3], 36)], move |tape, x| {
            let x = x[0].event_to_plate(rows(tape, 3));
            if name == "two sums" { x } else { reduce(x) }
        }));
    }
    cases
}

#[test]
fn reductions_and_functions_along_axes() {
    check(reduction_cases());
}

fn matmul_cases() -> Vec<Case> {
    let forms: [(&str, &[usize], &[usize]); 13] = [
        ("matrix, weights", &[2, 3], &[3, 4]),
        ("row, weights", &[3], &[3, 4]),
        ("matrix, column", &[2, 3], &[3]),
        ("row, column", &[3], &[3]),
        ("batch of matrices, weights", &[2, 2, 3], &[3, 2]),
        ("batch of matrices, column", &[2, 2, 3], &[3]),
        ("batch, batch", &[2, 2, 3], &[2, 3, 2]),
        ("batch, broadcast batch", &[2, 1, 2, 3], &[3, 3, 2]),
        ("matrix, batch", &[2, 3], &[2, 3, 2]),
        ("row, batch", &[3], &[2, 3, 2]),
        ("batch of one, batch", &[1, 2, 3], &[2, 3, 2]),
        ("batch, batch of one", &[2, 2, 3], &[1, 3, 2]),
        ("one by one", &[1, 1], &[1, 1]),
    ];
    type Placed = for<'t> fn(&'t Tape<f64>, Var<'t, f64>, Var<'t, f64>) -> (Var<'t, f64>, Var<'t, f64>);
    let places: [(&str, &[usize], &[usize], Placed); 6] = [
        ("no plates", &[], &[], |_, a, b| (a, b)),
        ("left on a plate", &[2], &[], |tape, a, b| (a.event_to_plate(two_plates(tape)[0]), b)),
        ("right on a plate", &[], &[2], |tape, a, b| (a, b.event_to_plate(two_plates(tape)[0]))),
        ("both on a plate", &[2], &[2], |tape, a, b| {
            let [outer, _] = two_plates(tape);
            (a.event_to_plate(outer), b.event_to_plate(outer))
        }),
        ("on different plates", &[2], &[3], |tape, a, b| {
            let [outer, inner] = two_plates(tape);
            (a.event_to_plate(outer), b.event_to_plate(inner))
        }),
        ("left on two plates", &[2, 3], &[], |tape, a, b| {
            let [outer, inner] = two_plates(tape);
            (a.event_to_plate(outer).event_to_plate(inner), b)
        }),
    ];
    let mut cases = Vec::new();
    for (form, left, right) in forms {
        for (place, before_left, before_right, placed) in places {
            let shape =
                |before: &[usize], event: &[usize]| -> Vec<usize> { before.iter().chain(event).copied().collect() };
            let inputs = vec![real(&shape(before_left, left), 40), real(&shape(before_right, right), 41)];
            cases.push(case(format!("matmul of {form}, {place}"), inputs, move |tape, x| {
                let (a, b) = placed(tape, x[0], x[1]);
                a.matmul(b)
            }));
        }
    }
    cases.push(case(
        "two layers",
        vec![real(&[4, 3], 42), real(&[3, 3], 43), real(&[3], 44), real(&[3, 2], 45)],
        |tape, x| {
            let batch = x[0].event_to_plate(rows(tape, 4));
            (batch.matmul(x[1]) + x[2]).tanh().matmul(x[3])
        },
    ));
    cases.push(case("weights transposed", vec![real(&[4, 3], 46), real(&[2, 3], 47)], |_, x| {
        x[0].matmul(x[1].transpose())
    }));
    cases
        .push(case("a matrix with itself", vec![real(&[3, 3], 48)], |_, x| x[0].matmul(x[0]).matmul(x[0].transpose())));
    cases
}

#[test]
fn matrix_products() {
    check(matmul_cases());
}

fn shape_cases() -> Vec<Case> {
    type Reshaped = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let changes: [(&str, Reshaped); 17] = [
        ("reshape", |x| x.reshape([3, 4])),
        ("reshape to rank 1", |x| x.reshape([12])),
        ("permute", |x| x.permute(&[2, 0, 1])),
        ("permute and sum", |x| x.permute(&[1, 2, 0]).sum_axis(1)),
        ("transpose", |x| x.transpose()),
        ("slice", |x| x.slice(1, 1..3)),
        ("slice of nothing", |x| x.slice(1, 1..1)),
        ("slice of all", |x| x.slice(-1, 0..2)),
        ("slices that overlap", |x| x.slice(1, 0..2) * x.slice(1, 1..3)),
        ("index", |x| x.index(1, 2)),
        ("index_select", |x| x.index_select(1, &[2, 0, 2, 2])),
        ("index_select of an index_select", |x| x.index_select(0, &[1, 1]).index_select(-1, &[0, 1, 0])),
        ("unsqueeze", |x| x.unsqueeze(1) * x.sum_axis(0).unsqueeze(0)),
        ("broadcast_to", |x| x.sum_axis(1).unsqueeze(1).broadcast_to([5, 2, 3, 2])),
        ("slice of a sum", |x| x.sum_axis(0).slice(0, 0..2)),
        ("reshape of a sum", |x| x.sum_axis(0).reshape([2, 3])),
        ("index of a softmax", |x| x.softmax(1).index(1, 0)),
    ];
    let mut cases = Vec::new();
    for (name, change) in changes {
        cases.push(case(name, vec![real(&[2, 3, 2], 50)], move |_, x| change(x[0])));
        cases.push(case(format!("{name} on two plates"), vec![real(&[2, 3, 2, 3, 2], 51)], move |tape, x| {
            let [outer, inner] = two_plates(tape);
            change(x[0].event_to_plate(outer).event_to_plate(inner))
        }));
        cases.push(case(
            format!("{name} of a product over a plate"),
            vec![real(&[2, 3, 2], 52), real(&[2], 53)],
            move |tape, x| change(x[0] * x[1].event_to_plate(two_plates(tape)[0])).sin(),
        ));
    }
    for axis in [0_isize, 1] {
        let inputs = vec![real(&[2, 2], 54), real(&[2, 2], 55)];
        cases.push(case(format!("concat {axis}"), inputs.clone(), move |_, x| {
            Var::concat(&[x[0], x[1], x[0]], axis).unwrap()
        }));
        cases.push(case(format!("concat {axis} of plates"), inputs, move |tape, x| {
            let [outer, _] = two_plates(tape);
            let on_plate = x[0].event_to_plate(outer).unsqueeze(0);
            Var::concat(&[on_plate, x[1].slice(0, 0..1)], axis).unwrap().sin()
        }));
    }
    cases.push(case(
        "concat of different plates",
        vec![real(&[2, 2], 56), real(&[3, 4], 57), real(&[1], 58)],
        |tape, x| {
            let [outer, inner] = two_plates(tape);
            Var::concat(&[x[0].event_to_plate(outer), x[1].event_to_plate(inner), x[2]], 0).unwrap()
        },
    ));
    cases.push(case("stack", vec![real(&[2, 3], 59), real(&[2, 3], 60)], |_, x| {
        Var::stack(&[x[0], x[1], x[0] * x[1]]).unwrap()
    }));
    cases.push(case("gather", vec![real(&[2, 3], 61)], |tape, x| {
        x[0].gather(1, tape.constant([[0.0, 2.0, 2.0, 1.0], [1.0, 1.0, 0.0, 2.0]]))
    }));
    cases.push(case("gather along the first axis", vec![real(&[3, 2], 62)], |tape, x| {
        x[0].gather(0, tape.constant([[2.0, 2.0], [0.0, 2.0]])).exp()
    }));
    cases.push(case("gather by an index that is broadcast", vec![real(&[2, 3], 63)], |tape, x| {
        x[0].gather(1, tape.constant([[2.0, 2.0]]))
    }));
    cases.push(case("gather from a value that is broadcast", vec![real(&[1, 3], 64)], |tape, x| {
        x[0].gather(1, tape.constant([[0.0, 2.0], [1.0, 1.0]]))
    }));
    cases.push(case("gather by an index on a plate", vec![real(&[3], 65)], |tape, x| {
        let index = tape.constant([[0.0], [2.0]]).event_to_plate(two_plates(tape)[0]);
        x[0].gather(0, index).square()
    }));
    cases.push(case("gather from a plate", vec![real(&[2, 3], 66)], |tape, x| {
        x[0].event_to_plate(two_plates(tape)[0]).gather(0, tape.constant([2.0, 1.0, 2.0]))
    }));
    cases.push(case("gather from one plate by an index on another", vec![real(&[2, 3], 67)], |tape, x| {
        let [outer, inner] = two_plates(tape);
        let index = tape.constant([[0.0, 1.0], [2.0, 2.0], [0.0, 0.0]]).event_to_plate(inner);
        x[0].event_to_plate(outer).gather(-1, index)
    }));
    cases.push(case("one_hot of argmax", vec![real(&[2, 3], 68)], |_, x| x[0] * x[0].argmax(1).one_hot(3)));
    cases
}

#[test]
fn changes_of_shape() {
    check(shape_cases());
}

fn weighted<'t>(tape: &'t Tape<f64>, plate: Plate, weights: Var<'t, f64>) {
    tape.set_weights(plate, Weights::Given { id: weights.id(), differentiable: true });
}

fn plate_cases() -> Vec<Case> {
    type Removal = for<'t> fn(Var<'t, f64>, Plate) -> Var<'t, f64>;
    let removals: [(&str, Removal); 6] = [
        ("sum_over", |x, plate| x.sum_over(plate)),
        ("mean_over", |x, plate| x.mean_over(plate)),
        ("log_mean_exp_over", |x, plate| x.log_mean_exp_over(plate)),
        ("deviation from the mean", |x, plate| (x - x.mean_over(plate)).square()),
        ("member", |x, plate| x.expand_plates(&[plate]).member(plate, 1)),
        ("plate_to_event", |x, plate| x.expand_plates(&[plate]).plate_to_event(plate)),
    ];
    let mut cases = Vec::new();
    for (name, remove) in removals {
        cases.push(case(name, vec![real(&[2, 3], 70)], move |tape, x| {
            let plate = two_plates(tape)[0];
            remove(x[0].event_to_plate(plate), plate)
        }));
        cases.push(case(format!("{name} of numbers"), vec![real(&[2], 71)], move |tape, x| {
            let plate = two_plates(tape)[0];
            remove(x[0].event_to_plate(plate), plate)
        }));
        cases.push(case(format!("{name} of a value that lacks the plate"), vec![real(&[3], 72)], move |tape, x| {
            remove(x[0], two_plates(tape)[0])
        }));
        for which in [0, 1] {
            cases.push(case(format!("{name}, plate {which} of two"), vec![real(&[2, 3, 2], 73)], move |tape, x| {
                let plates = two_plates(tape);
                remove(x[0].event_to_plate(plates[0]).event_to_plate(plates[1]), plates[which]).tanh()
            }));
            cases.push(case(
                format!("{name}, one plate after the other, {which} first"),
                vec![real(&[2, 3, 2], 74)],
                move |tape, x| {
                    let plates = two_plates(tape);
                    let y = remove(x[0].event_to_plate(plates[0]).event_to_plate(plates[1]), plates[which]);
                    if y.plates().contains(&plates[1 - which]) { remove(y, plates[1 - which]) } else { y }
                },
            ));
        }
        cases.push(case(
            format!("{name} with given weights"),
            vec![real(&[2, 3], 75), positive(&[2], 76)],
            move |tape, x| {
                let plate = two_plates(tape)[0];
                weighted(tape, plate, x[1].event_to_plate(plate));
                remove(x[0].event_to_plate(plate), plate)
            },
        ));
        cases.push(case(
            format!("{name} with given weights on two plates"),
            vec![real(&[3, 2], 77), positive(&[2, 3], 78)],
            move |tape, x| {
                let [outer, inner] = two_plates(tape);
                weighted(tape, inner, x[1].event_to_plate(outer).event_to_plate(inner));
                remove(x[0].event_to_plate(inner), inner)
            },
        ));
        cases.push(case(
            format!("{name} with given weights, of a value that lacks the plate"),
            vec![real(&[2], 79), positive(&[3], 80)],
            move |tape, x| {
                let [_, inner] = two_plates(tape);
                weighted(tape, inner, x[1].event_to_plate(inner));
                remove(x[0], inner)
            },
        ));
    }
    cases.push(case("weighted_sum_over", vec![real(&[2, 2], 81), real(&[2], 82)], |tape, x| {
        let plate = two_plates(tape)[0];
        x[0].event_to_plate(plate).weighted_sum_over(plate, x[1].event_to_plate(plate).softmax_weights(plate))
    }));
    cases.push(case("members times their weights", vec![real(&[3], 181), real(&[2, 3], 182)], |_, x| {
        x[0].zip(Zip::Weigh, x[1]).square()
    }));
    cases.push(case("members held by their weights", vec![real(&[3], 183)], |tape, x| {
        x[0].zip(Zip::Hold, tape.constant([0.0, 0.5, 0.25])).sin()
    }));
    cases.push(case(
        "weighted_sum_over with weights that lack the plate",
        vec![real(&[2, 2], 83), real(&[], 84)],
        |tape, x| {
            let plate = two_plates(tape)[0];
            x[0].event_to_plate(plate).weighted_sum_over(plate, x[1])
        },
    ));
    cases.push(case(
        "weighted_sum_over where nothing carries the plate",
        vec![real(&[2], 85), real(&[], 86)],
        |tape, x| x[0].weighted_sum_over(two_plates(tape)[0], x[1]).square(),
    ));
    cases.push(case(
        "weighted_sum_over with weights on another plate too",
        vec![real(&[2], 87), real(&[2, 3], 88)],
        |tape, x| {
            let [outer, inner] = two_plates(tape);
            x[0].event_to_plate(outer).weighted_sum_over(outer, x[1].event_to_plate(outer).event_to_plate(inner))
        },
    ));
    cases.push(case("expand_plates", vec![real(&[2], 89)], |tape, x| {
        (x[0].expand_plates(&two_plates(tape)) * x[0].exp()).sin()
    }));
    cases.push(case("there and back", vec![real(&[3, 2, 2], 90)], |tape, x| {
        let [outer, inner] = two_plates(tape);
        let moved = x[0].event_to_plate(inner).event_to_plate(outer);
        moved.plate_to_event(inner).sin() + moved.plate_to_event(outer).sum()
    }));
    cases.push(case("members differ", vec![real(&[3], 91)], |tape, x| {
        let [_, inner] = two_plates(tape);
        let x = x[0].event_to_plate(inner);
        x * x.member(inner, 2) * x.member(inner, 0)
    }));
    cases
}

/// Weights along a plate that sum to 1.
trait SoftmaxWeights {
    fn softmax_weights(self, plate: Plate) -> Self;
}

impl SoftmaxWeights for Var<'_, f64> {
    fn softmax_weights(self, plate: Plate) -> Self {
        self.exp() / self.exp().sum_over(plate)
    }
}

#[test]
fn plates() {
    check(plate_cases());
}

/// `a · b + sin a`, with a rule that leaves the summing down to the tape.
struct Mixed;

impl<F: Real> Primitive<F> for Mixed {
    fn name(&self) -> &str {
        "mixed"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [a, b] = inputs.values else {
            return Err(format!("expected 2 operands, got {}", inputs.values.len()));
        };
        let plates = inputs.plates.len();
        let rank = a.rank().max(b.rank()) - plates;
        let padded = |x: &Tensor<F>| {
            let (lead, event) = x.shape().split_at(plates);
            let ones = std::iter::repeat_n(1, rank - event.len());
            x.clone().with_shape(lead.iter().copied().chain(ones).chain(event.iter().copied()).collect::<Shape>())
        };
        let (a, b) = (padded(a), padded(b));
        let broadcast = Shape::broadcast(a.shape(), b.shape()).ok_or("expected shapes that broadcast")?;
        let Some(full) =
            Shape::broadcast(&broadcast, &inputs.plates.iter().copied().chain(std::iter::repeat_n(1, rank)).collect())
        else {
            return Err("expected sizes of the plates".into());
        };
        let at = |x: &Tensor<F>, flat: usize| {
            let mut rest = flat;
            let mut own = 0;
            for (axis, stride) in x.shape().strides().iter().enumerate() {
                let inner: usize = full[axis + 1..].iter().product();
                let index = rest / inner;
                rest %= inner;
                own += if x.shape()[axis] == 1 { 0 } else { index * stride };
            }
            x.as_slice()[own]
        };
        Ok(Tensor::from_fn(full.clone(), |i| at(&a, i) * at(&b, i) + at(&a, i).sin()))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint * (inputs[1] + inputs[0].cos())), Some(adjoint * inputs[0])]
    }
}

/// The exponential of the first operand; the second one is not used.
struct FirstOnly;

impl Primitive<f64> for FirstOnly {
    fn name(&self) -> &str {
        "first only"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        Ok(inputs.values[0].map(f64::exp))
    }

    fn gradient<'t>(
        &self,
        _: &[Var<'t, f64>],
        output: Var<'t, f64>,
        adjoint: Var<'t, f64>,
    ) -> Vec<Option<Var<'t, f64>>> {
        vec![Some(adjoint * output), None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }
}

fn other_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (layout, left, right) in layouts() {
        cases.push(case(
            format!("a primitive, {layout}"),
            vec![real(&left, 100), real(&right, 101)],
            move |tape, x| {
                let (left, right) = lay_out(tape, layout, x[0], x[1]);
                tape.custom(Arc::new(Mixed), &[left, right])
            },
        ));
    }
    cases.push(case("a primitive with a constant operand", vec![real(&[2], 102), real(&[2], 103)], |tape, x| {
        tape.custom(Arc::new(FirstOnly), &[x[0], x[1]]) * x[1]
    }));
    cases.push(case("sample", vec![real(&[2, 3], 104), real(&[3], 105)], |tape, x| {
        let plate = two_plates(tape)[0];
        let value = x[0].event_to_plate(plate);
        tape.sample(tape.new_site(), value, &[x[1], value]).sin() * x[1]
    }));
    cases
}

#[test]
fn primitives_and_samples() {
    check(other_cases());
}

/// Operations whose derivative is by design not that of their value; their tests are below.
fn control_cases() -> Vec<Case> {
    vec![
        case("stop_gradient", vec![real(&[2], 106)], |_, x| x[0].stop_gradient() * x[0]),
        case("dot on crossed plates", vec![real(&[2, 3], 113), real(&[4, 3], 114)], |tape, x| {
            let [rows, columns] = [2, 4].map(|size| tape.plate("plate", size, PlateKind::Data, &[]));
            x[0].event_to_plate(rows).dot(x[1].sin().event_to_plate(columns))
        }),
        case("dot with a common plate", vec![real(&[2, 3, 2], 115), real(&[4, 3, 2], 116)], |tape, x| {
            let [rows, common, columns] = [2, 3, 4].map(|size| tape.plate("plate", size, PlateKind::Data, &[]));
            let left = x[0].event_to_plate(rows).event_to_plate(common);
            let right = x[1].event_to_plate(columns).event_to_plate(common);
            right.dot(left * left) * left.sum()
        }),
        case("drawn", vec![real(&[2], 112)], |_, x| x[0].drawn() * x[0]),
        case("held", vec![real(&[2], 117)], |_, x| x[0].held() * x[0]),
        case("magic_box", vec![real(&[2], 107)], |_, x| x[0].magic_box()),
        case("straight_through", vec![real(&[2], 108)], |_, x| x[0].step().straight_through(x[0].sigmoid())),
        case("noise", vec![real(&[2], 109)], |tape, x| {
            let plate = tape.plate("samples", 3, PlateKind::Samples, &[]);
            let noise = tape.noise(NoiseSeed::default(), Fill::Normal, 1, &[plate], &Shape::from([2])).unwrap();
            (x[0] * noise).sin()
        }),
        case("categories", vec![real(&[2, 3], 111)], |tape, x| {
            let uniforms = tape.constant([0.2, 0.9]);
            x[0] * x[0].softmax(-1).categories(uniforms).one_hot(3)
        }),
        case("host values", vec![real(&[2], 110)], |tape, x| (x[0] * tape.host_value(|| 1.5)).exp()),
    ]
}

fn matrix_cases() -> Vec<Case> {
    // A matrix that is positive definite whatever the numbers are.
    fn definite<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        x.matmul(x.transpose()) + x.tape().constant(Tensor::eye(x.shape()[x.shape().len() - 1]))
    }
    vec![
        case("cholesky", vec![real(&[3, 3], 350)], |_, x| definite(x[0]).cholesky()),
        case("cholesky of many", vec![real(&[2, 2, 2], 351)], |tape, x| {
            definite(x[0].event_to_plate(rows(tape, 2))).cholesky()
        }),
        case("triangular_solve", vec![real(&[3, 3], 352), real(&[3, 2], 353)], |_, x| {
            definite(x[0]).cholesky().triangular_solve(x[1])
        }),
        case("transposed_triangular_solve", vec![real(&[3, 3], 354), real(&[3, 2], 355)], |_, x| {
            definite(x[0]).cholesky().transposed_triangular_solve(x[1])
        }),
        case("triangular_solve, broadcast", vec![real(&[2, 2], 356), real(&[3, 2, 1], 357)], |tape, x| {
            definite(x[0]).cholesky().triangular_solve(x[1].event_to_plate(rows(tape, 3)))
        }),
        case("triangular_solve with many triangles", vec![real(&[3, 2, 2], 358), real(&[2, 2], 359)], |_, x| {
            definite(x[0]).cholesky().triangular_solve(x[1])
        }),
        case("diagonals and triangles", vec![real(&[2, 3, 3], 360)], |_, x| {
            x[0].lower_triangle() * x[0] + x[0].diagonal().to_diagonal()
        }),
    ]
}

#[test]
fn matrices() {
    check(matrix_cases());
    let tape = Tape::<f64>::new();
    let error = tape.constant([[1.0, 2.0], [2.0, 1.0]]).cholesky().peek().unwrap_err().to_string();
    assert!(error.contains("positive definite") && error.contains("row 1"), "{error}");
}

fn special_cases() -> Vec<Case> {
    let unit = |shape: &[usize], seed| numbers(shape, 0.1, 0.85, seed);
    let counts = |values: [f64; 3]| Tensor::from(values);
    let mut cases = vec![
        case("erfc", vec![real(&[3], 300)], |_, x| special::erfc(x[0])),
        case("erf_inv", vec![unit(&[3], 301)], |_, x| special::erf_inv(x[0])),
        case("normal_cdf", vec![real(&[3], 302)], |_, x| special::normal_cdf(x[0])),
        case("normal_log_cdf", vec![real(&[3], 303)], |_, x| special::normal_log_cdf(x[0])),
        case("normal_icdf", vec![unit(&[3], 304)], |_, x| special::normal_icdf(x[0])),
        case("log1mexp", vec![positive(&[3], 305)], |_, x| special::log1mexp(-x[0])),
        case("atan", vec![real(&[3], 322)], |_, x| special::atan(x[0])),
        case("acot", vec![real(&[3], 323)], |_, x| special::acot(x[0])),
        case("log1p_square", vec![real(&[3], 324)], |_, x| special::log1p_square(x[0])),
        case("log1p_square far out", vec![Tensor::from([-3e9, 2e9])], |_, x| special::log1p_square(x[0])),
        case("gumbel_level_right", vec![positive(&[3], 325)], |_, x| special::gumbel_level_right(x[0])),
        case("gumbel_level_left", vec![positive(&[3], 326)], |_, x| special::gumbel_level_left(x[0])),
        case("bessel_ie", vec![real(&[3], 327)], |_, x| special::bessel_ie(x[0], 0) + special::bessel_ie(x[0], 2)),
        case("log_bessel_ie", vec![positive(&[3], 328)], move |tape, x| {
            special::log_bessel_ie(tape.constant(counts([0.0, 2.0, 5.0])), x[0])
        }),
        case("softplus_inverse", vec![positive(&[3], 329)], |_, x| special::softplus_inverse(x[0])),
        case("negative_binomial_log_pmf", vec![positive(&[3], 330), unit(&[3], 331)], move |tape, x| {
            special::negative_binomial_log_pmf(tape.constant(counts([0.0, 2.0, 5.0])), x[0], x[1])
        }),
        case("negative_binomial_log_pmf_by_logit", vec![positive(&[3], 332), real(&[3], 333)], move |tape, x| {
            special::negative_binomial_log_pmf_by_logit(tape.constant(counts([0.0, 2.0, 5.0])), x[0], x[1])
        }),
        case("von_mises_cdf by its argument", vec![real(&[3], 334)], |tape, x| {
            special::von_mises_cdf(x[0], tape.constant(1.7))
        }),
        case("beta_inc_inverse by its argument", vec![unit(&[3], 335)], |tape, x| {
            special::beta_inc_inverse(tape.constant(1.7), tape.constant(0.6), x[0])
        }),
        case("normal_icdf_of_log", vec![positive(&[3], 338)], |_, x| special::normal_icdf_of_log(-x[0])),
        case("normal_log_mills", vec![real(&[3], 339)], |_, x| special::normal_log_mills(x[0])),
        case("digamma_minus_log", vec![positive(&[3], 340)], |_, x| special::digamma_minus_log(x[0])),
        case("von_mises_gap", vec![positive(&[3], 341)], |_, x| special::von_mises_gap(x[0])),
        case("gamma_q_inverse by its argument", vec![unit(&[3], 342)], |tape, x| {
            special::gamma_q_inverse(tape.constant(1.7), x[0])
        }),
        case("log_sinhc", vec![real(&[3], 343)], |_, x| special::log_sinhc(x[0])),
        case("quantiles of counts", vec![unit(&[3], 392)], |tape, x| {
            let number = |x: f64| tape.constant(x);
            let counts = special::poisson_icdf(x[0], number(2.5))
                + special::binomial_icdf(x[0], number(9.0), number(0.3))
                + special::negative_binomial_icdf(x[0], number(2.5), number(0.3))
                + special::skellam_icdf(x[0], number(2.5), number(0.7));
            counts * x[0]
        }),
        case("normal_log_mass", vec![real(&[2, 1], 370), positive(&[3], 371)], |_, x| {
            special::normal_log_mass(x[0], x[0] + x[1])
        }),
        case("normal_log_mass_over_density", vec![real(&[2, 1], 372), positive(&[3], 373)], |_, x| {
            special::normal_log_mass_over_density(x[0], x[0] + x[1])
        }),
        case("truncated_normal_log_density", vec![unit(&[3], 345), real(&[3], 346), positive(&[2, 1], 347)], |_, x| {
            special::truncated_normal_log_density(x[1] + x[0] * x[2], x[1], x[1] + x[2])
        }),
        case("truncated_normal_cdf", vec![real(&[3], 374), unit(&[3], 375), positive(&[2, 1], 376)], |_, x| {
            special::truncated_normal_cdf(x[0] + x[1] * x[2], x[0], x[0] + x[2])
        }),
        case("truncated_normal_icdf", vec![unit(&[3], 377), real(&[3], 378), positive(&[2, 1], 379)], |_, x| {
            special::truncated_normal_icdf(x[0], x[1], x[1] + x[2])
        }),
        case("truncated_normal_mean", vec![real(&[2, 1], 380), positive(&[3], 381)], |_, x| {
            special::truncated_normal_mean(x[0], x[0] + x[1])
        }),
        case("truncated_normal_variance", vec![real(&[2, 1], 382), positive(&[3], 383)], |_, x| {
            special::truncated_normal_variance(x[0], x[0] + x[1])
        }),
        case("inverse_gaussian_icdf", vec![unit(&[3], 384), positive(&[3], 385), positive(&[2, 1], 386)], |_, x| {
            special::inverse_gaussian_icdf(x[0], x[1], x[2])
        }),
        case("von_mises_icdf by its argument", vec![unit(&[3], 387)], |tape, x| {
            special::von_mises_icdf(x[0], tape.constant(1.7))
        }),
        case("skellam_log_pmf", vec![positive(&[3], 388), positive(&[2, 1], 389)], move |tape, x| {
            special::skellam_log_pmf(tape.constant(counts([0.0, -2.0, 5.0])), x[0], x[1])
        }),
        case("skellam_cdf", vec![positive(&[3], 390), positive(&[2, 1], 391)], move |tape, x| {
            special::skellam_cdf(tape.constant(counts([0.0, -2.0, 5.0])), x[0], x[1])
        }),
        case("log_beta", vec![positive(&[2, 1], 306), positive(&[3], 307)], |_, x| special::log_beta(x[0], x[1])),
        case("log_gamma_kernel", vec![positive(&[3], 308), positive(&[2, 1], 309)], |_, x| {
            special::log_gamma_kernel(x[0], x[1])
        }),
        case("log_beta_kernel", vec![positive(&[3], 310), positive(&[2, 1], 311), unit(&[3], 312)], |_, x| {
            special::log_beta_kernel(x[0], x[1], x[2], 1.0 - x[2])
        }),
        case("poisson_log_pmf", vec![positive(&[3], 313)], move |tape, x| {
            special::poisson_log_pmf(tape.constant(counts([0.0, 2.0, 5.0])), x[0])
        }),
        case("poisson_log_pmf_by_log", vec![real(&[3], 314)], move |tape, x| {
            special::poisson_log_pmf_by_log(tape.constant(counts([0.0, 2.0, 5.0])), x[0])
        }),
        case("binomial_log_pmf", vec![unit(&[3], 315)], move |tape, x| {
            special::binomial_log_pmf(tape.constant(counts([0.0, 2.0, 5.0])), tape.constant(5.0), x[0])
        }),
        case("binomial_log_pmf_by_logit", vec![real(&[3], 316)], move |tape, x| {
            special::binomial_log_pmf_by_logit(tape.constant(counts([0.0, 2.0, 5.0])), tape.constant(5.0), x[0])
        }),
        // Their derivatives with respect to the shape exist once, so that second ones are taken by the argument only.
        case("gamma_p by its argument", vec![positive(&[3], 317)], |tape, x| {
            special::gamma_p(tape.constant(1.7), x[0])
        }),
        case("gamma_p_inverse by its argument", vec![unit(&[3], 318)], |tape, x| {
            special::gamma_p_inverse(tape.constant(1.7), x[0])
        }),
        case("beta_inc by its argument", vec![unit(&[3], 319)], |tape, x| {
            special::beta_inc(tape.constant(1.7), tape.constant(0.6), x[0])
        }),
        case("gamma_q by its argument", vec![positive(&[3], 320)], |tape, x| {
            special::gamma_q(tape.constant(1.7), x[0])
        }),
    ];
    cases.push(case("gamma_p by its shape, then by its argument", vec![positive(&[3], 321)], |tape, x| {
        let shape = tape.parameter(1.7);
        let [by_shape] = tape.grad(special::gamma_p(shape, x[0]).sum(), [shape]).unwrap();
        by_shape
    }));
    cases.push(case("binomial_entropy by its probability, times an argument", vec![real(&[3], 344)], |tape, x| {
        let (trials, p, logit) = (tape.constant(5.0), tape.parameter(0.3), tape.parameter(-0.7));
        let entropy = special::binomial_entropy(trials, p) + special::binomial_entropy_by_logit(trials, logit);
        let [by_p, by_logit] = tape.grad(entropy, [p, logit]).unwrap();
        x[0] * (entropy + by_p + by_logit)
    }));
    cases.push(case("beta_inc by its shapes, then by its argument", vec![unit(&[3], 336)], |tape, x| {
        let [a, b] = [1.7, 0.6].map(|shape| tape.parameter(shape));
        let [by_a, by_b] = tape.grad(special::beta_inc(a, b, x[0]).sum(), [a, b]).unwrap();
        by_a - by_b * 0.3
    }));
    cases.push(case("von_mises_cdf by its concentration, then by its argument", vec![real(&[3], 337)], |tape, x| {
        let concentration = tape.parameter(1.7);
        let [by_concentration] = tape.grad(special::von_mises_cdf(x[0], concentration).sum(), [concentration]).unwrap();
        by_concentration
    }));
    cases
}

#[test]
fn special_functions() {
    check(special_cases());
}

/// The derivative with respect to the shape against central differences of the function itself.
#[test]
fn special_functions_by_their_shape() {
    type Function = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    let functions: [(&str, Function, f64); 8] = [
        ("beta_inc by a", |a, x| special::beta_inc(a, x.tape().constant(0.6), x), 0.4),
        ("beta_inc by b", |b, x| special::beta_inc(x.tape().constant(0.6), b, x), 0.4),
        ("beta_inc_inverse by a", |a, p| special::beta_inc_inverse(a, p.tape().constant(0.6), p), 0.3),
        ("beta_inc_inverse by b", |b, p| special::beta_inc_inverse(p.tape().constant(0.6), b, p), 0.3),
        ("von_mises_cdf", |concentration, x| special::von_mises_cdf(x, concentration), -0.7),
        ("gamma_p", |a, x| special::gamma_p(a, x), 1.9),
        ("gamma_q", |a, x| special::gamma_q(a, x), 0.4),
        ("gamma_p_inverse", |a, p| special::gamma_p_inverse(a, p), 0.3),
    ];
    for (name, function, x) in functions {
        let tape = Tape::new();
        let (shape, x) = (tape.parameter(1.7), tape.constant(x));
        let [by_shape] = tape.backward(function(shape, x), [shape]).unwrap();
        let at = |shape: f64| function(tape.constant(shape), x).item().unwrap();
        let expected = (at(1.7 + 1e-5) - at(1.7 - 1e-5)) / 2e-5;
        assert!((by_shape.item().unwrap() - expected).abs() < 1e-8, "{name}");
        let [first] = tape.grad(function(shape, x), [shape]).unwrap();
        let second = tape.grad(first, [shape]).map(|[second]| second.peek());
        assert!(!matches!(second, Ok(Ok(_))), "{name}: a second derivative by the shape must be an error");
    }
}

/// First, second and third derivatives of the weighted total along the direction of all ones.
fn derivatives<G>(inputs: &[Tensor<f64>], function: G) -> Vec<Vec<f64>>
where
    G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    let tape = Tape::new();
    let vars: Vec<Var<'_, f64>> = inputs.iter().map(|input| tape.parameter(input)).collect();
    let value = function(&tape, &vars);
    let weights = tape.constant_on(&value.plates(), real(&full_shape(&tape, value), 200));
    let mut total = (value * weights).sum();
    for plate in total.plates() {
        total = total.sum_over(plate);
    }
    let mut orders = Vec::new();
    for order in 0..3 {
        let gradients = tape.gradients(total, &vars).unwrap();
        let mut flat = vec![total.peek().unwrap().item().unwrap()];
        total = tape.constant(0.0);
        for (at, gradient) in gradients.iter().enumerate() {
            flat.extend(gradient.peek().unwrap().to_vec());
            total = total + (*gradient * (1.0 + 0.3 * at as f64)).sum();
        }
        if order > 0 {
            flat.remove(0);
        }
        orders.push(flat);
    }
    orders
}

fn full_shape(tape: &Tape<f64>, value: Var<'_, f64>) -> Vec<usize> {
    value.plates().iter().map(|&plate| tape.plate_size(plate)).chain(value.shape().iter().copied()).collect()
}

fn assert_same_derivatives(name: &str, left: &[Vec<f64>], right: &[Vec<f64>]) {
    for (order, (left, right)) in left.iter().zip(right).enumerate() {
        assert_eq!(left.len(), right.len(), "{name}, order {}", order + 1);
        for (element, (a, b)) in left.iter().zip(right).enumerate() {
            let close = (a - b).abs() <= 1e-10 * (1.0 + a.abs().max(b.abs()));
            assert!(close, "{name}, order {}, element {element}: {a} and {b}", order + 1);
        }
    }
}

#[test]
fn a_box_has_the_derivatives_of_a_likelihood_ratio() {
    let inputs = [real(&[2, 3], 110), real(&[3], 111)];
    let log_prob = |tape: &Tape<f64>, theta: &Tensor<f64>| -> Tensor<f64> {
        let plate = rows(tape, 2);
        (tape.constant(theta).event_to_plate(plate).sin() * 0.5).sum().peek().unwrap()
    };
    let theta = inputs[0].clone();
    let boxed = derivatives(&inputs, |tape, x| {
        let l = (x[0].event_to_plate(rows(tape, 2)).sin() * 0.5).sum();
        l.magic_box() * (x[1] * x[1]).exp()
    });
    let ratio = derivatives(&inputs, move |tape, x| {
        let plate = rows(tape, 2);
        let l = (x[0].event_to_plate(plate).sin() * 0.5).sum();
        (l - tape.constant_on(&[plate], log_prob(tape, &theta))).exp() * (x[1] * x[1]).exp()
    });
    assert_same_derivatives("box", &boxed, &ratio);
    assert!(boxed.iter().all(|order| order.iter().any(|x| x.abs() > 1e-3)));
}

#[test]
fn stopping_a_gradient_makes_a_constant() {
    let inputs = [real(&[3], 112)];
    let fixed = inputs[0].clone();
    let stopped = derivatives(&inputs, |_, x| x[0].stop_gradient() * x[0].exp());
    let constant = derivatives(&inputs, move |tape, x| tape.constant(&fixed) * x[0].exp());
    assert_same_derivatives("stop_gradient", &stopped, &constant);
}

#[test]
fn straight_through_has_one_value_and_another_derivative() {
    let inputs = [real(&[2, 3], 113), real(&[3], 114)];
    let tape = Tape::<f64>::new();
    let x = tape.parameter(&inputs[0]);
    assert_eq!(x.step().straight_through(x.sigmoid()).peek().unwrap(), x.step().peek().unwrap());
    for hard_on_plate in [false, true] {
        let soft_only = derivatives(&inputs, move |tape, x| {
            let plate = rows(tape, 2);
            let soft = x[1].sigmoid() * 2.0;
            let wide = if hard_on_plate { soft.expand_plates(&[plate]) } else { soft };
            wide + x[0].stop_gradient().sum() * 0.0
        });
        let through = derivatives(&inputs, move |tape, x| {
            let plate = rows(tape, 2);
            let hard = if hard_on_plate { x[0].event_to_plate(plate).step() } else { x[0].index(0, 0).step() };
            hard.straight_through(x[1].sigmoid() * 2.0)
        });
        let derivatives_only =
            |orders: &[Vec<f64>]| vec![orders[0][1..].to_vec(), orders[1].clone(), orders[2].clone()];
        assert_same_derivatives("straight_through", &derivatives_only(&through), &derivatives_only(&soft_only));
    }
    let soft_on_plate = derivatives(&inputs, |tape, x| {
        let soft = x[0].event_to_plate(rows(tape, 2)).tanh();
        x[1].step().straight_through(soft)
    });
    let soft_alone =
        derivatives(&inputs, |tape, x| x[0].event_to_plate(rows(tape, 2)).tanh() + x[1].stop_gradient() * 0.0);
    assert_same_derivatives("soft on a plate", &soft_on_plate[1..], &soft_alone[1..]);
}

#[test]
fn a_closed_sample_lets_no_gradient_through() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(0.5);
    let site = tape.new_site();
    let z = tape.sample(site, x.exp(), &[x]);
    let y = z * x;
    let [open] = tape.backward(y, [x]).unwrap();
    assert_abs_diff_eq!(open.item().unwrap(), 1.5 * 0.5_f64.exp(), epsilon = 1e-14);
    tape.set_closed(site, true);
    let [closed] = tape.backward(y, [x]).unwrap();
    assert_abs_diff_eq!(closed.item().unwrap(), 0.5_f64.exp(), epsilon = 1e-14);
}

#[test]
fn rows_of_minus_infinity_have_finite_derivatives() {
    let tape = Tape::<f64>::new();
    let infinite = f64::NEG_INFINITY;
    let x = tape.parameter([[0.5, infinite], [infinite, infinite]]);
    let y = x.logsumexp(1).index(0, 0) + x.softmax(1).sum();
    let [first] = tape.grad(y, [x]).unwrap();
    assert_eq!(first.peek().unwrap().to_vec(), [1.0, 0.0, 0.0, 0.0]);
    let [second] = tape.backward(first.square().sum(), [x]).unwrap();
    assert!(second.all_finite(), "{second:?}");
}

/// The first word of the debug form: the name of the variant.
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

/// The operations that the case records for its value, gradient and second derivative.
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

/// The names of the variants of an enum, from its source.
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
    all.extend(variants("stochgrad-tape/src/op/special/mod.rs", "Special"));
    assert!(all.len() > 90, "found only {} variants in the sources", all.len());
    // No method of a variable records these reductions.
    for unused in ["Reduce::Min", "Reduce::Product"] {
        assert!(all.remove(unused) && !seen.contains(unused), "{unused}");
    }
    let missing: Vec<&String> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "operations that no case records: {missing:?}");
}
