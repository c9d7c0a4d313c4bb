//! Counts that no machine can serve: each is an error in little time, with the operation and its size, and neither a
//! panic, nor an abort, nor a loop.

use std::sync::Arc;
use stochgrad_check::Oracle;
use stochgrad_distributions::{
    AutoRegressive, Bernoulli, Categorical, Distribution, Draw, Gamma, GaussianRandomWalk, HiddenMarkovModel, Id,
    Independent, KSubset, KeyedNoise, LinearGaussianStateSpace, Lkj, MarkovChain, NoiseKey, Normal, OneHotCategorical,
    PlackettLuce, Poisson, StateSpace, Zipf,
};
use stochgrad_estimators::{
    Arms, Auto, Carms, Copula, DirichletCopula, DoubleControlVariate, EvolutionStrategy, Fini, GaussianCopula,
    GumbelRao, Lax, MeasureValued, Nvil, Pathwise, Rebar, Relax, ReplayBudget, Rodeo, SamplingScheme, ScoreFunction,
    Spsa, SumAndSample, WithoutReplacement,
};
use stochgrad_graph::{DynMethod, Environment, Graph, GraphResult, Seed, SequenceModel, StepEnd};
use stochgrad_tape::{PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Tensor;

const HUGE: [usize; 5] = [1 << 36, 1 << 40, 1 << 62, usize::MAX / 2, usize::MAX];

type Bits = DynMethod<f64, Bernoulli<Id>>;
type Numbers = DynMethod<f64, Normal<Id>>;
type Vectors = DynMethod<f64, OneHotCategorical<Id>>;

/// Runs a model, and returns the error that it must end with.
fn refused(name: &str, model: impl Fn(&Graph<'_, f64>) -> GraphResult<()>) -> String {
    for limit in [None, Some(1 << 24)] {
        let tape = Tape::<f64>::new();
        limit.into_iter().for_each(|bytes| tape.set_memory_limit(bytes));
        let graph = Graph::new(&tape, Seed::new(1));
        let result = model(&graph).and_then(|()| graph.backward().map(drop)).and_then(|()| Ok(tape.check()?));
        assert!(result.is_err(), "{name} is no error with limit {limit:?}");
        // The report and the statement of the methods must not overflow either.
        let _ = graph.report();
    }
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let result = model(&graph).and_then(|()| graph.backward().map(drop));
    result.unwrap_err().to_string()
}

fn bits(graph: &Graph<'_, f64>, method: &Bits) -> GraphResult<()> {
    let x = graph.sample("x", &Bernoulli::from_logits(graph.param("t", [0.3, -0.2])?), method)?;
    graph.cost("cost", (x.sum() - 0.3).square())
}

fn numbers(graph: &Graph<'_, f64>, method: &Numbers) -> GraphResult<()> {
    let x = graph.sample("x", &Normal::new(graph.param("t", [0.3, -0.2])?, 1.0), method)?;
    graph.cost("cost", (x.sum() - 0.3).square())
}

fn vectors(graph: &Graph<'_, f64>, method: &Vectors) -> GraphResult<()> {
    let x = graph.sample("x", &OneHotCategorical::from_logits(graph.param("t", [0.3, -0.2, 0.1])?), method)?;
    graph.cost("cost", (x.sum() - 0.3).square())
}

#[test]
fn samples_pairs_and_sets() {
    for count in HUGE {
        let methods: Vec<Bits> = vec![
            Arc::new(ScoreFunction::new().samples(count)),
            Arc::new(ScoreFunction::new().samples(count).scheme(SamplingScheme::Antithetic)),
            Arc::new(ScoreFunction::new().samples(count).scheme(SamplingScheme::Stratified)),
            Arc::new(ScoreFunction::new().samples(count).scheme(SamplingScheme::Sobol { first: 0 })),
            Arc::new(MeasureValued::new().samples(count)),
            Arc::new(Arms::new(count)),
            Arc::new(Arms::new(count).sets(count)),
            Arc::new(Arms::new(2).sets(count)),
            Arc::new(Arms::new(count).copula(GaussianCopula)),
            Arc::new(DoubleControlVariate::new(count)),
            Arc::new(Rodeo::new(count)),
            Arc::new(Rebar::new().samples(count)),
        ];
        for method in methods {
            refused(&method.name(), |graph| bits(graph, &method));
        }
        let methods: Vec<Vectors> = vec![
            Arc::new(Carms::new(count)),
            Arc::new(Carms::new(count).sets(count)),
            Arc::new(GumbelRao::new(0.5).samples(count)),
            Arc::new(GumbelRao::new(0.5).conditional_draws(count)),
            Arc::new(GumbelRao::new(0.5).samples(count).conditional_draws(count)),
        ];
        for method in methods {
            refused(&method.name(), |graph| vectors(graph, &method));
        }
        let methods: Vec<Numbers> = vec![
            Arc::new(Pathwise::new().samples(count)),
            Arc::new(Auto::new().samples(count)),
            Arc::new(Lax::new().samples(count)),
        ];
        for method in methods {
            refused(&method.name(), |graph| numbers(graph, &method));
        }
        refused("samples by rejection", |graph| {
            let x =
                graph.sample("x", &Gamma::new(graph.param("t", 1.3)?, 1.0), &ScoreFunction::new().samples(count))?;
            graph.cost("cost", x)
        });
        refused("samples on samples", |graph| {
            let x = graph.sample("x", &Normal::new(graph.param("t", 0.3)?, 1.0), &Pathwise::new().samples(1 << 33))?;
            let y = graph.sample("y", &Normal::new(x, 1.0), &Pathwise::new().samples(count))?;
            graph.cost("cost", y)
        });
        refused("a plate", |graph| {
            let plate = graph.plate("plate", count)?;
            let x = graph.sample("x", &Normal::new(graph.param("t", 0.3)?, 1.0), &Pathwise::new().on_plate(plate))?;
            graph.cost("cost", x)
        });
    }
    let error = refused("samples", |graph| bits(graph, &(Arc::new(ScoreFunction::new().samples(1 << 40)) as Bits)));
    assert!(error.contains("x(1099511627776)") && error.contains("2199023255552 elements"), "{error}");
    assert!(error.contains("of event shape [2]") && error.contains("17592186044416 bytes"), "{error}");
}

#[test]
fn draws_directions_picks_and_degrees_that_are_recorded_one_by_one() {
    for count in HUGE.into_iter().chain([100_000]) {
        let methods: Vec<Bits> = vec![
            Arc::new(SumAndSample::new(1, count)),
            Arc::new(SumAndSample::new(count, 1)),
            Arc::new(SumAndSample::new(count, count).shared_baseline().random()),
            Arc::new(WithoutReplacement::new(count)),
            Arc::new(Spsa::new(0.1).directions(count)),
            Arc::new(EvolutionStrategy::new(0.1).directions(count)),
            Arc::new(ReplayBudget::of(MeasureValued::new(), count)),
        ];
        for method in methods {
            refused(&method.name(), |graph| bits(graph, &method));
        }
        let error = refused("Fini", |graph| {
            let x = graph.sample("x", &Poisson::from_log_rate(graph.param("t", 0.3)?), &Fini::new(count))?;
            graph.cost("cost", x.square())
        });
        assert!(error.contains("up to 32"), "{error}");
    }
}

#[test]
fn hidden_units() {
    for count in HUGE {
        let methods: Vec<Bits> = vec![
            Arc::new(Relax::new().hidden(count)),
            Arc::new(Rodeo::new(2).hidden(count)),
            Arc::new(ScoreFunction::new().baseline(Nvil::new().hidden(count))),
        ];
        for method in methods {
            refused(&method.name(), |graph| bits(graph, &method));
        }
        let method: Numbers = Arc::new(Lax::new().hidden(count));
        refused("LAX", |graph| numbers(graph, &method));
    }
}

#[test]
fn shapes_of_values() {
    type Use = for<'t> fn(Var<'t, f64>, usize) -> Var<'t, f64>;
    let uses: [(&str, Use); 13] = [
        ("broadcast_to", |x, n| x.broadcast_to([n, 2])),
        ("broadcast_to without elements", |x, n| x.broadcast_to([0, n, n, 2])),
        ("one_hot", |x, n| x.one_hot(n)),
        ("one_hot twice", |x, n| x.one_hot(1 << 20).one_hot(n)),
        ("plate", |x, n| x.expand_plates(&[x.tape().plate("p", n, PlateKind::Samples, &[])])),
        ("plates", |x, n| {
            let plates = [n, n].map(|n| x.tape().plate("p", n, PlateKind::Samples, &[]));
            x.expand_plates(&plates)
        }),
        ("constant", |x, n| x.tape().constant_from_fn([n, 3], |_| 1.0)),
        ("empty", |x, n| x.tape().constant_from_fn([n, n, 0, 4], |_| 1.0)),
        ("one_hot of nothing", |x, n| x.slice(0, 0..0).one_hot(n)),
        ("plate of nothing", |x, n| {
            x.slice(0, 0..0).unsqueeze(0).broadcast_to([1 << 33, 0]).expand_plates(&[x.tape().plate(
                "p",
                n,
                PlateKind::Samples,
                &[],
            )])
        }),
        ("reshape", |x, n| x.slice(0, 0..0).reshape([n, n, 0])),
        ("pad", |x, n| {
            x.tape().constant(Tensor::zeros([0, 4])).broadcast_to([0, 4]).index_select(0, &[]) + x.one_hot(n)
        }),
        ("sums of nothing", |x, n| x.tape().constant(Tensor::zeros([1, 0])).broadcast_to([n, 0]).sum_axis(1)),
    ];
    for count in HUGE {
        for (name, use_it) in uses {
            let tape = Tape::<f64>::new();
            let x = tape.parameter([0.0, 1.0]);
            let error = use_it(x, count).value();
            assert!(error.is_err(), "{name} of {count} is no error");
        }
    }
    let tape = Tape::<f64>::new();
    let (column, row) = (tape.constant(Tensor::zeros([1 << 20, 1])), tape.constant(Tensor::zeros([1, 1 << 20])));
    for product in [column * row, column.matmul(row)] {
        let error = product.value().unwrap_err().to_string();
        assert!(error.contains("[1048576, 1], [1, 1048576]") && error.contains("8796093022208 bytes"), "{error}");
    }
    assert!(tape.plate_size(tape.plate("p", usize::MAX, PlateKind::Samples, &[])) == usize::MAX);
}

/// A long axis of a value without elements is no reason for a long loop.
#[test]
fn long_axes_without_elements() {
    type Use = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let uses: [(&str, Use); 16] = [
        ("map", |x| x.exp()),
        ("zip", |x| x * x + 1.0),
        ("sum", |x| x.sum()),
        ("sum_axis 0", |x| x.sum_axis(0)),
        ("sum_axis 1", |x| x.sum_axis(1)),
        ("max 0", |x| x.max_axis(0)),
        ("max 1", |x| x.max_axis(1)),
        ("logsumexp 0", |x| x.logsumexp(0)),
        ("softmax 0", |x| x.softmax(0)),
        ("softmax 1", |x| x.log_softmax(1)),
        ("cumsum 0", |x| x.cumsum(0)),
        ("cumsum 1", |x| x.cumsum(1)),
        ("transpose", |x| x.transpose()),
        ("concat", |x| Var::concat(&[x, x], 0).unwrap()),
        ("slice", |x| x.slice(0, 0..x.shape()[0] / 2)),
        ("one_hot", |x| x.one_hot(3)),
    ];
    for sizes in [[1 << 40, 0], [0, 1 << 40]] {
        for (name, use_it) in uses {
            let tape = Tape::<f64>::new();
            let x = tape.parameter(Tensor::zeros(sizes));
            let start = std::time::Instant::now();
            let y = use_it(x);
            let _ = tape.backward(y.sum(), [x]);
            assert!(start.elapsed().as_secs() < 2, "{name} of {sizes:?}");
        }
    }
}

#[test]
fn dimensions_nodes_and_observations() {
    for count in HUGE {
        refused("LKJ", |graph| {
            let x = graph.sample("x", &Lkj::new(count, graph.param("t", 1.0)?), &ScoreFunction::new())?;
            graph.cost("cost", x.sum())
        });
        let model = |graph: &Graph<'_, f64>| {
            let x = graph.sample("x", &Normal::new(graph.param("t", 0.3)?, 1.0), &Pathwise::new())?;
            graph.cost("cost", x)
        };
        let error = Oracle::new().nodes(count).gradient(model).unwrap_err().to_string();
        assert!(error.contains("1 to 1024"), "{error}");
        let arms = |graph: &Graph<'_, f64>| bits(graph, &(Arc::new(Arms::new(count)) as Bits));
        assert!(Oracle::new().gradient(arms).is_err());
        for environment in [
            Environment::new(|_| StepEnd { reward: 0.0, done: false }).noise(count),
            Environment::new(|_| StepEnd { reward: 0.0, done: false }).observation([count]),
            Environment::new(|_| StepEnd { reward: 0.0, done: false }).observation([count, count]),
        ] {
            refused("environment", |graph| {
                let state = graph.constant([0.0, 1.0]);
                let step = graph.environment("step", &environment, state, graph.constant(0.5))?;
                graph.cost("cost", step.reward)
            });
        }
    }
}

