//! How long a check of a whole fleet takes: `fleet_check MACHINES PACK…`.
//!
//! Machines are spread over the boot environments and stages of the packs; each has ten parameters of its own. Every boot and
//! stage template of every machine is rendered, on all processors.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gantry_boot::survey::Scripts;
use gantry_model::{BootEnv, Edit, Kind, Record, Stage, View};
use gantry_pack::check::{self, Limits};
use gantry_pack::{Pack, in_order};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let count: usize = words.next().unwrap_or_default().parse()?;
    let given: Map<String, Value> = [("Version".to_owned(), "v4.8.0".into())].into_iter().collect();
    let packs: Vec<Pack> =
        words.map(|word| Pack::read_with(Path::new(&word), &given)).collect::<Result<_, _>>()?;
    let layers = packs.iter().map(Pack::layer).collect::<Result<Vec<_>, _>>()?;
    let mut view = View::base();
    for layer in in_order(layers) {
        view = view.put_layer(layer, view.revision() + 1)?.0;
    }
    let machines = fleet(&view, count);
    let edits: Vec<Edit> = machines.iter().cloned().map(Edit::put).collect();
    let (view, _) = view.apply(&edits, view.revision() + 1);
    let began = Instant::now();
    let report = check::machines(&view, &machines, Scripts::Skip, Limits::default());
    let time = began.elapsed();
    #[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
    {
        println!(
            "{} machines, {} templates rendered, {} failed ({} kinds of failure): {:.2} s, {:.0} µs each; {} resident",
            report.machines,
            report.rendered,
            report.failed,
            report.findings.len(),
            time.as_secs_f64(),
            time.as_micros() as f64 / report.rendered.max(1) as f64,
            resident(),
        );
    }
    Ok(())
}

/// Machines in the environments that known machines may be in, and in the stages that have templates.
fn fleet(view: &View, count: usize) -> Vec<Arc<Record>> {
    let envs: Vec<String> =
        view.objects::<BootEnv>().filter(|env| !env.only_unknown).map(|env| env.name.clone()).collect();
    let stages: Vec<String> = view
        .objects::<Stage>()
        .filter(|stage| !stage.templates.is_empty())
        .map(|stage| stage.name.clone())
        .collect();
    let machine = |at: usize| {
        let params: Map<String, Value> =
            (0..10).map(|n| (format!("own/{n}"), json!(format!("{at}-{n}")))).collect();
        let stage = if stages.is_empty() { "none" } else { &stages[at % stages.len()] };
        let value = json!({
            "Name": format!("m{at}.example.org"), "Uuid": format!("00000000-0000-4000-8000-{at:012x}"), "Arch": "amd64",
            "Address": format!("10.{}.{}.{}", at >> 16 & 255, at >> 8 & 255, at & 255),
            "HardwareAddrs": [format!("52:54:00:{:02x}:{:02x}:{:02x}", at >> 16 & 255, at >> 8 & 255, at & 255)],
            "BootEnv": envs[at % envs.len()], "Stage": stage, "Params": params, "Profiles": [],
        });
        Record::from_value(Kind::Machine, value, 1).map(Arc::new)
    };
    (0..count).filter_map(|at| machine(at).ok()).collect()
}

/// The most memory that the process had, in Linux's words.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or("unknown").trim().to_owned()
}
