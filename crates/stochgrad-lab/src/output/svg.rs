//! Pictures: variance against time, and the shares of the nodes.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::attribute::Shares;
use crate::comparison::Comparison;
use crate::error::{LabError, LabResult};
use crate::interval::Interval;

const WIDTH: u32 = 800;
const TITLE: u32 = 48;
/// The height of the plane of variance and time.
const PLANE: u32 = 440;
/// The height of a line of the list of methods, and of a bar.
const LINE: u32 = 22;
const POINTS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const BIASED: RGBColor = RGBColor(0xd6, 0x27, 0x28);

/// A combination of methods in the plane.
struct Point {
    label: String,
    time: Interval,
    variance: Interval,
    is_biased: bool,
}

impl Comparison {
    /// A picture of the variance against the time of a gradient, both on logarithmic axes, as SVG. The methods are
    /// numbered, and listed by variance × time below, with their best trade first; those with a significant bias are
    /// red. Combinations on the same descending diagonal have the same variance × time. Methods without variance are
    /// only listed.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn to_svg(&self, title: &str) -> LabResult<String> {
        let mut points: Vec<Point> = self
            .measured()
            .map(|(arm, found)| Point {
                label: arm.label(),
                time: found.time,
                variance: found.variance,
                is_biased: found.bias.as_ref().is_some_and(|bias| bias.is_significant()),
            })
            .collect();
        let trade = |point: &Point| point.variance.estimate * point.time.estimate;
        points.sort_by(|one, other| trade(one).total_cmp(&trade(other)));
        let height = TITLE + PLANE + LINE * (points.len() as u32 + 1);
        picture("the comparison", (WIDTH, height), |area| draw_plane(area, title, &points))
    }
}

impl Shares {
    /// A picture of the shares of the nodes as bars with their intervals, as SVG.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn to_svg(&self, title: &str) -> LabResult<String> {
        let height = TITLE + 72 + 2 * LINE * self.nodes.len() as u32;
        picture("the shares", (WIDTH, height), |area| draw_shares(area, title, self))
    }
}

type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn picture<'a>(
    what: &'static str,
    size: (u32, u32),
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Drawn<SVGBackend<'a>>,
) -> LabResult<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = area.fill(&WHITE).and_then(|()| draw(&area)).and_then(|()| area.present());
    drop(area);
    drawn.map_err(|error: DrawingAreaErrorKind<_>| output(what, error)).map(|()| svg)
}

fn output(what: &'static str, error: impl Display) -> LabError {
    LabError::Output { what, problem: error.to_string() }
}

/// The range of positive values with room around them.
fn range<'a>(values: impl Iterator<Item = &'a Interval>) -> std::ops::Range<f64> {
    let ends = values.flat_map(|value| [value.low, value.high, value.estimate]);
    let usable = ends.filter(|value| value.is_finite() && *value > 1e-100 && *value < 1e100);
    let (low, high) = usable.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if low > high { 0.1..10.0 } else { 0.7 * low..1.4 * high }
}

fn draw_plane<B: DrawingBackend>(area: &DrawingArea<B, Shift>, title: &str, points: &[Point]) -> Drawn<B> {
    let (head, body) = area.split_vertically(TITLE);
    head.margin(12, 0, 0, 0).titled(title, ("sans-serif", 24))?;
    let (plane, list) = body.split_vertically(PLANE);
    // Rounding errors are no variance.
    let largest = points.iter().map(|point| point.variance.estimate).fold(0.0, f64::max);
    let is_drawn = |point: &&Point| point.variance.estimate > 1e-14 * largest && point.time.estimate > 0.0;
    let drawn = || points.iter().filter(is_drawn);
    let (times, variances) = (range(drawn().map(|one| &one.time)), range(drawn().map(|one| &one.variance)));
    let mut chart = ChartBuilder::on(&plane)
        .margin(12)
        .margin_right(28)
        .x_label_area_size(48)
        .y_label_area_size(88)
        .build_cartesian_2d(times.log_scale(), variances.log_scale())?;
    let label = |value: &f64| format!("{value:.1e}");
    chart
        .configure_mesh()
        .x_desc("seconds for a gradient")
        .y_desc("total variance")
        .axis_desc_style(("sans-serif", 16))
        .label_style(("sans-serif", 14))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (number, point) in points.iter().enumerate().filter(|(_, point)| is_drawn(point)) {
        let colour = if point.is_biased { BIASED } else { POINTS };
        let (time, variance) = (point.time, point.variance);
        let lines = [
            [(time.estimate, variance.low), (time.estimate, variance.high)],
            [(time.low, variance.estimate), (time.high, variance.estimate)],
        ];
        chart.draw_series(lines.into_iter().map(|line| PathElement::new(line, colour.mix(0.6).stroke_width(1))))?;
        let place = (time.estimate, variance.estimate);
        let text = Text::new((number + 1).to_string(), (5, -14), ("sans-serif", 14).into_font());
        let marked = EmptyElement::at(place) + Circle::new((0, 0), 3, colour.filled()) + text;
        chart.draw_series([marked])?;
    }
    for (number, point) in points.iter().enumerate() {
        let colour = if point.is_biased { BIASED } else { BLACK };
        let without = if is_drawn(&point) { "" } else { " (without variance)" };
        let text = format!("{}  {}{without}", number + 1, point.label);
        list.draw(&Text::new(
            text,
            (24, (LINE * number as u32) as i32),
            ("sans-serif", 14).into_font().color(&colour),
        ))?;
    }
    Ok(())
}

fn draw_shares<B: DrawingBackend>(area: &DrawingArea<B, Shift>, title: &str, shares: &Shares) -> Drawn<B> {
    let (head, body) = area.split_vertically(TITLE);
    head.margin(12, 0, 0, 0).titled(title, ("sans-serif", 24))?;
    let count = shares.nodes.len().max(1);
    let highest = shares.nodes.iter().flat_map(|node| [node.first_order.high, node.total.high]).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&body)
        .margin(12)
        .margin_right(28)
        .x_label_area_size(44)
        .y_label_area_size(140)
        .build_cartesian_2d(0.0..highest, count as f64..0.0)?;
    chart
        .configure_mesh()
        .x_desc("share of the variance: alone (blue), with interactions (grey)")
        .axis_desc_style(("sans-serif", 16))
        .label_style(("sans-serif", 14))
        .y_labels(0)
        .disable_y_mesh()
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (number, node) in shares.nodes.iter().enumerate() {
        let top = number as f64;
        let (left, centre) = chart.backend_coord(&(0.0, top + 0.5));
        let name = Text::new(node.node.clone(), (left - 132, centre - 8), ("sans-serif", 14).into_font());
        area.draw(&name)?;
        for (share, colour, (from, to)) in [
            (&node.first_order, POINTS.mix(0.8), (0.12, 0.48)),
            (&node.total, RGBColor(0x88, 0x88, 0x88).mix(0.8), (0.52, 0.88)),
        ] {
            let bar = [(0.0, top + from), (share.estimate.max(0.0), top + to)];
            chart.draw_series([Rectangle::new(bar, colour.filled())])?;
            let middle = top + 0.5 * (from + to);
            let error = [(share.low.max(0.0), middle), (share.high.max(0.0), middle)];
            chart.draw_series([PathElement::new(error, BLACK.stroke_width(1))])?;
        }
    }
    Ok(())
}
