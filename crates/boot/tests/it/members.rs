//! Every member that templates may use (engine §1.4–1.8): what it gives, what it gives when there is nothing, and how it fails.
//!
//! [`REFERENCE`] is the list of the reference; a member without a row in [`ROWS`], or a row without its three cases, fails the test.
//! Errors are compared from the failing action on: the place before it belongs to the template, not to the member.

use gantry_model::{Catalogue, Kind, View};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::{file, furnished, id, machine, with};

/// The members by what they belong to, as the reference lists them.
const REFERENCE: &[(&str, &[&str])] = &[
    (
        "dot",
        &[
            "Machine",
            "Env",
            "Task",
            "Stage",
            "Info",
            "ProvisionerAddress",
            "ProvisionerURL",
            "SecureProvisionerURL",
            "ApiURL",
            "ProvisionerHostURL",
            "SecureProvisionerHostURL",
            "ApiHostURL",
            "GenerateToken",
            "GenerateInfiniteToken",
            "GenerateProfileToken",
            "ParseURL",
            "ParseUrl",
            "Param",
            "ParamExists",
            "ParamExpand",
            "ParamCompose",
            "ComposeParam",
            "ParamComposeExpand",
            "ParamAsJSON",
            "ParamAsYAML",
            "StringExpand",
            "ObjectExpand",
            "Repos",
            "MachineRepos",
            "InstallRepos",
            "BootParams",
            "BootParamsFor",
            "CallTemplate",
            "NetmaskToCIDR",
        ],
    ),
    (
        "Machine",
        &[
            "UUID",
            "HasProfile",
            "Key",
            "KeyName",
            "Prefix",
            "ShortName",
            "Path",
            "Url",
            "HexAddress",
            "MacAddr",
            "Name",
            "Description",
            "Uuid",
            "CurrentJob",
            "Address",
            "Stage",
            "BootEnv",
            "Profiles",
            "Params",
            "Tasks",
            "CurrentTask",
            "RetryTaskAttempt",
            "TaskErrorStacks",
            "Runnable",
            "Secret",
            "OS",
            "HardwareAddrs",
            "Workflow",
            "Arch",
            "Locked",
            "Context",
            "Fingerprint",
            "Pool",
            "PoolAllocated",
            "PoolStatus",
            "WorkflowComplete",
            "Meta",
            "Validated",
            "Available",
            "Errors",
            "ReadOnly",
            "Endpoint",
            "Bundle",
            "Partial",
        ],
    ),
    (
        "Env",
        &[
            "Name",
            "OS",
            "Kernel",
            "Initrds",
            "BootParams",
            "KernelFor",
            "InitrdsFor",
            "BootParamsFor",
            "PathFor",
            "PathForArch",
            "JoinInitrds",
            "JoinInitrdsFor",
            "InstallUrl",
            "LineFrom",
        ],
    ),
    (
        "Env.OS",
        &[
            "Name",
            "Family",
            "Version",
            "Codename",
            "IsoFile",
            "IsoSha256",
            "IsoUrl",
            "SupportedArchitectures",
            "FamilyName",
            "FamilyType",
            "FamilyVersion",
            "VersionEq",
        ],
    ),
    ("Task", &["Name", "Description", "Meta", "RequiredParams", "TargetOS"]),
    ("Stage", &["Name", "Description", "BootEnv", "Tasks", "Profiles", "Params", "Meta"]),
    ("Info", &["Id", "ApiPort", "FilePort", "ServerHostname"]),
    (
        "Repo",
        &[
            "Tag",
            "OS",
            "URL",
            "PackageType",
            "RepoType",
            "InstallSource",
            "SecuritySource",
            "Distribution",
            "BootLoc",
            "Components",
            "Arch",
            "R",
            "JoinedComponents",
            "UrlFor",
            "Install",
            "Lines",
        ],
    ),
];

/// In which world a template is rendered.
#[derive(Clone, Copy, Debug)]
enum At {
    /// A machine with everything.
    Full,
    /// The same with an unpacked tree for its environment.
    Tree,
    /// A machine with a name, an environment and nothing else.
    Bare,
    /// Nobody: the environment for unknown machines.
    Nobody,
    /// A script for the full machine.
    Script,
}
use At::{Bare, Full, Nobody, Script, Tree};

/// A template and what it gives, or the end of its error.
type Case = (At, &'static str, &'static str);

/// How a member fails.
enum Error {
    /// So.
    Fails(At, &'static str, &'static str),
    /// It does not, once it was found.
    Never,
}
use Error::{Fails, Never};

struct Row(&'static str, &'static str, Case, Case, Error);

