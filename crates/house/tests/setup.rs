//! What `scripts/setup.sh` says on a machine that lacks something: the machine is made of stand-ins for its programs.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

#[test]
fn the_script_wants_the_rust_that_the_manifest_and_the_readme_name() {
    let needed = needed_rust();
    assert!(read("Cargo.toml").contains(&format!("\nrust-version = \"{needed}\"\n")), "{needed}");
    assert!(read("README.md").contains(&format!(" Rust {needed} or newer")), "{needed}");
}

#[test]
fn without_rust_it_says_how_one_gets_it() {
    let said = Machine::new("none").refuses("demo");
    let needed = format!("no cargo in PATH: Rust {} or newer", needed_rust());
    assert!(said.contains(&needed) && said.contains("rustup.rs"), "{said}");
    let said = Machine::new("half").with("cargo", ":").refuses("demo");
    assert!(said.contains("no rustc in PATH"), "{said}");
}

#[test]
fn an_old_rust_is_named_with_its_place() {
    let machine =
        Machine::new("old").with("cargo", ":").with("rustc", "echo 'rustc 1.63.0 (abc 2022-08-08)'");
    let said = machine.refuses("demo");
    assert!(
        said.contains("Rust 1.63.0 (") && said.contains(&format!("at least {}", needed_rust())),
        "{said}"
    );
    let machine = Machine::new("no-default").with("cargo", ":").with("rustc", "return 1");
    let said = machine.refuses("demo");
    assert!(said.contains(&format!("rustc does not run: Rust {}", needed_rust())), "{said}");
}

#[test]
fn who_may_not_install_is_told_what_root_must() {
    let user = |name| Machine::rusty(name).with("dpkg-query", "return 1").with("id", "echo 1000");
    let machine = user("no-sudo").with("apt-get", "echo apt-get ran");
    let said = machine.refuses("build");
    assert!(said.contains("not root, and there is no sudo"), "{said}");
    assert!(said.contains("As root: apt-get update && apt-get install"), "{said}");
    assert!(said.contains("build-essential") && !said.contains("apt-get ran"), "{said}");
    let said = user("sudo").with("apt-get", ":").with("sudo", "return 1").refuses("build");
    assert!(said.contains("As root: apt-get update && apt-get install"), "{said}");
    let said = user("other").refuses("build");
    assert!(said.contains("no apt-get here: Gantry is built on Debian 12, with build-essential"), "{said}");
}

#[test]
fn a_machine_that_looks_for_updates_by_itself_is_waited_for() {
    let root = |name, update: &str| {
        let apt = format!("case \"$*\" in update*) {update} ;; *) echo \"apt-get $*\" >&2 ;; esac");
        let machine = Machine::rusty(name).with("dpkg-query", "return 1").with("id", "echo 0");
        machine
            .with("env", "shift; \"$@\"")
            .with("sleep", "printf x >> \"$PATH/waited\"")
            .with("apt-get", &apt)
    };
    let machine = root(
        "busy",
        "[[ -e $PATH/waited && $(< \"$PATH/waited\") == xx ]] || { echo 'E: Could not get lock /var/lib/apt/lists/lock.'; return 100; }",
    );
    let (said, done) = machine.run("build");
    assert!(done && said.contains("apt-get install -y") && said.contains(" musl-tools"), "{said}");
    assert_eq!(said.matches("setup: another program uses apt; waiting").count(), 1, "{said}");
    assert!(!said.contains("Could not get lock"), "{said}");
    let (said, done) = root("warned", "echo 'W: Failed to fetch it. Old ones used instead.'").run("build");
    assert!(done && said.contains("W: Failed to fetch it") && said.contains("apt-get install -y"), "{said}");
    assert!(!said.contains("another program"), "{said}");
    let machine = root("offline", "echo 'E: Failed to fetch'; return 100");
    let said = machine.refuses("build");
    assert!(said.contains("E: Failed to fetch\nsetup: the packages could not be installed"), "{said}");
    assert!(!said.contains("apt-get install -y"), "{said}");
}

#[test]
fn a_minimal_toolchain_gets_what_the_tests_need() {
    let machine = Machine::rusty("minimal")
        .with("dpkg-query", "echo install ok installed")
        .with("cargo", "[ \"$1\" != clippy ]")
        .with("rustup", "echo \"rustup $*\"");
    let (said, done) = machine.run("test");
    assert!(done && said == "rustup component add clippy\n", "{said}");
    let (said, done) = machine.run("demo");
    assert!(done && said.is_empty(), "{said}");
}

#[test]
fn a_part_that_rustup_cannot_add_ends_it() {
    for (missing, name) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let machine = Machine::rusty(&format!("no-{name}"))
            .with("dpkg-query", "echo install ok installed")
            .with("cargo", &format!("[ \"$1\" != {missing} ]"))
            .with("rustup", "return 1");
        let said = machine.refuses("test");
        assert!(said.contains(&format!("cargo {missing} is missing")), "{said}");
        assert!(said.contains(&format!("rustup component add {name}")), "{said}");
    }
}

/// The oldest Rust that the script takes, e.g. `1.95`.
fn needed_rust() -> String {
    let script = read("scripts/setup.sh");
    let line = script.lines().find_map(|line| line.strip_prefix("need_rust="));
    line.expect("a line need_rust=").to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect("a readable file")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where this host has a tool.
fn real(tool: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let place = env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file());
    place.unwrap_or_else(|| panic!("{tool}, which scripts/setup.sh needs, is not in PATH"))
}

/// Functions of bash in the place of programs, and a `PATH` with the few real tools that the script is made of.
struct Machine {
    folder: PathBuf,
    programs: String,
}

impl Machine {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("setup-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for the test");
        for tool in ["sh", "awk", "sort", "head", "grep", "dirname"] {
            symlink(real(tool), folder.join(tool)).expect("a link to a tool");
        }
        Self { folder, programs: String::new() }
    }

    /// With a toolchain that is right.
    fn rusty(name: &str) -> Self {
        let rustc = format!(
            "case \"$*\" in\n\
             --version) echo 'rustc {}.0 (abc 2026-01-01)' ;;\n\
             '--print target-list') echo x86_64-unknown-linux-musl ;;\n\
             '--print sysroot') echo \"$PATH\" ;;\n\
             esac",
            needed_rust()
        );
        let machine = Self::new(name).with("cargo", ":").with("rustc", &rustc);
        let target = machine.folder.join("lib/rustlib/x86_64-unknown-linux-musl");
        fs::create_dir_all(target).expect("a folder for the target");
        machine
    }

    /// With a program; a later one of the same name counts.
    fn with(mut self, program: &str, script: &str) -> Self {
        self.programs += &format!("{program}() {{\n{script}\n}}\n");
        self
    }

    /// What the script says, and whether it is content.
    fn run(&self, set: &str) -> (String, bool) {
        let programs = self.folder.join("programs");
        fs::write(&programs, &self.programs).expect("a file for the programs");
        let script = root().join("scripts/setup.sh");
        let mut bash = Command::new("/bin/bash");
        let output = bash.arg(script).arg(set).env("PATH", &self.folder).env("BASH_ENV", programs).output();
        let output = output.expect("a run of bash");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (said.concat(), output.status.success())
    }

    fn refuses(&self, set: &str) -> String {
        let (said, done) = self.run(set);
        assert!(!done, "{said}");
        said
    }
}
