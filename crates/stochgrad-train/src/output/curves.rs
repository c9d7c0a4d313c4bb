//! Learning curves: a panel for each cost, as an SVG picture.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use stochgrad_nn::write_atomically;

use super::history::{History, Part};
use crate::error::{TrainError, TrainResult};

/// The size of a panel.
const PANEL: (u32, u32) = (640, 400);
/// The height of the title.
const TITLE: u32 = 48;
const TRAINING: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const VALIDATION: RGBColor = RGBColor(0xd6, 0x27, 0x28);
/// Up to this number of points, each of them is marked: a line needs two of them.
const MARKED: usize = 30;
/// The number of tick marks of the axes.
const TICKS: usize = 6;

/// The steps and values of a line.
type Series = Vec<(u64, f64)>;

/// A panel of the picture.
struct Panel<'a> {
    name: &'a str,
    training: Series,
    validation: Series,
}

/// Draws the learning curves of a run, and writes the picture as an SVG file atomically.
///
/// There is a panel for the total cost and one for each cost, with a line for training and one for held-out data. The
/// horizontal axis is the number of steps. Values that are not finite are left out.
///
/// ```
/// use stochgrad_train::Metrics;
/// use stochgrad_train::output::{History, save_curves};
///
/// let mut history = History::new();
/// for epoch in 1..=20 {
///     let mut metrics = Metrics::default();
///     metrics.step = 30 * epoch;
///     metrics.training = vec![("reconstruction".into(), 20.0 + 30.0 / epoch as f64), ("kl".into(), 3.0)];
///     history.push(metrics);
/// }
/// let folder = tempfile::tempdir()?;
/// save_curves(folder.path().join("curves.svg"), "a discrete VAE", &history)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the file cannot be written.
pub fn save_curves(path: impl AsRef<Path>, title: &str, history: &History) -> TrainResult<()> {
    let svg = draw(title, history).map_err(|error| {
        TrainError::argument(
            "learning curves",
            "measurements that can be drawn",
            error.to_string(),
            "draw them from metrics.csv with another program",
        )
    })?;
    Ok(write_atomically(path, |file| file.write_all(svg.as_bytes()))?)
}

fn panels(history: &History) -> Vec<Panel<'_>> {
    let mut names: Vec<&str> = Vec::new();
    for name in [Part::Training, Part::Validation].into_iter().flat_map(|part| history.names(part)) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let panel = |name| Panel {
        name,
        training: finite(history.series(Part::Training, name)),
        validation: finite(history.series(Part::Validation, name)),
    };
    let total = Panel {
        name: "total",
        training: finite(history.totals(Part::Training)),
        validation: finite(history.totals(Part::Validation)),
    };
    let costs = names.iter().copied().map(panel);
    if names.len() == 1 { costs.collect() } else { std::iter::once(total).chain(costs).collect() }
}

fn draw(title: &str, history: &History) -> Result<String, impl Display + use<>> {
    let panels = panels(history);
    let columns = match panels.len() {
        0 | 1 => 1,
        2..=4 => 2,
        _ => 3,
    };
    let rows = panels.len().div_ceil(columns).max(1);
    let size = (PANEL.0 * columns as u32, TITLE + PANEL.1 * rows as u32);
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = draw_on(&area, title, &panels, (rows, columns));
    drop(area);
    drawn.map(|()| svg)
}

fn draw_on<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    panels: &[Panel<'_>],
    grid: (usize, usize),
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    area.fill(&WHITE)?;
    let (head, body) = area.split_vertically(TITLE);
    head.margin(12, 0, 0, 0).titled(title, ("sans-serif", 24))?;
    let steps = panels.iter().flat_map(|panel| panel.training.iter().chain(&panel.validation)).map(|point| point.0);
    let last = steps.max().unwrap_or(1).max(1);
    for (panel, place) in panels.iter().zip(body.split_evenly(grid)) {
        draw_panel(&place, panel, last)?;
    }
    area.present()
}

fn draw_panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    panel: &Panel<'_>,
    last: u64,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let (low, high) = range(panel.training.iter().chain(&panel.validation).map(|point| point.1));
    let decimals = decimals((high - low) / TICKS as f64);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.name, ("sans-serif", 20))
        .margin(12)
        .margin_right(28)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(0..last, low..high)?;
    chart
        .configure_mesh()
        .x_desc("step")
        .axis_desc_style(("sans-serif", 16))
        .label_style(("sans-serif", 14))
        .x_labels(TICKS)
        .y_labels(TICKS)
        .y_label_formatter(&|value| label(*value, decimals))
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let lines = [("training", TRAINING, &panel.training), ("validation", VALIDATION, &panel.validation)];
    let mut drawn = false;
    for (name, colour, points) in lines.into_iter().filter(|(_, _, points)| !points.is_empty()) {
        drawn = true;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
        if points.len() <= MARKED {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    if drawn {
        chart
            .configure_series_labels()
            .position(legend_position(&[&panel.training, &panel.validation], (low, high)))
            .margin(12)
            .legend_area_size(30)
            .label_font(("sans-serif", 15))
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.4))
            .draw()?;
    }
    Ok(())
}

