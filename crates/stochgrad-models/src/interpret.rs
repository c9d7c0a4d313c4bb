//! The meaning of a model, by loops over all members and all joint values of the draws.
//!
//! Nothing here knows of tapes, of reductions that are taken off, or of gradient methods: it is the reference that estimators are compared
//! with.

use crate::expression::{Expression, Function, Operation, Reduction};
use crate::law::{Family, Law, Scale};
use crate::model::{Model, PlateSet, plate_list};
use crate::taylor::{TOP, Taylor};

/// Members of a plate that differ by less are equally large.
const TIE: f64 = 1e-9;

/// How far the probabilities of a distribution may be from 1.
const SUM_TOLERANCE: f64 = 1e-9;

/// A direction in the space of all parameters: a number for each element of each of them.
pub type Direction = Vec<Vec<f64>>;

/// What a model means along a direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// The expected total cost and its derivatives of the orders 1 to 3.
    Finite {
        /// The derivatives, from order 0 on.
        derivatives: [f64; TOP + 1],
        /// Whether values of probability 0 have another probability nearby and a cost that is not finite, so that no derivative
        /// exists.
        singular: bool,
    },
    /// The cost is infinite, or not a number, at a value of positive probability.
    Infinite,
    /// There is no derivative, or no distribution: the reason.
    Undefined(&'static str),
}

/// The expected total cost of a model and its derivatives along a direction.
///
/// The model must be [well formed](Model::is_well_formed).
pub fn interpret(model: &Model, direction: &Direction) -> Meaning {
    let plates = model.node_plates();
    let parameters = model.parameters.iter().zip(direction).map(|(parameter, slopes)| {
        parameter.values.iter().zip(slopes).map(|(&value, &slope)| Taylor::variable(value, slope)).collect()
    });
    let draws = plates.iter().map(|&plates| vec![0; model.members(plates)]).collect();
    let mut walk = Walk {
        model,
        parameters: parameters.collect(),
        draws,
        plates,
        members: vec![0; model.plates.len()],
        total: Taylor::default(),
        singular: false,
    };
    match walk.node(0, 0, Taylor::constant(1.0)) {
        Ok(()) => Meaning::Finite { derivatives: walk.total.derivatives(), singular: walk.singular },
        Err(Stop::Infinite) => Meaning::Infinite,
        Err(Stop::Undefined(reason)) => Meaning::Undefined(reason),
    }
}

/// Why a walk ends early.
enum Stop {
    Infinite,
    Undefined(&'static str),
}

struct Walk<'m> {
    model: &'m Model,
    parameters: Vec<Vec<Taylor>>,
    /// The plates of each node.
    plates: Vec<PlateSet>,
    /// The state of each draw of each node.
    draws: Vec<Vec<usize>>,
    /// The member of each plate that is looked at.
    members: Vec<usize>,
    total: Taylor,
    singular: bool,
}

