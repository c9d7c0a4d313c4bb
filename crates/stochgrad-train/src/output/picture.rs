//! Grids of images as PNG files.

use std::io::Write;
use std::path::Path;

use stochgrad_nn::write_atomically;
use stochgrad_tensor::{Real, Tensor};

use crate::error::{TrainError, TrainResult};

/// The grey level of the lines between images, which are often white on black.
const SEPARATOR: u8 = 96;
/// Pixels between an image and the one below it in a pair, and between columns.
const THIN: usize = 2;
/// Pixels between rows of pairs.
const THICK: usize = 8;
/// Far above any use, and far below the memory of a machine.
const MOST_PIXELS: usize = 1 << 28;

/// Draws images side by side, enlarged if they are small, with thin lines between them.
///
/// ```
/// use stochgrad_nn::data::Digits;
/// use stochgrad_train::output::ImageGrid;
///
/// let (digits, _) = Digits::embedded().split_at(40)?;
/// let picture = ImageGrid::new(8, 8).draw(&digits.intensities::<f32>()?)?;
/// let folder = tempfile::tempdir()?;
/// picture.save(folder.path().join("digits.png"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageGrid {
    height: usize,
    width: usize,
    channels: usize,
    per_row: usize,
    /// The side of one pixel of an image, in pixels of the picture.
    scale: usize,
}

impl ImageGrid {
    /// Grey images with a height and a width in pixels, ten in a row. They are enlarged to about 60 pixels per side, by
    /// a factor from 2 to 8.
    pub fn new(height: usize, width: usize) -> Self {
        let side = height.max(width).max(1);
        Self { height, width, channels: 1, per_row: 10, scale: (60 / side).clamp(2, 8) }
    }

    /// Images in red, green and blue, which are the last axis.
    pub fn coloured(self) -> Self {
        Self { channels: 3, ..self }
    }

    /// Sets the number of images in a row.
    pub fn per_row(self, images: usize) -> Self {
        Self { per_row: images, ..self }
    }

    /// Sets the factor by which images are enlarged.
    pub fn scale(self, factor: usize) -> Self {
        Self { scale: factor, ..self }
    }

    /// Draws images from left to right and then down. Positions that remain are grey.
    ///
    /// The images are intensities in [0, 1] with shape `[count, ..]`, where each image has `height * width * channels`
    /// elements, row by row. Values outside are clamped, and NaN is black.
    ///
    /// # Errors
    ///
    /// If there is no image, for a size of 0, and for images of another size.
    pub fn draw<F: Real>(&self, images: &Tensor<F>) -> TrainResult<Picture> {
        self.draw_rows(&[images])
    }

    /// Draws pairs, such as images above their reconstructions, from left to right and then down; see
    /// [`draw`](Self::draw).
    ///
    /// # Errors
    ///
    /// As [`draw`](Self::draw), and if the two differ in their number.
    pub fn draw_pairs<F: Real>(&self, upper: &Tensor<F>, lower: &Tensor<F>) -> TrainResult<Picture> {
        self.draw_rows(&[upper, lower])
    }

    /// Draws images of each of some tensors below each other, as one cell.
    fn draw_rows<F: Real>(&self, layers: &[&Tensor<F>]) -> TrainResult<Picture> {
        let count = self.check(layers)?;
        let width = self.width.saturating_mul(self.scale);
        let height = self.height.saturating_mul(self.scale);
        let cell = height.saturating_add(THIN).saturating_mul(layers.len()) - THIN;
        let gap = if layers.len() > 1 { THICK } else { THIN };
        let across = self.per_row.min(count);
        let down = count.div_ceil(across);
        let mut picture = Picture::new(extent(across, width, THIN), extent(down, cell, gap), self.channels)?;
        let size = self.height * self.width * self.channels;
        for (layer, images) in layers.iter().enumerate() {
            for (index, image) in images.as_slice().chunks_exact(size).enumerate() {
                let left = THIN + index % across * (width + THIN);
                let top = THIN + index / across * (cell + gap) + layer * (height + THIN);
                picture.place(image, self, left, top);
            }
        }
        Ok(picture)
    }

