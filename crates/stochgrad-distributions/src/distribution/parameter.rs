//! The parameters of a distribution, and how its log-probability and its samples depend on them.

use crate::distribution::order::Order;
use crate::distribution::sample_path::SamplePath;
use smallvec::SmallVec;
use stochgrad_tape::{Smoothness, Var};
use stochgrad_tensor::Real;

/// One parameter of a live distribution.
#[derive(Clone, Copy, Debug)]
pub struct Parameter<'t, F: Real> {
    /// The name, as in messages.
    pub name: &'static str,
    /// The value on the tape.
    pub var: Var<'t, F>,
    /// How the log-probability depends on the parameter, for almost all samples. `Kinked` limits the score function to
    /// order 1, `Jump` states that the support depends on the parameter, and `Constant` that there are no derivatives
    /// with respect to it.
    pub score: Smoothness,
    /// How reparameterised samples depend on it.
    pub path: SamplePath,
    /// Values at which an outcome has the probability zero but a derivative, such as the probabilities 0 and 1. Samples
    /// never take that outcome, so that methods that use samples alone miss its part of the derivative.
    pub hiding: &'static [f64],
}

impl<'t, F: Real> Parameter<'t, F> {
    /// A parameter for which the log-probability is smooth, and reparameterised samples are recorded functions with
    /// derivatives of every order.
    pub fn smooth(name: &'static str, var: Var<'t, F>) -> Self {
        Parameter { name, var, score: Smoothness::Smooth, path: SamplePath::Recorded(Order::Any), hiding: &[] }
    }

    /// The same parameter with another dependence of the log-probability.
    pub fn with_score(self, score: Smoothness) -> Self {
        Parameter { score, ..self }
    }

    /// The same parameter with another dependence of reparameterised samples.
    pub fn with_path(self, path: SamplePath) -> Self {
        Parameter { path, ..self }
    }

    /// The same parameter with values at which an outcome is [hidden](Self::hiding).
    pub fn with_hiding(self, hiding: &'static [f64]) -> Self {
        Parameter { hiding, ..self }
    }
}

/// The parameters of a live distribution.
pub type Parameters<'t, F> = SmallVec<[Parameter<'t, F>; 2]>;
