//! The programs of the gallery run in their quick mode, and write their files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stochgrad_xla::pjrt::testing::plugin_file_for_test;

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
    let output = run_with(name, &[], out);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn run_with(name: &str, arguments: &[&str], out: &Path) -> Output {
    Command::new(program(name)).arg("--quick").args(arguments).arg("--out").arg(out).output().unwrap()
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

/// The costs of a training on a device are those of the CPU. A discrete draw within rounding of its threshold may differ,
/// which changes the costs of the steps behind it by more than rounding.
#[test]
fn vae_on_a_device() {
    let Some(plugin) = plugin_file_for_test("vae_on_a_device") else { return };
    let (host, device) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run("vae", host.path());
    let output = run_with("vae", &["--device", &format!("xla:{}", plugin.display())], device.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [host, device] = [&host, &device].map(|folder| summary(folder.path()));
    for costs in ["training", "validation"] {
        for (name, expected) in host[costs].as_object().unwrap() {
            let (expected, found) = (expected.as_f64().unwrap(), device[costs][name].as_f64().unwrap());
            assert!((found - expected).abs() <= 5e-3 * expected.abs(), "{costs}, {name}: {found}, {expected}");
        }
    }
}

#[test]
fn a_device_that_does_not_exist_is_an_error_that_says_what_to_try() {
    let folder = tempfile::tempdir().unwrap();
    for (device, parts) in [
        ("gpu", ["expected cpu, or xla:PLUGIN", ".ci/pjrt"]),
        ("xla:", ["expected cpu, or xla:PLUGIN", "docs/devices/README.md"]),
        ("xla:nowhere.so", ["expected a PJRT plugin in nowhere.so", "name the shared library itself"]),
    ] {
        let output = run_with("vae", &["--device", device], folder.path());
        let message = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!output.status.success() && parts.iter().all(|part| message.contains(part)), "{message}");
    }
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
fn policy_gradient() {
    let summary = check("policy_gradient", &["return.svg"]);
    assert!((8.0..=50.0).contains(&result(&summary, "mean return")), "{summary:#}");
    let variances = ["full return", "return from t on", "generalised advantage"]
        .map(|credit| result(&summary, &format!("variance, {credit}")));
    assert!(variances[0] > variances[1] && variances[1] > variances[2], "{summary:#}");
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

/// Runs an example without a trainer, and returns the results of its summary.
#[track_caller]
fn check_study(name: &str, picture: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    run(name, folder.path());
    assert!(std::fs::metadata(folder.path().join(picture)).unwrap().len() > 0);
    summary(folder.path())["results"].clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    let elements = value.as_array().unwrap_or_else(|| panic!("expected a list, got {value:#}"));
    elements.iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn particle_filter() {
    let results = check_study("particle_filter", "comparison.svg");
    let kalman = numbers(&results["Kalman filter"]["mean"]);
    // By a Kalman filter in Python, with differences for the derivatives.
    let expected = [-31.6723987529, -2.1186275906, -4.9039200416, -3.0631694277, -1.0965181871];
    for (found, expected) in kalman.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-7, "expected {expected}, got {found}");
    }
    // The derivatives with respect to a, c, ln q and ln r. With scores, or with weights w / stop(w), they are near those
    // of the likelihood; with constant ancestors, that with respect to a is not.
    let of = |name: &str, what: &str| numbers(&results[&format!("{name}, 16 particles")][what]);
    for name in ["paths, scores of ancestors", "paths, stop-gradient weights"] {
        let (mean, error) = (of(name, "mean"), of(name, "standard error"));
        assert!(mean[0] < kalman[0] && kalman[0] - mean[0] < 2.0, "{results:#}");
        for column in 1..5 {
            let difference = (mean[column] - kalman[column]).abs();
            let bound = 4.0 * error[column] + 0.2 * kalman[column].abs() + 1.0;
            assert!(difference < bound, "{name}, {column}: {results:#}");
        }
    }
    let (mean, error) = (of("paths, ancestors constant", "mean"), of("paths, ancestors constant", "standard error"));
    assert!(kalman[1] - mean[1] > 4.0 * error[1] + 3.0, "{results:#}");
}

#[test]
fn black_box_vi() {
    let results = check_study("black_box_vi", "comparison.svg");
    let of = |method: &str, what: &str| results[method][what].as_f64().unwrap_or_else(|| panic!("{results:#}"));
    let methods = ["plain", "Rao-Blackwellised", "Rao-Blackwellised, optimally scaled", "pathwise"];
    for parameter in ["local means", "local log deviations"] {
        let variances = methods.map(|method| of(method, parameter));
        assert!(variances.is_sorted_by(|a, b| a > b), "{parameter}: {variances:?}");
    }
    // The pathwise gradient alone is accurate enough for a short training.
    assert!(of("pathwise", "divergence above the least") < of("plain", "divergence above the least"), "{results:#}");
}

#[test]
fn cross_entropy_method() {
    let results = check_study("cross_entropy_method", "iterations.svg");
    let event = &results["rare event"];
    let of = |name: &str| event[name].as_f64().unwrap();
    assert!((of("probability") / of("exact probability") - 1.0).abs() < 0.2, "{event:#}");
    for (found, exact) in numbers(&event["derivatives"]).into_iter().zip(numbers(&event["exact derivatives"])) {
        assert!((found - exact).abs() < 0.25 * exact.abs() + 3e-5, "{event:#}");
    }
    for (name, cut) in results["cuts"].as_object().unwrap() {
        assert!((cut["found"].as_f64().unwrap() - cut["largest"].as_f64().unwrap()).abs() < 1e-9, "{name}: {cut}");
    }
}

#[test]
fn gibbs_with_gradients() {
    let results = check_study("gibbs_with_gradients", "mixing.svg");
    for (coupling, exact) in [(0.3, 0.2945424625), (0.5, 0.5944795966)] {
        let of =
            |sampler: &str, what: &str| results[&format!("{sampler}, coupling {coupling}")][what].as_f64().unwrap();
        for sampler in ["Gibbs", "Gibbs with gradients"] {
            assert!((of(sampler, "exact") - exact).abs() < 1e-9, "{results:#}");
        }
        // At the larger coupling, the chains of Gibbs sampling are not there yet.
        assert!((of("Gibbs with gradients", "mean spin") - exact).abs() < 0.08, "{results:#}");
        let time = |sampler: &str| of(sampler, "autocorrelation time");
        assert!(time("Gibbs with gradients") < time("Gibbs"), "{results:#}");
    }
}

#[test]
fn average_derivatives() {
    let results = check_study("average_derivatives", "errors.svg");
    // The exact variance of one observation with the score function.
    let variances = [("probit", [0.5359273539, 0.7944283874]), ("tobit", [2.324546027, 2.076957409])];
    for (response, expected) in variances {
        let of = |method: &str| &results[&format!("{response}, {method}")];
        for (found, expected) in numbers(&of("score function")["variance"]).into_iter().zip(expected) {
            // The variance of 50 runs has a relative deviation of a fifth.
            assert!((found / expected - 1.0).abs() < 0.8, "{response}: {results:#}");
        }
        for method in ["score function", "score function, leave-one-out", "measure-valued"] {
            let (mean, error) = (numbers(&of(method)["mean"]), numbers(&of(method)["error"]));
            for (at, exact) in numbers(&of(method)["exact"]).into_iter().enumerate() {
                assert!((mean[at] - exact).abs() < 4.5 * error[at], "{response}, {method}: {results:#}");
            }
        }
    }
    for density in ["known", "normal", "kernel"] {
        let of = &results[&format!("density {density}")];
        assert!((of["ratio"].as_f64().unwrap() + 0.5).abs() < 0.15, "{results:#}");
    }
}

#[test]
fn stochastic_gradient_fisher_scoring() {
    let results = check_study("stochastic_gradient_fisher_scoring", "posterior.svg");
    // Eight observations by another quadrature.
    let few = &results["quadrature, 8 observations"];
    let expected = [-0.1636110873, 1.218758909, 0.7087879214, -0.09801021397, 0.6266564802];
    let found = [numbers(&few["mean"]), numbers(&few["covariance"])].concat();
    for (found, expected) in found.into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4, "expected {expected}, got {found}");
    }
    let error = |name: &str| results[&format!("{name}, 1000 observations")]["error"].as_f64().unwrap();
    assert!(error("Fisher scoring, ε = 10") < 0.15, "{results:#}");
    assert!(error("Fisher scoring, ε = 10") < error("Langevin dynamics, h = 0.008"), "{results:#}");
}

