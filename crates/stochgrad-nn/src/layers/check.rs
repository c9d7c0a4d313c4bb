//! The checks that the tests of all layers make.

use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Shape, Tensor};

use crate::initialization::Initialization;
use crate::inputs::Inputs;
use crate::layers::{
    Activation, Dropout, Embedding, GroupNorm, Layer, LayerNorm, Linear, MultiHeadAttention, Residual,
};
use crate::mode::Mode;
use crate::optimizers::{Optimizer, Sgd};
use crate::parameters::Parameters;
use crate::record::Record;
use crate::step::Step;

const SEED: Seed = Seed { seed: 7, step: 0 };

/// Values between −1 and 1 without a pattern.
pub(crate) fn values(shape: impl Into<Shape>) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| (1.7 * (i as f64 + 1.0) + 0.3 * ((i * i) as f64)).sin())
}

/// The checks that every layer must pass. The input has its members along the leading axis.
pub(crate) struct LayerCheck {
    parameters: Parameters<f64>,
    x: Tensor<f64>,
    combines_members: bool,
    /// The highest order of the derivatives that are compared with differences.
    order: usize,
}

impl LayerCheck {
    pub(crate) fn new(parameters: Parameters<f64>, x: Tensor<f64>) -> Self {
        let mut moved = parameters.clone();
        // Initial values such as 0 and 1 would hide errors.
        for (name, value) in parameters.iter() {
            let change = values(value.shape().clone());
            let changed = Tensor::from_fn(value.shape().clone(), |i| value.as_slice()[i] + 0.2 * change.as_slice()[i]);
            moved.set(name, changed).unwrap();
        }
        Self { parameters: moved, x, combines_members: false, order: 2 }
    }

    /// For layers whose output depends on all members, or on noise of its own for each member.
    pub(crate) fn combines_members(self) -> Self {
        Self { combines_members: true, ..self }
    }

    /// For layers with kinks.
    pub(crate) fn first_order_only(self) -> Self {
        Self { order: 1, ..self }
    }

    /// For layers whose derivatives are estimates.
    pub(crate) fn estimated(self) -> Self {
        Self { order: 0, ..self }
    }

    /// Makes the checks.
    pub(crate) fn run(&self, layer: &dyn Layer<f64>) {
        if !self.combines_members {
            self.check_members(layer);
        }
        if self.order > 0 {
            self.check_derivatives(layer);
        }
        for threads in [1, 2] {
            self.check_programs(layer, threads);
        }
    }

    /// The output of a member is that for the member alone, without a plate.
    fn check_members(&self, layer: &dyn Layer<f64>) {
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = self.parameters.on(&graph);
        let x = graph.data("batch", &self.x).unwrap();
        let together = layer.forward(&record, x).unwrap();
        assert_eq!(together.plates(), x.plates());
        for member in 0..self.x.shape()[0] {
            let alone = layer.forward(&record, graph.constant(member_of(&self.x, member))).unwrap();
            let difference = (together.member(x.plates()[0], member) - alone).abs().max().item().unwrap();
            assert!(difference < 1e-13, "member {member}: {difference}");
        }
    }

    /// A cost with the parameters, and the input as one of them.
    fn recorded<'t>(&self, layer: &dyn Layer<f64>, graph: &Graph<'t, f64>, parameters: &Parameters<f64>) {
        let plate = graph.data("batch", Tensor::<f64>::zeros([self.x.shape()[0]])).unwrap().plates()[0];
        let record = parameters.on(graph);
        let x = record.param_on("x", &[plate]).unwrap();
        cost(&record, layer.forward(&record, x).unwrap()).unwrap();
    }

    fn check_derivatives(&self, layer: &dyn Layer<f64>) {
        let mut parameters = self.parameters.clone();
        parameters.insert("x", self.x.clone()).unwrap();
        let gradients = |parameters: &Parameters<f64>| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED);
            self.recorded(layer, &graph, parameters);
            graph.backward().unwrap()
        };
        let moved = |by: &dyn Fn(&str, usize) -> f64| {
            let mut moved = parameters.clone();
            for (name, value) in parameters.iter() {
                let value = Tensor::from_fn(value.shape().clone(), |i| value.as_slice()[i] + by(name, i));
                moved.set(name, value).unwrap();
            }
            moved
        };
        let gradient = gradients(&parameters);
        let close = |derivative: f64, difference: f64, what: &str| {
            let bound = 1e-6 * (1.0 + derivative.abs());
            assert!((derivative - difference).abs() < bound, "{what}: {derivative}, differences {difference}");
        };
        const H: f64 = 1e-4;
        for (name, value) in parameters.iter() {
            for element in 0..value.len() {
                let total = |h: f64| {
                    let at = |known: &str, i: usize| if known == name && i == element { h } else { 0.0 };
                    gradients(&moved(&at)).total()
                };
                let difference = |h: f64| (total(h) - total(-h)) / (2.0 * h);
                let extrapolated = (4.0 * difference(H) - difference(2.0 * H)) / 3.0;
                close(gradient.get(name).unwrap().as_slice()[element], extrapolated, &format!("{name}[{element}]"));
            }
        }
        if self.order < 2 {
            return;
        }
        let direction = |name: &str| values(parameters.get(name).unwrap().shape().clone());
        let along = |h: f64| gradients(&moved(&|name, i| h * direction(name).as_slice()[i]));
        let at = [-2.0 * H, -H, H, 2.0 * H].map(along);
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        self.recorded(layer, &graph, &parameters);
        let surrogate = graph.surrogate().unwrap();
        let names: Vec<&str> = parameters.names().collect();
        let directions: Vec<(&str, Tensor<f64>)> = names.iter().map(|&name| (name, direction(name))).collect();
        let products = surrogate.hessian_vector_product(&directions).unwrap();
        for (name, product) in names.iter().zip(products) {
            for (element, &product) in product.as_slice().iter().enumerate() {
                let [a, b, c, d] = [0, 1, 2, 3].map(|k| at[k].get(name).unwrap().as_slice()[element]);
                let difference = (8.0 * (c - b) - (d - a)) / (12.0 * H);
                close(product, difference, &format!("second derivative, {name}[{element}]"));
            }
        }
    }

    /// Trained by compiled steps, the parameters and buffers have the bits that recorded steps give them, and so have
    /// predictions.
    fn check_programs(&self, layer: &dyn Layer<f64>, threads: usize) {
        let model = |record: &Record<'_, '_, f64>| {
            let y = layer.forward(record, record.input("x")?)?;
            record.output("y", y)?;
            let scale = record.param("scale")?;
            cost(record, y * scale)
        };
        let mut start = self.parameters.clone();
        start.insert("scale", Tensor::scalar(0.7)).unwrap();
        let (mut compiled, mut recorded) = (start.clone(), start);
        let mut step = Step::new(model).threads(threads);
        let (mut sgd, mut other) = (Sgd::new(0.01), Sgd::new(0.01));
        for number in 0..3 {
            let x = Tensor::from_fn(self.x.shape().clone(), |i| self.x.as_slice()[i] * (1.0 + number as f64));
            let inputs = Inputs::new().batch("x", x);
            step.train(&mut compiled, &mut sgd, &inputs, SEED.step(number)).unwrap();
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED.step(number));
            model(&recorded.on(&graph).with_inputs(&inputs)).unwrap();
            let gradients = graph.backward().unwrap();
            other.step(&mut recorded, &gradients).unwrap();
            recorded.advance(&gradients).unwrap();
            assert!(same_bits(&compiled, &recorded), "step {number} with {threads} threads");

            let prediction = step.predict(&compiled, &inputs, SEED.step(number)).unwrap();
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED.step(number));
            model(&recorded.on(&graph).with_inputs(&inputs).in_mode(Mode::Predict)).unwrap();
            let y = graph.outputs()[0].1.value().unwrap();
            assert_eq!(bits(prediction.get("y").unwrap()), bits(&y), "step {number} with {threads} threads");
        }
        assert!(step.host_code().is_none());
    }
}

