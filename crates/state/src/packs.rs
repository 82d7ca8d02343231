//! How content packs are stored: compressed, in immutable chunks under their digest, with one key for the name.
//!
//! The chunks are written first and say nothing by themselves; putting the name makes the pack appear whole, taking the
//! name away makes it vanish whole, and the same commit takes the chunks along. What a crash leaves of chunks without a
//! name is removed when the state is opened.

use std::sync::Arc;

use gantry_model::Layer;
use gantry_store::{Entry, Store, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::codec::{self, Changes};

/// Bytes of a chunk: below what etcd takes in one request by default (1.5 MiB).
const CHUNK: usize = 1 << 20;
/// zstd's default: content packs shrink to about an eighth.
const LEVEL: i32 = 3;

/// The value under a pack's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// SHA-256 of the compressed pack, in hexadecimal.
    pub(crate) digest: String,
    /// How many chunks there are.
    chunks: usize,
    /// Bytes of the JSON.
    size: usize,
}

/// A pack as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) manifest: Manifest,
    chunks: Vec<Value>,
}

impl Packed {
    pub(crate) fn new(layer: &Layer) -> Result<Self, Error> {
        let json = layer.to_value().to_string();
        let packed =
            zstd::bulk::compress(json.as_bytes(), LEVEL).map_err(|error| damaged(layer.name(), &error))?;
        let digest = digest(&packed);
        let chunks: Vec<_> = packed.chunks(CHUNK).map(Value::new).collect::<Result<_, _>>()?;
        Ok(Self { manifest: Manifest { digest, chunks: chunks.len(), size: json.len() }, chunks })
    }

    /// The changes that write each chunk.
    pub(crate) fn chunk_changes(&self) -> Result<Vec<Changes>, Error> {
        let rows = self.chunks.iter().enumerate();
        rows.map(|(n, chunk)| Ok(Changes::from([(self.manifest.chunk_key(n)?, Some(chunk.clone()))])))
            .collect()
    }
}

impl Manifest {
    pub(crate) fn encode(&self) -> Result<Value, Error> {
        let json = serde_json::to_vec(self).expect("texts and numbers always serialise");
        Ok(Value::new(json)?)
    }

    pub(crate) fn decode(name: &str, value: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(value).map_err(|error| damaged(name, &error))
    }

    fn chunk_key(&self, number: usize) -> Result<gantry_store::Key, Error> {
        codec::chunk_key(&self.digest, number)
    }

    /// The changes that delete the chunks.
    pub(crate) fn removal(&self) -> Result<Changes, Error> {
        (0..self.chunks).map(|number| Ok((self.chunk_key(number)?, None))).collect()
    }

    /// Puts the pack together again. `None`: a chunk is not there.
    pub(crate) fn unpack(&self, name: &str, chunk: &mut Chunks<'_>) -> Result<Option<Arc<Layer>>, Error> {
        let mut packed = Vec::new();
        for number in 0..self.chunks {
            match chunk(&self.chunk_key(number)?)? {
                Some(entry) => packed.extend_from_slice(&entry.value),
                None => return Ok(None),
            }
        }
        if digest(&packed) != self.digest {
            return Err(damaged(name, &"its digest is not the one of its chunks"));
        }
        let json = zstd::bulk::decompress(&packed, self.size).map_err(|error| damaged(name, &error))?;
        let value = serde_json::from_slice(&json).map_err(|error| damaged(name, &error))?;
        let layer = Layer::stored(value).map_err(|error| damaged(name, &error))?;
        Ok(Some(Arc::new(layer)))
    }
}

/// Where chunks are read from.
pub(crate) type Chunks<'a> = dyn FnMut(&gantry_store::Key) -> Result<Option<Entry>, Error> + 'a;

/// The manifest that a name has now; `None` also when it cannot be read.
pub(crate) fn manifest(store: &dyn Store, name: &str) -> Result<Option<Manifest>, Error> {
    let entry = store.get(&codec::pack_key(name)?)?;
    Ok(entry.and_then(|entry| Manifest::decode(name, &entry.value).ok()))
}

/// The layer of a manifest that was just followed; `None` when it has been replaced since, so that a later commit brings
/// what counts.
pub(crate) fn followed(
    store: &dyn Store,
    name: &str,
    manifest: &Manifest,
) -> Result<Option<Arc<Layer>>, Error> {
    let layer = manifest.unpack(name, &mut |key| Ok(store.get(key)?))?;
    if layer.is_none() && self::manifest(store, name)?.as_ref() == Some(manifest) {
        return Err(damaged(name, &"chunks are missing"));
    }
    Ok(layer)
}

pub(crate) fn damaged(name: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Damaged { faults: vec![format!("content pack {name}: {why}")] }
}

fn digest(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}
