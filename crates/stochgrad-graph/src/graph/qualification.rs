//! What objectives say of the derivatives of the costs that they record.
//!
//! An objective may leave a part of a derivative out, or estimate it in another way, by holding values on the way. The
//! recorded operations do not show whether that is right, so the objective says it.

use crate::graph::Graph;
use crate::guarantee::Guarantee;
use stochgrad_tape::{Op, SiteId, Var};
use stochgrad_tensor::Real;

/// What holds for derivatives with respect to the parameters upstream of some values.
pub(crate) struct Qualification<'t, F: Real> {
    pub(crate) through: Vec<Var<'t, F>>,
    pub(crate) guarantee: Guarantee,
    pub(crate) because: String,
}

/// A node whose samples must pass gradients.
pub(crate) struct OpenPath {
    pub(crate) site: SiteId,
    pub(crate) because: String,
}

impl<'t, F: Real> Graph<'t, F> {
    /// Says that the derivatives by all parameters upstream of some values are what is guaranteed and no more, and why:
    /// for objectives that hold these values.
    ///
    /// ```
    /// # use stochgrad_graph::{Bias, Graph, Guarantee, Order, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_graph::GraphError> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let x = graph.param("x", 2.0)?;
    /// graph.cost("square", x * x.held())?;
    /// graph.qualify(&[x], Guarantee { bias: Bias::Gradient, order: Order::Finite(1) }, "one factor is held");
    /// assert_eq!(graph.backward()?.guarantee("x")?.bias, Bias::Gradient);
    /// # Ok(())
    /// # }
    /// ```
    pub fn qualify(&self, through: &[Var<'t, F>], guarantee: Guarantee, because: impl Into<String>) {
        self.state_mut().qualifications.push(Qualification {
            through: through.to_vec(),
            guarantee,
            because: because.into(),
        });
    }

    /// Says that an objective is right only if gradients flow through a sample. Differentiation is refused with this
    /// reason if the node's method decides otherwise.
    pub fn require_path(&self, sample: Var<'t, F>, because: impl Into<String>) {
        if let Some(Op::Sample(site)) = sample.op() {
            self.state_mut().open_paths.push(OpenPath { site, because: because.into() });
        }
    }
}
