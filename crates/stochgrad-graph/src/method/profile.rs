//! The properties of a gradient method as data: for tables, for programs that choose among methods, and for the
//! guarantee of a graph, which is computed from them.

use crate::guarantee::{Bias, Guarantee, Path, validity};
use std::fmt;
use stochgrad_distributions::{Distribution, FiniteSupport, Order, Parameter};
use stochgrad_tape::Degree;
use stochgrad_tensor::{Real, Shape};

/// The properties of a gradient method: its bias and order, how often it evaluates the costs, and what it needs of
/// them.
///
/// ```
/// use stochgrad_graph::{Bias, Count, Profile, Size};
/// use stochgrad_tape::Degree;
///
/// // Straight-through at temperature 1, with three samples.
/// let profile = Profile::biased(Bias::Gradient).exact_to(Degree::new(1)).times(3);
/// assert_eq!(
///     profile.to_string(),
///     "biased gradient, exact for costs of degree 1, valid to order 1; 3 cost evaluations, 3 backward passes; \
///      derivatives at the samples"
/// );
///
/// let flips = Count::exactly(1).and(2, Size::Elements);
/// assert_eq!(flips.to_string(), "1 + 2 · elements");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The bias of the gradient, in the worst case.
    pub bias: Bias,
    /// The gradient is unbiased if the costs are polynomials in the node's value up to this degree, counting all
    /// elements together. Unbounded for unbiased methods.
    pub exact_to: Degree,
    /// The highest order of derivative that is valid.
    pub order: Order,
    /// The largest number of evaluations of the costs downstream, for each member of the plates of the parameters (and
    /// of a shared plate of samples).
    pub evaluations: Count,
    /// The largest number of backward passes through the costs downstream, counted in the same way.
    pub backward_passes: Count,
    /// What the method needs of the costs.
    pub access: Access,
}

impl Profile {
    /// An unbiased method that evaluates the costs once and needs only their values.
    pub const fn unbiased(order: Order) -> Self {
        Profile {
            bias: Bias::Unbiased,
            exact_to: Degree::UNBOUNDED,
            order,
            evaluations: Count::exactly(1),
            backward_passes: Count::exactly(0),
            access: Access::Values,
        }
    }

    /// A biased method of order 1 that evaluates the costs once and takes their derivatives once, at the samples. It is
    /// exact only if no cost depends on the node.
    pub const fn biased(bias: Bias) -> Self {
        Profile {
            bias,
            exact_to: Degree::CONSTANT,
            order: Order::Finite(1),
            evaluations: Count::exactly(1),
            backward_passes: Count::exactly(1),
            access: Access::Derivatives,
        }
    }

    /// The same with another number of evaluations.
    pub const fn evaluations(self, evaluations: Count) -> Self {
        Profile { evaluations, ..self }
    }

    /// The same with another number of backward passes, and what they need of the costs.
    pub const fn backward_passes(self, backward_passes: Count, access: Access) -> Self {
        Profile { backward_passes, access, ..self }
    }

    /// The same, exact for costs up to a degree.
    pub const fn exact_to(self, degree: Degree) -> Self {
        Profile { exact_to: degree, ..self }
    }

    /// The same with the given number of samples.
    pub const fn times(self, samples: usize) -> Self {
        Profile {
            evaluations: self.evaluations.times(samples),
            backward_passes: self.backward_passes.times(samples),
            ..self
        }
    }

    /// Two methods together: the weaker guarantee, and the sums of the counts.
    pub fn and(self, other: Self) -> Self {
        Profile {
            bias: self.bias.max(other.bias),
            exact_to: self.exact_to.min(other.exact_to),
            order: self.order.min(other.order),
            evaluations: self.evaluations.plus(other.evaluations),
            backward_passes: self.backward_passes.plus(other.backward_passes),
            access: self.access.max(other.access),
        }
    }

