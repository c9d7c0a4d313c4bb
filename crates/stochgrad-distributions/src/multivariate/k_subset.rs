//! Subsets of a fixed size whose probability is proportional to the product of the weights of their members: the
//! conditional Bernoulli distribution, that is, independent bits given their sum. Use it to choose exactly $k$ of $n$
//! features, experts or neighbours.
//!
//! $$p(x; \eta, k) = \frac{e^{x^\top \eta}}{e_k(e^{\eta_1}, \dots, e^{\eta_n})}, \quad x \in \{0, 1\}^n, \quad \sum_j x_j = k,$$
//!
//! with the elementary symmetric polynomial $e_k$, the sum of the products over all subsets of size $k$.
//!
//! Parameter: the logits $\eta$, finite numbers, with the $n$ items along the last axis, which is one element. Its
//! shape is the event shape. The size $k$ is a number between 1 and $n$. Support: vectors of $n$ bits with the sum $k$.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | finite support | the $\binom{n}{k}$ subsets, in lexicographic order of their members |
//! | entropy, divergence | closed forms, since it is an exponential family |
//!
//! The logarithms of the polynomials of all suffixes of the items follow from
//! $e_r(w_{\ge i}) = \sum_{j \ge i} w_j\, e_{r-1}(w_{> j})$, a cumulative sum for each size $r$. They give the
//! normaliser, the mean $\mu_j = e^{\eta_j} e_{k-1}(w_{\ne j}) / e_k(w)$ and exact draws, member by member (Chen and
//! Liu 1997). Everything is computed in logarithms without differences, so that no digits are lost.
//!
//! Subsets that are drawn one item after the other without replacement have another distribution: that of the rows of a
//! [`PlackettLuce`](crate::PlackettLuce) sample.

use crate::derivative::cumulative_logsumexp::suffix_logsumexp;
use crate::distribution::{FiniteSupport, Tempered};
use crate::error::DistributionError;
use crate::family;
use crate::prelude::*;
use stochgrad_tensor::map::Map;

/// Subsets of a fixed size, as vectors of bits with a fixed sum.
///
/// ```
/// use stochgrad_distributions::{Distribution, KSubset};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let pairs = KSubset::from_logits(2, tape.constant([2.0_f64.ln(), 0.0, 0.0]));
/// // The pairs have the weights 2, 2 and 1.
/// assert!((pairs.log_prob(tape.constant([0.0, 1.0, 1.0])).item()?.exp() - 0.2).abs() < 1e-12);
/// let mean = pairs.mean().unwrap().peek()?;
/// assert!((mean.as_slice()[0] - 0.8).abs() < 1e-12 && (mean.as_slice()[1] - 0.6).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KSubset<V = stochgrad_tape::Id> {
    logits: V,
    size: usize,
}

impl<V> KSubset<V> {
    /// Subsets of `size` items, whose logits are finite numbers along the last axis.
    pub fn from_logits(size: usize, logits: V) -> Self {
        KSubset { logits, size }
    }

    /// The number of members of a subset.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<KSubset<W>, E> {
        Ok(KSubset { logits: f(&self.logits)?, size: self.size })
    }
}

family!(KSubset);

impl<'t, F: Real> KSubset<Var<'t, F>> {
    /// The logits.
    pub fn logits(&self) -> Var<'t, F> {
        self.logits
    }

    /// The number of items.
    pub fn items(&self) -> usize {
        self.logits.shape().last().copied().unwrap_or(0)
    }

    /// The logarithm of the normaliser $e_k$, for each independent element.
    pub fn log_normalizer(&self) -> Var<'t, F> {
        if self.size > self.items() {
            // An error on the tape.
            return self.logits.slice(-1, 0..self.size);
        }
        match first_members(self.logits, self.size).last() {
            Some(whole) => whole.logsumexp(-1),
            None => self.logits.sum_axis(-1) * 0.0,
        }
    }

    fn independent(&self) -> Shape {
        let shape = self.logits.shape();
        shape[..shape.len().saturating_sub(1)].into()
    }

    /// The logarithms of the probabilities with which each item is in the subset.
    fn log_means(&self) -> Var<'t, F> {
        let (items, size) = (self.items(), self.size);
        if size == 0 || size > items {
            return self.logits.slice(-1, 0..size);
        }
        // The polynomials of the items after each one, and, from the items in reverse order, before each one.
        let after = exclusive_polynomials(self.logits, size);
        let backwards: Vec<usize> = (0..items).rev().collect();
        let before = exclusive_polynomials(self.logits.index_select(-1, &backwards), size);
        let pairs: Vec<Var<'t, F>> =
            (0..size).map(|r| (after[r] + before[size - 1 - r].index_select(-1, &backwards)).unsqueeze(-1)).collect();
        let others = Var::concat(&pairs, -1).unwrap_or(self.logits).logsumexp(-1);
        self.logits + others - self.log_normalizer().unsqueeze(-1)
    }

    fn check_size(&self) -> DistributionResult<()> {
        let items = self.items();
        if (1..=items).contains(&self.size) {
            return Ok(());
        }
        let problem = match items {
            0 => format!(
                "the last axis of the logits must hold the items, got event shape {}; give at least one item",
                self.logits.shape()
            ),
            _ => format!("expected subsets of between 1 and {items} of {items} items, got {}", self.size),
        };
        Err(DistributionError::Unsupported { distribution: "KSubset", problem })
    }
}

