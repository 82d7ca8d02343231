//! `gantry serve`: from flags to a running server, and its end.

use std::process::ExitCode;

use clap::ArgMatches;
use gantry_server::app::App;
use gantry_server::config::{self, Config};
use gantry_server::listen;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs until it is told to stop by SIGTERM or SIGINT.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let config = match config::read(matches, |name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(problems) => return fail(&problems),
    };
    log(&config.log_level);
    // Files that the server makes hold secrets: nobody else is to read them.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let inherited = match listen::inherited(|name| std::env::var(name).ok()) {
        Ok(inherited) => inherited,
        Err(error) => return fail(&format!("an inherited listener cannot be used: {error}")),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    match runtime.block_on(serve(config, inherited)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => fail(&text),
    }
}

async fn serve(config: Config, inherited: Vec<(String, std::net::TcpListener)>) -> Result<(), String> {
    let stop = |kind| signal(kind).map_err(|error| format!("signals cannot be taken: {error}"));
    let (mut terminate, mut interrupt) = (stop(SignalKind::terminate())?, stop(SignalKind::interrupt())?);
    let began = std::time::Instant::now();
    let app = App::start(config, inherited).await.map_err(|error| error.to_string())?;
    ready(&app, began.elapsed().as_millis());
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        error = app.failed() => Some(format!("the store failed: {error}")),
    };
    tracing::info!("stopping");
    app.stop().await;
    ended.map_or(Ok(()), Err)
}

/// One line on standard output, once everything listens: programs that started the server wait for it.
fn ready(app: &App, millis: u128) {
    let ports = app.ports();
    #[expect(clippy::print_stdout, reason = "the line that says the server is ready")]
    {
        println!(
            "ready api={} files={} secure-files={} metrics={} tftp={} dhcp={} binl={} ms={millis}",
            ports.api, ports.files, ports.secure_files, ports.metrics, ports.tftp, ports.dhcp, ports.binl
        );
    }
}

/// The server's own log lines: fields, on standard error.
fn log(level: &str) {
    let level = match level {
        "fatal" | "panic" | "audit" => "error",
        level => level,
    };
    let filter = EnvFilter::try_new(format!("{level},hyper=warn,rustls=warn,h2=warn")).unwrap_or_default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true).init();
}

fn fail(text: &str) -> ExitCode {
    #[expect(clippy::print_stderr, reason = "this is where the server talks to whoever starts it")]
    {
        eprintln!("Error: {text}");
    }
    ExitCode::FAILURE
}
