//! Training under `mpirun`: every number of ranks gives the same bits, and a failure of one rank ends all.
//!
//! The tests start `mpirun` with this binary, in which the test `rank` is then one of the ranks. They are skipped, and
//! say so, without the feature `mpi` or without `mpirun`.

#[cfg(feature = "mpi")]
mod programs;

#[cfg(feature = "mpi")]
mod tests {
    use super::programs;
    use std::path::Path;
    use std::process::{Command, Output};

    /// The variables that tell a rank which program it runs, and in which folder.
    const PROGRAM: &str = "STOCHGRAD_MPI_PROGRAM";
    const FOLDER: &str = "STOCHGRAD_MPI_FOLDER";

    /// One of the ranks, if this process is one.
    #[test]
    fn rank() {
        let (Ok(program), Ok(folder)) = (std::env::var(PROGRAM), std::env::var(FOLDER)) else { return };
        let code = stochgrad_mpi::run(|ranks| programs::run(&program, ranks, Path::new(&folder)));
        assert_eq!(code, std::process::ExitCode::SUCCESS);
    }

    /// With this variable, Open MPI cannot share memory, as between machines.
    const APART: (&str, &str) = ("OMPI_MCA_osc", "^sm");

    /// The output of a program on a number of ranks; `None` if there is no `mpirun`.
    fn mpirun(ranks: usize, program: &str, folder: &Path) -> Option<Output> {
        mpirun_with(&[], ranks, program, folder)
    }

    /// The same with variables of the environment.
    fn mpirun_with(variables: &[(&str, &str)], ranks: usize, program: &str, folder: &Path) -> Option<Output> {
        if Command::new("mpirun").arg("--version").output().is_err() {
            eprintln!("skipped: there is no mpirun");
            return None;
        }
        let this = std::env::current_exe().expect("the path of this binary");
        let output = Command::new("timeout")
            .args(["300", "mpirun", "--oversubscribe", "--allow-run-as-root", "-n", &ranks.to_string()])
            .arg(this)
            .args(["--exact", "tests::rank", "--nocapture", "--test-threads=1"])
            .env(PROGRAM, program)
            .env(FOLDER, folder)
            .envs(variables.iter().copied())
            .output();
        Some(output.expect("mpirun runs"))
    }

    fn succeeds(output: &Output) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    }

    #[test]
    fn a_loop_of_steps_has_the_same_bits_on_every_number_of_ranks() {
        let folder = tempfile::tempdir().unwrap();
        let mut found = Vec::new();
        for ranks in [1, 2, 4] {
            let Some(output) = mpirun(ranks, "loop", folder.path()) else { return };
            succeeds(&output);
            found.push(std::fs::read(folder.path().join(format!("loop-{ranks}"))).unwrap());
        }
        succeeds(&mpirun_with(&[APART], 2, "loop", folder.path()).expect("mpirun"));
        found.push(std::fs::read(folder.path().join("loop-2")).unwrap());
        assert!(!found[0].is_empty() && found.iter().all(|bytes| *bytes == found[0]));
    }

    #[test]
    fn messages_of_all_lengths_arrive_with_and_without_shared_memory() {
        let folder = tempfile::tempdir().unwrap();
        for variables in [&[][..], &[APART]] {
            let Some(output) = mpirun_with(variables, 3, "messages", folder.path()) else { return };
            succeeds(&output);
        }
    }

    #[test]
    fn a_run_of_the_trainer_resumes_on_another_number_of_ranks() {
        let whole = tempfile::tempdir().unwrap();
        let Some(output) = mpirun(1, "train 14", whole.path()) else { return };
        succeeds(&output);
        let expected = std::fs::read(whole.path().join("parameters")).unwrap();
        for (first, second) in [(2, 4), (4, 1)] {
            let folder = tempfile::tempdir().unwrap();
            for (ranks, program) in [(first, "train 7"), (second, "train 14")] {
                succeeds(&mpirun(ranks, program, folder.path()).expect("mpirun"));
            }
            assert_eq!(std::fs::read(folder.path().join("parameters")).unwrap(), expected, "{first}, {second}");
        }
    }

    #[test]
    fn a_rank_that_dies_ends_the_run_and_the_last_checkpoint_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let Some(output) = mpirun(2, "killed", folder.path()) else { return };
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.status.code() != Some(124), "{message}");
        succeeds(&mpirun(4, "train 14", folder.path()).expect("mpirun"));
        let whole = tempfile::tempdir().unwrap();
        succeeds(&mpirun(1, "train 14", whole.path()).expect("mpirun"));
        let read = |folder: &Path| std::fs::read(folder.join("parameters")).unwrap();
        assert_eq!(read(folder.path()), read(whole.path()));
    }

    #[test]
    fn a_full_disk_of_the_first_rank_is_an_error_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let Some(output) = mpirun(2, "full", folder.path()) else { return };
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.status.code() != Some(124), "{message}");
        assert!(message.contains("No space left on device"), "{message}");
    }

    #[test]
    fn an_error_of_one_rank_ends_all() {
        let folder = tempfile::tempdir().unwrap();
        let Some(output) = mpirun(2, "error", folder.path()) else { return };
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.status.code() != Some(124), "{message}");
        assert!(message.contains("below 3, got 7"), "{message}");
    }
}

#[cfg(not(feature = "mpi"))]
#[test]
fn skipped() {
    eprintln!("skipped: the feature `mpi` of stochgrad-mpi is off");
}
