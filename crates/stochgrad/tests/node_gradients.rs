//! Gradients with respect to the parameters of the distributions of nodes.

use approx::assert_relative_eq;
use stochgrad::prelude::*;

/// Two nodes in a chain on a plate of data: the gradients of the parameters follow from those at the nodes.
#[test]
fn gradients_at_nodes_give_those_of_parameters_by_the_chain_rule() {
    let x = [0.3, -1.2, 0.8];
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let (slope, scale) = (graph.param("slope", 0.7).unwrap(), graph.param("scale", -0.4).unwrap());
    let data = graph.data("batch", x).unwrap();
    let b = graph.sample("b", &Bernoulli::from_logits(slope * data), &ScoreFunction::new()).unwrap();
    let z = graph.sample("z", &Normal::new(b * 1.5, scale.exp()), &Pathwise::new()).unwrap();
    graph.cost("loss", (z - 0.3).square()).unwrap();
    let recorded = tape.len();
    let gradients = graph.backward().unwrap();

    let at_b = graph.node_gradients("b").unwrap();
    assert_eq!((at_b.len(), &at_b[0].shape()[..]), (1, &[3][..]));
    let through_logits: f64 = at_b[0].as_slice().iter().zip(x).map(|(gradient, x)| gradient * x).sum();
    assert_relative_eq!(through_logits, gradients.get("slope").unwrap().item().unwrap(), max_relative = 1e-12);

    // The draws are those of the location plus the noise times the scale, so the cost alone gives its gradient.
    let at_z = graph.node_gradients("z").unwrap();
    assert_eq!(at_z.len(), 2);
    for (gradient, z) in at_z[0].as_slice().iter().zip(z.peek().unwrap().as_slice()) {
        assert_relative_eq!(*gradient, 2.0 * (z - 0.3) / 3.0, max_relative = 1e-12);
    }
    let through_scale = at_z[1].item().unwrap() * (-0.4_f64).exp();
    assert_relative_eq!(through_scale, gradients.get("scale").unwrap().item().unwrap(), max_relative = 1e-12);

    assert_eq!(tape.len(), recorded);
    let message = graph.node_gradients("y").unwrap_err().to_string();
    assert_eq!(message, "no node is called \"y\"; there are: b, z");
}
