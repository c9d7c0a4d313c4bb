//! Values that the tests share.

use crate::score_function::ScoreFunction;
use stochgrad_distributions::Bernoulli;
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::{Plate, Var};

/// A value that is the first number, or the second one with the given probability.
#[derive(Clone, Copy)]
pub(crate) struct TwoValues {
    pub(crate) values: [f64; 2],
    pub(crate) probability: f64,
}

impl TwoValues {
    pub(crate) const fn new(first: f64, second: f64, probability: f64) -> Self {
        TwoValues { values: [first, second], probability }
    }

    pub(crate) fn mean(&self) -> f64 {
        self.moment(1)
    }

    pub(crate) fn moment(&self, power: i32) -> f64 {
        let [first, second] = self.values;
        first.powi(power) * (1.0 - self.probability) + second.powi(power) * self.probability
    }

    /// Samples along a plate. The probability is the parameter "theta", which must have been recorded.
    pub(crate) fn draw<'t>(
        &self,
        graph: &Graph<'t, f64>,
        theta: Var<'t, f64>,
        plate: Plate,
    ) -> GraphResult<Var<'t, f64>> {
        let [first, second] = self.values;
        let bit = graph.sample("x", &Bernoulli::from_probabilities(theta), &ScoreFunction::new().on_plate(plate))?;
        Ok(bit * (second - first) + first)
    }

    /// Records a parameter, samples along a plate, and a cost of them.
    pub(crate) fn record(
        &self,
        graph: &Graph<'_, f64>,
        samples: usize,
        cost: impl for<'t> Fn(&Graph<'t, f64>, Var<'t, f64>, Plate) -> GraphResult<Var<'t, f64>>,
    ) -> GraphResult<()> {
        let theta = graph.param("theta", self.probability)?;
        let plate = graph.plate("samples", samples)?;
        let x = self.draw(graph, theta, plate)?;
        graph.cost("cost", cost(graph, x, plate)?)
    }
}

/// Checks a relative difference.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let scale = expected.abs().max(1.0);
    assert!((found - expected).abs() <= tolerance * scale, "{what}: {found}, not {expected}");
}
