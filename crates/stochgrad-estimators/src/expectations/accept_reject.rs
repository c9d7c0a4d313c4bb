//! Accept–reject samplers that use their rejected draws, by Rao–Blackwellisation.
//!
//! A sampler accepts the proposal $y$ of a density $q$ with the probability $w(y) = \pi(y) / (M q(y))$, where $M$ bounds
//! $\pi / q$, and stops at the $t$-th acceptance, after $N$ proposals. The mean of the accepted values is an estimate of
//! $\mathbb E_\pi h$ that depends on the uniform variables of the decisions. Its expectation given the proposals and $N$
//! does not, and has no larger variance (Rao–Blackwell). It is a weighted mean of all proposals,
//!
//! $$\frac1t \Big( h(y_N) + \sum_{i < N} \rho_i\, h(y_i) \Big), \qquad
//!     \rho_i = P\big(y_i \text{ is accepted} \,\big|\, t - 1 \text{ of } y_1, \dots, y_{N-1} \text{ are}\big).$$
//!
//! For $t = 2$, $\rho_i \propto w_i / (1 - w_i)$. Casella and Robert (1996).
//!
//! For a fixed number of proposals, the expectation of $M\, 1[\text{accepted}]\, h(y)$ given $y$ is
//! $\pi(y) / q(y)\, h(y)$: [`ImportanceSampling`](crate::ImportanceSampling) is the Rao–Blackwellised estimator.

use std::panic::Location;
use stochgrad_graph::GraphResult;
use stochgrad_tape::TapeError;

/// The weights of all proposals of an accept–reject sampler that stopped at the acceptance number `accepted`, given the
/// probability with which each of them was accepted, in order. The weights add up to 1, and replace those of the
/// accepted values, each $1 / t$. The weighted mean of a function of the proposals has the same expectation, and no
/// larger variance.
///
/// ```
/// use stochgrad_estimators::accept_reject_weights;
/// use stochgrad_graph::GraphError;
///
/// # fn main() -> Result<(), GraphError> {
/// // Uniform proposals for the density 6 x (1 − x), bounded by M = 1.5, of which the second and the last were accepted.
/// let proposals = [0.05, 0.6, 0.9, 0.3];
/// let acceptance = proposals.map(|y| 6.0 * y * (1.0 - y) / 1.5);
/// let weights = accept_reject_weights(&acceptance, 2)?;
/// let estimate: f64 = proposals.iter().zip(&weights).map(|(y, weight)| y * weight).sum();
/// assert!((estimate - 0.4516).abs() < 1e-3);
/// # Ok(())
/// # }
/// ```
///
/// It takes time and memory in proportion to `acceptance.len()` · `accepted`.
///
/// # Errors
/// For probabilities outside of [0, 1], and if the sampler cannot have stopped there: with fewer proposals than
/// acceptances, with a last proposal that is never accepted, or with too many that are always accepted.
#[track_caller]
pub fn accept_reject_weights(acceptance: &[f64], accepted: usize) -> GraphResult<Vec<f64>> {
    let at = Location::caller();
    let error =
        |problem: String| Err(TapeError::Other { message: format!("accept_reject_weights: {problem}"), at }.into());
    if let Some(position) = acceptance.iter().position(|w| !(0.0..=1.0).contains(w)) {
        let found = acceptance[position];
        return error(format!("expected probabilities in [0, 1], got {found} at position {position}"));
    }
    let Some((&last, before)) = acceptance.split_last().filter(|_| accepted > 0 && accepted <= acceptance.len()) else {
        let count = acceptance.len();
        return error(format!("expected at least 1 acceptance and as many proposals, got {accepted} of {count}"));
    };
    let always = before.iter().filter(|w| **w == 1.0).count();
    let possible = before.iter().filter(|w| **w > 0.0).count();
    if last == 0.0 || always > accepted - 1 || possible < accepted - 1 {
        return error(format!(
            "expected proposals of a sampler that stopped at acceptance {accepted}, got {possible} before the last one \
             that can be accepted, {always} that are always accepted, and a last one of probability {last}"
        ));
    }
    let earlier = accepted - 1;
    let heads = counts(before.iter().copied(), earlier);
    let tails = counts(before.iter().rev().copied(), earlier);
    let share = 1.0 / accepted as f64;
    let weight = |(position, &w): (usize, &f64)| {
        let (head, tail) = (&heads[position], &tails[before.len() - 1 - position]);
        // The probabilities, up to a factor, of this number of acceptances among the others.
        let others = |count: usize| (0..=count).map(|k| head[k] * tail[count - k]).sum::<f64>();
        let with = if earlier == 0 { 0.0 } else { w * others(earlier - 1) };
        let without = (1.0 - w) * others(earlier);
        share * with / (with + without)
    };
    Ok(before.iter().enumerate().map(weight).chain([share]).collect())
}

