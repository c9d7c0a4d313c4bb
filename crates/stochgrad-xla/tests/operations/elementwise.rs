//! Functions of one and of two elements, also for NaN, infinities and zeros of both signs.

use crate::agreement::{agrees, client};
use std::fmt::Debug;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::sort::Order;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Tensor};
use stochgrad_xla::pjrt::{Client, Element};

const MAPS: [Map; 55] = [
    Map::Neg,
    Map::Exp,
    Map::Ln,
    Map::LnHeld,
    Map::Log1p,
    Map::Expm1,
    Map::ExpExcess,
    Map::Sqrt,
    Map::Square,
    Map::Recip,
    Map::Abs,
    Map::Sign,
    Map::Sin,
    Map::Cos,
    Map::Versine,
    Map::VersineSlope,
    Map::ExpWithin(-0.5, 0.7),
    Map::Tanh,
    Map::Sigmoid,
    Map::Softplus,
    Map::Log1pSquare,
    Map::Log1pSquareSlope,
    Map::Relu,
    Map::LeakyRelu(0.1),
    Map::Erf,
    Map::Lgamma,
    Map::Polygamma(0),
    Map::Polygamma(2),
    Map::Floor,
    Map::Ceil,
    Map::Round,
    Map::Step,
    Map::LeakyStep(0.1),
    Map::AddScalar(0.3),
    Map::MulScalar(0.3),
    Map::RsubScalar(0.3),
    Map::RdivScalar(0.3),
    Map::PowScalar(0.0),
    Map::PowScalar(1.0),
    Map::PowScalar(2.0),
    Map::PowScalar(3.0),
    Map::PowScalar(-1.0),
    Map::PowScalar(1.7),
    Map::PowScalar(-2.0),
    Map::MaxScalar(0.3),
    Map::MinScalar(0.3),
    Map::Clamp(-0.5, 0.7),
    Map::Within(-0.5, 0.7),
    Map::Outside(-0.5, 0.7),
    Map::Guard(1e30),
    Map::Unguard,
    Map::IsNan,
    Map::OnesLike,
    Map::ZerosLike,
    Map::Clamp(-1e30, 1e30),
];

const ZIPS: [Zip; 25] = [
    Zip::Add,
    Zip::Sub,
    Zip::SubUnguarded,
    Zip::Mul,
    Zip::MulBit,
    Zip::MulCount,
    Zip::ChanceOfBit,
    Zip::Div,
    Zip::Pow,
    Zip::Maximum,
    Zip::Minimum,
    Zip::LogAddExp,
    Zip::Log1pSquareRatio,
    Zip::Log1pSquareRatioByFirst,
    Zip::Log1pSquareRatioBySecond,
    Zip::Greater,
    Zip::GreaterEqual,
    Zip::Less,
    Zip::LessEqual,
    Zip::Equal,
    Zip::NotEqual,
    Zip::Share,
    Zip::Weigh,
    Zip::Keep,
    Zip::Hold,
];

/// Ordinary values, bounds of domains, and values that are not finite.
const VALUES: [f64; 26] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    3.0,
    2.5,
    -2.5,
    0.3,
    0.7,
    1e-6,
    -1e-6,
    17.3,
    -17.3,
    80.0,
    -80.0,
    -1e30,
    -7e29,
    1e12,
    -1e12,
];

fn values<F: Real>() -> Tensor<F> {
    Tensor::from(VALUES.iter().map(|&x| F::from_f64(x)).collect::<Vec<F>>())
}

fn functions_of_an_element<F: Real + Element + Debug>(client: &Client, tolerance: f64) {
    let x = [values::<F>()];
    agrees(client, "functions of an element", &x, &x, tolerance, |tape, inputs| {
        let x = tape.parameter(&inputs[0]);
        (vec![x], MAPS.iter().map(|&map| x.map(map)).collect())
    });
}

