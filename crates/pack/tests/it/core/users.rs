//! What the task users does to a system in a folder.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use serde_json::{Value, json};

use super::system::in_namespace;
use super::{Bench, script};

/// Before the script: what belongs to the account old.
const THEIRS: &str = "chown -hR 1000:1000 $GANTRY_ROOT/home/old;";

fn small_system() -> Bench {
    let bench = Bench::new()
        .with("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/home/old:/bin/sh\n")
        .with("/etc/group", "root:x:0:\nold:x:1000:\nadm:x:4:old\n")
        .with("/etc/shadow", "root:*:19000:0:99999:7:::\nold:$6$a$b:19000:0:99999:7:::\n")
        .with("/etc/gshadow", "root:*::\nold:!::\nadm:*::old\n")
        .with("/etc/skel/.profile", "# profile\n")
        .with("/root/.keep", "")
        .with("/home/old/.ssh/authorized_keys", "ssh-ed25519 OLD\n");
    fs::copy("/etc/login.defs", bench.root().join("etc/login.defs")).unwrap();
    bench
}

fn users(accounts: &Value, groups: &Value) -> String {
    script("users", "users", &json!({"users/accounts": accounts, "users/groups": groups})).unwrap()
}

#[track_caller]
fn entry(bench: &Bench, file: &str, name: &str) -> String {
    let text = bench.read(&format!("/etc/{file}"));
    let line = text.lines().find(|line| line.starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {file}:\n{text}")).to_owned()
}

#[test]
fn accounts_are_created_changed_and_removed() {
    let bench = small_system();
    let groups = json!([{"Name": "ops", "Gid": 2000}]);
    let accounts = json!([
        {
            "Name": "ann", "Uid": 2001, "Group": "ops", "Groups": ["adm"], "Comment": "Ann O'Hara $(id)", "Shell": "/bin/sh",
            "PasswordHash": "$6$salt$hash", "Sudo": "nopassword", "SshKeys": ["ssh-ed25519 AAAA it's ann", "ssh-ed25519 BBBB"],
        },
        {"Name": "svc", "System": true},
        {"Name": "root", "SshKeys": ["ssh-ed25519 ROOT"]},
        {"Name": "old", "SshKeys": ["ssh-ed25519 NEW"], "KeepOtherKeys": true, "Locked": true},
    ]);
    let text = users(&accounts, &groups);
    let before = format!("{THEIRS} sh");
    let Some(ran) = in_namespace(&bench, &before, &text) else { return };
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert!(!ran.log.contains("$6$"), "a hash is in the log: {}", ran.log);
    assert_eq!(entry(&bench, "group", "ops"), "ops:x:2000:");
    assert_eq!(entry(&bench, "group", "adm"), "adm:x:4:old,ann");
    assert_eq!(entry(&bench, "passwd", "ann"), "ann:x:2001:2000:Ann O'Hara $(id):/home/ann:/bin/sh");
    assert!(entry(&bench, "shadow", "ann").starts_with("ann:$6$salt$hash:"));
    assert!(entry(&bench, "shadow", "svc").starts_with("svc:*:"), "no password to log in with");
    assert!(entry(&bench, "shadow", "old").starts_with("old:!$6$a$b:"), "locked");
    assert_eq!(bench.read("/home/ann/.ssh/authorized_keys"), "ssh-ed25519 AAAA it's ann\nssh-ed25519 BBBB\n");
    assert_eq!((bench.mode("/home/ann/.ssh"), bench.mode("/home/ann/.ssh/authorized_keys")), (0o700, 0o600));
    assert_eq!(bench.read("/home/ann/.profile"), "# profile\n");
    assert_eq!(bench.read("/home/old/.ssh/authorized_keys"), "ssh-ed25519 OLD\nssh-ed25519 NEW\n");
    assert_eq!(bench.read("/root/.ssh/authorized_keys"), "ssh-ed25519 ROOT\n");
    assert_eq!(bench.read("/etc/sudoers.d/gantry-ann"), "ann ALL=(ALL:ALL) NOPASSWD: ALL\n");
    assert_eq!(bench.mode("/etc/sudoers.d/gantry-ann"), 0o440);

    let again = in_namespace(&bench, "sh", &text).unwrap();
    assert!(again.code == 0 && again.log.contains("nothing to change"), "{}", again.log);

    let changed = json!([
        {"Name": "ann", "Comment": "", "Shell": "/bin/bash", "Groups": [], "Sudo": "none", "PasswordHash": "$6$other$hash", "SshKeys": []},
        {"Name": "old", "Locked": false},
        {"Name": "svc", "State": "absent"},
    ]);
    let ran = in_namespace(&bench, "sh", &users(&changed, &groups)).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert_eq!(entry(&bench, "passwd", "ann"), "ann:x:2001:2000::/home/ann:/bin/bash");
    assert_eq!(entry(&bench, "group", "adm"), "adm:x:4:old");
    assert!(entry(&bench, "shadow", "ann").starts_with("ann:$6$other$hash:"));
    assert!(entry(&bench, "shadow", "old").starts_with("old:$6$a$b:"), "unlocked");
    assert_eq!(bench.read("/home/ann/.ssh/authorized_keys"), "");
    assert!(!bench.exists("/etc/sudoers.d/gantry-ann") && !bench.read("/etc/passwd").contains("svc"));

    let gone =
        json!([{"Name": "ann", "State": "absent", "RemoveHome": true}, {"Name": "never", "State": "absent"}]);
    let ran =
        in_namespace(&bench, "sh", &users(&gone, &json!([{"Name": "ops", "State": "absent"}]))).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.log);
    // A group goes after its last account.
    assert!(!bench.read("/etc/group").contains("ops:") && !bench.exists("/home/ann"), "{}", ran.log);
}

