//! The maps that a [`TransformedDistribution`](crate::TransformedDistribution) applies.
//!
//! A map has three forms, as a distribution has: live on a tape, stored in a graph, and with tensors as parameters. The
//! macro [`map_family!`](crate::map_family) writes what leads from one to the other.

use crate::derivative::base_values::{base_of, recalled};
use crate::distribution::{Support, finite};
use crate::error::DistributionResult;
use std::fmt::Debug;
use stochgrad_tape::{IdMap, Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// An invertible, differentiable map of the values of a distribution.
///
/// [`Bijector`](crate::Bijector) holds the maps of the library. Implement this trait for your own map, together with
/// [`map_family!`](crate::map_family), to use it in a [`TransformedDistribution`](crate::TransformedDistribution).
///
/// ```
/// use stochgrad_distributions::{Distribution, InvertibleMap, Normal, TransformedDistribution, map_family};
/// use stochgrad_tape::{Tape, Var};
/// use stochgrad_tensor::Real;
///
/// /// y = sinh(x + shift).
/// #[derive(Clone, Copy, Debug)]
/// struct ShiftedSinh<V> {
///     shift: V,
/// }
///
/// impl<V> ShiftedSinh<V> {
///     fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<ShiftedSinh<W>, E> {
///         Ok(ShiftedSinh { shift: f(&self.shift)? })
///     }
/// }
///
/// map_family!(ShiftedSinh);
///
/// impl<'t, F: Real> InvertibleMap<'t, F> for ShiftedSinh<Var<'t, F>> {
///     fn parameters(&self) -> Vec<(&'static str, Var<'t, F>)> {
///         vec![("shift", self.shift)]
///     }
///     fn forward(&self, x: Var<'t, F>) -> Var<'t, F> {
///         let t = x + self.shift;
///         (t.exp() - (-t).exp()) * 0.5
///     }
///     fn inverse(&self, y: Var<'t, F>) -> Var<'t, F> {
///         (y + (y.square() + 1.0).sqrt()).ln() - self.shift
///     }
///     fn log_slope(&self, x: Var<'t, F>) -> Var<'t, F> {
///         let t = x + self.shift;
///         ((t.exp() + (-t).exp()) * 0.5).ln()
///     }
/// }
///
/// let tape = Tape::<f64>::new();
/// let map = ShiftedSinh { shift: tape.parameter(0.3) };
/// let skewed = TransformedDistribution::new(Normal::new(tape.parameter(0.0), 1.0), map);
/// // At y = 0, where x = −0.3 and the slope is 1.
/// let log = skewed.log_prob(tape.constant(0.0)).item().unwrap();
/// assert!((log + 0.5 * 0.09 + 0.5 * (2.0 * std::f64::consts::PI).ln()).abs() < 1e-12);
/// assert!(skewed.capabilities().reparameterized.is_some());
/// ```
pub trait InvertibleMap<'t, F: Real>: Debug {
    /// The parameters, with their names.
    fn parameters(&self) -> Vec<(&'static str, Var<'t, F>)> {
        Vec::new()
    }

    /// How many axes one element has before and after the map. The default is (0, 0): a map of single numbers.
    fn element_ranks(&self) -> (usize, usize) {
        (0, 0)
    }

    /// The event shape of the image of a value with the given event shape. The default is the shape to which it
    /// broadcasts with the parameters.
    fn output_shape(&self, input: &Shape) -> Shape {
        let join = |shape: Shape, (_, parameter): (_, Var<'t, F>)| {
            Shape::broadcast(&shape, &parameter.shape()).unwrap_or(shape)
        };
        self.parameters().into_iter().fold(input.clone(), join)
    }

    /// The support of the image of a distribution with the support `base`, for elements of the given shape: `[]` for
    /// numbers. The default is a set that may depend on the parameters, which the score function and importance
    /// sampling refuse where the map has parameters. Override it if the image is the same for all parameters.
    fn support(&self, base: Support, element: &[usize]) -> Support {
        let _ = base;
        Support::image_of_a_map(element)
    }

    /// The image of `x`.
    fn forward(&self, x: Var<'t, F>) -> Var<'t, F>;

    /// The value whose image is `y`.
    fn inverse(&self, y: Var<'t, F>) -> Var<'t, F>;

    /// $\ln\lvert\det J\rvert$ at `x`, for each element: the axes of an element are removed.
    fn log_slope(&self, x: Var<'t, F>) -> Var<'t, F>;

    /// The image of `x` as samples have it. The default is [`forward`](Self::forward). Override it if `forward` rounds
    /// to the end of an open range, such as `tanh(20)` in single precision: return the nearest number inside, with the
    /// derivatives of `forward`.
    fn image(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.forward(x)
    }

    /// The value whose image is `y`, with the logarithm of the slope there. Where `y` is a sample of the distribution
    /// itself, `own` holds the value that the map was applied to, which replaces the inverse.
    ///
    /// The default uses [`inverse`](Self::inverse) and [`log_slope`](Self::log_slope). Override it for a map that is
    /// made of others, or if the slope is known at `y` with more digits than at the inverse.
    fn preimage(&self, y: Var<'t, F>, own: Option<OwnSample<'t, F>>) -> Preimage<'t, F> {
        preimage_of(self, y, own)
    }

    /// The distance of each element of `y` from the boundary of the image, positive inside: the axes of an element are
    /// removed. Outside, the log-density is −∞. The default `None` states that every value is in the image.
    fn distance(&self, y: Var<'t, F>) -> Option<Var<'t, F>> {
        let _ = y;
        None
    }

    /// For a map of numbers: 1 where the map increases, −1 where it decreases, as a value on the tape of `like`.
    fn direction(&self, like: Var<'t, F>) -> Var<'t, F> {
        like.tape().constant(1.0)
    }

    /// Checks that every parameter is in its domain. The default asks for finite numbers.
    ///
    /// # Errors
    /// The first value outside, and what was expected.
    fn validate(&self) -> DistributionResult<()> {
        self.parameters().into_iter().try_for_each(|(name, var)| finite("TransformedDistribution", name, var))
    }
}

/// A value with the logarithm of the slope of a map there.
#[derive(Clone, Copy, Debug)]
pub struct Preimage<'t, F: Real> {
    /// The value that the map is applied to.
    pub value: Var<'t, F>,
    /// $\ln\lvert\det J\rvert$ at this value, for each element.
    pub log_slope: Var<'t, F>,
}

/// A sample of a transformed distribution, with the value that the map was applied to: the argument of
/// [`InvertibleMap::preimage`]. A map that is made of two others passes it on like this:
///
/// ```
/// use stochgrad_distributions::{Bijector, InvertibleMap, OwnSample, Preimage};
/// use stochgrad_tape::Var;
///
/// /// ln(1 + e^x), then tanh.
/// #[derive(Clone, Debug)]
/// struct Squash;
///
/// impl<'t> InvertibleMap<'t, f64> for Squash {
///     fn forward(&self, x: Var<'t, f64>) -> Var<'t, f64> { x.softplus().tanh() }
///     fn inverse(&self, y: Var<'t, f64>) -> Var<'t, f64> {
///         Bijector::Softplus.inverse(Bijector::Tanh.inverse(y))
///     }
///     fn log_slope(&self, x: Var<'t, f64>) -> Var<'t, f64> {
///         Bijector::Softplus.log_slope(x) + Bijector::Tanh.log_slope(x.softplus())
///     }
///     fn preimage(&self, y: Var<'t, f64>, own: Option<OwnSample<'t, f64>>) -> Preimage<'t, f64> {
///         let recall = |known: fn(Var<'t, f64>) -> Var<'t, f64>, inverse| match own {
///             Some(own) => own.recall(known(own.base()), inverse, 0),
///             None => inverse,
///         };
///         let middle = recall(|x| x.softplus(), Bijector::Tanh.inverse(y));
///         let value = recall(|x| x, Bijector::Softplus.inverse(middle));
///         Preimage { value, log_slope: Bijector::Softplus.log_slope(value) + Bijector::Tanh.log_slope(middle) }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OwnSample<'t, F: Real> {
    base: Var<'t, F>,
    /// 1 for the elements that are still the image of the base value: a replay may have replaced others.
    mask: Var<'t, F>,
    sample: Var<'t, F>,
}

impl<'t, F: Real> OwnSample<'t, F> {
    /// What `value` was drawn as, if it is a sample that the map computed.
    pub(crate) fn find(map: &(impl InvertibleMap<'t, F> + ?Sized), value: Var<'t, F>) -> Option<Self> {
        let (before, after) = map.element_ranks();
        Self::find_by(value, after, |base| {
            let image = map.output_shape(&base.shape());
            let fits = match (before, after) {
                (0, 0) => Shape::broadcast(&image, &value.shape()).is_some(),
                // A sample of another map may have another shape.
                _ => base.shape().len() >= before && image == value.shape(),
            };
            fits.then(|| map.image(base))
        })
    }

    /// As [`find`](Self::find), for a map whose images have elements of `rank` axes. `image` gives the image of a base
    /// value, or `None` for a value that it does not apply to.
    pub(crate) fn find_by(
        value: Var<'t, F>,
        rank: usize,
        image: impl FnOnce(Var<'t, F>) -> Option<Var<'t, F>>,
    ) -> Option<Self> {
        let base = base_of(value)?;
        let equal = image(base)?.held().equal(value.held());
        let count: usize = value.shape().iter().rev().take(rank).product();
        let mask = if rank == 0 { equal } else { equal.sum_last(rank).equal(value.tape().constant(count as f64)) };
        Some(OwnSample { base, mask: mask.held(), sample: value })
    }

    /// The value that the map was applied to.
    pub fn base(&self) -> Var<'t, F> {
        self.base
    }

    /// 1 for the elements of the map that are samples, and 0 for those that have been replaced.
    pub fn mask(&self) -> Var<'t, F> {
        self.mask
    }

    /// `known` for the elements that are samples, and `inverse` for the others: both describe the same value, whose
    /// elements have `rank` axes. Derivatives take the path of `known`, or that of `inverse` where no gradient passes
    /// through the sample.
    pub fn recall(&self, known: Var<'t, F>, inverse: Var<'t, F>, rank: usize) -> Var<'t, F> {
        let mask = (0..rank).fold(self.mask, |mask, _| mask.unsqueeze(-1));
        recalled(known, inverse, mask, self.sample)
    }
}

/// The default of [`InvertibleMap::preimage`].
pub(crate) fn preimage_of<'t, F: Real>(
    map: &(impl InvertibleMap<'t, F> + ?Sized),
    y: Var<'t, F>,
    own: Option<OwnSample<'t, F>>,
) -> Preimage<'t, F> {
    let inverse = map.inverse(y);
    let value = own.map_or(inverse, |own| own.recall(own.base, inverse, map.element_ranks().0));
    Preimage { value, log_slope: map.log_slope(value) }
}

