//! Pictures of images and their reconstructions, as 8-bit grey PNG files.

use std::io::Write;
use std::path::Path;

use stochgrad::nn::write_atomically;

use crate::output::OutputError;

/// The grey level of the lines between images, which are white on black.
const SEPARATOR: u8 = 96;
/// Pixels between an original and its reconstruction, and between columns.
const THIN: usize = 2;
/// Pixels between rows of pairs.
const THICK: usize = 8;

/// The layout of several images in a picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The number of images.
    pub(crate) count: usize,
    /// The rows of pixels of one image.
    pub(crate) rows: usize,
    /// The columns of pixels of one image.
    pub(crate) columns: usize,
    /// Images per row.
    pub(crate) per_row: usize,
    /// The width of one pixel of an image, in pixels of the picture.
    pub(crate) scale: usize,
}

impl Layout {
    /// A layout that enlarges images to about 60 pixels per side, by a factor from 2 to 8.
    pub(crate) fn new(count: usize, rows: usize, columns: usize, per_row: usize) -> Self {
        let side = rows.max(columns).max(1);
        Self { count, rows, columns, per_row, scale: (60 / side).clamp(2, 8) }
    }

    fn check(&self, what: &'static str, lengths: &[(&str, usize)]) -> Result<(), OutputError> {
        let reason = |reason| OutputError::Drawing { what, reason };
        if [self.count, self.rows, self.columns, self.per_row, self.scale].contains(&0) {
            return Err(reason(format!("expected sizes of at least 1, got {self:?}")));
        }
        let expected = self.count.checked_mul(self.rows).and_then(|n| n.checked_mul(self.columns));
        for &(name, found) in lengths {
            if Some(found) != expected {
                return Err(reason(format!(
                    "expected {} {name} of {}×{} pixels each, got {found} values",
                    self.count, self.rows, self.columns
                )));
            }
        }
        Ok(())
    }
}

/// An 8-bit grey picture, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// Writes the picture as a PNG file atomically.
    ///
    /// # Errors
    /// Returns an error if the picture is too large for the format, or the error of the operating system with the path.
    pub(crate) fn save(&self, path: &Path) -> Result<(), OutputError> {
        let bytes = self.encode().map_err(|error| OutputError::Drawing {
            what: "a PNG picture",
            reason: format!("{}×{} pixels: {error}", self.width, self.height),
        })?;
        Ok(write_atomically(path, |file| file.write_all(&bytes))?)
    }

    fn encode(&self) -> Result<Vec<u8>, png::EncodingError> {
        let side = |n: usize| u32::try_from(n).map_err(|_| png::EncodingError::LimitsExceeded);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side(self.width)?, side(self.height)?);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// A picture filled with the grey level of the separator.
    fn new(width: usize, height: usize, what: &'static str) -> Result<Self, OutputError> {
        // The limit is far above any use and far below the memory of a machine.
        const LIMIT: usize = 1 << 28;
        match width.checked_mul(height) {
            Some(size) if size <= LIMIT => Ok(Self { width, height, pixels: vec![SEPARATOR; size] }),
            _ => Err(OutputError::Drawing {
                what,
                reason: format!("expected at most {LIMIT} pixels, got {width}×{height}; draw fewer images"),
            }),
        }
    }

    /// Copies one enlarged image to the position with the given upper left corner.
    fn place(&mut self, image: &[f32], layout: &Layout, left: usize, top: usize) {
        for (row, values) in image.chunks_exact(layout.columns).enumerate() {
            for line in 0..layout.scale {
                let start = (top + row * layout.scale + line) * self.width + left;
                let target = &mut self.pixels[start..start + layout.columns * layout.scale];
                for (block, &value) in target.chunks_exact_mut(layout.scale).zip(values) {
                    block.fill(grey(value));
                }
            }
        }
    }
}

