//! A program gives the same bits as a new recording, returns an error for what it cannot repeat, and allocates nothing.

use proptest::prelude::*;
use std::sync::Arc;
use stochgrad_tape::{
    IdMap, NoiseSeed, Plate, PlateKind, Primitive, PrimitiveInputs, Program, Tape, TapeError, TapeResult, Var,
};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::sort::Order;
use stochgrad_tensor::{Shape, Tensor};

type Recorded<'t> = (Vec<Var<'t, f64>>, Vec<Var<'t, f64>>);

fn numbers(shape: &[usize], seed: u64) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i as f64 + 1.3) * (seed as f64 + 0.7) * 12.9898).sin() * 1.5)
}

fn same(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
    a.shape() == b.shape() && a.as_slice().iter().zip(b.as_slice()).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Compiles a recording with some inputs, runs it with other ones, and compares the results with a recording of these.
fn check(
    threads: usize,
    shapes: &[Vec<usize>],
    record: impl for<'t> Fn(&'t Tape<f64>, &[Tensor<f64>], NoiseSeed) -> Recorded<'t>,
) -> Program<f64> {
    let inputs = |seed: u64| -> Vec<Tensor<f64>> {
        shapes.iter().enumerate().map(|(at, shape)| numbers(shape, seed * 10 + at as u64)).collect()
    };
    let tape = Tape::<f64>::with_threads(threads);
    let (leaves, outputs) = record(&tape, &inputs(1), NoiseSeed { seed: 1, step: 0 });
    let mut program = tape.compile(&leaves, &outputs).unwrap();
    for step in 1..4 {
        let seed = NoiseSeed { seed: 1, step };
        let fresh = Tape::<f64>::new();
        let given = inputs(step + 1);
        let (_, expected) = record(&fresh, &given, seed);
        given.iter().enumerate().for_each(|(at, input)| program.set(at, input).unwrap());
        program.run(seed).unwrap();
        for (at, expected) in expected.iter().enumerate() {
            let expected = expected.inspect().unwrap();
            assert!(
                same(program.output(at).unwrap(), &expected),
                "output {at}: {:?}, not {expected:?}\n{program:?}",
                program.output(at).unwrap()
            );
        }
    }
    program
}

fn network<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], seed: NoiseSeed) -> Recorded<'t> {
    let [first, bias, second, images] = inputs else { panic!("four inputs") };
    let batch = tape.plate("batch", 5, PlateKind::Data, &[]);
    let samples = tape.plate("samples", 3, PlateKind::Samples, &[batch]);
    let leaves =
        vec![tape.parameter(first), tape.parameter(bias), tape.parameter(second), tape.constant_on(&[batch], images)];
    let hidden = (leaves[3].matmul(leaves[0]) + leaves[1]).map(Map::LeakyRelu(0.1));
    let noise = tape.noise(seed, Fill::Uniform, 7, &[batch, samples], &Shape::from([6])).unwrap();
    let bits = noise.ge(1.0 - hidden.sigmoid());
    let site = tape.new_site();
    let bits = tape.sample(site, bits, &[hidden]);
    tape.set_closed(site, true);
    let logits = bits.matmul(leaves[2]);
    let cost = (logits.softplus() - leaves[3] * logits).sum();
    let log_prob = (bits * hidden - hidden.softplus()).sum();
    let centred = (cost - cost.mean_over(samples)).stop_gradient();
    let mixed = (log_prob.magic_box() * cost + (log_prob.magic_box() - 1.0) * centred).mean_over(samples);
    let total = mixed.mean_over(batch) + cost.log_mean_exp_over(samples).sum_over(batch) * 0.01;
    let mut outputs = tape.gradients(total, &leaves[..3]).unwrap();
    outputs.extend([total, cost, leaves[1]]);
    (leaves, outputs)
}

#[test]
fn a_network_with_samples_runs_again() {
    let shapes = [vec![8, 6], vec![6], vec![6, 8], vec![5, 8]];
    for threads in [1, 2] {
        let program = check(threads, &shapes, network);
        assert!(program.len() < 30, "{program:?}");
    }
}

