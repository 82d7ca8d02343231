//! What a content pack needs before it can be used: versions, prerequisites with ranges, features (API §12.4, engine §7.2).
//!
//! Versions and ranges follow the Go library that DRP uses (blang/semver): comparisons with `< <= > >= = == ! !=`, a space
//! for "and", `||` for "or", `x` for any number. Missing numbers count as zero, where that library refuses them.

use std::fmt;

/// A semantic version without its pre-release part, which DRP drops from packs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u64; 3]);

impl Version {
    /// Reads `v1.2.3-anything`; an empty text is 0.0.0.
    ///
    /// # Errors
    /// Which part is no number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (parts, wild) = parts(text.strip_prefix('v').unwrap_or(text))?;
        match wild {
            None => Ok(Self(parts)),
            Some(_) => Err(format!("Invalid character(s) found in version {text:?}")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The three numbers, and the place of the first `x`.
fn parts(text: &str) -> Result<([u64; 3], Option<usize>), String> {
    let text = text.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = [0; 3];
    let mut wild = None;
    if text.is_empty() {
        return Ok((numbers, wild));
    }
    let given: Vec<&str> = text.split('.').collect();
    if given.len() > 3 {
        return Err(format!("Invalid character(s) found in patch number {:?}", given[2..].join(".")));
    }
    for (at, part) in given.into_iter().enumerate() {
        if matches!(part, "x" | "X" | "*") {
            wild = wild.or(Some(at));
            continue;
        }
        let name = ["major", "minor", "patch"][at];
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = part.parse().ok().filter(|_| digits);
        numbers[at] =
            number.ok_or_else(|| format!("Invalid character(s) found in {name} number {part:?}"))?;
    }
    Ok((numbers, wild))
}

/// A set of versions: any of several lists of comparisons that hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range(Vec<Vec<(Comparison, Version)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
    Same,
    Other,
}

/// The signs, longer ones first.
const SIGNS: [(&str, Comparison); 8] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Same),
    ("!=", Comparison::Other),
    ("<", Comparison::Less),
    (">", Comparison::More),
    ("=", Comparison::Same),
    ("!", Comparison::Other),
];

impl Range {
    /// Reads a range; an empty one holds every version.
    ///
    /// # Errors
    /// The Go library's sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut any = Vec::new();
        for alternative in text.split("||") {
            let mut all = Vec::new();
            let mut sign = None;
            for word in alternative.split_whitespace() {
                // A sign may stand apart from its version.
                let (found, rest) = comparison(word);
                let found = sign.take().or(found);
                if rest.is_empty() {
                    sign = found;
                    continue;
                }
                let version = rest.strip_prefix('v').unwrap_or(rest);
                let bad = |why: String| {
                    format!(
                        "Could not parse Range {text:?}: Could not parse version {version:?} in {word:?}: {why}"
                    )
                };
                let (numbers, wild) = parts(version).map_err(bad)?;
                widen(found.unwrap_or(Comparison::Same), numbers, wild, &mut all, &mut any);
            }
            if sign.is_some() {
                return Err(format!("Could not parse Range {text:?}: a comparison without a version"));
            }
            any.push(all);
        }
        Ok(Self(any))
    }

    /// True when the version is in the range.
    #[must_use]
    pub fn holds(&self, version: Version) -> bool {
        let one = |(comparison, bound): &(Comparison, Version)| match comparison {
            Comparison::Less => version < *bound,
            Comparison::AtMost => version <= *bound,
            Comparison::More => version > *bound,
            Comparison::AtLeast => version >= *bound,
            Comparison::Same => version == *bound,
            Comparison::Other => version != *bound,
        };
        self.0.iter().any(|all| all.iter().all(one))
    }
}

fn comparison(word: &str) -> (Option<Comparison>, &str) {
    let found = SIGNS.iter().find_map(|(sign, comparison)| Some((*comparison, word.strip_prefix(sign)?)));
    found.map_or((None, word), |(comparison, rest)| (Some(comparison), rest))
}

type Bounds = Vec<(Comparison, Version)>;

