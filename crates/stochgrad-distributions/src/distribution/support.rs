//! The set of values that a distribution can take.

/// The values that one independent element of a distribution can take.
///
/// Gradient methods ask for the support to refuse what would be wrong: importance sampling from a proposal with another
/// support, or an implicit path through a discrete distribution. Where no other variant describes your own
/// distribution, use [`Support::Custom`].
///
/// ```
/// use stochgrad_distributions::{CustomSupport, Support};
///
/// let percent = Support::Between(0.0, 100.0);
/// assert!(percent.is_continuous_scalar() && !percent.depends_on_parameters());
///
/// let signs = Support::Custom(CustomSupport { name: "−1 and 1", continuous_scalar: false, fixed: true });
/// assert_ne!(signs, Support::Bits);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Support {
    /// 0 and 1.
    Bits,
    /// `0, 1, …, n − 1`.
    Categories(usize),
    /// Vectors of this length with a single 1 and zeros elsewhere.
    OneHot(usize),
    /// `0, 1, 2, …`, perhaps up to a number that depends on the parameters.
    Counts,
    /// Vectors of counts whose total depends on the parameters.
    CountVectors(usize),
    /// The integers, perhaps between bounds that depend on the parameters.
    Integers,
    /// The real line.
    Real,
    /// The positive real numbers.
    Positive,
    /// The real numbers between 0 and 1.
    UnitInterval,
    /// The real numbers between two bounds that do not depend on the parameters.
    Between(f64, f64),
    /// An interval that depends on the parameters.
    Interval,
    /// Angles in radians. Angles that differ by whole turns are the same.
    Angles,
    /// Real vectors of this length.
    Vectors(usize),
    /// Vectors of positive numbers of this length whose sum is 1.
    Simplex(usize),
    /// Vectors of length 1 with this number of coordinates.
    Sphere(usize),
    /// Real matrices with these numbers of rows and columns.
    Matrices(usize, usize),
    /// Symmetric positive definite matrices of this size.
    PositiveDefinite(usize),
    /// Lower Cholesky factors of correlation matrices of this size.
    CorrelationFactors(usize),
    /// A list of values that depends on the parameters.
    Values,
    /// Matrices with this many one-hot rows, which are all different, over this number of items.
    Rankings(usize, usize),
    /// Vectors of bits with this many ones, of this length.
    Subsets(usize, usize),
    /// Vectors of this length, of integers from 0 up to this number, without it.
    Sequences(usize, usize),
    /// A set that no other variant describes.
    Custom(CustomSupport),
}

/// A support that the library does not know. Two of them are the same set if all their fields are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomSupport {
    /// A name for messages, which also distinguishes it from other sets.
    pub name: &'static str,
    /// Whether the values are single real numbers with a density.
    pub continuous_scalar: bool,
    /// Whether the set is the same for all parameters.
    pub fixed: bool,
}

impl Support {
    /// A set of which only the shape of the elements is known. It may depend on the parameters.
    pub(crate) fn image_of_a_map(element: &[usize]) -> Self {
        match element {
            [] => Support::Interval,
            _ => Support::Custom(CustomSupport { name: "the image of a map", continuous_scalar: false, fixed: false }),
        }
    }

    /// Whether the values are single real numbers with a density, so that the distribution function is continuous.
    pub fn is_continuous_scalar(self) -> bool {
        match self {
            Support::Real
            | Support::Positive
            | Support::UnitInterval
            | Support::Between(..)
            | Support::Interval
            | Support::Angles => true,
            Support::Bits
            | Support::Categories(_)
            | Support::OneHot(_)
            | Support::Counts
            | Support::CountVectors(_)
            | Support::Integers
            | Support::Vectors(_)
            | Support::Simplex(_)
            | Support::Sphere(_)
            | Support::Matrices(..)
            | Support::PositiveDefinite(_)
            | Support::CorrelationFactors(_)
            | Support::Values
            | Support::Rankings(..)
            | Support::Subsets(..)
            | Support::Sequences(..) => false,
            Support::Custom(custom) => custom.continuous_scalar,
        }
    }

    /// Whether the values have probabilities and no densities. No for custom supports, of which this is not known.
    pub fn is_discrete(self) -> bool {
        match self {
            Support::Bits
            | Support::Categories(_)
            | Support::OneHot(_)
            | Support::Counts
            | Support::CountVectors(_)
            | Support::Integers
            | Support::Values
            | Support::Rankings(..)
            | Support::Subsets(..)
            | Support::Sequences(..) => true,
            Support::Real
            | Support::Positive
            | Support::UnitInterval
            | Support::Between(..)
            | Support::Interval
            | Support::Angles
            | Support::Vectors(_)
            | Support::Simplex(_)
            | Support::Sphere(_)
            | Support::Matrices(..)
            | Support::PositiveDefinite(_)
            | Support::CorrelationFactors(_)
            | Support::Custom(_) => false,
        }
    }

    /// Whether two distributions with this support may have different values because their parameters differ.
    ///
    /// Counts and integers with bounds are not included: their support is the whole set, on which the values beyond the
    /// bounds have the probability zero.
    pub fn depends_on_parameters(self) -> bool {
        match self {
            Support::Interval | Support::Values => true,
            Support::Custom(custom) => !custom.fixed,
            _ => false,
        }
    }
}
