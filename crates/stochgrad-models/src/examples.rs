//! Small models for tests.

use crate::expression::{DistributionTree, Expression, Operation, Reduction};
use crate::family::{Family, Scale};
use crate::model::{Cost, Data, Model, Node, Parameter, Plate, PlateKind};

/// Two bits along a summed plate of samples, with the logits t = (0.3, −0.8), and one cost.
pub(crate) fn bits_on_steps(cost: Expression) -> Model {
    Model {
        plates: vec![Plate { name: "steps".into(), size: 2, kind: PlateKind::Samples, summed: true }],
        parameters: vec![Parameter { name: "t".into(), values: vec![0.3, -0.8], plate: Some(0) }],
        data: Vec::new(),
        nodes: vec![node("x", Scale::Logits, Expression::Parameter(0), None)],
        costs: vec![Cost { name: "cost".into(), value: cost }],
    }
}

/// A bit for each of two rows: b ~ Bernoulli(σ(0.3 x − 0.8)) with x = (0.5, −1.5) on an averaged plate of data, and one
/// cost.
pub(crate) fn bits_on_rows(cost: Expression) -> Model {
    let logit = Expression::Element { parameter: 0, element: 0 }
        .combine(Operation::Multiply, Expression::Data(0))
        .combine(Operation::Add, Expression::Element { parameter: 0, element: 1 });
    Model {
        plates: vec![Plate { name: "rows".into(), size: 2, kind: PlateKind::Data, summed: false }],
        parameters: vec![Parameter { name: "t".into(), values: vec![0.3, -0.8], plate: None }],
        data: vec![Data { name: "d".into(), plate: 0, values: vec![0.5, -1.5] }],
        nodes: vec![node("b", Scale::Logits, logit, None)],
        costs: vec![Cost { name: "cost".into(), value: cost }],
    }
}

/// A bit with one parameter.
pub(crate) fn node(name: &str, scale: Scale, parameter: Expression, along: Option<usize>) -> Node {
    let distribution = DistributionTree { family: Family::Bernoulli, scale, parameter: vec![parameter] };
    Node { name: name.into(), distribution, along, scores: [0.0; 3] }
}

/// (reduction of the first node over the first plate − offset)².
pub(crate) fn square_of(reduction: Reduction, offset: f64) -> Expression {
    Expression::Value(0)
        .reduce(reduction, 0)
        .combine(Operation::Subtract, Expression::Constant(offset))
        .apply(crate::expression::Function::Square)
}
