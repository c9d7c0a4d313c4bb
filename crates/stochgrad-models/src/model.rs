//! The syntax of a model.

use crate::expression::{DistributionTree, Expression, Reduction};
use crate::family::{CATEGORIES, Family};

/// A set of plates, with one bit for each plate.
pub type PlateSet = u32;

/// Where the members of a plate come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlateKind {
    /// Rows of data.
    Data,
    /// Samples that several nodes share.
    Samples,
}

/// A plate.
#[derive(Clone, Debug, PartialEq)]
pub struct Plate {
    /// The name.
    pub name: String,
    /// The number of members.
    pub size: usize,
    /// Where the members come from.
    pub kind: PlateKind,
    /// Whether costs are summed over the plate; otherwise they are averaged.
    pub summed: bool,
}

/// A trainable vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The name.
    pub name: String,
    /// The values.
    pub values: Vec<f64>,
    /// The plate along which the values lie if the parameter is used as a whole.
    pub plate: Option<usize>,
}

/// Values along a plate.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// The name.
    pub name: String,
    /// The plate.
    pub plate: usize,
    /// The values, one for each member.
    pub values: Vec<f64>,
}

/// A random node: one draw for each combination of members of its plates.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The name.
    pub name: String,
    /// The distribution.
    pub distribution: DistributionTree,
    /// The plate of samples on which the node lies in addition to the plates of its parameters.
    pub along: Option<usize>,
    /// The scalar value of each category of a one-hot vector.
    pub scores: [f64; CATEGORIES],
}

/// A named cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// The name.
    pub name: String,
    /// The cost for each combination of members of the plates that the expression carries.
    pub value: Expression,
}

/// A model. Plates, parameters, data and nodes are referred to by their positions, and a node refers to earlier nodes
/// only.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Model {
    /// The plates. A plate of data has at least one entry of data.
    pub plates: Vec<Plate>,
    /// The parameters.
    pub parameters: Vec<Parameter>,
    /// The data.
    pub data: Vec<Data>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The costs.
    pub costs: Vec<Cost>,
}

