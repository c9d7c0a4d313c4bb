//! Random models.

use crate::choose::pick;
use crate::expression::{DistributionTree, Expression, Function, Operation, Reduction};
use crate::family::{CATEGORIES, Family, Scale};
use crate::model::{Cost, Data, Model, Node, Parameter, Plate, PlateKind, PlateSet, plate_list};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Most joint values of all draws of a model: one of these.
const MOST_ASSIGNMENTS: [f64; 3] = [16.0, 64.0, 256.0];

/// How often the limits of [`MOST_ASSIGNMENTS`] are drawn.
const ASSIGNMENT_WEIGHTS: [u32; 3] = [35, 40, 25];

/// The generator of the model of a number: it depends on the seed and the number only.
pub fn generator(seed: u64, number: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(number);
    generator
}

/// A random model.
pub fn generate(rng: &mut ChaCha8Rng) -> Model {
    let most = MOST_ASSIGNMENTS[pick(rng, &ASSIGNMENT_WEIGHTS)];
    let mut writer = Writer { rng, model: Model::default(), nodes: Vec::new(), most };
    writer.plates();
    writer.parameters();
    for node in 0..writer.pick(&[45, 40, 15]) + 1 {
        writer.node(node);
    }
    for cost in 0..writer.pick(&[60, 30, 10]) + 1 {
        let value = writer.cost();
        writer.model.costs.push(Cost { name: format!("cost{cost}"), value });
    }
    writer.model
}

struct Writer<'r> {
    rng: &'r mut ChaCha8Rng,
    model: Model,
    /// The plates of the nodes so far.
    nodes: Vec<PlateSet>,
    /// Most joint values of all draws.
    most: f64,
}

