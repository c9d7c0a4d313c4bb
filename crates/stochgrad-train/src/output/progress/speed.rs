//! The speed of a run, and the time that is left.

use std::time::{Duration, Instant};

/// Measures the steps per second of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    started: Instant,
    /// The steps of earlier processes, which say nothing about the speed of this one.
    before: u64,
    /// The number of steps of the whole run, if it is known.
    steps: Option<u64>,
}

impl Speed {
    pub(super) fn new(started: Instant, before: u64, steps: Option<u64>) -> Self {
        Self { started, before, steps }
    }

    pub(super) fn steps(&self) -> Option<u64> {
        self.steps
    }

    /// The mean speed until a step.
    pub(super) fn steps_per_second(&self, now: Instant, step: u64) -> Option<f64> {
        let seconds = now.duration_since(self.started).as_secs_f64();
        (seconds > 0.0 && step > self.before).then(|| (step - self.before) as f64 / seconds)
    }

    pub(super) fn time_left(&self, now: Instant, step: u64) -> Option<Duration> {
        let left = self.steps?.saturating_sub(step);
        let seconds = left as f64 / self.steps_per_second(now, step)?;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

/// A duration in its two largest units, such as "1h 02m" or "3m 07s".
pub(super) fn duration(time: Duration) -> String {
    // Rounding up avoids "0s" while there is work left.
    let seconds = time.as_secs_f64().ceil() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {:02}s", seconds % 60),
        _ => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_steps_at_the_speed_so_far() {
        let begin = Instant::now();
        let speed = Speed::new(begin, 100, Some(1000));
        let now = begin + Duration::from_secs(4);
        assert_eq!(speed.steps_per_second(now, 300), Some(50.0));
        assert_eq!(speed.time_left(now, 300), Some(Duration::from_secs(14)));
        assert_eq!(speed.time_left(now, 1000), Some(Duration::ZERO));
        assert_eq!(speed.time_left(begin, 300), None);
        assert_eq!(speed.time_left(now, 100), None);
        assert_eq!(Speed::new(begin, 0, None).time_left(now, 100), None);
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let show = |seconds| duration(Duration::from_secs_f64(seconds));
        assert_eq!([0.0, 0.2, 187.0, 3725.0].map(show), ["0s", "1s", "3m 07s", "1h 02m"]);
    }
}
