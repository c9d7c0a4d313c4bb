//! Distributions as data are those of the catalogue.

#![cfg(feature = "serde")]

mod catalogue;

use catalogue::{Entry, entries};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use stochgrad_distributions::*;
use stochgrad_tape::{PlateKind, Plates, Tape, Var};

/// Types without settings: they are made of other distributions, take a part of a model, or relax another one.
const WITHOUT: [&str; 16] = [
    "AutoRegressive",
    "Censored",
    "GaussianProcess",
    "HiddenMarkovModel",
    "Hurdle",
    "Independent",
    "LinearGaussianStateSpace",
    "MarkovChain",
    "Mixture",
    "MixtureSameFamily",
    "Quantized",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "TransformedDistribution",
    "Truncated",
    "ZeroInflated",
];

/// What the catalogue fixes besides the parameters.
fn fixed(name: &str) -> Option<(&'static str, usize)> {
    match name {
        "Zipf" => Some(("ranks", 8)),
        "KSubset" => Some(("size", 2)),
        "Lkj" => Some(("dimension", 3)),
        _ => None,
    }
}

/// The name of a type in a file.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// Numbers of a shape as nested lists.
fn nested(shape: &[usize], values: &[f64]) -> Value {
    match shape.split_first() {
        None => json!(values[0]),
        Some((&count, inner)) => values.chunks(values.len() / count).map(|row| nested(inner, row)).collect(),
    }
}

/// The parameters of an entry, as a file would state them.
fn parameters(entry: &Entry) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut rest = entry.ordinary;
    for parameter in entry.parameters() {
        let (name, axes) = parameter.split_once('[').unwrap_or((parameter, ""));
        let shape: Vec<usize> = axes.trim_end_matches(']').split('x').filter_map(|axis| axis.parse().ok()).collect();
        let (own, others) = rest.split_at(shape.iter().product());
        let name = if name == "probability" { "probabilities" } else { name };
        fields.insert(name.into(), nested(&shape, own));
        rest = others;
    }
    if let Some((name, number)) = fixed(entry.name()) {
        fields.insert(name.into(), json!(number));
    }
    fields
}

/// The settings of an entry, under the name of its type or that with a parameter at its end.
fn settings(entry: &Entry) -> Option<(Value, DistributionSettings)> {
    let fields = parameters(entry);
    let ends = fields.keys().map(|field| format!("-{field}")).chain([String::new()]).collect::<Vec<_>>();
    ends.into_iter().find_map(|end| {
        let mut fields = fields.clone();
        fields.insert("name".into(), json!(kebab(entry.name()) + &end));
        let data = Value::Object(fields);
        Some((data.clone(), serde_json::from_value(data).ok()?))
    })
}

/// Draws, and their log-probabilities.
fn draws<'t>(tape: &'t Tape<f64>, distribution: &dyn Distribution<'t, f64>) -> (Vec<f64>, Vec<f64>) {
    let plate = tape.plate("samples", 20, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(7, 0);
    let request = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let values = distribution.draw(&request).expect("draws");
    let logs = distribution.log_prob(tape.constant_on(&[plate], values.clone()));
    (values.to_vec(), logs.expand_plates(&[plate]).peek().expect("log-probabilities").to_vec())
}

#[test]
fn settings_make_the_distributions_of_the_catalogue() {
    let mut made = BTreeSet::new();
    // The catalogue gives these further settings: the number of ranks, and a drift.
    let differently = ["PlackettLuce", "GaussianRandomWalk"];
    for entry in entries() {
        if WITHOUT.contains(&entry.name()) || differently.contains(&entry.name()) {
            continue;
        }
        let (data, settings) =
            settings(&entry).unwrap_or_else(|| panic!("{}: expected a row in src/settings/mod.rs", entry.distribution));
        let tape = Tape::<f64>::new();
        let own: Vec<Var<'_, f64>> = entry.ordinary.iter().map(|&value| tape.constant(value)).collect();
        let expected = draws(&tape, &*(entry.build)(&tape, &own));
        let found = draws(&tape, &*settings.on(&tape).expect("a distribution"));
        assert_eq!(found, expected, "{}", entry.distribution);
        let written = serde_json::to_value(&settings).expect("data");
        assert_eq!(serde_json::from_value::<DistributionSettings>(written).expect("settings"), settings, "{data}");
        made.insert(entry.name());
    }
    assert!(made.len() > 60, "made only {made:?}");
}

#[test]
fn other_distributions_are_made_with_their_own_settings() {
    let tape = Tape::<f64>::new();
    let text = r#"{"name": "gaussian-random-walk", "steps": 4, "initial": 0.0, "scale": 0.5}"#;
    let walk = serde_json::from_str::<DistributionSettings>(text).unwrap().on(&tape).unwrap();
    assert_eq!(walk.event_shape()[..], [4]);
    let ranking: DistributionSettings =
        serde_json::from_str(r#"{"name": "plackett-luce", "logits": [0.0, 1.0, 2.0]}"#).unwrap();
    assert_eq!(ranking.on(&tape).unwrap().event_shape()[..], [3, 3]);
}

#[test]
fn mistakes_are_errors_that_list_what_exists() {
    let problem = |text: &str| serde_json::from_str::<DistributionSettings>(text).unwrap_err().to_string();
    let message = problem(r#"{"name": "gausian", "location": 0.0}"#);
    assert!(message.contains("unknown variant `gausian`") && message.contains("`normal`"), "{message}");
    let message = problem(r#"{"name": "normal", "location": 0.0, "sd": 1.0}"#);
    assert!(message.contains("unknown field `sd`, expected `location` or `scale`"), "{message}");
    let message = problem(r#"{"name": "normal", "location": [[0.0], [1.0, 2.0]], "scale": 1.0}"#);
    assert!(message.contains("expected lists of one shape, got [1] and then [2]"), "{message}");
    let message = problem(r#"{"name": "normal", "location": "zero", "scale": 1.0}"#);
    assert!(message.contains("expected a number, lists of numbers, or a tensor with its shape"), "{message}");
}

#[test]
fn values_outside_of_a_domain_are_refused() {
    let tape = Tape::<f64>::new();
    let problem = |text: &str| {
        let settings: DistributionSettings = serde_json::from_str(text).unwrap();
        settings.on(&tape).map(drop).unwrap_err().to_string()
    };
    let message = problem(r#"{"name": "normal", "location": 0.0, "scale": -1.0}"#);
    assert!(message.contains("scale") && message.contains("-1"), "{message}");
    problem(r#"{"name": "wishart", "degrees_of_freedom": 0.5, "scale_tril": [[1.0, 0.0], [0.0, 1.0]]}"#);
}

#[test]
fn values_keep_their_shape() {
    for text in ["2.5", "[1.0,2.0]", "[[1.0,2.0],[3.0,4.0]]", r#"{"shape":[2,0],"elements":[]}"#] {
        let values: ParameterValues = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&values).unwrap(), text);
    }
    let tensor: ParameterValues = serde_json::from_str(r#"{"shape":[2],"elements":[1.0,2.0]}"#).unwrap();
    assert_eq!(tensor, ParameterValues::new([1.0, 2.0]));
}
