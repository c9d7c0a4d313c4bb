//! Programs on the shards of a plate give what a single program on the whole plate gives, on any number of ranks.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use stochgrad_tape::{
    Attempt, CommunicationError, Communicator, NoiseSeed, Op, Plate, PlateKind, PlateReduction, Program, Sampler,
    Shards, SingleRank, Tape, TapeError, TapeResult, ThreadRank, Var, Weights,
};
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Shape, Tensor};

/// What a case has: a plate, values on it with 4 elements for each member, and 4 parameters.
#[derive(Clone, Copy)]
struct Given<'t> {
    tape: &'t Tape<f64>,
    plate: Plate,
    x: Var<'t, f64>,
    w: Var<'t, f64>,
    seed: NoiseSeed,
}

type Case = for<'t> fn(Given<'t>) -> Var<'t, f64>;

const MEMBERS: usize = 7;
const WIDTH: usize = 4;
const SEED: NoiseSeed = NoiseSeed { seed: 7, step: 3 };

fn numbers(shape: &[usize], seed: u64) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i as f64 + 1.3) * (seed as f64 + 0.7) * 12.9898).sin() * 1.5)
}

/// The members of a shard; all of them without shards.
fn members(of: &Tensor<f64>, range: std::ops::Range<usize>) -> Tensor<f64> {
    let width = of.len() / of.shape()[0];
    let shape: Shape = [range.len()].into_iter().chain(of.shape()[1..].iter().copied()).collect();
    Tensor::from_fn(shape, |i| of.as_slice()[range.start * width + i])
}

/// The value of a case, its gradients with respect to the values and the parameters, and those of the sum of the
/// squares of the gradients. Values and gradients on the plate come last.
fn record(case: Case, range: std::ops::Range<usize>, start: u64) -> TapeResult<Program<f64>> {
    let tape = Tape::new();
    let plate = tape.plate("batch", range.len(), PlateKind::Data, &[]);
    tape.shard_plate(plate, range.start, MEMBERS)?;
    let x = tape.parameter_on(&[plate], members(&numbers(&[MEMBERS, WIDTH], start), range));
    let w = tape.parameter(numbers(&[WIDTH], start + 10));
    let value = case(Given { tape: &tape, plate, x, w, seed: SEED });
    fn total<'t>(value: Var<'t, f64>) -> Var<'t, f64> {
        value.plates().iter().fold(value.sum(), |sum, &plate| sum.sum_over(plate))
    }
    let scalar = total(value.sin());
    let first = tape.gradients(scalar, &[x, w])?;
    let second = tape.gradients(total(first[0].square() + first[1].sum()) + total(first[1].square()), &[x, w])?;
    tape.compile(&[x, w], &[scalar, first[1], second[1], first[0], second[0]])
}

/// The outputs of a case: those that are equal on all shards, and those on the plate with the members of all shards of
/// the rank.
fn outputs(case: Case, shards: Option<(usize, Rc<dyn Communicator>)>, start: u64) -> TapeResult<Vec<Vec<f64>>> {
    let (x, w) = (numbers(&[MEMBERS, WIDTH], 99), numbers(&[WIDTH], 98));
    let read = |programs: &[Program<f64>]| -> TapeResult<Vec<Vec<f64>>> {
        (0..5)
            .map(|output| {
                let values = programs.iter().map(|program| Ok(program.output(output)?.to_vec()));
                let values = values.collect::<TapeResult<Vec<_>>>()?;
                if output < 3 {
                    let bits = |values: &Vec<f64>| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert!(values.iter().all(|value| bits(value) == bits(&values[0])), "{values:?}");
                    return Ok(values[0].clone());
                }
                Ok(values.concat())
            })
            .collect()
    };
    match shards {
        None => {
            let mut program = record(case, 0..MEMBERS, start)?;
            program.set(0, &x)?;
            program.set(1, &w)?;
            program.run(SEED)?;
            read(&[program])
        }
        Some((count, communicator)) => {
            let mut shards = Shards::new(count, communicator)?;
            let ranges: Vec<_> = shards.own().map(|shard| shards.members(shard, MEMBERS)).collect();
            let programs = ranges.iter().map(|range| record(case, range.clone(), start));
            let mut programs = programs.collect::<TapeResult<Vec<_>>>()?;
            // The second run reuses the buffers of the first.
            for _ in 0..2 {
                for (program, range) in programs.iter_mut().zip(&ranges) {
                    program.set(0, &members(&x, range.clone()))?;
                    program.set(1, &w)?;
                }
                shards.run(&mut programs, |program| program, SEED)?;
            }
            read(&programs)
        }
    }
}

