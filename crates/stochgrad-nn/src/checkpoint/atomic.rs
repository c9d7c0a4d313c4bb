//! Atomic replacement of a file.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{NnError, NnResult};

/// The end of the name of a temporary file.
const SUFFIX: &str = ".stochgrad-tmp";

/// The number of random letters and digits in the name of a temporary file. A name that other code chooses has another
/// length or contains another character, so that leftovers are recognised exactly.
const RANDOM: usize = 16;

/// The number of symbolic links that are followed, as in Linux.
const MOST_LINKS: usize = 40;

/// The number of temporary files that are created if other processes remove them.
const ATTEMPTS: usize = 64;

/// Replaces a file as a whole: a reader sees either the old content or the new one, never a part.
///
/// The content is written by `write` to a temporary file in the same folder, flushed to the disk, and renamed to
/// `path`. If `write` or any other step fails, an existing file keeps its content, and the temporary file is removed.
/// Several threads and processes may write to the same path or to similar ones at the same time; the last one to finish
/// determines the content.
///
/// * *Temporary files.* Their names are `.NAME.RANDOM.stochgrad-tmp`, with 16 random letters and digits. They are
///   created, never opened, so that a file or link that exists under such a name is not written to. If the process is
///   killed, the temporary file remains; the next call with the same path, or [`remove_unfinished`], removes it.
/// * *Symbolic links.* A link is kept, and the file that it names is replaced. If the link dangles, this file is created,
///   as far as its folder exists.
/// * *Permissions.* Those of an existing file are kept. A new file gets the default permissions of the process.
///
/// # Errors
///
/// [`NnError::Io`], with the error of `write` or of the system, if the file cannot be written or `path` is not a regular
/// file. [`NnError::InvalidArgument`] for a path without a file name.
///
/// ```
/// use std::io::Write;
///
/// use stochgrad_nn::write_atomically;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("loss.csv");
/// write_atomically(&path, |file| file.write_all(b"epoch,loss\n1,0.5\n"))?;
/// assert_eq!(std::fs::read_to_string(&path)?, "epoch,loss\n1,0.5\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomically(path: impl AsRef<Path>, write: impl FnOnce(&mut File) -> io::Result<()>) -> NnResult<()> {
    let path = path.as_ref();
    if path.file_name().is_none() {
        return Err(NnError::argument(
            "`path` of a file to write",
            "a path that ends in a file name",
            format!("`{}`", path.display()),
            "add a file name",
        ));
    }
    replace(path, write).map_err(|source| {
        let hint = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space; an existing file was not changed"
            }
            io::ErrorKind::NotFound => "create the folder first",
            io::ErrorKind::IsADirectory => "pass the path of a file, not of a folder",
            _ => "check the folder, its permissions and the free space; an existing file was not changed",
        };
        NnError::io("write", path, hint, source)
    })
}

/// Removes the temporary files that killed processes left while they wrote to `path` with [`write_atomically`].
///
/// A program calls this when it starts, for files that it may not write again. Other files, and the temporary files of
/// living processes, stay. What cannot be removed is left without an error.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// stochgrad_nn::remove_unfinished(folder.path().join("model.safetensors"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn remove_unfinished(path: impl AsRef<Path>) {
    if let Ok(target) = target(path.as_ref())
        && let Some((folder, prefix)) = place(&target)
    {
        remove_leftovers(&folder, &prefix);
    }
}

fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let target = target(path)?;
    let existing = fs::metadata(&target).ok();
    if let Some(existing) = &existing
        && !existing.is_file()
    {
        return Err(match existing.is_dir() {
            true => io::ErrorKind::IsADirectory.into(),
            false => io::Error::new(io::ErrorKind::InvalidInput, "expected a regular file, got a special file"),
        });
    }
    let Some((folder, prefix)) = place(&target) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the link does not name a file"));
    };
    remove_leftovers(&folder, &prefix);
    let permissions = existing.map_or_else(default_permissions, |file| Some(file.permissions()));
    let mut temporary = temporary(&folder, &prefix, permissions)?;
    write(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    temporary.persist(&target).map_err(|error| error.error)?;
    // The new file is complete at this point. Some file systems cannot flush a folder, which is not an error.
    if let Ok(folder) = File::open(&folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

/// The path of the file that `path` names, which need not exist.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        if !fs::symlink_metadata(&target).is_ok_and(|found| found.is_symlink()) {
            return Ok(target);
        }
        let link = fs::read_link(&target)?;
        target = target.parent().unwrap_or(Path::new("")).join(link);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "too many symbolic links"))
}

/// The folder of a file, and the start of the names of its temporary files.
fn place(target: &Path) -> Option<(PathBuf, OsString)> {
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name()?);
    prefix.push(".");
    Some((folder, prefix))
}

/// A new temporary file. It is locked, which tells other processes that it is in use.
fn temporary(folder: &Path, prefix: &OsStr, permissions: Option<Permissions>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(SUFFIX).rand_bytes(RANDOM);
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    for _ in 0..ATTEMPTS {
        let temporary = builder.tempfile_in(folder)?;
        // Some file systems have no locks. Leftovers stay there, since none can be locked to be removed.
        temporary.as_file().lock().ok();
        // Another process may have taken the file for a leftover before it was locked.
        if is_there(&temporary)? {
            return Ok(temporary);
        }
    }
    Err(io::Error::other("other processes remove the temporary file"))
}

