//! Pictures: variance against time, box plots, bias and variance, and the shares of the nodes.

mod plane;
mod rows;
mod style;

use plotters::prelude::*;
use stochgrad_tensor::Real;

use self::plane::{Axes, Point, power};
use self::rows::{Mark, Row, Rows};
use self::style::{BIASED, PLAIN, SECOND, picture};
pub(super) use self::style::{NARROW, Style, WIDE};
use super::number::{plain, short_time};
use crate::attribute::Shares;
use crate::comparison::{ArmReport, Comparison};
use crate::error::{LabError, LabResult};
use crate::interval::Interval;
use crate::select::Selection;
use crate::statistics::Statistics;

/// The height of a title.
const TITLE: u32 = 44;

impl Comparison {
    /// A picture of the variance against the time of a gradient, both on logarithmic axes, as SVG. The methods are
    /// numbered, and listed by variance × time below, with their best trade first; those with a significant bias are
    /// red. Combinations on the same descending diagonal have the same variance × time. Methods without variance are
    /// only listed.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn to_svg(&self, title: &str) -> LabResult<String> {
        let (style, arms) = (WIDE, self.by_trade());
        let points = self.variance_and_time(&arms);
        let size = (style.width, TITLE + style.height + style.line() * (arms.len() as u32 + 1));
        picture("the comparison", size, |area| {
            let (head, body) = area.split_vertically(TITLE);
            head.margin(12, 0, 0, 0).titled(title, ("sans-serif", 24))?;
            let (plane, list) = body.split_vertically(style.height);
            plane::draw(&plane, &points, &VARIANCE_AND_TIME, style)?;
            for (number, (arm, found)) in arms.iter().enumerate() {
                let colour = if is_biased(found) { BIASED } else { BLACK };
                let without = if is_exact(found) { " (without variance)" } else { "" };
                let text = style.fitting(&format!("{}  {}{without}", number + 1, arm.label()), style.width - 40);
                let place = (24, (style.line() * number as u32) as i32);
                list.draw(&Text::new(text, place, style.font().color(&colour)))?;
            }
            Ok(())
        })
    }

    /// Box plots of the gradients of all methods, as SVG: of their component along the reference, which is 1 on average
    /// without a bias, or of their norm without a reference. The boxes have the quartiles and the median, and the lines
    /// reach from the quantile at 5 % to that at 95 %. A line that is far longer than the others ends at the margin.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn box_plots_svg(&self, title: &str) -> LabResult<String> {
        titled_rows("the box plots", title, &self.boxes(&self.by_trade()))
    }

    /// A picture of the squared bias and the variance of all methods, both on logarithmic axes, as SVG. The numbers are
    /// those of [`to_svg`](Self::to_svg). Methods whose bias is not significant lie at the upper end of its interval
    /// and are blue; those with a significant bias are red.
    ///
    /// # Errors
    /// Without a reference, and if it cannot be drawn.
    pub fn bias_variance_svg(&self, title: &str) -> LabResult<String> {
        if self.reference.is_none() {
            let advice = "call Compare::exact_reference or Compare::reference_run";
            return Err(LabError::setting("the reference of a comparison", "one for the bias", "none", advice));
        }
        let (style, arms) = (WIDE, self.by_trade());
        let points = self.bias_and_variance(&arms);
        picture("bias and variance", (style.width, TITLE + style.height), |area| {
            let (head, body) = area.split_vertically(TITLE);
            head.margin(12, 0, 0, 0).titled(title, ("sans-serif", 24))?;
            plane::draw(&body, &points, &BIAS_AND_VARIANCE, style)
        })
    }

    /// The combinations that were measured, with the smallest variance × time first.
    pub(super) fn by_trade(&self) -> Vec<(&ArmReport, &Statistics)> {
        let mut arms: Vec<_> = self.measured().collect();
        let trade = |found: &Statistics| found.variance.estimate * found.time.estimate;
        arms.sort_by(|one, other| trade(one.1).total_cmp(&trade(other.1)));
        arms
    }

    fn variance_and_time(&self, arms: &[(&ArmReport, &Statistics)]) -> Vec<Point> {
        points(arms, |found| Some((found.time, found.variance)))
    }

    fn bias_and_variance(&self, arms: &[(&ArmReport, &Statistics)]) -> Vec<Point> {
        points(arms, |found| {
            let bias = found.bias.as_ref()?;
            let at = match bias.is_significant() {
                true => Interval { low: bias.squared.low.max(0.0), ..bias.squared },
                false => Interval { estimate: bias.squared.high, low: 0.0, high: bias.squared.high },
            };
            Some((at, found.variance))
        })
    }

    fn boxes(&self, arms: &[(&ArmReport, &Statistics)]) -> Rows {
        let row = |(number, (arm, found)): (usize, &(&ArmReport, &Statistics))| {
            let colour = if is_biased(found) { BIASED } else { PLAIN };
            let marks = found.quantiles.map(|quantiles| (Mark::Quantiles(quantiles), colour));
            Row { label: format!("{}  {}", number + 1, arm.label()), marks: marks.into_iter().collect() }
        };
        let along = self.reference.is_some();
        let axis = if along { "gradient along the reference" } else { "norm of the gradient" };
        Rows { rows: arms.iter().enumerate().map(row).collect(), axis: axis.into(), guide: along.then_some(1.0) }
    }

    /// The pictures of a page, with their headings.
    pub(super) fn pictures(&self, style: Style) -> LabResult<Vec<(&'static str, String)>> {
        let arms = self.by_trade();
        let plane = |points: Vec<Point>, axes: &Axes| {
            picture("the comparison", (style.width, style.height), |area| plane::draw(area, &points, axes, style))
        };
        let evaluations = |found: &Statistics| {
            Some((Interval::exact(found.evaluations.filter(|count| *count > 0)? as f64), found.variance))
        };
        let mut pictures = vec![
            ("Variance and time", plane(self.variance_and_time(&arms), &VARIANCE_AND_TIME)?),
            ("Variance and samples", plane(points(&arms, evaluations), &VARIANCE_AND_EVALUATIONS)?),
        ];
        if self.reference.is_some() {
            pictures.push(("Bias and variance", plane(self.bias_and_variance(&arms), &BIAS_AND_VARIANCE)?));
        }
        pictures.push(("Distribution of the gradients", rows_picture("the box plots", &self.boxes(&arms), style)?));
        Ok(pictures)
    }
}

