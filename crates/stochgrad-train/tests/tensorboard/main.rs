//! TensorBoard reads what is written for it.

use std::path::Path;
use std::process::Command;

use stochgrad_train::output::TensorBoard;
use stochgrad_train::{Metrics, Observer, RunStart};

fn metrics(epoch: u64) -> Metrics {
    let costs = |scale: f64| {
        vec![("reconstruction".to_owned(), scale / epoch as f64), ("weights/kl".to_owned(), scale * epoch as f64)]
    };
    let mut metrics = Metrics::default();
    (metrics.step, metrics.epoch, metrics.learning_rate) = (30 * epoch, epoch, 0.5);
    metrics.training = costs(1.0);
    metrics.validation = epoch.is_multiple_of(2).then(|| costs(8.0));
    metrics.variances = vec![("encoder".to_owned(), 0.25)];
    metrics
}

fn run(folder: &Path, resumed_at: Option<u64>, epochs: std::ops::RangeInclusive<u64>) {
    let mut events = TensorBoard::new(folder);
    let mut start = RunStart::default();
    start.resumed_at = resumed_at;
    events.start(&start).unwrap();
    for epoch in epochs {
        events.metrics(&metrics(epoch)).unwrap();
    }
}

/// The lines that the script prints.
fn expected(epochs: u64) -> String {
    let mut lines = Vec::new();
    for metrics in (1..=epochs).map(metrics) {
        let mut push = |run: &str, tag: &str, value: f64| {
            lines.push((run.to_owned(), tag.to_owned(), metrics.step, value as f32));
        };
        push("training", "learning rate", metrics.learning_rate);
        push("training", "gradient variance/encoder", 0.25);
        let parts = [("training", Some(&metrics.training)), ("validation", metrics.validation.as_ref())];
        for (run, values) in parts.into_iter().filter_map(|(run, values)| Some((run, values?))) {
            values.iter().for_each(|(tag, value)| push(run, tag, *value));
            push(run, "total", values.iter().map(|(_, value)| value).sum());
        }
    }
    lines.sort_by(|left, right| (&left.0, &left.1, left.2).cmp(&(&right.0, &right.1, right.2)));
    // Python prints a float as the double with this value.
    let line = |(run, tag, step, value)| format!("{run}\t{tag}\t{step}\t{:?}\n", f64::from(value));
    lines.into_iter().map(line).collect()
}

#[test]
#[ignore = "needs a Python with TensorBoard, named by the variable PYTHON"]
fn the_reader_of_tensorboard_finds_each_value_once() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), None, 1..=5);
    run(folder.path(), Some(90), 4..=7);
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tensorboard/read.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected(7));
}
