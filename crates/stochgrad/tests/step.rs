//! Step functions have the results of a new recording at each step.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stochgrad::distributions::{Exponential, Id};
use stochgrad::estimators::{BatchMean, MovingAverage, MuProp, Nvil, SelfCritical, Temperature};
use stochgrad::graph::{DynMethod, GraphError, GraphResult};
use stochgrad::nn::{Activation, Adam, Inputs, Mlp, Mode, Parameters, TrainingState};
use stochgrad::prelude::*;
use stochgrad::tape::Workspace;

const SEED: Seed = Seed { seed: 7, step: 0 };
const STEPS: usize = 13;

type BitMethod = DynMethod<f32, Bernoulli<Id>>;

/// The gradient methods, each with fresh state.
fn methods() -> Vec<(&'static str, BitMethod)> {
    vec![
        ("leave-one-out", Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut))),
        ("moving average", Arc::new(ScoreFunction::new().baseline(MovingAverage::new(0.9)))),
        ("annealed", Arc::new(GumbelSoftmax::new(Temperature::exponential(1.0, 0.3, STEPS as u64)))),
        ("rebar", Arc::new(Rebar::new().learned(1e-2))),
        ("relax", Arc::new(Relax::new().hidden(4).learning_rate(1e-2))),
        ("batch mean", Arc::new(ScoreFunction::new().samples(2).baseline(BatchMean))),
        ("self-critical", Arc::new(ScoreFunction::new().baseline(SelfCritical))),
        ("nvil", Arc::new(ScoreFunction::new().baseline(Nvil::new().hidden(4).learning_rate(1e-2).of_data("x")))),
        ("mu-prop", Arc::new(ScoreFunction::new().baseline(MuProp::new()))),
        ("double control variate", Arc::new(DoubleControlVariate::new(2).learned(1e-2))),
        ("rodeo", Arc::new(Rodeo::new(2).learning_rate(1e-2))),
        ("straight-through", Arc::new(GumbelSoftmax::new(0.7).samples(2).straight_through())),
        ("reinmax", Arc::new(ReinMax::new(1.0))),
        ("disarm", Arc::new(DisArm::new().pairs(1))),
        ("measure-valued", Arc::new(MeasureValued::new())),
        ("enumerate", Arc::new(Enumerate::new())),
    ]
}

/// An autoencoder with bits as its code.
struct Autoencoder {
    encoder: Mlp,
    decoder: Mlp,
    method: BitMethod,
}

impl Autoencoder {
    fn new(method: &BitMethod, parameters: &mut Parameters<f32>) -> Self {
        let mlp = |parameters: &mut Parameters<f32>, name, sizes: [usize; 3]| {
            Mlp::new(parameters, name, &sizes, Activation::LeakyRelu(0.1), SEED).unwrap()
        };
        Autoencoder {
            encoder: mlp(parameters, "encoder", [5, 6, 3]),
            decoder: mlp(parameters, "decoder", [3, 6, 5]),
            method: method.clone(),
        }
    }

    fn record(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let x = record.input("x")?;
        let code = Bernoulli::from_logits(self.encoder.forward(record, x)?);
        let z = match record.mode() {
            Mode::Train => record.sample("z", &code, &self.method)?,
            _ => record.sample("z", &code, &ScoreFunction::new().samples(5))?,
        };
        let weight = record.schedule("weight", 1.0, |step| 0.1 * step as f64)?;
        let pixels = Bernoulli::from_logits(self.decoder.forward(record, z)?);
        record.cost("reconstruction", -pixels.log_prob(x))?;
        record.cost("kl", code.kl_to(&Bernoulli::from_logits(record.constant(0.0))) * weight)?;
        record.output("code", code.probabilities())?;
        record.output("pixels", pixels.probabilities())
    }
}

/// The inputs of a step. Every third batch is smaller.
fn inputs(step: usize) -> Inputs<f32> {
    let rows = if step % 3 == 2 { 2 } else { 4 };
    Inputs::new().batch("x", Tensor::from_fn([rows, 5], |i| (i + step).is_multiple_of(3) as u8 as f32))
}

/// The parameters after some training, and the total costs on the way.
type Trained = (Vec<(String, Vec<u32>)>, Vec<u32>);

