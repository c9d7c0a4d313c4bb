//! The pictures on the pages of the methods, `docs/methods/*.svg`: variance and bias against a parameter of a small
//! model, measured.

use std::error::Error;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Binomial, Gumbel, Id, Normal, OneHotCategorical};
use stochgrad_estimators::{
    GeneralizedGumbelSoftmax, GumbelSinkhorn, ImplicitMle, LeaveOneOut, LinearSolver, Pathwise, ScoreFunction,
};
use stochgrad_graph::GraphResult;
use stochgrad_lab::{Candidate, Catalogue, Comparison, Lab, Statistics, candidates};
use stochgrad_nn::{Inputs, Parameters, Record};
use stochgrad_tape::Var;
use stochgrad_tensor::Tensor;

/// The method on every picture.
const REFERENCE: &str = "ScoreFunction::new().samples(2).baseline(LeaveOneOut)";

/// Colours that are told apart by readers who do not see all of them, of Okabe and Ito.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// The pages, each with the beginnings of the code of its methods.
type Pages = &'static [(&'static str, &'static [&'static str])];

const WITH_BITS: Pages = &[
    ("arm", &["Arm::"]),
    ("arms", &["Arms::"]),
    ("auto", &["Auto::"]),
    (
        "baselines",
        &[
            "ScoreFunction::new().baseline(MovingAverage",
            "ScoreFunction::new().baseline(OptimalBaseline",
            "ScoreFunction::new().baseline(SelfCritical",
            "ScoreFunction::new().baseline(MuProp",
            "ScoreFunction::new().samples(4).baseline(LeaveOneOut",
        ],
    ),
    ("bit_flip", &["BitFlip::"]),
    ("disarm", &["DisArm::"]),
    ("double_control_variate", &["DoubleControlVariate::"]),
    ("enumerate", &["Enumerate::"]),
    ("gumbel_rao", &["GumbelRao::"]),
    ("gumbel_softmax", &["GumbelSoftmax::"]),
    ("importance_sampling", &["ImportanceSampling::"]),
    ("local_expectation", &["LocalExpectation::"]),
    ("measure_valued", &["MeasureValued::"]),
    ("mve", &["Mve::"]),
    ("rebar", &["Rebar::"]),
    ("reinmax", &["ReinMax::"]),
    ("relax", &["Relax::"]),
    ("replay_budget", &["ReplayBudget::", "StochasticDerivatives::new()"]),
    ("reservoir", &["Reservoir::", "MeasureValued::"]),
    ("rodeo", &["Rodeo::"]),
    ("sampling_schemes", &["ScoreFunction::new().samples(2).scheme("]),
    ("score_function", &["ScoreFunction::new()", "ScoreFunction::new().samples(8).baseline(LeaveOneOut)"]),
    ("simple", &["Simple::"]),
    ("smoothed", &["Smoothed::"]),
    ("stochastic_derivatives", &["StochasticDerivatives::"]),
    ("straight_through", &["StraightThrough::"]),
    ("sum_and_sample", &["SumAndSample::"]),
    ("ugc", &["Ugc::"]),
    ("unordered_set", &["UnorderedSet::"]),
    ("without_replacement", &["WithoutReplacement::"]),
];

const WITH_CATEGORIES: Pages = &[
    ("arsm", &["Ars::", "Arsm::"]),
    ("carms", &["Carms::"]),
    ("categorical_disarm", &["CategoricalDisArm::"]),
    ("gapped_straight_through", &["GappedStraightThrough::", "StraightThrough::"]),
];

const WITH_COUNTS: Pages = &[
    ("discrete_go", &["DiscreteGo::"]),
    ("fini", &["Fini::"]),
    ("generalized_gumbel_softmax", &["GeneralizedGumbelSoftmax::"]),
];

const WITH_NUMBERS: Pages = &[
    ("evolution_strategy", &["EvolutionStrategy::"]),
    ("finite_difference", &["FiniteDifference::"]),
    ("lax", &["Lax::"]),
    ("pathwise", &["Pathwise::new()", "ImplicitPathwise::", "Pairwise::"]),
    ("smoothed_perturbation", &["SmoothedPerturbation::"]),
    ("spsa", &["Spsa::"]),
];

