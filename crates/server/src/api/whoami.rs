//! Which machine asks? (reference: api.md §10.20)
//!
//! Every machine that starts asks once, so an answer must not cost more in a larger fleet: machines are found through the
//! indexes of what was sent, and only these are scored. Nobody else can reach the score: each point comes from a value that the
//! machine and the question share. A value that many machines share (the serial number `Default string`) tells nobody
//! apart and finds nobody; it still counts for those whom another value has found.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use gantry_api::types::{Whoami, WhoamiResult};
use gantry_api::{Error, lenient};
use gantry_model::{Key, Kind, Machine, View, check};
use serde_json::json;

use super::answer::{self, Answer};
use super::{Ask, body};
use crate::auth::Token;
use crate::{clock, tokens};

/// A machine is recognised from this score on.
const ENOUGH: u64 = 100;
/// The longest question, in bytes.
const LIMIT: u64 = 1 << 20;
/// More network cards, those of its containers too, or memory modules, than a machine has.
const MOST: usize = 4_096;
/// A value that more machines than this have finds none of them. The blades of a chassis share its serial number.
const SHARED: usize = 64;
/// So many machines are scored at most.
const SCORED: usize = 1_024;

/// `POST /whoami`
pub(super) async fn whoami(mut ask: Ask) -> Answer {
    let given = body::json(ask.take_body(), &ask.headers, LIMIT, json!({})).await?;
    let mut whoami: Whoami =
        lenient::from_value(given).map_err(|error| Error::malformed("POST", error.to_string()))?;
    for (field, values) in
        [("MacAddrs", &whoami.mac_addrs), ("Fingerprint.MemoryIds", &whoami.fingerprint.memory_ids)]
    {
        if values.len() > MOST {
            let text = format!("{field} has {} entries; at most {MOST} are possible", values.len());
            return Err(Error::malformed("POST", text));
        }
    }
    whoami.result = best(&ask.view, &Question::of(&whoami)).unwrap_or_default();
    if !whoami.result.uuid.is_empty() {
        let ttl = tokens::known_timeout(&ask.view);
        let token = Token::for_machine(&whoami.result.uuid, clock::now(), ttl);
        whoami.result.token = token.issue(&ask.view).unwrap_or_default();
        ask.api.note_machine(
            &ask.view,
            &whoami.result.uuid,
            Some(ask.remote()),
            "agent",
            "asks who it is".into(),
        );
    }
    answer::ok(&whoami)
}

/// What was sent, in the form in which machines hold it.
struct Question<'a> {
    asked: &'a Whoami,
    uuid: String,
    macs: HashSet<String>,
    memory: HashSet<&'a str>,
}

impl<'a> Question<'a> {
    fn of(asked: &'a Whoami) -> Self {
        let mac = |mac: &String| check::mac(mac).unwrap_or_else(|_| mac.to_ascii_lowercase());
        Self {
            asked,
            uuid: asked.on_disk_uuid.to_ascii_lowercase(),
            macs: asked.mac_addrs.iter().map(mac).collect(),
            memory: asked.fingerprint.memory_ids.iter().map(String::as_str).collect(),
        }
    }

    /// Every value that machines are found by, with its index, those that tell most first.
    fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let given = &self.asked.fingerprint;
        let macs = self.macs.iter().map(|mac| ("HardwareAddrs", mac.as_str()));
        let memory = self.memory.iter().map(|id| ("Fingerprint.MemoryIds", *id));
        [("Fingerprint.CloudInstanceID", given.cloud_instance_id.as_str())]
            .into_iter()
            .chain(macs)
            .chain([
                ("Fingerprint.SystemUUID", given.system_uuid.as_str()),
                ("Fingerprint.SSNHash", given.ssn_hash.as_str()),
                ("Fingerprint.CSNHash", given.csn_hash.as_str()),
            ])
            .chain(memory)
            .filter(|(_, value)| !value.is_empty())
    }
}

fn best(view: &View, question: &Question<'_>) -> Option<WhoamiResult> {
    let scored = candidates(view, question).into_iter().map(|machine| (score(&machine, question), machine));
    let (score, machine) = scored.max_by_key(|(score, _)| *score)?;
    (score >= ENOUGH).then(|| WhoamiResult { score, uuid: machine.uuid.to_string(), token: String::new() })
}

