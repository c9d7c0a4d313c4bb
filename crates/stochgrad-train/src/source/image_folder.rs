//! Folders of PNG files.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use png::{ColorType, Decoder, Transformations};
use stochgrad_nn::{Inputs, NnError};
use stochgrad_tensor::{Real, Tensor};

use super::{Epoch, MinibatchIter, OwnMembers, Source};
use crate::error::{TrainError, TrainResult};

/// The largest number of bytes of an image, so that a damaged header does not exhaust the memory.
const LARGEST: usize = 1 << 28;

/// Images of one size in a folder of PNG files.
///
/// If the folder contains folders, each of them is a class with the name of the folder, and the label of an image is the
/// number of its class in alphabetical order. Otherwise, the images have no labels. Within a class, images are in the
/// order of their names. Files with other endings than `.png` are skipped.
///
/// The inputs are `images`, with intensities in [0, 1] and shape `[members, height, width, channels]`, and `labels`, with
/// shape `[members]`. There is one channel for grey images and three for colours (red, green, blue). 16 bits are
/// reduced to 8.
///
/// ```
/// use stochgrad_nn::data::Digits;
/// use stochgrad_train::output::ImageGrid;
/// use stochgrad_train::source::ImageFolder;
/// use stochgrad_train::{Epoch, Source};
///
/// let folder = tempfile::tempdir()?;
/// let (digits, _) = Digits::embedded().split_at(10)?;
/// for index in 0..10 {
///     let class = folder.path().join(digits.labels()[index].to_string());
///     std::fs::create_dir_all(&class)?;
///     let picture = ImageGrid::new(8, 8).draw(&digits.select(&[index])?.intensities::<f32>()?)?;
///     picture.save(class.join(format!("{index}.png")))?;
/// }
/// let images = ImageFolder::read(folder.path())?;
/// assert_eq!((images.len(), images.shape()), (10, [60, 60, 1]));
/// assert_eq!(images.classes().len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFolder {
    /// All images, each row by row, with the channels as the last axis.
    pixels: Vec<u8>,
    /// The height, the width and the number of channels.
    shape: [usize; 3],
    classes: Vec<String>,
    /// The number of the class of each image; empty without classes.
    labels: Vec<usize>,
}

impl ImageFolder {
    /// Reads all images of a folder.
    ///
    /// # Errors
    ///
    /// If there are no images, for a file that cannot be read, and for images that differ in size, in their number of
    /// channels, or that are transparent. The error names the file.
    pub fn read(folder: impl AsRef<Path>) -> TrainResult<Self> {
        let folder = folder.as_ref();
        let (folders, files) = entries(folder)?;
        let mut images = Self { pixels: Vec::new(), shape: [0; 3], classes: Vec::new(), labels: Vec::new() };
        let mut first = None;
        if folders.is_empty() {
            files.iter().try_for_each(|file| images.add(&mut first, file))?;
        }
        for (class, path) in folders.iter().enumerate() {
            let files = entries(path)?.1;
            if files.is_empty() {
                return Err(TrainError::content(
                    path,
                    "PNG files of a class",
                    "none",
                    "remove the folder, or add images",
                ));
            }
            for file in files {
                images.add(&mut first, &file)?;
                images.labels.push(class);
            }
            let name = path.file_name().unwrap_or_default();
            images.classes.push(name.to_string_lossy().into_owned());
        }
        if !folders.is_empty() && !files.is_empty() {
            let found = format!("both, such as {}", files[0].display());
            let hint = "move the images into the folders of their classes";
            return Err(TrainError::content(folder, "either PNG files or folders, one for each class", found, hint));
        }
        if first.is_none() {
            return Err(TrainError::content(folder, "PNG files, or folders of them", "none", "check the path"));
        }
        Ok(images)
    }

