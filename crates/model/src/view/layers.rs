//! Layers in the View: which object counts when several have one key, and what a pack changes when it comes or goes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::View;
use super::apply::{Change, Draft};
use crate::check::Cross;
use crate::{Error, Key, Kind, Layer, LayerFault, Problems, Record, needs};

impl View {
    /// Adds a layer, or replaces the one of the same name. All or nothing.
    ///
    /// # Errors
    /// [`Error::Layer`] when its objects clash with others, break the rules of their kinds, or name templates that do not
    /// exist (API §12.4). Missing tasks, stages, profiles are no errors: see [`View::warnings`].
    pub fn put_layer(
        &self,
        layer: impl Into<Arc<Layer>>,
        revision: u64,
    ) -> Result<(Self, Vec<Change>), Error> {
        let layer = layer.into();
        let (view, changes, faults) = self.lay(&layer, revision);
        if faults.is_empty() { Ok((view, changes)) } else { Err(Error::layer(layer.name(), faults)) }
    }

    /// The View with the layer, and everything that speaks against it: for those who go on to judge it by rules of their own,
    /// so that all faults can be told at once. With faults, the View is not to be used.
    #[must_use]
    pub fn lay(&self, layer: &Arc<Layer>, revision: u64) -> (Self, Vec<Change>, Vec<LayerFault>) {
        let mut faults = self.unmet_by(layer);
        faults.extend(self.clashes(layer));
        let mut layers: Vec<Arc<Layer>> =
            self.layers.iter().filter(|other| other.name() != layer.name()).cloned().collect();
        layers.push(Arc::clone(layer));
        let (view, changes) = self.relayered(layers, layer.name(), revision);
        faults.extend(view.judge(layer));
        (view, changes, faults)
    }

    /// Takes a layer away. Objects of overwritable layers that it hid come back.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such layer; [`Error::Layer`] when another pack names it as a prerequisite.
    pub fn remove_layer(&self, name: &str, revision: u64) -> Result<(Self, Vec<Change>), Error> {
        if !self.layers.iter().any(|layer| layer.name() == name) {
            return Err(Error::not_found(Kind::Content, name));
        }
        let needed = self.needing(name, None);
        if !needed.is_empty() {
            return Err(Error::layer(name, needed));
        }
        let layers = self.layers.iter().filter(|layer| layer.name() != name).cloned().collect();
        Ok(self.relayered(layers, name, revision))
    }

    /// What a pack's summary lists: whose objects its own take the place of, and soft references of its objects to nothing.
    #[must_use]
    pub fn warnings(&self, layer: &Layer) -> Vec<String> {
        const KINDS: [Kind; 5] = [Kind::Param, Kind::Stage, Kind::Workflow, Kind::Profile, Kind::Machine];
        let own = |record: &&Arc<Record>| record.bundle() == layer.name();
        let unavailable = KINDS.into_iter().flat_map(|kind| {
            self.table(kind).unavailable().filter_map(move |key| self.record(kind, key)).filter(own)
        });
        let mut warnings: Vec<String> = unavailable
            .flat_map(|record| record.derived().errors().iter().map(|error| named(record, error)))
            .collect();
        warnings.sort();
        warnings.dedup();
        warnings.splice(0..0, self.replaced(layer));
        warnings
    }

    /// Which objects of overwritable layers, the built-in ones, the layer's take the place of: one sentence for each of them.
    #[must_use]
    pub fn replaced(&self, layer: &Layer) -> Vec<String> {
        const SHOWN: usize = 20;
        let others = self.layers.iter().filter(|other| other.overwritable() && !layer.overwritable());
        let sentence = |other: &Arc<Layer>| {
            let both = layer.keys().filter(|(kind, key)| other.get(*kind, key).is_some());
            let both: Vec<String> = both.map(|(kind, key)| format!("{}/{key}", kind.prefix())).collect();
            let more = both.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown = both[..both.len().min(SHOWN)].join(", ");
            (!both.is_empty()).then(|| format!("takes the place of {}'s {shown}{more}", other.name()))
        };
        others.filter(|other| other.name() != layer.name()).filter_map(sentence).collect()
    }

    /// The object that counts when the store has none: of a pack, else of an overwritable layer.
    pub(super) fn layered(&self, kind: Kind, key: &Key) -> Option<Arc<Record>> {
        let holders = || self.layers.iter().filter(|layer| layer.get(kind, key).is_some());
        let layer = holders().find(|layer| !layer.overwritable()).or_else(|| holders().next())?;
        let record = layer.get(kind, key)?;
        Some(Arc::new(record.placed(Some(Arc::clone(layer)), 0)))
    }

