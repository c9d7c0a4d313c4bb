//! Labelled rows with boxes, bars or points on a common axis.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::style::{Drawn, Style};
use crate::interval::Interval;
use crate::reservoir::Quantiles;

/// A row with its label above.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) marks: Vec<(Mark, RGBColor)>,
}

pub(super) enum Mark {
    /// A box from quartile to quartile, with the median and the quantiles at 5 and 95 %.
    Quantiles(Quantiles),
    /// A bar from 0, with its interval.
    Bar(Interval),
    /// A point with its interval.
    Point(Interval),
}

/// Rows with the words of their axis, and a value that is marked by a line.
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) axis: String,
    pub(super) guide: Option<f64>,
}

impl Mark {
    /// What has to be seen: everything, except the ends of intervals, which may be cut.
    fn ends(&self) -> [f64; 2] {
        match self {
            Mark::Quantiles(found) => [found.low, found.high],
            Mark::Bar(value) => [value.low.min(0.0), value.high.max(0.0)],
            Mark::Point(value) => [value.low, value.high],
        }
    }
}

impl Rows {
    /// The height of a mark.
    const MARK: u32 = 14;

    fn row_height(&self, style: Style) -> u32 {
        let marks = self.rows.iter().map(|row| row.marks.len() as u32).max().unwrap_or(1);
        style.line() + marks * Self::MARK + 4
    }

    pub(super) fn height(&self, style: Style) -> u32 {
        self.row_height(style) * self.rows.len().max(1) as u32 + 3 * style.text + 24
    }

    /// The range of the axis. Rows that are twenty times as wide as the median one are cut, so that the others are
    /// seen.
    fn range(&self) -> std::ops::Range<f64> {
        let all = || self.rows.iter().flat_map(|row| &row.marks).map(|(mark, _)| mark.ends());
        let mut widths: Vec<f64> = all().map(|[low, high]| high - low).filter(|width| width.is_finite()).collect();
        widths.sort_by(f64::total_cmp);
        let most = 20.0 * widths.get(widths.len() / 2).copied().unwrap_or(1.0);
        let most = if most > 0.0 { most } else { f64::INFINITY };
        let ends = all().filter(|[low, high]| high - low <= most).flatten().chain(self.guide);
        let (low, high) =
            ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), end| (low.min(end), high.max(end)));
        if low > high {
            return 0.0..1.0;
        }
        let room = if high > low { 0.04 * (high - low) } else { 0.5 };
        let low = if low == 0.0 { 0.0 } else { low - room };
        low..high + room
    }

    pub(super) fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, style: Style) -> Drawn<B> {
        let range = self.range();
        let (count, row_height) = (self.rows.len().max(1) as f64, f64::from(self.row_height(style)));
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_left(16)
            .margin_right(24)
            .x_label_area_size(3 * style.text)
            .build_cartesian_2d(range.clone(), count..0.0)?;
        let label = |value: &f64| crate::output::number::plain(*value);
        chart
            .configure_mesh()
            .x_desc(&self.axis)
            .x_labels((style.width / 100) as usize)
            .axis_desc_style(style.font())
            .label_style(style.font())
            .x_label_formatter(&label)
            .disable_y_mesh()
            .disable_y_axis()
            .bold_line_style(BLACK.mix(0.15))
            .light_line_style(TRANSPARENT)
            .axis_style(BLACK.mix(0.6))
            .draw()?;
        if let Some(guide) = self.guide {
            chart.draw_series([PathElement::new([(guide, 0.0), (guide, count)], BLACK.mix(0.5).stroke_width(1))])?;
        }
        let inside = |value: f64| value.clamp(range.start, range.end);
        for (number, row) in self.rows.iter().enumerate() {
            let (left, top) = chart.backend_coord(&(range.start, number as f64));
            let (base_left, base_top) = area.get_base_pixel();
            let text = style.fitting(&row.label, style.width - 56);
            area.draw(&Text::new(text, (left - base_left + 2, top - base_top + 4), style.font()))?;
            for (at, (mark, colour)) in row.marks.iter().enumerate() {
                // The scale of the rows is that of pixels divided by the height of a row.
                let pixels = |pixels: u32| number as f64 + f64::from(pixels) / row_height;
                let start = style.line() + at as u32 * Self::MARK;
                let (top, middle, bottom) = (pixels(start + 1), pixels(start + 6), pixels(start + Self::MARK - 3));
                let line = |from: f64, to: f64, colour: RGBAColor| {
                    PathElement::new([(inside(from), middle), (inside(to), middle)], colour.stroke_width(1))
                };
                let between = |from: f64, to: f64| [(inside(from), top), (inside(to), bottom)];
                match mark {
                    Mark::Quantiles(found) => {
                        chart.draw_series([line(found.low, found.high, colour.to_rgba())])?;
                        let box_ends = between(found.lower_quartile, found.upper_quartile);
                        chart.draw_series([Rectangle::new(box_ends, colour.mix(0.35).filled())])?;
                        let median = [(inside(found.median), top), (inside(found.median), bottom)];
                        chart.draw_series([PathElement::new(median, colour.stroke_width(2))])?;
                    }
                    Mark::Bar(value) => {
                        chart.draw_series([Rectangle::new(between(0.0, value.estimate), colour.mix(0.7).filled())])?;
                        chart.draw_series([line(value.low, value.high, BLACK.to_rgba())])?;
                    }
                    Mark::Point(value) => {
                        chart.draw_series([line(value.low, value.high, colour.to_rgba())])?;
                        chart.draw_series([Circle::new((inside(value.estimate), middle), 3, colour.filled())])?;
                    }
                }
            }
        }
        Ok(())
    }
}
