//! Compiled graphs and training steps on a device, against the engine of the CPU.

use stochgrad_distributions::{Bernoulli, Normal};
use stochgrad_estimators::{MovingAverage, Pathwise, ScoreFunction};
use stochgrad_graph::{CompiledGraph, Graph, GraphResult, Seed};
use stochgrad_nn::{AdamW, Clip, Optimizer, Parameters, Sgd};
use stochgrad_tape::Tape;
use stochgrad_tensor::{Real, Tensor};
use stochgrad_xla::pjrt::testing::plugin_for_test;
use stochgrad_xla::{Device, DeviceReal, TrainingOptions, XlaError, XlaResult};

fn device(test: &str) -> XlaResult<Option<Device>> {
    let plugin = plugin_for_test(test)?;
    plugin.map(|plugin| Ok(Device::new(plugin.client(&[])?, 0))).transpose()
}

const ROWS: usize = 6;

fn tensor<F: Real>(shape: &[usize], start: usize) -> Tensor<F> {
    Tensor::from_fn(shape, |i| F::from_f64((((i + start) * 7919) % 23) as f64 / 11.0 - 1.0))
}

/// The parameters of the model, with a buffer.
fn parameters<F: Real>() -> Parameters<F> {
    let mut parameters = Parameters::new();
    parameters.insert("weight", tensor(&[3, 2], 1)).unwrap();
    parameters.insert("bias", tensor(&[2], 2)).unwrap();
    parameters.insert("scale", Tensor::scalar(F::from_f64(0.25))).unwrap();
    parameters.insert_buffer("mean", Tensor::zeros([3])).unwrap();
    parameters
}

/// A model with bits by the score function, whose baseline is kept from step to step, a normal sample, a schedule and a
/// running mean.
fn model<F: Real>(parameters: &Parameters<F>, batch: &Tensor<F>) -> GraphResult<CompiledGraph<F>> {
    shard(parameters, batch, batch.shape()[0])
}

/// The same, if the batch is the first shard of one with `whole` rows.
fn shard<F: Real>(parameters: &Parameters<F>, batch: &Tensor<F>, whole: usize) -> GraphResult<CompiledGraph<F>> {
    let tape = Tape::<F>::new();
    let graph = Graph::new(&tape, Seed::new(5));
    let record = parameters.on(&graph);
    let x = graph.data("points", batch.clone())?;
    tape.shard_plate(x.plates()[0], 0, whole)?;
    let mean = record.buffer("mean")?;
    let code = (x - mean).reshape([1, 3]).matmul(record.param("weight")?).reshape([2]) + record.param("bias")?;
    let bits =
        graph.sample("bits", &Bernoulli::from_logits(code), &ScoreFunction::new().baseline(MovingAverage::new(0.9)))?;
    let location = (bits * record.param("bias")?).sum();
    let z = graph.sample("z", &Normal::from_log_scale(location, record.param("scale")?), &Pathwise::new())?;
    let rate = graph.schedule("rate", |step| 1.0 / (1.0 + step as f64))?;
    graph.cost("distance", (z - 0.5).square())?;
    graph.cost("prior", code.square().sum() * rate)?;
    record.set_buffer("mean", mean * 0.9 + x.mean_over(x.plates()[0]) * 0.1)?;
    graph.compile()
}

/// Compares two values to a relative error, in units of the larger of their norms.
fn assert_close<F: Real>(found: &Tensor<F>, expected: &Tensor<F>, tolerance: f64, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let norm = |x: &Tensor<F>| x.as_slice().iter().map(|x| x.to_f64().powi(2)).sum::<f64>().sqrt();
    let difference = Tensor::from_fn(found.shape().clone(), |i| found.as_slice()[i] - expected.as_slice()[i]);
    let error = norm(&difference) / norm(expected).max(1e-3);
    assert!(error <= tolerance, "{what}: a relative error of {error:e}: {found:?} instead of {expected:?}");
}

