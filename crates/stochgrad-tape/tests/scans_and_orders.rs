//! Running products and sums, norms, look-ups, scatters and sorted values: exact derivatives of higher order (those of
//! irrational value by mpmath), smoothness, buffers of programs, and bits on several threads.

use stochgrad_tape::{NoiseSeed, Op, PlateKind, Smoothness, Tape, Var};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::sort::Order;

type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

/// Compares the value and the first derivatives of a function of one variable with given ones.
fn assert_orders(name: &str, at: f64, function: Function, expected: &[f64]) {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(at);
    let mut y = function(x);
    for (order, expected) in expected.iter().enumerate() {
        if order > 0 {
            [y] = tape.grad(y, [x]).unwrap();
        }
        let found = y.item().unwrap();
        let close = (found - expected).abs() <= 1e-12 * (1.0 + expected.abs());
        assert!(close, "{name} at {at}, order {order}: {found}, not {expected}");
    }
}

fn stack<'t, const N: usize>(vars: [Var<'t, f64>; N]) -> Var<'t, f64> {
    Var::stack(&vars).unwrap()
}

#[test]
fn products_with_any_number_of_zeros() {
    for x in [0.0_f64, 1.3] {
        let expected = [2.0 * x.powi(3), 6.0 * x * x, 12.0 * x, 12.0, 0.0];
        assert_orders("product", x, |x| stack([x, x * 2.0, x]).prod(), &expected);
        let running = [x + 2.0 * x * x + 2.0 * x.powi(3), 1.0 + 4.0 * x + 6.0 * x * x, 4.0 + 12.0 * x, 12.0, 0.0];
        assert_orders("running product", x, |x| stack([x, x * 2.0, x]).cumprod(0).sum(), &running);
        let shifted = [x.powi(3) - x, 3.0 * x * x - 1.0, 6.0 * x, 6.0, 0.0];
        assert_orders(
            "product of a matrix",
            x,
            |x| stack([stack([x, x - 1.0]), stack([x + 1.0, x * 0.0 + 1.0])]).prod(),
            &shifted,
        );
        // The middle axis of three, so that the rule moves it to the end.
        let middle: Function =
            |x| stack([x, x + 1.0, x - 1.0]).reshape([1, 3, 1]).broadcast_to([2, 3, 2]).prod_axis(1).mean();
        assert_orders("product along a middle axis", x, middle, &shifted);
    }
}

#[test]
fn sums_of_exponentials() {
    let exact = [2.5827454143746515, 2.7714998545166, 0.8820730134640272, -0.22393086368969412, -0.6595572394090075];
    assert_orders("running sum", 0.3, |x| stack([x, x * 0.0, x * 2.0]).logcumsumexp(0).sum(), &exact);
    // Equal and different operands.
    let equal = [std::f64::consts::LN_2, 1.5, 0.25, 0.0, -0.125];
    assert_orders("sum of two", 0.0, |x| (x * 2.0).logaddexp(x), &equal);
    let exact =
        [1.8031860488854579, 1.6681877721681662, 0.22171287329310904, -0.07457878844034181, -0.07322671581020833];
    assert_orders("sum of two", 0.7, |x| (x * 2.0).logaddexp(x), &exact);
}

#[test]
fn sums_of_two_infinite_logarithms_have_finite_derivatives() {
    let inf = f64::INFINITY;
    let tape = Tape::<f64>::new();
    let [x, y] = [[-inf, -inf, inf, inf, 0.0], [-inf, 1.0, inf, 1.0, inf]].map(|values| tape.parameter(values));
    let [by_x, by_y] = tape.grad(x.logaddexp(y).sum(), [x, y]).unwrap();
    assert_eq!(by_x.peek().unwrap().to_vec(), [0.0, 0.0, 0.5, 1.0, 0.0]);
    assert_eq!(by_y.peek().unwrap().to_vec(), [0.0, 1.0, 0.5, 0.0, 1.0]);
    for second in tape.grad((by_x * 2.0 + by_y).sum(), [x, y]).unwrap() {
        assert!(second.peek().unwrap().all_finite(), "{second:?}");
    }
    // In single precision, the bounds of finite values are others.
    let tape = Tape::<f32>::new();
    let x = tape.parameter([f32::INFINITY, f32::NEG_INFINITY, f32::MAX]);
    let [slope] = tape.backward(x.logaddexp(x.held()).sum(), [x]).unwrap();
    assert_eq!(slope.to_vec(), [0.5, 0.0, 0.5]);
}