/// For each number of first elements, the probabilities of 0 to `most` acceptances among them, up to a factor.
fn counts(acceptance: impl Iterator<Item = f64>, most: usize) -> Vec<Vec<f64>> {
    let mut row = vec![0.0; most + 1];
    row[0] = 1.0;
    let mut rows = vec![row.clone()];
    for w in acceptance {
        for k in (0..=most).rev() {
            row[k] = row[k] * (1.0 - w) + if k == 0 { 0.0 } else { row[k - 1] * w };
        }
        // More acceptances than `most` are left out. Scaled, the rest does not underflow.
        let largest = row.iter().copied().fold(0.0, f64::max);
        if largest > 0.0 {
            row.iter_mut().for_each(|probability| *probability /= largest);
        }
        rows.push(row.clone());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tensor::random::Key;

    /// The sum of mean and square of the estimate over all samples of a sampler with two acceptances, by the number of
    /// proposals of each of three states before the last one.
    fn moments(target: [f64; 3], proposal: [f64; 3], h: [f64; 3]) -> [f64; 3] {
        let bound = (0..3).map(|i| target[i] / proposal[i]).fold(0.0, f64::max);
        let w: [f64; 3] = std::array::from_fn(|i| (target[i] / proposal[i] / bound).min(1.0));
        let mut found = [0.0; 3];
        for total in 1..=80_usize {
            for first in 0..=total {
                for second in 0..=total - first {
                    let number = [first, second, total - first - second];
                    // Exactly one of them is accepted.
                    let log_ways: f64 = (1..=total).map(|k| (k as f64).ln()).sum::<f64>()
                        - number.iter().flat_map(|&n| 1..=n).map(|k| (k as f64).ln()).sum::<f64>();
                    let chosen: f64 = (0..3).map(|i| proposal[i].powi(number[i] as i32)).product();
                    let one: f64 = (0..3)
                        .filter(|&i| number[i] > 0)
                        .map(|i| {
                            let rejected = |j: usize| (1.0 - w[j]).powi(number[j] as i32 - i32::from(i == j));
                            number[i] as f64 * w[i] * (0..3).map(rejected).product::<f64>()
                        })
                        .sum();
                    let probability = log_ways.exp() * chosen * one;
                    if probability == 0.0 {
                        continue;
                    }
                    let states: Vec<usize> = (0..3).flat_map(|i| std::iter::repeat_n(i, number[i])).collect();
                    for last in 0..3 {
                        let all = || states.iter().copied().chain([last]);
                        let acceptance: Vec<f64> = all().map(|state| w[state]).collect();
                        let weights = accept_reject_weights(&acceptance, 2).unwrap();
                        let estimate: f64 = all().zip(weights).map(|(state, weight)| h[state] * weight).sum();
                        let probability = probability * proposal[last] * w[last];
                        found[0] += probability;
                        found[1] += probability * estimate;
                        found[2] += probability * estimate * estimate;
                    }
                }
            }
        }
        found
    }

    #[test]
    fn the_mean_is_exact_and_the_variance_is_the_known_one() {
        for (target, proposal, h, mean, variance) in [
            ([0.5, 0.3, 0.2], [0.3, 0.3, 0.4], [1.0, -1.0, 2.0], 0.6, 0.5275970592),
            ([0.1, 0.2, 0.7], [0.4, 0.3, 0.3], [0.0, 1.0, 3.0], 2.3, 0.5959540846),
        ] {
            let [total, first, second] = moments(target, proposal, h);
            assert!((total - 1.0).abs() < 1e-9, "{total}");
            assert!((first - mean).abs() < 1e-9, "{first}");
            assert!((second - first * first - variance).abs() < 1e-9, "{}", second - first * first);
        }
    }

    /// Beta(2, 2) from uniform proposals; the mean of two values has the variance 1/40.
    #[test]
    fn a_continuous_sampler_has_a_smaller_variance() {
        let (runs, mut plain, mut weighted) = (40_000, [0.0; 2], [0.0; 2]);
        for run in 0..runs {
            let (mut values, mut acceptance, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
            while accepted.len() < 2 {
                let mut uniforms = [0.0_f64; 2];
                Key::new(7, run, values.len() as u128).uniform(0, &mut uniforms);
                let [y, u] = uniforms;
                let w = 4.0 * y * (1.0 - y);
                values.push(y);
                acceptance.push(w);
                if u < w {
                    accepted.push(y);
                }
            }
            let weights = accept_reject_weights(&acceptance, 2).unwrap();
            let estimate: f64 = values.iter().zip(&weights).map(|(y, weight)| y * weight).sum();
            let mean = (accepted[0] + accepted[1]) / 2.0;
            for (moments, x) in [(&mut plain, mean), (&mut weighted, estimate)] {
                moments[0] += (x - 0.5) / runs as f64;
                moments[1] += (x - 0.5).powi(2) / runs as f64;
            }
        }
        for ([mean, square], variance) in [(plain, 0.025), (weighted, 0.021786)] {
            assert!(mean.abs() < 4.0 * (variance / runs as f64).sqrt(), "{mean}");
            assert!((square / variance - 1.0).abs() < 0.03, "{square}, {variance}");
        }
    }

    /// All ways to accept two of the first four proposals, with three acceptances in total.
    #[test]
    fn weights_are_inclusion_probabilities() {
        let acceptance = [0.2, 0.9, 0.0, 0.4, 0.7];
        let mut inclusion = [0.0; 4];
        let mut total = 0.0;
        for set in (0..16_u32).filter(|set| set.count_ones() == 2) {
            let is_in = |i: usize| set >> i & 1 == 1;
            let probability: f64 = (0..4).map(|i| if is_in(i) { acceptance[i] } else { 1.0 - acceptance[i] }).product();
            total += probability;
            (0..4).filter(|&i| is_in(i)).for_each(|i| inclusion[i] += probability);
        }
        let weights = accept_reject_weights(&acceptance, 3).unwrap();
        for (weight, inclusion) in weights.iter().zip(inclusion) {
            assert!((weight - inclusion / total / 3.0).abs() < 1e-14);
        }
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        // The first acceptance is the last proposal.
        assert_eq!(accept_reject_weights(&[0.3, 0.5], 1).unwrap(), [0.0, 1.0]);
        // A long run does not underflow.
        let long = accept_reject_weights(&vec![0.01; 200_000], 2).unwrap();
        assert!((long.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn samples_that_cannot_occur_are_errors() {
        for (acceptance, accepted, problem) in [
            (&[0.5, 1.5][..], 1, "in [0, 1]"),
            (&[0.5, f64::NAN], 1, "in [0, 1]"),
            (&[0.5], 2, "as many proposals"),
            (&[], 0, "at least 1"),
            (&[0.5, 0.0], 1, "of probability 0"),
            (&[1.0, 0.5], 1, "1 that are always accepted"),
            (&[0.0, 0.5], 2, "0 before the last one"),
        ] {
            let error = accept_reject_weights(acceptance, accepted).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