/// For each size $r$ from 1 to `size`, the logarithm of $w_i\, e_{r-1}(w_{> i})$ for every item $i$ that at least
/// $r - 1$ others follow: the weight of the subsets of size $r$ of which $i$ is the first member.
fn first_members<'t, F: Real>(logits: Var<'t, F>, size: usize) -> Vec<Var<'t, F>> {
    let items = logits.shape().last().copied().unwrap_or(0);
    let mut firsts = Vec::with_capacity(size.min(items));
    for r in 1..=size.min(items) {
        let next = match firsts.last() {
            None => logits,
            Some(&shorter) => {
                let polynomials: Var<'t, F> = suffix_logsumexp(shorter);
                logits.slice(-1, 0..items + 1 - r) + polynomials.slice(-1, 1..items + 2 - r)
            }
        };
        firsts.push(next);
    }
    firsts
}

/// For each size $r$ from 0 to `size − 1`, the logarithm of $e_r(w_{> i})$ for every item $i$: −∞ where fewer than $r$
/// items follow.
fn exclusive_polynomials<'t, F: Real>(logits: Var<'t, F>, size: usize) -> Vec<Var<'t, F>> {
    let tape = logits.tape();
    let shape = logits.shape();
    let items = shape.last().copied().unwrap_or(0);
    let never = |count: usize| {
        let last = shape.len().saturating_sub(1);
        tape.constant(Tensor::full(shape.with_size(last, count), F::NEG_INFINITY))
    };
    let none = logits * 0.0;
    let later = first_members(logits, size.saturating_sub(1)).into_iter().enumerate().map(|(before, first)| {
        let r = before + 1;
        let polynomials = suffix_logsumexp(first).slice(-1, 1..items + 1 - r);
        Var::concat(&[polynomials, never(r)], -1).unwrap_or(polynomials)
    });
    std::iter::once(none).chain(later).collect()
}

impl<'t, F: Real> Distribution<'t, F> for KSubset<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "KSubset"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("logits", self.logits)]
    }

    fn event_shape(&self) -> Shape {
        self.logits.shape()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Subsets(self.size, self.items())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let log = (value * self.logits).sum_axis(-1) - self.log_normalizer();
        // 0 for subsets alone: all entries 0 or 1, and as many members as expected.
        let entries = (value * (1.0 - value)).abs().sum_axis(-1);
        let off = entries + (value.sum_axis(-1) - self.size as f64).abs();
        // NaN stays NaN.
        off.equal(off.tape().constant(0.0)).select(log, off.map(Map::MinScalar(f64::NEG_INFINITY)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.check_size()?;
        let (tape, items, independent) = (self.logits.tape(), self.items(), self.independent());
        let numbers = tape.constant(Tensor::from_fn([items], F::from_usize));
        let never = tape.constant(f64::NEG_INFINITY);
        // The members in increasing order: the first one of all subsets of the size, then the first one of those of
        // the items that follow.
        let mut subset: Option<(Var<'t, F>, Var<'t, F>)> = None;
        for (left, first) in first_members(self.logits, self.size).into_iter().enumerate().rev() {
            let candidates = items - left;
            let open = match subset {
                None => first,
                Some((_, last)) => numbers.slice(-1, 0..candidates).gt(last.unsqueeze(-1)).select(first, never),
            };
            let own = draw.purpose(&format!("member {left}"));
            let member = own.record_categorical(tape, &independent, open.softmax(-1))?;
            let bits = member.one_hot(items);
            subset = Some((subset.map_or(bits, |(sum, _)| sum + bits), member));
        }
        let (bits, _) = subset.unwrap_or((self.logits, self.logits));
        Ok(bits.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.log_means().exp())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let mean = self.log_means().exp();
        Some(mean * (1.0 - mean))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.logits.topk(-1, self.size).1.one_hot(self.items()).sum_axis(-2))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.check_size()?;
        let hint = "an item that should hardly ever be chosen has a logit far below the others";
        check_parameter("KSubset", "logits", self.logits, "a finite number", hint, Condition::Finite)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for KSubset<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for KSubset<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        self.check_size()?;
        let (items, size) = (self.items() as u128, self.size.min(self.items() - self.size) as u128);
        // Each partial product is a binomial coefficient.
        let next = |count: u128, i: u128| count.checked_mul(items - i).map_or(u128::MAX, |product| product / (i + 1));
        Ok((0..size).fold(1, next))
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        let states = usize::try_from(self.states()?).unwrap_or(usize::MAX);
        let items = self.items();
        self.tape()?.check_memory("the list of the states of a distribution", &[], states.saturating_mul(items))?;
        let mut support = Tensor::zeros([states, items]);
        let mut members: Vec<usize> = (0..self.size).collect();
        for row in support.make_mut().chunks_mut(items) {
            members.iter().for_each(|&member| row[member] = F::ONE);
            // The next subset: the last member that can move does, and those after it follow directly.
            let movable = (0..self.size).rev().find(|&at| members[at] + self.size - at < items);
            if let Some(at) = movable {
                let start = members[at] + 1;
                members[at..].iter_mut().enumerate().for_each(|(offset, member)| *member = start + offset);
            }
        }
        Ok(support)
    }
}

impl<'t, F: Real> Tempered<'t, F> for KSubset<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(KSubset { logits: self.logits * (1.0 / temperature), size: self.size })
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for KSubset<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // With logits that are centred, sums of large numbers do not cancel.
        let centred = self.logits - self.logits.max_axis(-1).unsqueeze(-1);
        let own = KSubset { logits: centred, size: self.size };
        (own.log_normalizer() - (own.log_means().exp() * centred).sum_axis(-1)).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for KSubset<Var<'t, F>> {
    /// Infinite if the sizes differ.
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let change = (self.log_means().exp() * (self.logits - other.logits)).sum_axis(-1);
        let divergence = (change - self.log_normalizer() + other.log_normalizer()).sum();
        if self.size == other.size { divergence } else { divergence.stop_gradient() * 0.0 + f64::INFINITY }
    }
}

#[cfg(test)]
mod tests;
