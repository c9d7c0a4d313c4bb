//! Operations on unsuitable operands: the next call that returns a `Result` returns the first error, with the line of
//! the user's source.

use std::sync::Arc;
use stochgrad_tape::{Plate, PlateKind, Primitive, PrimitiveInputs, Tape, TapeError, TapeResult, Var, Workspace};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::sort::Order;

fn samples(tape: &Tape<f64>, size: usize) -> Plate {
    tape.plate("samples", size, PlateKind::Samples, &[])
}

#[test]
fn the_first_error_is_returned_with_its_line() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0]);
    let (line, bad) = (line!(), x + tape.constant([1.0, 2.0, 3.0]));
    let later = bad.exp().sum() * x + x.reshape([5]);
    for error in [
        later.value().unwrap_err(),
        tape.check().unwrap_err(),
        x.value().unwrap_err(),
        tape.backward(x.sum(), [x]).unwrap_err(),
    ] {
        let TapeError::Shapes { op, left, right, at, .. } = &error else { panic!("{error}") };
        assert_eq!((op.as_str(), left[..] == [2], right[..] == [3], at.line()), ("Add", true, true, line));
        assert!(at.file().ends_with("errors.rs"), "{at}");
        assert!(error.to_string().contains(&format!("errors.rs:{line}")), "{error}");
    }
}

#[test]
fn operations_on_a_poisoned_variable_record_nothing() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0]);
    let bad = x.reshape([3]);
    let before = tape.len();
    let plate = samples(&tape, 2);
    let _ = (bad + 1.0)
        .exp()
        .softmax(-1)
        .matmul(bad)
        .sum_over(plate)
        .mean_axis(3)
        .index(0, 1)
        .select(bad, x)
        .stop_gradient();
    let _ = Var::concat(&[bad, x], 0).unwrap().gather(0, bad).unsqueeze(2).transpose().log_mean_exp_over(plate);
    assert_eq!(tape.len(), before);
    assert!(bad.shape().is_empty() && bad.plates().is_empty() && bad.op().is_none() && bad.inputs().is_empty());
    assert_eq!(format!("{:?}", tape.rerecord(bad, &stochgrad_tape::IdMap::identity()).op()), "None");
}

#[test]
fn every_method_names_the_line_of_its_caller() {
    let two = |tape: &Tape<f64>| -> u32 {
        let x = tape.constant([[1.0, 2.0], [3.0, 4.0]]);
        let y = tape.constant([1.0, 2.0, 3.0]);
        let _ = Var::stack(&[x, y]);
        line!() - 1
    };
    let three = |tape: &Tape<f64>| -> u32 {
        let _ = tape.constant([1.0]).matmul(tape.constant([1.0, 2.0]));
        line!() - 1
    };
    let four = |tape: &Tape<f64>| -> u32 {
        let _ = tape.constant([1.0]).index(0, 7);
        line!() - 1
    };
    let five = |tape: &Tape<f64>| -> u32 {
        let _ = tape.constant([1.0]).mean_axis(4);
        line!() - 1
    };
    let six = |tape: &Tape<f64>| -> u32 {
        let _ = tape.constant([1.0]).member(samples(tape, 2), 0);
        line!() - 1
    };
    for record in [two, three, four, five, six] {
        let tape = Tape::new();
        let line = record(&tape);
        let error = tape.check().unwrap_err();
        assert!(error.to_string().contains(&format!("errors.rs:{line}")), "{error}, expected line {line}");
    }
}

struct Broken(&'static str);

impl Primitive<f64> for Broken {
    fn name(&self) -> &str {
        self.0
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        match self.0 {
            "refuses" => Err("expected something else".into()),
            "forgets the plates" => Ok(Tensor::scalar(1.0)),
            _ => Ok(inputs.values[0].clone()),
        }
    }

    fn gradient<'t>(
        &self,
        inputs: &[Var<'t, f64>],
        _: Var<'t, f64>,
        adjoint: Var<'t, f64>,
    ) -> Vec<Option<Var<'t, f64>>> {
        match self.0 {
            "wrong gradient" => vec![Some(adjoint.tape().constant([1.0; 7]))],
            "failing gradient" => vec![Some(inputs[0].reshape([31]))],
            _ => Vec::new(),
        }
    }
}