#[test]
fn logarithms_of_zero_times_zero() {
    let exact = [-0.2496724607571127, 0.6433250560612676, 1.0 / 0.7, -1.0 / 0.49, 2.0 / 0.343];
    assert_orders("x ln x", 0.7, |x| x.xlogy(x), &exact);
    let tape = Tape::<f64>::new();
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let (x, y) = (tape.parameter([0.0, 0.0, 0.0, 0.0, -0.0]), tape.parameter([0.0, 2.0, -1.0, inf, 0.0]));
    let value = x.xlogy(y);
    assert_eq!(value.peek().unwrap().to_vec(), [0.0; 5]);
    let [by_x, by_y] = tape.grad(value.sum(), [x, y]).unwrap();
    assert_eq!(by_x.peek().unwrap().to_vec(), [0.0, 2.0_f64.ln(), 0.0, 0.0, 0.0]);
    assert_eq!(by_y.peek().unwrap().to_vec(), [0.0; 5]);
    // The mixed derivative is 1/y where y is positive.
    let [mixed] = tape.backward(by_x.sum(), [y]).unwrap();
    assert_eq!(mixed.to_vec(), [0.0, 0.5, 0.0, 0.0, 0.0]);
    let other = tape.constant([0.0, 1.0, 2.0]).xlogy(tape.constant([nan, 0.0, -1.0])).peek().unwrap().to_vec();
    assert!(other[0].is_nan() && other[1] == -inf && other[2].is_nan(), "{other:?}");
}

#[test]
fn norms_of_several_orders() {
    let cases: [(&str, Function, [f64; 5]); 4] = [
        (
            "2",
            |x| stack([x, x * 0.0 + 1.0]).norm(),
            [1.2206555615733703, -0.5734623443633283, 0.5498200808852621, 0.7749142079590942, 0.7132479766449955],
        ),
        (
            "3",
            |x| stack([x, x * 0.0 + 1.0, x * 0.0 + 2.0]).norm_of_order(3.0, 0),
            [2.106179831067617, -0.11046003609366714, 0.30401379943517814, -0.3545843736474273, -0.42210068071854984],
        ),
        (
            "2.5",
            |x| stack([x, x * 0.0 + 1.0, x * 0.0 + 2.0]).norm_of_order(2.5, 0),
            [2.1861983104367786, -0.1811810317801904, 0.3657220201315511, -0.1399932672175583, -0.5542725851206332],
        ),
        (
            "4",
            |x| stack([x, x * 0.0 + 1.0]).norm_of_order(4.0, 0),
            [1.0552714214770904, -0.2918781530252737, 1.008714111852525, -0.9290344470216619, -9.470844595004628],
        ),
    ];
    for (name, norm, expected) in cases {
        assert_orders(name, -0.7, norm, &expected);
    }
    // An element that is 0 beside others: the derivatives of x⁴ + 1 and x² + 1 at 0.
    assert_orders("4", 0.0, |x| stack([x, x * 0.0 + 1.0]).norm_of_order(4.0, 0), &[1.0, 0.0, 0.0, 0.0, 6.0]);
    assert_orders("2", 0.0, |x| stack([x, x * 0.0 + 1.0]).norm(), &[1.0, 0.0, 1.0, 0.0, -3.0]);
}

#[test]
fn sorted_values_and_lookups_are_linear() {
    // At 0.5 the order of (x², 1 − 2x, x) is (1 − 2x, x², x), with weights 1, 10 and 100.
    let sorted: Function = |x| {
        let (values, _) = stack([x.square(), 1.0 - x * 2.0, x]).sort(0, Order::Ascending);
        (values * x.tape().constant([1.0, 10.0, 100.0])).sum()
    };
    assert_orders("sorted values", 0.5, sorted, &[52.5, 108.0, 20.0, 0.0]);
    let written: Function = |x| {
        let index = x.tape().constant([1.0, 0.0, 1.0]);
        let table = stack([x.square(), x.powf(3.0)]).unsqueeze(1);
        let rows = table.lookup(index).sum_axis(1);
        stack([x, x]).scatter(0, index, rows * rows).sum()
            + x.reshape([1]).scatter_add(0, x.tape().constant([0.0]), rows.slice(0, 0..1)).sum()
    };
    // Row 0 is written to position 1 first, but the last row remains: x⁶ + x⁴ + x + x³.
    let x = 1.1_f64;
    let expected = [
        x.powi(6) + x.powi(4) + x + x.powi(3),
        6.0 * x.powi(5) + 4.0 * x.powi(3) + 1.0 + 3.0 * x * x,
        30.0 * x.powi(4) + 12.0 * x * x + 6.0 * x,
        120.0 * x.powi(3) + 24.0 * x + 6.0,
    ];
    assert_orders("scatters of look-ups", x, written, &expected);
}

