//! Command lines.

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;

use crate::arguments::Arguments;
use crate::bytes::Bytes;
use crate::{Outcome, refused};

/// Words of command lines.
const WORDS: [&str; 40] = [
    "--latent",
    "categorical",
    "bernoulli",
    "--latent-size",
    "--categories",
    "--hidden",
    "--method",
    "--samples",
    "--scheme",
    "--temperature",
    "--final-temperature",
    "--backward-temperature",
    "--epochs",
    "--batch",
    "--lr",
    "--seed",
    "--threads",
    "--quick",
    "--resume",
    "--compare",
    "leave-one-out",
    "rebar",
    "enumerate",
    "straight-through",
    "gumbel-softmax",
    "independent",
    "antithetic",
    "sobol",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "0.5",
    "1e308",
    "nan",
    "inf",
    "18446744073709551615",
    "128,128",
    ",",
];

/// Makes a command line of the bytes, known words and arbitrary ones, and checks it. The folder for results is `folder`.
///
/// # Panics
/// If the example refuses a command line without a message.
pub fn command_line(bytes: &[u8], folder: &Path) -> Outcome {
    let mut source = Bytes::new(bytes);
    // A second `--out` is an error, so that nothing is written elsewhere.
    let mut words: Vec<OsString> = vec!["discrete_vae".into(), "--out".into(), folder.into()];
    for _ in 0..source.below(12) {
        words.push(match source.below(8) {
            0 => text(&mut source).into(),
            1 => format!("{}={}", WORDS[source.below(WORDS.len())], WORDS[source.below(WORDS.len())]).into(),
            2 => source.number(1.0).to_string().into(),
            _ => WORDS[source.below(WORDS.len())].into(),
        });
    }
    match Arguments::try_parse_from(words).and_then(|arguments| arguments.check()) {
        Ok(()) => Outcome::Accepted,
        Err(error) => refused(error),
    }
}

fn text(source: &mut Bytes<'_>) -> String {
    let bytes: Vec<u8> = (0..source.below(9)).map(|_| source.below(256) as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
