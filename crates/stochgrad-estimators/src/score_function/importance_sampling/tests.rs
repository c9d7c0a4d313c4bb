use super::*;
use crate::counterfactual::measure_valued::MeasureValued;
use crate::enumeration::enumerate::Enumerate;
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::{Constant, LeaveOneOut};
use crate::testing::models::{self, BitMethod};
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{
    Bernoulli, Binomial, Categorical, Exponential, Id, Laplace, Normal, OneHotCategorical, Poisson, StudentT,
};
use stochgrad_graph::{Graph, Seed};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// Bits that are not those of the distribution.
fn given<'t>(graph: &Graph<'t, f64>, logit: f64, samples: usize) -> ImportanceSampling<GivenProposal<Bernoulli<Id>>> {
    ImportanceSampling::from_distribution(&Bernoulli::from_logits(graph.constant(logit))).samples(samples)
}

#[test]
fn every_order_is_exact_on_chains() {
    let wide = ImportanceSampling::overdispersed(2.0);
    let methods: [BitMethod; 5] = [
        Arc::new(wide),
        Arc::new(wide.samples(2)),
        Arc::new(wide.baseline(Constant(1.2))),
        Arc::new(wide.samples(2).baseline(LeaveOneOut)),
        Arc::new(wide.samples(2).scheme(SamplingScheme::Stratified)),
    ];
    for method in &methods {
        let model = |graph: &Graph<'_, f64>| models::chain(graph, method, method);
        Oracle::new().verify(model, 0..=3, 1e-9).unwrap_or_else(|error| panic!("{}: {error}", method.name()));
    }
    let score: BitMethod = Arc::new(ScoreFunction::new());
    let weak: BitMethod = Arc::new(MeasureValued::new());
    models::assert_unbiased([&methods[0], &score, &methods[0]]);
    models::assert_unbiased([&weak, &methods[3], &methods[0]]);
}

#[test]
fn given_proposals_are_exact_whatever_they_depend_on() {
    for order in [0.0, 1.0] {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), &given(graph, -0.6, 2).baseline(LeaveOneOut))?;
            // The proposal depends on the parameter and on the node upstream: no derivative flows through it.
            let proposal = Bernoulli::from_logits(t * 2.0 * order - x);
            let y = graph.sample(
                "y",
                &Bernoulli::from_logits(t * x + 0.4),
                &ImportanceSampling::from_distribution(&proposal),
            )?;
            graph.cost("cost", (x - y * 2.0 + 1.0).square() + t * x * y)?;
            graph.cost("early", x * t)
        };
        Oracle::new().verify(model, 0..=3, 1e-9).unwrap();
    }
}

#[test]
fn unequal_plates_and_several_elements_are_exact() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", [0.3, -0.8])?;
        let features = graph.data("data", [0.5, -1.5])?;
        let x = graph.sample("x", &Bernoulli::from_logits(t * features), &ImportanceSampling::overdispersed(1.5))?;
        let y = graph.sample("y", &Bernoulli::from_logits(t.index(0, 1)), &given(graph, 0.2, 2))?;
        graph.cost("cost", (x.sum() + y * features - 0.3).square())
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    let model = |graph: &Graph<'_, f64>| {
        let logits = graph.param("logits", [[0.3, -1.0, 0.5], [0.0, 0.2, 0.9]])?;
        let method = ImportanceSampling::overdispersed(3.0);
        let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
        let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
        let z = graph.sample("z", &Categorical::from_logits(logits * y.sum()), &method)?;
        graph.cost("cost", (y.index(0, 0) - z.index(0, 1) * 0.5).exp() * z.index(0, 0))
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
}

#[test]
fn paths_upstream_flow_through_the_weights() {
    for wide in [false, true] {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, 0.8])?;
            let u = graph.sample("u", &Normal::new(t.index(0, 0), t.index(0, 1)), &Pathwise::new())?;
            let distribution = Bernoulli::from_logits(u * 0.3);
            let x = match wide {
                true => graph.sample("x", &distribution, &ImportanceSampling::overdispersed(2.0))?,
                false => graph.sample("x", &distribution, &given(graph, 0.4, 1))?,
            };
            graph.cost("cost", x * 2.0 + u * x)
        };
        let truth = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, 0.8])?;
            let u = graph.sample("u", &Normal::new(t.index(0, 0), t.index(0, 1)), &Pathwise::new())?;
            let x = graph.sample("x", &Bernoulli::from_logits(u * 0.3), &Enumerate::new())?;
            graph.cost("cost", x * 2.0 + u * x)
        };
        let oracle = Oracle::new().nodes(20);
        let found = oracle.gradient(model).unwrap();
        let expected = oracle.gradient(truth).unwrap();
        let (found, expected) = (found.mean("t").unwrap().to_vec(), expected.mean("t").unwrap().to_vec());
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-10), "{found:?}, {expected:?}");
    }
}