/// The outputs on several ranks, those on the plate concatenated.
fn on_ranks(case: Case, count: usize, ranks: usize) -> Vec<Vec<f64>> {
    let threads = ThreadRank::group(ranks)
        .into_iter()
        .map(|rank| std::thread::spawn(move || outputs(case, Some((count, Rc::new(rank))), 1).unwrap()));
    let threads: Vec<_> = threads.collect();
    let mut found: Vec<Vec<Vec<f64>>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let mut all = found.remove(0);
    for other in found {
        assert_eq!(other[..3], all[..3]);
        all[3].extend(&other[3]);
        all[4].extend(&other[4]);
    }
    all
}

fn check(name: &str, case: Case) {
    let whole = outputs(case, None, 1).unwrap();
    for count in [1, 2, 3, 4, MEMBERS] {
        let found = outputs(case, Some((count, Rc::new(SingleRank))), 1).unwrap();
        for (output, (found, expected)) in found.iter().zip(&whole).enumerate() {
            assert_eq!(found.len(), expected.len());
            let scale = expected.iter().fold(1.0_f64, |scale, x| scale.max(x.abs()));
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() <= 1e-12 * scale,
                    "{name}, {count} shards, output {output}: {found}, expected {expected}"
                );
            }
        }
        for ranks in [2, 4] {
            if count.is_multiple_of(ranks) {
                assert_eq!(on_ranks(case, count, ranks), found, "{name}, {count} shards on {ranks} ranks");
            }
        }
    }
}

/// The number of rejected attempts.
struct Attempts;

