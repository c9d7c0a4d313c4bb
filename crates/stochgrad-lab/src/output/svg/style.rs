//! Sizes and colours of pictures.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::{LabError, LabResult};
use crate::interval::Interval;

pub(super) const PLAIN: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
pub(super) const BIASED: RGBColor = RGBColor(0xd6, 0x27, 0x28);
pub(super) const SECOND: RGBColor = RGBColor(0x88, 0x88, 0x88);

/// The sizes of a picture, in pixels.
#[derive(Clone, Copy, Debug)]
pub(in crate::output) struct Style {
    pub(in crate::output) width: u32,
    /// The size of letters.
    pub(super) text: u32,
    /// The height of a square picture without its title.
    pub(super) height: u32,
}

/// A picture in a file.
pub(in crate::output) const WIDE: Style = Style { width: 800, text: 14, height: 440 };
/// A picture on a page, which also fits on a narrow screen.
pub(in crate::output) const NARROW: Style = Style { width: 400, text: 13, height: 320 };

impl Style {
    pub(super) fn font(self) -> TextStyle<'static> {
        ("sans-serif", self.text).into_font().color(&BLACK)
    }

    /// The height of a line of text.
    pub(super) fn line(self) -> u32 {
        self.text + 8
    }

    /// The start of a text that fits into a width.
    pub(super) fn fitting(self, text: &str, width: u32) -> String {
        // Letters are about half as wide as they are high.
        let most = (width as f64 / (0.56 * self.text as f64)) as usize;
        match text.chars().count() > most {
            true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
            false => text.to_owned(),
        }
    }
}

pub(super) type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Draws a picture of this size.
pub(super) fn picture<'a>(
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

/// The range of positive values on a logarithmic axis, with room around them, and at least a factor of 4.
pub(super) fn log_range<'a>(values: impl Iterator<Item = &'a Interval>) -> std::ops::Range<f64> {
    let ends = values.flat_map(|value| [value.low, value.high, value.estimate]);
    let usable = ends.filter(|value| value.is_finite() && *value > 1e-100 && *value < 1e100);
    let (low, high) = usable.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.1..10.0;
    }
    let room = (4.0 * low / high).sqrt().max(1.4);
    low / room..high * room
}
