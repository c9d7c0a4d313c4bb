//! The invertible maps of the library, with their inverses and the logarithms of their slopes.
//!
//! | map | from | to | $\ln\lvert\det J\rvert$ |
//! |---|---|---|---|
//! | `Affine` | $x$ | $a + bx$ | $\ln\lvert b\rvert$ |
//! | `Exp` | $x$ | $e^x$ | $x$ |
//! | `Sigmoid` | $x$ | $\sigma(x)$ | $\ln\sigma(x) + \ln\sigma(-x)$ |
//! | `Softplus` | $x$ | $\ln(1 + e^x)$ | $\ln\sigma(x)$ |
//! | `Tanh` | $x$ | $\tanh x$ | $2(\ln 2 - x - \ln(1 + e^{-2x}))$ |
//! | `Power` | $x > 0$ | $x^p$ | $\ln\lvert p\rvert + (p - 1)\ln x$ |
//! | `SoftmaxCentred` | $\mathbb{R}^{n-1}$ | softmax of $(x, 0)$ | $\sum_{i \le n} \ln y_i$ |
//! | `StickBreaking` | $\mathbb{R}^{n-1}$ | $y_k = z_k \prod_{j<k}(1 - z_j)$, $z_k = \sigma(x_k - \ln(n - k))$ | $\sum_k \ln z_k + \ln(1 - z_k) + \ln\prod_{j<k}(1 - z_j)$ |
//! | `LowerCholesky` | $\mathbb{R}^{n(n+1)/2}$ | lower triangle row by row, $e^x$ on the diagonal | the sum of $x$ on the diagonal |
//!
//! The slopes of the maps to a simplex are with respect to its first $n - 1$ coordinates.

pub(crate) mod composition;
pub(crate) mod range;

use crate::compound::bijector::composition::Composition;
use crate::compound::bijector::range::held_between;
use crate::compound::invertible_map::{InvertibleMap, OwnSample, Preimage, preimage_of};
use crate::compound::simplex_maps::{reverse_cumsum, stick_logs, stick_offsets, with_zero};
use crate::compound::triangular_maps::{diagonal, lower_elements, lower_triangle, rows_of};
use crate::compound::vectors::{last_of, resized};
use crate::derivative::known_logarithms::{log_odds_of, logarithm_of, with_logarithm};
use crate::map_family;
use crate::prelude::*;
use std::f64::consts::LN_2;

/// An invertible map for a [`TransformedDistribution`](crate::TransformedDistribution), generic over the handles of its
/// parameters as distributions are. Implement [`InvertibleMap`](crate::InvertibleMap) for a map that is not listed
/// here.
///
/// ```
/// use stochgrad_distributions::Bijector;
/// use stochgrad_tape::{Tape, Var};
///
/// let tape = Tape::<f64>::new();
/// let map = Bijector::chain([Bijector::affine(tape.constant(1.0), 2.0), Bijector::Exp]);
/// let y = map.forward(tape.constant(0.5));
/// assert!((y.item().unwrap() - 2.0_f64.exp()).abs() < 1e-12);
/// assert!((map.inverse(y).item().unwrap() - 0.5).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Bijector<V = stochgrad_tape::Id> {
    /// `shift + scale · x`.
    Affine {
        /// The summand.
        shift: V,
        /// The factor, not 0.
        scale: V,
    },
    /// The exponential.
    Exp,
    /// The logistic function.
    Sigmoid,
    /// ln(1 + e^x).
    Softplus,
    /// The hyperbolic tangent.
    Tanh,
    /// A power of a positive number. The exponent is not 0, and its size is between 5.6e-306 and 1.8e305 (3e-36 and 3.4e35
    /// in `f32`), so that the logarithms of the values are numbers.
    Power(V),
    /// From vectors to the simplex: the softmax of the vector with a 0 appended.
    SoftmaxCentred,
    /// From vectors to the simplex: each coordinate decides which part of the remainder the next share takes.
    StickBreaking,
    /// From vectors to lower triangular matrices with a positive diagonal.
    LowerCholesky,
    /// What [`chain`](Bijector::chain) and [`inverted`](Bijector::inverted) make of other maps: a flat list of maps and
    /// inverses, however deep they were nested.
    Composition(Composition<V>),
}