fn trained(parameters: &Parameters<f32>, totals: Vec<f32>) -> Trained {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    (parameters.iter().map(|(name, value)| (name.into(), bits(value.as_slice()))).collect(), bits(&totals))
}

fn by_recording(method: &BitMethod) -> Trained {
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(method, &mut parameters);
    let (mut adam, mut workspace, mut totals) = (Adam::new(0.01), Workspace::new(), Vec::new());
    for step in 0..STEPS {
        let inputs = inputs(step);
        let graph = Graph::new(workspace.tape(), SEED.step(step));
        model.record(&parameters.on(&graph).with_inputs(&inputs)).unwrap();
        let gradients = graph.backward().unwrap();
        adam.step(&mut parameters, &gradients).unwrap();
        totals.push(gradients.total());
        gradients.advance();
    }
    trained(&parameters, totals)
}

fn by_step(method: &BitMethod, threads: usize) -> Trained {
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(method, &mut parameters);
    let recorded = AtomicUsize::new(0);
    let mut step = Step::new(|record: &Record<'_, '_, f32>| {
        recorded.fetch_add(1, Ordering::Relaxed);
        model.record(record)
    })
    .threads(threads);
    let (mut adam, mut totals) = (Adam::new(0.01), Vec::new());
    for number in 0..STEPS {
        let gradients = step.train(&mut parameters, &mut adam, &inputs(number), SEED.step(number)).unwrap();
        totals.push(gradients.total());
    }
    assert!(step.host_code().is_none(), "{:?}", step.host_code());
    // Two recordings of each of the two shapes at its first run, and one at its second.
    assert_eq!(recorded.load(Ordering::Relaxed), 2 * 3);
    trained(&parameters, totals)
}

#[test]
fn training_by_steps_is_training_by_recordings() {
    for ((name, one), ((_, two), (_, three))) in methods().into_iter().zip(methods().into_iter().zip(methods())) {
        let recorded = by_recording(&one);
        assert_eq!(by_step(&two, 1), recorded, "{name}, 1 thread");
        assert_eq!(by_step(&three, 2), recorded, "{name}, 2 threads");
    }
}

#[test]
fn a_resumed_run_is_an_uninterrupted_one() {
    const UNTIL: usize = 7;
    for ((name, whole), (_, resumed)) in methods().into_iter().zip(methods()) {
        let uninterrupted = by_recording(&whole);
        // The methods of the second half are new, like those of a new process.
        let second = methods().into_iter().find(|(known, _)| *known == name).unwrap().1;
        let checkpoint = {
            let mut parameters = Parameters::new();
            let model = Autoencoder::new(&resumed, &mut parameters);
            let (mut adam, mut step) =
                (Adam::new(0.01), Step::new(|record: &Record<'_, '_, f32>| model.record(record)));
            for number in 0..UNTIL {
                step.train(&mut parameters, &mut adam, &inputs(number), SEED.step(number)).unwrap();
            }
            let mut state = TrainingState::new(SEED.seed);
            step.remember(&mut state);
            state.to_checkpoint(&parameters, &adam).unwrap()
        };
        let (mut parameters, mut adam) = (Parameters::new(), Adam::new(0.01));
        let model = Autoencoder::new(&second, &mut parameters);
        let mut step = Step::new(|record: &Record<'_, '_, f32>| model.record(record));
        let state = TrainingState::from_checkpoint(&checkpoint, &mut parameters, &mut adam).unwrap();
        step.recall(&state).unwrap();
        let mut kept = TrainingState::new(SEED.seed);
        step.remember(&mut kept);
        assert_eq!(kept, state, "{name}: before the first step");
        step.evaluate(&parameters, &inputs(0), SEED).unwrap();
        let mut totals = Vec::new();
        for number in UNTIL..STEPS {
            totals.push(step.train(&mut parameters, &mut adam, &inputs(number), SEED.step(number)).unwrap().total());
        }
        let (values, bits) = trained(&parameters, totals);
        assert_eq!((&values, &bits[..]), (&uninterrupted.0, &uninterrupted.1[UNTIL..]), "{name}");
    }
}