/// A live map that can be stored. [`map_family!`](crate::map_family) writes this.
pub trait LiveMap<'t, F: Real>: InvertibleMap<'t, F> + Sized {
    /// The stored form.
    type Stored: StoredMap<F, On<'t> = Self>;
    /// The same map with tensors as parameters.
    type Tensors: TensorMap<F, On<'t> = Self>;

    /// Copies the values of the parameters.
    ///
    /// # Errors
    /// The first error on the tape.
    fn to_tensors(&self) -> DistributionResult<Self::Tensors>;
}

/// The stored form of a map: parameters are positions on a tape. [`map_family!`](crate::map_family) writes this.
pub trait StoredMap<F: Real>: Clone + 'static {
    /// The live form.
    type On<'t>: LiveMap<'t, F, Stored = Self>;

    /// Stores a live map.
    fn store(live: &Self::On<'_>) -> Self;

    /// The live map whose parameters are those that stand for the stored ones.
    ///
    /// # Errors
    /// If the tape does not hold them.
    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>>;
}

/// A map with tensors as parameters. [`map_family!`](crate::map_family) writes this.
pub trait TensorMap<F: Real> {
    /// The live form.
    type On<'t>: LiveMap<'t, F>;

    /// Records the parameters on a tape as constants.
    fn on<'t>(&self, tape: &'t Tape<F>) -> Self::On<'t>;
}