#[test]
fn lengths_of_sequences_and_numbers_of_ranks_and_places() {
    type Make = for<'t> fn(&'t Tape<f64>, usize) -> Box<dyn Distribution<'t, f64> + 't>;
    let makes: [Make; 9] = [
        |tape, n| Box::new(GaussianRandomWalk::new(n, tape.constant(0.0), 1.0)),
        |tape, n| Box::new(AutoRegressive::new(n, tape.constant([0.0]), tape.constant([0.5]), 1.0)),
        |tape, n| Box::new(MarkovChain::from_logits(n, tape.constant([0.0, 1.0]), tape.constant([[0.0; 2]; 2]))),
        |tape, n| {
            let chain = MarkovChain::from_logits(n, tape.constant([0.0, 1.0]), tape.constant([[0.0; 2]; 2]));
            let observations = Normal::new(tape.constant([0.0, 1.0]), 1.0);
            Box::new(HiddenMarkovModel::new(chain, observations).expect("an observation for each state"))
        },
        |tape, n| {
            let one = || tape.constant([[1.0]]);
            let parameters = StateSpace {
                initial_location: tape.constant([0.0]),
                initial_scale_tril: one(),
                transition: one(),
                transition_scale_tril: one(),
                observation: one(),
                observation_scale_tril: one(),
            };
            Box::new(LinearGaussianStateSpace::new(n, parameters))
        },
        |tape, n| Box::new(Zipf::new(n, tape.constant(1.0))),
        |tape, n| Box::new(KSubset::from_logits(n, tape.constant([0.0, 1.0]))),
        |tape, n| Box::new(PlackettLuce::from_logits(tape.constant([0.0, 1.0])).top(n)),
        |tape, n| Box::new(Lkj::new(n, tape.constant(1.0))),
    ];
    for count in HUGE {
        for make in makes {
            let name = make(&Tape::new(), count).name();
            let start = std::time::Instant::now();
            let tape = Tape::<f64>::new();
            let plate = tape.plate("samples", 2, PlateKind::Samples, &[]);
            let noise = KeyedNoise::new(1, 0);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
            let drawn = make(&tape, count).sample(&draw).and_then(|x| Ok(x.value()?));
            assert!(drawn.is_err(), "a draw of {name} with {count} is no error");
            // Everything else is a value or an error, in little time.
            for what in 0..7 {
                let tape = Tape::<f64>::new();
                let distribution = make(&tape, count);
                let value = tape.constant(Tensor::zeros(vec![1; distribution.element_rank()]));
                let found = match what {
                    0 => Some(distribution.log_prob(value)),
                    1 => distribution.mean(),
                    2 => distribution.variance(),
                    3 => distribution.mode(),
                    4 => distribution.capabilities().entropy.map(|entropy| entropy.entropy()),
                    5 => distribution.capabilities().cdf.map(|cdf| cdf.cdf(value)),
                    _ => distribution.capabilities().finite_support.map(|support| {
                        let _ = (support.states(), support.element_support());
                        value
                    }),
                };
                let _ = found.map(|var| var.value());
                assert!(start.elapsed().as_secs() < 5, "{name} with {count}, function {what}");
            }
        }
        let rows = |longest: usize, rows: usize| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let table = graph.constant([[0.2, -0.3], [0.4, 0.1]]);
            let model = SequenceModel::new(longest, (), graph.constant(1.0), |(), last| Ok(((), table.lookup(last))));
            model.beam_search(&graph, "search", rows).is_err()
        };
        assert!(rows(count, 2) && rows(3, count), "a search of {count}");
    }
}

