//! One layer and its files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_nn::{Layer, Mode, NnResult, Parameters, Record};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

/// The largest difference from PyTorch's single-precision values.
const TOLERANCE: f64 = 1e-5;

pub(crate) fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch").join(file)
}

/// The floats of a file.
fn tensors(path: PathBuf) -> BTreeMap<String, Tensor<f64>> {
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = file.iter().filter(|(_, view)| view.dtype() != Dtype::I64);
    floats
        .map(|(name, view)| {
            let values: Vec<f64> = match view.dtype() {
                Dtype::F32 => view.data().as_chunks::<4>().0.iter().map(|&x| f32::from_le_bytes(x).into()).collect(),
                Dtype::F64 => view.data().as_chunks::<8>().0.iter().map(|&x| f64::from_le_bytes(x)).collect(),
                other => panic!("{name}: {other:?}"),
            };
            (name.to_owned(), Tensor::new(values, view.shape()).unwrap())
        })
        .collect()
}

/// What a model saves.
fn saved(parameters: &Parameters<f64>) -> BTreeMap<String, Tensor<f64>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.safetensors");
    parameters.save_pytorch(&path).unwrap();
    tensors(path)
}

/// The files of a layer.
pub(crate) struct Case {
    name: &'static str,
    values: BTreeMap<String, Tensor<f64>>,
}

impl Case {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, values: tensors(path(&format!("{name}.values.safetensors"))) }
    }

    fn loaded<L>(&self, make: impl Fn(&mut Parameters<f64>) -> NnResult<L>) -> (Parameters<f64>, L) {
        let mut parameters = Parameters::new();
        let layer = make(&mut parameters).unwrap();
        parameters.load_pytorch(path(&format!("{}.safetensors", self.name))).unwrap();
        (parameters, layer)
    }

    fn close(&self, what: &str, ours: &Tensor<f64>, theirs: &Tensor<f64>) {
        let difference = ours.max_abs_difference(theirs);
        assert!(difference.is_some_and(|d| d < TOLERANCE), "{}: {what}: {ours:?}, expected {theirs:?}", self.name);
    }

    /// Checks a layer with one input.
    pub(crate) fn layer<L: Layer<f64>>(self, make: impl Fn(&mut Parameters<f64>) -> NnResult<L>) -> Self {
        self.function(make, |layer, record, inputs| layer.forward(record, inputs[0]))
    }

    /// Checks the output, the gradients and the running statistics of a function, and the file that its parameters are
    /// saved to.
    pub(crate) fn function<L>(
        self,
        make: impl Fn(&mut Parameters<f64>) -> NnResult<L>,
        run: impl for<'t> Fn(&L, &Record<'_, 't, f64>, &[Var<'t, f64>]) -> GraphResult<Var<'t, f64>>,
    ) -> Self {
        let (mut parameters, layer) = self.loaded(make);
        assert_eq!(saved(&parameters), tensors(path(&format!("{}.safetensors", self.name))), "{}", self.name);
        let mut with_inputs = parameters.clone();
        let names: Vec<String> = (0..)
            .map(|i| if i == 0 { "x".into() } else { format!("x{i}") })
            .take_while(|x| self.values.contains_key(x))
            .collect();
        for name in &names {
            with_inputs.insert(name.as_str(), self.values[name].clone()).unwrap();
        }
        let members = self.values["x"].shape()[0];
        let tape = Tape::new();
        let graph = Graph::new(&tape, super::SEED);
        let record = with_inputs.on(&graph);
        let plate = graph.data("batch", Tensor::<f64>::zeros([members])).unwrap().plates()[0];
        let inputs: Vec<_> = names.iter().map(|name| record.param_on(name, &[plate]).unwrap()).collect();
        let y = run(&layer, &record, &inputs).unwrap();
        self.close("output", &y.inspect().unwrap(), &self.values["y"]);
        record.cost("cost", (y * tape.constant_on(&[plate], &self.values["w"])).sum()).unwrap();

        // The cost is an average over the members, PyTorch's a sum.
        let gradients = graph.backward().unwrap();
        let scaled = |name: &str| gradients.get(name).unwrap().map(|g| g * members as f64);
        for name in &names {
            if let Some(expected) = self.values.get(&format!("{name}.grad")) {
                self.close(name, &scaled(name), expected);
            }
        }
        parameters.advance(&gradients).unwrap();
        let mut as_values = parameters.clone();
        for name in parameters.names() {
            as_values.set(name, scaled(name)).unwrap();
        }
        let after = saved(&as_values);
        let mut compared = 0;
        for (name, theirs) in &self.values {
            if let Some(ours) = name.strip_prefix("grad.").or_else(|| name.strip_prefix("after.")) {
                self.close(name, &after[ours], theirs);
                compared += 1;
            }
        }
        assert!(compared >= parameters.len(), "{}: {compared} gradients", self.name);
        self
    }

    /// Checks the output in evaluation, with the state after one step of training.
    pub(crate) fn evaluates<L: Layer<f64>>(&self, make: impl Fn(&mut Parameters<f64>) -> NnResult<L>) {
        let (mut parameters, layer) = self.loaded(make);
        for name in ["running_mean", "running_var"] {
            parameters.set(name, self.values[&format!("after.{name}")].clone()).unwrap();
        }
        let tape = Tape::new();
        let graph = Graph::new(&tape, super::SEED);
        let x = graph.data("batch", &self.values["x"]).unwrap();
        let y = layer.forward(&parameters.on(&graph).in_mode(Mode::Evaluate), x).unwrap();
        self.close("output in evaluation", &y.value().unwrap(), &self.values["evaluated"]);
    }
}