#[test]
fn equal_elements_keep_their_positions() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0, 2.0, 1.0, 2.0]);
    for (order, positions) in [(Order::Ascending, [0.0, 2.0, 1.0, 3.0]), (Order::Descending, [1.0, 3.0, 0.0, 2.0])] {
        let (values, found) = x.sort(0, order);
        assert_eq!(found.peek().unwrap().to_vec(), positions);
        assert_eq!(x.argsort(0, order).peek().unwrap().to_vec(), positions);
        let [slope] = tape.backward((values * tape.constant([1.0, 2.0, 3.0, 4.0])).sum(), [x]).unwrap();
        for (rank, position) in positions.into_iter().enumerate() {
            assert_eq!(slope.as_slice()[position as usize], (rank + 1) as f64);
        }
    }
    let nan = tape.constant([f64::NAN, 1.0, f64::INFINITY]);
    let (values, positions) = nan.topk(0, 2);
    assert_eq!(positions.peek().unwrap().to_vec(), [0.0, 2.0]);
    assert!(values.peek().unwrap().as_slice()[0].is_nan());
    assert_eq!(tape.constant([3.0, 1.0, 1.0]).argmin(0).item().unwrap(), 1.0);
}

#[test]
fn sorted_values_have_kinks_and_positions_jump() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([[1.0, 3.0], [2.0, 0.5]]);
    let (values, positions) = x.sort(1, Order::Ascending);
    let smoothness = |var: Var<'_, f64>, input| var.op().map(|op: Op| op.smoothness(input));
    assert_eq!(smoothness(values, 0), Some(Smoothness::Kinked));
    assert_eq!(smoothness(values, 1), Some(Smoothness::Constant));
    assert_eq!(smoothness(positions, 0), Some(Smoothness::Jump));
    let [slope] = tape.backward(positions.sum() + x.argsort(0, Order::Descending).sum(), [x]).unwrap();
    assert_eq!(slope, Tensor::zeros([2, 2]));
    let rows = x.lookup(positions);
    assert_eq!((smoothness(rows, 0), smoothness(rows, 1)), (Some(Smoothness::Smooth), Some(Smoothness::Jump)));
    for norm in [x.norm(), x.norm_of_order(3.0, 0)] {
        // The last operations are a rectifier, which has the kink, and the scale.
        assert_eq!(smoothness(norm.inputs()[0], 0), Some(Smoothness::Kinked));
    }
}

/// Most of the operations of this file, on two plates.
fn many<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>], members: usize) -> (Vec<Var<'t, f64>>, Vec<Var<'t, f64>>) {
    let plate = tape.plate("rows", members, PlateKind::Data, &[]);
    let (table, x) = (tape.parameter(&inputs[0]), tape.parameter_on(&[plate], &inputs[1]));
    let (sorted, positions) = x.sort(-1, Order::Descending);
    let index = (x.abs() * 2.0).floor().map(stochgrad_tensor::map::Map::MinScalar(3.0));
    let rows = table.lookup(index).sum_last(1);
    let scans =
        x.cumprod(-1) + x.logcumsumexp(0) + sorted * x.prod_axis(0) + x.logaddexp(rows) + x.xlogy(rows.square());
    let written = x.scatter(-1, positions, rows).scatter_add(-1, positions, scans);
    let total = (written.square().sum() + x.norm() + x.topk(0, 1).0.sum() + x.min()).mean_over(plate);
    let mut outputs = tape.gradients(total, &[table, x]).unwrap();
    outputs.extend([total, written]);
    (vec![table, x], outputs)
}

fn values(shape: &[usize], seed: f64) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i as f64 + 1.3) * (seed + 0.7) * 12.9898).sin() * 1.4)
}

#[test]
fn programs_reuse_their_buffers_and_repeat_the_bits_on_any_number_of_threads() {
    let members = 3001;
    let inputs = |seed: f64| [values(&[4, 5], seed), values(&[members, 3, 7], seed + 1.0)];
    let fresh = Tape::<f64>::new();
    let (_, expected) = many(&fresh, &inputs(8.0), members);
    let bits = |tensor: &Tensor<f64>| -> Vec<u64> { tensor.as_slice().iter().map(|x| x.to_bits()).collect() };
    for threads in [1, 2, 8] {
        let tape = Tape::<f64>::with_threads(threads);
        let (leaves, outputs) = many(&tape, &inputs(1.0), members);
        let mut program = tape.compile(&leaves, &outputs).unwrap();
        let mut run = |seed: f64| {
            let before = program.pool().statistics();
            inputs(seed).iter().enumerate().for_each(|(at, input)| program.set(at, input).unwrap());
            program.run(NoiseSeed::default()).unwrap();
            let after = program.pool().statistics();
            (after.taken - before.taken) - (after.reused - before.reused)
        };
        run(2.0);
        run(3.0);
        assert_eq!([run(4.0), run(8.0)], [0, 0], "buffers that were allocated, {threads} threads");
        for (at, expected) in expected.iter().enumerate() {
            let expected = expected.inspect().unwrap();
            assert_eq!(bits(program.output(at).unwrap()), bits(&expected), "output {at}, {threads} threads");
        }
    }
}