impl Model {
    /// The plates of each node: those of its parameters, and the one that it is drawn along.
    pub fn node_plates(&self) -> Vec<PlateSet> {
        let mut plates = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let mut set = self.distribution_carries(&node.distribution, &plates);
            if let Some(along) = node.along {
                set |= 1 << along;
            }
            plates.push(set);
        }
        plates
    }

    /// The plates that the parameters of a distribution carry, given those of the nodes.
    pub fn distribution_carries(&self, distribution: &DistributionTree, nodes: &[PlateSet]) -> PlateSet {
        distribution.parameter.iter().fold(0, |set, expression| set | self.carries(expression, nodes))
    }

    /// The plates that an expression carries, given those of the nodes.
    pub fn carries(&self, expression: &Expression, nodes: &[PlateSet]) -> PlateSet {
        match expression {
            Expression::Constant(_) | Expression::Element { .. } => 0,
            Expression::Parameter(parameter) => self.parameters[*parameter].plate.map_or(0, |plate| 1 << plate),
            Expression::Data(data) => 1 << self.data[*data].plate,
            Expression::Value(node) => nodes[*node],
            Expression::LogProbability { node, distribution } => {
                nodes[*node] | self.distribution_carries(distribution, nodes)
            }
            Expression::Apply(_, operand) => self.carries(operand, nodes),
            Expression::Combine(_, left, right) => self.carries(left, nodes) | self.carries(right, nodes),
            Expression::Select { node, yes, no, .. } => {
                nodes[*node] | self.carries(yes, nodes) | self.carries(no, nodes)
            }
            Expression::Reduce(_, plate, operand) => self.carries(operand, nodes) & !(1 << plate),
        }
    }

    /// The number of combinations of members of some plates.
    pub fn members(&self, plates: PlateSet) -> usize {
        plate_list(plates).map(|plate| self.plates[plate].size).product()
    }

    /// The number of joint values of all draws.
    pub fn assignments(&self) -> f64 {
        let plates = self.node_plates();
        let each = self.nodes.iter().zip(&plates);
        each.map(|(node, &plates)| (node.distribution.family.states() as f64).powi(self.members(plates) as i32))
            .product()
    }

    /// All expressions: the parameters of the nodes, then the costs.
    pub fn expressions(&self) -> Vec<&Expression> {
        let of_nodes = self.nodes.iter().flat_map(|node| &node.distribution.parameter);
        of_nodes.chain(self.costs.iter().map(|cost| &cost.value)).collect()
    }

    /// The mutable form of [`expressions`](Self::expressions).
    pub fn expressions_mut(&mut self) -> Vec<&mut Expression> {
        let of_nodes = self.nodes.iter_mut().flat_map(|node| &mut node.distribution.parameter);
        of_nodes.chain(self.costs.iter_mut().map(|cost| &mut cost.value)).collect()
    }

    /// Visits every expression and all its parts.
    pub fn visit(&self, visitor: &mut impl FnMut(&Expression)) {
        for expression in self.expressions() {
            expression.visit(visitor);
        }
    }

    /// The mutable form of [`visit`](Self::visit).
    pub fn visit_mut(&mut self, visitor: &mut impl FnMut(&mut Expression)) {
        for expression in self.expressions_mut() {
            expression.visit_mut(visitor);
        }
    }

    /// A weighted count of expressions, members and nodes, which shrinking reduces.
    pub fn size(&self) -> usize {
        let expressions: usize = self.expressions().into_iter().map(Expression::size).sum();
        let members: usize = self.plates.iter().map(|plate| plate.size + 2 + usize::from(plate.summed)).sum();
        let numbers: usize = self.parameters.iter().map(|parameter| parameter.values.len() + 1).sum();
        expressions + members + numbers + 5 * self.nodes.len() + 2 * self.costs.len() + 2 * self.data.len()
    }

    /// Whether the model has a meaning: all references exist, nodes refer to earlier nodes, reductions by `Max` and
    /// `LogMeanExp` are applied to expressions that carry the plate, and there is at least one parameter and one cost.
    pub fn is_well_formed(&self) -> bool {
        let sizes = self.data.iter().all(|data| {
            self.plates
                .get(data.plate)
                .is_some_and(|plate| plate.size == data.values.len() && plate.kind == PlateKind::Data)
        });
        let parameters = self.parameters.iter().all(|parameter| {
            let fits = |plate: usize| self.plates.get(plate).is_some_and(|plate| plate.size == parameter.values.len());
            !parameter.values.is_empty() && parameter.plate.is_none_or(fits)
        });
        let made = (0..self.plates.len()).all(|at| {
            let plate = &self.plates[at];
            plate.size > 0 && (plate.kind == PlateKind::Samples || self.data.iter().any(|data| data.plate == at))
        });
        if !(sizes && parameters && made) || self.parameters.is_empty() || self.costs.is_empty() {
            return false;
        }
        let mut plates = Vec::new();
        for node in &self.nodes {
            let along = node
                .along
                .is_none_or(|along| self.plates.get(along).is_some_and(|plate| plate.kind == PlateKind::Samples));
            if !along || !self.is_distribution(&node.distribution, &plates) {
                return false;
            }
            plates.push(
                self.distribution_carries(&node.distribution, &plates) | node.along.map_or(0, |along| 1 << along),
            );
        }
        self.costs.iter().all(|cost| self.is_expression(&cost.value, &plates))
    }

    fn is_distribution(&self, distribution: &DistributionTree, nodes: &[PlateSet]) -> bool {
        let expected = match distribution.family {
            Family::Bernoulli | Family::Binomial => 1,
            Family::Categorical | Family::OneHot => CATEGORIES,
        };
        distribution.parameter.len() == expected
            && distribution.parameter.iter().all(|parameter| self.is_expression(parameter, nodes))
    }

    fn is_expression(&self, expression: &Expression, nodes: &[PlateSet]) -> bool {
        let itself = match expression {
            Expression::Element { parameter, element } => {
                self.parameters.get(*parameter).is_some_and(|parameter| *element < parameter.values.len())
            }
            Expression::Parameter(parameter) => {
                self.parameters.get(*parameter).is_some_and(|parameter| parameter.plate.is_some())
            }
            Expression::Data(data) => *data < self.data.len(),
            Expression::Value(node) | Expression::Select { node, .. } => *node < nodes.len(),
            Expression::LogProbability { node, distribution } => {
                *node < nodes.len()
                    && distribution.family == self.nodes[*node].distribution.family
                    && self.is_distribution(distribution, nodes)
            }
            _ => true,
        };
        itself
            && expression.children().into_iter().all(|child| self.is_expression(child, nodes))
            && match expression {
                Expression::Reduce(Reduction::Max | Reduction::LogMeanExp, plate, operand) => {
                    *plate < self.plates.len() && self.carries(operand, nodes) & (1 << plate) != 0
                }
                Expression::Reduce(_, plate, _) => *plate < self.plates.len(),
                _ => true,
            }
    }
}

/// The plates of a set, in the order in which the model lists them.
pub fn plate_list(plates: PlateSet) -> impl Iterator<Item = usize> {
    (0..PlateSet::BITS as usize).filter(move |plate| plates & (1 << plate) != 0)
}
