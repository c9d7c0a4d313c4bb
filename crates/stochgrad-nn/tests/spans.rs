//! The spans of the feature `tracing`: what is recorded, compiled, run, differentiated and saved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use stochgrad_graph::{Graph, Seed};
use stochgrad_nn::{Checkpoint, Inputs, Parameters, Record, Step};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Metadata, Subscriber};

/// The name and the fields of a span.
type Span = (String, BTreeMap<String, String>);

/// Collects the names of all spans with their fields, in the order in which they begin.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    open: Arc<Mutex<Vec<u64>>>,
}

struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}"));
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("stochgrad_")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields(BTreeMap::new());
        attributes.record(&mut fields);
        let mut spans = self.spans.lock().unwrap();
        spans.push((attributes.metadata().name().into(), fields.0));
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Values<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.open.lock().unwrap().push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        assert_eq!(self.open.lock().unwrap().pop(), Some(span.into_u64()), "spans end in reverse order");
    }
}

/// The spans of a function.
fn spans_of(work: impl FnOnce()) -> Vec<Span> {
    let collector = Collector::default();
    tracing::subscriber::with_default(collector.clone(), work);
    assert!(collector.open.lock().unwrap().is_empty());
    collector.spans.lock().unwrap().clone()
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_step_is_recorded_and_compiled_once_and_runs_each_time() {
    let mut parameters = Parameters::<f64>::new();
    parameters.insert("x", Tensor::scalar(3.0)).unwrap();
    let mut step = Step::new(|record: &Record<'_, '_, f64>| record.cost("loss", record.param("x")?.square()));
    let spans = spans_of(|| {
        for number in 0..3 {
            step.run(&parameters, &Inputs::new(), Seed::new(7).step(number)).unwrap();
        }
    });
    let names = names(&spans);
    let count = |name: &str| names.iter().filter(|&&found| found == name).count();
    assert_eq!((names[0], count("compile"), count("run"), count("backward")), ("record", 1, 3, 0));
    assert_eq!(spans[0].1["mode"], "Train");
    let steps: Vec<&str> =
        spans.iter().filter(|(name, _)| name == "run").map(|(_, fields)| fields["step"].as_str()).collect();
    assert_eq!(steps, ["0", "1", "2"]);
}

#[test]
fn gradients_and_checkpoints_have_spans() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    graph.cost("loss", graph.param("x", 2.0).unwrap().square()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let spans = spans_of(|| {
        graph.backward().unwrap();
        Checkpoint::new().save(&path).unwrap();
        Checkpoint::load(&path).unwrap();
    });
    assert_eq!(names(&spans), ["backward", "checkpoint", "checkpoint"]);
    assert_eq!(spans[1].1["action"], "\"write\"");
    assert!(spans[2].1["path"].ends_with("x.safetensors"));
}

#[test]
fn a_step_with_host_code_is_recorded_and_differentiated_each_time() {
    let mut parameters = Parameters::<f64>::new();
    parameters.insert("x", Tensor::scalar(3.0)).unwrap();
    let mut step = Step::new(|record: &Record<'_, '_, f64>| {
        let x = record.param("x")?;
        let loss = if x.item()? > 0.0 { x.square() } else { -x };
        record.cost("loss", loss)
    });
    let spans = spans_of(|| {
        for number in 0..3 {
            step.run(&parameters, &Inputs::new(), Seed::new(7).step(number)).unwrap();
        }
    });
    let names = names(&spans);
    assert_eq!(names.iter().filter(|&&name| name == "backward").count(), 3);
    assert!(names.iter().filter(|&&name| name == "record").count() >= 3 && !names.contains(&"run"), "{names:?}");
}