impl Sampler<f64> for Attempts {
    fn name(&self) -> &str {
        "attempts"
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

#[test]
fn reductions_of_a_sharded_plate_are_those_of_the_whole_plate() {
    let cases: &[(&str, Case)] = &[
        ("sum", |Given { plate, x, w, .. }| (x * w).sum_over(plate)),
        ("mean", |Given { plate, x, w, .. }| (x * w).sin().mean_over(plate) * w),
        ("a value without the plate", |Given { plate, w, .. }| w.exp().sum_over(plate) + w.mean_over(plate)),
        ("weighted sum", |Given { plate, x, w, .. }| {
            (x * w).sum().weighted_sum_over(plate, (x * w).sin().index(0, 1).exp())
        }),
        ("weighted mean", |Given { tape, plate, x, w, .. }| {
            let weights = (x * w).sum().exp();
            tape.set_weights(plate, Weights::Given { id: weights.id(), differentiable: true });
            (x * w).mean_over(plate) + (x * w).log_mean_exp_over(plate)
        }),
        ("log-mean-exp", |Given { plate, x, w, .. }| (x * w).log_mean_exp_over(plate) * w),
        ("log-mean-exp of large values", |Given { plate, x, w, .. }| {
            (x * w * 500.0).log_mean_exp_over(plate) * 0.01 + (x * w - 1e4).log_mean_exp_over(plate) * 1e-4
        }),
        ("statistics of the batch", |Given { plate, x, w, .. }| {
            let y = x * w;
            let centred = y - y.mean_over(plate);
            centred / (centred.square().mean_over(plate) + 1e-3).sqrt() * y.exp()
        }),
        ("leave-one-out", |Given { tape, plate, x, w, .. }| {
            let y = (x * w).sum();
            let others = (tape.whole_plate_size(plate) - 1) as f64;
            (y.sum_over(plate) - y) * (1.0 / others) * y
        }),
        ("reductions of reductions", |Given { plate, x, w, .. }| {
            let mean = (x * w).mean_over(plate);
            ((x - mean).square() * mean).sum_over(plate).log_mean_exp_over(plate)
        }),
        ("the largest members", |Given { plate, x, w, .. }| (x * w).max_axis(0).relu().sum_over(plate) * w),
        ("a mask with infinite slopes", |Given { tape, plate, x, w, .. }| {
            let y = (x * w).sum();
            let negative = y.step().equal(tape.constant(0.0));
            negative.select(y.sin(), negative.select(tape.constant(1.0), y).ln()).sum_over(plate)
        }),
        ("members of weight zero", |Given { tape, plate, x, w, .. }| {
            let y = (x * w).sum();
            (y / (x.index(0, 0).step() * 2.0 - 1.0)).weighted_sum_over(plate, y.step() * tape.constant(0.5))
        }),
    ];
    for &(name, case) in cases {
        check(name, case);
    }
}

#[test]
fn gradients_of_weights_are_those_of_the_whole_plate() {
    let cases: &[(&str, Case)] = &[
        ("matrices", |Given { plate, x, w, .. }| {
            x.matmul(w.unsqueeze(0).sin() * w.unsqueeze(1)).tanh().matmul(w.unsqueeze(1)).mean_over(plate)
        }),
        ("products of plates", |Given { tape, plate, x, w, .. }| {
            let points = tape.plate("points", 3, PlateKind::Samples, &[]);
            let y = tape.constant_on(&[points], numbers(&[3, WIDTH], 4)) * w;
            x.dot(y).sin().sum_over(points) + (x * w).dot(y.square()).sum_over(plate)
        }),
        ("convolutions", |Given { plate, x, w, .. }| {
            let kernel = w.reshape([2, 2, 1, 1]).sin();
            let geometry = Convolution::new().padding([1, 1]);
            x.reshape([2, 2, 1]).conv2d(kernel, geometry).square().sum().mean_over(plate)
        }),
        ("tables", |Given { tape, plate, x, w, .. }| {
            let rows = (x.index(0, 0).step() + x.index(0, 1).step()).unsqueeze(0).stop_gradient();
            let table = tape.constant(numbers(&[3, WIDTH], 5)) * w;
            (table.exp().lookup(rows).sum() * x.sum()).mean_over(plate)
        }),
    ];
    for &(name, case) in cases {
        check(name, case);
    }
}

#[test]
fn noise_is_that_of_the_whole_plate() {
    let cases: &[(&str, Case)] = &[
        ("noise", |Given { tape, plate, x, w, seed }| {
            let samples = tape.plate("samples", 3, PlateKind::Samples, &[plate]);
            let noise = tape.noise(seed, Fill::Normal, 1, &[plate, samples], &[WIDTH].into()).unwrap();
            let shared = tape.noise(seed, Fill::Uniform, 2, &[], &[WIDTH].into()).unwrap();
            (x + w.exp() * noise * shared).square().mean_over(samples)
        }),
        ("noise on another plate of data", |Given { tape, plate, x, w, seed }| {
            let points = tape.plate("points", 3, PlateKind::Data, &[]);
            let noise = tape.noise(seed, Fill::Normal, 1, &[plate, points], &[WIDTH].into()).unwrap();
            (x + w.exp() * noise).square().mean_over(points)
        }),
        ("draws", |Given { tape, plate, x, w, seed }| {
            let samples = tape.plate("samples", 3, PlateKind::Samples, &[plate]);
            let draws = tape.draw(seed, Arc::new(Attempts), 5, &[x * 0.2], &[samples], &[WIDTH].into()).unwrap();
            (x * w * draws).mean_over(samples).mean_over(plate)
        }),
    ];
    for &(name, case) in cases {
        check(name, case);
    }
}

#[test]
fn a_batch_of_infinite_members_has_the_logarithm_of_zero() {
    let infinite: Case = |Given { tape, plate, x, w, .. }| {
        let none = tape.constant(f64::NEG_INFINITY) + x.sum() * w.sum();
        let value = none.log_mean_exp_over(plate);
        // The sine of the outcome is finite.
        value.exp() + w.sum()
    };
    check("no member", infinite);
    let some: Case = |Given { tape, plate, x, w, .. }| {
        let infinite = x.index(0, 0).step().select(tape.constant(f64::NEG_INFINITY), (x * w).sum());
        infinite.log_mean_exp_over(plate)
    };
    check("some members", some);
}

#[test]
fn a_replay_combines_the_parts_of_all_shards_once() {
    let replayed: Case = |Given { tape, plate, x, w, .. }| {
        let product = (x * w).exp();
        let sums = [product.sum_over(plate), product.log_mean_exp_over(plate)];
        let end = tape.len();
        let mut ids = stochgrad_tape::IdMap::identity();
        ids.insert(product.id(), (x * w).square().id());
        for id in tape.cone(product.id(), end) {
            let again = tape.rerecord(tape.var(id).unwrap(), &ids);
            ids.insert(id, again.id());
        }
        let [sum, log] = sums.map(|sum| tape.var(ids.get(sum.id())).unwrap());
        sum * 0.1 + log
    };
    check("replay", replayed);
    let expected: Case = |Given { plate, x, w, .. }| {
        let product = (x * w).square();
        product.sum_over(plate) * 0.1 + product.log_mean_exp_over(plate)
    };
    let shards = || Some((3, Rc::new(SingleRank) as Rc<dyn Communicator>));
    let (found, expected) = (outputs(replayed, shards(), 1).unwrap(), outputs(expected, shards(), 1).unwrap());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        approx_equal(*found, *expected);
    }
}

fn approx_equal(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-11 * expected.abs().max(1.0), "{found}, expected {expected}");
}

