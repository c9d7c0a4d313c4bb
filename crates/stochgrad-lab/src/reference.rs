//! The gradient with which estimates are compared.

use stochgrad_check::Oracle;
use stochgrad_graph::{Bias, MethodReplacements};
use stochgrad_tensor::Real;

use crate::arm::{Arm, Places};
use crate::error::{LabError, LabResult};
use crate::lab::Lab;

/// A gradient with which estimates are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Where it is from, in words.
    pub source: String,
    /// Its elements, in the order of the names of the parameters.
    pub values: Vec<f64>,
    /// The variances of the elements; none if the reference is exact.
    pub variances: Option<Vec<f64>>,
    pub(crate) squared_norm: f64,
    pub(crate) places: Places,
}

impl Reference {
    fn new(source: String, values: Vec<f64>, variances: Option<Vec<f64>>, places: Places) -> Self {
        let squared_norm = values.iter().map(|value| value * value).sum();
        Reference { source, values, variances, squared_norm, places }
    }

    /// The exact gradient.
    ///
    /// # Errors
    /// Those of the oracle.
    pub(crate) fn exact(lab: &Lab<'_, f64>, oracle: &Oracle) -> LabResult<Self> {
        let gradient = oracle.exact_gradient(|graph| lab.record(&lab.parameters.on(graph).with_inputs(&lab.inputs)))?;
        let (mut values, mut places) = (Vec::new(), Places::default());
        for (name, tensor) in gradient {
            places.names.push(name);
            places.ranges.push(values.len()..values.len() + tensor.len());
            values.extend(tensor.as_slice());
        }
        Ok(Reference::new("the exact oracle".into(), values, None, places))
    }

    /// The mean over many repetitions of a method without bias.
    ///
    /// # Errors
    /// If the method is biased, and the errors of the model.
    pub(crate) fn long_run<F: Real>(
        lab: &Lab<'_, F>,
        replacements: MethodReplacements<F>,
        repetitions: u64,
    ) -> LabResult<Self> {
        if repetitions < 2 {
            let advice = "a long run has many more than the comparison";
            return Err(LabError::setting("the repetitions of a reference", "at least 2", repetitions, advice));
        }
        let (mut arm, places) = Arm::new(lab, replacements)?;
        if arm.cost().guarantee.bias != Bias::Unbiased {
            let advice = "pass replacements for the nodes with biased methods";
            let found = arm.cost().guarantee;
            return Err(LabError::setting("the methods of a reference", "methods without bias", found, advice));
        }
        arm.run(lab, ("reference", 0..repetitions), (&places, None))?;
        let methods: Vec<String> =
            arm.cost().methods.iter().map(|(node, method)| format!("{node}: {method}")).collect();
        let moments = &arm.measured.moments;
        let variances = moments.variances().map(|variance| variance / repetitions as f64).collect();
        let source = format!("{repetitions} repetitions of {}", methods.join(", "));
        Ok(Reference::new(source, moments.means().collect(), Some(variances), places))
    }

    /// The variance of an element.
    pub(crate) fn variance(&self, element: usize) -> f64 {
        self.variances.as_ref().map_or(0.0, |variances| variances[element])
    }
}
