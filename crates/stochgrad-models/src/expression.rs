//! Expressions, of which the parameters of distributions and the costs of a model consist.

use crate::family::{Family, Scale};

/// A function of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// The negative.
    Negative,
    /// The square.
    Square,
    /// The exponential.
    Exp,
    /// The sine.
    Sin,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
}

impl Function {
    /// The name of the method of a variable.
    pub fn method(self) -> &'static str {
        match self {
            Function::Negative => "neg",
            Function::Square => "square",
            Function::Exp => "exp",
            Function::Sin => "sin",
            Function::Tanh => "tanh",
            Function::Sigmoid => "sigmoid",
        }
    }
}

/// A function of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The sum.
    Add,
    /// The difference.
    Subtract,
    /// The product.
    Multiply,
}

/// A function of all members of a plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The average.
    Mean,
    /// The largest member.
    Max,
    /// The logarithm of the average of the exponentials.
    LogMeanExp,
}

/// An expression, with one value for each combination of members of the plates that it carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A constant.
    Constant(f64),
    /// An element of a parameter, which is the same for all members.
    Element {
        /// The parameter.
        parameter: usize,
        /// The element.
        element: usize,
    },
    /// A parameter that lies along its plate.
    Parameter(usize),
    /// Data, along its plate.
    Data(usize),
    /// The value of a node.
    Value(usize),
    /// The log-probability of the value of a node under a distribution.
    LogProbability {
        /// The node.
        node: usize,
        /// The distribution.
        distribution: Box<DistributionTree>,
    },
    /// A function of one operand.
    Apply(Function, Box<Expression>),
    /// A function of two operands.
    Combine(Operation, Box<Expression>, Box<Expression>),
    /// A selection between two expressions, member by member, by the value of a node.
    Select {
        /// The node.
        node: usize,
        /// The threshold.
        threshold: f64,
        /// The expression where the value is above the threshold.
        yes: Box<Expression>,
        /// The expression elsewhere.
        no: Box<Expression>,
    },
    /// A reduction over a plate.
    Reduce(Reduction, usize, Box<Expression>),
}

impl Expression {
    /// A function of this expression.
    pub fn apply(self, function: Function) -> Self {
        Expression::Apply(function, Box::new(self))
    }

    /// A function of this expression and another one.
    pub fn combine(self, operation: Operation, other: Self) -> Self {
        Expression::Combine(operation, Box::new(self), Box::new(other))
    }

    /// A reduction of this expression over a plate.
    pub fn reduce(self, reduction: Reduction, plate: usize) -> Self {
        Expression::Reduce(reduction, plate, Box::new(self))
    }

    /// The direct parts of the expression.
    pub fn children(&self) -> Vec<&Expression> {
        match self {
            Expression::LogProbability { distribution, .. } => distribution.parameters(),
            Expression::Apply(_, operand) | Expression::Reduce(_, _, operand) => vec![operand],
            Expression::Combine(_, left, right) => vec![left, right],
            Expression::Select { yes, no, .. } => vec![yes, no],
            Expression::Constant(_)
            | Expression::Element { .. }
            | Expression::Parameter(_)
            | Expression::Data(_)
            | Expression::Value(_) => Vec::new(),
        }
    }

    /// The mutable form of [`children`](Self::children).
    pub fn children_mut(&mut self) -> Vec<&mut Expression> {
        match self {
            Expression::LogProbability { distribution, .. } => distribution.parameters_mut(),
            Expression::Apply(_, operand) | Expression::Reduce(_, _, operand) => vec![operand],
            Expression::Combine(_, left, right) => vec![left, right],
            Expression::Select { yes, no, .. } => vec![yes, no],
            Expression::Constant(_)
            | Expression::Element { .. }
            | Expression::Parameter(_)
            | Expression::Data(_)
            | Expression::Value(_) => Vec::new(),
        }
    }

    /// The number of expressions in it, including itself.
    pub fn size(&self) -> usize {
        1 + self.children().into_iter().map(Expression::size).sum::<usize>()
    }

    /// Visits this expression and all its parts, each before its own parts.
    pub fn visit(&self, visitor: &mut impl FnMut(&Expression)) {
        visitor(self);
        for child in self.children() {
            child.visit(visitor);
        }
    }

    /// The mutable form of [`visit`](Self::visit).
    pub fn visit_mut(&mut self, visitor: &mut impl FnMut(&mut Expression)) {
        visitor(self);
        for child in self.children_mut() {
            child.visit_mut(visitor);
        }
    }

    /// The expression at a position in the order of [`visit`](Self::visit).
    pub fn at_mut(&mut self, position: usize) -> Option<&mut Expression> {
        if position == 0 {
            return Some(self);
        }
        let mut before = 1;
        for child in self.children_mut() {
            let size = child.size();
            if position < before + size {
                return child.at_mut(position - before);
            }
            before += size;
        }
        None
    }
}

/// A distribution. Bits and counts have one parameter, the other families one for each category.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionTree {
    /// The family.
    pub family: Family,
    /// The scale of the parameter.
    pub scale: Scale,
    /// The parameter.
    pub parameter: Vec<Expression>,
}

impl DistributionTree {
    /// The expressions of the parameter.
    pub fn parameters(&self) -> Vec<&Expression> {
        self.parameter.iter().collect()
    }

    /// The mutable form of [`parameters`](Self::parameters).
    pub fn parameters_mut(&mut self) -> Vec<&mut Expression> {
        self.parameter.iter_mut().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_a_visit() {
        let mut expression = Expression::Value(0)
            .combine(Operation::Multiply, Expression::Constant(2.0))
            .combine(Operation::Add, Expression::Data(1).reduce(Reduction::Mean, 0));
        let mut visited = Vec::new();
        expression.visit(&mut |part| visited.push(part.clone()));
        assert_eq!(visited.len(), 6);
        assert_eq!(expression.size(), 6);
        for (position, expected) in visited.iter().enumerate() {
            assert_eq!(expression.at_mut(position).map(|part| part.clone()).as_ref(), Some(expected));
        }
        assert_eq!(expression.at_mut(6), None);
    }
}
