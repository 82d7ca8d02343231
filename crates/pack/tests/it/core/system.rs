//! What the tasks hostname and time do to a system in a folder.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;

use serde_json::{Value, json};

use super::{Bench, Ran, script};

#[track_caller]
fn twice(bench: &Bench, text: &str) -> String {
    let first = bench.done(text);
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
