//! All special functions on the CPU plugin against the functions of the tensor crate.

use super::{lower, map};
use crate::lowering::builder::Builder;
use crate::lowering::types::{Element, TensorType};
use crate::pjrt::testing::plugin_for_test;
use stochgrad_tape::Special;
use stochgrad_tape::special::{Counts, Scale, ShapePart};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Pool, Tensor};

/// Values from the smallest to the largest normal number.
const WIDE: [f64; 21] = [
    1e-300, 1e-200, 1e-100, 1e-30, 1e-10, 1e-4, 0.02, 0.3, 0.5, 1.0, 1.5, 2.5, 7.0, 12.0, 31.0, 100.0, 1e4, 1e8, 1e16,
    1e100, 1e300,
];
/// Ordinary positive values.
const PLAIN: [f64; 10] = [1e-3, 0.05, 0.4, 1.0, 1.7, 4.0, 11.0, 29.0, 60.0, 1000.0];
const REAL: [f64; 17] =
    [-1e300, -1e10, -40.0, -20.0, -5.0, -2.0, -1.0, -0.3, -1e-8, 0.0, 1e-5, 0.2, 0.9, 1.1, 3.0, 14.5, 1e5];
const PROBABILITIES: [f64; 14] =
    [0.0, 1e-300, 1e-30, 1e-10, 1e-3, 0.07, 0.3, 0.4999, 0.5, 0.6, 0.93, 0.999, 1.0 - 1e-12, 1.0];
const INSIDE: [f64; 9] = [1e-12, 1e-4, 0.07, 0.3, 0.5, 0.6, 0.93, 0.999, 1.0 - 1e-10];
const COUNTS: [f64; 9] = [0.0, 1.0, 2.0, 5.0, 17.0, 60.0, 500.0, 1e6, 1e12];
const ODD: [f64; 5] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0];

/// A list of arguments for each operand; all combinations are compared.
type Grid = Vec<Vec<f64>>;

fn with_odd(list: &[f64]) -> Vec<f64> {
    list.iter().chain(&ODD).copied().collect()
}

fn combinations(grid: &Grid) -> Vec<Vec<f64>> {
    let total: usize = grid.iter().map(Vec::len).product();
    (0..grid.len())
        .map(|operand| {
            let inner: usize = grid[operand + 1..].iter().map(Vec::len).product();
            (0..total).map(|i| grid[operand][i / inner % grid[operand].len()]).collect()
        })
        .collect()
}

/// One comparison: the function, its arguments, the bound of the error relative to the larger of the result and
/// `floor`.
struct Case {
    function: Special,
    operands: Vec<Vec<f64>>,
    bound: f64,
    floor: f64,
}

fn case(function: Special, grid: &[&[f64]], bound: f64, floor: f64) -> Case {
    let grid: Grid = grid.iter().map(|list| with_odd(list)).collect();
    Case { function, operands: combinations(&grid), bound, floor }
}

/// Functions of x and y = 1 − x, after some other operands.
fn case_of_pairs(function: Special, shapes: &[f64], bound: f64, floor: f64) -> Case {
    let shares = [0.0, 1e-300, 1e-12, 1e-4, 0.07, 0.3, 0.5, 0.6, 0.93, 0.999, 1.0];
    let grid: Grid = vec![shapes.to_vec(), shapes.to_vec(), shares.to_vec()];
    let mut operands = combinations(&grid);
    let y = operands[2].iter().map(|x| 1.0 - x).collect();
    operands.push(y);
    Case { function, operands, bound, floor }
}

fn errors(case: &Case, got: &[f64], expected: &[f64]) -> Vec<String> {
    let wrong = |(index, (&got, &expected)): (usize, (&f64, &f64))| {
        let size = expected.abs().max(case.floor);
        let tiny = expected.abs() < 1e-290 && got.abs() < 1e-290;
        let fine = (got.is_nan() && expected.is_nan())
            || got == expected
            || tiny
            || (got - expected).abs() <= case.bound * size;
        let operands: Vec<f64> = case.operands.iter().map(|list| list[index]).collect();
        (!fine).then(|| format!("{:?} of {operands:?}: expected {expected:e}, got {got:e}", case.function))
    };
    got.iter().zip(expected).enumerate().filter_map(wrong).collect()
}

