//! What templates see: every member of dot.

use gantry_model::Kind;
use serde_json::json;

use crate::support::{furnished, id, machine, render, with};

fn check(table: &[(&str, &str)]) {
    let view = furnished();
    for (text, expected) in table {
        assert_eq!(render(&view, text), Ok((*expected).to_owned()), "{text}");
    }
}

#[test]
fn parameters() {
    check(&[
        (
            r#"{{.Param "own"}} {{.Param "nested"}} {{.Param "staged"}} {{.Param "site"}} {{.Param "defaulted"}}"#,
            "mine yes {{.Machine.Name}} in st north by default",
        ),
        (r#"{{.ParamExpand "nested"}}"#, "yes rack7-u3.example.org"),
        (
            r#"{{.ParamExists "own"}} {{.ParamExists "defaulted"}} {{.ParamExists "undefaulted"}} {{.ParamExists "none"}}"#,
            "true true false false",
        ),
        (
            r#"{{.Param "deep"}} {{.ComposeParam "deep"}} {{.ParamCompose "deep" | toJson}}"#,
            r#"map[b:2] map[a:1 b:2 c:3] {"a":1,"b":2,"c":3}"#,
        ),
        (r#"{{.ParamAsJSON "deep"}}{{.ParamAsYAML "deep"}}"#, "{\"b\":2}\nb: 2\n"),
        (r#"{{.Param "n"}} {{.Param "n" | int}}"#, "1e+06 1000000"),
        (r#"{{range $k, $v := .ComposeParam "deep"}}{{$k}}={{$v}} {{end}}"#, "a=1 b=2 c=3 "),
        (
            r#"{{.StringExpand "{{.Machine.ShortName}}!"}} {{.ObjectExpand (list "{{.Machine.Arch}}" 1)}}"#,
            "rack7-u3! [amd64 1]",
        ),
    ]);
    let error = render(&furnished(), r#"{{.Param "undefaulted"}}"#).unwrap_err();
    assert!(error.ends_with("error calling Param: No such machine parameter undefaulted"), "{error}");
}

#[test]
fn the_machine() {
    let uuid = id(1);
    check(&[
        (
            "{{.Machine.Name}} {{.Machine.ShortName}} {{.Machine.Arch}} {{.Machine.BootEnv}}",
            "rack7-u3.example.org rack7-u3 amd64 try",
        ),
        ("{{.Machine.UUID}} {{.Machine.Uuid}}", &format!("{uuid} {uuid}")),
        (
            "{{.Machine.Path}} {{.Machine.Url}}",
            &format!("machines/{uuid} http://10.0.0.1:8091/machines/{uuid}"),
        ),
        (
            "{{.Machine.Address}} {{.Machine.HexAddress}} {{.Machine.CurrentTask}} {{add .Machine.CurrentTask 1}}",
            "10.0.0.77 0A00004D 3 4",
        ),
        (
            "{{.Machine.Tasks}} {{slice .Machine.Tasks 1}} {{.Machine.Profiles}} {{.Machine.Meta | toJson}}",
            r#"[a b] [b] [p1] {"feature-flags":"x"}"#,
        ),
        ("{{range .Machine.HardwareAddrs}}{{.}} {{end}}", "52:54:00:00:00:01 52:54:00:00:00:02 "),
        ("{{.Machine.Params.own}} {{.Machine.Locked}}", "mine false"),
    ]);
    let text = render(&furnished(), "{{.Machine | toJson}}").unwrap();
    assert!(text.starts_with(r#"{"Validated":true,"Available":"#), "{text}");
    assert!(text.contains(&format!(r#""Name":"rack7-u3.example.org","Description":"","Uuid":"{uuid}","CurrentJob":"","Address":"10.0.0.77""#)), "{text}");
    let mut fresh = machine();
    fresh["Address"] = "".into();
    fresh["BootEnv"] = "plain".into();
    let env = json!({"Name": "plain", "Templates": [{"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents": "{{.Machine.Address}}{{if .Machine.Address}}set{{end}}"}]});
    let view = with(&furnished(), &[(Kind::Machine, fresh), (Kind::BootEnv, env)]);
    assert_eq!(crate::support::file(&view, &format!("machines/{uuid}/x")).unwrap(), "<nil>");
}

#[test]
fn the_environment() {
    check(&[
        (
            "{{.Env.Name}} {{.Env.Kernel}} {{.Env.Initrds}} {{.Env.OS.Name}} {{.Env.OS.Family}}",
            "try linux [deep/initrd.gz] debian-12 debian",
        ),
        (
            "{{.Env.OS.FamilyName}} {{.Env.OS.FamilyType}} {{.Env.OS.FamilyVersion}} {{.Env.OS.VersionEq \"12\"}} {{.Env.OS.VersionEq \"12.1\"}}",
            "debian debian 12 true false",
        ),
        (
            r#"{{.Env.PathFor "tftp" "x"}} {{.Env.PathFor "http" "/x"}} {{.Env.PathForArch "tftp" "x" "x86_64"}} {{.Env.PathForArch "tftp" "" "arm64"}}"#,
            "debian-12/x http://10.0.0.1:8091/debian-12/x debian-12/x debian-12/arm64",
        ),
        (
            r#"{{.Env.KernelFor "arm64"}} {{range .Env.InitrdsFor "amd64"}}<{{.}}>{{end}} {{.Env.JoinInitrds "tftp"}}"#,
            "armk <deep/initrd.gz> debian-12/deep/initrd.gz",
        ),
        (
            r#"{{.BootParams}}|{{.Env.BootParams}}|{{.BootParamsFor "amd64"}}"#,
            "quiet rack7-u3.example.org|quiet rack7-u3.example.org|quiet rack7-u3.example.org",
        ),
        ("{{.Env.OS.SupportedArchitectures.aarch64.Kernel}}", "armk"),
    ]);
    for (text, message) in [
        (r#"{{.Env.PathFor "nfs" "x"}}"#, "Unknown protocol nfs: must be tftp or http"),
        (r#"{{.Env.KernelFor "vax"}}"#, "Unknown arch vax"),
        ("{{.Env.InstallUrl}}", "No install repository available"),
    ] {
        let error = render(&furnished(), text).unwrap_err();
        assert!(error.ends_with(message), "{error}");
    }
}

#[test]
fn the_server_and_its_tokens() {
    check(&[
        (
            "{{.ProvisionerAddress}} {{.ProvisionerURL}} {{.SecureProvisionerURL}} {{.ApiURL}} {{.ApiHostURL}} {{.Info.Id}} {{.Info.ApiPort}}",
            "10.0.0.1 http://10.0.0.1:8091 https://10.0.0.1:8090 https://10.0.0.1:8092 https://10.0.0.1:8092 fred 8092",
        ),
        (
            "{{.GenerateToken}} {{.GenerateInfiniteToken}}",
            "token-of-rack7-u3.example.org-for-3600 token-of-rack7-u3.example.org-for-94348800",
        ),
        (
            r#"{{.GenerateProfileToken "p1" 7200}} {{.GenerateProfileToken "p2" 0}}"#,
            "profile-p1-for-7200 InvalidTokenNotAllowedNotOnMachine",
        ),
        (
            r#"{{.ParseURL "host" .ApiURL}} {{.ParseUrl "scheme" .ApiURL}} {{.NetmaskToCIDR "255.255.252.0"}}"#,
            "10.0.0.1:8092 https 22",
        ),
    ]);
}

#[test]
fn templates_call_each_other() {
    check(&[
        (r#"{{template "common.tmpl" .}}"#, "common for rack7-u3"),
        (
            r#"{{template "sibling" "x"}} {{.CallTemplate "sibling" 1}} {{.CallTemplate "common.tmpl" .}}"#,
            "sibling:x sibling:1 common for rack7-u3",
        ),
        (
            r#"{{$dot := .}}{{range list 1 2}}{{$dot.Param "own"}}{{$.Machine.Arch}}{{end}}"#,
            "mineamd64mineamd64",
        ),
        ("{{if .Task}}task{{else}}no task{{end}} {{.Stage.Name}}", "no task st"),
    ]);
}

#[test]
fn sealed_values_stay_sealed_in_files() {
    let mut sealed = machine();
    sealed["Params"]["pass"] = json!({"Key": "k", "Nonce": "n", "Payload": "p"});
    let view = with(&furnished(), &[(Kind::Machine, sealed)]);
    let env = json!({"Name": "debian-12-install", "Templates": [{"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents": "{{.Param \"pass\"}}"}]});
    let view = with(&view, &[(Kind::BootEnv, env)]);
    assert_eq!(
        crate::support::file(&view, &format!("machines/{}/x", id(1))).unwrap(),
        "map[Key:k Nonce:n Payload:p]"
    );
}

/// What [`render`] gives whoever asks from `client`.
fn boot_token_for(view: &gantry_model::View, client: Option<&str>) -> Result<String, String> {
    use gantry_boot::{File, Renderer, Server};
    let env = json!({"Name": "try", "OS": {"Name": "try"}, "Templates": [
        {"Name": "try", "Path": "{{.Machine.Path}}/gantry.json", "Contents": "{{.GenerateBootToken}}"}]});
    let mut machine = crate::support::machine();
    machine["BootEnv"] = "try".into();
    let view = with(view, &[(Kind::BootEnv, env), (Kind::Machine, machine)]);
    let client = client.map(|text| text.parse().unwrap());
    let server = std::sync::Arc::new(Server { client, ..(*crate::support::server()).clone() });
    let path = format!("machines/{}/gantry.json", crate::support::id(1));
    match Renderer::new().file(&view, &path, &server, &crate::support::host()) {
        Ok(File::Rendered(rendered)) => Ok(String::from_utf8(rendered.bytes).unwrap()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_boot_token_is_for_the_machines_own_addresses() {
    let lease = |address: &str, token: &str, state: &str, until: &str| {
        (
            Kind::Lease,
            json!({"Addr": address, "Token": token, "Strategy": "MAC", "State": state, "ExpireTime": until}),
        )
    };
    // The host's clock shows 22:13:20 (1,700,000,000 s).
    let (past, future) = ("2023-11-14T22:13:19Z", "2023-11-14T22:14:20Z");
    let view = with(
        &furnished(),
        &[
            lease("10.0.0.80", "52:54:00:00:00:02", "ACK", future),
            lease("10.0.0.81", "52:54:00:00:00:02", "ACK", past),
            lease("10.0.0.82", "52:54:00:00:00:02", "OFFER", future),
            lease("10.0.0.83", "52:54:00:00:00:09", "ACK", future),
        ],
    );
    let token = "token-of-rack7-u3.example.org-for-3600";
    for own in ["10.0.0.77", "::ffff:10.0.0.77", "10.0.0.80"] {
        assert_eq!(boot_token_for(&view, Some(own)).as_deref(), Ok(token), "{own}");
    }
    for other in ["10.0.0.81", "10.0.0.82", "10.0.0.83", "10.0.0.99", "0.0.0.0", "fd77::1"] {
        let error = boot_token_for(&view, Some(other)).unwrap_err();
        assert!(error.contains(&format!("is not for {other}")), "{error}");
    }
    assert!(boot_token_for(&view, None).is_err());
    let taken = with(&view, &[lease("10.0.0.77", "52:54:00:00:00:09", "ACK", future)]);
    assert!(
        boot_token_for(&taken, Some("10.0.0.77")).is_err(),
        "another has leased the machine's old address"
    );
    let given_up = with(&view, &[lease("10.0.0.77", "52:54:00:00:00:09", "ACK", past)]);
    assert!(boot_token_for(&given_up, Some("10.0.0.77")).is_ok(), "nobody holds it any more");
}

#[test]
fn an_unknown_machine_gets_the_token_to_register() {
    let discovery = json!({"Name": "discovery", "OnlyUnknown": true, "OS": {"Name": "d"}, "Templates": [
        {"Name": "j", "Path": "gantry.json", "Contents": "{{.GenerateBootToken}}"}]});
    let view = with(
        &crate::support::view(&[]),
        &[
            (Kind::BootEnv, discovery),
            (Kind::Preference, json!({"Name": "unknownBootEnv", "Val": "discovery"})),
        ],
    );
    assert_eq!(crate::support::file(&view, "gantry.json").unwrap(), "unknown-for-600");
}
