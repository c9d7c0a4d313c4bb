//! Labelled grey-scale images of one size.

use stochgrad_tensor::{Real, Tensor};

use super::Minibatches;
use crate::error::{NnError, NnResult};

/// Labelled grey-scale images of one size, stored as bytes.
///
/// Image `i` has the pixels `i * rows * columns ..`, row by row from the top left; 0 is background and
/// [`maximum`](Self::maximum) is full ink.
///
/// ```
/// use stochgrad_nn::data::Images;
///
/// let images = Images::new(vec![0, 8, 9, 16], vec![3], 2, 2, 16)?;
/// assert_eq!(images.intensities::<f64>()?.as_slice(), [0.0, 0.5, 0.5625, 1.0]);
/// assert_eq!(images.thresholded::<f64>(0.5)?.as_slice(), [0.0, 0.0, 1.0, 1.0]);
/// # Ok::<(), stochgrad_nn::NnError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    rows: usize,
    columns: usize,
    maximum: u8,
}

impl Images {
    /// Images of `rows` by `columns` pixels with values 0 to `maximum`, one label each.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if `rows`, `columns` or `maximum` is 0, if there are not `rows * columns` pixels
    /// for each label, or if a pixel is above `maximum`.
    pub fn new(pixels: Vec<u8>, labels: Vec<u8>, rows: usize, columns: usize, maximum: u8) -> NnResult<Self> {
        let images = Self { pixels, labels, rows, columns, maximum };
        images.check()?;
        Ok(images)
    }

    /// Images whose sizes are known to be valid at compile time.
    pub(super) fn embedded(pixels: Vec<u8>, labels: Vec<u8>, rows: usize, columns: usize, maximum: u8) -> Self {
        let images = Self { pixels, labels, rows, columns, maximum };
        debug_assert!(images.check().is_ok());
        images
    }

    fn check(&self) -> NnResult<()> {
        if self.rows == 0 || self.columns == 0 {
            return Err(NnError::argument(
                "`rows` and `columns` of `Images::new`",
                "at least 1 each",
                format!("{} x {}", self.rows, self.columns),
                "pass the size of one image in pixels",
            ));
        }
        if self.maximum == 0 {
            return Err(NnError::argument(
                "`maximum` of `Images::new`",
                "1 to 255",
                "0",
                "pass the pixel value of full ink, 255 for most files",
            ));
        }
        let expected = self.rows.checked_mul(self.columns).and_then(|size| size.checked_mul(self.labels.len()));
        if expected != Some(self.pixels.len()) {
            return Err(NnError::argument(
                "`pixels` of `Images::new`",
                format!("{} x {} pixels for each of {} labels", self.rows, self.columns, self.labels.len()),
                format!("{} pixels", self.pixels.len()),
                "check the image size and that every image has a label",
            ));
        }
        if let Some(position) = self.pixels.iter().position(|&pixel| pixel > self.maximum) {
            return Err(NnError::argument(
                "`pixels` of `Images::new`",
                format!("values up to `maximum`, {}", self.maximum),
                format!("{} at position {position}", self.pixels[position]),
                "pass the largest value that a pixel can have as `maximum`",
            ));
        }
        Ok(())
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The height of an image in pixels.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The width of an image in pixels.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of pixels of an image, `rows * columns`.
    pub fn pixels_per_image(&self) -> usize {
        self.rows * self.columns
    }

    /// The pixel value of full ink.
    pub fn maximum(&self) -> u8 {
        self.maximum
    }

    /// All pixels, image after image, each row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// One label for each image.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The pixels of image `index`, if there is one.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        self.pixels.chunks_exact(self.pixels_per_image()).nth(index)
    }

    /// The first `count` images, and the rest.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if `count` exceeds [`len`](Self::len).
    pub fn split_at(mut self, count: usize) -> NnResult<(Self, Self)> {
        if count > self.len() {
            return Err(NnError::argument(
                "`count` of `Images::split_at`",
                format!("at most {}, the number of images", self.len()),
                count.to_string(),
                "request fewer images",
            ));
        }
        let rest = Self {
            pixels: self.pixels.split_off(count * self.pixels_per_image()),
            labels: self.labels.split_off(count),
            ..self
        };
        Ok((self, rest))
    }