fn functions_of_pairs<F: Real + Element + Debug>(client: &Client, tolerance: f64) {
    let inputs = [values::<F>().with_shape([VALUES.len(), 1]), values::<F>()];
    agrees(client, "functions of pairs", &inputs, &inputs, tolerance, |tape, inputs| {
        let [x, y] = [tape.parameter(&inputs[0]), tape.parameter(&inputs[1])];
        let chosen = x.gt(y).select(x, y);
        (vec![x, y], ZIPS.iter().map(|&zip| x.zip(zip, y)).chain([chosen]).collect())
    });
}

/// Rows with all combinations of a few values that are not finite.
fn reductions_of_values<F: Real + Element + Debug>(client: &Client, tolerance: f64) {
    let few = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 1.5];
    let rows = Tensor::from_fn([125, 3], |i| {
        let digit = [25, 5, 1][i % 3];
        F::from_f64(few[i / 3 / digit % 5])
    });
    let inputs = [rows, Tensor::zeros([4, 0, 3])];
    agrees(client, "reductions", &inputs, &inputs, tolerance, |tape, inputs| {
        let [x, empty] = [tape.parameter(&inputs[0]), tape.parameter(&inputs[1])];
        let mut outputs = vec![x.sum_axis(1), x.max_axis(1), x.min_axis(1), x.prod_axis(1), x.logsumexp(1)];
        outputs.extend([x.softmax(1), x.log_softmax(1), x.cumsum(1), x.logcumsumexp(1), x.cumprod(1), x.softmax(0)]);
        outputs.extend([x.argsort(1, Order::Ascending), x.argsort(1, Order::Descending)]);
        outputs.extend([empty.sum_axis(1), empty.prod_axis(1), empty.logsumexp(1), empty.softmax(1), empty.cumsum(1)]);
        outputs.extend([empty.exp(), empty + 1.0, empty.sum_axis(0), empty.logsumexp(0), empty.sum()]);
        (vec![x, empty], outputs)
    });
}

#[test]
fn functions_agree_for_all_values() {
    let Some(client) = client("functions_agree_for_all_values") else { return };
    functions_of_an_element::<f32>(&client, 1e-6);
    functions_of_an_element::<f64>(&client, 1e-12);
    functions_of_pairs::<f32>(&client, 1e-6);
    functions_of_pairs::<f64>(&client, 1e-12);
}

#[test]
fn reductions_agree_for_all_values() {
    let Some(client) = client("reductions_agree_for_all_values") else { return };
    reductions_of_values::<f32>(&client, 1e-6);
    reductions_of_values::<f64>(&client, 1e-12);
}

#[test]
fn every_function_of_elements_is_in_the_lists() {
    let variants = |source: &str, name: &str| -> Vec<String> {
        let (_, rest) = source.split_once(&format!("pub enum {name} {{")).expect("an enum");
        let (body, _) = rest.split_once("\n}").expect("its end");
        let lines = body.lines().filter_map(|line| line.strip_prefix("    ")?.split(['(', ',', ' ']).next());
        lines.filter(|line| line.starts_with(char::is_uppercase)).map(str::to_owned).collect()
    };
    let maps = variants(include_str!("../../../stochgrad-tensor/src/kernels/map/function.rs"), "Map");
    let zips = variants(include_str!("../../../stochgrad-tensor/src/kernels/zip/function.rs"), "Zip");
    let word = |debug: String| debug.split('(').next().unwrap_or_default().to_owned();
    let listed: Vec<String> = MAPS.iter().map(|map| word(format!("{map:?}"))).collect();
    let missing: Vec<&String> = maps.iter().filter(|name| !listed.contains(name)).collect();
    assert!(maps.len() > 40 && missing.is_empty(), "{missing:?}");
    let listed: Vec<String> = ZIPS.iter().map(|zip| format!("{zip:?}")).collect();
    let missing: Vec<&String> = zips.iter().filter(|name| !listed.contains(name)).collect();
    assert!(zips.len() > 20 && missing.is_empty(), "{missing:?}");
}
