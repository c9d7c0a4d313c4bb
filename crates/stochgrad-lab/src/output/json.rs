//! The comparison as JSON.

use serde_json::{Map, Value, json};

use crate::comparison::{ArmReport, Comparison};
use crate::interval::Interval;
use crate::reservoir::Quantiles;
use crate::statistics::{BiasEstimate, Statistics};

impl Comparison {
    /// The comparison as JSON. Estimates are objects with the keys `estimate`, `low` and `high`; a number that is not
    /// finite is `null`.
    pub fn to_json(&self) -> Value {
        json!({
            "confidence": self.confidence,
            "reference": self.reference,
            "out_of_time": self.out_of_time,
            "arms": self.arms.iter().map(arm).collect::<Vec<_>>(),
        })
    }
}

fn arm(arm: &ArmReport) -> Value {
    let methods: Map<String, Value> = arm.methods.iter().map(|(node, method)| (node.clone(), json!(method))).collect();
    json!({
        "methods": methods,
        "refusal": arm.refusal,
        "statistics": arm.statistics.as_ref().map(statistics),
    })
}

pub(super) fn interval(interval: &Interval) -> Value {
    json!({ "estimate": interval.estimate, "low": interval.low, "high": interval.high })
}

fn quantiles(found: &Quantiles) -> Value {
    json!({
        "0.05": found.low,
        "0.25": found.lower_quartile,
        "0.5": found.median,
        "0.75": found.upper_quartile,
        "0.95": found.high,
    })
}

fn statistics(found: &Statistics) -> Value {
    let means: Map<String, Value> = found.means.iter().map(|(name, mean)| (name.clone(), json!(mean))).collect();
    let variances: Map<String, Value> =
        found.variances.iter().map(|(name, variance)| (name.clone(), interval(variance))).collect();
    let bias = |bias: &BiasEstimate| {
        json!({
            "relative": bias.relative.as_ref().map(interval),
            "worst": interval(&bias.worst),
            "element": bias.element,
            "squared": interval(&bias.squared),
            "significant": bias.is_significant(),
        })
    };
    json!({
        "repetitions": found.repetitions,
        "means": means,
        "variance": interval(&found.variance),
        "variance_sequence": interval(&found.variance_sequence),
        "variances": variances,
        "second_moment": interval(&found.second_moment),
        "bias": found.bias.as_ref().map(bias),
        "cosine": found.cosine.as_ref().map(interval),
        "signal_to_noise": found.signal_to_noise,
        "quantiles": found.quantiles.as_ref().map(quantiles),
        "kurtosis": found.kurtosis,
        "evaluations": found.evaluations,
        "backward_passes": found.backward_passes,
        "seconds": interval(&found.time),
        "variance_seconds": interval(&found.variance_time),
        "guarantee": found.guarantee.to_string(),
        "warnings": found.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
