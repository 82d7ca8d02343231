//! What a render asked for, and what that is in a View: by it a result can be kept, and be known to hold still.
//!
//! An [`Input`] is a question to the scene, without its answer. Whatever dot shows of the View goes through the scene, which
//! notes the question; [`Scene::answer`] answers it again, perhaps in another View. Equal answers to all questions of a
//! render mean an equal result, for a render is a function of what it reads.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::io;
use std::sync::{Mutex, PoisonError};

use gantry_model::Kind;
use serde_json::Value as Json;

use crate::compile::Compiled;
use crate::scene::Scene;

/// A question that a render may ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Input {
    /// The value that counts, and its layer.
    Param(Box<str>),
    /// Is there such a value?
    HasParam(Box<str>),
    /// All values merged, and the layer of the first.
    Composed(Box<str>),
    /// A field of the machine, boot environment, stage or task.
    Field(Kind, Box<str>),
    /// All fields of it.
    Whole(Kind),
    /// Is there such a profile?
    HasProfile(Box<str>),
    /// A preference.
    Preference(Box<str>),
    /// Which unpacked tree is the operating system installed from?
    Tree,
    /// What a template does; that there is none, too.
    Template(Box<str>),
    /// Where a template stands: only errors tell.
    Place(Box<str>),
}

/// How many questions are worth remembering of one render, and how long their names may be.
const MOST: usize = 1000;
const LONGEST: usize = 1000;

/// The questions of one render.
#[derive(Debug, Default)]
pub(crate) struct Reads(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    inputs: BTreeSet<Input>,
    /// Something was asked that is not among them.
    incomplete: bool,
}

impl Reads {
    /// Notes a question.
    pub(crate) fn note(&self, input: Input) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.inputs.len() < MOST && input.name().len() <= LONGEST {
            noted.inputs.insert(input);
        } else {
            noted.incomplete = true;
        }
    }

    /// Notes that a template was looked up. Names that are no UTF-8 have no place in a View.
    pub(crate) fn note_template(&self, name: &[u8]) {
        match std::str::from_utf8(name) {
            Ok(name) => self.note(Input::Template(name.into())),
            Err(_) => self.note_untold(),
        }
    }

    /// Something was read that no question stands for.
    pub(crate) fn note_untold(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).incomplete = true;
    }

    /// All of them, sorted; of a render that `failed` with the places of its templates. None when it asked too much.
    pub(crate) fn finish(&self, failed: bool) -> Option<Vec<Input>> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inputs: Vec<Input> = noted.inputs.iter().cloned().collect();
        if failed {
            inputs.extend(noted.inputs.iter().filter_map(|input| match input {
                Input::Template(name) => Some(Input::Place(name.clone())),
                _ => None,
            }));
        }
        (!noted.incomplete).then_some(inputs)
    }
}

impl Input {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Param(name)
            | Self::HasParam(name)
            | Self::Composed(name)
            | Self::Field(_, name)
            | Self::HasProfile(name)
            | Self::Preference(name)
            | Self::Template(name)
            | Self::Place(name) => name,
            Self::Whole(_) | Self::Tree => "",
        }
    }
}

impl Scene {
    /// The answer to a question in this scene, as a hash. What the targets of one machine have in common is answered once.
    pub(crate) fn answer(&self, input: &Input, compiled: &Compiled) -> u64 {
        let print = |name: &str| compiled.set.fingerprint(name);
        match input {
            Input::Template(name) => print(name).map_or(0, |print| print.text),
            Input::Place(name) => print(name).map_or(0, |print| print.place),
            Input::Field(Kind::Task, _) | Input::Whole(Kind::Task) => self.hashed(input),
            common => {
                let answers = || self.shared().answers.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(known) = answers().get(common) {
                    return *known;
                }
                let hash = self.hashed(common);
                answers().insert(common.clone(), hash);
                hash
            }
        }
    }

    fn hashed(&self, input: &Input) -> u64 {
        let mut hasher = DefaultHasher::new();
        match input {
            Input::Param(name) => self.with_param(name, |found| {
                found.as_ref().map(|(_, origin)| origin).hash(&mut hasher);
                hash_json(found.map_or(&Json::Null, |(value, _)| value), &mut hasher);
            }),
            Input::HasParam(name) => self.with_param(name, |found| found.is_some().hash(&mut hasher)),
            Input::Composed(name) => {
                let (value, origins) = self.peek_composed(name).unwrap_or_default();
                origins.hash(&mut hasher);
                hash_json(&value, &mut hasher);
            }
            Input::Field(kind, name) => {
                hash_json(self.json(*kind).get(&**name).unwrap_or(&Json::Null), &mut hasher);
            }
            Input::Whole(kind) => hash_json(self.json(*kind), &mut hasher),
            Input::HasProfile(name) => self.view().record(Kind::Profile, name).is_some().hash(&mut hasher),
            Input::Preference(name) => self.view().preference(name).hash(&mut hasher),
            Input::Tree => self.peek_tree().hash(&mut hasher),
            Input::Template(_) | Input::Place(_) => {}
        }
        hasher.finish()
    }
}

/// The text of a JSON value into a hash.
fn hash_json(value: &Json, hasher: &mut impl Hasher) {
    struct Sink<'a, H>(&'a mut H);

    impl<H: Hasher> io::Write for Sink<'_, H> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // Neither the values nor the sink can fail.
    let _ = serde_json::to_writer(Sink(hasher), value);
    hasher.write_u8(0);
}
