//! Measurements of estimators whose moments are known.

use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Id, Normal};
use stochgrad_estimators::{DisArm, Enumerate, LeaveOneOut, MovingAverage, Pathwise, ScoreFunction, StraightThrough};
use stochgrad_graph::{Graph, GraphResult, MethodReplacements, Seed};
use stochgrad_lab::{
    ArmReport, Candidate, Catalogue, Comparison, Criterion, Lab, Quantity, Statistics, Warning, candidates,
};
use stochgrad_nn::{Inputs, Parameters, Record};
use stochgrad_tensor::Tensor;

/// A bit with the cost (b − t)².
fn bit(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("b", &Bernoulli::from_logits(record.param("logit")?), &ScoreFunction::new())?;
    record.cost("loss", (b - 0.45).square())
}

/// The logit of a probability.
fn logit(probability: f64) -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert("logit", (probability / (1.0 - probability)).ln().into()).unwrap();
    parameters
}

/// A normal variable with the cost x², at mean 1 and standard deviation 1.
fn square(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let normal = Normal::new(record.param("mean")?, record.param("deviation")?);
    let x = record.sample("x", &normal, &ScoreFunction::new())?;
    record.cost("loss", x.square())
}

fn normal() -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert_all([("mean", Tensor::scalar(1.0)), ("deviation", Tensor::scalar(1.0))]).unwrap();
    parameters
}

fn bits() -> Vec<Candidate<f64, Bernoulli<Id>>> {
    candidates![
        ScoreFunction::new(),
        ScoreFunction::new().samples(4).baseline(LeaveOneOut),
        DisArm::new(),
        StraightThrough::new(1.0),
    ]
}

/// The exact gradient and variances of the methods of [`bits`] at the probability 0.1, by enumeration.
const GRADIENT: f64 = 0.009;
const VARIANCES: [f64; 4] = [7.700063e-3, 1.575e-4, 3.24e-4, 2.916e-3];

fn statistics(comparison: &Comparison, arm: usize) -> &Statistics {
    let ArmReport { statistics, refusal, .. } = &comparison.arms[arm];
    statistics.as_ref().unwrap_or_else(|| panic!("{refusal:?}"))
}

#[test]
fn statistics_are_those_of_the_estimators() {
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let lab = Lab::new(bit, &parameters, &inputs).seed(Seed::new(3));
    let compare = || lab.compare().node::<Bernoulli<Id>>("b", bits()).repetitions(4000).precision(1e-9);
    let found = compare().exact_reference(&Oracle::new()).unwrap().run().unwrap();
    assert!(found.reference.as_deref() == Some("the exact oracle") && !found.out_of_time);
    for (arm, variance) in VARIANCES.into_iter().enumerate() {
        let one = statistics(&found, arm);
        let error = one.variance.half_width() / 1.96;
        assert!((one.variance.estimate - variance).abs() < 4.0 * error, "{arm}: {:?}", one.variance);
        assert!(one.variance_sequence.low < one.variance.low && one.variance_sequence.high > one.variance.high);
        assert!(one.variance_sequence.contains(variance), "{arm}: {:?}", one.variance_sequence);
        assert_eq!(one.variances[0].1, one.variance);
        assert_eq!((one.repetitions, &one.warnings[..]), (4000, &[][..]));
        let bias = one.bias.as_ref().unwrap();
        let relative = bias.relative.unwrap();
        // Straight-through has the mean −0.063.
        let expected = if arm == 3 { -0.063 / GRADIENT - 1.0 } else { 0.0 };
        assert!((relative.estimate - expected).abs() < 2.0 * relative.half_width(), "{arm}: {relative:?}");
        assert_eq!(bias.is_significant(), arm == 3, "{arm}: {bias:?}");
        assert_eq!(bias.element, "logit");
        let second = variance + (GRADIENT * (1.0 + expected)).powi(2);
        assert!((one.second_moment.estimate / second - 1.0).abs() < 0.3);
        let ratio = (GRADIENT * (1.0 + expected)).abs() / variance.sqrt();
        assert!((one.signal_to_noise / ratio - 1.0).abs() < 0.5, "{arm}: {} {ratio}", one.signal_to_noise);
        assert!(one.cosine.unwrap().estimate.abs() <= 1.0);
        assert!(one.time.estimate > 0.0 && one.time.low <= one.time.high);
        assert!((one.variance_time.estimate - one.variance.estimate * one.time.estimate).abs() < 1e-15);
    }
    assert_eq!((0..4).map(|arm| statistics(&found, arm).evaluations).collect::<Vec<_>>(), [1, 4, 2, 1].map(Some));
    assert_eq!(statistics(&found, 3).backward_passes, Some(1));
    assert_eq!(statistics(&found, 3).guarantee.bias, stochgrad_graph::Bias::Gradient);

    // A long run takes the place of the oracle, and the rest is the same again.
    let disarm: Candidate<f64, Bernoulli<Id>> = Candidate::new("DisArm", DisArm::new);
    let replaced = disarm.replace(MethodReplacements::new(), &"b".into());
    let again = compare().reference_run(replaced, 20_000).unwrap().run().unwrap();
    assert!(again.reference.as_ref().unwrap().contains("20000 repetitions of b: DisARM"), "{:?}", again.reference);
    for arm in 0..4 {
        let (first, second) = (statistics(&found, arm), statistics(&again, arm));
        assert_eq!((first.variance, &first.means), (second.variance, &second.means));
        assert_eq!(second.bias.as_ref().unwrap().is_significant(), arm == 3);
    }
}

