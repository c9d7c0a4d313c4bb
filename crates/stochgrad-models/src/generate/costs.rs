//! Random costs: terms, and the patterns in which they are reduced and combined.

use crate::expression::{Expression, Function, Operation, Reduction};
use crate::family::Scale;
use crate::generate::leaves::affine;
use crate::generate::writer::Writer;
use crate::model::plate_list;
use rand::RngExt;

impl Writer<'_> {
    pub(crate) fn cost(&mut self) -> Expression {
        let first = self.pattern();
        if self.chance(0.25) {
            let second = self.pattern();
            return first.combine(Operation::Add, second);
        }
        first
    }

    fn pattern(&mut self) -> Expression {
        let mut term = self.term(1);
        if self.chance(0.35) {
            term = self.crossed(term);
        }
        let pattern = match self.pick(&[20, 12, 12, 16, 10, 6, 8, 8, 8, 14]) {
            // A function of a reduction.
            0 => {
                let reduced = self.reduced(term, &[50, 30, 10, 10]);
                let offset = self.decimal(-10, 10);
                reduced.combine(Operation::Subtract, Expression::Constant(offset)).apply(Function::Square)
            }
            // A sum of an expression and its reduction.
            1 => {
                let reduced = self.reduced(term.clone(), &[50, 30, 10, 10]);
                let factor = self.factor();
                let kept = term.combine(Operation::Multiply, Expression::Constant(factor));
                if self.chance(0.5) {
                    kept.combine(Operation::Add, reduced)
                } else {
                    reduced.combine(Operation::Add, kept)
                }
            }
            // The spread of the members of a plate.
            2 => {
                let carried: Vec<usize> = plate_list(self.model.carries(&term, &self.nodes)).collect();
                let Some(plate) = self.one_of(&carried) else { return term.apply(Function::Square) };
                let mean = term.clone().reduce(Reduction::Mean, plate);
                let spread = term.combine(Operation::Subtract, mean).apply(Function::Square);
                let reduction = if self.chance(0.7) { Reduction::Sum } else { Reduction::Mean };
                let reduced = spread.reduce(reduction, plate);
                if self.chance(0.5) { affine(reduced, 0.5, 0.0) } else { reduced }
            }
            3 => self.term(3),
            4 => {
                let scaled = self.scaled(term);
                self.reduced(scaled, &[10, 10, 10, 70])
            }
            5 => self.reduced(term, &[0, 0, 100, 0]),
            // A product of two reductions.
            6 => {
                let other = self.term(1);
                let (left, right) = (self.reduced(term, &[40, 40, 10, 10]), self.reduced(other, &[40, 40, 10, 10]));
                left.combine(Operation::Multiply, right)
            }
            7 => {
                let log = self.log_probability();
                term.combine(Operation::Add, log)
            }
            // Nested reductions.
            9 => {
                let mut nested = self.crossed(term);
                for _ in 0..self.pick(&[30, 50, 20]) + 1 {
                    nested = self.reduced(nested, &[45, 35, 10, 10]);
                    if self.chance(0.4) {
                        let offset = self.decimal(-10, 10);
                        nested = nested.combine(Operation::Subtract, Expression::Constant(offset));
                        nested = nested.apply(Function::Square);
                    }
                }
                nested
            }
            // Two draws that are combined member by member.
            _ => {
                let other = self.real_leaf(true);
                let offset = self.decimal(-10, 10);
                let difference = term.clone().combine(Operation::Subtract, affine(other.clone(), 2.0, offset));
                let product = term.combine(Operation::Multiply, other);
                difference.apply(Function::Square).combine(Operation::Add, product)
            }
        };
        if self.chance(0.25) { self.reduced(pattern, &[45, 45, 5, 5]) } else { pattern }
    }

    /// An expression of a few draws and parameters.
    fn term(&mut self, depth: usize) -> Expression {
        if depth == 0 {
            return self.real_leaf(true);
        }
        match self.pick(&[22, 20, 18, 10, 8, 6, 8, 8]) {
            0 => self.real_leaf(true),
            1 => {
                let (left, right) = (self.term(depth - 1), self.term(depth - 1));
                let right = self.scaled(right);
                left.combine(Operation::Add, right)
            }
            2 => {
                let (left, right) = (self.real_leaf(true), self.real_leaf(false));
                left.combine(Operation::Multiply, right)
            }
            3 => {
                let inner = self.real_leaf(true);
                let inner = self.scaled(inner);
                let function = [Function::Exp, Function::Sin, Function::Tanh, Function::Sigmoid][self.pick(&[1; 4])];
                inner.apply(function)
            }
            4 => {
                let node = self.rng.random_range(0..self.model.nodes.len());
                let (yes, no) = (self.real_leaf(false), self.real_leaf(true));
                Expression::Select { node, threshold: 0.5, yes: Box::new(yes), no: Box::new(no) }
            }
            5 => self.log_probability(),
            6 => {
                let offset = self.decimal(-10, 10);
                let inner = self.term(depth - 1);
                inner.combine(Operation::Subtract, Expression::Constant(offset)).apply(Function::Square)
            }
            _ => {
                let inner = self.term(depth - 1);
                self.reduced(inner, &[40, 40, 10, 10])
            }
        }
    }

    /// The log-probability of a node's value under its own distribution, under another one, or their difference.
    fn log_probability(&mut self) -> Expression {
        let node = self.rng.random_range(0..self.model.nodes.len());
        let own = self.model.nodes[node].distribution.clone();
        let of_own = Expression::LogProbability { node, distribution: Box::new(own.clone()) };
        if self.chance(0.4) {
            return of_own;
        }
        let other = if self.chance(0.25) {
            own
        } else {
            let mut distribution = self.distribution(self.model.nodes[node].distribution.family, 0);
            if distribution.scale == Scale::Probabilities && !self.chance(0.1) {
                distribution.scale = Scale::Logits;
            }
            let allowed = |expression: &Expression| {
                let mut later = false;
                expression
                    .visit(&mut |part| later |= matches!(part, Expression::Constant(value) if value.is_infinite()));
                !later
            };
            if !distribution.parameter.iter().all(allowed) {
                return of_own;
            }
            distribution
        };
        let of_other = Expression::LogProbability { node, distribution: Box::new(other) };
        if self.chance(0.5) { of_own.combine(Operation::Subtract, of_other) } else { of_other }
    }
}
