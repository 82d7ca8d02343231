//! The order for a deployment, as JSON. A task's template writes it, `gantry-agent deploy --spec FILE`
//! carries it out. Unknown fields are refused: a misspelt one must not be ignored on the way to a disk.

use crate::http::tls::Trust;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};

/// What to write where, and how the written system is to be set up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Spec {
    /// Address of the image, http or https.
    pub url: String,
    /// How the image is packed.
    pub format: Format,
    /// SHA-256 of the file as served, in hexadecimal; empty for unchecked.
    #[serde(rename = "SHA256")]
    pub sha256: String,
    /// Which certificate of an https server is accepted: `sha256:…` for the one with this hash, `any`; empty for those of
    /// the system's authorities, and any of the server of the job.
    pub tls: String,
    /// Which disk to write.
    pub disk: DiskRule,
    /// Leave the root partition as large as the image made it.
    pub keep_size: bool,
    /// Which partition is the root, by number; 0 finds it.
    pub root_partition: u32,
    /// What to set up in the written system; nothing if absent.
    pub system: Option<System>,
    /// Load the image's kernel, so that the machine's next restart jumps into it.
    pub kexec: Option<Kexec>,
}

impl Spec {
    /// What [`Spec::tls`] says; what it cannot mean counts as not given.
    pub fn trust(&self) -> Trust {
        match crate::cmdline::pin(&self.tls) {
            Some(pin) => Trust::Pin(pin),
            None if self.tls == "any" => Trust::Any,
            None => Trust::Authorities,
        }
    }
}

/// How an image is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// By its first bytes.
    #[default]
    Auto,
    /// Not at all.
    Raw,
    /// gzip.
    Gz,
    /// xz.
    Xz,
    /// Zstandard.
    Zst,
}

/// Which disk: every given field must fit. Without any field the machine must have just one candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct DiskRule {
    /// Device node or a link to one, such as `/dev/sda` or `/dev/disk/by-id/…`.
    pub path: String,
    /// Serial number.
    pub serial: String,
    /// World wide name, with or without its prefix.
    #[serde(rename = "WWN")]
    pub wwn: String,
    /// A name of `/dev/disk/by-id`.
    #[serde(rename = "ByID")]
    pub by_id: String,
    /// Part of the model's name.
    pub model: String,
    /// `sata`, `sas`, `nvme`, `virtio`, …
    pub transport: String,
    /// At least this size, such as `100G`.
    pub min_size: String,
    /// At most this size.
    pub max_size: String,
    /// True for spinning disks only, false for the others only.
    pub rotational: Option<bool>,
    /// What to do when several fit.
    pub pick: Pick,
}

impl DiskRule {
    /// What is given but means nothing, which must not count as not given. `place` stands before the fields' names.
    fn problems(&self, place: &str, problems: &mut Vec<String>) {
        for (name, size) in [("MinSize", &self.min_size), ("MaxSize", &self.max_size)] {
            if !size.is_empty() && crate::text::parse_size(size).is_none() {
                problems.push(format!(
                    "{place}{name}={size}: want a whole number with a unit, such as 1920GB (powers of 1000) or 100G (of 1024)"
                ));
            }
        }
        if !self.path.is_empty()
            && self.path.strip_prefix("/dev/").is_none_or(|name| name.trim_matches('/').is_empty())
        {
            problems.push(format!("{place}Path={}: want a path such as /dev/sda", self.path));
        }
        if !self.by_id.is_empty() && self.bare_id().is_empty() {
            problems.push(format!("{place}ByID={}: want a name of /dev/disk/by-id", self.by_id));
        }
        for (name, text) in [
            ("Serial", &self.serial),
            ("WWN", &self.wwn),
            ("Model", &self.model),
            ("Transport", &self.transport),
        ] {
            if !text.is_empty() && text.trim().is_empty() {
                problems.push(format!("{place}{name} is blank; leave it out, or say which"));
            }
        }
    }

    /// The name of `/dev/disk/by-id`, without its folder.
    pub(super) fn bare_id(&self) -> &str {
        self.by_id.trim_start_matches("/dev/disk/by-id/")
    }
}

/// Reads and checks a list of rules; all problems at once.
pub fn rules(text: &[u8]) -> Result<Vec<DiskRule>, String> {
    let rules: Vec<DiskRule> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut problems = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        rule.problems(&format!("{number}."), &mut problems);
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems.join("; ")) }
}

/// What to do when several disks fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pick {
    /// Refuse.
    #[default]
    Only,
    /// The first by name.
    First,
    /// The smallest; several of that size are refused.
    Smallest,
    /// The largest; several of that size are refused.
    Largest,
}

/// What to set up in the written system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct System {
    /// Host name, short or full.
    pub hostname: String,
    /// Users to create or change.
    pub users: Vec<User>,
    /// Keep the image's machine id instead of having a new one made at the first boot.
    pub keep_machine_id: bool,
    /// Files for cloud-init's NoCloud source.
    pub cloud_init: Option<Seed>,
    /// Further files.
    pub files: Vec<File>,
    /// Install the agent as a service, with endpoint, token and key of the running job.
    pub agent: bool,
    /// Shell scripts of the job's folder, to be run when all else is set up; `GANTRY_ROOT` tells them where the written
    /// system is mounted.
    pub scripts: Vec<String>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Password in crypt(3) form, such as `$6$…`; empty leaves it locked or as it is.
    pub password_hash: Secret,
    /// Lines for `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// May become root without a password.
    pub sudo: bool,
    /// Login shell, `/bin/bash` if empty.
    pub shell: String,
}