#[test]
fn a_method_without_variance_ends_at_once_and_refused_ones_are_listed() {
    let (parameters, inputs) = (normal(), Inputs::new());
    let jump = |record: &Record<'_, '_, f64>| {
        let normal = Normal::new(record.param("mean")?, record.param("deviation")?);
        let x = record.sample("x", &normal, &ScoreFunction::new())?;
        record.cost("loss", x.gt(record.constant(0.5)).sum())
    };
    let lab = Lab::new(jump, &parameters, &inputs);
    let mut rounds = 0;
    let found = lab
        .compare()
        .node::<Normal<Id>>("x", candidates![ScoreFunction::new(), Pathwise::new()])
        .repetitions(100)
        .progress(|progress| {
            rounds += 1;
            assert!(progress.running <= 1 && progress.repetitions <= 100);
        })
        .run()
        .unwrap();
    assert_eq!(rounds, 7);
    let refusal = found.arms[1].refusal.as_ref().unwrap();
    assert!(refusal.contains("node \"x\"") && found.arms[1].statistics.is_none(), "{refusal}");
    let text = found.to_string();
    assert!(text.contains("not possible") && text.contains("x: ScoreFunction::new()"), "{text}");
    let only = lab.compare().node::<Normal<Id>>("x", candidates![Pathwise::new()]).run();
    assert!(only.unwrap_err().to_string().contains("node \"x\""));

    let parameters = logit(0.1);
    let lab = Lab::new(bit, &parameters, &inputs);
    let exact = lab.compare().node::<Bernoulli<Id>>("b", candidates![Enumerate::new()]).run().unwrap();
    assert_eq!(statistics(&exact, 0).repetitions, 64);
    assert!(statistics(&exact, 0).variance.estimate < 1e-20 && statistics(&exact, 0).warnings.is_empty());
}

#[test]
fn results_depend_on_the_seed_only_and_not_on_other_methods() {
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let measure = |seed: u64, methods| {
        let lab = Lab::new(bit, &parameters, &inputs).seed(Seed::new(seed));
        let found = lab.compare().node::<Bernoulli<Id>>("b", methods).repetitions(100).run().unwrap();
        statistics(&found, 0).means.clone()
    };
    assert_eq!(measure(3, bits()), measure(3, candidates![ScoreFunction::new()]));
    assert_ne!(measure(3, bits()), measure(4, bits()));
    let stateful = || candidates![ScoreFunction::new().baseline(MovingAverage::new(0.9))];
    assert_eq!(measure(3, stateful()), measure(3, stateful()));
}