/// Sets parameters and buffers.
fn set_on<F: DeviceReal>(set: &mut dyn FnMut(&str, &Tensor<F>), parameters: &Parameters<F>) {
    parameters.iter().chain(parameters.buffers()).for_each(|(name, value)| set(name, value));
}

fn gradients_agree<F: DeviceReal>(device: &Device, tolerance: f64) -> Result<(), Box<dyn std::error::Error>> {
    let (parameters, batch) = (parameters::<F>(), tensor(&[ROWS, 3], 3));
    // Each graph has methods of its own, whose state differs if one of them does not advance.
    let (mut host, other) = (model(&parameters, &batch)?, model(&parameters, &batch)?);
    let mut graph = device.compile(&other)?;
    assert_eq!(graph.inputs().collect::<Vec<_>>(), host.inputs().collect::<Vec<_>>());
    set_on(&mut |name, value| graph.set(name, value).unwrap(), &parameters);
    let mut mean = parameters.buffer("mean").unwrap().clone();
    for step in 0..4 {
        let (batch, seed) = (tensor(&[ROWS, 3], 10 * step), Seed::new(11).step(step));
        set_on(&mut |name, value| host.set(name, value).unwrap(), &parameters);
        host.set("mean", &mean)?;
        host.set("points", &batch)?;
        let expected = host.run(seed)?;
        graph.share("points", &device.upload(&batch)?)?;
        let costs = graph.run(seed)?;
        for ((name, cost), (other, value)) in costs.iter().zip(expected.costs()) {
            assert_eq!(name, other);
            assert_close(&Tensor::scalar(cost), &Tensor::scalar(*value), tolerance, name);
        }
        assert!((costs.total() - expected.total()).to_f64().abs() <= tolerance * 10.0);
        for (name, gradient) in expected.iter() {
            assert_close(&graph.gradient(name)?, gradient, tolerance, name);
            assert_close(graph.gradients()?.get(name)?, gradient, tolerance, name);
        }
        let (_, next) = expected.next_values().next().unwrap();
        assert_close(&graph.next_value("mean")?, next, tolerance, "mean");
        mean = next.clone();
        host.advance();
        graph.advance();
    }
    // The baselines have the same values.
    graph.store_slots()?;
    let states = [&host, &other].map(|graph| graph.updated_slots().map(|slot| slot.values()).collect::<Vec<_>>());
    assert!(!states[0].is_empty());
    for (expected, found) in states[0].iter().flatten().zip(states[1].iter().flatten()) {
        assert!((expected - found).abs() <= 10.0 * tolerance * expected.abs().max(1.0), "{states:?}");
    }
    Ok(())
}

#[test]
fn gradients_and_state_are_those_of_the_cpu() -> Result<(), Box<dyn std::error::Error>> {
    let Some(device) = device("gradients_and_state_are_those_of_the_cpu")? else { return Ok(()) };
    gradients_agree::<f32>(&device, 1e-6)?;
    gradients_agree::<f64>(&device, 1e-12)
}

/// Trains on the host, and returns the parameters and the costs of each step.
fn trained_on_host<F: DeviceReal>(
    optimizer: &mut dyn Optimizer<F>,
    data: &Tensor<F>,
    batches: &[Vec<usize>],
) -> Result<(Parameters<F>, Vec<F>), Box<dyn std::error::Error>> {
    let mut parameters = parameters::<F>();
    let mut graph = model(&parameters, &tensor(&[ROWS, 3], 0))?;
    let mut costs = Vec::new();
    for (step, batch) in batches.iter().enumerate() {
        set_on(&mut |name, value| graph.set(name, value).unwrap(), &parameters);
        graph.set("points", &rows(data, batch))?;
        graph.run(Seed::new(3).step(step))?;
        costs.extend(graph.gradients().costs().iter().map(|(_, cost)| *cost));
        optimizer.step(&mut parameters, graph.gradients())?;
        parameters.advance(graph.gradients())?;
        graph.advance();
    }
    Ok((parameters, costs))
}