/// `1.2.x` stands for all versions from 1.2.0 to before 1.3.0.
fn widen(
    comparison: Comparison,
    numbers: [u64; 3],
    wild: Option<usize>,
    all: &mut Bounds,
    any: &mut Vec<Bounds>,
) {
    let Some(place) = wild else { return all.push((comparison, Version(numbers))) };
    let mut low = numbers;
    low[place..].fill(0);
    let mut high = low;
    match place.checked_sub(1) {
        Some(before) => high[before] = high[before].saturating_add(1),
        None => high = [u64::MAX; 3],
    }
    let (low, high) = (Version(low), Version(high));
    match comparison {
        Comparison::Less => all.push((Comparison::Less, low)),
        Comparison::AtMost => all.push((Comparison::Less, high)),
        Comparison::More => all.push((Comparison::AtLeast, high)),
        Comparison::AtLeast => all.push((Comparison::AtLeast, low)),
        Comparison::Same => all.extend([(Comparison::AtLeast, low), (Comparison::Less, high)]),
        Comparison::Other => {
            let mut below = all.clone();
            below.push((Comparison::Less, low));
            any.push(below);
            all.push((Comparison::AtLeast, high));
        }
    }
}

/// A pack that another needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need<'a> {
    /// The pack's name.
    pub name: &'a str,
    /// The versions that will do, as written; empty for all.
    pub range: &'a str,
}

/// The entries of `Prerequisites`: `name[: range]`, comma separated.
#[must_use]
pub fn pack_needs(prerequisites: &str) -> Vec<Need<'_>> {
    let entries = prerequisites.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let need = |entry: &'_ str| -> (usize, usize) {
        let name = entry.find(':').unwrap_or(entry.len());
        (name, (name + 1).min(entry.len()))
    };
    entries
        .map(|entry| {
            let (name, range) = need(entry);
            Need { name: entry[..name].trim(), range: entry[range..].trim() }
        })
        .collect()
}

/// Packs that content asks for and nobody outside the vendor can have: a licence that is not needed here, and the content of a
/// closed plugin provider. They count as present, until a pack of that name is loaded.
pub const NOBODY_HAS: [&str; 2] = ["rackn-license", "docker-context"];

/// Features that packs may require and clients may test (API §19.3), in the order of the last open server, then ours.
pub const FEATURES: &[&str] = &[
    "api-v3",
    "sane-exit-codes",
    "common-blob-size",
    "change-stage-map",
    "job-exit-states",
    "package-repository-handling",
    "profileless-machine",
    "threaded-log-levels",
    "plugin-v2",
    "fsm-runner",
    "plugin-v2-safe-config",
    "workflows",
    "default-workflow",
    "http-range-header",
    "roles",
    "tenants",
    "secure-params",
    "separate-meta-api",
    "slim-objects",
    "secure-param-upgrade",
    "sprig",
    "multiarch",
    "actions-in-task-list",
    "endpoint-refs",
    "endpoint-proxy",
    "inline-upgrade",
    "bundle-objects",
    "secure-params-in-content-packs",
    "task-prerequisites",
    "content-prerequisite-version-checking",
    "stage-paramer",
    "auto-boot-target",
    "partial-objects",
    "regex-string-filters",
    "file-iso-exists-info-render",
    "log-has-head-method",
    "overridable-bootloaders",
    "centos-8",
    "virtual-media-boot",
    "elevated-tasks",
    "env-linefrom",
    "selective-job-purge",
    "gantry-boot-trace",
    "gantry-log-offset",
    "gantry-event-resume",
    "gantry-content-check",
];

/// What speaks against a pack beside `others`, which are told by name and version: its own version, features, prerequisites.
#[must_use]
pub fn unmet<'a>(
    meta: &crate::kinds::content::ContentMeta,
    version_of: &dyn Fn(&str) -> Option<&'a str>,
) -> Vec<String> {
    let name = &meta.name;
    let mut messages = Vec::new();
    if let Err(why) = Version::parse(&meta.version) {
        messages.push(format!("Layer {name}: invalid version {}: {why}", meta.version));
    }
    let features = meta.required_features.split([',', ' ', '\n', '\t']).map(str::trim);
    for feature in features.filter(|feature| !feature.is_empty()) {
        if !FEATURES.iter().any(|known| known.eq_ignore_ascii_case(feature)) {
            messages.push(format!(
                "Content layer {name} requires feature {feature}, but dr-provision does not provide it"
            ));
        }
    }
    for need in pack_needs(&meta.prerequisites) {
        messages.extend(unmet_need(meta, &need, version_of(need.name)));
    }
    messages
}

