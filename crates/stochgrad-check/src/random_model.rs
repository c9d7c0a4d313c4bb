//! Random example graphs for tests of gradient methods.

#[cfg(feature = "proptest")]
mod strategy;

#[cfg(feature = "proptest")]
pub use strategy::random_models;

use std::fmt;

use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::Var;
use stochgrad_tensor::random::Key;

use crate::models::Draw;

/// A graph with one to three nodes in random dependence, and one or two costs. The number of the model determines it.
///
/// Like the [`models`](crate::models), it runs with any distribution and any gradient method. The parameters of nodes
/// are polynomials of the parameter `t` and of earlier samples, and the costs are polynomials of degree 2 in the
/// samples. A node may lie on a plate of data, and costs may be recorded before later nodes, so that credit can be
/// assigned wrongly in many ways. `Display` writes the model as formulas.
///
/// ```
/// use stochgrad_check::RandomModel;
///
/// assert_eq!(RandomModel::new(3).to_string(), RandomModel::new(3).to_string());
/// assert_ne!(RandomModel::new(3).to_string(), RandomModel::new(4).to_string());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RandomModel {
    nodes: Vec<Node>,
    costs: Vec<Cost>,
}

/// A node: its parameter is a sum of these terms.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    offset: f64,
    slope: f64,
    /// The element of the parameter `t`.
    element: usize,
    /// Earlier nodes with a factor, and whether they are multiplied by the element of `t` as well.
    parents: Vec<(usize, f64, bool)>,
    /// Whether the element of `t` is multiplied by a row of data.
    has_rows: bool,
}

/// A cost: the square of a linear function, or a product of two samples, times an element of `t` or alone.
#[derive(Clone, Debug, PartialEq)]
struct Cost {
    terms: Vec<(usize, f64)>,
    offset: f64,
    /// Two nodes whose product is added.
    product: Option<(usize, usize)>,
    /// The element of `t` by which the cost is multiplied.
    factor: Option<usize>,
}

/// The data, for nodes on a plate.
const ROWS: [f64; 2] = [0.5, -1.25];
/// The values of the parameter `t`.
const PARAMETERS: [f64; 2] = [0.3, -0.45];

/// Random decisions.
struct Choices {
    key: Key,
    used: u64,
}

impl Choices {
    fn unit(&mut self) -> f64 {
        let mut value = [0.0];
        self.key.uniform(self.used, &mut value);
        self.used += 1;
        value[0]
    }

    fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count - 1)
    }

    fn with_probability(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A factor between 1/4 and 1 in steps of 1/8, with a random sign.
    fn factor(&mut self) -> f64 {
        let size = 0.25 + 0.125 * self.below(7) as f64;
        if self.with_probability(0.5) { -size } else { size }
    }
}

impl RandomModel {
    /// The model of this number.
    pub fn new(number: u64) -> Self {
        let mut choices = Choices { key: Key::new(number, 0, 0x6d6f_6465_6c73), used: 0 };
        let count = 1 + choices.below(3);
        let mut nodes: Vec<Node> = Vec::with_capacity(count);
        for at in 0..count {
            let mut parents = Vec::new();
            for parent in 0..at {
                if choices.with_probability(0.6) {
                    parents.push((parent, choices.factor(), choices.with_probability(0.3)));
                }
            }
            let has_rows = count < 3 && nodes.iter().all(|node| !node.has_rows) && choices.with_probability(0.3);
            let (offset, slope, element) = (choices.factor(), choices.factor(), choices.below(2));
            nodes.push(Node { offset, slope, element, parents, has_rows });
        }
        let cost = |choices: &mut Choices, last: usize| {
            let mut terms = vec![(last, choices.factor())];
            for node in 0..last {
                if choices.with_probability(0.5) {
                    terms.push((node, choices.factor()));
                }
            }
            let product = choices.with_probability(0.4).then(|| (choices.below(last + 1), last));
            let product = product.filter(|(first, second)| first != second);
            let factor = choices.with_probability(0.3).then(|| choices.below(2));
            Cost { terms, offset: choices.factor(), product, factor }
        };
        let mut costs = vec![cost(&mut choices, count - 1)];
        if choices.with_probability(0.5) {
            let last = choices.below(count);
            costs.push(cost(&mut choices, last));
        }
        RandomModel { nodes, costs }
    }

