//! The parts of random expressions: leaves, scaled and reduced expressions.

use crate::expression::{Expression, Operation, Reduction};
use crate::generate::writer::Writer;
use crate::model::plate_list;
use rand::RngExt;

impl Writer<'_> {
    /// A parameter, an entry of data, the value of a node or, rarely, a constant. With `random`, mostly the value of a
    /// node.
    pub(crate) fn real_leaf(&mut self, random: bool) -> Expression {
        let nodes = self.model.nodes.len();
        let weights = match (random, nodes) {
            (_, 0) => [0, 45, 25, 25, 5],
            (true, _) => [70, 10, 10, 8, 2],
            (false, _) => [35, 25, 18, 18, 4],
        };
        match self.pick(&weights) {
            0 => Expression::Value(self.rng.random_range(0..nodes)),
            2 => match self.model.parameters.iter().position(|parameter| parameter.plate.is_some()) {
                Some(parameter) => Expression::Parameter(parameter),
                None => self.element(),
            },
            3 if !self.model.data.is_empty() => Expression::Data(self.rng.random_range(0..self.model.data.len())),
            4 => Expression::Constant(self.decimal(-10, 10)),
            _ => self.element(),
        }
    }

    fn element(&mut self) -> Expression {
        let element = self.rng.random_range(0..self.model.parameters[0].values.len());
        Expression::Element { parameter: 0, element }
    }

    /// Data, a parameter or a node along a plate, if there is one.
    fn leaf_along(&mut self, plate: usize) -> Option<Expression> {
        let model = &self.model;
        let data = (0..model.data.len()).filter(|&at| model.data[at].plate == plate).map(Expression::Data);
        let parameters = (0..model.parameters.len())
            .filter(|&at| model.parameters[at].plate == Some(plate))
            .map(Expression::Parameter);
        let nodes = (0..model.nodes.len()).filter(|&at| self.nodes[at] & (1 << plate) != 0).map(Expression::Value);
        let mut leaves: Vec<Expression> = data.chain(parameters).chain(nodes).collect();
        if leaves.is_empty() {
            return None;
        }
        let at = self.rng.random_range(0..leaves.len());
        Some(leaves.swap_remove(at))
    }

    /// The expression combined with leaves on some of the plates that it lacks.
    pub(crate) fn crossed(&mut self, mut expression: Expression) -> Expression {
        for plate in 0..self.model.plates.len() {
            let carried = self.model.carries(&expression, &self.nodes) & (1 << plate) != 0;
            if carried || self.chance(0.25) {
                continue;
            }
            if let Some(leaf) = self.leaf_along(plate) {
                let operation = [Operation::Add, Operation::Subtract, Operation::Multiply][self.pick(&[40, 10, 50])];
                expression = expression.combine(operation, leaf);
            }
        }
        expression
    }

    pub(crate) fn scaled(&mut self, expression: Expression) -> Expression {
        expression.combine(Operation::Multiply, Expression::Constant(self.factor()))
    }

    /// The expression reduced over a plate that it carries: by a sum, a mean, a maximum or a log-mean-exp, with these
    /// relative frequencies. Rarely, a sum or a mean over a plate that it lacks. Without a plate, the expression
    /// itself.
    pub(crate) fn reduced(&mut self, expression: Expression, weights: &[u32; 4]) -> Expression {
        let carried: Vec<usize> = plate_list(self.model.carries(&expression, &self.nodes)).collect();
        let all: Vec<usize> = (0..self.model.plates.len()).collect();
        let lacking = carried.is_empty() || self.chance(0.06);
        let Some(plate) = self.one_of(if lacking { &all } else { &carried }) else { return expression };
        let reductions = [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::LogMeanExp];
        let reduction = reductions[self.pick(weights)];
        match reduction {
            Reduction::Max | Reduction::LogMeanExp if !carried.contains(&plate) => {
                expression.reduce(Reduction::Mean, plate)
            }
            _ => expression.reduce(reduction, plate),
        }
    }
}

/// `expression · factor + offset`.
pub(crate) fn affine(expression: Expression, factor: f64, offset: f64) -> Expression {
    expression
        .combine(Operation::Multiply, Expression::Constant(factor))
        .combine(Operation::Add, Expression::Constant(offset))
}
