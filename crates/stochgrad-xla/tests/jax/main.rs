//! The text of a lowered program runs in JAX, with the results of the engine for CPUs.
//!
//! The variable `STOCHGRAD_PYTHON` names a Python interpreter that has JAX, `python3` by default. Without JAX the test
//! is skipped.

use std::io::Write;
use std::process::{Command, Stdio};
use stochgrad_tape::{NoiseSeed, PlateKind, Tape};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Shape, Tensor};
use stochgrad_xla::lowering::{ArgumentKind, ResultKind, stablehlo};

/// The interpreter, if it has JAX.
fn python() -> Option<String> {
    let python = std::env::var("STOCHGRAD_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", "import jax"]).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    eprintln!("skipped: a_program_runs_in_jax needs JAX; set STOCHGRAD_PYTHON to an interpreter that has it");
    None
}

fn line(kind: &str, shape: &[usize], elements: impl Iterator<Item = f64>) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let elements: Vec<String> = elements.map(|x| format!("{x:?}")).collect();
    format!("{kind} {} {}\n", sizes.join(","), elements.join(" "))
}

#[test]
fn a_program_runs_in_jax() {
    let Some(python) = python() else { return };
    let recorded = NoiseSeed { seed: 3, step: 0 };
    let tape = Tape::<f32>::new();
    let batch = tape.plate("batch", 3, PlateKind::Data, &[]);
    let weights = Tensor::<f32>::from_fn([4, 5], |i| ((i as f32 + 0.7) * 1.9).sin());
    let rows = Tensor::<f32>::from_fn([3, 4], |i| ((i as f32 + 0.3) * 0.7).cos());
    let [w, x] = [tape.parameter(&weights), tape.parameter_on(&[batch], &rows)];
    let noise = tape.noise(recorded, Fill::Uniform, 7, &[batch], &Shape::from([5])).expect("the first seed");
    let hidden = x.matmul(w);
    let bits = noise.lt(hidden.sigmoid());
    let cost = (bits * hidden.softplus() - hidden.logsumexp(0)).sum().mean_over(batch);
    let mut outputs = tape.gradients(cost, &[w, x]).expect("gradients");
    outputs.extend([cost, noise]);
    let mut program = tape.compile(&[w, x], &outputs).expect("a program");
    let seed = NoiseSeed { seed: 11 << 32 | 5, step: 9 };
    program.set(0, &weights).expect("an input");
    program.set(1, &rows).expect("an input");
    program.run(seed).expect("a run");
    let module = stablehlo(&program.listing()).expect("a module");
    let mut input = format!("{}\n", module.arguments.len());
    let words = |value: u64| [value & 0xffff_ffff, value >> 32].into_iter().map(|word| word as f64);
    for argument in &module.arguments {
        let shape = &argument.ty.shape;
        input += &match argument.kind {
            ArgumentKind::Input(number) => {
                let tensor = [&weights, &rows][number];
                line("float32", shape, tensor.as_slice().iter().map(|&x| x.into()))
            }
            ArgumentKind::Seed => line("uint32", shape, words(seed.seed)),
            ArgumentKind::Step => line("uint32", shape, words(seed.step)),
            other => panic!("no argument {other:?}"),
        };
    }
    input += &module.text;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jax/run.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("an interpreter that runs");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("an input that is read");
    let done = child.wait_with_output().expect("its output");
    assert!(done.status.success(), "JAX refused the module:\n{}", module.text);
    let text = String::from_utf8(done.stdout).expect("text");
    for (kind, line) in module.results.iter().zip(text.lines()) {
        let ResultKind::Output(number) = *kind else { continue };
        let found: Vec<f64> = line.split(' ').map(|x| x.parse().expect("a number")).collect();
        let expected = program.output(number).expect("an output").as_slice();
        assert_eq!(found.len(), expected.len());
        for (&found, &expected) in found.iter().zip(expected) {
            let difference = (found - f64::from(expected)).abs();
            assert!(
                difference <= 1e-6 * f64::from(expected).abs().max(1.0),
                "output {number}: {found}, not {expected}"
            );
        }
    }
    let uniform = module.results.iter().zip(text.lines()).nth(3).expect("the noise").1;
    let uniform: Vec<f32> = uniform.split(' ').map(|x| x.parse().expect("a number")).collect();
    assert_eq!(uniform, program.output(3).expect("the noise").as_slice(), "uniform values are equal to the bit");
}
