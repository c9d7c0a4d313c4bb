//! A compiled graph gives bitwise the same gradients, costs and states of methods as recording each step afresh.

use std::sync::Arc;
use stochgrad::distributions::{
    Bijector, Chi, Family, FisherF, GeneralizedExtremeValue, GeneralizedPareto, HalfCauchy, HalfNormal, HalfStudentT,
    Id, Kumaraswamy, Levy, LogLogistic, LogNormal, Maxwell, Pareto, Rayleigh, Relaxed, Reparameterized,
    ScoreDifferentiable, TransformedDistribution, Triangular, Truncated, TruncatedNormal, Weibull, Zeta,
};
use stochgrad::distributions::{Exponential, Laplace, Uniform};
use stochgrad::estimators::{Constant, MovingAverage, Temperature};
use stochgrad::graph::CompiledGraph;
use stochgrad::graph::{DynMethod, Gradients, GraphResult};
use stochgrad::prelude::*;
use stochgrad::tensor::Real;
use stochgrad::tensor::Tensor;

/// Parameters and data of a step.
struct Values<F: Real> {
    weights: Tensor<F>,
    bias: Tensor<F>,
    rows: Tensor<F>,
}

impl<F: Real> Values<F> {
    fn at(step: usize) -> Self {
        let values = |shape: &[usize], seed: f64| {
            Tensor::from_fn(shape, |i| F::from_f64(((i as f64 + 1.0) * seed + step as f64).sin()))
        };
        Values { weights: values(&[3, 4], 1.7), bias: values(&[4], 2.9), rows: values(&[5, 3], 0.7) }
    }
}

type Model<F> = Box<dyn for<'t> Fn(&Graph<'t, F>, &Values<F>) -> GraphResult<()>>;

fn same<F: Real>(a: &Gradients<F>, b: &Gradients<F>, what: &str) {
    for ((name, a), (_, b)) in a.iter().zip(b.iter()) {
        let bits = |x: &Tensor<F>| x.as_slice().iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>();
        assert!(a.shape() == b.shape() && bits(a) == bits(b), "{what}, gradient of {name}: {a:?} and {b:?}");
    }
    assert_eq!(a.iter().count(), b.iter().count());
    for ((name, a), (_, b)) in a.costs().iter().zip(b.costs()) {
        assert_eq!(a.to_f64().to_bits(), b.to_f64().to_bits(), "{what}, cost {name}");
    }
}

fn set<F: Real>(graph: &mut CompiledGraph<F>, values: &Values<F>) {
    let known: Vec<String> = graph.inputs().map(str::to_owned).collect();
    for (name, value) in [("weights", &values.weights), ("bias", &values.bias), ("rows", &values.rows)] {
        if known.iter().any(|known| known == name) {
            graph.set(name, value).unwrap();
        }
    }
}

/// Runs two models with separate states for some steps, one recorded afresh each time and one compiled.
fn agrees<F: Real>(what: &str, make: impl Fn() -> Model<F>) {
    for threads in [1, 2] {
        let (fresh, compiled) = (make(), make());
        let tape = Tape::<F>::with_threads(threads);
        let graph = Graph::new(&tape, Seed::new(3));
        compiled(&graph, &Values::at(0)).unwrap();
        let mut compiled = graph.compile().unwrap_or_else(|error| panic!("{what}: {error}"));
        for step in 0..4 {
            let values = Values::at(step);
            let tape = Tape::<F>::new();
            let seed = Seed::new(3).step(step);
            let graph = Graph::new(&tape, seed);
            fresh(&graph, &values).unwrap();
            let expected = graph.backward().unwrap();
            set(&mut compiled, &values);
            let found = compiled.run(seed).unwrap();
            same(found, &expected, &format!("{what}, {} on {threads} threads, step {step}", F::NAME));
            for name in ["weights", "bias"] {
                if let Ok(guarantee) = expected.guarantee(name) {
                    assert_eq!(found.guarantee(name).unwrap(), guarantee);
                }
            }
            expected.advance();
            compiled.advance();
        }
    }
}

