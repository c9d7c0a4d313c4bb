//! Images of the crate `stochgrad-nn`: the embedded digits, MNIST, and other IDX files.

use stochgrad_nn::Inputs;
use stochgrad_nn::data::Images;
use stochgrad_tensor::Real;

use super::{Epoch, MinibatchIter, OwnMembers, Source};
use crate::error::TrainResult;

/// The inputs `images`, with intensities in [0, 1] and shape `[members, rows * columns]`, and `labels`, with shape
/// `[members]`. The bytes of a minibatch are converted when it is read. See [`Source::binarize`],
/// [`Source::threshold`] and [`Source::reshape`].
impl<F: Real> Source<F> for Images {
    fn size(&self) -> Option<usize> {
        Some(self.len())
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>> {
        Ok(Box::new(epoch.indices(self.len())?.map(|members| inputs(&self.select(&members)?))))
    }

    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, F>> {
        Ok(Box::new(epoch.indices(self.len())?.map(move |members| {
            let (own, count) = (own(members.len()), members.len());
            Ok(inputs(&self.select(&members[own.clone()])?)?.part_of_batch(own.start, count))
        })))
    }

    fn rows(&self) -> TrainResult<Option<Inputs<F>>> {
        inputs(self).map(Some)
    }
}

fn inputs<F: Real>(images: &Images) -> TrainResult<Inputs<F>> {
    Ok(Inputs::new().batch("images", images.intensities()?).batch("labels", images.label_indices()?))
}

#[cfg(test)]
mod tests {
    use stochgrad_nn::data::Digits;

    use super::*;

    #[test]
    fn a_minibatch_has_the_intensities_and_labels_of_its_members() {
        let digits = Digits::embedded();
        let epoch = Epoch { first: 3, ..Epoch::shuffled(1, 40, 9) };
        let members = epoch.indices(digits.len()).unwrap().next().unwrap();
        let minibatch: Inputs<f32> = Source::minibatches(&digits, epoch).unwrap().next().unwrap().unwrap();
        let (images, labels) = (minibatch.get("images").unwrap(), minibatch.get("labels").unwrap());
        assert_eq!((images.shape()[..].to_vec(), labels.shape()[..].to_vec()), (vec![40, 64], vec![40]));
        for (position, &member) in members.iter().enumerate() {
            assert_eq!(labels.as_slice()[position], f32::from(digits.labels()[member]));
            let pixels = digits.image(member).unwrap().iter().map(|&pixel| f32::from(pixel) / 16.0);
            assert!(images.as_slice()[position * 64..][..64].iter().copied().eq(pixels));
        }
        assert_eq!(Source::<f32>::size(&digits), Some(1797));
    }
}
