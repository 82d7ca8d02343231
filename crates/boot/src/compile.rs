//! Compiled templates, and the cache of them.
//!
//! All template objects form one root set; each boot environment, stage and task gets a clone of it with its own inline
//! templates (engine §1.2). Both are compiled when they are first needed and kept until the objects behind them change.
//! The cache holds nothing that a View does not say; throwing it away changes no answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantry_model::parts::TemplateInfo;
use gantry_model::{BootEnv, Key, Kind, Record, Stage, Stamp, Task, Template, View};
use gantry_template::{MissingKey, Set};

/// Compiled templates of the View that was seen last. Cheap to share by reference between all who render.
#[derive(Debug, Default)]
pub struct Renderer {
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    root: Option<(Stamp, Arc<Root>)>,
    objects: HashMap<(Kind, Key), (Arc<Record>, Arc<Compiled>)>,
}

/// All template objects in one set.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) set: Set,
    /// Templates that do not parse, by id.
    pub(crate) errors: Vec<(String, gantry_template::Error)>,
}

/// The templates of one boot environment, stage or task.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) set: Set,
    pub(crate) files: Vec<CompiledFile>,
    /// Why some of it does not compile.
    pub(crate) errors: Vec<Trouble>,
    /// Where each inline text begins in the one text that they are parsed as.
    starts: Vec<Start>,
}

/// A place in the inline texts, which the parser sees as one.
#[derive(Debug, Clone, Copy)]
struct Start {
    line: usize,
    column: usize,
    /// Which template's contents begin here.
    index: usize,
}

/// Why a template does not compile, and where it stands in its object.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// In the reference's words.
    pub(crate) message: String,
    /// Such as `Templates/0/Contents`.
    pub(crate) field: String,
    /// The line in that text, from 1; 0 when not known.
    pub(crate) line: usize,
}

impl Trouble {
    fn at(index: usize, field: &str, message: String) -> Self {
        let field = if field.is_empty() {
            format!("Templates/{index}")
        } else {
            format!("Templates/{index}/{field}")
        };
        Self { message, field, line: 0 }
    }
}

/// One template of an object.
#[derive(Debug)]
pub(crate) struct CompiledFile {
    pub(crate) info: TemplateInfo,
    pub(crate) path: Option<Pattern>,
    pub(crate) link: Option<Pattern>,
    /// One file for each of the machine's network cards.
    pub(crate) per_card: bool,
}

/// A path template, and what can be said about its result without rendering it.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) set: Set,
    prefix: String,
    suffix: String,
}

/// The name of the only template in a pattern's set.
pub(crate) const PATTERN: &str = "path";

impl Renderer {
    /// A renderer that has compiled nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The root set of a View.
    pub(crate) fn root(&self, view: &View) -> Arc<Root> {
        let stamp = view.stamp(Kind::Template);
        if let Some((seen, root)) = &self.lock().root
            && *seen == stamp
        {
            return Arc::clone(root);
        }
        let root = Arc::new(Root::compile(view));
        let mut cache = self.lock();
        cache.root = Some((stamp, Arc::clone(&root)));
        cache.objects.clear();
        root
    }

