//! Key logs on disk, in a folder that Wireshark can take as its configuration.

use alloc::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The two tables `ikev2_decryption_table` and `esp_sa` in one folder. They hold secrets: on Unix only their owner may
/// read them. It may be shared between threads; a line is on disk when the call returns, and each line is there once.
#[derive(Debug)]
pub struct KeyLog {
    tables: Mutex<Tables>,
}

struct Tables {
    ikev2: File,
    esp: File,
    seen: BTreeSet<String>,
}

impl core::fmt::Debug for Tables {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tables").field("lines", &self.seen.len()).finish_non_exhaustive()
    }
}

impl KeyLog {
    /// Makes the folder if need be, and both files empty.
    ///
    /// # Errors
    /// The folder or a file cannot be written.
    pub fn create(folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder)?;
        let ikev2 = private_file(&folder.join("ikev2_decryption_table"))?;
        let esp = private_file(&folder.join("esp_sa"))?;
        Ok(Self { tables: Mutex::new(Tables { ikev2, esp, seen: BTreeSet::new() }) })
    }

    /// Adds a line of `ikev2_decryption_table`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn ikev2(&self, line: &str) -> io::Result<()> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        match tables.seen.insert(line.to_owned()) {
            true => writeln!(tables.ikev2, "{line}"),
            false => Ok(()),
        }
    }

    /// Adds a line of `esp_sa`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn esp(&self, line: &str) -> io::Result<()> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        match tables.seen.insert(line.to_owned()) {
            true => writeln!(tables.esp, "{line}"),
            false => Ok(()),
        }
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    // Permissions count only when a file is made.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_land_in_their_tables_once() {
        let folder = std::env::temp_dir().join(format!("testkit-keylog-{}", std::process::id()));
        let log = KeyLog::create(&folder).unwrap();
        log.ikev2("ike line").unwrap();
        log.esp("esp line").unwrap();
        log.esp("esp line").unwrap();
        log.esp("another").unwrap();
        let read = |name| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("ikev2_decryption_table"), "ike line\n");
        assert_eq!(read("esp_sa"), "esp line\nanother\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.join("esp_sa")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        // A second log starts anew.
        drop(KeyLog::create(&folder).unwrap());
        assert_eq!(read("esp_sa"), "");
        fs::remove_dir_all(folder).unwrap();
    }
}