#[test]
fn a_method_learns_before_it_is_measured() {
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let variance = |warm_up| {
        let lab = Lab::new(bit, &parameters, &inputs).warm_up(warm_up);
        let methods = candidates![ScoreFunction::new().baseline(MovingAverage::new(0.98))];
        let found = lab.compare().node::<Bernoulli<Id>>("b", methods).repetitions(1000).run().unwrap();
        statistics(&found, 0).variance.estimate
    };
    // Without a baseline, and with the expected cost as the baseline.
    let (without, with) = (variance(0), variance(300));
    assert!((without / VARIANCES[0] - 1.0).abs() < 0.3, "{without}");
    assert!((with / 5.76e-4 - 1.0).abs() < 0.3, "{with}");
}

#[test]
fn all_methods_of_a_catalogue_are_measured_or_refused() {
    let (parameters, inputs) = (logit(0.3), Inputs::new());
    let lab = Lab::new(bit, &parameters, &inputs);
    let methods = Bernoulli::<Id>::catalogue();
    let count = methods.len();
    // The confidence is that of forty methods together.
    let compare = lab.compare().node::<Bernoulli<Id>>("b", methods).repetitions(200).confidence(0.9999);
    let found = compare.exact_reference(&Oracle::new()).unwrap().run().unwrap();
    assert_eq!(found.arms.len(), count);
    assert!(found.arms.iter().any(|arm| arm.label() == "b: ScoreFunction::new().samples(8).baseline(LeaveOneOut)"));
    assert!(found.measured().count() > count / 2, "{found}");
    for (arm, statistics) in found.measured() {
        let is_unbiased = statistics.guarantee.bias == stochgrad_graph::Bias::Unbiased;
        let bias = statistics.bias.as_ref().unwrap();
        assert!(!(is_unbiased && bias.is_significant()), "{}: {bias:?}", arm.label());
    }
}

#[test]
fn reports_have_every_method() {
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let lab = Lab::new(bit, &parameters, &inputs);
    let compare = lab.compare().node::<Bernoulli<Id>>("b", bits()).repetitions(200);
    let found = compare.exact_reference(&Oracle::new()).unwrap().run().unwrap();
    let json = found.to_json();
    assert_eq!(json["arms"].as_array().unwrap().len(), 4);
    assert_eq!(json["arms"][2]["methods"]["b"], "DisArm::new()");
    let variance = json["arms"][0]["statistics"]["variance"]["estimate"].as_f64().unwrap();
    assert_eq!(variance, statistics(&found, 0).variance.estimate);
    let mut csv = Vec::new();
    found.write_csv(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("methods,variance,variance_low,variance_high,second_moment"));
    assert!(lines[3].starts_with("b: DisArm::new(),"));
    assert!(lines[1].split(',').nth(1).unwrap().parse::<f64>().unwrap() == variance);
    let svg = found.to_svg("a bit").unwrap();
    assert!(svg.contains("a bit") && bits().iter().all(|method| svg.contains(method.label())));
    assert!(svg.contains("total variance") && svg.trim_end().ends_with("</svg>"));
    // Four points, of which one is biased.
    assert_eq!(svg.matches("<circle").count(), 4);
    // Four boxes on a white ground, and a point for each method in the plane of bias and variance.
    let boxes = found.box_plots_svg("gradients").unwrap();
    assert!(boxes.matches("<rect").count() >= 5 && boxes.contains("gradient along the reference"), "{boxes}");
    let plane = found.bias_variance_svg("bias and variance").unwrap();
    assert!(plane.matches("<circle").count() == 4 && plane.contains("squared bias"));
    let page = found.to_html("a bit & its methods").unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<h1>a bit &amp; its methods</h1>"));
    assert!(bits().iter().all(|method| page.contains(method.label())) && page.contains("unbiased, valid to order 1"));
    assert_eq!(page.matches("<svg").count(), 4);
    // It needs nothing from elsewhere.
    assert!(["http", "<script", "<link", "src=", "url("].iter().all(|word| !page.contains(word)), "{page}");
    let table = found.to_string();
    assert!(bits().iter().all(|method| table.contains(method.label())) && table.contains(" *"), "{table}");
}