/// Files for cloud-init's NoCloud source; empty ones are left out, but for `meta-data`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Seed {
    /// `user-data`.
    pub user_data: String,
    /// `meta-data`; made from key and host name if empty.
    pub meta_data: String,
    /// `network-config`.
    pub network_config: String,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct File {
    /// Absolute path in the written system.
    pub path: String,
    /// Its text.
    pub content: String,
    /// Mode in octal, `0644` if empty.
    pub mode: String,
}

/// The jump into the written system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Kexec {
    /// Words to add to the kernel's command line.
    pub append: String,
}

/// Reads and checks a spec; all problems at once.
pub fn parse(text: &[u8]) -> Result<Spec, String> {
    let spec: Spec = serde_json::from_slice(text).map_err(|error| format!("deploy spec: {error}"))?;
    let mut problems = Vec::new();
    if !spec.url.starts_with("http://") && !spec.url.starts_with("https://") {
        problems.push(format!("Url={}: want http:// or https://", spec.url));
    }
    let hex = spec.sha256.len() == 64 && spec.sha256.bytes().all(|b| b.is_ascii_hexdigit());
    if !spec.sha256.is_empty() && !hex {
        problems.push(format!("SHA256={}: want 64 hexadecimal digits", spec.sha256));
    }
    if !spec.tls.is_empty() && spec.trust() == Trust::Authorities {
        problems.push(format!("Tls={}: want `any`, or sha256: and 64 hexadecimal digits", spec.tls));
    }
    spec.disk.problems("Disk.", &mut problems);
    if let Some(system) = &spec.system {
        system_problems(system, &mut problems);
    }
    if problems.is_empty() { Ok(spec) } else { Err(format!("deploy spec: {}", problems.join("; "))) }
}

fn system_problems(system: &System, problems: &mut Vec<String>) {
    let label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !system.hostname.chars().all(label) || system.hostname.len() > 253 {
        problems.push(format!("System.Hostname={}: want letters, digits, dashes and dots", system.hostname));
    }
    for user in &system.users {
        let good = user.name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && user.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
            && user.name.len() <= 32;
        if !good {
            problems.push(format!("System.Users.Name={}: want a login name such as admin", user.name));
        }
        let hash = user.password_hash.expose();
        if hash.contains([':', '\n']) {
            problems.push(format!("System.Users.PasswordHash of {}: want a crypt(3) hash", user.name));
        }
        if user.shell.contains([':', '\n']) {
            problems.push(format!("System.Users.Shell={}: want a path", user.shell));
        }
    }
    for file in &system.files {
        if !file.path.starts_with('/')
            || file.path.ends_with('/')
            || file.path.split('/').any(|part| part == "..")
        {
            problems.push(format!("System.Files.Path={}: want an absolute path without ..", file.path));
        }
        if !file.mode.is_empty() && u32::from_str_radix(&file.mode, 8).is_err() {
            problems.push(format!("System.Files.Mode={}: want octal digits", file.mode));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_order() {
        let spec = parse(br#"{"Url":"http://a/b.zst","Disk":{"Serial":"S1","Pick":"first"},"Kexec":{}}"#)
            .expect("spec");
        assert_eq!(
            (spec.disk.serial.as_str(), spec.disk.pick, spec.format),
            ("S1", Pick::First, Format::Auto)
        );
        assert!(spec.kexec.is_some() && spec.system.is_none());
    }

    #[test]
    fn all_problems_at_once() {
        let text = br#"{"Url":"ftp://x","SHA256":"12","Tls":"some","Disk":{"MinSize":"huge"},
            "System":{"Hostname":"a b","Users":[{"Name":"Root!"}],"Files":[{"Path":"/etc/../x","Mode":"9"}]}}"#;
        let error = parse(text).expect_err("refused");
        for part in [
            "Url=ftp",
            "SHA256=12",
            "Tls=some",
            "MinSize=huge",
            "Hostname=a b",
            "Name=Root!",
            "Path=/etc/../x",
            "Mode=9",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    /// A bound that cannot be read is no bound: every disk would fit.
    #[test]
    fn a_rule_that_means_nothing_is_refused() {
        let meaningless = [
            r#"{"MaxSize":"1.92TB"}"#,
            r#"{"MinSize":"1.5T"}"#,
            r#"{"MinSize":" "}"#,
            r#"{"Path":"/"}"#,
            r#"{"Path":"/dev/"}"#,
            r#"{"Path":"sda"}"#,
            r#"{"ByID":"/dev/disk/by-id/"}"#,
            r#"{"Serial":" "}"#,
            r#"{"Model":" "}"#,
            r#"{"Maxsize":"1T"}"#,
        ];
        for rule in meaningless {
            let error = rules(format!("[{{}},{rule}]").as_bytes()).expect_err(rule);
            assert!(error.contains("1.") || error.contains("Maxsize"), "{rule}: {error}");
            assert!(parse(format!(r#"{{"Url":"http://x","Disk":{rule}}}"#).as_bytes()).is_err(), "{rule}");
        }
        assert_eq!(rules(br#"[{"MaxSize":"1920GB","Path":"/dev/sda"},{}]"#).map(|rules| rules.len()), Ok(2));
    }

    #[test]
    fn misspelt_fields_are_refused() {
        let error = parse(br#"{"Url":"http://x","Disc":{}}"#).expect_err("refused");
        assert!(error.contains("Disc"), "{error}");
    }
}