#[test]
fn unusable_operands_are_errors() {
    type Record = for<'t> fn(&'t Tape<f64>, Var<'t, f64>) -> Var<'t, f64>;
    // x has event shape [2, 3].
    let wrong: [(&str, Record); 80] = [
        ("sum_axis", |_, x| x.sum_axis(2)),
        ("sum_axis from the right", |_, x| x.sum_axis(-3)),
        ("mean_axis", |_, x| x.mean_axis(9)),
        ("max_axis", |_, x| x.max_axis(2)),
        ("logsumexp", |_, x| x.logsumexp(-4)),
        ("softmax", |_, x| x.softmax(2)),
        ("softmax of a number", |_, x| x.sum().softmax(-1)),
        ("log_softmax", |_, x| x.log_softmax(5)),
        ("cumsum", |_, x| x.cumsum(2)),
        ("argmax", |_, x| x.argmax(2)),
        ("argmax of nothing", |_, x| x.slice(1, 2..2).argmax(1)),
        ("argmin", |_, x| x.argmin(2)),
        ("argmin of nothing", |_, x| x.slice(1, 2..2).argmin(1)),
        ("min_axis", |_, x| x.min_axis(-3)),
        ("min_axis of nothing", |_, x| x.slice(1, 2..2).min_axis(1)),
        ("prod_axis", |_, x| x.prod_axis(2)),
        ("cumprod", |_, x| x.cumprod(2)),
        ("logcumsumexp", |_, x| x.logcumsumexp(-3)),
        ("sort", |_, x| x.sort(2, Order::Ascending).0),
        ("argsort", |_, x| x.argsort(2, Order::Ascending)),
        ("topk", |_, x| x.topk(2, 1).1),
        ("topk of too many", |_, x| x.topk(1, 4).0),
        ("norm_axis", |_, x| x.norm_axis(2)),
        ("norm of order 0", |_, x| x.norm_of_order(0.0, 1)),
        ("norm of order NaN", |_, x| x.norm_of_order(f64::NAN, 1)),
        ("logaddexp", |_, x| x.logaddexp(x.transpose())),
        ("xlogy", |_, x| x.xlogy(x.transpose())),
        ("lookup in a vector", |tape, x| x.sum_axis(0).lookup(tape.constant([0.0]))),
        ("lookup beyond", |tape, x| x.lookup(tape.constant([0.0, 2.0]))),
        ("lookup between", |tape, x| x.lookup(tape.constant([0.5]))),
        ("lookup at NaN", |tape, x| x.lookup(tape.constant(f64::NAN))),
        ("scatter beyond", |tape, x| x.scatter(1, tape.constant([[3.0], [0.0]]), x.slice(1, 0..1))),
        ("scatter of another size", |tape, x| x.scatter(1, tape.constant([[0.0], [0.0]]), x)),
        ("scatter_add of another rank", |tape, x| x.scatter_add(1, tape.constant([0.0]), x)),
        ("scatter_add before the start", |tape, x| x.scatter_add(1, tape.constant([[-1.0], [0.0]]), x.slice(1, 0..1))),
        ("reshape", |_, x| x.reshape([7])),
        ("reshape to nothing", |_, x| x.reshape([0])),
        ("reshape beyond all bounds", |_, x| x.reshape([usize::MAX, 2])),
        ("permute too few", |_, x| x.permute(&[0])),
        ("permute twice the same", |_, x| x.permute(&[0, 0])),
        ("permute beyond", |_, x| x.permute(&[0, 2])),
        ("slice", |_, x| x.slice(1, 2..4)),
        ("slice beyond", |_, x| x.slice(1, 4..4)),
        ("slice at the largest number", |_, x| x.slice(1, usize::MAX - 1..usize::MAX)),
        ("slice axis", |_, x| x.slice(2, 0..1)),
        ("index", |_, x| x.index(0, 2)),
        ("index at the largest number", |_, x| x.index(0, usize::MAX)),
        ("index_select", |_, x| x.index_select(0, &[0, 2])),
        ("gather of another rank", |tape, x| x.gather(0, tape.constant([0.0]))),
        ("gather beyond", |tape, x| x.gather(1, tape.constant([[3.0], [0.0]]))),
        ("gather between", |tape, x| x.gather(1, tape.constant([[0.5], [0.0]]))),
        ("gather at NaN", |tape, x| x.gather(1, tape.constant([[f64::NAN], [0.0]]))),
        ("gather before the start", |tape, x| x.gather(1, tape.constant([[-1.0], [0.0]]))),
        ("gather with other rows", |tape, x| x.gather(1, tape.constant([[0.0], [0.0], [0.0]]))),
        ("matmul", |_, x| x.matmul(x)),
        ("matmul with a column", |tape, x| x.matmul(tape.constant([1.0, 2.0]))),
        ("matmul of a row", |tape, x| tape.constant([1.0]).matmul(x)),
        ("matmul of a number", |tape, x| tape.constant(1.0).matmul(x)),
        ("matmul with a number", |tape, x| x.matmul(tape.constant(1.0))),
        ("batched matmul", |_, x| x.reshape([3, 1, 2]).matmul(x.reshape([2, 3]).broadcast_to([2, 2, 3]))),
        ("add", |_, x| x + x.transpose()),
        ("select", |_, x| x.select(x, x.transpose())),
        ("straight_through", |_, x| x.straight_through(x.sum())),
        ("with_estimated_derivative", |_, x| x.with_estimated_derivative(x.sum())),
        ("matmul_keeping_rows", |tape, x| x.matmul_keeping_rows(x, tape.constant([0.0]))),
        ("rows without positions", |tape, x| x.matmul_keeping_rows(x.transpose(), tape.constant(0.0))),
        ("too many rows", |_, x| x.matmul_keeping_rows(x.transpose(), x.reshape([6]))),
        ("rows that do not exist", |tape, x| x.matmul_keeping_rows(x.transpose(), tape.constant([3.0, 0.0]))),
        ("units of a number", |tape, x| x.sum().map_keeping_units(tape.constant([0.0]), |x| x)),
        ("too many units", |_, x| x.map_keeping_units(x.reshape([6]), |x| x)),
        ("units that do not exist", |tape, x| x.map_keeping_units(tape.constant([3.0]), |x| x)),
        ("a function that changes the shape", |tape, x| x.map_keeping_units(tape.constant([0.0]), |x| x.sum())),
        ("broadcast_to", |_, x| x.broadcast_to([3])),
        ("concat", |_, x| Var::concat(&[x, x.transpose()], 0).unwrap()),
        ("concat axis", |_, x| Var::concat(&[x, x], 2).unwrap()),
        ("stack", |_, x| Var::stack(&[x, x.sum()]).unwrap()),
        ("constant_on", |tape, x| tape.constant_on(&[samples(tape, 5)], [1.0, 2.0]) + x),
        ("constant_on in the wrong order", |tape, _| {
            let (a, b) = (samples(tape, 2), samples(tape, 2));
            tape.constant_on(&[b, a], [[1.0, 2.0], [1.0, 2.0]])
        }),
        ("primitive", |tape, x| tape.custom(Arc::new(Broken("refuses")), &[x])),
        ("primitive on a plate", |tape, x| {
            tape.custom(Arc::new(Broken("forgets the plates")), &[x.event_to_plate(samples(tape, 2))])
        }),
    ];
    for (name, record) in wrong {
        let tape = Tape::new();
        let x = tape.parameter([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let result = record(&tape, x).value();
        assert!(result.is_err(), "{name} gave {result:?}");
        assert!(result.unwrap_err().to_string().contains("errors.rs:"), "{name}");
    }
}

#[test]
fn a_position_outside_a_table_is_named_with_its_size() {
    let tape = Tape::<f64>::new();
    let table = tape.parameter([[1.0, 2.0], [3.0, 4.0]]);
    let message = table.lookup(tape.constant([1.0, 7.0])).value().unwrap_err().to_string();
    assert!(message.contains("positions below 2") && message.contains("got 7"), "{message}");
    // Also in a run of a program.
    let tape = Tape::<f64>::new();
    let (table, index) = (tape.parameter([[1.0, 2.0], [3.0, 4.0]]), tape.constant([1.0, 0.0]));
    let mut program = tape.compile(&[table, index], &[table.lookup(index)]).unwrap();
    program.set(0, &Tensor::from([[1.0, 2.0], [3.0, 4.0]])).unwrap();
    program.set(1, &Tensor::from([1.0, -1.0])).unwrap();
    let message = program.run(Default::default()).unwrap_err().to_string();
    assert!(message.contains("positions below 2") && message.contains("got -1"), "{message}");
}

#[test]
fn unusable_plates_are_errors() {
    type Record = for<'t> fn(Var<'t, f64>, Plate) -> Var<'t, f64>;
    // x has event shape [2, 3], and the plate has 2 members.
    let wrong: [(&str, Record); 7] = [
        ("event_to_plate of another size", |x, plate| x.transpose().event_to_plate(plate)),
        ("event_to_plate twice", |x, plate| {
            x.transpose()
                .matmul(x.matmul(x.transpose()))
                .sum_axis(0)
                .event_to_plate(plate)
                .unsqueeze(0)
                .broadcast_to([2])
                .event_to_plate(plate)
        }),
        ("event_to_plate of a number", |x, plate| x.sum().event_to_plate(plate)),
        ("plate_to_event", |x, plate| x.plate_to_event(plate)),
        ("member of a value without the plate", |x, plate| x.member(plate, 0)),
        ("member beyond", |x, plate| x.event_to_plate(plate).member(plate, 2)),
        ("weights with event axes", |x, plate| x.weighted_sum_over(plate, x)),
    ];
    for (name, record) in wrong {
        let tape = Tape::new();
        let x = tape.parameter([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let result = record(x, samples(&tape, 2)).value();
        assert!(result.is_err(), "{name} gave {result:?}");
    }
}

#[test]
fn a_wrong_gradient_of_a_primitive_is_an_error() {
    for name in ["wrong gradient", "failing gradient"] {
        let tape = Tape::<f64>::new();
        let x = tape.parameter([1.0, 2.0, 3.0]);
        let y = tape.custom(Arc::new(Broken(name)), &[x]).sum();
        let before = tape.len();
        let error = tape.backward(y, [x]).unwrap_err();
        assert!(matches!(error, TapeError::Shapes { .. } | TapeError::Operand { .. }), "{error}");
        assert!(error.to_string().contains("errors.rs:"), "{error}");
        assert_eq!(tape.len(), before);
    }
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0, 3.0]);
    let y = tape.custom(Arc::new(Broken("says nothing")), &[x]).sum();
    let [gradient] = tape.backward(y, [x]).unwrap();
    assert_eq!(gradient, Tensor::zeros([3]));
}

#[test]
fn a_derivative_of_more_than_one_number_is_refused() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0]);
    let plate = samples(&tape, 2);
    for output in [x, x.event_to_plate(plate)] {
        let (line, result) = (line!(), tape.backward(output, [x]));
        let Err(TapeError::NotScalar { at, .. }) = result else { panic!("{result:?}") };
        assert_eq!(at.line(), line);
        assert!(tape.grad(output, [x]).is_err());
        assert!(tape.hessian_vector_product(output, &[x], &[x]).is_err());
        assert!(matches!(output.item(), Err(TapeError::NotScalar { .. })));
    }
    assert!(tape.check().is_ok());
    assert!(tape.backward(x.sum_over(plate).sum(), [x]).is_ok());
}

