//! What a distribution says about each of its parameters.

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
    /// How the log-probability depends on it, for samples in general position. `Kinked` caps the score function at
    /// order 1, `Jump` says that the support depends on it, `Constant` that it is not a parameter to differentiate by.
    pub score: Smoothness,
    /// How reparameterised samples depend on it: `Kinked` where only the first derivative is implemented, `Jump` where
    /// none is.
    pub path: Smoothness,
    /// Values at which an outcome has the probability zero and may have a derivative all the same, such as the
    /// probabilities 0 and 1: samples never show that outcome, so that methods that learn from samples alone miss its
    /// part of the derivative.
    pub hiding: &'static [f64],
}

impl<'t, F: Real> Parameter<'t, F> {
    /// A parameter in which both the log-probability and reparameterised samples are smooth.
    pub fn smooth(name: &'static str, var: Var<'t, F>) -> Self {
        Parameter { name, var, score: Smoothness::Smooth, path: Smoothness::Smooth, hiding: &[] }
    }

    /// The same, with another dependence of the log-probability.
    pub fn with_score(self, score: Smoothness) -> Self {
        Parameter { score, ..self }
    }

    /// The same, with another dependence of reparameterised samples.
    pub fn with_path(self, path: Smoothness) -> Self {
        Parameter { path, ..self }
    }

    /// The same, with values at which an outcome is [hidden](Self::hiding).
    pub fn with_hiding(self, hiding: &'static [f64]) -> Self {
        Parameter { hiding, ..self }
    }
}

/// The parameters of a live distribution.
pub type Parameters<'t, F> = SmallVec<[Parameter<'t, F>; 2]>;
