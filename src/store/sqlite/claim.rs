//! One daemon for one store: two would each hear of half the changes, and neither would know.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::store::StoreError;

/// Held until it is dropped, or its process ends.
pub fn claim(store: &Path) -> Result<File, StoreError> {
    let mut name = store.as_os_str().to_owned();
    name.push(".lock");
    let path = Path::new(&name);
    let failed = |reason: String| StoreError::Failed(format!("{} cannot be locked: {reason}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| failed(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Failed(format!(
            "another daemon works on {}; stop it, or give this one a store of its own",
            store.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error.to_string())),
    }
}
