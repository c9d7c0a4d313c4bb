//! Costs as a node sees them, and how they change when its value does.

use stochgrad_tape::{Plates, Var};
use stochgrad_tensor::{Real, Tensor};

/// A cost downstream of a node, as the node's method sees it: detached, and averaged over the plates that the node
/// lacks.
#[derive(Clone, Debug)]
pub struct NodeCost<'t, F: Real> {
    /// The name of the cost; empty for a total.
    pub name: String,
    /// The value, along those plates of the node that the cost has.
    pub value: Var<'t, F>,
    /// Plates of the node that the cost lacks: it saw their members jointly.
    pub joint: Plates,
    /// The node's gradient function as it acts on this cost: summed over the joint plates.
    pub gradient_function: Option<Var<'t, F>>,
}

/// The change of the downstream costs when one element of a node's value is replaced.
#[derive(Clone, Debug)]
pub struct ElementDifference<F: Real> {
    /// The plates of the differences.
    pub plates: Plates,
    /// For each alternative the change, along the plates and the independent axes of the value.
    pub values: Vec<Tensor<F>>,
    /// Plates whose members must be summed in a gradient term made of these differences.
    pub summed: Plates,
}

/// As [`ElementDifference`], with recorded values.
#[derive(Clone, Debug)]
pub struct RecordedDifference<'t, F: Real> {
    /// For each alternative the change, along the plates and the independent axes of the value; no gradient flows to
    /// it.
    pub values: Vec<Var<'t, F>>,
    /// Plates whose members must be summed in a gradient term made of these differences.
    pub summed: Plates,
}

/// The change of the downstream costs when a whole value is replaced; no gradient flows to it.
#[derive(Clone, Debug)]
pub struct CostChange<'t, F: Real> {
    /// The change, along those plates of the node whose members do not meet.
    pub value: Var<'t, F>,
    /// Plates whose members must be summed in a gradient term made of it.
    pub summed: Plates,
}
