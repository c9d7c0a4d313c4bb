use super::*;
use std::sync::Arc;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Binomial, Geometric, Id, NegativeBinomial, Poisson};
use stochgrad_graph::{DynMethod, Graph, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

type Model<'a> = &'a dyn Fn(&Graph<'_, f64>, &Fini, f64) -> GraphResult<()>;

/// Each distribution with each of its parameters, and a cost that is a polynomial.
const LAWS: [(&str, Model<'static>); 9] = [
    ("Poisson by log-rate", &|graph, method, power| {
        let t = graph.param("t", [0.4, -1.0])?;
        cost(graph, graph.sample("z", &Poisson::from_log_rate(t), method)?, power)
    }),
    ("Poisson by rate", &|graph, method, power| {
        let t = graph.param("t", 1.3)?;
        cost(graph, graph.sample("z", &Poisson::from_rate(t), method)?, power)
    }),
    ("binomial by log-odds", &|graph, method, power| {
        let t = graph.param("t", 0.6)?;
        cost(graph, graph.sample("z", &Binomial::from_logits(5.0, t), method)?, power)
    }),
    ("binomial by probability", &|graph, method, power| {
        let t = graph.param("t", 0.9)?;
        let trials = graph.constant([4.0, 7.0]);
        cost(graph, graph.sample("z", &Binomial::from_probabilities(trials, t), method)?, power)
    }),
    ("negative binomial by log-odds", &|graph, method, power| {
        let t = graph.param("t", 1.1)?;
        cost(graph, graph.sample("z", &NegativeBinomial::from_logits(2.5, t), method)?, power)
    }),
    ("negative binomial by probability", &|graph, method, power| {
        let t = graph.param("t", 0.8)?;
        cost(graph, graph.sample("z", &NegativeBinomial::from_probabilities(2.5, t), method)?, power)
    }),
    ("negative binomial by successes", &|graph, method, power| {
        let t = graph.param("t", 1.4)?;
        let p = graph.constant(0.8);
        cost(graph, graph.sample("z", &NegativeBinomial::from_probabilities(t, p), method)?, power)
    }),
    ("geometric by probability", &|graph, method, power| {
        let t = graph.param("t", 0.85)?;
        cost(graph, graph.sample("z", &Geometric::from_probabilities(t), method)?, power)
    }),
    ("geometric by log-odds", &|graph, method, power| {
        let t = graph.param("t", 1.7)?;
        cost(graph, graph.sample("z", &Geometric::from_logits(t), method)?, power)
    }),
];

fn cost<'t>(graph: &Graph<'t, f64>, z: stochgrad_tape::Var<'t, f64>, power: f64) -> GraphResult<()> {
    graph.cost("cost", (z * 0.4 - 0.3).powf(power).sum())
}

#[test]
fn polynomials_up_to_the_degree_have_no_bias() {
    for (distribution, model) in LAWS {
        for degree in 1..=4 {
            let method = Fini::new(degree);
            for power in 1..=degree {
                let report = Oracle::new().max_outcomes(100_000).verify(
                    |graph: &Graph<'_, f64>| model(graph, &method, power as f64),
                    0..=1,
                    1e-9,
                );
                report.unwrap_or_else(|error| panic!("{distribution}, Fini-{degree}, power {power}: {error}"));
            }
            let beyond = Oracle::new().max_outcomes(100_000).verify(
                |graph: &Graph<'_, f64>| model(graph, &method, degree as f64 + 1.0),
                1..=1,
                1e-9,
            );
            assert!(beyond.is_err(), "{distribution}, Fini-{degree}");
        }
    }
}

#[test]
fn the_weights_of_a_poisson_number_have_their_known_moments() {
    let moments = |rate: f64, method: Fini, linear: bool| {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", rate.ln())?;
            let z = graph.sample("z", &Poisson::from_log_rate(t), &method)?;
            graph.cost("cost", if linear { z } else { (z - 3.0).square() })
        };
        let moments = Oracle::new().gradient(model).unwrap();
        (moments.mean("t").unwrap().as_slice()[0], moments.variance("t").unwrap().as_slice()[0])
    };
    for rate in [0.5, 3.0] {
        let third = rate / 4.0 + 1.0 / 72.0;
        for (degree, variance) in [(1, 0.0), (2, rate / 4.0), (3, third), (4, third + 1.0 / (96.0 * rate))] {
            let found = moments(rate, Fini::new(degree), true);
            assert!((found.0 - rate).abs() < 1e-10 && (found.1 - variance).abs() < 1e-10, "{degree}: {found:?}");
        }
    }
    for (rate, degree, mean, variance) in
        [(3.0, 2, 3.0, 165.0), (3.0, 3, 3.0, 148.0 + 1.0 / 18.0), (0.5, 2, -2.0, 0.625), (0.5, 3, -2.0, 10.0 / 9.0)]
    {
        let found = moments(rate, Fini::new(degree), false);
        assert!((found.0 - mean).abs() < 1e-9 && (found.1 - variance).abs() < 1e-8, "{rate}, {degree}: {found:?}");
    }
}

#[test]
fn chains_plates_and_two_costs_are_exact_where_they_are_certified() {
    let method: DynMethod<f64, Binomial<Id>> = Arc::new(Fini::new(2));
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", [0.3, -0.8])?;
        let features = graph.data("data", [0.5, -1.5])?;
        let x = graph.sample("x", &Binomial::from_logits(2.0, t.index(0, 0) * features), &method)?;
        let y = graph.sample("y", &Binomial::from_logits(3.0, t), &Fini::new(2).samples(2))?;
        graph.cost("joint", (x.sum_over(features.plates()[0]) - 0.7).square())?;
        graph.cost("both", x * features * (y.sum() - 1.0).square() * t.index(0, 1))
    };
    Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph).unwrap();
    assert_eq!(graph.backward().unwrap().guarantee("t").unwrap().bias, Bias::Unbiased);
}