#[test]
fn the_state_of_another_model_is_an_error_of_the_first_step() {
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&methods()[1].1, &mut parameters);
    let mut step = Step::new(|record: &Record<'_, '_, f32>| model.record(record));
    step.recall(&TrainingState::new(SEED.seed)).unwrap();
    let message = step.train(&mut parameters, &mut Adam::new(0.01), &inputs(0), SEED).unwrap_err().to_string();
    assert!(message.contains("state of node \"z\""), "{message}");
}

#[test]
fn evaluation_and_prediction_are_those_of_a_recording() {
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&methods()[0].1, &mut parameters);
    let mut step = Step::new(|record: &Record<'_, '_, f32>| model.record(record));
    let mut workspace = Workspace::new();
    for number in [0, 1, 2, 5] {
        let (inputs, seed) = (inputs(number), SEED.step(number));
        let costs = step.evaluate(&parameters, &inputs, seed).unwrap();
        let outputs = step.predict(&parameters, &inputs, seed).unwrap();

        let graph = Graph::new(workspace.tape(), seed);
        model.record(&parameters.on(&graph).with_inputs(&inputs).in_mode(Mode::Evaluate)).unwrap();
        let gradients = graph.backward().unwrap();
        assert_eq!(costs.iter().map(|(name, cost)| (name.into(), cost)).collect::<Vec<_>>(), gradients.costs());
        assert_eq!((costs.total(), costs.get("kl")), (gradients.total(), gradients.cost("kl")));
        let named = graph.outputs();
        assert_eq!(outputs.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["code", "pixels"]);
        for ((_, output), (_, var)) in outputs.iter().zip(named) {
            assert_eq!(*output, var.peek().unwrap());
        }
        let shape = &outputs.get("pixels").unwrap().shape()[..];
        assert_eq!(shape, [inputs.get("x").unwrap().shape()[0], 5, 5]);
    }
    let message = step.predict(&parameters, &inputs(0), SEED).unwrap().get("image").unwrap_err().to_string();
    assert!(message.contains("\"image\"") && message.contains("code, pixels"), "{message}");
    let message = step.evaluate(&parameters, &inputs(0), SEED).unwrap().get("image").unwrap_err().to_string();
    assert!(message.contains("reconstruction, kl"), "{message}");
}

/// One parameter `slope` of value 2.
fn slope() -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert("slope", Tensor::scalar(2.0)).unwrap();
    parameters
}

#[test]
fn host_code_that_branches_is_recorded_at_every_step() {
    let model = |record: &Record<'_, '_, f64>| {
        let slope = record.param("slope")?;
        let bit = record.sample("bit", &Bernoulli::from_logits(slope), &ScoreFunction::new())?;
        let cost = if bit.item()? > 0.5 { slope.square() } else { slope * 3.0 };
        record.cost("cost", cost)
    };
    let (mut parameters, mut again) = (slope(), slope());
    let mut step = Step::new(model);
    let (mut adam, mut other) = (Adam::new(0.1), Adam::new(0.1));
    for number in 0..20 {
        let seed = SEED.step(number);
        let total = step.train(&mut parameters, &mut adam, &Inputs::new(), seed).unwrap().total();
        let tape = Tape::new();
        let graph = Graph::new(&tape, seed);
        model(&again.on(&graph)).unwrap();
        let gradients = graph.backward().unwrap();
        other.step(&mut again, &gradients).unwrap();
        assert_eq!(total, gradients.total());
        assert!(parameters.iter().eq(again.iter()));
        let evaluated = step.evaluate(&parameters, &Inputs::new(), seed).unwrap().total();
        let tape = Tape::new();
        let graph = Graph::new(&tape, seed);
        model(&again.on(&graph)).unwrap();
        assert_eq!(evaluated, graph.backward().unwrap().total());
    }
    let reason = step.host_code().expect("host code").to_string();
    assert!(reason.contains("tests/step.rs") && reason.contains("host code read a value"), "{reason}");
}

