//! Runs of a program on the CPU and by a plugin, compared.

use std::fmt::Debug;
use stochgrad_tape::{NoiseSeed, Program, Tape, Var};
use stochgrad_tensor::{Real, Tensor};
use stochgrad_xla::lowering::{ArgumentKind, Module, ResultKind, stablehlo};
use stochgrad_xla::pjrt::testing::plugin_for_test;
use stochgrad_xla::pjrt::{Buffer, Client, Element};

/// The seed at which programs are recorded, and the seed of the compared run.
pub(crate) const RECORDED: NoiseSeed = NoiseSeed { seed: 3, step: 0 };
const RUN: NoiseSeed = NoiseSeed { seed: 0x1_2345_6789, step: 4 };

/// The inputs and the outputs of a program.
pub(crate) type Recorded<'t, F> = (Vec<Var<'t, F>>, Vec<Var<'t, F>>);

/// The client of the tests, or `None` if there is no plugin.
pub(crate) fn client(test: &str) -> Option<Client> {
    let plugin = plugin_for_test(test).expect("a plugin")?;
    Some(plugin.client(&[]).expect("a client"))
}

fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// The results of a module: the outputs, and the checks that do not hold.
pub(crate) fn run<F: Real + Element>(
    client: &Client,
    program: &Program<F>,
    module: &Module,
    given: &[Tensor<F>],
    seed: NoiseSeed,
) -> (Vec<Vec<F>>, Vec<String>) {
    let listing = program.listing();
    let arguments: Vec<Buffer> = module
        .arguments
        .iter()
        .map(|argument| {
            let shape = &argument.ty.shape;
            match argument.kind {
                ArgumentKind::Input(number) => client.upload(0, given[number].as_slice(), shape),
                ArgumentKind::Slot(number) => {
                    let slot = listing.slot(number).expect("a slot");
                    let values: Vec<F> = slot.values().iter().map(|&x| F::from_f64(x)).collect();
                    client.upload(0, &values, shape)
                }
                ArgumentKind::Seed => client.upload(0, &words(seed.seed), shape),
                ArgumentKind::Step => client.upload(0, &words(seed.step), shape),
                ArgumentKind::Offset(plate) => client.upload(0, &words(listing.plate(plate).offset), shape),
            }
            .expect("a buffer")
        })
        .collect();
    let executable = client.compile(&module.text, &[0]).unwrap_or_else(|error| {
        panic!("{error}\n{}", module.text);
    });
    let buffers = executable.run(&arguments.iter().collect::<Vec<_>>()).expect("a run");
    let (mut outputs, mut broken) = (Vec::new(), Vec::new());
    for (kind, buffer) in module.results.iter().zip(&buffers) {
        match kind {
            ResultKind::Output(_) => outputs.push(buffer.read::<F>().expect("an output")),
            ResultKind::AllHold => {}
            ResultKind::Checks => {
                let holds = buffer.read::<u8>().expect("flags");
                let failed = holds.iter().zip(&module.checks).filter(|(holds, _)| **holds == 0);
                broken.extend(failed.map(|(_, check)| format!("{check:?}")));
            }
        }
    }
    (outputs, broken)
}

/// Compares two results: equal, or within `tolerance` relative to the largest finite element, or to 1 if that is
/// larger.
pub(crate) fn close<F: Real + Debug>(name: &str, found: &[F], expected: &[F], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let sizes = expected.iter().map(|x| x.to_f64().abs()).filter(|x| x.is_finite());
    let scale = sizes.fold(1.0, f64::max);
    for (at, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let (found, expected) = (found.to_f64(), expected.to_f64());
        let same = found == expected || (found.is_nan() && expected.is_nan());
        let near = (found - expected).abs() <= tolerance * scale;
        assert!(same || near, "{name}, {}, element {at}: {found:e}, not {expected:e}", F::NAME);
    }
}

/// Records a program twice, and compares a run on the CPU with a run by the plugin.
pub(crate) fn agrees<F: Real + Element + Debug>(
    client: &Client,
    name: &str,
    recorded: &[Tensor<F>],
    given: &[Tensor<F>],
    tolerance: f64,
    record: impl for<'t> Fn(&'t Tape<F>, &[Tensor<F>]) -> Recorded<'t, F>,
) {
    let tape = Tape::<F>::new();
    let (leaves, outputs) = record(&tape, recorded);
    let mut program = tape.compile(&leaves, &outputs).unwrap_or_else(|error| panic!("{name}: {error}"));
    given.iter().enumerate().for_each(|(at, input)| program.set(at, input).expect("an input"));
    program.run(RUN).unwrap_or_else(|error| panic!("{name}: {error}"));
    let module = stablehlo(&program.listing()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (found, broken) = run(client, &program, &module, given, RUN);
    assert!(broken.is_empty(), "{name}: {broken:?}");
    for (at, found) in found.iter().enumerate() {
        let expected = program.output(at).expect("an output");
        close(&format!("{name}, output {at}"), found, expected.as_slice(), tolerance);
    }
}

/// Values without a pattern, between −1.5 and 1.5.
pub(crate) fn numbers<F: Real>(shape: &[usize], seed: usize) -> Tensor<F> {
    Tensor::from_fn(shape, |i| F::from_f64(((i as f64 + 1.3) * (seed as f64 + 0.7) * 12.9898).sin() * 1.5))
}

/// Compares a recording for both element types. The inputs have the given shapes.
#[macro_export]
macro_rules! both {
    ($client:expr, $name:expr, $shapes:expr, $record:expr) => {{
        let shapes: &[&[usize]] = &$shapes;
        $crate::both!(@one f32, 1e-6, $client, $name, shapes, $record);
        $crate::both!(@one f64, 1e-12, $client, $name, shapes, $record);
    }};
    (@one $real:ty, $tolerance:expr, $client:expr, $name:expr, $shapes:expr, $record:expr) => {{
        let inputs = |seed: usize| -> Vec<stochgrad_tensor::Tensor<$real>> {
            let each = $shapes.iter().enumerate();
            each.map(|(at, shape)| $crate::agreement::numbers(shape, seed * 10 + at)).collect()
        };
        $crate::agreement::agrees::<$real>($client, $name, &inputs(1), &inputs(2), $tolerance, $record);
    }};
}