/// The pages of methods for the solutions of a solver.
const WITH_MATCHINGS: [&str; 2] = ["gumbel_sinkhorn", "implicit_mle"];

/// Whether the code of a method is that of a page: a beginning that ends in a bracket is the whole code.
fn is_of(code: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|own| if own.ends_with(')') { code == *own } else { code.starts_with(own) })
}

fn bits(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("x", &Bernoulli::from_logits(record.param("logits")?), &ScoreFunction::new())?;
    record.cost("loss", (b.sum() - 1.2).square())
}

fn categories(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("x", &OneHotCategorical::from_logits(record.param("logits")?), &ScoreFunction::new())?;
    record.cost("loss", ((b * record.constant([0.0, 1.0, 3.0])).sum() - 1.2).square())
}

fn counts(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let count = record.sample("x", &Binomial::from_logits(8.0, record.param("logits")?), &ScoreFunction::new())?;
    record.cost("loss", (count - 2.5).square())
}

fn number(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let normal = Normal::from_log_scale(record.param("mean")?, record.param("log_scale")?);
    let x = record.sample("x", &normal, &ScoreFunction::new())?;
    record.cost("loss", (x - 0.3).square())
}

/// The initial values of parameters, by their names.
type Values = Vec<(&'static str, Tensor<f64>)>;

/// What is measured: the model, its parameters by the number on the axis, the name of the axis, and the range.
struct Study {
    model: fn(&Record<'_, '_, f64>) -> GraphResult<()>,
    parameters: fn(f64) -> Values,
    axis: &'static str,
    range: [f64; 2],
}

/// The numbers on the axis at which a study measures.
const STEPS: usize = 9;

/// Measures the methods of some pages, and writes their pictures.
fn write<D: Catalogue<f64>>(study: &Study, pages: Pages, more: fn() -> Vec<Candidate<f64, D>>) {
    let inputs = Inputs::new();
    let [low, high] = study.range;
    let measured: Vec<(f64, Comparison)> = (0..STEPS)
        .map(|step| {
            let at = low + (high - low) * step as f64 / (STEPS - 1) as f64;
            let mut parameters = Parameters::new();
            parameters.insert_all((study.parameters)(at)).unwrap();
            let candidates = D::catalogue().into_iter().chain(more()).filter(|candidate| {
                let code = candidate.label();
                code == REFERENCE || pages.iter().any(|(_, beginnings)| is_of(code, beginnings))
            });
            let lab = Lab::new(study.model, &parameters, &inputs).warm_up(200);
            let compare = lab.compare().node::<D>("x", candidates.collect()).precision(0.05).repetitions(4000);
            (at, compare.exact_reference(&Oracle::new()).unwrap().run().unwrap())
        })
        .collect();
    for (page, beginnings) in pages {
        let codes: Vec<String> = measured[0].1.arms.iter().map(|arm| arm.methods[0].1.clone()).collect();
        let own = codes.iter().filter(|code| *code != REFERENCE && is_of(code, beginnings)).map(String::as_str);
        let own: Vec<&str> = own.chain([REFERENCE]).collect();
        assert!(own.len() > 1, "{page}: no method of the catalogue");
        save(page, study.axis, study.range, &own.iter().map(|code| line(&measured, code)).collect::<Vec<_>>());
    }
}

fn save(page: &str, axis: &str, range: [f64; 2], lines: &[Line]) {
    std::fs::write(folder().join(format!("{page}.svg")), picture(axis, range, lines).unwrap()).unwrap();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/methods")
}

/// What was measured of a method. Without points, it was refused.
struct Line {
    code: String,
    evaluations: Option<usize>,
    points: Vec<Point>,
}

/// What was measured at a number on the axis. Zeros are not drawn.
struct Point {
    at: f64,
    variance: f64,
    squared_bias: f64,
}

/// The statistics of a method at each number on the axis; none where it was refused.
fn of<'a>(measured: &'a [(f64, Comparison)], code: &str) -> Vec<(f64, &'a Statistics)> {
    let found = |(at, comparison): &'a (f64, Comparison)| {
        let (_, statistics) = comparison.measured().find(|(arm, _)| arm.methods[0].1 == code)?;
        Some((*at, statistics))
    };
    measured.iter().filter_map(found).collect()
}

