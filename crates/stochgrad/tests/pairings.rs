//! Wrong pairings of method and distribution do not compile, and the message says what to use.
//!
//! The test compiles the programs in `wrong_pairings` as a separate project, and reads the messages of the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

fn compile() -> String {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pairings");
    std::fs::create_dir_all(&project).expect("a folder for the project");
    let mut manifest = format!(
        "[package]\nname = \"pairings\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\nstochgrad = {{ path = {crate_dir:?} }}\n"
    );
    for entry in std::fs::read_dir(crate_dir.join("tests/wrong_pairings")).expect("the programs") {
        let path = entry.expect("a program").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        manifest += &format!("\n[[bin]]\nname = {name:?}\npath = {path:?}\n");
    }
    std::fs::write(project.join("Cargo.toml"), manifest).expect("the manifest");
    // Use the lock file of the workspace, so that no dependency is resolved again.
    let lock = crate_dir.join("../../Cargo.lock");
    std::fs::copy(lock, project.join("Cargo.lock")).expect("the lock file");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--bins", "--keep-going"])
        .arg("--target-dir")
        .arg(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pairings-target"))
        .env("CARGO_TERM_COLOR", "never")
        .current_dir(&project)
        .output()
        .expect("cargo runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The errors of one program.
fn errors<'a>(output: &'a str, program: &str) -> Vec<&'a str> {
    output.split("\nerror").filter(|error| error.contains(&format!("{program}.rs"))).collect()
}

#[test]
fn wrong_pairings_name_methods_that_apply() {
    let output = compile();
    let cases = [
        ("pathwise_on_bernoulli", ["is not reparameterised", "`ScoreFunction`", "`MeasureValued`"]),
        ("enumerate_on_normal", ["support of", "is not finite", "for a continuous distribution `Pathwise`"]),
        ("enumerate_on_poisson", ["is not finite", "for counts use `MeasureValued`", "`Fini`"]),
        ("disarm_on_categories", ["independent bits", "`CategoricalDisArm`", "`Carms`"]),
        ("relaxation_of_normal", ["no continuous relaxation", "`Pathwise`", "for a continuous distribution"]),
        ("straight_through_on_rankings", ["is not its mean", "`Simple`", "`Rebar`"]),
        ("divergence_of_a_count_from_a_density", ["no closed form", "is infinite", "of the same values"]),
        ("score_function_on_uniform", ["depends on its parameters", "`Pathwise`", "`MeasureValued`"]),
        ("overdispersed_poisson", ["no overdispersed form of", "`ImportanceSampling", "from_distribution"]),
    ];
    for (program, expected) in cases {
        let errors = errors(&output, program);
        assert!(!errors.is_empty(), "{program} compiles, or nothing was compiled:\n{output}");
        for part in expected {
            assert!(errors.iter().any(|error| error.contains(part)), "{program} does not say {part}:\n{errors:#?}");
        }
    }
    assert!(!output.contains("stochgrad::stochgrad_"), "a path that programs do not write:\n{output}");
    assert!(errors(&output, "right_pairings").is_empty(), "right pairings must compile:\n{output}");
}
