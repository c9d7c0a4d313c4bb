//! The probability that the first places of a ranking are a given set, whatever their order.
//!
//! With exponential waiting times of rates $w_j = e^{\eta_j}$, the first $k$ items are the set $S$ if all its items
//! come before the first of the others, which together have the rate $\Lambda$ (Kool, van Hoof and Welling 2020). With
//! the time of that one, $e^y / \Lambda$,
//!
//! $$P(S) = \int_{-\infty}^{\infty} e^{y - e^y} \prod_{j \in S} \Big(1 - e^{-w_j e^y / \Lambda}\Big)\, dy.$$
//!
//! The integrand is analytic and decays on both sides, so that the trapezoidal rule converges exponentially: its error
//! is below the rounding. A sum over the $k!$ orders, or over the $2^k$ subsets with signs, would be slow or inexact.

use super::PlackettLuce;
use crate::distribution::log_one_minus_exp_exp;
use stochgrad_tape::Var;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Real, Tensor};

/// The start of the interval of $y$: below it the integrand is less than 1e-17 of its maximum.
const START: f64 = -40.0;

/// The distance of the points for a number of places, and the number of points.
///
/// The relative error of the rule with distance $h$ is about $|\Gamma(a + 2 \pi i / h)| / \Gamma(a)$ for an integrand
/// $e^{a y - e^y}$, with $a$ up to $k + 1$: below 1e-16 for these distances. The interval ends where the integrand is
/// below that as well.
fn rule(places: usize) -> (f64, usize) {
    let places = places as f64;
    let step = std::f64::consts::TAU / (25.0 + 9.0 * places.sqrt());
    let end = (2.0 * places + 750.0).ln();
    (step, ((end - START) / step).ceil() as usize + 1)
}

impl<'t, F: Real> PlackettLuce<Var<'t, F>> {
    /// The logarithm of the probability that the items at the first places are a set, in any order: for each
    /// independent element, with any derivatives with respect to the logits. The set is a vector with a 1 for each
    /// item, along the last axis; it is impossible (−∞) if the number of ones is not that of the places.
    ///
    /// Time and memory are those of a few hundred values for each item, and grow with the square root of the number of
    /// places.
    ///
    /// ```
    /// use stochgrad_distributions::PlackettLuce;
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let first_two = PlackettLuce::from_logits(tape.constant([2.0_f64.ln(), 0.0, 0.0])).top(2);
    /// let set = first_two.log_prob_of_set(tape.constant([1.0, 0.0, 1.0]));
    /// // In one order 2/4 · 1/2, in the other one 1/4 · 2/3.
    /// assert!((set.item()?.exp() - (1.0 / 4.0 + 1.0 / 6.0)).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn log_prob_of_set(&self, set: Var<'t, F>) -> Var<'t, F> {
        let tape = set.tape();
        let off = (set * (1.0 - set)).abs().sum_axis(-1) + (set.sum_axis(-1) - self.places() as f64).abs();
        let fits = off.equal(tape.constant(0.0));
        let impossible = off.map(Map::MinScalar(f64::NEG_INFINITY));
        if self.places() == self.items() {
            // Every item has a place.
            return fits.select(self.logits.sum_axis(-1) * 0.0, impossible);
        }
        let first = tape.constant(Tensor::from_fn([self.items()], |i| F::from_usize(usize::from(i < self.places()))));
        let set = fits.unsqueeze(-1).select(set, first);
        let rest = set.select(tape.constant(f64::NEG_INFINITY), self.logits).logsumexp(-1);
        let (step, points) = rule(self.places());
        let points = Tensor::from_fn([points, 1], |i| F::from_f64(START + step * i as f64));
        let y = tape.constant(points);
        let relative = (self.logits - rest.unsqueeze(-1)).unsqueeze(-2);
        let before = (set.unsqueeze(-2) * log_one_minus_exp_exp(relative + y)).sum_axis(-1);
        let y = y.index(-1, 0);
        fits.select((before + y - y.exp()).logsumexp(-1) + step.ln(), impossible)
    }
}

#[cfg(test)]
mod tests {
    use crate::distribution::FiniteSupport;
    use crate::multivariate::plackett_luce::PlackettLuce;
    use crate::prelude::*;
    use crate::testing::{assert_close, check_score};
    use stochgrad_tape::Tape;

