//! `summary.json`: the result of a run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::{Map, Value, json};
use stochgrad_nn::write_atomically;

use crate::error::{TrainError, TrainResult};
use crate::metrics::{Values, total};
use crate::report::Report;

/// Writes the result of a run as a JSON file, atomically.
///
/// The keys are `outcome`, `steps`, `epochs`, `seconds`, `training` and `validation` (the last costs by name, with their
/// sum as `total` if there are several), `best` (step, epoch, value and costs of the best evaluation), `variances` of
/// gradients, `warnings`, and `settings`. A number that is not finite is `null`.
///
/// ```
/// use stochgrad_train::Report;
/// use stochgrad_train::output::save_summary;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("summary.json");
/// save_summary(&path, &Report::default(), &[("method".to_owned(), "DisARM".to_owned())].into())?;
/// let summary: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
/// assert_eq!(summary["outcome"], "completed");
/// assert_eq!(summary["settings"]["method"], "DisARM");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the file cannot be written.
pub fn save_summary(path: impl AsRef<Path>, report: &Report, settings: &BTreeMap<String, String>) -> TrainResult<()> {
    let summary = summary(report, settings);
    Ok(write_atomically(path, |file| writeln!(file, "{summary:#}"))?)
}

/// Adds results of the program, such as an accuracy on test data, to the summary of a run, under the key `results`.
///
/// A result of the same name is replaced. A number that is not finite is `null`. If there is no such file, it is made:
/// a program that trains several models has a summary of its own, besides those of the runs.
///
/// ```
/// use stochgrad_train::Report;
/// use stochgrad_train::output::{add_results, save_summary};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("summary.json");
/// save_summary(&path, &Report::default(), &[].into())?;
/// add_results(&path, [("test accuracy", 0.93)])?;
/// let summary: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
/// assert_eq!(summary["results"]["test accuracy"], 0.93);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the file cannot be read or written, or is not a JSON object.
pub fn add_results<N: Into<String>>(
    path: impl AsRef<Path>,
    results: impl IntoIterator<Item = (N, f64)>,
) -> TrainResult<()> {
    let path = path.as_ref();
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => "{}".to_owned(),
        text => text.map_err(|error| TrainError::io("read", path, "pass the summary of a run", error))?,
    };
    let unusable = |found: String| {
        TrainError::content(path, "a JSON object, as written by a run", found, "pass the summary of a run")
    };
    let mut summary: Map<String, Value> = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    match summary.entry("results").or_insert_with(|| Map::new().into()) {
        Value::Object(known) => known.extend(results.into_iter().map(|(name, value)| (name.into(), json!(value)))),
        other => return Err(unusable(format!("the results {other}"))),
    }
    let summary = Value::from(summary);
    Ok(write_atomically(path, |file| writeln!(file, "{summary:#}"))?)
}

fn summary(report: &Report, settings: &BTreeMap<String, String>) -> Value {
    let best = report.best.as_ref().map(|best| {
        json!({ "step": best.step, "epoch": best.epoch, "value": best.value, "validation": object(&best.costs) })
    });
    json!({
        "outcome": report.outcome.to_string(),
        "steps": report.steps,
        "epochs": report.epochs,
        "seconds": report.seconds,
        "training": costs(&report.last.training),
        "validation": report.last.validation.as_ref().map(costs),
        "best": best,
        "variances": object(&report.last.variances),
        "warnings": report.warnings.iter().map(ToString::to_string).collect::<Vec<String>>(),
        "settings": settings,
    })
}

fn object(values: &Values) -> Map<String, Value> {
    values.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

fn costs(values: &Values) -> Map<String, Value> {
    let mut costs = object(values);
    if values.len() > 1 {
        costs.entry("total").or_insert(json!(total(values)));
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::report::{Best, Outcome};

    #[test]
    fn the_summary_has_all_results() {
        let validation = vec![("kl".to_owned(), 2.0), ("nats".to_owned(), 0.5)];
        let best = Best { step: 60, epoch: 2, value: 2.5, costs: validation.clone() };
        let report = Report {
            outcome: Outcome::Interrupted,
            steps: 95,
            epochs: 3,
            last: Metrics {
                training: vec![("kl".to_owned(), f64::NAN)],
                validation: Some(validation),
                variances: vec![("w".to_owned(), 1e-3)],
                ..Metrics::default()
            },
            best: Some(best),
            seconds: 1.5,
            ..Report::default()
        };
        let found = summary(&report, &BTreeMap::new());
        let expected = json!({
            "outcome": "interrupted", "steps": 95, "epochs": 3, "seconds": 1.5,
            "training": { "kl": null },
            "validation": { "kl": 2.0, "nats": 0.5, "total": 2.5 },
            "best": { "step": 60, "epoch": 2, "value": 2.5, "validation": { "kl": 2.0, "nats": 0.5 } },
            "variances": { "w": 1e-3 },
            "warnings": [],
            "settings": {},
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn results_are_added_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        save_summary(&path, &Report { steps: 7, ..Report::default() }, &BTreeMap::new()).unwrap();
        add_results(&path, [("accuracy", 0.5), ("gap", f64::INFINITY)]).unwrap();
        add_results(&path, [("accuracy", 0.75)]).unwrap();
        let found: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(found["results"], json!({ "accuracy": 0.75, "gap": null }));
        assert_eq!(found["steps"], 7);

        let path = folder.path().join("new.json");
        add_results(&path, [("accuracy", 0.5)]).unwrap();
        let found: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(found, json!({ "results": { "accuracy": 0.5 } }));
    }

    #[test]
    fn other_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        let error = |path: &Path| add_results(path, [("accuracy", 0.5)]).unwrap_err().to_string();
        assert!(error(folder.path()).contains("cannot read"), "{}", error(folder.path()));
        for (text, found) in [("[1]", "expected a map"), ("{\"results\": 3}", "the results 3")] {
            fs::write(&path, text).unwrap();
            assert!(error(&path).contains("a JSON object") && error(&path).contains(found), "{}", error(&path));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
