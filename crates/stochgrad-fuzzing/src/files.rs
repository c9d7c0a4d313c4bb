//! Files: IDX and checkpoints.

use std::fs;
use std::path::Path;

use stochgrad_nn::data::{Images, read_idx_images, read_idx_labels, write_idx_images, write_idx_labels};
use stochgrad_nn::{Checkpoint, NnResult};

use crate::{Outcome, refused};

/// Reads the bytes as IDX files. What is accepted is written again, to the same bytes. Files are written to `folder`.
pub fn idx(bytes: &[u8], folder: &Path) -> Outcome {
    let (path, copy) = (folder.join("input.idx"), folder.join("copy.idx"));
    fs::write(&path, bytes).expect("a folder for files");
    let images = read_idx_images(&path).and_then(|images| {
        let labels = vec![0; images.count];
        let images = Images::new(images.pixels, labels, images.rows, images.columns, u8::MAX)?;
        write_idx_images(&copy, &images)
    });
    let labels = read_idx_labels(&path).and_then(|labels| write_idx_labels(&copy, &labels));
    assert!(images.is_err() || labels.is_err(), "images and labels at once");
    both(&copy, bytes, images.or(labels))
}

/// Reads the bytes as a checkpoint. What is accepted is written again and read back to the same content.
pub fn checkpoint(bytes: &[u8], folder: &Path) -> Outcome {
    let (path, copy) = (folder.join("input.safetensors"), folder.join("copy.safetensors"));
    fs::write(&path, bytes).expect("a folder for files");
    let loaded = match Checkpoint::load(&path) {
        Ok(loaded) => loaded,
        Err(error) => return refused(error),
    };
    loaded.save(&copy).expect("a checkpoint that was loaded can be saved");
    let again = Checkpoint::load(&copy).expect("a checkpoint that was saved can be loaded");
    assert_eq!(again.all_metadata(), loaded.all_metadata());
    assert!(again.tensors().keys().eq(loaded.tensors().keys()));
    let first = fs::read(&copy).expect("a file that was just saved");
    again.save(&copy).expect("a checkpoint that was loaded can be saved");
    assert!(fs::read(&copy).expect("a file that was just saved") == first, "equal checkpoints give other files");
    Outcome::Accepted
}

fn both(copy: &Path, bytes: &[u8], written: NnResult<()>) -> Outcome {
    match written {
        Ok(()) => {
            assert!(fs::read(copy).expect("a file that was just written") == bytes, "another file was written");
            Outcome::Accepted
        }
        Err(error) => refused(error),
    }
}
