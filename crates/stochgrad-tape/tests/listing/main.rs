//! The list of operations of a program says everything that is needed to compute its outputs: an interpreter that knows
//! nothing else agrees with the program.

mod images;
mod interpreter;
mod products;

use interpreter::interpret;
use std::collections::BTreeSet;
use std::sync::Arc;
use stochgrad_tape::special::gamma_p;
use stochgrad_tape::{
    Attempt, Condition, NoiseScheme, NoiseSeed, PlateKind, Primitive, PrimitiveInputs, Requirement, Sampler, Slot,
    Tape, ValueOrigin, Var,
};
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::pooling::Pooling;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::sampling_scheme::SamplingScheme;
use stochgrad_tensor::sort::Order;
use stochgrad_tensor::{Shape, Tensor};

type Recorded<'t> = (Vec<Var<'t, f64>>, Vec<Var<'t, f64>>);
type Record = for<'t> fn(&'t Tape<f64>, &[Tensor<f64>], NoiseSeed) -> Recorded<'t>;

const FIRST: NoiseSeed = NoiseSeed { seed: 3, step: 0 };

fn numbers(shape: &[usize], seed: usize) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i as f64 + 1.3) * (seed as f64 + 0.7) * 12.9898).sin() * 1.5)
}

/// Compiles a recording, compares a run with the interpreter, and returns the names of the operations.
fn check(shapes: &[&[usize]], record: Record) -> BTreeSet<String> {
    let inputs = |seed: usize| -> Vec<Tensor<f64>> {
        shapes.iter().enumerate().map(|(at, shape)| numbers(shape, seed * 10 + at)).collect()
    };
    let tape = Tape::<f64>::new();
    let (leaves, outputs) = record(&tape, &inputs(1), FIRST);
    let mut program = tape.compile(&leaves, &outputs).unwrap();
    let (given, seed) = (inputs(2), NoiseSeed { seed: 3, step: 4 });
    given.iter().enumerate().for_each(|(at, input)| program.set(at, input).unwrap());
    program.run(seed).unwrap();
    let listing = program.listing();
    for (at, found) in interpret(&listing, &given, seed).iter().enumerate() {
        let expected = program.output(at).unwrap();
        assert_eq!(found.shape[..], expected.shape()[..], "output {at}");
        for (found, expected) in found.elements.iter().zip(expected.as_slice()) {
            let agrees = (found - expected).abs() <= 1e-10 * expected.abs().max(1.0) || found == expected;
            assert!(agrees, "output {at}: {found}, not {expected}\n{listing}");
        }
    }
    let kinds = listing.values().filter_map(|value| match value.origin {
        ValueOrigin::Operation(op) => Some(format!("{op:?}")),
        _ => None,
    });
    kinds.map(|op| op.chars().take_while(|c| c.is_alphanumeric()).collect()).collect()
}

fn network<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], seed: NoiseSeed) -> Recorded<'t> {
    let batch = tape.plate("batch", 5, PlateKind::Data, &[]);
    let samples = tape.plate("samples", 3, PlateKind::Samples, &[batch]);
    let states = tape.plate("states", 2, PlateKind::Enumerated, &[]);
    let leaves = vec![
        tape.parameter(&inputs[0]),
        tape.parameter(&inputs[1]),
        tape.parameter(&inputs[2]),
        tape.constant_on(&[batch], &inputs[3]),
    ];
    let hidden = (leaves[3].matmul(leaves[0]) + leaves[1]).map(Map::LeakyRelu(0.1));
    let noise = tape.noise(seed, Fill::Uniform, 7, &[batch, samples], &Shape::from([6])).unwrap();
    let bits = tape.sample(tape.new_site(), noise.ge(1.0 - hidden.sigmoid()), &[hidden]);
    let logits = bits.matmul(leaves[2]);
    let cost = (logits.softplus() - leaves[3] * logits).sum();
    let crossed = tape.constant_on(&[states], numbers(&[2, 8], 3)).dot(logits);
    let weights = hidden.index(0, 0).softplus();
    let weighted = cost.weighted_sum_over(samples, weights).mean_over(batch) + crossed.log_mean_exp_over(states).sum();
    let total = weighted + cost.mean_over(samples).sum_over(batch) * 0.01;
    let total = total + crossed.mean_over(samples).mean_over(batch).mean_over(states);
    let mut outputs = tape.gradients(total.mean_over(samples).mean_over(batch), &leaves[..3]).unwrap();
    outputs.extend([total, cost, leaves[1]]);
    (leaves, outputs)
}