/// Whether the path of a temporary file still leads to it.
#[cfg(unix)]
fn is_there(temporary: &NamedTempFile) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let opened = temporary.as_file().metadata()?;
    let found = fs::symlink_metadata(temporary.path());
    Ok(found.is_ok_and(|found| (found.dev(), found.ino()) == (opened.dev(), opened.ino())))
}

#[cfg(not(unix))]
fn is_there(temporary: &NamedTempFile) -> io::Result<bool> {
    temporary.path().try_exists()
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

/// Removes the temporary files that killed processes left for the same path.
fn remove_leftovers(folder: &Path, prefix: &OsStr) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if is_temporary(&entry.file_name(), prefix) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            remove_if_unlocked(&entry.path());
        }
    }
}

/// Whether this is the name of a temporary file: the prefix, 16 letters or digits, and the suffix.
fn is_temporary(name: &OsStr, prefix: &OsStr) -> bool {
    let random = name
        .as_encoded_bytes()
        .strip_prefix(prefix.as_encoded_bytes())
        .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
    random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
}

/// Removes a temporary file, unless a process is writing to it.
fn remove_if_unlocked(path: &Path) {
    // The lock is held until the file is removed, so that a process that has just created it notices.
    if let Ok(file) = File::open(path)
        && file.try_lock().is_ok()
    {
        fs::remove_file(path).ok();
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
        let others = [
            ".file.0123456789abcde.stochgrad-tmp",
            ".file.0123456789abcdefg.stochgrad-tmp",
            ".file.0123456789abcd.f.stochgrad-tmp",
            ".file.best.0123456789abcdef.stochgrad-tmp",
            ".file.txt",
            ".other.0123456789abcdef.stochgrad-tmp",
            "file.0123456789abcdef.stochgrad-tmp",
            "file.stochgrad-tmp",
        ];
        let leftovers = [".file.0123456789abcdef.stochgrad-tmp", ".file.ABCDEFGHIJKLMNOP.stochgrad-tmp"];
        for remove in [
            (&|path| write_atomically(path, |file| file.write_all(b"new")).unwrap()) as &dyn Fn(PathBuf),
            &remove_unfinished,
        ] {
            for name in others.iter().chain(&leftovers) {
                fs::write(folder.path().join(name), "x").unwrap();
            }
            remove(folder.path().join("file"));
            let mut expected: Vec<OsString> = others.iter().map(OsString::from).collect();
            expected.push("file".into());
            expected.sort();
            assert_eq!(names(folder.path()), expected);
        }
    }

    #[test]
    fn saves_in_progress_are_no_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, |first| {
            first.write_all(b"first")?;
            remove_unfinished(&path);
            write_atomically(&path, |second| second.write_all(b"second")).map_err(io::Error::other)?;
            assert_eq!(fs::read_to_string(&path)?, "second");
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn saves_at_the_same_time_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["model", "model", "model.best", "model.best.safetensors", "run", "run.safetensors"];
        std::thread::scope(|scope| {
            for (number, name) in paths.into_iter().enumerate() {
                let path = folder.path().join(name);
                let content = vec![b'0' + number as u8; 100 + number];
                scope.spawn(move || {
                    for _ in 0..50 {
                        write_atomically(&path, |file| file.write_all(&content)).unwrap();
                        let found = fs::read(&path).unwrap();
                        assert!(found.len() == 100 + usize::from(found[0] - b'0'));
                        assert!(found.iter().all(|byte| *byte == found[0]));
                    }
                });
            }
        });
        assert_eq!(names(folder.path()), &paths[1..]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_dangle_are_kept_and_their_file_is_created() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("store")).unwrap();
        symlink("middle", at("link")).unwrap();
        symlink("store/file", at("middle")).unwrap();
        let leftover = at("store").join(".file.0123456789abcdef.stochgrad-tmp");
        fs::write(&leftover, "x").unwrap();
        for content in ["first", "second"] {
            write_atomically(at("link"), |file| file.write_all(content.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(at("store").join("file")).unwrap(), content);
        }
        assert!(!leftover.exists());
        assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("middle"));
        assert_eq!(fs::read_link(at("middle")).unwrap(), Path::new("store/file"));

        symlink("none/file", at("nowhere")).unwrap();
        let message = write_atomically(at("nowhere"), |_| Ok(())).unwrap_err().to_string();
        assert!(message.contains("create the folder first"), "{message}");
        assert!(at("nowhere").is_symlink());
        symlink("circle", at("circle")).unwrap();
        let message = write_atomically(at("circle"), |_| Ok(())).unwrap_err().to_string();
        assert!(message.contains("too many symbolic links"), "{message}");
        let message = write_atomically("/dev/null", |_| Ok(())).unwrap_err().to_string();
        assert!(message.contains("special file"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn planted_links_are_neither_followed_nor_removed() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, folder.path().join(".file.0123456789abcdef.stochgrad-tmp")).unwrap();
        write_atomically(folder.path().join("file"), |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
        assert_eq!(names(folder.path()).len(), 3);
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
