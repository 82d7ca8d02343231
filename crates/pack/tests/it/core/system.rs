//! What the tasks hostname and time do to a system in a folder.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;

use serde_json::{Value, json};

use super::{Bench, Ran, script, there_is};

#[track_caller]
fn twice(bench: &Bench, text: &str) -> String {
    let first = bench.done(text);
    assert!(!first.contains("nothing to change"), "the first run counts no change:\n{first}");
    let second = bench.done(text);
    assert!(second.contains("nothing to change"), "a second run is not the same:\n{second}");
    first
}

#[test]
fn the_host_name_is_set_and_cloud_init_kept_from_it() {
    let bench = Bench::new()
        .with("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1\told.lab old\n192.0.2.1 gw\n")
        .with("/etc/cloud/cloud.cfg.d/05_logging.cfg", "");
    twice(
        &bench,
        &script("hostname", "hostname", &json!({"hostname": "{{ .Machine.ShortName }}.lab.test"})).unwrap(),
    );
    assert_eq!(bench.read("/etc/hostname"), "node1\n");
    assert_eq!(
        bench.read("/etc/hosts"),
        "127.0.0.1 localhost\n192.0.2.1 gw\n127.0.1.1 node1.lab.test node1\n"
    );
    assert_eq!(bench.read("/etc/cloud/cloud.cfg.d/99-gantry-hostname.cfg"), "preserve_hostname: true\n");
    for wrong in ["it's; $(reboot)", "-a", "", "a b", &"a".repeat(64)] {
        let ran = bench.run(&script("hostname", "hostname", &json!({"hostname": wrong})).unwrap());
        assert_eq!(ran.code, 1, "{wrong}: {}", ran.log);
        assert_eq!(bench.read("/etc/hostname"), "node1\n");
    }
}

/// An image is somebody else's work: its links must not lead a task to our own files.
#[test]
fn links_do_not_lead_out_of_the_system() {
    let bench = Bench::new();
    let outside = bench.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::remove_dir(bench.root().join("etc")).unwrap();
    symlink(&outside, bench.root().join("etc")).unwrap();
    let ran = bench.run(&script("hostname", "hostname", &json!({})).unwrap());
    assert_eq!(ran.code, 1, "{}", ran.log);
    assert!(ran.log.contains("leads out of the system"), "{}", ran.log);
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
}

fn time(params: &Value) -> String {
    script("time", "time", params).unwrap()
}

#[test]
fn zone_and_hardware_clock() {
    let bench = Bench::new()
        .with("/usr/share/zoneinfo/Europe/Berlin", "TZif")
        .with("/etc/timezone", "Etc/UTC\n")
        .with("/etc/selinux/config", "SELINUX=enforcing\n");
    let log = twice(&bench, &time(&json!({"timezone": "Europe/Berlin", "time/rtc": "local"})));
    let link = fs::read_link(bench.root().join("etc/localtime")).unwrap();
    assert_eq!(link.to_str(), Some("../usr/share/zoneinfo/Europe/Berlin"));
    assert_eq!(bench.read("/etc/timezone"), "Europe/Berlin\n");
    assert_eq!(bench.read("/etc/adjtime").lines().nth(2), Some("LOCAL"));
    assert!(bench.exists("/.autorelabel") && log.contains("labels its files"), "{log}");
    twice(&bench, &time(&json!({})));
    assert_eq!(bench.read("/etc/adjtime").lines().nth(2), Some("UTC"));
    assert_eq!(bench.read("/etc/timezone"), "Europe/Berlin\n", "what is not named stays");
    let ran = bench.run(&time(&json!({"timezone": "Mars/Base"})));
    assert!(ran.code == 1 && ran.log.contains("the system has no time zone Mars/Base"), "{}", ran.log);
    assert_eq!(bench.run(&time(&json!({"timezone": "../../etc/shadow"}))).code, 1);
}

