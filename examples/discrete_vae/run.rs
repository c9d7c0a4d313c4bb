//! Runs the training with given settings and writes the results.

use crate::artefacts::{self, Results};
use crate::checkpoint;
use crate::code::{Bits, Code, OneHots};
use crate::images::Dataset;
use crate::latent::Latent;
use crate::report::MetricsWriter;
use crate::run_error::RunError;
use crate::settings::Settings;
use crate::training::Training;

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All epochs were completed.
    Finished(Box<Results>),
    /// The run was stopped early on request.
    Interrupted {
        /// The number of epochs in the last checkpoint; 0 if there is none.
        epochs: usize,
    },
}

/// Trains a model and writes the results, with the number of threads of the settings. Before each step it calls
/// `interrupted`, and stops if the result is `true`.
///
/// # Errors
/// Returns an error for data or checkpoints that cannot be used, and for results that cannot be written. If a run
/// cannot be resumed, all files are left unchanged.
pub(crate) fn run(settings: &Settings, interrupted: &(dyn Fn() -> bool + Sync)) -> Result<Outcome, RunError> {
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.threads)
        .build()
        .map_err(|source| RunError::System { what: "start the threads", source: source.into() })?;
    threads.install(|| match settings.latent {
        Latent::Bernoulli { bits } => run_with(settings, Bits { bits }, interrupted),
        Latent::Categorical { variables, categories } => {
            run_with(settings, OneHots { variables, categories }, interrupted)
        }
    })
}