fn rows<F: Real>(data: &Tensor<F>, batch: &[usize]) -> Tensor<F> {
    let columns = data.shape()[1];
    Tensor::from_fn([batch.len(), columns], |i| data.as_slice()[batch[i / columns] * columns + i % columns])
}

#[test]
fn training_is_that_of_the_cpu() -> Result<(), Box<dyn std::error::Error>> {
    let Some(device) = device("training_is_that_of_the_cpu")? else { return Ok(()) };
    let optimizer =
        || AdamW::<f64>::new(0.05).group("scale", Sgd::new(0.1).momentum(0.9)).clip(Clip::by_global_norm(2.0));
    let data = tensor::<f64>(&[40, 3], 5);
    let batches: Vec<Vec<usize>> =
        (0..9).map(|step| (0..ROWS).map(|row| (step * 17 + row * 11) % 40).collect()).collect();
    let mut adam = optimizer();
    let (expected, costs) = trained_on_host(&mut adam, &data, &batches)?;

    let start = parameters::<f64>();
    let graph = model(&start, &tensor(&[ROWS, 3], 0))?;
    let options = TrainingOptions::new().resident("points", &data).steps(6);
    let mut training = device.compile_training(&graph, &optimizer(), &options)?;
    assert_eq!(training.cost_names(), ["distance", "prior"]);
    training.load(&start, &optimizer().state())?;
    let mut found = Vec::new();
    // Two single steps, a loop of the full length and one that is shorter.
    for (step, batch) in batches[..2].iter().enumerate() {
        training.set("points", &rows(&data, batch))?;
        found.extend(training.step(Seed::new(3).step(step))?.iter().map(|(_, cost)| cost));
    }
    found.extend(training.run_steps(Seed::new(3).step(2), &batches[2..8])?.as_slice());
    found.extend(training.run_steps(Seed::new(3).step(8), &batches[8..])?.as_slice());
    assert_eq!(training.updates(), 9);
    assert_close(&Tensor::new(found, [18])?, &Tensor::new(costs, [18])?, 1e-12, "costs");

    let mut parameters = parameters::<f64>();
    let state = training.store(&mut parameters)?;
    for ((name, value), (_, expected)) in
        parameters.iter().chain(parameters.buffers()).zip(expected.iter().chain(expected.buffers()))
    {
        assert_close(value, expected, 1e-12, name);
        assert_eq!(&training.get(name)?, value);
    }
    let reference = adam.state();
    assert_eq!((&state.kind, state.steps, &state.counters), (&reference.kind, 9, &reference.counters));
    for (slot, values) in &reference.slots {
        for (name, value) in values {
            assert_close(&state.slots[slot][name], value, 1e-12, slot);
        }
    }

    // What was stored continues as if it had not been. The methods of the graph have the state that was stored.
    let mut resumed = device.compile_training(&graph, &optimizer(), &options)?;
    resumed.load(&parameters, &state)?;
    let next = [
        training.run_steps(Seed::new(3).step(9), &batches[..3])?,
        resumed.run_steps(Seed::new(3).step(9), &batches[..3])?,
    ];
    assert_eq!(next[0], next[1]);
    Ok(())
}