#[test]
fn variables_of_two_tapes_do_not_mix() {
    let (one, other) = (Tape::<f64>::new(), Tape::<f64>::new());
    let (x, y) = (one.parameter(1.0), other.parameter(2.0));
    assert!(matches!(one.backward(x, [y]), Err(TapeError::Foreign { .. })));
    assert!(matches!(one.backward(y, [x]), Err(TapeError::Foreign { .. })));
    assert!(matches!(one.hessian_vector_product(x.square(), &[x], &[y]), Err(TapeError::Foreign { .. })));
    let (line, sum) = (line!(), x + y);
    let Err(TapeError::Foreign { at, .. }) = sum.value() else { panic!("{sum:?}") };
    assert_eq!(at.line(), line);
    assert!(other.check().is_ok());
    type Mix = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    let mixes: [Mix; 3] = [|x, y| x.matmul(y), |x, y| x.select(y, x), |x, y| Var::concat(&[x, y], 0).unwrap()];
    for mix in mixes {
        let one = Tape::<f64>::new();
        assert!(matches!(mix(one.parameter([1.0]), y).value(), Err(TapeError::Foreign { .. })));
    }
    let tape = Tape::<f64>::new();
    let _ = tape.sample(tape.new_site(), tape.constant(1.0), &[y]);
    assert!(matches!(tape.check(), Err(TapeError::Foreign { .. })));
    let tape = Tape::<f64>::new();
    let _ = tape.custom(Arc::new(Broken("takes anything")), &[y]);
    assert!(matches!(tape.check(), Err(TapeError::Foreign { .. })));
}

