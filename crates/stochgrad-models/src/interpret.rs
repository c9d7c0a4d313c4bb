//! The expected cost of a model and its derivatives, by loops over all members and all joint values of the draws.
//!
//! This is the reference that estimators are compared with. It uses no tape, no reductions of the graph and no gradient
//! method.

use crate::expression::{DistributionTree, Expression, Function, Operation, Reduction};
use crate::family::{Family, Scale};
use crate::model::{Model, PlateSet, plate_list};
use crate::taylor::{TOP, Taylor};

/// Members of a plate that differ by at most this count as equally large.
const TIE: f64 = 1e-9;

/// How far the sum of the probabilities of a distribution may be from 1.
const SUM_TOLERANCE: f64 = 1e-9;

/// A direction in the space of all parameters: one component for each element of each parameter.
pub type Direction = Vec<Vec<f64>>;

/// The meaning of a model along a direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// The expected total cost and its derivatives of the orders 1 to 3.
    Finite {
        /// The expected cost, and its derivatives of the orders 1 to 3.
        derivatives: [f64; TOP + 1],
        /// Whether a value of the draws has probability 0 here, positive probability nearby, and a cost that is not
        /// finite. Then no derivative exists.
        singular: bool,
        /// Whether a value of the draws has probability 0 here and positive probability nearby. Then the model lies on
        /// the boundary of its parameters.
        boundary: bool,
    },
    /// The cost is infinite or NaN for a value of the draws with positive probability.
    Infinite,
    /// The model has no derivative or no distribution, for this reason.
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
    let mut interpreter = Interpreter {
        model,
        parameters: parameters.collect(),
        draws,
        plates,
        members: vec![0; model.plates.len()],
        total: Taylor::default(),
        singular: false,
        boundary: false,
    };
    match interpreter.node(0, 0, Taylor::constant(1.0)) {
        Ok(()) => Meaning::Finite {
            derivatives: interpreter.total.derivatives(),
            singular: interpreter.singular,
            boundary: interpreter.boundary,
        },
        Err(Stop::Infinite) => Meaning::Infinite,
        Err(Stop::Undefined(reason)) => Meaning::Undefined(reason),
    }
}

/// Why the interpretation ends early.
enum Stop {
    Infinite,
    Undefined(&'static str),
}

struct Interpreter<'m> {
    model: &'m Model,
    parameters: Vec<Vec<Taylor>>,
    /// The plates of each node.
    plates: Vec<PlateSet>,
    /// The state of each draw of each node.
    draws: Vec<Vec<usize>>,
    /// The current member of each plate.
    members: Vec<usize>,
    total: Taylor,
    singular: bool,
    boundary: bool,
}