#[test]
fn methods_that_replay_run_a_branching_model_again() {
    let model = |record: &Record<'_, '_, f64>| {
        let slope = record.param("slope")?;
        let bit = record.sample("bit", &Bernoulli::from_logits(slope * 0.2), &MeasureValued::new())?;
        let cost = if bit.item()? > 0.5 { slope.square() } else { slope * 3.0 };
        record.cost("cost", cost)
    };
    let (parameters, mut step) = (slope(), Step::new(model));
    let mut mean = 0.0;
    const COUNT: usize = 400;
    for number in 0..COUNT {
        let gradients = step.run(&parameters, &Inputs::new(), SEED.step(number)).unwrap();
        mean += gradients.get("slope").unwrap().item().unwrap() / COUNT as f64;
    }
    // d/ds (p(s) s² + (1 − p(s)) 3 s) at s = 2, with p(s) = σ(0.2 s).
    let p = 1.0 / (1.0 + (-0.4_f64).exp());
    let exact = p * 4.0 + (1.0 - p) * 3.0 + 0.2 * p * (1.0 - p) * (4.0 - 6.0);
    assert!((mean - exact).abs() < 0.1, "{mean}, not {exact}");
    assert!(step.host_code().is_some());
}

/// The error of the first of some steps that fails, and its number.
fn first_error(mut step: Step<'_, f64>, mut between: impl FnMut(usize)) -> Option<(usize, GraphError)> {
    let parameters = slope();
    (0..30).find_map(|number| {
        between(number);
        Some((number, step.run(&parameters, &Inputs::new(), SEED.step(number)).err()?))
    })
}

#[test]
fn a_number_made_from_the_step_is_found_at_once() {
    let step = Step::new(|record: &Record<'_, '_, f64>| {
        let rate = 0.5 / (1 + record.graph().step()) as f64;
        record.cost("cost", record.param("slope")? * record.constant(rate))
    });
    let (number, error) = first_error(step, |_| {}).expect("an error");
    assert_eq!(number, 0);
    let message = error.to_string();
    assert!(
        message.contains("tests/step.rs")
            && message.contains("recorded the constant 0.5 at step 0 and the constant 0.25 at step 1")
            && message.contains("record.schedule"),
        "{message}"
    );
}

#[test]
fn a_captured_variable_that_changes_is_found() {
    for (changes_at, found_at) in [(1, 1), (2, 9), (12, 99)] {
        let rate = Cell::new(0.5);
        let step = Step::new(|record: &Record<'_, '_, f64>| record.cost("cost", record.param("slope")? * rate.get()));
        let found = first_error(step, |number| {
            if number == changes_at {
                rate.set(0.25);
            }
        });
        match found {
            Some((number, error)) => {
                assert_eq!(number, found_at);
                assert!(
                    matches!(&error, GraphError::Frozen { first, second, .. }
                    if first == "MulScalar(0.5)" && second == "MulScalar(0.25)"),
                    "{error}"
                );
            }
            // Later than the last step of this test.
            None => assert!(found_at >= 30),
        }
    }
}

#[test]
fn other_operations_and_shapes_are_found() {
    let count = Cell::new(2);
    let step = Step::new(|record: &Record<'_, '_, f64>| {
        let samples = record.graph().plate("samples", count.get())?;
        let normal = Normal::new(record.param("slope")?, 1.0);
        record.cost("cost", record.sample("z", &normal, &Pathwise::new().on_plate(samples))?)
    });
    let (number, error) = first_error(step, |number| count.set(2 + number)).expect("an error");
    assert_eq!(number, 1);
    assert!(error.to_string().contains("tests/step.rs"), "{error}");

    let square = Cell::new(true);
    let step = Step::new(|record: &Record<'_, '_, f64>| {
        let slope = record.param("slope")?;
        record.cost("cost", if square.get() { slope.square() } else { slope.exp() })
    });
    let (_, error) = first_error(step, |number| square.set(number == 0)).expect("an error");
    assert!(error.to_string().contains("recorded Square at step 0 and Exp at step 1"), "{error}");
}

