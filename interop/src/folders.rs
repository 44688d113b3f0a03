//! Where a run works, and where it leaves what is worth keeping.

use std::fs;
use std::path::{Path, PathBuf};

use crate::netns;

/// The folder of this run, short enough for a socket's name; removed at the end.
pub(crate) struct WorkFolder(PathBuf);

impl WorkFolder {
    const PREFIX: &'static str = "ipsec-interop-";

    /// A new one; those of runs that were killed are removed.
    pub(crate) fn create() -> Result<Self, String> {
        let parent = std::env::temp_dir();
        for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix(Self::PREFIX).and_then(|pid| pid.parse::<u32>().ok());
            if owner.is_some_and(|pid| !netns::is_running_here(pid)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let dir = parent.join(format!("{}{}", Self::PREFIX, std::process::id()));
        fs::create_dir_all(&dir).map_err(|error| format!("no folder to work in: {error}"))?;
        Ok(WorkFolder(dir))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where logs and captures are kept: `interop` in the target folder this program was built into.
pub(crate) fn kept_folder() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = program.ancestors().nth(2).ok_or("the program stands in no target folder")?;
    Ok(target.join("interop"))
}

/// Copies the folder of a case to where it is kept.
pub(crate) fn keep(dir: &Path, kept: &Path, name: &str) {
    let to = kept.join(name);
    let _ = fs::remove_dir_all(&to);
    if let Err(error) = copy(dir, &to) {
        say!("  the logs of {name} cannot be kept: {error}");
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