impl<V> Bijector<V> {
    /// The same map with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Bijector<W>, E> {
        self.try_map_inside(&mut f)
    }

    pub(crate) fn try_map_inside<W, E>(&self, f: &mut dyn FnMut(&V) -> Result<W, E>) -> Result<Bijector<W>, E> {
        Ok(match self {
            Bijector::Affine { shift, scale } => Bijector::Affine { shift: f(shift)?, scale: f(scale)? },
            Bijector::Exp => Bijector::Exp,
            Bijector::Sigmoid => Bijector::Sigmoid,
            Bijector::Softplus => Bijector::Softplus,
            Bijector::Tanh => Bijector::Tanh,
            Bijector::Power(exponent) => Bijector::Power(f(exponent)?),
            Bijector::SoftmaxCentred => Bijector::SoftmaxCentred,
            Bijector::StickBreaking => Bijector::StickBreaking,
            Bijector::LowerCholesky => Bijector::LowerCholesky,
            Bijector::Composition(composition) => Bijector::Composition(composition.try_map(f)?),
        })
    }

    /// The composition of maps. The first map is applied first. Maps that are compositions become part of one list, so
    /// that no operation depends on how deep they were nested.
    pub fn chain(maps: impl IntoIterator<Item = Bijector<V>>) -> Self {
        Composition::joining(maps).into_map()
    }

    /// The inverse of this map. The inverse of an inverse is the map itself.
    ///
    /// ```
    /// use stochgrad_distributions::Bijector;
    ///
    /// let map = Bijector::<f64>::Exp.inverted();
    /// assert!(matches!(map.inverted(), Bijector::Exp));
    /// ```
    pub fn inverted(self) -> Self {
        Composition::of(self).reversed().into_map()
    }

    /// The numbers of axes of one element before and after the map: (0, 0) for maps of single numbers.
    pub fn element_ranks(&self) -> (usize, usize) {
        match self {
            Bijector::SoftmaxCentred | Bijector::StickBreaking => (1, 1),
            Bijector::LowerCholesky => (1, 2),
            Bijector::Composition(composition) => composition.element_ranks(),
            _ => (0, 0),
        }
    }
}

impl<'t, F: Real> Bijector<Var<'t, F>> {
    /// The map `shift + scale · x`.
    pub fn affine(shift: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Bijector::Affine { shift, scale: scale.into_var(shift.tape()) }
    }

    /// The parameters, with their names.
    pub fn parameters(&self) -> Vec<(&'static str, Var<'t, F>)> {
        match self {
            Bijector::Affine { shift, scale } => vec![("shift", *shift), ("scale", *scale)],
            Bijector::Power(exponent) => vec![("exponent", *exponent)],
            Bijector::Composition(composition) => composition.parameters(),
            _ => Vec::new(),
        }
    }

    /// The event shape of the image of a value with the given event shape.
    pub fn output_shape(&self, input: &Shape) -> Shape {
        match self {
            Bijector::SoftmaxCentred | Bijector::StickBreaking => resized(input, 1, |n| vec![n + 1]),
            Bijector::LowerCholesky => resized(input, 1, |n| vec![rows_of(n), rows_of(n)]),
            Bijector::Composition(composition) => composition.output_shape(input),
            _ => self.broadcast_shape(input),
        }
    }

    /// The event shape of a value whose image has the given event shape.
    pub(crate) fn input_shape(&self, output: &Shape) -> Shape {
        match self {
            Bijector::SoftmaxCentred | Bijector::StickBreaking => resized(output, 1, |n| vec![n.saturating_sub(1)]),
            Bijector::LowerCholesky => resized(output, 2, |rows| vec![rows * (rows + 1) / 2]),
            Bijector::Composition(composition) => composition.input_shape(output),
            _ => self.broadcast_shape(output),
        }
    }

