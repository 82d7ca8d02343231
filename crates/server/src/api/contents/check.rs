//! Looking at a pack before it is there: `POST /contents?check=true`.
//!
//! The pack is loaded into a View that nobody else sees; then every file of every machine is rendered in the present View and
//! in that one. Nothing is stored. With `replaceWritable=true` objects of the store give way to those of the pack, so a
//! changed profile or parameter can be looked at as a pack of one object. What renders read is remembered from one look to the
//! next (`gantry_boot::memo`).

use std::sync::Arc;

use gantry_boot::Renderer;
use gantry_boot::rules::TemplateRules;
use gantry_boot::survey::Scripts;
use gantry_model::{Edit, Kind, Layer, LayerFault, Record, Rules as _, View, access};
use gantry_pack::check::{Limits, Sides, preview};

use super::super::answer::{self, Answer};
use super::super::{Ask, blocking};
use super::{Clash, Target};
use crate::rules::Hashes;

pub(super) async fn run(ask: &Ask, layer: Arc<Layer>, clash: Clash) -> Answer {
    let before = ask.view.clone();
    let names: Vec<String> =
        ask.query.list("machines").into_iter().filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let scripts = if ask.query.flag("tasks") { Scripts::Listed } else { Scripts::Skip };
    let core = Arc::clone(&ask.api);
    let work = move || -> Result<serde_json::Value, gantry_model::Error> {
        let renderer = Arc::new(Renderer::new());
        let (after, faults) = with_pack(&before, &layer, clash, &renderer);
        if !faults.is_empty() {
            return Err(gantry_model::Error::layer(layer.name(), faults));
        }
        let machines: Vec<Arc<Record>> =
            after.records(Kind::Machine).filter(|record| wanted(record, &names)).cloned().collect();
        let sides = Sides { before: (&before, &core.renderer), after: (&after, &renderer) };
        let mut report = preview(sides, &machines, scripts, Limits::default(), &core.memo).to_value();
        report["Warnings"] = after.warnings(&layer).into();
        Ok(report)
    };
    let report = blocking(work).await?.map_err(|error| ask.refuse(error, Target::Object))?;
    answer::ok(&report)
}

/// What is wrong with the pack in this View beside what is `known`: faults of other objects.
pub(super) fn faults(view: &View, layer: &Arc<Layer>, clash: Clash, known: &[LayerFault]) -> Vec<LayerFault> {
    let (_, found) = with_pack(view, layer, clash, &Arc::new(Renderer::new()));
    let new = |fault: &LayerFault| {
        !known.iter().any(|old| (&old.section, &old.key) == (&fault.section, &fault.key))
    };
    found.into_iter().filter(new).collect()
}

fn wanted(record: &Record, names: &[String]) -> bool {
    let named = || {
        names.iter().any(|name| {
            record.key() == name.as_str() || record.typed::<gantry_model::Machine>().name == *name
        })
    };
    names.is_empty() || named()
}

/// The View with the pack, and what speaks against it.
fn with_pack(
    view: &View,
    layer: &Arc<Layer>,
    clash: Clash,
    renderer: &Arc<Renderer>,
) -> (View, Vec<LayerFault>) {
    let revision = view.revision() + 1;
    let hidden = layer.objects().filter_map(|object| view.record(object.kind(), object.key()));
    let edits: Vec<Edit> = match clash {
        Clash::ReplaceWritable => hidden
            .filter(|record| !record.read_only())
            .map(|record| Edit::delete(record.kind(), record.key().clone()))
            .collect(),
        Clash::Refuse => Vec::new(),
    };
    let (after, _) = view.apply(&edits, revision);
    let (after, _, mut faults) = after.lay(layer, revision);
    TemplateRules(Arc::clone(renderer)).check_layer(&after, layer, &mut faults);
    faults.extend(access::lost(view, &after, &Hashes).map(LayerFault::of_meta));
    (after, faults)
}