/// Rows with four logits each, a node of bits, another one in a second layer, and three costs on different plates.
fn bits<F: Real>(first: DynMethod<F, Bernoulli<Id>>, second: DynMethod<F, Bernoulli<Id>>) -> Model<F> {
    Box::new(move |graph, values| {
        let (weights, bias) = (graph.param("weights", &values.weights)?, graph.param("bias", &values.bias)?);
        let rows = graph.data("rows", &values.rows)?;
        let logits = rows.matmul(weights) + bias;
        let x = graph.sample("x", &Bernoulli::from_logits(logits), &first)?;
        let below = (x * bias).sum() - 0.3_f64;
        let y = graph.sample("y", &Bernoulli::from_logits(below), &second)?;
        graph.cost("both", (x.sum() - y * 2.0 + rows.sum()).square())?;
        graph.cost("skip", x.sum() * 0.5 + bias.sum())?;
        graph.cost("distribution", Bernoulli::from_logits(logits).kl_to(&Bernoulli::from_logits(graph.constant(0.0))))
    })
}

/// Makes a method with a separate state.
type Make<F, D> = fn() -> DynMethod<F, D>;

fn bit_methods<F: Real>() -> Vec<(&'static str, Make<F, Bernoulli<Id>>)> {
    vec![
        ("score function", || Arc::new(ScoreFunction::new())),
        ("score function, 3 samples", || Arc::new(ScoreFunction::new().samples(3))),
        ("leave-one-out", || Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut))),
        ("constant", || Arc::new(ScoreFunction::new().baseline(Constant(0.7)))),
        ("moving average", || Arc::new(ScoreFunction::new().samples(2).baseline(MovingAverage::new(0.6)))),
        ("enumeration", || Arc::new(Enumerate::new())),
        ("auto", || Arc::new(Auto::new())),
    ]
}

#[test]
fn bits_by_every_method() {
    for (first, make_first) in bit_methods::<f64>() {
        for (second, make_second) in bit_methods::<f64>() {
            agrees(&format!("{first}, then {second}"), || bits(make_first(), make_second()));
        }
    }
    for (name, make) in bit_methods::<f32>() {
        agrees(name, || bits(make(), make()));
    }
}

/// A relaxed node above a cost.
fn relaxed<F: Real, D>(
    method: DynMethod<F, D>,
    distribution: impl for<'t> Fn(Var<'t, F>) -> D::On<'t> + 'static,
) -> Model<F>
where
    D: Family<F>,
    for<'t> D::On<'t>: Relaxed<'t, F>,
{
    Box::new(move |graph, values| {
        let (weights, bias) = (graph.param("weights", &values.weights)?, graph.param("bias", &values.bias)?);
        let logits = graph.data("rows", &values.rows)?.matmul(weights) + bias;
        let x = graph.sample("x", &distribution(logits), &method)?;
        graph.cost("cost", (x * bias - 0.2_f64).square().sum())
    })
}

#[test]
fn relaxations_whose_temperature_falls() {
    fn methods() -> [GumbelSoftmax; 4] {
        let falling = Temperature::exponential(1.0, 0.5, 3);
        [
            GumbelSoftmax::new(0.7),
            GumbelSoftmax::new(falling.clone()).samples(2),
            GumbelSoftmax::new(0.7).straight_through(),
            GumbelSoftmax::new(falling).straight_through(),
        ]
    }
    for index in 0..4 {
        let what = methods()[index].name();
        agrees::<f32>(&what, || {
            relaxed::<f32, Bernoulli<Id>>(Arc::new(methods()[index].clone()), |l| Bernoulli::from_logits(l))
        });
        agrees::<f64>(&what, || {
            relaxed::<f64, OneHotCategorical<Id>>(Arc::new(methods()[index].clone()), |l| {
                OneHotCategorical::from_logits(l)
            })
        });
    }
}

#[test]
fn categories_by_every_method() {
    let methods: [Make<f64, OneHotCategorical<Id>>; 3] = [
        || Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut)),
        || Arc::new(Enumerate::new()),
        || Arc::new(Auto::new()),
    ];
    for make in methods {
        agrees::<f64>(&make().name(), || {
            let method = make();
            Box::new(move |graph, values| {
                let (weights, bias) = (graph.param("weights", &values.weights)?, graph.param("bias", &values.bias)?);
                let logits = graph.data("rows", &values.rows)?.matmul(weights) + bias;
                let x = graph.sample("x", &OneHotCategorical::from_logits(logits.reshape([2, 2])), &method)?;
                let y = graph.sample("y", &Categorical::from_logits(bias), &ScoreFunction::new())?;
                graph.cost("cost", (x.reshape([4]) * bias - y).square().sum())
            })
        });
    }
}

