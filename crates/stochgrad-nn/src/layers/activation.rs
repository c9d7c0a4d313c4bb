//! Activation functions.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

use crate::layers::Layer;
use crate::record::Record;

/// A function of each element between two layers.
///
/// `Relu`, `LeakyRelu` and `Elu` have a kink. Pathwise derivatives through them are valid at order 1 only.
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
    /// $x\, \Phi(x)$ with the distribution function $\Phi$ of the standard normal distribution (Hendrycks & Gimpel
    /// 2016).
    Gelu,
    /// The approximation $\frac{x}{2} \big(1 + \tanh(\sqrt{2 / \pi}\, (x + 0.044715\, x^3))\big)$ of `Gelu`.
    GeluTanh,
    /// $x / (1 + e^{-x})$, also called swish (Elfwing et al. 2018).
    Silu,
    /// $x$ where it is positive, else $\alpha\, (e^x - 1)$ with this $\alpha$ (Clevert et al. 2016).
    Elu(f64),
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
            Self::Gelu => x * ((x * std::f64::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5),
            Self::GeluTanh => {
                let inner = (x + x.square() * x * 0.044715) * (std::f64::consts::FRAC_2_PI).sqrt();
                x * (inner.tanh() * 0.5 + 0.5)
            }
            Self::Silu => x * x.sigmoid(),
            // The adjoint at 0 is shared equally, so that the derivative there is the mean of 1 and α.
            Self::Elu(alpha) => x.map(Map::MaxScalar(0.0)) + x.map(Map::MinScalar(0.0)).expm1() * alpha,
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
    use std::f64::consts::PI;

    use stochgrad_check::{GradientCheck, gradient_check};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;

    #[test]
    fn activations_have_the_values_of_their_formulas() {
        type Case = (Activation, fn(f64) -> f64);
        let cases: [Case; 10] = [
            (Activation::Identity, |x| x),
            (Activation::Relu, |x| x.max(0.0)),
            (Activation::LeakyRelu(0.1), |x| x.max(0.1 * x)),
            (Activation::Tanh, f64::tanh),
            (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
            (Activation::Softplus, |x| x.exp().ln_1p()),
            (Activation::Gelu, |x| x * stochgrad_tensor::special::normal_cdf(x)),
            (Activation::GeluTanh, |x| x / (1.0 + (-2.0 * (2.0 / PI).sqrt() * (x + 0.044715 * x.powi(3))).exp())),
            (Activation::Silu, |x| x / (1.0 + (-x).exp())),
            (Activation::Elu(0.7), |x| if x > 0.0 { x } else { 0.7 * (x.exp() - 1.0) }),
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

    #[test]
    fn first_and_second_derivatives_agree_with_differences() {
        let inputs = [Tensor::from([[-3.0, -0.7, 0.4], [1.3, 2.5, -1.5]])];
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Elu(0.7)] {
            gradient_check(|_, x| activation.apply(x[0]), &inputs).unwrap_or_else(|e| panic!("{activation:?}: {e}"));
        }
        let single = GradientCheck::new().step(1e-3);
        single.run(|_, x| Activation::Elu(1.0).apply(x[0]), &[Tensor::scalar(-0.1)]).unwrap();
    }

    #[test]
    fn an_elu_at_zero_has_the_derivative_one() {
        let tape = Tape::<f64>::new();
        let x = tape.parameter(0.0);
        let y = Activation::Elu(1.0).apply(x);
        assert_eq!(tape.gradients(y, &[x]).unwrap()[0].item(), Ok(1.0));
    }
}
