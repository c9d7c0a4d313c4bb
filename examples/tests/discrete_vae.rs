//! The command line and the runs of the example `discrete_vae`.

#[path = "../discrete_vae/arguments.rs"]
mod arguments;
#[path = "../discrete_vae/data.rs"]
mod data;
#[path = "../discrete_vae/method_name.rs"]
mod method_name;
#[path = "../discrete_vae/model.rs"]
mod model;
#[path = "../discrete_vae/run.rs"]
mod run;

use std::fs;
use std::path::Path;

use clap::{CommandFactory, Parser, ValueEnum};

use crate::arguments::Arguments;
use crate::method_name::{MethodName, Objective, name};
use crate::run::run;

const SMALL: &str = "--latent-size 3 --batch 300 --hidden 16 --lr 0.01";

fn finish(out: &Path, flags: &str) -> Result<(), String> {
    let words = ["discrete_vae", "--out", out.to_str().unwrap()].into_iter().chain(flags.split_whitespace());
    let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
    run(&arguments).map(|is_complete| assert!(is_complete)).map_err(|error| error.to_string())
}

#[test]
fn every_method_trains_both_codes() {
    let folder = tempfile::tempdir().unwrap();
    for &method in MethodName::value_variants() {
        let flags = format!("{SMALL} --epochs 1 --method {}", name(method));
        finish(folder.path(), &format!("{flags} --latent bernoulli")).unwrap();
        if let Err(error) = finish(folder.path(), &format!("{flags} --categories 3")) {
            assert!(error.contains("expected a method that supports categorical variables"), "{flags}: {error}");
        }
    }
}

#[test]
fn every_objective_trains_both_codes() {
    let folder = tempfile::tempdir().unwrap();
    for &objective in Objective::value_variants() {
        let flags = format!("{SMALL} --epochs 3 --objective {}", name(objective));
        for code in ["--latent bernoulli", "--categories 3"] {
            finish(folder.path(), &format!("{flags} {code}")).unwrap();
            let metrics = fs::read_to_string(folder.path().join("metrics.csv")).unwrap();
            let bounds = metrics.lines().skip(1).map(|row| row.rsplit(',').next().unwrap().parse().unwrap());
            let bounds = bounds.collect::<Vec<f64>>();
            assert!(bounds.len() == 3 && bounds[2] < bounds[0], "{flags} {code}: {bounds:?}");
        }
    }
}

#[test]
fn a_resumed_run_is_equal_to_an_uninterrupted_one() {
    for method in ["leave-one-out", "rebar"] {
        let (whole, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let flags = format!("{SMALL} --method {method} --epochs");
        finish(whole.path(), &format!("{flags} 3")).unwrap();
        finish(resumed.path(), &format!("{flags} 2")).unwrap();
        let error = finish(resumed.path(), &format!("{flags} 3 --resume --seed 5")).unwrap_err();
        assert!(error.contains("seed: expected 0, got 5"), "{error}");
        let flags = format!("{flags} 3 --resume --threads 2 --compare {method},enumerate");
        finish(resumed.path(), &flags).unwrap();
        for file in ["metrics.csv", "parameters.safetensors", "curve.svg", "reconstructions.png", "prior_samples.png"] {
            let read = |folder: &Path| fs::read(folder.join(file)).unwrap();
            assert!(read(whole.path()) == read(resumed.path()), "{method}: {file}");
        }
        let variances = fs::read_to_string(resumed.path().join("variances.csv")).unwrap();
        assert!(variances.contains(&format!("z: {method},")) && variances.contains("z: enumerate,0,"), "{variances}");
        let page = fs::read_to_string(resumed.path().join("comparison.html")).unwrap();
        assert!(page.contains(&format!("z: {method}")) && page.ends_with("</html>\n"));
    }
}

#[test]
fn unusable_values_are_refused_by_flag() {
    Arguments::command().debug_assert();
    let folder = tempfile::tempdir().unwrap();
    for (flags, flag) in [
        ("--latent bernoulli --categories 3", "--categories"),
        ("--samples 99999999", "--samples"),
        ("--method disarm --latent bernoulli --samples 3", "--samples"),
        ("--method sum-and-sample --latent-size 2 --samples 2", "--samples"),
        ("--compare disarm", "disarm"),
        ("--objective wake-sleep --samples 1", "--samples"),
        ("--objective thermodynamic --method rebar", "--objective"),
        ("--method score-function --latent bernoulli --latent-size 513 --scheme sobol", "--method score-function"),
        ("--method gumbel-softmax --final-temperature 2", "--final-temperature"),
        ("--method reinmax --backward-temperature 1", "--backward-temperature"),
        ("--data /nowhere/at/all", "--data"),
        ("--resume", "--out"),
    ] {
        let error = finish(folder.path(), flags).unwrap_err();
        assert!(error.contains(flag) && error.starts_with("error: "), "{flags}: {error}");
    }
}
