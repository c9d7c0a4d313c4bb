//! The shared models with bits have the exact answers that their constants state.

mod methods;

use approx::assert_abs_diff_eq;
use methods::{Score, number};
use stochgrad_check::Oracle;
use stochgrad_check::models::{self, CHAIN_OF_BITS, Exact, FORK_OF_BITS, Model, SKIP_EDGE_OF_BITS, TWO_COSTS_OF_BITS};
use stochgrad_graph::{Graph, GraphResult};

fn of_bits(model: Model) -> impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()> {
    move |graph: &Graph<'_, f64>| model(graph, &models::bits(|_| Score::plain()))
}

#[test]
fn the_chain_has_its_derivatives_up_to_order_three() {
    for (order, expected) in CHAIN_OF_BITS.into_iter().enumerate() {
        let found = Oracle::new().exact_derivative(of_bits(models::chain), &[("t", number(1.0))], order);
        assert_abs_diff_eq!(found.expect("a chain"), expected, epsilon = 1e-9);
    }
}

#[test]
fn the_other_models_have_their_costs_and_gradients() {
    let known: [(Model, Exact); 3] =
        [(models::fork, FORK_OF_BITS), (models::skip_edge, SKIP_EDGE_OF_BITS), (models::two_costs, TWO_COSTS_OF_BITS)];
    for (model, exact) in known {
        assert_abs_diff_eq!(Oracle::new().exact_cost(of_bits(model)).expect("a cost"), exact.cost, epsilon = 1e-11);
        let gradient = Oracle::new().exact_gradient(of_bits(model)).expect("a gradient");
        assert_eq!(gradient.len(), 1);
        assert_eq!(gradient[0].1.len(), exact.gradient.len());
        for (found, expected) in gradient[0].1.as_slice().iter().zip(exact.gradient) {
            assert_abs_diff_eq!(*found, *expected, epsilon = 1e-11);
        }
    }
}

#[test]
fn the_score_function_is_exact_on_every_model() {
    for (name, model) in models::ALL {
        let report = Oracle::new().verify(of_bits(model), 0..=2, 1e-9);
        report.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
