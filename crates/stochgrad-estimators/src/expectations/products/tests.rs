//! Products against loops over members, enumeration and known variances.

use super::*;
use crate::enumeration::enumerate::Enumerate;
use crate::expectations::testing::{TwoValues, assert_close};
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::Vimco;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Categorical, Normal};
use stochgrad_graph::{Graph, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// The average of the products over all choices of different members.
fn by_loop(factors: &[Vec<f64>], taken: &mut Vec<usize>) -> (f64, f64) {
    let depth = taken.len();
    if depth == factors.len() {
        return (taken.iter().enumerate().map(|(factor, &member)| factors[factor][member]).product(), 1.0);
    }
    let (mut sum, mut count) = (0.0, 0.0);
    for member in 0..factors[0].len() {
        if !taken.contains(&member) {
            taken.push(member);
            let (inner, choices) = by_loop(factors, taken);
            sum += inner;
            count += choices;
            taken.pop();
        }
    }
    (sum, count)
}

#[test]
fn products_are_those_of_a_loop_over_different_members() {
    for (factors, members) in [(1, 1), (1, 3), (2, 2), (2, 5), (3, 3), (3, 5), (4, 6), (5, 6)] {
        let number = |factor: usize, member: usize, element: usize| {
            ((factor * 7 + member * 5 + element * 3) as f64 * 0.7).sin() + 0.3
        };
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let plate = graph.plate("samples", members).unwrap();
        let on_plate = |factor: usize| {
            let all = (0..members).flat_map(|member| (0..2).map(move |element| number(factor, member, element)));
            tape.constant_on(&[plate], Tensor::new(all.collect::<Vec<f64>>(), [members, 2]).unwrap())
        };
        let values: Vec<_> = (0..factors).map(on_plate).collect();
        let found = product_of_means(&values, plate).unwrap().value().unwrap();
        assert_eq!(found.shape()[..], [2]);
        for element in 0..2 {
            let numbers: Vec<Vec<f64>> = (0..factors)
                .map(|factor| (0..members).map(|member| number(factor, member, element)).collect())
                .collect();
            let (sum, count) = by_loop(&numbers, &mut Vec::new());
            let what = format!("{factors} factors, {members} members");
            assert_close(&what, found.as_slice()[element], sum / count, 1e-12);
        }
    }
}

#[test]
fn squares_of_expectations_are_exact_at_every_order() {
    let case = TwoValues::new(1.0, 3.0, 0.3);
    for samples in [2, 3, 4] {
        let model =
            |graph: &Graph<'_, f64>| case.record(graph, samples, |_, x, plate| product_of_means(&[x, x], plate));
        Oracle::new().verify(model, 0..=3, 1e-9).unwrap();
        for (order, expected) in [2.56, 6.4, 8.0, 0.0].into_iter().enumerate() {
            let moments = Oracle::new().derivative(model, &[("theta", Tensor::scalar(1.0))], order).unwrap();
            assert_close(&format!("order {order}"), moments.mean[0], expected, 1e-10);
        }
    }
}

#[test]
fn pairs_have_their_known_variances() {
    let cases = [
        (TwoValues::new(0.2, 1.5, 0.4), [(2, 0.585_037_44), (4, 0.237_681_6)]),
        (TwoValues::new(-0.5, 1.0, 0.3), [(2, 0.225_618_75), (4, 0.038_390_625)]),
    ];
    for (case, variances) in cases {
        for (samples, expected) in variances {
            let model =
                |graph: &Graph<'_, f64>| case.record(graph, samples, |_, x, plate| product_of_means(&[x, x], plate));
            let (mean, variance) = Oracle::new().gradient(model).unwrap().cost("cost").unwrap();
            assert_close("mean", mean, case.mean() * case.mean(), 1e-10);
            assert_close("variance", variance, expected, 1e-9);
        }
    }
}

#[test]
fn factors_that_depend_on_one_another_are_exact_at_order_2() {
    // E[X] E[X²] E[Y] with Y drawn given X, by three different methods.
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", [0.3, -0.8])?;
        let plate = graph.plate("samples", 3)?;
        let first = Bernoulli::from_logits(t.index(0, 0));
        let x = graph.sample("x", &first, &ScoreFunction::new().on_plate(plate))? * 2.0 - 0.5;
        let second = Bernoulli::from_logits(x * t.index(0, 1));
        let y = graph.sample("y", &second, &ScoreFunction::new().on_plate(plate))?;
        graph.cost("cost", product_of_means(&[x, x.square(), y + t.index(0, 0)], plate)?)
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    let exact = Oracle::new().exact_cost(model).unwrap();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let p = sigmoid(0.3);
    let mean = |f: &dyn Fn(f64) -> f64| (1.0 - p) * f(-0.5) + p * f(1.5);
    let expected = mean(&|x| x) * mean(&|x| x * x) * (mean(&|x| sigmoid(-0.8 * x)) + 0.3);
    assert_close("product", exact, expected, 1e-10);
}

#[test]
fn other_members_as_a_baseline_lower_the_variance() {
    let case = TwoValues::new(1.0, 3.0, 0.3);
    let variance = |with_baseline: bool| {
        let model = |graph: &Graph<'_, f64>| {
            let theta = graph.param("theta", case.probability)?;
            let plate = graph.plate("samples", 5)?;
            let (bit, plain) = (Bernoulli::from_probabilities(theta), ScoreFunction::new().on_plate(plate));
            let x = match with_baseline {
                true => graph.sample("x", &bit, &plain.baseline(Vimco::arithmetic()))?,
                false => graph.sample("x", &bit, &plain)?,
            } * 2.0
                + 1.0;
            graph.cost("cost", product_of_means(&[x, x], plate)?)
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
        Oracle::new().gradient(model).unwrap().variance("theta").unwrap().item().unwrap()
    };
    let (with, without) = (variance(true), variance(false));
    assert!(with < 0.2 * without, "{with} against {without}");
}

#[test]
fn sample_paths_are_exact() {
    let model = |graph: &Graph<'_, f64>| {
        let location = graph.param("location", 0.3)?;
        let plate = graph.plate("samples", 3)?;
        let x = graph.sample("x", &Normal::new(location, 0.8), &Pathwise::new().on_plate(plate))?;
        graph.cost("cost", product_of_means(&[x, x], plate)?)
    };
    Oracle::new().nodes(4).verify(model, 0..=2, 1e-9).unwrap();
    let moments = Oracle::new().nodes(4).gradient(model).unwrap();
    assert_close("value", moments.total(), 0.09, 1e-12);
    assert_close("derivative", moments.mean("location").unwrap().item().unwrap(), 0.6, 1e-12);
}

