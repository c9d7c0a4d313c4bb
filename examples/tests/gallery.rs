//! The programs of the gallery run in their quick mode, and write their files.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The files that the trainer writes.
const OF_EACH_RUN: [&str; 6] =
    ["checkpoint.safetensors", "curves.svg", "graph.svg", "metrics.csv", "parameters.safetensors", "summary.json"];

/// An example, which `cargo test` has built.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "build the examples first, with `cargo build --examples`: {}", program.display());
    program
}

fn run(name: &str, out: &Path) -> String {
    let output = Command::new(program(name)).arg("--quick").arg("--out").arg(out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs an example that trains one model, and returns its summary.
#[track_caller]
fn check(name: &str, pictures: &[&str]) -> Value {
    check_lines(name, pictures, &|_| true)
}

/// As [`check`], for an example that also prints times.
#[track_caller]
fn check_without_times(name: &str, pictures: &[&str]) -> Value {
    check_lines(name, pictures, &|line| !line.contains(" ms "))
}

/// As [`check`], where a second run repeats some of the lines.
#[track_caller]
fn check_lines(name: &str, pictures: &[&str], repeats: &dyn Fn(&str) -> bool) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let printed = run(name, folder.path());
    assert!(printed.starts_with("completed after"), "{printed}");
    for file in OF_EACH_RUN.iter().chain(pictures) {
        let size = std::fs::metadata(folder.path().join(file)).map_or(0, |file| file.len());
        assert!(size > 0, "{file}");
    }
    let summary = summary(folder.path());
    assert!(summary["validation"].as_object().is_some_and(|costs| !costs.is_empty()), "{summary:#}");
    // A complete run is not repeated, and gives the same results.
    let lines = |text: &str| text.lines().skip(1).filter(|line| repeats(line)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&run(name, folder.path())), lines(&printed));
    summary
}

fn summary(folder: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("summary.json")).unwrap()).unwrap()
}

fn result(summary: &Value, name: &str) -> f64 {
    summary["results"][name].as_f64().unwrap_or_else(|| panic!("{name} in {summary:#}"))
}

#[test]
fn vae() {
    check("vae", &["reconstructions.png", "samples.png"]);
}

/// It begins anew unless it is asked to resume, and its files have names of their own.
#[test]
fn discrete_vae() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run("discrete_vae", folder.path());
    assert!(printed.contains("latent_gradient_variance"), "{printed}");
    let pictures = ["curve.svg", "graph.svg", "reconstructions.png", "prior_samples.png"];
    for file in ["checkpoint.safetensors", "parameters.safetensors", "metrics.csv"].into_iter().chain(pictures) {
        assert!(folder.path().join(file).exists(), "{file}");
    }
    let summary = summary(folder.path());
    // A model that knows nothing is at 64 ln 2 = 44.4.
    assert!(summary["test_neg_elbo"].as_f64().is_some_and(|test| test < 35.0), "{summary:#}");
}

#[test]
fn gaussian_mixture() {
    let summary = check("gaussian_mixture", &["mixture.svg"]);
    let of = |name: &str| result(&summary, &format!("log-likelihood of training points, {name}"));
    assert!((of("minibatches") - of("EM")).abs() < 1e-3, "{summary:#}");
}

#[test]
fn hidden_markov_model() {
    let summary = check_without_times("hidden_markov_model", &["sequence.svg"]);
    let (ours, forward) = (result(&summary, "log-likelihood"), result(&summary, "log-likelihood, forward algorithm"));
    assert!((ours - forward).abs() < 1e-9, "{summary:#}");
    assert!(result(&summary, "accuracy") > 0.9, "{summary:#}");
}

#[test]
fn semi_supervised_vae() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run("semi_supervised_vae", folder.path());
    assert!(printed.contains("labels alone"), "{printed}");
    assert!(folder.path().join("analogies.png").exists());
    for model in ["labels-alone", "all-images"] {
        for file in OF_EACH_RUN {
            assert!(folder.path().join("draw-0").join(model).join(file).exists(), "{model}, {file}");
        }
    }
    let summary = summary(folder.path());
    for model in ["labels alone", "with all images"] {
        let accuracy = result(&summary, &format!("accuracy, {model}"));
        assert!(accuracy > 0.5 && accuracy < 1.0, "{summary:#}");
    }
}

/// Runs an example that trains several models, and returns the results of its summary.
#[track_caller]
fn check_comparison(name: &str, models: &[&str], picture: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let printed = run(name, folder.path());
    assert!(models.iter().all(|model| printed.contains(model)), "{printed}");
    assert!(std::fs::metadata(folder.path().join(picture)).unwrap().len() > 0);
    for (model, file) in models.iter().flat_map(|model| OF_EACH_RUN.map(|file| (model, file))) {
        assert!(folder.path().join(model).join(file).exists(), "{model}, {file}");
    }
    summary(folder.path())["results"].clone()
}

#[test]
fn bayesian_logistic_regression() {
    let models = ["pathwise", "measure-valued", "score function", "score function, leave-one-out"];
    let results = check_comparison("bayesian_logistic_regression", &models, "comparison.svg");
    let of = |model: &str, name: &str| results[model][name].as_f64().unwrap();
    for variance in ["variance of the mean", "variance of the log deviation"] {
        assert!(of("measure-valued", variance) < of("score function", variance), "{results:#}");
    }
    for model in models {
        assert!(of(model, "expected test log-likelihood") > -0.7, "{results:#}");
        assert!(of(model, "−ELBO for each case").is_finite(), "{results:#}");
    }
}

#[test]
fn topic_model() {
    let summary = check("topic_model", &["topics.png"]);
    let of = |name: &str| result(&summary, &format!("perplexity, {name}"));
    let [unigram, bound, exact] =
        [of("words alone (unigram)"), of("topic model (upper bound)"), of("true topics and shares")];
    assert!(exact < bound && bound < unigram, "{summary:#}");
}

#[test]
fn bayes_by_backprop() {
    let bayesian = ["plain", "flipout", "local reparameterization"];
    let models = [&bayesian[..], &["maximum a posteriori", "maximum likelihood"]].concat();
    let results = check_comparison("bayes_by_backprop", &models, "bands.svg");
    let of = |model: &str, name: &str| results[model][name].as_f64().unwrap();
    for model in &bayesian[1..] {
        let variance = "variance of the gradient";
        assert!(of(model, variance) < of("plain", variance), "{results:#}");
    }
    for model in models {
        assert!(of(model, "test log-likelihood") > -2.0, "{results:#}");
    }
}

#[test]
fn conv_vae() {
    let summary = check("conv_vae", &["reconstructions.png", "samples.png"]);
    // 64 pixels with probability one half have 44.4 nats.
    assert!((20.0..44.4).contains(&result(&summary, "−ELBO")), "{summary:#}");
    assert!(result(&summary, "−ln p(x)") <= result(&summary, "−ELBO"), "{summary:#}");
}

#[test]
fn sigmoid_belief_net() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run("sigmoid_belief_net", folder.path());
    let summary = summary(folder.path());
    for method in ["leave-one-out", "disarm", "arms", "relax", "arms-rebar", "vimco"] {
        assert!(printed.contains(method), "{printed}");
        for file in OF_EACH_RUN.iter().chain(&["reconstructions.png", "samples.png"]) {
            assert!(folder.path().join(method).join(file).exists(), "{method}/{file}");
        }
        let of = |name: &str| result(&summary, &format!("{method}: {name}"));
        assert!((20.0..40.0).contains(&of("−ELBO")) && of("−ln p(x)") < of("−ELBO"), "{summary:#}");
    }
}