#[test]
fn functions_of_one_value() {
    let Some(plugin) = plugin_for_test("functions_of_one_value").unwrap() else { return };
    let client = plugin.client(&[]).unwrap();
    let lists = [&WIDE[..], &REAL, &ODD, &[-0.5, -1.5, -2.0, -7.3, -40.1, 2.0, 1.46, 1.45]];
    let x: Vec<f64> = lists.concat();
    for (function, bound) in [
        (Map::Erf, 1e-15),
        (Map::Lgamma, 1e-14),
        (Map::Polygamma(0), 1e-13),
        (Map::Polygamma(1), 1e-13),
        (Map::Polygamma(2), 1e-13),
        (Map::Polygamma(5), 1e-12),
    ] {
        let builder = Builder::new();
        let argument = builder.argument(TensorType::new(Element::F64, [x.len()]));
        let value = map(&builder, function, argument).expect("a lowering");
        let program = client.compile(&builder.finish(&[value]), &[0]).unwrap();
        let buffer = client.upload(0, &x, &[x.len()]).unwrap();
        let got = program.run(&[&buffer]).unwrap()[0].read::<f64>().unwrap();
        let expected = stochgrad_tensor::map::map(&Pool::new(), function, &Tensor::new(x.clone(), [x.len()]).unwrap());
        for ((&x, &got), &expected) in x.iter().zip(&got).zip(expected.as_slice()) {
            let fine = (got.is_nan() && expected.is_nan())
                || got == expected
                || (got - expected).abs() <= bound * expected.abs().max(if function == Map::Erf { 0.0 } else { 1.0 });
            assert!(fine, "{function:?} of {x:e}: expected {expected:e}, got {got:e}");
        }
    }
}

/// In single precision the functions are computed in double precision and rounded, as on the CPU.
#[test]
fn single_precision() {
    let Some(plugin) = plugin_for_test("single_precision").unwrap() else { return };
    let client = plugin.client(&[]).unwrap();
    let operands = combinations(&vec![vec![0.3, 2.5, 70.0], vec![1e-3, 0.7, 4.0, 90.0]]);
    let singles: Vec<Vec<f32>> = operands.iter().map(|list| list.iter().map(|&x| x as f32).collect()).collect();
    let count = singles[0].len();
    for function in [Special::GammaP, Special::LogBeta, Special::NormalLogMass, Special::PoissonIcdf] {
        let builder = Builder::new();
        let arguments: Vec<_> =
            singles.iter().map(|_| builder.argument(TensorType::new(Element::F32, [count]))).collect();
        let value = lower(&builder, function, &arguments).expect("a lowering");
        let program = client.compile(&builder.finish(&[value]), &[0]).unwrap();
        let buffers: Vec<_> = singles.iter().map(|x| client.upload(0, x, &[count]).unwrap()).collect();
        let got = program.run(&buffers.iter().collect::<Vec<_>>()).unwrap()[0].read::<f32>().unwrap();
        let inputs: Vec<Tensor<f32>> = singles.iter().map(|x| Tensor::new(x.clone(), [count]).unwrap()).collect();
        let expected = function.evaluate(&Pool::new(), &inputs);
        for (got, expected) in got.iter().zip(expected.as_slice()) {
            let fine = got.is_nan() && expected.is_nan() || (got - expected).abs() <= 1.2e-7 * expected.abs();
            assert!(fine, "{function:?}: expected {expected:e}, got {got:e}");
        }
    }
}

