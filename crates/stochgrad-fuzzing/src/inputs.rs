//! Seeded inputs for the tests: valid files, mutated.

use std::fs;
use std::path::Path;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stochgrad_nn::Checkpoint;
use stochgrad_nn::data::{Digits, Images, write_idx_images, write_idx_labels};
use stochgrad_tensor::Tensor;

/// An endless sequence of inputs: the given ones with random changes, and random bytes.
#[derive(Debug)]
pub struct Inputs {
    corpus: Vec<Vec<u8>>,
    rng: ChaCha8Rng,
}

impl Inputs {
    /// The sequence of a seed.
    pub fn new(corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        Self { corpus, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let rng = &mut self.rng;
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.random()),
            2 if at < bytes.len() => {
                bytes.remove(at);
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            4 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.random_range(0..5)],
            _ => {
                let end = (at + rng.random_range(1..9)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

impl Iterator for Inputs {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.corpus.is_empty() || self.rng.random_bool(0.1) {
            let mut bytes = vec![0; self.rng.random_range(0..200)];
            self.rng.fill_bytes(&mut bytes);
            return Some(bytes);
        }
        let mut bytes = self.corpus[self.rng.random_range(0..self.corpus.len())].clone();
        for _ in 0..self.rng.random_range(0..4) {
            self.change(&mut bytes);
        }
        Some(bytes)
    }
}

/// Valid IDX files. Files are written to `folder`.
pub fn idx_file(folder: &Path) -> Vec<Vec<u8>> {
    let path = folder.join("valid.idx");
    let digits = Digits::embedded();
    let pixels = digits.pixels()[..6].to_vec();
    let images = Images::new(pixels, vec![1, 2], 1, 3, 255).expect("two images");
    write_idx_images(&path, &images).expect("a folder for files");
    let first = fs::read(&path).expect("a file that was just written");
    write_idx_labels(&path, images.labels()).expect("a folder for files");
    vec![first, fs::read(&path).expect("a file that was just written")]
}

/// A valid checkpoint. Files are written to `folder`.
pub fn checkpoint_file(folder: &Path) -> Vec<Vec<u8>> {
    let path = folder.join("valid.safetensors");
    let mut checkpoint = Checkpoint::new();
    let inserted = checkpoint
        .insert("w", &Tensor::from([[1.0_f32, -2.5]]))
        .and_then(|()| checkpoint.insert("theta", &Tensor::scalar(0.1_f64)))
        .and_then(|()| checkpoint.insert_u64s("step", &[3, u64::MAX]))
        .and_then(|()| checkpoint.set_metadata("note", "text"))
        .and_then(|()| checkpoint.save(&path));
    inserted.expect("a folder for files");
    vec![fs::read(&path).expect("a file that was just written")]
}
