//! The virtual file tree: which path leads where.

use std::sync::Arc;

use gantry_boot::{File, Renderer, Server};
use gantry_model::{Catalogue, Kind};
use serde_json::json;

use crate::support::{file, furnished, host, id, machine, server, view, with};

#[test]
fn a_machine_is_found_by_everything_that_a_path_can_say_of_it() {
    let view = furnished();
    let kernel = "kernel http://10.0.0.1:8091/debian-12/install/linux initrd=initrd.gz auto url=http://10.0.0.1:8091/machines/";
    let append = format!(
        "append initrd=debian-12/install/deep/initrd.gz,debian-12/install/more.gz auto url=http://10.0.0.1:8091/machines/{}/seed",
        id(1)
    );
    let table = [
        ("52:54:00:00:00:01.ipxe".to_owned(), format!("#!ipxe\n{kernel}{}/seed\n# 52-54-00-00-00-01", id(1))),
        (
            "/52:54:00:00:00:02.ipxe".to_owned(),
            format!("#!ipxe\n{kernel}{}/seed\n# 52-54-00-00-00-02", id(1)),
        ),
        ("pxelinux.cfg/0A00004D".to_owned(), append.clone()),
        ("pxelinux.cfg/01-52-54-00-00-00-02".to_owned(), append),
        (format!("machines/{}/compute.ks", id(1)), "common for rack7-u3".to_owned()),
        (format!("machines//{}/../{}/seed", id(1), id(1)), "stage st env debian-12-install in st".to_owned()),
        (format!("machines\\{}\\seed", id(1)), "stage st env debian-12-install in st".to_owned()),
        ("hosts/rack7-u3.example.org.txt".to_owned(), "10.0.0.77".to_owned()),
        (format!("machines/{}/kernel", id(1)), "<static debian-12/install/linux>".to_owned()),
    ];
    for (path, expected) in table {
        assert_eq!(file(&view, &path), Ok(expected), "{path}");
    }
}

#[test]
fn what_no_template_claims_is_a_file_on_disk_and_never_above_the_root() {
    let view = furnished();
    for (path, expected) in [
        ("files/jq", "files/jq"),
        ("../../etc/passwd", "etc/passwd"),
        ("pxelinux.cfg/0A00004E", "pxelinux.cfg/0A00004E"),
        ("52:54:00:00:00:09.ipxe", "52:54:00:00:00:09.ipxe"),
        ("", ""),
        ("fixed/for/asker", "fixed/for/asker"),
    ] {
        assert_eq!(file(&view, path), Ok(format!("<static {expected}>")), "{path}");
    }
    let other = format!("machines/{}/compute.ks", id(2));
    assert_eq!(file(&view, &other), Ok(format!("<static {other}>")));
}

#[test]
fn a_template_that_fails_says_why_and_sends_nothing() {
    let error = file(&furnished(), &format!("machines/{}/bad", id(1))).unwrap_err();
    assert!(error.contains("No such machine parameter nowhere"), "{error}");
    assert!(error.contains("bad"), "{error}");
}

#[test]
fn paths_that_name_nobody_are_for_the_machine_that_asks() {
    let server = Arc::new(Server { client: Some([10, 0, 0, 77].into()), ..(*server()).clone() });
    let File::Rendered(rendered) =
        Renderer::new().file(&furnished(), "fixed/for/asker", &server, &host()).unwrap()
    else {
        panic!("it was not rendered")
    };
    assert_eq!(rendered.bytes, b"for rack7-u3.example.org");
    assert_eq!(
        (rendered.source.template.as_str(), rendered.source.machine.as_deref()),
        ("const", Some(id(1).as_str()))
    );
}

