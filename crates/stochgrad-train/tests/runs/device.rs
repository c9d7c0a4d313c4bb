//! Runs on a device. The device of these tests is the engine of the host, with parameters and a state of its own, so that
//! the files of a run must be those of a run on the host, to the bit.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use crate::common::{Autoencoder, Out, assert_same_files, files, patterns, trainer};
use stochgrad_graph::{CompiledGraph, GraphError, GraphResult, Seed};
use stochgrad_nn::data::rows;
use stochgrad_nn::optimizers::OptimizerState;
use stochgrad_nn::{
    Adam, Average, Inputs, Optimizer, Parameters, Record, Sgd, Step, StepsMade, TrainingDevice, TrainingPrograms,
};
use stochgrad_tensor::Tensor;
use stochgrad_train::{Outcome, Report, Source, Span, TrainResult, Trainer};

/// The number of members of the training data.
const MEMBERS: usize = 23;

/// The engine of the host as a device.
struct Disguise {
    model: Rc<Autoencoder>,
    /// The steps that fail on the device.
    failing: Vec<u64>,
    /// The numbers of the steps of each call.
    calls: Rc<RefCell<Vec<usize>>>,
}

struct Programs {
    step: Step<'static, f32>,
    optimizer: Adam<f32>,
    parameters: Option<Parameters<f32>>,
    data: Inputs<f32>,
    /// The largest numbers of steps of the programs.
    longest: Vec<usize>,
    failing: Vec<u64>,
    calls: Rc<RefCell<Vec<usize>>>,
}

impl TrainingDevice<f32> for Disguise {
    fn start(&self) -> GraphResult<Option<Box<dyn TrainingPrograms<f32>>>> {
        let model = self.model.clone();
        Ok(Some(Box::new(Programs {
            step: Step::new(move |record: &Record<'_, '_, f32>| model.record(record)),
            optimizer: Adam::new(0.01).accumulate(3).average(Average::exponential(0.9)),
            parameters: None,
            data: Inputs::new(),
            longest: Vec::new(),
            failing: self.failing.clone(),
            calls: self.calls.clone(),
        })))
    }
}

impl TrainingPrograms<f32> for Programs {
    fn keep(&mut self, data: &Inputs<f32>) -> GraphResult<()> {
        self.data = data.clone();
        Ok(())
    }

    fn compile(
        &mut self,
        graph: &CompiledGraph<f32>,
        _optimizer: &dyn Optimizer<f32>,
        steps: usize,
    ) -> GraphResult<usize> {
        assert!(graph.has_input("x"));
        self.longest.push(steps);
        Ok(self.longest.len() - 1)
    }

    fn load(
        &mut self,
        _program: usize,
        parameters: &Parameters<f32>,
        optimizer: &OptimizerState<f32>,
    ) -> GraphResult<()> {
        self.parameters = Some(parameters.clone());
        Ok(self.optimizer.load_state(optimizer)?)
    }

    fn store(&self, parameters: &mut Parameters<f32>) -> GraphResult<OptimizerState<f32>> {
        parameters.clone_from(self.parameters.as_ref().unwrap());
        Ok(self.optimizer.state())
    }

    fn step(&mut self, program: usize, inputs: &Inputs<f32>, seed: Seed) -> GraphResult<StepsMade<f32>> {
        assert_eq!(self.longest[program], 0);
        self.make(std::slice::from_ref(inputs), seed)
    }

    fn run_steps(&mut self, program: usize, batches: &[Vec<usize>], seed: Seed) -> GraphResult<StepsMade<f32>> {
        assert!(batches.len() <= self.longest[program]);
        let x = self.data.get("x").unwrap();
        let inputs = |batch: &Vec<usize>| Inputs::new().batch("x", rows(x, batch).unwrap()).of_data_set(MEMBERS);
        let minibatches: Vec<Inputs<f32>> = batches.iter().map(inputs).collect();
        self.make(&minibatches, seed)
    }
}

