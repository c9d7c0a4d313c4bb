//! Helpers for several tests.

use stochgrad::prelude::Tensor;

/// Sums of samples, element by element, to test a mean.
pub(crate) struct Samples {
    sums: Vec<f64>,
    squares: Vec<f64>,
    count: f64,
}

impl Samples {
    pub(crate) fn new(elements: usize) -> Self {
        Self { sums: vec![0.0; elements], squares: vec![0.0; elements], count: 0.0 }
    }

    /// Adds samples of shape `[count, elements]`.
    pub(crate) fn add(&mut self, samples: &Tensor<f32>) {
        assert_eq!(samples.len() % self.sums.len(), 0);
        for row in samples.as_slice().chunks_exact(self.sums.len()) {
            for (element, &sample) in row.iter().enumerate() {
                self.sums[element] += f64::from(sample);
                self.squares[element] += f64::from(sample).powi(2);
            }
            self.count += 1.0;
        }
    }

    /// Asserts that each mean is within five standard errors of the exact one, and that the standard errors are small
    /// enough for the test to be meaningful.
    pub(crate) fn assert_means(&self, what: &str, exact: &[f64], largest_error: f64) {
        assert_eq!(self.sums.len(), exact.len());
        for (element, exact) in exact.iter().enumerate() {
            let mean = self.sums[element] / self.count;
            let variance = (self.squares[element] / self.count - mean * mean).max(0.0);
            let error = (variance / self.count).sqrt();
            assert!(error <= largest_error, "{what}, element {element}: a standard error of {error}");
            // Without variance, the rounding of single precision remains.
            let allowed = 5.0 * error + 1e-5;
            assert!((mean - exact).abs() < allowed, "{what}, element {element}: {mean}, not {exact} ± {error}");
        }
    }
}

/// The mean of a function of a uniform variable, by the midpoint rule.
pub(crate) fn uniform_mean(f: impl Fn(f64) -> f64) -> f64 {
    const CELLS: i32 = 200_000;
    (0..CELLS).map(|cell| f((f64::from(cell) + 0.5) / f64::from(CELLS))).sum::<f64>() / f64::from(CELLS)
}

/// The mean of a function of a standard normal variable, by the trapezoidal rule, which is exact to rounding for smooth
/// functions.
pub(crate) fn normal_mean(f: impl Fn(f64) -> f64) -> f64 {
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (-2000..=2000).map(|i| f64::from(i) * 5e-3).map(|x| density(x) * f(x)).sum::<f64>() * 5e-3
}

/// The derivative of a function at a point with respect to each coordinate.
pub(crate) fn central_differences<const N: usize>(at: [f64; N], f: impl Fn([f64; N]) -> f64) -> [f64; N] {
    const STEP: f64 = 1e-4;
    std::array::from_fn(|i| {
        let moved = |step: f64| {
            let mut point = at;
            point[i] += step;
            f(point)
        };
        (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
    })
}
