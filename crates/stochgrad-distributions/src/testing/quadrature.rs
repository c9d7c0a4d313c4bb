//! Nodes and weights at which densities are integrated.

use stochgrad_tensor::special::sigmoid;

/// Where the mass of a distribution of numbers is, which decides the nodes of the quadrature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Between these bounds, up to a negligible part.
    Line(f64, f64),
    /// The positive real numbers.
    HalfLine,
    /// The positive real numbers, of a distribution without all its moments.
    HeavyHalfLine,
    /// The real line, of a distribution without all its moments.
    HeavyLine,
    /// The real line, of a distribution without all its moments whose density has a pole at 0.
    PoleAtZero,
    /// The real numbers between 0 and 1. The nodes are as dense near both ends as in the middle.
    UnitInterval,
    /// Between the first two parameters.
    Parameters,
    /// Above the first parameter, with a tail of any weight.
    AboveFirst,
}

impl Domain {
    /// Nodes and weights of a quadrature.
    pub(crate) fn nodes(self, parameters: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let count = 40_000;
        let middles = |low: f64, high: f64| {
            let step = (high - low) / count as f64;
            (0..count).map(move |i| (low + (i as f64 + 0.5) * step, step))
        };
        match self {
            Domain::Line(low, high) => middles(low, high).unzip(),
            Domain::Parameters => middles(parameters[0], parameters[1]).unzip(),
            Domain::HalfLine => middles(-80.0, 8.0).map(|(t, step)| (t.exp(), t.exp() * step)).unzip(),
            Domain::HeavyHalfLine => middles(-80.0, 60.0).map(|(t, step)| (t.exp(), t.exp() * step)).unzip(),
            Domain::HeavyLine => middles(-60.0, 60.0).map(|(t, step)| (t.sinh(), t.cosh() * step)).unzip(),
            Domain::PoleAtZero => middles(-160.0, 160.0)
                .map(|(t, step)| {
                    let size = (t.abs() - 80.0).exp();
                    (size.copysign(t), size * step)
                })
                .unzip(),
            Domain::UnitInterval => middles(-36.0, 36.0)
                .map(|(t, step)| (sigmoid(t), sigmoid(t) * sigmoid(-t) * step))
                .filter(|&(x, _)| x < 1.0)
                .unzip(),
            Domain::AboveFirst => {
                middles(-80.0, 60.0).map(|(t, step)| (parameters[0] + t.exp(), t.exp() * step)).unzip()
            }
        }
    }
}
