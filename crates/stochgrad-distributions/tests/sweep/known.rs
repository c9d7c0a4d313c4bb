//! The tables of known values of the sweep, which `golden/generate_sweep.py` writes.

use std::collections::BTreeMap;
use std::path::Path;

/// A value with its derivatives with respect to the parameters and then the argument. A derivative that does not exist
/// is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) value: f64,
    pub(crate) slopes: Vec<Option<f64>>,
}

/// A tail: the probability, and its logarithm with derivatives.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    pub(crate) probability: f64,
    pub(crate) logarithm: Known,
}

/// What is known at an argument.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) argument: f64,
    pub(crate) density: Known,
    pub(crate) below: Option<Tail>,
    pub(crate) above: Option<Tail>,
}

/// What is known of a distribution at some parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Point {
    pub(crate) parameters: Vec<f64>,
    pub(crate) rows: Vec<Row>,
    /// Mean, variance and entropy.
    pub(crate) moments: [Option<Known>; 3],
}

fn numbers(field: &str) -> Vec<Option<f64>> {
    let number = |part: &str| match part {
        "-" => None,
        "+inf" => Some(f64::INFINITY),
        _ => Some(part.parse().unwrap_or_else(|_| panic!("expected a number, got {part}"))),
    };
    field.split(';').filter(|part| !part.is_empty()).map(number).collect()
}

fn known(field: &str) -> Option<Known> {
    let list = numbers(field);
    let (value, slopes) = list.split_first()?;
    Some(Known { value: (*value)?, slopes: slopes.to_vec() })
}

fn tail(field: &str) -> Option<Tail> {
    let list = numbers(field);
    let (probability, rest) = list.split_first()?;
    let logarithm = match rest.split_first() {
        Some((value, slopes)) => Known { value: (*value)?, slopes: slopes.to_vec() },
        None => Known { value: f64::NEG_INFINITY, slopes: Vec::new() },
    };
    Some(Tail { probability: (*probability)?, logarithm })
}

/// All points by the name of the distribution.
pub(crate) fn points() -> BTreeMap<String, Vec<Point>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sweep");
    let mut points: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder of tables") {
        let mut reader = csv::Reader::from_path(entry.expect("a file").path()).expect("a table");
        for record in reader.records() {
            let record = record.expect("a line");
            let parameters: Vec<f64> = numbers(&record[1]).into_iter().flatten().collect();
            let known_points = points.entry(record[0].to_string()).or_default();
            if known_points.last().is_none_or(|point| point.parameters != parameters) {
                known_points.push(Point { parameters, ..Point::default() });
            }
            let point = known_points.last_mut().expect("the point of this line");
            match record[2].parse() {
                Ok(argument) => point.rows.push(Row {
                    argument,
                    density: known(&record[3]).expect("a density"),
                    below: tail(&record[4]),
                    above: tail(&record[5]),
                }),
                Err(_) => point.moments = [known(&record[3]), known(&record[4]), known(&record[5])],
            }
        }
    }
    points
}