/// Checks that inputs are refused, with a message that names the layer's weights and has a part.
#[track_caller]
pub(crate) fn assert_refused<const N: usize>(
    parameters: &Parameters<f64>,
    layer: &dyn Layer<f64>,
    weights: &str,
    cases: [(Tensor<f64>, &str); N],
) {
    let tape = Tape::new();
    let graph = Graph::new(&tape, SEED);
    for (x, part) in cases {
        let message = layer.forward(&parameters.on(&graph), graph.constant(x)).unwrap_err().to_string();
        assert!(message.contains(weights) && message.contains(part), "{message}");
    }
}

/// A cost with second derivatives in all elements.
fn cost<'t>(record: &Record<'_, 't, f64>, y: Var<'t, f64>) -> GraphResult<()> {
    let weights = record.constant(values(y.shape()));
    record.cost("cost", (y * weights + y.square() * 0.3).sum())
}

fn member_of(x: &Tensor<f64>, member: usize) -> Tensor<f64> {
    let shape = Shape::from(&x.shape()[1..]);
    let count = shape.numel();
    Tensor::from_fn(shape, |i| x.as_slice()[member * count + i])
}

fn bits(value: &Tensor<f64>) -> Vec<u64> {
    value.as_slice().iter().map(|x| x.to_bits()).collect()
}

fn same_bits(a: &Parameters<f64>, b: &Parameters<f64>) -> bool {
    let all = |p: &Parameters<f64>| p.iter().chain(p.buffers()).map(|(_, value)| bits(value)).collect::<Vec<_>>();
    all(a) == all(b)
}

/// Sequences without steps and images without rows have outputs without elements, and derivatives 0.
#[test]
fn axes_without_elements_are_no_errors() {
    let (mut parameters, uniform) = (Parameters::<f64>::new(), Initialization::Uniform);
    let p = &mut parameters;
    let layers: [Box<dyn Layer<f64>>; 8] = [
        Box::new(Linear::new(&mut *p, "linear", 4, 3, uniform, SEED).unwrap()),
        Box::new(Residual::new(Linear::new(&mut *p, "residual", 4, 4, uniform, SEED).unwrap())),
        Box::new(LayerNorm::new(&mut *p, "layer", 4).unwrap()),
        Box::new(GroupNorm::new(&mut *p, "group", 2, 4).unwrap()),
        Box::new(Dropout::new(&mut *p, "dropout", 0.5).unwrap()),
        Box::new(Embedding::new(&mut *p, "embedding", 5, 2, SEED).unwrap()),
        Box::new(MultiHeadAttention::new(&mut *p, "attention", 4, 2, SEED).unwrap().causal()),
        Box::new(Activation::Gelu),
    ];
    for (number, layer) in layers.iter().enumerate() {
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let x = graph.data("batch", Tensor::<f64>::zeros([2, 0, 4])).unwrap();
        let y = layer.forward(&record, x).unwrap_or_else(|error| panic!("layer {number}: {error}"));
        assert_eq!((y.shape()[0], y.plates()), (0, x.plates()), "layer {number}");
        record.cost("cost", y.sum()).unwrap();
        let gradients = graph.backward().unwrap_or_else(|error| panic!("layer {number}: {error}"));
        assert!(gradients.iter().all(|(_, g)| g.as_slice().iter().all(|&g| g == 0.0)), "layer {number}");
    }
}
