//! Synthetic images.

use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};

/// The share of pixels that are 1, close to that of binarised MNIST.
const INK: f32 = 0.13;

/// Batches of binary images of shape `[batch, pixels]`, with 13 % of the pixels ones. Every call returns the same
/// images.
pub fn batches(count: usize, batch: usize, pixels: usize) -> Vec<Tensor<f32>> {
    let key = Key::new(0, 0, address_hash("images", &[]));
    let mut start = 0;
    (0..count)
        .map(|_| {
            let mut images = Tensor::zeros([batch, pixels]);
            key.uniform(start, images.make_mut());
            start += images.len() as u64;
            images.make_mut().iter_mut().for_each(|pixel| *pixel = f32::from(*pixel < INK));
            images
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_binary_have_the_stated_share_of_ones_and_differ() {
        let batches = batches(2, 50, 784);
        assert_ne!(batches[0], batches[1]);
        let pixels: Vec<f32> = batches.iter().flat_map(Tensor::to_vec).collect();
        assert!(pixels.iter().all(|&pixel| pixel == 0.0 || pixel == 1.0));
        let ink = pixels.iter().sum::<f32>() / pixels.len() as f32;
        assert!((ink - INK).abs() < 0.01, "{ink}");
    }
}
