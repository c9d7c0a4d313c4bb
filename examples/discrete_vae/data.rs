//! The images of a run, with pixels 0 and 1.

use std::path::Path;

use stochgrad::nn::Inputs;
use stochgrad::nn::data::{Digits, Images, binarize, mnist};
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad::train::source::{MinibatchIter, Tensors};
use stochgrad::train::{Epoch, Source, TrainResult};

/// Training and test images.
pub(crate) struct Data {
    pub(crate) train: Images,
    /// Whether the training pixels are drawn at each step, with the grey levels as probabilities.
    is_drawn: bool,
    pub(crate) test: Tensors<f32>,
}

impl Data {
    /// Loads the embedded digits, whose pixels are 1 if the grey level is above half (9 to 16 of 16), or MNIST from a
    /// folder, whose pixels are drawn with the grey levels as probabilities. In the usual split of MNIST, the last
    /// 10,000 training images are for validation.
    pub(crate) fn load(folder: Option<&Path>) -> TrainResult<Self> {
        let (train, test) = match folder {
            None => Digits::embedded().split_at(1500).and_then(|(train, test)| Ok((train, test.thresholded(0.5)?)))?,
            Some(folder) => {
                let mnist::MnistFiles { train, test } = mnist::load(folder)?;
                let count = train.len().min(50_000);
                let key = Key::new(0, 0, address_hash("test pixels", &[]));
                (train.split_at(count)?.0, binarize(&test.intensities()?, key))
            }
        };
        Ok(Self { train, is_drawn: folder.is_some(), test: Tensors::new().with("images", test)? })
    }
}

/// The training images.
impl Source<f32> for Data {
    fn size(&self) -> Option<usize> {
        Some(self.train.len())
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, f32>> {
        let per_epoch = self.train.len().div_ceil(epoch.batch.max(1)) as u64;
        let first = epoch.number.saturating_mul(per_epoch).saturating_add(epoch.first as u64);
        let minibatch = move |(step, members): (u64, Vec<usize>)| {
            let images = self.train.select(&members)?;
            let key = Key::new(epoch.seed, step, address_hash("training pixels", &[]));
            let pixels = if self.is_drawn { binarize(&images.intensities()?, key) } else { images.thresholded(0.5)? };
            Ok(Inputs::new().batch("images", pixels))
        };
        Ok(Box::new((first..).zip(epoch.indices(self.train.len())?).map(minibatch)))
    }
}
