//! Randomized backward passes: the mean over all subsets is the exact gradient, second derivatives are refused, and
//! programs have the bits of recordings in less memory.

use stochgrad_tape::{PlateKind, Tape, TapeResult, Var};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape, Tensor};

fn numbers<F: Real>(shape: &[usize], seed: f64) -> Tensor<F> {
    Tensor::from_fn(shape, |i| F::from_f64(((i as f64 + 1.3) * (seed + 0.7) * 12.9898).sin() * 1.5))
}

/// All subsets of a size, in any order of their elements.
fn subsets(count: usize, size: usize) -> Vec<Vec<f64>> {
    let chosen = |bits: &usize| bits.count_ones() as usize == count;
    let positions = |bits: usize| (0..size).rev().filter(|at| bits >> at & 1 == 1).map(|at| at as f64).collect();
    (0..1_usize << size).filter(chosen).map(positions).collect()
}

/// The gradients of a model, in which some subsets are kept, or none, which stands for the exact gradient.
type Model = for<'t> fn(&'t Tape<f64>, &[Var<'t, f64>], Option<&[&[f64]]>) -> Var<'t, f64>;

fn gradients(model: Model, inputs: &[Tensor<f64>], kept: Option<&[&[f64]]>) -> (f64, Vec<f64>) {
    let tape = Tape::new();
    let x: Vec<Var<'_, f64>> = inputs.iter().map(|input| tape.parameter(input)).collect();
    let total = model(&tape, &x, kept);
    let value = total.peek().unwrap().item().unwrap();
    (value, tape.backward_all(total, &x).unwrap().iter().flat_map(Tensor::to_vec).collect())
}

/// Compares the mean over all combinations of subsets with the exact gradient.
fn assert_unbiased(model: Model, inputs: &[Tensor<f64>], sizes: &[(usize, usize)]) {
    let (value, exact) = gradients(model, inputs, None);
    let mut combinations: Vec<Vec<Vec<f64>>> = vec![Vec::new()];
    for &(count, size) in sizes {
        let longer = combinations.iter().flat_map(|before| {
            subsets(count, size).into_iter().map(|next| before.iter().cloned().chain([next]).collect())
        });
        combinations = longer.collect();
    }
    let mut mean = vec![0.0; exact.len()];
    let mut differs = false;
    for combination in &combinations {
        let kept: Vec<&[f64]> = combination.iter().map(Vec::as_slice).collect();
        let (found, gradient) = gradients(model, inputs, Some(&kept));
        assert_eq!(found, value, "the value is exact");
        differs |= gradient != exact;
        mean.iter_mut().zip(gradient).for_each(|(mean, x)| *mean += x / combinations.len() as f64);
    }
    assert!(differs, "the gradients are random");
    for (element, (mean, exact)) in mean.iter().zip(&exact).enumerate() {
        assert!((mean - exact).abs() < 1e-12 * (1.0 + exact.abs()), "element {element}: {mean}, not {exact}");
    }
}

/// A plate of two members with three rows each, and a cost that combines all rows.
fn rows<'t>(tape: &'t Tape<f64>, x: &[Var<'t, f64>], kept: Option<&[&[f64]]>) -> Var<'t, f64> {
    let plate = tape.plate("batch", 2, PlateKind::Data, &[]);
    let rows = x[0].event_to_plate(plate).sin();
    let product = match kept {
        Some(kept) => rows.matmul_keeping_rows(x[1], tape.constant(Tensor::from(kept[0]))),
        None => rows.matmul(x[1]),
    };
    let together = product.plate_to_event(plate).reshape([12]);
    together.logsumexp(0) + (product.tanh() * product).sum().sum_over(plate)
}

#[test]
fn the_mean_over_all_subsets_of_rows_is_the_exact_gradient() {
    let inputs = [numbers(&[2, 3, 4], 1.0), numbers(&[4, 2], 2.0)];
    for count in [1, 2, 5] {
        assert_unbiased(rows, &inputs, &[(count, 6)]);
    }
}

fn units<'t>(tape: &'t Tape<f64>, x: &[Var<'t, f64>], kept: Option<&[&[f64]]>) -> Var<'t, f64> {
    let plate = tape.plate("batch", 2, PlateKind::Data, &[]);
    let hidden = x[0].event_to_plate(plate) * 1.5;
    let output = match kept {
        Some(kept) => hidden.map_keeping_units(tape.constant(Tensor::from(kept[0])), |x| x.sin() * x),
        None => hidden.sin() * hidden,
    };
    output.sum_axis(0).logsumexp(0).sum_over(plate)
}

#[test]
fn the_mean_over_all_subsets_of_units_is_the_exact_gradient() {
    for count in [1, 3, 4] {
        assert_unbiased(units, &[numbers(&[2, 3, 5], 1.0)], &[(count, 5)]);
    }
}

/// A network that keeps rows as a whole, on a plate of two members with three rows each.
fn block<'t>(tape: &'t Tape<f64>, x: &[Var<'t, f64>], kept: Option<&[&[f64]]>) -> Var<'t, f64> {
    let plate = tape.plate("batch", 2, PlateKind::Data, &[]);
    let rows = x[0].event_to_plate(plate).sin();
    let network = |x0: Var<'t, f64>| -> TapeResult<Var<'t, f64>> { Ok((x0.matmul(x[1]).tanh()).matmul(x[2])) };
    let output = match kept {
        Some(kept) => rows.map_keeping_rows(tape.constant(Tensor::from(kept[0])), network).unwrap(),
        None => network(rows).unwrap(),
    };
    let together = output.plate_to_event(plate).reshape([12]);
    together.logsumexp(0) + (output.tanh() * output).sum().sum_over(plate)
}

#[test]
fn the_mean_over_all_rows_of_a_block_is_the_exact_gradient() {
    let inputs = [numbers(&[2, 3, 4], 1.0), numbers(&[4, 3], 2.0), numbers(&[3, 2], 3.0)];
    for count in [1, 2, 5] {
        assert_unbiased(block, &inputs, &[(count, 6)]);
    }
}

#[test]
fn a_block_of_a_single_row_and_one_that_loses_rows() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([0.5, -1.0]);
    let y = x.map_keeping_rows(tape.constant([0.0]), |x| TapeResult::Ok(x.sin())).unwrap();
    let [slope] = tape.backward(y.sum(), [x]).unwrap();
    assert_eq!(slope.to_vec(), [0.5_f64.cos(), 1.0_f64.cos()]);
    let failed = x.map_keeping_rows(tape.constant([0.0]), |x| TapeResult::Ok(x.sum())).unwrap();
    let message = failed.peek().unwrap_err().to_string();
    assert!(message.contains("one row for each of 1 rows"), "{message}");
}

/// Two layers that keep rows, and units between them.
fn network<'t>(tape: &'t Tape<f64>, x: &[Var<'t, f64>], kept: Option<&[&[f64]]>) -> Var<'t, f64> {
    let positions = |at: usize| kept.map(|kept| tape.constant(Tensor::from(kept[at])));
    let product = |x: Var<'t, f64>, matrix: Var<'t, f64>, at: usize| match positions(at) {
        Some(rows) => x.matmul_keeping_rows(matrix, rows),
        None => x.matmul(matrix),
    };
    let hidden = product(x[0], x[1], 0);
    let hidden = match positions(1) {
        Some(units) => hidden.map_keeping_units(units, |x| x.tanh()),
        None => hidden.tanh(),
    };
    product(hidden, x[2], 2).square().sum().ln()
}

#[test]
fn independent_subsets_of_several_layers_are_unbiased_together() {
    let inputs = [numbers(&[4, 3], 1.0), numbers(&[3, 3], 2.0), numbers(&[3, 2], 3.0)];
    assert_unbiased(network, &inputs, &[(2, 4), (1, 3), (3, 4)]);
}

#[test]
fn all_rows_and_all_units_are_the_exact_gradient() {
    let tape = Tape::<f64>::new();
    let [x, w] = [numbers(&[2, 3], 1.0), numbers(&[3, 1], 2.0)].map(|value| tape.parameter(value));
    let y = x.matmul_keeping_rows(w, tape.constant([1.0, 0.0])).map_keeping_units(tape.constant([0.0]), |y| y.sin());
    let [by_x, by_w] = tape.backward(y.sum(), [x, w]).unwrap();
    let [exact_x, exact_w] = tape.backward(x.matmul(w).sin().sum(), [x, w]).unwrap();
    assert!(by_x.max_abs_difference(&exact_x).is_some_and(|difference| difference < 1e-15));
    assert!(by_w.max_abs_difference(&exact_w).is_some_and(|difference| difference < 1e-15));
}

#[test]
fn second_derivatives_are_refused_wherever_an_estimate_would_enter_twice() {
    type Make = for<'t> fn(&'t Tape<f64>, Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    let makes: [(&str, Make); 4] = [
        ("a nonlinear cost", |tape, x, w| x.matmul_keeping_rows(w, tape.constant([1.0])).square().sum()),
        // The adjoint is a constant here, and the derivative with respect to `x` depends on `w`.
        ("a linear cost", |tape, x, w| x.matmul_keeping_rows(w, tape.constant([1.0])).sum()),
        ("units", |tape, x, w| x.matmul(w).map_keeping_units(tape.constant([0.0]), |y| y.exp()).sum()),
        ("an estimate", |_, x, w| {
            let y = x.matmul(w);
            y.with_estimated_derivative(y * 1.0).square().sum()
        }),
    ];
    for (name, make) in makes {
        let refused = |result: TapeResult<()>| {
            let message = result.unwrap_err().to_string();
            let parts = ["expected first derivatives", "got a request for the second", "randomized_backward.rs"];
            assert!(parts.iter().all(|part| message.contains(part)), "{name}: {message}");
        };
        let tape = Tape::<f64>::new();
        let [x, w] = [numbers(&[2, 3], 1.0), numbers(&[3, 2], 2.0)].map(|value| tape.parameter(value));
        let total = make(&tape, x, w);
        let [by_x, by_w] = tape.grad(total, [x, w]).unwrap();
        refused(tape.backward((by_x.square().sum() + by_w.square().sum()).sqrt(), [x, w]).map(drop));
        let tape = Tape::<f64>::new();
        let [x, w] = [numbers(&[2, 3], 1.0), numbers(&[3, 2], 2.0)].map(|value| tape.parameter(value));
        let total = make(&tape, x, w);
        refused(tape.hessian_vector_product(total, &[x, w], &[x, w]).map(drop));
        // What the value does not depend on has second derivatives.
        let tape = Tape::<f64>::new();
        let [x, w] = [numbers(&[2, 3], 1.0), numbers(&[3, 2], 2.0)].map(|value| tape.parameter(value));
        let scale = tape.parameter(0.5);
        let [slope] = tape.grad(make(&tape, x, w) * scale.exp(), [scale]).unwrap();
        assert!(tape.backward(slope, [scale]).unwrap()[0].item().unwrap().is_finite());
    }
}

#[test]
fn misuse_is_explained() {
    let tape = Tape::<f64>::new();
    let plate = tape.plate("batch", 2, PlateKind::Data, &[]);
    let x = tape.constant_on(&[plate], numbers(&[2, 3], 1.0));
    let _ = x.matmul_keeping_rows(tape.constant_on(&[plate], numbers(&[2, 3, 1], 1.0)), tape.constant([0.0]));
    let message = tape.check().unwrap_err().to_string();
    assert!(message.contains("expected a matrix and positions without plates"), "{message}");
    assert!(message.contains("batch") && message.contains("use `matmul`"), "{message}");

    let tape = Tape::<f64>::new();
    let x = tape.constant(numbers(&[2, 3], 1.0));
    let _ = x.matmul_keeping_rows(tape.constant(numbers(&[3, 1], 1.0)), tape.constant([0.0, 1.0, 0.0]));
    let message = tape.check().unwrap_err().to_string();
    assert!(message.contains("expected from 1 to 2 positions of rows, got 3"), "{message}");
}

/// A network whose layers keep a number of rows and units, and its gradients.
fn compiled<F: Real>(threads: usize, batch: usize, kept: Option<(usize, usize)>) -> (Vec<Vec<u64>>, usize) {
    const WIDTH: usize = 24;
    const LAYERS: usize = 5;
    let tape = Tape::<F>::with_threads(threads);
    let x = tape.constant(numbers(&[batch, WIDTH], 1.0));
    let weights: Vec<Var<'_, F>> = (0..LAYERS)
        .map(|layer| tape.parameter(numbers(&[WIDTH, WIDTH], layer as f64 + 2.0).map(|w| w * F::from_f64(0.3))))
        .collect();
    let positions = |address: u128, count: usize, size: usize| {
        let noise = tape.noise(Default::default(), Fill::Uniform, address, &[], &Shape::from([size])).unwrap();
        noise.topk(0, count).1
    };
    let mut value = x;
    for (layer, &matrix) in weights.iter().enumerate() {
        let address = 2 * layer as u128;
        value = match kept {
            Some((rows, units)) => value
                .matmul_keeping_rows(matrix, positions(address, rows, batch))
                .map_keeping_units(positions(address + 1, units, WIDTH), |x| x.tanh()),
            None => value.matmul(matrix).tanh(),
        };
    }
    let gradients = tape.gradients(value.square().sum(), &weights).unwrap();
    let inputs: Vec<Var<'_, F>> = [x].iter().chain(&weights).copied().collect();
    let mut program = tape.compile(&inputs, &gradients).unwrap();
    let bits = |value: &Tensor<F>| value.as_slice().iter().map(|x| x.to_f64().to_bits()).collect::<Vec<u64>>();
    let recorded: Vec<Vec<u64>> = gradients.iter().map(|gradient| bits(&gradient.inspect().unwrap())).collect();
    for run in 0..3 {
        let before = program.pool().statistics();
        inputs.iter().enumerate().for_each(|(at, input)| program.set(at, &input.inspect().unwrap()).unwrap());
        program.run(Default::default()).unwrap();
        let after = program.pool().statistics();
        assert!(run == 0 || after.taken - before.taken == after.reused - before.reused, "buffers from the allocator");
        let found: Vec<Vec<u64>> = (0..LAYERS).map(|output| bits(program.output(output).unwrap())).collect();
        assert_eq!(found, recorded, "{threads} threads, run {run}");
    }
    drop(inputs);
    let results: usize = (0..LAYERS).map(|output| program.output(output).unwrap().len() * size_of::<F>()).sum();
    (recorded, program.pool().statistics().held_bytes + results)
}

#[test]
fn programs_have_the_bits_of_recordings_for_any_number_of_threads_in_less_memory() {
    fn check<F: Real>() {
        let batch = 400;
        let (exact, whole) = compiled::<F>(1, batch, None);
        let (random, part) = compiled::<F>(1, batch, Some((40, 3)));
        assert_ne!(exact, random);
        for threads in [2, 8] {
            assert_eq!(compiled::<F>(threads, batch, Some((40, 3))).0, random);
        }
        // Of the five activations that the exact backward pass keeps, the other one keeps a tenth and an eighth.
        let activation = batch * 24 * size_of::<F>();
        assert!(whole > 6 * activation && part < 5 * activation, "{whole} and {part} of {activation} bytes");
    }
    check::<f32>();
    check::<f64>();
}