#[test]
fn quantiles_and_the_squared_bias_are_those_of_the_estimator() {
    let (parameters, inputs) = (normal(), Inputs::new());
    let lab = Lab::new(square, &parameters, &inputs);
    let compare = lab.compare().node::<Normal<Id>>("x", candidates![Pathwise::new()]).precision(1e-9);
    let found = compare.repetitions(4000).exact_reference(&Oracle::new()).unwrap().run().unwrap();
    // The gradient is (2 x, 2 x ε) with x = 1 + ε, and its mean (2, 2), so that its component is x² / 2, whose quantiles
    // are those of a noncentral chi-squared distribution: scipy.stats.ncx2.ppf(q, 1, 1) / 2.
    let quantiles = statistics(&found, 0).quantiles.unwrap();
    for (quantile, expected, error) in [
        (quantiles.lower_quartile, 0.1337, 0.05),
        (quantiles.median, 0.5518, 0.1),
        (quantiles.upper_quartile, 1.4212, 0.2),
    ] {
        assert!((quantile - expected).abs() < error, "{quantiles:?}");
    }
    let bias = statistics(&found, 0).bias.as_ref().unwrap();
    assert!(bias.squared.contains(0.0), "{bias:?}");
    // Straight-through has the mean −0.063 in place of 0.009.
    let parameters = logit(0.1);
    let lab = Lab::new(bit, &parameters, &inputs);
    let compare = lab.compare().node::<Bernoulli<Id>>("b", candidates![StraightThrough::new(1.0)]).repetitions(2000);
    let found = compare.exact_reference(&Oracle::new()).unwrap().run().unwrap();
    assert!(statistics(&found, 0).bias.as_ref().unwrap().squared.contains(0.072_f64.powi(2)));
    // Without a reference, it is the norm.
    let compare = lab.compare().node::<Bernoulli<Id>>("b", candidates![Enumerate::new()]).repetitions(64);
    let found = compare.run().unwrap();
    assert!((statistics(&found, 0).quantiles.unwrap().median - GRADIENT).abs() < 1e-12);
    assert!(found.bias_variance_svg("").unwrap_err().to_string().contains("exact_reference"));
}

#[test]
fn nodes_whose_names_have_brackets_are_found() {
    let model = |record: &Record<'_, '_, f64>| {
        let mean = record.param("mean")?;
        let draw = |name: &str| record.sample(name, &Normal::new(mean, 1.0), &Pathwise::new());
        let (a, b, c) = (draw("a[first]")?, draw("b[0]")?, draw("b[1]")?);
        let d = record.sample(("d", 1), &Normal::new(mean, 1.0), &Pathwise::new())?;
        record.cost("loss", a + b + c + d)
    };
    let mut parameters = Parameters::new();
    parameters.insert("mean", 0.0.into()).unwrap();
    let inputs = Inputs::new();
    let lab = Lab::new(model, &parameters, &inputs);
    let attribute = || lab.attribute().of(Quantity::TotalCost).repetitions(1000).confidence(0.999);
    let found = attribute().run().unwrap();
    let names: Vec<&str> = found.nodes.iter().map(|share| share.node.as_str()).collect();
    assert_eq!(names, ["a[first]", "b", "d"]);
    for (share, expected) in found.nodes.iter().zip([0.25, 0.5, 0.25]) {
        assert!(share.total.contains(expected) && share.first_order.contains(expected), "{found}");
    }
    let single = attribute().nodes(["b[1]", "d[1]", "a[first]"]).run().unwrap();
    assert!(single.nodes.iter().all(|share| share.total.contains(0.25)), "{single}");
    let page = found.to_html("shares").unwrap();
    assert!(page.contains("a[first]") && page.contains("<svg"));
    assert!(attribute().nodes(["b[7]"]).run().unwrap_err().to_string().contains("a[first], b, d"));
}

#[test]
fn wrong_settings_are_errors() {
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let lab = Lab::new(bit, &parameters, &inputs);
    let compare = || lab.compare().node::<Bernoulli<Id>>("b", bits());
    let message = |result: Result<Comparison, stochgrad_lab::LabError>| result.unwrap_err().to_string();
    assert!(message(lab.compare().run()).contains("expected at least one, got none"));
    assert!(message(lab.compare().node::<Bernoulli<Id>>("b", Vec::new()).run()).contains("node \"b\""));
    assert!(message(compare().precision(0.0).run()).contains("expected a positive number, got 0"));
    assert!(message(compare().confidence(1.5).run()).contains("between 0 and 1"));
    assert!(message(compare().repetitions(1).run()).contains("at least 2"));
    assert!(message(lab.compare().node::<Bernoulli<Id>>("c", bits()).run()).contains("there are: b"));
    let normal = lab.compare().node::<Normal<Id>>("b", candidates![Pathwise::new()]).run();
    assert!(message(normal).contains("distribution Bernoulli, got a method for Normal"));
    let st: Candidate<f64, Bernoulli<Id>> = Candidate::new("st", || StraightThrough::new(1.0));
    let biased = compare().reference_run(st.replace(MethodReplacements::new(), &"b".into()), 10);
    assert!(biased.err().unwrap().to_string().contains("methods without bias"));
}