    pub(super) fn relayered(
        &self,
        mut layers: Vec<Arc<Layer>>,
        name: &str,
        revision: u64,
    ) -> (Self, Vec<Change>) {
        layers.sort_by(|a, b| a.order().cmp(&b.order()));
        let named = |layer: &&Arc<Layer>| layer.name() == name;
        let keys: BTreeSet<(Kind, Key)> = self
            .layers
            .iter()
            .find(named)
            .into_iter()
            .chain(layers.iter().find(named))
            .flat_map(|layer| layer.keys().cloned())
            .collect();
        let mut draft = Draft::new(self, revision);
        draft.view.layers = Arc::new(layers);
        for (kind, key) in keys {
            let stored = self.record(kind, &key).is_some_and(|record| record.layer().is_none());
            if !stored {
                let after = draft.view.layered(kind, &key);
                draft.replace(kind, &key, after);
            }
        }
        draft.finish()
    }

    /// Versions, features and prerequisites: what the layer lacks, and what others would lack with it in the place of the one
    /// of its name.
    fn unmet_by(&self, layer: &Layer) -> Vec<LayerFault> {
        let version = |name: &str| {
            if name == layer.name() {
                return Some(layer.meta().version.as_str());
            }
            self.layers.iter().find(|other| other.name() == name).map(|other| other.meta().version.as_str())
        };
        let own = needs::unmet(layer.meta(), &version).into_iter().map(LayerFault::of_meta);
        own.chain(self.needing(layer.name(), Some(&layer.meta().version))).collect()
    }

    /// Layers whose need of `name` is not met when that has the version, or is not there.
    fn needing(&self, name: &str, version: Option<&str>) -> Vec<LayerFault> {
        let others = self.layers.iter().filter(|layer| layer.name() != name);
        others
            .flat_map(|other| needs::unmet_by(other.meta(), name, version))
            .map(LayerFault::of_meta)
            .collect()
    }

    /// Objects of the layer that would hide others, or be hidden, without leave.
    fn clashes(&self, layer: &Arc<Layer>) -> Vec<LayerFault> {
        let mut clashes = Vec::new();
        for (kind, key) in layer.keys() {
            let stored = self.record(*kind, key).is_some_and(|record| record.layer().is_none());
            if stored && !layer.overwritable() {
                clashes.push(hiding(layer, *kind, key, "writable-BackingStore"));
            }
            let other = self.layers.iter().find(|other| {
                other.name() != layer.name() && !other.overwritable() && other.get(*kind, key).is_some()
            });
            if let Some(other) = other.filter(|_| !layer.overwritable()) {
                clashes.push(hiding(layer, *kind, key, &other.title()));
            }
            if let Some(built_in) = self.superuser_beside(layer, *kind, key) {
                let message = format!(
                    "roles:{key} in layer {} would change the built-in role of layer {}, on which everybody's access rests: \
                     give it another name",
                    layer.title(),
                    built_in.title()
                );
                clashes.push(LayerFault::of(kind.prefix(), key, message));
            }
        }
        clashes
    }

    /// Who has the role `superuser` already, if that is the object. What else is built in may be overwritten.
    fn superuser_beside(&self, layer: &Layer, kind: Kind, key: &Key) -> Option<&Arc<Layer>> {
        let others = || self.layers.iter().filter(|other| other.name() != layer.name());
        let is = kind == Kind::Role && key.as_str() == crate::user::SUPERUSER;
        others().find(|other| is && other.overwritable() && other.get(kind, key).is_some())
    }

    /// The rules of each kind for the objects of a layer that is in the View already.
    fn judge(&self, layer: &Layer) -> Vec<LayerFault> {
        let mut faults = Vec::new();
        for record in layer.objects() {
            let value = record.value();
            let cross =
                Cross { view: self, key: record.key(), before: Some(&value), after: &value, force: false };
            let mut problems = Problems::default();
            if let Err(why) = (record.kind().spec().erased.check)(&value, &cross, &mut problems) {
                problems.add(why);
            }
            let of = |message| LayerFault::of(record.kind().prefix(), record.key(), message);
            faults.extend(problems.into_vec().into_iter().map(of));
        }
        faults
    }
}

fn hiding(layer: &Layer, kind: Kind, key: &Key, other: &str) -> LayerFault {
    let message = format!("{kind}:{key} in layer {} would override layer {other}", layer.title());
    LayerFault::of(kind.prefix(), key, message)
}

/// `stages/x: …`, whether the error names the object already or not.
fn named(record: &Record, error: &str) -> String {
    let error = error.strip_prefix(&format!("{}: ", record.key())).unwrap_or(error);
    format!("{}/{}: {error}", record.kind().prefix(), record.key())
}
