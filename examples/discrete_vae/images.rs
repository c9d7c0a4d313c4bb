//! The images of a run.

use stochgrad::nn::NnResult;
use stochgrad::nn::data::{Digits, Images, Minibatches, binarize, mnist, rows};
use stochgrad::tensor::Tensor;
use stochgrad::tensor::random::{Key, address_hash};

use crate::settings::Settings;

/// The number of embedded digits for training; the other 297 are for the test.
const TRAINING_DIGITS: usize = 1500;
/// The maximal number of MNIST images for training; in the usual split, the last 10,000 are for validation.
const TRAINING_IMAGES: usize = 50_000;
/// The seed of the pixels of the test images, which is the same in every run.
const TEST_SEED: u64 = 0;

/// Training and test images with pixels 0 and 1.
#[derive(Debug)]
pub(crate) struct Dataset {
    /// The rows of pixels of one image.
    pub(crate) rows: usize,
    /// The columns of pixels of one image.
    pub(crate) columns: usize,
    /// The test images, `[count, rows · columns]`.
    pub(crate) test: Tensor<f32>,
    train: Train,
}

#[derive(Debug)]
enum Train {
    /// Pixels obtained by a threshold.
    Fixed(Tensor<f32>),
    /// Pixels drawn at each step, with the grey levels as probabilities.
    Drawn(Images),
}

impl Dataset {
    /// Loads the embedded digits, whose pixels are 1 if the grey level is above half (9 to 16 of 16), or MNIST from a
    /// folder, whose pixels are drawn with the grey levels as probabilities.
    ///
    /// # Errors
    /// Returns an error if files are missing or damaged.
    pub(crate) fn load(settings: &Settings) -> NnResult<Self> {
        match &settings.data {
            None => {
                let (train, test) = Digits::embedded().split_at(TRAINING_DIGITS)?;
                Ok(Self {
                    rows: test.rows(),
                    columns: test.columns(),
                    test: test.thresholded(0.5)?,
                    train: Train::Fixed(train.thresholded(0.5)?),
                })
            }
            Some(folder) => {
                let files = mnist::load(folder)?;
                let count = files.train.len().min(TRAINING_IMAGES);
                let (train, _validation) = files.train.split_at(count)?;
                let key = Key::new(TEST_SEED, 0, address_hash("test pixels", &[]));
                Ok(Self {
                    rows: train.rows(),
                    columns: train.columns(),
                    test: binarize(&files.test.intensities()?, key),
                    train: Train::Drawn(train),
                })
            }
        }
    }

    /// The pixels of one image.
    pub(crate) fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// The minibatches of a run.
    ///
    /// # Errors
    /// Returns an error for an empty training set.
    pub(crate) fn minibatches(&self, settings: &Settings) -> NnResult<Minibatches> {
        let count = match &self.train {
            Train::Fixed(pixels) => pixels.shape()[0],
            Train::Drawn(images) => images.len(),
        };
        Minibatches::new(count, settings.batch, settings.seed)
    }

    /// The training images with the given indices at a step of the run with the given seed; shape `[indices, pixels]`.
    ///
    /// # Errors
    /// Returns an error for an index out of range.
    pub(crate) fn training_images(&self, indices: &[usize], seed: u64, step: usize) -> NnResult<Tensor<f32>> {
        match &self.train {
            Train::Fixed(pixels) => rows(pixels, indices),
            Train::Drawn(images) => {
                let key = Key::new(seed, step as u64, address_hash("training pixels", &[]));
                Ok(binarize(&images.select(indices)?.intensities()?, key))
            }
        }
    }
}
