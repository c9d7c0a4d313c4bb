//! Finite supports that are too large for a list: the number of states is known without it, and limits are checked
//! first.

use std::sync::Arc;
use stochgrad_distributions::{
    Bernoulli, Binomial, Categorical, DiscreteUniform, Family, FiniteSupport, Id, OneHotCategorical,
};
use stochgrad_estimators::{
    Auto, DiscreteGo, Enumerate, ImportanceSampling, LocalExpectation, ScoreFunction, SumAndSample, UnorderedSet,
    WithoutReplacement,
};
use stochgrad_graph::{DynMethod, Graph, GraphError, GraphResult, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

type Counts = DynMethod<f64, Binomial<Id>>;
type Make<D> = for<'t> fn(&Graph<'t, f64>, f64) -> GraphResult<<D as Family<f64>>::On<'t>>;

const LARGE: [f64; 5] = [4096.0, 1e8, 1e12, 9e15, 1e300];

fn binomial<'t>(graph: &Graph<'t, f64>, size: f64) -> GraphResult<Binomial<Var<'t, f64>>> {
    Ok(Binomial::from_logits(size, graph.param("logit", 0.3)?))
}

fn uniform<'t>(graph: &Graph<'t, f64>, size: f64) -> GraphResult<DiscreteUniform<Var<'t, f64>>> {
    Ok(DiscreteUniform::new(graph.constant(-1.0), graph.constant(size)))
}

/// The error of a method with a large support, at sampling or at the latest in the backward pass.
fn refused<D: Family<f64> + 'static>(make: Make<D>, size: f64, method: DynMethod<f64, D>) -> GraphError {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let distribution = make(&graph, size).unwrap();
    let name = method.name();
    let result = graph.sample("x", &distribution, &method).and_then(|x| {
        graph.cost("cost", x)?;
        graph.backward()
    });
    result.err().unwrap_or_else(|| panic!("{name} took {size} states"))
}

#[test]
fn methods_that_go_through_all_states_refuse_large_supports_at_once() {
    let methods: [fn() -> Counts; 5] = [
        || Arc::new(Enumerate::new()),
        || Arc::new(LocalExpectation::new()),
        || Arc::new(SumAndSample::new(1, 2)),
        || Arc::new(UnorderedSet::new(2)),
        || Arc::new(WithoutReplacement::new(2)),
    ];
    for size in LARGE {
        for method in methods {
            let error = refused::<Binomial<Id>>(binomial, size, method()).to_string();
            let expected = if size > 1e16 { "represents exactly" } else { "limit" };
            assert!(error.contains(expected) && error.contains("Binomial"), "{error}");
        }
        let error = refused::<DiscreteUniform<Id>>(uniform, size, Arc::new(Enumerate::new())).to_string();
        assert!(error.contains("DiscreteUniform"), "{error}");
    }
}

#[test]
fn an_automatic_choice_takes_the_next_method() {
    for size in LARGE {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let x = graph.sample("x", &binomial(&graph, size).unwrap(), &Auto::new().samples(2)).unwrap();
        graph.cost("cost", x).unwrap();
        assert!(graph.report().is_ok());
        assert!(graph.backward().unwrap().reports()[0].1.starts_with("score function"));
    }
}

#[test]
fn reports_count_states_without_a_list() {
    for size in LARGE {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let x = graph.sample("x", &binomial(&graph, size).unwrap(), &ScoreFunction::new()).unwrap();
        graph.cost("cost", x).unwrap();
        graph.report().unwrap();
    }
}

#[test]
fn the_number_of_joint_states_does_not_overflow() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    for elements in [13, 63, 64, 127, 128, 5000] {
        let logits = graph.constant(Tensor::zeros([elements]));
        let error = graph.sample(("x", elements), &Bernoulli::from_logits(logits), &Enumerate::new()).unwrap_err();
        assert!(error.to_string().contains(&format!("2^{elements} joint states")), "{error}");
        graph.sample(("y", elements), &Bernoulli::from_logits(logits), &Auto::new()).unwrap();
    }
    let categories = OneHotCategorical::from_logits(graph.constant(Tensor::zeros([1 << 18])));
    assert_eq!(categories.states(), Ok(1 << 18));
    let error = graph.sample("z", &categories, &Enumerate::new()).unwrap_err().to_string();
    assert!(error.contains("262144"), "{error}");
    graph.sample("w", &categories, &Auto::new()).unwrap();
}

#[test]
fn a_raised_limit_is_still_bounded_by_the_memory() {
    let tape = Tape::<f64>::new();
    tape.set_memory_limit(1 << 24);
    let graph = Graph::new(&tape, Seed::new(1));
    let raised = Enumerate::new().limit(usize::MAX);
    for size in [1e8, 1e12, 9e15] {
        let error = graph.sample(
            ("x", size as usize),
            &binomial(&graph, size).unwrap_or_else(|_| Binomial::from_logits(size, graph.constant(0.3))),
            &raised,
        );
        let error = error.unwrap_err().to_string();
        assert!(error.contains("16777216") && error.contains("states"), "{error}");
    }
    let categories = OneHotCategorical::from_logits(graph.constant(Tensor::zeros([1 << 14])));
    let error = graph.sample("z", &categories, &raised).unwrap_err().to_string();
    assert!(error.contains("268435456 elements"), "{error}");
}

#[test]
fn a_list_of_values_that_single_precision_cannot_tell_apart_is_refused() {
    let tape = Tape::<f32>::new();
    let logit = tape.constant(0.3);
    assert_eq!(Binomial::from_logits(16_777_216.0, logit).states(), Ok(16_777_217));
    let error = Binomial::from_logits(16_777_218.0, logit).states().unwrap_err().to_string();
    assert!(error.contains("f32 represents exactly"), "{error}");
    let far = DiscreteUniform::new(tape.constant(1e9), tape.constant(1e9 + 64.0));
    assert!(far.states().is_err() && far.element_support().is_err());
    assert_eq!(Categorical::from_logits(tape.constant([0.0, 1.0, 2.0])).states(), Ok(3));
}

#[test]
fn elements_on_the_boundary_and_proposals_of_large_supports_are_refused() {
    for size in [1e8, 1e12] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let p = graph.param("p", 0.0).unwrap();
        let x = graph.sample("x", &Binomial::from_probabilities(size, p), &DiscreteGo::new()).unwrap();
        graph.cost("cost", x).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("at most 4096 states"), "{error}");

        let q = graph.constant(0.5);
        let method = ImportanceSampling::from_distribution(&Binomial::from_probabilities(size, q));
        let error = graph.sample("y", &Binomial::from_probabilities(size, graph.constant(0.4)), &method);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("states of an element"), "{error}");
    }
}