#[test]
fn the_result_of_a_reduction_does_not_depend_on_the_recorded_members() {
    // The parts of all shards are constants, and other than during the recording.
    let constant: Case = |Given { tape, plate, w, .. }| {
        let start = tape.plate_offset(plate) as f64;
        let size = tape.plate_size(plate);
        let value = tape.constant_on(&[plate], Tensor::from_fn([size], |i| start + i as f64 + 1.0));
        value.sum_over(plate) * w.sum()
    };
    check("constants", constant);
}

#[test]
fn members_of_other_shards_are_refused_with_the_reason() {
    let refused: &[(&str, Case)] = &[
        ("PlateToEvent", |Given { plate, x, .. }| x.plate_to_event(plate)),
        ("member", |Given { plate, x, .. }| x.member(plate, 0)),
        ("EventToPlate", |Given { tape, plate, .. }| {
            tape.constant(Tensor::zeros([tape.plate_size(plate)])).event_to_plate(plate)
        }),
    ];
    for &(name, case) in refused {
        let shards = Some((3, Rc::new(SingleRank) as Rc<dyn Communicator>));
        let message = outputs(case, shards, 1).unwrap_err().to_string();
        assert!(message.contains("all 7 members of plate \"batch\"") && message.contains("shard"), "{name}: {message}");
    }
    let tape = Tape::<f64>::new();
    let samples = tape.plate("samples", 3, PlateKind::Samples, &[]);
    assert!(tape.shard_plate(samples, 0, 6).unwrap_err().to_string().contains("a plate of data"));
    let batch = tape.plate("batch", 3, PlateKind::Data, &[]);
    assert!(tape.shard_plate(batch, 4, 6).unwrap_err().to_string().contains("3 of 6 members"));
}

