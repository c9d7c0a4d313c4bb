//! The programs of the ranks.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use stochgrad_graph::Seed;
use stochgrad_mpi::MpiRanks;
use stochgrad_nn::data::{Digits, Minibatches, rows};
use stochgrad_nn::{Activation, Adam, Inputs, Layer, Mlp, NnError, Parameters, Record, Step};
use stochgrad_tape::Communicator;
use stochgrad_tensor::Tensor;
use stochgrad_train::{Observer, Span, StepMetrics, TrainResult, Trainer};

/// Runs a program on this rank.
pub(crate) fn run(program: &str, ranks: Rc<MpiRanks>, folder: &Path) -> Result<(), Box<dyn Error>> {
    match program {
        "loop" => training_loop(ranks, folder),
        "messages" => messages(&ranks),
        "error" => error(ranks),
        "train 7" => train(ranks, folder, 7, None),
        "train 14" => train(ranks, folder, 14, None),
        "killed" => train(ranks, folder, 14, Some(Accident::Killed)),
        "full" => train(ranks, folder, 14, Some(Accident::FullDisk)),
        other => Err(format!("expected the name of a program, got {other}").into()),
    }
}

/// Messages between all pairs of ranks, also longer than a block of shared memory.
fn messages(ranks: &MpiRanks) -> Result<(), Box<dyn Error>> {
    const LENGTHS: [usize; 6] = [3, 0, 131_072, 1, 500_001, 7];
    let others = || (0..ranks.size()).filter(|&other| other != ranks.rank());
    for round in 0..3 {
        let message = |from: usize, to: usize, length: usize| -> Vec<u8> {
            (0..length).map(|i| (i * 31 + from * 7 + to * 3 + length + round) as u8).collect()
        };
        // Ranks send different numbers of bytes.
        let lengths = |from: usize| LENGTHS.iter().skip(from + round).copied();
        let sent: Vec<(usize, Vec<u8>)> =
            others().flat_map(|to| lengths(ranks.rank()).map(move |n| (to, message(ranks.rank(), to, n)))).collect();
        let expected: Vec<(usize, Vec<u8>)> =
            others().flat_map(|from| lengths(from).map(move |n| (from, message(from, ranks.rank(), n)))).collect();
        let mut received: Vec<(usize, Vec<u8>)> =
            expected.iter().map(|(from, message)| (*from, vec![0; message.len()])).collect();
        let sent: Vec<(usize, &[u8])> = sent.iter().map(|(to, message)| (*to, &message[..])).collect();
        let mut places: Vec<(usize, &mut [u8])> =
            received.iter_mut().map(|(from, place)| (*from, &mut place[..])).collect();
        ranks.exchange(&sent, &mut places)?;
        assert!(received == expected, "round {round}");
    }
    Ok(())
}

/// The bytes of all parameters.
fn bytes(parameters: &Parameters<f32>) -> Vec<u8> {
    parameters.iter().flat_map(|(_, value)| value.as_slice().iter().flat_map(|x| x.to_le_bytes())).collect()
}

/// A loop that reads only the members of this rank, with dropout.
fn training_loop(ranks: Rc<MpiRanks>, folder: &Path) -> Result<(), Box<dyn Error>> {
    let seed = Seed::new(7);
    let digits = Digits::embedded();
    let pixels = digits.intensities::<f32>()?;
    let mut parameters = Parameters::new();
    let network = Mlp::new(&mut parameters, "network", &[64, 512, 64], Activation::Tanh, seed)?;
    let mut step = Step::new(|record: &Record<'_, '_, f32>| {
        let x = record.input("images")?;
        let kept = record.graph().mask("kept", 0.8, &x.plates(), [64])?;
        let image = network.forward(record, x * kept)?;
        record.cost("squared error", (image - x).square().sum())
    })
    .shards(4)
    .communicator(ranks.clone());
    let mut adam = Adam::new(1e-2);
    let mut costs = Vec::new();
    for (number, batch) in Minibatches::new(digits.len(), 50, 7)?.steps_from(0).take(20).enumerate() {
        let own = step.own_members(batch.len())?;
        let images = rows(&pixels, &batch[own.clone()])?;
        let inputs = Inputs::new().batch("images", images).part_of_batch(own.start, batch.len());
        costs.push(step.train(&mut parameters, &mut adam, &inputs, seed.step(number))?.total());
    }
    assert!(costs[19] < 0.7 * costs[0], "{costs:?}");
    if ranks.rank() == 0 {
        let mut found = bytes(&parameters);
        found.extend(costs.iter().flat_map(|cost| cost.to_le_bytes()));
        std::fs::write(folder.join(format!("loop-{}", ranks.size())), found)?;
    }
    Ok(())
}

/// A step that fails on the second rank.
fn error(ranks: Rc<MpiRanks>) -> Result<(), Box<dyn Error>> {
    let mut parameters = Parameters::<f32>::new();
    parameters.insert("slope", 2.0.into())?;
    let mut step = Step::new(|record: &Record<'_, '_, f32>| {
        let x = record.input("x")?;
        record.cost("cost", (x.one_hot(3) * record.param("slope")?).sum())
    })
    .communicator(ranks.clone());
    for last in [2.0, 7.0] {
        let inputs = Inputs::new().batch("x", Tensor::from([0.0, 1.0, 2.0, last]));
        step.run(&parameters, &inputs, Seed::new(7))?;
    }
    Ok(())
}

/// What goes wrong after the tenth step.
#[derive(Clone, Copy, PartialEq)]
enum Accident {
    /// The last rank ends.
    Killed,
    /// The first rank cannot write a file.
    FullDisk,
}

/// An observer that fails to write.
struct FullDisk;

impl Observer for FullDisk {
    fn step(&mut self, metrics: &StepMetrics<'_>) -> TrainResult<()> {
        if metrics.step < 10 {
            return Ok(());
        }
        let source = std::io::Error::from_raw_os_error(28);
        Err(NnError::Io { action: "write", path: "metrics".into(), hint: "free some space", source }.into())
    }
}

/// A run of the trainer, with a checkpoint every five steps.
fn train(ranks: Rc<MpiRanks>, folder: &Path, steps: u64, accident: Option<Accident>) -> Result<(), Box<dyn Error>> {
    let (digits, held_out) = Digits::embedded().split_at(1500)?;
    let mut parameters = Parameters::<f32>::new();
    let network = Mlp::new(&mut parameters, "network", &[64, 16, 64], Activation::Tanh, Seed::new(7))?;
    let last = ranks.size() - 1;
    let kills = accident == Some(Accident::Killed) && ranks.rank() == last;
    let trainer = Trainer::new(Adam::new(1e-2))
        .steps(steps)
        .batch(50)
        .seed(7)
        .shards(4)
        .communicator(ranks.clone())
        .validate(&held_out)
        .checkpoint_every(Span::Steps(5))
        .checkpoints(folder.join("run"))
        .on_step(move |progress| {
            if kills && progress.step == 12 {
                std::process::abort();
            }
            ControlFlow::Continue(())
        });
    let trainer = if accident == Some(Accident::FullDisk) { trainer.observe(FullDisk) } else { trainer };
    trainer.fit(&mut parameters, &digits, |record: &Record<'_, '_, f32>| {
        let x = record.input("images")?;
        record.cost("squared error", (network.forward(record, x)? - x).square().sum())
    })?;
    if ranks.rank() == 0 {
        std::fs::write(folder.join("parameters"), bytes(&parameters))?;
    }
    Ok(())
}