    /// The guarantee for costs that depend on the value along this path. A method that takes derivatives along the path
    /// must also limit it to the [order of the path](Path::order).
    pub fn guarantee(&self, path: &Path) -> Guarantee {
        let bias = if path.degree <= self.exact_to { Bias::Unbiased } else { self.bias };
        Guarantee { bias, order: self.order }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bias)?;
        if self.bias != Bias::Unbiased && self.exact_to > Degree::CONSTANT {
            write!(f, ", exact for costs of degree {}", self.exact_to)?;
        }
        write!(f, ", {}; {} cost evaluations, ", validity(self.order), self.evaluations)?;
        write!(f, "{} backward passes; {}", self.backward_passes, self.access)
    }
}

/// What a method needs of the costs. Ordered from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Values at the samples. The costs may contain jumps, branches and black boxes.
    Values,
    /// Derivatives at the samples.
    Derivatives,
    /// Values and derivatives between the states of a discrete node.
    Between,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Values => "values",
            Access::Derivatives => "derivatives at the samples",
            Access::Between => "values and derivatives between the states",
        })
    }
}

/// A count that may grow with the size of the node: `fixed + each · size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    fixed: usize,
    each: usize,
    of: Size,
}

/// The size with which a [`Count`] grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// The independent elements of a value.
    Elements,
    /// The elements of the parameters of the distribution.
    Coordinates,
    /// The states of one element.
    States,
    /// The number of states minus one, summed over the elements.
    OtherStates,
    /// The pairs of states of one element.
    StatePairs,
    /// The states of a whole value.
    JointStates,
}

impl Count {
    /// A fixed count.
    pub const fn exactly(fixed: usize) -> Self {
        Count { fixed, each: 0, of: Size::Elements }
    }

    /// The same with a growing part `each · of`, which replaces the previous one.
    pub const fn and(self, each: usize, of: Size) -> Self {
        Count { fixed: self.fixed, each, of }
    }

    /// The count multiplied by a factor.
    pub const fn times(self, factor: usize) -> Self {
        Count { fixed: self.fixed.saturating_mul(factor), each: self.each.saturating_mul(factor), of: self.of }
    }

    /// The sum of two counts. If they grow with different sizes, the sum grows with the one that is last in [`Size`].
    pub fn plus(self, other: Self) -> Self {
        let of = match (self.each, other.each) {
            (0, _) => other.of,
            (_, 0) => self.of,
            _ => self.of.max(other.of),
        };
        Count { fixed: self.fixed.saturating_add(other.fixed), each: self.each.saturating_add(other.each), of }
    }

    /// The count for a node of the given extent; `None` for the states of a distribution with infinitely many of them,
    /// and if the count overflows.
    pub fn at(&self, extent: &Extent) -> Option<usize> {
        let Extent { elements, coordinates, states } = *extent;
        let size = match self.of {
            _ if self.each == 0 => 0,
            Size::Elements => elements,
            Size::Coordinates => coordinates,
            Size::States => states?,
            Size::OtherStates => elements.checked_mul(states?.saturating_sub(1))?,
            Size::StatePairs => states?.checked_mul(states?.saturating_sub(1))? / 2,
            Size::JointStates => states?.checked_pow(u32::try_from(elements).ok()?)?,
        };
        self.each.checked_mul(size)?.checked_add(self.fixed)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.of {
            Size::Elements => "elements",
            Size::Coordinates => "coordinates",
            Size::States => "states",
            Size::OtherStates => "other states",
            Size::StatePairs => "pairs of states",
            Size::JointStates => "joint states",
        };
        match (self.fixed, self.each) {
            (fixed, 0) => write!(f, "{fixed}"),
            (0, 1) => f.write_str(size),
            (0, each) => write!(f, "{each} · {size}"),
            (fixed, 1) => write!(f, "{fixed} + {size}"),
            (fixed, each) => write!(f, "{fixed} + {each} · {size}"),
        }
    }
}

/// The size of the value of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The number of independent elements.
    pub elements: usize,
    /// The number of elements of the parameters of its distribution.
    pub coordinates: usize,
    /// The number of states of one element; `None` if it is infinite.
    pub states: Option<usize>,
}