#[test]
fn steps_of_a_loop() {
    for count in HUGE {
        refused("a loop with a node", |graph| {
            let t = graph.param("t", 0.3)?;
            let (x, _) = graph.scan("walk", count, t, |_, x| {
                let y = graph.sample("y", &Normal::new(x, 1.0), &Pathwise::new())?;
                Ok((y, ()))
            })?;
            graph.cost("cost", x)
        });
        let error = refused("a loop without a value", |graph| {
            graph.scan("nothing", count, (), |_, ()| Ok(((), ())))?;
            graph.cost("cost", graph.param("t", 0.3)?)
        });
        assert!(error.contains("repetitions"), "{error}");
    }
}

#[test]
fn small_counts_do_not_underflow() {
    let tape = Tape::<f64>::new();
    let none = OneHotCategorical::from_logits(tape.constant(0.0));
    let error = Independent::new(none, 0).unwrap_err().to_string();
    assert!(error.contains("at least 1 event axes") && error.contains("got 0"), "{error}");
    assert!(Independent::new(none, 1).is_err());
    for samples in [0, 1] {
        let methods: [Bits; 3] = [
            Arc::new(Arms::new(samples)),
            Arc::new(Arms::new(samples).copula(GaussianCopula)),
            Arc::new(Arms::new(samples).sets(3)),
        ];
        for joint in [false, true] {
            for method in &methods {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(1));
                graph.set_joint_distribution(joint);
                let result = bits(&graph, method).and_then(|()| graph.backward().map(drop));
                assert!(joint || result.is_err());
            }
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            graph.set_joint_distribution(joint);
            let method: Vectors = Arc::new(Carms::new(samples).sets(2));
            let _ = vectors(&graph, &method).and_then(|()| graph.backward().map(drop));
        }
        let _ = DirichletCopula.second_below(samples, tape.constant(0.3));
        let _ = GaussianCopula.second_below(samples, tape.constant(0.3));
    }
    let many = Tape::<f64>::with_threads(usize::MAX);
    let x = many.parameter([1.0, 2.0]);
    let mut program = many.compile(&[x], &[x.exp().sum()]).unwrap();
    program.set(0, &Tensor::from([0.0, 0.0])).unwrap();
    program.run(Default::default()).unwrap();
    assert_eq!(program.output(0).unwrap().item(), Ok(2.0));
    let plate = tape.plate("shard", 3, PlateKind::Data, &[]);
    tape.set_plate_offset(plate, u64::MAX - 1);
    let noise = tape.noise(Default::default(), stochgrad_tensor::random::Fill::Uniform, 7, &[plate], &[2].into());
    assert!(noise.unwrap().value().unwrap().all_finite());
    assert!(Categorical::from_logits(tape.constant([0.0, 1.0])).event_shape().is_empty());
}
