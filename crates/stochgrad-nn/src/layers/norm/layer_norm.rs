//! Layer normalisation.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

use crate::error::NnResult;
use crate::layers::Layer;
use crate::layers::input::unfit;
use crate::layers::norm::affine::{Affine, EPSILON, check_sizes, checked_epsilon, scaled};
use crate::parameters::Scope;
use crate::record::Record;

/// Layer normalisation (Ba et al. 2016): shifts and scales the last event axes of each input to mean 0 and variance 1,
/// then multiplies by `name.weight` and adds `name.bias`, both of the shape of these axes:
///
/// $$y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}\, w + b$$
///
/// with the mean $\mu$ and the variance $\sigma^2$ of the elements of the last axes, and $\epsilon = 10^{-5}$. Members
/// of plates and the other event axes are not combined.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Layer, LayerNorm, Parameters};
/// use stochgrad_tape::Tape;
///
/// let mut parameters = Parameters::<f64>::new();
/// let norm = LayerNorm::new(&mut parameters, "norm", 2)?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let y = norm.forward(&parameters.on(&graph), graph.constant([[1.0, 3.0], [-5.0, 5.0]]))?;
/// assert!(y.value()?.as_slice().iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(y, e)| (y - e).abs() < 1e-5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    affine: Affine,
    sizes: Shape,
    epsilon: f64,
}

impl LayerNorm {
    /// Adds the weights, initially 1, and the biases, initially 0. `sizes` are those of the last event axes of the
    /// input: a number for one axis, an array for several.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if there is no axis or an axis without elements,
    /// or if a name is taken. Nothing is added in this case.
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        sizes: impl Into<NormSizes>,
    ) -> NnResult<Self> {
        let NormSizes(sizes) = sizes.into();
        let mut scope = parameters.into().into_scope(name);
        check_sizes("`sizes` of `LayerNorm::new`", &sizes, &scope)?;
        let affine = scope.all_or_none(|scope| Affine::new(scope, &sizes))?;
        Ok(Self { affine, sizes, epsilon: EPSILON })
    }

    /// Sets the number that is added to the variance.
    ///
    /// # Panics
    ///
    /// If it is not positive.
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon: checked_epsilon(epsilon), ..self }
    }
}

/// The sizes of the axes that a [`LayerNorm`] normalises: made from a number or from an array of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormSizes(Shape);

impl From<usize> for NormSizes {
    fn from(size: usize) -> Self {
        Self(Shape::from([size]))
    }
}

impl<const N: usize> From<[usize; N]> for NormSizes {
    fn from(sizes: [usize; N]) -> Self {
        Self(Shape::from(sizes))
    }
}

impl<F: Real> Layer<F> for LayerNorm {
    /// The event shape `[.., sizes]` stays the same.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let (tape, at) = (record.tape(), Location::caller());
        tape.check()?;
        let shape = x.shape();
        let Some((others, sizes)) = shape.split_at_checked(shape.rank().wrapping_sub(self.sizes.rank())) else {
            return Err(self.unfit(x, at));
        };
        if sizes != &self.sizes[..] {
            return Err(self.unfit(x, at));
        }
        tape.located(at, || {
            let flat: Shape = others.iter().copied().chain([self.sizes.numel()]).collect();
            let x = if self.sizes.rank() == 1 { x } else { x.reshape(flat) };
            let centred = x - x.mean_axis(-1).unsqueeze(-1);
            let variance = centred.square().mean_axis(-1).unsqueeze(-1);
            let y = scaled(centred, variance, self.epsilon);
            self.affine.of(record, if self.sizes.rank() == 1 { y } else { y.reshape(shape.clone()) })
        })
    }
}

impl LayerNorm {
    fn unfit<F: Real>(&self, x: Var<'_, F>, at: &'static Location<'static>) -> stochgrad_graph::GraphError {
        let layer = format!("layer normalisation with weights `{}`", self.affine.weight);
        unfit(x, layer, format!("expected {} as the sizes of the last event axes", self.sizes), at)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::layers::check::{LayerCheck, values};
    use crate::parameters::Parameters;

    #[test]
    fn derivatives_plates_and_programs() {
        for x in [[2, 3, 4], [1, 3, 4]] {
            let mut parameters = Parameters::new();
            let norm = LayerNorm::new(&mut parameters, "norm", [3, 4]).unwrap();
            LayerCheck::new(parameters, values(x)).run(&norm);
        }
        let mut parameters = Parameters::new();
        let norm = LayerNorm::new(&mut parameters, "norm", 5).unwrap().epsilon(0.1);
        LayerCheck::new(parameters, values([3, 2, 5])).run(&norm);
    }

    #[test]
    fn one_element_becomes_the_bias() {
        let mut parameters = Parameters::<f64>::new();
        let norm = LayerNorm::new(&mut parameters, "norm", 1).unwrap();
        parameters.set("norm.bias", Tensor::from([0.25])).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let y = norm.forward(&parameters.on(&graph), graph.constant([[3.0], [5.0]])).unwrap();
        assert_eq!(y.value().unwrap().as_slice(), [0.25, 0.25]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        let norm = LayerNorm::new(&mut parameters, "norm", [3, 4]).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        for shape in [&[4][..], &[4, 3], &[2, 3, 5]] {
            let x = graph.constant(Tensor::ones(shape));
            let message = norm.forward(&parameters.on(&graph), x).unwrap_err().to_string();
            for part in ["`norm.weight`", "expected [3, 4]", &Shape::from(shape).to_string(), "layer_norm.rs"] {
                assert!(message.contains(part), "{message}");
            }
        }
        let message = LayerNorm::new(&mut parameters, "other", [3, 0]).unwrap_err().to_string();
        assert!(message.contains("[3, 0]") && message.contains("`other`"), "{message}");
        assert_eq!(parameters.len(), 2);
    }
}