#[test]
fn accounts_that_cannot_be_are_refused_by_name() {
    for (accounts, words) in [
        (json!([{"Name": "ann", "Groups": ["wheel"]}]), "there is no group wheel for the account ann"),
        (json!([{"Name": "root", "State": "absent"}]), "the account root cannot be removed"),
    ] {
        let bench = small_system();
        let Some(ran) = in_namespace(&bench, "sh", &users(&accounts, &json!([]))) else { return };
        assert!(ran.code == 1 && ran.log.contains(words), "{}", ran.log);
    }
    let ran = Bench::new().run(&users(&json!([]), &json!([])));
    assert!(ran.code == 1 && ran.log.contains("the system has no useradd"), "{}", ran.log);
}

/// The owner of a home can put links wherever root is about to write.
#[test]
fn keys_are_written_with_the_rights_of_the_account() {
    let text =
        users(&json!([{"Name": "old", "SshKeys": ["ssh-ed25519 NEW"], "KeepOtherKeys": true}]), &json!([]));
    let victim = "/etc/sudoers.d/victim";
    let bench = small_system().with(victim, "root ALL=(ALL) ALL\n");
    let ssh = bench.root().join("home/old/.ssh");
    symlink(victim, ssh.join("authorized_keys.gantry-new")).unwrap();
    let Some(ran) = in_namespace(&bench, &format!("{THEIRS} sh"), &text) else { return };
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert_eq!(bench.read(victim), "root ALL=(ALL) ALL\n");
    assert_eq!(bench.read("/home/old/.ssh/authorized_keys"), "ssh-ed25519 OLD\nssh-ed25519 NEW\n");
    assert_eq!(fs::metadata(ssh.join("authorized_keys")).unwrap().uid(), 1000);

    for (link, target, words) in [
        ("home/old/.ssh/authorized_keys", "/etc/shadow", "authorized_keys is a link"),
        ("home/old/.ssh", "/root", ".ssh is a link"),
        ("home/old", "/root", "the home /home/old is not there, or closed"),
    ] {
        let bench = small_system();
        let place = bench.root().join(link);
        fs::remove_dir_all(&place).or_else(|_| fs::remove_file(&place)).unwrap();
        symlink(target, &place).unwrap();
        let shadow = bench.read("/etc/shadow");
        let before = format!("chmod 600 $GANTRY_ROOT/etc/shadow; chmod 700 $GANTRY_ROOT/root; {THEIRS} sh");
        let ran = in_namespace(&bench, &before, &text).unwrap();
        assert!(ran.code == 1 && ran.log.contains(words), "{link}: {}", ran.log);
        assert_eq!(bench.read("/etc/shadow"), shadow);
        assert_eq!(fs::read_dir(bench.root().join("root")).unwrap().count(), 1, "{link}: root's home");
    }

    // A file that the account cannot read: its keys must not be lost.
    let bench = small_system();
    let before = format!(
        "{THEIRS} chown 0:0 $GANTRY_ROOT/home/old/.ssh/authorized_keys; chmod 600 $GANTRY_ROOT/home/old/.ssh/authorized_keys; sh"
    );
    let ran = in_namespace(&bench, &before, &text).unwrap();
    assert!(ran.code == 1 && ran.log.contains("the SSH keys of old cannot be written"), "{}", ran.log);
    assert_eq!(bench.read("/home/old/.ssh/authorized_keys"), "ssh-ed25519 OLD\n");
}

/// Numbers come as floating-point ones, which have another form from a million on.
#[test]
fn great_numbers_are_themselves() {
    let text =
        users(&json!([{"Name": "ann", "Uid": 2_000_000_001}]), &json!([{"Name": "ops", "Gid": 1_000_000}]));
    assert!(text.contains("uid='2000000001'") && text.contains("gid='1000000'"), "{text}");
    let text = users(&json!([{"Name": "root", "Uid": 0}]), &json!([{"Name": "ops"}]));
    assert!(text.contains("uid='0'") && text.contains("gid=''"), "{text}");
}
