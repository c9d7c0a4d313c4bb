//! Series with a random and with a fixed number of samples.

use super::*;
use crate::expectations::levels::Levels;
use crate::expectations::testing::{TwoValues, assert_close};
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use crate::testing::models::assert_model_compiled;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Categorical, Normal};
use stochgrad_graph::{Bias, Order, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

const FIRST: TwoValues = TwoValues::new(0.2, 1.5, 0.4);
const SECOND: TwoValues = TwoValues::new(-0.5, 1.0, 0.3);

fn poisson(rate: f64) -> Telescope {
    Telescope::single_term(Levels::poisson(rate))
}

fn roulette(continuation: f64) -> Telescope {
    Telescope::roulette(Levels::geometric(continuation))
}

#[test]
fn the_exponential_has_its_known_variances() {
    // The variance and, for the roulette, the expected number of draws.
    let cases = [
        (FIRST, poisson(1.0), 2.627_601_127, 1.0),
        (FIRST, poisson(0.961_249_187_3), 2.617_325_267, 0.961_249_187_3),
        (FIRST, roulette(0.6), 2.953_565_191, 1.5),
        (SECOND, poisson(0.8), 3.125_096_587, 0.8),
        (SECOND, poisson(0.689_202_437_6), 3.063_728_8, 0.689_202_437_6),
        (SECOND, roulette(0.5), 1.143_767_319, 1.0),
    ];
    for (case, telescope, variance, draws) in cases {
        let found = MeanSeries::exp(0.0).moments(&telescope, case.mean(), case.moment(2)).unwrap();
        assert_close("mean", found.mean, case.mean().exp(), 1e-12);
        assert_close("variance", found.variance, variance, 1e-9);
        assert_close("draws", found.cost, draws, 1e-12);
    }
}

#[test]
fn the_best_rate_is_the_root_of_the_mean_square() {
    for (case, expected) in [(FIRST, 0.961_249_187_3), (SECOND, 0.689_202_437_6)] {
        let best = case.moment(2).sqrt();
        assert_close("rate", best, expected, 1e-10);
        let variance =
            |rate: f64| MeanSeries::exp(0.0).moments(&poisson(rate), case.mean(), case.moment(2)).unwrap().variance;
        assert!(variance(best) < variance(best * 1.01) && variance(best) < variance(best * 0.99));
    }
}

/// The model of a series of two values.
fn model(
    case: TwoValues,
    series: MeanSeries,
    telescope: Telescope,
) -> impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()> {
    move |graph| {
        let theta = graph.param("theta", case.probability)?;
        let value = series.record(graph, "degree", &telescope, |plate| case.draw(graph, theta, plate))?;
        graph.cost("cost", value)
    }
}

#[test]
fn series_to_a_last_degree_are_exact_at_every_order_and_have_their_variance() {
    for (case, series) in [
        (FIRST, MeanSeries::exp(0.0)),
        (SECOND, MeanSeries::exp(0.3)),
        (FIRST, MeanSeries::ln(0.9)),
        (FIRST, MeanSeries::recip(1.1)),
    ] {
        for telescope in [
            Telescope::single_term(Levels::poisson(0.9).at_most(5)),
            Telescope::roulette(Levels::geometric(0.55).at_most(5)),
            Telescope::roulette(Levels::from_probabilities(&[0.3, 0.0, 0.2, 0.1, 0.0, 0.4])),
        ] {
            let model = model(case, series, telescope.clone());
            Oracle::new().verify(&model, 0..=2, 1e-9).unwrap();
            let expected = series.moments(&telescope, case.mean(), case.moment(2)).unwrap();
            let (mean, variance) = Oracle::new().gradient(&model).unwrap().cost("cost").unwrap();
            assert_close("mean", mean, expected.mean, 1e-10);
            assert_close("variance", variance, expected.variance, 1e-9);
            let polynomial: f64 =
                (0..=5).map(|k| series.coefficient(k) * (case.mean() - series.center).powi(k as i32)).sum();
            assert_close("polynomial", mean, polynomial, 1e-12);
        }
    }
}

#[test]
fn the_exponential_and_its_derivatives_are_exact_up_to_the_rest_of_the_series() {
    // e^m with m linear in θ: the derivatives are e^m times the powers of the difference of the values.
    for telescope in [
        Telescope::single_term(Levels::poisson(1.0).at_most(10)),
        Telescope::roulette(Levels::geometric(0.6).at_most(10)),
    ] {
        let model = model(FIRST, MeanSeries::exp(0.0), telescope);
        for (order, expected) in (0..=2).map(|order| (order, 2.054_433_211 * 1.3_f64.powi(order as i32))) {
            let found = Oracle::new().derivative(&model, &[("theta", Tensor::scalar(1.0))], order).unwrap();
            // The rest of the second derivative is m⁹/9! at most.
            assert_close(&format!("order {order}"), found.mean[0], expected, 2e-7);
        }
    }
}

#[test]
fn without_a_last_degree_the_estimates_are_unbiased() {
    for (case, telescope) in [(FIRST, poisson(1.0)), (SECOND, roulette(0.5))] {
        let exact = case.mean().exp();
        let slope = (case.values[1] - case.values[0]) * exact;
        let model = model(case, MeanSeries::exp(0.0), telescope);
        let test = StatisticalTest::new().runs(4000);
        test.check(&model, &[("theta", Tensor::scalar(slope))]).unwrap();
        let mut workspace = stochgrad_tape::Workspace::new();
        let values = |run: u64| {
            let graph = Graph::new(workspace.tape(), Seed::new(11).step(run as usize));
            model(&graph).unwrap();
            vec![graph.backward().unwrap().total()]
        };
        test.check_values(values, &[exact]).unwrap();
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        model(&graph).unwrap();
        let guarantee = graph.backward().unwrap().guarantee("theta").unwrap();
        assert_eq!((guarantee.bias, guarantee.order), (Bias::Unbiased, Order::Any));
    }
}

#[test]
fn logarithms_and_reciprocals_converge_to_the_function() {
    // |m − c| < c, and (m − c)² below the probability to go on.
    let case = TwoValues::new(1.0, 3.0, 0.3);
    for (series, exact) in [(MeanSeries::ln(1.8), 0.470_003_629_2), (MeanSeries::recip(1.8), 0.625)] {
        let moments = series.moments(&roulette(0.7), case.mean(), case.moment(2)).unwrap();
        assert_close(series.name, moments.mean, exact, 1e-9);
        assert!(moments.variance.is_finite() && moments.variance > 0.0);
    }
    // A series whose second moment does not exist.
    let moments = MeanSeries::recip(1.8).moments(&roulette(0.2), case.mean(), case.moment(2)).unwrap();
    assert_eq!(moments.variance, f64::INFINITY);
}

#[test]
fn a_lower_centre_costs_more_draws_and_has_a_lower_variance() {
    let mut before = f64::INFINITY;
    for center in [0.7, 0.0, -1.0, -4.0_f64] {
        let root = (FIRST.moment(2) - 2.0 * center * FIRST.mean() + center * center).sqrt();
        let found = MeanSeries::exp(center).moments(&poisson(root), FIRST.mean(), FIRST.moment(2)).unwrap();
        let expected = (2.0 * (center + root)).exp() - (2.0 * FIRST.mean()).exp();
        assert_close("variance", found.variance, expected, 1e-9);
        assert_close("draws", found.cost, root, 1e-12);
        assert!(found.variance < before);
        before = found.variance;
    }
}

#[test]
fn nested_expectations_share_the_degree() {
    // E exp(2 E[Y | x]), by the series around 1 up to the degree 7: the rest is below e/8!.
    let telescope = Telescope::single_term(Levels::poisson(1.1).at_most(7));
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.7)?;
        let logits = t * graph.constant([0.0, 1.0, -1.0]);
        let x = graph.sample("x", &Categorical::from_logits(logits), &ScoreFunction::new())?;
        let value = MeanSeries::exp(1.0).record(graph, "degree", &telescope, |plate| {
            let below = Bernoulli::from_logits(x * t - 0.5);
            Ok(graph.sample("y", &below, &ScoreFunction::new().on_plate(plate))? * 2.0)
        })?;
        graph.cost("cost", value)
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    let moments = Oracle::new().gradient(model).unwrap();
    assert_close("value", moments.total(), 2.915_321_012, 1e-5);
    assert_close("derivative", moments.mean("t").unwrap().item().unwrap(), 1.211_282_067, 1e-4);
}

