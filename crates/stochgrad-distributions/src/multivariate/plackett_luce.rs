//! The Plackett–Luce distribution of rankings: items are drawn one after the other without replacement, each with a
//! probability proportional to the exponential of its logit. Use it for permutations, for the first $k$ places of a
//! ranking, and for subsets that are drawn without replacement.
//!
//! $$p(s_1, \dots, s_k; \eta) = \prod_{i=1}^{k} \frac{e^{\eta_{s_i}}}{\sum_{j \notin \{s_1, \dots, s_{i-1}\}} e^{\eta_j}}.$$
//!
//! Parameter: the logits $\eta$, finite numbers, with the $n$ items along the last axis. Its other axes are independent
//! elements. A value is a matrix of shape `[k, n]` for each element, whose row $i$ is the one-hot vector of the item at
//! place $i$; with $k = n$ it is a permutation matrix. The sum of the rows is the subset of the first $k$ items.
//! Support: matrices of one-hot rows that are all different.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | finite support | the $n!/(n-k)!$ rankings, in lexicographic order |
//! | relaxation | the $k$ largest of the logits plus Gumbel noise, in order (Yellott 1977), with a matrix of softmax rows in their place ([`RankingRelaxation`]) |
//!
//! With the relaxation, [REBAR and RELAX](https://arxiv.org/abs/1911.10036) (Gadetsky et al. 2020) and Gumbel-softmax
//! apply. Given a ranking, $T_i = \sum_{j \le i} E_j / \Lambda_j$ with standard exponential $E_j$ and the sum
//! $\Lambda_j$ of $e^\eta$ over the items that are left at place $j$; $-\ln T_i$ is the perturbed logit at place $i$,
//! and items without a place have $-\ln(T_k + E\, e^{-\eta})$.

use crate::derivative::cumulative_logsumexp::prefix_logsumexp;
use crate::distribution::{FiniteSupport, Relaxed};
use crate::error::DistributionError;
use crate::family;
use crate::multivariate::ranking_relaxation::RankingRelaxation;
use crate::prelude::*;
use stochgrad_tensor::map::Map;

/// Rankings of items, by drawing them without replacement.
///
/// ```
/// use stochgrad_distributions::{Distribution, PlackettLuce};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let logits = tape.constant([2.0_f64.ln(), 1.0_f64.ln(), 1.0_f64.ln()]);
/// let first_two = PlackettLuce::from_logits(logits).top(2);
/// // Item 2 before item 0: 1/4, then 2/3.
/// let ranking = tape.constant([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
/// assert!((first_two.log_prob(ranking).item()?.exp() - 1.0 / 6.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PlackettLuce<V = stochgrad_tape::Id> {
    logits: V,
    /// The number of places; `None` for a place for each item.
    places: Option<usize>,
    relaxation: RankingRelaxation,
}

impl<V> PlackettLuce<V> {
    /// Permutations of all items, whose logits are finite numbers along the last axis.
    pub fn from_logits(logits: V) -> Self {
        PlackettLuce { logits, places: None, relaxation: RankingRelaxation::default() }
    }

    /// The first `places` places only: between 1 and the number of items.
    pub fn top(self, places: usize) -> Self {
        PlackettLuce { places: Some(places), ..self }
    }

    /// The relaxation of the ranking, for methods that need one.
    pub fn relaxation(self, relaxation: RankingRelaxation) -> Self {
        PlackettLuce { relaxation, ..self }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<PlackettLuce<W>, E> {
        Ok(PlackettLuce { logits: f(&self.logits)?, places: self.places, relaxation: self.relaxation })
    }
}

family!(PlackettLuce);

impl<'t, F: Real> PlackettLuce<Var<'t, F>> {
    /// The logits.
    pub fn logits(&self) -> Var<'t, F> {
        self.logits
    }

    /// The number of items.
    pub fn items(&self) -> usize {
        self.logits.shape().last().copied().unwrap_or(0)
    }

    /// The number of places.
    pub fn places(&self) -> usize {
        self.places.unwrap_or_else(|| self.items())
    }

    fn independent(&self) -> Shape {
        let shape = self.logits.shape();
        shape[..shape.len().saturating_sub(1)].into()
    }

