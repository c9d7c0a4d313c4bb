//! Every gradient method on a sharded plate.

use crate::entries::entries;
use std::rc::Rc;
use stochgrad::check::models::Draw;
use stochgrad::graph::{CompiledGraph, GraphResult};
use stochgrad::prelude::*;
use stochgrad::tape::{Communicator, Shards, SingleRank, ThreadRank};
use stochgrad::tensor::Tensor;

type Model = fn(&Graph<'_, f64>, Var<'_, f64>, &Draw<'_>) -> GraphResult<()>;

const ROWS: [f64; 5] = [0.5, -1.5, 0.2, 1.1, -0.4];

fn weights(step: u64) -> Tensor<f64> {
    Tensor::from([0.3 + 0.1 * step as f64, -0.8])
}

fn parameters<'t>(graph: &Graph<'t, f64>) -> GraphResult<[Var<'t, f64>; 2]> {
    let weights = graph.param("weights", weights(0))?;
    Ok([weights.index(0, 0), weights.index(0, 1)])
}

/// Two nodes for each row, and costs of the rows.
fn rows(graph: &Graph<'_, f64>, data: Var<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    // The lifetimes of a graph and its values are those of its tape.
    let data = graph.tape().var(data.id())?;
    let [a, b] = parameters(graph)?;
    let x = draw(graph, "x", a * data + b)?;
    let y = draw(graph, "y", x * b - data * 0.5)?;
    graph.cost("first", (x - data * 0.3).square() * a)?;
    graph.cost("second", (y + x * 0.5 - data).square())
}

/// A node that all rows share.
fn shared(graph: &Graph<'_, f64>, data: Var<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let data = graph.tape().var(data.id())?;
    let [a, b] = parameters(graph)?;
    let x = draw(graph, "x", a + b)?;
    graph.cost("rows", (x * data - 0.4).square())?;
    graph.cost("prior", (x - b).square())
}

/// A cost of all rows together.
fn joint(graph: &Graph<'_, f64>, data: Var<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let data = graph.tape().var(data.id())?;
    let [a, b] = parameters(graph)?;
    let x = draw(graph, "x", a * data + b)?;
    let plate = data.plates()[0];
    graph.cost("joint", ((x - data).mean_over(plate) - 0.3).square() + (x * 0.5).log_mean_exp_over(plate))
}

/// The gradients and costs of three steps, in which the methods learn.
fn steps(model: Model, draw: &Draw<'_>, shards: &mut Shards<f64>) -> GraphResult<Vec<Vec<f64>>> {
    let record = |shard: usize| -> GraphResult<(CompiledGraph<f64>, Tensor<f64>)> {
        let members = shards.members(shard, ROWS.len());
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(11));
        graph.shard("rows", members.start, ROWS.len())?;
        let rows = Tensor::from(ROWS[members].to_vec());
        let data = graph.data("rows", &rows)?;
        model(&graph, data, draw)?;
        Ok((graph.compile()?, rows))
    };
    let mut graphs = shards.own().map(record).collect::<GraphResult<Vec<_>>>()?;
    let mut found = Vec::new();
    for step in 0..3 {
        for (graph, rows) in &mut graphs {
            graph.set("weights", &weights(step))?;
            graph.set("rows", rows)?;
        }
        let mut each: Vec<_> = graphs.iter_mut().map(|(graph, _)| graph).collect();
        CompiledGraph::run_shards(&mut each, shards, Seed::new(11).step(step as usize))?;
        for graph in each {
            let gradients = graph.gradients();
            let costs = gradients.costs().iter().map(|(_, cost)| *cost);
            let values: Vec<f64> = gradients.get("weights")?.as_slice().iter().copied().chain(costs).collect();
            found.push(values);
            graph.advance();
        }
    }
    let each = shards.own().len();
    assert!(found.chunks(each).all(|values| values.iter().all(|other| *other == values[0])), "{found:?}");
    Ok(found.into_iter().step_by(each).collect())
}

/// The steps of every method, each with a state of its own.
fn of_all(model: Model, count: usize, ranks: Rc<dyn Communicator>) -> Vec<(String, GraphResult<Vec<Vec<f64>>>)> {
    let mut shards = Shards::new(count, ranks).unwrap();
    let entries = entries();
    let subjects = entries.iter().flat_map(|entry| &entry.subjects);
    subjects
        .map(|subject| {
            (format!("{} on {}", subject.name, subject.title.to_lowercase()), steps(model, &*subject.draw, &mut shards))
        })
        .collect()
}

/// Compares every method on three shards with the whole minibatch. Returns the combinations that only shards refuse,
/// with the error if it is not that of an operation that needs members of other shards.
fn compare(model: Model) -> Vec<String> {
    let whole = of_all(model, 1, Rc::new(SingleRank));
    let divided = of_all(model, 3, Rc::new(SingleRank));
    let mut refused = Vec::new();
    for ((name, whole), (_, divided)) in whole.into_iter().zip(divided) {
        let whole = match whole {
            Ok(whole) => whole,
            Err(_) => {
                assert!(divided.is_err(), "{name}: refused on the whole minibatch only");
                continue;
            }
        };
        match divided {
            Ok(divided) => {
                for (found, expected) in divided.iter().flatten().zip(whole.iter().flatten()) {
                    assert!(
                        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
                        "{name}: {divided:?}, expected {whole:?}"
                    );
                }
            }
            Err(error) => {
                let message = error.to_string();
                refused.push(if message.contains("got a shard of") { name } else { format!("{name}: {message}") });
            }
        }
    }
    refused
}

#[test]
fn every_method_has_the_gradients_of_the_whole_minibatch() {
    assert_eq!(compare(rows), Vec::<String>::new());
}

#[test]
fn every_method_of_a_shared_node_has_the_gradients_of_the_whole_minibatch() {
    assert_eq!(compare(shared), Vec::<String>::new());
}

#[test]
fn joint_costs_of_all_rows_are_exact_or_refused_with_the_reason() {
    // These replay the cost with the members of the whole plate along an axis.
    let replays = [
        "measure-valued",
        "stochastic derivative",
        "local expectation",
        "discrete GO",
        "budget of",
        "reservoir of",
        "bit-flip",
        "UGC",
        "finite difference",
    ];
    let refused = compare(joint);
    let others: Vec<&String> = refused.iter().filter(|name| !replays.iter().any(|own| name.starts_with(own))).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn ranks_agree_to_the_bit() {
    let single = of_all(rows, 4, Rc::new(SingleRank));
    for ranks in [2, 4] {
        let threads: Vec<_> = ThreadRank::group(ranks)
            .into_iter()
            .map(|rank| std::thread::spawn(move || of_all(rows, 4, Rc::new(rank))))
            .collect();
        for thread in threads {
            for ((name, found), (_, expected)) in thread.join().unwrap().into_iter().zip(&single) {
                match (found, expected) {
                    (Ok(found), Ok(expected)) => assert_eq!(&found, expected, "{name} on {ranks} ranks"),
                    (found, expected) => assert!(found.is_err() && expected.is_err(), "{name}: {found:?}"),
                }
            }
        }
    }
}
