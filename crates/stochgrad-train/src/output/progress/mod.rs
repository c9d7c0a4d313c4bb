//! The progress of a run: a bar in a terminal, plain lines elsewhere.

mod lines;
mod speed;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar as Bar, ProgressDrawTarget, ProgressStyle};

use crate::error::TrainResult;
use crate::metrics::{Metrics, Values, total};
use crate::observer::{Observer, RunStart, StepMetrics};
use crate::report::Report;
use crate::warning::Warning;
use lines::Lines;
use speed::{Speed, duration};

/// The time between two changes of the text of a bar.
const REDRAWN: Duration = Duration::from_millis(100);
/// The time between two lines.
const LINES: Duration = Duration::from_secs(5);

/// Shows the progress of a run on the standard error stream: the epoch, the named costs in training and on held-out
/// data, the steps per second and the time left.
///
/// In a terminal it is a bar. Elsewhere it consists of plain lines, one every few seconds, of which the first and the
/// last are always printed. If the stream can no longer be written, for example because a pipe was closed, the display
/// stops and the run continues.
///
/// ```
/// use stochgrad_train::output::ProgressBar;
/// use stochgrad_train::{Metrics, Observer, Report, RunStart, StepMetrics};
///
/// let mut progress = ProgressBar::new();
/// progress.start(&RunStart::default())?;
/// progress.step(&StepMetrics::default())?;
/// progress.metrics(&Metrics::default())?;
/// progress.finish(&Report::default())?;
/// # Ok::<(), stochgrad_train::TrainError>(())
/// ```
pub struct ProgressBar {
    display: Display,
    speed: Speed,
    epochs: Option<u64>,
    steps_per_epoch: Option<u64>,
    epoch: u64,
    training: Values,
    validation: Option<Values>,
    changed: Option<Instant>,
}

enum Display {
    /// The display is chosen when the run starts.
    Unknown,
    Bar(Bar),
    Lines(Lines),
}

impl std::fmt::Debug for ProgressBar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProgressBar").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Default for ProgressBar {
    fn default() -> Self {
        Self::new()
    }
}

impl ProgressBar {
    /// A display on the standard error stream.
    pub fn new() -> Self {
        Self::with_display(Display::Unknown)
    }

    fn with_display(display: Display) -> Self {
        Self {
            display,
            speed: Speed::new(Instant::now(), 0, None),
            epochs: None,
            steps_per_epoch: None,
            epoch: 0,
            training: Values::new(),
            validation: None,
            changed: None,
        }
    }

    /// What is shown after some steps.
    fn describe(&self, now: Instant, step: u64) -> String {
        let mut text = match (self.epochs, self.speed.steps()) {
            (Some(epochs), _) => format!("epoch {}/{epochs}", self.epoch.min(epochs)),
            (None, Some(steps)) => format!("step {step}/{steps}"),
            (None, None) => format!("step {step}"),
        };
        let find =
            |values: &Values, name: &str| values.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let mut push = |name: &str, training: f64, validation: Option<f64>| {
            text += &format!("  {name} {}", number(training));
            if let Some(validation) = validation {
                text += &format!(" ({})", number(validation));
            }
        };
        if self.training.len() > 1 {
            push("total", total(&self.training), self.validation.as_ref().map(|values| total(values)));
        }
        for (name, value) in &self.training {
            push(name, *value, self.validation.as_ref().and_then(|values| find(values, name)));
        }
        if let Some(rate) = self.speed.steps_per_second(now, step) {
            text += &format!("  {} steps/s", number(rate));
        }
        if let Some(left) = self.speed.time_left(now, step) {
            text += &format!("  left {}", duration(left));
        }
        text
    }

    fn start_at(&mut self, now: Instant, run: &RunStart<'_>) {
        let first = run.resumed_at.unwrap_or(0);
        self.speed = Speed::new(now, first, run.steps);
        (self.epochs, self.steps_per_epoch) = (run.epochs, run.steps_per_epoch);
        if let Display::Unknown = self.display {
            self.display = Display::choose(run.steps);
        }
        match &mut self.display {
            Display::Bar(bar) => bar.set_position(first),
            Display::Lines(lines) if first > 0 => lines.write(&format!("resumed at step {first}")),
            _ => {}
        }
    }

