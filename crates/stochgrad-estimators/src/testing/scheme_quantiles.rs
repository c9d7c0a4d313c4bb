//! Checks of sampling schemes on distributions that are drawn by rejection otherwise.

use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::LeaveOneOut;
use crate::testing::models;
use crate::testing::sampling_schemes::SCHEMES;
use approx::assert_abs_diff_eq;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Beta, Cauchy, Dirichlet, Exponential, Gamma, StudentT, Uniform, VonMises};
use stochgrad_graph::Graph;
use stochgrad_tape::Var;
use stochgrad_tensor::Tensor;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

#[test]
fn distributions_drawn_by_rejection_have_the_right_gradients() {
    for scheme in SCHEMES {
        let model = |graph: &Graph<'_, f64>| {
            let path = Pathwise::new().samples(4).scheme(scheme);
            let score = ScoreFunction::new().samples(2).scheme(scheme).groups(2).baseline(LeaveOneOut);
            let parameter = |name: &str, start: f64| graph.param(name, start);
            let x = graph.sample("gamma", &Gamma::new(parameter("g", 1.7)?, 2.0), &path)?;
            graph.cost("gamma", x.square())?;
            let x = graph.sample("small gamma", &Gamma::new(parameter("h", 0.2)?, 2.0), &score)?;
            graph.cost("small gamma", x)?;
            let x = graph.sample("beta", &Beta::new(parameter("a", 1.3)?, parameter("b", 2.1)?), &path)?;
            graph.cost("beta", x)?;
            let x = graph.sample("beta by score", &Beta::new(parameter("c", 0.6)?, 1.2), &score)?;
            graph.cost("beta by score", x)?;
            let x = graph.sample("t", &StudentT::new(parameter("n", 9.0)?, 0.0, 1.0), &path)?;
            graph.cost("t", x.square())?;
            let x = graph.sample("angle", &VonMises::new(graph.constant(0.0), parameter("k", 1.5)?), &path)?;
            graph.cost("angle", x.cos())?;
            let shares = Dirichlet::new(Var::stack(&[parameter("d", 1.4)?, graph.constant(0.8), graph.constant(2.0)])?);
            let x = graph.sample("shares", &shares, &path)?;
            graph.cost("shares", x.index(0, 0))
        };
        // I₁(κ) / I₀(κ) has the derivative 1 − A/κ − A².
        let ratio = 0.596_133_238_8;
        let exact = [
            ("g", (2.0 * 1.7 + 1.0) / 4.0),
            ("h", 0.5),
            ("a", 2.1 / 3.4_f64.powi(2)),
            ("b", -1.3 / 3.4_f64.powi(2)),
            ("c", 1.2 / 1.8_f64.powi(2)),
            ("n", -2.0 / 49.0),
            ("k", 1.0 - ratio / 1.5 - ratio * ratio),
            ("d", 2.8 / 4.2_f64.powi(2)),
        ]
        .map(|(name, value)| (name, Tensor::scalar(value)));
        StatisticalTest::new().runs(1500).check(model, &exact).unwrap_or_else(|error| panic!("{scheme}: {error}"));
    }
}

/// A beta distribution with concentrations 1 is uniform, a gamma distribution with concentration 1 exponential, and
/// Student's t distribution with one degree of freedom that of Cauchy: the scheme places one uniform sample for each.
#[test]
fn quantiles_gain_as_much_as_distributions_with_fixed_noise() {
    let variance = |scheme: SamplingScheme, kind: usize| {
        let model = |graph: &Graph<'_, f64>| {
            let shift = graph.param("shift", 0.0)?;
            let method = Pathwise::new().samples(2).scheme(scheme);
            let one = graph.constant(1.0);
            let x = match kind {
                0 => graph.sample("x", &Uniform::new(graph.constant(0.0), 1.0), &method)?,
                1 => graph.sample("x", &Beta::new(one, 1.0), &method)?,
                2 => graph.sample("x", &Exponential::new(one), &ScoreFunction::new().samples(2).scheme(scheme))?,
                3 => graph.sample("x", &Gamma::new(one, 1.0), &method)?,
                4 => graph.sample("x", &Cauchy::new(graph.constant(0.0), 1.0), &method)?,
                _ => graph.sample("x", &StudentT::new(one, 0.0, 1.0), &method)?,
            };
            let x = if kind < 4 { x } else { (x.square() + 1.0).recip() };
            graph.cost("cost", (x + shift).square() * 0.5)
        };
        Oracle::new().nodes(12).gradient(model).unwrap().variance("shift").unwrap().item().unwrap()
    };
    for scheme in [SamplingScheme::Antithetic, SamplingScheme::Stratified, SamplingScheme::Systematic] {
        for fixed in [0, 2, 4] {
            let (expected, found) = (variance(scheme, fixed), variance(scheme, fixed + 1));
            assert!((expected - found).abs() < 1e-9 + 1e-2 * expected, "{scheme}, {fixed}: {found}, not {expected}");
        }
        assert_abs_diff_eq!(variance(scheme, 0), variance(scheme, 1), epsilon = 1e-10);
    }
}

#[test]
fn compiled_graphs_draw_by_the_same_quantiles() {
    for scheme in SCHEMES {
        let method = Pathwise::new().samples(3).scheme(scheme);
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [1.4, 0.6])?;
            let (a, b) = (t.index(0, 0), t.index(0, 1));
            let x = graph.sample("gamma", &Gamma::new(t, 2.0), &method)?;
            let y = graph.sample("beta", &Beta::new(t, a + x * 0.1), &method.groups(2))?;
            let z = graph.sample("angle", &VonMises::new(b, a), &method)?;
            let s = graph.sample("share", &Dirichlet::new(t), &method)?;
            let u = graph.sample("t", &StudentT::new(a * 4.0, b, 1.0), &method)?;
            graph.cost("first", (x * y).sum())?;
            graph.cost("second", z.cos())?;
            graph.cost("third", s.index(0, 0).square())?;
            graph.cost("fourth", u.square() * 0.1)
        };
        models::assert_model_compiled(&scheme.to_string(), &[("t", Tensor::from([1.4, 0.6]))], model);
    }
}