#[test]
fn a_fixed_number_of_samples_gives_the_taylor_polynomial_and_says_so() {
    let series = MeanSeries::exp(0.6);
    let model =
        |graph: &Graph<'_, f64>| FIRST.record(graph, 6, |graph, x, plate| series.record_up_to(graph, x, plate, 6));
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    let (mean, variance) = Oracle::new().gradient(model).unwrap().cost("cost").unwrap();
    assert_close("mean", mean, 2.054_433_211, 1e-9);
    // All six draws, where the random degree took fewer than one on average.
    assert!(variance < 0.4, "{variance}");
    assert_model_compiled("series", &[("theta", Tensor::scalar(0.4))], model);
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    model(&graph).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.guarantee("theta").unwrap().bias, Bias::Cost);
    let reasons = gradients.reasons("theta").unwrap().join("; ");
    assert!(reasons.contains("the series of exp around 0.6 ends with the degree 6"), "{reasons}");
}

#[test]
fn a_last_degree_is_a_bias_that_the_guarantee_states() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let always = Telescope::single_term(Levels::from_probabilities(&[1e-12, 1.0 - 1e-12]));
    model(FIRST, MeanSeries::exp(0.0), always)(&graph).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.guarantee("theta").unwrap().bias, Bias::Cost);
}

