//! How far estimated scores push samples outwards: less than the exact score, so that an implicit distribution that is
//! fitted with them is too short in its tails.

use stochgrad_distributions::Normal;
use stochgrad_estimators::{Pathwise, SpectralStein, SteinGradient};
use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::{Plate, Var, Workspace};
use stochgrad_tensor::Tensor;

/// The mean of −x s(x) for each coordinate, at samples of x₁ ~ N(0, 4) and x₂ ~ N((x₁² − 4) / 2, 1).
fn outward(samples: usize, score: impl for<'t> Fn(Var<'t, f64>, Plate) -> GraphResult<Var<'t, f64>>) -> [f64; 2] {
    const RUNS: usize = 40;
    let mut workspace = Workspace::new();
    let mut mean = [0.0; 2];
    for run in 0..RUNS {
        let graph = Graph::new(workspace.tape(), Seed::new(7).step(run));
        let plate = graph.plate("samples", samples).unwrap();
        let noise = Normal::new(graph.constant(Tensor::<f64>::zeros([2])), 1.0);
        let noise = graph.sample("noise", &noise, &Pathwise::new().on_plate(plate)).unwrap();
        let first = noise.index(0, 0) * 2.0;
        let x = Var::stack(&[first, noise.index(0, 1) + (first.square() - 4.0) * 0.5]).unwrap();
        let product = -(x * score(x, plate).unwrap()).mean_over(plate);
        for (mean, product) in mean.iter_mut().zip(product.peek().unwrap().to_vec()) {
            *mean += product / RUNS as f64;
        }
    }
    mean
}

/// By Stein's identity, the mean is 1 for the exact score. The expected values are those of an independent program.
#[test]
fn estimated_scores_push_outwards_less_than_the_exact_one() {
    type Score = for<'t> fn(Var<'t, f64>, Plate) -> GraphResult<Var<'t, f64>>;
    let spectral: Score = |x, plate| SpectralStein::new().share(0.999).score(x, plate);
    let stein: Score = |x, plate| SteinGradient::new().score(x, plate);
    for (score, known) in [(spectral, [0.923, 0.966]), (stein, [0.822, 0.935])] {
        let found = outward(100, score);
        println!("{found:.3?}, expected {known:?}");
        for at in 0..2 {
            assert!((found[at] - known[at]).abs() < 0.03 && found[at] < 1.0, "{found:?}, expected {known:?}");
        }
    }
}
