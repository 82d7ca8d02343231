//! Setting up the written system: host name, users, machine id, cloud-init seed, files, agent service, scripts.
//! Everything here works on a folder and is tested on one.

use super::inside::Root;
use super::spec::{Seed, System, User};
use crate::roles::ServiceConfig;
use std::io;
use std::process::Command;

/// Where the agent is put in the written system.
pub const AGENT_PATH: &str = "/usr/local/sbin/gantry-agent";

const UNIT: &str = "[Unit]
Description=Gantry machine agent
Documentation=https://github.com/gantry-provision/gantry
Wants=network-online.target
After=network.target

[Service]
ExecStart=/usr/local/sbin/gantry-agent run
Restart=always
RestartSec=3
KillMode=mixed
TimeoutStopSec=60

[Install]
WantedBy=multi-user.target
";

/// Who the agent in the written system is.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// For [`crate::roles::SERVICE_CONFIG`].
    pub service: ServiceConfig,
    /// Our own program.
    pub program: Vec<u8>,
}

/// Does all that `system` asks for; `say` gets one line for each step.
pub fn apply(root: &Root, system: &System, identity: &Identity, say: &mut dyn FnMut(&str)) -> io::Result<()> {
    if !system.hostname.is_empty() {
        hostname(root, &system.hostname)?;
        say(&format!("host name {}", system.hostname));
    }
    if !system.keep_machine_id {
        machine_id(root)?;
    }
    for user in &system.users {
        self::user(root, user)?;
        say(&format!("user {}", user.name));
    }
    if let Some(seed) = &system.cloud_init {
        cloud_init(root, seed, system, &identity.service.uuid)?;
        say("cloud-init seed");
    }
    for file in &system.files {
        let mode = u32::from_str_radix(&file.mode, 8).unwrap_or(0o644) & 0o7777;
        root.write(&file.path, file.content.as_bytes(), mode)?;
        say(&format!("file {}", file.path));
    }
    if system.agent {
        agent(root, identity)?;
        say("agent service");
    }
    system.scripts.iter().try_for_each(|script| run(root, script, say))
}

/// Runs a script of the job; its output goes where ours goes.
fn run(root: &Root, script: &str, say: &mut dyn FnMut(&str)) -> io::Result<()> {
    say(&format!("script {script}"));
    let status = Command::new("/bin/sh").arg(script).env("GANTRY_ROOT", root.path()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("script {script}: {status}"))) }
}

/// `/etc/hostname` has the short name; `/etc/hosts` lets the full one resolve.
fn hostname(root: &Root, name: &str) -> io::Result<()> {
    let short = name.split('.').next().unwrap_or(name);
    root.write("/etc/hostname", format!("{short}\n").as_bytes(), 0o644)?;
    let names = if short == name { short.to_owned() } else { format!("{name} {short}") };
    let hosts = root.read("/etc/hosts")?.unwrap_or_else(|| "127.0.0.1 localhost\n::1 localhost\n".into());
    let mut lines: Vec<&str> = hosts.lines().filter(|line| !line.starts_with("127.0.1.1")).collect();
    let own = format!("127.0.1.1 {names}");
    lines.push(&own);
    root.write("/etc/hosts", format!("{}\n", lines.join("\n")).as_bytes(), 0o644)
}

/// An empty file makes systemd choose a new id at the first boot (machine-id(5)).
fn machine_id(root: &Root) -> io::Result<()> {
    if root.exists("/etc/machine-id") {
        root.write("/etc/machine-id", b"", 0o444)?;
    }
    if root.exists("/var/lib/dbus/machine-id") {
        root.link("/etc/machine-id", "/var/lib/dbus/machine-id")?;
    }
    Ok(())
}

/// A line of passwd or shadow by its first field.
fn entry<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&name))
}