#[test]
fn large_values_give_the_same_bits_on_any_number_of_threads() {
    let record = |tape: &'static Tape<f64>, inputs: &[Tensor<f64>], seed: NoiseSeed| -> Recorded<'static> {
        let plate = tape.plate("many", 30_011, PlateKind::Samples, &[]);
        let x = tape.parameter(&inputs[0]);
        let noise = tape.noise(seed, Fill::Normal, 3, &[plate], &Shape::from([3])).unwrap();
        let value = (x + noise * x.exp()).tanh();
        let total = value.sum().square().mean_over(plate);
        let mut outputs = tape.gradients(total, &[x]).unwrap();
        outputs.extend([total, value.sum_over(plate), value]);
        (vec![x], outputs)
    };
    for threads in [1, 2, 3] {
        let tape: &'static Tape<f64> = Box::leak(Box::new(Tape::with_threads(threads)));
        let seed = NoiseSeed { seed: 1, step: 0 };
        let (leaves, outputs) = record(tape, &[numbers(&[3], 1)], seed);
        let mut program = tape.compile(&leaves, &outputs).unwrap();
        let again = NoiseSeed { seed: 5, step: 6 };
        program.set(0, &numbers(&[3], 2)).unwrap();
        program.run(again).unwrap();
        let fresh: &'static Tape<f64> = Box::leak(Box::new(Tape::new()));
        let (_, expected) = record(fresh, &[numbers(&[3], 2)], again);
        for (at, expected) in expected.iter().enumerate() {
            assert!(
                same(program.output(at).unwrap(), &expected.inspect().unwrap()),
                "output {at} on {threads} threads"
            );
        }
    }
}

/// One operation of a random graph: its kind, and the earlier values that are its operands.
type Choice = (u8, usize, usize, usize);

fn random_graph<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], choices: &[Choice], seed: NoiseSeed) -> Recorded<'t> {
    let front = tape.plate("front", 2, PlateKind::Alternatives, &[]);
    let outer = tape.plate("outer", 3, PlateKind::Data, &[]);
    let inner = tape.plate("inner", 2, PlateKind::Samples, &[]);
    let back = tape.plate("back", 2, PlateKind::Alternatives, &[]);
    let plates: [&[Plate]; 4] = [&[], &[outer], &[outer, inner], &[inner]];
    let leaves: Vec<Var<'_, f64>> =
        inputs.iter().zip(plates).map(|(input, plates)| tape.constant_on(plates, input)).collect();
    let mut values = leaves.clone();
    values.push(tape.noise(seed, Fill::Uniform, 1, &[outer, inner], &Shape::from([4, 3])).unwrap());
    values.push(tape.constant(1.0));
    for &(op, a, b, c) in choices {
        let [a, b, c] = [a, b, c].map(|at| values[at % values.len()]);
        let position = c.shape().len();
        let fits = |a: Var<'_, f64>, b: Var<'_, f64>| Shape::broadcast(&a.shape(), &b.shape()).is_some();
        let next = match op % 38 {
            0 if fits(a, b) => a + b,
            1 | 2 if fits(a, b) => a * b,
            3 if fits(a, b) => a - b.sin(),
            4 => a.tanh(),
            5 => (a * 0.3).exp(),
            6 => a.sigmoid() * 1.0,
            7 if !a.shape().is_empty() => a.sum_axis(-1),
            8 => a.sum(),
            9 if a.plates().contains(&outer) => a.mean_over(outer),
            10 if a.plates().contains(&inner) => a.log_mean_exp_over(inner),
            11 if fits(a, b) && fits(b, c) && fits(a, c) => a.gt(b).select(b, c),
            12 if !a.shape().is_empty() => a.log_softmax(-1),
            13 if a.shape().len() == 2 => a.transpose(),
            14 => a.stop_gradient().cos(),
            15 if a.plates().contains(&outer) => a.member(outer, position % 3),
            16 if a.plates().contains(&inner) => a.member(inner, position % 2),
            17 if a.plates().contains(&inner) && fits(a, b) => b * 2.0 - a.member(inner, 1),
            18 if fits(a, b) => (a + b).map(Map::LeakyRelu(0.2)) * a.map(Map::LeakyStep(0.2)),
            19 if fits(a, b) => (a - b).square() / 1.5,
            20 if fits(a, b) => ((1.0 - a) * b).map(Map::Guard(0.4)),
            21 if fits(a, b) => (-a).le(b) - b,
            22 if fits(a, b) => (a * b) / (c.square() + 1.0).sum(),
            23..=26 if a.shape() == b.shape() => {
                let plate = if op % 2 == 0 { front } else { back };
                let both = Var::stack(&[a, b]).unwrap().event_to_plate(plate);
                let [first, last] = [0, 1].map(|member| (both * 0.5).sin().member(plate, member));
                if op % 38 < 25 {
                    first - last * (both.square() - a).mean_over(plate)
                } else {
                    both.log_mean_exp_over(plate)
                }
            }
            28 if !a.shape().is_empty() => a.cumprod(-1),
            29 if !a.shape().is_empty() => a.prod_axis(-1) + a.min(),
            30 if !a.shape().is_empty() => a.logcumsumexp(0),
            31 if fits(a, b) => a.logaddexp(b),
            32 if fits(a, b) => a.xlogy(b.square()),
            33 if !a.shape().is_empty() => a.norm_axis(-1),
            34 if !a.shape().is_empty() => a.sort(-1, Order::Descending).0,
            35 if !a.shape().is_empty() => a.topk(0, 1).0 + a.argsort(0, Order::Ascending),
            36 if a.shape().len() == 2 => a.lookup(b.gt(c.sum()) * (a.shape()[0] - 1) as f64),
            37 if a.shape().len() == 2 && b.shape() == a.shape() => {
                let last = (a.shape()[1] - 1) as f64;
                a.scatter(1, b.gt(tape.constant(0.0)) * last, b).scatter_add(
                    0,
                    a.gt(b) * (a.shape()[0] - 1).min(1) as f64,
                    b,
                )
            }
            _ => a.softplus(),
        };
        // The values stay small, so that differences remain visible.
        values.push(next.sin());
    }
    let outputs = values.iter().rev().take(4).copied().collect();
    (leaves, outputs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn random_graphs_run_again(choices in prop::collection::vec(any::<(u8, usize, usize, usize)>(), 1..40)) {
        let shapes = [vec![4, 3], vec![3, 4, 3], vec![3, 2, 1, 3], vec![2, 3]];
        check(2, &shapes, |tape, inputs, seed| random_graph(tape, inputs, &choices, seed));
    }
}