impl Walk<'_> {
    /// Goes through the states of a draw of a node, and through all that comes after it.
    fn node(&mut self, node: usize, draw: usize, weight: Taylor) -> Result<(), Stop> {
        if node == self.draws.len() {
            return self.outcome(weight);
        }
        if draw == self.draws[node].len() {
            return self.node(node + 1, 0, weight);
        }
        self.set_members(self.plates[node], draw);
        let probabilities = self.probabilities(&self.model.nodes[node].law)?;
        for (state, probability) in probabilities.into_iter().enumerate() {
            let weight = weight * probability;
            if !weight.is_zero() {
                self.draws[node][draw] = state;
                self.node(node, draw + 1, weight)?;
            }
        }
        Ok(())
    }

    /// Adds the cost of an outcome.
    fn outcome(&mut self, weight: Taylor) -> Result<(), Stop> {
        let mut total = Taylor::default();
        for cost in &self.model.costs {
            let plates = self.model.carries(&cost.value, &self.plates);
            let averaged = plate_list(plates).map(|plate| &self.model.plates[plate]).filter(|plate| !plate.summed);
            let share = 1.0 / averaged.map(|plate| plate.size).product::<usize>() as f64;
            for member in 0..self.model.members(plates) {
                self.set_members(plates, member);
                total = total + self.evaluate(&cost.value)?.times(share);
            }
        }
        if total.is_finite() {
            self.total = self.total + weight * total;
            return Ok(());
        }
        if weight.value() != 0.0 {
            let value = total.value().is_finite();
            return Err(if value { Stop::Undefined("a cost without derivatives") } else { Stop::Infinite });
        }
        self.singular = true;
        Ok(())
    }

    /// Looks at the combination of members at a position, the last plate varying fastest.
    fn set_members(&mut self, plates: PlateSet, position: usize) {
        let mut rest = position;
        for plate in (0..self.members.len()).rev().filter(|plate| plates & (1 << plate) != 0) {
            let size = self.model.plates[plate].size;
            self.members[plate] = rest % size;
            rest /= size;
        }
    }

    /// The state of the draw of a node for the members that are looked at.
    fn state(&self, node: usize) -> usize {
        let position = plate_list(self.plates[node])
            .fold(0, |position, plate| position * self.model.plates[plate].size + self.members[plate]);
        self.draws[node][position]
    }

    /// The number that stands for the draw of a node.
    fn value(&self, node: usize) -> f64 {
        let state = self.state(node);
        match self.model.nodes[node].law.family {
            Family::OneHot => self.model.nodes[node].scores[state],
            _ => state as f64,
        }
    }

    fn evaluate(&mut self, expression: &Expression) -> Result<Taylor, Stop> {
        Ok(match expression {
            Expression::Constant(value) => Taylor::constant(*value),
            Expression::Element { parameter, element } => self.parameters[*parameter][*element],
            Expression::Parameter(parameter) => {
                let plate = self.model.parameters[*parameter].plate.ok_or(Stop::Undefined("a parameter off its plate"))?;
                self.parameters[*parameter][self.members[plate]]
            }
            Expression::Data(data) => {
                let data = &self.model.data[*data];
                Taylor::constant(data.values[self.members[data.plate]])
            }
            Expression::Value(node) => Taylor::constant(self.value(*node)),
            Expression::LogProbability { node, law } => {
                let state = self.state(*node);
                self.probabilities(law)?[state].ln()
            }
            Expression::Apply(function, operand) => {
                let operand = self.evaluate(operand)?;
                match function {
                    Function::Negative => -operand,
                    Function::Square => operand.square(),
                    Function::Exp => operand.exp(),
                    Function::Sin => operand.sin(),
                    Function::Tanh => operand.tanh(),
                    Function::Sigmoid => operand.sigmoid(),
                }
            }
            Expression::Combine(operation, left, right) => {
                let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
                match operation {
                    Operation::Add => left + right,
                    Operation::Subtract => left - right,
                    Operation::Multiply => left * right,
                }
            }
            Expression::Select { node, threshold, yes, no } => {
                let taken = if self.value(*node) > *threshold { yes } else { no };
                self.evaluate(taken)?
            }
            Expression::Reduce(reduction, plate, operand) => {
                let before = self.members[*plate];
                let size = self.model.plates[*plate].size;
                let mut values = Vec::with_capacity(size);
                for member in 0..size {
                    self.members[*plate] = member;
                    values.push(self.evaluate(operand)?);
                }
                self.members[*plate] = before;
                reduce(*reduction, &values)?
            }
        })
    }

    /// The probabilities of the states of a distribution, for the members that are looked at.
    fn probabilities(&mut self, law: &Law) -> Result<Vec<Taylor>, Stop> {
        let mut parameter = Vec::with_capacity(law.parameter.len());
        for expression in &law.parameter {
            parameter.push(self.evaluate(expression)?);
        }
        if law.scale == Scale::Probabilities {
            let outside = |p: &Taylor| !(0.0..=1.0).contains(&p.value());
            if parameter.iter().any(outside) {
                return Err(Stop::Undefined("a probability outside [0, 1]"));
            }
        }
        if parameter.iter().any(|value| value.value().is_nan() || !value.is_finite() && !value.is_constant()) {
            return Err(Stop::Undefined("a parameter that is not a number"));
        }
        let probabilities = match (law.family, law.scale) {
            (Family::Bernoulli | Family::Binomial, scale) => {
                let success = if scale == Scale::Logits { parameter[0].sigmoid() } else { parameter[0] };
                // By logits the small probability is found without a difference.
                let failure = match scale {
                    Scale::Logits => (-parameter[0]).sigmoid(),
                    Scale::Probabilities => Taylor::constant(1.0) - success,
                };
                match law.family {
                    Family::Bernoulli => vec![failure, success],
                    _ => vec![failure.square(), (failure * success).times(2.0), success.square()],
                }
            }
            (_, Scale::Probabilities) => parameter,
            (_, Scale::Logits) => {
                let largest = parameter.iter().map(Taylor::value).fold(f64::NEG_INFINITY, f64::max);
                if !largest.is_finite() {
                    return Err(Stop::Undefined("logits without a finite largest one"));
                }
                let exponentials: Vec<Taylor> =
                    parameter.iter().map(|&logit| (logit - Taylor::constant(largest)).exp()).collect();
                let sum = exponentials.iter().fold(Taylor::default(), |sum, &each| sum + each).recip();
                exponentials.into_iter().map(|each| each * sum).collect()
            }
        };
        let sum = probabilities.iter().fold(Taylor::default(), |sum, &each| sum + each);
        if sum.distance(&Taylor::constant(1.0)) > SUM_TOLERANCE {
            return Err(Stop::Undefined("probabilities that do not add up to 1"));
        }
        Ok(probabilities)
    }
}

/// A reduction of the members of a plate.
fn reduce(reduction: Reduction, values: &[Taylor]) -> Result<Taylor, Stop> {
    let sum = |values: &[Taylor]| values.iter().fold(Taylor::default(), |sum, &value| sum + value);
    let largest = values.iter().map(Taylor::value).fold(f64::NEG_INFINITY, f64::max);
    Ok(match reduction {
        Reduction::Sum => sum(values),
        Reduction::Mean => sum(values).times(1.0 / values.len() as f64),
        Reduction::Max => {
            if values.iter().any(|value| value.value().is_nan()) {
                return Ok(Taylor::constant(f64::NAN));
            }
            if let Some(infinite) = values.iter().find(|value| largest.is_infinite() && value.value() == largest) {
                return Ok(*infinite);
            }
            let mut tied = values.iter().filter(|value| largest - value.value() <= TIE);
            let first = tied.next().copied().unwrap_or_default();
            if tied.any(|other| first.distance(other) > TIE) {
                return Err(Stop::Undefined("members that are equally large and change differently"));
            }
            first
        }
        Reduction::LogMeanExp if largest.is_infinite() || largest.is_nan() => Taylor::constant(largest),
        Reduction::LogMeanExp => {
            let shifted: Vec<Taylor> =
                values.iter().map(|&value| (value - Taylor::constant(largest)).exp()).collect();
            sum(&shifted).times(1.0 / values.len() as f64).ln() + Taylor::constant(largest)
        }
    })
}
