//! Requirements: conditions on values, checked when they are recorded and in each run of a program.

use stochgrad_tape::{Condition, PlateKind, Program, Requirement, Tape, TapeError, TapeResult, Var};
use stochgrad_tensor::{Real, Tensor};

fn probability(tape: &Tape<f64>, value: Var<'_, f64>) {
    let condition = Condition::Between { low: 0.0, high: 1.0 };
    let hint = "use logits";
    let requirement = Requirement { condition, owner: "Bits", name: "probability", expected: "in [0, 1]", hint };
    let before = tape.requirements();
    assert_eq!(value.require(requirement).unwrap(), None);
    assert_eq!(tape.requirements(), before + 1);
}

/// The position and the value of the violation in a run.
fn violation(program: &mut Program<f64>, value: impl Into<Tensor<f64>>) -> Option<(usize, f64)> {
    program.set(0, &value.into()).unwrap();
    match program.run(Default::default()) {
        Ok(()) => None,
        Err(TapeError::Requirement { position, found, owner: "Bits", name: "probability", .. }) => {
            Some((position, found))
        }
        Err(error) => panic!("{error}"),
    }
}

fn positions<F: Real>(condition: Condition, valid: &[f64], wrong: &[f64]) {
    for len in [1, 7, 32, 33, 100] {
        let filled = |at: usize, x: f64| {
            let element = |i: usize| if i == at { x } else { valid[i % valid.len()] };
            Tensor::<F>::from_fn([len], |i| F::from_f64(element(i)))
        };
        assert_eq!(condition.violation(&filled(len, 0.0)), None, "{condition:?}");
        for &x in wrong {
            for at in [0, len / 2, len - 1] {
                let found = condition.violation(&filled(at, x)).unwrap_or_else(|| panic!("{condition:?} of {x}"));
                assert_eq!(found.position, at, "{condition:?} of {x}");
                assert!(found.found == x || x.is_nan() && found.found.is_nan());
            }
        }
    }
}

#[test]
fn each_condition_finds_the_first_violation() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    fn check<F: Real>() {
        let check = positions::<F>;
        check(Condition::Finite, &[0.0, -3.0, 1e30], &[INF, -INF, NAN]);
        check(Condition::NotNan, &[0.0, INF, -INF], &[NAN]);
        check(Condition::NotZero, &[1.0, NAN, INF], &[0.0, -0.0]);
        check(Condition::Between { low: 0.0, high: 1.0 }, &[0.0, -0.0, 0.5, 1.0], &[-0.5, 1.5, INF, NAN]);
        check(Condition::AtLeast { low: 0.0, below: INF }, &[0.0, 7.0], &[-1.0, INF, NAN]);
        check(Condition::AtLeast { low: -INF, below: INF }, &[-INF, 7.0], &[INF, NAN]);
        check(Condition::AtMost { above: 0.0, high: 1.0 }, &[0.5, 1.0], &[0.0, 2.0, NAN]);
        check(Condition::POSITIVE, &[1e-30, 7.0], &[0.0, -1.0, INF, NAN]);
        // A bound that is not a number in single precision.
        check(Condition::Inside { above: 0.0, below: 1.0 + 1e-12 }, &[0.5, 1.0], &[0.0, 2.0, NAN]);
        check(Condition::Integer { least: 1.0 }, &[1.0, 8.0], &[0.0, 1.5, INF, NAN]);
        check(Condition::FiniteExponential, &[-INF, 0.0, 80.0], &[1e4, INF, NAN]);
        check(Condition::Each(|x| x > 2.0), &[3.0], &[2.0, NAN]);
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn conditions_on_rows_and_matrices_find_the_first_violation() {
    let at = |condition: Condition, value: Tensor<f64>| condition.violation(&value).map(|found| found.position);
    let unit = Condition::UnitRows { tolerance: 1e-5 };
    assert_eq!(at(unit, Tensor::from([[0.25, 0.75], [1.0, 0.0]])), None);
    assert_eq!(at(unit, Tensor::from([[0.25, 0.75], [1.0, 0.1]])), Some(2));
    let below = f64::NEG_INFINITY;
    assert_eq!(at(Condition::PossibleRows, Tensor::from([[below, 0.0], [3.0, below]])), None);
    assert_eq!(at(Condition::PossibleRows, Tensor::from([[below, 0.0], [below, below]])), Some(2));
    assert_eq!(at(Condition::LowerTriangle, Tensor::from([[1.0, 0.0], [-2.0, 3.0]])), None);
    assert_eq!(at(Condition::LowerTriangle, Tensor::from([[1.0, 0.5], [-2.0, 3.0]])), Some(1));
    assert_eq!(at(Condition::LowerTriangle, Tensor::from([[1.0, 0.0], [-2.0, 0.0]])), Some(3));
}

#[test]
fn inputs_and_values_inside_of_a_pass_are_checked() -> TapeResult<()> {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([0.1, 0.2]);
    let inside = x * 2.0 + 0.5;
    let y = inside.tanh().exp();
    probability(&tape, x);
    probability(&tape, inside);
    let mut program = tape.compile(&[x], &[y.sum()])?;
    assert_eq!(violation(&mut program, [0.1, 0.25]), None);
    let expected = program.output(0).unwrap().clone();
    assert_eq!(violation(&mut program, [0.1, 1.5]), Some((1, 1.5)));
    assert_eq!(violation(&mut program, [0.5, 0.0]), Some((0, 1.5)));
    assert_eq!(violation(&mut program, [0.1, 0.25]), None);
    assert_eq!(program.output(0).unwrap(), &expected);
    program.set_checks(false);
    assert_eq!(violation(&mut program, [0.5, 0.0]), None);
    Ok(())
}

#[test]
fn members_of_plates_and_reductions_are_checked() -> TapeResult<()> {
    let tape = Tape::<f64>::new();
    let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
    let x = tape.parameter_on(&[plate], [[0.1, 0.2], [0.3, 0.4]]);
    let (member, sum) = ((x * 0.5).member(plate, 1), x.sum());
    probability(&tape, member);
    probability(&tape, sum);
    let mut program = tape.compile(&[x], &[member.exp().sum() + sum.sin().mean_over(plate)])?;
    assert_eq!(violation(&mut program, [[0.1, 0.2], [0.3, 0.4]]), None);
    assert_eq!(violation(&mut program, [[0.1, 0.2], [3.0, -2.9]]), Some((0, 1.5)));
    assert_eq!(violation(&mut program, [[0.1, 0.2], [0.8, 0.9]]), Some((1, 0.8 + 0.9)));
    Ok(())
}

#[test]
fn values_that_no_output_needs_are_checked_unless_host_code_decided_them() -> TapeResult<()> {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(0.5);
    let y = x * 3.0;
    probability(&tape, x + 0.25);
    y.peek()?;
    probability(&tape, x * 0.5);
    let mut program = tape.compile(&[x], &[y])?;
    assert_eq!(program.listing().requirements().count(), 1);
    assert_eq!(violation(&mut program, 0.875), Some((0, 1.125)));
    assert_eq!(violation(&mut program, 0.75), None);
    Ok(())
}

#[test]
fn requirements_on_what_is_removed_are_removed() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(0.5);
    probability(&tape, x);
    let mark = tape.len();
    probability(&tape, x + 0.25);
    tape.truncate(mark);
    assert_eq!(tape.requirements(), 1);
    let wrong = Requirement { condition: Condition::POSITIVE, owner: "", name: "", expected: "", hint: "" };
    assert!((x - 1.0).require(wrong).unwrap().is_some());
    assert_eq!(tape.requirements(), 1);
}