/// Values without axes, and no values at all.
#[test]
fn shapes() {
    let Some(plugin) = plugin_for_test("shapes").unwrap() else { return };
    let client = plugin.client(&[]).unwrap();
    for shape in [vec![], vec![0], vec![1, 1], vec![2, 0, 3]] {
        let count: usize = shape.iter().product();
        let builder = Builder::new();
        let argument = builder.argument(TensorType::new(Element::F64, &shape[..]));
        let value = lower(&builder, Special::GammaP, &[argument, argument]).expect("a lowering");
        assert_eq!(value.shape()[..], shape[..]);
        let program = client.compile(&builder.finish(&[value]), &[0]).unwrap();
        let buffer = client.upload(0, &vec![1.0_f64; count], &shape).unwrap();
        let got = program.run(&[&buffer]).unwrap()[0].read::<f64>().unwrap();
        assert_eq!(got.len(), count);
        assert!(got.iter().all(|got| (got - (1.0 - (-1.0_f64).exp())).abs() < 1e-14), "{got:?}");
    }
}

fn compare(name: &str, cases: &[Case]) {
    let Some(plugin) = plugin_for_test(name).unwrap() else { return };
    let client = plugin.client(&[]).unwrap();
    let mut all = Vec::new();
    for case in cases {
        let count = case.operands[0].len();
        let builder = Builder::new();
        let arguments: Vec<_> =
            case.operands.iter().map(|_| builder.argument(TensorType::new(Element::F64, [count]))).collect();
        let value = lower(&builder, case.function, &arguments).expect("a lowering");
        let text = builder.finish(&[value]);
        let started = std::time::Instant::now();
        let program = client.compile(&text, &[0]).unwrap_or_else(|error| panic!("{:?}: {error}", case.function));
        let compiled = started.elapsed();
        let buffers: Vec<_> = case.operands.iter().map(|x| client.upload(0, x, &[count]).unwrap()).collect();
        let started = std::time::Instant::now();
        let results = program.run(&buffers.iter().collect::<Vec<_>>()).unwrap();
        let got = results[0].read::<f64>().unwrap();
        if std::env::var_os("SPECIAL_TIMES").is_some() {
            println!(
                "{:?}: {count} elements, {} lines, compiled in {compiled:.1?}, run in {:.1?}",
                case.function,
                text.lines().count(),
                started.elapsed()
            );
        }
        let inputs: Vec<Tensor<f64>> = case.operands.iter().map(|x| Tensor::new(x.clone(), [count]).unwrap()).collect();
        let expected = case.function.evaluate(&Pool::new(), &inputs);
        let wrong = errors(case, &got, expected.as_slice());
        if !wrong.is_empty() {
            all.push(format!("{} of {count} wrong:\n  {}", wrong.len(), wrong[..wrong.len().min(6)].join("\n  ")));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn normal_family() {
    compare(
        "normal_family",
        &[
            case(Special::Erfc, &[&REAL], 1e-14, 0.0),
            case(Special::ErfInv, &[&[-1.0, -0.999, -0.5, 1e-300, 1e-9, 0.3, 0.9, 1.0 - 1e-12, 1.0, 1.5]], 1e-14, 0.0),
            case(Special::NormalCdf, &[&REAL], 1e-14, 0.0),
            case(Special::NormalLogCdf, &[&REAL], 1e-14, 0.0),
            case(Special::NormalIcdf, &[&PROBABILITIES], 1e-14, 0.0),
            case(
                Special::NormalIcdfOfLog,
                &[&[-1e300, -1e8, -800.0, -700.5, -600.0, -1.0, -0.5, -1e-9, 0.0]],
                1e-14,
                0.0,
            ),
            case(
                Special::NormalLogMills,
                &[&[-1e100, -30.0, -2.0, 0.0, 1.0, 13.9, 14.1, 30.0, 1e150, 1e300]],
                1e-13,
                1.0,
            ),
            case(Special::Log1mexp, &[&[-1e300, -800.0, -30.0, -0.7, -0.6, -1e-10, -1e-300, 0.5]], 1e-14, 0.0),
            case(Special::SoftplusInverse, &[&WIDE], 1e-14, 0.0),
            case(Special::Atan, &[&REAL], 1e-14, 0.0),
            case(Special::Acot, &[&REAL], 1e-14, 0.0),
            case(Special::GumbelLevelRight, &[&WIDE], 1e-14, 0.0),
            case(Special::GumbelLevelLeft, &[&WIDE], 1e-14, 0.0),
        ],
    );
}

#[test]
fn gamma_family() {
    compare(
        "gamma_family",
        &[
            case(Special::LogBeta, &[&WIDE, &WIDE], 1e-13, 1.0),
            case(Special::DigammaMinusLog(0), &[&WIDE], 1e-13, 0.0),
            case(Special::DigammaMinusLog(1), &[&WIDE], 1e-13, 0.0),
            case(Special::DigammaMinusLog(3), &[&WIDE], 1e-13, 0.0),
            case(Special::DigammaMinusLogDifference, &[&WIDE, &WIDE], 1e-12, 0.0),
            case(Special::LogGammaDifference(0), &[&WIDE, &WIDE], 1e-12, 0.0),
            case(Special::LogGammaDifference(1), &[&WIDE, &WIDE], 1e-12, 0.0),
            case(Special::LogGammaDifference(2), &[&WIDE, &WIDE], 1e-12, 0.0),
            case(Special::LogGammaSecondDifference(0), &[&WIDE, &WIDE], 1e-11, 0.0),
            case(Special::LogGammaSecondDifference(1), &[&WIDE, &WIDE], 1e-11, 0.0),
            case(Special::StirlingDivergence, &[&WIDE, &WIDE], 1e-11, 0.0),
            case(Special::LogSinhc(0), &[&REAL], 1e-14, 0.0),
            case(Special::LogSinhc(1), &[&REAL], 1e-13, 0.0),
            case(Special::LogSinhc(2), &[&REAL], 1e-12, 0.0),
            case(Special::LogSinhc(5), &[&REAL], 1e-10, 0.0),
            case(Special::ScaledExponentialIntegral(0), &[&WIDE], 1e-14, 0.0),
            case(Special::ScaledExponentialIntegral(1), &[&WIDE], 1e-13, 0.0),
            case(Special::ScaledExponentialIntegral(4), &[&WIDE], 1e-13, 0.0),
            case(Special::LogSinhcDivergence, &[&REAL[2..16], &REAL[2..16]], 1e-11, 0.0),
        ],
    );
}

#[test]
fn deviances() {
    compare(
        "deviances",
        &[
            case(Special::Deviance(Scale::Natural), &[&WIDE, &WIDE], 1e-13, 0.0),
            case(Special::Deviance(Scale::Log), &[&REAL, &REAL], 1e-12, 0.0),
            case(Special::BinaryDeviance, &[&PROBABILITIES, &PROBABILITIES], 1e-12, 0.0),
            case(Special::LogRatio, &[&WIDE, &WIDE], 1e-14, 0.0),
            case(Special::LogGammaKernel, &[&PLAIN, &WIDE], 1e-13, 1.0),
            case_of_pairs(Special::LogBetaKernel, &PLAIN, 1e-13, 1.0),
        ],
    );
}

#[test]
fn log_probabilities_of_counts() {
    let (natural, log) = (Scale::Natural, Scale::Log);
    compare(
        "log_probabilities_of_counts",
        &[
            case(Special::PoissonLogPmf(natural), &[&COUNTS, &WIDE], 1e-13, 1.0),
            case(Special::PoissonLogPmf(log), &[&COUNTS, &[-700.0, -3.0, 0.5, 6.0, 600.0]], 1e-12, 1.0),
            case(Special::BinomialLogPmf(natural), &[&COUNTS, &COUNTS, &PROBABILITIES], 1e-13, 1.0),
            case(Special::BinomialLogPmf(log), &[&COUNTS, &COUNTS, &REAL], 1e-12, 1.0),
            case(Special::NegativeBinomialLogPmf(natural), &[&COUNTS, &WIDE, &PROBABILITIES], 1e-12, 1.0),
            case(Special::NegativeBinomialLogPmf(log), &[&COUNTS, &PLAIN, &REAL], 1e-12, 1.0),
            case(Special::NegativeBinomialLogPmf(log), &[&COUNTS, &PLAIN, &[-1162.5, -720.0, 760.0]], 1e-12, 1.0),
        ],
    );
}

#[test]
fn entropies_of_counts() {
    let counts = [0.0, 1.0, 5.0, 60.0, 1e5, 1e12];
    compare(
        "entropies_of_counts",
        &[
            case(Special::BinomialEntropy(Scale::Natural), &[&counts, &PROBABILITIES], 1e-11, 1.0),
            case(Special::BinomialEntropySlope(Scale::Natural), &[&counts, &INSIDE], 1e-10, 1.0),
            case(Special::BinomialEntropy(Scale::Log), &[&counts, &[-30.0, -1.0, 0.3, 8.0]], 1e-11, 1.0),
            case(Special::BinomialEntropySlope(Scale::Log), &[&counts, &[-30.0, -1.0, 0.3, 8.0]], 1e-10, 1.0),
        ],
    );
}

#[test]
fn incomplete_gamma_functions() {
    compare(
        "incomplete_gamma_functions",
        &[
            case(Special::GammaP, &[&PLAIN, &WIDE], 1e-12, 0.0),
            case(Special::GammaQ, &[&PLAIN, &WIDE], 1e-12, 0.0),
            case(Special::LogGammaP, &[&PLAIN, &WIDE], 1e-12, 1e-3),
            case(Special::LogGammaQ, &[&PLAIN, &WIDE], 1e-12, 1e-3),
            case(Special::LogGammaPByArgument, &[&PLAIN, &WIDE], 1e-11, 0.0),
            case(Special::LogGammaQByArgument, &[&PLAIN, &WIDE], 1e-11, 0.0),
            case(Special::GammaPByShape, &[&PLAIN, &WIDE], 1e-11, 1e-300),
            case(Special::LogGammaPByShape, &[&PLAIN, &WIDE], 1e-11, 0.0),
            case(Special::LogGammaQByShape, &[&PLAIN, &WIDE], 1e-11, 0.0),
            case(Special::GammaPInverse, &[&PLAIN, &PROBABILITIES], 1e-11, 0.0),
            case(Special::GammaQInverse, &[&PLAIN, &PROBABILITIES], 1e-11, 0.0),
        ],
    );
}

#[test]
fn incomplete_beta_functions() {
    compare(
        "incomplete_beta_functions",
        &[
            case_of_pairs(Special::BetaInc, &PLAIN, 1e-12, 0.0),
            case_of_pairs(Special::LogBetaInc, &PLAIN, 1e-12, 1e-3),
            case_of_pairs(Special::LogBetaIncByArgument, &PLAIN, 1e-11, 0.0),
            case_of_pairs(Special::BetaIncByFirst, &PLAIN, 1e-10, 1e-290),
            case_of_pairs(Special::LogBetaIncByFirst, &PLAIN, 1e-10, 0.0),
            case_of_pairs(Special::LogBetaIncBySecond, &PLAIN, 1e-10, 0.0),
            case(Special::BetaIncInverse, &[&PLAIN, &PLAIN, &PROBABILITIES], 1e-11, 0.0),
            case(Special::BetaIncComplementInverse, &[&PLAIN, &PLAIN, &PROBABILITIES], 1e-11, 0.0),
        ],
    );
}

#[test]
fn student_t_functions() {
    // The share of the squared argument is limited to normal numbers, where the derivative with respect to the degrees
    // of freedom has no digits; and powers of their inverse must not overflow.
    let degrees = [1e-3, 0.3, 1.0, 2.5, 9.9, 10.1, 40.0, 1e4, 1e10, 1e18];
    compare(
        "student_t_functions",
        &[
            case(Special::StudentTCdf, &[&REAL, &degrees], 1e-12, 0.0),
            case(Special::StudentTLogCdf, &[&REAL, &degrees], 1e-12, 1e-3),
            case(Special::StudentTCdfByDegrees, &[&REAL[1..], &degrees], 1e-9, 1e-290),
            case(Special::StudentTLogCdfByArgument, &[&REAL, &degrees], 1e-11, 1e-290),
            case(Special::StudentTLogCdfByDegrees, &[&REAL[1..], &degrees], 1e-9, 1e-290),
            case(Special::StudentTIcdf, &[&PROBABILITIES, &degrees], 1e-11, 0.0),
            case(Special::StudentTLogHeight(0), &[&WIDE], 1e-13, 1.0),
            case(Special::StudentTLogHeight(1), &[&WIDE[2..]], 1e-11, 0.0),
            case(Special::StudentTLogHeight(2), &[&WIDE[3..]], 1e-11, 0.0),
        ],
    );
}

#[test]
fn bessel_and_von_mises() {
    let concentrations = [0.0, 1e-300, 1e-8, 0.3, 2.0, 40.0, 500.0, 1e6, 1e12, 1e200];
    let angles = [-3.2, -3.1, -2.0, -0.5, -1e-3, 0.0, 1e-9, 0.2, 1.5, 3.1, 4.0];
    compare(
        "bessel_and_von_mises",
        &[
            case(Special::BesselIe(0), &[&REAL], 1e-12, 0.0),
            case(Special::BesselIe(3), &[&[-500.0, -2.0, 1e-3, 5.0, 29.0, 31.0, 5000.0]], 1e-12, 0.0),
            case(Special::LogBesselIe, &[&COUNTS, &WIDE], 1e-11, 1.0),
            case(Special::VonMisesGap, &[&concentrations], 1e-12, 0.0),
            case(Special::VonMisesCdf, &[&angles, &concentrations], 1e-11, 0.0),
            case(Special::VonMisesLogCdf, &[&angles, &concentrations], 1e-12, 1.0),
            case(Special::VonMisesCdfByConcentration, &[&angles, &concentrations], 1e-9, 1e-290),
            case(Special::VonMisesLogCdfByArgument, &[&angles, &concentrations], 1e-11, 1e-290),
            case(Special::VonMisesLogCdfByConcentration, &[&angles, &concentrations], 1e-9, 1e-290),
            case(Special::VonMisesIcdf, &[&PROBABILITIES, &concentrations], 1e-11, 1e-290),
        ],
    );
}

#[test]
fn quantiles_of_counts() {
    let rates = [0.0, 1e-10, 0.3, 2.0, 29.0, 31.0, 500.0, 1e6, 1e12];
    let (natural, log) = (Scale::Natural, Scale::Log);
    let logits = [-700.0, -30.0, -1.0, 0.3, 8.0];
    let noise = [-0.9, -0.4, -1e-9, 1e-12, 0.2, 0.49];
    let trials = [0.0, 1.0, 7.0, 100.0, 1e6];
    let successes = [1e-3, 0.4, 3.0, 40.0, 1e4];
    compare(
        "quantiles_of_counts",
        &[
            case(Special::PoissonIcdf, &[&PROBABILITIES, &rates], 1e-15, 0.0),
            case(Special::BinomialIcdf, &[&PROBABILITIES, &trials, &PROBABILITIES], 1e-15, 0.0),
            case(Special::NegativeBinomialIcdf(natural), &[&PROBABILITIES, &successes, &INSIDE], 1e-11, 0.0),
            case(Special::NegativeBinomialIcdf(log), &[&INSIDE, &successes, &logits], 1e-11, 0.0),
            case(Special::PoissonInverseSurvival, &[&PROBABILITIES, &rates], 1e-15, 0.0),
            case(Special::NegativeBinomialInverseSurvival(natural), &[&INSIDE, &successes, &INSIDE], 1e-11, 0.0),
            case(Special::NegativeBinomialInverseSurvival(log), &[&INSIDE, &successes, &logits], 1e-11, 0.0),
            // The other draws are the quantiles above at the values of folded noise, as this one.
            case(Special::CountDraw(Counts::Poisson), &[&noise, &rates], 1e-15, 0.0),
        ],
    );
}

#[test]
fn derivatives_of_variates() {
    let logs = [-700.0, -40.0, -3.0, -0.1, 0.0, 0.5, 2.0, 4.5, 7.0];
    let concentrations = [0.0, 1e-8, 0.3, 2.0, 40.0, 1e6];
    let angles = [-3.1, -1.0, -1e-3, 0.0, 0.2, 3.0];
    compare(
        "derivatives_of_variates",
        &[
            case(Special::GammaVariateByShape, &[&PLAIN, &logs], 1e-11, 0.0),
            case(Special::GammaVariateByShapeTwice, &[&PLAIN, &logs], 1e-9, 1e-9),
            case(Special::VonMisesVariateByConcentration, &[&angles, &concentrations], 1e-9, 1e-290),
        ],
    );
}

#[test]
fn parts_of_weak_derivatives() {
    let shapes = [0.05, 0.7, 3.0, 40.0];
    let shares = [1e-6, 0.1, 0.5, 0.9];
    // The points are found to a step of 1e-8 of Newton's method, whose error is its square.
    compare(
        "parts_of_weak_derivatives",
        &[
            case(Special::GammaShapePart(ShapePart::Positive), &[&shapes, &shares], 1e-9, 1.0),
            case(Special::GammaShapePart(ShapePart::Negative), &[&shapes, &shares], 1e-9, 1.0),
            case(Special::GammaShapePart(ShapePart::Constant), &[&shapes, &shares], 1e-11, 0.0),
            case(Special::BetaShapePart(ShapePart::Positive), &[&shapes[..3], &shapes[..3], &shares], 1e-9, 1.0),
            case(Special::BetaShapePart(ShapePart::Constant), &[&shapes[..3], &shapes[..3], &shares], 1e-10, 0.0),
        ],
    );
}

#[test]
fn skellam_functions() {
    let rates = [1e-3, 0.7, 6.0, 300.0, 1e7];
    compare(
        "skellam_functions",
        &[
            case(Special::SkellamCdf, &[&[-500.0, -3.0, -1.0, 0.0, 2.0, 40.0, 1e7], &rates, &rates], 1e-9, 1e-290),
            case(Special::SkellamIcdf, &[&INSIDE, &rates, &rates], 1e-15, 0.0),
        ],
    );
}

#[test]
fn truncated_normal_family() {
    let bounds = [-1e10, -40.0, -5.0, -1.0, -1e-6, 0.0, 0.3, 1.0, 3.9, 12.0, 39.0, 1e8];
    compare(
        "truncated_normal_family",
        &[
            case(Special::NormalLogMass, &[&bounds, &bounds], 1e-12, 1e-3),
            case(Special::NormalLogMassOverDensity, &[&bounds, &bounds], 1e-12, 1.0),
            case(Special::NormalLogScaledMass, &[&bounds, &bounds], 1e-12, 1.0),
            case(Special::NormalLogMassAtEdge, &[&bounds, &bounds], 1e-12, 1.0),
            case(Special::NormalHazardAtEdge, &[&bounds, &bounds], 1e-11, 1e-290),
            case(Special::TruncatedNormalCdf, &[&bounds, &bounds, &bounds], 1e-11, 1e-290),
            case(Special::TruncatedNormalIcdf, &[&PROBABILITIES, &bounds, &bounds], 1e-11, 1e-3),
            case(Special::TruncatedNormalMean, &[&bounds, &bounds], 1e-11, 1.0),
            case(Special::TruncatedNormalExcess, &[&bounds, &bounds], 1e-11, 1e-290),
            case(Special::TruncatedNormalVariance, &[&bounds, &bounds], 1e-10, 1e-290),
        ],
    );
}

#[test]
fn inverse_gaussian_quantiles() {
    compare(
        "inverse_gaussian_quantiles",
        &[
            case(Special::InverseGaussianIcdf, &[&PROBABILITIES, &PLAIN, &PLAIN], 1e-10, 0.0),
            case(Special::InverseGaussianComplementIcdf, &[&PROBABILITIES, &PLAIN, &PLAIN], 1e-10, 0.0),
        ],
    );
}
