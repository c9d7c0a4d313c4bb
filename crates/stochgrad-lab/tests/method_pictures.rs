//! The pictures on the pages of the methods, `docs/methods/*.svg`: variance and bias against a parameter of a small
//! model, measured.

use std::error::Error;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Binomial, Id, Normal, OneHotCategorical};
use stochgrad_estimators::{GeneralizedGumbelSoftmax, ScoreFunction};
use stochgrad_graph::GraphResult;
use stochgrad_lab::{Candidate, Catalogue, Comparison, Lab, Statistics, candidates};
use stochgrad_nn::{Inputs, Parameters, Record};
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
        std::fs::write(folder().join(format!("{page}.svg")), picture(study.axis, &measured, &own).unwrap()).unwrap();
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/methods")
}

/// The statistics of a method at each number on the axis; none where it was refused.
fn of<'a>(measured: &'a [(f64, Comparison)], code: &str) -> Vec<(f64, &'a Statistics)> {
    let found = |(at, comparison): &'a (f64, Comparison)| {
        let (_, statistics) = comparison.measured().find(|(arm, _)| arm.methods[0].1 == code)?;
        Some((*at, statistics))
    };
    measured.iter().filter_map(found).collect()
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

/// A number with at most two digits.
fn digits(x: f64) -> String {
    let places = (1 - x.abs().max(1e-9).log10().floor() as i32).max(0) as usize;
    let text = format!("{:.places$}", x.abs());
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}{text}", if x < 0.0 { "−" } else { "" })
}

/// The picture of some methods, without those that the model refuses.
fn picture(axis: &str, measured: &[(f64, Comparison)], codes: &[&str]) -> Result<String, Box<dyn Error>> {
    const LINE: u32 = 20;
    let codes: Vec<&str> = codes.iter().copied().filter(|code| !of(measured, code).is_empty()).collect();
    let lines: Vec<_> = codes.iter().map(|code| of(measured, code)).collect();
    let positive = |value: f64| (value > 1e-12).then_some(value);
    let heights = lines.iter().flatten().flat_map(|(_, found)| [variance(found), squared_bias(found)]);
    let heights: Vec<f64> = heights.filter_map(positive).collect();
    let low = 0.7 * heights.iter().copied().fold(f64::INFINITY, f64::min);
    let high = 1.4 * heights.iter().copied().fold(0.0, f64::max);
    let mut svg = String::new();
    {
        let legend = 10 + LINE * codes.len() as u32;
        let root = SVGBackend::with_string(&mut svg, (640, 330 + legend)).into_drawing_area();
        root.fill(&WHITE)?;
        let (names, panel) = root.split_vertically(legend);
        let mut builder = ChartBuilder::on(&panel);
        builder.margin(8).margin_right(20).x_label_area_size(44).y_label_area_size(70);
        let range = measured[0].0..measured[measured.len() - 1].0;
        let mut chart = builder
            .build_cartesian_2d(range, (low..high).log_scale().base(if high < 100.0 * low { 2.0 } else { 10.0 }))?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_mesh().x_desc(axis).y_desc("variance; dashed: squared bias");
        mesh.axis_desc_style(("sans-serif", 14)).label_style(("sans-serif", 13)).x_labels(9).y_labels(6);
        mesh.x_label_formatter(&|x| if x.abs() < 1e-9 { "0".into() } else { digits(*x) });
        mesh.y_label_formatter(&|height| digits(*height)).draw()?;
        for (at, (code, line)) in codes.iter().zip(&lines).enumerate() {
            let colour = if *code == REFERENCE { BLACK.to_rgba() } else { COLOURS[at % COLOURS.len()].to_rgba() };
            let variances: Vec<(f64, f64)> =
                line.iter().filter_map(|(x, found)| Some((*x, positive(variance(found))?))).collect();
            let biases: Vec<(f64, f64)> =
                line.iter().filter_map(|(x, found)| Some((*x, positive(squared_bias(found))?))).collect();
            chart.draw_series(LineSeries::new(variances.iter().copied(), colour.stroke_width(2)))?;
            chart.draw_series(variances.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
            chart.draw_series(DashedLineSeries::new(biases, 12, 8, colour.stroke_width(2)))?;
            let evaluations = line.first().and_then(|(_, found)| found.evaluations);
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
    for (page, _) in [WITH_BITS, WITH_CATEGORIES, WITH_COUNTS, WITH_NUMBERS].concat() {
        let text = std::fs::read_to_string(folder().join(format!("{page}.md"))).expect("a page");
        assert!(text.contains(&format!("]({page}.svg)")), "docs/methods/{page}.md: expected its picture, got none");
        assert!(folder().join(format!("{page}.svg")).exists(), "docs/methods/{page}.svg: expected a picture, got none");
    }
}