    /// The probability of a set as a sum over its orders.
    fn by_orders(logits: &[f64], set: &[f64]) -> f64 {
        let places = set.iter().sum::<f64>() as usize;
        let tape = Tape::<f64>::new();
        let distribution = PlackettLuce::from_logits(tape.constant(logits)).top(places);
        let support = distribution.element_support().unwrap();
        let of = |matrix: &[f64]| {
            (0..set.len()).all(|item| matrix.iter().skip(item).step_by(set.len()).sum::<f64>() == set[item])
        };
        let rankings = support.as_slice().chunks(places * set.len()).filter(|matrix| of(matrix));
        rankings
            .map(|matrix| {
                let matrix = Tensor::from(matrix).with_shape([places, set.len()]);
                distribution.log_prob(tape.constant(matrix)).item().unwrap().exp()
            })
            .sum()
    }

    #[test]
    fn sets_have_the_probabilities_of_all_their_orders() {
        let sets: [(&[f64], &[f64]); 7] = [
            (&[0.5, 0.0, -0.4, 1.0], &[1.0, 1.0, 0.0, 0.0]),
            (&[0.5, 0.0, -0.4, 1.0], &[0.0, 1.0, 0.0, 0.0]),
            (&[0.5, 0.0, -0.4, 1.0], &[1.0, 1.0, 0.0, 1.0]),
            (&[0.5, 0.0, -0.4, 1.0], &[1.0, 1.0, 1.0, 1.0]),
            (&[30.0, -20.0, 0.0, 1.0], &[1.0, 1.0, 0.0, 0.0]),
            (&[30.0, -20.0, 0.0, 1.0], &[0.0, 1.0, 1.0, 0.0]),
            (&[200.0, -200.0, 199.0, -3.0], &[0.0, 1.0, 0.0, 1.0]),
        ];
        for (logits, set) in sets {
            let tape = Tape::<f64>::new();
            let places = set.iter().sum::<f64>() as usize;
            let distribution = PlackettLuce::from_logits(tape.constant(logits)).top(places);
            let found = distribution.log_prob_of_set(tape.constant(set)).item().unwrap();
            let expected = by_orders(logits, set).ln();
            assert!((found - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{found} where {expected} is exact");
            check_score(&logits.iter().map(|l| l / 20.0).collect::<Vec<_>>(), |v| {
                PlackettLuce::from_logits(v).top(places).log_prob_of_set(v.tape().constant(set))
            });
        }
    }

    #[test]
    fn many_places_keep_the_digits() {
        // With equal logits all sets of a size are equally likely.
        for (items, places) in [(40, 20), (400, 3), (400, 250), (600, 550)] {
            let tape = Tape::<f64>::new();
            let logits = tape.constant(Tensor::full([items], 0.7));
            let set = tape.constant(Tensor::from_fn([items], |i| f64::from(u8::from(i < places))));
            let found = PlackettLuce::from_logits(logits).top(places).log_prob_of_set(set).item().unwrap();
            let factors = (0..places).map(|i| ((items - i) as f64 / (places - i) as f64).ln());
            let expected = -factors.sum::<f64>();
            assert!((found - expected).abs() < 1e-12 * expected.abs(), "{items}, {places}: {found}, {expected}");
        }
    }

    #[test]
    fn items_have_the_known_chances_to_be_among_the_first_two() {
        let tape = Tape::<f64>::new();
        let distribution = PlackettLuce::from_logits(tape.constant([0.5, 0.0, -0.4, 1.0])).top(2);
        let pairs = (0..4).flat_map(|a| (a + 1..4).map(move |b| [a, b]));
        let mut chances = [0.0; 4];
        for pair in pairs {
            let set = Tensor::from_fn([4], |item| f64::from(u8::from(pair.contains(&item))));
            let p = distribution.log_prob_of_set(tape.constant(set)).item().unwrap().exp();
            pair.iter().for_each(|&item| chances[item] += p);
        }
        assert_close(&chances, &[0.5850669373, 0.3842059022, 0.2657150772, 0.7650120832], 1e-9);
    }

    #[test]
    fn sets_of_another_size_are_impossible() {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter([0.5, 0.0, -0.4]);
        for places in [2, 3] {
            let distribution = PlackettLuce::from_logits(logits).top(places);
            for set in [[1.0, 0.0, 0.0], [0.5, 0.5, 1.0], [0.0; 3]] {
                let log = distribution.log_prob_of_set(tape.constant(set));
                assert_eq!(log.item().unwrap(), f64::NEG_INFINITY, "{set:?}");
                let [slope] = tape.backward(log, [logits]).unwrap();
                assert_eq!(slope.to_vec(), [0.0; 3]);
            }
        }
    }
}
