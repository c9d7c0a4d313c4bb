//! Three gradient methods in one graph (score function, pathwise and measure-valued), and a Hessian.
//!
//! A machine is either worn or not (a bit). Its load is normally distributed around a level that depends on the bit,
//! and the number of failures has a Poisson distribution whose rate grows with the load. The cost is the square of the
//! number of failures, plus the cost of the load and of maintenance.

use stochgrad::graph::GraphResult;
use stochgrad::prelude::*;
use stochgrad::tape::Workspace;

const STEPS: usize = 20_000;
const PARAMETERS: [&str; 3] = ["maintenance", "level", "sensitivity"];

/// Records the model.
fn model(graph: &Graph<'_, f64>) -> GraphResult<()> {
    let maintenance = graph.param("maintenance", 0.5)?;
    let level = graph.param("level", 0.3)?;
    let sensitivity = graph.param("sensitivity", 0.2)?;

    let worn = graph.sample(
        "worn",
        &Bernoulli::from_logits(-maintenance),
        &ScoreFunction::new().samples(4).baseline(LeaveOneOut),
    )?;
    let load = graph.sample("load", &Normal::new(level + worn * 0.5, 0.2), &Pathwise::new())?;
    let failures = graph.sample("failures", &Poisson::from_log_rate(load * sensitivity), &MeasureValued::new())?;

    graph.cost("failures", failures.square())?;
    graph.cost("load", (load - 0.4).square())?;
    graph.cost("maintenance", maintenance.square() * 0.1)
}

/// The mean over many steps of the values that `measure` computes from the recorded model.
fn mean<const N: usize>(
    seed: Seed,
    measure: impl Fn(&Graph<'_, f64>) -> Result<[f64; N], Box<dyn std::error::Error>>,
) -> Result<[f64; N], Box<dyn std::error::Error>> {
    let mut workspace = Workspace::new();
    let mut means = [0.0; N];
    for step in 0..STEPS {
        let graph = Graph::new(workspace.tape(), seed.step(step));
        model(&graph)?;
        for (mean, value) in means.iter_mut().zip(measure(&graph)?) {
            *mean += value / STEPS as f64;
        }
    }
    Ok(means)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [cost, gradients @ ..] = mean(Seed::new(1), |graph| {
        let gradients = graph.backward()?;
        let [maintenance, level, sensitivity] = PARAMETERS.map(|name| gradients.get(name));
        Ok([gradients.total(), maintenance?.item()?, level?.item()?, sensitivity?.item()?])
    })?;

    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph)?;
    let surrogate = graph.surrogate()?;
    println!("E[total cost] ≈ {cost:.4}");
    for (name, gradient) in PARAMETERS.into_iter().zip(gradients) {
        println!("d/d{name} ≈ {gradient:+.4}  ({})", surrogate.guarantee(name)?);
    }

    // Maintenance affects the failures only through the bit, whose method is valid at every order.
    let [second] = mean(Seed::new(2), |graph| Ok([graph.surrogate()?.hessian("maintenance")?.item()?]))?;
    println!("d²/dmaintenance² ≈ {second:+.4}");

    // The measure-valued derivative is valid at order 1 only. A second derivative with respect to a parameter of its
    // node is refused.
    match surrogate.hessian("sensitivity") {
        Ok(hessian) => println!("d²/dsensitivity² ≈ {hessian}"),
        Err(error) => println!("d²/dsensitivity²: {error}"),
    }

    println!("\n{}", graph.to_dot());
    Ok(())
}
