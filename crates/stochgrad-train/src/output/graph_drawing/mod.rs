//! The graph of a model as an SVG picture.

mod layout;

use std::fmt::Write;

use petgraph::graph::DiGraph;
use stochgrad_graph::{Edge, Vertex};

use layout::{Item, Kind, LINE, Layout, Place};

/// Draws the graph of a model as an SVG picture: parameters by module (rectangles), data (shaded rectangles), stochastic
/// nodes (ellipses) with their distributions, shapes and gradient methods, costs (diamonds), and the plates as boxes
/// around what lies on them. An arrow leads to a node or cost from everything on which it depends directly; it is dashed
/// if host code read the value.
///
/// [`Graph::to_petgraph`](stochgrad_graph::Graph::to_petgraph) returns the graph, and
/// [`Step::inspect`](stochgrad_nn::Step::inspect) that of a model.
///
/// ```
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::{Inputs, Parameters, Record, Step};
/// use stochgrad_train::output::graph_svg;
///
/// let step = Step::new(|record: &Record<'_, '_, f64>| record.cost("loss", record.input("x")?.square()));
/// let inputs = Inputs::new().batch("x", [1.0, 2.0]);
/// let svg = step.inspect(&Parameters::new(), &inputs, Seed::new(7), |graph| graph_svg(&graph.to_petgraph()))?;
/// assert!(svg.contains("batch") && svg.contains("loss"));
/// # Ok::<(), stochgrad_graph::GraphError>(())
/// ```
pub fn graph_svg(graph: &DiGraph<Vertex, Edge>) -> String {
    let layout = Layout::new(graph);
    let mut svg = String::new();
    // Writing to a string does not fail.
    let _ = draw(&mut svg, &layout);
    svg
}

fn draw(svg: &mut String, layout: &Layout) -> std::fmt::Result {
    let Layout { items, arrows, boxes, width, height } = layout;
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\">"
    )?;
    svg.push_str(
        "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"#444\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
    );
    for plate in boxes {
        let (wide, high) = (plate.right - plate.left, plate.bottom - plate.top);
        writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" rx=\"8\" fill=\"none\" \
             stroke=\"#777\"/>",
            plate.left, plate.top
        )?;
        let (x, y) = (plate.right - 8.0, plate.bottom - 7.0);
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
            escaped(&plate.name)
        )?;
    }
    for arrow in arrows {
        let curve = curve(items[arrow.from].place, items[arrow.to].place, arrow.is_long);
        let dashes = if arrow.is_control { " stroke-dasharray=\"5 4\"" } else { "" };
        let [start, first, second, end] = curve.map(|(x, y)| format!("{x:.1},{y:.1}"));
        writeln!(
            svg,
            "<path d=\"M{start} C{first} {second} {end}\" fill=\"none\" stroke=\"#444\" \
             marker-end=\"url(#arrow)\"{dashes}/>"
        )?;
    }
    items.iter().try_for_each(|item| draw_item(svg, item))?;
    svg.push_str("</svg>\n");
    Ok(())
}

/// The start, two control points and the end of an arrow. One that passes other layers ends at the side of its target,
/// so that it does not lead through the items above.
fn curve(from: Place, to: Place, is_long: bool) -> [(f64, f64); 4] {
    let start = (from.x, from.y + from.height / 2.0);
    if is_long {
        let side = if from.x < to.x { -1.0 } else { 1.0 };
        let end = (to.x + side * to.width / 2.0, to.y);
        let below = (start.0 - 0.5 * side * from.width, start.1 + 0.6 * (end.1 - start.1));
        return [start, below, (end.0 + side * 90.0, end.1), end];
    }
    let end = (to.x, to.y - to.height / 2.0);
    let bend = 0.5 * (end.1 - start.1).abs().max(20.0);
    [start, (start.0, start.1 + bend), (end.0, end.1 - bend), end]
}

