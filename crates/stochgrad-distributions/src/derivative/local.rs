//! Local reparameterisation: draws the products of inputs with random weights in place of the weights.
//!
//! If the elements of a matrix $W$ are independent normal samples with means $M$ and standard deviations $S$, the
//! elements of $x W$ are independent normal samples too, given $x$:
//!
//! $$x W \sim \mathcal N\big(x M,\ \sqrt{x^2 S^2}\big), \quad \text{squares and root element by element}.$$
//!
//! Use it for Bayesian layers on minibatches. The mean of the gradient is that of a single draw of $W$, as long as the
//! cost is a sum over the data. The noise of different data is independent, so that their gradients are no longer
//! correlated and their average usually has a lower variance. The cost is one more product of matrices.
//!
//! Source: Kingma, Salimans and Welling, "Variational dropout and the local reparameterization trick", 2015.

use crate::continuous::normal::Normal;
use stochgrad_tape::{TapeError, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> Normal<Var<'t, F>> {
    /// The distribution of the product `x · W` of a vector `x`, of event shape `[inputs]`, with a matrix `W` of this
    /// distribution, of event shape `[inputs, outputs]`. Each member of the plates of `x` has its own product.
    ///
    /// Draws for different members of a plate are independent, whereas a single matrix would couple them. The cost must
    /// therefore be an average over these plates, as for a minibatch. The divergence of the weights is still that of
    /// this distribution. Where `x` is zero, the product is zero with a standard deviation of the square root of the
    /// smallest positive number.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Normal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let weights = Normal::new(tape.constant([[1.0, -1.0], [0.5, 2.0]]), tape.constant([[0.3, 0.1], [0.4, 0.2]]));
    /// let hidden = weights.products(tape.constant([1.0, 2.0]));
    /// assert_eq!(hidden.location().value()?.as_slice(), &[2.0, 3.0]);
    /// assert!((hidden.variance().unwrap().value()?.as_slice()[0] - (0.09 + 4.0 * 0.16)).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn products(&self, x: Var<'t, F>) -> Normal<Var<'t, F>> {
        let event = crate::Distribution::event_shape(self);
        let (inputs, shape) = (event.first().copied().unwrap_or(0), x.shape());
        if event.len() != 2 || shape.len() != 1 || shape.first() != Some(&inputs) {
            let message = format!(
                "products of a vector with random weights: expected weights of event shape [inputs, outputs] and a \
                 vector of event shape [inputs], got weights {event} and {shape}; rows that share the weights are \
                 members of a plate, as graph.data makes one"
            );
            let failed = x.tape().fail(TapeError::Other { message, at: std::panic::Location::caller() });
            return Normal::new(failed, failed);
        }
        let full = |parameter: Var<'t, F>| parameter.broadcast_to(event.clone());
        let variance = x.square().matmul(full(self.scale()).square()) + F::MIN_POSITIVE.to_f64();
        Normal::new(x.matmul(full(self.location())), variance.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Distribution;
    use stochgrad_tape::Tape;

    #[test]
    fn a_vector_of_zeros_has_finite_derivatives() {
        fn check<F: Real>() {
            let tape = Tape::<F>::new();
            let (location, scale) = (tape.parameter([[1.0], [2.0]]), tape.parameter(0.5));
            let distribution = Normal::new(location, scale).products(tape.constant([0.0, 0.0]));
            distribution.validate().unwrap();
            let gradients =
                tape.backward((distribution.location() + distribution.scale()).sum(), [location, scale]).unwrap();
            assert!(gradients.iter().all(|gradient| gradient.as_slice().iter().all(|g| g.to_f64() == 0.0)));
        }
        check::<f64>();
        check::<f32>();
    }

    #[test]
    fn rows_must_be_members_of_a_plate() {
        let tape = Tape::<f64>::new();
        let weights = Normal::new(tape.constant([[1.0], [2.0]]), 0.5);
        weights.products(tape.constant([[1.0, 2.0], [3.0, 4.0]]));
        let error = tape.check().unwrap_err().to_string();
        assert!(error.contains("[2, 1]") && error.contains("graph.data") && error.contains("local.rs"), "{error}");
    }
}