impl Programs {
    fn make(&mut self, minibatches: &[Inputs<f32>], seed: Seed) -> GraphResult<StepsMade<f32>> {
        self.calls.borrow_mut().push(minibatches.len());
        let parameters = self.parameters.as_mut().unwrap();
        let (mut costs, mut failure) = (Vec::new(), None);
        for (number, inputs) in minibatches.iter().enumerate() {
            let seed = Seed { step: seed.step + number as u64, ..seed };
            if self.failing.contains(&seed.step) {
                failure = Some(GraphError::model("a failure of the test"));
                break;
            }
            let gradients = self.step.train(parameters, &mut self.optimizer, inputs, seed)?;
            costs.extend(gradients.costs().iter().map(|(_, cost)| *cost));
        }
        let shape = [costs.len() / 2, 2];
        Ok(StepsMade { costs: Tensor::new(costs, shape)?, failure })
    }
}

/// How a run differs from one on the host.
#[derive(Clone, Default)]
struct Case {
    on_device: bool,
    /// Whether each minibatch is read by itself.
    reads: bool,
    failing: Vec<u64>,
    batch: usize,
    /// Whether a function is called after each step.
    is_watched: bool,
}

/// Further settings of a trainer.
type Change = for<'a> fn(Trainer<'a, f32>) -> Trainer<'a, f32>;

/// Trains for a number of steps in all. Returns the numbers of the steps that were made at once as well.
fn run(out: &Path, case: &Case, steps: u64, change: Change) -> (Report, Vec<usize>) {
    let (train, held_out) = patterns();
    let mut parameters = Parameters::new();
    let model = Rc::new(Autoencoder::new(&mut parameters));
    let calls = Rc::new(RefCell::new(Vec::new()));
    let device = Disguise { model: model.clone(), failing: case.failing.clone(), calls: calls.clone() };
    let mut last = Vec::new();
    let trainer =
        trainer(&held_out, out).batch(case.batch.max(2)).steps(steps).device(case.on_device.then_some(device));
    let trainer = match case.is_watched {
        true => trainer.on_step(|progress| {
            // The parameters change at every third step.
            let now = progress.parameters.get("decoder.0.weight").unwrap().to_vec();
            assert_eq!(now != last, progress.step.is_multiple_of(3) || last.is_empty(), "{}", progress.step);
            last = now;
            ControlFlow::Continue(())
        }),
        false => trainer,
    };
    let read = train.clone().map("", |inputs, _| Ok(inputs));
    let data: &dyn Source<f32> = if case.reads { &read } else { &train };
    let report = change(trainer).fit(&mut parameters, data, |record| model.record(record)).unwrap();
    (report, calls.take())
}

#[test]
fn a_run_on_a_device_has_the_files_of_a_run_on_the_host() {
    let on_device = Case { on_device: true, ..Case::default() };
    let periods: Change =
        |trainer| trainer.validate_every(Span::Steps(7)).checkpoint_every(Span::Steps(5)).measure_every(Span::Steps(3));
    let plain: Change = |trainer| trainer;
    for change in [plain, periods] {
        let whole = Out::new();
        let (report, calls) = run(whole.path(), &Case::default(), 36, change);
        assert_eq!((report.outcome, report.steps, calls.len()), (Outcome::Completed, 36, 0));
        for case in [
            on_device.clone(),
            Case { reads: true, ..on_device.clone() },
            Case { failing: vec![0, 3, 4, 11, 12, 35], ..on_device.clone() },
            Case { failing: vec![0, 3, 4, 11, 12, 35], reads: true, ..on_device.clone() },
            Case { failing: (0..36).collect(), ..on_device.clone() },
            Case { is_watched: true, ..on_device.clone() },
        ] {
            let out = Out::new();
            let (report, _) = run(out.path(), &case, 36, change);
            assert_eq!((report.outcome, report.steps), (Outcome::Completed, 36));
            assert_same_files(whole.path(), out.path());
        }
    }
}