#[test]
fn of_machines_with_one_card_the_one_that_asks_or_has_the_file_is_meant() {
    let mut stale = machine();
    stale["Uuid"] = id(0).into();
    stale["Name"] = "stale".into();
    stale["Address"] = "10.0.0.78".into();
    stale["BootEnv"] = "local".into();
    let view = with(&furnished(), &[(Kind::Machine, stale.clone())]);
    let asked_from = |last: u8, path: &str| {
        let server = Arc::new(Server { client: Some([10, 0, 0, last].into()), ..(*server()).clone() });
        match Renderer::new().file(&view, path, &server, &host()) {
            Ok(File::Rendered(rendered)) => rendered.source.machine.unwrap().to_string(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(asked_from(77, "52:54:00:00:00:01.ipxe"), id(1));
    assert_eq!(asked_from(78, "52:54:00:00:00:01.ipxe"), id(0));
    // Only one of them has a file there, whoever asks.
    stale["BootEnv"] = "gone".into();
    stale["Address"] = "10.0.0.77".into();
    let view = with(&view, &[(Kind::Machine, stale)]);
    assert!(file(&view, "52:54:00:00:00:01.ipxe").unwrap().starts_with("#!ipxe\nkernel"));
    assert!(file(&view, "pxelinux.cfg/0A00004D").unwrap().starts_with("append"));
}

#[test]
fn stage_files_stay_when_the_environment_is_gone() {
    let mut lost = machine();
    lost["BootEnv"] = "removed-with-its-pack".into();
    let stage = json!({"Name": "st", "Templates": [{"Name": "seed", "Path": "{{.Machine.Path}}/seed", "Contents": "of {{.Stage.Name}}"}]});
    let view = with(&furnished(), &[(Kind::Machine, lost), (Kind::Stage, stage)]);
    assert_eq!(file(&view, &format!("machines/{}/seed", id(1))).unwrap(), "of st");
}

#[test]
fn unknown_machines_get_the_environment_for_the_unknown() {
    let base = view(&[]);
    assert!(
        file(&base, "default.ipxe")
            .unwrap()
            .starts_with("#!ipxe\nchain http://10.0.0.1:8091/${netX/mac}.ipxe")
    );
    assert_eq!(
        file(&base, "pxelinux.cfg/default").unwrap(),
        "DEFAULT local\nPROMPT 0\nTIMEOUT 10\nLABEL local\nlocalboot 0\n"
    );
    let discovery = json!({"Name": "discovery", "OnlyUnknown": true, "OS": {"Name": "d"}, "Templates": [
        {"Name": "ipxe", "Path": "default.ipxe", "Contents": "{{.ApiURL}} {{.GenerateToken}} {{.BootParamsFor \"amd64\"}}"}], "BootParams": "quiet"});
    let view = with(
        &base,
        &[
            (Kind::BootEnv, discovery),
            (Kind::Preference, json!({"Name": "unknownBootEnv", "Val": "discovery"})),
        ],
    );
    assert_eq!(file(&view, "default.ipxe").unwrap(), "https://10.0.0.1:8092 unknown-for-600 quiet");
}

#[test]
fn local_machines_are_sent_to_their_disk() {
    let mut local = machine();
    local["BootEnv"] = "local".into();
    let view = with(&furnished(), &[(Kind::Machine, local)]);
    assert_eq!(file(&view, "10.0.0.77.ipxe").unwrap(), "#!ipxe\nexit\n");
    assert_eq!(file(&view, "52:54:00:00:00:01.ipxe").unwrap(), "#!ipxe\nexit\n");
}

#[test]
fn a_machine_without_address_has_no_files_named_after_it() {
    let mut fresh = machine();
    fresh["Address"] = "".into();
    let view = with(&furnished(), &[(Kind::Machine, fresh)]);
    assert_eq!(file(&view, "pxelinux.cfg/0A00004D").unwrap(), "<static pxelinux.cfg/0A00004D>");
    assert_eq!(file(&view, "pxelinux.cfg").unwrap(), "<static pxelinux.cfg>");
    assert!(file(&view, "52:54:00:00:00:01.ipxe").unwrap().starts_with("#!ipxe"));
}

#[test]
fn compiled_templates_follow_the_objects() {
    let (renderer, path) = (Renderer::new(), format!("machines/{}/compute.ks", id(1)));
    let text = |view: &gantry_model::View| match renderer.file(view, &path, &server(), &host()) {
        Ok(File::Rendered(rendered)) => String::from_utf8(rendered.bytes).unwrap(),
        other => format!("{other:?}"),
    };
    let view = furnished();
    assert_eq!(text(&view), "common for rack7-u3");
    let changed = with(&view, &[(Kind::Template, json!({"ID": "common.tmpl", "Contents": "changed"}))]);
    assert_eq!(text(&changed), "changed");
    assert_eq!(text(&view), "common for rack7-u3");
    let env = json!({"Name": "debian-12-install", "Templates": [{"Name": "ks", "Path": "{{.Machine.Path}}/compute.ks", "Contents": "inline"}]});
    assert_eq!(text(&with(&changed, &[(Kind::BootEnv, env)])), "inline");
}

#[test]
fn boot_files_that_are_missing_here_come_from_their_repository() {
    let repositories = json!([{"tag": "d", "os": ["debian-12"], "arch": "amd64", "installSource": true, "url": "http://m/debian", "bootloc": "http://m/boot"}]);
    let view = with(
        &furnished(),
        &[(Kind::Profile, json!({"Name": "global", "Params": {"package-repositories": repositories}}))],
    );
    assert_eq!(file(&view, "debian-12/install/deep/initrd.gz").unwrap(), "<remote http://m/boot/initrd.gz>");
    let mut catalogue = Catalogue::default();
    catalogue.files.insert("debian-12/install/deep/initrd.gz".to_owned(), 1);
    assert_eq!(
        file(&view.with_catalogue(Arc::new(catalogue)), "debian-12/install/deep/initrd.gz").unwrap(),
        "<static debian-12/install/deep/initrd.gz>"
    );
}

#[test]
fn single_machines_may_change_their_environment() {
    let mut special = machine();
    special["Params"]["bootenv-customize"] = json!({"debian-12-install": {"Templates": [{"Name": "ks", "Path": "{{.Machine.Path}}/compute.ks", "Contents": "special {{.Env.Kernel}}"}]}});
    let view = with(&furnished(), &[(Kind::Machine, special)]);
    assert_eq!(file(&view, &format!("machines/{}/compute.ks", id(1))).unwrap(), "special linux");
}

#[test]
fn all_files_of_a_machine_can_be_listed() {
    let view = furnished();
    let machine = view.object(&id(1)).unwrap();
    let files = Renderer::new().files_of(&view, &machine, &server(), &host()).unwrap();
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths.len(), 11);
    assert!(paths.contains(&"pxelinux.cfg/01-52-54-00-00-00-02") && paths.contains(&"fixed/for/asker"));
}