/// Two devices, each with one half of each batch, have the gradients and the training of one device.
#[test]
fn devices_with_shards_are_one_device() -> Result<(), Box<dyn std::error::Error>> {
    let Some(plugin) = plugin_for_test("devices_with_shards_are_one_device")? else { return Ok(()) };
    let client = plugin.client(&[("cpu_device_count", 2)])?;
    let (one, two) = (Device::new(client.clone(), 1), Device::group(client.clone(), &[0, 1])?);
    let parameters = parameters::<f64>();
    let halves = || shard(&parameters, &tensor(&[ROWS / 2, 3], 0), ROWS);
    let whole = model(&parameters, &tensor(&[ROWS, 3], 0))?;
    let mut graphs = [one.compile(&whole)?, two.compile(&halves()?)?];
    for graph in &mut graphs {
        set_on(&mut |name, value| graph.set(name, value).unwrap(), &parameters);
    }
    for step in 0..3 {
        for graph in &mut graphs {
            graph.set("points", &tensor(&[ROWS, 3], 10 * step))?;
            graph.run(Seed::new(11).step(step))?;
        }
        let [single, pair] = &graphs;
        for ((name, expected), (_, found)) in single.costs().iter().zip(pair.costs().iter()) {
            assert_close(&Tensor::scalar(found), &Tensor::scalar(expected), 1e-13, name);
        }
        for (name, gradient) in single.gradients()?.iter() {
            assert_close(&pair.gradient(name)?, gradient, 1e-13, name);
        }
        assert_close(&pair.next_value("mean")?, &single.next_value("mean")?, 1e-13, "mean");
        graphs.iter_mut().for_each(|graph| graph.advance());
    }

    let optimizer = || AdamW::<f64>::new(0.05).clip(Clip::by_global_norm(2.0));
    let data = tensor::<f64>(&[40, 3], 5);
    let batches: Vec<Vec<usize>> =
        (0..5).map(|step| (0..ROWS).map(|row| (step * 17 + row * 11) % 40).collect()).collect();
    let options = TrainingOptions::new().resident("points", &data).steps(4);
    let mut results = Vec::new();
    for (device, graph) in [(&one, model(&parameters, &tensor(&[ROWS, 3], 0))?), (&two, halves()?)] {
        let mut training = device.compile_training(&graph, &optimizer(), &options)?;
        training.load(&parameters, &optimizer().state())?;
        training.set("points", &rows(&data, &batches[0]))?;
        training.step(Seed::new(3))?;
        let costs = training.run_steps(Seed::new(3).step(1), &batches[1..])?;
        let mut trained = parameters.clone();
        training.store(&mut trained)?;
        results.push((costs, trained));
    }
    assert_close(&results[1].0, &results[0].0, 1e-12, "costs");
    for ((name, found), (_, expected)) in results[1].1.iter().zip(results[0].1.iter()) {
        assert_close(found, expected, 1e-12, name);
    }

    let error = one.compile(&halves()?).unwrap_err().to_string();
    assert!(error.contains("expected the first of 1 equal shards, one for each device, got 3 of 6"), "{error}");
    assert!(Device::group(client, &[0, 2]).is_err());
    let shared = two.upload(&tensor::<f64>(&[ROWS, 3], 0))?;
    let error = graphs[1].share("points", &shared).unwrap_err().to_string();
    assert!(error.contains("expected an input that is the same on all devices"), "{error}");
    Ok(())
}