#[test]
fn values_that_are_not_known_yet_are_not_returned() {
    let tape = Tape::<f64>::new();
    let batch = tape.plate("batch", 2, PlateKind::Data, &[]);
    tape.shard_plate(batch, 0, 4).unwrap();
    let x = tape.parameter_on(&[batch], [1.0, 2.0]);
    assert_eq!(x.peek().unwrap().as_slice(), [1.0, 2.0]);
    let mean = x.mean_over(batch);
    for error in [
        mean.peek().unwrap_err(),
        (mean * 2.0).item().unwrap_err(),
        tape.backward(mean, [x]).unwrap_err(),
        tape.hessian_vector_product(mean, &[x], &[x]).unwrap_err(),
    ] {
        assert!(error.to_string().contains("Shards::run"), "{error}");
    }
    let mut program = tape.compile(&[], &[mean]).unwrap();
    assert!(program.is_sharded());
    assert!(program.run(SEED).unwrap_err().to_string().contains("Shards::run"));
}

#[test]
fn shards_divide_the_members_evenly() {
    let shards = Shards::<f64>::new(4, Rc::new(SingleRank)).unwrap();
    let ranges: Vec<_> = (0..4).map(|shard| shards.members(shard, 10)).collect();
    assert_eq!(ranges, [0..3, 3..6, 6..8, 8..10]);
    assert_eq!((shards.own(), shards.own_members(10), shards.count()), (0..4, 0..10, 4));
    for rank in ThreadRank::group(2) {
        let expected = [0..6, 6..10][rank.rank()].clone();
        let shards = Shards::<f64>::new(4, Rc::new(rank)).unwrap();
        assert_eq!(shards.own_members(10), expected);
    }
    let ranks = ThreadRank::group(2).remove(0);
    let error = Shards::<f64>::new(3, Rc::new(ranks)).err().unwrap();
    assert_eq!(error, TapeError::Communication(CommunicationError::Shards { shards: 3, ranks: 2 }));
}

#[test]
fn an_error_of_one_rank_is_an_error_of_all_and_the_next_run_succeeds() {
    let threads: Vec<_> = ThreadRank::group(2)
        .into_iter()
        .map(|rank| {
            std::thread::spawn(move || {
                let number = rank.rank();
                let mut shards = Shards::new(2, Rc::new(rank)).unwrap();
                let tape = Tape::<f64>::new();
                let batch = tape.plate("batch", 1, PlateKind::Data, &[]);
                tape.shard_plate(batch, number, 2).unwrap();
                let x = tape.parameter_on(&[batch], [1.0]);
                let positions = x.mean_over(batch) * 0.0 + x;
                let mut programs = [tape.compile(&[x], &[positions.one_hot(3).mean_over(batch)]).unwrap()];
                let mut errors = Vec::new();
                for member in [7.0, 2.0] {
                    programs[0].set(0, &Tensor::from([if number == 1 { member } else { 1.0 }])).unwrap();
                    errors
                        .push(shards.run(&mut programs, |program| program, SEED).err().map(|error| error.to_string()));
                }
                (errors, programs[0].output(0).unwrap().to_vec())
            })
        })
        .collect();
    for (rank, thread) in threads.into_iter().enumerate() {
        let (errors, last) = thread.join().unwrap();
        let message = errors[0].as_ref().unwrap();
        assert!(message.contains("below 3, got 7") && message.contains("rank 1 failed") == (rank == 0), "{message}");
        assert_eq!((errors[1].as_ref(), last), (None, vec![0.0, 0.5, 0.5]));
    }
}

/// A rank that counts its messages.
struct Counting {
    rank: Box<dyn Communicator>,
    messages: Rc<Cell<usize>>,
}

impl Communicator for Counting {
    fn rank(&self) -> usize {
        self.rank.rank()
    }

    fn size(&self) -> usize {
        self.rank.size()
    }