#[test]
fn plates_of_another_tape_or_step_are_refused() {
    type Use = for<'t> fn(Var<'t, f64>, Plate) -> Var<'t, f64>;
    let uses: [Use; 10] = [
        |x, plate| x.sum_over(plate),
        |x, plate| x.mean_over(plate),
        |x, plate| x.log_mean_exp_over(plate),
        |x, plate| x.weighted_sum_over(plate, x.sum()),
        |x, plate| x.member(plate, 0),
        |x, plate| x.plate_to_event(plate),
        |x, plate| x.event_to_plate(plate),
        |x, plate| x.expand_plates(&[plate]),
        |x, plate| x.tape().constant_on(&[plate], [1.0, 2.0]),
        |x, plate| {
            let inside = x.tape().plate("inside", 2, PlateKind::Samples, &[plate]);
            x.sum_over(inside)
        },
    ];
    let other = Tape::<f64>::new();
    let foreign = samples(&other, 2);
    for (number, use_plate) in uses.iter().enumerate() {
        let tape = Tape::<f64>::new();
        // A plate of this tape with the same position, name and size.
        let _own = samples(&tape, 2);
        let result = use_plate(tape.constant([1.0, 2.0]), foreign).value();
        assert!(matches!(result, Err(TapeError::Foreign { .. })), "use {number} gave {result:?}");

        let mut workspace = Workspace::<f64>::new();
        let stale = samples(workspace.tape(), 2);
        let tape = workspace.tape();
        let _own = samples(tape, 2);
        let result = use_plate(tape.constant([1.0, 2.0]), stale).value();
        assert!(matches!(result, Err(TapeError::Foreign { .. })), "use {number} gave {result:?}");
        assert_eq!(tape.plate_size(stale), 0);
    }
}