    /// The compiled templates of a boot environment, stage or task.
    pub(crate) fn compiled(&self, view: &View, record: &Arc<Record>) -> Arc<Compiled> {
        let root = self.root(view);
        let key = (record.kind(), record.key().clone());
        if let Some((seen, compiled)) = self.lock().objects.get(&key)
            && Arc::ptr_eq(seen, record)
        {
            return Arc::clone(compiled);
        }
        let compiled = Arc::new(Compiled::new(&root, record.key(), &templates_of(record)));
        let mut cache = self.lock();
        let current = cache.root.as_ref().is_some_and(|(_, current)| Arc::ptr_eq(current, &root));
        if current {
            cache.objects.insert(key, (Arc::clone(record), Arc::clone(&compiled)));
        }
        compiled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn templates_of(record: &Arc<Record>) -> Vec<TemplateInfo> {
    match record.kind() {
        Kind::BootEnv => record.typed::<BootEnv>().templates.clone(),
        Kind::Stage => record.typed::<Stage>().templates.clone(),
        Kind::Task => record.typed::<Task>().templates.clone(),
        _ => Vec::new(),
    }
}

impl Start {
    fn after(text: &str, index: usize) -> Self {
        let line = text.matches('\n').count() + 1;
        Self { line, column: text.len() - text.rfind('\n').map_or(0, |at| at + 1), index }
    }
}

impl Root {
    pub(crate) fn compile(view: &View) -> Self {
        let mut root = Self::default();
        for template in view.objects::<Template>() {
            if let Err(error) = root.set.parse(&template.id, &template.contents) {
                root.errors.push((template.id.clone(), error));
            }
        }
        root.set.freeze();
        root
    }
}

impl Compiled {
    /// Why some of it does not compile.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.errors.iter().map(|error| error.message.clone()).collect()
    }

    pub(crate) fn new(root: &Root, name: &str, templates: &[TemplateInfo]) -> Self {
        let mut compiled =
            Self { set: root.set.clone(), files: Vec::new(), errors: Vec::new(), starts: Vec::new() };
        // All inline texts are one text to the parser, as in DRP: siblings can call each other.
        let mut inline = String::new();
        for (i, info) in templates.iter().enumerate() {
            if info.id.is_empty() && !info.contents.is_empty() {
                inline.push_str(&format!("{{{{define \"{}\"}}}}", info.name));
                compiled.starts.push(Start::after(&inline, i));
                inline.push_str(&info.contents);
                inline.push_str("{{end}}\\n");
            }
            if info.path.is_empty() && !info.link.is_empty() {
                let message = format!("Templates[{i}]: Path is empty but link is specified {}", info.name);
                compiled.errors.push(Trouble::at(i, "Link", message));
            }
            let file = CompiledFile {
                per_card: info.path.contains("{{.Machine.MacAddr "),
                path: compiled.pattern("path", i, &info.path),
                link: compiled.pattern("link", i, &info.link),
                info: info.clone(),
            };
            if !info.id.is_empty() && !root.set.contains(&info.id) {
                let message = format!("Templates[{i}]: No common template for {}", info.id);
                compiled.errors.push(Trouble::at(i, "", message));
            }
            compiled.files.push(file);
        }
        // A name that no template has: the parser would take it for a second definition.
        if let Err(error) = compiled.set.parse(&inline_name(name), &inline) {
            let message = format!("Error parsing inline templates: {}", error.message);
            let (at, line, _) = compiled.place(error.line, usize::MAX);
            compiled.errors.push(Trouble { line, ..Trouble::at(at, "Contents", message) });
        }
        compiled
    }

    /// Which template a place in the inline texts belongs to, and line (from 1) and column there: the parser counts from the
    /// beginning of the first.
    pub(crate) fn place(&self, line: usize, column: usize) -> (usize, usize, usize) {
        let before = |start: &&Start| (start.line, start.column) <= (line, column);
        let Some(start) = self.starts.iter().rfind(before) else { return (0, line, column) };
        let column = if start.line == line { column - start.column } else { column };
        (start.index, line - start.line + 1, column)
    }

    /// A path or link template, parsed on its own with missing keys as errors.
    fn pattern(&mut self, what: &str, index: usize, text: &str) -> Option<Pattern> {
        if text.is_empty() {
            return None;
        }
        let mut set = Set::new();
        set.set_missing_key(MissingKey::Error);
        match set.parse(PATTERN, text) {
            Ok(()) => {
                let (prefix, suffix) = certain(text);
                Some(Pattern { set, prefix, suffix })
            }
            Err(error) => {
                let message = format!("Error compiling {what} template {index} ({text}): {}", error.message);
                let field = if what == "path" { "Path" } else { "Link" };
                self.errors.push(Trouble::at(index, field, message));
                None
            }
        }
    }
}

/// What errors call the inline texts of an object.
pub(crate) fn inline_name(object: &str) -> String {
    format!("inline:{object}")
}

/// How every result of a path template begins and ends, without slashes at the outside.
fn certain(text: &str) -> (String, String) {
    let own = |part: &str| part.trim().trim_matches('/').to_owned();
    // Cleaning may take parts away, and braces in texts mislead the search: then nothing is certain.
    if text.contains("..")
        || text.contains("//")
        || text.contains("./")
        || text.contains('"') && text.contains("\"}}\"")
    {
        return (String::new(), String::new());
    }
    let prefix = text.split("{{").next().unwrap_or_default();
    let suffix = text.rsplit("}}").next().unwrap_or_default();
    (own(prefix), own(suffix))
}

impl Pattern {
    /// False when the result cannot be `path`, whatever is rendered in between.
    pub(crate) fn may_be(&self, path: &str) -> bool {
        path.starts_with(&self.prefix) && path.ends_with(&self.suffix)
    }
}

impl CompiledFile {
    /// The template to execute: the common one, else the inline one of this name.
    pub(crate) fn call(&self) -> &str {
        if self.info.id.is_empty() { &self.info.name } else { &self.info.id }
    }
}