/// Implements [`LiveMap`](crate::LiveMap), [`StoredMap`](crate::StoredMap) and [`TensorMap`](crate::TensorMap) for a
/// map `Name<V>` that has the method
///
/// `fn try_map<W, E>(&self, f: impl FnMut(&V) -> Result<W, E>) -> Result<Name<W>, E>`.
#[macro_export]
macro_rules! map_family {
    ($name:ident) => {
        impl<F: $crate::Real> $crate::StoredMap<F> for $name<$crate::Id> {
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

        impl<F: $crate::Real> $crate::TensorMap<F> for $name<$crate::Tensor<F>> {
            type On<'t> = $name<$crate::Var<'t, F>>;

            fn on<'t>(&self, tape: &'t $crate::Tape<F>) -> Self::On<'t> {
                match self.try_map(|value| Ok::<_, std::convert::Infallible>(tape.constant(value))) {
                    Ok(live) => live,
                    Err(never) => match never {},
                }
            }
        }

        impl<'t, F: $crate::Real> $crate::LiveMap<'t, F> for $name<$crate::Var<'t, F>> {
            type Stored = $name<$crate::Id>;
            type Tensors = $name<$crate::Tensor<F>>;

            fn to_tensors(&self) -> $crate::DistributionResult<Self::Tensors> {
                Ok(self.try_map(|var| var.peek())?)
            }
        }
    };
}
