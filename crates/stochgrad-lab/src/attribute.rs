//! The share of each node in a variance.

use stochgrad_graph::{Address, Gradients, GraphError, RedrawnNoise};
use stochgrad_nn::Step;
use stochgrad_tensor::Real;

use crate::arm::flatten;
use crate::error::{LabError, LabResult};
use crate::interval::{Interval, two_sided_quantile};
use crate::lab::Lab;
use crate::moments::{Moments, PairMoments, VectorMoments};

/// What varies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Quantity {
    /// The gradients of all parameters together.
    #[default]
    Gradient,
    /// The gradient of a parameter.
    Parameter(String),
    /// An element of the gradient of a parameter, in row-major order.
    Element(String, usize),
    /// The estimate of a cost.
    Cost(String),
    /// The estimate of the total cost.
    TotalCost,
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Quantity::Gradient => f.write_str("the gradient"),
            Quantity::Parameter(name) => write!(f, "the gradient of \"{name}\""),
            Quantity::Element(name, element) => write!(f, "element {element} of the gradient of \"{name}\""),
            Quantity::Cost(name) => write!(f, "cost \"{name}\""),
            Quantity::TotalCost => f.write_str("the total cost"),
        }
    }
}

impl Quantity {
    fn read<F: Real>(&self, gradients: &Gradients<F>, values: &mut Vec<f64>) -> LabResult<()> {
        values.clear();
        match self {
            Quantity::Gradient => flatten(gradients, values),
            Quantity::Parameter(name) => {
                values.extend(gradients.get(name)?.as_slice().iter().map(|value| value.to_f64()));
            }
            Quantity::Element(name, element) => {
                let gradient = gradients.get(name)?;
                let found = gradient.as_slice().get(*element).ok_or_else(|| {
                    let expected = format!("less than {}", gradient.len());
                    LabError::setting("the element of a parameter", expected, element, "elements are counted from 0")
                })?;
                values.push(found.to_f64());
            }
            Quantity::Cost(name) => values.push(gradients.cost(name)?.to_f64()),
            Quantity::TotalCost => values.push(gradients.total().to_f64()),
        }
        Ok(())
    }
}

/// Splits the variance of a gradient or a cost among the nodes. [`Lab::attribute`] makes one.
///
/// Let $f(X_1, \dots, X_d)$ be the quantity as a function of the noise of the nodes, which is independent. With one
/// node redrawn while all others keep their noise, and with all nodes redrawn but one,
///
/// $$T_i = \frac{E (f - f_{i})^2}{2 \operatorname{Var} f}, \qquad
/// S_i = 1 - \frac{E (f - f_{\text{all but } i})^2}{2 \operatorname{Var} f}$$
///
/// are the total and the first-order index of Sobol (1993), by the estimators of Jansen (1999). $S_i$ is the share of
/// the variance that a node causes alone, and $T_i$ the share that vanishes on average if its noise is known, with all
/// interactions. For several elements, the numerators and denominators are summed over them (Gamboa, Janon, Klein and
/// Lagnoux 2014). The error bars are those of a ratio of means by the delta method.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::Pathwise;
/// use stochgrad_lab::{Lab, Quantity};
/// use stochgrad_nn::{Inputs, Parameters, Record};
///
/// // The variance of a + 2 b is 1 + 4.
/// let model = |record: &Record<'_, '_, f64>| {
///     let mean = record.param("mean")?;
///     let a = record.sample("a", &Normal::new(mean, 1.0), &Pathwise::new())?;
///     let b = record.sample("b", &Normal::new(mean, 1.0), &Pathwise::new())?;
///     record.cost("loss", a + 2.0 * b)
/// };
/// let mut parameters = Parameters::new();
/// parameters.insert("mean", 0.5.into())?;
/// let inputs = Inputs::new();
/// let shares = Lab::new(model, &parameters, &inputs).attribute().of(Quantity::TotalCost).repetitions(500).run()?;
/// println!("{shares}");
/// assert!((shares.nodes[1].total.estimate - 0.8).abs() < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Attribute<'l, 'm, F: Real> {
    lab: &'l Lab<'m, F>,
    quantity: Quantity,
    nodes: Vec<String>,
    repetitions: u64,
    alpha: f64,
}

