//! Operations at the edge of their domain: ties, axes that do not exist, and invalid positions.

use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Tensor};

fn slope(function: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>, x: &[f64]) -> Vec<f64> {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(x);
    let y = function(x).sum();
    let [plain] = tape.backward(y, [x]).unwrap();
    let [recorded] = tape.grad(y, [x]).unwrap();
    let mut program = tape.compile(&[x], &[recorded]).unwrap();
    program.set(0, &x.inspect().unwrap()).unwrap();
    program.run(Default::default()).unwrap();
    assert_eq!(program.output(0).unwrap(), &plain);
    plain.to_vec()
}

#[test]
fn ties_share_the_derivative() {
    let x = [-1.0, 0.0, 2.0];
    fn zeros(x: Var<'_, f64>) -> Var<'_, f64> {
        x.tape().constant([0.0; 3])
    }
    assert_eq!(slope(|x| x.maximum(zeros(x)) + x.minimum(zeros(x)), &x), [1.0; 3]);
    assert_eq!(slope(|x| x.maximum(zeros(x)), &x), [0.0, 0.5, 1.0]);
    assert_eq!(slope(|x| x.minimum(zeros(x)), &x), [1.0, 0.5, 0.0]);
    assert_eq!(slope(|x| zeros(x).maximum(x), &x), [0.0, 0.5, 1.0]);
    assert_eq!(slope(|x| zeros(x).minimum(x), &x), [1.0, 0.5, 0.0]);
    assert_eq!(slope(|x| x.maximum(x), &x), [1.0; 3]);
}

#[test]
fn ties_with_a_number_have_half_of_the_slope() {
    use stochgrad_tensor::map::Map;
    let x = [-1.0, 0.5, 2.0];
    assert_eq!(slope(|x| x.map(Map::MaxScalar(0.5)), &x), [0.0, 0.5, 1.0]);
    assert_eq!(slope(|x| x.map(Map::MinScalar(0.5)), &x), [1.0, 0.5, 0.0]);
    assert_eq!(slope(|x| x.map(Map::MaxScalar(0.5)) + x.map(Map::MinScalar(0.5)), &x), [1.0; 3]);
}

type Make = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

#[test]
fn axes_are_named_as_they_were_given() {
    let cases: [(&str, Make); 14] = [
        ("sum_axis", |x| x.sum_axis(-7)),
        ("mean_axis", |x| x.mean_axis(-7)),
        ("max_axis", |x| x.max_axis(-7)),
        ("logsumexp", |x| x.logsumexp(-7)),
        ("softmax", |x| x.softmax(-7)),
        ("log_softmax", |x| x.log_softmax(-7)),
        ("cumsum", |x| x.cumsum(-7)),
        ("argmax", |x| x.argmax(-7)),
        ("slice", |x| x.slice(-7, 0..1)),
        ("index", |x| x.index(-7, 0)),
        ("index_select", |x| x.index_select(-7, &[0])),
        ("gather", |x| x.gather(-7, x)),
        ("unsqueeze", |x| x.unsqueeze(-7)),
        ("concat", |x| Var::concat(&[x, x], -7).unwrap()),
    ];
    for (name, make) in cases {
        let tape = Tape::<f64>::new();
        let line = make(tape.constant([[1.0, 2.0], [3.0, 4.0]]));
        let error = line.value().unwrap_err().to_string();
        assert!(error.starts_with(name) && error.contains("got axis -7"), "{error}");
        assert!(error.contains("operands.rs") && error.contains("shape [2, 2]"), "{error}");
    }
    let tape = Tape::<f64>::new();
    let error = tape.constant(1.0).sum_axis(0).value().unwrap_err().to_string();
    assert!(error.contains("there are no event axes"), "{error}");
    assert!(Tape::<f64>::new().constant([1.0]).unsqueeze(5).value().is_err());
    let tape = Tape::<f64>::new();
    assert_eq!(tape.constant([1.0, 2.0]).unsqueeze(-1).shape(), [2, 1].into());
    assert_eq!(tape.constant([1.0, 2.0]).unsqueeze(-2).shape(), [1, 2].into());
    assert!(tape.check().is_ok());
}

#[test]
fn a_range_that_ends_before_it_starts_is_refused() {
    let tape = Tape::<f64>::new();
    #[allow(clippy::reversed_empty_ranges)]
    let error = tape.constant([1.0, 2.0, 3.0]).slice(0, 2..1).value().unwrap_err().to_string();
    assert!(error.contains("2..1"), "{error}");
    let tape = Tape::<f64>::new();
    assert_eq!(tape.constant([1.0, 2.0]).slice(0, 1..1).shape(), [0].into());
    assert!(tape.check().is_ok());
}

#[test]
fn there_is_no_largest_element_of_none() {
    let none: [Make; 2] = [|x| x.max(), |x| x.max_axis(1)];
    for make in none {
        let tape = Tape::<f64>::new();
        let error = make(tape.constant(Tensor::zeros([2, 0]))).value().unwrap_err().to_string();
        assert!(error.contains("at least one element"), "{error}");
    }
    let tape = Tape::<f64>::new();
    assert_eq!(tape.constant(Tensor::zeros([2, 0])).max_axis(0).shape(), [0].into());
    assert!(tape.check().is_ok());
}

#[test]
fn invalid_positions_are_errors_in_programs_too() {
    for bad in [5.0, 1.5, f64::NAN, -1.0, 3.0] {
        let tape = Tape::<f64>::new();
        let error = tape.constant(bad).one_hot(3).value().unwrap_err().to_string();
        assert!(error.contains("integer positions below 3"), "{error}");
        let tape = Tape::<f64>::new();
        let x = tape.constant([0.0, 2.0]);
        let mut program = tape.compile(&[x], &[x.one_hot(3)]).unwrap();
        program.set(0, &Tensor::from([bad, 1.0])).unwrap();
        let error = program.run(Default::default()).unwrap_err().to_string();
        assert!(error.contains("integer positions below 3") && error.contains("operands.rs"), "{error}");
        program.set(0, &Tensor::from([0.0, 1.0])).unwrap();
        program.run(Default::default()).unwrap();
    }
}

#[test]
fn nothing_is_the_largest_beside_nan() {
    let tape = Tape::<f64>::new();
    let error = tape.constant([1.0, f64::NAN]).argmax(0).value().unwrap_err().to_string();
    assert!(error.contains("NaN"), "{error}");
    let tape = Tape::<f64>::new();
    let x = tape.constant([0.0, 2.0]);
    let mut program = tape.compile(&[x], &[x.argmax(0)]).unwrap();
    program.set(0, &Tensor::from([f64::NAN, 1.0])).unwrap();
    let error = program.run(Default::default()).unwrap_err().to_string();
    assert!(error.contains("NaN") && error.contains("operands.rs"), "{error}");
}

#[test]
fn literals_need_no_type_in_either_precision() {
    fn check<F: Real>(tape: &Tape<F>) {
        let x = tape.constant([3.0]);
        let y = ((x + 1.0).square() - 1.0).sqrt() / (2.0 * x - 1.0).exp() * (1.0 - x).abs() + (4.0 / x).ln();
        let expected = 15f64.sqrt() / 5f64.exp() * 2.0 + (4f64 / 3.0).ln();
        assert!((y.item().unwrap().to_f64() - expected).abs() < 1e-6);
    }
    check(&Tape::<f32>::new());
    check(&Tape::<f64>::new());
    let tape = Tape::<f32>::new();
    let (x, number) = (tape.constant([3.0]), 0.25_f32);
    let y = (x + 1.0).square() * number + (1.0 - x).square() - number;
    assert_eq!((x / number - y).sum().item().unwrap(), 12.0 - 7.75);
    // Numbers of single precision can be combined with a variable of double precision.
    let x = Tape::<f64>::new();
    assert_eq!((x.constant([3.0]) * number).item().unwrap(), 0.75);
}

#[test]
fn a_tape_knows_that_a_graph_was_begun() {
    let mut workspace = stochgrad_tape::Workspace::<f64>::new();
    for _ in 0..2 {
        let tape = workspace.tape();
        assert!(tape.begin_graph());
        assert!(!tape.begin_graph());
    }
}