#[test]
fn nested_expectations_keep_the_outer_plate() {
    // x ~ softmax(0, t, −t), Y | x ~ Bernoulli(σ(t x + η)): E (E[Y | x])².
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.7)?;
        let logits = t * graph.constant([0.0, 1.0, -1.0]);
        let x = graph.sample("x", &Categorical::from_logits(logits), &ScoreFunction::new().samples(2))?;
        let inner = graph.plate("inner", 2)?;
        let y = graph.sample("y", &Bernoulli::from_logits(x * t - 0.5), &ScoreFunction::new().on_plate(inner))?;
        graph.cost("cost", product_of_means(&[y, y], inner)?)
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    let moments = Oracle::new().gradient(model).unwrap();
    assert_close("value", moments.total(), 0.285_536_073_1, 1e-9);
    assert_close("derivative", moments.mean("t").unwrap().item().unwrap(), 0.217_331_891_1, 1e-9);
}

/// Values along a plate.
type Values = dyn for<'t> Fn(&Graph<'t, f64>, Plate) -> GraphResult<Vec<Var<'t, f64>>>;

#[test]
fn what_is_no_product_of_independent_members_is_refused() {
    let refused = |samples: usize, values: &Values| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let plate = graph.plate("samples", samples).unwrap();
        let values = values(&graph, plate).unwrap();
        product_of_means(&values, plate).unwrap_err().to_string()
    };
    fn bits<'t>(graph: &Graph<'t, f64>, plate: Plate) -> GraphResult<Var<'t, f64>> {
        let logit = graph.param("logit", 0.3)?;
        graph.sample("x", &Bernoulli::from_logits(logit), &ScoreFunction::new().on_plate(plate))
    }
    let message = refused(2, &|graph, plate| Ok(vec![bits(graph, plate)?; 3]));
    assert!(message.contains("at least 3 members along plate \"samples\", got 2"), "{message}");
    assert!(message.contains("products/tests.rs"), "{message}");
    let message = refused(2, &|_, _| Ok(Vec::new()));
    assert!(message.contains("at least one value, got none"), "{message}");
    let message = refused(9, &|graph, plate| Ok(vec![bits(graph, plate)?; 9]));
    assert!(message.contains("at most 8 factors, got 9"), "{message}");
    let message = refused(2, &|graph, _| Ok(vec![graph.constant(1.0); 2]));
    assert!(message.contains("got one without it"), "{message}");
    let message = refused(3, &|graph, plate| {
        let x = bits(graph, plate)?;
        Ok(vec![x, x - x.mean_over(plate)])
    });
    assert!(message.contains("depend on one another") && message.contains("products/tests.rs"), "{message}");
    let message = refused(3, &|graph, plate| {
        let x = bits(graph, plate)?;
        // A node below the mean of all members.
        let below = Bernoulli::from_logits(x.sum_over(plate));
        Ok(vec![x, graph.sample("y", &below, &ScoreFunction::new())? + x])
    });
    assert!(message.contains("depend on one another"), "{message}");
    let message = refused(3, &|graph, plate| {
        let x = bits(graph, plate)?;
        let scale = if x.value()?.as_slice()[0] > 0.5 { 2.0 } else { 1.0 };
        Ok(vec![x * scale, x])
    });
    assert!(message.contains("depend on one another"), "{message}");
}

#[test]
fn other_plates_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let bit = Bernoulli::from_logits(graph.param("logit", 0.3).unwrap());
    let scheme = graph.scheme_plate("scheme", 2).unwrap();
    let antithetic = ScoreFunction::new().on_plate(scheme).scheme(SamplingScheme::Antithetic);
    let x = graph.sample("x", &bit, &antithetic).unwrap();
    let message = product_of_means(&[x, x], scheme).unwrap_err().to_string();
    assert!(message.contains("got dependent or weighted ones"), "{message}");
    let z = graph.sample("z", &bit, &Enumerate::new()).unwrap();
    let message = product_of_means(&[z, z], z.plates()[0]).unwrap_err().to_string();
    assert!(message.contains("is the expectation itself"), "{message}");
    let rows = graph.data("rows", [0.1, 0.4]).unwrap();
    let message = product_of_means(&[rows, rows], rows.plates()[0]).unwrap_err().to_string();
    assert!(message.contains("got the members of data"), "{message}");
}
