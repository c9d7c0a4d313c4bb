//! A TOML file states a complete run: the trainer, the optimiser, the gradient method and the model.

use std::error::Error;
use std::fs;

use serde::Deserialize;
use stochgrad::distributions::{Bernoulli, DistributionSettings, Id};
use stochgrad::estimators::{ConfiguredFamily, MethodSettings};
use stochgrad::graph::{DynMethod, Seed};
use stochgrad::nn::optimizers::OptimizerSettings;
use stochgrad::nn::{Parameters, Record};
use stochgrad::tensor::Tensor;
use stochgrad::train::source::Tensors;
use stochgrad::train::{Report, Trainer, TrainerSettings};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunConfiguration {
    bits: usize,
    initial: Seed,
    prior: DistributionSettings,
    method: MethodSettings,
    optimizer: OptimizerSettings,
    trainer: TrainerSettings,
}

const FILE: &str = r#"
    bits = 3
    initial = { seed = 11 }
    prior = { name = "student-t", degrees_of_freedom = 4, location = 0.0, scale = [50.0, 50.0, 50.0] }

    [method]
    name = "score-function"
    samples = 4
    baseline = "leave-one-out"

    [optimizer]
    rule = { name = "adam", betas = [0.8, 0.99] }
    learning_rate = { kind = "cosine", start = 0.1, end = 0.0, steps = 400 }
    clip = { global_norm = 10.0 }

    [trainer]
    length = { steps = 400 }
    batch = 4
    seed = 7
    quiet = true
"#;

fn read(text: &str) -> Result<RunConfiguration, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("run.toml");
    fs::write(&path, text)?;
    Ok(toml::from_str(&fs::read_to_string(path)?)?)
}

/// Trains the probabilities of some bits to be those of the data.
fn run(configuration: &RunConfiguration) -> Result<(Parameters<f64>, Report), Box<dyn Error>> {
    let RunConfiguration { bits, initial, prior, method, optimizer, trainer } = configuration;
    let method: DynMethod<f64, Bernoulli<Id>> = Bernoulli::configured_method(method)?;
    let mut parameters = Parameters::new();
    let start = initial.derived("logits", 0).seed as f64 / u64::MAX as f64;
    parameters.insert("logits", Tensor::full([*bits], start))?;
    let data = Tensors::new().with("x", Tensor::from_fn([4, *bits], |i| if i % 4 == 0 { 1.0 } else { 0.0 }))?;
    let model = |record: &Record<'_, '_, f64>| {
        let logits = record.param("logits")?;
        record.cost("prior", -prior.on(logits.tape())?.log_prob(logits))?;
        let b = record.sample("b", &Bernoulli::from_logits(logits), &method)?;
        record.cost("distance", (b - record.input("x")?).square().sum())
    };
    let report = Trainer::new(optimizer.optimizer()).configure(trainer).fit(&mut parameters, &data, model)?;
    Ok((parameters, report))
}

#[test]
fn a_run_follows_its_file() {
    let configuration = read(FILE).unwrap();
    let (parameters, report) = run(&configuration).unwrap();
    assert_eq!((report.steps, report.last.learning_rate), (400, 0.0));
    // Each bit is 1 in at most one of four rows, so that the best bit is 0.
    assert!(parameters.get("logits").unwrap().as_slice().iter().all(|&logit| logit < -1.0), "{parameters:?}");
    let again = run(&configuration).unwrap().0;
    assert_eq!(parameters.get("logits"), again.get("logits"));
}

#[test]
fn mistakes_in_a_file_are_errors_that_list_what_exists() {
    for (from, to, parts) in [
        ("[trainer]", "[trainer]\nepochs = 3", ["unknown field `epochs`", "`length`"]),
        ("score-function", "score-functions", ["unknown variant `score-functions`", "`score-function`"]),
        ("student-t", "student", ["unknown variant `student`", "`student-t`"]),
        ("degrees_of_freedom = 4", "freedom = 4", ["unknown field `freedom`", "`degrees_of_freedom`"]),
        ("leave-one-out", "leave-two-out", ["unknown variant `leave-two-out`", "`leave-one-out`"]),
        ("name = \"adam\"", "name = \"adamax\"", ["unknown variant `adamax`", "`adam-w`"]),
        ("kind = \"cosine\"", "kind = \"cosinus\"", ["unknown variant `cosinus`", "`one-cycle`"]),
        ("bits = 3", "bits = \"three\"", ["invalid type: string \"three\"", "expected usize"]),
        ("bits = 3", "", ["missing field `bits`", "bits"]),
        ("seed = 11", "sed = 11", ["unknown field `sed`", "`seed` or `step`"]),
    ] {
        let message = read(&FILE.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{to}: {message}");
    }
    let configuration = read(&FILE.replacen("name = \"score-function\"", "name = \"carms\"", 1));
    let message = configuration.unwrap_err().to_string();
    assert!(message.contains("unknown field `baseline`, expected `samples`"), "{message}");
}

#[test]
fn a_method_that_the_distribution_lacks_is_refused() {
    let text = FILE.replacen("name = \"score-function\"", "name = \"pathwise\"", 1);
    let text = text.replacen("baseline = \"leave-one-out\"", "", 1);
    let message = run(&read(&text).unwrap()).map(drop).unwrap_err().to_string();
    assert!(message.contains("no gradient method of Bernoulli is called \"pathwise\""), "{message}");
    assert!(message.contains("disarm"), "{message}");
}

#[test]
fn a_value_outside_its_domain_is_an_error_of_the_run() {
    let text = FILE.replacen("betas = [0.8, 0.99]", "betas = [0.8, 1.5]", 1);
    let message = run(&read(&text).unwrap()).map(drop).unwrap_err().to_string();
    assert!(message.contains("beta of `Adam`") && message.contains("1.5"), "{message}");
}