impl Interpreter<'_> {
    /// Visits the states of a draw of a node and, for each of them, all later draws.
    fn node(&mut self, node: usize, draw: usize, weight: Taylor) -> Result<(), Stop> {
        if node == self.draws.len() {
            return self.outcome(weight);
        }
        if draw == self.draws[node].len() {
            return self.node(node + 1, 0, weight);
        }
        self.set_members(self.plates[node], draw);
        let probabilities = self.probabilities(&self.model.nodes[node].distribution)?;
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
        self.boundary |= weight.value() == 0.0;
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

    /// Makes the combination of members at a position the current one; the last plate varies fastest.
    fn set_members(&mut self, plates: PlateSet, position: usize) {
        let mut rest = position;
        for plate in (0..self.members.len()).rev().filter(|plate| plates & (1 << plate) != 0) {
            let size = self.model.plates[plate].size;
            self.members[plate] = rest % size;
            rest /= size;
        }
    }

    /// The state of the draw of a node for the current members.
    fn state(&self, node: usize) -> usize {
        let position = plate_list(self.plates[node])
            .fold(0, |position, plate| position * self.model.plates[plate].size + self.members[plate]);
        self.draws[node][position]
    }

    /// The value of the draw of a node.
    fn value(&self, node: usize) -> f64 {
        let state = self.state(node);
        match self.model.nodes[node].distribution.family {
            Family::OneHot => self.model.nodes[node].scores[state],
            _ => state as f64,
        }
    }

    fn evaluate(&mut self, expression: &Expression) -> Result<Taylor, Stop> {
        Ok(match expression {
            Expression::Constant(value) => Taylor::constant(*value),
            Expression::Element { parameter, element } => self.parameters[*parameter][*element],
            Expression::Parameter(parameter) => {
                let plate =
                    self.model.parameters[*parameter].plate.ok_or(Stop::Undefined("a parameter without a plate"))?;
                self.parameters[*parameter][self.members[plate]]
            }
            Expression::Data(data) => {
                let data = &self.model.data[*data];
                Taylor::constant(data.values[self.members[data.plate]])
            }
            Expression::Value(node) => Taylor::constant(self.value(*node)),
            Expression::LogProbability { node, distribution } => {
                let state = self.state(*node);
                self.probabilities(distribution)?[state].ln()
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

    /// The probabilities of the states of a distribution for the current members.
    fn probabilities(&mut self, distribution: &DistributionTree) -> Result<Vec<Taylor>, Stop> {
        let mut parameter = Vec::with_capacity(distribution.parameter.len());
        for expression in &distribution.parameter {
            parameter.push(self.evaluate(expression)?);
        }
        if distribution.scale == Scale::Probabilities {
            let outside = |p: &Taylor| !(0.0..=1.0).contains(&p.value());
            if parameter.iter().any(outside) {
                return Err(Stop::Undefined("a probability outside [0, 1]"));
            }
        }
        if parameter.iter().any(|value| value.value().is_nan() || !value.is_finite() && !value.is_constant()) {
            return Err(Stop::Undefined("a parameter that is NaN"));
        }
        let probabilities = match (distribution.family, distribution.scale) {
            (Family::Bernoulli | Family::Binomial, scale) => {
                let success = if scale == Scale::Logits { parameter[0].sigmoid() } else { parameter[0] };
                // With logits, this avoids the cancellation of 1 − success for a small probability of failure.
                let failure = match scale {
                    Scale::Logits => (-parameter[0]).sigmoid(),
                    Scale::Probabilities => Taylor::constant(1.0) - success,
                };
                match distribution.family {
                    Family::Bernoulli => vec![failure, success],
                    _ => vec![failure.square(), (failure * success).times(2.0), success.square()],
                }
            }
            (_, Scale::Probabilities) => parameter,
            (_, Scale::Logits) => {
                let largest = parameter.iter().map(Taylor::value).fold(f64::NEG_INFINITY, f64::max);
                if !largest.is_finite() {
                    return Err(Stop::Undefined("logits whose largest one is not finite"));
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
                return Err(Stop::Undefined("equally large members with different derivatives"));
            }
            first
        }
        Reduction::LogMeanExp if largest.is_infinite() || largest.is_nan() => Taylor::constant(largest),
        Reduction::LogMeanExp => {
            let shifted: Vec<Taylor> = values.iter().map(|&value| (value - Taylor::constant(largest)).exp()).collect();
            sum(&shifted).times(1.0 / values.len() as f64).ln() + Taylor::constant(largest)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::{bits_on_rows, bits_on_steps, node, square_of};
    use crate::model::{Cost, Plate, PlateKind};

    fn derivatives(model: &Model, direction: Direction) -> [f64; TOP + 1] {
        assert!(model.is_well_formed());
        match interpret(model, &direction) {
            Meaning::Finite { derivatives, .. } => derivatives,
            other => panic!("expected derivatives, got {other:?}"),
        }
    }

    fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= tolerance, "expected {expected}, got {found}");
        }
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn a_square_of_a_sum_over_a_summed_plate_counts_once() {
        let model = bits_on_steps(square_of(Reduction::Sum, 0.7));
        let first = derivatives(&model, vec![vec![1.0, 0.0]]);
        let second = derivatives(&model, vec![vec![0.0, 1.0]]);
        assert_close(&[first[0], first[1], second[1]], &[0.492396, 0.053793, 0.160194], 5e-7);
    }

    #[test]
    fn a_kept_value_and_a_reduced_value_are_added_member_by_member() {
        let value = Expression::Value(0);
        let doubled = value.clone().combine(Operation::Multiply, Expression::Constant(2.0));
        let model = bits_on_steps(doubled.combine(Operation::Add, value.reduce(Reduction::Sum, 0)));
        // E Σᵢ (2 xᵢ + Σⱼ xⱼ) = 4 (p₀ + p₁).
        let (first, second) = (sigmoid(0.3), sigmoid(-0.8));
        let found = derivatives(&model, vec![vec![1.0, 0.0]]);
        let slope = first * (1.0 - first);
        let expected =
            [4.0 * (first + second), 4.0 * slope, 4.0 * slope * (1.0 - 2.0 * first), 4.0 * slope * (1.0 - 6.0 * slope)];
        assert_close(&found, &expected, 1e-12);
        assert_close(&found[..1], &[3.537872], 5e-7);
    }

    #[test]
    fn rows_are_averaged_inside_a_square() {
        let model = bits_on_rows(square_of(Reduction::Mean, 0.3));
        assert_close(&derivatives(&model, vec![vec![0.0, 0.0]])[..1], &[0.099907], 5e-7);
        // E m² = Var m + (E m)² with m the mean of both bits.
        let (first, second) = (sigmoid(0.3 * 0.5 - 0.8), sigmoid(-0.3 * 1.5 - 0.8));
        let (slope0, slope1) = (first * (1.0 - first), second * (1.0 - second));
        let mean = 0.5 * (first + second);
        let expected = 0.25 * (slope0 + slope1) + (mean - 0.3).powi(2);
        let along_offset =
            0.25 * (slope0 * (1.0 - 2.0 * first) + slope1 * (1.0 - 2.0 * second)) + (mean - 0.3) * (slope0 + slope1);
        assert_close(&derivatives(&model, vec![vec![0.0, 1.0]])[..2], &[expected, along_offset], 1e-12);
    }

    #[test]
    fn the_spread_of_samples_is_the_variance() {
        // Σ (x − m)² / 2 over two samples has the mean p (1 − p) / 2.
        let value = Expression::Value(0);
        let spread = value.clone().combine(Operation::Subtract, value.reduce(Reduction::Mean, 0));
        let half = Expression::Constant(0.5);
        let cost = spread.apply(Function::Square).reduce(Reduction::Sum, 0).combine(Operation::Multiply, half);
        let mut model = bits_on_steps(cost);
        model.plates[0].summed = false;
        model.parameters[0].plate = None;
        model.nodes = vec![node("x", Scale::Logits, Expression::Element { parameter: 0, element: 0 }, Some(0))];
        let p = sigmoid(0.3);
        let found = derivatives(&model, vec![vec![1.0, 0.0]]);
        assert_close(&found[..2], &[0.5 * p * (1.0 - p), 0.5 * p * (1.0 - p) * (1.0 - 2.0 * p)], 1e-12);
        assert_close(&found[1..2], &[-0.018198], 5e-7);
    }

    #[test]
    fn sums_over_plates_that_a_value_lacks_multiply_it() {
        let mut model = bits_on_steps(Expression::Constant(1.5).reduce(Reduction::Sum, 0));
        assert_close(&derivatives(&model, vec![vec![1.0, 0.0]]), &[3.0, 0.0, 0.0, 0.0], 1e-15);
        model.costs[0].value = Expression::Constant(1.5).reduce(Reduction::Mean, 0);
        assert_close(&derivatives(&model, vec![vec![1.0, 0.0]]), &[1.5, 0.0, 0.0, 0.0], 1e-15);
    }

    #[test]
    fn a_node_sees_the_draws_of_its_own_members() {
        // y copies x member by member, so that Σ (x − y)² is zero; their sums agree as well.
        let mut model = bits_on_steps(Expression::Constant(0.0));
        model.nodes.push(node("y", Scale::Probabilities, Expression::Value(0), None));
        let difference = Expression::Value(0).combine(Operation::Subtract, Expression::Value(1));
        model.costs[0].value = difference.apply(Function::Square);
        assert_close(&derivatives(&model, vec![vec![1.0, 0.0]]), &[0.0; 4], 1e-15);
        // Along another plate there are copies for each of its members.
        model.plates.push(Plate { name: "k".into(), size: 3, kind: PlateKind::Samples, summed: true });
        model.nodes[1].along = Some(1);
        model.costs.push(Cost { name: "count".into(), value: Expression::Value(1) });
        let found = derivatives(&model, vec![vec![0.0, 0.0]]);
        assert_close(&found[..1], &[3.0 * (sigmoid(0.3) + sigmoid(-0.8))], 1e-12);
    }

    #[test]
    fn infinite_costs_of_impossible_values_do_not_count() {
        let certain = Expression::Constant(1.0);
        let distribution = DistributionTree {
            family: Family::Bernoulli,
            scale: Scale::Probabilities,
            parameter: vec![certain.clone()],
        };
        let cost = Expression::LogProbability { node: 0, distribution: Box::new(distribution) };
        let mut model = bits_on_steps(cost);
        model.nodes = vec![node("x", Scale::Probabilities, certain, None)];
        assert_close(&derivatives(&model, vec![vec![1.0, 0.0]]), &[0.0; 4], 1e-15);
        // An infinite cost of a possible value does count.
        model.nodes = vec![node("x", Scale::Probabilities, Expression::Constant(0.5), None)];
        assert_eq!(interpret(&model, &vec![vec![1.0, 0.0]]), Meaning::Infinite);
    }

    #[test]
    fn ties_that_change_differently_have_no_derivative() {
        let mut model = bits_on_steps(Expression::Parameter(0).reduce(Reduction::Max, 0));
        assert_close(&derivatives(&model, vec![vec![1.0, 0.0]])[..2], &[0.3, 1.0], 1e-15);
        model.parameters[0].values = vec![0.3, 0.3];
        assert!(matches!(interpret(&model, &vec![vec![1.0, 0.0]]), Meaning::Undefined(_)));
        assert!(matches!(interpret(&model, &vec![vec![1.0, 1.0]]), Meaning::Finite { .. }));
    }

    #[test]
    fn a_probability_at_its_boundary_is_noticed() {
        let mut model = bits_on_steps(Expression::Value(0));
        model.nodes[0].distribution.scale = Scale::Probabilities;
        model.parameters[0].values = vec![0.0, 0.5];
        let boundary = |direction| match interpret(&model, &direction) {
            Meaning::Finite { boundary, derivatives, .. } => (boundary, derivatives[1]),
            other => panic!("expected derivatives, got {other:?}"),
        };
        assert_eq!(boundary(vec![vec![1.0, 0.0]]), (true, 1.0));
        assert_eq!(boundary(vec![vec![0.0, 1.0]]), (false, 1.0));
    }
}
