//! Training a part of a model: frozen parameters, and steps of some of the parameters.

use stochgrad::graph::{GraphError, GraphResult};
use stochgrad::nn::{Activation, Adam, AdamW, Inputs, Mlp, Parameters, Sgd, TrainingState};
use stochgrad::prelude::*;

const SEED: Seed = Seed { seed: 7, step: 0 };

/// An autoencoder with bits as its code.
struct Autoencoder {
    encoder: Mlp,
    decoder: Mlp,
}

impl Autoencoder {
    fn new(parameters: &mut Parameters<f64>) -> Self {
        let mut mlp = |name, sizes: [usize; 3]| {
            Mlp::new(&mut *parameters, name, &sizes, Activation::Tanh, SEED).unwrap_or_else(|error| panic!("{error}"))
        };
        Autoencoder { encoder: mlp("encoder", [5, 4, 3]), decoder: mlp("decoder", [3, 4, 5]) }
    }

    fn record(&self, record: &Record<'_, '_, f64>) -> GraphResult<()> {
        let x = record.input("x")?;
        let code = Bernoulli::from_logits(self.encoder.forward(record, x)?);
        let z = record.sample("z", &code, &ScoreFunction::new().samples(3).baseline(LeaveOneOut))?;
        let pixels = Bernoulli::from_logits(self.decoder.forward(record, z)?);
        record.cost("reconstruction", -pixels.log_prob(x))?;
        record.cost("kl", code.kl_to(&Bernoulli::from_logits(record.constant(0.0))))
    }
}

fn inputs(step: usize) -> Inputs<f64> {
    Inputs::new().batch("x", Tensor::from_fn([4, 5], |i| (i + step).is_multiple_of(3) as u8 as f64))
}

/// The names of gradients, and their bits.
fn bits(step: &mut Step<'_, f64>, parameters: &Parameters<f64>, number: usize) -> Vec<(String, Vec<u64>)> {
    let gradients = step.run(parameters, &inputs(number), SEED.step(number)).unwrap();
    let bits = |tensor: &Tensor<f64>| tensor.as_slice().iter().map(|x| x.to_bits()).collect();
    gradients.iter().map(|(name, gradient)| (name.to_owned(), bits(gradient))).collect()
}

#[test]
fn a_part_has_the_gradients_of_the_whole() {
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    let make = |threads: usize| Step::new(|record| model.record(record)).threads(threads);
    for threads in [1, 2] {
        let (mut whole, mut changing) = (make(threads), make(threads));
        for part in ["encoder", "decoder", "decoder.1.bias"] {
            let mut step = make(threads).only(part);
            let mut frozen = parameters.clone();
            frozen.freeze("").unwrap();
            frozen.unfreeze(part).unwrap();
            for number in 0..3 {
                let mut expected = bits(&mut whole, &parameters, number);
                expected.retain(|(name, _)| name.starts_with(part));
                assert!(!expected.is_empty());
                assert_eq!(bits(&mut step, &parameters, number), expected, "{part}");
                assert_eq!(bits(&mut changing, &frozen, number), expected, "{part}");
            }
        }
        assert_eq!(bits(&mut changing, &parameters, 3), bits(&mut whole, &parameters, 3));
    }
}

#[test]
fn nothing_is_computed_for_frozen_parameters_alone() {
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    let operations = |parameters: &Parameters<f64>| {
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        model.record(&parameters.on(&graph).with_inputs(&inputs(0))).unwrap();
        graph.compile().unwrap().listing().program.values().count()
    };
    let whole = operations(&parameters);
    parameters.freeze("encoder").unwrap();
    let decoder = operations(&parameters);
    parameters.freeze("decoder.0").unwrap();
    let last = operations(&parameters);
    assert!(last + 3 < decoder && decoder + 10 < whole, "{last}, {decoder} and {whole} values");
}

