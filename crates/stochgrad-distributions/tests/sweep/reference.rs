//! The functions of the distributions against known values, in units of the error that the rounding of the inputs
//! causes.
//!
//! The unit of a value $v$ with the inputs $\theta_i$ (parameters and argument) is
//! $\varepsilon\,(|v| + \sum_i |\theta_i\,\partial v/\partial\theta_i|)$, where $\varepsilon$ is half the distance from 1
//! to the next larger number. The unit of a derivative with respect to $\theta_i$ is $\varepsilon\,(|\partial
//! v/\partial\theta_i| + \sum_j |\theta_j\,\partial v/\partial\theta_j| / |\theta_i|)$. The smallest normal number is added
//! to both, for the derivative divided by $|\theta_i|$.
//!
//! A small probability $q = e^{-u}$ is as sensitive as its exponent is large, and so are its derivatives: those of $q$,
//! $1 - q$ and $\ln(1 - q)$ are allowed the relative change of $q$, $\sum_j |\theta_j\,\partial\ln q/\partial\theta_j|$.

use crate::distributions::{Entry, Precision};
use crate::failure::Findings;
use crate::known::{Known, Point, Row, Tail};
use crate::properties::answers;
use crate::query::{Answer, Function};
use std::collections::BTreeMap;

/// What was compared: the distribution, the precision, the function, and whether its derivatives.
pub(crate) type Compared = (&'static str, &'static str, Function, bool);

/// The largest error of each, in units, and where it is.
pub(crate) type Errors = BTreeMap<Compared, (f64, String)>;

/// The known value of a function in a row.
fn expected(function: Function, row: &Row) -> Option<Known> {
    let probability = |tail: &Tail| {
        let times = |slope: &Option<f64>| slope.map(|slope| slope * tail.probability);
        Known { value: tail.probability, slopes: tail.logarithm.slopes.iter().map(times).collect() }
    };
    match function {
        Function::LogProb => Some(row.density.clone()),
        Function::Cdf => row.below.as_ref().map(probability),
        Function::Survival => row.above.as_ref().map(probability),
        Function::LogCdf => row.below.as_ref().map(|tail| tail.logarithm.clone()),
        Function::LogSurvival => row.above.as_ref().map(|tail| tail.logarithm.clone()),
        _ => None,
    }
}

/// An error in units. Values beyond the range of the precision must be infinite or the largest number.
fn error<F: Precision>(got: f64, known: f64, unit: f64) -> f64 {
    if got == known {
        0.0
    } else if known.abs() > F::LARGEST {
        if got.abs() >= 0.99 * F::LARGEST && got.signum() == known.signum() { 0.0 } else { f64::INFINITY }
    } else {
        // Subnormal values have fewer digits.
        let error = (got - known).abs() / (unit + F::LEAST);
        if error.is_nan() { f64::INFINITY } else { error }
    }
}

/// What a change of all inputs, relative to their sizes, changes.
#[derive(Clone, Copy, Debug)]
struct Sensitivity {
    /// The value, by this.
    value: f64,
    /// The derivatives, by this part of themselves.
    slopes: f64,
}

impl Sensitivity {
    fn of(inputs: &[f64], known: &Known) -> Sensitivity {
        let scaled = inputs.iter().zip(&known.slopes).map(|(x, slope)| (x * slope.unwrap_or(0.0)).abs());
        Sensitivity { value: scaled.filter(|x| x.is_finite()).sum(), slopes: 0.0 }
    }

    /// That of a function of probability, from the logarithm of the smaller one of the two probabilities: the numbers
    /// of the table for the other one may have underflowed.
    fn of_probability(function: Function, inputs: &[f64], row: &Row) -> Option<Sensitivity> {
        let (below, above) = (row.below.as_ref()?, row.above.as_ref()?);
        let (own, logarithm) = match function {
            Function::Cdf => (below, false),
            Function::LogCdf => (below, true),
            Function::Survival => (above, false),
            Function::LogSurvival => (above, true),
            _ => return None,
        };
        let smaller = if below.probability <= above.probability { below } else { above };
        let relative = Sensitivity::of(inputs, &smaller.logarithm).value;
        if logarithm && std::ptr::eq(own, smaller) {
            return Some(Sensitivity { value: relative, slopes: 0.0 });
        }
        let change = relative * smaller.probability;
        Some(Sensitivity { value: if logarithm { change / own.probability } else { change }, slopes: relative })
    }
}

