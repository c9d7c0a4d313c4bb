//! What a distribution says about each of its parameters.

use crate::distribution::order::Order;
use crate::distribution::sample_path::SamplePath;
use smallvec::SmallVec;
use stochgrad_tape::{Smoothness, Var};
use stochgrad_tensor::Real;

/// One parameter of a live distribution.
#[derive(Clone, Copy, Debug)]
pub struct Parameter<'t, F: Real> {
    /// Its name.
    pub name: &'static str,
    /// Its value on the tape.
    pub var: Var<'t, F>,
    /// How the log-probability depends on it, for samples in general position. `Kinked` limits the score function to
    /// order 1, `Jump` says that the support depends on the parameter, and `Constant` that it is not a parameter to
    /// differentiate with respect to.
    pub score: Smoothness,
    /// How reparameterised samples depend on it.
    pub path: SamplePath,
    /// Values at which an outcome has probability zero but may have a derivative that is not zero, such as the
    /// probabilities 0 and 1. Samples never show that outcome, so methods that use only samples miss its part of the
    /// derivative.
    pub hiding: &'static [f64],
}

impl<'t, F: Real> Parameter<'t, F> {
    /// A parameter for which the log-probability is smooth, and reparameterised samples are recorded functions with
    /// derivatives of every order.
    pub fn smooth(name: &'static str, var: Var<'t, F>) -> Self {
        Parameter { name, var, score: Smoothness::Smooth, path: SamplePath::Recorded(Order::Any), hiding: &[] }
    }

    /// The same, with another dependence of the log-probability.
    pub fn with_score(self, score: Smoothness) -> Self {
        Parameter { score, ..self }
    }

    /// The same, with another dependence of reparameterised samples.
    pub fn with_path(self, path: SamplePath) -> Self {
        Parameter { path, ..self }
    }

    /// The same, with values at which an outcome is [hidden](Self::hiding).
    pub fn with_hiding(self, hiding: &'static [f64]) -> Self {
        Parameter { hiding, ..self }
    }
}

/// The parameters of a live distribution.
pub type Parameters<'t, F> = SmallVec<[Parameter<'t, F>; 2]>;
