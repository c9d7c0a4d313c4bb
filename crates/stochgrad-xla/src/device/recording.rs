//! A compiled graph inside a module.

use crate::device::interface::{Interface, Output};
use crate::device::operands::words;
use crate::error::{XlaError, XlaResult};
use crate::lowering::axes::Fold;
use crate::lowering::builder::{Builder, Value};
use crate::lowering::types::Element;
use crate::lowering::{ArgumentKind, Check, Options, Precision, record};
use stochgrad_tape::{ListedPlate, Listing};
use stochgrad_tensor::{Real, Shape};

/// What a compiled graph is given.
pub(super) struct Given<'a, 'b> {
    /// The inputs, with the schedules.
    pub(super) inputs: &'a [Value<'b>],
    /// The slots that are used.
    pub(super) slots: &'a [Value<'b>],
    /// The words of the seed.
    pub(super) seed: Value<'b>,
    /// The words of the step.
    pub(super) step: Value<'b>,
    /// The number of the shard.
    pub(super) shard: Value<'b>,
}

/// What a compiled graph computes.
pub(super) struct Computed<'b> {
    pub(super) outputs: Vec<Value<'b>>,
    /// Whether all checks hold.
    pub(super) holds: Value<'b>,
    /// A truth value for each check, if there are checks.
    pub(super) each_holds: Option<Value<'b>>,
    pub(super) checks: Vec<Check>,
    /// The costs, and then 1 if all checks hold, else 0: a vector.
    pub(super) report: Value<'b>,
}

/// Records a compiled graph.
pub(super) fn record_graph<'b, F: Real>(
    builder: &'b Builder,
    interface: &Interface,
    listing: &Listing<'_, F>,
    (precision, devices): (Precision, usize),
    given: &Given<'_, 'b>,
) -> XlaResult<Computed<'b>> {
    let options = Options { precision, finite: (0..interface.outputs.len()).collect() };
    let recorded = record(builder, listing, &options, &mut |kind, _| match kind {
        ArgumentKind::Input(number) => given.inputs[number],
        ArgumentKind::Slot(number) => {
            let used = interface.slots.iter().position(|used| used.read == Some(number));
            given.slots[used.expect("a slot of the listing")]
        }
        ArgumentKind::Seed => given.seed,
        ArgumentKind::Step => given.step,
        ArgumentKind::Offset(plate) => {
            let ListedPlate { offset, size, .. } = listing.plate(plate);
            words(given.shard.convert(Element::U64) * size as i64 + offset as i64)
        }
    })?;
    let element = Element::of::<F>();
    // The devices of a group agree on whether a step fails.
    let agreed = |flags: Value<'b>| if devices > 1 { flags.over_devices(Fold::All) } else { flags };
    let holds = recorded.all_hold.map_or_else(|| builder.truth(true), agreed);
    let each_holds = recorded.each_holds.map(agreed);
    let one = Shape::from([1]);
    let estimates = interface.outputs.iter().zip(&recorded.outputs);
    let costs = estimates.filter(|(output, _)| matches!(output, Output::Estimate(_)));
    let mut parts: Vec<Value<'b>> = costs.map(|(_, value)| value.reshape(&one)).collect();
    parts.push(holds.convert(element).reshape(&one));
    let report = parts[0].concat(&parts[1..], 0);
    Ok(Computed { outputs: recorded.outputs, holds, each_holds, checks: recorded.checks, report })
}

/// The error for a part of a run that has no value.
pub(super) fn no_value(what: &str, name: &str, advice: &str) -> XlaError {
    XlaError::Mismatch {
        what: format!("{what} \"{name}\""),
        expected: "a value".into(),
        got: "none".into(),
        advice: advice.into(),
    }
}