    /// The logarithm of the sum over the items that are left at each place, of shape `[…, places]`.
    fn log_rests(&self, ranking: Var<'t, F>) -> Var<'t, F> {
        let taken = ranking.cumsum(-2) - ranking;
        let never = ranking.tape().constant(f64::NEG_INFINITY);
        taken.select(never, self.logits.unsqueeze(-2)).logsumexp(-1)
    }

    fn check_places(&self) -> DistributionResult<()> {
        let (items, places) = (self.items(), self.places());
        if (1..=items).contains(&places) {
            return Ok(());
        }
        let problem = match items {
            0 => format!(
                "the last axis of the logits must hold the items, got event shape {}; give at least one item",
                self.logits.shape()
            ),
            _ => format!("expected between 1 and {items} places for {items} items, got {places}"),
        };
        Err(DistributionError::Unsupported { distribution: "PlackettLuce", problem })
    }
}

impl<'t, F: Real> Distribution<'t, F> for PlackettLuce<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "PlackettLuce"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("logits", self.logits).with_path(SamplePath::Recorded(self.relaxation.order()))]
    }

    fn event_shape(&self) -> Shape {
        self.independent().iter().copied().chain([self.places(), self.items()]).collect()
    }

    fn element_rank(&self) -> usize {
        2
    }

    fn support(&self) -> Support {
        Support::Rankings(self.places(), self.items())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        if self.places() > self.items() {
            // An error on the tape.
            return self.logits.slice(-1, 0..self.places());
        }
        let tape = value.tape();
        // 0 for rankings alone: all entries 0 or 1, one item at each place, and no item twice.
        let entries = (value * (1.0 - value)).abs().sum_last(2);
        let places = (value.sum_axis(-1) - 1.0).abs().sum_axis(-1);
        let items = (value.sum_axis(-2) - 1.0).relu().sum_axis(-1);
        let off = entries + places + items;
        let fits = off.equal(tape.constant(0.0));
        // Any ranking in place of other values keeps their derivatives finite.
        let first = tape.constant((0..self.places()).map(|i| i as f64).collect::<Vec<_>>()).one_hot(self.items());
        let ranking = fits.unsqueeze(-1).unsqueeze(-1).select(value, first);
        // The differences of the places, since the sum of huge logits may overflow.
        let placed = (ranking * self.logits.unsqueeze(-2)).sum_axis(-1);
        let log = (placed - self.log_rests(ranking)).sum_axis(-1);
        // NaN stays NaN.
        fits.select(log, off.map(Map::MinScalar(f64::NEG_INFINITY)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.check_places()?;
        let (tape, items, independent) = (self.logits.tape(), self.items(), self.independent());
        let never = tape.constant(f64::NEG_INFINITY);
        let mut taken = self.logits * 0.0;
        let mut rows = Vec::with_capacity(self.places());
        for place in 0..self.places() {
            let left = taken.select(never, self.logits).softmax(-1);
            let item = match place + 1 == items {
                // A single item is left.
                true => 1.0 - taken,
                false => {
                    let own = draw.purpose(&format!("place {place}"));
                    own.record_categorical(tape, &independent, left)?.one_hot(items)
                }
            };
            taken = taken + item;
            rows.push(item.unsqueeze(-2));
        }
        Ok(Var::concat(&rows, -2)?.stop_gradient())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.harden(self.logits))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.check_places()?;
        let hint = "an item that should hardly ever be drawn has a logit far below the others";
        check_parameter("PlackettLuce", "logits", self.logits, "a finite number", hint, Condition::Finite)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for PlackettLuce<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for PlackettLuce<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        self.check_places()?;
        let factors = (self.items() - self.places() + 1)..=self.items();
        Ok(factors.fold(1_u128, |product, factor| product.saturating_mul(factor as u128)))
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        let states = usize::try_from(self.states()?).unwrap_or(usize::MAX);
        let (places, items) = (self.places(), self.items());
        let elements = states.saturating_mul(places.saturating_mul(items));
        self.tape()?.check_memory("the list of the states of a distribution", &[], elements)?;
        let mut support = Tensor::zeros([states, places, items]);
        for (state, matrix) in support.make_mut().chunks_mut(places * items).enumerate() {
            let mut left: Vec<usize> = (0..items).collect();
            // The digits of the number of the state choose among the items that are left.
            let mut block = states;
            let mut rest = state;
            for row in matrix.chunks_mut(items) {
                block /= left.len();
                row[left.remove(rest / block)] = F::ONE;
                rest %= block;
            }
        }
        Ok(support)
    }
}

impl<'t, F: Real> Relaxed<'t, F> for PlackettLuce<Var<'t, F>> {
    fn location(&self) -> Var<'t, F> {
        self.logits
    }

    fn perturbed(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let gumbel = -draw.record_exponential(self.logits.tape(), &self.logits.shape())?.ln();
        Ok(self.logits + gumbel)
    }

    fn conditional_perturbed(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_exponential(self.logits.tape(), &self.logits.shape())?.ln();
        let own = (hard * noise.unsqueeze(-2)).sum_axis(-1);
        let times = prefix_logsumexp(own - self.log_rests(hard));
        let last = times.slice(-1, self.places().saturating_sub(1)..self.places());
        let others = last.logaddexp(noise - self.logits);
        let placed = (hard * times.unsqueeze(-1)).sum_axis(-2);
        Ok(-hard.sum_axis(-2).select(placed, others))
    }

    fn harden(&self, perturbed: Var<'t, F>) -> Var<'t, F> {
        perturbed.topk(-1, self.places()).1.one_hot(self.items())
    }

    fn soften(&self, perturbed: Var<'t, F>, temperature: Var<'t, F>) -> Var<'t, F> {
        self.relaxation.soften(perturbed, self.places(), temperature)
    }
}

mod sets;
#[cfg(test)]
mod tests;