#[test]
fn variables_that_were_dropped_are_refused() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(1.0);
    let y = x.exp();
    tape.truncate(1);
    assert!(matches!(y.value(), Err(TapeError::Foreign { .. })));
    assert!(matches!(tape.backward(y, [x]), Err(TapeError::Foreign { .. })));
    assert!(matches!(tape.backward(x, [y]), Err(TapeError::Foreign { .. })));
    assert!(tape.var(y.id()).is_err());
    let (line, sum) = (line!(), x + y);
    let Err(TapeError::Foreign { at, .. }) = sum.value() else { panic!("{sum:?}") };
    assert_eq!(at.line(), line);
}

#[test]
fn variables_whose_place_was_taken_are_refused() {
    type Use = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> TapeResult<()>;
    let uses: [(&str, Use); 19] = [
        ("value", |_, y| y.value().map(drop)),
        ("item", |_, y| y.item().map(drop)),
        ("peek", |_, y| y.peek().map(drop)),
        ("inspect", |_, y| y.inspect().map(drop)),
        ("map", |_, y| y.exp().value().map(drop)),
        ("zip", |x, y| (x + y).value().map(drop)),
        ("zip, first", |x, y| (y * x).value().map(drop)),
        ("select", |x, y| x.select(x, y).value().map(drop)),
        ("reshape", |_, y| y.reshape([1]).value().map(drop)),
        ("backward", |x, y| x.tape().backward(y, [x]).map(drop)),
        ("backward with respect to it", |x, y| x.tape().backward(x, [y]).map(drop)),
        ("grad", |x, y| x.tape().grad(y, [x]).map(drop)),
        ("adjoint", |x, y| x.tape().vector_jacobian_product(x, y, &[x]).map(drop)),
        ("direction", |x, y| x.tape().hessian_vector_product(x, &[x], &[y]).map(drop)),
        ("input", |x, y| x.tape().compile(&[y], &[x]).map(drop)),
        ("output", |x, y| x.tape().compile(&[x], &[y]).map(drop)),
        ("position", |x, y| x.tape().var(y.id()).map(drop)),
        ("derivative", |x, y| x.tape().has_derivative(y, &|_| true).map(drop)),
        ("sample", |x, y| x.tape().sample(x.tape().new_site(), x, &[y]).value().map(drop)),
    ];
    for (name, use_it) in uses {
        let tape = Tape::<f64>::new();
        let x = tape.parameter(1.0);
        let y = x.exp();
        tape.truncate(1);
        let other = x.sin();
        assert_eq!(other.id().index(), y.id().index());
        let result = use_it(x, y);
        assert!(matches!(result, Err(TapeError::Foreign { .. })), "{name} gave {result:?}");
        assert_eq!(other.id(), tape.var_at(1).unwrap().id());
    }
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0]);
    let y = x.exp();
    tape.truncate(1);
    let other = x.sin();
    assert!(y.shape().is_empty() && y.op().is_none() && y.inputs().is_empty() && y.location().is_none());
    assert!(tape.operation_name(y).is_none() && tape.cone(y.id(), 2).is_empty());
    assert_eq!((other.shape().to_vec(), x.value().unwrap().to_vec()), (vec![2], vec![1.0, 2.0]));
    // Removing nothing keeps every variable.
    tape.truncate(2);
    assert!(other.value().is_ok());
}

