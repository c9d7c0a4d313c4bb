//! Checks of sampling schemes with gradient methods: exactness at every order, and the reduction of the variance.

use crate::counterfactual::measure_valued::MeasureValued;
use crate::pathwise::Pathwise;
use crate::relaxation::gumbel_softmax::GumbelSoftmax;
use crate::relaxation::reinmax::ReinMax;
use crate::relaxation::straight_through::StraightThrough;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::{Constant, LeaveOneOut, Vimco};
use crate::testing::models::{self, BitMethod};
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{
    Bernoulli, Exponential, Id, Laplace, MultivariateNormal, Normal, OneHotCategorical, Poisson, Uniform,
};
use stochgrad_graph::{DynMethod, Graph, GraphError, GraphResult, Method, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

pub(super) const SCHEMES: [SamplingScheme; 4] = [
    SamplingScheme::Antithetic,
    SamplingScheme::Stratified,
    SamplingScheme::Systematic,
    SamplingScheme::Sobol { first: 0 },
];

fn with_scheme(scheme: SamplingScheme, samples: usize) -> BitMethod {
    Arc::new(ScoreFunction::new().samples(samples).scheme(scheme))
}

#[test]
fn the_score_function_is_exact_at_every_order() {
    for scheme in SCHEMES {
        let two = with_scheme(scheme, 2);
        let model = |graph: &Graph<'_, f64>| models::chain(graph, &two, &two);
        Oracle::new().verify(model, 0..=3, 1e-9).unwrap_or_else(|error| panic!("{scheme}: {error}"));
        let with_baseline: BitMethod = Arc::new(ScoreFunction::new().samples(3).scheme(scheme).baseline(Constant(1.3)));
        let single: BitMethod = Arc::new(ScoreFunction::new());
        let model = |graph: &Graph<'_, f64>| models::chain(graph, &with_baseline, &single);
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap_or_else(|error| panic!("{scheme}, baseline: {error}"));
    }
}

#[test]
fn every_shape_of_graph_is_unbiased_and_so_are_replays() {
    let single: BitMethod = Arc::new(ScoreFunction::new());
    let weak: BitMethod = Arc::new(MeasureValued::new());
    for scheme in SCHEMES {
        let two = with_scheme(scheme, 2);
        models::assert_unbiased([&two, &single, &two]);
        models::assert_unbiased([&weak, &two, &single]);
    }
}

#[test]
fn several_elements_and_categories_are_exact() {
    for scheme in SCHEMES {
        let method = ScoreFunction::new().samples(2).scheme(scheme);
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.3, -1.0, 0.5], [0.0, 0.2, 0.9]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
            graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).exp() * y.index(0, 1))
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap_or_else(|error| panic!("{scheme}: {error}"));
    }
}

#[test]
fn nodes_may_share_a_plate_with_a_scheme() {
    for scheme in SCHEMES {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.4])?;
            let plate = graph.scheme_plate("samples", 2)?;
            let second = if scheme == SamplingScheme::sobol() { SamplingScheme::Sobol { first: 1 } } else { scheme };
            let x = graph.sample(
                "x",
                &Bernoulli::from_logits(t.index(0, 0)),
                &ScoreFunction::new().on_plate(plate).scheme(scheme),
            )?;
            let y = graph.sample(
                "y",
                &Bernoulli::from_logits(t.index(0, 1) + x * 0.7),
                &ScoreFunction::new().on_plate(plate).scheme(second),
            )?;
            // A node along the plate without a scheme, whose members are independent.
            let z = graph.sample("z", &Bernoulli::from_logits(t.sum()), &ScoreFunction::new().on_plate(plate))?;
            graph.cost("cost", (x - y * 2.0 + z * 0.3).square())
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap_or_else(|error| panic!("{scheme}: {error}"));
    }
}