impl Writer<'_> {
    fn pick(&mut self, weights: &[u32]) -> usize {
        pick(self.rng, weights)
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { Some(items[self.rng.random_range(0..items.len())]) }
    }

    /// A number with one decimal, between two others.
    fn decimal(&mut self, low: i32, high: i32) -> f64 {
        f64::from(self.rng.random_range(low..=high)) / 10.0
    }

    /// A number between −1.5 and 1.5 that is not 0.
    fn factor(&mut self) -> f64 {
        let size = self.decimal(2, 15);
        if self.chance(0.3) { -size } else { size }
    }

    /// A probability, sometimes 0 or 1.
    fn chance_value(&mut self, boundary: f64) -> f64 {
        if self.chance(boundary) {
            return if self.chance(0.5) { 0.0 } else { 1.0 };
        }
        self.decimal(1, 9)
    }

    fn plates(&mut self) {
        for at in 0..self.pick(&[5, 35, 34, 26]) {
            let kind = if self.chance(0.5) { PlateKind::Data } else { PlateKind::Samples };
            let size = [2, 3, 1][self.pick(&[78, 14, 8])];
            let name = match kind {
                PlateKind::Data => format!("rows{at}"),
                PlateKind::Samples => format!("k{at}"),
            };
            let summed = self.chance(0.4);
            self.model.plates.push(Plate { name, size, kind, summed });
            if kind == PlateKind::Data {
                for _ in 0..self.pick(&[65, 35]) + 1 {
                    let probabilities = self.chance(0.4);
                    let values = (0..size)
                        .map(|_| if probabilities { self.chance_value(0.12) } else { self.decimal(-15, 15) })
                        .collect();
                    let name = format!("{}{}", if probabilities { "chance" } else { "d" }, self.model.data.len());
                    self.model.data.push(Data { name, plate: at, values });
                }
            }
        }
    }

    fn parameters(&mut self) {
        let size = self.pick(&[20, 60, 20]) + 1;
        let values = (0..size).map(|_| self.decimal(-10, 10)).collect();
        self.model.parameters.push(Parameter { name: "t".into(), values, plate: None });
        if self.chance(0.3) {
            let values = (0..self.pick(&[60, 40]) + 1).map(|_| self.chance_value(0.04)).collect();
            self.model.parameters.push(Parameter { name: "p".into(), values, plate: None });
        }
        let plates: Vec<usize> = (0..self.model.plates.len()).collect();
        if let Some(plate) = self.one_of(&plates).filter(|_| self.rng.random_bool(0.45)) {
            let probabilities = self.chance(0.25);
            let size = self.model.plates[plate].size;
            let values = (0..size)
                .map(|_| if probabilities { self.chance_value(0.04) } else { self.decimal(-10, 10) })
                .collect();
            let name = if probabilities { "q" } else { "w" };
            self.model.parameters.push(Parameter { name: name.into(), values, plate: Some(plate) });
        }
    }

    fn node(&mut self, at: usize) {
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

    fn distribution(&mut self, family: Family, depth: usize) -> DistributionTree {
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

    /// A real number that is not large.
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

    /// A parameter, a piece of data, the value of a node, or rarely a constant. `random` prefers values of nodes.
    fn real_leaf(&mut self, random: bool) -> Expression {
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

    /// Data, a parameter or a node along a plate.
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

    /// The expression together with some that lie on plates which it lacks.
    fn crossed(&mut self, mut expression: Expression) -> Expression {
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

    fn scaled(&mut self, expression: Expression) -> Expression {
        expression.combine(Operation::Multiply, Expression::Constant(self.factor()))
    }

    /// A reduction over a plate that the expression carries: a sum, a mean, the largest or a log-mean-exp with these
    /// weights. Rarely a sum or a mean over a plate that it lacks. The expression itself if there is no plate.
    fn reduced(&mut self, expression: Expression, weights: &[u32; 4]) -> Expression {
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

    /// A number of a few draws and parameters.
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

    /// ln q(x), sometimes minus the log-probability under the distribution of the node itself.
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

    fn cost(&mut self) -> Expression {
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
            // What is kept and what is reduced.
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
            // Reductions that meet.
            6 => {
                let other = self.term(1);
                let (left, right) = (self.reduced(term, &[40, 40, 10, 10]), self.reduced(other, &[40, 40, 10, 10]));
                left.combine(Operation::Multiply, right)
            }
            7 => {
                let log = self.log_probability();
                term.combine(Operation::Add, log)
            }
            // Reductions inside reductions.
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
            // Draws that meet member by member.
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
}

/// `expression · factor + offset`.
fn affine(expression: Expression, factor: f64, offset: f64) -> Expression {
    expression
        .combine(Operation::Multiply, Expression::Constant(factor))
        .combine(Operation::Add, Expression::Constant(offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::choose;
    use crate::methods::{Placement, catalogue};

    #[test]
    fn a_graph_depends_on_the_seed_and_the_number_only() {
        let model = |seed, number| generate(&mut generator(seed, number));
        assert_eq!(model(1, 7), model(1, 7));
        assert_ne!(model(1, 7), model(1, 8));
        assert_ne!(model(1, 7), model(2, 7));
    }

    #[test]
    fn models_are_well_formed_and_varied() {
        let methods = catalogue();
        let (mut several_plates, mut deep, mut summed, mut chosen) = (0, 0, 0, 0);
        for number in 0..400 {
            let mut rng = generator(3, number);
            let model = generate(&mut rng);
            assert!(model.is_well_formed(), "graph {number}: {model:?}");
            assert!(model.assignments() <= 256.0);
            let plates = model.node_plates();
            let mut most = 0;
            model.visit(&mut |expression| most = most.max(model.carries(expression, &plates).count_ones()));
            several_plates += usize::from(plates.iter().any(|plates| plates.count_ones() > 1));
            deep += usize::from(most > 2);
            summed += usize::from(model.plates.iter().any(|plate| plate.summed));
            if let Some(choices) = choose(&mut rng, &model, &methods) {
                chosen += 1;
                for (node, choice) in model.nodes.iter().zip(&choices) {
                    let entry = &methods[choice.method];
                    assert!(entry.applies_to(node.distribution.family));
                    assert_eq!(node.along.is_some(), choice.placement == Placement::Along);
                }
            }
        }
        assert!(several_plates > 40 && deep > 12 && summed > 100, "{several_plates}, {deep}, {summed}");
        assert!(chosen > 300, "{chosen}");
    }
}
