//! How long a check of a whole fleet takes: `fleet_check MACHINES PACK…`.
//!
//! Machines are spread over the boot environments and stages of the packs; each has ten parameters of its own. Every boot and
//! stage template of every machine is rendered, on all processors; then again; then previews show what a change of one
//! profile, parameter and template would change. Last come the same previews without what is remembered.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gantry_boot::Renderer;
use gantry_boot::memo::Memo;
use gantry_boot::survey::{Scripts, World};
use gantry_model::{BootEnv, Edit, Kind, Record, Stage, Template, View};
use gantry_pack::check::{self, Limits, Sides};
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
    let (renderer, memo) = (Renderer::new(), Memo::default());
    for what in ["first check", "repeated check"] {
        timed(what, &memo, || {
            let report =
                check::machines(&view, &machines, Scripts::Skip, Limits::default(), &renderer, &memo);
            format!(
                "{} templates, {} failed, {} kinds of failure",
                report.rendered,
                report.failed,
                report.findings.len()
            )
        });
    }
    for (what, change) in changes(&view) {
        let (after, _) = view.apply(&[Edit::put(change)], view.revision() + 1);
        let sides = Sides { before: (&view, &renderer), after: (&after, &Renderer::new()) };
        let look = |memo: &Memo| {
            let preview = check::preview(sides, &machines, Scripts::Skip, Limits::default(), memo);
            format!("{} files of {} machines would change", preview.changed, preview.machines)
        };
        timed(&format!("preview of {what}"), &memo, || look(&memo));
        timed("the same again", &memo, || look(&memo));
        let none = Memo::new(World::default(), 0);
        timed("the same, nothing remembered", &none, || look(&none));
    }
    line(&format!("{} machines, {} resident at most", machines.len(), resident()));
    Ok(())
}

/// One changed profile, parameter and template; the parameter and the template are those that most renders read.
fn changes(view: &View) -> Vec<(&'static str, Arc<Record>)> {
    let change = |kind: Kind, value: Value| Record::from_value(kind, value, 1).ok().map(Arc::new);
    let profile = json!({"Name": "global", "Params": {"kernel-options": "quiet splash"}});
    let param = json!({"Name": "kernel-console", "Schema": {"type": "string", "default": "console=ttyS1"}});
    let template = view.objects::<Template>().max_by_key(|template| template.id == "default-pxelinux.tmpl");
    let template =
        template.map(|template| json!({"ID": template.id, "Contents": format!("{}#", template.contents)}));
    [
        change(Kind::Profile, profile).map(|record| ("profile global", record)),
        change(Kind::Param, param).map(|record| ("parameter kernel-console", record)),
        template
            .and_then(|value| change(Kind::Template, value))
            .map(|record| ("template default-pxelinux.tmpl", record)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn timed(what: &str, memo: &Memo, work: impl FnOnce() -> String) {
    let (began, spent, before) = (Instant::now(), processor(), memo.rendered());
    let found = work();
    let seconds = began.elapsed().as_secs_f64();
    let spent = processor() - spent;
    line(&format!(
        "{what}: {seconds:.1} s ({spent:.1} s CPU), {} renders; {found}",
        memo.rendered() - before
    ));
}

/// Processor time of this process, in seconds; Linux counts it in hundredths.
fn processor() -> f64 {
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = status.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let ticks = rest.split(' ').skip(11).take(2).filter_map(|word| word.parse::<u32>().ok());
    f64::from(ticks.sum::<u32>()) / 100.0
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn line(text: &str) {
    println!("{text}");
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