    /// Checks the sizes, and returns the number of images.
    fn check<F: Real>(&self, layers: &[&Tensor<F>]) -> TrainResult<usize> {
        let Self { height, width, channels, per_row, scale } = *self;
        if [height, width, per_row, scale].contains(&0) {
            return Err(TrainError::argument(
                "sizes of an `ImageGrid`",
                "at least 1 each",
                format!("images of {height} x {width} pixels, {per_row} in a row, enlarged {scale} times"),
                "pass the size of one image in pixels",
            ));
        }
        let size = height.checked_mul(width).and_then(|size| size.checked_mul(channels));
        let count = layers.first().and_then(|images| images.shape().first().copied()).unwrap_or(0);
        for images in layers {
            let members = images.shape().first().copied().unwrap_or(0);
            if members == 0 || members != count || size.and_then(|size| size.checked_mul(count)) != Some(images.len()) {
                return Err(TrainError::argument(
                    "`images` of `ImageGrid::draw`",
                    format!(
                        "a shape [{}, ..] with {height} x {width} x {channels} elements for each image",
                        count.max(1)
                    ),
                    format!("the shape {}", images.shape()),
                    "pass at least one image, of the size of the grid, along one leading axis, which `reshape` makes of several; \
                     see `coloured` for images with three channels",
                ));
            }
        }
        Ok(count)
    }
}