#[test]
fn a_step_that_fails_changes_nothing() -> Result<(), Box<dyn std::error::Error>> {
    let Some(device) = device("a_step_that_fails_changes_nothing")? else { return Ok(()) };
    let tape = Tape::<f32>::new();
    let graph = Graph::new(&tape, Seed::new(5));
    let w = graph.param("w", 1.0)?;
    let x = graph.data("points", [1.0, 2.0])?;
    graph.cost("loss", (x * w).ln())?;
    let compiled = graph.compile()?;
    let data = Tensor::from([1.0, 2.0, 4.0, -1.0]);
    let options = TrainingOptions::new().resident("points", &data).steps(4);
    let mut training = device.compile_training(&compiled, &Sgd::new(0.5), &options)?;
    let error = training.step(Seed::new(1)).unwrap_err().to_string();
    assert!(error.starts_with("the parameter \"w\": expected a value, got none"), "{error}");
    training.set("w", &Tensor::scalar(4.0))?;
    training.set("points", &Tensor::from([1.0, -1.0]))?;
    let error = training.step(Seed::new(1).step(7)).unwrap_err();
    assert!(matches!(error, XlaError::Run { step: 7, .. }), "{error}");
    assert!(error.to_string().contains("the estimate of the cost \"loss\" is NaN or infinite"), "{error}");
    assert_eq!((training.get("w")?.item()?, training.updates()), (4.0, 0));
    // The third of four steps fails, and the fourth is not made.
    let error = training.run_steps(Seed::new(1), &[[0, 1], [1, 2], [2, 3], [0, 0]]).unwrap_err();
    assert!(matches!(error, XlaError::Run { step: 2, .. }), "{error}");
    // The derivative of ln(x w) with respect to w is 1 / w, of which one half is subtracted, twice.
    let expected = 3.875 - 0.5 / 3.875;
    assert!((training.get("w")?.item()? - expected).abs() < 1e-6);
    assert_eq!(training.updates(), 2);

    let error = training.run_steps(Seed::new(1), &[[0, 4]]).unwrap_err().to_string();
    assert!(error.contains("expected rows below 4, the number of rows of the resident data, got 4"), "{error}");
    let error = training.run_steps(Seed::new(1), &[vec![0]]).unwrap_err().to_string();
    assert!(error.contains("expected batches of 2 rows, got 1 rows"), "{error}");
    let error = training.run_steps(Seed::new(1), &[[0, 1]; 5]).unwrap_err().to_string();
    assert!(error.contains("expected at most 4 batches, got 5"), "{error}");
    let error = training.share("w", &device.upload(&Tensor::scalar(1.0))?).unwrap_err().to_string();
    assert!(error.starts_with("the input \"w\": expected data that the steps do not change"), "{error}");
    let error = training.set("v", &Tensor::scalar(1.0)).unwrap_err().to_string();
    assert!(error.starts_with("an input: expected one of w, points, got \"v\""), "{error}");
    let error = training.set("w", &Tensor::from([1.0, 2.0])).unwrap_err().to_string();
    assert!(error.contains("expected shape []") && error.contains("got shape [2]"), "{error}");
    let matrix = Tensor::zeros([4, 2]);
    let wrong = TrainingOptions::new().resident("points", &matrix).steps(1);
    let error = device.compile_training(&compiled, &Sgd::new(0.5), &wrong).unwrap_err().to_string();
    assert!(error.starts_with("the resident data of the input \"points\": expected rows like those"), "{error}");
    let error = training.load(&Parameters::new(), &AdamW::<f32>::new(0.1).state()).unwrap_err().to_string();
    assert!(error.contains("expected that of sgd, got one of adamw"), "{error}");
    Ok(())
}

#[test]
fn a_parameter_outside_its_domain_is_named() -> Result<(), Box<dyn std::error::Error>> {
    let Some(device) = device("a_parameter_outside_its_domain_is_named")? else { return Ok(()) };
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(5));
    let scale = graph.param("scale", 1.0)?;
    let z = graph.sample("z", &Normal::new(graph.constant(0.0), scale), &Pathwise::new())?;
    graph.cost("square", z.square())?;
    let compiled = graph.compile()?;
    let mut on_device = device.compile(&compiled)?;
    let error = on_device.run(Seed::new(1)).unwrap_err().to_string();
    assert!(error.starts_with("the input \"scale\": expected a value, got none"), "{error}");
    on_device.set("scale", &Tensor::scalar(-1.0))?;
    let error = on_device.run(Seed::new(1).step(3)).unwrap_err().to_string();
    assert!(error.starts_with("step 3: ") && error.contains("Normal"), "{error}");
    assert!(on_device.gradient("scale").is_err());
    on_device.set("scale", &Tensor::scalar(2.0))?;
    on_device.run(Seed::new(1).step(3))?;
    assert!(on_device.gradient("scale")?.item()? > 0.0);
    Ok(())
}