fn event_axes<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], _: NoiseSeed) -> Recorded<'t> {
    let plate = tape.plate("rows", 3, PlateKind::Data, &[]);
    let [x, y] = [tape.parameter(&inputs[0]), tape.parameter_on(&[plate], &inputs[1])];
    let index = (x.index(0, 0).abs() * 2.0).floor().map(Map::Clamp(0.0, 2.0));
    let gathered = y.gather(1, index.reshape([1, 4]).map(Map::MinScalar(3.0)));
    let stacked = Var::concat(&[x.softmax(1), x.log_softmax(0), x.cumsum(-1)], 0).unwrap();
    let chosen = stacked.index_select(0, &[0, 4, 4, 8]).transpose().slice(0, 1..3);
    let one_hot = index.one_hot(3).sum_axis(0);
    let position = y.argmax(-1);
    let plates = y.plate_to_event(plate).sum_axis(0) + y.member(plate, 1);
    let scattered = y.max_axis(-1) + y.logsumexp(-1) - position;
    let total = gathered.sum() + (chosen * 1.3).sin().sum() + scattered.sum() + plates.square().sum();
    let total =
        total.sum_over(plate) + y.gt(x).select(x, y).exp().sum().mean_over(plate) + x.sum_axis(1).reshape([3]).sum();
    let mut outputs = tape.gradients(total, &[x, y]).unwrap();
    outputs.extend([total, one_hot, position, chosen, y.map(Map::Abs).sum_axis(0)]);
    (vec![x, y], outputs)
}

fn scans_and_lookups<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], _: NoiseSeed) -> Recorded<'t> {
    let plate = tape.plate("rows", 3, PlateKind::Data, &[]);
    let [x, y] = [tape.parameter(&inputs[0]), tape.parameter_on(&[plate], &inputs[1])];
    let index = (y.abs() * 2.0).floor().map(Map::MinScalar(2.0));
    let (sorted, positions) = y.sort(0, Order::Descending);
    let scans = y.cumprod(-1) + y.logcumsumexp(0) + y.prod_axis(0) + y.logaddexp(sorted) + y.min();
    let rows = x.lookup(index).sum_last(2) + x.norm() + x.lookup(index.index(0, 0)).sum_last(2);
    let written = y.scatter(0, index, y.exp()).scatter_add(1, positions, y * 2.0);
    let total = (scans.sum() + rows.square().sum() + written.sin().sum()).sum_over(plate);
    let mut outputs = tape.gradients(total, &[x, y]).unwrap();
    let curvature = outputs[0].square().sum() + outputs[1].square().sum().sum_over(plate);
    outputs.extend(tape.gradients(curvature, &[x, y]).unwrap());
    outputs.extend([total, positions, written, rows]);
    (vec![x, y], outputs)
}

fn matrices<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], _: NoiseSeed) -> Recorded<'t> {
    let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
    let [a, b] = [tape.parameter(&inputs[0]), tape.parameter_on(&[plate], &inputs[1])];
    let covariance = a.matmul(a.transpose()) + tape.constant(Tensor::eye(3));
    let factor = covariance.cholesky();
    let solution = factor.triangular_solve(b) + factor.transposed_triangular_solve(b);
    let total = (solution.square().sum() + factor.diagonal().ln().sum()).sum_over(plate);
    let stack = Var::stack(&[a.sum_axis(1), a.index(1, 1)]).unwrap().event_to_plate(plate);
    let total = total + (stack.member(plate, 0) * 2.0).sum() + stack.square().sum().mean_over(plate);
    let mut outputs = tape.gradients(total, &[a, b]).unwrap();
    outputs.push(stack);
    (vec![a, b], outputs)
}

fn convolutions<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], _: NoiseSeed) -> Recorded<'t> {
    let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
    let samples = tape.plate("samples", 3, PlateKind::Samples, &[]);
    let leaves = vec![
        tape.parameter_on(&[plate], &inputs[0]),
        tape.parameter(&inputs[1]),
        tape.parameter_on(&[samples], &inputs[2]),
    ];
    let geometry = Convolution::new().stride([2, 1]).padding([1, 2]).dilation([1, 2]).groups(2);
    let hidden = leaves[0].conv2d(leaves[1], geometry).tanh();
    let back = hidden.conv_transpose2d(leaves[2], geometry, [1, 0]);
    let pooling = Pooling::new([2, 3]).stride([1, 2]).padding([1, 1]);
    let cost = (back.max_pool2d(pooling) * back.avg_pool2d(pooling)).sum() + back.square().sum();
    let mut outputs = tape.gradients(cost.mean_over(samples).sum_over(plate), &leaves).unwrap();
    outputs.extend([hidden, back, leaves[0].max_pool2d(pooling).pad(0, 1, 2)]);
    (leaves, outputs)
}

/// A function with a slope of its own.
struct Cube;

impl Primitive<f64> for Cube {
    fn name(&self) -> &str {
        "cube"
    }
    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        Ok(inputs.values[0].map(|x| x * x * x))
    }
    fn gradient<'t>(&self, x: &[Var<'t, f64>], _: Var<'t, f64>, adjoint: Var<'t, f64>) -> Vec<Option<Var<'t, f64>>> {
        vec![Some(adjoint * x[0].square() * 3.0)]
    }
}

/// The number of uniform values above a bound that depends on the parameter, before the first one below it.
struct Exceedances;

impl Sampler<f64> for Exceedances {
    fn name(&self) -> &str {
        "exceedances"
    }
    fn attempt(&self, attempt: &mut Attempt<'_, f64>) {
        let mut uniform = [0.0; Attempt::<f64>::LARGEST];
        attempt.uniform(0, &mut uniform[..attempt.len()]);
        for (element, &uniform) in uniform.iter().enumerate().take(attempt.len()) {
            let bound = attempt.parameter(0)[element].abs().min(0.9);
            attempt.values[element] = attempt.number() as f64;
            attempt.rejected[element] = uniform > bound && attempt.number() < 20;
        }
    }
}

