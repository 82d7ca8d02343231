//! `make bench`: rates, times and memory of a server at several sizes of the fleet, as one table.
//!
//! A server of its own is started for each size from the program named on the command line, on loopback, with its store in
//! a folder on disk: every write that is answered is durable. Machines have ten parameters each. Rounds go over all sizes
//! in turn, because the speed of shared hosts changes from minute to minute; medians are shown. The server's processor
//! time and memory are read from `/proc`, so what the clients of this program use is not counted; the clients do share the
//! processors, which lowers the rates.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod disk;
mod files;
mod fleet;
mod load;
mod measure;
mod server;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, Command};

use crate::server::Result;
use crate::table::Table;

/// What can be measured by itself.
const PARTS: [&str; 6] = ["writes", "reads", "event", "jobs", "files", "disk"];

/// The sizes that the aims speak of.
const SIZES: &str = "0,1000,10000,100000";

/// What is measured, and for how long.
struct Plan {
    gantry: PathBuf,
    data: PathBuf,
    sizes: Vec<usize>,
    rounds: usize,
    /// The time that each rate is measured for.
    time: Duration,
    /// The parts of a round to measure; all when empty.
    only: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match plan() {
        Ok(plan) => run(&plan).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Result<Plan> {
    let option = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help);
    let matches = Command::new("bench-api")
        .about("Measure a Gantry server at several sizes of the fleet")
        .arg(option("gantry", "The program to measure (build it for release)").required(true))
        .arg(option("data", "Folder on the disk to measure; the stores are made in it").required(true))
        .arg(option("sizes", "Numbers of machines, comma separated").default_value(SIZES))
        .arg(option("rounds", "Repetitions of each measurement; medians are shown").default_value("3"))
        .arg(option("seconds", "How long each rate is measured").default_value("2"))
        .arg(
            option("only", "Measure only these parts: writes, reads, event, jobs, files, disk")
                .default_value(""),
        )
        .get_matches();
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let number = |name: &str, text: &str| {
        let wrong = |_| format!("--{name} has `{text}`; it must be a whole number");
        text.trim().parse::<usize>().map_err(wrong)
    };
    let sizes = text("sizes");
    let only: Vec<String> =
        text("only").split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if let Some(unknown) = only.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("--only has `{unknown}`; it must be some of {}", PARTS.join(", ")).into());
    }
    Ok(Plan {
        gantry: text("gantry").into(),
        data: text("data").into(),
        sizes: sizes.split(',').map(|size| number("sizes", size)).collect::<std::result::Result<_, _>>()?,
        rounds: number("rounds", &text("rounds"))?.max(1),
        time: Duration::from_secs(number("seconds", &text("seconds"))?.max(1) as u64),
        only,
    })
}

async fn run(plan: &Plan) -> Result<Table> {
    std::fs::create_dir_all(&plan.data).map_err(|error| format!("{}: {error}", plan.data.display()))?;
    let mut fleets = Vec::new();
    for &size in &plan.sizes {
        eprintln!("filling: {size} machines");
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&plan.data)?;
        fleet::fill(&plan.gantry, folder.path(), size).await?;
        fleets.push((size, folder));
    }
    let mut table = Table::new(plan.sizes.clone());
    for round in 0..plan.rounds {
        for (column, (size, folder)) in fleets.iter().enumerate() {
            eprintln!("round {} of {}: {size} machines", round + 1, plan.rounds);
            let mut add = |row, value| table.add(row, column, value);
            let round = measure::Round { number: round, size: *size, time: plan.time, only: &plan.only };
            round.run(&plan.gantry, folder.path(), &mut add).await?;
        }
    }
    Ok(table)
}
