//! The digits that come with the crate.

use super::Images;

const SIDE: usize = 8;
const IMAGE: usize = SIDE * SIDE;
const RECORD: usize = IMAGE + 1;
const COUNT: usize = 1797;
const RECORDS: &[u8; COUNT * RECORD] = include_bytes!("../../data/optdigits.bin");

/// Handwritten digits that are part of the crate, so that programs and tests need no download.
///
/// The test part of *Optical Recognition of Handwritten Digits* by E. Alpaydin and C. Kaynak (1998), UCI Machine
/// Learning Repository, <https://doi.org/10.24432/C50P49>, licence CC BY 4.0: 1,797 images of 8 x 8 pixels with values
/// 0 to 16, labels 0 to 9. The crate's `data/README.md` has the details.
///
/// ```
/// use stochgrad_nn::data::Digits;
///
/// let digits = Digits::embedded();
/// assert_eq!((digits.len(), digits.rows(), digits.columns(), digits.maximum()), (1797, 8, 8, 16));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Digits;

impl Digits {
    /// All 1,797 images, in the order of the source.
    pub fn embedded() -> Images {
        let mut pixels = Vec::with_capacity(COUNT * IMAGE);
        let mut labels = Vec::with_capacity(COUNT);
        for record in RECORDS.chunks_exact(RECORD) {
            pixels.extend_from_slice(&record[..IMAGE]);
            labels.push(record[IMAGE]);
        }
        Images::embedded(pixels, labels, SIDE, SIDE, 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sums_are_those_of_the_source() {
        let digits = Digits::embedded();
        let mut counts = [0; 10];
        for &label in digits.labels() {
            counts[usize::from(label)] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!(digits.labels()[..4], [0, 1, 2, 3]);
        let sum: u64 = digits.pixels().iter().map(|&pixel| u64::from(pixel)).sum();
        assert_eq!(sum, 561_718);
        assert_eq!(
            digits.image(0).map(|image| &image[..16]),
            Some(&[0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0][..])
        );
        let ink = digits.thresholded::<f64>(0.5).unwrap();
        assert_eq!(ink.as_slice().iter().sum::<f64>(), 33_687.0);
    }

    #[test]
    fn the_embedded_images_pass_the_checks_of_any_images() {
        let digits = Digits::embedded();
        let checked = Images::new(
            digits.pixels().to_vec(),
            digits.labels().to_vec(),
            digits.rows(),
            digits.columns(),
            digits.maximum(),
        );
        assert_eq!(checked.unwrap(), digits);
    }
}