    fn step_at(&mut self, now: Instant, step: &StepMetrics<'_>) {
        let Display::Bar(bar) = &self.display else { return };
        bar.set_position(step.step);
        if self.changed.is_some_and(|changed| now.duration_since(changed) < REDRAWN) {
            return;
        }
        self.changed = Some(now);
        // Within an epoch, its number counts from 1.
        self.epoch = step.epoch + 1;
        self.training.clear();
        self.training.extend_from_slice(step.costs);
        bar.set_message(self.describe(now, step.step));
    }

    fn metrics_at(&mut self, now: Instant, metrics: &Metrics) {
        // Measurements within an epoch are those of the one that has begun.
        let within = self.steps_per_epoch.is_some_and(|steps| !metrics.step.is_multiple_of(steps.max(1)));
        self.epoch = metrics.epoch + u64::from(within);
        self.training.clone_from(&metrics.training);
        if metrics.validation.is_some() {
            self.validation.clone_from(&metrics.validation);
        }
        let text = self.describe(now, metrics.step);
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position(metrics.step);
                bar.set_message(text);
            }
            Display::Lines(lines) => lines.offer(now, text),
            Display::Unknown => {}
        }
    }

    fn show_warning(&mut self, warning: &Warning) {
        let text = format!("warning: {warning}");
        match &mut self.display {
            Display::Bar(bar) => bar.suspend(|| drop(writeln!(io::stderr(), "{text}"))),
            Display::Lines(lines) => lines.write(&text),
            Display::Unknown => {}
        }
    }

    fn finish_with(&mut self, report: &Report) {
        let summary = format!("{} after {} steps, {}", report.outcome, report.steps, seconds(report.seconds));
        match &mut self.display {
            Display::Bar(bar) => {
                bar.abandon();
                end_line(bar);
                if !bar.is_hidden() {
                    let _ = writeln!(io::stderr(), "{summary}");
                }
            }
            Display::Lines(lines) => {
                lines.flush();
                lines.write(&summary);
            }
            Display::Unknown => {}
        }
    }
}

impl Observer for ProgressBar {
    fn start(&mut self, run: &RunStart<'_>) -> TrainResult<()> {
        self.start_at(Instant::now(), run);
        Ok(())
    }

    fn step(&mut self, step: &StepMetrics<'_>) -> TrainResult<()> {
        self.step_at(Instant::now(), step);
        Ok(())
    }

    fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
        self.metrics_at(Instant::now(), metrics);
        Ok(())
    }

    fn warning(&mut self, warning: &Warning) -> TrainResult<()> {
        self.show_warning(warning);
        Ok(())
    }

    fn finish(&mut self, report: &Report) -> TrainResult<()> {
        self.finish_with(report);
        Ok(())
    }
}

/// A run that fails leaves the cursor at the start of a line.
impl Drop for ProgressBar {
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display
            && !bar.is_finished()
        {
            bar.abandon();
            end_line(bar);
        }
    }
}

impl Display {
    fn choose(steps: Option<u64>) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if io::stderr().is_terminal() && !dumb {
            Self::Bar(bar(steps))
        } else {
            Self::Lines(Lines::new(Box::new(io::stderr()), LINES))
        }
    }
}