    /// Records the model, with nodes that `draw` records.
    ///
    /// # Errors
    /// Those of the graph and of the draws.
    pub fn record(&self, graph: &Graph<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
        let t = graph.param("t", PARAMETERS)?;
        let rows = match self.nodes.iter().any(|node| node.has_rows) {
            true => Some(graph.data("data", ROWS)?),
            false => None,
        };
        let mut samples: Vec<Var<'_, f64>> = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter().enumerate() {
            let own = t.index(0, node.element);
            let mut parameter = own * node.slope + node.offset;
            if let Some(rows) = rows.filter(|_| node.has_rows) {
                parameter = own * rows * node.slope + node.offset;
            }
            for &(parent, factor, is_scaled) in &node.parents {
                let term = samples[parent] * factor;
                parameter = parameter + if is_scaled { term * own } else { term };
            }
            samples.push(draw(graph, &format!("x{at}"), parameter)?);
            // As soon as its last node is drawn, so that later nodes come after the cost.
            for (number, cost) in self.costs.iter().enumerate().filter(|(_, cost)| cost.terms[0].0 == at) {
                graph.cost(&format!("cost {number}"), cost.value(t, &samples))?;
            }
        }
        Ok(())
    }
}

impl Cost {
    fn value<'t>(&self, t: Var<'t, f64>, samples: &[Var<'t, f64>]) -> Var<'t, f64> {
        let (first, factor) = self.terms[0];
        let sum = self.terms[1..].iter().fold(samples[first] * factor, |sum, &(node, by)| sum + samples[node] * by);
        let mut value = (sum + self.offset).square();
        if let Some((first, second)) = self.product {
            value = value + samples[first] * samples[second];
        }
        match self.factor {
            Some(element) => value * t.index(0, element),
            None => value,
        }
    }
}

impl fmt::Display for RandomModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, node) in self.nodes.iter().enumerate() {
            let Node { offset, slope, element, parents, has_rows } = node;
            let rows = if *has_rows { " data" } else { "" };
            write!(f, "x{at} ~ D({slope} t{element}{rows} + {offset}")?;
            for (parent, factor, is_scaled) in parents {
                write!(f, " + {factor} x{parent}")?;
                if *is_scaled {
                    write!(f, " t{element}")?;
                }
            }
            f.write_str("); ")?;
        }
        for (number, cost) in self.costs.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            let terms: Vec<String> = cost.terms.iter().map(|(node, factor)| format!("{factor} x{node}")).collect();
            let product = cost.product.map_or_else(String::new, |(first, second)| format!(" + x{first} x{second}"));
            let factor = cost.factor.map_or_else(String::new, |element| format!(" t{element}"));
            write!(f, "{separator}cost {number} = (({} + {})²{product}){factor}", terms.join(" + "), cost.offset)?;
        }
        write!(f, "; t = {PARAMETERS:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_differ_in_their_structure() {
        let models: Vec<RandomModel> = (0..100).map(RandomModel::new).collect();
        for count in 1..=3 {
            assert!(models.iter().filter(|model| model.nodes.len() == count).count() > 15);
        }
        assert!(models.iter().any(|model| model.nodes.iter().any(|node| node.has_rows)));
        assert!(models.iter().any(|model| model.costs.len() == 2));
        assert!(models.iter().any(|model| model.nodes.iter().any(|node| node.parents.len() == 2)));
        assert!(models.iter().enumerate().all(|(at, model)| !models[..at].contains(model)));
    }
}