#[test]
fn parts_that_take_turns_are_resumed_to_the_bit() {
    let make = || AdamW::<f64>::new(0.02).group("decoder", Sgd::new(0.1).momentum(0.9));
    let train = |parameters: &mut Parameters<f64>, model: &Autoencoder, optimizer: &mut AdamW<f64>, from: usize| {
        let mut steps = ["encoder", "decoder"].map(|part| Step::new(|record| model.record(record)).only(part));
        let mut state = TrainingState::new(7);
        let mut checkpoint = None;
        for number in from..9 {
            if number == 5 {
                state.step = 5;
                steps[1].remember(&mut state);
                checkpoint = Some(state.to_checkpoint(parameters, optimizer).unwrap());
            }
            let part = usize::from(number % 3 == 1);
            steps[part].train(parameters, optimizer, &inputs(number), SEED.step(number)).unwrap();
        }
        checkpoint
    };
    let mut whole = Parameters::new();
    let model = Autoencoder::new(&mut whole);
    let mut optimizer = make();
    let checkpoint = train(&mut whole, &model, &mut optimizer, 0).unwrap();
    assert_eq!((optimizer.state().steps, optimizer.state().counters["steps of decoder"]), (6, 3));

    let mut resumed = Parameters::new();
    let model = Autoencoder::new(&mut resumed);
    let mut other = make();
    TrainingState::from_checkpoint(&checkpoint, &mut resumed, &mut other).unwrap();
    train(&mut resumed, &model, &mut other, 5);
    assert!(resumed.iter().eq(whole.iter()));
    assert_eq!(other.state(), optimizer.state());
}

#[test]
fn a_part_of_a_model_that_branches_is_trained_as_well() {
    let mut parameters = Parameters::<f64>::new();
    parameters.insert_all([("a", Tensor::scalar(2.0)), ("b", Tensor::scalar(3.0))]).unwrap();
    let mut step = Step::new(|record: &Record<'_, '_, f64>| {
        let (a, b) = (record.param("a")?, record.param("b")?);
        let product = a * b;
        record.cost("loss", if product.item()? > 5.0 { product.square() } else { product })
    })
    .only("a");
    for (number, expected) in [36.0, 3.0].into_iter().enumerate() {
        let gradients = step.run(&parameters, &Inputs::new(), SEED.step(number)).unwrap();
        assert_eq!(gradients.get("a").unwrap().item().unwrap(), expected);
        assert!(gradients.get("b").is_err());
        parameters.set("a", Tensor::scalar(1.0)).unwrap();
    }
    assert!(step.host_code().is_some());
}

#[test]
fn a_frozen_parameter_on_plates_keeps_its_plates() {
    let mut parameters = Parameters::<f64>::new();
    parameters.insert_all([("x", Tensor::from([1.0, 2.0])), ("y", Tensor::scalar(3.0))]).unwrap();
    let gradient = |parameters: &Parameters<f64>| {
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let plate = graph.plate("members", 2).unwrap();
        let record = parameters.on(&graph);
        let x = record.param_on("x", &[plate]).unwrap();
        assert_eq!(x.plates()[..], [plate]);
        record.cost("loss", x * record.param("y").unwrap()).unwrap();
        let gradients = graph.backward().unwrap();
        (gradients.get("y").unwrap().item().unwrap(), gradients.get("x").is_ok())
    };
    assert_eq!(gradient(&parameters), (1.5, true));
    parameters.freeze("x").unwrap();
    assert_eq!(gradient(&parameters), (1.5, false));
}

#[test]
fn a_part_without_parameters_is_an_error() {
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    let mut step = Step::new(|record| model.record(record)).only("prior");
    let error = step.train(&mut parameters, &mut Adam::new(0.1), &inputs(0), SEED).unwrap_err();
    assert!(matches!(error, GraphError::Model(_)), "{error}");
    assert!(error.to_string().contains("`encoder.0.weight`") && error.to_string().contains("`prior`"), "{error}");
}
