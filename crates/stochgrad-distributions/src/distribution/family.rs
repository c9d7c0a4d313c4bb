//! The stored and the live form of a distribution, and the macros that write the code that all distributions share.

use crate::distribution::parameter::Parameters;
use crate::distribution::support::Support;
use crate::distribution::traits::Distribution;
use crate::error::DistributionResult;
use stochgrad_tape::{IdMap, Tape};
use stochgrad_tensor::{Real, Shape};

/// The stored form of a distribution, as a graph keeps it: parameters are positions on a tape.
///
/// The macro [`distribution!`](crate::distribution) writes this together with the type, [`family!`](crate::family)
/// alone for a type that has a method `try_map`.
pub trait Family<F: Real>: Clone + 'static {
    /// The live form.
    type On<'t>: Live<'t, F, Family = Self>;

    /// Stores a live distribution.
    fn store(live: &Self::On<'_>) -> Self;

    /// The live distribution on a tape. `ids` maps the stored positions to those of the parameters.
    ///
    /// # Errors
    /// If the tape has no values at these positions.
    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>>;
}

/// A live distribution that can be stored.
pub trait Live<'t, F: Real>: Distribution<'t, F> + Sized {
    /// The stored form.
    type Family: Family<F, On<'t> = Self>;
}

/// What follows from the declaration of a distribution with [`distribution!`](crate::distribution). The macro
/// [`declared!`](crate::declared) forwards to it.
pub trait Declared<'t, F: Real> {
    /// The name of the type.
    fn declared_name(&self) -> &'static str;

    /// The parameters, by the names of the fields.
    fn declared_parameters(&self) -> Parameters<'t, F>;

    /// The shape to which the parameters broadcast.
    fn declared_event_shape(&self) -> Shape;

    /// The values of one element.
    fn declared_support(&self) -> Support;

    /// Checks each parameter against its domain, in the order of the fields.
    ///
    /// # Errors
    /// The first value outside its domain.
    fn declared_validate(&self) -> DistributionResult<()>;
}

/// Implements [`Family`](crate::Family), [`Live`](crate::Live), [`TensorDistribution`](crate::TensorDistribution),
/// [`ToTensors`](crate::ToTensors) and [`rand::distr::Distribution`] for a distribution `Name<V>` that has the method
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

        impl<F: $crate::Real> $crate::TensorDistribution<F> for $name<$crate::Tensor<F>> {
            type On<'t> = $name<$crate::Var<'t, F>>;

            fn on<'t>(&self, tape: &'t $crate::Tape<F>) -> Self::On<'t> {
                match self.try_map(|value| Ok::<_, std::convert::Infallible>(tape.constant(value))) {
                    Ok(live) => live,
                    Err(never) => match never {},
                }
            }
        }

        impl<'t, F: $crate::Real> $crate::ToTensors<'t, F> for $name<$crate::Var<'t, F>> {
            type Tensors = $name<$crate::Tensor<F>>;

            fn to_tensors(&self) -> $crate::DistributionResult<Self::Tensors> {
                Ok(self.try_map(|var| var.peek())?)
            }
        }

        $crate::sampled_by_rand!([] $name<$crate::Tensor<F>>);
    };
}

/// Declares a distribution with named parameters: the type, generic over the handles of its parameters, `try_map`, an
/// accessor for each parameter, and [`Family`](crate::Family) and [`Live`](crate::Live).
///
/// If each field has a domain, and the declaration ends with the support, then the line `declared!();` inside the
/// implementation of [`Distribution`](crate::Distribution) writes name, parameters, event shape, support and
/// validation. A domain is a function with the arguments of [`positive`](crate::positive). Methods after a domain are
/// called on the [`Parameter`](crate::Parameter):
/// `concentration: positive.with_path(SamplePath::Implicit(Order::Finite(1)))`.
///
/// You write a constructor and the remaining methods of [`Distribution`](crate::Distribution); if the fields have no
/// domains, all of its methods. Your crate needs no other dependency than `stochgrad_distributions` for the macro.
///
/// ```
/// use stochgrad_distributions::{Distribution, DistributionResult, Draw, declared, distribution, positive};
/// use stochgrad_tape::{Tape, Var};
/// use stochgrad_tensor::Real;
///
/// distribution! {
///     /// The height of a point under a triangle.
///     pub struct Triangle {
///         /// The height of the triangle.
///         height: positive,
///     }
///     support: Interval
/// }
///
/// impl<'t, F: Real> Distribution<'t, F> for Triangle<Var<'t, F>> {
///     declared!();
///
///     fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
///         ((self.height - value) * 2.0 / self.height.square()).ln()
///     }
///     fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
///         let u = draw.record_uniform(self.height.tape(), &self.event_shape())?;
///         Ok((self.height * (1.0 - u.sqrt())).stop_gradient())
///     }
/// }
///
/// let tape = Tape::<f64>::new();
/// let triangle = Triangle { height: tape.constant(2.0) };
/// assert!(triangle.log_prob(tape.constant(0.0)).item().unwrap().abs() < 1e-12);
/// assert_eq!(triangle.height().item().unwrap(), 2.0);
/// assert_eq!(triangle.parameters()[0].name, "height");
/// assert!(Triangle { height: tape.constant(-1.0) }.validate().is_err());
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
        pub struct $name<V = $crate::Id> {
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
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $domain:ident $(.$method:ident($($argument:tt)*))*),+ $(,)?
        }
        support: $support:ident $(($($bound:tt)*))?
    ) => {
        $crate::distribution! {
            $(#[$meta])*
            pub struct $name {
                $($(#[$field_meta])* $field,)+
            }
        }

        impl<'t, F: $crate::Real> $crate::Declared<'t, F> for $name<$crate::Var<'t, F>> {
            fn declared_name(&self) -> &'static str {
                stringify!($name)
            }

            fn declared_parameters(&self) -> $crate::Parameters<'t, F> {
                let parameters = [
                    $($crate::Parameter::smooth(stringify!($field), self.$field)$(.$method($($argument)*))*,)+
                ];
                parameters.into_iter().collect()
            }

            fn declared_event_shape(&self) -> $crate::Shape {
                $crate::common_shape(&[$(self.$field),+])
            }

            fn declared_support(&self) -> $crate::Support {
                $crate::Support::$support$(($($bound)*))?
            }

            fn declared_validate(&self) -> $crate::DistributionResult<()> {
                $($domain(stringify!($name), stringify!($field), self.$field)?;)+
                Ok(())
            }
        }
    };
}

/// Writes the methods that follow from a declaration with [`distribution!`](crate::distribution), inside an
/// implementation of [`Distribution`](crate::Distribution)`<'t, F>`: `name`, `parameters`, `event_shape`, `support` and
/// `validate`. With `declared!(|distribution| check)`, `validate` checks each parameter, and then returns `check`, for
/// conditions on several parameters together.
#[macro_export]
macro_rules! declared {
    () => {
        $crate::declared!(|_distribution| Ok(()));
    };
    (|$distribution:ident| $check:expr) => {
        fn name(&self) -> &'static str {
            $crate::Declared::declared_name(self)
        }

        fn parameters(&self) -> $crate::Parameters<'t, F> {
            $crate::Declared::declared_parameters(self)
        }

        fn event_shape(&self) -> $crate::Shape {
            $crate::Declared::declared_event_shape(self)
        }

        fn support(&self) -> $crate::Support {
            $crate::Declared::declared_support(self)
        }

        fn validate(&self) -> $crate::DistributionResult<()> {
            $crate::Declared::declared_validate(self)?;
            let $distribution = self;
            $check
        }
    };
}