/// Machines that can reach the score at all. The remembered UUID outweighs everything else together.
fn candidates(view: &View, question: &Question<'_>) -> Vec<Arc<Machine>> {
    if let Some(machine) = view.object::<Machine>(&question.uuid) {
        return vec![machine];
    }
    let mut found: BTreeSet<&Key> = BTreeSet::new();
    for (index, value) in question.values() {
        let holders: Vec<&Key> = view.find(Kind::Machine, index, value).take(SHARED + 1).collect();
        if holders.len() <= SHARED && found.len() < SCORED {
            found.extend(holders);
        }
    }
    found.into_iter().filter_map(|key| view.object(key)).collect()
}

/// Points of likeness: a field counts only when the stored machine has it.
fn score(machine: &Machine, question: &Question<'_>) -> u64 {
    let (known, given) = (&machine.fingerprint, &question.asked.fingerprint);
    let same =
        |known: &str, given: &str, points| if !known.is_empty() && known == given { points } else { 0 };
    let memory: Vec<String> = known.memory_ids.iter().map(ToString::to_string).collect();
    same(&known.ssn_hash.to_string(), &given.ssn_hash, 25)
        + same(&known.csn_hash.to_string(), &given.csn_hash, 25)
        + same(&known.system_uuid, &given.system_uuid, 50)
        + same(&known.cloud_instance_id, &given.cloud_instance_id, 500)
        + share(&memory, |id| question.memory.contains(id))
        + share(&machine.hardware_addrs, |mac| question.macs.contains(mac))
        + same(&machine.uuid.to_string(), &question.uuid, 1_000)
}

/// 100 points times the part of the known ones that was given.
fn share(known: &[String], is_given: impl Fn(&str) -> bool) -> u64 {
    let matched = known.iter().filter(|one| is_given(one)).count();
    match known.len() {
        0 => 0,
        all => (100 * matched / all) as u64,
    }
}

#[cfg(test)]
mod tests {
    use gantry_model::{Edit, Record};

    use super::*;

    /// A hundred machines of one maker, who wrote the same serial number on every chassis.
    fn fleet() -> View {
        let edits = (0..100).map(|n| {
            let machine = json!({
                "Uuid": format!("00000000-0000-4000-8000-{n:012}"),
                "Name": format!("m{n}"),
                "HardwareAddrs": [format!("52:54:00:00:00:{n:02x}")],
                "Fingerprint": {
                    "SSNHash": format!("{n:04}"), "CSNHash": "c2FtZQ==", "SystemUUID": format!("s{n}"),
                    "MemoryIds": ["c2FtZQ==", format!("AA{n:02}")],
                },
            });
            Edit::put(Arc::new(Record::from_value(Kind::Machine, machine, 1).unwrap()))
        });
        View::base().apply(&edits.collect::<Vec<_>>(), 1).0
    }

    /// How many machines are scored, and the name of the one that is found.
    fn check(asked: serde_json::Value, scored: usize, found: Option<(&str, u64)>) {
        let view = fleet();
        let asked: Whoami = serde_json::from_value(asked).unwrap();
        let question = Question::of(&asked);
        assert_eq!(candidates(&view, &question).len(), scored, "{asked:?}");
        let best = best(&view, &question).map(|best| {
            let machine = view.object::<Machine>(&best.uuid).unwrap();
            (machine.name.clone(), best.score)
        });
        assert_eq!(best, found.map(|(name, score)| (name.to_owned(), score)), "{asked:?}");
    }

    #[test]
    fn only_machines_that_share_something_telling_are_looked_at() {
        check(json!({}), 0, None);
        let stranger = json!({ "SSNHash": "bmV3", "CSNHash": "c2FtZQ==", "SystemUUID": "new", "MemoryIds": ["c2FtZQ=="] });
        check(json!({ "MacAddrs": ["52:54:00:00:01:00"], "Fingerprint": stranger }), 0, None);
        let seven = json!({ "SSNHash": "0007", "CSNHash": "c2FtZQ==", "SystemUUID": "s7" });
        check(json!({ "Fingerprint": seven }), 1, Some(("m7", 100)));
        check(json!({ "MacAddrs": ["52-54-00-00-00-07"] }), 1, Some(("m7", 100)));
        check(json!({ "OnDiskUUID": "00000000-0000-4000-8000-000000000007" }), 1, Some(("m7", 1_000)));
    }

    /// A card of machine 8 was put into machine 7: the rest of the hardware outweighs it.
    #[test]
    fn a_machine_with_the_card_of_another_is_itself() {
        let seven = json!({ "SSNHash": "0007", "CSNHash": "c2FtZQ==", "SystemUUID": "s7", "MemoryIds": ["AA07", "c2FtZQ=="] });
        check(json!({ "MacAddrs": ["52:54:00:00:00:08"], "Fingerprint": seven }), 2, Some(("m7", 200)));
    }
}