/// The errors of an answer: of the value, and the largest one of a derivative.
fn compare<F: Precision>(inputs: &[f64], answer: &Answer, known: &Known, sensitivity: Sensitivity) -> [f64; 2] {
    let Sensitivity { value: all, slopes: relative } = sensitivity;
    let value = error::<F>(answer.value, known.value, F::ROUNDING * (known.value.abs() + all));
    let mut largest = 0.0_f64;
    for (i, slope) in known.slopes.iter().enumerate() {
        let Some(slope) = *slope else { continue };
        // An input of 0 has no size of its own: that of the smallest other input, or 1.
        let size = match inputs[i] == 0.0 {
            true => inputs.iter().map(|x| x.abs()).filter(|x| *x > 0.0).fold(1.0, f64::min),
            false => inputs[i].abs(),
        };
        let all = if inputs[i] == 0.0 { all + known.value.abs() } else { all };
        let unit = F::ROUNDING * (slope.abs() * (1.0 + relative) + all / size) + F::LEAST / size;
        largest = largest.max(error::<F>(answer.slopes[i], slope, unit));
    }
    [value, largest]
}

/// The precision represents these numbers exactly.
fn represents<F: Precision>(numbers: &[f64]) -> bool {
    numbers.iter().all(|&x| x == 0.0 || F::rounded(x) == x && x.abs() >= F::LEAST && x.abs() <= F::LARGEST)
}

/// Compares all functions at a point.
fn at_point<F: Precision>(findings: &mut Findings, errors: &mut Errors, entry: &Entry, point: &Point) {
    if !represents::<F>(&point.parameters) {
        return;
    }
    let mut note = |function: Function, inputs: &[f64], answer: &Answer, known: &Known, sensitivity: Sensitivity| {
        for (slopes, error) in compare::<F>(inputs, answer, known, sensitivity).into_iter().enumerate() {
            let worst = errors.entry((entry.name, F::NAME, function, slopes == 1)).or_insert((-1.0, String::new()));
            if error > worst.0 {
                *worst = (error, format!("{inputs:?}: {answer:?}, known {known:?}"));
            }
        }
    };
    let rows: Vec<&Row> = point.rows.iter().filter(|row| represents::<F>(&[row.argument])).collect();
    let arguments: Vec<f64> = rows.iter().map(|row| row.argument).collect();
    for function in Function::ALL {
        let moment = match function {
            Function::Mean => point.moments[0].as_ref(),
            Function::Variance => point.moments[1].as_ref(),
            Function::Entropy => point.moments[2].as_ref(),
            _ => None,
        };
        if let Some(known) = moment.filter(|known| !known.value.is_nan())
            && let Some(answers) = answers::<F>(findings, entry, &point.parameters, function, &[])
        {
            let sensitivity = Sensitivity::of(&point.parameters, known);
            note(function, &point.parameters, &answers[0], known, sensitivity);
        }
        if rows.first().and_then(|row| expected(function, row)).is_none() {
            continue;
        }
        let Some(answers) = answers::<F>(findings, entry, &point.parameters, function, &arguments) else { continue };
        for (row, answer) in rows.iter().zip(&answers) {
            let inputs: Vec<f64> = point.parameters.iter().copied().chain([row.argument]).collect();
            if let Some(known) = expected(function, row) {
                let sensitivity = Sensitivity::of_probability(function, &inputs, row)
                    .unwrap_or_else(|| Sensitivity::of(&inputs, &known));
                note(function, &inputs, answer, &known, sensitivity);
            }
        }
    }
}

/// The largest errors of a distribution.
pub(crate) fn of_entry<F: Precision>(entry: &Entry, points: &[Point]) -> (Findings, Errors) {
    let (mut findings, mut errors) = (Findings::default(), Errors::new());
    for point in points {
        at_point::<F>(&mut findings, &mut errors, entry, point);
    }
    (findings, errors)
}
