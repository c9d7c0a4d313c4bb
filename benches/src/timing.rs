//! The timing of a step.

use std::time::{Duration, Instant};

/// How long and how often a step is called.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the step is called before the timed calls.
    pub warm_up: Duration,
    /// The time after which no more timed calls are made.
    pub timed: Duration,
    /// The smallest number of timed calls.
    pub fewest: usize,
    /// The largest number of timed calls.
    pub most: usize,
}

impl Limits {
    /// The limits for a comparison, with this many seconds of timed calls.
    pub fn seconds(seconds: f64) -> Self {
        Self {
            warm_up: Duration::from_millis(500),
            timed: Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)),
            fewest: 7,
            most: 20_000,
        }
    }
}

/// The wall-clock time of a step, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// The median.
    pub median: f64,
    /// The tenth percentile.
    pub p10: f64,
    /// The number of timed calls.
    pub calls: usize,
}

/// Times each call of `step`, after a warm-up of at least three calls.
///
/// # Errors
/// The first error of a step.
pub fn time<E>(limits: Limits, mut step: impl FnMut() -> Result<(), E>) -> Result<Timing, E> {
    let started = Instant::now();
    let mut calls = 0;
    while calls < 3 || started.elapsed() < limits.warm_up {
        step()?;
        calls += 1;
    }
    let started = Instant::now();
    let mut times = Vec::new();
    while (started.elapsed() < limits.timed || times.len() < limits.fewest) && times.len() < limits.most.max(1) {
        let before = Instant::now();
        step()?;
        times.push(before.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(Timing { median: times[times.len() / 2], p10: times[times.len() / 10], calls: times.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Limits = Limits { warm_up: Duration::ZERO, timed: Duration::ZERO, fewest: 7, most: 20 };

    #[test]
    fn a_step_is_timed_within_the_limits() {
        let mut calls = 0;
        let timing = time::<()>(QUICK, || {
            calls += 1;
            Ok(())
        });
        assert_eq!(timing.expect("no error").calls, 7);
        assert_eq!(calls, 3 + 7);
        let longer = Limits { timed: Duration::from_secs(60), ..QUICK };
        assert_eq!(time::<()>(longer, || Ok(())).expect("no error").calls, 20);
    }

    #[test]
    fn times_are_in_milliseconds() {
        let sleep = || -> Result<(), ()> {
            std::thread::sleep(Duration::from_millis(2));
            Ok(())
        };
        let timing = time(QUICK, sleep).expect("no error");
        assert!(timing.p10 >= 2.0 && timing.p10 <= timing.median && timing.median < 1000.0, "{timing:?}");
    }

    #[test]
    fn an_error_ends_the_timing() {
        let mut left = 5;
        let failed = time(QUICK, || {
            left -= 1;
            if left == 0 { Err("spent") } else { Ok(()) }
        });
        assert_eq!(failed, Err("spent"));
        assert_eq!(left, 0);
    }
}
