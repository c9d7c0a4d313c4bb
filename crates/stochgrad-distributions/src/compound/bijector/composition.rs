//! Compositions of maps and of inverses, as flat lists.

use crate::compound::bijector::{Bijector, finite_distance, positive_distance};
use crate::compound::invertible_map::{OwnSample, Preimage};
use crate::derivative::known_logarithms::{with_log_odds, with_logarithm};
use crate::distribution::Support;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// Maps and inverses in the order in which they are applied: what [`Bijector::chain`] and [`Bijector::inverted`] make.
///
/// ```
/// use stochgrad_distributions::Bijector;
///
/// let map = Bijector::<f64>::chain([Bijector::Exp, Bijector::Tanh.inverted()]);
/// assert!(matches!(map, Bijector::Composition(_)));
/// assert!(matches!(Bijector::<f64>::chain([Bijector::Exp]), Bijector::Exp));
/// ```
#[derive(Clone, Debug)]
pub struct Composition<V = stochgrad_tape::Id> {
    steps: Vec<Step<V>>,
}

/// A map that is no composition, or its inverse.
#[derive(Clone, Debug)]
struct Step<V> {
    map: Bijector<V>,
    inverted: bool,
}

impl<V> Composition<V> {
    pub(crate) fn of(map: Bijector<V>) -> Self {
        match map {
            Bijector::Composition(composition) => composition,
            map => Composition { steps: vec![Step { map, inverted: false }] },
        }
    }

    pub(crate) fn joining(maps: impl IntoIterator<Item = Bijector<V>>) -> Self {
        let mut maps = maps.into_iter().map(Composition::of);
        // The list of the first map is continued: a chain that grows one map at a time is not copied in each step.
        let mut joined = maps.next().unwrap_or(Composition { steps: Vec::new() });
        maps.for_each(|next| joined.steps.extend(next.steps));
        joined
    }

    pub(crate) fn reversed(mut self) -> Self {
        self.steps.reverse();
        self.steps.iter_mut().for_each(|step| step.inverted = !step.inverted);
        self
    }

    pub(crate) fn into_map(mut self) -> Bijector<V> {
        match self.steps.pop() {
            Some(Step { map, inverted: false }) if self.steps.is_empty() => map,
            last => {
                self.steps.extend(last);
                Bijector::Composition(self)
            }
        }
    }

    pub(crate) fn try_map<W, E>(&self, f: &mut dyn FnMut(&V) -> Result<W, E>) -> Result<Composition<W>, E> {
        let mapped = |step: &Step<V>| Ok(Step { map: step.map.try_map_inside(f)?, inverted: step.inverted });
        Ok(Composition { steps: self.steps.iter().map(mapped).collect::<Result<_, E>>()? })
    }

    pub(crate) fn element_ranks(&self) -> (usize, usize) {
        self.steps.iter().fold((0, 0), |(before, after), step| {
            let (own_before, own_after) = step.element_ranks();
            // A map of vectors joins elements that the map before treats as separate.
            let joined = own_before.saturating_sub(after);
            (before + joined, (after + joined) - own_before + own_after)
        })
    }

    /// The number of axes of one element of the composition before each step.
    fn ranks(&self) -> Vec<usize> {
        let mut rank = self.element_ranks().0;
        let before = |step: &Step<V>| {
            let (own_before, own_after) = step.element_ranks();
            let before = rank;
            rank = rank - own_before + own_after;
            before
        };
        self.steps.iter().map(before).collect()
    }
}

impl<V> Step<V> {
    fn element_ranks(&self) -> (usize, usize) {
        match (self.map.element_ranks(), self.inverted) {
            ((before, after), true) => (after, before),
            (ranks, false) => ranks,
        }
    }
}

impl<'t, F: Real> Composition<Var<'t, F>> {
    pub(crate) fn parameters(&self) -> Vec<(&'static str, Var<'t, F>)> {
        self.steps.iter().flat_map(|step| step.map.parameters()).collect()
    }

    pub(crate) fn output_shape(&self, input: &Shape) -> Shape {
        self.steps.iter().fold(input.clone(), |shape, step| step.shape(&shape, false))
    }

    pub(crate) fn input_shape(&self, output: &Shape) -> Shape {
        self.steps.iter().rev().fold(output.clone(), |shape, step| step.shape(&shape, true))
    }

    #[track_caller]
    pub(crate) fn forward(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.steps.iter().fold(x, |x, step| step.forward(x))
    }