    fn all_gather(&self, part: &[u8], all: &mut [u8]) -> Result<(), CommunicationError> {
        self.messages.set(self.messages.get() + 1);
        self.rank.all_gather(part, all)
    }
}

/// The loss and the gradients of a small network, whose layers have a normalisation over the batch in between if asked.
fn network(shards: &Shards<f64>, normalizes: bool) -> Vec<Program<f64>> {
    const WHOLE: usize = 13;
    const SIZES: [[usize; 2]; 3] = [[5, 3], [3, 4], [4, 2]];
    let record = |shard: usize| {
        let range = shards.members(shard, WHOLE);
        let tape = Tape::<f64>::new();
        let plate = tape.plate("batch", range.len(), PlateKind::Data, &[]);
        tape.shard_plate(plate, range.start, WHOLE).unwrap();
        let x = tape.constant_on(&[plate], members(&numbers(&[WHOLE, 5], 3), range));
        let weights: Vec<_> = SIZES.iter().map(|shape| tape.parameter(numbers(shape, 5))).collect();
        let biases: Vec<_> = SIZES.iter().map(|&[_, size]| tape.parameter(numbers(&[size], 6))).collect();
        let mut hidden = x;
        for ((weight, bias), [inputs, size]) in weights.iter().zip(&biases).zip(SIZES) {
            hidden = (hidden.reshape([1, inputs]).matmul(*weight).reshape([size]) + *bias).tanh();
            if normalizes {
                hidden = hidden - hidden.mean_over(plate);
            }
        }
        let loss = hidden.square().sum().mean_over(plate);
        let parameters: Vec<_> = weights.iter().chain(&biases).copied().collect();
        let mut outputs = vec![loss];
        outputs.extend(tape.gradients(loss, &parameters).unwrap());
        let mut program = tape.compile(&parameters, &outputs).unwrap();
        for (number, parameter) in parameters.iter().enumerate() {
            program.set(number, &parameter.peek().unwrap()).unwrap();
        }
        program
    };
    shards.own().map(record).collect()
}

#[test]
fn reductions_that_do_not_depend_on_each_other_are_one_message() {
    for (normalizes, messages) in [(false, 3), (true, 15)] {
        let mut alone = Shards::new(4, Rc::new(SingleRank)).unwrap();
        let mut programs = network(&alone, normalizes);
        alone.run(&mut programs, |program| program, SEED).unwrap();
        let values = |programs: &[Program<f64>]| -> Vec<Vec<f64>> {
            (0..7).map(|output| programs[0].output(output).unwrap().to_vec()).collect()
        };
        let expected = values(&programs);
        let threads: Vec<_> = ThreadRank::group(2)
            .into_iter()
            .map(|rank| {
                std::thread::spawn(move || {
                    let count = Rc::new(Cell::new(0));
                    let rank = Counting { rank: Box::new(rank), messages: count.clone() };
                    let mut shards = Shards::new(4, Rc::new(rank)).unwrap();
                    let mut programs = network(&shards, normalizes);
                    shards.run(&mut programs, |program| program, SEED).unwrap();
                    let found: Vec<Vec<f64>> =
                        (0..7).map(|output| programs[1].output(output).unwrap().to_vec()).collect();
                    (found, count.get())
                })
            })
            .collect();
        for thread in threads {
            // Two for each exchange, and one at the end.
            assert_eq!(thread.join().unwrap(), (expected.clone(), messages));
        }
    }
}

