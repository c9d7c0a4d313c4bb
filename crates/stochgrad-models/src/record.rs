//! Recording of a model on a graph, through the public interface.

use crate::expression::{DistributionTree, Expression, Function, Operation, Reduction};
use crate::family::{Family, Scale, TRIALS};
use crate::methods::{Choice, Entry, Groups, Place, Placement};
use crate::model::{Model, PlateKind};
use stochgrad::distributions::Binomial;
use stochgrad::graph::{DynMethod, GraphError, GraphResult};
use stochgrad::prelude::*;
use stochgrad::tape::Plate as TapePlate;

/// Records a model on a graph, each node with its method from the catalogue.
///
/// # Errors
/// Those of the graph, of the distributions and of the methods.
pub fn record(graph: &Graph<'_, f64>, model: &Model, methods: &[Entry], choices: &[Choice]) -> GraphResult<()> {
    let mut recorder = Recorder {
        graph,
        model,
        plates: Vec::new(),
        parameters: Vec::new(),
        along: Vec::new(),
        data: vec![None; model.data.len()],
        nodes: Vec::new(),
    };
    recorder.inputs()?;
    let groups = Groups::new();
    for (node, choice) in model.nodes.iter().zip(choices) {
        let entry = &methods[choice.method];
        let place = match (choice.placement, node.along) {
            (Placement::Along, Some(plate)) => Place::Along(recorder.plates[plate]),
            (Placement::Several(samples), _) => Place::Several(samples),
            _ => Place::Own,
        };
        let raw = match recorder.distribution(&node.distribution)? {
            LiveDistribution::Bernoulli(distribution) => {
                sample(graph, &node.name, &distribution, entry.bernoulli.map(|build| build(place, &groups)))
            }
            LiveDistribution::Categorical(distribution) => {
                sample(graph, &node.name, &distribution, entry.categorical.map(|build| build(place, &groups)))
            }
            LiveDistribution::OneHot(distribution) => {
                sample(graph, &node.name, &distribution, entry.one_hot.map(|build| build(place, &groups)))
            }
            LiveDistribution::Binomial(distribution) => {
                sample(graph, &node.name, &distribution, entry.binomial.map(|build| build(place, &groups)))
            }
        }?;
        let value = match node.distribution.family {
            Family::OneHot => (raw * graph.constant(node.scores)).sum(),
            _ => raw,
        };
        recorder.nodes.push(Sampled { raw, value });
    }
    for cost in &model.costs {
        let value = recorder.variable(&cost.value)?;
        graph.cost(&cost.name, value)?;
    }
    Ok(())
}

fn sample<'t, D: stochgrad::distributions::Live<'t, f64>>(
    graph: &Graph<'t, f64>,
    name: &str,
    distribution: &D,
    method: Option<DynMethod<f64, D::Family>>,
) -> GraphResult<Var<'t, f64>> {
    let method = method.ok_or_else(|| GraphError::State {
        method: name.to_owned(),
        problem: "expected a method for the distribution of the node, got one for another family".into(),
    })?;
    graph.sample(name, distribution, &method)
}

/// The sample of a node, and the scalar value that expressions use.
#[derive(Clone, Copy)]
struct Sampled<'t> {
    raw: Var<'t, f64>,
    value: Var<'t, f64>,
}