    #[track_caller]
    pub(crate) fn inverse(&self, y: Var<'t, F>) -> Var<'t, F> {
        self.steps.iter().rev().fold(y, |y, step| step.inverse(y))
    }

    #[track_caller]
    pub(crate) fn image(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.steps.iter().fold(x, |x, step| step.image(x))
    }

    #[track_caller]
    pub(crate) fn log_slope(&self, x: Var<'t, F>) -> Var<'t, F> {
        let mut x = x;
        let mut total: Option<Var<'t, F>> = None;
        for (step, rank) in self.steps.iter().zip(self.ranks()) {
            let y = step.image(x);
            let slope = step.log_slope(x, y).sum_last(rank - step.element_ranks().0);
            total = Some(total.map_or(slope, |total| total + slope));
            x = y;
        }
        total.unwrap_or(x * 0.0)
    }

    /// See [`InvertibleMap::preimage`](crate::InvertibleMap::preimage).
    #[track_caller]
    pub(crate) fn preimage(&self, y: Var<'t, F>, own: Option<OwnSample<'t, F>>) -> Preimage<'t, F> {
        // What each step was applied to when the sample was drawn.
        let known: Option<Vec<Var<'t, F>>> = own.map(|own| {
            let before = |x: &mut Var<'t, F>, step: &Step<Var<'t, F>>| {
                let before = *x;
                *x = step.image(before);
                Some(before)
            };
            self.steps.iter().scan(own.base(), before).collect()
        });
        let (mut at, mut log_slope) = (y, None::<Var<'t, F>>);
        for (index, (step, rank)) in self.steps.iter().zip(self.ranks()).enumerate().rev() {
            let x = match (own, &known) {
                (Some(own), Some(known)) => own.recall(known[index], step.origin(at), rank),
                _ => step.with_known_logarithm(step.origin(at), at),
            };
            let slope = step.log_slope(x, at).sum_last(rank - step.element_ranks().0);
            log_slope = Some(log_slope.map_or(slope, |total| total + slope));
            at = x;
        }
        Preimage { value: at, log_slope: log_slope.unwrap_or(at * 0.0) }
    }

    /// See [`InvertibleMap::distance`](crate::InvertibleMap::distance).
    pub(crate) fn distance(&self, y: Var<'t, F>) -> Option<Var<'t, F>> {
        if self.element_ranks() != (0, 0) {
            return self.steps.last()?.distance(y);
        }
        let mut y = y;
        let mut nearest: Option<Var<'t, F>> = None;
        // From the last map to the first, each inverse must exist.
        for step in self.steps.iter().rev() {
            if let Some(distance) = step.distance(y) {
                nearest = Some(nearest.map_or(distance, |nearest| nearest.minimum(distance)));
                y = distance.held().step().select(y, step.forward(y.tape().constant(0.5)).held());
            }
            y = step.inverse(y);
        }
        nearest
    }

    pub(crate) fn direction(&self, like: Var<'t, F>) -> Var<'t, F> {
        // Maps without a parameter rise.
        let signs = self.steps.iter().filter(|step| !step.map.parameters().is_empty());
        let sign = signs.map(|step| step.map.direction(like)).reduce(|sign, other| sign * other);
        sign.unwrap_or_else(|| like.tape().constant(1.0))
    }

    pub(crate) fn support(&self, base: Support, element: &[usize]) -> Support {
        self.steps.iter().fold(base, |support, step| step.map.support(support, element, step.inverted))
    }
}

impl<'t, F: Real> Step<Var<'t, F>> {
    /// The shape after the step, or before it.
    fn shape(&self, shape: &Shape, before: bool) -> Shape {
        if self.inverted == before { self.map.output_shape(shape) } else { self.map.input_shape(shape) }
    }

    #[track_caller]
    fn forward(&self, x: Var<'t, F>) -> Var<'t, F> {
        if self.inverted { self.map.inverse(x) } else { self.map.forward(x) }
    }

    #[track_caller]
    fn inverse(&self, y: Var<'t, F>) -> Var<'t, F> {
        if self.inverted { self.map.forward(y) } else { self.map.inverse(y) }
    }

    #[track_caller]
    fn image(&self, x: Var<'t, F>) -> Var<'t, F> {
        if self.inverted { self.map.inverse(x) } else { self.map.image(x) }
    }

    /// What the step was applied to. A value whose logit is known stays inside the unit interval.
    #[track_caller]
    fn origin(&self, y: Var<'t, F>) -> Var<'t, F> {
        match self {
            Step { map: Bijector::Sigmoid, inverted: true } => self.map.image(y),
            _ => self.inverse(y),
        }
    }

    /// `x`, which refers to its logit or logarithm if this step computes it.
    fn with_known_logarithm(&self, x: Var<'t, F>, y: Var<'t, F>) -> Var<'t, F> {
        match self {
            Step { map: Bijector::Sigmoid, inverted: true } => with_log_odds(x, y),
            Step { map: Bijector::Exp, inverted: true } => with_logarithm(x, y),
            Step { map: Bijector::Softplus, inverted: true } => {
                // Far below 0, ln(1 + e^y) is e^y to the last digit.
                let (tape, least) = (y.tape(), F::EPSILON.to_f64().ln());
                let far = y.held().lt(tape.constant(least));
                with_logarithm(x, far.select(y, far.select(tape.constant(0.0), y).softplus().ln()))
            }
            _ => x,
        }
    }

    /// The logarithm of the slope of the step, which maps `x` to `y`.
    #[track_caller]
    fn log_slope(&self, x: Var<'t, F>, y: Var<'t, F>) -> Var<'t, F> {
        if self.inverted { -self.map.log_slope(y) } else { self.map.log_slope(x) }
    }

    fn distance(&self, y: Var<'t, F>) -> Option<Var<'t, F>> {
        match self {
            Step { map: Bijector::Power(_), inverted: true } => Some(positive_distance(y)),
            Step { map: Bijector::Exp | Bijector::Sigmoid | Bijector::Softplus | Bijector::Tanh, inverted: true } => {
                Some(finite_distance(y))
            }
            Step { inverted: true, .. } => None,
            Step { map, inverted: false } => map.distance(y),
        }
    }
}
