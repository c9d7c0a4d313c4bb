//! Biased methods that are exact for polynomials up to a degree. Where the graph certifies that the costs are such
//! polynomials, the exact oracle finds no bias; everywhere else the gradient is labelled biased.

use std::sync::Arc;
use stochgrad::check::CheckError;
use stochgrad::check::Oracle;
use stochgrad::check::models::{Draw, Model};
use stochgrad::distributions::Binomial;
use stochgrad::distributions::Id;
use stochgrad::estimators::{GappedStraightThrough, SamplingScheme, StraightThrough, Temperature};
use stochgrad::graph::{Bias, DynMethod, GradientMethod, GraphError, GraphResult, Guarantee, Order};
use stochgrad::prelude::*;
use stochgrad::tape::Degree;

type BitMethod = DynMethod<f64, Bernoulli<Id>>;
type CategoryMethod = DynMethod<f64, OneHotCategorical<Id>>;

/// A model whose nodes use the method under test, and the degree of its costs in each of these nodes.
type Case = (&'static str, &'static [Degree], Model);

const ZERO: Degree = Degree::CONSTANT;
const ONE: Degree = Degree::new(1);
const TWO: Degree = Degree::new(2);
const NONE: Degree = Degree::UNBOUNDED;

const CASES: &[Case] = &[
    ("affine", &[ONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        graph.cost("cost", (x * 2.0 - t) / (t + 1.0) + x * t.exp())
    }),
    ("square", &[TWO], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        graph.cost("cost", (x * 2.0 - 0.7).square() + t * x)
    }),
    ("cube", &[Degree::new(3)], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        graph.cost("cost", (x * 2.0 - 0.7).powf(3.0))
    }),
    ("exponential", &[NONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        graph.cost("cost", (draw(graph, "x", t)? * 2.0).exp())
    }),
    ("kink", &[NONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        graph.cost("cost", (draw(graph, "x", t)? - 0.2).relu())
    }),
    ("two costs", &[TWO], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        graph.cost("linear", x * 3.0)?;
        graph.cost("quadratic", x * (x - 0.4))
    }),
    ("product of two nodes", &[ONE, ONE], |graph, draw| {
        let t = graph.param("t", [0.3, -0.6])?;
        let (x, y) = (draw(graph, "x", t.index(0, 0))?, draw(graph, "y", t.index(0, 1))?);
        graph.cost("cost", (x - 0.4) * (y * 3.0 + 1.0))
    }),
    ("square of a sum of two nodes", &[TWO, TWO], |graph, draw| {
        let t = graph.param("t", [0.3, -0.6])?;
        let (x, y) = (draw(graph, "x", t.index(0, 0))?, draw(graph, "y", t.index(0, 1))?);
        graph.cost("cost", (x - y * 3.0 + 1.0).square())
    }),
    ("a node whose distribution depends on another", &[NONE, ONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        graph.cost("cost", draw(graph, "y", t * x - 0.2)?)
    }),
    ("a second node without a cost", &[ONE, ZERO], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        draw(graph, "y", t * x)?;
        graph.cost("cost", x)
    }),
    ("through a sample path", &[TWO], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        let y = graph.sample("y", &Normal::new(x * 2.0, t.exp()), &Pathwise::new())?;
        graph.cost("cost", (y - 0.4).square() + x)
    }),
    ("through a scale", &[TWO], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        let y = graph.sample("y", &Normal::new(t, x * 0.5 + 1.5), &Pathwise::new())?;
        graph.cost("cost", y.square())
    }),
    ("above a score function", &[NONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        let y = graph.sample("y", &Bernoulli::from_logits(x * t), &ScoreFunction::new())?;
        graph.cost("cost", y)
    }),
    ("above an enumeration", &[NONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        let y = graph.sample("y", &Bernoulli::from_logits(x * t), &Enumerate::new())?;
        graph.cost("cost", y)
    }),
    ("above an automatic choice", &[NONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        let y = graph.sample("y", &Normal::new(x * t, 1.0), &Auto::new())?;
        graph.cost("cost", y)
    }),
    ("below a score function", &[ONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let y = graph.sample("y", &Bernoulli::from_logits(t), &ScoreFunction::new())?;
        let x = draw(graph, "x", t * y - 0.4)?;
        graph.cost("cost", x * (y + 0.5).exp() + y)
    }),
    ("beside others", &[ONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let s = graph.sample("s", &Bernoulli::from_logits(t), &ScoreFunction::new())?;
        let e = graph.sample("e", &Bernoulli::from_logits(t * 0.5), &Enumerate::new())?;
        let m = graph.sample("m", &Bernoulli::from_logits(t - 0.3), &MeasureValued::new())?;
        let x = draw(graph, "x", t * 2.0)?;
        graph.cost("cost", x * (s + e.exp() * m))
    }),
    ("below an enumeration", &[TWO], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let e = graph.sample("e", &Bernoulli::from_logits(t), &Enumerate::new())?;
        let x = draw(graph, "x", t * e - 0.4)?;
        graph.cost("cost", (x + e - 0.3).square())
    }),
    ("averages of data", &[ONE], |graph, draw| {
        let t = graph.param("t", [0.3, -0.8])?;
        let features = graph.data("data", [0.5, -1.5])?;
        let x = draw(graph, "x", t.index(0, 0) * features)?;
        graph.cost("cost", x * features.exp() * t.index(0, 1))
    }),
    ("jointly over data", &[TWO], |graph, draw| {
        let t = graph.param("t", [0.3, -0.8])?;
        let features = graph.data("data", [0.5, -1.5])?;
        let x = draw(graph, "x", t.index(0, 0) * features)?;
        graph.cost("cost", (x.sum_over(features.plates()[0]) - 0.7).square() * t.index(0, 1))
    }),
    ("a branch on a sample", &[NONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        let large = x.value()?.as_slice()[0] > 0.5;
        graph.cost("cost", if large { x * 5.0 } else { x })
    }),
    ("a stopped gradient", &[NONE], |graph, draw| {
        let t = graph.param("t", 0.3)?;
        let x = draw(graph, "x", t)?;
        graph.cost("cost", x * x.stop_gradient())
    }),
];