#[test]
fn logged_bandit() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run("logged_bandit", folder.path());
    assert!(printed.contains("effective sample size"), "{printed}");
    assert!(std::fs::metadata(folder.path().join("errors.svg")).unwrap().len() > 0);
    let summary = summary(folder.path());
    for name in ["inverse propensity", "self-normalised", "doubly robust", "truncated"] {
        let of = |what: &str| result(&summary, &format!("{what}, learned by {name}"));
        assert!(of("exact value") > 0.1 && of("exact value") < 1.0, "{summary:#}");
        assert!((of("estimate") - of("exact value")).abs() < 5.0 * of("standard error") + 0.1, "{summary:#}");
    }
}

#[test]
fn hard_attention() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run("hard_attention", folder.path());
    assert!(printed.contains("random places") && printed.contains("ReinMax"), "{printed}");
    for picture in ["glimpses.png", "random.png"] {
        assert!(std::fs::metadata(folder.path().join(picture)).unwrap().len() > 0, "{picture}");
    }
    for file in OF_EACH_RUN {
        assert!(folder.path().join("score function, leave-one-out").join("seed-0").join(file).exists(), "{file}");
    }
    let accuracy = result(&summary(folder.path()), "accuracy, score function, leave-one-out");
    assert!(accuracy > 0.15 && accuracy < 1.0, "{accuracy}");
}

