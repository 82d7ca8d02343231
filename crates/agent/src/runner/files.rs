//! The agent's files: the journal and the folders.

use super::Config;
use crate::session::journal::Journal;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Makes the state and runner folders and the `drpcli` that scripts find in their PATH.
pub fn prepare(config: &Config) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.state_dir)?;
    fs::create_dir_all(&config.runner_dir)?;
    fs::set_permissions(&config.runner_dir, fs::Permissions::from_mode(0o755))?;
    let tools = tools_dir(&config.runner_dir);
    fs::create_dir_all(&tools)?;
    let own = std::env::current_exe()?;
    for name in ["drpcli", "gantry-agent"] {
        let link = tools.join(name);
        let _ = fs::remove_file(&link);
        symlink(&own, &link)?;
    }
    Ok(())
}

/// Our folder below `base`, which the parameter `runner-tmpdir` names: made for everybody, like `/tmp`, where it is missing.
///
/// # Errors
/// When it cannot be made, or somebody else has put something else there.
pub fn runner_below(base: &Path, uuid: &str) -> io::Result<PathBuf> {
    if !base.exists() {
        fs::create_dir_all(base)?;
        fs::set_permissions(base, fs::Permissions::from_mode(0o1777))?;
    }
    let own = base.join(format!("gantry-runner-{uuid}"));
    match fs::DirBuilder::new().mode(0o755).create(&own) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(&own)?;
    // A folder for everybody is one where anybody may have been before us.
    if !found.is_dir() || found.uid() != fs::metadata("/proc/self")?.uid() {
        return Err(io::Error::other("it is not a folder of ours"));
    }
    Ok(own)
}

/// Folder with links to ourselves under the names that scripts use.
pub fn tools_dir(runner_dir: &Path) -> PathBuf {
    runner_dir.join("tools")
}

/// Reads the journal; a missing or broken one is an empty one.
pub fn load_journal(state_dir: &Path) -> Journal {
    fs::read(journal_path(state_dir))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// Writes the journal so that a crash leaves the old one or the new one.
pub fn save_journal(state_dir: &Path, journal: &Journal) -> io::Result<()> {
    let text = serde_json::to_vec(journal).map_err(io::Error::other)?;
    replace(&journal_path(state_dir), &text, 0o600)
}

fn journal_path(state_dir: &Path) -> PathBuf {
    state_dir.join("journal.json")
}

/// Replaces a file as a whole: temporary name, sync, rename.
pub fn replace(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::journal::Run;
    use crate::testing::TempDir;

    #[test]
    fn the_runners_folder_is_ours_or_nobodys() {
        let dir = TempDir::new();
        let base = dir.path().join("var/big");
        let own = runner_below(&base, "u").expect("folder");
        assert_eq!(runner_below(&base, "u").expect("again"), own);
        let mode = fs::metadata(&base).expect("base").permissions().mode();
        assert_eq!(mode & 0o7777, 0o1777);
        symlink("/etc", base.join("gantry-runner-v")).expect("trap");
        assert!(runner_below(&base, "v").is_err(), "a link of somebody else's is followed");
    }

    #[test]
    fn journal_comes_back_and_a_broken_one_is_empty() {
        let dir = TempDir::new();
        assert_eq!(load_journal(dir.path()), Journal::default());
        let journal = Journal { uuid: "u".into(), run: Run::Running("j".into()), ..Journal::default() };
        save_journal(dir.path(), &journal).expect("save");
        assert_eq!(load_journal(dir.path()), journal);
        let mode = fs::metadata(journal_path(dir.path())).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(journal_path(dir.path()), "{").expect("break");
        assert_eq!(load_journal(dir.path()), Journal::default());
    }
}
