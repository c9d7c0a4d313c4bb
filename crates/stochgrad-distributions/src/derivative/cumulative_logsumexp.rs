//! Logarithms of cumulative sums of exponentials.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// $\ln \sum_{j \ge i} e^{x_j}$ for each position $i$ of the last axis, without overflow or cancellation, in about
/// $\log_2 n$ operations.
pub(crate) fn suffix_logsumexp<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    let count = x.shape().last().copied().unwrap_or(0);
    let mut sums = x;
    let mut reach = 1;
    while reach < count {
        let both = sums.slice(-1, 0..count - reach).logaddexp(sums.slice(-1, reach..count));
        sums = Var::concat(&[both, sums.slice(-1, count - reach..count)], -1).unwrap_or(sums);
        reach *= 2;
    }
    sums
}

/// $\ln \sum_{j \le i} e^{x_j}$ for each position $i$ of the last axis.
pub(crate) fn prefix_logsumexp<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    let count = x.shape().last().copied().unwrap_or(0);
    let mut sums = x;
    let mut reach = 1;
    while reach < count {
        let both = sums.slice(-1, reach..count).logaddexp(sums.slice(-1, 0..count - reach));
        sums = Var::concat(&[sums.slice(-1, 0..reach), both], -1).unwrap_or(sums);
        reach *= 2;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use stochgrad_tape::Tape;

    #[test]
    fn they_are_the_logarithms_of_plain_sums() {
        let values = [0.3, -700.0, 2.0, 1.5, -0.4, 600.0, -3.0];
        for count in 1..=values.len() {
            let tape = Tape::<f64>::new();
            let x = tape.constant(&values[..count]);
            let found = (suffix_logsumexp(x).peek().unwrap(), prefix_logsumexp(x).peek().unwrap());
            for i in 0..count {
                let direct = |part: &[f64]| {
                    let top = part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    top + part.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
                };
                assert_relative_eq!(found.0.as_slice()[i], direct(&values[i..count]), max_relative = 1e-14);
                assert_relative_eq!(found.1.as_slice()[i], direct(&values[..=i]), max_relative = 1e-14);
            }
        }
    }
}
