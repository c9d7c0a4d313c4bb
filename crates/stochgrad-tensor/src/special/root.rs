//! Roots of increasing functions.

/// The root of an increasing function in a bracket, from an initial guess. `f` returns the value and the slope.
///
/// Method: Newton's method. If a step leaves the bracket or is not finite (value and slope may have underflowed), the
/// bracket is bisected instead. The iteration ends when a step is below the rounding error of the root, and after 200
/// steps at the latest.
pub(super) fn rising_root(bracket: [f64; 2], guess: f64, f: impl Fn(f64) -> (f64, f64)) -> f64 {
    rising_root_within(2.0 * f64::EPSILON, bracket, guess, f)
}

/// As [`rising_root`], but the iteration ends at a step below `precision` times the root. The relative error is of the
/// order of the square of `precision`.
pub(super) fn rising_root_within(
    precision: f64,
    [mut low, mut high]: [f64; 2],
    guess: f64,
    f: impl Fn(f64) -> (f64, f64),
) -> f64 {
    let mut x = if guess > low && guess < high { guess } else { 0.5 * (low + high) };
    for _ in 0..200 {
        let (value, slope) = f(x);
        if value == 0.0 {
            break;
        }
        if value > 0.0 {
            high = x
        } else {
            low = x
        }
        let newton = x - value / slope;
        // A small step of Newton's method may leave the bracket by a rounding error.
        if (newton - x).abs() <= precision * x.abs() {
            return newton.clamp(low, high);
        }
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let step = (next - x).abs();
        x = next;
        if step <= 2.0 * f64::EPSILON * x.abs() {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_found_from_anywhere() {
        for guess in [-9.0, 0.1, 0.5, 1.9, f64::NAN] {
            let root = rising_root([0.0, 2.0], guess, |x| (x * x - 2.0, 2.0 * x));
            assert!((root - 2.0_f64.sqrt()).abs() < 1e-15, "{guess}: {root}");
        }
        // Flat on the left: Newton's step leaves the bracket.
        let root = rising_root([-100.0, 100.0], -90.0, |x| (x.exp() - 1.0, x.exp()));
        assert!(root.abs() < 1e-15, "{root}");
        // Underflow on the left.
        let root = rising_root([-1e4, 0.0], -9e3, |x| (x.exp().ln() + 3.0, x.exp() / x.exp()));
        assert!((root + 3.0).abs() < 1e-15, "{root}");
    }
}