/// What speaks against a pack when the pack `name` has that version, or is not there: nothing unless it is needed.
#[must_use]
pub fn unmet_by(meta: &crate::kinds::content::ContentMeta, name: &str, version: Option<&str>) -> Vec<String> {
    let needs = pack_needs(&meta.prerequisites).into_iter().filter(|need| need.name == name);
    needs.filter_map(|need| unmet_need(meta, &need, version)).collect()
}

fn unmet_need(
    meta: &crate::kinds::content::ContentMeta,
    need: &Need<'_>,
    version: Option<&str>,
) -> Option<String> {
    let (layer, name) = (&meta.name, need.name);
    let range = match Range::parse(need.range) {
        Ok(range) => range,
        Err(why) => {
            let list = &meta.prerequisites;
            return Some(format!(
                "Layer {layer}: error parsing prerequisites {list}: Invalid version requirement for {name}: {why}"
            ));
        }
    };
    let Some(version) = version else {
        let missing = || format!("Layer {layer} has {name} as a prerequisite, but {name} does not exist!");
        return (!NOBODY_HAS.contains(&name)).then(missing);
    };
    // A version that cannot be read was refused when its pack came.
    let fits = Version::parse(version).is_ok_and(|version| range.holds(version));
    (!fits).then(|| format!("Layer {layer} prerequisite test on {name} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_lose_their_v_and_their_pre_release() {
        for (text, shown) in
            [("v4.8.0", "4.8.0"), ("1.13.2-tip+x", "1.13.2"), ("", "0.0.0"), ("4.6", "4.6.0")]
        {
            assert_eq!(Version::parse(text).map(|version| version.to_string()), Ok(shown.to_owned()));
        }
        assert_eq!(
            Version::parse("1.2.foo"),
            Err("Invalid character(s) found in patch number \"foo\"".to_owned())
        );
    }

    #[test]
    fn ranges_hold_what_they_say() {
        let table = [
            ("", "0.0.1", true),
            (">=4.6.0", "4.8.0", true),
            (">=4.6.0", "4.5.9", false),
            (">= 4.6.0 <5.0.0", "4.9.9", true),
            (">=4.6.0 <5.0.0", "5.0.0", false),
            ("1.2.3 || >2.0.0", "2.0.1", true),
            ("1.2.3 || >2.0.0", "2.0.0", false),
            (">=3.12.x", "3.12.0", true),
            ("3.12.x", "3.13.0", false),
            ("!=3.12.x", "3.12.5", false),
            ("!=3.12.x", "3.11.5", true),
            ("!1.0.0", "1.0.1", true),
            ("<=1.x", "1.99.0", true),
            ("==1.0.0", "1.0.0", true),
        ];
        for (range, version, holds) in table {
            assert_eq!(
                Range::parse(range).unwrap().holds(Version::parse(version).unwrap()),
                holds,
                "{version} in {range}"
            );
        }
        assert_eq!(
            Range::parse(">=3.12.foo").unwrap_err(),
            "Could not parse Range \">=3.12.foo\": Could not parse version \"3.12.foo\" in \">=3.12.foo\": Invalid character(s) found in patch number \"foo\""
        );
        assert!(Range::parse(">=").is_err());
    }

    #[test]
    fn prerequisites_are_a_list_with_optional_ranges() {
        let needs = pack_needs("a:>=4.6.0, b , c: >=1.0.0 <2.0.0,\n");
        let shown: Vec<(&str, &str)> = needs.iter().map(|need| (need.name, need.range)).collect();
        assert_eq!(shown, [("a", ">=4.6.0"), ("b", ""), ("c", ">=1.0.0 <2.0.0")]);
    }
}
