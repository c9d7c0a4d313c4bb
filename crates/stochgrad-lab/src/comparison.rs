//! The result of a comparison.

use crate::statistics::Statistics;

/// The result of a [`Compare`](crate::Compare). `Display` writes it as a table for a terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The confidence of the intervals.
    pub confidence: f64,
    /// Where the reference of the biases is from; none without a reference.
    pub reference: Option<String>,
    /// The combinations of methods.
    pub arms: Vec<ArmReport>,
    /// Whether the time budget ended the measurement.
    pub out_of_time: bool,
}

/// A combination of methods and what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmReport {
    /// The addresses of the varied nodes, and the code of their methods.
    pub methods: Vec<(String, String)>,
    /// Why the graph refused a method, or why the model failed with it.
    pub refusal: Option<String>,
    /// The measurements, if there was no such error.
    pub statistics: Option<Statistics>,
}

impl ArmReport {
    /// The nodes and their methods in one line.
    pub fn label(&self) -> String {
        self.methods.iter().map(|(node, method)| format!("{node}: {method}")).collect::<Vec<_>>().join(", ")
    }
}

impl Comparison {
    /// The combinations that were measured.
    pub fn measured(&self) -> impl Iterator<Item = (&ArmReport, &Statistics)> {
        self.arms.iter().filter_map(|arm| Some((arm, arm.statistics.as_ref()?)))
    }
}
