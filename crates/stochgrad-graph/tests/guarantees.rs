//! The guarantees of a graph for its gradients, and the models that it refuses because no guarantee would hold.

mod bits;

use approx::assert_abs_diff_eq;
use bits::{BitMethod, LOGITS, method, refusal};
use stochgrad_check::Oracle;
use stochgrad_check::models::{self, Model};
use stochgrad_distributions::Bernoulli;
use stochgrad_estimators::{
    Auto, DoubleControlVariate, Enumerate, ImportanceSampling, LocalExpectation, MeasureValued, ScoreFunction,
    StraightThrough,
};
use stochgrad_graph::{Bias, Graph, GraphError, Guarantee, Method, Order, Reduction, Seed};
use stochgrad_tape::Tape;

/// The guarantee for `t` in a model whose nodes have these methods.
fn guarantee(model: Model, method: impl Fn(&str) -> BitMethod) -> Guarantee {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph, &models::bits(method)).unwrap();
    graph.backward().unwrap().guarantee("t").unwrap()
}

#[test]
fn the_order_of_a_guarantee_is_the_lowest_of_the_methods() {
    let (score, weak) = (method(ScoreFunction::new()), method(MeasureValued::new()));
    for (name, model) in models::ALL {
        let found = guarantee(model, |_| score.clone());
        assert_eq!((found.bias, found.order), (Bias::Unbiased, Order::Any), "{name}");
        let found = guarantee(model, |_| weak.clone());
        assert_eq!((found.bias, found.order), (Bias::Unbiased, Order::Finite(1)), "{name}");
        let found = guarantee(model, |node| if node == "x" { weak.clone() } else { score.clone() });
        assert_eq!((found.bias, found.order), (Bias::Unbiased, Order::Finite(1)), "{name}");
    }
}

#[test]
fn an_order_above_the_guarantee_is_an_error() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    models::chain(&graph, &models::bits(|_| MeasureValued::new())).unwrap();
    let surrogate = graph.surrogate().unwrap();
    surrogate.gradient(&["t"]).unwrap();
    assert!(matches!(surrogate.hessian("t"), Err(GraphError::Order { .. })));
}

#[test]
fn one_biased_method_makes_the_guarantee_biased() {
    let (score, biased) = (method(ScoreFunction::new()), method(StraightThrough::new(1.0)));
    for model in [models::chain as Model, models::two_costs] {
        let found = guarantee(model, |node| if node == "y" { biased.clone() } else { score.clone() });
        assert_eq!(found.bias, Bias::Gradient);
    }
}

#[test]
fn members_of_an_enumerated_node_may_not_meet_before_the_states_are_averaged() {
    for enumerated in [method(Enumerate::new()), method(Auto::new())] {
        let on_rows = |graph: &Graph<'_, f64>, meet: bool| {
            let t = graph.param("t", LOGITS)?;
            let rows = graph.data("rows", [0.5, -1.5])?;
            let b = graph.sample("b", &Bernoulli::from_logits(t.index(0, 0) * rows + t.index(0, 1)), &enumerated)?;
            let met = if meet { b.mean_over(rows.plates()[0]) } else { b };
            graph.cost("cost", (met - 0.3).square())
        };
        let error = refusal(|graph| on_rows(graph, true));
        assert!(error.contains("plate \"rows\"") && error.contains("guarantees.rs"), "{error}");
        Oracle::new().verify(|graph: &Graph<'_, f64>| on_rows(graph, false), 0..=3, 1e-9).unwrap();

        let error = refusal(|graph| {
            let chances = graph.data("i", [0.2, 0.5, 0.7])?;
            graph.set_reduction(chances.plates()[0], Reduction::Sum)?;
            let z = graph.sample("z", &Bernoulli::from_probabilities(chances), &enumerated)?;
            graph.cost("cost", z.sum_over(chances.plates()[0]).square())
        });
        assert!(error.contains("plate \"i\""), "{error}");

        let error = refusal(|graph| {
            let chances = graph.data("i", [0.2, 0.5, 0.7])?;
            let z = graph.sample("z", &Bernoulli::from_probabilities(chances), &enumerated)?;
            let mean = z.mean_over(chances.plates()[0]);
            let y = Bernoulli::from_probabilities(mean.square() * 0.999 + 0.0005);
            let y = graph.sample("y", &y, &ScoreFunction::new())?;
            graph.cost("cost", (y - 0.0005) * (1.0 / 0.999))
        });
        assert!(error.contains("plate \"i\""), "{error}");
    }
}

