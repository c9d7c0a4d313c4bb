//! Group normalisation.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

use crate::error::{NnError, NnResult};
use crate::layers::Layer;
use crate::layers::input::expect_last;
use crate::layers::norm::affine::{Affine, EPSILON, check_sizes, checked_epsilon, scaled};
use crate::parameters::Scope;
use crate::record::Record;

/// Group normalisation (Wu & He 2018): shifts and scales groups of channels to mean 0 and variance 1, then multiplies
/// by `name.weight` and adds `name.bias`, both of shape `[channels]`.
///
/// The channels are the last event axis. The mean and the variance of a group are taken over its channels and over all
/// other event axes, such as the height and the width of an image. Members of plates are not combined, so that gradient
/// methods may credit each member by itself: use it in place of [`BatchNorm`](crate::BatchNorm) behind a stochastic
/// node.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{GroupNorm, Layer, Parameters};
/// use stochgrad_tape::Tape;
///
/// let mut parameters = Parameters::<f64>::new();
/// let norm = GroupNorm::new(&mut parameters, "norm", 2, 4)?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let y = norm.forward(&parameters.on(&graph), graph.constant([1.0, 3.0, -5.0, 5.0]))?;
/// assert!(y.value()?.as_slice().iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(y, e)| (y - e).abs() < 1e-5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNorm {
    affine: Affine,
    groups: usize,
    channels: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// Adds the weights, initially 1, and the biases, initially 0. The number of groups must divide that of channels.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if there are no channels, if the channels cannot be divided into the groups, or if
    /// a name is taken. Nothing is added in this case.
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        groups: usize,
        channels: usize,
    ) -> NnResult<Self> {
        let mut scope = parameters.into().into_scope(name);
        let sizes = Shape::from([channels]);
        check_sizes("`channels` of `GroupNorm::new`", &sizes, &scope)?;
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(NnError::argument(
                "`groups` of `GroupNorm::new`",
                format!("a divisor of the {channels} channels"),
                format!("{groups} for layer `{}`", scope.name()),
                "pass 1 for a single group, or the number of channels for a group of each",
            ));
        }
        let affine = scope.all_or_none(|scope| Affine::new(scope, &sizes))?;
        Ok(Self { affine, groups, channels, epsilon: EPSILON })
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

impl<F: Real> Layer<F> for GroupNorm {
    /// The event shape `[.., channels]` stays the same.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let (tape, at) = (record.tape(), Location::caller());
        tape.check()?;
        expect_last(x, self.channels, || format!("group normalisation with weights `{}`", self.affine.weight), at)?;
        tape.located(at, || {
            let shape = x.shape();
            let positions = shape[..shape.rank() - 1].iter().product();
            let x = x.reshape([positions, self.groups, self.channels / self.groups]);
            let mean = |x: Var<'t, F>| x.mean_axis(2).mean_axis(0).reshape([1, self.groups, 1]);
            let centred = x - mean(x);
            let y = scaled(centred, mean(centred.square()), self.epsilon);
            self.affine.of(record, y.reshape(shape))
        })
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
        for (groups, shape) in [(3, &[2, 2, 3, 6][..]), (1, &[3, 6]), (6, &[2, 3, 6])] {
            let mut parameters = Parameters::new();
            let norm = GroupNorm::new(&mut parameters, "norm", groups, 6).unwrap().epsilon(0.1);
            LayerCheck::new(parameters, values(shape)).run(&norm);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        let norm = GroupNorm::new(&mut parameters, "norm", 2, 4).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        for x in [Tensor::ones([4, 3]), Tensor::scalar(1.0)] {
            let message = norm.forward(&parameters.on(&graph), graph.constant(x)).unwrap_err().to_string();
            assert!(message.contains("`norm.weight`") && message.contains("expected 4"), "{message}");
        }
        for (groups, channels) in [(0, 4), (3, 4), (1, 0)] {
            let message = GroupNorm::new(&mut parameters, "other", groups, channels).unwrap_err().to_string();
            assert!(message.contains("`other`"), "{message}");
        }
        assert_eq!(parameters.len(), 2);
    }
}