/// The line of a method.
fn line(measured: &[(f64, Comparison)], code: &str) -> Line {
    let found = of(measured, code);
    let point =
        |&(at, own): &(f64, &Statistics)| Point { at, variance: variance(own), squared_bias: squared_bias(own) };
    Line {
        code: code.into(),
        evaluations: found.first().and_then(|(_, own)| own.evaluations),
        points: found.iter().map(point).collect(),
    }
}

/// The variance, which is 0 below rounding.
fn variance(statistics: &Statistics) -> f64 {
    let variance = statistics.variance.estimate;
    if variance <= 1e-14 * statistics.second_moment.estimate { 0.0 } else { variance }
}

/// The squared norm of the bias, where it is significant, also of a method that declares none.
fn squared_bias(statistics: &Statistics) -> f64 {
    let bias = statistics.bias.as_ref().filter(|bias| bias.is_significant());
    bias.map_or(0.0, |bias| bias.squared.estimate.max(0.0))
}

/// The squared norm of the bias relative to the mean of another model, where it is above four times its noise.
fn squared_bias_from(reference: &Statistics, own: &Statistics) -> f64 {
    let means = |statistics: &Statistics| statistics.means[0].1.clone();
    let noise = |statistics: &Statistics| statistics.variance.estimate / statistics.repetitions as f64;
    let difference: f64 = means(own).iter().zip(means(reference)).map(|(own, other)| (own - other).powi(2)).sum();
    let noise = noise(own) + noise(reference);
    if difference > 4.0 * noise { difference - noise } else { 0.0 }
}

/// A number with at most five digits, which powers of two from 1/128 on need.
fn digits(x: f64) -> String {
    let places = (4 - x.abs().max(1e-9).log10().floor() as i32).max(0) as usize;
    let text = format!("{:.places$}", x.abs());
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}{text}", if x < 0.0 { "−" } else { "" })
}