#[test]
fn continuous_distributions_by_path_and_by_score() {
    for by_path in [true, false] {
        agrees::<f64>(if by_path { "pathwise" } else { "score function" }, || {
            Box::new(move |graph, values| {
                let bias = graph.param("bias", &values.bias)?;
                let [a, b, c, d] = [0, 1, 2, 3].map(|position| bias.index(0, position));
                let rows = graph.data("rows", &values.rows)?.sum();
                let normal = Normal::new(a * rows, (b * 0.3).exp());
                let laplace = Laplace::new(c, 1.5);
                let (x, y) = if by_path {
                    let uniform = graph.sample("u", &Uniform::new(d, d + 2.0), &Pathwise::new())?;
                    let path = Pathwise::new().samples(2);
                    (graph.sample("x", &normal, &path)?, graph.sample("y", &laplace, &Pathwise::new())? + uniform)
                } else {
                    let score = ScoreFunction::new().samples(2).baseline(LeaveOneOut);
                    (graph.sample("x", &normal, &score)?, graph.sample("y", &laplace, &ScoreFunction::new())?)
                };
                graph.cost("cost", (x - y * 0.5).square() + (x * d).sin())
            })
        });
    }
}

#[test]
fn replays_of_single_elements() {
    agrees::<f64>("measure-valued", || {
        Box::new(|graph, values| {
            let bias = graph.param("bias", &values.bias)?;
            let rows = graph.data("rows", &values.rows)?.sum();
            let [a, b, c] = [0, 1, 2].map(|position| bias.index(0, position));
            let method = MeasureValued::new().samples(2);
            let x = graph.sample("x", &Normal::new(a + rows, (b * 0.2).exp()), &method)?;
            let y = graph.sample("y", &Bernoulli::from_logits(x * c), &MeasureValued::new())?;
            let z = graph.sample("z", &Bernoulli::from_logits(y - x), &ScoreFunction::new())?;
            graph.cost("cost", (x - y * 2.0 + z).square() + a * z)
        })
    });
}

#[test]
fn nodes_that_share_a_plate() {
    agrees::<f32>("shared plate", || {
        Box::new(|graph, values| {
            let bias = graph.param("bias", &values.bias)?;
            let plate = graph.plate("samples", 3)?;
            let method = ScoreFunction::new().on_plate(plate).baseline(LeaveOneOut);
            let x = graph.sample("x", &Bernoulli::from_logits(bias), &method)?;
            let y = graph.sample("y", &Bernoulli::from_logits(bias * 0.5), &method)?;
            graph.cost("product", (x * y).sum())?;
            graph.cost("evidence", (x * bias - y).sum().log_mean_exp_over(plate))
        })
    });
}

/// A node of a positive distribution, with a cost made of log-densities at its value.
fn positive<D>(
    make: Make<f64, D>,
    distribution: impl for<'t> Fn(Var<'t, f64>, Var<'t, f64>) -> D::On<'t> + Copy + 'static,
) where
    D: Family<f64>,
{
    agrees::<f64>(&format!("{} by {}", std::any::type_name::<D>(), make().name()), || {
        let method = make();
        Box::new(move |graph, values| {
            let bias = graph.param("bias", &values.bias)?;
            let [a, b, c, d] = [0, 1, 2, 3].map(|position| bias.index(0, position));
            let distribution = distribution((a * 0.4).exp(), (b * 0.3).exp() + 1.0);
            let x = graph.sample("x", &distribution, &method)?;
            let others = Exponential::new(c.exp()).log_prob(x) + LogNormal::new(d, 1.3).log_prob(x);
            graph.cost("evidence", distribution.log_prob(x) - others)
        })
    });
}

fn by_path<D: Family<f64>>() -> DynMethod<f64, D>
where
    for<'t> D::On<'t>: Reparameterized<'t, f64>,
{
    Arc::new(Pathwise::new().samples(3))
}

