//! The learning curve: −ELBO against epoch, as an SVG picture.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use plotters::prelude::*;
use stochgrad::nn::write_atomically;

use crate::output::OutputError;

const SIZE: (u32, u32) = (960, 600);
const TRAIN: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const TEST: RGBColor = RGBColor(0xd6, 0x27, 0x28);

/// One series of the picture: pairs of epoch and −ELBO in nats.
pub(crate) type Series = [(usize, f64)];

/// Draws both series and writes the picture to `path` atomically. Points that are not finite are omitted.
///
/// # Errors
/// Returns the error of the operating system with the path.
pub(crate) fn save(path: &Path, title: &str, train: &Series, test: &Series) -> Result<(), OutputError> {
    let svg = draw(title, train, test)
        .map_err(|error| OutputError::Drawing { what: "the learning curve", reason: error.to_string() })?;
    Ok(write_atomically(path, |file| file.write_all(svg.as_bytes()))?)
}

fn draw(title: &str, train: &Series, test: &Series) -> Result<String, impl Display + use<>> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let drawn = draw_on(&area, title, train, test);
    drop(area);
    drawn.map(|()| svg)
}

fn draw_on<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    title: &str,
    train: &Series,
    test: &Series,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let (train, test) = (finite(train), finite(test));
    let epochs = train.iter().chain(&test).map(|point| point.0);
    let first = epochs.clone().min().unwrap_or(0);
    let last = epochs.max().unwrap_or(first).max(first.saturating_add(1));
    let (low, high) = range(train.iter().chain(&test).map(|point| point.1));
    let decimals = decimals((high - low) / 8.0);

    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 24))
        .margin(16)
        .margin_right(32)
        .x_label_area_size(56)
        .y_label_area_size(84)
        .build_cartesian_2d(first..last, low..high)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc("−ELBO (nats per image)")
        .axis_desc_style(("sans-serif", 20))
        .label_style(("sans-serif", 16))
        .x_labels(11)
        .y_labels(9)
        .y_label_formatter(&|value| format!("{value:.decimals$}"))
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (name, colour, points) in [("train", TRAIN, &train), ("test", TEST, &test)] {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3)));
        // Points make the first epochs visible, since a line needs two of them.
        if points.len() <= 30 {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(16)
        .legend_area_size(36)
        .label_font(("sans-serif", 18))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.4))
        .draw()?;
    area.present()
}

fn finite(series: &Series) -> Vec<(usize, f64)> {
    let usable = |point: &&(usize, f64)| point.1.is_finite() && point.1.abs() < 1e100;
    series.iter().filter(usable).copied().collect()
}

/// The range of the values with a margin; it is never empty.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let margin = (0.05 * (high - low)).max(1e-3 * high.abs()).max(1e-3);
    (low - margin, high + margin)
}

/// The number of decimals that distinguishes labels that differ by `step`.
fn decimals(step: f64) -> usize {
    (-step.log10()).ceil().clamp(0.0, 6.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(train: &Series, test: &Series) -> String {
        draw("a title", train, test).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn title_axes_legend_and_both_lines_are_there() {
        let train: Vec<_> = (1..=50).map(|e| (e, 20.0 + 30.0 / e as f64)).collect();
        let test: Vec<_> = (1..=50).map(|e| (e, 22.0 + 28.0 / e as f64)).collect();
        let svg = svg(&train, &test);
        for text in ["a title", "epoch", "−ELBO (nats per image)", "train", "test"] {
            assert!(svg.lines().any(|line| line.trim() == text), "{text}");
        }
        assert!(svg.to_lowercase().contains("#1f77b4") && svg.to_lowercase().contains("#d62728"));
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn one_epoch_is_drawn_as_points() {
        let svg = svg(&[(1, 40.0)], &[(1, 41.0)]);
        // Two series of one point each.
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn values_that_are_not_finite_are_left_out() {
        let broken = [(1, 40.0), (2, f64::NAN), (3, f64::INFINITY), (4, f64::MAX)];
        let svg = svg(&broken, &[(2, f64::NAN)]);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_run_without_points_gives_empty_axes() {
        assert!(svg(&[], &[]).contains("epoch"));
    }

    #[test]
    fn the_range_has_room_around_the_values() {
        assert_eq!(range([10.0, 20.0].into_iter()), (9.5, 20.5));
        let (low, high) = range([5.0].into_iter());
        assert!(low < 5.0 && 5.0 < high);
        assert_eq!(range(std::iter::empty()), (0.0, 1.0));
    }

    #[test]
    fn labels_have_as_many_decimals_as_they_need() {
        assert_eq!([20.0, 1.0, 0.5, 0.02].map(decimals), [0, 0, 1, 2]);
    }

    #[test]
    fn saving_names_the_path_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.svg");
        save(&path, "t", &[(1, 2.0)], &[(1, 3.0)]).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("<svg"));
        let missing = folder.path().join("missing").join("curve.svg");
        let error = save(&missing, "t", &[], &[]).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
