//! A property of every random model: the score function is exact.

mod methods;

use methods::Score;
use proptest::prelude::*;
use stochgrad_check::{Oracle, models, random_models};
use stochgrad_graph::Graph;

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_score_function_is_exact_on_random_models(model in random_models()) {
        let verified = Oracle::new()
            .verify(|graph: &Graph<'_, f64>| model.record(graph, &models::bits(|_| Score::plain())), 0..=2, 1e-9);
        prop_assert!(verified.is_ok(), "{}: {}", model, verified.unwrap_err());
    }
}