fn by_score<D: Family<f64>>() -> DynMethod<f64, D>
where
    for<'t> D::On<'t>: ScoreDifferentiable<'t, f64>,
{
    Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut))
}

#[test]
fn distributions_with_a_boundary() {
    positive::<Exponential<Id>>(by_path, |_, b| Exponential::from_scale(b));
    positive::<Exponential<Id>>(by_score, |a, _| Exponential::new(a));
    positive::<LogNormal<Id>>(by_path, |a, b| LogNormal::new(a, b));
    positive::<LogNormal<Id>>(by_score, |a, b| LogNormal::new(a, b));
    positive::<HalfNormal<Id>>(by_path, |a, _| HalfNormal::new(a));
    positive::<HalfCauchy<Id>>(by_score, |a, _| HalfCauchy::new(a));
    positive::<Weibull<Id>>(by_path, |a, b| Weibull::new(b, a));
    positive::<Weibull<Id>>(by_score, |a, b| Weibull::new(b, a));
    positive::<Rayleigh<Id>>(by_path, |a, _| Rayleigh::new(a));
    positive::<Maxwell<Id>>(by_score, |a, _| Maxwell::new(a));
    positive::<Pareto<Id>>(by_path, |a, b| Pareto::new(a, b));
    positive::<GeneralizedPareto<Id>>(by_path, |a, b| GeneralizedPareto::new(a, b, a - 1.0));
    positive::<GeneralizedExtremeValue<Id>>(by_path, |a, b| GeneralizedExtremeValue::new(b * 9.0, a, 0.1));
    positive::<Levy<Id>>(by_path, |a, b| Levy::new(a, b));
    positive::<Truncated<Id, Exponential<Id>>>(by_path, |a, b| {
        Truncated::new(Exponential::from_scale(b), a * 0.1, 50.0).expect("numbers")
    });
    positive::<Zeta<Id>>(by_score, |_, b| Zeta::new(b + 1.0));
    positive::<LogLogistic<Id>>(by_path, |a, b| LogLogistic::new(a, b));
    positive::<LogLogistic<Id>>(by_score, |a, b| LogLogistic::new(a, b));
    positive::<FisherF<Id>>(by_score, |a, b| FisherF::new(a, b));
    positive::<Chi<Id>>(by_score, |a, _| Chi::new(a));
    positive::<HalfStudentT<Id>>(by_path, |a, b| HalfStudentT::new(b, a));
    positive::<HalfStudentT<Id>>(by_score, |a, b| HalfStudentT::new(b, a));
    positive::<Triangular<Id>>(by_path, |a, b| Triangular::new(a, a + 0.3, a + b));
    positive::<Kumaraswamy<Id>>(by_path, |a, b| Kumaraswamy::new(a, b));
    positive::<TruncatedNormal<Id>>(by_path, |a, b| TruncatedNormal::new(a, b, 0.1, a + b));
    positive::<TransformedDistribution<Normal<Id>, Bijector<Id>>>(by_path, |a, b| {
        TransformedDistribution::new(Normal::new(a, b), Bijector::Softplus)
    });
    positive::<TransformedDistribution<Normal<Id>, Bijector<Id>>>(by_score, |a, b| {
        TransformedDistribution::new(Normal::new(a, b), Bijector::Softplus)
    });
}

/// Many of the samples round to an end of the interval, so that their log-probability needs the base value.
#[test]
fn samples_of_squashed_distributions() {
    for path in [true, false] {
        agrees::<f32>("squashed samples", || {
            let method: DynMethod<f32, TransformedDistribution<Normal<Id>, Bijector<Id>>> =
                if path { Arc::new(Pathwise::new().samples(8)) } else { Arc::new(ScoreFunction::new().samples(8)) };
            Box::new(move |graph, values| {
                let bias = graph.param("bias", &values.bias)?;
                let map = Bijector::chain([Bijector::affine(bias.index(0, 0), 1.5), Bijector::Tanh]);
                let policy = TransformedDistribution::new(Normal::new(bias * 0.4, 8.0), map);
                let action = graph.sample("action", &policy, &method)?;
                graph.cost("cost", (action.square() + policy.log_prob_each(action)).sum())
            })
        });
    }
}

