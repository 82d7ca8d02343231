//! `make bench`: rates and times of the API at several sizes of the fleet, as a table.
//!
//! A server of its own is started for each size, from the program named on the command line, on loopback and with its store
//! on disk: every write that is answered is durable. Machines have ten parameters each. The server's processor time and
//! memory are read from `/proc`, so what the clients of this program use is not counted.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod load;
mod measure;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Command};

/// The sizes of issue 3.
const SIZES: &str = "0,1000,10000,100000";

#[tokio::main]
async fn main() -> ExitCode {
    let matches = Command::new("bench-api")
        .about("Measure the API of a Gantry server at several sizes of the fleet")
        .arg(
            Arg::new("gantry")
                .long("gantry")
                .required(true)
                .help("The program to measure (build it for release)"),
        )
        .arg(
            Arg::new("sizes").long("sizes").default_value(SIZES).help("Numbers of machines, comma separated"),
        )
        .arg(
            Arg::new("rounds")
                .long("rounds")
                .default_value("3")
                .help("Repetitions of each measurement; medians are shown"),
        )
        .get_matches();
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let sizes: Result<Vec<usize>, _> = text("sizes").split(',').map(|size| size.trim().parse()).collect();
    let (Ok(sizes), Ok(rounds)) = (sizes, text("rounds").parse::<usize>()) else {
        eprintln!("Error: --sizes and --rounds must be numbers");
        return ExitCode::FAILURE;
    };
    let mut columns = Vec::new();
    for size in sizes {
        eprintln!("{size} machines …");
        match measure::at(&PathBuf::from(text("gantry")), size, rounds.max(1)).await {
            Ok(column) => columns.push((size, column)),
            Err(error) => {
                eprintln!("Error: at {size} machines: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    print(&columns);
    ExitCode::SUCCESS
}

fn print(columns: &[(usize, measure::Column)]) {
    let head: Vec<String> = columns.iter().map(|(size, _)| format!("{size:>12}")).collect();
    println!("{:<44}{}", "machines", head.concat());
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    for row in 0..rows {
        let cells: Vec<String> = columns.iter().map(|(_, column)| format!("{:>12}", column[row].1)).collect();
        println!("{:<44}{}", columns[0].1[row].0, cells.concat());
    }
}
