//! The progress of a run: a bar in a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The approximate number of lines that a run prints if there is no terminal.
const LINES: usize = 20;

/// Displays the progress of a run.
///
/// If the output can no longer be written, for example because a pipe was closed, the display stops and the run
/// continues. Dropping the display leaves the cursor at the start of a line.
pub(crate) struct Progress {
    epochs: usize,
    steps_per_epoch: usize,
    epoch: usize,
    step: usize,
    train: Option<f64>,
    test: Option<f64>,
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Lines(Lines),
}

struct Lines {
    /// `None` once writing has failed.
    out: Option<Box<dyn Write + Send>>,
    every: usize,
    started: Instant,
    epochs_before: usize,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("epochs", &self.epochs)
            .field("epoch", &self.epoch)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// A display on the standard output for a run of `epochs` epochs, of which `epochs_before` were completed before it
    /// was resumed.
    pub(crate) fn new(epochs: usize, steps_per_epoch: usize, epochs_before: usize) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let display = if io::stdout().is_terminal() && !dumb {
            Display::Bar(bar(epochs, steps_per_epoch, epochs_before))
        } else {
            Display::Lines(Lines::new(Box::new(io::stdout()), epochs, epochs_before))
        };
        Self::with_display(epochs, steps_per_epoch, epochs_before, display)
    }

    fn with_display(epochs: usize, steps_per_epoch: usize, epochs_before: usize, display: Display) -> Self {
        Self {
            epochs,
            steps_per_epoch,
            epoch: epochs_before,
            step: if epochs_before > 0 { steps_per_epoch } else { 0 },
            train: None,
            test: None,
            display,
        }
    }

    /// Reports the end of training step `step` of epoch `epoch`, both counted from 1. `train_neg_elbo` is the −ELBO of
    /// the step in nats per image.
    pub(crate) fn step(&mut self, epoch: usize, step: usize, train_neg_elbo: f64) {
        (self.epoch, self.step) = (epoch, step);
        self.train = Some(train_neg_elbo);
        if let Display::Bar(bar) = &self.display {
            let before = epoch.saturating_sub(1) * self.steps_per_epoch;
            bar.set_position((before + step) as u64);
            bar.set_message(self.describe());
        }
    }

    /// Reports the end of epoch `epoch`, counted from 1, with its mean −ELBO on the training images and the −ELBO on
    /// the test images after it.
    pub(crate) fn epoch(&mut self, epoch: usize, train_neg_elbo: f64, test_neg_elbo: f64) {
        (self.epoch, self.step) = (epoch, self.steps_per_epoch);
        (self.train, self.test) = (Some(train_neg_elbo), Some(test_neg_elbo));
        let text = self.describe();
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position((epoch * self.steps_per_epoch) as u64);
                bar.set_message(text);
            }
            Display::Lines(lines) => {
                let due = epoch == 1 || epoch.is_multiple_of(lines.every) || epoch == self.epochs;
                if due {
                    let left = lines.time_left(epoch, self.epochs);
                    lines.write(&format!("{text}  left {}", duration(left)));
                }
            }
        }
    }

    /// Ends the display of a completed run.
    pub(crate) fn finish(self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish();
            new_line(bar);
        }
    }

    /// Ends the display of an interrupted run, and prints where it stopped.
    pub(crate) fn interrupt(mut self) {
        let text = format!(
            "interrupted in epoch {} of {}, after step {} of {}",
            self.epoch, self.epochs, self.step, self.steps_per_epoch
        );
        match &mut self.display {
            Display::Bar(bar) => {
                bar.abandon();
                new_line(bar);
                let _ = writeln!(io::stdout(), "{text}");
            }
            Display::Lines(lines) => lines.write(&text),
        }
    }

    fn describe(&self) -> String {
        let width = self.epochs.to_string().len();
        let mut text = format!("epoch {:>width$}/{}", self.epoch, self.epochs);
        if matches!(self.display, Display::Bar(_)) {
            let width = self.steps_per_epoch.to_string().len();
            text += &format!("  step {:>width$}/{}", self.step, self.steps_per_epoch);
        }
        for (name, value) in [("−ELBO train", self.train), ("test", self.test)] {
            if let Some(value) = value {
                text += &format!("  {name} {value:.3}");
            }
        }
        text
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display
            && !bar.is_finished()
        {
            bar.abandon();
            new_line(bar);
        }
    }
}

/// Moves the cursor to the line below a bar that has ended.
fn new_line(bar: &ProgressBar) {
    if !bar.is_hidden() {
        let _ = writeln!(io::stdout());
    }
}