/// The sums of products of the members with a large parameter and its square, and the largest of the products, whose
/// ties go to the first.
fn large(shards: &Shards<f64>) -> Vec<Program<f64>> {
    const WHOLE: usize = 13;
    const SIZE: usize = 70_001;
    let record = |shard: usize| {
        let range = shards.members(shard, WHOLE);
        let tape = Tape::<f64>::new();
        let plate = tape.plate("batch", range.len(), PlateKind::Data, &[]);
        tape.shard_plate(plate, range.start, WHOLE).unwrap();
        let x = tape.constant_on(&[plate], members(&numbers(&[WHOLE], 3), range));
        let large = tape.parameter(numbers(&[SIZE], 5));
        let product = x * large;
        let outputs = [
            product.sum_over(plate),
            x.square().sum_over(plate),
            (product * large).mean_over(plate),
            product.log_mean_exp_over(plate),
        ];
        let mut program = tape.compile(&[large], &outputs).unwrap();
        program.set(0, &large.peek().unwrap()).unwrap();
        program
    };
    shards.own().map(record).collect()
}

#[test]
fn each_rank_combines_a_share_of_a_large_reduction() {
    let run = |shards: &mut Shards<f64>| -> Vec<Vec<Vec<f64>>> {
        let mut programs = large(shards);
        shards.run(&mut programs, |program| program, SEED).unwrap();
        let values = |program: &Program<f64>| (0..4).map(|output| program.output(output).unwrap().to_vec()).collect();
        programs.iter().map(values).collect()
    };
    let alone = run(&mut Shards::new(6, Rc::new(SingleRank)).unwrap());
    assert!(alone.iter().all(|outputs| *outputs == alone[0]));
    let whole = run(&mut Shards::new(1, Rc::new(SingleRank)).unwrap());
    for (found, expected) in alone[0].iter().flatten().zip(whole[0].iter().flatten()) {
        assert!((found - expected).abs() <= 1e-12 * (1.0 + expected.abs()), "{found}, not {expected}");
    }
    for ranks in [2, 3, 6] {
        let threads: Vec<_> = ThreadRank::group(ranks)
            .into_iter()
            .map(|rank| std::thread::spawn(move || run(&mut Shards::new(6, Rc::new(rank)).unwrap())))
            .collect();
        for thread in threads {
            assert!(thread.join().unwrap().iter().all(|outputs| *outputs == alone[0]), "{ranks} ranks");
        }
    }
}

#[test]
fn ranks_that_run_other_programs_are_an_error() {
    let threads: Vec<_> = ThreadRank::group(2)
        .into_iter()
        .map(|rank| {
            std::thread::spawn(move || {
                let number = rank.rank();
                let mut shards = Shards::new(2, Rc::new(rank)).unwrap();
                let tape = Tape::<f64>::new();
                let batch = tape.plate("batch", 1, PlateKind::Data, &[]);
                tape.shard_plate(batch, number, 2).unwrap();
                let x = tape.parameter_on(&[batch], Tensor::zeros([1, 2 + number]));
                let mut programs = [tape.compile(&[], &[x.mean_over(batch)]).unwrap()];
                shards.run(&mut programs, |program| program, SEED).unwrap_err().to_string()
            })
        })
        .collect();
    for thread in threads {
        let message = thread.join().unwrap();
        assert!(message.contains("a sum of 2 elements") && message.contains("a sum of 3 elements"), "{message}");
    }
}

#[test]
fn a_listing_has_the_reductions_and_the_size_of_the_whole_plate() {
    let program = record(|Given { plate, x, w, .. }| (x * w).log_mean_exp_over(plate), 2..5, 1).unwrap();
    let listing = program.listing();
    let names: Vec<String> = listing.values().map(|value| listing.name(&value)).collect();
    for name in ["Sum over the shards of a plate", "Level over the shards of a plate"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    let on_plate = listing.values().find(|value| !value.plates.is_empty()).unwrap();
    let plate = listing.plate(on_plate.plates[0]);
    assert_eq!((plate.size, plate.offset, plate.whole), (3, 2, MEMBERS));
    let reductions = listing.values().filter(|value| {
        matches!(value.origin, stochgrad_tape::ValueOrigin::Operation(Op::PlateReduce(_, PlateReduction::LogSumExp)))
    });
    assert!(reductions.count() == 1);
}