#[test]
fn positions_of_other_tapes_and_of_earlier_steps_are_refused() {
    let (first, second) = (Tape::<f64>::new(), Tape::<f64>::new());
    let (x, _) = (first.parameter(1.0), second.parameter(2.0));
    assert!(matches!(second.var(x.id()), Err(TapeError::Foreign { .. })));
    let mut workspace = Workspace::<f64>::new();
    let earlier = workspace.tape().parameter(1.0).id();
    let tape = workspace.tape();
    tape.parameter(2.0);
    assert!(matches!(tape.var(earlier), Err(TapeError::Foreign { .. })));
}

#[test]
fn a_cleared_workspace_has_forgotten_the_error() {
    let mut workspace = Workspace::<f64>::new();
    let tape = workspace.tape();
    assert!(tape.parameter([1.0]).reshape([2]).value().is_err());
    let tape = workspace.tape();
    assert_eq!(tape.parameter([1.0]).value().unwrap().to_vec(), [1.0]);
}

#[test]
fn located_errors_name_the_given_place() {
    let tape = Tape::<f64>::new();
    let here = std::panic::Location::caller();
    let _ = tape.located(here, || tape.constant([1.0]).exp().reshape([2]));
    let Err(TapeError::Operand { at, .. }) = tape.check() else { panic!("no error") };
    assert_eq!(at, here);
}

