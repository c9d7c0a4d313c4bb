//! The report on a graph: every node with its method, and every parameter with the guarantee for its gradient.

use crate::analysis::facts::Analysis;
use crate::analysis::ledger::Ledger;
use crate::error::GraphResult;
use crate::graph::Graph;
use crate::guarantee::Guarantee;
use crate::method::profile::{Extent, Profile};
use std::fmt;
use stochgrad_tape::{Degree, IdMap};
use stochgrad_tensor::{Real, instantiated};

/// The report on a graph; see [`Graph::report`].
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The stochastic nodes, in the order in which they were sampled.
    pub nodes: Vec<NodeReport>,
    /// The parameters, in the order in which they were made.
    pub parameters: Vec<ParameterReport>,
}

/// The report on one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeReport {
    /// Its address.
    pub address: String,
    /// The name of its distribution.
    pub distribution: &'static str,
    /// The name of its method.
    pub method: String,
    /// The properties of the method.
    pub profile: Profile,
    /// The size of a value, with which the counts of the profile grow.
    pub extent: Extent,
    /// The largest degree of a cost as a polynomial in the value. It is computed for biased methods only, and unbounded
    /// for all others.
    pub degree: Degree,
    /// The guarantee for the recorded costs.
    pub guarantee: Guarantee,
}

/// The report on one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterReport {
    /// Its name.
    pub name: String,
    /// The guarantee for its gradient.
    pub guarantee: Guarantee,
    /// The reasons: see [`Gradients::reasons`](crate::Gradients::reasons).
    pub reasons: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            writeln!(f, "node \"{}\": {} by {}: {}", node.address, node.distribution, node.method, node.profile)?;
        }
        for parameter in &self.parameters {
            writeln!(f, "parameter \"{}\": {}", parameter.name, parameter.guarantee)?;
            for reason in &parameter.reasons {
                writeln!(f, "    {reason}")?;
            }
        }
        Ok(())
    }
}

impl<F: Real> Graph<'_, F> {
    /// The report on this graph, as data: methods, their cost evaluations, bias and order of every node, and the
    /// guarantee of every parameter. The tape is restored afterwards.
    ///
    /// # Errors
    /// As [`backward`](Self::backward).
    pub fn report(&self) -> GraphResult<Report> {
        instantiated!(F: fn(&Graph<'_, F>) -> GraphResult<Report> = |graph| graph.report_body())(self)
    }

    fn report_body(&self) -> GraphResult<Report> {
        let mark = self.tape().len();
        let result = self.make_report();
        self.tape().truncate(mark);
        result
    }

    fn make_report(&self) -> GraphResult<Report> {
        let state = self.state();
        let Analysis { recording, paths, .. } = Analysis::new(self, &state)?;
        let ledger = Ledger::new(&recording, &paths)?;
        let ids = IdMap::identity();
        let mut nodes = Vec::with_capacity(state.nodes.len());
        for (index, (node, path)) in state.nodes.iter().zip(&paths).enumerate() {
            let bind = recording.bind(index, &ids);
            nodes.push(NodeReport {
                address: node.address.to_string(),
                distribution: node.distribution,
                method: node.method.name(),
                profile: node.method.profile(),
                extent: node.method.extent(bind)?,
                degree: path.degree,
                guarantee: node.method.guarantee(bind, path)?.map_err(|problem| node.refused(problem))?,
            });
        }
        let parameters = state.parameters.iter().map(|parameter| ParameterReport {
            name: parameter.name.clone(),
            guarantee: ledger.guarantee(&parameter.name),
            reasons: ledger.reasons(&parameter.name).to_vec(),
        });
        Ok(Report { nodes, parameters: parameters.collect() })
    }
}