/// Intensities outside [0, 1] are clamped; NaN is black.
fn grey(intensity: f32) -> u8 {
    (intensity.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// The length of `cells` cells of `size` pixels with gaps between them and a margin around.
fn extent(cells: usize, size: usize, gap: usize) -> usize {
    cells.saturating_mul(size.saturating_add(gap)).saturating_sub(gap).saturating_add(2 * THIN)
}

/// Draws `layout.count` images (intensities in [0, 1], image by image, row by row) from left to right and then down,
/// with thin lines between them. Unused positions are grey.
///
/// # Errors
/// Returns an error for a size of zero, and for a number of values that does not match the layout.
pub(crate) fn grid(images: &[f32], layout: Layout) -> Result<Picture, OutputError> {
    const WHAT: &str = "a grid of images";
    layout.check(WHAT, &[("images", images.len())])?;
    let width = layout.columns.saturating_mul(layout.scale);
    let height = layout.rows.saturating_mul(layout.scale);
    let across = layout.per_row.min(layout.count);
    let down = layout.count.div_ceil(across);
    let mut picture = Picture::new(extent(across, width, THIN), extent(down, height, THIN), WHAT)?;
    for (index, image) in images.chunks_exact(layout.rows * layout.columns).enumerate() {
        let left = THIN + index % across * (width + THIN);
        let top = THIN + index / across * (height + THIN);
        picture.place(image, &layout, left, top);
    }
    Ok(picture)
}

/// Draws originals, each above its reconstruction, from left to right and then down.
///
/// # Errors
/// Returns an error for a size of zero, and for a number of values that does not match the layout.
pub(crate) fn pairs(originals: &[f32], reconstructions: &[f32], layout: Layout) -> Result<Picture, OutputError> {
    const WHAT: &str = "originals and reconstructions";
    layout.check(WHAT, &[("originals", originals.len()), ("reconstructions", reconstructions.len())])?;
    let width = layout.columns.saturating_mul(layout.scale);
    let height = layout.rows.saturating_mul(layout.scale);
    let pair = height.saturating_mul(2).saturating_add(THIN);
    let across = layout.per_row.min(layout.count);
    let down = layout.count.div_ceil(across);
    let mut picture = Picture::new(extent(across, width, THIN), extent(down, pair, THICK), WHAT)?;
    let size = layout.rows * layout.columns;
    for (index, (original, reconstruction)) in
        originals.chunks_exact(size).zip(reconstructions.chunks_exact(size)).enumerate()
    {
        let left = THIN + index % across * (width + THIN);
        let top = THIN + index / across * (pair + THICK);
        picture.place(original, &layout, left, top);
        picture.place(reconstruction, &layout, left, top + height + THIN);
    }
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(count: usize, per_row: usize) -> Layout {
        Layout { count, rows: 2, columns: 3, per_row, scale: 4 }
    }

    fn at(picture: &Picture, x: usize, y: usize) -> u8 {
        picture.pixels[y * picture.width + x]
    }

    #[test]
    fn images_go_left_to_right_and_then_down() {
        let images: Vec<f32> = (0..18).map(|i| i as f32 / 17.0).collect();
        let picture = grid(&images, layout(3, 2)).unwrap();
        assert_eq!((picture.width, picture.height), (2 + 12 + 2 + 12 + 2, 2 + 8 + 2 + 8 + 2));
        for (index, &value) in images.iter().enumerate() {
            let (image, row, column) = (index / 6, index / 3 % 2, index % 3);
            let left = 2 + image % 2 * 14 + column * 4;
            let top = 2 + image / 2 * 10 + row * 4;
            for (x, y) in [(0, 0), (3, 0), (0, 3), (3, 3)] {
                assert_eq!(at(&picture, left + x, top + y), grey(value));
            }
        }
        assert_eq!(at(&picture, 14, 5), SEPARATOR);
        assert_eq!(at(&picture, 20, 16), SEPARATOR);
    }

    #[test]
    fn a_reconstruction_lies_below_its_original() {
        let originals = [vec![1.0; 6], vec![0.5; 6]].concat();
        let reconstructions = [vec![0.0; 6], vec![0.25; 6]].concat();
        let picture = pairs(&originals, &reconstructions, layout(2, 1)).unwrap();
        assert_eq!((picture.width, picture.height), (16, 2 + 18 + 8 + 18 + 2));
        assert_eq!(at(&picture, 5, 5), 255);
        assert_eq!(at(&picture, 5, 15), 0);
        assert_eq!(at(&picture, 5, 31), 128);
        assert_eq!(at(&picture, 5, 41), 64);
        assert_eq!(at(&picture, 5, 10), SEPARATOR);
        assert_eq!(at(&picture, 5, 24), SEPARATOR);
    }

    #[test]
    fn intensities_are_clamped() {
        assert_eq!([-1.0, 0.0, 1.0, 7.0, f32::NAN].map(grey), [0, 0, 255, 255, 0]);
    }

    #[test]
    fn a_saved_picture_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        let picture = grid(&[0.25; 12], layout(2, 5)).unwrap();
        picture.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width as usize, info.height as usize), (picture.width, picture.height));
        assert_eq!(info.color_type, png::ColorType::Grayscale);
        assert_eq!(pixels, picture.pixels);
    }

    #[test]
    fn wrong_sizes_are_errors() {
        assert!(grid(&[0.0; 11], layout(2, 5)).is_err());
        assert!(grid(&[], layout(0, 5)).is_err());
        assert!(grid(&[0.0; 12], layout(2, 0)).is_err());
        let error = pairs(&[0.0; 12], &[0.0; 6], layout(2, 5)).unwrap_err();
        assert!(error.to_string().contains("2 reconstructions of 2×3"), "{error}");
        let huge = Layout { scale: usize::MAX, ..layout(2, 5) };
        assert!(grid(&[0.0; 12], huge).is_err());
    }

    #[test]
    fn small_images_are_enlarged_more() {
        assert_eq!(Layout::new(1, 8, 8, 1).scale, 7);
        assert_eq!(Layout::new(1, 28, 28, 1).scale, 2);
    }
}