/// The picture of some methods, without those that the model refuses.
fn picture(axis: &str, range: [f64; 2], lines: &[Line]) -> Result<String, Box<dyn Error>> {
    const LINE: u32 = 20;
    let lines: Vec<&Line> = lines.iter().filter(|line| !line.points.is_empty()).collect();
    let positive = |value: f64| (value > 1e-12).then_some(value);
    let points = lines.iter().flat_map(|line| &line.points);
    let heights: Vec<f64> =
        points.flat_map(|point| [point.variance, point.squared_bias]).filter_map(positive).collect();
    let low = 0.7 * heights.iter().copied().fold(f64::INFINITY, f64::min);
    let high = 1.4 * heights.iter().copied().fold(0.0, f64::max);
    let mut svg = String::new();
    {
        let legend = 10 + LINE * lines.len() as u32;
        let root = SVGBackend::with_string(&mut svg, (640, 330 + legend)).into_drawing_area();
        root.fill(&WHITE)?;
        let (names, panel) = root.split_vertically(legend);
        let mut builder = ChartBuilder::on(&panel);
        builder.margin(8).margin_right(20).x_label_area_size(44).y_label_area_size(70);
        let mut chart = builder.build_cartesian_2d(
            range[0]..range[1],
            (low..high).log_scale().base(if high < 100.0 * low { 2.0 } else { 10.0 }),
        )?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_mesh().x_desc(axis).y_desc("variance; dashed: squared bias");
        mesh.axis_desc_style(("sans-serif", 14)).label_style(("sans-serif", 13)).x_labels(9).y_labels(6);
        mesh.x_label_formatter(&|x| if x.abs() < 1e-9 { "0".into() } else { digits(*x) });
        mesh.y_label_formatter(&|height| digits(*height)).draw()?;
        for (at, Line { code, evaluations, points }) in lines.into_iter().enumerate() {
            let colour = if code == REFERENCE { BLACK.to_rgba() } else { COLOURS[at % COLOURS.len()].to_rgba() };
            let variances: Vec<(f64, f64)> =
                points.iter().filter_map(|point| Some((point.at, positive(point.variance)?))).collect();
            let biases: Vec<(f64, f64)> =
                points.iter().filter_map(|point| Some((point.at, positive(point.squared_bias)?))).collect();
            chart.draw_series(LineSeries::new(variances.iter().copied(), colour.stroke_width(2)))?;
            chart.draw_series(variances.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
            chart.draw_series(DashedLineSeries::new(biases, 12, 8, colour.stroke_width(2)))?;
            let cost = evaluations
                .map_or(String::new(), |count| format!(", {count} evaluation{}", if count == 1 { "" } else { "s" }));
            let exact = if variances.is_empty() { ", without variance" } else { "" };
            let middle = (10 + LINE * at as u32 + LINE / 2) as i32;
            names.draw(&Rectangle::new([(24, middle - 4), (40, middle + 4)], colour.filled()))?;
            names.draw(&Text::new(format!("{code}{cost}{exact}"), (48, middle - 8), ("sans-serif", 14)))?;
        }
    }
    Ok(svg)
}

/// The best of the six matchings of three rows with three columns.
fn best_matching() -> LinearSolver {
    const MATCHINGS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    LinearSolver::new("best matching", |scores, solution| {
        let total = |columns: &[usize; 3]| -> f64 { (0..3).map(|row| scores[3 * row + columns[row]]).sum() };
        let best = MATCHINGS.iter().max_by(|one, other| total(one).total_cmp(&total(other)));
        for (row, column) in best.expect("six matchings").iter().enumerate() {
            solution[3 * row + column] = 1.0;
        }
    })
}

/// The perturbed scores of a matching, as an array of some shape.
fn scores<'t>(record: &Record<'_, 't, f64>, shape: &[usize]) -> GraphResult<Gumbel<Var<'t, f64>>> {
    Ok(Gumbel::new(record.param("theta")?.reshape(shape), 1.0))
}

fn cost_of_matching<'t>(record: &Record<'_, 't, f64>, matching: Var<'t, f64>) -> GraphResult<()> {
    let distances = record.constant([1.0, 2.0, 0.0, 0.0, 1.0, 3.0, 2.0, 0.5, 1.0]);
    record.cost("loss", ((matching.reshape([9]) * distances).sum() - 2.0).square())
}

/// Measures methods whose values are matchings, by the number on the axis. Their bias is that from a long run of the
/// score function of the scores, which is the reference on the picture.
fn write_matchings(
    (page, axis, range, shape): (&str, &str, [f64; 2], &[usize]),
    methods: impl Fn(f64) -> Vec<Candidate<f64, Gumbel<Id>>>,
) {
    let inputs = Inputs::new();
    let mut parameters = Parameters::new();
    parameters.insert("theta", [0.2, -0.4, 1.0, 0.1, 0.0, 0.3, -1.0, 0.5, 0.7].into()).unwrap();
    let solved = |record: &Record<'_, '_, f64>| {
        let scores = record.sample("x", &scores(record, &[9])?, &ScoreFunction::new())?;
        cost_of_matching(record, best_matching().solve(scores))
    };
    let lab = Lab::new(solved, &parameters, &inputs);
    let score_functions = candidates![
        ScoreFunction::new().samples(2).baseline(LeaveOneOut),
        ScoreFunction::new().samples(200).baseline(LeaveOneOut),
    ];
    let known = lab.compare().node::<Gumbel<Id>>("x", score_functions).precision(1e-3).repetitions(10_000).run();
    let known = known.unwrap();
    let [reference, long_run] = [0, 1].map(|arm| known.arms[arm].statistics.as_ref().expect("a measurement"));

    let matched = |record: &Record<'_, '_, f64>| {
        let matching = record.sample("x", &scores(record, shape)?, &Pathwise::new())?;
        cost_of_matching(record, matching)
    };
    let lab = Lab::new(matched, &parameters, &inputs);
    let numbers = (0..STEPS).map(|step| range[0] + (range[1] - range[0]) * step as f64 / (STEPS - 1) as f64);
    let measured: Vec<(f64, Comparison)> = numbers
        .map(|at| {
            let compare = lab.compare().node::<Gumbel<Id>>("x", methods(at)).precision(0.02).repetitions(20_000);
            (at, compare.run().unwrap())
        })
        .collect();
    let own = measured[0].1.arms.iter().map(|arm| {
        let code = &arm.methods[0].1;
        let found = of(&measured, code);
        let point = |&(at, own): &(f64, &Statistics)| Point {
            at,
            variance: variance(own),
            squared_bias: squared_bias_from(long_run, own),
        };
        Line { points: found.iter().map(point).collect(), ..line(&measured, code) }
    });
    let constant = |&(at, _): &(f64, Comparison)| Point { at, variance: variance(reference), squared_bias: 0.0 };
    let reference = Line {
        code: REFERENCE.into(),
        evaluations: reference.evaluations,
        points: measured.iter().map(constant).collect(),
    };
    save(page, axis, range, &own.chain([reference]).collect::<Vec<_>>());
}

