//! The properties that the methods of the table declare.

use crate::entries::Entry;
use std::fmt::Write;
use stochgrad::graph::{Bias, GraphResult};
use stochgrad::graph::{NodeReport, Profile};
use stochgrad::prelude::*;
use stochgrad::tape::Degree;

/// A suffix for the cell of a biased method whose gradient is certified as exact for the costs of this model.
pub(crate) fn certificate(model: &dyn for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>) -> &'static str {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let report = model(&graph).and_then(|()| graph.report()).expect("a model that was verified");
    let biased = |node: &NodeReport| node.profile.bias != Bias::Unbiased;
    let certified = report.parameters.iter().all(|parameter| parameter.guarantee.bias == Bias::Unbiased);
    if report.nodes.iter().any(biased) && certified { ", certified" } else { "" }
}

/// The table of what each method declares, with one row for each method.
pub(crate) fn reports(entries: &[Entry]) -> String {
    let mut text = String::from(
        "## Reports\n\n\
         What the methods report about themselves. *Exact to degree*: a biased method has no bias if the costs are\n\
         polynomials of at most this degree in the value of its node, and the guarantee of the gradient says so. The numbers\n\
         of cost evaluations and backward passes are upper bounds, for each member of the data.\n\n\
         | method | bias | exact to degree | order | cost evaluations | backward passes | requirement on the cost |\n|---|---|---|---|---|---|---|\n",
    );
    for subject in entries.iter().filter_map(|entry| entry.subjects.first()) {
        let Profile { bias, exact_to, order, evaluations, backward_passes, access } = subject.profile;
        let degree = match (bias, exact_to) {
            (Bias::Unbiased, _) => "any cost".to_string(),
            (_, Degree::CONSTANT) => "none".to_string(),
            (_, degree) => degree.to_string(),
        };
        let name = &subject.name;
        let _ =
            writeln!(text, "| {name} | {bias} | {degree} | {order} | {evaluations} | {backward_passes} | {access} |");
    }
    text
}