#[test]
fn a_step_on_which_the_program_fails_is_recorded() {
    let parameters = slope();
    let model = |record: &Record<'_, '_, f64>| {
        let density = Exponential::new(record.param("slope")?);
        record.cost("cost", -density.log_prob(record.input("x")?))
    };
    let mut step = Step::new(model);
    for (number, x) in [1.0, -1.0, 2.0].into_iter().enumerate() {
        let (inputs, seed) = (Inputs::new().batch("x", [x, 3.0]), SEED.step(number));
        let tape = Tape::new();
        let graph = Graph::new(&tape, seed);
        let plain = model(&parameters.on(&graph).with_inputs(&inputs)).and_then(|()| graph.backward());
        match (step.run(&parameters, &inputs, seed), plain) {
            (Ok(gradients), Ok(plain)) => assert_eq!(gradients.get("slope"), plain.get("slope")),
            (Err(error), Err(plain)) => {
                assert_eq!(error, GraphError::Step { step: number as u64, source: Box::new(plain) });
            }
            (step, plain) => panic!("{step:?}, recorded {plain:?}"),
        }
    }
}

#[test]
fn errors_of_the_model_and_of_its_inputs_are_returned() {
    let mut parameters = slope();
    let mut step = Step::new(|record: &Record<'_, '_, f64>| {
        "many".parse::<usize>().map_err(GraphError::model)?;
        record.cost("cost", record.param("slope")?)
    });
    let message = step.run(&parameters, &Inputs::new(), SEED).unwrap_err().to_string();
    assert_eq!(message, "invalid digit found in string");
    assert!(step.gradients().is_err());
    step.advance();

    let mut step =
        Step::new(|record: &Record<'_, '_, f64>| record.cost("cost", record.param("slope")? * record.input("x")?));
    let message = step.run(&parameters, &Inputs::new().value("y", 1.0), SEED).unwrap_err().to_string();
    assert!(message.contains("no input is called \"x\"") && message.contains("`y`"), "{message}");
    let message = step.run(&parameters, &Inputs::new().value("slope", 1.0), SEED).unwrap_err().to_string();
    assert!(message.contains("\"slope\"") && message.contains("rename"), "{message}");
    let nan = Inputs::new().value("x", f64::NAN);
    assert!(step.train(&mut parameters, &mut Adam::new(0.1), &nan, SEED).is_err());
    assert_eq!(parameters.get("slope"), slope().get("slope"));
    assert!(step.evaluate(&parameters, &nan, SEED).unwrap_err().to_string().contains("NaN"));

    let mut step = Step::new(|record: &Record<'_, '_, f64>| record.cost("cost", record.graph().param("free", 1.0)?));
    let message = step.run(&parameters, &Inputs::new(), SEED).unwrap_err().to_string();
    assert!(message.contains("\"free\"") && message.contains("record.param"), "{message}");
}

#[test]
fn the_programs_that_ran_last_are_kept() {
    let recordings = Cell::new(0);
    let mut step = Step::new(|record: &Record<'_, '_, f64>| {
        recordings.set(recordings.get() + 1);
        let x = record.input("x")?;
        record.output("sum", (x * record.param("slope")?).sum())?;
        record.cost("loss", (x * record.param("slope")?).square().sum())
    })
    .keep_programs(3);
    let parameters = slope();
    let inputs = |length: usize| Inputs::new().value("x", Tensor::ones([length]));
    // A new program is recorded, and checked with a second recording. A known one is checked with one at most.
    let count = |step: &mut Step<'_, f64>, train: bool, length: usize| {
        let before = recordings.get();
        match train {
            true => drop(step.run(&parameters, &inputs(length), Seed::new(1)).unwrap()),
            false => drop(step.predict(&parameters, &inputs(length), Seed::new(1)).unwrap()),
        }
        recordings.get() >= before + 2
    };
    // The first training program stays, however many others follow.
    assert!(count(&mut step, true, 1));
    for length in 2..20 {
        assert!(count(&mut step, false, length), "{length}");
    }
    let gradient = step.gradients().unwrap().get("slope").unwrap().item().unwrap();
    assert!(!count(&mut step, false, 19) && !count(&mut step, false, 18));
    assert!(count(&mut step, false, 17));
    assert!(!count(&mut step, false, 18), "used later than 19, which was dropped");
    assert_eq!(step.gradients().unwrap().get("slope").unwrap().item().unwrap(), gradient);
    assert!(count(&mut step, true, 2));
    assert!(!count(&mut step, false, 18) && count(&mut step, false, 17), "17 was used earlier than 18");
    assert_eq!(step.gradients().unwrap().get("slope").unwrap().item().unwrap(), 2.0 * gradient);
}