/// The exponential density of a normal variable with a given location, differentiated along its sample path.
fn near_the_boundary(graph: &Graph<'_, f64>, location: f64) -> GraphResult<()> {
    let location = graph.param("location", location)?;
    let x = graph.sample("x", &Normal::new(location, 0.1), &Pathwise::new().samples(4))?;
    graph.cost("evidence", Exponential::new(graph.constant(1.5)).log_prob(x).exp())
}

#[test]
fn a_run_that_crosses_the_boundary_of_the_support_is_an_error() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    near_the_boundary(&graph, 3.0).unwrap();
    let mut compiled = graph.compile().unwrap();
    for (location, fits) in [(2.0, true), (0.0, false), (1.0, true)] {
        compiled.set("location", &Tensor::scalar(location)).unwrap();
        let result = compiled.run(Seed::new(1));
        match result {
            Ok(gradients) => {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(1));
                near_the_boundary(&graph, location).unwrap();
                same(gradients, &graph.backward().unwrap(), "inside");
                assert!(fits);
            }
            Err(error) => {
                let message = error.to_string();
                assert!(!fits && message.contains("outside the support at position"), "{message}");
                // A new recording contains the jump, and the method refuses it.
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(1));
                near_the_boundary(&graph, location).unwrap();
                assert!(graph.backward().is_err() && graph.compile().is_err());
            }
        }
    }
}

fn refusal(model: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>) -> String {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph).unwrap();
    match graph.compile() {
        Ok(compiled) => panic!("compiled: {compiled:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn models_that_work_on_the_host_do_not_compile() {
    let branch = refusal(|graph| {
        let t = graph.param("t", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), &ScoreFunction::new())?;
        let cost = if x.item()? > 0.5 { t * 2.0 } else { t.square() };
        graph.cost("cost", cost)
    });
    assert!(branch.contains("cannot compile") && branch.contains("compiled.rs"), "{branch}");
    assert!(branch.contains("record each step afresh"), "{branch}");
}

/// Replays of such a model run its function again, which a compiled graph cannot do. The error names the line of the
/// branch.
#[test]
fn a_model_that_is_run_again_does_not_compile() {
    const LINE: u32 = line!() + 4;
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 1.3)?;
        let x = graph.sample("x", &Poisson::from_rate(t), &StochasticDerivatives::new())?;
        let cost = if x.item()? > 1.0 { t * 2.0 } else { t.square() };
        graph.cost("cost", cost * x)
    };
    let tape = Tape::<f64>::new();
    let graph = Graph::from_model(&tape, Seed::new(1), &model).unwrap();
    assert!(graph.backward().unwrap().get("t").unwrap().all_finite());
    let message = graph.compile().unwrap_err().to_string();
    assert!(message.contains("cannot compile") && message.contains(&format!("compiled.rs:{LINE}")), "{message}");
}

#[test]
fn mistakes_name_what_is_known() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let w = graph.param("w", [1.0, 2.0]).unwrap();
    let x = graph.data("points", Tensor::from([[1.0, 2.0]])).unwrap();
    graph.cost("loss", (w * x).sum().ln()).unwrap();
    let mut compiled = graph.compile().unwrap();
    let message = compiled.set("v", &Tensor::from([1.0])).unwrap_err().to_string();
    assert!(message.contains("\"v\"") && message.contains("w, points"), "{message}");
    let message = compiled.set("points", &Tensor::from([[1.0, 2.0], [3.0, 4.0]])).unwrap_err().to_string();
    assert!(message.contains("expected shape [1, 2]"), "{message}");
    compiled.set("w", &Tensor::from([1.0, 1.0])).unwrap();
    assert!(compiled.run(Seed::new(1)).unwrap_err().to_string().contains("set every input"));
    compiled.set("w", &Tensor::from([1.0, 1.0])).unwrap();
    compiled.set("points", &Tensor::from([[-1.0, -2.0]])).unwrap();
    let message = compiled.run(Seed::new(1)).unwrap_err().to_string();
    assert!(message.contains("cost \"loss\" is NaN"), "{message}");
    let more = graph.data_named("w", "points", Tensor::from([[1.0, 2.0]])).unwrap();
    graph.cost("more", more.sum()).unwrap();
    assert!(graph.compile().unwrap_err().to_string().contains("data_named"));
}
