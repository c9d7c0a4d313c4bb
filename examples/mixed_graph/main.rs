//! Three gradient methods in one graph: score function, pathwise and measure-valued; and a Hessian.
//!
//! A machine is either worn or not (a bit), its load is normal around a level that depends on that, and the number of
//! failures is Poisson with a rate that grows with the load. The cost is quadratic in the failures, plus the price of maintenance.

use stochgrad::prelude::*;

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps = 20_000;
    let mut workspace = Workspace::<f64>::new();
    let names = ["maintenance", "level", "sensitivity"];
    let mut means = [0.0; 3];
    let mut costs = 0.0;
    for step in 0..steps {
        let graph = Graph::new(workspace.tape(), Seed::new(1).step(step));
        model(&graph)?;
        let gradients = graph.backward()?;
        costs += gradients.total() / steps as f64;
        for (mean, name) in means.iter_mut().zip(names) {
            *mean += gradients.get(name)?.item()? / steps as f64;
        }
    }
    println!("E[total cost] ≈ {costs:.4}");

    let graph = Graph::new(workspace.tape(), Seed::new(1));
    model(&graph)?;
    let surrogate = graph.surrogate()?;
    for (name, mean) in names.into_iter().zip(means) {
        println!("d/d{name} ≈ {mean:+.4}  ({})", surrogate.guarantee(name)?);
    }

    // The measure-valued derivative is valid once only, and the parameter of its node says so.
    match surrogate.hessian("sensitivity") {
        Ok(hessian) => println!("unexpected: {hessian}"),
        Err(error) => println!("d²/dsensitivity²: {error}"),
    }
    // Maintenance reaches the failures through the bit alone: its second derivative is valid.
    let mut second = 0.0;
    for step in 0..steps {
        let graph = Graph::new(workspace.tape(), Seed::new(2).step(step));
        model(&graph)?;
        second += graph.surrogate()?.hessian("maintenance")?.item()? / steps as f64;
    }
    println!("d²/dmaintenance² ≈ {second:+.4}");
    println!("{}", graph_in_dot(&mut workspace)?);
    Ok(())
}

fn graph_in_dot(workspace: &mut Workspace<f64>) -> GraphResult<String> {
    let graph = Graph::new(workspace.tape(), Seed::new(1));
    model(&graph)?;
    Ok(graph.to_dot())
}
