//! Random nodes and their distributions.

use crate::expression::{DistributionTree, Expression, Function, Operation, Reduction};
use crate::family::{CATEGORIES, Family, Scale};
use crate::generate::leaves::affine;
use crate::generate::writer::Writer;
use crate::model::{Node, PlateKind, plate_list};
use rand::RngExt;

impl Writer<'_> {
    pub(crate) fn node(&mut self, at: usize) {
        let family = Family::ALL[self.pick(&[62, 12, 13, 13])];
        let samples: Vec<usize> =
            (0..self.model.plates.len()).filter(|&plate| self.model.plates[plate].kind == PlateKind::Samples).collect();
        let scores = [self.decimal(-10, 10), self.decimal(-10, 10), self.decimal(-10, 10)];
        for attempt in 0..8 {
            let depth = if attempt < 5 { 2 } else { 0 };
            let distribution = self.distribution(family, depth);
            let along = self.one_of(&samples).filter(|_| self.rng.random_bool(0.55));
            let node = Node { name: ["x", "y", "z"][at].into(), distribution, along, scores };
            self.model.nodes.push(node);
            if self.model.assignments() <= self.most {
                self.nodes = self.model.node_plates();
                return;
            }
            self.model.nodes.pop();
        }
        if at == 0 {
            let parameter = vec![Expression::Element { parameter: 0, element: 0 }];
            let distribution = DistributionTree { family: Family::Bernoulli, scale: Scale::Logits, parameter };
            self.model.nodes.push(Node { name: "x".into(), distribution, along: None, scores });
            self.nodes = self.model.node_plates();
        }
    }

    pub(crate) fn distribution(&mut self, family: Family, depth: usize) -> DistributionTree {
        let scale = if self.chance(0.6) { Scale::Logits } else { Scale::Probabilities };
        let parameter = match (family, scale) {
            (Family::Bernoulli | Family::Binomial, Scale::Logits) => vec![self.logit(depth)],
            (Family::Bernoulli | Family::Binomial, Scale::Probabilities) => vec![self.probability(depth)],
            (_, Scale::Logits) => {
                let mut logits: Vec<Expression> = (0..CATEGORIES)
                    .map(|_| if self.chance(0.4) { Expression::Constant(self.decimal(-8, 8)) } else { self.logit(0) })
                    .collect();
                logits[0] = self.logit(depth);
                if self.chance(0.08) {
                    logits[2] = Expression::Constant(f64::NEG_INFINITY);
                }
                logits
            }
            (_, Scale::Probabilities) => {
                let (first, second) = (self.probability(depth), self.probability(0));
                let rest = |of: &Expression| Expression::Constant(1.0).combine(Operation::Subtract, of.clone());
                let left = rest(&first);
                vec![
                    first,
                    left.clone().combine(Operation::Multiply, second.clone()),
                    left.combine(Operation::Multiply, rest(&second)),
                ]
            }
        };
        DistributionTree { family, scale, parameter }
    }

    /// An expression of moderate size on the whole real line.
    fn logit(&mut self, depth: usize) -> Expression {
        if depth == 0 {
            return self.real_leaf(false);
        }
        match self.pick(&[25, 25, 20, 12, 18]) {
            0 => self.real_leaf(false),
            4 => {
                let leaf = self.real_leaf(false);
                self.crossed(leaf)
            }
            1 => {
                let (left, right) = (self.real_leaf(false), self.real_leaf(true));
                let product = self.scaled(right);
                left.combine(Operation::Add, product)
            }
            2 => {
                let inner = self.real_leaf(true);
                let reduced = self.reduced(inner, &[10, 60, 15, 15]);
                let scaled = self.scaled(reduced);
                let offset = self.real_leaf(false);
                scaled.combine(Operation::Add, offset)
            }
            _ => {
                let (left, right) = (self.real_leaf(false), self.real_leaf(true));
                left.combine(Operation::Multiply, right)
            }
        }
    }

    fn probability(&mut self, depth: usize) -> Expression {
        let mut options: Vec<Expression> = Vec::new();
        for (at, parameter) in self.model.parameters.iter().enumerate() {
            match parameter.name.as_str() {
                "p" => {
                    for element in 0..parameter.values.len() {
                        options.push(Expression::Element { parameter: at, element });
                    }
                }
                "q" => options.extend(vec![Expression::Parameter(at); 2]),
                _ => {}
            }
        }
        for (at, data) in self.model.data.iter().enumerate() {
            if data.name.starts_with("chance") {
                options.push(Expression::Data(at));
            }
        }
        for (at, node) in self.model.nodes.iter().enumerate() {
            if node.distribution.family == Family::Bernoulli {
                let value = Expression::Value(at);
                options.push(affine(value.clone(), 0.6, 0.2));
                for plate in plate_list(self.nodes[at]) {
                    let mean = value.clone().reduce(Reduction::Mean, plate);
                    options.push(affine(mean.clone(), 0.9, 0.05));
                    options.push(mean);
                }
            }
        }
        if options.is_empty() || self.chance(0.35) {
            if self.chance(0.15) {
                return Expression::Constant(self.chance_value(0.5));
            }
            return self.logit(depth).apply(Function::Sigmoid);
        }
        let at = self.rng.random_range(0..options.len());
        options.swap_remove(at)
    }
}