#[test]
fn the_variance_is_the_known_one_and_the_best_proposal_has_the_least() {
    for (target, theta) in [(0.45_f64, 0.1_f64), (0.499, 0.5), (0.2, 0.9)] {
        let (none, one) = (target * target, (1.0 - target).powi(2));
        let gradient = theta * (1.0 - theta) * (one - none);
        let variance = |q: f64, samples: usize| {
            let model = |graph: &Graph<'_, f64>| {
                let logit = graph.param("logit", (theta / (1.0 - theta)).ln())?;
                let method = given(graph, (q / (1.0 - q)).ln(), samples);
                let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
                graph.cost("cost", (b - target).square())
            };
            let moments = Oracle::new().gradient(model).unwrap();
            let mean = moments.mean("logit").unwrap().item().unwrap();
            assert_abs_diff_eq!(mean, gradient, epsilon = 1e-12);
            moments.variance("logit").unwrap().item().unwrap()
        };
        let spread = (theta * (1.0 - theta)).powi(2);
        let known = |q: f64| spread * (one * one / q + none * none / (1.0 - q)) - gradient * gradient;
        for q in [0.3, 0.5, theta] {
            for samples in [1, 3] {
                let (found, known) = (variance(q, samples), known(q) / samples as f64);
                assert_abs_diff_eq!(found, known, epsilon = 1e-12);
            }
        }
        // r in proportion to p |f| |score|: f(1) to f(0) here.
        let best = variance(one / (one + none), 1);
        assert_abs_diff_eq!(best, 4.0 * spread * one * none, epsilon = 1e-12);
        assert!([0.3, 0.5, theta].iter().all(|&q| best <= known(q) + 1e-15));
    }
}

#[test]
fn other_distributions_and_other_families_are_unbiased() {
    let model = |graph: &Graph<'_, f64>| {
        let [m, l, e, p] =
            [graph.param("m", 0.3)?, graph.param("l", 0.2)?, graph.param("e", 1.5)?, graph.param("p", 2.0)?];
        let wide = ImportanceSampling::overdispersed(1.5).samples(3);
        let x = graph.sample("x", &Normal::new(m, 1.0), &wide)?;
        graph.cost("normal", x.square())?;
        let proposal = StudentT::new(graph.constant(5.0), graph.constant(0.1), graph.constant(1.2));
        let x =
            graph.sample("s", &Normal::new(m, 1.0), &ImportanceSampling::from_distribution(&proposal).samples(3))?;
        graph.cost("normal, by Student's t", x.square() * 0.5)?;
        let x = graph.sample("y", &Laplace::new(l, 1.0), &wide)?;
        graph.cost("Laplace", x.square())?;
        let x = graph.sample("z", &Exponential::new(e), &wide)?;
        graph.cost("exponential", x.square())?;
        let proposal = ImportanceSampling::from_distribution(&Poisson::from_rate(graph.constant(3.0))).samples(3);
        let x = graph.sample("counts", &Poisson::from_rate(p), &proposal)?;
        graph.cost("Poisson", x.square() * 0.1)
    };
    let exact = [("m", 0.9), ("l", 0.4), ("e", -4.0 / 1.5_f64.powi(3)), ("p", 0.5)]
        .map(|(name, value)| (name, Tensor::scalar(value)));
    StatisticalTest::new().runs(4000).check(model, &exact).unwrap();
}

#[test]
fn normalised_weights_differentiate_their_own_mean_and_are_labelled() {
    let model = |graph: &Graph<'_, f64>, logit: f64| {
        let logit = graph.param("logit", logit)?;
        let method = given(graph, -0.5, 3).normalized();
        let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
        graph.cost("cost", (b * 2.0 - 0.3).square())
    };
    let moments = |logit: f64| Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, logit)).unwrap();
    let cost = |logit: f64| moments(logit).cost("cost").unwrap().0;
    let h = 1e-5;
    let numerical = (cost(0.4 + h) - cost(0.4 - h)) / (2.0 * h);
    let found = moments(0.4).mean("logit").unwrap().item().unwrap();
    assert_abs_diff_eq!(found, numerical, epsilon = 1e-8);
    let theta = 1.0 / (1.0 + (-0.4_f64).exp());
    let exact = theta * (1.0 - theta) * (1.7_f64.powi(2) - 0.09);
    assert!((found - exact).abs() > 1e-3, "not biased: {found}, {exact}");
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph, 0.4).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.guarantee("logit").unwrap().bias, Bias::Distribution);
    // The same distribution for both: equal weights, and the mean of the costs for a baseline.
    let same = |graph: &Graph<'_, f64>| {
        let logit = graph.param("logit", 0.4)?;
        let method = ImportanceSampling::overdispersed(1.0).samples(3).normalized();
        let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
        graph.cost("cost", (b * 2.0 - 0.3).square())
    };
    let found = Oracle::new().gradient(same).unwrap().mean("logit").unwrap().item().unwrap();
    assert_abs_diff_eq!(found, exact * 2.0 / 3.0, epsilon = 1e-12);
}

