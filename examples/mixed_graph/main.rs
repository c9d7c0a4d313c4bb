//! Three gradient methods in one graph (score function, pathwise and measure-valued), and a Hessian.
//!
//! A machine is either worn or not (a bit). Its load is normally distributed around a level that depends on the bit,
//! and the number of failures has a Poisson distribution whose rate grows with the load. The cost is the square of the
//! number of failures, plus the cost of the load and of maintenance.

use stochgrad::graph::{GraphResult, Surrogate};
use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;
use stochgrad::tape::Workspace;

const STEPS: usize = 20_000;
const PARAMETERS: [(&str, f64); 3] = [("maintenance", 0.5), ("level", 0.3), ("sensitivity", 0.2)];

/// Records the model.
fn model(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let [maintenance, level, sensitivity] = PARAMETERS.map(|(name, _)| record.param(name));
    let maintenance = maintenance?;

    let worn = record.sample(
        "worn",
        &Bernoulli::from_logits(-maintenance),
        &ScoreFunction::new().samples(4).baseline(LeaveOneOut),
    )?;
    let load = record.sample("load", &Normal::new(level? + worn * 0.5, 0.2), &Pathwise::new())?;
    let failures = record.sample("failures", &Poisson::from_log_rate(load * sensitivity?), &MeasureValued::new())?;

    record.cost("failures", failures.square())?;
    record.cost("load", (load - 0.4).square())?;
    record.cost("maintenance", maintenance.square() * 0.1)
}

/// The mean over many steps of the total cost and its gradient.
fn mean_gradients(parameters: &Parameters<f64>) -> GraphResult<[f64; 4]> {
    let mut step = Step::new(model);
    let mut means = [0.0; 4];
    for number in 0..STEPS {
        let gradients = step.run(parameters, &Inputs::new(), Seed::new(1).step(number))?;
        means[0] += gradients.total() / STEPS as f64;
        for (mean, (name, _)) in means[1..].iter_mut().zip(PARAMETERS) {
            *mean += gradients.get(name)?.item()? / STEPS as f64;
        }
    }
    Ok(means)
}

/// The mean over many steps of a number that is made from the surrogate.
fn mean_of_surrogates(
    parameters: &Parameters<f64>,
    measure: impl Fn(&Surrogate<'_, f64>) -> GraphResult<f64>,
) -> GraphResult<f64> {
    let mut workspace = Workspace::new();
    let mut mean = 0.0;
    for step in 0..STEPS {
        let graph = Graph::new(workspace.tape(), Seed::new(2).step(step));
        model(&parameters.on(&graph))?;
        mean += measure(&graph.surrogate()?)? / STEPS as f64;
    }
    Ok(mean)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut parameters = Parameters::new();
    parameters.insert_all(PARAMETERS.map(|(name, value)| (name, Tensor::scalar(value))))?;
    let [cost, gradients @ ..] = mean_gradients(&parameters)?;

    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&parameters.on(&graph))?;
    let surrogate = graph.surrogate()?;
    println!("E[total cost] ≈ {cost:.4}");
    for ((name, _), gradient) in PARAMETERS.into_iter().zip(gradients) {
        println!("d/d{name} ≈ {gradient:+.4}  ({})", surrogate.guarantee(name)?);
    }

    // Maintenance affects the failures only through the bit, whose method is valid at every order.
    let second = mean_of_surrogates(&parameters, |surrogate| Ok(surrogate.hessian("maintenance")?.item()?))?;
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
