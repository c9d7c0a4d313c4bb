//! Operations on images: programs give the same bits as recordings and allocate nothing, and shapes that do not fit are
//! errors that say what was expected.

use stochgrad_tape::{NoiseSeed, PlateKind, Smoothness, Tape, Var};
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::pooling::Pooling;
use stochgrad_tensor::{Real, Tensor};

fn numbers<F: Real>(shape: &[usize], seed: usize) -> Tensor<F> {
    Tensor::from_fn(shape, |i| F::from_f64(((i as f64 + 1.3) * (seed as f64 + 0.7) * 12.9898).sin() * 0.7))
}

const SHAPES: [&[usize]; 5] = [&[9, 12, 12, 1], &[4, 4, 1, 8], &[4, 4, 8, 12], &[4, 4, 8, 12], &[4, 4, 1, 8]];

/// A network of convolutions and their transposes, with its gradients.
fn network<'t, F: Real>(tape: &'t Tape<F>, inputs: &[Tensor<F>]) -> (Vec<Var<'t, F>>, Vec<Var<'t, F>>) {
    let batch = tape.plate("batch", 9, PlateKind::Data, &[]);
    let mut leaves = vec![tape.constant_on(&[batch], &inputs[0])];
    leaves.extend(inputs[1..].iter().map(|input| tape.parameter(input)));
    let halving = Convolution::new().stride([2, 2]).padding([1, 1]);
    let act = |x: Var<'t, F>| x.map(Map::LeakyRelu(0.1));
    let small = act(act(leaves[0].conv2d(leaves[1], halving)).conv2d(leaves[2], halving));
    let large = act(small.conv_transpose2d(leaves[3], halving, [0, 0])).conv_transpose2d(leaves[4], halving, [0, 0]);
    let pooled = large.max_pool2d(Pooling::new([2, 2])) + large.avg_pool2d(Pooling::new([2, 2]));
    let total = pooled.square().sum().mean_over(batch);
    let mut outputs = tape.gradients(total, &leaves[1..]).unwrap();
    outputs.extend([total, large]);
    (leaves, outputs)
}

fn programs_repeat<F: Real>() {
    let inputs = |seed: usize| -> Vec<Tensor<F>> {
        SHAPES.iter().enumerate().map(|(at, shape)| numbers(shape, 10 * seed + at)).collect()
    };
    for threads in [1, 2, 8] {
        let tape = Tape::<F>::with_threads(threads);
        let (leaves, outputs) = network(&tape, &inputs(1));
        let mut program = tape.compile(&leaves, &outputs).unwrap();
        for seed in 2..5 {
            let given = inputs(seed);
            let fresh = Tape::<F>::new();
            let (_, expected) = network(&fresh, &given);
            given.iter().enumerate().for_each(|(at, input)| program.set(at, input).unwrap());
            let before = program.pool().statistics();
            program.run(NoiseSeed::default()).unwrap();
            let after = program.pool().statistics();
            assert!(seed < 4 || after.taken - before.taken == after.reused - before.reused, "{threads} threads");
            for (at, expected) in expected.iter().enumerate() {
                let (found, expected) = (program.output(at).unwrap(), expected.inspect().unwrap());
                let pairs = found.as_slice().iter().zip(expected.as_slice());
                assert!(pairs.clone().all(|(a, b)| a.to_f64().to_bits() == b.to_f64().to_bits()), "output {at}");
                assert_eq!(found.shape(), expected.shape());
            }
        }
    }
}

#[test]
fn networks_of_convolutions_run_again_with_the_same_bits_and_without_allocations() {
    programs_repeat::<f64>();
    programs_repeat::<f32>();
}

fn message<'t>(value: Var<'t, f64>) -> String {
    value.peek().unwrap_err().to_string()
}

