//! The View of what was stored: built once at the start, from layers and objects that were judged when they were accepted.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::View;
use super::apply::Draft;
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
}