#[test]
#[ignore = "writes the pictures of docs/methods; minutes"]
fn pictures_of_matchings() {
    let [sinkhorn, mle] = WITH_MATCHINGS;
    write_matchings((sinkhorn, "temperature τ", [0.2, 1.0], &[3, 3]), |temperature| {
        let plain = move || GumbelSinkhorn::new(temperature);
        let straight_through = move || GumbelSinkhorn::new(temperature).straight_through(&best_matching());
        vec![
            Candidate::new("GumbelSinkhorn::new(τ)", plain),
            Candidate::new("GumbelSinkhorn::new(τ).straight_through(&solver)", straight_through),
        ]
    });
    write_matchings((mle, "step λ", [0.25, 4.25], &[9]), |step| {
        vec![Candidate::new("ImplicitMle::new(&solver, λ)", move || ImplicitMle::new(&best_matching(), step))]
    });
}

#[test]
#[ignore = "writes the pictures of docs/methods; minutes"]
fn pictures_of_all_methods() {
    let logits = |added: f64| vec![("logits", Tensor::from([-2.0 + added, 0.5 + added, 1.0 + added]))];
    let study =
        Study { model: bits, parameters: logits, axis: "added to the logits −2, 0.5 and 1", range: [-3.0, 3.0] };
    write::<Bernoulli<Id>>(&study, WITH_BITS, Vec::new);
    let logits = |added: f64| vec![("logits", Tensor::from([-1.0, 0.0, 0.5 + added]))];
    let axis = "added to the last of the logits −1, 0 and 0.5";
    let study = Study { model: categories, parameters: logits, axis, range: [-3.0, 3.0] };
    write::<OneHotCategorical<Id>>(&study, WITH_CATEGORIES, Vec::new);
    let logits = |logit: f64| vec![("logits", Tensor::scalar(logit))];
    let study = Study { model: counts, parameters: logits, axis: "logit of the eight trials", range: [-3.0, 3.0] };
    write::<Binomial<Id>>(&study, WITH_COUNTS, || candidates![GeneralizedGumbelSoftmax::new(0.5, 8)]);
    let scales = |log: f64| vec![("mean", Tensor::scalar(1.0)), ("log_scale", Tensor::scalar(log))];
    let axis = "logarithm of the standard deviation";
    let study = Study { model: number, parameters: scales, axis, range: [-2.0, 1.0] };
    write::<Normal<Id>>(&study, WITH_NUMBERS, Vec::new);
}

#[test]
fn every_picture_is_on_its_page() {
    let pages = [WITH_BITS, WITH_CATEGORIES, WITH_COUNTS, WITH_NUMBERS].concat();
    for page in pages.into_iter().map(|(page, _)| page).chain(WITH_MATCHINGS) {
        let text = std::fs::read_to_string(folder().join(format!("{page}.md"))).expect("a page");
        assert!(text.contains(&format!("]({page}.svg)")), "docs/methods/{page}.md: expected its picture, got none");
        assert!(folder().join(format!("{page}.svg")).exists(), "docs/methods/{page}.svg: expected a picture, got none");
    }
}