    fn broadcast_shape(&self, input: &Shape) -> Shape {
        self.parameters()
            .iter()
            .try_fold(input.clone(), |shape, (_, var)| Shape::broadcast(&shape, &var.shape()))
            .unwrap_or_else(|| input.clone())
    }

    /// The image of `x`.
    #[track_caller]
    pub fn forward(&self, x: Var<'t, F>) -> Var<'t, F> {
        match self {
            Bijector::Affine { shift, scale } => *shift + *scale * x,
            Bijector::Exp => x.exp(),
            Bijector::Sigmoid => x.sigmoid(),
            Bijector::Softplus => x.softplus(),
            Bijector::Tanh => x.tanh(),
            Bijector::Power(exponent) => (x.ln() * *exponent).exp(),
            Bijector::SoftmaxCentred => with_zero(x).softmax(-1),
            Bijector::StickBreaking => stick_logs(x).exp(),
            Bijector::LowerCholesky => lower_triangle(x),
            Bijector::Composition(composition) => composition.forward(x),
        }
    }

    /// The value whose image is `y`.
    #[track_caller]
    pub fn inverse(&self, y: Var<'t, F>) -> Var<'t, F> {
        match self {
            Bijector::Affine { shift, scale } => (y - *shift) / *scale,
            Bijector::Exp => logarithm_of(y).unwrap_or_else(|| y.ln()),
            Bijector::Sigmoid => log_odds_of(y).unwrap_or_else(|| y.ln() - (-y).log1p()),
            Bijector::Softplus => special::softplus_inverse(y),
            Bijector::Tanh => (y.log1p() - (-y).log1p()) * 0.5,
            Bijector::Power(exponent) => (y.ln() / *exponent).exp(),
            Bijector::SoftmaxCentred => {
                let (logs, last) = (y.ln(), last_of(y));
                logs.slice(-1, 0..last) - logs.slice(-1, last..last + 1)
            }
            Bijector::StickBreaking => {
                let last = last_of(y);
                // The remainder after each share is the sum of the later shares.
                let left = reverse_cumsum(y).slice(-1, 1..last + 1);
                y.slice(-1, 0..last).ln() - left.ln() + stick_offsets(y, last)
            }
            Bijector::LowerCholesky => lower_elements(y),
            Bijector::Composition(composition) => composition.inverse(y),
        }
    }

    /// $\ln\lvert\det J\rvert$ at `x`, for each element.
    #[track_caller]
    pub fn log_slope(&self, x: Var<'t, F>) -> Var<'t, F> {
        match self {
            // In the shape of x, which may be infinite.
            Bijector::Affine { scale, .. } => scale.abs().ln() + x.held().clamp(-1.0, 1.0) * 0.0,
            Bijector::Exp => x,
            Bijector::Sigmoid => -x.softplus() - (-x).softplus(),
            Bijector::Softplus => x.log_sigmoid(),
            Bijector::Tanh => (LN_2 - x - (x * -2.0).softplus()) * 2.0,
            Bijector::Power(exponent) => exponent.abs().ln() + (*exponent - 1.0) * x.ln(),
            Bijector::SoftmaxCentred => with_zero(x).log_softmax(-1).sum_axis(-1),
            Bijector::StickBreaking => {
                // ln z + ln(1 − z) + ln left, where the logarithm of a share is ln z + ln left.
                let (logs, sticks) = (stick_logs(x), last_of(x) + 1);
                let shifted = x - stick_offsets(x, sticks);
                (logs.slice(-1, 0..sticks) - shifted.softplus()).sum_axis(-1)
            }
            Bijector::LowerCholesky => x.index_select(-1, &diagonal(rows_of(last_of(x) + 1))).sum_axis(-1),
            Bijector::Composition(composition) => composition.log_slope(x),
        }
    }

    /// The image of `x`, held inside the open range of the map where [`forward`](Self::forward) rounds to its end. The
    /// derivatives are those of `forward`.
    #[track_caller]
    pub(crate) fn image(&self, x: Var<'t, F>) -> Var<'t, F> {
        let (least, most) = (F::MIN_POSITIVE.to_f64(), F::MAX.to_f64());
        let rounding = F::EPSILON.to_f64();
        // The exponential of these logarithms is neither 0 nor infinite, however it is rounded.
        let in_range = |log| held_between(log, least.ln() * (1.0 - rounding), most.ln() * (1.0 - 4.0 * rounding));
        match self {
            Bijector::Affine { .. } => self.forward(x),
            Bijector::Exp => in_range(x).exp(),
            Bijector::Sigmoid => held_between(x.sigmoid(), least, 1.0 - rounding / 2.0),
            Bijector::Softplus => held_between(x.softplus(), least, most),
            Bijector::Tanh => held_between(x.tanh(), -1.0 + rounding / 2.0, 1.0 - rounding / 2.0),
            Bijector::Power(exponent) => in_range(x.ln() * *exponent).exp(),
            Bijector::SoftmaxCentred | Bijector::StickBreaking => held_between(self.forward(x), least, 1.0),
            Bijector::LowerCholesky => self.forward(x),
            Bijector::Composition(composition) => composition.image(x),
        }
    }

    /// The distance of each element of `y` from the boundary of the image, positive inside. `None` if the image is the
    /// whole space, or not known.
    pub(crate) fn distance(&self, y: Var<'t, F>) -> Option<Var<'t, F>> {
        match self {
            Bijector::Exp | Bijector::Softplus | Bijector::Power(_) => Some(positive_distance(y)),
            Bijector::Sigmoid => Some(y.minimum(1.0 - y)),
            Bijector::Tanh => Some(1.0 - y.abs()),
            Bijector::SoftmaxCentred | Bijector::StickBreaking => Some(-(-y).max_axis(-1)),
            Bijector::Composition(composition) => composition.distance(y),
            _ => None,
        }
    }

    /// For maps of single numbers: 1 where the map increases, −1 where it decreases.
    pub(crate) fn direction(&self, like: Var<'t, F>) -> Var<'t, F> {
        match self {
            Bijector::Affine { scale, .. } => scale.sign(),
            Bijector::Power(exponent) => exponent.sign(),
            Bijector::Composition(composition) => composition.direction(like),
            _ => like.tape().constant(1.0),
        }
    }

    /// The support of the image of a distribution, or of its preimage if the map is `inverted`. Where no exact answer
    /// is known, it is a set that may depend on the parameters, so that gradient methods refuse it.
    pub(crate) fn support(&self, base: Support, element: &[usize], inverted: bool) -> Support {
        use Support::{Between, Positive, Real, Simplex, UnitInterval, Vectors};
        match (self, base, inverted) {
            (Bijector::Composition(composition), _, _) => composition.support(base, element),
            (Bijector::Affine { .. }, Real | Vectors(_), _) => base,
            (Bijector::Power(_), Positive, _) => Positive,
            (Bijector::Exp | Bijector::Softplus, Positive, true) | (Bijector::Sigmoid, UnitInterval, true) => Real,
            (Bijector::Exp | Bijector::Softplus, Real, false) => Positive,
            (Bijector::Sigmoid, Real, false) => UnitInterval,
            (Bijector::Tanh, Real, false) => Between(-1.0, 1.0),
            (Bijector::Tanh, Between(low, high), true) if (low, high) == (-1.0, 1.0) => Real,
            (Bijector::SoftmaxCentred | Bijector::StickBreaking, Real | Vectors(_), false) => {
                element.last().map_or(Support::image_of_a_map(element), |length| Simplex(*length))
            }
            _ => Support::image_of_a_map(element),
        }
    }
}

/// The distance of a value from the boundary of the positive numbers, to which infinity does not belong.
pub(crate) fn positive_distance<F: Real>(y: Var<'_, F>) -> Var<'_, F> {
    let (infinity, outside) = (y.tape().constant(f64::INFINITY), y.tape().constant(-1.0));
    y.held().equal(infinity).select(outside, y)
}

/// 1 for finite values and NaN, and −1 for infinities, which are no images of values inside an open range.
pub(crate) fn finite_distance<F: Real>(y: Var<'_, F>) -> Var<'_, F> {
    let [infinity, inside, outside] = [f64::INFINITY, 1.0, -1.0].map(|number| y.tape().constant(number));
    y.held().abs().equal(infinity).select(outside, inside)
}

map_family!(Bijector);

impl<'t, F: Real> InvertibleMap<'t, F> for Bijector<Var<'t, F>> {
    fn parameters(&self) -> Vec<(&'static str, Var<'t, F>)> {
        Bijector::parameters(self)
    }

    fn element_ranks(&self) -> (usize, usize) {
        Bijector::element_ranks(self)
    }

    fn output_shape(&self, input: &Shape) -> Shape {
        Bijector::output_shape(self, input)
    }

    fn support(&self, base: Support, element: &[usize]) -> Support {
        Bijector::support(self, base, element, false)
    }

    #[track_caller]
    fn forward(&self, x: Var<'t, F>) -> Var<'t, F> {
        Bijector::forward(self, x)
    }

    #[track_caller]
    fn inverse(&self, y: Var<'t, F>) -> Var<'t, F> {
        Bijector::inverse(self, y)
    }

    #[track_caller]
    fn log_slope(&self, x: Var<'t, F>) -> Var<'t, F> {
        Bijector::log_slope(self, x)
    }

    #[track_caller]
    fn image(&self, x: Var<'t, F>) -> Var<'t, F> {
        Bijector::image(self, x)
    }

    #[track_caller]
    fn preimage(&self, y: Var<'t, F>, own: Option<OwnSample<'t, F>>) -> Preimage<'t, F> {
        match self {
            Bijector::Composition(composition) => composition.preimage(y, own),
            Bijector::Power(exponent) => {
                // The logarithm keeps its digits where the power underflows or overflows.
                let (log, inverse) = (y.ln() / *exponent, self.inverse(y));
                let (value, log) = match own {
                    Some(own) => (own.recall(own.base(), inverse, 0), own.recall(own.base().ln(), log, 0)),
                    None => (with_logarithm(inverse, log), log),
                };
                Preimage { value, log_slope: exponent.abs().ln() + (*exponent - 1.0) * log }
            }
            _ => preimage_of(self, y, own),
        }
    }

    fn distance(&self, y: Var<'t, F>) -> Option<Var<'t, F>> {
        Bijector::distance(self, y)
    }

    fn direction(&self, like: Var<'t, F>) -> Var<'t, F> {
        Bijector::direction(self, like)
    }

    fn validate(&self) -> DistributionResult<()> {
        for (name, var) in Bijector::parameters(self) {
            finite("TransformedDistribution", name, var)?;
            if name != "shift" {
                let hint = "a map by 0 has no inverse; use exp() or softplus() of an unconstrained number";
                check_parameter("TransformedDistribution", name, var, "different from 0", hint, Condition::NotZero)?;
            }
            if name == "exponent" {
                // The logarithm of a value, times or divided by the exponent, is a number.
                let most = F::MAX.to_f64() * 1e-3;
                let condition = Condition::Between { low: most.recip(), high: most };
                let expected = "a size between 5.6e-306 and 1.8e305 (3e-36 and 3.4e35 in f32)";
                let hint = "the powers of such an exponent have logarithms beyond the range of numbers";
                check_parameter("TransformedDistribution", name, var.abs(), expected, hint, condition)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