/// The right corner from which the lines stay away at their ends.
fn legend_position(lines: &[&Series], (low, high): (f64, f64)) -> SeriesLabelPosition {
    let ends = lines.iter().filter_map(|points| points.last()).map(|point| point.1);
    match ends.fold(f64::NEG_INFINITY, f64::max) > 0.5 * (low + high) {
        true => SeriesLabelPosition::LowerRight,
        false => SeriesLabelPosition::UpperRight,
    }
}

fn finite(series: Series) -> Series {
    series.into_iter().filter(|point| point.1.is_finite() && point.1.abs() < 1e100).collect()
}

/// The range of the values with a margin; it is never empty.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let size = low.abs().max(high.abs());
    let margin = (0.05 * (high - low)).max(1e-3 * size).max(f64::MIN_POSITIVE / f64::EPSILON);
    (low - margin, high + margin)
}

/// The number of decimals that distinguishes labels that differ by a step.
fn decimals(step: f64) -> i32 {
    (-step.log10()).ceil() as i32
}

/// A number with some decimals, or with an exponent if these are many.
fn label(value: f64, decimals: i32) -> String {
    match decimals {
        -5..=5 => format!("{value:.*}", decimals.max(0) as usize),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn history(points: u64, validation: bool, cost: impl Fn(u64) -> Vec<(&'static str, f64)>) -> History {
        let mut history = History::new();
        for epoch in 1..=points {
            let values: Vec<_> = cost(epoch).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            history.push(Metrics {
                step: 30 * epoch,
                epoch,
                validation: validation.then(|| values.clone()),
                training: values,
                ..Metrics::default()
            });
        }
        history
    }

    fn svg(history: &History) -> String {
        draw("a title", history).unwrap_or_else(|error| panic!("{error}"))
    }

    fn has_text(svg: &str, text: &str) -> bool {
        svg.lines().any(|line| line.trim() == text)
    }

    #[test]
    fn each_cost_and_the_total_have_a_panel() {
        let costs = |e: u64| vec![("reconstruction", 20.0 + 30.0 / e as f64), ("kl", 3.0)];
        let drawn = svg(&history(50, true, costs));
        for text in ["a title", "total", "reconstruction", "kl", "step", "training", "validation"] {
            assert!(has_text(&drawn, text), "{text}");
        }
        let legends = drawn.lines().filter(|line| line.trim() == "validation").count();
        assert_eq!(legends, 3);
        assert!(drawn.to_lowercase().contains("#1f77b4") && drawn.to_lowercase().contains("#d62728"));
        assert!(drawn.trim_end().ends_with("</svg>"));
        let single = svg(&history(50, false, |e| vec![("loss", e as f64)]));
        assert!(has_text(&single, "loss") && !has_text(&single, "total") && !has_text(&single, "validation"));
    }

    #[test]
    fn one_epoch_is_drawn_as_points() {
        assert_eq!(svg(&history(1, true, |_| vec![("loss", 40.0)])).matches("<circle").count(), 2);
    }

    #[test]
    fn values_that_are_not_finite_are_left_out() {
        let values = [40.0, f64::NAN, f64::INFINITY, f64::MAX];
        let drawn = svg(&history(4, false, |e| vec![("loss", values[e as usize - 1])]));
        assert_eq!(drawn.matches("<circle").count(), 1);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    }

    #[test]
    fn a_run_without_measurements_gives_empty_axes() {
        assert!(has_text(&svg(&History::new()), "step"));
    }

    #[test]
    fn the_range_has_room_around_the_values() {
        assert_eq!(range([10.0, 20.0].into_iter()), (9.5, 20.5));
        for value in [5.0, -5.0, 0.0, 1e-12, 1e90] {
            let (low, high) = range([value].into_iter());
            assert!(low < value && value < high, "{value}");
        }
        assert_eq!(range(std::iter::empty()), (0.0, 1.0));
    }

    #[test]
    fn labels_have_as_many_decimals_as_they_need() {
        assert_eq!([20.0, 1.0, 0.5, 0.02].map(decimals), [-1, 0, 1, 2]);
        assert_eq!(label(20.25, -1), "20");
        assert_eq!(label(0.25, 2), "0.25");
        assert_eq!(label(2.5e-9, 10), "2.50e-9");
    }

    #[test]
    fn saving_names_the_path_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curves.svg");
        save_curves(&path, "t", &History::new()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("<svg"));
        let missing = folder.path().join("missing").join("curves.svg");
        let error = save_curves(&missing, "t", &History::new()).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