#[test]
fn from_the_second_run_on_every_buffer_comes_from_the_pool() {
    let shapes = [vec![8, 6], vec![6], vec![6, 8], vec![5, 8]];
    let mut program = check(1, &shapes, network);
    let before = program.pool().statistics();
    for step in 0..10 {
        shapes.iter().enumerate().for_each(|(at, shape)| program.set(at, &numbers(shape, at as u64)).unwrap());
        program.run(NoiseSeed { seed: 1, step }).unwrap();
    }
    let after = program.pool().statistics();
    assert_eq!(after.taken - before.taken, after.reused - before.reused);
    assert_eq!(after.held_bytes, before.held_bytes);
}

/// Two values stacked on a plate, its members, and their sum of squares.
fn stacked<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], summed: bool) -> Recorded<'t> {
    let batch = tape.plate("batch", 4, PlateKind::Data, &[]);
    let alternatives = tape.plate("alternatives", 2, PlateKind::Alternatives, &[]);
    let [x, y] = [0, 1].map(|at| tape.constant_on(&[batch], &inputs[at]));
    let parts = [x, if summed { y.sum_over(batch) } else { y }];
    let both = Var::stack(&parts).unwrap().event_to_plate(alternatives);
    let [a, b] = [0, 1].map(|member| both.member(alternatives, member));
    (vec![x, y], vec![a.sin() - b, (both * both).sum_over(alternatives)])
}

#[test]
fn members_of_stacked_values_are_the_values() {
    for shape in [vec![4], vec![4, 3]] {
        let shapes = [shape.clone(), shape];
        let program = check(1, &shapes, |tape, inputs, _| stacked(tape, inputs, false));
        assert!(!format!("{program:?}").contains("of a plate"), "{program:?}");
        // A value on fewer plates than the other one is repeated by the stack.
        check(1, &shapes, |tape, inputs, _| stacked(tape, inputs, true));
    }
}

