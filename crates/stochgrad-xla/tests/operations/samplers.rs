//! Distributions that draw by samplers or use primitives, with the derivatives along the paths of their samples.

use crate::agreement::{RECORDED, Recorded, agrees, client, run};
use std::fmt::Debug;
use std::sync::Arc;
use stochgrad_distributions::{
    Beta, Dirichlet, Distribution, Draw, Gamma, KeyedNoise, Multinomial, MultivariateNormal, NoiseKey, Poisson,
    Reparameterized, StudentT, VonMises, WeakDerivative, Wishart,
};
use stochgrad_tape::{PlateKind, Plates, Primitive, PrimitiveInputs, Tape, Var};
use stochgrad_tensor::{Real, Tensor};
use stochgrad_xla::lowering::stablehlo;
use stochgrad_xla::pjrt::{Client, Element};

/// Compares the values that a distribution draws for several members of a plate, and their derivatives with respect to
/// the parameters.
fn check<F: Real + Element + Debug>(
    client: &Client,
    name: &str,
    parameters: &[Tensor<f64>],
    tolerance: f64,
    draw: impl for<'t> Fn(&[Var<'t, F>], &Draw<'_, F>) -> Var<'t, F>,
    has_path: bool,
) {
    let inputs: Vec<Tensor<F>> = parameters.iter().map(Tensor::cast).collect();
    agrees(client, name, &inputs, &inputs, tolerance, |tape, inputs| recorded(tape, inputs, &draw, has_path));
}

fn recorded<'t, F: Real>(
    tape: &'t Tape<F>,
    inputs: &[Tensor<F>],
    draw: &impl Fn(&[Var<'t, F>], &Draw<'_, F>) -> Var<'t, F>,
    has_path: bool,
) -> Recorded<'t, F> {
    let leaves: Vec<Var<'t, F>> = inputs.iter().map(|input| tape.parameter(input)).collect();
    let plate = tape.plate("draws", 40, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(RECORDED.seed, RECORDED.step);
    let plates: Plates = [plate].into_iter().collect();
    let request = Draw::new(tape, &noise, NoiseKey::new("x", None), plates);
    let value = draw(&leaves, &request);
    let mut outputs = vec![value];
    if has_path {
        let cost = (value * (value * 0.3).sin()).sum().sum_over(plate);
        outputs.extend(leaves.iter().map(|&leaf| {
            let [gradient] = tape.grad(cost, [leaf]).expect("a gradient");
            gradient
        }));
    }
    (leaves, outputs)
}

macro_rules! check_both {
    ($name:literal, $parameters:expr, $path:expr, $draw:expr) => {{
        if let Some(client) = client($name) {
            let parameters = $parameters.map(Tensor::<f64>::from);
            check::<f64>(&client, $name, &parameters, 1e-12, $draw, $path);
            check::<f32>(&client, $name, &parameters, 1e-6, $draw, $path);
        }
    }};
}

#[test]
fn gamma_variates() {
    check_both!("gamma", [[0.05, 0.4, 1.0, 2.5, 60.0]], true, |p, draw| {
        Gamma::new(p[0], 1.0).rsample(draw).expect("a draw")
    });
}

#[test]
fn ratios_of_gamma_variates() {
    check_both!("beta", [[0.4, 3.0], [2.0, 0.7]], true, |p, draw| Beta::new(p[0], p[1]).rsample(draw).expect("a draw"));
    check_both!("dirichlet", [[0.4, 3.0, 1.2]], true, |p, draw| Dirichlet::new(p[0]).rsample(draw).expect("a draw"));
    check_both!("student", [[2.5, 12.0]], true, |p, draw| StudentT::new(p[0], 0.3, 1.2).rsample(draw).expect("a draw"));
}

#[test]
fn angles() {
    check_both!("von Mises", [[0.1, 1.3, 40.0]], true, |p, draw| {
        VonMises::new(p[0] * 0.0 + 0.3, p[0]).rsample(draw).expect("a draw")
    });
}

#[test]
fn counts() {
    check_both!("poisson", [[0.3, 4.0, 80.0]], false, |p, draw| Poisson::from_rate(p[0]).sample(draw).expect("a draw"));
    check_both!("multinomial", [[0.2, 0.5, 0.3]], false, |p, draw| {
        Multinomial::from_probabilities(11.0, p[0]).sample(draw).expect("a draw")
    });
}

#[test]
fn matrices() {
    check_both!("wishart", [[5.0]], false, |p, draw| {
        let factor = p[0].tape().constant(Tensor::from_fn([2, 2], |i| Real::from_f64([1.2, 0.0, 0.4, 0.8][i])));
        Wishart::new(p[0].sum(), factor).rsample(draw).expect("a draw")
    });
}

#[test]
fn weak_derivatives() {
    check_both!("weak derivative", [[0.6, 3.0]], false, |p, draw| {
        let gamma = Gamma::new(p[0], 1.0);
        let sample = gamma.sample(draw).expect("a draw");
        let parts = gamma.weak_derivative(0, sample, draw).expect("parts").expect("parts");
        parts.values[0] * 0.7 + parts.values[1] + parts.weights[0]
    });
}

#[test]
fn log_probabilities_at_own_draws() {
    check_both!("own draws", [[0.3, 2.0]], true, |p, draw| {
        let gamma = Gamma::new(p[0], 1.0);
        gamma.log_prob(gamma.rsample(draw).expect("a draw"))
    });
}

/// What a primitive refuses is a check of the module.
#[test]
fn refusals_are_checks() {
    let Some(client) = client("refusals") else { return };
    let tape = Tape::<f64>::new();
    let symmetric = Tensor::new(vec![2.0, 0.4, 0.4, 1.5], [2, 2]).expect("a matrix");
    let covariance = tape.parameter(&symmetric);
    let normal = MultivariateNormal::from_covariance(tape.constant([0.0, 1.0]), covariance);
    let density = normal.log_prob(tape.constant([0.3, 0.2]));
    let program = tape.compile(&[covariance], &[density]).expect("a program");
    let module = stablehlo(&program.listing()).expect("a module");
    let (found, broken) = run(&client, &program, &module, &[symmetric], RECORDED);
    assert!(broken.is_empty(), "{broken:?}");
    assert!((found[0][0] - density.item().expect("a number")).abs() < 1e-13);
    let skewed = Tensor::new(vec![2.0, 0.4, 0.1, 1.5], [2, 2]).expect("a matrix");
    let (_, broken) = run(&client, &program, &module, &[skewed], RECORDED);
    assert!(broken.len() == 1 && broken[0].contains("expected a symmetric covariance"), "{broken:?}");
}

/// Code that only the CPU can run is refused, with its name.
#[test]
fn code_for_the_cpu_is_refused() {
    struct Opaque;
    impl<F: Real> Primitive<F> for Opaque {
        fn name(&self) -> &str {
            "a solver"
        }
        fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
            Ok(inputs.values[0].clone())
        }
        fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
            vec![Some(adjoint)]
        }
    }
    let tape = Tape::<f32>::new();
    let x = tape.parameter([1.0, 2.0]);
    let y = tape.custom(Arc::new(Opaque), &[x]);
    let program = tape.compile(&[x], &[y]).expect("a program");
    let error = stablehlo(&program.listing()).expect_err("a refusal").to_string();
    assert!(error.contains("a solver") && error.contains("as_operations"), "{error}");
}
