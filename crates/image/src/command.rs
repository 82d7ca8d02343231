//! The command line `gantry image`: a clap command and its execution, to be mounted by the `gantry` program.

use crate::apt::Refresh;
use crate::debian;
use crate::description::{self, Description};
use crate::discovery;
use crate::error::Doing;
use crate::loaders;
use crate::manifest::Manifest;
use crate::{Error, Progress, agent};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The command `image` with its subcommands.
pub fn command() -> Command {
    Command::new("image")
        .about("Build what machines boot: discovery OS, boot loaders, a demo disk image")
        .long_about(
            "Build what machines boot. Everything is made of Debian packages that the host's own apt fetches and \
             verifies; no root is needed. A second run with the same inputs does nothing.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(discovery_command())
        .subcommand(loaders_command())
        .subcommand(debian_command())
}

fn discovery_command() -> Command {
    common(
        Command::new("discovery")
            .about("Build the discovery OS: kernel and initramfs with the agent as PID 1"),
    )
    .arg(path("agent", "FILE", "The static agent to run as PID 1"))
    .arg(kernel("generic"))
    .arg(level("19"))
    .arg(many("layer", "NAME", "Build an optional layer as an archive of its own"))
    .arg(many("append", "NAME", "Build an optional layer and append it to initrd.img"))
    .arg(path("description", "FILE", "Use this description instead of the built-in one"))
    .arg(path("extend", "FILE", "Merge this description into it").action(ArgAction::Append))
    .arg(flag("print-description", "Print the built-in description and stop"))
    .arg(option("uki", "CMDLINE", "Write discovery.efi too, with this kernel command line"))
    .arg(
        option("limit", "BYTES", "Refuse a kernel and initramfs of more bytes")
            .default_value("40000000")
            .value_parser(value_parser!(u64)),
    )
}

fn loaders_command() -> Command {
    common(Command::new("loaders").about("Stage the boot loaders that machines fetch first"))
}

fn debian_command() -> Command {
    common(Command::new("debian").about("Build a small Debian disk image that boots from BIOS and UEFI"))
        .arg(kernel("cloud"))
        .arg(level("9"))
        .arg(
            option("size", "MIB", "Size of the disk image in MiB")
                .default_value("1024")
                .value_parser(value_parser!(u64).range(600..=1_000_000)),
        )
}

fn common(command: Command) -> Command {
    command
        .arg(path("out", "DIR", "Folder for the results").required(true))
        .arg(path("cache", "DIR", "Folder for packages and parts [default: ~/.cache/gantry/image]"))
        .arg(
            option("refresh", "WHEN", "When to fetch the package index")
                .value_parser(["daily", "always", "never"])
                .default_value("daily"),
        )
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn path(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).value_parser(value_parser!(PathBuf))
}

fn many(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).action(ArgAction::Append)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn kernel(default: &'static str) -> Arg {
    option("kernel", "NAME", "Debian's kernel to use: generic or cloud").default_value(default)
}

fn level(default: &'static str) -> Arg {
    option("level", "N", "Compression level of zstd")
        .default_value(default)
        .value_parser(value_parser!(i32).range(1..=19))
}

/// Executes the command line; what was made is listed on `out`.
///
/// # Errors
/// Those of the builders.
pub fn run(matches: &ArgMatches, progress: &dyn Progress, out: &mut dyn Write) -> Result<(), Error> {
    match matches.subcommand() {
        Some(("discovery", args)) if args.get_flag("print-description") => {
            out.write_all(description::BUILT_IN.as_bytes()).doing("write", Path::new("the description"))
        }
        Some(("discovery", args)) => {
            let options = discovery_options(args)?;
            options.agent.as_deref().map_or(Ok(()), agent::check)?;
            print(&discovery::build(&options, progress)?, &options.out, out)
        }
        Some(("loaders", args)) => {
            let options = loaders::Options { out: target(args), cache: cache(args), refresh: refresh(args) };
            print(&loaders::build(&options, progress)?, &options.out, out)
        }
        Some(("debian", args)) => {
            let options = debian_options(args);
            print(&debian::build(&options, progress)?, &options.out, out)
        }
        _ => Ok(()),
    }
}

fn discovery_options(args: &ArgMatches) -> Result<discovery::Options, Error> {
    let extend: Vec<_> =
        args.get_many::<PathBuf>("extend").into_iter().flatten().map(PathBuf::as_path).collect();
    Ok(discovery::Options {
        out: target(args),
        cache: cache(args),
        agent: args.get_one("agent").cloned(),
        kernel: text(args, "kernel"),
        level: number(args, "level"),
        layers: list(args, "layer"),
        append: list(args, "append"),
        limit: args.get_one("limit").copied(),
        time: time(),
        refresh: refresh(args),
        uki: args.get_one("uki").cloned(),
        description: Description::load(
            args.get_one::<PathBuf>("description").map(PathBuf::as_path),
            &extend,
        )?,
    })
}

fn debian_options(args: &ArgMatches) -> debian::Options {
    debian::Options {
        out: target(args),
        cache: cache(args),
        kernel: text(args, "kernel"),
        level: number(args, "level"),
        size: number::<u64>(args, "size") << 20,
        refresh: refresh(args),
    }
}

fn target(args: &ArgMatches) -> PathBuf {
    args.get_one("out").cloned().unwrap_or_default()
}

/// The folder asked for, or the one that the XDG base directory specification names.
fn cache(args: &ArgMatches) -> PathBuf {
    let asked = args.get_one::<PathBuf>("cache").cloned();
    let var = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")));
    asked.unwrap_or_else(|| user().unwrap_or_else(env::temp_dir).join("gantry/image"))
}

/// `SOURCE_DATE_EPOCH` (reproducible-builds.org), or the fixed default.
fn time() -> u32 {
    let asked = env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(discovery::DEFAULT_TIME)
}

fn refresh(args: &ArgMatches) -> Refresh {
    match args.get_one::<String>("refresh").map(String::as_str) {
        Some("always") => Refresh::Always,
        Some("never") => Refresh::Never,
        _ => Refresh::Daily,
    }
}

fn text(args: &ArgMatches, name: &str) -> String {
    args.get_one(name).cloned().unwrap_or_default()
}

fn number<T: Copy + Default + Send + Sync + 'static>(args: &ArgMatches, name: &str) -> T {
    args.get_one(name).copied().unwrap_or_default()
}