#[test]
fn paths_are_exact() {
    for scheme in SCHEMES {
        let method = Pathwise::new().samples(2).scheme(scheme);
        let model = |graph: &Graph<'_, f64>| {
            let ends = graph.param("ends", [-0.3, 2.0])?;
            let x = graph.sample("x", &Uniform::new(ends.index(0, 0), ends.index(0, 1)), &method)?;
            let y = graph.sample("y", &Uniform::new(x - 1.0, ends.index(0, 1) + 2.5), &Pathwise::new())?;
            graph.cost("cost", (x * y - ends.index(0, 0)).square())
        };
        Oracle::new().nodes(4).verify(model, 0..=2, 1e-9).unwrap_or_else(|error| panic!("{scheme}: {error}"));
    }
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", [0.5, 1.2])?;
        let method = Pathwise::new().samples(3).scheme(SamplingScheme::Antithetic);
        let x = graph.sample("x", &Normal::new(t.index(0, 0), t.index(0, 1)), &method)?;
        graph.cost("cost", x.square() * x)
    };
    Oracle::new().nodes(4).verify(model, 0..=2, 1e-9).unwrap();
}

/// The variance of the score function on one bit, with a cost for which f times the score is `low` or `high`.
fn variance_of_one_bit(method: &BitMethod, p: f64) -> f64 {
    let model = |graph: &Graph<'_, f64>| {
        let logit = graph.param("logit", (p / (1.0 - p)).ln())?;
        let b = graph.sample("b", &Bernoulli::from_logits(logit), method)?;
        graph.cost("cost", b + 1.0)
    };
    Oracle::new().gradient(model).unwrap().variance("logit").unwrap().item().unwrap()
}

#[test]
fn bits_vary_as_little_as_their_number_can() {
    for p in [0.1_f64, 0.45, 0.5, 0.7] {
        // f times the score is 2 (1 − p) or −p: the variance of the mean is that of the number of ones.
        let spread = (2.0 * (1.0 - p) + p).powi(2);
        for samples in [2, 3, 4] {
            let n = samples as f64;
            let fraction = (n * p).fract();
            let independent = spread * p * (1.0 - p) / n;
            let least = spread * fraction * (1.0 - fraction) / (n * n);
            for scheme in [SamplingScheme::Stratified, SamplingScheme::Systematic] {
                let found = variance_of_one_bit(&with_scheme(scheme, samples), p);
                assert!((found - least).abs() < 1e-12, "{scheme}, {samples} samples at {p}: {found}, not {least}");
                assert!(found < independent);
            }
            let plain = variance_of_one_bit(&(Arc::new(ScoreFunction::new().samples(samples)) as BitMethod), p);
            assert_abs_diff_eq!(plain, independent, epsilon = 1e-12);
        }
        for samples in [2, 4] {
            let q = p.min(1.0 - p);
            let pairs = samples as f64 / 2.0;
            let antithetic = spread * 2.0 * q * (1.0 - 2.0 * q) / (4.0 * pairs);
            let found = variance_of_one_bit(&with_scheme(SamplingScheme::Antithetic, samples), p);
            assert!((found - antithetic).abs() < 1e-12, "{samples} samples at {p}: {found}, not {antithetic}");
            let sobol = variance_of_one_bit(&with_scheme(SamplingScheme::sobol(), samples), p);
            let stratified = variance_of_one_bit(&with_scheme(SamplingScheme::Stratified, samples), p);
            assert!((sobol - stratified).abs() < 1e-12, "{samples} samples at {p}: {sobol}, not {stratified}");
        }
    }
}

/// The variance of the derivative with respect to the start of a uniform distribution, of a cost that is the sample
/// itself or its cube.
fn variance_of_power(cubic: bool, scheme: Option<SamplingScheme>, samples: usize) -> f64 {
    let model = |graph: &Graph<'_, f64>| {
        let start = graph.param("start", 0.0)?;
        let method = Pathwise::new().samples(samples);
        let method = scheme.map_or(method, |scheme| method.scheme(scheme));
        let x = graph.sample("x", &Uniform::new(start, start + 1.0), &method)?;
        graph.cost("cost", if cubic { x.square().square() * 0.25 } else { x.square() * 0.5 })
    };
    Oracle::new().nodes(4).gradient(model).unwrap().variance("start").unwrap().item().unwrap()
}

