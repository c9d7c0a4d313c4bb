//! Orders of derivatives.

use std::fmt;

/// The highest order up to which a derivative, or an estimate of one, is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    /// Up to and including this order.
    Finite(usize),
    /// Every order.
    Any,
}

impl Order {
    /// Whether a derivative of the given order is valid.
    pub fn allows(self, order: usize) -> bool {
        self >= Order::Finite(order)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Finite(order) => write!(f, "{order}"),
            Order::Any => f.write_str("any"),
        }
    }
}