impl Extent {
    /// The extent of a value of a distribution.
    pub fn of<'t, F: Real>(distribution: &dyn Distribution<'t, F>) -> Self {
        let event = distribution.event_shape();
        let elements = Shape::from(&event[..event.len().saturating_sub(distribution.element_rank())]).numel();
        let each = |parameter: &Parameter<'t, F>| parameter.var.shape().numel().max(elements);
        let coordinates = distribution.parameters().iter().map(each).fold(0, usize::saturating_add);
        let states = distribution.capabilities().finite_support.map(FiniteSupport::states);
        let states = states.and_then(Result::ok).map(|states| usize::try_from(states).unwrap_or(usize::MAX));
        Extent { elements, coordinates, states }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_distributions::{Bernoulli, Normal, OneHotCategorical};
    use stochgrad_tape::Tape;

    #[test]
    fn counts_follow_the_extent() {
        let tape = Tape::<f64>::new();
        let bits = Extent::of(&Bernoulli::from_logits(tape.constant([0.1, 0.2, 0.3])));
        assert_eq!(bits, Extent { elements: 3, coordinates: 3, states: Some(2) });
        let vectors = Extent::of(&OneHotCategorical::from_logits(tape.constant([[0.1, 0.2, 0.3], [0.0, 0.0, 1.0]])));
        assert_eq!(vectors, Extent { elements: 2, coordinates: 6, states: Some(3) });
        let numbers = Extent::of(&Normal::new(tape.constant([0.1, 0.2]), tape.constant(1.0)));
        assert_eq!(numbers, Extent { elements: 2, coordinates: 4, states: None });

        let one = Count::exactly(1);
        assert_eq!(one.at(&numbers), Some(1));
        assert_eq!(one.and(2, Size::Elements).times(3).at(&bits), Some(21));
        assert_eq!(one.and(2, Size::States).at(&vectors), Some(7));
        assert_eq!(one.and(1, Size::OtherStates).at(&vectors), Some(5));
        assert_eq!(one.and(1, Size::StatePairs).at(&vectors), Some(4));
        assert_eq!(Count::exactly(0).and(1, Size::JointStates).at(&vectors), Some(9));
        assert_eq!(one.and(2, Size::Coordinates).at(&vectors), Some(13));
        assert_eq!(Count::exactly(0).and(1, Size::JointStates).at(&numbers), None);
        let many = Extent { elements: 1000, coordinates: 1000, states: Some(2) };
        assert_eq!(Count::exactly(0).and(1, Size::JointStates).at(&many), None);
    }

    #[test]
    fn two_together_are_the_weaker_promise_and_the_sum_of_the_numbers() {
        let one = Profile::unbiased(Order::Any);
        let other = Profile::biased(Bias::Gradient)
            .evaluations(Count::exactly(2))
            .backward_passes(Count::exactly(1).and(3, Size::Elements), Access::Between);
        let both = one.and(other);
        assert_eq!((both.bias, both.exact_to, both.order), (Bias::Gradient, Degree::CONSTANT, Order::Finite(1)));
        assert_eq!((both.evaluations, both.access), (Count::exactly(3), Access::Between));
        assert_eq!(both.backward_passes.to_string(), "1 + 3 · elements");
        assert_eq!(both, other.and(one));
        let states = Count::exactly(1).and(1, Size::JointStates);
        assert_eq!(both.backward_passes.plus(states).to_string(), "2 + 4 · joint states");
    }

    #[test]
    fn statements_are_readable() {
        let none = Profile::unbiased(Order::Any).evaluations(Count::exactly(0).and(1, Size::JointStates));
        assert_eq!(
            none.to_string(),
            "unbiased, valid at every order; joint states cost evaluations, 0 backward passes; values"
        );
        assert_eq!(Count::exactly(0).and(3, Size::StatePairs).to_string(), "3 · pairs of states");
    }

    #[test]
    fn a_low_degree_takes_the_bias_away() {
        let profile = Profile::biased(Bias::Gradient).exact_to(Degree::new(2));
        let bias = |degree| profile.guarantee(&Path { degree, ..Path::smooth() }).bias;
        assert_eq!(bias(Degree::new(2)), Bias::Unbiased);
        assert_eq!(bias(Degree::new(3)), Bias::Gradient);
        assert_eq!(bias(Degree::UNBOUNDED), Bias::Gradient);
    }
}