fn bar(steps: Option<u64>) -> Bar {
    let bar = Bar::with_draw_target(steps, ProgressDrawTarget::stderr());
    let template = if steps.is_some() { "{wide_bar} {msg}" } else { "{spinner} {msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    bar
}

/// Moves the cursor to the line below a bar that has ended.
fn end_line(bar: &Bar) {
    if !bar.is_hidden() {
        let _ = writeln!(io::stderr());
    }
}

/// A number with about four digits.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 || size < 1e-3 && size > 0.0 => format!("{value:.3e}"),
        size if size >= 1e3 => format!("{value:.0}"),
        size if size >= 1e2 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::lines::tests::Shared;
    use super::*;
    use crate::report::Outcome;
    use crate::warning::WarningKind;

    fn values(x: f64) -> Values {
        vec![("reconstruction".to_owned(), x), ("kl".to_owned(), 2.5)]
    }

    fn metrics(epoch: u64) -> Metrics {
        let validation = epoch.is_multiple_of(2).then(|| values(31.25));
        Metrics { step: 30 * epoch, epoch, training: values(20.0), validation, ..Metrics::default() }
    }

    fn start(resumed_at: Option<u64>) -> RunStart<'static> {
        let (steps, epochs, steps_per_epoch) = (Some(300), Some(10), Some(30));
        RunStart { resumed_at, steps, epochs, steps_per_epoch, ..RunStart::default() }
    }

    fn lines() -> (ProgressBar, Shared) {
        let out = Shared::default();
        (ProgressBar::with_display(Display::Lines(Lines::new(Box::new(out.clone()), LINES))), out)
    }

    #[test]
    fn lines_come_every_few_seconds_and_at_the_end() {
        let (mut progress, out) = lines();
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        progress.start_at(begin, &start(None));
        // One epoch takes two seconds.
        (1..=10).for_each(|epoch| progress.metrics_at(at(2 * epoch), &metrics(epoch)));
        progress.finish_with(&Report { steps: 300, seconds: 20.0, ..Report::default() });
        let text = out.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[0], "epoch 1/10  total 22.50  reconstruction 20.00  kl 2.500  15.00 steps/s  left 18s");
        assert_eq!(
            lines[1],
            "epoch 4/10  total 22.50 (33.75)  reconstruction 20.00 (31.25)  kl 2.500 (2.500)  15.00 steps/s  left 12s"
        );
        assert!(lines[2].starts_with("epoch 7/10") && lines[3].starts_with("epoch 10/10"));
        assert_eq!(lines[4], "completed after 300 steps, 20s");
        assert!(!text.contains('\u{1b}') && !text.contains('\r'));
    }

    #[test]
    fn a_warning_has_a_line_of_its_own() {
        let (mut progress, out) = lines();
        progress.start_at(Instant::now(), &start(None));
        let (kind, subject) = (WarningKind::SmallCost, "kl".to_owned());
        let warning = Warning { kind, subject, step: 30, steps: 30, value: 0.0, limit: 0.1 };
        progress.show_warning(&warning);
        assert_eq!(out.text(), format!("warning: {warning}\n"));
    }

    #[test]
    fn a_resumed_run_has_its_own_speed() {
        let (mut progress, out) = lines();
        let begin = Instant::now();
        progress.start_at(begin, &start(Some(150)));
        progress.metrics_at(begin + Duration::from_secs(3), &metrics(6));
        let report = Report { outcome: Outcome::Interrupted, steps: 185, seconds: 3.6, ..Report::default() };
        progress.finish_with(&report);
        let text = out.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "resumed at step 150");
        assert!(lines[1].starts_with("epoch 6/10") && lines[1].ends_with("10.00 steps/s  left 12s"), "{text}");
        assert_eq!(lines[2], "interrupted after 185 steps, 4s");
    }

    #[test]
    fn a_bar_follows_the_steps() {
        let bar = bar(Some(300));
        bar.set_draw_target(ProgressDrawTarget::hidden());
        let mut progress = ProgressBar::with_display(Display::Bar(bar.clone()));
        let begin = Instant::now();
        progress.start_at(begin, &start(Some(120)));
        assert_eq!((bar.position(), bar.length()), (120, Some(300)));
        let costs = values(20.0);
        let step = |step: u64| StepMetrics {
            step,
            epoch: (step - 1) / 30,
            members: 50,
            costs: &costs,
            ..StepMetrics::default()
        };
        progress.step_at(begin + Duration::from_millis(500), &step(125));
        let message = bar.message();
        assert_eq!(message, "epoch 5/10  total 22.50  reconstruction 20.00  kl 2.500  10.00 steps/s  left 18s");
        progress.step_at(begin + Duration::from_millis(550), &step(126));
        assert_eq!((bar.position(), bar.message()), (126, message));
        progress.metrics_at(begin + Duration::from_secs(1), &metrics(6));
        assert!(bar.message().starts_with("epoch 6/10  total 22.50 (33.75)"));
        assert!(!bar.is_finished());
        progress.finish_with(&Report::default());
        assert!(bar.is_finished());
    }

    #[test]
    fn a_run_of_unknown_length_shows_its_steps() {
        let (mut progress, out) = lines();
        let begin = Instant::now();
        progress.start_at(begin, &RunStart::default());
        progress.metrics_at(begin + Duration::from_secs(1), &metrics(1));
        assert!(out.text().starts_with("step 30  total"), "{}", out.text());
        assert!(!out.text().contains("left"));
    }

    #[test]
    fn numbers_have_about_four_digits() {
        let shown = [0.0, 0.5, -12.345, 131.07, 1999.6, 2e6, 1e-5, f64::NAN].map(number);
        assert_eq!(shown, ["0.000", "0.500", "-12.35", "131.1", "2000", "2.000e6", "1.000e-5", "NaN"]);
    }
}
