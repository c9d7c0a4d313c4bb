//! Schedules: values of the host that are functions of the step.

use crate::error::{GraphError, GraphResult};
use std::panic::Location;
use std::sync::Arc;

/// The value of a schedule at a step. It is an error if the value is not finite.
pub type StepFunction = Box<dyn Fn(u64) -> GraphResult<f64> + Send + Sync>;

/// A recorded schedule.
#[derive(Clone)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) function: Arc<dyn Fn(u64) -> f64 + Send + Sync>,
    pub(crate) at: &'static Location<'static>,
}

impl Schedule {
    /// The value at a step.
    ///
    /// # Errors
    /// If it is not finite.
    pub(crate) fn value(&self, step: u64) -> GraphResult<f64> {
        let value = (self.function)(step);
        if value.is_finite() {
            return Ok(value);
        }
        Err(GraphError::Data {
            name: self.name.clone(),
            problem: format!("expected a schedule of finite values, got {value} at step {step}"),
            at: self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::address::Seed;
    use crate::graph::Graph;
    use stochgrad_tape::Tape;

    #[test]
    fn a_schedule_is_evaluated_at_the_step_of_the_graph() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7).step(3));
        assert_eq!(graph.step(), 3);
        let rate = graph.schedule("rate", |step| 2.0 * step as f64).unwrap();
        assert_eq!(rate.peek().unwrap().as_slice(), &[6.0]);
        let message = graph.schedule("rate", |_| 1.0).unwrap_err().to_string();
        assert!(message.contains("input \"rate\" exists already"), "{message}");
    }

    #[test]
    fn a_value_that_is_not_finite_is_an_error_in_each_run() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7).step(1));
        let rate = graph.schedule("rate", |step| 1.0 / step as f64).unwrap();
        graph.cost("loss", rate).unwrap();
        let mut compiled = graph.compile().unwrap();
        assert_eq!(compiled.run(Seed::new(7).step(2)).unwrap().total(), 0.5);
        let message = compiled.run(Seed::new(7)).unwrap_err().to_string();
        assert!(message.contains("\"rate\"") && message.contains("inf at step 0"), "{message}");
        assert_eq!(compiled.run(Seed::new(7).step(4)).unwrap().total(), 0.25);
        let other = Tape::<f64>::new();
        assert!(Graph::new(&other, Seed::new(7)).schedule("rate", |step| 1.0 / step as f64).is_err());
    }
}
