//! The View of what was stored: built at the start and followed from there, from layers and objects that were judged when
//! they were accepted, here or by another server. Judging them again would depend on what else has been seen so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::View;
use super::apply::{Change, Draft};
use crate::{Key, Kind, Layer, Record};

impl View {
    /// The View of `layers` and stored `records`, which keep their revisions. Nothing is judged, as it would depend on the
    /// order in which things were accepted; derived state is computed.
    #[must_use]
    pub fn load(mut layers: Vec<Arc<Layer>>, records: Vec<Arc<Record>>, revision: u64) -> Self {
        layers.sort_by(|a, b| a.order().cmp(&b.order()));
        let layered: BTreeSet<(Kind, Key)> = layers.iter().flat_map(|layer| layer.keys().cloned()).collect();
        let mut draft = Draft::new(&Self::empty(), revision);
        draft.view.layers = Arc::new(layers);
        for (kind, key) in layered {
            let record = draft.view.layered(kind, &key);
            draft.replace(kind, &key, record);
        }
        for record in records {
            let (kind, key) = (record.kind(), record.key().clone());
            draft.replace(kind, &key, Some(record));
        }
        draft.finish().0
    }

    /// This View with a layer that was accepted elsewhere, in the place of the one of the same name.
    #[must_use]
    pub fn follow_layer(&self, layer: Arc<Layer>, revision: u64) -> (Self, Vec<Change>) {
        let mut layers = self.layers_without(layer.name());
        let name = layer.name().to_owned();
        layers.push(layer);
        self.relayered(layers, &name, revision)
    }

    /// This View without a layer that was removed elsewhere; the same when it has none of this name.
    #[must_use]
    pub fn follow_layer_removal(&self, name: &str, revision: u64) -> (Self, Vec<Change>) {
        self.relayered(self.layers_without(name), name, revision)
    }

    fn layers_without(&self, name: &str) -> Vec<Arc<Layer>> {
        self.layers.iter().filter(|layer| layer.name() != name).cloned().collect()
    }
}
