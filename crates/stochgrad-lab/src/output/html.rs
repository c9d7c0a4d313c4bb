//! Pages: a table with the guarantees and the warnings, and pictures, in one file without further ones.

use std::fmt::Write;

use stochgrad_tensor::Real;

use super::number::{short, time, with_error, with_relative_error};
use super::svg::{NARROW, is_exact};
use crate::attribute::Shares;
use crate::comparison::{ArmReport, Comparison};
use crate::error::LabResult;
use crate::select::{Race, Selection};
use crate::statistics::Statistics;

const STYLE: &str = include_str!("page.css");

/// A part of a page.
#[derive(Default)]
struct Body(String);

/// The text of a cell, and whether it is words.
type CellText = (String, bool);

/// Text in which the signs of HTML stand for themselves.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

fn number(text: impl Into<String>) -> CellText {
    (text.into(), false)
}

impl Body {
    fn add(&mut self, html: impl AsRef<str>) {
        self.0.push_str(html.as_ref());
        self.0.push('\n');
    }

    fn paragraph(&mut self, text: &str) {
        self.add(format!("<p class=\"soft\">{}</p>", escaped(text)));
    }

    /// A table; on a narrow screen, each row is a card with the headings beside the values. Rows are marked with a
    /// colour if they are the best.
    fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = (bool, Vec<CellText>)>) {
        let rows: Vec<(bool, Vec<CellText>)> = rows.into_iter().collect();
        let class = |is_text: bool| if is_text { " class=\"text\"" } else { "" };
        let is_text = |column: usize| rows.first().is_some_and(|(_, cells)| cells[column].1);
        self.add("<table><thead><tr>");
        for (column, name) in head.iter().enumerate() {
            self.add(format!("<th{}>{}</th>", class(is_text(column)), escaped(name)));
        }
        self.add("</tr></thead><tbody>");
        for (is_best, cells) in &rows {
            self.add(if *is_best { "<tr class=\"best\">" } else { "<tr>" });
            for (name, (text, is_text)) in head.iter().zip(cells) {
                self.add(format!("<td{} data-label=\"{}\"><span>{text}</span></td>", class(*is_text), escaped(name)));
            }
            self.add("</tr>");
        }
        self.add("</tbody></table>");
    }

    fn list(&mut self, heading: &str, items: impl IntoIterator<Item = String>) {
        let items: Vec<String> = items.into_iter().collect();
        if !items.is_empty() {
            self.add(format!("<h2>{}</h2><ul>", escaped(heading)));
            items.iter().for_each(|item| self.add(format!("<li>{item}</li>")));
            self.add("</ul>");
        }
    }

    fn pictures(&mut self, pictures: impl IntoIterator<Item = (&'static str, String)>) {
        self.add("<div class=\"pictures\">");
        for (caption, svg) in pictures {
            self.add(format!("<figure><figcaption>{}</figcaption>{}</figure>", escaped(caption), inline(&svg)));
        }
        self.add("</div>");
    }

    fn page(self, title: &str) -> String {
        let title = escaped(title);
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{STYLE}</style></head>\n\
             <body><main>\n<h1>{title}</h1>\n{}</main></body></html>\n",
            self.0
        );
        page
    }
}

/// A picture as a part of a page: as wide as its place, and in the colours of the text.
fn inline(svg: &str) -> String {
    let (head, rest) = svg.split_once('>').unwrap_or(("<svg", ""));
    let view = head.find("viewBox=").map_or("", |at| {
        let end = head[at + 9..].find('"').map_or(head.len(), |end| at + 9 + end + 1);
        &head[at..end]
    });
    let rest = rest.replace("#000000", "currentColor").replace("#FFFFFF", "none");
    format!("<svg role=\"img\" {view}>{rest}")
}

impl Comparison {
    /// The comparison as a page: HTML with everything that it needs in one file. It has the table with the guarantees,
    /// the warnings, the refused methods with the reasons, and pictures of the variance against time and samples, of the
    /// distribution of the gradients and, with a reference, of bias and variance.
    ///
    /// # Errors
    /// If a picture cannot be drawn.
    pub fn to_html(&self, title: &str) -> LabResult<String> {
        let mut body = Body::default();
        let arms = self.by_trade();
        let row = |(at, (arm, found)): (usize, &(&ArmReport, &Statistics))| (at == 0, comparison_row(at, arm, found));
        body.table(
            &[
                "#",
                "method",
                "guarantee",
                "variance",
                "time",
                "variance × time",
                "bias / gradient",
                "signal / noise",
                "kurtosis",
                "evaluations",
                "runs",
            ],
            arms.iter().enumerate().map(row),
        );
        body.paragraph(&format!(
            "Intervals of {:.0} %, each by itself. Methods are ordered by variance × time.{}{}",
            100.0 * self.confidence,
            match &self.reference {
                Some(reference) =>
                    format!(" The bias is relative to {reference}; a star marks a significant bias of an element."),
                None => String::new(),
            },
            if self.out_of_time { " The time budget ended the measurement." } else { "" },
        ));
        let warnings = arms.iter().flat_map(|(arm, found)| {
            let warning =
                |warning: &crate::Warning| format!("{}: {}", code(&arm.label()), escaped(&warning.to_string()));
            found.warnings.iter().map(warning).collect::<Vec<_>>()
        });
        body.list("Warnings", warnings);
        body.pictures(self.pictures(NARROW)?);
        body.paragraph(
            "Numbers are those of the table. Red: a significant bias. Methods without variance are not drawn.",
        );
        let refused = self.arms.iter().filter_map(|arm| Some((arm.label(), arm.refusal.as_ref()?)));
        body.list("Not possible", refused.map(|(label, reason)| format!("{}: {}", code(&label), escaped(reason))));
        Ok(body.page(title))
    }
}