#[test]
fn products_and_plates_are_possible() {
    let model = |record: &Record<'_, '_, f64>| {
        record.graph().plate("samples", 3)?;
        let logit = record.param("logit")?;
        let a = record.sample("a", &Bernoulli::from_logits(logit), &ScoreFunction::new())?;
        let b = record.sample("b", &Bernoulli::from_logits(logit + a), &ScoreFunction::new())?;
        record.cost("loss", a * b)
    };
    let (parameters, inputs) = (logit(0.4), Inputs::new());
    let lab = Lab::new(model, &parameters, &inputs);
    let along = Candidate::on_graph("along", |graph: &Graph<'_, f64>| {
        let plate = graph.plate_named("samples").expect("the model makes it");
        Ok(ScoreFunction::new().on_plate(plate).baseline(LeaveOneOut))
    });
    let mut first: Vec<Candidate<f64, Bernoulli<Id>>> = candidates![ScoreFunction::new(), Enumerate::new()];
    first.push(along);
    let both = || lab.compare().node::<Bernoulli<Id>>("a", first.clone()).node::<Bernoulli<Id>>("b", bits());
    let one_by_one = both().repetitions(64).run().unwrap();
    assert_eq!(one_by_one.arms.len(), 3 + 4);
    assert!(one_by_one.arms.iter().all(|arm| arm.methods.len() == 1 && arm.refusal.is_none()), "{one_by_one}");
    let all = both().product().repetitions(64).run().unwrap();
    assert_eq!(all.arms.len(), 3 * 4);
    assert_eq!(all.arms[5].label(), "a: Enumerate::new(), b: ScoreFunction::new().samples(4).baseline(LeaveOneOut)");
}

/// Counts how often the intervals of many comparisons contain the truth.
fn coverage(comparisons: u64, repetitions: u64) -> Vec<(&'static str, f64)> {
    let inputs = Inputs::new();
    let mut inside = [0.0_f64; 5];
    for seed in 0..comparisons {
        let parameters = logit(0.1);
        let lab = Lab::new(bit, &parameters, &inputs).seed(Seed::new(seed));
        let methods = candidates![ScoreFunction::new(), ScoreFunction::new().samples(4).baseline(LeaveOneOut)];
        let compare = lab.compare().node::<Bernoulli<Id>>("b", methods).precision(1e-9).repetitions(repetitions);
        let found = compare.exact_reference(&Oracle::new()).unwrap().run().unwrap();
        for arm in 0..2 {
            let one = statistics(&found, arm);
            inside[2 * arm] += f64::from(one.variance.contains(VARIANCES[arm]));
            inside[2 * arm + 1] += f64::from(one.bias.as_ref().unwrap().relative.unwrap().contains(0.0));
        }
        let parameters = normal();
        let lab = Lab::new(square, &parameters, &inputs).seed(Seed::new(seed));
        let compare = lab.compare().node::<Normal<Id>>("x", candidates![Pathwise::new()]).precision(1e-9);
        let found = compare.repetitions(repetitions).run().unwrap();
        // 4 for the mean, and 4 a² + 8 for the standard deviation, at a = 1.
        inside[4] += f64::from(statistics(&found, 0).variance.contains(16.0));
    }
    let names = ["variance of the score function", "its bias", "variance of leave-one-out", "its bias", "pathwise"];
    names.into_iter().zip(inside.map(|count| count / comparisons as f64)).collect()
}

#[test]
fn intervals_contain_the_truth() {
    // 5 standard errors of a fraction of 100.
    for (name, fraction) in coverage(100, 500) {
        assert!((fraction - 0.95).abs() < 0.11, "{name}: {fraction}");
    }
}

