//! The positions of the parts of a graph.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use stochgrad_graph::{Edge, Vertex};

/// The width of a character, in pixels.
const CHARACTER: f64 = 7.2;
/// The height of a line of text.
pub(super) const LINE: f64 = 17.0;
/// The space between items, and around the picture.
const GAP: f64 = 30.0;
/// The space between layers.
const LAYER_GAP: f64 = 56.0;
/// The space between the border of a plate and its items or the plates inside.
const INSET: f64 = 12.0;

/// How an item is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The parameters of a module.
    Parameters,
    Data,
    Stochastic,
    Cost,
}

/// An item of the picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) lines: Vec<String>,
    /// The plates, the outermost first.
    pub(super) plates: Vec<String>,
    pub(super) place: Place,
}

/// A rectangle, by its centre.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The box of a plate, by its corners.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlateBox {
    pub(super) name: String,
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// An arrow between two items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Whether host code read the value.
    pub(super) is_control: bool,
    /// Whether it passes other layers.
    pub(super) is_long: bool,
}

/// A graph with positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) items: Vec<Item>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) boxes: Vec<PlateBox>,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Layout {
    pub(super) fn new(graph: &DiGraph<Vertex, Edge>) -> Self {
        let (items, arrows) = items(graph);
        let mut layout = Self { items, arrows, ..Self::default() };
        let layers = layout.layers();
        for arrow in &mut layout.arrows {
            arrow.is_long = layers[arrow.to] > layers[arrow.from] + 1;
        }
        layout.arrange(&layers);
        layout
    }

    /// The layer of each item, below all items on which it depends.
    fn layers(&self) -> Vec<usize> {
        let mut graph = DiGraph::<usize, ()>::new();
        let vertices: Vec<NodeIndex> = (0..self.items.len()).map(|item| graph.add_node(item)).collect();
        graph.extend_with_edges(self.arrows.iter().map(|arrow| (vertices[arrow.from], vertices[arrow.to])));
        let mut layers = vec![0; self.items.len()];
        // The graph of a recording has no cycles.
        for vertex in toposort(&graph, None).unwrap_or_default() {
            for below in graph.neighbors(vertex) {
                layers[graph[below]] = layers[graph[below]].max(layers[graph[vertex]] + 1);
            }
        }
        // Parameters and data move down to the first item that depends on them.
        let mut next = vec![usize::MAX; self.items.len()];
        let mut is_source = vec![true; self.items.len()];
        for &Arrow { from, to, .. } in &self.arrows {
            next[from] = next[from].min(layers[to]);
            is_source[to] = false;
        }
        for item in (0..self.items.len()).filter(|&item| is_source[item] && next[item] < usize::MAX) {
            layers[item] = next[item] - 1;
        }
        layers
    }

    /// Puts items with the same plates into a column, whose rows are the layers.
    fn arrange(&mut self, layers: &[usize]) {
        let mut columns: Vec<Vec<String>> = Vec::new();
        for item in &self.items {
            if !columns.contains(&item.plates) {
                columns.push(item.plates.clone());
            }
        }
        columns.sort_by_key(Vec::len);
        let depth = columns.iter().map(Vec::len).max().unwrap_or(0) as f64;
        let margin = GAP + depth * INSET;

        let mut rows: BTreeMap<usize, f64> = BTreeMap::new();
        for (item, &layer) in self.items.iter().zip(layers) {
            let height = rows.entry(layer).or_default();
            *height = height.max(item.place.height);
        }
        let mut top = margin;
        for (&layer, &height) in &rows {
            for (item, _) in self.items.iter_mut().zip(layers).filter(|(_, of)| **of == layer) {
                item.place.y = top + height / 2.0;
            }
            top += height + LAYER_GAP;
        }

        let mut left = margin;
        for plates in &columns {
            let mut cells: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for index in (0..self.items.len()).filter(|&index| self.items[index].plates == *plates) {
                cells.entry(layers[index]).or_default().push(index);
            }
            let width_of = |cell: &[usize], items: &[Item]| {
                cell.iter().map(|&index| items[index].place.width + GAP).sum::<f64>() - GAP
            };
            let width = cells.values().map(|cell| width_of(cell, &self.items)).fold(0.0, f64::max);
            for cell in cells.values() {
                let mut x = left + (width - width_of(cell, &self.items)) / 2.0;
                for &index in cell {
                    let place = &mut self.items[index].place;
                    place.x = x + place.width / 2.0;
                    x += place.width + GAP;
                }
            }
            left += width + GAP + 2.0 * INSET * depth;
        }
        (self.width, self.height) = (left - INSET * depth, top - LAYER_GAP + margin + LINE * depth);
        self.boxes = self.boxes(&columns);
    }

    /// A box for each run of columns on a plate, the outer ones first.
    fn boxes(&self, columns: &[Vec<String>]) -> Vec<PlateBox> {
        let depth = columns.iter().map(Vec::len).max().unwrap_or(0);
        let mut names: Vec<&String> = Vec::new();
        for name in columns.iter().flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut boxes = Vec::new();
        for (level, name) in names.into_iter().enumerate() {
            for run in columns.chunk_by(|left, right| left.contains(name) == right.contains(name)) {
                if !run[0].contains(name) {
                    continue;
                }
                let items = self.items.iter().filter(|item| run.contains(&item.plates)).map(|item| item.place);
                // Each plate has room for those inside, and below its items for its name and theirs.
                let nested = depth.saturating_sub(level).max(1) as f64;
                let inset = INSET * nested;
                let mut plate =
                    PlateBox { name: name.clone(), left: f64::INFINITY, top: f64::INFINITY, right: 0.0, bottom: 0.0 };
                for Place { x, y, width, height } in items {
                    plate.left = plate.left.min(x - width / 2.0 - inset);
                    plate.right = plate.right.max(x + width / 2.0 + inset);
                    plate.top = plate.top.min(y - height / 2.0 - inset);
                    plate.bottom = plate.bottom.max(y + height / 2.0 + inset + LINE * nested);
                }
                boxes.push(plate);
            }
        }
        boxes
    }
}