fn bit<'t>(graph: &Graph<'t, f64>, name: &str, logit: Var<'t, f64>, method: &BitMethod) -> GraphResult<Var<'t, f64>> {
    graph.sample(name, &Bernoulli::from_logits(logit), method)
}

fn category<'t>(
    graph: &Graph<'t, f64>,
    name: &str,
    logit: Var<'t, f64>,
    method: &CategoryMethod,
) -> GraphResult<Var<'t, f64>> {
    let logits = Var::stack(&[logit, 0.3 - logit, logit * 0.5])?;
    let x = graph.sample(name, &OneHotCategorical::from_logits(logits), method)?;
    Ok((x * graph.constant([0.2, -1.0, 1.3])).sum())
}

/// The number of successes in four trials, on a scale on which the cases distinguish degrees.
fn count<'t>(graph: &Graph<'t, f64>, name: &str, logit: Var<'t, f64>, method: Fini) -> GraphResult<Var<'t, f64>> {
    Ok(graph.sample(name, &Binomial::from_logits(4.0, logit), &method)? * 0.4 - 0.3)
}

/// Checks all cases with a method that is exact for polynomials up to a degree.
fn check(method: &str, draw: &Draw<'_>, exact_to: Degree) {
    for (case, degrees, model) in CASES {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        model(&graph, draw).unwrap();
        let report = graph.report().unwrap();
        let found: Vec<Degree> = report
            .nodes
            .iter()
            .filter(|node| node.profile.bias != Bias::Unbiased)
            .map(|node| {
                assert_eq!(node.profile.exact_to, exact_to, "{method}");
                node.degree
            })
            .collect();
        assert_eq!(&found[..], *degrees, "{case}, {method}");
        let certified = degrees.iter().all(|degree| *degree <= exact_to);
        let gradients = graph.backward().unwrap();
        let guarantee = gradients.guarantee("t").unwrap();
        let expected = if certified { Bias::Unbiased } else { Bias::Gradient };
        assert_eq!((guarantee.bias, guarantee.order), (expected, Order::Finite(1)), "{case}, {method}");
        let verdict = Oracle::new().nodes(3).verify(|graph: &Graph<'_, f64>| model(graph, draw), 0..=1, 1e-9);
        if certified {
            verdict.unwrap_or_else(|error| panic!("{case}, {method}: {error}"));
            let reasons = gradients.reasons("t").unwrap();
            for node in report.nodes.iter().filter(|node| node.profile.bias != Bias::Unbiased) {
                let words = format!("exact: the costs are of degree {} in node \"{}\"", node.degree, node.address);
                assert!(reasons.iter().any(|reason| reason.contains(&words)), "{reasons:?}");
            }
        } else if degrees.iter().all(|degree| *degree < NONE) {
            assert!(matches!(verdict, Err(CheckError::Expectation { .. })), "{case}, {method}: {verdict:?}");
        }
    }
}

fn check_both<M>(method: M, exact_to: usize)
where
    M: GradientMethod<f64, Bernoulli<Id>> + GradientMethod<f64, OneHotCategorical<Id>> + Clone + 'static,
{
    let name = method.name();
    let (bits, categories): (BitMethod, CategoryMethod) = (Arc::new(method.clone()), Arc::new(method));
    check(&name, &|graph, name, logit| bit(graph, name, logit, &bits), Degree::new(exact_to));
    check(&name, &|graph, name, logit| category(graph, name, logit, &categories), Degree::new(exact_to));
}

#[test]
fn straight_through_is_exact_for_affine_costs() {
    check_both(StraightThrough::new(1.0).assume_continuous(), 1);
}

#[test]
fn reinmax_is_exact_for_quadratic_costs() {
    check_both(ReinMax::new(1.0).assume_continuous(), 2);
}

#[test]
fn mve_is_exact_for_quadratic_costs() {
    check_both(Mve::new().assume_continuous(), 2);
}

#[test]
fn fini_is_exact_up_to_its_degree() {
    for degree in 1..=3 {
        let method = Fini::new(degree).assume_continuous();
        check(&method.name(), &|graph, name, logit| count(graph, name, logit, method), Degree::new(degree));
    }
}

/// The guarantee of `t` for the cost of one bit.
fn guarantee(method: &BitMethod, cost: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) -> Guarantee {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let t = graph.param("t", 0.3).unwrap();
    let x = bit(&graph, "x", t, method).unwrap();
    graph.cost("cost", cost(x)).unwrap();
    graph.backward().unwrap().guarantee("t").unwrap()
}

#[test]
fn other_temperatures_and_relaxations_certify_nothing() {
    let methods: [BitMethod; 7] = [
        Arc::new(GappedStraightThrough::new(1.0)),
        Arc::new(StraightThrough::new(0.7)),
        Arc::new(StraightThrough::new(Temperature::exponential(1.0, 0.5, 100))),
        Arc::new(ReinMax::new(1.5)),
        Arc::new(GumbelRao::new(1.0)),
        Arc::new(GumbelSoftmax::new(1.0).straight_through()),
        Arc::new(GumbelSoftmax::new(1.0)),
    ];
    for method in methods {
        assert_ne!(guarantee(&method, |x| x * 2.0).bias, Bias::Unbiased, "{}", method.name());
    }
}

#[test]
fn draws_with_shared_noise_certify_nothing_together() {
    let degree = |together: bool| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let t = graph.param("t", 0.3).unwrap();
        let e = graph.sample("e", &Bernoulli::from_logits(t), &Enumerate::new()).unwrap();
        let x = graph.sample("x", &Bernoulli::from_logits(t * e), &ReinMax::new(1.0)).unwrap();
        let cost = if together { x.mean_over(e.plates()[0]).square() } else { x.square() };
        graph.cost("cost", cost).unwrap();
        graph.report().unwrap().nodes[1].degree
    };
    assert_eq!(degree(false), TWO);
    assert_eq!(degree(true), NONE);
    let with_scheme = |scheme: Option<SamplingScheme>| -> GraphResult<Degree> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let t = graph.param("t", 0.3)?;
        let method = ReinMax::new(1.0).samples(2);
        let method = scheme.map_or(method.clone(), |scheme| method.scheme(scheme));
        let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
        graph.cost("cost", x.mean_over(x.plates()[0]).square())?;
        Ok(graph.report()?.nodes[0].degree)
    };
    assert_eq!(with_scheme(None).unwrap(), TWO);
    assert!(matches!(with_scheme(Some(SamplingScheme::Antithetic)), Err(GraphError::Refused { .. })));
}

#[test]
fn the_degree_of_a_vector_counts_all_its_elements() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let t = graph.param("t", [0.3, -0.2]).unwrap();
    let distribution = Bernoulli::from_logits(t);
    let x = graph.sample("x", &distribution, &StraightThrough::new(1.0)).unwrap();
    graph.cost("own log-probability", distribution.log_prob(x)).unwrap();
    assert_eq!(graph.report().unwrap().nodes[0].degree, ONE);
    graph.cost("neighbours", x.index(0, 0) * x.index(0, 1)).unwrap();
    let report = graph.report().unwrap();
    assert_eq!(report.nodes[0].degree, TWO);
    let words = report.to_string();
    assert!(
        words.contains("node \"x\": Bernoulli by straight-through (temperature 1, 1 sample): biased gradient"),
        "{words}"
    );
    assert!(words.contains("parameter \"t\": biased gradient, valid to order 1\n    node \"x\" uses"), "{words}");
}