/// Functions of the members of a value on a plate and of a stack, with more elements than a chain processes at once.
fn members<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>]) -> Recorded<'t> {
    let batch = tape.plate("batch", 700, PlateKind::Data, &[]);
    let alternatives = tape.plate("alternatives", 3, PlateKind::Alternatives, &[batch]);
    let samples = tape.plate("samples", 2, PlateKind::Samples, &[batch]);
    let x = tape.constant_on(&[batch, alternatives, samples], &inputs[0]);
    let values = x.sin().square() + x;
    let [first, last] = [0, 2].map(|member| values.member(alternatives, member));
    let difference = (first - last) * 0.5;
    // It is copied, since the value that it is a member of is read, too.
    let to_first = values - first;
    let pair = tape.plate("pair", 2, PlateKind::Alternatives, &[batch]);
    let stack = Var::stack(&[first, last.cos()]).unwrap().event_to_plate(pair).square() + 0.5;
    let sums = values.member(alternatives, 1).sum_over(samples);
    let products = stack.member(pair, 0) * stack.member(pair, 1) - stack.sum_over(pair);
    let others = [to_first, sums, difference.member(samples, 1).exp(), products];
    let mut outputs = vec![difference.abs().sigmoid() * last];
    outputs.extend(others);
    (vec![x], outputs)
}

#[test]
fn members_and_stacks_are_read_where_they_are() {
    for event in [vec![], vec![5]] {
        let shapes = [[vec![700, 3, 2], event].concat()];
        for threads in [1, 2] {
            check(threads, &shapes, |tape, inputs, _| members(tape, inputs));
        }
    }
    let shapes = [vec![700, 3, 2]];
    let program = check(1, &shapes, |tape, inputs, _| {
        let (leaves, outputs) = members(tape, inputs);
        (leaves, vec![outputs[0]])
    });
    assert!(!format!("{program:?}").contains("of a plate"), "{program:?}");
    let program = check(1, &shapes, |tape, inputs, _| {
        let (leaves, outputs) = members(tape, inputs);
        (leaves, vec![outputs[4]])
    });
    for moved in ["Concat", "EventToPlate"] {
        assert!(!format!("{program:?}").contains(moved), "{program:?}");
    }
}

/// Three values of some elements stacked, and functions of the stack.
fn triple<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>]) -> Recorded<'t> {
    let batch = tape.plate("batch", 90, PlateKind::Data, &[]);
    let three = tape.plate("three", 3, PlateKind::Alternatives, &[batch]);
    let x = tape.constant_on(&[batch], &inputs[0]);
    let stack = Var::stack(&[x, x.sin(), x * x]).unwrap().event_to_plate(three);
    (vec![x], vec![stack.tanh() - 1.0, stack.sum()])
}

#[test]
fn stacks_of_long_parts_are_read_where_they_are() {
    for (elements, in_place) in [(1, false), (20, true)] {
        for threads in [1, 2] {
            let program = check(threads, &[vec![90, elements]], |tape, inputs, _| triple(tape, inputs));
            assert_eq!(!format!("{program:?}").contains("Concat"), in_place, "{program:?}");
        }
    }
}

#[test]
fn long_recordings_compile_in_time_that_grows_with_their_length() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([0.3, -0.2]);
    let mut outputs = Vec::new();
    let mut value = x;
    for step in 0..30_000 {
        value = if step % 3 == 0 { (value * 0.999).sin() } else { value + x * 1e-3 };
        if step % 10 == 0 {
            outputs.push(value.sum());
        }
    }
    outputs.push(value);
    let mut program = tape.compile(&[x], &outputs).unwrap();
    program.set(0, &Tensor::from([0.3, -0.2])).unwrap();
    program.run(NoiseSeed::default()).unwrap();
    for (at, output) in outputs.iter().enumerate() {
        assert!(same(program.output(at).unwrap(), &output.inspect().unwrap()), "output {at}");
    }
}

fn refusal(result: TapeResult<Program<f64>>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_host_code_may_have_made_of_a_value_is_refused() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0]);
    let early = x.exp();
    let seen = early.sum().peek().unwrap().item().unwrap();
    let late = x * seen;
    assert!(tape.compile(&[x], &[early]).is_ok());
    let message = refusal(tape.compile(&[x], &[late]));
    assert!(message.contains("host code read a value") && message.contains("programs.rs"), "{message}");
    // Reading a value that never varies does not prevent compilation.
    let tape = Tape::<f64>::new();
    let (x, c) = (tape.parameter(2.0), tape.constant(3.0));
    let seen = c.peek().unwrap().item().unwrap();
    assert!(tape.compile(&[x], &[x * seen]).is_ok());
    tape.note_host_work();
    assert!(!refusal(tape.compile(&[x], &[x + 1.0])).is_empty());
}