#[test]
fn sequence_model() {
    let summary = check("sequence_model", &["attention.png"]);
    assert!((0.1..=1.0).contains(&result(&summary, "right")), "{summary:#}");
    let folder = tempfile::tempdir().unwrap();
    let output = run_with("sequence_model", &["--compare", "--length", "4", "--without-places"], folder.path());
    let printed = String::from_utf8_lossy(&output.stdout);
    let results = &self::summary(folder.path())["results"];
    for method in ["leave-one-out, reward of each token", "set without replacement, reward at the end"] {
        assert!(printed.contains(method), "{printed} {}", String::from_utf8_lossy(&output.stderr));
        assert!(results[format!("right, {method}")].as_f64().unwrap() > 0.1, "{results:#}");
    }
}

#[test]
fn tuning_monte_carlo() {
    let results = check_study("tuning_monte_carlo", "derivatives.svg");
    let mut compared = 0;
    for claim in ["call", "digital", "barrier call", "barrier digital"] {
        for method in ["pathwise", "smoothed perturbation", "weak derivative", "likelihood ratio"] {
            let result = &results[format!("{claim}, {method}")];
            // Pathwise derivatives of costs that jump are refused.
            assert_eq!(result.is_null(), method == "pathwise" && claim != "call", "{claim}, {method}");
            if result.is_null() {
                continue;
            }
            let [mean, error, exact] = ["mean", "error", "exact"].map(|name| numbers(&result[name]));
            for at in 0..2 {
                let off = (mean[at] - exact[at]).abs();
                assert!(off < 4.5 * error[at] + 1e-9, "{claim}, {method}: {result:#}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 26);
    assert!(numbers(&results["digital, smoothed perturbation"]["variance"]).iter().all(|variance| *variance < 1e-20));
    for method in ["pathwise", "weak derivative", "likelihood ratio"] {
        let result = &results[format!("50 customers, {method}")];
        let [mean, error, exact] = ["mean", "error", "exact"].map(|name| result[name].as_f64().unwrap());
        assert!((mean - exact).abs() < 4.5 * error, "{method}: {result:#}");
    }
}

#[test]
fn implicit_variational() {
    let results = check_study("implicit_variational", "posteriors.svg");
    let of = |name: &str| results[name].as_f64().unwrap_or_else(|| panic!("{name} in {results:#}"));
    for estimator in ["spectral, 99 %", "Stein gradient, ridge 0.1"] {
        let [few, many] = [50, 100].map(|size| of(&format!("error, {estimator}, {size} samples")));
        assert!(many < 1.5 && few < 1.5, "{results:#}");
    }
    for objective in ["score matching", "sliced score matching", "denoising, τ = 0.3"] {
        assert!(of(&format!("error, {objective}")) < 1.0, "{results:#}");
    }
    let residual = |family: &str| results[family]["residual"].as_f64().unwrap();
    assert!(["Gaussian", "implicit, spectral"].iter().all(|family| residual(family).is_finite()), "{results:#}");
}

#[test]
fn selection_in_training() {
    let folder = tempfile::tempdir().unwrap();
    // The models of digits take a minute in the profile of tests.
    let models = ["random-walk", "logistic-regression"];
    let output = run_with("selection_in_training", &["--model", models[0], "--model", models[1]], folder.path());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("choices took") && printed.contains("with confidence"), "{printed}");
    let summary = summary(folder.path());
    for model in models {
        let results = &summary["results"][model];
        let runs = results["runs"].as_object().unwrap();
        assert_eq!(runs.len(), 6, "{results:#}");
        for (name, run) in runs {
            assert!(run["steps"].as_u64().unwrap() > 0 && run["loss"].as_f64().unwrap().is_finite(), "{name}: {run:#}");
        }
        assert!(!runs["chosen again and again"]["choices"].as_array().unwrap().is_empty(), "{results:#}");
        let confidence = results["selection"]["nodes"][0]["confidence"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&confidence), "{results:#}");
        let curves = std::fs::read_to_string(folder.path().join(format!("{model}.csv"))).unwrap();
        assert_eq!(curves.lines().count(), 1 + 5 * 61 + 76, "{model}");
        assert!(folder.path().join(format!("{model}_selection.html")).exists(), "{model}");
    }
    assert!(std::fs::metadata(folder.path().join("curves.svg")).unwrap().len() > 0);
}
