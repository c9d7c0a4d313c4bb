//! The divergences within a family against known values, which `golden/generate_sweep_divergences.py` writes.
//!
//! Near the minimum, where both distributions are equal, the value and its derivatives are much smaller than what goes
//! into them. The unit of a derivative is therefore $\varepsilon\,(|\partial v/\partial\theta_i| + \sum_j |\theta_j\,
//! \partial^2 v/\partial\theta_i\partial\theta_j|)$: what half a rounding of each parameter changes in it. That of the
//! value is $\varepsilon\,(|v| + \sum_i |\theta_i\,\partial v/\partial\theta_i|)$ plus the second-order term.

use crate::distributions::{Entry, Precision};
use crate::failure::{Findings, Kind};
use std::path::Path;
use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};

/// The largest error of a value or a derivative, in units.
const BOUND: f64 = 256.0;

/// A divergence given the parameters of both distributions.
type Divergence<F> = for<'t> fn(&[Var<'t, F>]) -> Var<'t, F>;

/// A precision, with the divergences in it.
pub(crate) trait Divergences: Precision {
    /// The divergence within the family with this name.
    fn divergence(name: &str) -> Option<Divergence<Self>>;
}

macro_rules! divergences {
    ($($name:literal => $count:literal, |$p:ident| $build:expr;)*) => {
        divergences!(@ f32, $($name => $count, |$p| $build;)*);
        divergences!(@ f64, $($name => $count, |$p| $build;)*);
    };
    (@ $real:ty, $($name:literal => $count:literal, |$p:ident| $build:expr;)*) => {
        impl Divergences for $real {
            fn divergence(name: &str) -> Option<Divergence<$real>> {
                match name {
                    $($name => Some(|all| {
                        let first = { let $p = &all[..$count]; $build };
                        let second = { let $p = &all[$count..]; $build };
                        first.kl_to(&second)
                    }),)*
                    _ => None,
                }
            }
        }
    };
}

divergences! {
    "Bernoulli(probability)" => 1, |p| Bernoulli::from_probabilities(p[0]);
    "Geometric(probability)" => 1, |p| Geometric::from_probabilities(p[0]);
    "Poisson(rate)" => 1, |p| Poisson::from_rate(p[0]);
    "Zeta(exponent)" => 1, |p| Zeta::new(p[0]);
    "Normal(location, scale)" => 2, |p| Normal::new(p[0], p[1]);
    "LogNormal(location, scale)" => 2, |p| LogNormal::new(p[0], p[1]);
    "Laplace(location, scale)" => 2, |p| Laplace::new(p[0], p[1]);
    "AsymmetricLaplace(location, scale, asymmetry)" => 3, |p| AsymmetricLaplace::new(p[0], p[1], p[2]);
    "Moyal(location, scale)" => 2, |p| Moyal::new(p[0], p[1]);
    "Gumbel(location, scale)" => 2, |p| Gumbel::new(p[0], p[1]);
    "Cauchy(location, scale)" => 2, |p| Cauchy::new(p[0], p[1]);
    "Exponential(rate)" => 1, |p| Exponential::new(p[0]);
    "HalfNormal(scale)" => 1, |p| HalfNormal::new(p[0]);
    "Rayleigh(scale)" => 1, |p| Rayleigh::new(p[0]);
    "Maxwell(scale)" => 1, |p| Maxwell::new(p[0]);
    "Chi(degrees_of_freedom)" => 1, |p| Chi::new(p[0]);
    "Gamma(concentration, rate)" => 2, |p| Gamma::new(p[0], p[1]);
    "InverseGamma(concentration, scale)" => 2, |p| InverseGamma::new(p[0], p[1]);
    "Chi2(degrees_of_freedom)" => 1, |p| Chi2::new(p[0]);
    "Beta(alpha, beta)" => 2, |p| Beta::new(p[0], p[1]);
    "Weibull(concentration, scale)" => 2, |p| Weibull::new(p[0], p[1]);
    "InverseGaussian(location, concentration)" => 2, |p| InverseGaussian::new(p[0], p[1]);
    "VonMises(location, concentration)" => 2, |p| VonMises::new(p[0], p[1]);
    "ContinuousBernoulli(logits)" => 1, |p| ContinuousBernoulli::from_logits(p[0]);
}

/// A known divergence.
pub(crate) struct Row {
    pub(crate) name: String,
    parameters: Vec<f64>,
    value: f64,
    slopes: Vec<f64>,
    sizes: Vec<f64>,
}

/// The table.
pub(crate) fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sweep_divergences/values.csv");
    let numbers = |field: &str| field.split(';').map(|part| part.parse().expect("a number")).collect::<Vec<f64>>();
    let row = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.expect("a line");
        let values = numbers(&record[2]);
        Row {
            name: record[0].to_string(),
            parameters: numbers(&record[1]),
            value: values[0],
            slopes: values[1..].to_vec(),
            sizes: numbers(&record[3]),
        }
    };
    csv::Reader::from_path(path).expect("a table").records().map(row).collect()
}

/// The error of the value and the largest one of a derivative, in units, or the reason why there is no value.
fn errors<F: Divergences>(row: &Row, divergence: Divergence<F>) -> Result<([f64; 2], String), String> {
    let tape = Tape::<F>::new();
    let leaves: Vec<Var<'_, F>> = row.parameters.iter().map(|&p| tape.parameter(p)).collect();
    let result = divergence(&leaves);
    let value = result.peek().map_err(|error| error.to_string())?.as_slice()[0].to_f64();
    let gradients = tape.backward_all(result, &leaves).map_err(|error| error.to_string())?;
    let slopes: Vec<f64> = gradients.iter().map(|gradient| gradient.as_slice()[0].to_f64()).collect();
    let all: f64 = row.parameters.iter().zip(&row.slopes).map(|(p, d)| (p * d).abs()).sum();
    let second: f64 = row.parameters.iter().zip(&row.sizes).map(|(p, size)| (p * size).abs()).sum();
    let unit = F::ROUNDING * (row.value.abs() + all + F::ROUNDING * second) + F::LEAST;
    let of = |got: f64, known: f64, unit: f64| {
        let error = (got - known).abs() / unit;
        if got == known {
            0.0
        } else if error.is_nan() {
            f64::INFINITY
        } else {
            error
        }
    };
    let mut largest = 0.0_f64;
    for (i, (got, known)) in slopes.iter().zip(&row.slopes).enumerate() {
        largest = largest.max(of(*got, *known, F::ROUNDING * (known.abs() + row.sizes[i]) + F::LEAST));
    }
    let Row { parameters, value: known, slopes: known_slopes, .. } = row;
    let what = format!("{parameters:?}: {value:e} {slopes:?}, known {known:e} {known_slopes:?}");
    Ok(([of(value, row.value, unit), largest], what))
}

/// Compares the divergences of an entry.
pub(crate) fn of_entry<F: Divergences>(entry: &Entry, rows: &[Row]) -> Findings {
    let mut findings = Findings::default();
    let Some(divergence) = F::divergence(entry.name) else { return findings };
    for row in rows.iter().filter(|row| row.name == entry.name) {
        let kind = |property| Kind { distribution: entry.name, precision: F::NAME, function: "kl_to", property };
        match errors::<F>(row, divergence) {
            Ok(([value, slopes], what)) => {
                findings.check(&kind("known value"), value <= BOUND, || format!("{value:.2e} units, {what}"));
                findings.check(&kind("known slopes"), slopes <= BOUND, || format!("{slopes:.2e} units, {what}"));
            }
            Err(reason) => findings.refuse(entry.name, &format!("kl_to: {reason}")),
        }
    }
    findings
}