fn draw_item(svg: &mut String, item: &Item) -> std::fmt::Result {
    let Place { x, y, width, height } = item.place;
    let (left, top) = (x - width / 2.0, y - height / 2.0);
    match item.kind {
        Kind::Parameters | Kind::Data => {
            let fill = if item.kind == Kind::Data { "#d0d0d0" } else { "#eef4fb" };
            writeln!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\" \
                 stroke=\"#444\"/>"
            )?;
        }
        Kind::Stochastic => writeln!(
            svg,
            "<ellipse cx=\"{x:.1}\" cy=\"{y:.1}\" rx=\"{:.1}\" ry=\"{:.1}\" fill=\"white\" stroke=\"#444\"/>",
            width / 2.0,
            height / 2.0
        )?,
        Kind::Cost => writeln!(
            svg,
            "<polygon points=\"{x:.1},{top:.1} {:.1},{y:.1} {x:.1},{:.1} {left:.1},{y:.1}\" fill=\"white\" \
             stroke=\"#444\"/>",
            left + width,
            top + height
        )?,
    }
    let first = y - LINE * (item.lines.len() as f64 - 1.0) / 2.0 + 4.5;
    for (number, line) in item.lines.iter().enumerate() {
        let fill = if number == 0 { "black" } else { "#555" };
        let y = first + LINE * number as f64;
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{fill}\">{}</text>", escaped(line))?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use stochgrad_distributions::{Bernoulli, Distribution};
    use stochgrad_estimators::ScoreFunction;
    use stochgrad_graph::{GraphResult, Seed};
    use stochgrad_nn::{Inputs, Parameters, Record, Step};
    use stochgrad_tensor::Tensor;

    use super::layout::Arrow;
    use super::*;

    fn model(record: &Record<'_, '_, f64>) -> GraphResult<()> {
        let x = record.input("x")?;
        let bits = Bernoulli::from_logits(x * record.param("encoder.weight")? + record.param("encoder.bias")?);
        let z = record.sample("z", &bits, &ScoreFunction::new().samples(4))?;
        let pixels = Bernoulli::from_logits(z * record.param("decoder")?);
        record.cost("a < b & c", -pixels.log_prob(x))?;
        record.cost("penalty", record.param("decoder")?.square())
    }

    fn graph() -> DiGraph<Vertex, Edge> {
        let mut parameters = Parameters::new();
        for name in ["encoder.weight", "encoder.bias", "decoder"] {
            parameters.insert(name, Tensor::scalar(0.5)).unwrap();
        }
        let inputs = Inputs::new().batch("x", [0.0, 1.0, 1.0]).batch("labels", [1.0, 2.0, 3.0]);
        Step::new(model).inspect(&parameters, &inputs, Seed::new(7), |graph| graph.to_petgraph()).unwrap()
    }

    #[test]
    fn items_lie_below_what_they_depend_on_and_inside_their_plates() {
        let layout = Layout::new(&graph());
        let names: Vec<&str> = layout.items.iter().map(|item| item.lines[0].as_str()).collect();
        assert_eq!(names, ["encoder", "decoder", "x", "z ~ Bernoulli", "a < b & c", "penalty"]);
        assert_eq!(layout.items[0].lines[1], "2 tensors, 2 values");
        let bottom = |place: Place| place.y + place.height / 2.0;
        for &Arrow { from, to, .. } in &layout.arrows {
            let (from, to) = (layout.items[from].place, layout.items[to].place);
            assert!(bottom(from) < to.y - to.height / 2.0);
        }
        let batch = layout.boxes.iter().find(|plate| plate.name == "batch").unwrap();
        for item in &layout.items {
            let Place { x, y, width, height } = item.place;
            let (left, right) = (x - width / 2.0, x + width / 2.0);
            assert!(left > 0.0 && right < layout.width && y - height / 2.0 > 0.0 && bottom(item.place) < layout.height);
            let is_inside = left > batch.left && right < batch.right;
            assert_eq!(is_inside, item.plates.contains(&"batch".to_owned()), "{item:?}");
            for other in layout.items.iter().filter(|other| *other != item) {
                let distance = ((x - other.place.x).abs() - (width + other.place.width) / 2.0)
                    .max((y - other.place.y).abs() - (height + other.place.height) / 2.0);
                assert!(distance > 0.0, "{item:?} {other:?}");
            }
        }
        for plate in &layout.boxes {
            assert!(plate.left > 0.0 && plate.right < layout.width && plate.top > 0.0 && plate.bottom < layout.height);
        }
        assert_eq!(layout.boxes.len(), 2);
        let samples = layout.boxes.iter().find(|plate| plate.name != "batch").unwrap();
        assert!(samples.left > batch.left && samples.right < batch.right && samples.bottom < batch.bottom);
    }

    #[test]
    fn the_picture_has_every_item_with_escaped_names() {
        let svg = graph_svg(&graph());
        for text in [">encoder<", ">x<", ">z ~ Bernoulli<", ">a &lt; b &amp; c<", ">batch<", ">penalty<"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.contains("labels") && !svg.contains("NaN") && !svg.contains("inf"));
        assert_eq!((svg.matches("<ellipse").count(), svg.matches("<polygon").count()), (1, 2));
        assert!(graph_svg(&DiGraph::new()).ends_with("</svg>\n"));
    }
}
