//! Numbered points in a plane of two positive quantities, both on logarithmic axes.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::style::{BIASED, Drawn, PLAIN, Style, log_range};
use crate::interval::Interval;

/// A combination of methods in the plane.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// Its number in the list of methods.
    pub(super) number: usize,
    pub(super) x: Interval,
    pub(super) y: Interval,
    pub(super) is_biased: bool,
}

impl Point {
    fn is_drawn(&self) -> bool {
        [self.x.estimate, self.y.estimate].iter().all(|value| *value > 0.0 && value.is_finite())
    }
}

/// The words of the axes, and how their numbers are written.
pub(super) struct Axes {
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) x_label: fn(f64) -> String,
}

/// A number on a logarithmic axis: `1e-3`, `2e-3`.
pub(super) fn power(value: f64) -> String {
    format!("{value:.0e}")
}

/// The ticks of a logarithmic axis between two exponents, at most `most` of them: some of the powers of ten, or 1, 2 and
/// 5 times each.
fn ticks(range: &std::ops::Range<f64>, most: usize) -> Vec<f64> {
    let decades = range.start.floor() as i32..=range.end.ceil() as i32;
    let stride = (((range.end - range.start) / most as f64).ceil() as i32).max(1);
    let is_narrow = 3.0 * (range.end - range.start) <= most as f64;
    let factors: &[f64] = if is_narrow { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let all = decades.filter(|decade| decade.rem_euclid(stride) == 0);
    let all = all.flat_map(|decade| factors.iter().map(move |factor| f64::from(decade) + factor.log10()));
    all.filter(|exponent| range.contains(exponent)).collect()
}

pub(super) fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    points: &[Point],
    axes: &Axes,
    style: Style,
) -> Drawn<B> {
    let drawn = || points.iter().filter(|point| point.is_drawn());
    let exponents = |range: std::ops::Range<f64>| range.start.log10()..range.end.log10();
    let x_range = exponents(log_range(drawn().map(|one| &one.x)));
    let y_range = exponents(log_range(drawn().map(|one| &one.y)));
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(24)
        .x_label_area_size(3 * style.text)
        .y_label_area_size(5 * style.text)
        .build_cartesian_2d(x_range.clone(), y_range.clone())?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_labels(0)
        .y_labels(0)
        .axis_desc_style(style.font())
        .axis_style(BLACK.mix(0.6))
        .draw()?;
    let base = area.get_base_pixel();
    let on_area = |(x, y): (i32, i32)| (x - base.0, y - base.1);
    let text = style.text as i32;
    for exponent in ticks(&x_range, (style.width / 90) as usize) {
        let line = [(exponent, y_range.start), (exponent, y_range.end)];
        chart.draw_series([PathElement::new(line, BLACK.mix(0.15).stroke_width(1))])?;
        let (x, y) = on_area(chart.backend_coord(&line[0]));
        let centred = style.font().pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new((axes.x_label)(10_f64.powf(exponent)), (x, y + 4), centred))?;
    }
    for exponent in ticks(&y_range, (style.height / 40) as usize) {
        let line = [(x_range.start, exponent), (x_range.end, exponent)];
        chart.draw_series([PathElement::new(line, BLACK.mix(0.15).stroke_width(1))])?;
        let (x, y) = on_area(chart.backend_coord(&line[0]));
        let beside = style.font().pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(power(10_f64.powf(exponent)), (x - 6, y), beside))?;
    }
    // Labels move aside if their place is taken.
    let mut taken = Vec::<(i32, i32)>::new();
    for point in drawn() {
        let (colour, (x, y)) = (if point.is_biased { BIASED } else { PLAIN }, (point.x, point.y));
        let inside = |value: f64, range: &std::ops::Range<f64>| {
            if value > 0.0 { value.log10().clamp(range.start, range.end) } else { range.start }
        };
        let place = (x.estimate.log10(), y.estimate.log10());
        let lines = [
            [(place.0, inside(y.low, &y_range)), (place.0, inside(y.high, &y_range))],
            [(inside(x.low, &x_range), place.1), (inside(x.high, &x_range), place.1)],
        ];
        chart.draw_series(lines.into_iter().map(|line| PathElement::new(line, colour.mix(0.6).stroke_width(1))))?;
        chart.draw_series([Circle::new(place, 3, colour.filled())])?;
        let (left, top) = on_area(chart.backend_coord(&place));
        let wide = if point.number > 9 { text + 5 } else { text - 2 };
        let offsets = [(5, -text - 1), (5, 2), (-wide, -text - 1), (-wide, 2), (5, -2 * text), (5, text + 2)];
        let is_free = |&(x, y): &(i32, i32)| {
            taken.iter().all(|(other_x, other_y)| (x - other_x).abs() > text || (y - other_y).abs() > text - 2)
        };
        let places = offsets.map(|(x, y)| (left + x, top + y));
        let label = places.into_iter().find(is_free).unwrap_or(places[0]);
        taken.push(label);
        area.draw(&Text::new(point.number.to_string(), label, style.font()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let powers = |range: std::ops::Range<f64>, most| {
            ticks(&range, most).into_iter().map(|tick| power(10_f64.powf(tick))).collect::<Vec<_>>()
        };
        assert_eq!(powers(-3.1..-0.9, 8), ["1e-3", "2e-3", "5e-3", "1e-2", "2e-2", "5e-2", "1e-1"]);
        assert_eq!(powers(-3.1..2.5, 6), ["1e-3", "1e-2", "1e-1", "1e0", "1e1", "1e2"]);
        assert_eq!(powers(-8.5..0.5, 3), ["1e-6", "1e-3", "1e0"]);
    }
}
