//! Which objects' computed state may have moved because another object did.
//!
//! Existence and availability go to everything that refers to the object. Beyond that only what `derive` really reads:
//! which parameters are required and which have a value. Work is done in the order of references (templates before boot
//! environments before stages before workflows before machines), so each object is computed about once per change.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::files::REPOSITORIES;
use super::{View, referring_indexes};
use crate::{BootEnv, Key, Kind, Param, Profile, Record, Stage, Subnet};

/// The objects whose state is to be computed again.
#[derive(Default)]
pub(super) struct Dirty {
    queue: BTreeSet<(u8, Kind, Key)>,
    /// Tasks that went away: machines that list them are found in one pass, because they are not indexed.
    gone_tasks: BTreeSet<Key>,
    /// A task or stage appeared that an unavailable machine may have waited for.
    heal_machines: bool,
    /// Parameters that may have got or lost their value.
    params: BTreeSet<String>,
}

impl Dirty {
    pub(super) fn note(
        &mut self,
        view: &View,
        kind: Kind,
        key: &Key,
        before: Option<&Arc<Record>>,
        after: Option<&Arc<Record>>,
    ) {
        if after.is_some() {
            self.push(kind, key.clone());
        }
        if before.is_none() != after.is_none() {
            self.referrers(view, kind, key);
            self.unindexed(kind, key, after.is_none());
        }
        let (before, after) = (before.map(Arc::as_ref), after.map(Arc::as_ref));
        match kind {
            Kind::BootEnv if facts_differ(before, after, boot_facts) => {
                self.users(view, Kind::Machine, "BootEnv", key);
            }
            Kind::Stage if facts_differ(before, after, stage_facts) => {
                self.users(view, Kind::Machine, "Stage", key);
            }
            Kind::Profile => {
                self.changed_names(before, after, profile_names);
                self.changed_repositories(view, before, after);
            }
            Kind::Param => {
                self.changed_names(before, after, default_names);
                self.changed_repositories(view, before, after);
            }
            Kind::Subnet if before.is_none() != after.is_none() => self.neighbours(view, before.or(after)),
            _ => {}
        }
    }

    /// A boot environment and the machines in it.
    pub(super) fn boot_env(&mut self, view: &View, key: &Key) {
        self.push(Kind::BootEnv, key.clone());
        self.users(view, Kind::Machine, "BootEnv", key);
    }

    /// Repositories can stand in for files on disk, so boot environments depend on them.
    fn changed_repositories(&mut self, view: &View, before: Option<&Record>, after: Option<&Record>) {
        let text = |record: Option<&Record>| record.and_then(repositories);
        if text(before) != text(after) {
            let waiting: Vec<Key> = view.records(Kind::BootEnv).map(|record| record.key().clone()).collect();
            waiting.iter().for_each(|key| self.boot_env(view, key));
        }
    }

    /// Everything that names the object in a kept index.
    pub(super) fn referrers(&mut self, view: &View, kind: Kind, key: &Key) {
        for (user, index) in referring_indexes(kind).filter(|(_, index)| index.kept) {
            self.users(view, user, index.name, key);
        }
    }

    pub(super) fn pop(&mut self, view: &View) -> Option<(Kind, Key)> {
        if !self.params.is_empty() {
            let params = std::mem::take(&mut self.params);
            self.requiring(view, &params);
        }
        if let Some((_, kind, key)) = self.queue.pop_first() {
            return Some((kind, key));
        }
        if !self.gone_tasks.is_empty() {
            let gone = std::mem::take(&mut self.gone_tasks);
            self.listing(view, &gone);
        }
        if std::mem::take(&mut self.heal_machines) {
            let waiting: Vec<Key> = view.table(Kind::Machine).unavailable().cloned().collect();
            waiting.into_iter().for_each(|key| self.push(Kind::Machine, key));
        }
        self.queue.pop_first().map(|(_, kind, key)| (kind, key))
    }

    fn push(&mut self, kind: Kind, key: Key) {
        if kind.spec().erased.derive.is_some() {
            self.queue.insert((rank(kind), kind, key));
        }
    }

    fn users(&mut self, view: &View, user: Kind, index: &str, key: &Key) {
        if user.spec().erased.derive.is_some() {
            view.find(user, index, key).cloned().for_each(|key| self.push(user, key));
        }
    }