/// The shares of nodes in the variance of a quantity. `Display` writes them as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// What varies.
    pub quantity: Quantity,
    /// Its variance, the sum over its elements.
    pub variance: Interval,
    /// The nodes.
    pub nodes: Vec<NodeShare>,
    /// The number of repetitions.
    pub repetitions: u64,
    /// The confidence of the intervals.
    pub confidence: f64,
}

/// The share of a node in a variance.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeShare {
    /// Its address, or the name of several addresses.
    pub node: String,
    /// The share that the node causes alone.
    pub first_order: Interval,
    /// The share with all interactions.
    pub total: Interval,
}

impl<'m, F: Real> Lab<'m, F> {
    /// Splits the variance of the gradient among the nodes.
    pub fn attribute(&self) -> Attribute<'_, 'm, F> {
        Attribute { lab: self, quantity: Quantity::Gradient, nodes: Vec::new(), repetitions: 2000, alpha: 0.05 }
    }
}

impl<F: Real> Attribute<'_, '_, F> {
    /// What varies; by default, the gradients of all parameters together.
    pub fn of(self, quantity: Quantity) -> Self {
        Attribute { quantity, ..self }
    }

    /// The nodes whose shares are estimated; by default, all of the model. A name stands for all addresses with an
    /// index under it, whose noise is redrawn together; `x[2]` is one of them.
    pub fn nodes<N: Into<String>>(self, nodes: impl IntoIterator<Item = N>) -> Self {
        Attribute { nodes: nodes.into_iter().map(Into::into).collect(), ..self }
    }

    /// The number of repetitions, 2000 by default. Each of them runs the model once, and twice for each node.
    pub fn repetitions(self, repetitions: u64) -> Self {
        Attribute { repetitions, ..self }
    }

    /// The confidence of each interval, 0.95 by default.
    pub fn confidence(self, confidence: f64) -> Self {
        Attribute { alpha: 1.0 - confidence, ..self }
    }

    /// The nodes: their names, and the addresses whose noise is redrawn for each of them.
    ///
    /// An address is known in words only, in which `w[0]` is the index 0 of the name `w` or a name with brackets. Both
    /// addresses are redrawn, of which one exists.
    fn groups(&self) -> LabResult<Vec<(String, Vec<Address>)>> {
        let lab = self.lab;
        let step = lab.step_with_noise(RedrawnNoise::none());
        let methods =
            step.inspect(&lab.parameters, &lab.inputs, lab.repetition("first", 0), |graph| graph.methods())?;
        let mut groups: Vec<(String, Vec<Address>)> = Vec::new();
        let mut single: Vec<(String, Vec<Address>)> = Vec::new();
        for node in methods.into_iter().map(|method| method.node).filter(|node| !node.is_empty()) {
            let whole = Address::from(node.as_str());
            let Some((name, index)) = indexed(&node) else {
                if groups.iter().all(|(known, _)| *known != node) {
                    groups.push((node, vec![whole]));
                }
                continue;
            };
            single.push((node.clone(), vec![whole.clone(), Address::from((name, index))]));
            match groups.iter_mut().find(|(known, _)| known == name) {
                Some((_, addresses)) => addresses.push(whole),
                None => groups.push((name.to_owned(), vec![Address::from(name), whole])),
            }
        }
        if self.nodes.is_empty() {
            return Ok(groups);
        }
        let found = |name: &String| {
            let known = groups.iter().chain(&single).find(|(known, _)| known == name);
            known.cloned().ok_or_else(|| {
                let names: Vec<&str> = groups.iter().map(|(name, _)| name.as_str()).collect();
                let known = if names.is_empty() { "none".into() } else { names.join(", ") };
                GraphError::Unknown { what: "node", name: name.clone(), known }.into()
            })
        };
        self.nodes.iter().map(found).collect()
    }