const NO_MACHINE: &str = "nil pointer evaluating *renderer.Machine.";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("dot", "Machine", (Full, "{{if .Machine}}yes{{end}}", "yes"), (Nobody, "{{if .Machine}}yes{{else}}no{{end}}", "no"),
        Fails(Nobody, "{{.Machine.Name}}", "<.Machine.Name>: nil pointer evaluating *renderer.Machine.Name")),
    Row("dot", "Env", (Full, "{{if .Env}}yes{{end}}", "yes"), (Nobody, "{{.Env.Name}}", "unknown"),
        Fails(Full, "{{.Env.Nope}}", "<.Env.Nope>: can't evaluate field Nope in type *renderer.BootEnv")),
    Row("dot", "Task", (Script, "{{if .Task}}yes{{end}}", "yes"), (Full, "{{if .Task}}yes{{else}}no{{end}}", "no"),
        Fails(Full, "{{.Task.Name}}", "<.Task.Name>: nil pointer evaluating *renderer.Task.Name")),
    Row("dot", "Stage", (Full, "{{if .Stage}}yes{{end}}", "yes"), (Nobody, "{{if .Stage}}yes{{else}}no{{end}}", "no"),
        Fails(Nobody, "{{.Stage.Name}}", "<.Stage.Name>: nil pointer evaluating *renderer.Stage.Name")),
    Row("dot", "Info", (Full, "{{.Info.Id}}", "fred"), (Nobody, "{{.Info.Id}}", "fred"),
        Fails(Full, "{{.Info.Nope}}", "<.Info.Nope>: can't evaluate field Nope in type *models.Info")),
    Row("dot", "ProvisionerAddress", (Full, "{{.ProvisionerAddress}}", "10.0.0.1"), (Nobody, "{{.ProvisionerAddress}}", "10.0.0.1"), Never),
    Row("dot", "ProvisionerURL", (Full, "{{.ProvisionerURL}}", "http://10.0.0.1:8091"), (Nobody, "{{.ProvisionerURL}}", "http://10.0.0.1:8091"), Never),
    Row("dot", "SecureProvisionerURL", (Full, "{{.SecureProvisionerURL}}", "https://10.0.0.1:8090"), (Nobody, "{{.SecureProvisionerURL}}", "https://10.0.0.1:8090"), Never),
    Row("dot", "ApiURL", (Full, "{{.ApiURL}}", "https://10.0.0.1:8092"), (Nobody, "{{.ApiURL}}", "https://10.0.0.1:8092"), Never),
    // The server has no name here, so its address stands for it; the names are in `the_server_by_its_name`.
    Row("dot", "ProvisionerHostURL", (Full, "{{.ProvisionerHostURL}}", "http://10.0.0.1:8091"), (Nobody, "{{.ProvisionerHostURL}}", "http://10.0.0.1:8091"), Never),
    Row("dot", "SecureProvisionerHostURL", (Full, "{{.SecureProvisionerHostURL}}", "https://10.0.0.1:8090"), (Nobody, "{{.SecureProvisionerHostURL}}", "https://10.0.0.1:8090"), Never),
    Row("dot", "ApiHostURL", (Full, "{{.ApiHostURL}}", "https://10.0.0.1:8092"), (Nobody, "{{.ApiHostURL}}", "https://10.0.0.1:8092"), Never),
    Row("dot", "GenerateToken", (Full, "{{.GenerateToken}}", "token-of-rack7-u3.example.org-for-3600"), (Nobody, "{{.GenerateToken}}", "unknown-for-600"), Never),
    Row("dot", "GenerateInfiniteToken", (Full, "{{.GenerateInfiniteToken}}", "token-of-rack7-u3.example.org-for-94348800"), (Nobody, "{{.GenerateInfiniteToken}}", "UnknownMachineTokenNotAllowed"), Never),
    Row("dot", "GenerateProfileToken", (Full, r#"{{.GenerateProfileToken "p1" 7200}} {{.GenerateProfileToken "p1" 0}} {{.GenerateProfileToken "p1" -1}}"#, "profile-p1-for-7200 profile-p1-for-2000000000 profile-p1-for-2000000000"),
        (Nobody, r#"{{.GenerateProfileToken "p1" 7200}}"#, "UnknownMachineTokenNotAllowed"),
        Fails(Full, r#"{{.GenerateProfileToken "p1"}}"#, r#"<.GenerateProfileToken>: wrong number of args for GenerateProfileToken: want 2 got 1"#)),
    Row("dot", "ParseURL", (Full, r#"{{.ParseURL "scheme" "http://u@h.x:80/a%20b?q#f"}} {{.ParseURL "host" "http://u@h.x:80/a?q"}} {{.ParseURL "path" "http://u@h.x:80/a%20b?q#f"}}"#, "http h.x:80 /a b"),
        (Full, r#"{{.ParseURL "scheme" ""}}|{{.ParseURL "host" "/a/b"}}|{{.ParseURL "path" "http://h"}}"#, "||"),
        Fails(Full, r#"{{.ParseURL "port" "http://h:1"}}"#, r#"<.ParseURL>: error calling ParseURL: No idea how to get URL part port from http://h:1"#)),
    Row("dot", "ParseUrl", (Full, r#"{{.ParseUrl "host" .ApiURL}}"#, "10.0.0.1:8092"), (Full, r#"{{.ParseUrl "path" .ApiURL}}"#, ""),
        Fails(Full, r#"{{.ParseUrl "host" "http://[::1"}}"#, r#"error calling ParseUrl: parse "http://[::1": missing ']' in host"#)),
    Row("dot", "Param", (Full, r#"{{.Param "own"}} {{.Param "n"}} {{.Param "site"}}"#, "mine 1e+06 north"), (Nobody, r#"{{.Param "defaulted"}} {{.Param "nothing"}}"#, "by default <no value>"),
        Fails(Full, r#"{{.Param "never/heard"}}"#, r#"<.Param>: error calling Param: No such machine parameter never/heard"#)),
    Row("dot", "ParamExists", (Full, r#"{{.ParamExists "own"}} {{.ParamExists "defaulted"}} {{.ParamExists "nothing"}}"#, "true true true"),
        (Full, r#"{{.ParamExists "undefaulted"}} {{.ParamExists "never/heard"}} {{.ParamExists ""}}"#, "false false false"),
        Fails(Full, "{{.ParamExists 1}}", "<1>: expected string; found 1")),
    Row("dot", "ParamExpand", (Full, r#"{{.ParamExpand "nested"}} {{.ParamExpand "tree" | toJson}}"#, r#"yes rack7-u3.example.org {"k":["amd64",1,{"{{x}}":"3"}]}"#),
        (Full, r#"{{.ParamExpand "nothing"}}|{{.ParamExpand "own"}}"#, "<no value>|mine"),
        Fails(Full, r#"{{.ParamExpand "never/heard"}}"#, r#"error calling ParamExpand: No such machine parameter never/heard"#)),
    Row("dot", "ParamCompose", (Full, r#"{{.ParamCompose "deep" | toJson}}"#, r#"{"a":1,"b":2,"c":3}"#), (Full, r#"{{.ParamCompose "nothing"}}"#, "<no value>"),
        Fails(Full, r#"{{.ParamCompose "never/heard"}}"#, r#"error calling ParamCompose: No such machine parameter never/heard"#)),
    Row("dot", "ComposeParam", (Full, r#"{{.ComposeParam "deep"}}"#, "map[a:1 b:2 c:3]"), (Nobody, r#"{{.ComposeParam "deep"}}"#, "map[a:1]"),
        Fails(Full, r#"{{.ComposeParam "never/heard"}}"#, r#"error calling ComposeParam: No such machine parameter never/heard"#)),
    Row("dot", "ParamComposeExpand", (Full, r#"{{.ParamComposeExpand "nested"}} {{.ParamComposeExpand "deep"}}"#, "yes rack7-u3.example.org map[a:1 b:2 c:3]"), (Full, r#"{{.ParamComposeExpand "nothing"}}"#, "<no value>"),
        Fails(Full, r#"{{.ParamComposeExpand "never/heard"}}"#, r#"error calling ParamComposeExpand: No such machine parameter never/heard"#)),
    Row("dot", "ParamAsJSON", (Full, r#"{{.ParamAsJSON "marked"}}"#, "{\"a\":[1,1.5,1e+21],\"b\":\"\\u003ca \\u0026 b\\u003e\"}\n"), (Full, r#"{{.ParamAsJSON "nothing"}}"#, "null\n"),
        Fails(Full, r#"{{.ParamAsJSON "never/heard"}}"#, r#"error calling ParamAsJSON: No such machine parameter never/heard"#)),
    Row("dot", "ParamAsYAML", (Full, r#"{{.ParamAsYAML "marked"}}"#, "a:\n- 1\n- 1.5\n- 1e+21\nb: <a & b>\n"), (Full, r#"{{.ParamAsYAML "nothing"}}"#, "null\n"),
        Fails(Full, r#"{{.ParamAsYAML "never/heard"}}"#, r#"error calling ParamAsYAML: No such machine parameter never/heard"#)),
    Row("dot", "StringExpand", (Full, r#"{{.StringExpand "{{.Machine.ShortName}}!"}}"#, "rack7-u3!"), (Full, r#"{{.StringExpand ""}}"#, ""),
        Fails(Full, r#"{{.StringExpand "{{.Nope}}"}}"#, "at <.Nope>: can't evaluate field Nope in type *renderer.RenderData")),
    Row("dot", "ObjectExpand", (Full, r#"{{.ObjectExpand (dict "k" (list "{{.Machine.Arch}}" 1)) | toJson}}"#, r#"{"k":["amd64",1]}"#), (Full, "{{.ObjectExpand nil}}", "<no value>"),
        Fails(Full, r#"{{.ObjectExpand (list "{{.Nope}}")}}"#, "at <.Nope>: can't evaluate field Nope in type *renderer.RenderData")),
    Row("dot", "Repos", (Full, r#"{{range .Repos "main" "extra"}}{{.Tag}} {{end}}"#, "main extra "), (Bare, r#"{{.Repos "main"}}{{len .Repos}}"#, "[]0"), Never),
    Row("dot", "MachineRepos", (Full, "{{range .MachineRepos}}{{.Tag}} {{end}}", "main sec "), (Bare, "{{.MachineRepos}}", "[]"), Never),
    Row("dot", "InstallRepos", (Full, "{{range .InstallRepos}}{{.Tag}} {{end}}", "main sec "), (Bare, "{{.InstallRepos}}", "[]"), Never),
    Row("dot", "BootParams", (Full, "{{.BootParams}}", "quiet rack7-u3.example.org"), (Bare, "{{.BootParams}}|", "|"),
        Fails(Nobody, "{{.BootParams}}", "error calling BootParams: template: bootParams:1:10: executing \"bootParams\" at <.Machine.Nope>: nil pointer evaluating *renderer.Machine.Nope")),
    Row("dot", "BootParamsFor", (Full, r#"{{.BootParamsFor "x86_64"}} {{.BootParamsFor "arm64"}}"#, "quiet rack7-u3.example.org arm"), (Bare, r#"{{.BootParamsFor "amd64"}}|"#, "|"),
        Fails(Full, r#"{{.BootParamsFor "vax"}}"#, r#"<.BootParamsFor>: error calling BootParamsFor: Unknown arch vax"#)),
    Row("dot", "CallTemplate", (Full, r#"{{.CallTemplate "sibling" 1}} {{.CallTemplate "common.tmpl" .}}"#, "sibling:1 common for rack7-u3"), (Full, r#"{{.CallTemplate "sibling" nil}}"#, "sibling:<no value>"),
        Fails(Full, r#"{{.CallTemplate "nowhere" .}}"#, "<.CallTemplate>: error calling CallTemplate: Missing template: nowhere")),
    Row("dot", "NetmaskToCIDR", (Full, r#"{{.NetmaskToCIDR "255.255.252.0"}}"#, "22"), (Full, r#"{{.NetmaskToCIDR "0.0.0.0"}}"#, "0"),
        Fails(Full, r#"{{.NetmaskToCIDR ""}}"#, r#"<.NetmaskToCIDR>: error calling NetmaskToCIDR:  is no netmask such as 255.255.255.0"#)),

    Row("Machine", "UUID", (Full, "{{.Machine.UUID}}", "00000000-0000-4000-8000-000000000001"), (Bare, "{{len .Machine.UUID}}", "36"), Fails(Nobody, "{{.Machine.UUID}}", NO_MACHINE)),
    Row("Machine", "Uuid", (Full, "{{.Machine.Uuid}}", "00000000-0000-4000-8000-000000000001"), (Bare, "{{if .Machine.Uuid}}set{{end}}", "set"), Fails(Nobody, "{{.Machine.Uuid}}", NO_MACHINE)),
    Row("Machine", "Key", (Full, "{{.Machine.Key}}", "00000000-0000-4000-8000-000000000001"), (Bare, "{{.Machine.Key}}", "00000000-0000-4000-8000-000000000002"), Fails(Nobody, "{{.Machine.Key}}", NO_MACHINE)),
    Row("Machine", "KeyName", (Full, "{{.Machine.KeyName}}", "Uuid"), (Bare, "{{.Machine.KeyName}}", "Uuid"), Fails(Nobody, "{{.Machine.KeyName}}", NO_MACHINE)),
    Row("Machine", "Prefix", (Full, "{{.Machine.Prefix}}", "machines"), (Bare, "{{.Machine.Prefix}}", "machines"), Fails(Nobody, "{{.Machine.Prefix}}", NO_MACHINE)),
    Row("Machine", "HasProfile", (Full, r#"{{.Machine.HasProfile "no"}} {{index .Machine.Profiles 0 | .Machine.HasProfile}}"#, "false true"), (Bare, r#"{{.Machine.HasProfile "no"}}"#, "false"), Fails(Nobody, r#"{{.Machine.HasProfile "no"}}"#, NO_MACHINE)),
    Row("Machine", "ShortName", (Full, "{{.Machine.ShortName}}", "rack7-u3"), (Bare, "{{.Machine.ShortName}}", "bare"), Fails(Nobody, "{{.Machine.ShortName}}", NO_MACHINE)),
    Row("Machine", "Path", (Full, "{{.Machine.Path}}", "machines/00000000-0000-4000-8000-000000000001"), (Bare, "{{.Machine.Path}}", "machines/00000000-0000-4000-8000-000000000002"), Fails(Nobody, "{{.Machine.Path}}", NO_MACHINE)),
    Row("Machine", "Url", (Full, "{{.Machine.Url}}", "http://10.0.0.1:8091/machines/00000000-0000-4000-8000-000000000001"), (Bare, "{{.Machine.Url}}", "http://10.0.0.1:8091/machines/00000000-0000-4000-8000-000000000002"), Fails(Nobody, "{{.Machine.Url}}", NO_MACHINE)),
    Row("Machine", "HexAddress", (Full, "{{.Machine.HexAddress}}", "0A00004D"), (Bare, "{{.Machine.HexAddress}}|", "|"), Fails(Nobody, "{{.Machine.HexAddress}}", NO_MACHINE)),
    // Per card, in `files`: here no card is meant.
    Row("Machine", "MacAddr", (Full, r#"{{.Machine.MacAddr "ipxe"}}|{{.Machine.MacAddr}}"#, "|"), (Bare, r#"{{.Machine.MacAddr "pxelinux"}}|"#, "01-|"), Fails(Nobody, r#"{{.Machine.MacAddr "ipxe"}}"#, NO_MACHINE)),
    Row("Machine", "Name", (Full, "{{.Machine.Name}}", "rack7-u3.example.org"), (Bare, "{{.Machine.Name}}", "bare"), Fails(Nobody, "{{.Machine.Name}}", NO_MACHINE)),
    Row("Machine", "Description", (Full, "{{.Machine.Description}}", "described"), (Bare, "{{.Machine.Description}}|", "|"), Fails(Nobody, "{{.Machine.Description}}", NO_MACHINE)),
    Row("Machine", "CurrentJob", (Full, "{{.Machine.CurrentJob}}", "00000000-0000-4000-8000-000000000009"), (Bare, "{{.Machine.CurrentJob}}|", "|"), Fails(Nobody, "{{.Machine.CurrentJob}}", NO_MACHINE)),
    Row("Machine", "Address", (Full, "{{.Machine.Address}}", "10.0.0.77"), (Bare, "{{.Machine.Address}}{{if .Machine.Address}}set{{end}}", "<nil>"), Fails(Nobody, "{{.Machine.Address}}", NO_MACHINE)),
    Row("Machine", "Stage", (Full, "{{.Machine.Stage}}", "st"), (Bare, "{{.Machine.Stage}}|", "|"), Fails(Nobody, "{{.Machine.Stage}}", NO_MACHINE)),
    Row("Machine", "BootEnv", (Full, "{{.Machine.BootEnv}}", "try"), (Bare, "{{.Machine.BootEnv}}", "try-bare"), Fails(Nobody, "{{.Machine.BootEnv}}", NO_MACHINE)),
    Row("Machine", "Profiles", (Full, "{{.Machine.Profiles}}", "[p1]"), (Bare, "{{.Machine.Profiles}}", "[]"), Fails(Nobody, "{{.Machine.Profiles}}", NO_MACHINE)),
    Row("Machine", "Params", (Full, "{{.Machine.Params.own}} {{.Machine.Params.none}}", "mine <no value>"), (Bare, "{{.Machine.Params}}", "map[]"), Fails(Nobody, "{{.Machine.Params}}", NO_MACHINE)),
    Row("Machine", "Tasks", (Full, "{{.Machine.Tasks}} {{slice .Machine.Tasks 1}}", "[a b] [b]"), (Bare, "{{.Machine.Tasks}}", "[]"), Fails(Nobody, "{{.Machine.Tasks}}", NO_MACHINE)),
    Row("Machine", "CurrentTask", (Full, "{{.Machine.CurrentTask}} {{add .Machine.CurrentTask 1}}", "3 4"), (Bare, "{{.Machine.CurrentTask}}", "0"), Fails(Nobody, "{{.Machine.CurrentTask}}", NO_MACHINE)),
    Row("Machine", "RetryTaskAttempt", (Full, "{{.Machine.RetryTaskAttempt}}", "2"), (Bare, "{{.Machine.RetryTaskAttempt}}", "0"), Fails(Nobody, "{{.Machine.RetryTaskAttempt}}", NO_MACHINE)),
    Row("Machine", "TaskErrorStacks", (Full, "{{len .Machine.TaskErrorStacks}}", "0"), (Bare, "{{.Machine.TaskErrorStacks}}", "[]"), Fails(Nobody, "{{.Machine.TaskErrorStacks}}", NO_MACHINE)),
    Row("Machine", "Runnable", (Full, "{{.Machine.Runnable}}", "true"), (Bare, "{{.Machine.Runnable}}", "false"), Fails(Nobody, "{{.Machine.Runnable}}", NO_MACHINE)),
    Row("Machine", "Secret", (Full, "{{.Machine.Secret}}", "s3cret"), (Bare, "{{.Machine.Secret}}|", "|"), Fails(Nobody, "{{.Machine.Secret}}", NO_MACHINE)),
    Row("Machine", "OS", (Full, "{{.Machine.OS}}", "debian-12"), (Bare, "{{.Machine.OS}}|", "|"), Fails(Nobody, "{{.Machine.OS}}", NO_MACHINE)),
    Row("Machine", "HardwareAddrs", (Full, "{{.Machine.HardwareAddrs}}", "[52:54:00:00:00:01 52:54:00:00:00:02]"), (Bare, "{{.Machine.HardwareAddrs}}", "[]"), Fails(Nobody, "{{.Machine.HardwareAddrs}}", NO_MACHINE)),
    Row("Machine", "Workflow", (Full, "{{.Machine.Workflow}}", "ww"), (Bare, "{{.Machine.Workflow}}|", "|"), Fails(Nobody, "{{.Machine.Workflow}}", NO_MACHINE)),
    Row("Machine", "Arch", (Full, "{{.Machine.Arch}}", "amd64"), (Bare, "{{.Machine.Arch}}|", "|"), Fails(Nobody, "{{.Machine.Arch}}", NO_MACHINE)),
    Row("Machine", "Locked", (Full, "{{.Machine.Locked}}", "true"), (Bare, "{{.Machine.Locked}}", "false"), Fails(Nobody, "{{.Machine.Locked}}", NO_MACHINE)),
    Row("Machine", "Context", (Full, "{{.Machine.Context}}", "ctx"), (Bare, "{{.Machine.Context}}|", "|"), Fails(Nobody, "{{.Machine.Context}}", NO_MACHINE)),
    Row("Machine", "Fingerprint", (Full, "{{.Machine.Fingerprint.SSNHash}} {{.Machine.Fingerprint.SSNHash | toJson}}", "[97 98 99] \"YWJj\""), (Bare, "{{.Machine.Fingerprint.SSNHash}}", "[]"), Fails(Nobody, "{{.Machine.Fingerprint}}", NO_MACHINE)),
    Row("Machine", "Pool", (Full, "{{.Machine.Pool}}", "blue"), (Bare, "{{.Machine.Pool}}|", "|"), Fails(Nobody, "{{.Machine.Pool}}", NO_MACHINE)),
    Row("Machine", "PoolAllocated", (Full, "{{.Machine.PoolAllocated}}", "true"), (Bare, "{{.Machine.PoolAllocated}}", "false"), Fails(Nobody, "{{.Machine.PoolAllocated}}", NO_MACHINE)),
    Row("Machine", "PoolStatus", (Full, "{{.Machine.PoolStatus}}", "InUse"), (Bare, "{{.Machine.PoolStatus}}|", "|"), Fails(Nobody, "{{.Machine.PoolStatus}}", NO_MACHINE)),
    Row("Machine", "WorkflowComplete", (Full, "{{.Machine.WorkflowComplete}}", "true"), (Bare, "{{.Machine.WorkflowComplete}}", "false"), Fails(Nobody, "{{.Machine.WorkflowComplete}}", NO_MACHINE)),
    Row("Machine", "Meta", (Full, "{{.Machine.Meta | toJson}}", r#"{"feature-flags":"x"}"#), (Bare, "{{.Machine.Meta | toJson}} {{.Machine.Meta.none}}", "{} <no value>"), Fails(Nobody, "{{.Machine.Meta}}", NO_MACHINE)),
    Row("Machine", "Validated", (Full, "{{.Machine.Validated}}", "true"), (Bare, "{{.Machine.Validated}}", "true"), Fails(Nobody, "{{.Machine.Validated}}", NO_MACHINE)),
    Row("Machine", "Available", (Full, "{{.Machine.Available}}", "true"), (Bare, "{{.Machine.Available}}", "false"), Fails(Nobody, "{{.Machine.Available}}", NO_MACHINE)),
    Row("Machine", "Errors", (Bare, "{{.Machine.Errors}}", "[Stage  does not exist]"), (Full, "{{.Machine.Errors}}", "[]"), Fails(Nobody, "{{.Machine.Errors}}", NO_MACHINE)),
    Row("Machine", "ReadOnly", (Full, "{{.Machine.ReadOnly}}", "false"), (Bare, "{{.Machine.ReadOnly}}", "false"), Fails(Nobody, "{{.Machine.ReadOnly}}", NO_MACHINE)),
    Row("Machine", "Endpoint", (Full, "{{.Machine.Endpoint}}|", "|"), (Bare, "{{.Machine.Endpoint}}|", "|"), Fails(Nobody, "{{.Machine.Endpoint}}", NO_MACHINE)),
    Row("Machine", "Bundle", (Full, "{{.Machine.Bundle}}|", "|"), (Bare, "{{.Machine.Bundle}}|", "|"), Fails(Nobody, "{{.Machine.Bundle}}", NO_MACHINE)),
    Row("Machine", "Partial", (Full, "{{.Machine.Partial}}", "false"), (Bare, "{{.Machine.Partial}}", "false"), Fails(Nobody, "{{.Machine.Partial}}", NO_MACHINE)),

    Row("Env", "Name", (Full, "{{.Env.Name}}", "try"), (Nobody, "{{.Env.Name}}", "unknown"), Never),
    Row("Env", "OS", (Full, "{{.Env.OS.Name}}", "debian-12"), (Bare, "{{.Env.OS.Version}}|", "|"), Fails(Full, "{{.Env.OS.Nope}}", "<.Env.OS.Nope>: can't evaluate field Nope in type models.OsInfo")),
    Row("Env", "Kernel", (Full, "{{.Env.Kernel}}", "linux"), (Bare, "{{.Env.Kernel}}|", "|"), Never),
    Row("Env", "Initrds", (Full, "{{.Env.Initrds}}", "[deep/initrd.gz more.gz]"), (Bare, "{{.Env.Initrds}}", "[]"), Never),
    Row("Env", "BootParams", (Full, "{{.Env.BootParams}}", "quiet rack7-u3.example.org"), (Bare, "{{.Env.BootParams}}|", "|"),
        Fails(Nobody, "{{.Env.BootParams}}", "at <.Machine.Nope>: nil pointer evaluating *renderer.Machine.Nope")),
    Row("Env", "KernelFor", (Full, r#"{{.Env.KernelFor "aarch64"}} {{.Env.KernelFor "amd64"}}"#, "armk linux"), (Bare, r#"{{.Env.KernelFor "amd64"}}|"#, "|"),
        Fails(Full, r#"{{.Env.KernelFor "ppc64le"}}"#, r#"<.Env.KernelFor>: error calling KernelFor: Unknown arch ppc64le"#)),
    Row("Env", "InitrdsFor", (Full, r#"{{range .Env.InitrdsFor "amd64"}}<{{.}}>{{end}}"#, "<deep/initrd.gz><more.gz>"), (Bare, r#"{{.Env.InitrdsFor "amd64"}}"#, "[]"),
        Fails(Full, r#"{{.Env.InitrdsFor ""}}"#, r#"<.Env.InitrdsFor>: error calling InitrdsFor: Unknown arch "#)),
    Row("Env", "BootParamsFor", (Full, r#"{{.Env.BootParamsFor "arm64"}}"#, "arm"), (Bare, r#"{{.Env.BootParamsFor "x86_64"}}|"#, "|"),
        Fails(Full, r#"{{.Env.BootParamsFor "vax"}}"#, r#"<.Env.BootParamsFor>: error calling BootParamsFor: Unknown arch vax"#)),
    Row("Env", "PathFor", (Full, r#"{{.Env.PathFor "tftp" "x"}} {{.Env.PathFor "http" "/x"}} {{.Env.PathFor "tftp" "../up"}}"#, "debian-12/x http://10.0.0.1:8091/debian-12/x up"), (Full, r#"{{.Env.PathFor "tftp" ""}} {{.Env.PathFor "tftp" "/"}}"#, "debian-12 debian-12"),
        Fails(Full, r#"{{.Env.PathFor "nfs" "x"}}"#, r#"<.Env.PathFor>: error calling PathFor: Unknown protocol nfs: must be tftp or http"#)),
    Row("Env", "PathForArch", (Full, r#"{{.Env.PathForArch "tftp" "x" "x86_64"}} {{.Env.PathForArch "tftp" "x" "arm64"}}"#, "debian-12/x debian-12/arm64/x"), (Full, r#"{{.Env.PathForArch "tftp" "" "arm64"}}"#, "debian-12/arm64"),
        Fails(Full, r#"{{.Env.PathForArch "tftp" "x" "vax"}}"#, r#"error calling PathForArch: Unknown arch vax"#)),
    Row("Env", "JoinInitrds", (Full, r#"{{.Env.JoinInitrds "tftp"}}"#, "debian-12/deep/initrd.gz,debian-12/more.gz"), (Bare, r#"{{.Env.JoinInitrds "tftp"}}|"#, "|"),
        Fails(Full, r#"{{.Env.JoinInitrds "nfs"}}"#, r#"<.Env.JoinInitrds>: error calling JoinInitrds: Unknown protocol nfs: must be tftp or http"#)),
    Row("Env", "JoinInitrdsFor", (Full, r#"{{.Env.JoinInitrdsFor "http" "amd64"}}"#, "http://10.0.0.1:8091/debian-12/deep/initrd.gz,http://10.0.0.1:8091/debian-12/more.gz"), (Bare, r#"{{.Env.JoinInitrdsFor "tftp" "amd64"}}|"#, "|"),
        Fails(Bare, r#"{{.Env.JoinInitrdsFor "tftp" "arm64"}}"#, r#"error calling JoinInitrdsFor: Unknown arch arm64"#)),
    Row("Env", "InstallUrl", (Full, "{{.Env.InstallUrl}}", "http://m/debian"), (Tree, "{{.Env.InstallUrl}}", "http://10.0.0.1:8091/debian-12"),
        Fails(Bare, "{{.Env.InstallUrl}}", "<.Env.InstallUrl>: error calling InstallUrl: No install repository available")),
    Row("Env", "LineFrom", (Tree, r#"{{.Env.LineFrom "boot.cfg" "kernel="}}"#, "kernel=/b.b00"), (Tree, r#"{{.Env.LineFrom "boot.cfg" "none"}}|"#, "|"),
        Fails(Full, r#"{{.Env.LineFrom "gone.cfg" "x"}}"#, r#"<.Env.LineFrom>: error calling LineFrom: LineFrom: debian-12/gone.cfg does not exist"#)),

    Row("Env.OS", "Name", (Full, "{{.Env.OS.Name}}", "debian-12"), (Nobody, "{{.Env.OS.Name}}", "u"), Never),
    Row("Env.OS", "Family", (Full, "{{.Env.OS.Family}}", "debian"), (Bare, "{{.Env.OS.Family}}|", "|"), Never),
    Row("Env.OS", "Version", (Full, "{{.Env.OS.Version}}", "12"), (Bare, "{{.Env.OS.Version}}|", "|"), Never),
    Row("Env.OS", "Codename", (Full, "{{.Env.OS.Codename}}", "bookworm"), (Bare, "{{.Env.OS.Codename}}|", "|"), Never),
    Row("Env.OS", "IsoFile", (Full, "{{.Env.OS.IsoFile}}", "d.iso"), (Bare, "{{.Env.OS.IsoFile}}|", "|"), Never),
    Row("Env.OS", "IsoSha256", (Full, "{{.Env.OS.IsoSha256}}", "5a"), (Bare, "{{.Env.OS.IsoSha256}}|", "|"), Never),
    Row("Env.OS", "IsoUrl", (Full, "{{.Env.OS.IsoUrl}}", "http://i"), (Bare, "{{.Env.OS.IsoUrl}}|", "|"), Never),
    Row("Env.OS", "SupportedArchitectures", (Full, "{{.Env.OS.SupportedArchitectures.aarch64.Kernel}}", "armk"), (Bare, "{{len .Env.OS.SupportedArchitectures}}", "0"), Never),
    Row("Env.OS", "FamilyName", (Full, "{{.Env.OS.FamilyName}}", "debian"), (Bare, "{{.Env.OS.FamilyName}}", "plan9"), Never),
    Row("Env.OS", "FamilyType", (Full, "{{.Env.OS.FamilyType}}", "debian"), (Bare, "{{.Env.OS.FamilyType}}", "plan9"), Never),
    Row("Env.OS", "FamilyVersion", (Full, "{{.Env.OS.FamilyVersion}}", "12"), (Nobody, "{{.Env.OS.FamilyVersion}}|", "|"), Never),
    Row("Env.OS", "VersionEq", (Full, r#"{{.Env.OS.VersionEq "12"}} {{.Env.OS.VersionEq "012"}} {{.Env.OS.VersionEq "12.1"}}"#, "true true false"), (Nobody, r#"{{.Env.OS.VersionEq ""}} {{.Env.OS.VersionEq "1"}}"#, "true false"), Never),

    Row("Task", "Name", (Script, "{{.Task.Name}}", "tt"), (Full, "{{if .Task}}{{.Task.Name}}{{end}}", ""), Fails(Full, "{{.Task.Name}}", "nil pointer evaluating *renderer.Task.Name")),
    Row("Task", "Description", (Script, "{{.Task.Description}}", "what it does"), (Full, "{{with .Task}}x{{end}}", ""), Fails(Full, "{{.Task.Description}}", "nil pointer evaluating *renderer.Task.Description")),
    Row("Task", "Meta", (Script, "{{.Task.Meta.icon}}", "cog"), (Script, "{{.Task.Meta.none}}", "<no value>"), Fails(Full, "{{.Task.Meta}}", "nil pointer evaluating *renderer.Task.Meta")),
    Row("Task", "RequiredParams", (Script, "{{.Task.RequiredParams}}", "[own]"), (Script, "{{.Task.OptionalParams}}", "[]"), Fails(Full, "{{.Task.RequiredParams}}", "nil pointer evaluating *renderer.Task.RequiredParams")),
    Row("Task", "TargetOS", (Script, "{{.Task.TargetOS}}", "windows"), (Script, "{{.Task.TargetOS | len}}", "7"), Fails(Full, "{{.Task.TargetOS}}", "nil pointer evaluating *renderer.Task.TargetOS")),

    Row("Stage", "Name", (Full, "{{.Stage.Name}}", "st"), (Bare, "{{if .Stage}}{{.Stage.Name}}{{end}}", ""), Fails(Bare, "{{.Stage.Name}}", "nil pointer evaluating *renderer.Stage.Name")),
    Row("Stage", "Description", (Full, "{{.Stage.Description}}|", "|"), (Bare, "{{with .Stage}}x{{end}}", ""), Fails(Bare, "{{.Stage.Description}}", "nil pointer evaluating *renderer.Stage.Description")),
    Row("Stage", "BootEnv", (Full, "{{.Stage.BootEnv}}|", "|"), (Bare, "{{with .Stage}}x{{end}}", ""), Fails(Bare, "{{.Stage.BootEnv}}", "nil pointer evaluating *renderer.Stage.BootEnv")),
    Row("Stage", "Tasks", (Full, "{{.Stage.Tasks}}", "[]"), (Bare, "{{with .Stage}}x{{end}}", ""), Fails(Bare, "{{.Stage.Tasks}}", "nil pointer evaluating *renderer.Stage.Tasks")),
    Row("Stage", "Profiles", (Full, "{{.Stage.Profiles}}", "[]"), (Bare, "{{with .Stage}}x{{end}}", ""), Fails(Bare, "{{.Stage.Profiles}}", "nil pointer evaluating *renderer.Stage.Profiles")),
    Row("Stage", "Params", (Full, "{{.Stage.Params.staged}}", "in st"), (Full, "{{.Stage.Params.none}}", "<no value>"), Fails(Bare, "{{.Stage.Params}}", "nil pointer evaluating *renderer.Stage.Params")),
    Row("Stage", "Meta", (Full, "{{.Stage.Meta}}", "map[]"), (Full, "{{.Stage.Meta.none}}", "<no value>"), Fails(Bare, "{{.Stage.Meta}}", "nil pointer evaluating *renderer.Stage.Meta")),

    Row("Info", "Id", (Full, "{{.Info.Id}}", "fred"), (Nobody, "{{.Info.Id}}", "fred"), Never),
    Row("Info", "ApiPort", (Full, "{{.Info.ApiPort}}", "8092"), (Nobody, "{{add .Info.ApiPort 1}}", "8093"), Never),
    Row("Info", "FilePort", (Full, "{{.Info.FilePort}}", "8091"), (Nobody, "{{.Info.FilePort}}", "8091"), Never),
    Row("Info", "ServerHostname", (Full, "{{.Info.ServerHostname}}|", "|"), (Nobody, "{{.Info.ServerHostname}}|", "|"), Never),

    Row("Repo", "Tag", (Full, r#"{{range .Repos "main"}}{{.Tag}}{{end}}"#, "main"), (Full, r#"{{range .Repos ""}}{{.Tag}}|{{end}}"#, "|"), Never),
    Row("Repo", "OS", (Full, r#"{{range .Repos "main"}}{{.OS}}{{end}}"#, "[debian-12]"), (Full, r#"{{range .Repos ""}}{{.OS}}{{end}}"#, "[]"), Never),
    Row("Repo", "URL", (Full, r#"{{range .Repos "main"}}{{.URL}}{{end}}"#, "http://m/debian"), (Full, r#"{{range .Repos ""}}{{.URL}}|{{end}}"#, "|"), Never),
    Row("Repo", "PackageType", (Full, r#"{{range .Repos "main"}}{{.PackageType}}{{end}}"#, "deb"), (Full, r#"{{range .Repos ""}}{{.PackageType}}|{{end}}"#, "|"), Never),
    Row("Repo", "RepoType", (Full, r#"{{range .Repos "main"}}{{.RepoType}}{{end}}"#, "apt"), (Full, r#"{{range .Repos ""}}{{.RepoType}}|{{end}}"#, "|"), Never),
    Row("Repo", "InstallSource", (Full, r#"{{range .Repos "main"}}{{.InstallSource}}{{end}}"#, "true"), (Full, r#"{{range .Repos ""}}{{.InstallSource}}{{end}}"#, "false"), Never),
    Row("Repo", "SecuritySource", (Full, r#"{{range .Repos "sec"}}{{.SecuritySource}}{{end}}"#, "true"), (Full, r#"{{range .Repos ""}}{{.SecuritySource}}{{end}}"#, "false"), Never),
    Row("Repo", "Distribution", (Full, r#"{{range .Repos "main"}}{{.Distribution}}{{end}}"#, "bookworm"), (Full, r#"{{range .Repos ""}}{{.Distribution}}|{{end}}"#, "|"), Never),
    Row("Repo", "BootLoc", (Full, r#"{{range .Repos "main"}}{{.BootLoc}}{{end}}"#, "http://m/boot"), (Full, r#"{{range .Repos "sec"}}{{.BootLoc}}|{{end}}"#, "|"), Never),
    Row("Repo", "Components", (Full, r#"{{range .Repos "main"}}{{.Components}}{{end}}"#, "[main contrib]"), (Full, r#"{{range .Repos ""}}{{.Components}}{{end}}"#, "[]"), Never),
    Row("Repo", "Arch", (Full, r#"{{range .Repos "main"}}{{.Arch}}{{end}}"#, "amd64"), (Full, r#"{{range .Repos ""}}{{.Arch}}|{{end}}"#, "|"), Never),
    Row("Repo", "R", (Full, r#"{{range .Repos "main"}}{{.R.Tag}}{{end}}"#, "main"), (Full, r#"{{range .Repos ""}}{{.R.Tag}}|{{end}}"#, "|"), Never),
    Row("Repo", "JoinedComponents", (Full, r#"{{range .Repos "main"}}{{.JoinedComponents}}{{end}}"#, "main contrib"), (Full, r#"{{range .Repos ""}}{{.JoinedComponents}}|{{end}}"#, "|"), Never),
    Row("Repo", "UrlFor", (Full, r#"{{range .Repos "sec"}}{{.UrlFor "x"}} {{.UrlFor ""}}{{end}}"#, "http://s/sec/bookworm/x/$basearch http://s/sec"), (Full, r#"{{range .Repos ""}}{{.UrlFor "x"}}|{{end}}"#, "|"), Never),
    Row("Repo", "Install", (Full, r#"{{range .Repos "main"}}{{.Install}}{{end}}"#, "d-i mirror/protocol string http\nd-i mirror/http/hostname string m\nd-i mirror/http/directory string /debian\n\n"),
        (Full, r#"{{range .Repos "sec"}}{{.Install}}{{end}}"#, "d-i apt-setup/security_host string http://s/sec\n\n"),
        Fails(Bare, r#"{{range .Repos "odd"}}{{.Install}}{{end}}"#, "<.Install>: error calling Install: No idea how to handle repos for plan9-4")),
    Row("Repo", "Lines", (Full, r#"{{range .Repos "main"}}{{.Lines}}{{end}}"#, "deb http://m/debian bookworm main contrib\n"), (Full, r#"{{range .Repos ""}}{{.Lines}}{{end}}"#, "deb   \n"),
        Fails(Bare, r#"{{range .Repos "odd"}}{{.Lines}}{{end}}"#, "<.Lines>: error calling Lines: No idea how to handle repos for plan9-4")),
];

fn house(text: &str) -> View {
    let mut full = machine();
    let more = json!({
        "Description": "described", "CurrentJob": id(9), "RetryTaskAttempt": 2, "Runnable": true, "Secret": "s3cret", "Workflow": "ww",
        "Locked": true, "Context": "ctx", "Fingerprint": {"SSNHash": "YWJj"}, "Pool": "blue", "PoolAllocated": true,
        "PoolStatus": "InUse", "WorkflowComplete": true, "BootEnv": "try",
    });
    full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    full["Params"]["marked"] = json!({"b": "<a & b>", "a": [1, 1.5, 1e21]});
    full["Params"]["tree"] = json!({"k": ["{{.Machine.Arch}}", 1, {"{{x}}": "{{add 1 2}}"}]});
    full["Params"]["package-repositories"] = json!([
        {"tag": "main", "os": ["debian-12"], "arch": "amd64", "url": "http://m/debian", "packageType": "deb", "repoType": "apt",
            "installSource": true, "bootloc": "http://m/boot", "distribution": "bookworm", "components": ["main", "contrib"]},
        {"tag": "sec", "os": ["debian-12"], "arch": "any", "url": "http://s/sec", "securitySource": true, "distribution": "bookworm"},
        {"tag": "extra", "os": ["other"], "arch": "any", "url": "http://e"},
        {"os": null},
    ]);
    let templates = |path: &str| json!([{"Name": "sibling", "Path": "{{.Machine.Path}}/s", "Contents": "sibling:{{.}}"}, {"Name": "pxelinux", "Path": "{{.Machine.Path}}/p", "Contents": "x"}, {"Name": "try", "Path": path, "Contents": text}]);
    let os = json!({"Name": "debian-12", "Family": "debian", "Version": "12", "Codename": "bookworm", "IsoFile": "d.iso", "IsoSha256": "5a",
        "IsoUrl": "http://i", "SupportedArchitectures": {"aarch64": {"Kernel": "armk", "BootParams": "arm"}}});
    let own = "{{.Machine.Path}}/try";
    let odd = json!([{"tag": "odd", "os": ["plan9"], "arch": "any", "url": "http://m"}]);
    with(
        &furnished(),
        &[
            (Kind::Task, json!({"Name": "a"})),
            (Kind::Task, json!({"Name": "b"})),
            (Kind::Workflow, json!({"Name": "ww", "Stages": ["st"]})),
            (Kind::Machine, full),
            (Kind::Machine, json!({"Name": "bare", "Uuid": id(2), "BootEnv": "try-bare"})),
            (Kind::Param, json!({"Name": "nothing", "Schema": {"default": null}})),
            (Kind::Param, json!({"Name": "package-repositories", "Schema": {"default": odd}})),
            (
                Kind::BootEnv,
                json!({"Name": "try", "OS": os, "Kernel": "linux", "Initrds": ["deep/initrd.gz", "more.gz"],
                "BootParams": "quiet {{.Machine.Name}}", "Templates": templates(own)}),
            ),
            (
                Kind::BootEnv,
                json!({"Name": "try-bare", "OS": {"Name": "plan9-4"}, "Templates": templates(own)}),
            ),
            (
                Kind::BootEnv,
                json!({"Name": "unknown", "OnlyUnknown": true, "OS": {"Name": "u"}, "Kernel": "k", "BootParams": "{{.Machine.Nope}}", "Templates": templates("x.cfg")}),
            ),
            (
                Kind::Task,
                json!({"Name": "tt", "Description": "what it does", "Meta": {"icon": "cog"}, "RequiredParams": ["own"], "Templates": [{"Name": "try", "Contents": text}]}),
            ),
            (Kind::Preference, json!({"Name": "unknownBootEnv", "Val": "unknown"})),
        ],
    )
}

fn rendered(at: At, text: &str) -> Result<String, String> {
    let view = house(text);
    match at {
        Full => file(&view, &format!("machines/{}/try", id(1))),
        Bare => file(&view, &format!("machines/{}/try", id(2))),
        Nobody => file(&view, "x.cfg"),
        Tree => {
            let mut catalogue = Catalogue::default();
            let files = ["dists/bookworm/Release", "linux", "deep/initrd.gz", "more.gz"];
            catalogue.files.extend(files.map(|file| (format!("debian-12/{file}"), 1)));
            file(&view.with_catalogue(Arc::new(catalogue)), &format!("machines/{}/try", id(1)))
        }
        Script => {
            let job = gantry_model::Job {
                machine: id(1).parse().unwrap(),
                task: "tt".to_owned(),
                stage: "st".to_owned(),
                ..Default::default()
            };
            let actions = gantry_boot::Renderer::new().job_actions(
                &view,
                &job,
                "windows",
                &crate::support::server(),
                &crate::support::host(),
            );
            actions.map(|actions| actions[0].content.clone()).map_err(|error| error.to_string())
        }
    }
}

#[test]
fn every_member_gives_what_the_reference_says() {
    let mut wrong = Vec::new();
    for Row(of, name, normal, zero, error) in ROWS {
        for (at, text, expected) in [normal, zero] {
            let got = rendered(*at, text);
            if got.as_deref() != Ok(*expected) {
                wrong.push(format!("{of} {name}, {at:?} {text}\n     gives {got:?}\n not {expected:?}"));
            }
        }
        let Fails(at, text, expected) = error else { continue };
        let got = rendered(*at, text);
        let message =
            got.as_ref().err().and_then(|message| message.split_once(" at ")).map(|(_, message)| message);
        // What only says that there is no machine ends with the member.
        let expected = if *expected == NO_MACHINE {
            format!("<.Machine.{name}>: {NO_MACHINE}{name}")
        } else {
            (*expected).to_owned()
        };
        let same = message.is_some_and(|message| {
            if expected.starts_with('<') { message == expected } else { message.ends_with(&expected) }
        });
        if !same {
            wrong.push(format!("{of} {name}, {at:?} {text}\n     fails {got:?}\n not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_member_of_the_reference_has_its_row() {
    let listed: BTreeSet<(&str, &str)> =
        REFERENCE.iter().flat_map(|(of, names)| names.iter().map(move |name| (*of, *name))).collect();
    let rows: BTreeSet<(&str, &str)> = ROWS.iter().map(|Row(of, name, ..)| (*of, *name)).collect();
    assert_eq!(listed.difference(&rows).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "without a row");
    assert_eq!(rows.difference(&listed).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "not in the list");
}

#[test]
fn the_server_by_its_name() {
    use gantry_boot::{File, Renderer, Server};
    let server = crate::support::server();
    let info = gantry_model::Info { server_hostname: "drp.example.org".to_owned(), ..(*server.info).clone() };
    let server = Arc::new(Server { info: Arc::new(info), address: "fd00::1".parse().unwrap(), client: None });
    let text = "{{.ProvisionerAddress}} {{.ProvisionerURL}} {{.ProvisionerHostURL}} {{.SecureProvisionerHostURL}} {{.ApiHostURL}} {{.ApiURL}}";
    let path = format!("machines/{}/try", id(1));
    let Ok(File::Rendered(rendered)) =
        Renderer::new().file(&house(text), &path, &server, &crate::support::host())
    else {
        panic!()
    };
    assert_eq!(
        String::from_utf8(rendered.bytes).unwrap(),
        "fd00::1 http://[fd00::1]:8091 http://drp.example.org:8091 https://drp.example.org:8090 https://drp.example.org:8092 https://[fd00::1]:8092"
    );
}

#[test]
fn whole_objects_are_structs_in_go_order() {
    let text = rendered(Full, "{{.Machine | toJson}}").unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let order = [
        "Validated",
        "Available",
        "Errors",
        "ReadOnly",
        "Meta",
        "Endpoint",
        "Bundle",
        "Partial",
        "Name",
        "Description",
        "Uuid",
        "CurrentJob",
        "Address",
        "Stage",
        "BootEnv",
        "Profiles",
        "Params",
        "Tasks",
        "CurrentTask",
        "RetryTaskAttempt",
        "TaskErrorStacks",
        "Runnable",
        "Secret",
        "OS",
        "HardwareAddrs",
        "Workflow",
        "Arch",
        "Locked",
        "Context",
        "Fingerprint",
        "Pool",
        "PoolAllocated",
        "PoolStatus",
        "WorkflowComplete",
    ];
    let keys = text
        .split(",\"")
        .map(|part| part.trim_start_matches(['{', '"']).split('"').next().unwrap_or_default());
    let top: Vec<&str> = keys.filter(|key| value.get(*key).is_some()).collect();
    assert_eq!(top, order, "{text}");
    assert_eq!(value.as_object().unwrap().len(), order.len(), "{text}");
    let task = rendered(Script, "{{.Task | toJson}}").unwrap();
    assert!(task.contains("\"RequiredParams\":[\"own\"]") && !task.contains("Extra"), "{task}");
}

#[test]
fn templates_are_called_out_of_expanded_values_too() {
    for (text, want) in [
        (r#"{{.StringExpand "{{.CallTemplate \"sibling\" 1}}"}}"#, "sibling:1"),
        (r#"{{.StringExpand "{{.CallTemplate \"common.tmpl\" .}}"}}"#, "common for rack7-u3"),
        (
            r#"{{.ObjectExpand (list "{{.StringExpand \"{{.CallTemplate `sibling` 2}}\"}}") | first}}"#,
            "sibling:2",
        ),
    ] {
        assert_eq!(rendered(Full, text).as_deref(), Ok(want), "{text}");
    }
    let missing = rendered(Full, r#"{{.StringExpand "{{.CallTemplate `nowhere` .}}"}}"#).unwrap_err();
    assert!(missing.contains("Missing template: nowhere"), "{missing}");
}
