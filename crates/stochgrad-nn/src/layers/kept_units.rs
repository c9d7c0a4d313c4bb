//! Activations with a random subset of the units in the backward pass.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::NnResult;
use crate::layers::Layer;
use crate::layers::activation::Activation;
use crate::layers::kept_fraction::{KeptFraction, limit_order};
use crate::parameters::Scope;
use crate::record::Record;

/// An [`Activation`] through whose random units, a fraction of the last event axis, all derivatives flow in training
/// (Oktay et al. 2020). The kept units count more, so that the gradient is unbiased at first order; a second derivative
/// is an error. The output is exact. Evaluation and prediction use the activation itself.
///
/// A compiled model keeps these units only for the derivative of the activation. A linear layer behind it keeps its
/// whole input, unless it [keeps rows](crate::Linear::keep_rows). The units are the same for all rows.
/// See [`map_keeping_units`](Var::map_keeping_units) for the formula.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Activation, KeptUnits, Layer, Parameters};
/// use stochgrad_tape::Tape;
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("x", [1.0, 2.0, 3.0, 4.0].into())?;
/// let layer = KeptUnits::new(&mut parameters, "kept", Activation::Relu, 0.5)?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let record = parameters.on(&graph);
/// record.cost("cost", layer.forward(&record, record.param("x")?)?.sum())?;
/// let gradients = graph.backward()?;
/// let mut slopes = gradients.get("x").expect("a parameter").to_vec();
/// slopes.sort_by(f64::total_cmp);
/// assert_eq!(slopes, [0.0, 0.0, 2.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KeptUnits {
    name: String,
    activation: Activation,
    kept: KeptFraction,
}

impl KeptUnits {
    /// Keeps a fraction of the units. The layer has no parameters; the scope determines its full name, which is the
    /// address of the random units.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if the fraction is outside (0, 1].
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        activation: Activation,
        fraction: f64,
    ) -> NnResult<Self> {
        let scope = parameters.into().into_scope(name);
        let kept = KeptFraction::new(fraction, "`fraction` of `KeptUnits::new`", scope.name())?;
        Ok(Self { name: scope.name().into(), activation, kept })
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.activation
    }
}

impl<F: Real> Layer<F> for KeptUnits {
    /// The event shape stays the same.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        record.tape().check()?;
        record.tape().located(at, || {
            apply_keeping_units(self.activation, Some(self.kept), record, &format!("units of {}", self.name), x)
        })
    }
}

/// An activation, through whose random units derivatives flow if a fraction of them is kept. `units` names them.
pub(super) fn apply_keeping_units<'t, F: Real>(
    activation: Activation,
    kept: Option<KeptFraction>,
    record: &Record<'_, 't, F>,
    units: &str,
    x: Var<'t, F>,
) -> GraphResult<Var<'t, F>> {
    let count = x.shape().last().copied().unwrap_or(1);
    let positions = match kept.filter(|_| record.is_training()) {
        Some(kept) => kept.positions(record, units, count)?,
        None => None,
    };
    Ok(match positions {
        Some(positions) => {
            let value = x.map_keeping_units(positions, |x| activation.apply(x));
            limit_order(record, value, units);
            value
        }
        None => activation.apply(x),
    })
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    use super::*;
    use crate::layers::check::{LayerCheck, values};
    use crate::mode::Mode;
    use crate::parameters::Parameters;

    #[test]
    fn outputs_are_exact_and_programs_are_those_of_recordings() {
        for activation in [Activation::Relu, Activation::Gelu] {
            let mut parameters = Parameters::<f64>::new();
            let layer = KeptUnits::new(&mut parameters, "kept", activation, 0.4).unwrap();
            assert_eq!(layer.activation(), activation);
            LayerCheck::new(parameters, values([3, 2, 5])).estimated().run(&layer);
        }
    }

    #[test]
    fn units_are_those_of_the_name_and_kept_in_training_only() {
        let mut parameters = Parameters::<f64>::new();
        let [a, b] = ["a", "b"].map(|name| KeptUnits::new(&mut parameters, name, Activation::Tanh, 0.5).unwrap());
        parameters.insert("x", values([2, 12])).unwrap();
        let slope = |layer: &KeptUnits, mode: Mode| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(7));
            let record = parameters.on(&graph).in_mode(mode);
            let y = layer.forward(&record, record.param("x").unwrap()).unwrap();
            record.cost("cost", y.sum()).unwrap();
            graph.backward().unwrap().get("x").unwrap().to_vec()
        };
        let exact = slope(&a, Mode::Evaluate);
        assert!(exact.iter().all(|&slope| slope != 0.0));
        let random = slope(&a, Mode::Train);
        assert_ne!(random, slope(&b, Mode::Train));
        let kept = |row: &[f64]| row.iter().map(|&slope| slope != 0.0).collect::<Vec<bool>>();
        assert_eq!(kept(&random[..12]), kept(&random[12..]), "the same units in all rows");
        assert_eq!(random.iter().filter(|&&slope| slope != 0.0).count(), 12);
        for (random, exact) in random.iter().zip(exact) {
            assert!(*random == 0.0 || (random - 2.0 * exact).abs() < 1e-15);
        }
    }

    #[test]
    fn fractions_outside_the_interval_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        for fraction in [0.0, 1.5, f64::NAN] {
            let kept = KeptUnits::new(parameters.scope("net"), "kept", Activation::Relu, fraction);
            let message = kept.unwrap_err().to_string();
            assert!(message.contains("`net.kept`") && message.contains("(0, 1]"), "{message}");
        }
    }
}