#[test]
fn shapes_that_do_not_fit_are_errors_that_say_what_was_expected() {
    let plain = Convolution::<2>::new();
    type Record = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    let cases: [(&[usize], &[usize], Record, &str); 15] = [
        (&[5, 5], &[3, 3, 1, 1], |x, w| x.conv2d(w, Convolution::new()), "the last three event axes"),
        (&[5, 5, 1], &[3, 3, 1], |x, w| x.conv2d(w, Convolution::new()), "[kernel height, kernel width, inputs"),
        (&[5, 5, 2], &[3, 3, 1, 1], |x, w| x.conv2d(w, Convolution::new()), "expected 1 channels"),
        (&[5, 5, 2], &[3, 3, 1, 3], |x, w| x.conv2d(w, Convolution::new().groups(2)), "a multiple of 2 groups, got 3"),
        (&[5, 5, 1], &[6, 3, 1, 1], |x, w| x.conv2d(w, Convolution::new()), "at most 5 positions along axis 0"),
        (&[5, 5, 1], &[3, 3, 1, 1], |x, w| x.conv2d(w, Convolution::new().stride([0, 1])), "strides of at least 1"),
        (&[5, 2], &[3, 2], |x, w| x.conv1d(w, Convolution::new()), "weights with three event axes"),
        (&[5], &[3, 2, 2], |x, w| x.conv1d(w, Convolution::new()), "the last two event axes"),
        (&[5, 5], &[3, 3, 1, 1], |x, w| x.conv_transpose2d(w, Convolution::new(), [0, 0]), "the last three event axes"),
        (&[5, 5, 2], &[3, 3, 1, 1], |x, w| x.conv_transpose2d(w, Convolution::new(), [0, 0]), "expected 1 channels"),
        (&[5, 5, 1], &[3, 3, 1, 1], |x, w| x.conv_transpose2d(w, Convolution::new(), [0, 1]), "output padding below 1"),
        (&[5, 5], &[], |x, _| x.max_pool2d(Pooling::new([2, 2])), "the last three event axes"),
        (&[1, 5, 2], &[], |x, _| x.avg_pool2d(Pooling::new([2, 2])), "at most 1 positions along axis 0"),
        (&[5], &[], |x, _| x.max_pool1d(Pooling::new([2])), "the last two event axes"),
        (&[5, 5], &[], |x, _| x.pad(2, 1, 1), "expected an event axis from 0 to 1"),
    ];
    for (x, w, record, part) in cases {
        let tape = Tape::<f64>::new();
        let found = message(record(tape.constant(numbers(x, 1)), tape.constant(numbers(w, 2))));
        assert!(found.contains(part) && found.contains("images.rs"), "{part}: {found}");
    }
    let tape = Tape::<f64>::new();
    let bad = tape.constant([1.0, 2.0]).reshape([5]);
    let w = tape.constant(numbers(&[3, 3, 1, 1], 1));
    for poisoned in [bad.conv2d(w, plain), w.conv2d(bad, plain), bad.max_pool2d(Pooling::new([2, 2])), bad.pad(0, 1, 1)]
    {
        assert!(message(poisoned).contains("expected 5 elements"));
    }
    let signals = [bad.conv1d(w, Convolution::new()), w.conv1d(bad, Convolution::new())];
    assert!(signals.iter().all(|signal| message(*signal).contains("expected 5 elements")));
}

#[test]
fn maxima_have_kinks_and_convolutions_are_smooth() {
    let tape = Tape::<f64>::new();
    let (x, w) = (tape.parameter(numbers(&[4, 4, 1], 1)), tape.parameter(numbers(&[2, 2, 1, 1], 2)));
    let smoothness = |value: Var<'_, f64>, input: usize| value.op().unwrap().smoothness(input);
    assert_eq!(smoothness(x.max_pool2d(Pooling::new([2, 2])), 0), Smoothness::Kinked);
    let convolved = x.conv2d(w, Convolution::new());
    assert!([0, 1].iter().all(|&input| smoothness(convolved, input) == Smoothness::Smooth));
}
