//! Line charts of several series.

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// A part of a picture.
pub type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A series of points with a name.
pub type Line = (String, Vec<(f64, f64)>);

/// An axis with its label. Its range is that of the points.
#[derive(Clone, Copy)]
pub enum Axis {
    /// Equal steps are equal differences.
    Linear(&'static str),
    /// Equal steps are equal quotients. Points that are not positive are left out.
    Log(&'static str),
}

/// What a chart shows besides its lines.
#[derive(Clone, Default)]
pub struct Marks<'a> {
    /// Dashes at a height, with their name.
    pub reference: Option<(&'a str, f64)>,
    /// The place of the legend, if there is one.
    pub legend: Option<SeriesLabelPosition>,
    /// Whether there is a dot at each point.
    pub points: bool,
}

/// Draws lines in the colours of a palette.
///
/// # Errors
/// Those of the backend.
pub fn draw_lines(
    panel: &Panel<'_>,
    title: &str,
    axes: [Axis; 2],
    lines: &[Line],
    marks: Marks<'_>,
) -> Result<(), Box<dyn Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points).copied();
    let heights = marks.reference.map(|(_, height)| height).into_iter();
    let x = range(axes[0], points().map(|point| point.0));
    let y = range(axes[1], points().map(|point| point.1).chain(heights));
    match axes {
        [Axis::Linear(a), Axis::Linear(b)] => draw(panel, title, (a, x), (b, y), lines, marks),
        [Axis::Linear(a), Axis::Log(b)] => draw(panel, title, (a, x), (b, log(y)), lines, marks),
        [Axis::Log(a), Axis::Linear(b)] => draw(panel, title, (a, log(x)), (b, y), lines, marks),
        [Axis::Log(a), Axis::Log(b)] => draw(panel, title, (a, log(x)), (b, log(y)), lines, marks),
    }
}

/// A logarithmic range, with labels at powers of 2 if it is short.
fn log(range: Range<f64>) -> LogCoord<f64> {
    let base = if (3.5..64.0).contains(&(range.end / range.start)) { 2.0 } else { 10.0 };
    range.log_scale().base(base).into()
}

/// The range of some values, with a margin.
fn range(axis: Axis, values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let of = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    match axis {
        Axis::Linear(_) => {
            let (low, high) = of(&mut values.clone());
            let margin = 0.04 * (high - low).max(1e-9);
            low - margin..high + margin
        }
        Axis::Log(_) => {
            let (low, high) = of(&mut values.clone().filter(|value| *value > 0.0));
            let margin = (high / low).powf(0.04).max(1.001);
            low / margin..high * margin
        }
    }
}

fn draw<X, Y>(
    panel: &Panel<'_>,
    title: &str,
    x: (&str, X),
    y: (&str, Y),
    lines: &[Line],
    marks: Marks<'_>,
) -> Result<(), Box<dyn Error>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut builder = ChartBuilder::on(panel);
    builder.caption(title, ("sans-serif", 18)).margin(14).x_label_area_size(44).y_label_area_size(72);
    let mut chart = builder.build_cartesian_2d(x.1, y.1)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x.0).y_desc(y.0).axis_desc_style(("sans-serif", 16)).label_style(("sans-serif", 14));
    mesh.x_label_formatter(&number).y_label_formatter(&number).light_line_style(TRANSPARENT).draw()?;
    if let Some((name, height)) = marks.reference {
        let ends = chart.x_range();
        let style = BLACK.stroke_width(2);
        let line = DashedLineSeries::new([(ends.start, height), (ends.end, height)], 6, 4, style);
        chart.draw_series(line)?.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    for (index, (name, points)) in lines.iter().enumerate() {
        let style = Palette99::pick(index).stroke_width(2);
        let series = LineSeries::new(points.iter().copied(), style).point_size(if marks.points { 3 } else { 0 });
        let series = chart.draw_series(series)?;
        series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    if let Some(place) = marks.legend {
        let mut labels = chart.configure_series_labels();
        labels.position(place).label_font(("sans-serif", 13));
        labels.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.4)).draw()?;
    }
    Ok(())
}

fn number(x: &f64) -> String {
    let size = x.abs();
    if size < 1e-12 {
        "0".into()
    } else if (9e-4..1e5).contains(&size) {
        format!("{}", (1e6 * x).round() / 1e6)
    } else {
        // Ticks of logarithmic axes are products, with rounding errors.
        format!("{:e}", format!("{x:.5e}").parse().unwrap_or(*x))
    }
}
