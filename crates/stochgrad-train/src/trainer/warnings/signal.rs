//! The signal-to-noise ratio of the gradient at a node.

use crate::spread::Spread;
use crate::warning::{Warning, WarningKind};

/// A gradient whose signal-to-noise ratio is below this is mostly noise.
const LIMIT: f64 = 0.1;

/// The smallest number of steps over which the ratio is measured.
const STEPS: u64 = 100;

/// The smallest number of estimates over which the ratio is measured.
const ESTIMATES: f64 = 5.0;

/// The signal-to-noise ratio of a gradient, ‖E g‖ / √(Σᵢ Var gᵢ), over the estimates since some step.
///
/// An estimate of the squared signal, ‖ḡ‖² − Σᵢ Var(gᵢ) / k, is unbiased, but has an error that is larger than the
/// limit if there are few elements. The estimates are therefore collected until the ratio differs from the limit by two
/// standard errors. If it is larger, the next estimates are collected anew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signal {
    /// The step of the first estimate.
    start: u64,
    /// The number of estimates.
    count: f64,
    /// The sum of the squared signals.
    signal: f64,
    /// The sum of their squares.
    squares: f64,
    /// The sum of the variances of the estimates of the squared signals, if the elements are independent.
    errors: f64,
    /// The sum of the variances of the gradients.
    noise: f64,
}

impl Signal {
    pub(super) fn new(step: u64) -> Self {
        Signal { start: step, count: 0.0, signal: 0.0, squares: 0.0, errors: 0.0, noise: 0.0 }
    }

    pub(super) fn row(&self) -> [f64; 6] {
        let Signal { start, count, signal, squares, errors, noise } = *self;
        [start as f64, count, signal, squares, errors, noise]
    }

    pub(super) fn from_row([start, count, signal, squares, errors, noise]: [f64; 6]) -> Self {
        Signal { start: start as u64, count, signal, squares, errors, noise }
    }

    pub(super) fn observe(&mut self, node: &str, spread: &Spread, step: u64) -> Option<Warning> {
        let squared = spread.squared_signal();
        self.count += 1.0;
        self.signal += squared;
        self.squares += squared * squared;
        self.errors += spread.variance_of_squared_signal();
        self.noise += spread.total();
        let steps = step - self.start;
        if steps < STEPS || self.count < ESTIMATES {
            return None;
        }
        let [signal, squares, errors, noise] =
            [self.signal, self.squares, self.errors, self.noise].map(|sum| sum / self.count);
        let spread = (squares - signal * signal).max(0.0) * self.count / (self.count - 1.0);
        let error = 2.0 * (spread.max(errors) / self.count).sqrt();
        let limit = LIMIT * LIMIT * noise;
        if signal - error >= limit {
            *self = Signal::new(step);
        }
        (signal + error < limit).then(|| Warning {
            kind: WarningKind::WeakSignal,
            subject: node.into(),
            step,
            steps,
            value: (signal.max(0.0) / noise).sqrt(),
            limit: LIMIT,
        })
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_tensor::Tensor;
    use stochgrad_tensor::random::{Key, address_hash};

    use super::*;

    /// The step of the warning for gradients with a signal-to-noise ratio, estimated every ten steps.
    fn warned(elements: usize, ratio: f64, steps: u64) -> Option<u64> {
        let mut signal = Signal::new(0);
        for step in (0..steps).step_by(10) {
            let mut spread = Spread::default();
            for evaluation in 0..8 {
                let mut noise = vec![0.0_f64; elements];
                Key::new(step, evaluation, address_hash("noise", &[])).normal(0, &mut noise);
                let gradient = Tensor::from(noise.iter().map(|x| x + ratio).collect::<Vec<f64>>());
                spread.add([&gradient].into_iter());
            }
            if let Some(warning) = signal.observe("z", &spread, step) {
                assert!(warning.value < 0.1 && warning.limit == 0.1 && warning.subject == "z");
                return Some(warning.step);
            }
        }
        None
    }

    #[test]
    fn a_ratio_below_the_limit_is_found_and_one_above_is_not() {
        // With 2000 elements, the error of the squared ratio of one estimate is √(2 / 2000) / 8 = 0.004, so that six of
        // them tell 0.02² and 0.3² from 0.1².
        assert_eq!(warned(2000, 0.02, 200), Some(100));
        assert_eq!(warned(2000, 0.0, 200), Some(100));
        for ratio in [0.15, 0.3, 3.0] {
            assert_eq!(warned(2000, ratio, 1000), None);
        }
    }

    #[test]
    fn few_elements_need_more_estimates() {
        // The error of one estimate is √2 / 8: of 100 of them, twice the error is 0.035.
        assert_eq!(warned(1, 0.0, 1000), None);
        assert_eq!(warned(1, 0.4, 3000), None);
        let found = warned(20, 0.0, 3000).unwrap();
        assert!((100..3000).contains(&found), "{found}");
    }

    #[test]
    fn a_gradient_without_noise_is_no_reason_to_warn() {
        let mut signal = Signal::new(0);
        for step in 0..200 {
            let mut spread = Spread::default();
            for _ in 0..2 {
                spread.add([&Tensor::<f64>::zeros([3])].into_iter());
            }
            assert_eq!(signal.observe("z", &spread, step), None);
        }
    }
}