#[test]
fn time_servers_of_chrony_replace_what_was_there() {
    let conf =
        "pool 2.debian.pool.ntp.org iburst\nsourcedir /run/chrony-dhcp\ndriftfile /var/lib/chrony/drift\n";
    for path in ["/etc/chrony/chrony.conf", "/etc/chrony.conf"] {
        let bench = Bench::new().with(path, conf);
        twice(&bench, &time(&json!({"ntp-servers": ["a.test", "2001:db8::1"]})));
        let expected = "#pool 2.debian.pool.ntp.org iburst\n#sourcedir /run/chrony-dhcp\ndriftfile /var/lib/chrony/drift\n# gantry: begin\nserver a.test iburst\nserver 2001:db8::1 iburst\n# gantry: end\n";
        assert_eq!(bench.read(path), expected);
        twice(&bench, &time(&json!({"ntp-servers": []})));
        assert!(bench.read(path).ends_with("# gantry: begin\n# gantry: end\n"));
    }
}

#[test]
fn time_servers_of_timesyncd_and_of_nobody() {
    let bench = Bench::new().with("/usr/lib/systemd/system/systemd-timesyncd.service", "");
    twice(&bench, &time(&json!({"ntp-servers": ["a.test", "b.test"]})));
    let text = bench.read("/etc/systemd/timesyncd.conf.d/gantry.conf");
    assert_eq!(text, "[Time]\nNTP=a.test b.test\nFallbackNTP=\n");
    let ran = Bench::new().run(&time(&json!({"ntp-servers": ["a.test"]})));
    assert!(ran.code == 1 && ran.log.contains("neither chrony nor systemd-timesyncd"), "{}", ran.log);
    Bench::new().done(&time(&json!({"ntp-servers": []})));
}

/// A task on the running system, which has no service manager but one that writes down what it is asked.
#[test]
fn a_time_service_is_restarted_when_its_servers_change() {
    for (conf, service) in [("/etc/chrony/chrony.conf", "chrony"), ("/etc/chrony.conf", "chronyd")] {
        let bench = Bench::new()
            .with(conf, "pool pool.test iburst\n")
            .with("/run/systemd/system/.there", "")
            .with("/told", "")
            .with("/stubs/systemctl", "#!/bin/sh\necho \"$*\" >> /told\n");
        let text = time(&json!({"ntp-servers": ["a.test"]}));
        let Some(ran) = live(&bench, &text) else { return };
        assert_eq!(ran.code, 0, "{}", ran.log);
        assert!(ran.log.contains("1 changes") && ran.log.contains("restarted"), "{}", ran.log);
        assert_eq!(bench.read("/told"), format!("restart {service}.service\n"));
        let ran = live(&bench, &text).unwrap();
        assert!(ran.code == 0 && ran.log.contains("nothing to change"), "{}", ran.log);
        assert_eq!(
            bench.read("/told"),
            format!("restart {service}.service\n"),
            "it was restarted for nothing"
        );
    }
}

/// What every shell must do that may be `sh`.
#[test]
fn changes_at_the_end_of_a_pipe_count() {
    let text = script("hostname", "hostname", &json!({"hostname": "node7.lab.test"})).unwrap();
    for by in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        if !there_is(by[0]) {
            continue;
        }
        let bench = Bench::new().with("/etc/selinux/config", "SELINUX=enforcing\n");
        let temporary = bench.folder.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        let text = format!("TMPDIR={}\nexport TMPDIR\n{text}", temporary.display());
        let ran = bench.run_by(by, &text);
        assert!(ran.code == 0 && ran.log.contains("hostname: 2 changes"), "{by:?}: {}", ran.log);
        assert!(bench.exists("/.autorelabel"), "{by:?}: {}", ran.log);
        let ran = bench.run_by(by, &text);
        assert!(ran.code == 0 && ran.log.contains("nothing to change"), "{by:?}: {}", ran.log);
        assert_eq!(fs::read_dir(temporary).unwrap().count(), 0, "{by:?} leaves files behind");
    }
}