#[test]
fn members_may_not_meet_below_two_enumerated_nodes_either() {
    let model = |graph: &Graph<'_, f64>, meet: bool| {
        let rows = graph.data("rows", [0.3, 0.7])?;
        let y = graph.sample("y", &Bernoulli::from_logits(rows), &Enumerate::new())?;
        let z = graph.sample("z", &Bernoulli::from_logits(y * graph.param("t", 1.0)?), &Enumerate::new())?;
        graph.cost("cost", if meet { z.mean_over(rows.plates()[0]).square() } else { z })
    };
    let error = refusal(|graph| model(graph, true));
    assert!(error.contains("plate \"rows\"") && error.contains("average over plate \"z\""), "{error}");
    Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, false), 0..=3, 1e-9).unwrap();
}

#[test]
fn host_code_may_not_branch_on_enumerated_states() {
    let error = refusal(|graph| {
        let p = graph.param("t", 0.3)?;
        let bit = graph.sample("bit", &Bernoulli::from_probabilities(p), &Enumerate::new())?;
        let first = bit.value()?.as_slice()[0];
        graph.cost("cost", graph.constant(if first > 0.5 { 5.0 } else { 1.0 }))
    });
    assert!(error.contains("node \"bit\"") && error.contains("select()") && error.contains("guarantees.rs"), "{error}");
    // A read after which nothing is recorded has no effect on the model.
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let p = graph.param("t", 0.3).unwrap();
    let bit = graph.sample("bit", &Bernoulli::from_probabilities(p), &Enumerate::new()).unwrap();
    graph.cost("cost", bit * 4.0 + 1.0).unwrap();
    assert_eq!(bit.value().unwrap().as_slice(), &[0.0, 1.0]);
    let gradients = graph.backward().unwrap();
    assert_abs_diff_eq!(gradients.total(), 2.2, epsilon = 1e-12);
    assert_eq!(gradients.get("t").unwrap().as_slice(), &[4.0]);
}

#[test]
fn the_reduction_of_a_plate_is_fixed_by_its_first_use() {
    let error = refusal(|graph| {
        let steps = graph.plate("steps", 2)?;
        let t = graph.param("t", LOGITS)?.event_to_plate(steps);
        let x = graph.sample("x", &Bernoulli::from_logits(t), &ScoreFunction::new())?;
        graph.cost("cost", x.mean_over(steps))?;
        graph.set_reduction(steps, Reduction::Sum)
    });
    assert!(error.contains("plate \"steps\"") && error.contains("right after making it"), "{error}");
    // A cost alone fixes it as well. Setting the same reduction again is allowed.
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let rows = graph.data("rows", [1.0, 2.0]).unwrap();
    graph.cost("cost", rows.mean_over(rows.plates()[0])).unwrap();
    assert!(graph.set_reduction(rows.plates()[0], Reduction::Mean).is_ok());
    assert!(graph.set_reduction(rows.plates()[0], Reduction::Sum).is_err());
}

#[test]
fn weighted_samples_of_several_members_may_not_meet_either() {
    let error = refusal(|graph| {
        let rows = graph.data("rows", [0.9, 0.2])?;
        let method = ImportanceSampling::overdispersed(2.0).samples(2);
        let x = graph.sample("x", &Bernoulli::from_probabilities(rows), &method)?;
        graph.cost("cost", x.mean_over(rows.plates()[0]).square())
    });
    assert!(error.contains("plate \"rows\"") && error.contains("average over plate \"x\""), "{error}");
}

#[test]
fn outcomes_that_samples_never_show_are_refused_where_they_have_a_derivative() {
    let model = |graph: &Graph<'_, f64>, method: &BitMethod, factor: f64| {
        let p = graph.param("t", [0.0, 0.25])?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p * factor + graph.constant([0.0, 0.5])), method)?;
        graph.cost("cost", (x * graph.constant([3.0, 1.0])).sum())
    };
    let overdispersed = method(ImportanceSampling::overdispersed(2.0));
    for method in [method(ScoreFunction::new()), method(DoubleControlVariate::new(2)), overdispersed] {
        let error = refusal(|graph| model(graph, &method, 1.0));
        assert!(error.contains("probabilities of Bernoulli are 0 at position 0"), "{error}");
        // Without a derivative, the missing outcomes do not matter.
        let gradient = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, &method, 0.0)).unwrap();
        assert_eq!(gradient.mean("t").unwrap().as_slice(), &[0.0, 0.0]);
    }
    for method in [method(Enumerate::new()), method(MeasureValued::new()), method(LocalExpectation::new())] {
        let gradient = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, &method, 1.0)).unwrap();
        let found = gradient.mean("t").unwrap().to_vec();
        assert!((found[0] - 3.0).abs() < 1e-12 && (found[1] - 1.0).abs() < 1e-12, "{}: {found:?}", method.name());
    }
}