    /// The images at `indices`, in that order. An index may occur more than once.
    ///
    /// Converting a minibatch of bytes to floats needs much less memory than converting the whole data set.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if an index is out of range.
    pub fn select(&self, indices: &[usize]) -> NnResult<Self> {
        let size = self.pixels_per_image();
        let mut pixels = Vec::with_capacity(indices.len() * size);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let Some(&label) = self.labels.get(index) else {
                return Err(NnError::argument(
                    "`indices` of `Images::select`",
                    format!("indices below {}, the number of images", self.len()),
                    index.to_string(),
                    "create the minibatches with the number of images of this set",
                ));
            };
            labels.push(label);
            pixels.extend_from_slice(&self.pixels[index * size..(index + 1) * size]);
        }
        Ok(Self { pixels, labels, ..*self })
    }

    /// Shuffled minibatches of `batch` images; see [`Minibatches::new`].
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if there is no image or `batch` is 0.
    pub fn minibatches(&self, batch: usize, seed: u64) -> NnResult<Minibatches> {
        Minibatches::new(self.len(), batch, seed)
    }

    /// The pixels as `value / maximum`, in [0, 1]; shape `[len, rows * columns]`.
    ///
    /// # Errors
    ///
    /// None for images that were built with this crate. The check of the tensor is passed on.
    pub fn intensities<F: Real>(&self) -> NnResult<Tensor<F>> {
        let maximum = F::from_f64(f64::from(self.maximum));
        self.converted(|value| F::from_f64(f64::from(value)) / maximum)
    }

    /// The pixels as 1 where `value / maximum > threshold` and 0 elsewhere; shape `[len, rows * columns]`.
    ///
    /// A pixel exactly at the threshold counts as background. The usual threshold is 0.5. With a negative threshold
    /// every pixel is 1. With a threshold of 1 or more, or NaN, every pixel is 0.
    ///
    /// # Errors
    ///
    /// None for images that were built with this crate. The check of the tensor is passed on.
    pub fn thresholded<F: Real>(&self, threshold: f64) -> NnResult<Tensor<F>> {
        let maximum = f64::from(self.maximum);
        self.converted(|value| if f64::from(value) / maximum > threshold { F::ONE } else { F::ZERO })
    }

    /// The labels as numbers; shape `[len]`.
    ///
    /// # Errors
    ///
    /// None for images that were built with this crate. The check of the tensor is passed on.
    pub fn label_indices<F: Real>(&self) -> NnResult<Tensor<F>> {
        let labels = self.labels.iter().map(|&label| F::from_f64(f64::from(label))).collect();
        Ok(Tensor::new(labels, [self.len()])?)
    }

    fn converted<F: Real>(&self, convert: impl Fn(u8) -> F) -> NnResult<Tensor<F>> {
        let table: Vec<F> = (0..=u8::MAX).map(convert).collect();
        let values = self.pixels.iter().map(|&pixel| table[usize::from(pixel)]).collect();
        Ok(Tensor::new(values, [self.len(), self.pixels_per_image()])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Images {
        Images::new((0..12).collect(), vec![7, 8, 9], 2, 2, 11).unwrap()
    }

    #[test]
    fn splitting_keeps_order_and_labels() {
        let (first, rest) = three().split_at(1).unwrap();
        assert_eq!((first.pixels(), first.labels()), (&[0, 1, 2, 3][..], &[7][..]));
        assert_eq!(rest.pixels(), (4..12).collect::<Vec<u8>>());
        assert_eq!(rest.labels(), [8, 9]);
        assert_eq!(three().split_at(0).unwrap().1, three());
        assert!(three().split_at(3).unwrap().1.is_empty());
        let message = three().split_at(4).unwrap_err().to_string();
        assert!(message.contains("at most 3"), "{message}");
    }

    #[test]
    fn selection_repeats_and_reorders() {
        let chosen = three().select(&[2, 0, 2]).unwrap();
        assert_eq!(chosen.labels(), [9, 7, 9]);
        assert_eq!(chosen.pixels(), [8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
        assert_eq!(chosen.image(1), Some(&[0, 1, 2, 3][..]));
        assert_eq!(chosen.image(3), None);
        assert!(three().select(&[3]).is_err());
    }

    #[test]
    fn the_threshold_itself_is_background() {
        let images = Images::new(vec![0, 127, 128, 255], vec![0], 1, 4, 255).unwrap();
        let half = images.thresholded::<f32>(0.5).unwrap();
        assert_eq!(half.as_slice(), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(half.shape()[..], [1, 4]);
        let strict = images.thresholded::<f32>(127.0 / 255.0).unwrap();
        assert_eq!(strict.as_slice(), [0.0, 0.0, 1.0, 1.0]);
        let full = images.thresholded::<f32>(1.0).unwrap();
        assert_eq!(full.as_slice(), [0.0; 4]);
        let all = images.thresholded::<f32>(-0.1).unwrap();
        assert_eq!(all.as_slice(), [1.0; 4]);
    }

    #[test]
    fn intensities_and_labels_become_tensors() {
        let intensities = three().intensities::<f64>().unwrap();
        assert_eq!(intensities.shape()[..], [3, 4]);
        assert_eq!(intensities.as_slice()[5], 5.0 / 11.0);
        let labels = three().label_indices::<f32>().unwrap();
        assert_eq!((labels.as_slice(), &labels.shape()[..]), (&[7.0, 8.0, 9.0][..], &[3][..]));
    }

    #[test]
    fn inconsistent_parts_are_refused() {
        let cases = [
            (Images::new(vec![0; 4], vec![1], 0, 4, 255), "at least 1"),
            (Images::new(vec![0; 4], vec![1], 2, 2, 0), "1 to 255"),
            (Images::new(vec![0; 5], vec![1], 2, 2, 255), "5 pixels"),
            (Images::new(vec![0; 4], vec![1], usize::MAX, 2, 255), "4 pixels"),
            (Images::new(vec![0, 0, 17, 0], vec![1], 2, 2, 16), "17 at position 2"),
        ];
        for (result, part) in cases {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
