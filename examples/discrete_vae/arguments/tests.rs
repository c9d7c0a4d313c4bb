use clap::{CommandFactory, Parser};
use stochgrad_fuzzing::{Inputs, Outcome, command_line};

use super::Arguments;
use crate::latent::Latent;
use crate::method_name::MethodName;
use crate::settings::Settings;
use crate::usage_error::UsageError;

/// Resolves a command line whose results go to a fresh folder.
fn resolve(flags: &str) -> Result<Settings, UsageError> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep").join("out");
    let fixed = ["discrete_vae", "--out", out.to_str().unwrap()];
    Arguments::try_parse_from(fixed.into_iter().chain(flags.split_whitespace())).unwrap().resolve()
}

fn refused(flags: &str) -> String {
    let error = resolve(flags).unwrap_err();
    assert_eq!(error.exit_code(), std::process::ExitCode::from(2));
    error.to_string()
}

#[test]
fn the_parser_is_consistent() {
    Arguments::command().debug_assert();
    let help = Arguments::command().render_long_help().to_string();
    assert!(help.contains("Examples:") && help.contains("--final-temperature"));
}

#[test]
fn defaults_depend_on_the_data() {
    let digits = resolve("").unwrap();
    assert_eq!(digits.latent, Latent::Categorical { variables: 20, categories: 10 });
    assert_eq!(digits.hidden, [128, 128]);
    assert_eq!(digits.method, MethodName::LeaveOneOut);
    assert_eq!((digits.samples, digits.epochs, digits.batch), (4, 100, 50));
    assert_eq!((digits.lr, digits.seed, digits.temperature), (1e-3, 0, None));
    assert!(digits.threads >= 1 && digits.out.ends_with("deep/out"));

    let folder = tempfile::tempdir().unwrap();
    let mnist = resolve(&format!("--data {}", folder.path().display())).unwrap();
    assert_eq!(mnist.latent, Latent::Bernoulli { bits: 200 });
    assert_eq!(mnist.hidden, [200, 200]);
    assert_eq!((mnist.samples, mnist.epochs, mnist.batch), (4, 10, 100));
    assert!(mnist.data.unwrap().is_absolute());
}

#[test]
fn what_is_given_wins_over_defaults() {
    let settings = resolve(
        "--latent categorical --latent-size 3 --categories 4 --hidden 7,8,9 --samples 6 \
         --method gumbel-softmax --epochs 5 --batch 2 --lr 0.5 --seed 18446744073709551615 \
         --threads 3 --temperature 0.4 --quick",
    )
    .unwrap();
    assert_eq!(settings.latent, Latent::Categorical { variables: 3, categories: 4 });
    assert_eq!(settings.hidden, [7, 8, 9]);
    assert_eq!((settings.samples, settings.epochs), (6, 5));
    assert_eq!((settings.batch, settings.lr), (2, 0.5));
    assert_eq!((settings.seed, settings.threads), (u64::MAX, 3));
    let temperature = settings.temperature.unwrap();
    assert_eq!((temperature.start, temperature.end), (0.4, 0.4));
}

#[test]
fn defaults_depend_on_the_method() {
    for (method, samples) in [
        ("score-function", 4),
        ("moving-average", 4),
        ("measure-valued", 1),
        ("straight-through-gumbel", 1),
        ("rebar", 1),
        ("double-control-variate", 2),
        ("auto", 4),
    ] {
        let settings = resolve(&format!("--method {method}")).unwrap();
        assert_eq!(settings.samples, samples, "{method}");
    }
    let bits = resolve("--latent bernoulli").unwrap();
    assert_eq!(bits.latent, Latent::Bernoulli { bits: 200 });
    assert_eq!(resolve("--quick").unwrap().epochs, 3);
    let relaxed = resolve("--method gumbel-softmax").unwrap();
    let temperature = relaxed.temperature.unwrap();
    assert_eq!((temperature.start, temperature.end, temperature.backward), (1.0, 0.5, None));
    let decoupled = resolve("--method gumbel-softmax --backward-temperature 0.8").unwrap();
    assert_eq!(decoupled.temperature.unwrap().backward, Some(0.8));
}