/// What an interrupted run left must not stop the next one, nor may a link in an image lead elsewhere.
#[test]
fn leftovers_are_overcome() {
    let bench =
        Bench::new().with("/usr/share/zoneinfo/Europe/Berlin", "TZif").with("/etc/timezone", "Etc/UTC\n");
    let outside = bench.folder.path().join("outside");
    fs::write(&outside, "kept").unwrap();
    symlink("../nowhere", bench.root().join("etc/localtime.gantry-new")).unwrap();
    symlink(&outside, bench.root().join("etc/timezone.gantry-new")).unwrap();
    twice(&bench, &time(&json!({"timezone": "Europe/Berlin"})));
    let link = fs::read_link(bench.root().join("etc/localtime")).unwrap();
    assert_eq!(link.to_str(), Some("../usr/share/zoneinfo/Europe/Berlin"));
    assert_eq!(bench.read("/etc/timezone"), "Europe/Berlin\n");
    assert_eq!(fs::read_to_string(outside).unwrap(), "kept");
}

#[test]
fn ssh_keys_of_root_come_in_one_step_and_as_they_are() {
    let bench = Bench::new().with("/root/.ssh/authorized_keys", "ssh-ed25519 OLD\n");
    let file = bench.root().join("root/.ssh/authorized_keys");
    // Whoever reads while the file is written still reads the old one.
    let mut reader = fs::File::open(&file).unwrap();
    let keys = json!({"ann": "ssh-ed25519 AAAA C:\\new\\tab\\cend", "bob": "ssh-ed25519 BBBB it's %s"});
    let text = |keys: &Value| script("ssh-access", "ssh-access", &json!({"access-keys": keys})).unwrap();
    let log = twice(&bench, &text(&keys));
    assert!(log.contains("ssh-access: 2 keys"), "{log}");
    let wanted = "ssh-ed25519 AAAA C:\\new\\tab\\cend\nssh-ed25519 BBBB it's %s\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), wanted);
    assert_eq!((bench.mode("/root/.ssh"), bench.mode("/root/.ssh/authorized_keys")), (0o700, 0o600));
    let mut old = String::new();
    reader.read_to_string(&mut old).unwrap();
    assert_eq!(old, "ssh-ed25519 OLD\n");
    twice(&bench, &text(&json!({})));
    assert_eq!(bench.read("/root/.ssh/authorized_keys"), "", "who is not named does not get in");
}

/// Runs a script in a namespace as on a running system: the bench is its root; programs in `/stubs` come first.
fn live(bench: &Bench, text: &str) -> Option<Ran> {
    let before = format!(
        "chmod +x $GANTRY_ROOT/stubs/*; cp \"$(dirname $0)/inner\" $GANTRY_ROOT/inner; \
         GANTRY_ROOT= PATH=/stubs:$PATH exec chroot {} sh /inner #",
        bench.root().display()
    );
    in_namespace(bench, &before, text)
}

/// Runs a script in a mount namespace in which the system has this host's programs. None where that is not allowed.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(super) fn in_namespace(bench: &Bench, before: &str, text: &str) -> Option<Ran> {
    let mut by = vec!["unshare", "--mount"];
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        by.extend(["--user", "--map-root-user", "--map-auto"]);
    }
    if !Command::new(by[0]).args(&by[1..]).arg("true").output().unwrap().status.success() {
        eprintln!("left out: no mount namespace can be made here");
        return None;
    }
    let inner = bench.folder.path().join("inner");
    fs::write(&inner, text).unwrap();
    let wrapper = format!(
        "set -e\nmkdir -p $GANTRY_ROOT/usr $GANTRY_ROOT/dev $GANTRY_ROOT/tmp\nmount --bind /usr $GANTRY_ROOT/usr\nmount --bind /dev $GANTRY_ROOT/dev\n\
         for one in bin sbin lib lib64; do [ -e $GANTRY_ROOT/$one ] || [ ! -L /$one ] || ln -s usr/$one $GANTRY_ROOT/$one; done\n\
         {before} {}\n",
        inner.display()
    );
    by.push("sh");
    Some(bench.run_by(&by, &wrapper))
}
