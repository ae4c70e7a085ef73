//! One owner at a time: an advisory lock on a file beside the database.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::error::OpenError;

/// The lock, for as long as it lives. The file stays: removing it would let two processes lock two files.
#[derive(Debug)]
pub(crate) struct Owner {
    _file: File,
}

impl Owner {
    /// Takes the lock of the database at `path`.
    pub(crate) fn lock(path: &Path) -> Result<Self, OpenError> {
        let name = lock_path(path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)
            .map_err(|error| cannot_write(path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let by = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(OpenError::Locked { path: path.into(), by });
            }
            Err(TryLockError::Error(source)) => {
                return Err(OpenError::Io { path: name, source });
            }
        }
        // Only a help for the message above, so a full disk does not matter here.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// `<path>.lock`.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// What an IO error on opening means to whoever reads the message.
pub(crate) fn cannot_write(path: &Path, error: std::io::Error) -> OpenError {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    match error.kind() {
        PermissionDenied | ReadOnlyFilesystem => OpenError::ReadOnly { path: path.into(), why: error.to_string() },
        NotFound => OpenError::ReadOnly { path: path.into(), why: "its folder does not exist".into() },
        _ => OpenError::Io { path: path.into(), source: error },
    }
}