#[test]
fn linear_and_monotone_functions_have_their_known_variances() {
    let near = |found: f64, expected: f64| {
        assert_abs_diff_eq!(found, expected, epsilon = 1e-12);
    };
    for samples in [2, 3] {
        let n = samples as f64;
        near(variance_of_power(false, None, samples), 1.0 / (12.0 * n));
        near(variance_of_power(false, Some(SamplingScheme::Stratified), samples), 1.0 / (12.0 * n.powi(3)));
        near(variance_of_power(false, Some(SamplingScheme::Systematic), samples), 1.0 / (12.0 * n * n));
    }
    near(variance_of_power(false, Some(SamplingScheme::Antithetic), 2), 0.0);
    near(variance_of_power(false, Some(SamplingScheme::sobol()), 2), 1.0 / 96.0);
    let independent = variance_of_power(true, None, 2);
    for scheme in SCHEMES {
        let found = variance_of_power(true, Some(scheme), 2);
        assert!(found < 0.6 * independent, "{scheme}: {found}, {independent}");
    }
}

#[test]
fn even_functions_gain_nothing_from_pairs() {
    let variance = |scheme: Option<SamplingScheme>, cubic: bool| {
        let model = |graph: &Graph<'_, f64>| {
            let mu = graph.param("mu", 0.0)?;
            let method = Pathwise::new().samples(2);
            let method = scheme.map_or(method, |scheme| method.scheme(scheme));
            let x = graph.sample("x", &Normal::new(mu, 1.0), &method)?;
            graph.cost("cost", if cubic { x.square() * x } else { x.square() })
        };
        Oracle::new().nodes(5).gradient(model).unwrap().variance("mu").unwrap().item().unwrap()
    };
    // With respect to the location, 2x is odd and 3x² is even.
    assert_abs_diff_eq!(variance(None, false), 2.0, epsilon = 1e-10);
    assert!(variance(Some(SamplingScheme::Antithetic), false) < 1e-20);
    assert_abs_diff_eq!(variance(None, true), 9.0, epsilon = 1e-10);
    assert_abs_diff_eq!(variance(Some(SamplingScheme::Antithetic), true), 18.0, epsilon = 1e-10);
}

#[test]
fn sums_gain_in_every_element_and_interactions_little() {
    let variance = |scheme: Option<SamplingScheme>, product: bool| {
        let model = |graph: &Graph<'_, f64>| {
            let start = graph.param("start", 0.0)?;
            let method = Pathwise::new().samples(2);
            let method = scheme.map_or(method, |scheme| method.scheme(scheme));
            let ends = graph.constant([0.0, 0.0]);
            let u = graph.sample("u", &Uniform::new(ends, 1.0), &method)?;
            let (a, b) = (u.index(0, 0), u.index(0, 1));
            graph.cost("cost", (if product { (a - 0.5) * (b - 0.5) } else { a + b }) + start)
        };
        Oracle::new().nodes(2).gradient(model).unwrap().cost("cost").unwrap().1
    };
    let near = |found: f64, expected: f64| assert_abs_diff_eq!(found, expected, epsilon = 1e-12);
    near(variance(None, false), 2.0 / 24.0);
    near(variance(Some(SamplingScheme::Stratified), false), 2.0 / 96.0);
    near(variance(None, true), 1.0 / 288.0);
    // Latin hypercubes lose at most the factor n / (n − 1) (Owen 1997).
    assert!(variance(Some(SamplingScheme::Stratified), true) <= 2.0 / 288.0 + 1e-12);
}