/// A picture with 8 bits for each channel of a pixel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    /// 1 for grey, and 3 for red, green and blue.
    channels: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture with the grey level of the separator.
    fn new(width: usize, height: usize, channels: usize) -> TrainResult<Self> {
        match width.checked_mul(height) {
            Some(size) if size <= MOST_PIXELS => {
                Ok(Self { width, height, channels, pixels: vec![SEPARATOR; size * channels] })
            }
            _ => Err(TrainError::argument(
                "size of a picture",
                format!("at most {MOST_PIXELS} pixels"),
                format!("{height} x {width}"),
                "draw fewer images, or enlarge them less",
            )),
        }
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Writes a PNG file atomically.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> TrainResult<()> {
        let bytes = self.encode().map_err(|error| {
            TrainError::argument(
                "a picture",
                "a size that fits the PNG format",
                format!("{} x {}: {error}", self.height, self.width),
                "draw fewer images, or enlarge them less",
            )
        })?;
        Ok(write_atomically(path, |file| file.write_all(&bytes))?)
    }

    fn encode(&self) -> Result<Vec<u8>, png::EncodingError> {
        let side = |n: usize| u32::try_from(n).map_err(|_| png::EncodingError::LimitsExceeded);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side(self.width)?, side(self.height)?);
        encoder.set_color(if self.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// Copies one enlarged image to the position with the given upper left corner.
    fn place<F: Real>(&mut self, image: &[F], grid: &ImageGrid, left: usize, top: usize) {
        let channels = self.channels;
        for (row, values) in image.chunks_exact(grid.width * channels).enumerate() {
            for line in 0..grid.scale {
                let start = ((top + row * grid.scale + line) * self.width + left) * channels;
                let target = &mut self.pixels[start..start + grid.width * grid.scale * channels];
                for (block, pixel) in target.chunks_exact_mut(grid.scale * channels).zip(values.chunks_exact(channels))
                {
                    for copy in block.chunks_exact_mut(channels) {
                        copy.iter_mut().zip(pixel).for_each(|(byte, &value)| *byte = level(value));
                    }
                }
            }
        }
    }
}

/// Intensities outside [0, 1] are clamped; NaN is black.
fn level<F: Real>(intensity: F) -> u8 {
    // In single precision, so that both element types give the same picture.
    ((intensity.to_f64() as f32).clamp(0.0, 1.0) * 255.0).round() as u8
}

/// The length of cells of a size with gaps between them and a margin around.
fn extent(cells: usize, size: usize, gap: usize) -> usize {
    cells.saturating_mul(size.saturating_add(gap)).saturating_sub(gap).saturating_add(2 * THIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(per_row: usize) -> ImageGrid {
        ImageGrid::new(2, 3).per_row(per_row).scale(4)
    }

    fn at(picture: &Picture, x: usize, y: usize) -> &[u8] {
        &picture.pixels[(y * picture.width + x) * picture.channels..][..picture.channels]
    }

    #[test]
    fn images_go_left_to_right_and_then_down() {
        let images = Tensor::from_fn([3, 6], |i| i as f32 / 17.0);
        let picture = grid(2).draw(&images).unwrap();
        assert_eq!((picture.width(), picture.height()), (2 + 12 + 2 + 12 + 2, 2 + 8 + 2 + 8 + 2));
        for (index, &value) in images.as_slice().iter().enumerate() {
            let (image, row, column) = (index / 6, index / 3 % 2, index % 3);
            let left = 2 + image % 2 * 14 + column * 4;
            let top = 2 + image / 2 * 10 + row * 4;
            for (x, y) in [(0, 0), (3, 0), (0, 3), (3, 3)] {
                assert_eq!(at(&picture, left + x, top + y), [level(value)]);
            }
        }
        assert_eq!(at(&picture, 14, 5), [SEPARATOR]);
        assert_eq!(at(&picture, 20, 16), [SEPARATOR]);
    }

    #[test]
    fn pairs_lie_below_each_other() {
        let upper = Tensor::from_fn([2, 2, 3], |i| if i < 6 { 1.0 } else { 0.5 });
        let lower = Tensor::from_fn([2, 2, 3], |i| if i < 6 { 0.0 } else { 0.25 });
        let picture = grid(1).draw_pairs(&upper, &lower).unwrap();
        assert_eq!((picture.width(), picture.height()), (16, 2 + 18 + 8 + 18 + 2));
        for (y, expected) in [(5, 255), (15, 0), (31, 128), (41, 64), (10, SEPARATOR), (24, SEPARATOR)] {
            assert_eq!(at(&picture, 5, y), [expected], "{y}");
        }
    }

    #[test]
    fn channels_are_the_last_axis() {
        let images = Tensor::from_fn([1, 2, 3, 3], |i| [1.0, 0.5, 0.0][i % 3]);
        let picture = grid(1).coloured().draw(&images).unwrap();
        assert_eq!(at(&picture, 3, 3), [255, 128, 0]);
        assert_eq!(at(&picture, 0, 0), [SEPARATOR; 3]);
    }

    #[test]
    fn intensities_are_clamped() {
        assert_eq!([-1.0, 0.0, 1.0, 7.0, f32::NAN].map(level), [0, 0, 255, 255, 0]);
        assert_eq!([-1.0, 0.0, 1.0, 1e300, f64::NAN].map(level), [0, 0, 255, 255, 0]);
    }

    #[test]
    fn a_saved_picture_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        for grid in [grid(5), grid(5).coloured()] {
            let picture = grid.draw(&Tensor::full([2, 6 * grid.channels], 0.25)).unwrap();
            picture.save(&path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!((info.width as usize, info.height as usize), (picture.width(), picture.height()));
            assert_eq!(info.color_type.samples(), picture.channels);
            assert_eq!(pixels, picture.pixels);
        }
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let message = |grid: ImageGrid, shape: &[usize]| {
            let images = Tensor::<f64>::zeros(shape.to_vec());
            grid.draw(&images).unwrap_err().to_string()
        };
        let error = message(grid(5), &[2, 5]);
        assert!(error.contains("[2, ..] with 2 x 3 x 1") && error.contains("[2, 5]"), "{error}");
        assert!(message(grid(5), &[0, 6]).contains("at least one image"));
        assert!(message(grid(5), &[]).contains("at least one image"));
        assert!(message(grid(5).coloured(), &[2, 6]).contains("coloured"));
        assert!(message(grid(0), &[2, 6]).contains("at least 1"));
        assert!(message(ImageGrid::new(0, 3), &[2, 0]).contains("at least 1"));
        assert!(message(grid(1).scale(usize::MAX), &[2, 6]).contains("at most"));
        assert!(grid(5).draw_pairs(&Tensor::zeros([2, 6]), &Tensor::<f32>::zeros([1, 6])).is_err());
    }

    #[test]
    fn small_images_are_enlarged_more() {
        assert_eq!((ImageGrid::new(8, 8).scale, ImageGrid::new(28, 28).scale), (7, 2));
    }
}