    /// Adds an image, which must have the shape of the first one.
    fn add(&mut self, first: &mut Option<PathBuf>, path: &Path) -> TrainResult<()> {
        let shape = decode(path, &mut self.pixels)?;
        match first {
            None => (self.shape, *first) = (shape, Some(path.to_owned())),
            Some(first) if shape != self.shape => {
                let words = |[height, width, channels]: [usize; 3]| format!("{height} x {width} x {channels}");
                return Err(TrainError::content(
                    path,
                    format!("height, width and channels {}, as in {}", words(self.shape), first.display()),
                    words(shape),
                    "convert all images to one size and kind",
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.size()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// The height, the width and the number of channels of each image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The names of the classes, in the order of the labels. It is empty if the folder has no folders.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The number of bytes of an image.
    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The inputs of a minibatch.
    fn inputs<F: Real>(&self, members: &[usize]) -> TrainResult<Inputs<F>> {
        let [height, width, channels] = self.shape;
        let most = F::from_f64(f64::from(u8::MAX));
        let part = self.select(members)?;
        let intensities = part.pixels.iter().map(|&pixel| F::from_f64(f64::from(pixel)) / most).collect();
        let images = Tensor::new(intensities, [members.len(), height, width, channels]).map_err(NnError::from)?;
        let inputs = Inputs::new().batch("images", images);
        if self.classes.is_empty() {
            return Ok(inputs);
        }
        Ok(inputs.batch("labels", Tensor::from_fn([members.len()], |i| F::from_f64(part.labels[i] as f64))))
    }

    /// The images at some indices, in that order. An index may occur more than once.
    ///
    /// # Errors
    ///
    /// If an index is out of range.
    pub fn select(&self, indices: &[usize]) -> TrainResult<Self> {
        let size = self.size();
        let mut selected = Self { pixels: Vec::new(), labels: Vec::new(), classes: self.classes.clone(), ..*self };
        for &index in indices {
            if index >= self.len() {
                return Err(TrainError::argument(
                    "`indices` of `ImageFolder::select`",
                    format!("indices below {}, the number of images", self.len()),
                    index.to_string(),
                    "pass indices of images",
                ));
            }
            selected.pixels.extend_from_slice(&self.pixels[index * size..][..size]);
            selected.labels.extend(self.labels.get(index));
        }
        Ok(selected)
    }

    /// A random part of `count` images, and the rest. The parts are a function of the seed.
    ///
    /// # Errors
    ///
    /// If `count` exceeds the number of images.
    pub fn split_randomly(&self, count: usize, seed: u64) -> TrainResult<(Self, Self)> {
        let order: Vec<usize> = Epoch::shuffled(0, self.len().max(1), seed).indices(self.len())?.flatten().collect();
        let Some((first, rest)) = order.split_at_checked(count) else {
            return Err(TrainError::argument(
                "`count` of `ImageFolder::split_randomly`",
                format!("at most {}, the number of images", self.len()),
                count.to_string(),
                "request fewer images",
            ));
        };
        Ok((self.select(first)?, self.select(rest)?))
    }
}

impl<F: Real> Source<F> for ImageFolder {
    fn size(&self) -> Option<usize> {
        Some(self.len())
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>> {
        Ok(Box::new(epoch.indices(self.len())?.map(|members| self.inputs(&members))))
    }

    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, F>> {
        Ok(Box::new(epoch.indices(self.len())?.map(move |members| {
            let (own, count) = (own(members.len()), members.len());
            Ok(self.inputs(&members[own.clone()])?.part_of_batch(own.start, count))
        })))
    }

    fn rows(&self) -> TrainResult<Option<Inputs<F>>> {
        self.inputs(&(0..self.len()).collect::<Vec<_>>()).map(Some)
    }
}

/// The folders and the PNG files in a folder, in the order of their names. Hidden ones are skipped.
fn entries(folder: &Path) -> TrainResult<(Vec<PathBuf>, Vec<PathBuf>)> {
    let unreadable = |error| TrainError::io("list", folder, "pass the path of a folder with PNG files", error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    paths.sort();
    let (folders, mut files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    files.retain(|path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")));
    Ok((folders, files))
}

/// Appends the pixels of a file, and returns its shape.
fn decode(path: &Path, pixels: &mut Vec<u8>) -> TrainResult<[usize; 3]> {
    let file = File::open(path).map_err(|error| TrainError::io("read", path, "check its permissions", error))?;
    let damaged = |error: png::DecodingError| {
        TrainError::content(path, "a PNG file", error.to_string(), "convert the file, or move it to another folder")
    };
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let Some(size) = reader.output_buffer_size().filter(|&size| size <= LARGEST) else {
        let (width, height) = (reader.info().width, reader.info().height);
        let found = format!("{height} x {width} pixels");
        return Err(TrainError::content(
            path,
            format!("an image of at most {LARGEST} bytes"),
            found,
            "make it smaller",
        ));
    };
    let mut image = vec![0; size];
    let frame = reader.next_frame(&mut image).map_err(damaged)?;
    image.truncate(frame.buffer_size());
    let (channels, has_alpha) = match frame.color_type {
        ColorType::Grayscale => (1, false),
        ColorType::GrayscaleAlpha => (1, true),
        ColorType::Rgba => (3, true),
        // Palettes have been expanded.
        ColorType::Rgb | ColorType::Indexed => (3, false),
    };
    if has_alpha {
        for pixel in image.chunks_exact(channels + 1) {
            if pixel[channels] != u8::MAX {
                return Err(TrainError::content(
                    path,
                    "an opaque image",
                    "a transparent one",
                    "remove the transparency",
                ));
            }
            pixels.extend_from_slice(&pixel[..channels]);
        }
    } else {
        pixels.extend_from_slice(&image);
    }
    Ok([frame.height as usize, frame.width as usize, channels])
}

#[cfg(test)]
mod tests {
    use png::BitDepth;

    use super::*;

    fn save(path: &Path, [height, width]: [u32; 2], kind: ColorType, depth: BitDepth, data: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut encoder = png::Encoder::new(File::create(path).unwrap(), width, height);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        if kind == ColorType::Indexed {
            encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
    }

    fn grey(path: &Path, data: &[u8; 6]) {
        save(path, [2, 3], ColorType::Grayscale, BitDepth::Eight, data);
    }

    fn error(folder: &Path) -> String {
        ImageFolder::read(folder).unwrap_err().to_string()
    }

    #[test]
    fn folders_are_classes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        grey(&at("cat/b.png"), &[6; 6]);
        grey(&at("cat/a.PNG"), &[0, 51, 102, 153, 204, 255]);
        grey(&at("ant/z.png"), &[3; 6]);
        fs::write(at("cat/notes.txt"), "x").unwrap();
        fs::write(at(".hidden"), "x").unwrap();
        let images = ImageFolder::read(folder.path()).unwrap();
        assert_eq!((images.len(), images.shape(), images.is_empty()), (3, [2, 3, 1], false));
        assert_eq!(images.classes(), ["ant", "cat"]);
        assert_eq!((&images.labels[..], &images.pixels[..6]), (&[0, 1, 1][..], &[3; 6][..]));
        let minibatch: Inputs<f64> = images.minibatches(Epoch::in_order(2)).unwrap().next().unwrap().unwrap();
        assert_eq!(minibatch.get("images").unwrap().shape()[..], [2, 2, 3, 1]);
        assert_eq!(minibatch.get("images").unwrap().as_slice()[6..], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(*minibatch.get("labels").unwrap(), Tensor::from([0.0, 1.0]));

        let (first, rest) = images.split_randomly(1, 5).unwrap();
        let mut labels = [first.labels.clone(), rest.labels.clone()].concat();
        labels.sort_unstable();
        assert_eq!((first.len(), rest.len(), labels), (1, 2, vec![0, 1, 1]));
        assert!(images.split_randomly(4, 5).unwrap_err().to_string().contains("at most 3"));
        assert!(images.select(&[3]).unwrap_err().to_string().contains("below 3"));
    }

    #[test]
    fn every_kind_of_png_is_converted() {
        let cases: [(ColorType, BitDepth, &[u8], &[u8]); 6] = [
            (ColorType::Grayscale, BitDepth::Sixteen, &[1, 9, 2, 9], &[1, 2]),
            (ColorType::Grayscale, BitDepth::One, &[0b0100_0000], &[0, 255]),
            (ColorType::GrayscaleAlpha, BitDepth::Eight, &[7, 255, 8, 255], &[7, 8]),
            (ColorType::Rgb, BitDepth::Eight, &[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6]),
            (ColorType::Rgba, BitDepth::Eight, &[1, 2, 3, 255, 4, 5, 6, 255], &[1, 2, 3, 4, 5, 6]),
            (ColorType::Indexed, BitDepth::Eight, &[1, 0], &[40, 50, 60, 10, 20, 30]),
        ];
        for (kind, depth, data, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            save(&folder.path().join("a.png"), [1, 2], kind, depth, data);
            let images = ImageFolder::read(folder.path()).unwrap();
            assert_eq!((&images.pixels[..], images.shape()), (expected, [1, 2, expected.len() / 2]), "{kind:?}");
            let minibatch: Inputs<f32> = images.minibatches(Epoch::in_order(2)).unwrap().next().unwrap().unwrap();
            assert_eq!(minibatch.names().collect::<Vec<_>>(), ["images"]);
        }
    }

    #[test]
    fn unusable_folders_are_errors_that_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(error(&at("missing")).contains("missing"));
        assert!(error(folder.path()).contains("got none"));
        grey(&at("a.png"), &[0; 6]);
        save(&at("b.png"), [3, 2], ColorType::Grayscale, BitDepth::Eight, &[0; 6]);
        let message = error(folder.path());
        assert!(message.contains("b.png: expected height, width and channels 2 x 3 x 1, as in"), "{message}");
        assert!(message.contains("a.png, got 3 x 2 x 1"), "{message}");
        save(&at("b.png"), [2, 3], ColorType::Rgba, BitDepth::Eight, &[9; 24]);
        assert!(error(folder.path()).contains("transparent"));
        let whole = fs::read(at("a.png")).unwrap();
        fs::write(at("b.png"), &whole[..whole.len() - 20]).unwrap();
        assert!(error(folder.path()).contains("b.png: expected a PNG file"));
        fs::remove_file(at("b.png")).unwrap();
        fs::create_dir(at("class")).unwrap();
        assert!(error(folder.path()).contains("PNG files of a class"));
        grey(&at("class/a.png"), &[0; 6]);
        assert!(error(folder.path()).contains("got both"));
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mut encoder = png::Encoder::new(File::create(&path).unwrap(), 1 << 20, 1 << 20);
        encoder.set_color(ColorType::Grayscale);
        encoder.write_header().unwrap().write_chunk(png::chunk::IDAT, &[0]).unwrap();
        let message = error(folder.path());
        assert!(message.contains("a.png") && message.contains("1048576 x 1048576"), "{message}");
    }
}