#[test]
fn the_steps_between_two_looks_are_made_at_once() {
    let case = Case { on_device: true, ..Case::default() };
    // An epoch has eleven minibatches of two members and one of one, and every fifth step estimates a variance.
    let (_, calls) = run(Out::new().path(), &case, 36, |trainer| trainer);
    assert_eq!(calls, [5, 5, 1, 1, 3, 5, 3, 1, 1, 5, 5, 1]);
    let (_, calls) = run(Out::new().path(), &case, 14, |trainer| trainer.checkpoint_every(Span::Steps(3)));
    assert_eq!(calls, [3, 2, 1, 3, 1, 1, 1, 2]);
    let (_, calls) = run(Out::new().path(), &Case { is_watched: true, ..case.clone() }, 3, |trainer| trainer);
    assert_eq!(calls, [1, 1, 1]);
    let (_, calls) = run(Out::new().path(), &Case { failing: vec![2], ..case }, 7, |trainer| trainer);
    // Of the first five steps, the third fails.
    assert_eq!(calls, [5, 2, 2]);
}

#[test]
fn a_run_resumes_on_the_host_and_on_a_device() {
    let whole = Out::new();
    run(whole.path(), &Case { batch: 4, ..Case::default() }, 42, |trainer| trainer);
    let resumed = Out::new();
    let on_device = Case { on_device: true, batch: 4, ..Case::default() };
    for (number, steps) in [4, 5, 11, 12, 13, 30, 42].into_iter().enumerate() {
        let case = Case { on_device: number % 2 == 0, reads: number % 3 == 0, ..on_device.clone() };
        let (report, _) = run(resumed.path(), &case, steps, |trainer| trainer);
        assert_eq!((report.steps, report.resumed_at.is_some()), (steps, number > 0));
    }
    // A run of so many steps measures at its end, which the parts do as well; all else is the same.
    let of = |out: &Out| -> Vec<(String, Vec<u8>)> {
        let names = ["parameters.safetensors", "graph.svg"];
        files(out.path()).into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()
    };
    assert_eq!(of(&resumed).len(), 2);
    assert!(of(&whole) == of(&resumed));
}

fn refused(change: impl for<'a> FnOnce(Trainer<'a, f32>) -> Trainer<'a, f32>) -> TrainResult<Report> {
    let (train, _) = patterns();
    let mut parameters = Parameters::new();
    let model = Rc::new(Autoencoder::new(&mut parameters));
    let device = Disguise { model: model.clone(), failing: Vec::new(), calls: Rc::default() };
    let trainer = Trainer::new(Sgd::new(0.1)).steps(3).quiet().device(device);
    change(trainer).fit(&mut parameters, &train, |record| model.record(record))
}

#[test]
fn what_a_device_cannot_do_is_an_error() {
    let message = refused(|trainer| trainer.shards(2)).unwrap_err().to_string();
    assert!(message.contains("`Trainer::device`") && message.contains("leave out the shards"), "{message}");
    // The optimiser of the device is another one.
    let message = refused(|trainer| trainer).unwrap_err().to_string();
    assert!(message.contains("the state of adam") && message.contains("sgd"), "{message}");

    let (train, _) = patterns();
    let mut parameters = Parameters::new();
    let model = Rc::new(Autoencoder::new(&mut parameters));
    let device = Disguise { model, failing: Vec::new(), calls: Rc::default() };
    let error = Trainer::new(Adam::new(0.1)).steps(3).quiet().device(device).fit(&mut parameters, &train, |record| {
        let x = record.input("x")?;
        let mean = x.mean_over(x.plates()[0]).sum().item()?;
        record.cost("cost", x.sum() * record.param("decoder.1.bias")?.sum() * mean)
    });
    let message = error.unwrap_err().to_string();
    assert!(message.contains("a step that runs elsewhere is compiled"), "{message}");
}