#[test]
fn distributions_of_every_noise_have_the_right_gradients() {
    for scheme in SCHEMES {
        let model = |graph: &Graph<'_, f64>| {
            let [n, e, l, m] =
                [graph.param("n", 0.7)?, graph.param("e", 1.5)?, graph.param("l", 0.2)?, graph.param("m", 0.4)?];
            let path = Pathwise::new().samples(4).scheme(scheme);
            let x = graph.sample("x", &Normal::new(n, 1.0), &path)?;
            graph.cost("normal", x.square())?;
            let x = graph.sample("y", &Exponential::new(e), &path)?;
            graph.cost("exponential", x.square())?;
            let score = ScoreFunction::new().samples(4).scheme(scheme);
            let x = graph.sample("z", &Laplace::new(l, 1.0), &score)?;
            graph.cost("Laplace", x.square())?;
            let p = graph.param("p", 2.0)?;
            let x = graph.sample("counts", &Poisson::from_rate(p), &score)?;
            graph.cost("Poisson", x.square() * 0.1)?;
            let distribution = MultivariateNormal::new(m.broadcast_to([2]), graph.constant([[1.0, 0.0], [0.5, 0.8]]));
            let x = graph.sample("vector", &distribution, &path)?;
            graph.cost("multivariate", x.index(0, 0) * x.index(0, 1))
        };
        let exact = [("n", 1.4), ("e", -4.0 / 1.5_f64.powi(3)), ("l", 0.4), ("p", 0.5), ("m", 0.8)]
            .map(|(name, value)| (name, Tensor::scalar(value)));
        StatisticalTest::new().runs(1000).check(model, &exact).unwrap_or_else(|error| panic!("{scheme}: {error}"));
    }
}

#[test]
fn relaxations_keep_their_means_and_vary_less() {
    let methods = |scheme: Option<SamplingScheme>| -> [BitMethod; 3] {
        let soft = GumbelSoftmax::new(1.0).samples(2);
        let through = StraightThrough::new(1.0).samples(2);
        let reinmax = ReinMax::new(1.0).samples(2);
        match scheme {
            None => [Arc::new(soft), Arc::new(through), Arc::new(reinmax)],
            Some(scheme) => {
                [Arc::new(soft.scheme(scheme)), Arc::new(through.scheme(scheme)), Arc::new(reinmax.scheme(scheme))]
            }
        }
    };
    let moments = |method: &BitMethod| {
        let model = |graph: &Graph<'_, f64>| {
            let logit = graph.param("logit", 0.4)?;
            let b = graph.sample("b", &Bernoulli::from_logits(logit), method)?;
            graph.cost("cost", (b + 0.3).square())
        };
        let moments = Oracle::new().nodes(40).gradient(model).unwrap();
        (moments.mean("logit").unwrap().item().unwrap(), moments.variance("logit").unwrap().item().unwrap())
    };
    for scheme in [SamplingScheme::Antithetic, SamplingScheme::Stratified, SamplingScheme::Systematic] {
        for (plain, by_scheme) in methods(None).iter().zip(&methods(Some(scheme))) {
            let (plain, found) = (moments(plain), moments(by_scheme));
            assert!((plain.0 - found.0).abs() < 1e-6, "{}: {found:?}, {plain:?}", by_scheme.name());
            // The derivative of a relaxed value is large in the middle, so that mirrored pairs need not help there.
            let helps = scheme != SamplingScheme::Antithetic || !by_scheme.name().starts_with("Gumbel-softmax");
            assert!(!helps || found.1 < plain.1, "{}: {found:?}, {plain:?}", by_scheme.name());
        }
    }
}