#[test]
fn sample_paths_and_vectors_are_exact() {
    let model = |graph: &Graph<'_, f64>| {
        let location = graph.param("location", [0.3, -0.4])?;
        let telescope = Telescope::roulette(Levels::geometric(0.5).at_most(2));
        let value = MeanSeries::exp(0.1).record(graph, "degree", &telescope, |plate| {
            graph.sample("x", &Normal::new(location, 0.8), &Pathwise::new().on_plate(plate))
        })?;
        graph.cost("cost", (value * graph.constant([1.0, 2.0])).sum())
    };
    Oracle::new().nodes(3).verify(model, 0..=2, 1e-9).unwrap();
}

#[test]
fn the_degree_is_read_by_host_code_so_that_the_graph_is_not_compiled() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    model(FIRST, MeanSeries::exp(0.0), poisson(1.0))(&graph).unwrap();
    let error = graph.compile().unwrap_err();
    assert!(error.is_host_code(), "{error}");
}

#[test]
fn samples_that_are_no_independent_draws_and_wrong_series_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let theta = graph.param("theta", 0.4).unwrap();
    let two = Telescope::roulette(Levels::from_probabilities(&[1e-12, 1e-12, 1.0 - 2e-12]));
    let message = MeanSeries::exp(0.0)
        .record(&graph, "first", &two, |plate| {
            let x = FIRST.draw(&graph, theta, plate)?;
            Ok(x - x.mean_over(plate))
        })
        .unwrap_err()
        .to_string();
    assert!(message.contains("objective \"first\"") && message.contains("depend on one another"), "{message}");
    let message = MeanSeries::exp(0.0).record(&graph, "second", &two, |_| Ok(theta)).unwrap_err().to_string();
    assert!(message.contains("along plate \"second members\", got one without it"), "{message}");
    let plate = graph.plate("other", 2).unwrap();
    let bit = Bernoulli::from_probabilities(theta);
    let other = graph.sample("other", &bit, &ScoreFunction::new().on_plate(plate)).unwrap();
    let message = MeanSeries::exp(0.0).record(&graph, "third", &two, |_| Ok(other)).unwrap_err().to_string();
    assert!(message.contains("along plate \"third members\", got one without it"), "{message}");
    let message = MeanSeries::ln(-1.0).record(&graph, "fourth", &two, |_| Ok(other)).unwrap_err().to_string();
    assert!(message.contains("a centre at which ln has a power series, got -1"), "{message}");
    let message = MeanSeries::exp(0.0).record_up_to(&graph, other, plate, 3).unwrap_err().to_string();
    assert!(message.contains("at least 3 members along plate \"other\", got 2"), "{message}");
}