fn bar(epochs: usize, steps_per_epoch: usize, epochs_before: usize) -> ProgressBar {
    let length = epochs.saturating_mul(steps_per_epoch) as u64;
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stdout());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}  left {eta}") {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    bar.set_position(epochs_before.saturating_mul(steps_per_epoch) as u64);
    // Steps of an earlier process say nothing about the speed of this one.
    bar.reset_eta();
    bar
}

impl Lines {
    fn new(out: Box<dyn Write + Send>, epochs: usize, epochs_before: usize) -> Self {
        Self {
            out: Some(out),
            every: epochs.saturating_sub(epochs_before).div_ceil(LINES).max(1),
            started: Instant::now(),
            epochs_before,
        }
    }

    fn write(&mut self, line: &str) {
        let written = self.out.as_mut().map(|out| writeln!(out, "{line}").and_then(|()| out.flush()));
        if let Some(Err(_)) = written {
            self.out = None;
        }
    }

    fn time_left(&self, epoch: usize, epochs: usize) -> Duration {
        let done = epoch.saturating_sub(self.epochs_before).max(1);
        let left = epochs.saturating_sub(epoch);
        let seconds = self.started.elapsed().as_secs_f64() * left as f64 / done as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// A duration in its two largest units, such as "1h 02m" or "3m 07s".
fn duration(time: Duration) -> String {
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
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(epochs: usize, before: usize) -> (Progress, Shared) {
        let out = Shared::default();
        let display = Display::Lines(Lines::new(Box::new(out.clone()), epochs, before));
        (Progress::with_display(epochs, 3, before, display), out)
    }

    fn run(progress: &mut Progress, epochs: std::ops::RangeInclusive<usize>) {
        for epoch in epochs {
            for step in 1..=3 {
                progress.step(epoch, step, 50.0);
            }
            progress.epoch(epoch, 30.0, 31.5);
        }
    }

    #[test]
    fn a_short_run_prints_a_line_for_each_epoch() {
        let (mut progress, out) = lines(3, 0);
        run(&mut progress, 1..=3);
        progress.finish();
        let text = out.text();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(text.lines().last(), Some("epoch 3/3  −ELBO train 30.000  test 31.500  left 0s"));
        assert!(!text.contains('\u{1b}') && !text.contains('\r'));
    }

    #[test]
    fn a_long_run_prints_about_twenty_lines_and_the_last() {
        let (mut progress, out) = lines(1003, 0);
        run(&mut progress, 1..=1003);
        progress.finish();
        let text = out.text();
        assert!((19..=22).contains(&text.lines().count()), "{text}");
        assert!(text.starts_with("epoch    1/1003"));
        assert!(text.lines().last().unwrap().starts_with("epoch 1003/1003"));
    }

    #[test]
    fn an_interruption_says_where() {
        let (mut progress, out) = lines(10, 4);
        run(&mut progress, 5..=6);
        progress.step(7, 2, 29.0);
        progress.interrupt();
        assert_eq!(out.text().lines().last(), Some("interrupted in epoch 7 of 10, after step 2 of 3"));
    }

    #[test]
    fn a_closed_pipe_ends_the_display_only() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let display = Display::Lines(Lines::new(Box::new(Closed), 2, 0));
        let mut progress = Progress::with_display(2, 3, 0, display);
        run(&mut progress, 1..=2);
        assert!(matches!(&progress.display, Display::Lines(lines) if lines.out.is_none()));
        progress.finish();
    }

    #[test]
    fn a_bar_follows_the_steps_of_a_resumed_run() {
        let bar = bar(10, 3, 4);
        bar.set_draw_target(ProgressDrawTarget::hidden());
        let mut progress = Progress::with_display(10, 3, 4, Display::Bar(bar.clone()));
        assert_eq!((bar.position(), bar.length()), (12, Some(30)));
        progress.step(5, 2, 40.0);
        assert_eq!(bar.position(), 14);
        assert_eq!(bar.message(), "epoch  5/10  step 2/3  −ELBO train 40.000");
        progress.epoch(5, 39.0, 41.0);
        assert_eq!(bar.position(), 15);
        assert!(!bar.is_finished());
        progress.finish();
        assert!(bar.is_finished());
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let show = |seconds| duration(Duration::from_secs_f64(seconds));
        assert_eq!(show(0.0), "0s");
        assert_eq!(show(0.2), "1s");
        assert_eq!(show(187.0), "3m 07s");
        assert_eq!(show(3725.0), "1h 02m");
    }
}