#[test]
fn of_a_bit_the_second_one_is_the_trapezoid_rule() {
    let model = |graph: &Graph<'_, f64>, fini: bool| {
        let t = graph.param("t", -1.3)?;
        let distribution = Bernoulli::from_logits(t);
        let b = match fini {
            true => graph.sample("b", &distribution, &Fini::new(2))?,
            false => graph.sample("b", &distribution, &crate::ReinMax::new(1.0))?,
        };
        graph.cost("cost", (b * 1.3).exp())
    };
    let moments = [true, false].map(|fini| {
        let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, fini)).unwrap();
        [moments.mean("t").unwrap().as_slice()[0], moments.variance("t").unwrap().as_slice()[0]]
    });
    for (fini, reinmax) in moments[0].iter().zip(moments[1]) {
        assert!((fini - reinmax).abs() < 1e-12, "{moments:?}");
    }
}

#[test]
fn too_few_values_for_the_degree_are_refused() {
    let refused = |degree: usize, trials: [f64; 2]| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let p = graph.constant(0.3);
        graph.sample("z", &Binomial::from_probabilities(graph.constant(trials), p), &Fini::new(degree)).err()
    };
    assert!(refused(3, [2.0, 5.0]).is_none() && refused(3, [0.0, 5.0]).is_none());
    let error = refused(3, [1.0, 5.0]).unwrap().to_string();
    assert!(error.contains("3 values") && error.contains('z'), "{error}");
    assert!(refused(0, [2.0, 2.0]).unwrap().to_string().contains("degree 1 or more"));
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let distribution = Bernoulli::from_probabilities(graph.constant(0.3));
    assert!(graph.sample("b", &distribution, &Fini::new(3)).is_err());
}

#[test]
fn it_compiles_and_stays_finite_at_the_edges() {
    let record = |graph: &Graph<'_, f32>, [low, high]: [f64; 2]| -> GraphResult<()> {
        let t = graph.param("t", [0.3, -40.0, 9.0])?;
        let z = graph.sample("z", &Poisson::from_log_rate(t), &Fini::new(3))?;
        let p = graph.param("p", [0.2, low, high])?;
        let n = graph.sample("n", &Binomial::from_probabilities(graph.constant([0.0, 3.0, 3.0]), p), &Fini::new(2))?;
        graph.cost("cost", (z * 0.1_f64).sum().sin() + n.square().sum())
    };
    let tape = Tape::<f32>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    record(&graph, [0.0, 1.0]).unwrap();
    assert!(matches!(graph.backward(), Err(stochgrad_graph::GraphError::Refused { .. })));
    let tape = Tape::<f32>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    record(&graph, [1e-20, 1.0 - 1e-7]).unwrap();
    let gradients = graph.backward().unwrap();
    for name in ["t", "p"] {
        let gradient = gradients.get(name).unwrap();
        assert!(gradient.as_slice().iter().all(|x: &f32| x.is_finite()), "{name}: {gradient:?}");
    }
    let mut compiled = {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        counts(&graph).unwrap();
        graph.compile().unwrap()
    };
    for step in 0..3 {
        let tape = Tape::<f64>::new();
        let fresh = Graph::new(&tape, Seed::new(3).step(step));
        counts(&fresh).unwrap();
        compiled.set("t", &Tensor::from([0.3, -0.8])).unwrap();
        let again = compiled.run(Seed::new(3).step(step)).unwrap();
        assert_eq!(again.get("t").unwrap().as_slice(), fresh.backward().unwrap().get("t").unwrap().as_slice());
    }
}

fn counts(graph: &Graph<'_, f64>) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let b = graph.sample("b", &Bernoulli::from_logits(t), &Fini::new(2))?;
    graph.cost("cost", (b.sum() - 0.4).square())
}
