//! What templates see when something is not there: zero values and errors (engine §1.4–1.8).

use gantry_model::Kind;
use serde_json::{Value, json};

use crate::support::{file, furnished, id, machine, render, view, with};

fn fails(text: &str, end: &str) {
    let error = render(&furnished(), text).unwrap_err();
    assert!(error.ends_with(end), "{text}: {error}");
}

fn gives(text: &str, expected: &str) {
    assert_eq!(render(&furnished(), text), Ok(expected.to_owned()), "{text}");
}

/// Renders as the environment for unknown machines.
fn for_nobody(text: &str) -> Result<String, String> {
    let env = json!({"Name": "unknown", "OnlyUnknown": true, "OS": {"Name": "u"}, "Kernel": "k", "BootParams": "quiet", "Templates": [{"Name": "x", "Path": "x.ipxe", "Contents": text}]});
    let preference = json!({"Name": "unknownBootEnv", "Val": "unknown"});
    file(&with(&furnished(), &[(Kind::BootEnv, env), (Kind::Preference, preference)]), "x.ipxe")
}

#[test]
fn parameters_that_are_not_there() {
    gives(r#"{{.ParamExists "never/heard"}}"#, "false");
    for method in [
        "Param",
        "ParamExpand",
        "ParamAsJSON",
        "ParamAsYAML",
        "ParamCompose",
        "ComposeParam",
        "ParamComposeExpand",
    ] {
        fails(
            &format!(r#"{{{{.{method} "never/heard"}}}}"#),
            &format!("error calling {method}: No such machine parameter never/heard"),
        );
    }
    let null = json!({"Name": "nothing", "Schema": {"default": null}});
    let view = with(&furnished(), &[(Kind::Param, null)]);
    assert_eq!(
        render(&view, r#"{{.ParamExists "nothing"}} {{.Param "nothing"}}"#).unwrap(),
        "true <no value>"
    );
    let broken = json!({"Name": "p2", "Params": {"nested": "{{.Nope}}", "lists": ["{{.Machine.Arch}}", {"k": "{{add 1 2}}"}]}});
    let view = with(&furnished(), &[(Kind::Profile, broken)]);
    assert!(render(&view, r#"{{.ParamExpand "nested"}}"#).unwrap_err().contains("can't evaluate field Nope"));
    assert_eq!(render(&view, r#"{{.ParamExpand "lists" | toJson}}"#).unwrap(), r#"["amd64",{"k":"3"}]"#);
}

#[test]
fn lists_are_composed_the_most_specific_first() {
    let view = with(
        &furnished(),
        &[
            (Kind::Profile, json!({"Name": "global", "Params": {"keys": ["g"]}})),
            (Kind::Profile, json!({"Name": "p1", "Params": {"keys": ["p"]}})),
            (Kind::Param, json!({"Name": "keys", "Schema": {"default": ["d"]}})),
        ],
    );
    assert_eq!(render(&view, r#"{{.ParamCompose "keys"}} {{.Param "keys"}}"#).unwrap(), "[p g d] [p]");
}

#[test]
fn without_a_machine() {
    assert_eq!(
        for_nobody("{{if .Machine}}one{{else}}none{{end}} {{.Env.Name}} {{.Env.Kernel}}").unwrap(),
        "none unknown k"
    );
    assert_eq!(
        for_nobody("{{.GenerateToken}} {{.GenerateProfileToken \"p1\" 7200}}").unwrap(),
        "unknown-for-600 UnknownMachineTokenNotAllowed"
    );
    assert_eq!(
        for_nobody("{{.Param \"site\"}} {{.Param \"defaulted\"}} {{.ParamExists \"own\"}}").unwrap(),
        "north by default false"
    );
    assert_eq!(for_nobody("{{.BootParams}} {{.BootParamsFor \"amd64\"}}").unwrap(), "quiet quiet");
    assert!(
        for_nobody("{{.Machine.Name}}")
            .unwrap_err()
            .contains("nil pointer evaluating *renderer.Machine.Name")
    );
    assert!(for_nobody("{{.Machine.UUID}}").is_err());
    assert!(for_nobody("{{.Param \"own\"}}").unwrap_err().ends_with("No such machine parameter own"));
}

#[test]
fn the_environment_names_what_it_does_not_know() {
    fails(r#"{{.Env.PathForArch "tftp" "x" "vax"}}"#, "Unknown arch vax");
    fails(r#"{{.Env.JoinInitrdsFor "nfs" "amd64"}}"#, "Unknown protocol nfs: must be tftp or http");
    fails(r#"{{.BootParamsFor "vax"}}"#, "Unknown arch vax");
    fails(r#"{{.Env.LineFrom "gone.cfg" "kernel="}}"#, "LineFrom: debian-12/gone.cfg does not exist");
    fails(r#"{{.ParseURL "port" "http://x"}}"#, "No idea how to get URL part port from http://x");
    fails(r#"{{.NetmaskToCIDR "wide"}}"#, "wide is no netmask such as 255.255.255.0");
    fails(r#"{{.CallTemplate "nowhere" .}}"#, "Missing template: nowhere");
    gives(
        r#"{{.Env.PathFor "tftp" ""}} {{.Env.PathFor "tftp" "../up"}} {{.Env.PathFor "tftp" "/"}}"#,
        "debian-12 up debian-12",
    );
    gives(r#"{{.Env.OS.IsoFile}}|{{.Env.OS.Codename}}|{{.Env.OS.VersionEq "13"}}"#, "||false");
}

#[test]
fn lines_are_taken_from_files_of_the_unpacked_tree() {
    let env = |text: &str| json!({"Name": "esxi-install", "OS": {"Name": "esxi"}, "Templates": [{"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents": text}]});
    let mut esxi = machine();
    esxi["BootEnv"] = "esxi-install".into();
    let render = |text: &str| {
        file(
            &with(&furnished(), &[(Kind::BootEnv, env(text)), (Kind::Machine, esxi.clone())]),
            &format!("machines/{}/x", id(1)),
        )
    };
    assert_eq!(
        render(r#"{{.Env.LineFrom "boot.cfg" "kernel="}}|{{.Env.LineFrom "boot.cfg" "none"}}|"#).unwrap(),
        "kernel=/b.b00||"
    );
}

#[test]
fn machines_without_an_address_or_cards() {
    let mut bare = machine();
    bare["Address"] = Value::Null;
    bare["HardwareAddrs"] = json!([]);
    bare["BootEnv"] = "bare".into();
    let env = json!({"Name": "bare", "OS": {"Name": "o"}, "Templates": [{"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents":
        "{{.Machine.Address}} [{{.Machine.HexAddress}}] [{{.Machine.MacAddr \"ipxe\"}}] {{.Machine.HardwareAddrs}} {{.Machine.CurrentJob}}|"}]});
    let view = with(&furnished(), &[(Kind::Machine, bare), (Kind::BootEnv, env)]);
    assert_eq!(file(&view, &format!("machines/{}/x", id(1))).unwrap(), "<nil> [] [] [] |");
}

#[test]
fn a_template_called_without_dot_sees_no_value() {
    gives(r#"{{template "sibling"}}"#, "sibling:<no value>");
    let common = json!({"ID": "common.tmpl", "Contents": "{{.Machine.Name}} {{.ParamExists \"x\"}}{{if .ParamExists \"x\"}}yes{{end}}"});
    let view = with(&furnished(), &[(Kind::Template, common)]);
    assert_eq!(render(&view, r#"{{template "common.tmpl"}}"#).unwrap(), "<no value> <no value>");
}

#[test]
fn a_parameter_that_does_not_expand_is_named() {
    let param = json!({"Name": "greeting", "Schema": {"default": {"deep": ["{{.Machine.Nope}}"]}}});
    let view = with(&furnished(), &[(Kind::Param, param)]);
    let error = render(&view, r#"{{.ParamExpand "greeting"}}"#).unwrap_err();
    assert!(
        error.contains("error calling ParamExpand: Error rendering parameter greeting: template: expand:1:"),
        "{error}"
    );
}

#[test]
fn an_environment_for_another_architecture_has_no_path() {
    let mut machine = machine();
    machine["BootEnv"] = "arm-install".into();
    let text = "{{.Env.Kernel}}|{{.Env.PathFor \"tftp\" .Env.Kernel}}";
    let os = json!({"Name": "debian-12", "SupportedArchitectures": {"aarch64": {"Kernel": "armk"}}});
    let env = json!({"Name": "arm-install", "OS": os, "Templates": [{"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents": text}]});
    let path = format!("machines/{}/x", id(1));
    let other = view(&[(Kind::BootEnv, env.clone()), (Kind::Machine, machine.clone())]);
    assert!(file(&other, &path).unwrap_err().ends_with("error calling PathFor: Unknown arch amd64"));
    machine["Arch"] = "arm64".into();
    let own = view(&[(Kind::BootEnv, env), (Kind::Machine, machine)]);
    assert_eq!(file(&own, &path).unwrap(), "armk|debian-12/arm64/install/armk");
}
