//! Runs the few programs of the host that a build leans on, and says which package has one that is absent.

use crate::Error;
use crate::error::Doing;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs and the Debian packages that bring them.
const PACKAGES: &[(&str, &str)] = &[
    ("apt-cache", "apt"),
    ("apt-config", "apt"),
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("fakeroot", "fakeroot"),
    ("grub-mkimage", "grub-common"),
    ("mcopy", "mtools"),
    ("mformat", "mtools"),
    ("mke2fs", "e2fsprogs"),
    ("mmd", "mtools"),
    ("mmdebstrap", "mmdebstrap"),
    ("tar", "tar"),
];

/// How many bytes of a failed program's complaints are shown.
const SHOWN: usize = 4000;

/// A command for `program`, found in `PATH` or in the directories that an ordinary user's `PATH` lacks.
///
/// # Errors
/// [`Error::NoProgram`] with the package to install.
pub(crate) fn program(name: &str) -> Result<Command, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    let found = env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file());
    let found = found.ok_or_else(|| Error::NoProgram { program: name.into(), package: package(name) })?;
    let mut command = Command::new(found);
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    Ok(command)
}

fn package(program: &str) -> &'static str {
    PACKAGES.iter().find(|(name, _)| *name == program).map_or("(unknown package)", |(_, package)| package)
}

/// Runs a command to its end and returns what it wrote to standard output.
///
/// # Errors
/// [`Error::Program`] with the end of its standard error when it fails; `doing` completes "while we wanted to".
pub(crate) fn output(command: &mut Command, doing: &str) -> Result<Vec<u8>, Error> {
    let name = Path::new(command.get_program()).to_path_buf();
    let output = command.output().doing("run", &name)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failure(&name, &output.status.to_string(), doing, &output.stderr))
}

fn failure(program: &Path, status: &str, doing: &str, stderr: &[u8]) -> Error {
    let tail = &stderr[stderr.len().saturating_sub(SHOWN)..];
    let name = program.file_name().unwrap_or(program.as_os_str());
    Error::Program {
        program: name.to_string_lossy().into_owned(),
        status: status.into(),
        doing: doing.into(),
        stderr: String::from_utf8_lossy(tail).trim_end().into(),
    }
}

/// Like [`output`], as text.
///
/// # Errors
/// As [`output`], or when the program did not write UTF-8.
pub(crate) fn text(command: &mut Command, doing: &str) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let bytes = output(command, doing)?;
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "its output is not UTF-8");
    String::from_utf8(bytes).map_err(wrong).doing("read the output of", Path::new(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_program_names_its_package() {
        let error = program("no-such-program").unwrap_err();
        assert!(error.to_string().contains("`no-such-program`"), "{error}");
        assert_eq!(package("mcopy"), "mtools");
    }

    #[test]
    fn a_failure_shows_what_the_program_said() {
        let error = output(program("sh").unwrap().args(["-c", "echo oops >&2; exit 3"]), "test").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`sh` failed (exit status: 3) while we wanted to test") && text.contains("oops")
        );
    }

    #[test]
    fn standard_output_is_returned() {
        assert_eq!(text(program("sh").unwrap().args(["-c", "echo hello"]), "test").unwrap(), "hello\n");
    }
}
