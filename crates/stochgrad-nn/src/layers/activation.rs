//! Activation functions.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::layers::Layer;
use crate::record::Record;

/// A function of each element between two layers.
///
/// `Relu` and `LeakyRelu` have a kink. Pathwise derivatives through them are valid at order 1 only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// $x$.
    #[default]
    Identity,
    /// $\max(x, 0)$.
    Relu,
    /// $x$ where it is positive, else $x$ times this slope.
    LeakyRelu(f64),
    /// The hyperbolic tangent.
    Tanh,
    /// $1 / (1 + e^{-x})$.
    Sigmoid,
    /// $\ln(1 + e^x)$.
    Softplus,
}

impl Activation {
    /// The function of each element.
    #[track_caller]
    pub fn apply<'t, F: Real>(self, x: Var<'t, F>) -> Var<'t, F> {
        match self {
            Self::Identity => x,
            Self::Relu => x.relu(),
            Self::LeakyRelu(slope) => x.leaky_relu(slope),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => x.sigmoid(),
            Self::Softplus => x.softplus(),
        }
    }
}

impl<F: Real> Layer<F> for Activation {
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let tape = record.tape();
        tape.check()?;
        Ok(tape.located(Location::caller(), || self.apply(x)))
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_tape::Tape;

    use super::*;

    #[test]
    fn activations_have_the_values_of_their_formulas() {
        type Case = (Activation, fn(f64) -> f64);
        let cases: [Case; 6] = [
            (Activation::Identity, |x| x),
            (Activation::Relu, |x| x.max(0.0)),
            (Activation::LeakyRelu(0.1), |x| x.max(0.1 * x)),
            (Activation::Tanh, f64::tanh),
            (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
            (Activation::Softplus, |x| x.exp().ln_1p()),
        ];
        let inputs = [-2.0, -0.5, 0.0, 0.5, 2.0];
        let tape = Tape::<f64>::new();
        for (activation, formula) in cases {
            let values = activation.apply(tape.constant(inputs)).value().unwrap();
            for (&x, &y) in inputs.iter().zip(values.as_slice()) {
                assert!((y - formula(x)).abs() < 1e-14, "{activation:?} at {x}: {y}");
            }
        }
    }
}