#[test]
fn axes_of_size_0_work_where_they_have_a_meaning() {
    type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    // x has event shape [0, 3].
    let functions: [(&str, Function); 24] = [
        ("exp", |x| x.exp()),
        ("product", |x| x * x),
        ("with a row", |x| x * x.sum_axis(0)),
        ("with a number", |x| x * x.sum()),
        ("with itself turned round", |x| x.unsqueeze(1) + x.unsqueeze(0).sum_last(1).unsqueeze(-1)),
        ("sum_axis 0", |x| x.sum_axis(0)),
        ("sum_axis 1", |x| x.sum_axis(1)),
        ("softmax 0", |x| x.softmax(0)),
        ("softmax 1", |x| x.softmax(1)),
        ("log_softmax 0", |x| x.log_softmax(0)),
        ("cumsum 0", |x| x.cumsum(0)),
        ("max_axis 1", |x| x.max_axis(1)),
        ("logsumexp 1", |x| x.logsumexp(1)),
        ("argmax 1", |x| x.argmax(1).one_hot(3)),
        ("matmul", |x| x.matmul(x.transpose())),
        ("matmul over nothing", |x| x.transpose().matmul(x)),
        ("matmul with a column", |x| x.matmul(x.sum_axis(0))),
        ("transpose", |x| x.transpose()),
        ("slice", |x| x.slice(0, 0..0)),
        ("reshape", |x| x.reshape([3, 0, 5])),
        ("index_select", |x| x.index_select(1, &[2, 2])),
        ("concat", |x| Var::concat(&[x, x], 0).unwrap()),
        ("gather", |x| x.gather(1, x)),
        ("broadcast_to", |x| x.broadcast_to([2, 0, 3])),
    ];
    for (name, function) in functions {
        let tape = Tape::<f64>::new();
        let x = tape.parameter(Tensor::zeros([0, 3]));
        let plate = tape.plate("nothing", 0, PlateKind::Data, &[]);
        for y in [
            function(x).sum(),
            function(x).sum().square(),
            function(x).sum() * x.event_to_plate(plate).sum_over(plate).sum(),
        ] {
            assert!(y.value().is_ok(), "{name}: {y:?}");
            let [gradient] = tape.grad(y, [x]).unwrap();
            assert_eq!(gradient.shape()[..], [0, 3], "{name}");
            let [second] = tape.backward(gradient.square().sum(), [x]).unwrap();
            assert_eq!(second.shape()[..], [0, 3], "{name}");
        }
    }
}

#[test]
fn inputs_and_outputs_that_a_program_lacks_are_errors() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0]);
    let mut program = tape.compile(&[x], &[x.exp()]).unwrap();
    assert_eq!(program.input_shape(0).unwrap()[..], [2]);
    assert!(program.output(0).is_ok() && program.require_finite(0..1).is_ok());
    for message in [
        program.input_shape(1).unwrap_err().to_string(),
        program.input_shape(usize::MAX).unwrap_err().to_string(),
        program.output(1).unwrap_err().to_string(),
        program.output(usize::MAX).unwrap_err().to_string(),
        program.require_finite(0..2).unwrap_err().to_string(),
    ] {
        assert!(message.contains("expected a number below 1") && message.contains("errors.rs"), "{message}");
    }
}
