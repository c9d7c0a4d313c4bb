//! Inversion of a distribution function on the counts.

/// The smallest `k` with `u < cdf(k)`, by doubling and bisection.
pub fn quantile(u: f64, cdf: impl Fn(u64) -> f64) -> u64 {
    if u < cdf(0) {
        return 0;
    }
    let mut low = 0;
    let mut high = 1;
    // A distribution function that stops short of `u` by rounding ends the search far in its tail.
    while u >= cdf(high) && high < 1 << 52 {
        low = high;
        high *= 2;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if u < cdf(middle) { high = middle } else { low = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_smallest_number_whose_chance_exceeds() {
        let cdf = |k: u64| [0.25, 0.5, 0.5, 1.0][k.min(3) as usize];
        let cases = [(0.0, 0), (0.2499, 0), (0.25, 1), (0.4999, 1), (0.5, 3), (0.9999, 3)];
        for (u, expected) in cases {
            assert_eq!(quantile(u, cdf), expected, "u = {u}");
        }
        assert_eq!(quantile(0.3, |_| 1.0), 0);
        let far = |k: u64| if k >= 123_456_789 { 1.0 } else { 0.0 };
        assert_eq!(quantile(0.5, far), 123_456_789);
        // A distribution function that stops short of u must end the search.
        assert_eq!(quantile(0.9999, |_| 0.9), 1 << 52);
    }
}
