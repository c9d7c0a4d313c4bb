//! The distribution function, the survival function, their logarithms and their inverses, far into both tails. The
//! expected values, in `tails/tails.csv`, come from `tails/generate.py`.

use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Real;

/// A row of the table: parameters and value, and ln F and ln S there.
struct Row {
    name: String,
    parameters: Vec<f64>,
    value: f64,
    logs: [f64; 2],
}

fn rows() -> Vec<Row> {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    let lines = include_str!("tails/tails.csv").lines();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        Row {
            name: cells[0].into(),
            parameters: cells[1].split(' ').map(number).collect(),
            value: number(cells[2]),
            logs: [number(cells[3]), number(cells[4])],
        }
    };
    lines.map(row).collect()
}

fn build<'t, F: Real>(name: &str, p: &[Var<'t, F>]) -> Box<dyn Distribution<'t, F> + 't> {
    match name {
        "Normal" => Box::new(Normal::new(p[0], p[1])),
        "LogNormal" => Box::new(LogNormal::new(p[0], p[1])),
        "HalfNormal" => Box::new(HalfNormal::new(p[0])),
        "Cauchy" => Box::new(Cauchy::new(p[0], p[1])),
        "HalfCauchy" => Box::new(HalfCauchy::new(p[0])),
        "Laplace" => Box::new(Laplace::new(p[0], p[1])),
        "Logistic" => Box::new(Logistic::new(p[0], p[1])),
        "Gumbel" => Box::new(Gumbel::new(p[0], p[1])),
        "Exponential" => Box::new(Exponential::new(p[0])),
        "Rayleigh" => Box::new(Rayleigh::new(p[0])),
        "Weibull" => Box::new(Weibull::new(p[0], p[1])),
        "Pareto" => Box::new(Pareto::new(p[0], p[1])),
        "Kumaraswamy" => Box::new(Kumaraswamy::new(p[0], p[1])),
        "Uniform" => Box::new(Uniform::new(p[0], p[1])),
        "Maxwell" => Box::new(Maxwell::new(p[0])),
        "Gamma" => Box::new(Gamma::new(p[0], p[1])),
        "InverseGamma" => Box::new(InverseGamma::new(p[0], p[1])),
        "Chi2" => Box::new(Chi2::new(p[0])),
        "Beta" => Box::new(Beta::new(p[0], p[1])),
        "StudentT" => Box::new(StudentT::new(p[0], p[1], p[2])),
        "InverseGaussian" => Box::new(InverseGaussian::new(p[0], p[1])),
        "TruncatedNormal" => Box::new(TruncatedNormal::new(p[0], p[1], p[2], p[3])),
        "AsymmetricLaplace" => Box::new(AsymmetricLaplace::new(p[0], p[1], p[2])),
        "Moyal" => Box::new(Moyal::new(p[0], p[1])),
        "GeneralizedExtremeValue" => Box::new(GeneralizedExtremeValue::new(p[0], p[1], p[2])),
        "GeneralizedPareto" => Box::new(GeneralizedPareto::new(p[0], p[1], p[2])),
        "GeneralizedNormal" => Box::new(GeneralizedNormal::new(p[0], p[1], p[2])),
        "JohnsonSu" => Box::new(JohnsonSu::new(p[0], p[1], p[2], p[3])),
        "SinhArcsinh" => Box::new(SinhArcsinh::new(p[0], p[1], p[2], p[3])),
        "Levy" => Box::new(Levy::new(p[0], p[1])),
        "LogLogistic" => Box::new(LogLogistic::new(p[0], p[1])),
        "Chi" => Box::new(Chi::new(p[0])),
        "FisherF" => Box::new(FisherF::new(p[0], p[1])),
        "HalfStudentT" => Box::new(HalfStudentT::new(p[0], p[1])),
        "Truncated" => Box::new(Truncated::new(Laplace::new(p[0], p[1]), p[2], p[3]).expect("numbers")),
        "VonMises" => Box::new(VonMises::new(p[0], p[1])),
        "ContinuousBernoulli" => Box::new(ContinuousBernoulli::from_logits(p[0])),
        _ => panic!("no distribution has the name {name}"),
    }
}

/// The names and one set of parameters of all distributions in the table.
fn distributions() -> Vec<(String, Vec<f64>)> {
    let mut all: Vec<(String, Vec<f64>)> = rows().into_iter().map(|row| (row.name, row.parameters)).collect();
    all.dedup();
    all
}

