//! Atomic replacement of a file.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{NnError, NnResult};

const SUFFIX: &str = ".stochgrad-tmp";

/// Writes a temporary file in the same folder, flushes it to the disk, and then replaces the file with it.
///
/// If `write` or any other step fails, an existing file keeps its content and the temporary file is removed. Symbolic
/// links are followed, and the permissions of an existing file are kept.
pub(crate) fn write_atomically(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> NnResult<()> {
    let Some(name) = path.file_name() else {
        return Err(NnError::argument(
            "`path` of a file to write",
            "a path that ends in a file name",
            format!("`{}`", path.display()),
            "add a file name",
        ));
    };
    replace(path, name, write).map_err(|source| {
        let hint = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space; an existing file was not changed"
            }
            io::ErrorKind::NotFound => {
                "create the folder first, and make sure that only one process saves to the path at a time"
            }
            io::ErrorKind::IsADirectory => "pass the path of a file, not of a folder",
            _ => "check the folder, its permissions and the free space; an existing file was not changed",
        };
        NnError::io("write", path, hint, source)
    })
}

fn replace(path: &Path, name: &OsStr, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let existing = fs::metadata(&target).ok();
    if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name().unwrap_or(name));
    prefix.push(".");
    remove_leftovers(&folder, &prefix);

    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX);
    if let Some(permissions) = existing.map_or_else(default_permissions, |file| Some(file.permissions())) {
        builder.permissions(permissions);
    }
    let mut temporary = builder.tempfile_in(&folder)?;
    write(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    temporary.persist(&target).map_err(|error| error.error)?;
    // The new file is complete at this point. Some file systems cannot flush a folder, which is not an error.
    if let Ok(folder) = File::open(&folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

/// Gives the file the default permissions of the umask. Temporary files are private otherwise.
#[cfg(unix)]
fn default_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn default_permissions() -> Option<Permissions> {
    None
}

/// Removes the temporary files that a killed process left for the same path.
fn remove_leftovers(folder: &Path, prefix: &OsStr) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(SUFFIX.as_bytes()) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in ["a longer first text", "second"] {
            write_atomically(&path, |file| file.write_all(content.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        let error = write_atomically(&path, |file| {
            file.write_all(b"third")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_panic_in_between_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, |file| file.write_all(b"old")).unwrap();
        let outcome = std::panic::catch_unwind(|| {
            write_atomically(&path, |file| {
                file.write_all(b"new")?;
                panic!("interrupted")
            })
        });
        assert!(outcome.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn leftovers_of_a_killed_process_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let others = [".file.txt", ".other.abc123.stochgrad-tmp", "file.stochgrad-tmp"];
        for name in others.iter().chain(&[".file.abc123.stochgrad-tmp"]) {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        write_atomically(&folder.path().join("file"), |file| file.write_all(b"new")).unwrap();
        let mut expected: Vec<OsString> = others.iter().map(OsString::from).collect();
        expected.push("file".into());
        expected.sort();
        assert_eq!(names(folder.path()), expected);
    }

    #[test]
    fn unusable_paths_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &Path| write_atomically(path, |file| file.write_all(b"x"));
        let message = write(&folder.path().join("none/file")).unwrap_err().to_string();
        assert!(message.contains("create the folder first"), "{message}");
        fs::create_dir(folder.path().join("folder")).unwrap();
        let message = write(&folder.path().join("folder")).unwrap_err().to_string();
        assert!(message.contains("not of a folder"), "{message}");
        assert!(write(Path::new("/")).is_err());
        assert_eq!(names(folder.path()), ["folder"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_are_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        write_atomically(&link, |file| file.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o640);

        let (plain, atomic) = (folder.path().join("plain"), folder.path().join("atomic"));
        fs::write(&plain, "x").unwrap();
        write_atomically(&atomic, |file| file.write_all(b"x")).unwrap();
        assert_eq!(mode(&atomic), mode(&plain));
    }
}