/// Twice its operand. It declares that the operand is below a limit.
struct Below(f64);

impl Primitive<f64> for Below {
    fn name(&self) -> &str {
        "below"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        Ok(inputs.values[0].map(|x| 2.0 * x))
    }

    fn gradient<'t>(
        &self,
        _inputs: &[Var<'t, f64>],
        _output: Var<'t, f64>,
        adjoint: Var<'t, f64>,
    ) -> Vec<Option<Var<'t, f64>>> {
        vec![Some(adjoint * 2.0)]
    }

    fn holds(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<(), String> {
        match inputs.values[0].as_slice().iter().find(|&&x| x >= self.0) {
            None => Ok(()),
            Some(x) => Err(format!("expected numbers below {}, got {x}", self.0)),
        }
    }
}

#[test]
fn what_a_primitive_says_of_the_recording_must_hold_in_each_run() {
    let tape = Tape::<f64>::new();
    let (x, large) = (tape.parameter([1.0, 2.0]), tape.parameter([9.0, 1.0]));
    let y = tape.custom(Arc::new(Below(5.0)), &[x]);
    let mut map = IdMap::identity();
    map.insert(x.id(), large.id());
    let replayed = tape.rerecord(y, &map);
    let mut program = tape.compile(&[x, large], &[y, replayed]).unwrap();
    for (first, fits) in [([3.0, 4.0], true), ([4.0, 5.0], false), ([-1.0, 0.0], true)] {
        program.set(0, &Tensor::from(first)).unwrap();
        // A check that failed for the recorded values of the replay is not repeated in its runs.
        program.set(1, &Tensor::from([6.0, 7.0])).unwrap();
        match program.run(NoiseSeed::default()) {
            Ok(()) => {
                assert!(fits);
                assert_eq!(program.output(0).unwrap().to_vec(), first.map(|x| 2.0 * x));
                assert_eq!(program.output(1).unwrap().to_vec(), [12.0, 14.0]);
            }
            Err(error) => {
                let message = error.to_string();
                assert!(!fits && message.contains("below 5, got 5") && message.contains("programs.rs"), "{message}");
            }
        }
    }
}

#[test]
fn mistakes_are_errors() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0]);
    let y = x.exp();
    let message = refusal(tape.compile(&[y], &[y]));
    assert!(message.contains("must be a parameter or a constant"), "{message}");
    let other = Tape::<f64>::new();
    assert!(matches!(other.compile(&[], &[y]), Err(TapeError::Foreign { .. })));
    let mut program = tape.compile(&[x], &[y]).unwrap();
    let message = program.run(NoiseSeed::default()).unwrap_err().to_string();
    assert!(message.contains("set every input before each run"), "{message}");
    let message = program.set(0, &Tensor::from([1.0])).unwrap_err().to_string();
    assert!(message.contains("expected shape [2], got [1]"), "{message}");
    assert!(program.set(1, &Tensor::from([1.0])).is_err());
    program.set(0, &Tensor::from([0.0, 0.0])).unwrap();
    program.run(NoiseSeed::default()).unwrap();
    assert_eq!(program.output(0).unwrap().to_vec(), [1.0, 1.0]);
    // The input was released.
    assert!(program.run(NoiseSeed::default()).is_err());
}

#[test]
fn a_function_of_a_sum_does_not_split_the_pass_over_the_elements() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter((0..1000).map(|i| f64::from(i) * 0.25).collect::<Vec<_>>());
    let scale = tape.parameter(2.0);
    let y = x / scale;
    let length = y.square().sum().sqrt();
    let logarithms = (y + 1.0).ln().sum();
    let outputs = [length * scale, logarithms];
    let mut program = tape.compile(&[x, scale], &outputs).unwrap();
    let shown = format!("{program:?}");
    assert!(shown.contains("with 2 instructions"), "{shown}");
    for (number, input) in [x, scale].into_iter().enumerate() {
        program.set(number, &input.value().unwrap()).unwrap();
    }
    program.run(Default::default()).unwrap();
    for (number, output) in outputs.into_iter().enumerate() {
        assert_eq!(program.output(number).unwrap(), &output.value().unwrap());
    }
}
