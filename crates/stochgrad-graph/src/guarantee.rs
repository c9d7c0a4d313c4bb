//! What holds for a gradient: its bias, and the highest order of derivative that is valid.

use std::fmt;
use std::panic::Location;
use stochgrad_distributions::Order;
use stochgrad_tape::{Degree, Smoothness};

/// The bias of a gradient: whether its expectation is the derivative of the expected cost. Ordered from the best to the
/// worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bias {
    /// The expectation is exact.
    Unbiased,
    /// The gradient through a node is biased, which affects only the parameters upstream of the node.
    Gradient,
    /// The recorded cost has another expectation than the quantity that it stands for: it is a function of an average in
    /// place of the expectation, or a series that is cut off. The gradient is that of the expectation of the recorded
    /// cost.
    Cost,
    /// Another distribution was sampled (the node passes on a relaxed value, for example), which biases every cost
    /// downstream and the gradient with respect to every parameter of those costs.
    Distribution,
}

impl fmt::Display for Bias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bias::Unbiased => "unbiased",
            Bias::Gradient => "biased gradient",
            Bias::Cost => "biased cost",
            Bias::Distribution => "biased (another distribution was sampled)",
        })
    }
}

/// The bias and the order of a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guarantee {
    /// The bias.
    pub bias: Bias,
    /// The highest order of derivative that is valid.
    pub order: Order,
}

impl Guarantee {
    /// Unbiased at every order.
    pub const EXACT: Guarantee = Guarantee { bias: Bias::Unbiased, order: Order::Any };

    /// Unbiased, and valid up to an order.
    pub fn unbiased(order: Order) -> Self {
        Guarantee { bias: Bias::Unbiased, order }
    }

    /// The same guarantee, limited to an order.
    pub fn at_most(self, order: Order) -> Self {
        Guarantee { order: self.order.min(order), ..self }
    }

    /// The guarantee of a gradient that is made of two: the larger bias and the lower order.
    pub fn and(self, other: Guarantee) -> Self {
        Guarantee { bias: self.bias.max(other.bias), order: self.order.min(other.order) }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.bias, validity(self.order))
    }
}

/// The orders at which a derivative is valid, in words.
pub(crate) fn validity(order: Order) -> String {
    match order {
        Order::Any => "valid at every order".into(),
        Order::Finite(order) => format!("valid to order {order}"),
    }
}

/// The worst of all paths from the value of a node to a cost, or to the parameters of another node. A method decides by
/// it whether derivatives along the value can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The smoothness of the worst operation; `Constant` if there is no path.
    pub smoothness: Smoothness,
    /// The worst operation in words, and where it was recorded; `None` if it is smooth.
    pub through: Option<(String, &'static Location<'static>)>,
    /// The largest degree of a cost as a polynomial in the value, counting all elements and members together. It is
    /// computed for biased methods only, and unbounded for all others.
    pub degree: Degree,
    /// The highest order of derivative that the samples of the nodes on the way have with respect to their parameters:
    /// limited by implicit paths.
    pub samples: Order,
}

impl Path {
    /// A path of smooth operations and unknown degree.
    pub fn smooth() -> Self {
        Path { smoothness: Smoothness::Smooth, through: None, degree: Degree::UNBOUNDED, samples: Order::Any }
    }

    /// The order up to which a sample-path derivative along the path is valid: 0 through a jump, 1 through a kink, and
    /// through other nodes at most the order of their samples. See [`path_order`](crate::path_order) for an error that
    /// explains a jump.
    pub fn order(&self) -> Order {
        match self.smoothness {
            Smoothness::Constant | Smoothness::Smooth => self.samples,
            Smoothness::Kinked => Order::Finite(1).min(self.samples),
            Smoothness::Jump => Order::Finite(0),
        }
    }
}