fn noise<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], seed: NoiseSeed) -> Recorded<'t> {
    let batch = tape.plate("batch", 3, PlateKind::Data, &[]);
    tape.set_plate_offset(batch, 6);
    let samples = tape.plate("samples", 4, PlateKind::Samples, &[batch]);
    let alternatives = tape.plate("alternatives", 2, PlateKind::Alternatives, &[]);
    let x = tape.parameter_on(&[batch], &inputs[0]);
    let event = Shape::from([2]);
    let mut values = vec![tape.noise(seed, Fill::Normal, 1, &[batch, samples, alternatives], &event).unwrap()];
    for (number, scheme) in
        [SamplingScheme::Antithetic, SamplingScheme::Stratified, SamplingScheme::sobol()].into_iter().enumerate()
    {
        for (fill, address) in [(Fill::Uniform, 10), (Fill::Normal, 20)] {
            let scheme = NoiseScheme { scheme, plate: samples, strata: 100 + number as u128 };
            let address = address + number as u128;
            values.push(tape.noise_by(Some(scheme), seed, fill, address, &[batch, samples], &event).unwrap());
        }
    }
    values.push(tape.draw(seed, Arc::new(Exceedances), 5, &[x], &[samples], &event).unwrap());
    let table = (x * 0.5).exp().unsqueeze(-1) * tape.constant([0.5, 0.0, 2.0]);
    let uniforms = tape.noise(seed, Fill::Uniform, 6, &[batch, samples], &event).unwrap();
    values.push(table.categories(uniforms));
    values.push(tape.custom(Arc::new(Cube), &[x * 0.5]));
    let slot = tape.slot(&Slot::new("slot", [2], [-0.25, 0.75]));
    values.push((x * slot).straight_through(values[0] * x));
    values.push(gamma_p(x.square() + 0.5, x.abs()));
    let total = values.iter().fold(tape.constant(0.0), |sum, &value| sum + value * x);
    let mut all = total.sum();
    for plate in all.plates() {
        all = all.mean_over(plate);
    }
    let mut outputs = tape.gradients(all, &[x]).unwrap();
    outputs.extend(values);
    (vec![x], outputs)
}

#[test]
fn an_interpreter_of_the_list_agrees_with_the_program() {
    let mut seen = check(&[&[8, 6], &[6], &[6, 8], &[5, 8]], network);
    seen.extend(check(&[&[3, 4], &[3, 3, 4]], event_axes));
    seen.extend(check(&[&[3, 4], &[3, 3, 4]], scans_and_lookups));
    seen.extend(check(&[&[3, 4], &[2, 3, 2]], matrices));
    seen.extend(check(&[&[2, 4, 3, 2], &[2, 3, 1, 4], &[3, 2, 3, 1, 4]], convolutions));
    seen.extend(check(&[&[3, 2]], noise));
    // The value of a leaf is an input or a constant, and those of the others equal their operands or are constants. The
    // parts of other shards are in other programs; tests/shards.rs compares them.
    let never = ["Leaf", "Detach", "Estimated", "MagicBox", "Sample", "AllReduce"];
    let source = include_str!("../../src/op/mod.rs");
    let (_, body) = source.split_once("pub enum Op {").expect("the operations");
    let (body, _) = body.split_once("\n}").expect("the end of the operations");
    let variants = body.lines().filter_map(|line| line.strip_prefix("    ")?.split(['(', ' ', ',']).next());
    let expected = variants.filter(|name| name.starts_with(char::is_uppercase) && !never.contains(name));
    let missing: Vec<&str> = expected.filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "no program has {missing:?}; they have {seen:?}");
}

#[test]
fn a_listing_can_be_read() {
    let tape = Tape::<f64>::new();
    let batch = tape.plate("batch", 2, PlateKind::Data, &[]);
    let (weight, rows) = (tape.parameter([[1.0], [2.0]]), tape.constant_on(&[batch], numbers(&[2, 2], 1)));
    let scale = rows.matmul(weight).exp();
    let requirement =
        Requirement { condition: Condition::POSITIVE, owner: "Normal", name: "scale", expected: "positive", hint: "" };
    assert!(scale.require(requirement).unwrap().is_none());
    let program = tape.compile(&[weight, rows], &[scale.sum().mean_over(batch)]).unwrap();
    let text = program.listing().to_string();
    let expected = [
        "plate \"batch\": 2 members, Data",
        "%0 = input 0 : f64[2, 1]",
        "%1 = input 1 : f64[batch 2; 2]",
        "%2 = matmul, plain and plain %1 %0 : f64[batch 2; 1]",
        "%3 = Exp %2 : f64[batch 2; 1]",
        "%4 = Sum over event axes [0] %3 : f64[batch 2; ]",
        "%5 = Mean over a plate %4 : f64[]",
        "%3 must be positive: scale of Normal",
        "outputs %5",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}