#[test]
#[ignore = "minutes: 1600 comparisons of 2000 repetitions each"]
fn intervals_contain_the_truth_in_93_to_97_per_cent() {
    // The standard error of a fraction is 0.5 %.
    let found = coverage(1600, 2000);
    println!("{found:?}");
    for (name, fraction) in found {
        assert!((0.93..=0.97).contains(&fraction), "{name}: {fraction}");
    }
}

/// How often a selection finds the best of four methods, whose variances are known.
fn right_choices(selections: u64) -> (f64, f64) {
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let (mut right, mut repetitions) = (0.0, 0.0);
    for seed in 0..selections {
        let lab = Lab::new(bit, &parameters, &inputs).seed(Seed::new(1000 + seed));
        let select = lab.select().node::<Bernoulli<Id>>("b", bits()).criterion(Criterion::Variance).indifference(0.0);
        let selection = select.run().unwrap();
        let race = &selection.nodes[0];
        right += f64::from(race.chosen == 1);
        repetitions += race.methods[race.chosen].repetitions as f64;
        assert!(race.methods[3].refusal.as_ref().unwrap().contains("biased"));
    }
    (right / selections as f64, repetitions / selections as f64)
}

#[test]
fn a_selection_finds_the_best_method() {
    let (right, repetitions) = right_choices(20);
    assert_eq!(right, 1.0);
    assert!(repetitions < 5000.0, "{repetitions}");
}

#[test]
#[ignore = "minutes: 400 selections"]
fn a_selection_is_right_in_95_per_cent() {
    let (right, repetitions) = right_choices(400);
    println!("{right} with {repetitions} repetitions on average");
    assert!(right >= 0.95);
}

#[test]
fn a_selection_varies_the_nodes_in_turn_and_replaces_the_methods_of_a_step() {
    let model = |record: &Record<'_, '_, f64>| {
        let logit = record.param("logit")?;
        let a = record.sample("a", &Bernoulli::from_logits(logit), &ScoreFunction::new())?;
        let b = record.sample("b", &Bernoulli::from_logits(0.5 * logit), &ScoreFunction::new())?;
        record.cost("loss", (a - 0.45).square() + (b - 0.45 + a).square())
    };
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let lab = Lab::new(model, &parameters, &inputs);
    let methods = || candidates![ScoreFunction::new(), Enumerate::new(), StraightThrough::new(1.0)];
    let select = || lab.select().node::<Bernoulli<Id>>("a", methods()).node::<Bernoulli<Id>>("b", methods());
    let selection = select().criterion(Criterion::Variance).run().unwrap();
    assert_eq!(selection.code(), "\"a\": Enumerate::new()\n\"b\": Enumerate::new()");
    assert!(selection.nodes.iter().all(|race| race.confidence > 0.95), "{selection}");
    assert_eq!(selection.to_json()["nodes"][1]["chosen"], "Enumerate::new()");
    assert!(selection.to_string().contains("with confidence"));
    let page = selection.to_html("two bits").unwrap();
    assert!(page.contains("Enumerate::new()") && page.contains("with confidence") && page.contains("Not possible"));
    let mut step = stochgrad_nn::Step::new(model).replace_methods(selection.replacements.clone());
    let gradient = |step: &mut stochgrad_nn::Step<'_, f64>, seed| {
        step.run(&parameters, &inputs, Seed::new(seed)).unwrap().get("logit").unwrap().to_vec()
    };
    assert_eq!(gradient(&mut step, 1), gradient(&mut step, 2));
    // With times, and with the smallest budget, there is still a choice.
    let hurried = select().time_budget(std::time::Duration::ZERO).run().unwrap();
    assert!(hurried.out_of_time && hurried.nodes.len() == 2);
    let nothing = lab.select().node::<Bernoulli<Id>>("a", candidates![StraightThrough::new(1.0)]).run();
    assert!(nothing.unwrap_err().to_string().contains("allow_bias"));
    assert!(select().repetitions(3).run().unwrap_err().to_string().contains("at least 64"));
    assert!(lab.select().run().unwrap_err().to_string().contains("at least one"));
}

