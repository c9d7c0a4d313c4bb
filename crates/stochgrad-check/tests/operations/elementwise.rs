//! Functions of one operand, of two operands, and choices between operands.

use crate::cases::{Case, case, check, lay_out, layouts, numbers, positive, real, rows, two_plates};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

fn smooth_maps() -> Vec<(Map, bool)> {
    vec![
        (Map::Neg, false),
        (Map::Exp, false),
        (Map::Ln, true),
        (Map::LnHeld, true),
        (Map::Log1p, true),
        (Map::Expm1, false),
        (Map::ExpExcess, false),
        (Map::Sqrt, true),
        (Map::Square, false),
        (Map::Recip, true),
        (Map::Abs, false),
        (Map::Sign, false),
        (Map::Sin, false),
        (Map::Cos, false),
        (Map::Versine, false),
        (Map::VersineSlope, false),
        (Map::ExpWithin(-50.0, 50.0), false),
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
        (Map::Outside(-1.0, 1.0), false),
        (Map::Guard(2.0), false),
        (Map::Unguard, false),
        (Map::OnesLike, false),
        (Map::ZerosLike, false),
        (Map::IsNan, false),
    ]
}

pub(crate) fn map_cases() -> Vec<Case> {
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

const SMOOTH_ZIPS: [Zip; 18] = [
    Zip::Add,
    Zip::Sub,
    Zip::SubUnguarded,
    Zip::Mul,
    Zip::Div,
    Zip::Pow,
    Zip::Maximum,
    Zip::Minimum,
    Zip::LogAddExp,
    Zip::Greater,
    Zip::GreaterEqual,
    Zip::Less,
    Zip::LessEqual,
    Zip::Equal,
    Zip::NotEqual,
    Zip::Log1pSquareRatio,
    Zip::Log1pSquareRatioByFirst,
    Zip::Log1pSquareRatioBySecond,
];

pub(crate) fn zip_cases() -> Vec<Case> {
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
    for (at, zip) in [Zip::MulBit, Zip::ChanceOfBit].into_iter().enumerate() {
        for (layout, left, right) in layouts() {
            let inputs = vec![numbers(&left, 0.1, 0.8, 30 + at as u64), positive(&right, 130 + at as u64)];
            cases.push(case(format!("{zip:?}, {layout}"), inputs, move |tape, x| {
                let (left, right) = lay_out(tape, layout, x[0], x[1]);
                left.zip(zip, right)
            }));
        }
    }
    for (layout, left, right) in layouts() {
        cases.push(case(
            format!("MulCount, {layout}"),
            vec![positive(&left, 32), positive(&right, 132)],
            move |tape, x| {
                let (left, right) = lay_out(tape, layout, x[0], x[1]);
                left.floor().zip(Zip::MulCount, right) * left
            },
        ));
    }
    cases
}

#[test]
fn functions_of_two_operands() {
    check(zip_cases());
}

pub(crate) fn select_cases() -> Vec<Case> {
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
