//! Gauss quadrature: weighted sums that replace expectations under a distribution.
//!
//! The orthonormal polynomials of a distribution satisfy
//! $$b_{k+1} p_{k+1}(x) = (x - a_k) p_k(x) - b_k p_{k-1}(x).$$
//! The nodes are the eigenvalues of the symmetric tridiagonal matrix of the $a_k$ and $b_k$ (Golub and Welsch 1969),
//! found by bisection on Sturm counts and one Newton step. The weight of a node is $1 / \sum_k p_k(x)^2$, which has a
//! relative error of the size of rounding.

/// A distribution with known orthogonal polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaseDistribution {
    /// Uniform on (0, 1): Gauss–Legendre.
    Uniform,
    /// Standard normal: Gauss–Hermite.
    Normal,
    /// Standard exponential: Gauss–Laguerre.
    Exponential,
}

/// Nodes, and weights that add up to 1. The rule is exact for polynomials of degrees below twice the number of nodes.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) nodes: Vec<f64>,
    pub(crate) weights: Vec<f64>,
}

impl BaseDistribution {
    /// The coefficients `a_k` and `b_k` of the recurrence.
    fn recurrence(self, k: usize) -> (f64, f64) {
        let k = k as f64;
        match self {
            BaseDistribution::Uniform => (0.5, if k == 0.0 { 0.0 } else { 0.5 * k / (4.0 * k * k - 1.0).sqrt() }),
            BaseDistribution::Normal => (0.0, k.sqrt()),
            BaseDistribution::Exponential => (2.0 * k + 1.0, k),
        }
    }
}

impl Rule {
    /// The rule with `count` nodes, at least one.
    pub(crate) fn new(distribution: BaseDistribution, count: usize) -> Self {
        let count = count.max(1);
        let coefficients: Vec<(f64, f64)> = (0..=count).map(|k| distribution.recurrence(k)).collect();
        let nodes: Vec<f64> =
            (0..count).map(|i| polish(&coefficients, eigenvalue(&coefficients[..count], i))).collect();
        let mut weights: Vec<f64> = nodes.iter().map(|&x| weight(&coefficients, x)).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        Rule { nodes, weights }
    }
}

/// The eigenvalue that has `index` smaller ones.
fn eigenvalue(coefficients: &[(f64, f64)], index: usize) -> f64 {
    let radius = coefficients.iter().map(|&(a, b)| a.abs() + 2.0 * b).fold(1.0, f64::max) * 2.0;
    let (mut low, mut high) = (-radius, radius);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if eigenvalues_below(coefficients, middle) > index {
            high = middle;
        } else {
            low = middle;
        }
    }
}

fn eigenvalues_below(coefficients: &[(f64, f64)], x: f64) -> usize {
    let mut pivot = 1.0;
    let mut count = 0;
    for &(a, b) in coefficients {
        pivot = a - x - b * b / pivot;
        if pivot == 0.0 {
            pivot = f64::MIN_POSITIVE;
        }
        count += usize::from(pivot < 0.0);
    }
    count
}

/// One Newton step on the polynomial whose zeros are the nodes.
fn polish(coefficients: &[(f64, f64)], x: f64) -> f64 {
    let (mut before, mut p) = (0.0, 1.0);
    let (mut slope_before, mut slope) = (0.0, 0.0);
    for pair in coefficients.windows(2) {
        let ((a, b), (_, next)) = (pair[0], pair[1]);
        (slope_before, slope) = (slope, ((x - a) * slope + p - b * slope_before) / next);
        (before, p) = (p, ((x - a) * p - b * before) / next);
    }
    let step = p / slope;
    if step.abs() < 1e-10 * x.abs().max(1.0) { x - step } else { x }
}

fn weight(coefficients: &[(f64, f64)], x: f64) -> f64 {
    let (mut before, mut p) = (0.0, 1.0);
    let mut sum = 1.0;
    for pair in coefficients[..coefficients.len() - 1].windows(2) {
        let ((a, b), (_, next)) = (pair[0], pair[1]);
        (before, p) = (p, ((x - a) * p - b * before) / next);
        sum += p * p;
    }
    1.0 / sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    fn moment(rule: &Rule, degree: i32) -> f64 {
        rule.nodes.iter().zip(&rule.weights).map(|(x, w)| w * x.powi(degree)).sum()
    }

    #[test]
    fn rules_are_exact_for_polynomials() {
        for count in [1, 2, 3, 5, 8, 16, 24] {
            let (uniform, normal, exponential) = (
                Rule::new(BaseDistribution::Uniform, count),
                Rule::new(BaseDistribution::Normal, count),
                Rule::new(BaseDistribution::Exponential, count),
            );
            let (mut odd_factorial, mut factorial) = (1.0, 1.0);
            for degree in 0..2 * count as i32 {
                if degree > 0 {
                    factorial *= f64::from(degree);
                }
                if degree > 1 && degree % 2 == 0 {
                    odd_factorial *= f64::from(degree - 1);
                }
                let expected = 1.0 / f64::from(degree + 1);
                assert!((moment(&uniform, degree) - expected).abs() < 1e-14, "uniform, {count} nodes, degree {degree}");
                if degree % 2 == 0 {
                    assert!(
                        (moment(&normal, degree) / odd_factorial - 1.0).abs() < 1e-12,
                        "normal, {count} nodes, degree {degree}"
                    );
                } else {
                    assert!(
                        moment(&normal, degree).abs() < 1e-12 * factorial,
                        "normal, {count} nodes, degree {degree}"
                    );
                }
                assert!(
                    (moment(&exponential, degree) / factorial - 1.0).abs() < 1e-12,
                    "exponential, {count} nodes, degree {degree}"
                );
            }
        }
    }

    #[test]
    fn three_node_rules_are_those_of_the_tables() {
        let rule = Rule::new(BaseDistribution::Normal, 3);
        for (found, expected) in rule.nodes.iter().zip([-(3.0_f64.sqrt()), 0.0, 3.0_f64.sqrt()]) {
            assert_abs_diff_eq!(*found, expected, epsilon = 1e-15);
        }
        for (found, expected) in rule.weights.iter().zip([1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0]) {
            assert_abs_diff_eq!(*found, expected, epsilon = 1e-15);
        }
        let rule = Rule::new(BaseDistribution::Uniform, 2);
        assert_abs_diff_eq!(rule.nodes[0], (0.5 - 0.5 / 3.0_f64.sqrt()), epsilon = 1e-16);
    }
}