const VARIANCE_AND_TIME: Axes = Axes { x: "time of a gradient", y: "total variance", x_label: short_time };
const VARIANCE_AND_EVALUATIONS: Axes = Axes { x: "cost evaluations", y: "total variance", x_label: plain };
const BIAS_AND_VARIANCE: Axes = Axes { x: "squared bias", y: "total variance", x_label: power };

fn is_biased(found: &Statistics) -> bool {
    found.bias.as_ref().is_some_and(|bias| bias.is_significant())
}

/// Whether the variance consists of rounding errors.
pub(super) fn is_exact(found: &Statistics) -> bool {
    found.variance.estimate <= 1e-14 * found.second_moment.estimate
}

/// The points of the methods with a variance.
fn points(
    arms: &[(&ArmReport, &Statistics)],
    place: impl Fn(&Statistics) -> Option<(Interval, Interval)>,
) -> Vec<Point> {
    let numbered = arms.iter().enumerate().filter(|(_, (_, found))| !is_exact(found));
    let point = |(number, (_, found)): (usize, &(&ArmReport, &Statistics))| {
        let (x, y) = place(found)?;
        Some(Point { number: number + 1, x, y, is_biased: is_biased(found) })
    };
    numbered.filter_map(point).collect()
}

fn rows_picture(what: &'static str, rows: &Rows, style: Style) -> LabResult<String> {
    picture(what, (style.width, rows.height(style)), |area| rows.draw(area, style))
}

fn titled_rows(what: &'static str, title: &str, rows: &Rows) -> LabResult<String> {
    picture(what, (WIDE.width, TITLE + rows.height(WIDE)), |area| {
        let (head, body) = area.split_vertically(TITLE);
        head.margin(12, 0, 0, 0).titled(title, ("sans-serif", 24))?;
        rows.draw(&body, WIDE)
    })
}

impl Shares {
    /// A picture of the shares of the nodes as bars with their intervals, as SVG.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn to_svg(&self, title: &str) -> LabResult<String> {
        titled_rows("the shares", title, &self.bars())
    }

    fn bars(&self) -> Rows {
        let rows = self.nodes.iter().map(|node| Row {
            label: node.node.clone(),
            marks: vec![(Mark::Bar(node.first_order), PLAIN), (Mark::Bar(node.total), SECOND)],
        });
        Rows { rows: rows.collect(), axis: "share: alone (blue), with interactions (grey)".into(), guide: None }
    }

    pub(super) fn picture(&self, style: Style) -> LabResult<String> {
        rows_picture("the shares", &self.bars(), style)
    }
}

impl<F: Real> Selection<F> {
    /// A picture of the criterion of the methods at each node, in units of the chosen one.
    pub(super) fn picture(&self, style: Style) -> LabResult<String> {
        let mut rows = Vec::new();
        for race in &self.nodes {
            let Some(best) = race.methods[race.chosen].score.filter(|best| best.estimate > 0.0) else { continue };
            for (index, racer) in race.methods.iter().enumerate() {
                let Some(score) = racer.score else { continue };
                let relative = Interval {
                    estimate: score.estimate / best.estimate,
                    low: score.low / best.estimate,
                    high: score.high / best.estimate,
                };
                let colour = if index == race.chosen { PLAIN } else { SECOND };
                let label = format!("{}: {}", race.node, racer.label);
                rows.push(Row { label, marks: vec![(Mark::Point(relative), colour)] });
            }
        }
        let axis = format!("{}, in units of the chosen one", self.criterion);
        rows_picture("the selection", &Rows { rows, axis, guide: Some(1.0) }, style)
    }
}