#[test]
fn what_looks_at_several_members_is_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let distribution = Bernoulli::from_logits(graph.param("t", 0.3).unwrap());
    let method = ScoreFunction::new().samples(4).scheme(SamplingScheme::Stratified);
    for error in [
        graph.sample("x", &distribution, &method.baseline(LeaveOneOut)).unwrap_err().to_string(),
        graph.sample("y", &distribution, &method.baseline(Vimco::new())).unwrap_err().to_string(),
        graph.sample("z", &distribution, &method.groups(2).baseline(Vimco::new())).unwrap_err().to_string(),
    ] {
        assert!(error.contains("would bias") && error.contains("MovingAverage"), "{error}");
    }
    let joint = |method: &DynMethod<f64, Normal<Id>>| -> GraphResult<()> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let x = graph.sample("x", &Normal::new(graph.param("t", 0.3)?, 1.0), method)?;
        let plate = graph.plate_named("x").expect("the plate of the samples");
        graph.cost("bound", -x.log_mean_exp_over(plate))?;
        graph.backward().map(|_| ())
    };
    let methods: [DynMethod<f64, Normal<Id>>; 2] =
        [Arc::new(method), Arc::new(Pathwise::new().samples(4).scheme(SamplingScheme::Stratified))];
    for method in methods {
        let error = joint(&method).unwrap_err().to_string();
        assert!(error.contains("several members of plate \"x\""), "{error}");
    }
    assert!(joint(&(Arc::new(Pathwise::new().samples(4)) as DynMethod<f64, Normal<Id>>)).is_ok());
}

#[test]
fn unusable_plans_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let distribution = Normal::new(graph.param("t", 0.3).unwrap(), 1.0);
    let scheme = Pathwise::new().scheme(SamplingScheme::Stratified);
    let error = graph.sample("x", &distribution, &scheme).unwrap_err().to_string();
    assert!(error.contains(".samples(n)"), "{error}");
    let plate = graph.plate("samples", 3).unwrap();
    let error = graph.sample("y", &distribution, &scheme.on_plate(plate)).unwrap_err().to_string();
    assert!(error.contains("scheme_plate"), "{error}");
    let error = graph.sample("y", &distribution, &scheme.on_plate(plate).groups(2)).unwrap_err().to_string();
    assert!(error.contains("shared plate") && error.contains(".samples(n)"), "{error}");
    let error = graph.sample("z", &distribution, &Pathwise::new().samples(2).groups(2)).unwrap_err().to_string();
    assert!(error.contains(".scheme(…)"), "{error}");
    for (samples, groups) in [(0, 2), (2, 0)] {
        let empty = scheme.samples(samples).groups(groups);
        assert!(matches!(graph.sample("z", &distribution, &empty), Err(GraphError::EmptyPlate { .. })));
    }
    let wide = Normal::new(graph.constant(Tensor::<f64>::zeros([513])), 1.0);
    let error =
        graph.sample("w", &wide, &Pathwise::new().samples(2).scheme(SamplingScheme::sobol())).unwrap_err().to_string();
    assert!(error.contains("512 dimensions"), "{error}");
}

#[test]
fn compiled_graphs_do_the_same() {
    for scheme in SCHEMES {
        models::assert_compiled(&with_scheme(scheme, 3));
    }
}

#[test]
fn names_say_the_plan() {
    assert_eq!(
        ScoreFunction::new().samples(8).scheme(SamplingScheme::Stratified).name(),
        "score function (stratified, 8 samples)"
    );
    assert_eq!(
        Pathwise::new().samples(2).scheme(SamplingScheme::Sobol { first: 3 }).name(),
        "pathwise (Sobol from dimension 3, 2 samples)"
    );
    assert_eq!(
        ScoreFunction::new().samples(2).scheme(SamplingScheme::Antithetic).groups(3).baseline(LeaveOneOut).name(),
        "score function (leave-one-out, antithetic, 3 groups of 2 samples)"
    );
    assert_eq!(
        MeasureValued::new().samples(4).scheme(SamplingScheme::Stratified).groups(2).name(),
        "measure-valued (stratified, 2 groups of 4 samples)"
    );
}
