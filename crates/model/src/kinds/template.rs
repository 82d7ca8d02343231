//! Templates: texts that boot environments, stages and tasks render (API §10.2).

use std::collections::BTreeMap;

use crate::check::{self, Delete};
use crate::kind::{Behaviour, Index};
use crate::parts::TemplateInfo;
use crate::shape::wire;
use crate::{BootEnv, Kind, Problems, Stage, Task};

wire! {
    /// A text in the template language, to be used by name.
    object Template {
        /// Unique id, which is the name to include it by.
        id: String = "ID",
        /// One line for people.
        description: String = "Description",
        /// The text.
        contents: String = "Contents",
    }
}

impl Behaviour for Template {
    const KEY: &'static str = "ID";
    const INDEXES: &'static [Index] = &[Index::text("ID").unique(), Index::text("Description")];

    fn check(&self, problems: &mut Problems) {
        check::number_name(problems, "Invalid ID", &self.id);
    }

    fn delete(&self, delete: &mut Delete<'_>) {
        let mut uses: BTreeMap<(Kind, String), Vec<TemplateInfo>> = BTreeMap::new();
        let view = delete.view;
        for referrer in view.referrers(Kind::Template, &self.id) {
            let key = referrer.key.as_str();
            let templates = match referrer.kind {
                Kind::BootEnv => view.object::<BootEnv>(key).map(|object| object.templates.clone()),
                Kind::Stage => view.object::<Stage>(key).map(|object| object.templates.clone()),
                Kind::Task => view.object::<Task>(key).map(|object| object.templates.clone()),
                _ => None,
            };
            uses.insert((referrer.kind, key.to_owned()), templates.unwrap_or_default());
        }
        for templates in uses.values() {
            for (i, _) in templates.iter().enumerate().filter(|(_, template)| template.id == self.id) {
                delete.problems.used.push(format!("Templates[{i}]: No common template for {}", self.id));
            }
        }
    }
}
