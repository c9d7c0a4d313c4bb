//! Checks at extreme parameters and outside the support.

use crate::noise::KeyedNoise;
use crate::testing::samples::{Build, leaves, on_samples};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

/// The derivative of the mean of the samples along their paths is finite, or refused where samples were lost.
fn assert_path_finite(build: Build, parameters: &[f64], seed: u64) {
    // An error stays on its tape: this one is for the path only.
    let tape = Tape::new();
    let leaves = leaves(&tape, parameters);
    let distribution = build(&leaves);
    let noise = KeyedNoise::new(seed, 0);
    let draw = on_samples(&tape, &noise, 1000);
    let Some(path) = distribution.capabilities().reparameterized else { return };
    let sample = path.rsample(&draw).expect("samples").sum().mean_over(draw.plates()[0]);
    match tape.backward_all(sample, &leaves) {
        Ok(gradients) => {
            let finite = gradients.iter().all(Tensor::all_finite);
            assert!(
                finite,
                "derivatives along sample paths at {parameters:?}: expected finite values, got {gradients:?}"
            );
        }
        Err(error) => {
            let refused = error.to_string().contains("beyond the range");
            assert!(refused, "derivatives along sample paths at {parameters:?}: {error}");
        }
    }
}

/// At these parameters 1000 draws, the log-density at them, the entropy, the weak derivatives and all derivatives with
/// respect to the parameters are finite. Call it with extreme parameters.
///
/// ```
/// use stochgrad_distributions::Laplace;
/// use stochgrad_distributions::testing::assert_finite;
///
/// for scale in [1e-12, 1.0, 1e12] {
///     assert_finite(|p| Box::new(Laplace::new(p[0], p[1])), &[0.0, scale], 1);
/// }
/// ```
///
/// # Panics
/// Where one of them is not, and where the parameters are outside their domain.
#[track_caller]
pub fn assert_finite(build: Build, parameters: &[f64], seed: u64) {
    let tape = Tape::new();
    let leaves = leaves(&tape, parameters);
    let distribution = build(&leaves);
    distribution.validate().expect("parameters in their domain");
    let noise = KeyedNoise::new(seed, 0);
    let draw = on_samples(&tape, &noise, 1000);
    let sample = distribution.draw(&draw).expect("draws");
    let name = distribution.name();
    let finite = |what: &str, tensors: &[Tensor<f64>]| {
        for tensor in tensors {
            assert!(tensor.all_finite(), "{name} at {parameters:?}, {what}: expected finite values, got {tensor:?}");
        }
    };
    finite("draws", std::slice::from_ref(&sample));
    let mean = |x: Var<'_, f64>| tape.backward_all(x.mean_over(draw.plates()[0]), &leaves).expect("derivatives");
    let density = distribution.log_prob(draw.record(&tape, sample.clone()));
    finite("log-density", &[density.peek().expect("a log-density")]);
    finite("score", &mean(density));
    assert_path_finite(build, parameters, seed);
    if let Some(entropy) = distribution.capabilities().entropy {
        let entropy = entropy.entropy();
        finite("entropy", &[entropy.peek().expect("an entropy")]);
        finite("derivative of the entropy", &tape.backward_all(entropy, &leaves).expect("derivatives"));
    }
    let Some(weak) = distribution.capabilities().weak_derivative else { return };
    for index in 0..parameters.len() {
        if let Some(alternatives) =
            weak.weak_derivative(index, draw.record(&tape, sample.clone()), &draw).expect("a weak derivative or none")
        {
            let (event, rank) = (distribution.event_shape(), distribution.element_rank());
            let (values, weights) = alternatives.to_tensors(draw.plates(), &event, rank).expect("values");
            finite("values of the weak derivative", &values);
            finite("weights of the weak derivative", &weights);
        }
    }
}

/// The log-density at a value outside the support is −∞, and all its derivatives there are 0.
///
/// # Panics
/// If one of them is another number.
#[track_caller]
pub fn assert_nothing_at(build: Build, parameters: &[f64], value: f64) {
    let tape = Tape::new();
    let mut wrt = leaves(&tape, parameters);
    let at = tape.parameter(value);
    let distribution = build(&wrt);
    let what = format!("{} at {parameters:?}, value {value}", distribution.name());
    let density = distribution.log_prob(at);
    assert_eq!(density.peek().expect("a log-density").item(), Ok(f64::NEG_INFINITY), "{what}: log-density");
    wrt.push(at);
    for gradient in tape.backward_all(density, &wrt).expect("derivatives") {
        assert_eq!(gradient.item(), Ok(0.0), "{what}: derivative of the log-density");
    }
}