fn run_with<C: Code>(
    settings: &Settings,
    code: C,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Outcome, RunError> {
    artefacts::clear_unfinished(&settings.out);
    let dataset = Dataset::load(settings)?;
    let mut training = Training::new(settings, code, &dataset)?;
    let metrics = settings.out.join("metrics.csv");
    let mut metrics = if settings.resume {
        checkpoint::load(&mut training, settings)?;
        MetricsWriter::resume(&metrics, training.done.epochs)?
    } else {
        checkpoint::set_aside(settings)?;
        MetricsWriter::create(&metrics)?
    };
    if training.run(&mut metrics, interrupted)? {
        let results = artefacts::write(&mut training, settings, &dataset, metrics.rows())?;
        Ok(Outcome::Finished(Box::new(results)))
    } else {
        Ok(Outcome::Interrupted { epochs: training.done.epochs })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use clap::{Parser, ValueEnum};
    use stochgrad::nn::data::{Images, write_idx_images, write_idx_labels};

    use super::*;
    use crate::arguments::Arguments;
    use crate::method_name::MethodName;
    use crate::report::Summary;

    /// A small model with five steps per epoch. The flags `--hidden` and `--epochs` must be added.
    const MODEL: &str = "--latent-size 3 --categories 3 --batch 300 --lr 0.01";
    /// A small run.
    const SMALL: &str = "--latent-size 3 --categories 3 --batch 300 --lr 0.01 --hidden 24 --epochs 2";

    fn settings(out: &Path, flags: &str) -> Settings {
        let fixed = ["discrete_vae", "--out", out.to_str().unwrap()];
        Arguments::try_parse_from(fixed.into_iter().chain(flags.split_whitespace())).unwrap().resolve().unwrap()
    }

    fn results_of(out: &Path, flags: &str) -> Results {
        match run(&settings(out, flags), &|| false).unwrap() {
            Outcome::Finished(results) => {
                for (what, file) in &results.files {
                    assert!(fs::metadata(file).is_ok_and(|file| file.len() > 0), "{what}: {}", file.display());
                }
                *results
            }
            Outcome::Interrupted { epochs } => panic!("interrupted after {epochs} epochs"),
        }
    }

    fn finish(out: &Path, flags: &str) -> Summary {
        results_of(out, flags).summary
    }

    /// Stops a run before the step after `steps` steps.
    fn interrupt(out: &Path, flags: &str, steps: usize) -> usize {
        let asked = AtomicUsize::new(0);
        match run(&settings(out, flags), &|| asked.fetch_add(1, Ordering::Relaxed) >= steps).unwrap() {
            Outcome::Interrupted { epochs } => epochs,
            Outcome::Finished(_) => panic!("not interrupted"),
        }
    }

    fn contents(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect();
        files.sort();
        files
    }

    /// The files that hold no times.
    fn results(folder: &Path) -> Vec<Vec<u8>> {
        ["metrics.csv", "parameters.safetensors", "curve.svg", "reconstructions.png", "prior_samples.png", "graph.dot"]
            .map(|file| fs::read(folder.join(file)).unwrap())
            .into()
    }

    #[test]
    fn training_lowers_the_neg_elbo_and_the_summary_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let flags = "--latent-size 6 --categories 4 --hidden 32 --epochs 4 --lr 0.003";
        let summary = finish(folder.path(), flags);
        let metrics = MetricsWriter::resume(&folder.path().join("metrics.csv"), 4).unwrap();
        let rows = metrics.rows();
        assert_eq!((rows[0].step, rows[3].step), (30, 120));
        // A model that knows nothing is at 64 ln 2 = 44.4; one that knows the pixels' frequencies alone, near 27.
        assert!(rows[3].test_neg_elbo < 26.0 && rows[3].test_neg_elbo < rows[0].test_neg_elbo, "{rows:?}");
        assert_eq!((summary.epochs, summary.test_neg_elbo), (4, rows[3].test_neg_elbo));
        assert!(summary.latent_gradient_variance > 0.0 && summary.ms_per_step > 0.0);
        let dot = fs::read_to_string(folder.path().join("graph.dot")).unwrap();
        for text in ["OneHotCategorical", "leave-one-out", "reconstruction", "kl", "encoder"] {
            assert!(dot.contains(text), "{text}: {dot}");
        }
    }

    #[test]
    fn the_temporary_files_of_a_killed_run_are_removed_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["summary.json", "curve.svg", "checkpoint.safetensors"] {
            fs::write(folder.path().join(format!(".{name}.0123456789abcdef.stochgrad-tmp")), "x").unwrap();
        }
        fs::write(folder.path().join(".notes.0123456789abcdef.stochgrad-tmp"), "x").unwrap();
        interrupt(folder.path(), SMALL, 0);
        let names: Vec<_> = contents(folder.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [".notes.0123456789abcdef.stochgrad-tmp", "metrics.csv"]);
    }

    #[test]
    fn every_method_trains_both_codes() {
        for &method in MethodName::value_variants() {
            for code in ["--latent categorical --latent-size 2 --categories 3", "--latent bernoulli --latent-size 3"] {
                if method.needs_bits() && code.contains("categorical") {
                    continue;
                }
                let folder = tempfile::tempdir().unwrap();
                let flags = format!("{code} --method {method} --hidden 16 --batch 500 --epochs 1 --lr 0.01");
                let summary = finish(folder.path(), &flags);
                assert!(summary.test_neg_elbo < 44.5, "{flags}: {summary:?}");
                // Auto enumerates so few states.
                let exact = matches!(method, MethodName::Enumerate | MethodName::Auto);
                assert!(exact || summary.latent_gradient_variance > 0.0, "{flags}: {summary:?}");
                assert!(!exact || summary.latent_gradient_variance < 1e-12, "{flags}: {summary:?}");
            }
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let one = tempfile::tempdir().unwrap();
        let two = tempfile::tempdir().unwrap();
        finish(one.path(), &format!("{MODEL} --hidden 128 --epochs 2 --threads 1"));
        finish(two.path(), &format!("{MODEL} --hidden 128 --epochs 2 --threads 2"));
        assert!(results(one.path()) == results(two.path()));
    }

    #[test]
    fn the_seed_matters() {
        let one = tempfile::tempdir().unwrap();
        let two = tempfile::tempdir().unwrap();
        let summaries = [finish(one.path(), SMALL), finish(two.path(), &format!("{SMALL} --seed 1"))];
        assert_ne!(summaries[0].test_neg_elbo, summaries[1].test_neg_elbo);
    }

    #[test]
    fn a_resumed_run_is_equal_to_an_uninterrupted_one() {
        for method in ["leave-one-out", "moving-average", "gumbel-softmax", "rebar", "relax"] {
            let whole = tempfile::tempdir().unwrap();
            let resumed = tempfile::tempdir().unwrap();
            let flags = format!("{MODEL} --hidden 24 --epochs 3 --method {method}");
            finish(whole.path(), &flags);
            assert_eq!(interrupt(resumed.path(), &flags, 7), 1);
            assert_eq!(interrupt(resumed.path(), &format!("{flags} --resume"), 6), 2);
            finish(resumed.path(), &format!("{flags} --resume"));
            assert!(results(whole.path()) == results(resumed.path()), "{method}");
        }
    }

    #[test]
    fn a_finished_run_can_go_on_for_more_epochs() {
        let folder = tempfile::tempdir().unwrap();
        finish(folder.path(), SMALL);
        let summary = finish(folder.path(), &format!("{MODEL} --hidden 24 --epochs 3 --resume"));
        assert_eq!(summary.epochs, 3);
    }

    #[test]
    fn methods_are_compared_at_the_parameters_of_a_finished_run() {
        let folder = tempfile::tempdir().unwrap();
        let before = finish(folder.path(), SMALL);
        let compared = "--compare leave-one-out,enumerate,moving-average,straight-through-gumbel";
        let results = results_of(folder.path(), &format!("{SMALL} --resume {compared}"));
        assert_eq!(results.summary, before);
        let [leave_one_out, enumerate, moving_average, relaxed] = &results.comparisons[..] else {
            panic!("{:?}", results.comparisons)
        };
        // This is the method of the run, on the same minibatch with the same noise.
        assert_eq!(leave_one_out.latent_gradient_variance, before.latent_gradient_variance);
        assert_eq!((leave_one_out.samples, relaxed.samples), (4, 1));
        assert!(enumerate.latent_gradient_variance < 1e-12, "{enumerate:?}");
        // Without learning, its variance would be that of the plain score function, which is many times as large.
        let plain = results_of(folder.path(), &format!("{SMALL} --resume --compare score-function"));
        assert!(moving_average.latent_gradient_variance < 0.3 * plain.comparisons[0].latent_gradient_variance);
        let table = fs::read_to_string(folder.path().join("variances.csv")).unwrap();
        assert!(table.starts_with("method,samples,latent_gradient_variance\nscore-function,4,"), "{table}");
        let error = Arguments::try_parse_from(["discrete_vae", "--compare", "disarm"]).unwrap().resolve().unwrap_err();
        assert!(error.to_string().contains("disarm"), "{error}");
    }

    #[test]
    fn a_fresh_run_keeps_the_last_one_s_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        interrupt(folder.path(), SMALL, 5);
        let kept = fs::read(folder.path().join("checkpoint.safetensors")).unwrap();
        assert_eq!(interrupt(folder.path(), SMALL, 2), 0);
        assert!(!folder.path().join("checkpoint.safetensors").exists());
        assert!(fs::read(folder.path().join("previous.checkpoint.safetensors")).unwrap() == kept);
    }

    #[test]
    fn a_checkpoint_that_does_not_fit_is_refused_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        finish(folder.path(), SMALL);
        let refused = |flags: &str| {
            let before = contents(folder.path());
            let error = run(&settings(folder.path(), &format!("{flags} --resume")), &|| false).unwrap_err();
            assert!(contents(folder.path()) == before);
            error
        };
        let error = refused(&format!("{SMALL} --seed 5"));
        assert!(matches!(error, RunError::Usage(_)) && error.to_string().contains("--seed"), "{error}");

        let path = folder.path().join("checkpoint.safetensors");
        let whole = fs::read(&path).unwrap();
        for damaged in [whole[..whole.len() - 1].to_vec(), Vec::new(), {
            let mut flipped = whole.clone();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            flipped
        }] {
            fs::write(&path, damaged).unwrap();
            let error = refused(SMALL);
            assert!(error.to_string().contains("checkpoint.safetensors"), "{error}");
        }
        fs::write(&path, &whole).unwrap();
        fs::write(folder.path().join("metrics.csv"), "epoch,step,train_neg_elbo,test_neg_elbo\n").unwrap();
        assert!(refused(SMALL).to_string().contains("metrics.csv"));
        fs::remove_file(&path).unwrap();
        assert!(refused(SMALL).to_string().contains("checkpoint.safetensors"));
    }

    #[test]
    fn image_files_are_read_from_a_folder() {
        let data = tempfile::tempdir().unwrap();
        let out = tempfile::tempdir().unwrap();
        let flags = format!("--data {} --latent-size 4 --hidden 8 --batch 8 --epochs 2", data.path().display());
        let error = run(&settings(out.path(), &flags), &|| false).unwrap_err();
        assert!(error.to_string().contains("train-images"), "{error}");
        assert!(contents(out.path()).is_empty());

        for (part, count) in [("train", 20_usize), ("t10k", 9)] {
            let pixels: Vec<u8> = (0..count * 16).map(|i| (i * 37 % 256) as u8).collect();
            let images = data.path().join(format!("{part}-images-idx3-ubyte"));
            let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
            write_idx_labels(data.path().join(format!("{part}-labels-idx1-ubyte")), &labels).unwrap();
            write_idx_images(images, &Images::new(pixels, labels, 4, 4, 255).unwrap()).unwrap();
        }
        let summary = finish(out.path(), &flags);
        assert_eq!(summary.latent, "bernoulli 4");
        let metrics = MetricsWriter::resume(&out.path().join("metrics.csv"), 2).unwrap();
        assert_eq!(metrics.rows()[1].step, 6);
    }
}
