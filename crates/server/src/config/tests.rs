//! What the flags and variables of `dr-provision` come to.

use std::path::Path;

use super::*;

fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
    let matches = command("serve").try_get_matches_from([&["serve"], args].concat()).unwrap();
    read(&matches, |name| env.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn defaults_are_those_of_dr_provision() {
    let config = parse(&[], &[]).unwrap();
    assert_eq!(config.base_root, Path::new("/var/lib/dr-provision"));
    assert_eq!(config.data_root.as_deref(), Some(Path::new("/var/lib/dr-provision/digitalrebar")));
    assert_eq!(config.file_root, Path::new("/var/lib/dr-provision/tftpboot"));
    assert_eq!((config.ports.api, config.ports.files, config.ports.secure_files), (8092, 8091, 8090));
    assert!(config.services.dhcp && config.services.binl && config.preferences.is_empty());
}

#[test]
fn flags_win_over_the_environment_and_absolute_folders_stay() {
    let env = [("RS_API_PORT", "1"), ("RS_FILE_ROOT", "/srv/files"), ("RS_DISABLE_DHCP", "true")];
    let config = parse(&["--api-port", "2", "--drp-id=Fred"], &env).unwrap();
    assert_eq!((config.ports.api, config.id.as_str()), (2, "Fred"));
    assert_eq!(config.file_root, Path::new("/srv/files"));
    assert!(!config.services.dhcp && !config.services.binl);
}

#[test]
fn first_values_of_preferences_come_only_from_what_was_given() {
    let config = parse(&["--default-stage", "discover"], &[("RS_KNOWN_TOKEN_TIMEOUT", "5")]).unwrap();
    let want =
        BTreeMap::from([("defaultStage", "discover".to_owned()), ("knownTokenTimeout", "5".to_owned())]);
    assert_eq!(config.preferences, want);
}

#[test]
fn the_store_has_the_spellings_of_dr_provision_and_no_place_of_its_own() {
    for (backend, memory) in [("memory", true), ("memory:///", true), ("file", false), ("file:///", false)] {
        assert_eq!(parse(&["--backend", backend], &[]).unwrap().data_root.is_none(), memory, "{backend}");
    }
    assert!(!parse(&["--fake-pinger"], &[]).unwrap().probe && parse(&[], &[]).unwrap().probe);
}

#[test]
fn what_is_not_there_refuses_and_names_what_to_use() {
    let error = parse(&["--ha-enabled", "--local-content", "x"], &[("RS_CREATE_SELF", "1")]).unwrap_err();
    assert!(error.contains("--ha-enabled is not there: this server stands alone"), "{error}");
    assert!(error.contains("--local-content is not there: use --content DIR"), "{error}");
    assert!(error.contains("RS_CREATE_SELF is not there: create the machine with"), "{error}");
}

#[test]
fn all_bad_values_are_named_at_once() {
    let error = parse(&["--api-port", "x", "--cert-type=RSA", "--backend", "directory"], &[]).unwrap_err();
    assert_eq!(error.lines().count(), 3, "{error}");
    assert!(error.contains("--api-port is `x`; it must be a port number"), "{error}");
}

/// Flags and variables of `dr-provision` (network.md §3.1) that have a function here, or none by now: nothing is swallowed.
#[test]
fn every_flag_of_dr_provision_works_or_says_what_to_use() {
    let works = "disable-tftp disable-provisioner disable-dhcp disable-pxe metrics-port static-port tftp-port api-port dhcp-port \
                 binl-port static-secure-port unknown-token-timeout known-token-timeout static-ip force-static backend base-root \
                 data-root log-root file-root replace-root ui-url dhcp-ifs default-stage default-boot-env unknown-boot-env \
                 debug-bootenv debug-dhcp debug-renderer debug-frontend debug-plugins log-level tls-key tls-cert cert-type drp-id \
                 ha-id fake-pinger base-token-secret system-grantor-secret static-tls-cert static-tls-key";
    let refused = "secrets local-content default-content secrets-root plugin-root plugin-comm-root saas-content-root local-ui \
                   use-old-ciphers ha-enabled ha-address ha-interface ha-passive ha-token ha-join ha-interface-script \
                   ha-consensus-addr ha-load-balanced tls-min-version tls-cipher-list tls-ciphers-available \
                   prometheus-gateway-url prometheus-interval cleanup no-watcher";
    let described: Vec<_> = described().collect();
    for name in works.split_whitespace() {
        let has = |it: &Described| matches!(it, Described::Works { flag, .. } if *flag == name);
        assert!(described.iter().any(has), "--{name}");
    }
    for name in refused.split_whitespace() {
        let env = described.iter().find_map(|it| match it {
            Described::Refused { flag: Some(flag), env, .. } if *flag == name => Some(*env),
            _ => None,
        });
        let env = env.unwrap_or_else(|| panic!("--{name}"));
        for error in [
            parse(&[&format!("--{name}")], &[]),
            parse(&[&format!("--{name}=x")], &[]),
            parse(&[], &[(env, "x")]),
        ] {
            let error = error.unwrap_err();
            let (what, instead) = error.split_once(" is not there: ").unwrap_or_else(|| panic!("{error}"));
            assert!(what == format!("--{name}") || what == env, "{error}");
            assert!(instead.len() > 20, "{error}");
        }
    }
    for env in ["RS_EXIT_ON_CHANGE", "RS_CREATE_SELF", "RS_START_RUNNER"] {
        assert!(parse(&[], &[(env, "1")]).unwrap_err().starts_with(&format!("{env} is not there: ")));
    }
    for (flag, value, right) in [
        ("--backend", "directory", "it must be `file` or `memory`"),
        ("--backend", "file:///srv/objects", "without `srv/objects`: objects are kept below --data-root"),
        ("--cert-type", "P521", "it must be P256 or P384"),
        ("--static-ip", "fred", "it must be an IPv4 address"),
    ] {
        let error = parse(&[flag, value], &[]).unwrap_err();
        assert!(error.contains(&format!("`{value}`")) && error.contains(right), "{error}");
    }
}
