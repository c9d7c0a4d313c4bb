//! Drawings of a graph: a petgraph of stochastic nodes, parameters, data and costs, and its text in the DOT language.

use crate::graph::Graph;
use petgraph::dot::{Config, Dot};
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use stochgrad_tape::{Op, PlateSet, SiteId};
use stochgrad_tensor::{Real, Shape, instantiated};

/// A node of the drawn graph.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Vertex {
    /// A parameter.
    Parameter {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Shape,
    },
    /// Data: an input of the graph.
    Data {
        /// Its name.
        name: String,
        /// Its plates, in words.
        plates: String,
        /// The event shape of its value.
        shape: Shape,
    },
    /// A stochastic node.
    Stochastic {
        /// Its address.
        name: String,
        /// The name of its distribution.
        distribution: &'static str,
        /// The name of its gradient method.
        method: String,
        /// Its plates, in words.
        plates: String,
        /// The event shape of its value.
        shape: Shape,
    },
    /// A cost.
    Cost {
        /// Its name.
        name: String,
        /// Its plates, in words.
        plates: String,
    },
}

impl fmt::Display for Vertex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |plates: &String| {
            if plates.is_empty() { String::new() } else { format!("\non {plates}") }
        };
        match self {
            Vertex::Parameter { name, shape } => write!(f, "{name}\n{shape}"),
            Vertex::Data { name, plates, shape } => write!(f, "{name}\n{shape}{}", on(plates)),
            Vertex::Stochastic { name, distribution, method, plates, shape } => {
                write!(f, "{name} ~ {distribution}\n{shape}{}\n{method}", on(plates))
            }
            Vertex::Cost { name, plates } => write!(f, "{name}{}", on(plates)),
        }
    }
}

/// An edge of the drawn graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Through recorded operations.
    Recorded,
    /// Through host code that read the value.
    Control,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Edge::Recorded => "",
            Edge::Control => "read by host code",
        })
    }
}

/// The parameters, data and nodes on which a value depends without another stochastic node in between.
type Sources = BTreeSet<usize>;

impl<F: Real> Graph<'_, F> {
    /// The graph of parameters, data, stochastic nodes and costs, for algorithms of petgraph. Edges lead to a node or cost
    /// from everything that it depends on directly.
    pub fn to_petgraph(&self) -> DiGraph<Vertex, Edge> {
        instantiated!(F: fn(&Graph<'_, F>) -> DiGraph<Vertex, Edge> = |graph| graph.to_petgraph_body())(self)
    }

    fn to_petgraph_body(&self) -> DiGraph<Vertex, Edge> {
        let tape = self.tape();
        let state = self.state();
        let words = |plates: &[stochgrad_tape::Plate]| tape.plate_names(plates);
        let mut graph = DiGraph::new();
        let mut sources: HashMap<usize, Sources> = HashMap::new();
        for parameter in &state.parameters {
            let vertex =
                graph.add_node(Vertex::Parameter { name: parameter.name.clone(), shape: parameter.var.shape() });
            sources.insert(parameter.var.id().index(), Sources::from([vertex.index()]));
        }
        for (name, var) in &state.data {
            let (name, plates) = (name.clone(), words(&var.plates()));
            let vertex = graph.add_node(Vertex::Data { name, plates, shape: var.shape() });
            sources.insert(var.id().index(), Sources::from([vertex.index()]));
        }
        let mut vertices: HashMap<SiteId, NodeIndex> = HashMap::new();
        for node in &state.nodes {
            let vertex = Vertex::Stochastic {
                name: node.address.to_string(),
                distribution: node.distribution,
                method: node.method.name(),
                plates: words(&node.value.plates()),
                shape: node.value.shape(),
            };
            vertices.insert(node.site, graph.add_node(vertex));
        }
        tape.visit(tape.len(), &mut |visit| {
            if let Op::Sample(site) = visit.op
                && let Some(vertex) = vertices.get(site)
            {
                sources.insert(visit.id.index(), Sources::from([vertex.index()]));
            } else if !visit.inputs.is_empty() {
                let joint: Sources =
                    visit.inputs.iter().filter_map(|id| sources.get(&id.index())).flatten().copied().collect();
                if !joint.is_empty() {
                    sources.insert(visit.id.index(), joint);
                }
            }
        });
        let read = |recorded: usize| -> Sources {
            let reads = tape.host_reads();
            reads
                .iter()
                .filter(|read| read.recorded_before <= recorded)
                .filter_map(|read| sources.get(&read.id.index()))
                .flatten()
                .copied()
                .collect()
        };
        let connect = |graph: &mut DiGraph<Vertex, Edge>, to: NodeIndex, from: &Sources, control: &Sources| {
            from.iter().for_each(|&source| {
                graph.add_edge(NodeIndex::new(source), to, Edge::Recorded);
            });
            control.difference(from).filter(|&&source| source != to.index()).for_each(|&source| {
                graph.add_edge(NodeIndex::new(source), to, Edge::Control);
            });
        };
        for node in &state.nodes {
            let from: Sources = node
                .value
                .inputs()
                .iter()
                .filter_map(|input| sources.get(&input.id().index()))
                .flatten()
                .copied()
                .collect();
            connect(&mut graph, vertices[&node.site], &from, &read(node.value.id().index()));
        }
        for cost in &state.costs {
            let plates: PlateSet = cost.parts.iter().flat_map(|part| part.value.plates()).collect();
            let vertex = graph.add_node(Vertex::Cost { name: cost.name.clone(), plates: words(&plates) });
            let from: Sources =
                cost.parts.iter().filter_map(|part| sources.get(&part.value.id().index())).flatten().copied().collect();
            let recorded = cost.parts.first().map_or(0, |part| part.value.id().index());
            connect(&mut graph, vertex, &from, &read(recorded));
        }
        graph
    }

    /// The graph in the DOT language, for Graphviz, with the distribution, method and shape of each node.
    pub fn to_dot(&self) -> String {
        dot(&self.to_petgraph())
    }
}

fn dot(graph: &DiGraph<Vertex, Edge>) -> String {
    let attributes = |_: &DiGraph<Vertex, Edge>, (_, vertex): (NodeIndex, &Vertex)| {
        let shape = match vertex {
            Vertex::Parameter { .. } => "plaintext",
            Vertex::Data { .. } => "box style=filled",
            Vertex::Stochastic { .. } => "ellipse",
            Vertex::Cost { .. } => "diamond",
        };
        format!(
            "shape={shape} label=\"{}\"",
            vertex.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
        )
    };
    let edges = |_: &DiGraph<Vertex, Edge>, edge: petgraph::graph::EdgeReference<'_, Edge>| match edge.weight() {
        Edge::Recorded => String::new(),
        Edge::Control => format!("style=dashed label=\"{}\"", edge.weight()),
    };
    format!("{}", Dot::with_attr_getters(graph, &[Config::NodeNoLabel, Config::EdgeNoLabel], &edges, &attributes))
}