fn comparison_row(at: usize, arm: &ArmReport, found: &Statistics) -> Vec<CellText> {
    let absent = || "–".to_owned();
    let variance = |interval| if is_exact(found) { "0".to_owned() } else { with_relative_error(interval) };
    let bias = found.bias.as_ref().map_or_else(absent, |bias| {
        let text = with_error(bias.relative.as_ref().unwrap_or(&bias.worst));
        if bias.is_significant() { format!("<span class=\"mark\">{text} *</span>") } else { text }
    });
    let count = |count: Option<usize>| count.map_or("∞".into(), |count| count.to_string());
    vec![
        number((at + 1).to_string()),
        (code(&arm.label()), true),
        (escaped(&found.guarantee.to_string()), true),
        number(variance(&found.variance)),
        number(time(found.time.estimate)),
        number(variance(&found.variance_time)),
        number(bias),
        number(if is_exact(found) { "∞".into() } else { short(found.signal_to_noise) }),
        number(found.kurtosis.filter(|_| !is_exact(found)).map_or_else(absent, short)),
        number(count(found.evaluations)),
        number(found.repetitions.to_string()),
    ]
}

impl<F: Real> Selection<F> {
    /// The selection as a page: HTML with everything that it needs in one file.
    ///
    /// # Errors
    /// If a picture cannot be drawn.
    pub fn to_html(&self, title: &str) -> LabResult<String> {
        let mut body = Body::default();
        let mut rows = Vec::new();
        for race in &self.nodes {
            for (index, racer) in race.methods.iter().enumerate() {
                let Some(score) = &racer.score else { continue };
                let is_chosen = index == race.chosen;
                let chosen = if is_chosen { race.certainty() } else { String::new() };
                let cells = vec![
                    (escaped(&race.node), true),
                    (code(&racer.label), true),
                    number(with_relative_error(score)),
                    number(racer.time.map_or_else(String::new, time)),
                    number(racer.repetitions.to_string()),
                    number(chosen),
                ];
                rows.push((is_chosen, cells));
            }
        }
        let criterion = self.criterion.to_string();
        body.table(&["node", "method", &criterion, "time", "runs", "chosen"], rows);
        if self.out_of_time {
            body.paragraph("The time budget ended the selection.");
        }
        let of_race = |race: &Race| {
            let about = code(&format!("{}: {}", race.node, race.label()));
            let warning = move |warning: &crate::Warning| format!("{about}: {}", escaped(&warning.to_string()));
            race.warnings.iter().map(warning).collect::<Vec<_>>()
        };
        body.list("Warnings", self.nodes.iter().flat_map(of_race));
        body.pictures([("The methods of each node", self.picture(NARROW)?)]);
        body.add(format!("<h2>Chosen</h2><pre><code>{}</code></pre>", escaped(&self.code())));
        let all = self.nodes.iter().flat_map(|race| race.methods.iter().map(move |racer| (race, racer)));
        let refused =
            all.filter_map(|(race, racer)| Some((format!("{}: {}", race.node, racer.label), racer.refusal.as_ref()?)));
        body.list("Not possible", refused.map(|(label, reason)| format!("{}: {}", code(&label), escaped(reason))));
        Ok(body.page(title))
    }
}

impl Shares {
    /// The shares as a page: HTML with everything that it needs in one file.
    ///
    /// # Errors
    /// If a picture cannot be drawn.
    pub fn to_html(&self, title: &str) -> LabResult<String> {
        let mut body = Body::default();
        let row = |share: &crate::NodeShare| {
            let cells = vec![
                (escaped(&share.node), true),
                number(with_error(&share.first_order)),
                number(with_error(&share.total)),
            ];
            (false, cells)
        };
        body.table(&["node", "alone", "with interactions"], self.nodes.iter().map(row));
        body.paragraph(&format!(
            "Shares of the variance {} of {}, from {} repetitions. Intervals of {:.0} %, each by itself.",
            short(self.variance.estimate),
            self.quantity,
            self.repetitions,
            100.0 * self.confidence
        ));
        body.pictures([("Shares of the nodes", self.picture(NARROW)?)]);
        Ok(body.page(title))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_takes_the_colours_and_the_width_of_its_page() {
        let svg =
            "<svg width=\"400\" height=\"320\" viewBox=\"0 0 400 320\" xmlns=\"x\">\n<text fill=\"#000000\"/></svg>";
        assert_eq!(inline(svg), "<svg role=\"img\" viewBox=\"0 0 400 320\">\n<text fill=\"currentColor\"/></svg>");
    }

    #[test]
    fn signs_of_html_are_escaped() {
        assert_eq!(escaped("a < b && \"c\""), "a &lt; b &amp;&amp; &quot;c&quot;");
    }
}