fn list(args: &ArgMatches, name: &str) -> Vec<String> {
    args.get_many(name).into_iter().flatten().cloned().collect()
}

/// One line per file: size and path.
fn print(manifest: &Manifest, dir: &Path, out: &mut dyn Write) -> Result<(), Error> {
    for (name, digest) in &manifest.files {
        writeln!(out, "{:>12}  {}", digest.size, dir.join(name).display())
            .doing("write", Path::new("the list"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    fn parse(args: &[&str]) -> ArgMatches {
        command().try_get_matches_from([&["image"], args].concat()).unwrap()
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn options_reach_the_builder() {
        let matches = parse(&[
            "discovery",
            "--out",
            "o",
            "--cache",
            "c",
            "--agent",
            "a",
            "--layer",
            "ssh",
            "--level",
            "3",
        ]);
        let options = discovery_options(matches.subcommand().unwrap().1).unwrap();
        assert_eq!((options.out, options.cache, options.agent), ("o".into(), "c".into(), Some("a".into())));
        assert_eq!(
            (options.level, options.layers, options.limit),
            (3, vec!["ssh".to_owned()], Some(discovery::LIMIT))
        );
        assert_eq!((options.kernel.as_str(), options.refresh), ("generic", Refresh::Daily));
        let matches = parse(&["debian", "--out", "o", "--size", "2000", "--refresh", "never"]);
        let options = debian_options(matches.subcommand().unwrap().1);
        assert_eq!((options.size, options.refresh), (2000 << 20, Refresh::Never));
    }

    #[test]
    fn the_description_can_be_printed() {
        let mut out = Vec::new();
        run(&parse(&["discovery", "--out", "o", "--print-description"]), &Silent, &mut out).unwrap();
        assert_eq!(out, description::BUILT_IN.as_bytes());
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [
            &["discovery", "--out", "o", "--level", "20"][..],
            &["discovery"],
            &["debian", "--out", "o", "--size", "5"],
        ] {
            assert!(command().try_get_matches_from([&["image"], args].concat()).is_err(), "{args:?}");
        }
    }
}