/// Replaces or appends the line whose first field is `name`.
fn set_entry(text: &str, name: &str, line: &str) -> String {
    let mut found = false;
    let mut lines: Vec<&str> = Vec::new();
    for old in text.lines() {
        if old.split(':').next() == Some(name) {
            if !found {
                lines.push(line);
            }
            found = true;
        } else {
            lines.push(old);
        }
    }
    if !found {
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

fn user(root: &Root, user: &User) -> io::Result<()> {
    let passwd = root.read("/etc/passwd")?.unwrap_or_else(|| "root:x:0:0:root:/root:/bin/bash\n".into());
    let (id, group, home) = match entry(&passwd, &user.name) {
        Some(fields) => {
            let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
            let home = fields.get(5).copied().unwrap_or("/").to_owned();
            (number(2), number(3), home)
        }
        None => create(root, &passwd, user)?,
    };
    password(root, user)?;
    let owner = Some((id, group));
    if !user.ssh_keys.is_empty() {
        let folder = format!("{home}/.ssh");
        let keys = format!("{folder}/authorized_keys");
        root.make_dir(&folder, 0o700, owner)?;
        root.write(&keys, format!("{}\n", user.ssh_keys.join("\n")).as_bytes(), 0o600)?;
        root.own(&keys, owner)?;
    }
    if user.sudo {
        let line = format!("{} ALL=(ALL) NOPASSWD:ALL\n", user.name);
        root.write(&format!("/etc/sudoers.d/90-{}", user.name), line.as_bytes(), 0o440)?;
    }
    Ok(())
}

/// Adds user, group and home; ids begin at 1000.
fn create(root: &Root, passwd: &str, user: &User) -> io::Result<(u32, u32, String)> {
    let groups = root.read("/etc/group")?.unwrap_or_default();
    let used = |text: &str| -> Vec<u32> {
        text.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect()
    };
    let (users, group_ids) = (used(passwd), used(&groups));
    let id = (1000..60_000)
        .find(|id| !users.contains(id) && !group_ids.contains(id))
        .ok_or_else(|| io::Error::other("no free user id"))?;
    let home = format!("/home/{}", user.name);
    let shell = if user.shell.is_empty() { "/bin/bash" } else { &user.shell };
    let line = format!("{}:x:{id}:{id}::{home}:{shell}", user.name);
    root.write("/etc/passwd", set_entry(passwd, &user.name, &line).as_bytes(), 0o644)?;
    let line = format!("{}:x:{id}:", user.name);
    root.write("/etc/group", set_entry(&groups, &user.name, &line).as_bytes(), 0o644)?;
    root.make_dir(&home, 0o755, Some((id, id)))?;
    for name in [".bashrc", ".profile", ".bash_logout"] {
        if let Some(text) = root.read(&format!("/etc/skel/{name}"))? {
            let path = format!("{home}/{name}");
            root.write(&path, text.as_bytes(), 0o644)?;
            root.own(&path, Some((id, id)))?;
        }
    }
    Ok((id, id, home))
}

/// The shadow entry; a new user without a password gets a locked one, an existing one keeps theirs.
fn password(root: &Root, user: &User) -> io::Result<()> {
    let shadow = root.read("/etc/shadow")?.unwrap_or_default();
    let known = entry(&shadow, &user.name);
    if user.password_hash.is_empty() && known.is_some() {
        return Ok(());
    }
    let hash = if user.password_hash.is_empty() { "*" } else { user.password_hash.expose() };
    let mut fields: Vec<&str> =
        known.unwrap_or_else(|| vec![&user.name, "*", "19700", "0", "99999", "7", "", "", ""]);
    if let Some(field) = fields.get_mut(1) {
        *field = hash;
    }
    root.write("/etc/shadow", set_entry(&shadow, &user.name, &fields.join(":")).as_bytes(), 0o640)
}

fn cloud_init(root: &Root, seed: &Seed, system: &System, uuid: &str) -> io::Result<()> {
    const FOLDER: &str = "/var/lib/cloud/seed/nocloud";
    let made = format!("instance-id: {uuid}\nlocal-hostname: {}\n", system.hostname);
    let meta = if seed.meta_data.is_empty() { &made } else { &seed.meta_data };
    let files = [
        ("user-data", seed.user_data.as_str()),
        ("meta-data", meta),
        ("network-config", &seed.network_config),
    ];
    for (name, text) in files {
        // NoCloud wants user-data to exist, even empty.
        if !text.is_empty() || name == "user-data" {
            root.write(&format!("{FOLDER}/{name}"), text.as_bytes(), 0o600)?;
        }
    }
    Ok(())
}

/// Installs the agent as a service that starts with the system.
pub fn agent(root: &Root, identity: &Identity) -> io::Result<()> {
    // A program that runs cannot be written to, but it can be replaced.
    let fresh = format!("{AGENT_PATH}.new");
    root.write(&fresh, &identity.program, 0o755)?;
    std::fs::rename(root.resolve(&fresh)?, root.resolve(AGENT_PATH)?)?;
    root.link(AGENT_PATH, "/usr/local/sbin/drpcli")?;
    let config = serde_json::to_vec_pretty(&identity.service).map_err(io::Error::other)?;
    root.write(crate::roles::SERVICE_CONFIG, &config, 0o600)?;
    root.write("/etc/systemd/system/gantry-agent.service", UNIT.as_bytes(), 0o644)?;
    root.link(
        "/etc/systemd/system/gantry-agent.service",
        "/etc/systemd/system/multi-user.target.wants/gantry-agent.service",
    )
}

#[cfg(test)]
mod tests {
    use super::super::spec::File;
    use super::*;
    use crate::secret::Secret;
    use crate::testing::TempDir;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn small_system(dir: &TempDir) -> Root {
        let etc = dir.path().join("etc");
        fs::create_dir_all(etc.join("skel")).expect("etc");
        fs::write(
            etc.join("passwd"),
            "root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/home/old:/bin/sh\n",
        )
        .expect("passwd");
        fs::write(etc.join("shadow"), "root:!:19000:0:99999:7:::\n").expect("shadow");
        fs::write(etc.join("group"), "root:x:0:\nold:x:1000:\n").expect("group");
        fs::write(etc.join("hosts"), "127.0.0.1 localhost\n127.0.1.1 image\n").expect("hosts");
        fs::write(etc.join("machine-id"), "0123456789abcdef0123456789abcdef\n").expect("id");
        fs::write(etc.join("skel/.profile"), "# profile\n").expect("skel");
        Root::new(dir.path())
    }

    fn text(root: &Root, path: &str) -> String {
        root.read(path).expect("read").unwrap_or_else(|| panic!("{path} is missing"))
    }

    #[test]
    fn everything_asked_for_is_there() {
        let dir = TempDir::new();
        let root = small_system(&dir);
        let system = System {
            hostname: "node7.lab.test".into(),
            users: vec![
                User {
                    name: "admin".into(),
                    ssh_keys: vec!["ssh-ed25519 AAA".into()],
                    sudo: true,
                    ..User::default()
                },
                User { name: "root".into(), password_hash: Secret::new("$6$x"), ..User::default() },
            ],
            cloud_init: Some(Seed { user_data: "#cloud-config\n".into(), ..Seed::default() }),
            files: vec![File { path: "/opt/x/y".into(), content: "z".into(), mode: "0600".into() }],
            agent: true,
            ..System::default()
        };
        let service = ServiceConfig {
            uuid: "u-1".into(),
            token: Secret::new("secret"),
            endpoint: "https://s".into(),
            ..ServiceConfig::default()
        };
        let identity = Identity { service, program: b"ELF".to_vec() };
        let mut said = Vec::new();
        apply(&root, &system, &identity, &mut |line| said.push(line.to_owned())).expect("apply");

        assert_eq!(text(&root, "/etc/hostname"), "node7\n");
        assert_eq!(text(&root, "/etc/hosts"), "127.0.0.1 localhost\n127.0.1.1 node7.lab.test node7\n");
        assert_eq!(text(&root, "/etc/machine-id"), "");
        assert!(text(&root, "/etc/passwd").contains("admin:x:1001:1001::/home/admin:/bin/bash\n"));
        assert!(
            text(&root, "/etc/shadow").contains("root:$6$x:19000:")
                && text(&root, "/etc/shadow").contains("admin:*:")
        );
        assert_eq!(text(&root, "/home/admin/.ssh/authorized_keys"), "ssh-ed25519 AAA\n");
        assert_eq!(text(&root, "/home/admin/.profile"), "# profile\n");
        assert!(text(&root, "/etc/sudoers.d/90-admin").starts_with("admin ALL"));
        assert_eq!(
            text(&root, "/var/lib/cloud/seed/nocloud/meta-data"),
            "instance-id: u-1\nlocal-hostname: node7.lab.test\n"
        );
        assert_eq!(text(&root, "/opt/x/y"), "z");
        let config = root.resolve(crate::roles::SERVICE_CONFIG).expect("path");
        assert_eq!(fs::metadata(&config).expect("config").permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(config).expect("config").contains("\"Token\": \"secret\""));
        assert!(root.exists("/etc/systemd/system/multi-user.target.wants/gantry-agent.service"));
        assert!(said.iter().all(|line| !line.contains("secret")), "{said:?}");
    }

    #[test]
    fn scripts_see_the_root_and_may_refuse() {
        let dir = TempDir::new();
        let root = small_system(&dir);
        let script = dir.path().join("script.sh");
        let system = System { scripts: vec![script.display().to_string()], ..System::default() };
        let run = |text: &str| {
            fs::write(&script, text).expect("script");
            apply(&root, &system, &Identity::default(), &mut |_| {})
        };
        run("echo done > \"$GANTRY_ROOT/etc/mark\"").expect("ran");
        assert_eq!(text(&root, "/etc/mark"), "done\n");
        let error = run("exit 3").expect_err("refused");
        assert!(error.to_string().contains("script.sh: exit status: 3"), "{error}");
    }

    #[test]
    fn a_second_time_changes_nothing_more() {
        let dir = TempDir::new();
        let root = small_system(&dir);
        let system = System {
            hostname: "n".into(),
            users: vec![User { name: "admin".into(), ..User::default() }],
            ..System::default()
        };
        let run = || apply(&root, &system, &Identity::default(), &mut |_| {}).expect("apply");
        run();
        let before = (text(&root, "/etc/passwd"), text(&root, "/etc/shadow"), text(&root, "/etc/hosts"));
        run();
        assert_eq!(
            before,
            (text(&root, "/etc/passwd"), text(&root, "/etc/shadow"), text(&root, "/etc/hosts"))
        );
    }
}