    /// Measures.
    ///
    /// # Errors
    /// For settings outside their domain, for nodes and quantities that do not exist, for a quantity that does not
    /// vary, and those of the model.
    pub fn run(self) -> LabResult<Shares> {
        if self.repetitions < 3 {
            let advice = "a variance needs some hundred of them";
            return Err(LabError::setting("the repetitions", "at least 3", self.repetitions, advice));
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            let found = 1.0 - self.alpha;
            return Err(LabError::setting("the confidence", "between 0 and 1", found, "the default is 0.95"));
        }
        let (lab, groups) = (self.lab, self.groups()?);
        let mut plain = lab.step_with_noise(RedrawnNoise::none());
        let mut redrawn: Vec<[Step<'_, F>; 2]> = groups
            .iter()
            .map(|(_, addresses)| {
                let one = RedrawnNoise::of(addresses.iter().cloned());
                let others = RedrawnNoise::all_but(addresses.iter().cloned());
                [lab.step_with_noise(one), lab.step_with_noise(others)]
            })
            .collect();
        let mut ratios = vec![[PairMoments::default(); 2]; groups.len()];
        let (mut values, mut other) = (Vec::new(), Vec::new());
        let (mut moments, mut variance) = (VectorMoments::default(), Moments::default());
        for number in 0..self.repetitions {
            let seed = lab.repetition("attribution", number);
            self.quantity.read(plain.run(&lab.parameters, &lab.inputs, seed)?, &mut values)?;
            if number == 0 {
                moments = VectorMoments::new(values.len());
            }
            let mut distance = None;
            moments.add(&values, std::slice::from_ref(&(0..values.len())), |_, found| distance = Some(found));
            // The first value has no distance from the mean of earlier ones.
            let Some(distance) = distance else { continue };
            variance.add(distance);
            for (steps, ratios) in redrawn.iter_mut().zip(&mut ratios) {
                for (step, ratio) in steps.iter_mut().zip(ratios) {
                    self.quantity.read(step.run(&lab.parameters, &lab.inputs, seed)?, &mut other)?;
                    let squares = values.iter().zip(&other).map(|(value, other)| (value - other).powi(2));
                    ratio.add(0.5 * squares.sum::<f64>(), distance);
                }
            }
        }
        if variance.mean() <= 0.0 {
            let advice = "name a quantity that depends on a node";
            return Err(LabError::setting("the quantity", "one that varies", self.quantity, advice));
        }
        let z = two_sided_quantile(self.alpha);
        let share = |(node, [one, others]): (String, [PairMoments; 2])| {
            let ((total, total_error), (rest, rest_error)) = (one.ratio(), others.ratio());
            NodeShare {
                node,
                first_order: Interval::around(1.0 - rest, z * rest_error),
                total: Interval::around(total, z * total_error),
            }
        };
        Ok(Shares {
            variance: Interval::positive(variance.mean(), z * variance.standard_error()),
            nodes: groups.into_iter().map(|(name, _)| name).zip(ratios).map(share).collect(),
            repetitions: self.repetitions,
            confidence: 1.0 - self.alpha,
            quantity: self.quantity,
        })
    }
}

/// The name and the index of an address in words, `x[2]`.
fn indexed(address: &str) -> Option<(&str, usize)> {
    let (name, index) = address.strip_suffix(']')?.rsplit_once('[')?;
    Some((name, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_a_number_at_the_end() {
        assert_eq!(indexed("x[2]"), Some(("x", 2)));
        assert_eq!(indexed("x[1][2]"), Some(("x[1]", 2)));
        assert_eq!(["x", "x[a]", "x[2]b", "x]"].map(indexed), [None; 4]);
    }
}