#[test]
fn proposals_that_miss_something_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let p = graph.param("p", [0.5, 0.3, 0.2]).unwrap();
    let distribution = Categorical::from_probabilities(p);
    let sample = |name: &str, method: &ImportanceSampling<GivenProposal<Categorical<Id>>>| {
        graph.sample(name, &distribution, method).map(|_| ()).map_err(|error| error.to_string())
    };
    let holes = Categorical::from_probabilities(graph.constant([0.5, 0.0, 0.5]));
    let error = sample("a", &ImportanceSampling::from_distribution(&holes)).unwrap_err();
    assert!(error.contains("probability 0") && error.contains("\"a\""), "{error}");
    let more = Categorical::from_probabilities(graph.constant([0.25; 4]));
    assert!(sample("b", &ImportanceSampling::from_distribution(&more)).unwrap_err().contains("Categories(3)"));
    let several = Categorical::from_logits(graph.constant([[0.0; 3]; 2]));
    assert!(sample("c", &ImportanceSampling::from_distribution(&several)).unwrap_err().contains("event shape"));
    let data = graph.data("data", [1.0, 2.0]).unwrap();
    let amortised = Categorical::from_logits(graph.constant([0.0, 1.0, 2.0]) * data);
    assert!(sample("d", &ImportanceSampling::from_distribution(&amortised)).unwrap_err().contains("plate \"data\""));
    let counts = Poisson::from_rate(graph.constant(2.0));
    let finite = ImportanceSampling::from_distribution(&Binomial::from_probabilities(4.0, graph.constant(0.5)));
    let error = graph.sample("e", &counts, &finite).unwrap_err().to_string();
    assert!(error.contains("finite support"), "{error}");
    let positive = ImportanceSampling::from_distribution(&Exponential::new(graph.constant(1.0)));
    assert!(graph.sample("f", &Normal::new(graph.constant(0.0), 1.0), &positive).is_err());
    for temperature in [0.0, f64::NAN] {
        let method = ImportanceSampling::overdispersed(temperature);
        assert!(graph.sample("g", &distribution, &method).unwrap_err().to_string().contains("temperature"));
    }
    assert!(graph.sample("h", &distribution, &ImportanceSampling::overdispersed(2.0).baseline(LeaveOneOut)).is_err());
    // States that the distribution lacks too are no loss.
    let certain = Categorical::from_probabilities(graph.constant([0.5, 0.0, 0.5]));
    assert!(graph.sample("i", &certain, &ImportanceSampling::from_distribution(&holes)).is_ok());
    let other = Tape::<f64>::new();
    let method = ImportanceSampling::from_distribution(&Bernoulli::from_logits(other.constant(0.3)));
    let mut workspace = stochgrad_tape::Workspace::<f64>::new();
    let stale = ImportanceSampling::from_distribution(&Bernoulli::from_logits(workspace.tape().constant(0.3)));
    let tape = workspace.tape();
    let graph = Graph::new(tape, Seed::new(1));
    let bit = Bernoulli::from_logits(graph.param("t", 0.1).unwrap());
    for method in [method, stale] {
        let error = graph.sample("x", &bit, &method).unwrap_err().to_string();
        assert!(error.contains("anew"), "{error}");
    }
}

#[test]
fn a_cost_of_several_samples_is_refused() {
    for samples in [1, 2] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let method: BitMethod = Arc::new(ImportanceSampling::overdispersed(2.0).samples(samples));
        models::importance_weighted(&graph, &method).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("weighted draws of another distribution"), "{error}");
    }
}

#[test]
fn compiled_graphs_do_the_same() {
    let wide = ImportanceSampling::overdispersed(2.0).samples(3);
    let methods: [BitMethod; 3] = [
        Arc::new(wide.baseline(LeaveOneOut)),
        Arc::new(wide.normalized()),
        Arc::new(wide.scheme(SamplingScheme::Antithetic)),
    ];
    for method in &methods {
        models::assert_compiled(method);
    }
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3).step(0));
    let t = graph.param("t", 0.3).unwrap();
    let x = graph.sample("x", &Bernoulli::from_logits(t), &given(&graph, -0.2, 4)).unwrap();
    graph.cost("cost", (x - 0.3).square()).unwrap();
    let expected = graph.backward().unwrap().get("t").unwrap().clone();
    let mut compiled = graph.compile().unwrap();
    compiled.set("t", &Tensor::scalar(0.3)).unwrap();
    assert_eq!(*compiled.run(Seed::new(3).step(0)).unwrap().get("t").unwrap(), expected);
}

#[test]
fn baselines_that_need_samples_of_the_distribution_are_refused() {
    fn error<B: Baseline<f64> + Clone + 'static>(baseline: B) -> String {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let method = ImportanceSampling::overdispersed(2.0).samples(3).baseline(baseline);
        let x = graph.sample("x", &Bernoulli::from_logits(graph.param("t", 0.3).unwrap()), &method).unwrap();
        graph.cost("cost", x).unwrap();
        graph.backward().map(|_| ()).unwrap_err().to_string()
    }
    assert!(error(crate::MuProp::new()).contains("another one"));
    assert!(error(crate::OptimalBaseline::new(0.9)).contains("another one"));
    assert!(error(crate::Normalized::new(LeaveOneOut, 0.9)).contains("another one"));
}
