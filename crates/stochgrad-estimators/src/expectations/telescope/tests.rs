//! Telescopes of numbers and of graphs.

use super::*;
use crate::expectations::antithetic_difference::antithetic_difference;
use crate::expectations::testing::{TwoValues, assert_close};
use crate::score_function::ScoreFunction;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::Bernoulli;
use stochgrad_graph::{Bias, GraphError};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

/// $\Delta_n = a r^n$ with the cost $c^n$, so many levels that the rest is below the rounding.
fn geometric_terms(a: f64, r: f64, c: f64) -> Vec<LevelStatistics> {
    let term = |n: i32| a * r.powi(n);
    (0..120).map(|n| LevelStatistics::new(term(n), term(n) * term(n), c.powi(n))).collect()
}

/// The levels of the known optima.
fn five_levels() -> Vec<LevelStatistics> {
    let (means, squares) = ([1.0, 0.5, 0.2, 0.08, 0.03], [1.5, 0.4, 0.1, 0.02, 0.004]);
    let costs = [1.0, 2.0, 4.0, 8.0, 16.0];
    (0..5).map(|level| LevelStatistics::new(means[level], squares[level], costs[level])).collect()
}

#[test]
fn geometric_series_have_their_known_moments() {
    let cases = [
        ([1.0, 0.5, 0.4, 2.0], 2.0, [0.444_444_444_4, 3.0], [4.0, 5.0]),
        ([2.0, -0.4, 0.3, 2.0], 1.428_571_429, [10.204_081_63, 1.75], [1.632_653_061, 2.5]),
        ([1.5, 0.25, 0.2, 4.0], 2.0, [0.090_909_090_91, 4.0], [1.454_545_455, 5.0]),
    ];
    for ([a, r, q, c], limit, single, roulette) in cases {
        let levels = geometric_terms(a, r, c);
        for (telescope, expected) in [
            (Telescope::single_term(Levels::geometric(q)), single),
            (Telescope::roulette(Levels::geometric(q)), roulette),
        ] {
            let TelescopeMoments { mean, variance, cost } = telescope.moments(&levels).unwrap();
            assert_close("mean", mean, limit, 1e-9);
            assert_close("variance", variance, expected[0], 1e-9);
            assert_close("cost", cost, expected[1], 1e-9);
        }
    }
}

#[test]
fn the_optima_are_the_known_ones() {
    let levels = five_levels();
    let single = Telescope::optimal_single_term(&levels).unwrap();
    let expected = [0.646_002_097_4, 0.235_886_614, 0.083_398_512_17, 0.026_372_925_19, 0.008_339_851_217];
    for (level, expected) in expected.into_iter().enumerate() {
        assert_close("p", single.levels().probability(level), expected, 1e-9);
    }
    let moments = single.moments(&levels).unwrap();
    assert_close("mean", moments.mean, 1.81, 1e-12);
    assert_close("variance", moments.variance, 3.178_644_368, 1e-9);
    assert_close("cost", moments.cost, 1.795_790_395, 1e-9);
    let roulette = Telescope::optimal_roulette(&levels).unwrap();
    let expected = [1.0, 0.337_315_951_7, 0.107_417_231_1, 0.031_521_258_6, 0.008_951_435_925];
    for (level, expected) in expected.into_iter().enumerate() {
        assert_close("Q", roulette.levels().survival(level), expected, 1e-9);
    }
    let moments = roulette.moments(&levels).unwrap();
    assert_close("variance", moments.variance, 4.522_944_879, 1e-9);
    assert_close("cost", moments.cost, 2.499_693_871, 1e-9);
}

#[test]
fn survival_probabilities_do_not_increase() {
    // The second level is so cheap that it alone would be reached more often than the first.
    let levels =
        [LevelStatistics::new(0.5, 0.5, 4.0), LevelStatistics::new(0.5, 0.9, 0.1), LevelStatistics::new(0.1, 0.1, 8.0)];
    let roulette = Telescope::optimal_roulette(&levels).unwrap();
    assert_close("Q", roulette.levels().survival(1), 1.0, 1e-12);
    let product = |telescope: &Telescope| {
        let moments = telescope.moments(&levels).unwrap();
        (moments.variance + moments.mean * moments.mean) * moments.cost
    };
    let best = product(&roulette);
    for (q1, q2) in [(0.95, 0.2), (0.9, 0.1), (1.0, 0.05), (1.0, 0.3), (0.99, 0.99)] {
        let other = Telescope::roulette(Levels::from_probabilities(&[1.0 - q1, q1 - q2, q2]));
        assert!(best <= product(&other) + 1e-12, "{q1} {q2}");
    }
}

#[test]
fn numbers_are_estimated_without_bias() {
    let limit = 1.5 / 0.75;
    for telescope in [Telescope::single_term(Levels::geometric(0.3)), Telescope::roulette(Levels::geometric(0.3))] {
        let estimate = |run: u64| {
            let term = |level: usize| Ok::<f64, GraphError>(1.5 * 0.25_f64.powi(level as i32));
            vec![telescope.estimate(Seed::new(9).step(run as usize), "level", term).unwrap()]
        };
        StatisticalTest::new().runs(4000).check_values(estimate, &[limit]).unwrap();
    }
}

/// ln E[X] to a last level, from antithetic differences.
fn logarithm(graph: &Graph<'_, f64>, case: TwoValues, telescope: &Telescope) -> GraphResult<()> {
    let theta = graph.param("theta", case.probability)?;
    let value = telescope.record(graph, "level", |level| {
        let plate = graph.plate(&format!("samples {level}"), 1 << level)?;
        let [first, second] = case.values;
        let bit = Bernoulli::from_probabilities(theta);
        let method = ScoreFunction::new().on_plate(plate);
        let x = graph.sample(("x", level), &bit, &method)? * (second - first) + first;
        antithetic_difference(x, plate, |mean| mean.ln())
    })?;
    graph.cost("cost", value)
}