    fn unindexed(&mut self, kind: Kind, key: &Key, gone: bool) {
        match (kind, gone) {
            (Kind::Task, true) => {
                self.gone_tasks.insert(key.clone());
            }
            (Kind::Task | Kind::Stage | Kind::BootEnv, false) => self.heal_machines = true,
            (Kind::Stage, true) => {
                self.gone_tasks.insert(format!("stage:{key}").into());
            }
            (Kind::BootEnv, true) => {
                self.gone_tasks.insert(format!("bootenv:{key}").into());
            }
            _ => {}
        }
    }

    /// Machines whose task list has one of the entries.
    fn listing(&mut self, view: &View, entries: &BTreeSet<Key>) {
        if view.count(Kind::Machine) == 0 {
            return;
        }
        for entry in entries {
            let found: Vec<Key> = view.find(Kind::Machine, "Tasks", entry).cloned().collect();
            found.into_iter().for_each(|key| self.push(Kind::Machine, key));
        }
    }

    fn changed_names(
        &mut self,
        before: Option<&Record>,
        after: Option<&Record>,
        names: fn(&Record) -> BTreeSet<String>,
    ) {
        let before = before.map(names).unwrap_or_default();
        let after = after.map(names).unwrap_or_default();
        self.params.extend(before.symmetric_difference(&after).cloned());
    }

    /// Machines in a stage or boot environment that requires one of the parameters.
    fn requiring(&mut self, view: &View, params: &BTreeSet<String>) {
        let nested = params.iter().any(|name| name.starts_with(NESTED));
        let any = |required: &[String]| {
            (nested && !required.is_empty()) || required.iter().any(|name| params.contains(name))
        };
        for stage in view.objects::<Stage>().filter(|stage| any(&stage.required_params)) {
            self.users(view, Kind::Machine, "Stage", &stage.name.as_str().into());
        }
        for env in view.objects::<BootEnv>().filter(|env| any(&env.required_params)) {
            self.users(view, Kind::Machine, "BootEnv", &env.name.as_str().into());
        }
    }

    /// Subnets that overlap one that came or went, and reservations in it.
    fn neighbours(&mut self, view: &View, record: Option<&Record>) {
        let Some(network) = record.and_then(|record| record.typed::<Subnet>().network()) else { return };
        for other in view.objects::<Subnet>() {
            if other.network().is_some_and(|o| o.overlaps(network)) {
                self.push(Kind::Subnet, other.name.as_str().into());
            }
        }
        let waiting: Vec<Key> = view.table(Kind::Reservation).unavailable().cloned().collect();
        waiting.into_iter().for_each(|key| self.push(Kind::Reservation, key));
    }
}

/// Marks nested profiles among parameter names; no parameter's name can begin so.
const NESTED: char = '\0';

/// Objects are computed after those that they refer to.
fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Template | Kind::Param | Kind::Role => 0,
        Kind::Task | Kind::Profile => 1,
        Kind::BootEnv => 2,
        Kind::Stage => 3,
        Kind::Workflow => 4,
        Kind::Machine => 6,
        _ => 5,
    }
}

fn facts_differ(before: Option<&Record>, after: Option<&Record>, facts: fn(&Record) -> Value) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => facts(before) != facts(after),
        _ => false,
    }
}

/// What machines read of their boot environment besides its availability.
fn boot_facts(record: &Record) -> Value {
    let env = record.typed::<BootEnv>();
    let arches: Vec<(&String, &String)> =
        env.os.supported_architectures.iter().map(|(arch, info)| (arch, &info.kernel)).collect();
    serde_json::json!([env.required_params, env.kernel, env.only_unknown, arches])
}

/// What machines read of their stage besides its availability.
fn stage_facts(record: &Record) -> Value {
    let stage = record.typed::<Stage>();
    let names: Vec<&String> = stage.params.keys().collect();
    serde_json::json!([stage.required_params, stage.profiles, names])
}

fn profile_names(record: &Record) -> BTreeSet<String> {
    let profile = record.typed::<Profile>();
    let nested = profile.profiles.iter().map(|name| format!("{NESTED}{name}"));
    profile.params.keys().cloned().chain(nested).collect()
}

/// The package repositories that a profile or the parameter's own definition brings.
fn repositories(record: &Record) -> Option<Value> {
    match record.kind() {
        Kind::Profile => record.typed::<Profile>().params.get(REPOSITORIES).cloned(),
        _ if record.key().as_str() == REPOSITORIES => record.typed::<Param>().default_value().cloned(),
        _ => None,
    }
}

fn default_names(record: &Record) -> BTreeSet<String> {
    let param = record.typed::<Param>();
    param.default_value().map(|_| param.name.clone()).into_iter().collect()
}