#[test]
fn shares_are_those_of_the_model() {
    // f = x + 2 y + 3 x y with standard normal x and y: the variances are 1, 4 and, of the interaction, 9.
    let model = |record: &Record<'_, '_, f64>| {
        let mean = record.param("mean")?;
        let x = record.sample("x", &Normal::new(mean, 1.0), &Pathwise::new())?;
        let (total, ()) = record.scan("time", 2, record.constant(0.0), |record, _, total| {
            let y = record.sample("y", &Normal::new(mean, 0.5_f64.sqrt()), &Pathwise::new())?;
            Ok((total + y, ()))
        })?;
        record.cost("loss", x + 2.0 * total + 3.0 * x * total)
    };
    let mut parameters = Parameters::new();
    parameters.insert("mean", 0.0.into()).unwrap();
    let inputs = Inputs::new();
    let lab = Lab::new(model, &parameters, &inputs);
    let found = lab.attribute().of(Quantity::Cost("loss".into())).repetitions(4000).confidence(0.999).run().unwrap();
    assert!(found.variance.contains(14.0), "{found}");
    assert_eq!(found.nodes.iter().map(|share| share.node.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    for (share, [first, total]) in found.nodes.iter().zip([[1.0, 10.0], [4.0, 13.0]]) {
        assert!(share.first_order.contains(first / 14.0), "{found}");
        assert!(share.total.contains(total / 14.0), "{found}");
        assert!(share.total.half_width() < 0.15 && share.first_order.half_width() < 0.15, "{found}");
    }
    let svg = found.to_svg("shares").unwrap();
    assert!(svg.contains("shares") && svg.matches("<rect").count() >= 5 && !svg.contains("NaN"));
    // The gradient is 1 + 4 + 3 (y + 2 x): its shares are 1 : 4, without interactions.
    let found = lab.attribute().repetitions(4000).confidence(0.999).run().unwrap();
    for (share, expected) in found.nodes.iter().zip([0.8, 0.2]) {
        assert!(share.first_order.contains(expected) && share.total.contains(expected), "{found}");
    }
    assert_eq!(found.to_json()["nodes"][0]["node"], "x");
    let only = lab.attribute().nodes(["y"]).of(Quantity::Element("mean".into(), 0)).repetitions(100).run().unwrap();
    assert_eq!(only.nodes.len(), 1);
    let message = |attribute: stochgrad_lab::Attribute<'_, '_, f64>| attribute.run().unwrap_err().to_string();
    assert!(message(lab.attribute().nodes(["z"])).contains("there are: x, y"));
    assert!(message(lab.attribute().of(Quantity::Element("mean".into(), 3))).contains("less than 1, got 3"));
    assert!(message(lab.attribute().of(Quantity::Cost("gain".into()))).contains("loss"));
    assert!(message(lab.attribute().repetitions(1)).contains("at least 3"));
}

#[test]
#[ignore = "minutes: 200 attributions"]
fn shares_lie_within_their_error_bars() {
    let model = |record: &Record<'_, '_, f64>| {
        let mean = record.param("mean")?;
        let x = record.sample("x", &Normal::new(mean, 1.0), &Pathwise::new())?;
        let y = record.sample("y", &Normal::new(mean, 1.0), &Pathwise::new())?;
        record.cost("loss", x + 2.0 * y + 3.0 * x * y)
    };
    let mut parameters = Parameters::new();
    parameters.insert("mean", 0.0.into()).unwrap();
    let inputs = Inputs::new();
    let mut inside = [0; 4];
    for seed in 0..200 {
        let lab = Lab::new(model, &parameters, &inputs).seed(Seed::new(seed));
        let found = lab.attribute().of(Quantity::TotalCost).run().unwrap();
        for (node, [first, total]) in [[1.0, 10.0], [4.0, 13.0]].into_iter().enumerate() {
            inside[2 * node] += usize::from(found.nodes[node].first_order.contains(first / 14.0));
            inside[2 * node + 1] += usize::from(found.nodes[node].total.contains(total / 14.0));
        }
    }
    println!("{inside:?} of 200");
    assert!(inside.iter().all(|&count| (180..=199).contains(&count)), "{inside:?}");
}

#[test]
fn heavy_tails_are_reported() {
    // exp(c x²) has the tail index 1 / (2 c): its variance is infinite from c = 1/4 on.
    let warnings = |c: f64| {
        let model = move |record: &Record<'_, '_, f64>| {
            let x = record.sample("x", &Normal::new(record.param("mean")?, 1.0), &Pathwise::new())?;
            record.cost("loss", record.param("scale")? * (c * x.square()).exp())
        };
        let mut parameters = Parameters::new();
        parameters.insert_all([("mean", Tensor::scalar(0.0)), ("scale", Tensor::scalar(1.0))]).unwrap();
        let inputs = Inputs::new();
        let lab = Lab::new(model, &parameters, &inputs);
        let compare = lab.compare().node::<Normal<Id>>("x", candidates![Pathwise::new()]).precision(1e-9);
        let found = compare.repetitions(4000).run().unwrap();
        (statistics(&found, 0).warnings.clone(), found.to_string())
    };
    let (infinite, text) = warnings(0.4);
    assert!(matches!(infinite[0], Warning::InfiniteVariance(index) if index.estimate < 2.0), "{infinite:?}");
    assert!(text.contains("the variance may be infinite"), "{text}");
    assert!(matches!(warnings(0.15).0[0], Warning::UnreliableVariance(_)), "{:?}", warnings(0.15).0);
    assert_eq!(warnings(0.02).0, []);
}

/// A bit that is the cost. All gradients of the score function are 0 until the first draw that is 1.
fn rare(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("b", &Bernoulli::from_logits(record.param("logit")?), &ScoreFunction::new())?;
    record.cost("loss", b)
}

#[test]
fn a_variance_that_was_not_seen_is_not_taken_for_zero() {
    let (parameters, inputs) = (logit(1e-6), Inputs::new());
    let lab = Lab::new(rare, &parameters, &inputs);
    let methods = || candidates![ScoreFunction::new(), Enumerate::new()];
    let found = lab.compare().node::<Bernoulli<Id>>("b", methods()).run().unwrap();
    // All gradients of the score function were 0, since no draw was 1. That of the enumeration needs no draws.
    assert_eq!((statistics(&found, 0).repetitions, statistics(&found, 1).repetitions), (1008, 64));
    assert_eq!(statistics(&found, 0).warnings, [Warning::NoVariance(1008)]);
    assert!(statistics(&found, 1).warnings.is_empty());
    for text in [found.to_string(), found.to_html("rare").unwrap(), found.to_json().to_string()] {
        assert!(text.contains("all 1008 repetitions gave the same gradient"), "{text}");
    }
    // In a race, it is not chosen with certainty.
    let select = || lab.select().node::<Bernoulli<Id>>("b", methods()).criterion(Criterion::Variance);
    let short = select().repetitions(128).run().unwrap();
    assert!(short.nodes[0].confidence <= 0.5, "{short}");
    let long = select().run().unwrap();
    assert_eq!(long.nodes[0].methods[0].repetitions, 1008);
    let only =
        lab.select().node::<Bernoulli<Id>>("b", candidates![ScoreFunction::new()]).repetitions(64).run().unwrap();
    assert_eq!(only.nodes[0].warnings, [Warning::NoVariance(64)]);
    for text in [only.to_string(), only.to_html("rare").unwrap(), only.to_json().to_string()] {
        assert!(text.contains("all 64 repetitions gave the same gradient"), "{text}");
    }
}

#[test]
fn the_time_of_a_step_counts_in_a_choice() {
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let select = |overhead: f64| {
        let lab = Lab::new(bit, &parameters, &inputs).overhead(std::time::Duration::from_secs_f64(overhead));
        let methods = candidates![Enumerate::new(), ScoreFunction::new()];
        let select = lab.select().node::<Bernoulli<Id>>("b", methods).criterion(Criterion::SecondMomentTime);
        select.repetitions(64).run().unwrap()
    };
    let score = |selection: &stochgrad_lab::Selection<f64>| selection.nodes[0].methods[0].score.unwrap().estimate;
    // The second moment of the exact gradient is known.
    let (selection, second) = (select(1.0), GRADIENT * GRADIENT);
    assert!((score(&selection) / second - 1.0).abs() < 0.01, "{selection}");
    assert!(score(&select(0.0)) < 0.01 * second);
}
