//! Costs as a gradient method gets them, and their changes when the value of its node changes.

use stochgrad_tape::{Plates, Var};
use stochgrad_tensor::Real;

/// A cost downstream of a node, as the node's method gets it: detached, and averaged over the plates that the node
/// lacks.
#[derive(Clone, Debug)]
pub struct NodeCost<'t, F: Real> {
    /// The name of the cost; empty for a total.
    pub name: String,
    /// The value, along those plates of the node that the cost carries.
    pub value: Var<'t, F>,
    /// Plates of the node along which the cost depends on all members jointly, because it lacks the plate or mixes its
    /// members.
    pub joint: Plates,
    /// The gradient function of the node as it acts on this cost: summed over the joint plates.
    pub gradient_function: Option<Var<'t, F>>,
}

/// The change of the downstream costs when one element of a node's value is replaced.
#[derive(Clone, Debug)]
pub struct ElementDifference<'t, F: Real> {
    /// The change for each alternative, along plates of the node and the independent axes of the value. No gradient
    /// flows through it.
    pub values: Vec<Var<'t, F>>,
    /// Plates whose members must be summed in a gradient term made of these differences.
    pub summed: Plates,
}

/// The change of the downstream costs when the whole value of a node is replaced. No gradient flows through it.
#[derive(Clone, Debug)]
pub struct CostChange<'t, F: Real> {
    /// The change, along those plates of the node whose members do not meet downstream.
    pub value: Var<'t, F>,
    /// Plates whose members must be summed in a gradient term made of this change.
    pub summed: Plates,
}