/// The items and arrows of a graph. The parameters of a module, which is the first part of their names, are one item.
fn items(graph: &DiGraph<Vertex, Edge>) -> (Vec<Item>, Vec<Arrow>) {
    let mut items: Vec<Item> = Vec::new();
    let mut modules: Vec<(String, usize, usize, usize)> = Vec::new();
    let mut of_vertex = vec![0; graph.node_count()];
    for vertex in graph.node_indices() {
        if let Vertex::Parameter { name, shape } = &graph[vertex] {
            let module = name.split('.').next().unwrap_or(name);
            let size: usize = shape.iter().product();
            let known = modules.iter_mut().find(|(known, ..)| known == module);
            of_vertex[vertex.index()] = match known {
                Some((_, item, tensors, numbers)) => {
                    (*tensors, *numbers) = (*tensors + 1, *numbers + size);
                    *item
                }
                None => {
                    modules.push((module.to_owned(), items.len(), 1, size));
                    items.push(item(Kind::Parameters, Vec::new(), ""));
                    items.len() - 1
                }
            };
            continue;
        }
        of_vertex[vertex.index()] = items.len();
        items.push(match &graph[vertex] {
            Vertex::Data { name, plates, shape } => item(Kind::Data, vec![name.clone(), shape.to_string()], plates),
            Vertex::Stochastic { name, distribution, method, plates, shape } => {
                let lines = vec![format!("{name} ~ {distribution}"), shape.to_string(), method.clone()];
                item(Kind::Stochastic, lines, plates)
            }
            Vertex::Cost { name, plates } => item(Kind::Cost, vec![name.clone()], plates),
            other => item(Kind::Data, vec![other.to_string()], ""),
        });
    }
    for (module, index, tensors, numbers) in modules {
        let tensors = if tensors == 1 { String::new() } else { format!("{tensors} tensors, ") };
        items[index] = item(Kind::Parameters, vec![module, format!("{tensors}{numbers} values")], "");
    }
    let mut arrows = BTreeSet::new();
    for edge in graph.edge_references() {
        let (from, to) = (of_vertex[edge.source().index()], of_vertex[edge.target().index()]);
        arrows.insert(Arrow { from, to, is_control: *edge.weight() == Edge::Control, is_long: false });
    }
    (items, arrows.into_iter().collect())
}

fn item(kind: Kind, lines: Vec<String>, plates: &str) -> Item {
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) as f64;
    // An ellipse and a diamond hold less text than a rectangle.
    let (wide, high) = match kind {
        Kind::Parameters | Kind::Data => (1.0, 1.0),
        Kind::Stochastic => (1.35, 1.35),
        Kind::Cost => (1.5, 2.0),
    };
    let width = wide * (CHARACTER * longest + 16.0);
    let height = high * (LINE * lines.len() as f64 + 12.0);
    // Sizes of plates are those of one minibatch.
    let names = plates.split(", ").filter(|plate| !plate.is_empty());
    let plates = names.map(|plate| plate.split('(').next().unwrap_or(plate).to_owned()).collect();
    Item { kind, lines, plates, place: Place { width, height, ..Place::default() } }
}
