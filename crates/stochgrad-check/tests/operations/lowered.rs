//! Every case, lowered to StableHLO and run by a PJRT plugin, agrees with the engine for CPUs: the value and its
//! gradient. With the variable `SECOND_DERIVATIVES`, the second derivatives are compared as well.

use crate::cases::Case;
use crate::cores::on_all_cores;
use crate::coverage::all_cases;
use stochgrad_tape::{NoiseSeed, Program, Tape, Var};
use stochgrad_xla::lowering::builder::Builder;
use stochgrad_xla::lowering::types::TensorType;
use stochgrad_xla::lowering::{Argument, ArgumentKind, Options, record};
use stochgrad_xla::pjrt::testing::plugin_for_test;
use stochgrad_xla::pjrt::{Buffer, Client};

/// The number of cases in one module.
const TOGETHER: usize = 12;

const SEED: NoiseSeed = NoiseSeed { seed: 0x1_2345_6789, step: 7 };

/// The value of a case, its gradient, and with `orders` 2 the gradient of the square of its gradient.
pub(crate) fn compiled(case: &Case, orders: usize) -> Program<f64> {
    let tape = Tape::new();
    let vars: Vec<Var<'_, f64>> = case.inputs.iter().map(|input| tape.parameter(input)).collect();
    let value = (case.function)(&tape, &vars);
    let mut outputs = vec![value];
    let mut total = value;
    for _ in 0..orders {
        total = total.sum();
        for plate in total.plates() {
            total = total.sum_over(plate);
        }
        let gradients = tape.gradients(total.square() * 0.5, &vars).unwrap();
        outputs.extend(&gradients);
        total = gradients.iter().fold(tape.constant(0.0), |sum, gradient| sum + gradient.square().sum());
    }
    tape.compile(&vars, &outputs).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

fn upload(client: &Client, case: &Case, program: &Program<f64>, argument: &Argument) -> Buffer {
    let listing = program.listing();
    let shape = &argument.ty.shape;
    let buffer = match argument.kind {
        ArgumentKind::Input(number) => client.upload(0, case.inputs[number].as_slice(), shape),
        ArgumentKind::Slot(number) => client.upload(0, &listing.slot(number).unwrap().values(), shape),
        ArgumentKind::Seed => client.upload(0, &words(SEED.seed), shape),
        ArgumentKind::Step => client.upload(0, &words(SEED.step), shape),
        ArgumentKind::Offset(plate) => client.upload(0, &words(listing.plate(plate).offset), shape),
    };
    buffer.unwrap()
}

/// What differs between the runs of some cases.
fn differences(client: &Client, cases: &[Case], orders: usize) -> Vec<String> {
    let builder = Builder::new();
    let (mut problems, mut runs, mut arguments, mut results) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for case in cases {
        let mut program = compiled(case, orders);
        for (number, input) in case.inputs.iter().enumerate() {
            program.set(number, input).unwrap();
        }
        if let Err(error) = program.run(SEED) {
            problems.push(format!("{}: {error}", case.name));
            continue;
        }
        let mut own = Vec::new();
        let recorded = record(&builder, &program.listing(), &Options::default(), &mut |kind, ty: TensorType| {
            own.push(Argument { kind, ty: ty.clone() });
            builder.argument(ty)
        });
        arguments.extend(own.iter().map(|argument| upload(client, case, &program, argument)));
        match recorded {
            Ok(recorded) => {
                results.extend(&recorded.outputs);
                results.extend(recorded.all_hold);
                runs.push((case, program, recorded.outputs.len(), recorded.all_hold.is_some()));
            }
            Err(error) => {
                if !error.to_string().contains("code for the CPU only") {
                    problems.push(format!("{}: {error}", case.name));
                }
            }
        }
    }
    let text = builder.finish(&results);
    let executable = match client.compile(&text, &[0]) {
        Ok(executable) => executable,
        Err(error) => {
            let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            problems.push(format!("{names:?}: {error}"));
            return problems;
        }
    };
    let buffers = executable.run(&arguments.iter().collect::<Vec<_>>()).unwrap();
    let mut next = buffers.iter();
    for (case, program, outputs, checked) in runs {
        for number in 0..outputs {
            let found: Vec<f64> = next.next().unwrap().read().unwrap();
            let expected = program.output(number).unwrap().as_slice();
            let scale = expected.iter().map(|x| x.abs()).filter(|x| x.is_finite()).fold(1.0, f64::max);
            let close = |(found, expected): (&f64, &f64)| {
                found == expected || found.is_nan() && expected.is_nan() || (found - expected).abs() <= 1e-12 * scale
            };
            if found.len() != expected.len() || !found.iter().zip(expected).all(close) {
                problems.push(format!("{}, output {number}: {found:?}, not {expected:?}", case.name));
            }
        }
        if checked && next.next().unwrap().read::<u8>().unwrap() != [1] {
            problems.push(format!("{}: a check does not hold", case.name));
        }
    }
    problems
}

/// The cases, divided among modules.
fn in_modules(cases: Vec<Case>) -> Vec<Vec<Case>> {
    let mut cases = cases.into_iter().peekable();
    let mut modules = Vec::new();
    while cases.peek().is_some() {
        modules.push(cases.by_ref().take(TOGETHER).collect());
    }
    modules
}

#[test]
fn every_case_agrees_with_a_plugin() {
    let Some(plugin) = plugin_for_test("every_case_agrees_with_a_plugin").unwrap() else { return };
    let orders = if std::env::var_os("SECOND_DERIVATIVES").is_some() { 2 } else { 1 };
    // A group alone, to find an error.
    let only = std::env::var("GROUP").ok();
    let modules = || -> Vec<Vec<Case>> {
        let groups = all_cases().into_iter().filter(|(group, _)| only.as_ref().is_none_or(|only| only == group));
        groups.flat_map(|(_, cases)| in_modules(cases)).collect()
    };
    let state = || (plugin.client(&[]).unwrap(), modules());
    let problems =
        on_all_cores(modules().len(), state, |(client, modules), at| differences(client, &modules[at], orders));
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
