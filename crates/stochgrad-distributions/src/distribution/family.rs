//! The stored and the live form of a distribution, and the macros that write what all distributions have in common.

use crate::distribution::traits::Distribution;
use crate::error::DistributionResult;
use stochgrad_tape::{IdMap, Tape};
use stochgrad_tensor::Real;

/// The stored form of a distribution: parameters are positions on a tape.
///
/// The macro [`distribution!`](crate::distribution) writes this together with the type, [`family!`](crate::family) alone for a type that has a
/// method `try_map`.
pub trait Family<F: Real>: Clone + 'static {
    /// The live form.
    type On<'t>: Live<'t, F, Family = Self>;

    /// Stores a live distribution.
    fn store(live: &Self::On<'_>) -> Self;

    /// The live distribution whose parameters are those that stand for the stored ones.
    ///
    /// # Errors
    /// If the tape does not hold them.
    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>>;
}

/// A live distribution that can be stored.
pub trait Live<'t, F: Real>: Distribution<'t, F> + Sized {
    /// The stored form.
    type Family: Family<F, On<'t> = Self>;
}

/// Implements [`Family`](crate::Family) and [`Live`](crate::Live) for a distribution `Name<V>` that has
/// `fn try_map<W, E>(&self, f: impl FnMut(&V) -> Result<W, E>) -> Result<Name<W>, E>`.
#[macro_export]
macro_rules! family {
    ($name:ident) => {
        impl<F: $crate::Real> $crate::Family<F> for $name<$crate::Id> {
            type On<'t> = $name<$crate::Var<'t, F>>;

            fn store(live: &Self::On<'_>) -> Self {
                match live.try_map(|var| Ok::<_, std::convert::Infallible>(var.id())) {
                    Ok(stored) => stored,
                    Err(never) => match never {},
                }
            }

            fn bind<'t>(
                &self,
                tape: &'t $crate::Tape<F>,
                ids: &$crate::IdMap,
            ) -> $crate::DistributionResult<Self::On<'t>> {
                Ok(self.try_map(|&id| tape.var(ids.get(id)))?)
            }
        }

        impl<'t, F: $crate::Real> $crate::Live<'t, F> for $name<$crate::Var<'t, F>> {
            type Family = $name<$crate::Id>;
        }
    };
}

/// Declares a distribution with named parameters: the type, generic over the handles of its parameters, `try_map`, an accessor for
/// each parameter, and [`Family`](crate::Family) and [`Live`](crate::Live).
///
/// What remains to be written is a constructor and [`Distribution`](crate::Distribution). Another crate needs `stochgrad_distributions` and nothing else.
///
/// ```
/// use stochgrad_distributions::{Distribution, DistributionResult, Draw, Parameter, Parameters, Support, distribution, positive};
/// use stochgrad_tape::{Tape, Var};
/// use stochgrad_tensor::{Real, Shape, Tensor};
///
/// distribution! {
///     /// The height of a point under a triangle.
///     pub struct Triangle {
///         /// The height of the triangle.
///         height,
///     }
/// }
///
/// impl<'t, F: Real> Distribution<'t, F> for Triangle<Var<'t, F>> {
///     fn name(&self) -> &'static str { "Triangle" }
///     fn parameters(&self) -> Parameters<'t, F> { [Parameter::smooth("height", self.height)].into_iter().collect() }
///     fn event_shape(&self) -> Shape { self.height.shape() }
///     fn support(&self) -> Support { Support::Interval }
///     fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
///         ((self.height - value) * 2.0 / self.height.square()).ln()
///     }
///     fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
///         let (height, u) = (draw.parameter(self.height, &self.event_shape())?, draw.uniform(&self.event_shape())?);
///         Ok(Tensor::from_fn(u.shape().clone(), |i| height.as_slice()[i] * (F::ONE - u.as_slice()[i].sqrt())))
///     }
///     fn validate(&self) -> DistributionResult<()> { positive("Triangle", "height", self.height) }
/// }
///
/// let tape = Tape::<f64>::new();
/// let triangle = Triangle { height: tape.constant(2.0) };
/// assert!(triangle.log_prob(tape.constant(0.0)).item().unwrap().abs() < 1e-12);
/// assert_eq!(triangle.height().item().unwrap(), 2.0);
/// ```
#[macro_export]
macro_rules! distribution {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<V> {
            $($field: V,)+
        }

        impl<V> $name<V> {
            /// The same distribution with other handles.
            ///
            /// # Errors
            /// Those of `f`.
            pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<$name<W>, E> {
                Ok($name { $($field: f(&self.$field)?,)+ })
            }
        }

        impl<'t, F: $crate::Real> $name<$crate::Var<'t, F>> {
            $(
                $(#[$field_meta])*
                pub fn $field(&self) -> $crate::Var<'t, F> {
                    self.$field
                }
            )+
        }

        $crate::family!($name);
    };
}
