use super::*;
use crate::Pathwise;
use approx::assert_abs_diff_eq;
use stochgrad_check::StatisticalTest;
use stochgrad_distributions::{Distribution, Normal};
use stochgrad_graph::{Graph, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

const DATA: [f64; 6] = [-1.2, 0.3, 0.9, 2.1, -0.4, 0.7];

/// The value and the gradients of the objective for a normal distribution.
fn normal(mean: f64, variance: f64) -> [f64; 3] {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let (mean, variance) = (graph.param("mean", mean).unwrap(), graph.param("variance", variance).unwrap());
    let x = graph.data("x", DATA).unwrap();
    let score = |x| score_of(x, |x| Ok(Normal::new(mean, variance.sqrt()).log_prob(x)));
    graph.cost("loss", score_matching(x, score).unwrap()).unwrap();
    let gradients = graph.backward().unwrap();
    let slope = |name: &str| gradients.get(name).unwrap().item().unwrap();
    [gradients.cost("loss").unwrap(), slope("mean"), slope("variance")]
}

#[test]
fn a_normal_model_has_the_known_values_and_its_minimum_at_the_moments() {
    assert_abs_diff_eq!(normal(0.0, 1.0)[0], -0.3833333333, epsilon = 1e-9);
    assert_abs_diff_eq!(normal(0.5, 2.0)[..], [-0.3645833333, 0.025, 0.1145833333][..], epsilon = 1e-9);
    assert_abs_diff_eq!(normal(0.4, 1.073333333333)[..], [-0.4658385093, 0.0, 0.0][..], epsilon = 1e-9);
}

/// The unnormalised density exp(θ₁ x + θ₂ x² + θ₃ x⁴): the gradient vanishes at the known minimum, and the Hessian of the
/// objective, a derivative of order four of the density, is positive definite.
#[test]
fn an_unnormalised_density_has_its_known_minimum() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let theta = graph.param("theta", [0.4252464748, -0.1506217745, -0.05335242563]).unwrap();
    let x = graph.data("x", DATA).unwrap();
    let [first, second, fourth] = [0, 1, 2].map(|i| theta.index(0, i));
    let score = |x| score_of(x, |x| Ok(x * first + x.square() * second + x.powf(4.0) * fourth));
    graph.cost("loss", score_matching(x, score).unwrap()).unwrap();
    let gradients = graph.backward().unwrap();
    assert_abs_diff_eq!(gradients.cost("loss").unwrap(), -0.5454297242, epsilon = 1e-9);
    assert_abs_diff_eq!(gradients.get("theta").unwrap().as_slice(), &[0.0; 3][..], epsilon = 1e-8);
    let hessian = graph.surrogate().unwrap().hessian("theta").unwrap();
    // The objective is quadratic in θ, with the Hessian E[g'gᵀ'] for the slopes g' = (1, 2x, 4x³).
    let mean = |f: &dyn Fn(f64) -> f64| DATA.iter().map(|&x| f(x)).sum::<f64>() / DATA.len() as f64;
    let slopes: [&dyn Fn(f64) -> f64; 3] = [&|_| 1.0, &|x| 2.0 * x, &|x| 4.0 * x.powi(3)];
    for (cell, found) in hessian.as_slice().iter().enumerate() {
        let expected = mean(&|x| slopes[cell / 3](x) * slopes[cell % 3](x));
        assert_abs_diff_eq!(*found, expected, epsilon = 1e-9);
    }
}

/// A model with a full matrix, whose trace and off-diagonal elements both count.
#[test]
fn slices_have_the_mean_of_the_whole_trace() {
    let points = [[0.4, 1.0], [-1.0, 0.2], [0.3, -0.8]];
    fn score<'t>(matrix: Var<'t, f64>, x: Var<'t, f64>) -> Var<'t, f64> {
        (x * x).matmul(matrix) - x
    }
    let whole = |graph: &Graph<'_, f64>| -> GraphResult<()> {
        let matrix = graph.param("matrix", [[0.5, -0.3], [0.2, 0.7]])?;
        let x = graph.data("x", points)?;
        graph.cost("loss", score_matching(x, |x| Ok(score(matrix, x)))?)
    };
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    whole(&graph).unwrap();
    let exact = graph.backward().unwrap().get("matrix").unwrap().clone();
    for several in [false, true] {
        let sliced = |graph: &Graph<'_, f64>| {
            let matrix = graph.param("matrix", [[0.5, -0.3], [0.2, 0.7]])?;
            let x = graph.data("x", points)?;
            let normal = Normal::new(x * 0.0, 1.0);
            let method = if several { Pathwise::new().samples(3) } else { Pathwise::new() };
            let directions = graph.sample("directions", &normal, &method)?;
            graph.cost("loss", sliced_score_matching(x, directions, |x| Ok(score(matrix, x)))?)
        };
        StatisticalTest::new().runs(4000).check(sliced, &[("matrix", exact.clone())]).unwrap();
    }
}

/// The objective of N(0, v) is smallest at the variance of the data with noise: at v = mean x² + τ².
#[test]
fn denoising_fits_the_data_with_noise() {
    let tau = 0.5;
    let variance = DATA.iter().map(|x| x * x).sum::<f64>() / DATA.len() as f64 + tau * tau;
    let model = |graph: &Graph<'_, f64>| {
        let variance = graph.param("variance", variance)?;
        let x = graph.data("x", DATA)?;
        let noise = graph.sample("noise", &Normal::new(x * 0.0, 1.0), &Pathwise::new())?;
        graph.cost("loss", denoising_score_matching(x, noise, tau, |x| Ok(-x / variance))?)
    };
    StatisticalTest::new().runs(4000).check(model, &[("variance", Tensor::scalar(0.0))]).unwrap();
}

#[test]
fn models_of_another_shape_or_on_other_plates_are_errors() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let x = graph.data("x", [[0.4, 1.0], [-1.0, 0.2]]).unwrap();
    let other = graph.data("other", [0.4, 1.0]).unwrap();
    let message = |score: GraphResult<Var<'_, f64>>| score.unwrap_err().to_string();
    assert!(message(score_matching(x, |x| Ok(x.sum()))).contains("shape"));
    assert!(message(score_matching(x, |x| Ok(x * other))).contains("other"));
    assert!(message(score_of(x, Ok)).contains("one log-density"));
    assert!(message(score_of(x, |x| Ok(x.sum() * other))).contains("other"));
    assert!(message(denoising_score_matching(x, x, 0.0, Ok)).contains("above 0"));
}