#[test]
fn enumeration_is_limited_to_small_supports() {
    resolve("--method enumerate --latent bernoulli --latent-size 12").unwrap();
    resolve("--method enumerate --latent-size 3").unwrap();
    let error = refused("--method enumerate --latent bernoulli --latent-size 13");
    assert!(error.contains("4096") && error.contains("8192"), "{error}");
    let error = refused("--method enumerate");
    assert!(error.contains("100000000000000000000"), "{error}");
    let error = refused("--method enumerate --latent bernoulli");
    assert!(error.contains("2^200"), "{error}");
    refused("--method enumerate --latent-size 99999999999");
}

#[test]
fn unusable_values_are_refused_by_flag() {
    for (flags, flag) in [
        ("--latent-size 0", "--latent-size"),
        ("--categories 1", "--categories"),
        ("--latent bernoulli --categories 3", "--categories"),
        ("--hidden 128,0", "--hidden"),
        ("--samples 0", "--samples"),
        ("--samples 1", "--samples"),
        ("--method enumerate --latent-size 2 --samples 2", "--samples"),
        ("--batch 0", "--batch"),
        ("--epochs 0", "--epochs"),
        ("--threads 0", "--threads"),
        ("--threads 99999", "--threads"),
        ("--lr 0", "--lr"),
        ("--lr -1", "--lr"),
        ("--lr nan", "--lr"),
        ("--lr inf", "--lr"),
        ("--scheme stratified", "--scheme"),
        ("--method gumbel-softmax --scheme sobol", "--scheme"),
        ("--method score-function --latent bernoulli --latent-size 513 --scheme sobol", "--scheme"),
        ("--temperature 1", "--temperature"),
        ("--method disarm --latent bernoulli --samples 3", "--samples"),
        ("--method arms --latent bernoulli --samples 1", "--samples"),
        ("--method disarm", "--method"),
        ("--method unordered-set --latent bernoulli --latent-size 2", "--samples"),
        ("--method sum-and-sample --latent bernoulli --latent-size 5 --samples 2", "--samples"),
        ("--method unordered-set", "--method unordered-set"),
        ("--method rebar --temperature 1", "--temperature"),
        ("--method gumbel-softmax --temperature 0", "--temperature"),
        ("--method gumbel-softmax --final-temperature -2", "--final-temperature"),
        ("--method gumbel-softmax --final-temperature 2", "--final-temperature"),
        ("--method rebar --backward-temperature 1", "--backward-temperature"),
        ("--method reinmax --backward-temperature 1", "--backward-temperature"),
        ("--method gumbel-softmax --backward-temperature 0", "--backward-temperature"),
        ("--hidden 18446744073709551615,18446744073709551615", "--hidden"),
        ("--hidden 18446744073709551615", "--hidden"),
        ("--batch 18446744073709551615", "--batch"),
        ("--samples 99999999", "--samples"),
        ("--data /nowhere/at/all", "--data"),
        ("--resume", "--out"),
    ] {
        let error = refused(flags);
        let (named, text) = error.split_once(": ").unwrap();
        assert!(named.contains(flag), "{flags}: {error}");
        assert!(text.starts_with("expected ") && text.contains("; "), "{error}");
    }
}

#[test]
fn command_lines_of_any_words_are_settings_or_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut counts = [0, 0];
    for bytes in Inputs::new(Vec::new(), 5).take(3000) {
        let outcome = command_line(&bytes, folder.path(), |words| {
            let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
            let settings = arguments.resolve().map_err(|error| error.to_string())?;
            let again = Settings::from_json(&settings.to_json());
            assert!(again.is_ok(), "settings that a checkpoint cannot hold: {settings:?}");
            Ok::<(), String>(())
        });
        counts[usize::from(outcome == Outcome::Refused)] += 1;
    }
    assert!(counts[0] > 100 && counts[1] > 1000, "{counts:?}");
}