/// A distribution on a graph.
enum LiveDistribution<'t> {
    Bernoulli(Bernoulli<Var<'t, f64>>),
    Categorical(Categorical<Var<'t, f64>>),
    OneHot(OneHotCategorical<Var<'t, f64>>),
    Binomial(Binomial<Var<'t, f64>>),
}

/// A constant or a variable.
#[derive(Clone, Copy)]
enum Operand<'t> {
    Constant(f64),
    Variable(Var<'t, f64>),
}

struct Recorder<'g, 't> {
    graph: &'g Graph<'t, f64>,
    model: &'g Model,
    plates: Vec<TapePlate>,
    parameters: Vec<Var<'t, f64>>,
    /// The parameters along their plates.
    along: Vec<Option<Var<'t, f64>>>,
    data: Vec<Option<Var<'t, f64>>>,
    nodes: Vec<Sampled<'t>>,
}

impl<'t> Recorder<'_, 't> {
    /// Creates the plates with their data, and the parameters.
    fn inputs(&mut self) -> GraphResult<()> {
        for (at, plate) in self.model.plates.iter().enumerate() {
            let made = match plate.kind {
                PlateKind::Samples => self.graph.plate(&plate.name, plate.size)?,
                PlateKind::Data => {
                    let mut made = None;
                    for (position, data) in self.model.data.iter().enumerate().filter(|(_, data)| data.plate == at) {
                        let var = self.graph.data_named(&data.name, &plate.name, data.values.clone())?;
                        made = made.or(var.plates().first().copied());
                        self.data[position] = Some(var);
                    }
                    made.ok_or_else(|| GraphError::Unknown {
                        what: "data",
                        name: plate.name.clone(),
                        known: String::new(),
                    })?
                }
            };
            if plate.summed {
                self.graph.set_reduction(made, stochgrad::graph::Reduction::Sum)?;
            }
            self.plates.push(made);
        }
        for parameter in &self.model.parameters {
            let var = self.graph.param(&parameter.name, parameter.values.clone())?;
            self.parameters.push(var);
            self.along.push(parameter.plate.map(|plate| var.event_to_plate(self.plates[plate])));
        }
        Ok(())
    }

    fn variable(&self, expression: &Expression) -> GraphResult<Var<'t, f64>> {
        Ok(match self.operand(expression)? {
            Operand::Constant(value) => self.graph.constant(value),
            Operand::Variable(var) => var,
        })
    }

    fn operand(&self, expression: &Expression) -> GraphResult<Operand<'t>> {
        let missing = |what| GraphError::Unknown { what, name: format!("{expression:?}"), known: String::new() };
        Ok(Operand::Variable(match expression {
            Expression::Constant(value) => return Ok(Operand::Constant(*value)),
            Expression::Element { parameter, element } => self.parameters[*parameter].index(0, *element),
            Expression::Parameter(parameter) => {
                self.along[*parameter].ok_or_else(|| missing("parameter on a plate"))?
            }
            Expression::Data(data) => self.data[*data].ok_or_else(|| missing("data"))?,
            Expression::Value(node) => self.nodes[*node].value,
            Expression::LogProbability { node, distribution } => {
                let raw = self.nodes[*node].raw;
                match self.distribution(distribution)? {
                    LiveDistribution::Bernoulli(distribution) => distribution.log_prob(raw),
                    LiveDistribution::Categorical(distribution) => distribution.log_prob(raw),
                    LiveDistribution::OneHot(distribution) => distribution.log_prob(raw),
                    LiveDistribution::Binomial(distribution) => distribution.log_prob(raw),
                }
            }
            Expression::Apply(function, operand) => {
                let operand = self.variable(operand)?;
                match function {
                    Function::Negative => -operand,
                    Function::Square => operand.square(),
                    Function::Exp => operand.exp(),
                    Function::Sin => operand.sin(),
                    Function::Tanh => operand.tanh(),
                    Function::Sigmoid => operand.sigmoid(),
                }
            }
            Expression::Combine(operation, left, right) => match (self.operand(left)?, self.operand(right)?) {
                (Operand::Constant(left), Operand::Constant(right)) => {
                    return Ok(Operand::Constant(match operation {
                        Operation::Add => left + right,
                        Operation::Subtract => left - right,
                        Operation::Multiply => left * right,
                    }));
                }
                (Operand::Constant(left), Operand::Variable(right)) => match operation {
                    Operation::Add => left + right,
                    Operation::Subtract => left - right,
                    Operation::Multiply => left * right,
                },
                (Operand::Variable(left), Operand::Constant(right)) => match operation {
                    Operation::Add => left + right,
                    Operation::Subtract => left - right,
                    Operation::Multiply => left * right,
                },
                (Operand::Variable(left), Operand::Variable(right)) => match operation {
                    Operation::Add => left + right,
                    Operation::Subtract => left - right,
                    Operation::Multiply => left * right,
                },
            },
            Expression::Select { node, threshold, yes, no } => {
                let above = self.nodes[*node].value.gt(self.graph.constant(*threshold));
                above.select(self.variable(yes)?, self.variable(no)?)
            }
            Expression::Reduce(reduction, plate, operand) => {
                let (operand, plate) = (self.variable(operand)?, self.plates[*plate]);
                match reduction {
                    Reduction::Sum => operand.sum_over(plate),
                    Reduction::Mean => operand.mean_over(plate),
                    Reduction::Max => operand.plate_to_event(plate).max_axis(0),
                    Reduction::LogMeanExp => operand.log_mean_exp_over(plate),
                }
            }
        }))
    }

    fn distribution(&self, distribution: &DistributionTree) -> GraphResult<LiveDistribution<'t>> {
        let mut parameters = Vec::with_capacity(distribution.parameter.len());
        for expression in &distribution.parameter {
            parameters.push(self.variable(expression)?);
        }
        let parameter = match parameters.as_slice() {
            [one] => *one,
            several => Var::stack(several)?,
        };
        let trials = TRIALS as f64;
        Ok(match (distribution.family, distribution.scale) {
            (Family::Bernoulli, Scale::Logits) => LiveDistribution::Bernoulli(Bernoulli::from_logits(parameter)),
            (Family::Bernoulli, Scale::Probabilities) => {
                LiveDistribution::Bernoulli(Bernoulli::from_probabilities(parameter))
            }
            (Family::Categorical, Scale::Logits) => LiveDistribution::Categorical(Categorical::from_logits(parameter)),
            (Family::Categorical, Scale::Probabilities) => {
                LiveDistribution::Categorical(Categorical::from_probabilities(parameter))
            }
            (Family::OneHot, Scale::Logits) => LiveDistribution::OneHot(OneHotCategorical::from_logits(parameter)),
            (Family::OneHot, Scale::Probabilities) => {
                LiveDistribution::OneHot(OneHotCategorical::from_probabilities(parameter))
            }
            (Family::Binomial, Scale::Logits) => LiveDistribution::Binomial(Binomial::from_logits(trials, parameter)),
            (Family::Binomial, Scale::Probabilities) => {
                LiveDistribution::Binomial(Binomial::from_probabilities(trials, parameter))
            }
        })
    }
}
