//! Packs in an order in which each finds what it needs: prerequisites first.

use std::sync::Arc;

use gantry_model::{Layer, pack_needs};

/// Sorts layers so that each comes after those that it names as prerequisites. Those that wait for each other, or for a
/// layer that is not here, keep their order at the end.
#[must_use]
pub fn in_order(mut layers: Vec<Arc<Layer>>) -> Vec<Arc<Layer>> {
    let mut sorted: Vec<Arc<Layer>> = Vec::with_capacity(layers.len());
    loop {
        let waits = |layer: &Arc<Layer>, rest: &[Arc<Layer>]| {
            pack_needs(&layer.meta().prerequisites)
                .iter()
                .any(|need| need.name != layer.name() && rest.iter().any(|other| other.name() == need.name))
        };
        let (waiting, ready): (Vec<_>, Vec<_>) =
            layers.iter().cloned().partition(|layer| waits(layer, &layers));
        if ready.is_empty() {
            sorted.extend(waiting);
            return sorted;
        }
        sorted.extend(ready);
        layers = waiting;
    }
}