/// The four functions, in the order F, S, ln F, ln S.
fn functions<'t, F: Real>(distribution: &dyn Distribution<'t, F>, value: Var<'t, F>) -> [Var<'t, F>; 4] {
    let cumulative = distribution.capabilities().cdf.expect("a distribution function");
    [cumulative.cdf(value), cumulative.survival(value), cumulative.log_cdf(value), cumulative.log_survival(value)]
}

const NAMES: [&str; 4] = ["cdf", "survival", "log_cdf", "log_survival"];

/// Checks a result, and collects what is wrong.
fn compare(failures: &mut Vec<String>, what: String, found: f64, expected: f64, tolerance: f64, floor: f64) {
    let right = found == expected || (found - expected).abs() <= tolerance * expected.abs() + floor;
    if !right {
        failures.push(format!("{what}: {found:e}, expected {expected:e}"));
    }
}

/// How far the logarithms move if the value is moved by its rounding: what no formula can recover.
fn condition<F: Real>(row: &Row, density: f64, log: f64) -> f64 {
    F::EPSILON.to_f64() * row.value.abs() * (density - log).exp()
}

#[test]
fn both_tails_are_those_of_mpmath() {
    let mut failures = Vec::new();
    for row in rows() {
        let tape = Tape::<f64>::new();
        let parameters: Vec<_> = row.parameters.iter().map(|&p| tape.parameter(p)).collect();
        let distribution = build(&row.name, &parameters);
        let value = tape.parameter(row.value);
        let log_density = distribution.log_prob(value).item().unwrap();
        for (index, function) in functions(&*distribution, value).into_iter().enumerate() {
            let what = format!("{} of {} {:?} at {:e}", NAMES[index], row.name, row.parameters, row.value);
            let log = row.logs[index % 2];
            let found = function.item().unwrap();
            // The relative error of the probability is the absolute one of its logarithm.
            let moved = 4.0 * condition::<f64>(&row, log_density, log);
            let (expected, tolerance) = if index < 2 {
                (log.exp(), 1e-12 + 4.0 * f64::EPSILON * log.abs() + moved)
            } else {
                (log, 1e-12 + moved / log.abs())
            };
            compare(&mut failures, what.clone(), found, expected, tolerance, 1e-323);
            // The derivatives with respect to the value are the density, and the density over the probability.
            let [slope] = tape.backward(function, [value]).unwrap();
            let slope = slope.item().unwrap();
            let sign = if index % 2 == 0 { 1.0 } else { -1.0 };
            let log_slope = if index < 2 { log_density } else { log_density - log };
            let tolerance = 1e-10 + 8.0 * f64::EPSILON * (log_density.abs() + log.abs()) + moved;
            // Where the probability has underflowed, so have its slope and that of the other logarithm.
            if row.logs.iter().any(|&log| log < -690.0) && !(index >= 2 && log < -690.0) {
                continue;
            }
            let floor = if index < 2 { 1e-300 } else { 0.0 };
            compare(&mut failures, format!("slope of {what}"), slope, sign * log_slope.exp(), tolerance, floor);
            for gradient in tape.backward_all(function, &parameters).unwrap() {
                if !gradient.item().unwrap().is_finite() {
                    failures.push(format!("derivatives of {what}: {gradient:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn quantiles_invert_the_smaller_tail() {
    let mut failures = Vec::new();
    for (name, parameters) in distributions() {
        let tape = Tape::<f64>::new();
        let leaves: Vec<_> = parameters.iter().map(|&p| tape.parameter(p)).collect();
        let distribution = build(&name, &leaves);
        let capabilities = distribution.capabilities();
        let (cumulative, quantile) = (capabilities.cdf.unwrap(), capabilities.icdf.unwrap());
        let end = |quantile: Var<'_, f64>| quantile.item().unwrap();
        let (zero, one) = (tape.constant(0.0), tape.constant(1.0));
        let (lowest, highest) = (end(quantile.icdf(zero)), end(quantile.icdf(one)));
        let mirrored = [end(quantile.inverse_survival(one)), end(quantile.inverse_survival(zero))];
        if mirrored != [lowest, highest] || lowest >= highest {
            failures.push(format!("ends of {name} {parameters:?}: {lowest}, {highest}, {mirrored:?}"));
        }
        for p in [1e-300, 1e-100, 1e-20, 1e-9, 0.01, 0.3, 0.5] {
            let probability = tape.parameter(p);
            let ends = [quantile.icdf(probability), quantile.inverse_survival(probability)];
            for (index, x) in ends.into_iter().enumerate() {
                let what = format!("{name} {parameters:?}, {} at {p:e}", ["icdf", "inverse_survival"][index]);
                let at = x.item().unwrap();
                let tail = if index == 0 { cumulative.cdf(x) } else { cumulative.survival(x) };
                // The quantile is rounded, and so is its distance from the location or from an end.
                let density = distribution.log_prob(tape.constant(at)).item().unwrap().exp();
                let tolerance = 1e-11 + 8.0 * f64::EPSILON * at.abs().max(f64::MIN_POSITIVE) * density / p;
                let edge = at == 1.0 || at.abs() < f64::MIN_POSITIVE || !at.is_finite() || density == 0.0;
                let bounded = parameters.contains(&at);
                if !edge && !bounded {
                    compare(&mut failures, what.clone(), tail.item().unwrap(), p, tolerance, 0.0);
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// NaN in, NaN out; at infinity the limits, without NaN in any derivative.
fn assert_ends<F: Real>() {
    let mut failures = Vec::new();
    for (name, parameters) in distributions() {
        let tape = Tape::<F>::new();
        let leaves: Vec<_> =
            parameters.iter().map(|&p| tape.parameter(stochgrad_tensor::Tensor::scalar(F::from_f64(p)))).collect();
        let distribution = build(&name, &leaves);
        let unknown = tape.constant(f64::NAN);
        let all = |value| {
            let [a, b, c, d] = functions(&*distribution, value);
            [
                ("cdf", a),
                ("survival", b),
                ("log_cdf", c),
                ("log_survival", d),
                ("log_prob", distribution.log_prob(value)),
            ]
        };
        for (function, result) in all(unknown) {
            if !result.item().unwrap().is_nan() {
                failures.push(format!("{function} of {name} at NaN: {:?}", result.item()));
            }
        }
        let quantile = distribution.capabilities().icdf.unwrap();
        for p in [f64::NAN, -1e-9, 1.0 + 1e-6] {
            for (function, result) in [
                ("icdf", quantile.icdf(tape.constant(p))),
                ("inverse_survival", quantile.inverse_survival(tape.constant(p))),
            ] {
                if !result.item().unwrap().is_nan() {
                    failures.push(format!("{function} of {name} {parameters:?} at {p}: {:?}", result.item()));
                }
            }
        }
        for at in [0.0, 1.0] {
            let probability = tape.parameter(stochgrad_tensor::Tensor::scalar(F::from_f64(at)));
            for end in [quantile.icdf(probability), quantile.inverse_survival(probability)] {
                let mut wrt = leaves.clone();
                wrt.push(probability);
                for gradient in tape.backward_all(end, &wrt).unwrap() {
                    if !gradient.all_finite() {
                        failures.push(format!("slopes of the quantile of {name} at {at}: {gradient:?}"));
                    }
                }
            }
        }
        for at in [f64::NEG_INFINITY, f64::INFINITY] {
            let nothing = f64::NEG_INFINITY;
            let expected = if at < 0.0 { [0.0, 1.0, nothing, 0.0, nothing] } else { [1.0, 0.0, 0.0, nothing, nothing] };
            let value = tape.parameter(stochgrad_tensor::Tensor::scalar(F::from_f64(at)));
            for ((function, result), expected) in all(value).into_iter().zip(expected) {
                if result.item().unwrap().to_f64() != expected {
                    failures.push(format!("{function} of {name} at {at}: {:?}", result.item()));
                }
                let mut wrt = leaves.clone();
                wrt.push(value);
                for (gradient, index) in tape.backward_all(result, &wrt).unwrap().iter().zip(0..) {
                    let gradient = gradient.as_slice()[0].to_f64();
                    if gradient.is_nan() || (function != "log_prob" && gradient != 0.0) {
                        failures.push(format!("derivative {index} of {function} of {name} at {at}: {gradient}"));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn infinities_and_nan_in_double_precision() {
    assert_ends::<f64>();
}

#[test]
fn infinities_and_nan_in_single_precision() {
    assert_ends::<f32>();
}
