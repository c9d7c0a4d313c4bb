//! The special functions against values from mpmath at 60 digits, which `generate.py` writes to `special.csv`. The
//! bounds are those of the documentation.

use std::collections::BTreeMap;
use stochgrad_tensor::special::*;

const TABLE: &str = include_str!("special.csv");

/// The value of a function, and the bound of its error.
struct Found {
    value: f64,
    bound: f64,
}

/// An error relative to the expected value.
fn relative(value: f64, expected: f64, tolerance: f64) -> Found {
    Found { value, bound: tolerance * expected.abs() }
}

/// An error relative to the larger of 1 and the expected value.
fn near(value: f64, expected: f64, tolerance: f64) -> Found {
    Found { value, bound: tolerance * expected.abs().max(1.0) }
}

/// The error of a probability: relative to the smaller of it and its complement, and to its logarithm.
fn probability(value: f64, expected: f64, tolerance: f64) -> Found {
    let smaller = expected.min(1.0 - expected);
    let logarithm = if smaller > 0.0 { -smaller.ln() } else { 0.0 };
    Found { value, bound: smaller * (tolerance + 1e-15 * logarithm) + 2e-16 * expected }
}

/// The error of the logarithm of a probability.
fn log_probability(value: f64, expected: f64, tolerance: f64) -> Found {
    let bound = if expected > -0.1 {
        // Relative to the complement, which is about minus the logarithm.
        expected.abs() * (tolerance + 1e-15 * -expected.abs().ln())
    } else {
        tolerance * expected.abs().max(1.0)
    };
    Found { value, bound }
}

fn evaluate(name: &str, x: &[f64], expected: f64) -> Found {
    let order = x[0] as u32;
    match name {
        "normal_cdf" => relative(normal_cdf(x[0]), expected, 1e-15 * (1.0 + x[0] * x[0])),
        "normal_log_cdf" if x[0] > 0.0 => relative(normal_log_cdf(x[0]), expected, 1e-15 * (1.0 + x[0] * x[0])),
        "normal_log_cdf" => relative(normal_log_cdf(x[0]), expected, 2e-15),
        "normal_icdf" => relative(normal_icdf(x[0]), expected, 2e-15),
        "lgamma" => near(lgamma(x[0]), expected, 1e-15),
        "digamma" => relative(digamma(x[0]), expected, 4e-15),
        "trigamma" => relative(trigamma(x[0]), expected, 2e-15),
        "polygamma" => relative(polygamma(order, x[1]), expected, 1e-14),
        "digamma_minus_log_derivative" => relative(digamma_minus_log_derivative(order, x[1]), expected, 1e-14),
        "scaled_exponential_integral" => relative(scaled_exponential_integral(order, x[1]), expected, 2e-15),
        "stirling_divergence" => relative(stirling_divergence(x[0], x[1]), expected, 1e-13),
        "digamma_minus_log_difference" => relative(digamma_minus_log_difference(x[0], x[1]), expected, 1e-13),
        "log_gamma_difference" => relative(log_gamma_difference(order, x[1], x[2]), expected, 1e-14),
        "log_gamma_second_difference" => relative(log_gamma_second_difference(order, x[1], x[2]), expected, 1e-13),
        "log_beta" => near(log_beta(x[0], x[1]), expected, 3e-15),
        "student_t_log_height" if order == 0 => near(student_t_log_height(0, x[1]), expected, 1e-14),
        "student_t_log_height" => relative(student_t_log_height(order, x[1]), expected, 1e-12),
        "gamma_p" => probability(gamma_p(x[0], x[1]), expected, 2e-14),
        "gamma_q" => probability(gamma_q(x[0], x[1]), expected, 2e-14),
        "log_gamma_p" => log_probability(log_gamma_p(x[0], x[1]), expected, 3e-14),
        "log_gamma_q" => log_probability(log_gamma_q(x[0], x[1]), expected, 3e-14),
        "gamma_p_inverse" => relative(gamma_p_inverse(x[0], x[1]), expected, quantile_bound(x[0], x[1])),
        "gamma_q_inverse" => relative(gamma_q_inverse(x[0], x[1]), expected, 1e-13),
        "beta_inc_pair" => probability(beta_inc_pair(x[0], x[1], x[2], x[3]), expected, 3e-13),
        "log_beta_inc" => log_probability(log_beta_inc(x[0], x[1], x[2], x[3]), expected, 3e-13),
        "beta_inc_inverse" => relative(beta_inc_inverse(x[0], x[1], x[2]).0, expected, quantile_bound(x[0], x[2])),
        "student_t_cdf" => probability(student_t_cdf(x[0], x[1]), expected, 2e-14),
        "student_t_log_cdf" => log_probability(student_t_log_cdf(x[0], x[1]), expected, 3e-14),
        "student_t_icdf" => relative(student_t_icdf(x[0], x[1]), expected, quantile_bound(x[1], x[0])),
        "von_mises_cdf" => probability(von_mises_cdf(x[0], x[1]), expected, 2e-14),
        "von_mises_log_cdf" => log_probability(von_mises_log_cdf(x[0], x[1]), expected, 3e-14),
        _ => panic!("no function {name} here"),
    }
}

/// A quantile that is a power of the probability has the rounding error of its logarithm.
fn quantile_bound(shape: f64, p: f64) -> f64 {
    1e-13 + 4e-16 * (1.0 - p.ln()) / shape
}

#[test]
fn special_functions_are_within_their_bounds() {
    let mut worst: BTreeMap<&str, (f64, f64, String)> = BTreeMap::new();
    let mut failures = Vec::new();
    for line in TABLE.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let numbers: Vec<f64> = fields[1..].iter().map(|field| field.parse().unwrap()).collect();
        let (expected, arguments) = numbers.split_last().unwrap();
        let Found { value, bound } = evaluate(fields[0], arguments, *expected);
        let error = (value - expected).abs();
        let share = if error == 0.0 { 0.0 } else { error / bound };
        if share.is_nan() || share > 1.0 {
            failures.push(format!("{line}: got {value:e}, error {:.1e}", error / expected.abs()));
        }
        let entry = worst.entry(fields[0]).or_insert((0.0, 0.0, String::new()));
        if share >= entry.0 {
            *entry = (share, error / expected.abs().max(f64::MIN_POSITIVE), line.to_string());
        }
    }
    for (name, (share, error, line)) in &worst {
        println!("{name}: {:.0} % of its bound, relative error {error:.1e}, at {line}", 100.0 * share);
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), TABLE.lines().count(), failures.join("\n"));
}
