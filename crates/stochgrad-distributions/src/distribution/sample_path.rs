//! How reparameterised samples depend on a parameter.

use crate::distribution::order::Order;

/// The sample path with respect to one parameter: whether a reparameterised sample has a derivative with respect to it,
/// by which kind of operations, and up to which order the derivative is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SamplePath {
    /// The sample has no derivative with respect to the parameter.
    None,
    /// The sample is a recorded function of the parameter and of noise that does not depend on it. Recording the
    /// function again with another parameter gives a sample of the new distribution.
    Recorded(Order),
    /// The value is drawn first, and its derivative follows from the distribution function. The value belongs to the
    /// parameters for which it was drawn, so it must be drawn again when they change.
    Implicit(Order),
}

impl SamplePath {
    /// The order up to which derivatives along the path are valid: 0 if there is none.
    pub fn order(self) -> Order {
        match self {
            SamplePath::None => Order::Finite(0),
            SamplePath::Recorded(order) | SamplePath::Implicit(order) => order,
        }
    }

    /// The same path through a further implicit step, such as the inverse of a mixture's distribution function: an
    /// implicit path, valid at most to the given order. A parameter without a path still has none.
    ///
    /// ```
    /// use stochgrad_distributions::{Order, SamplePath};
    ///
    /// let first = Order::Finite(1);
    /// assert_eq!(SamplePath::Recorded(Order::Any).implicit(first), SamplePath::Implicit(first));
    /// assert_eq!(SamplePath::None.implicit(first), SamplePath::None);
    /// ```
    pub fn implicit(self, order: Order) -> Self {
        match self {
            SamplePath::None => SamplePath::None,
            SamplePath::Recorded(known) | SamplePath::Implicit(known) => SamplePath::Implicit(known.min(order)),
        }
    }
}
