//! What a gradient is guaranteed to be: its bias and the highest order of derivative.

use std::fmt;
use std::panic::Location;
use stochgrad_distributions::Order;
use stochgrad_tape::{Degree, Smoothness};

/// How far a gradient is off, in expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bias {
    /// Not at all.
    Unbiased,
    /// The gradient of a node is off; only parameters upstream of it are concerned.
    Gradient,
    /// Another distribution was sampled (a relaxed value goes forward); every cost downstream is off, and every
    /// parameter of those costs.
    Distribution,
}

impl fmt::Display for Bias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bias::Unbiased => "unbiased",
            Bias::Gradient => "biased gradient",
            Bias::Distribution => "biased (another distribution was sampled)",
        })
    }
}

/// The bias and the order of a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guarantee {
    /// The bias.
    pub bias: Bias,
    /// The order.
    pub order: Order,
}

impl Guarantee {
    /// Unbiased at every order.
    pub const EXACT: Guarantee = Guarantee { bias: Bias::Unbiased, order: Order::Any };

    /// Unbiased up to an order.
    pub fn unbiased(order: Order) -> Self {
        Guarantee { bias: Bias::Unbiased, order }
    }

    /// The same, up to an order at most.
    pub fn at_most(self, order: Order) -> Self {
        Guarantee { order: self.order.min(order), ..self }
    }

    /// What holds if both hold.
    pub fn and(self, other: Guarantee) -> Self {
        Guarantee { bias: self.bias.max(other.bias), order: self.order.min(other.order) }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, valid to order {}", self.bias, self.order)
    }
}

/// The worst of all paths from the value of a node to a cost, or to the parameters of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The worst operation: `Constant` if there is no path at all.
    pub smoothness: Smoothness,
    /// What it is and where, if it is not smooth.
    pub through: Option<(String, &'static Location<'static>)>,
    /// The largest degree of a cost as a polynomial in the value, all elements and members together. It is found for
    /// the methods that are biased, and unbounded for the others.
    pub degree: Degree,
}

impl Path {
    /// A path of smooth operations, of which the degree is not known.
    pub fn smooth() -> Self {
        Path { smoothness: Smoothness::Smooth, through: None, degree: Degree::UNBOUNDED }
    }

    /// The order up to which a sample-path derivative along it is valid: none through a jump, one through a kink.
    pub fn order(&self) -> Order {
        match self.smoothness {
            Smoothness::Constant | Smoothness::Smooth => Order::Any,
            Smoothness::Kinked => Order::Finite(1),
            Smoothness::Jump => Order::Finite(0),
        }
    }
}
