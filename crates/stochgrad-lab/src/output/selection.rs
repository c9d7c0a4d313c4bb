//! Selections and shares as tables and as JSON.

use std::fmt;

use comfy_table::{Table, presets};
use serde_json::{Value, json};
use stochgrad_tensor::Real;

use super::json::interval;
use super::number::{short, time, with_error, with_relative_error};
use crate::attribute::{NodeShare, Shares};
use crate::select::{Race, Racer, Selection};

impl<F: Real> fmt::Display for Selection<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_header(["node", "method", &self.criterion.to_string(), "time", "runs", "chosen"]);
        for race in &self.nodes {
            for (index, racer) in race.methods.iter().enumerate() {
                let Some(score) = &racer.score else { continue };
                let chosen = if index == race.chosen { race.certainty() } else { String::new() };
                let (time, runs) = (racer.time.map_or_else(String::new, time), racer.repetitions.to_string());
                table.add_row([&race.node, &racer.label, &with_relative_error(score), &time, &runs, &chosen]);
            }
        }
        writeln!(f, "{table}")?;
        if self.out_of_time {
            writeln!(f, "The time budget ended the selection.")?;
        }
        for race in &self.nodes {
            for warning in &race.warnings {
                writeln!(f, "{}: {}: {warning}", race.node, race.label())?;
            }
            for racer in &race.methods {
                if let Some(refusal) = &racer.refusal {
                    writeln!(f, "{}: {}: not possible: {refusal}", race.node, racer.label)?;
                }
            }
        }
        Ok(())
    }
}

impl Race {
    /// How certain the choice is, in words.
    pub(super) fn certainty(&self) -> String {
        let confidence = format!("with confidence {:.3}", self.confidence);
        if self.is_kept { format!("kept, {confidence}") } else { confidence }
    }
}

impl<F: Real> Selection<F> {
    /// The selection as JSON.
    pub fn to_json(&self) -> Value {
        let racer = |racer: &Racer| {
            json!({
                "method": racer.label,
                "score": racer.score.as_ref().map(interval),
                "seconds": racer.time,
                "repetitions": racer.repetitions,
                "refusal": racer.refusal,
            })
        };
        let race = |race: &Race| {
            json!({
                "node": race.node,
                "chosen": race.label(),
                "confidence": race.confidence,
                "kept": race.is_kept,
                "warnings": race.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "methods": race.methods.iter().map(racer).collect::<Vec<_>>(),
            })
        };
        json!({
            "criterion": self.criterion.to_string(),
            "nodes": self.nodes.iter().map(race).collect::<Vec<_>>(),
            "out_of_time": self.out_of_time,
        })
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(["node", "alone", "with interactions"]);
        for share in &self.nodes {
            table.add_row([&share.node, &with_error(&share.first_order), &with_error(&share.total)]);
        }
        writeln!(f, "{table}")?;
        let (variance, repetitions) = (short(self.variance.estimate), self.repetitions);
        writeln!(f, "Shares of the variance {variance} of {}, {repetitions} repetitions.", self.quantity)
    }
}

impl Shares {
    /// The shares as JSON.
    pub fn to_json(&self) -> Value {
        let share = |share: &NodeShare| {
            json!({
                "node": share.node,
                "first_order": interval(&share.first_order),
                "total": interval(&share.total),
            })
        };
        json!({
            "quantity": self.quantity.to_string(),
            "variance": interval(&self.variance),
            "nodes": self.nodes.iter().map(share).collect::<Vec<_>>(),
            "repetitions": self.repetitions,
            "confidence": self.confidence,
        })
    }
}
