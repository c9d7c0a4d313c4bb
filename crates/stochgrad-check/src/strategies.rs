//! Strategies of the crate `proptest` for shapes and for parameters of distributions, of any shape. With the feature
//! `proptest`.
//!
//! All values are ordinary: far from the ends of their domains, where digits are lost. A failure shrinks towards the
//! simplest parameters: few axes, and then locations of 0, scales of 1, probabilities of 1/2, and equal categories.
//!
//! | strategy | for |
//! |---|---|
//! | [`shapes`] | shapes of parameters |
//! | [`locations`] | locations and logits |
//! | [`scales`] | scales, rates and concentrations |
//! | [`probabilities`] | probabilities of bits |
//! | [`simplices`] | probabilities of categories along the last axis |
//!
//! ```
//! use proptest::prelude::*;
//! use stochgrad_check::strategies::{locations, scales, shapes};
//! use stochgrad_distributions::{Distribution, Normal};
//! use stochgrad_tape::Tape;
//!
//! proptest!(ProptestConfig::with_cases(20), |((location, scale) in shapes(2, 3).prop_flat_map(|shape| {
//!     (locations(shape.clone()), scales(shape))
//! }))| {
//!     let tape = Tape::<f64>::new();
//!     let normal = Normal::new(tape.constant(location.clone()), tape.constant(scale));
//!     let mean = normal.mean().expect("a mean").value().expect("a value");
//!     prop_assert_eq!(mean, location);
//! });
//! ```

use proptest::collection::vec;
use proptest::prelude::Strategy;
use stochgrad_tensor::{Shape, Tensor};

/// Shapes with at most `axes` axes of the sizes 1 to `largest`. They shrink to that of a scalar.
pub fn shapes(axes: usize, largest: usize) -> impl Strategy<Value = Shape> {
    vec(1..=largest.max(1), 0..=axes).prop_map(Shape::from)
}

/// Real numbers from −5 to 5: locations and logits. They shrink to 0.
pub fn locations(shape: impl Into<Shape>) -> impl Strategy<Value = Tensor<f64>> {
    let shape = shape.into();
    vec(-5.0..5.0, shape.numel()).prop_map(move |elements| {
        let mut elements = elements.into_iter();
        Tensor::from_fn(&shape, |_| elements.next().unwrap_or_default())
    })
}

/// Positive numbers from e⁻³ to e³: scales, rates and concentrations. They shrink to 1.
pub fn scales(shape: impl Into<Shape>) -> impl Strategy<Value = Tensor<f64>> {
    locations(shape).prop_map(|logarithms| logarithms.map(|x| (0.6 * x).exp()))
}

/// Probabilities from 0.007 to 0.993. They shrink to 1/2.
pub fn probabilities(shape: impl Into<Shape>) -> impl Strategy<Value = Tensor<f64>> {
    locations(shape).prop_map(|logits| logits.map(|x| 1.0 / (1.0 + (-x).exp())))
}

/// Positive numbers whose sum along the last axis is 1: probabilities of categories. They shrink to equal ones.
///
/// # Panics
/// If the shape has no axis, or its last axis has the size 0.
pub fn simplices(shape: impl Into<Shape>) -> impl Strategy<Value = Tensor<f64>> {
    let shape = shape.into();
    let categories = shape.last().copied().unwrap_or(0);
    assert!(categories > 0, "expected a shape whose last axis has at least one category, got {shape}");
    scales(shape).prop_map(move |mut weights| {
        for row in weights.make_mut().chunks_mut(categories) {
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|weight| *weight /= sum);
        }
        weights
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
    use stochgrad_distributions::{
        Categorical, ClosedFormEntropy, CumulativeDistribution, Distribution, Exponential, QuantileFunction,
    };
    use stochgrad_tape::Tape;

    use super::*;

    /// The simplest value of a strategy.
    fn simplest<T: Clone + std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> T {
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let found = runner.run(&strategy, |_| Err(TestCaseError::fail("always")));
        let Err(TestError::Fail(_, value)) = found else { panic!("expected a failure, got {found:?}") };
        value
    }

    #[test]
    fn values_shrink_to_the_simplest_ones() {
        assert_eq!(simplest(shapes(3, 4)), Shape::scalar());
        assert_eq!(simplest(locations([2])).to_vec(), [0.0, 0.0]);
        assert_eq!(simplest(scales([2])).to_vec(), [1.0, 1.0]);
        assert_eq!(simplest(probabilities([1])).to_vec(), [0.5]);
        assert_eq!(simplest(simplices([2, 4])).to_vec(), [0.25; 8]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn quantiles_invert_distribution_functions(
            (rate, probability) in shapes(2, 3).prop_flat_map(|shape| (scales(shape.clone()), probabilities(shape)))
        ) {
            let tape = Tape::<f64>::new();
            let exponential = Exponential::new(tape.constant(rate));
            let found = exponential.cdf(exponential.icdf(tape.constant(probability.clone()))).value().unwrap();
            prop_assert!(found.max_abs_difference(&probability).unwrap() < 1e-14);
        }

        #[test]
        fn entropies_of_categories_are_at_most_that_of_equal_ones(
            probabilities in (1_usize..6).prop_flat_map(|categories| simplices([categories]))
        ) {
            let tape = Tape::<f64>::new();
            let categorical = Categorical::from_logits(tape.constant(probabilities.map(f64::ln)));
            let entropy = categorical.entropy().item().unwrap();
            prop_assert!(entropy > -1e-14 && entropy < (probabilities.len() as f64).ln() + 1e-14);
            let total: f64 = (0..probabilities.len())
                .map(|state| categorical.log_prob(tape.constant(state as f64)).item().unwrap().exp())
                .sum();
            prop_assert!((total - 1.0).abs() < 1e-14);
        }
    }
}