#[test]
fn graphs_are_exact_at_every_order_and_have_their_moments() {
    let case = TwoValues::new(1.0, 3.0, 0.3);
    // E Δ and E Δ² of the levels, and the number of samples.
    let levels = [
        LevelStatistics::new(0.329_583_686_6, 0.362_084_69, 1.0),
        LevelStatistics::new(0.060_413_235_21, 0.008_689_902_4, 2.0),
        LevelStatistics::new(0.038_469_599_53, 0.003_283_890_7, 4.0),
    ];
    let q = Levels::geometric(0.35).at_most(2);
    for telescope in [
        Telescope::single_term(q.clone()),
        Telescope::roulette(q),
        Telescope::optimal_single_term(&levels).unwrap(),
        Telescope::optimal_roulette(&levels).unwrap(),
    ] {
        let model = |graph: &Graph<'_, f64>| logarithm(graph, case, &telescope);
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
        let (mean, variance) = Oracle::new().gradient(model).unwrap().cost("cost").unwrap();
        let expected = telescope.moments(&levels).unwrap();
        // The plug-in mean of four samples.
        assert_close("mean", mean, 0.428_466_521_3, 1e-9);
        assert_close("mean", mean, expected.mean, 1e-9);
        assert_close("variance", variance, expected.variance, 1e-7);
        let slope = Oracle::new().derivative(model, &[("theta", Tensor::scalar(1.0))], 1).unwrap();
        assert_close("derivative of the plug-in mean of four samples", slope.mean[0], 1.252_156_557, 1e-9);
    }
}

#[test]
fn probabilities_may_depend_on_what_is_known_before_the_level_is_drawn() {
    let model = |graph: &Graph<'_, f64>| {
        let theta = graph.param("theta", 0.3)?;
        let bit = |probability| Bernoulli::from_probabilities(probability);
        let method = ScoreFunction::new();
        let before = graph.sample("before", &bit(theta), &method)?;
        let continuation = if before.item()? > 0.5 { 0.7 } else { 0.2 };
        let telescope = Telescope::roulette(Levels::geometric(continuation).at_most(2));
        let value = telescope.record(graph, "level", |level| {
            let x = graph.sample(("x", level), &bit(theta * 0.5 + before * 0.2), &method)?;
            Ok((x + before) * 0.5_f64.powi(level as i32))
        })?;
        graph.cost("cost", value)
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    // Σ 2⁻ˡ (0.5 θ + 0.2 before + before), with E before = θ.
    let exact = Oracle::new().exact_cost(model).unwrap();
    assert_close("mean", exact, 1.75 * (0.5 * 0.3 + 1.2 * 0.3), 1e-12);
}

#[test]
fn without_a_last_level_graphs_estimate_the_limit() {
    let case = TwoValues::new(1.0, 3.0, 0.3);
    let telescope = Telescope::single_term(Levels::geometric(0.35));
    let model = |graph: &Graph<'_, f64>| logarithm(graph, case, &telescope);
    let test = StatisticalTest::new().runs(3000);
    test.check(model, &[("theta", Tensor::scalar(1.25))]).unwrap();
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    model(&graph).unwrap();
    assert_eq!(graph.backward().unwrap().guarantee("theta").unwrap().bias, Bias::Unbiased);
    let values = |run: u64| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(13).step(run as usize));
        model(&graph).unwrap();
        vec![graph.backward().unwrap().total()]
    };
    test.check_values(values, &[0.470_003_629_2]).unwrap();
}

#[test]
fn levels_without_a_probability_and_wrong_statistics_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let hole = Levels::from_probabilities(&[0.5, 0.0, 0.5]);
    let one = |_: usize| Ok(graph.constant(1.0));
    let message = Telescope::single_term(hole.clone()).record(&graph, "n", one).unwrap_err().to_string();
    assert!(message.contains("objective \"n\"") && message.contains("got 0 for level 1"), "{message}");
    assert!(Telescope::roulette(hole).record(&graph, "n", one).is_ok());
    let message = Telescope::roulette(Levels::geometric(0.0)).record(&graph, "m", one).unwrap_err().to_string();
    assert!(message.contains("in (0, 1), got 0"), "{message}");
    let message = Telescope::optimal_single_term(&[]).unwrap_err().to_string();
    assert!(message.contains("at least one level, got none"), "{message}");
    let level = |mean_square, cost| [LevelStatistics::new(0.1, mean_square, cost)];
    let message = Telescope::optimal_roulette(&level(f64::NAN, 1.0)).unwrap_err().to_string();
    assert!(message.contains("mean square NaN") && message.contains("at level 0"), "{message}");
    assert!(Telescope::optimal_roulette(&level(1.0, 0.0)).is_err());
    let zero = [LevelStatistics::new(1.0, 1.0, 1.0), LevelStatistics::new(0.0, 0.0, 1.0)];
    let message = Telescope::optimal_single_term(&zero).unwrap_err().to_string();
    assert!(message.contains("got 0 at level 1"), "{message}");
    assert!(Telescope::optimal_roulette(&zero).is_err());
    let two = Telescope::roulette(Levels::from_probabilities(&[0.5, 0.5]));
    let message = two.moments(&five_levels()).unwrap_err().to_string();
    assert!(message.contains("at most 2 levels, which the estimator reaches, got 5"), "{message}");
}
