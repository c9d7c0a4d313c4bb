//! Factors, and the evidence of enumerated nodes.
//!
//! A factor multiplies the joint probability of all nodes by a weight, such as the likelihood of an observation. The
//! evidence is the sum over the states of all enumerated nodes,
//!
//! $$Z = \sum_{z_1, \dots, z_T} \prod_t p(z_t \mid \text{parents}) \prod_f w_f(z).$$
//!
//! The product is never formed. Nodes are summed out one after another (variable elimination), each in a table of the
//! nodes that it shares a factor with. A chain of $T$ nodes with $S$ states takes $T S^2$ operations instead of $S^T$.
//! All of it are recorded operations, so that the evidence has derivatives of any order, and depends on sampled nodes
//! like any other value.

mod decoding;
mod elimination;
mod marginals;
mod variables;

pub use decoding::MostProbable;

use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::state::State;
use elimination::Rule;
use std::panic::Location;
use stochgrad_tape::{TapeError, Var};
use stochgrad_tensor::Real;
use variables::Evidence;

/// A weight of the joint probability.
pub(crate) struct Factor<'t, F: Real> {
    pub(crate) name: String,
    pub(crate) log_weight: Var<'t, F>,
    pub(crate) at: &'static Location<'static>,
}

impl<F: Real> State<'_, F> {
    /// Refuses factors that have no effect.
    pub(crate) fn check_factors(&self) -> GraphResult<()> {
        match (self.factors.first(), self.evidence) {
            (Some(factor), None) => Err(GraphError::Evidence {
                problem: format!(
                    "factor \"{}\" has no effect, since the evidence is not used; record a cost with \
                     graph.log_evidence(), for example its negative",
                    factor.name
                ),
                at: factor.at,
            }),
            _ => Ok(()),
        }
    }
}

impl<'t, F: Real> Graph<'t, F> {
    /// Multiplies the joint probability of the enumerated nodes by a weight, given by its logarithm: the log-likelihood
    /// of an observation, an interaction of neighbours, or a constraint (−∞ forbids a state).
    ///
    /// The value has no event axes. On a plate of data, it is one factor for each member. Factors have an effect only
    /// through [`log_evidence`](Self::log_evidence), and through the posterior of the nodes; a graph in which neither
    /// is used is an error, since its factors would be ignored.
    ///
    /// # Errors
    /// If another factor has this name, for a value with event axes, for a factor after the evidence was recorded, and
    /// for earlier errors on the tape.
    #[track_caller]
    pub fn factor(&self, name: &str, log_weight: Var<'t, F>) -> GraphResult<()> {
        let at = Location::caller();
        self.tape().check()?;
        if !std::ptr::eq(log_weight.tape(), self.tape()) {
            return Err(TapeError::Foreign { what: format!("factor \"{name}\""), at }.into());
        }
        if !log_weight.shape().is_empty() {
            return Err(GraphError::Evidence {
                problem: format!(
                    "expected factor \"{name}\" to be one number for each member of its plates, got event shape {}; \
                     sum over its event axes",
                    log_weight.shape()
                ),
                at,
            });
        }
        let mut state = self.state_mut();
        if let Some(known) = state.factors.iter().find(|known| known.name == name) {
            return Err(GraphError::Duplicate { what: "factor", name: name.into(), before: known.at, at });
        }
        if let Some(before) = state.evidence {
            return Err(GraphError::Evidence {
                problem: format!(
                    "expected factor \"{name}\" before the evidence is computed, which was at {before}; the evidence \
                     would lack it"
                ),
                at,
            });
        }
        state.factors.push(Factor { name: name.into(), log_weight, at });
        Ok(())
    }

    /// The logarithm of the evidence: the joint probability of all factors, summed over the states of the enumerated
    /// nodes.
    ///
    /// If all nodes and factors lie on the same plates of data, it is one value for each member. Otherwise, members
    /// share a node, and the value is that of all members together. It has one value for each member of plates of
    /// samples.
    ///
    /// The nodes are eliminated in an order in which the tables stay small. This is exact and takes linear time in
    /// chains and trees. Memory grows with the product of the states of all nodes that must be held together, which
    /// [`Tape::set_memory_limit`](stochgrad_tape::Tape::set_memory_limit) bounds.
    ///
    /// ```
    /// use stochgrad_distributions::Bernoulli;
    /// use stochgrad_estimators::Enumerate;
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> stochgrad_graph::GraphResult<()> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let rain = graph.param("rain", 0.2)?;
    /// let rains = graph.sample("rains", &Bernoulli::from_probabilities(rain), &Enumerate::new())?;
    /// // The lawn is wet with probability 0.9 if it rains, and 0.1 otherwise. It is wet.
    /// graph.factor("wet", (rains * 0.8 + 0.1).ln())?;
    /// let log_evidence = graph.log_evidence()?;
    /// graph.cost("surprise", -log_evidence)?;
    ///
    /// let gradients = graph.backward()?;
    /// assert!((gradients.cost("surprise")? + 0.26_f64.ln()).abs() < 1e-12);
    /// assert!((gradients.get("rain")?.item()? + 0.8 / 0.26).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If two nodes that belong to members of different plates of data share a factor, and for earlier errors on the
    /// tape.
    #[track_caller]
    pub fn log_evidence(&self) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        let evidence = self.collect_evidence(at);
        self.tape().located(at, || Ok(evidence.eliminate(&[], Rule::Sum)?.log_total))
    }

    /// The enumerated nodes and factors that have been recorded.
    fn collect_evidence(&self, at: &'static Location<'static>) -> Evidence<'t, F> {
        self.state_mut().evidence.get_or_insert(at);
        Evidence::new(self.tape(), &self.state(), at)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Graph, GraphError, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn misplaced_factors_are_errors() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let x = graph.param("x", [1.0, 2.0]).expect("a parameter");
        let message = graph.factor("f", x).expect_err("event axes").to_string();
        assert!(message.contains("got event shape [2]; sum over its event axes"), "{message}");
        graph.factor("f", x.sum()).expect("a factor");
        assert!(matches!(graph.factor("f", x.sum()), Err(GraphError::Duplicate { what: "factor", .. })));
        graph.cost("loss", x.sum()).expect("a cost");
        let message = graph.backward().expect_err("ignored factors").to_string();
        assert!(message.contains("factor \"f\"") && message.contains("log_evidence"), "{message}");
        assert_eq!(graph.log_evidence().expect("the evidence").item().ok(), Some(3.0));
        graph.backward().expect("factors are used");
        let message = graph.factor("g", x.sum()).expect_err("too late").to_string();
        assert!(message.contains("before the evidence is computed"), "{message}");
    }
}
