//! The statistical test on cases with known answers.

mod methods;

use approx::assert_abs_diff_eq;
use methods::{Baseline, Pathwise, Score, number};
use stochgrad_check::{CheckError, Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Gamma, Normal};
use stochgrad_graph::{Graph, GraphError, GraphResult, SamplePlate};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::random::Key;

/// Two independent bits with different weights in the cost.
fn two_bits(graph: &Graph<'_, f64>, method: &Score) -> GraphResult<()> {
    let p = graph.param("p", [0.3, 0.6])?;
    let x = graph.sample("x", &Bernoulli::from_probabilities(p), method)?;
    graph.cost("cost", (x.index(0, 0) - 2.0 * x.index(0, 1) + 0.5).square())
}

#[test]
fn an_unbiased_method_passes_and_has_the_variance_of_the_oracle() {
    for method in [Score::plain(), Score::leave_one_out(3)] {
        let model = |graph: &Graph<'_, f64>| two_bits(graph, &method);
        let exact = Oracle::new().exact_gradient(model).expect("two bits");
        let report = StatisticalTest::new().check(model, &exact).expect("an unbiased method");
        assert_eq!(report.distances().len(), 2);
        assert!(report.largest() > 0.0 && report.largest() < 4.0);
        let variance = Oracle::new().gradient(model).expect("two bits").variance("p").expect("p").clone();
        let report =
            StatisticalTest::new().check_variance(model, &[("p", variance.clone())], 0.05).expect("the exact variance");
        assert!(report.largest() > 0.0);
        let wrong = variance.map(|v| 1.2 * v);
        let error = StatisticalTest::new().check_variance(model, &[("p", wrong)], 0.05).expect_err("another variance");
        assert!(matches!(error, CheckError::Variance { .. }) && error.to_string().contains("element 0"), "{error}");
    }
}

#[test]
fn a_biased_method_fails() {
    let wrong = Score::leave_one_out(3).with_baseline(Baseline::MeanOfAll);
    let model = |graph: &Graph<'_, f64>| two_bits(graph, &wrong);
    let exact = Oracle::new().exact_gradient(model).expect("two bits");
    let error = StatisticalTest::new().check(model, &exact).expect_err("a biased method");
    assert!(matches!(error, CheckError::Mean { tested: 2, .. }), "{error}");
}

#[test]
fn biases_that_cancel_in_the_average_are_detected() {
    let noise = |run: u64| {
        let mut u = [0.0; 2];
        Key::new(3, run, 0).uniform(0, &mut u);
        vec![u[0] + 0.05, u[1] - 0.05]
    };
    let error = StatisticalTest::new().runs(5000).check_values(noise, &[0.5, 0.5]).expect_err("two biases");
    assert!(matches!(error, CheckError::Mean { rejected: 2, tested: 2, .. }), "{error}");
}

#[test]
fn many_elements_have_a_larger_threshold() {
    // Of 1000 unbiased elements, one is likely to be more than three standard errors off.
    let noise = |run: u64| {
        let mut u = vec![0.0; 1000];
        Key::new(11, run, 0).normal(0, &mut u);
        u
    };
    let test = StatisticalTest::new().runs(400);
    let report = test.clone().threshold(2.0).check_values(noise, &[0.0; 1000]).expect("unbiased elements");
    assert!(report.largest() > 2.5 && report.largest() < 5.0, "{report}");
    let moments = test.sample(noise).expect("numbers");
    assert_eq!(&moments, report.moments());
    assert_abs_diff_eq!(moments.variance.iter().sum::<f64>() / 1000.0, 1.0, epsilon = 0.01);
}

#[test]
fn a_constant_must_match_to_rounding() {
    let test = StatisticalTest::new().runs(3);
    let third = |_: u64| vec![0.1 + 0.2];
    test.check_values(third, &[0.3]).expect("equal to rounding");
    assert!(matches!(test.check_values(third, &[0.300_000_01]), Err(CheckError::Mean { .. })));
    let pathwise = |graph: &Graph<'_, f64>| {
        let m = graph.param("m", 0.5)?;
        let x = graph.sample("x", &Normal::new(m, 1.0), &Pathwise)?;
        graph.cost("cost", 3.0 * x)
    };
    test.check(pathwise, &[("m", number(3.0))]).expect("a constant gradient");
    test.check_variance(pathwise, &[("m", number(0.0))], 0.1).expect("no variance");
}

#[test]
fn samplers_by_rejection_are_tested() {
    let model = |graph: &Graph<'_, f64>| {
        let a = graph.param("a", 2.0)?;
        let x = graph.sample("x", &Gamma::new(a, 1.0), &Score { plate: SamplePlate::New(4), ..Score::plain() })?;
        graph.cost("cost", x)
    };
    StatisticalTest::new().runs(4000).check(model, &[("a", number(1.0))]).expect("d/da E[x] = 1");
    assert!(StatisticalTest::new().runs(4000).check(model, &[("a", number(1.2))]).is_err());
}

#[test]
fn what_cannot_be_tested_is_an_error() {
    let test = StatisticalTest::new().runs(10);
    let not_a_number = |run: u64| vec![if run == 7 { f64::NAN } else { 0.0 }];
    match test.check_values(not_a_number, &[0.0]) {
        Err(error @ CheckError::NotFinite { .. }) => assert!(error.to_string().contains("run 7"), "{error}"),
        other => panic!("expected an error, got {other:?}"),
    }
    assert!(matches!(test.check_values(|_| vec![0.0], &[0.0, 1.0]), Err(CheckError::Runs { .. })));
    assert!(matches!(test.check_values(|run| vec![0.0; 1 + run as usize % 2], &[0.0]), Err(CheckError::Runs { .. })));
    assert!(matches!(test.clone().runs(1).check_values(|_| vec![0.0], &[0.0]), Err(CheckError::Setting { .. })));
    let model = |graph: &Graph<'_, f64>| two_bits(graph, &Score::plain());
    assert!(matches!(test.check(model, &[("q", number(0.0))]), Err(CheckError::Graph(GraphError::Unknown { .. }))));
    assert!(matches!(test.check(model, &[("p", Tensor::zeros([3]))]), Err(CheckError::Runs { .. })));
}
