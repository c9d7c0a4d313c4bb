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

use crate::compound::invertible_map::InvertibleMap;
use crate::compound::simplex_maps::{reverse_cumsum, stick_logs, stick_offsets, with_zero};
use crate::compound::triangular_maps::{diagonal, lower_elements, lower_triangle, rows_of};
use crate::compound::vectors::last_of;
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
pub enum Bijector<V> {
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
    /// A power of a positive number. The exponent is not 0.
    Power(V),
    /// From vectors to the simplex: the softmax of the vector with a 0 appended.
    SoftmaxCentred,
    /// From vectors to the simplex: each coordinate decides which part of the remainder the next share takes.
    StickBreaking,
    /// From vectors to lower triangular matrices with a positive diagonal.
    LowerCholesky,
    /// The composition of maps. The first map is applied first.
    Chain(Vec<Bijector<V>>),
    /// The inverse of a map.
    Inverse(Box<Bijector<V>>),
}

impl<V> Bijector<V> {
    /// The same map with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Bijector<W>, E> {
        self.try_map_inside(&mut f)
    }

    fn try_map_inside<W, E>(&self, f: &mut dyn FnMut(&V) -> Result<W, E>) -> Result<Bijector<W>, E> {
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
            Bijector::Chain(maps) => {
                Bijector::Chain(maps.iter().map(|map| map.try_map_inside(f)).collect::<Result<_, E>>()?)
            }
            Bijector::Inverse(map) => Bijector::Inverse(Box::new(map.try_map_inside(f)?)),
        })
    }

    /// The composition of maps. The first map is applied first.
    pub fn chain(maps: impl IntoIterator<Item = Bijector<V>>) -> Self {
        Bijector::Chain(maps.into_iter().collect())
    }

    /// The inverse of this map.
    pub fn inverted(self) -> Self {
        Bijector::Inverse(Box::new(self))
    }

    /// The numbers of axes of one element before and after the map: (0, 0) for maps of single numbers.
    pub fn element_ranks(&self) -> (usize, usize) {
        match self {
            Bijector::SoftmaxCentred | Bijector::StickBreaking => (1, 1),
            Bijector::LowerCholesky => (1, 2),
            Bijector::Chain(maps) => maps.iter().fold((0, 0), |(before, after), map| {
                let (own_before, own_after) = map.element_ranks();
                // A map of vectors joins elements that the map before treats as separate.
                let joined = own_before.saturating_sub(after);
                (before + joined, (after + joined) - own_before + own_after)
            }),
            Bijector::Inverse(map) => {
                let (before, after) = map.element_ranks();
                (after, before)
            }
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
            Bijector::Chain(maps) => maps.iter().flat_map(Bijector::parameters).collect(),
            Bijector::Inverse(map) => map.parameters(),
            _ => Vec::new(),
        }
    }

    /// The event shape of the image of a value with the given event shape.
    pub fn output_shape(&self, input: &Shape) -> Shape {
        let resized = |to: &dyn Fn(usize) -> Vec<usize>| -> Shape {
            let Some((&last, rest)) = input.split_last() else { return input.clone() };
            rest.iter().copied().chain(to(last)).collect()
        };
        let (before, after) = self.element_ranks();
        match self {
            Bijector::SoftmaxCentred | Bijector::StickBreaking => resized(&|n| vec![n + 1]),
            Bijector::LowerCholesky => resized(&|n| vec![rows_of(n), rows_of(n)]),
            Bijector::Chain(maps) => maps.iter().fold(input.clone(), |shape, map| map.output_shape(&shape)),
            Bijector::Inverse(map) => match **map {
                Bijector::SoftmaxCentred | Bijector::StickBreaking => resized(&|n| vec![n.saturating_sub(1)]),
                Bijector::LowerCholesky => {
                    let rows = input.last().copied().unwrap_or(0);
                    let lead = input.len().saturating_sub(2);
                    input.iter().take(lead).copied().chain([rows * (rows + 1) / 2]).collect()
                }
                Bijector::Chain(ref maps) => maps
                    .iter()
                    .rev()
                    .fold(input.clone(), |shape, map| Bijector::Inverse(Box::new(map.clone())).output_shape(&shape)),
                Bijector::Inverse(ref map) => map.output_shape(input),
                _ => self.broadcast_shape(input),
            },
            _ => {
                debug_assert_eq!((before, after), (0, 0));
                self.broadcast_shape(input)
            }
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
            Bijector::Chain(maps) => maps.iter().fold(x, |x, map| map.forward(x)),
            Bijector::Inverse(map) => map.inverse(x),
        }
    }

    /// The value whose image is `y`.
    #[track_caller]
    pub fn inverse(&self, y: Var<'t, F>) -> Var<'t, F> {
        match self {
            Bijector::Affine { shift, scale } => (y - *shift) / *scale,
            Bijector::Exp => y.ln(),
            Bijector::Sigmoid => y.ln() - (-y).log1p(),
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
            Bijector::Chain(maps) => maps.iter().rev().fold(y, |y, map| map.inverse(y)),
            Bijector::Inverse(map) => map.forward(y),
        }
    }

    /// $\ln\lvert\det J\rvert$ at `x`, for each element.
    #[track_caller]
    pub fn log_slope(&self, x: Var<'t, F>) -> Var<'t, F> {
        match self {
            Bijector::Affine { scale, .. } => scale.abs().ln() + x * 0.0,
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
            Bijector::Chain(maps) => {
                let (before, _) = self.element_ranks();
                // The axes of one element of the chain that are left before each map.
                let (mut x, mut rank) = (x, before);
                let mut total: Option<Var<'t, F>> = None;
                for map in maps {
                    let (own_before, own_after) = map.element_ranks();
                    let slope = map.log_slope(x).sum_last(rank - own_before);
                    total = Some(total.map_or(slope, |total| total + slope));
                    x = map.forward(x);
                    rank = rank - own_before + own_after;
                }
                total.unwrap_or(x * 0.0)
            }
            Bijector::Inverse(map) => -map.log_slope(map.inverse(x)),
        }
    }

    /// For maps of single numbers: the distance of `y` from the boundary of the image, positive inside. `None` if the
    /// image is the whole real line.
    pub(crate) fn distance(&self, y: Var<'t, F>) -> Option<Var<'t, F>> {
        match self {
            Bijector::Exp | Bijector::Softplus | Bijector::Power(_) => Some(y),
            Bijector::Sigmoid => Some(y.minimum(1.0 - y)),
            Bijector::Tanh => Some(1.0 - y.abs()),
            // From the last map to the first, each inverse must exist.
            Bijector::Chain(maps) => {
                let mut y = y;
                let mut nearest: Option<Var<'t, F>> = None;
                for map in maps.iter().rev() {
                    if let Some(distance) = map.distance(y) {
                        nearest = Some(nearest.map_or(distance, |nearest| nearest.minimum(distance)));
                        let inside = distance.step();
                        y = inside.select(y, map.forward(y * 0.0 + 0.5));
                    }
                    y = map.inverse(y);
                }
                nearest
            }
            Bijector::Inverse(map) => match **map {
                Bijector::Power(_) => Some(y),
                _ => None,
            },
            _ => None,
        }
    }

    /// For maps of single numbers: 1 where the map increases, −1 where it decreases.
    pub(crate) fn direction(&self, like: Var<'t, F>) -> Var<'t, F> {
        match self {
            Bijector::Affine { scale, .. } => scale.sign(),
            Bijector::Power(exponent) => exponent.sign(),
            Bijector::Chain(maps) => {
                maps.iter().fold(like.tape().constant(1.0), |sign, map| sign * map.direction(like))
            }
            Bijector::Inverse(map) => map.direction(like),
            _ => like.tape().constant(1.0),
        }
    }
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
        image(self, base, element)
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
        }
        Ok(())
    }
}

/// The support of the image of a distribution. Where no exact answer is known, it is a set that may depend on the
/// parameters, so that gradient methods refuse it.
fn image<V>(map: &Bijector<V>, base: Support, element: &[usize]) -> Support {
    use Support::{Between, Positive, Real, Simplex, UnitInterval, Vectors};
    match (map, base) {
        (Bijector::Chain(maps), _) => maps.iter().fold(base, |support, map| image(map, support, element)),
        (Bijector::Inverse(inner), _) => match (&**inner, base) {
            (Bijector::Affine { .. }, _) => image(inner, base, element),
            (Bijector::Exp | Bijector::Softplus, Positive) | (Bijector::Sigmoid, UnitInterval) => Real,
            (Bijector::Power(_), Positive) => Positive,
            _ => Support::image_of_a_map(element),
        },
        (Bijector::Affine { .. }, Real | Vectors(_)) => base,
        (Bijector::Exp | Bijector::Softplus, Real) | (Bijector::Power(_), Positive) => Positive,
        (Bijector::Sigmoid, Real) => UnitInterval,
        (Bijector::Tanh, Real) => Between(-1.0, 1.0),
        (Bijector::SoftmaxCentred | Bijector::StickBreaking, Real | Vectors(_)) => {
            element.last().map_or(Support::image_of_a_map(element), |length| Simplex(*length))
        }
        _ => Support::image_of_a_map(element),
    }
}

#[cfg(test)]
mod tests;
