//! The command line against a server.

use serde_json::{Value, json};

use crate::program::{GANTRY, Serving, run};

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

#[test]
fn objects_are_created_changed_found_and_destroyed() {
    let server = Serving::start();
    let made = value(&server.tell(&["machines", "create", "rack7-u3"]));
    let uuid = made["Uuid"].as_str().unwrap();
    assert_eq!(made["Name"], "rack7-u3");
    let changed = server.tell(&["machines", "update", "Name:rack7-u3", "Description: by hand"]);
    assert_eq!(value(&changed)["Description"], "by hand");
    let stale =
        server.ask(&["machines", "update", uuid, "{\"Description\": \"x\"}", "--ref", &made.to_string()]);
    assert_eq!(stale.status, 1);
    assert!(stale.err.contains("Patch error at line 0: Test op failed."), "{}", stale.err);
    assert_eq!(server.tell(&["machines", "count", "Name=rack7-u3"]).trim(), "1");
    let listed =
        server.tell(&["machines", "list", "Description", "eq", "by hand", "-F", "text", "-J", "Name", "-H"]);
    assert_eq!(listed.trim(), "rack7-u3");
    assert_eq!(server.tell(&["machines", "destroy", uuid]).trim(), format!("Deleted machine {uuid}"));
    let gone = server.ask(&["machines", "show", uuid]);
    assert_eq!(
        (gone.status, gone.err.trim()),
        (1, format!("Error: GET: machines/{uuid}: Not Found").as_str())
    );
    assert_eq!(server.ask(&["machines", "exists", uuid]).status, 1);
}

#[test]
fn parameters_and_meta_speak_drpcli_s_words() {
    let server = Serving::start();
    server.tell(&["profiles", "create", "prof1"]);
    let id = "prof1";
    server.tell(&["profiles", "set", id, "param", "net/dns", "to", "[\"192.0.2.1\"]"]);
    assert_eq!(value(&server.tell(&["profiles", "get", id, "param", "net/dns"])), json!(["192.0.2.1"]));
    let again = server.ask(&["profiles", "add", id, "param", "net/dns", "to", "x"]);
    assert!(again.err.contains("Key net/dns already present"), "{}", again.err);
    assert_eq!(value(&server.tell(&["profiles", "params", id])), json!({ "net/dns": ["192.0.2.1"] }));
    server.tell(&["profiles", "remove", id, "param", "net/dns"]);
    assert_eq!(server.tell(&["profiles", "get", id, "param", "net/dns"]).trim(), "null");
    server.tell(&["profiles", "meta", "set", id, "key", "color", "to", "green"]);
    assert_eq!(server.tell(&["profiles", "meta", "get", id, "color"]).trim(), "\"green\"");
    assert_eq!(value(&server.tell(&["profiles", "meta", id])), json!({ "color": "green" }));
}

#[test]
fn machines_run_workflows_and_tell_their_trace() {
    let server = Serving::start();
    server.tell(&["tasks", "create", "task1"]);
    server.tell(&["stages", "create", "{\"Name\": \"stage1\", \"Tasks\": [\"task1\"]}"]);
    server.tell(&["workflows", "create", "{\"Name\": \"flow1\", \"Stages\": [\"stage1\"]}"]);
    server.tell(&["machines", "create", "m1"]);
    let machine = value(&server.tell(&["machines", "workflow", "Name:m1", "flow1"]));
    assert_eq!(machine["Tasks"], json!(["stage:stage1", "task1"]));
    let job = value(&server.tell(&["machines", "jobs", "create", "Name:m1"]));
    assert_eq!(job["Task"], "task1");
    let key = job["Uuid"].as_str().unwrap();
    server.tell(&["jobs", "log", key, "hello from the task\n"]);
    assert!(server.tell(&["machines", "currentlog", "Name:m1"]).ends_with("hello from the task\n"));
    server.tell(&["machines", "jobs", "state", "Name:m1", "to", "running"]);
    server.tell(&["machines", "jobs", "state", "Name:m1", "to", "finished"]);
    assert_eq!(server.tell(&["machines", "wait", "Name:m1", "Stage", "stage1", "5"]).trim(), "complete");
    assert_eq!(server.tell(&["machines", "wait", "Name:m1", "Stage", "other", "10ms"]).trim(), "timeout");
    let trace = server.tell(&["machines", "trace", "Name:m1"]);
    for part in
        ["boot 1 at ", "registered as m1", "workflow  -> flow1", "job for task1 handed out", "is finished"]
    {
        assert!(trace.contains(part), "{part} in:\n{trace}");
    }
}

#[test]
fn files_go_up_and_come_down() {
    let server = Serving::start();
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::write(&from, "payload").unwrap();
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let up = value(&server.tell(&["files", "upload", from, "as", "dir/x"]));
    assert_eq!(up, json!({ "Path": "/dir/x", "Size": 7 }));
    server.tell(&["files", "download", "dir/x", "to", to]);
    assert_eq!(std::fs::read(to).unwrap(), b"payload");
    assert_eq!(server.tell(&["files", "download", "dir/x"]), "payload");
    assert_eq!(value(&server.tell(&["files", "list"])), json!(["dir/"]));
    assert!(
        server.tell(&["files", "exists", "dir/x"]).starts_with("dir/x: 239f59ed55e737c77147cf55ad0c1b03")
    );
}

#[test]
fn wrong_words_and_places_are_explained() {
    let nowhere = run(GANTRY.as_ref(), &["-E", "https://127.0.0.1:1", "info", "get"], &[]);
    assert_eq!(nowhere.status, 1);
    assert!(
        nowhere.err.contains("https://127.0.0.1:1/api/v3/info cannot be reached: Connection refused"),
        "{}",
        nowhere.err
    );
    assert!(nowhere.err.contains("hint: start a server with `gantry serve`"), "{}", nowhere.err);
    let server = Serving::start();
    let denied = server.ask(&["-P", "wrong", "info", "get"]);
    assert_eq!(denied.status, 1);
    assert!(
        denied.err.starts_with("Error: users: Access Denied\nhint: say who you are with -U name"),
        "{}",
        denied.err
    );
    let word = server.ask(&["machines", "frobnicate"]);
    assert!(word.err.contains("unrecognized subcommand 'frobnicate'"), "{}", word.err);
    let bare = server.ask(&["machines", "show", "rack7"]);
    assert!(
        bare.err.contains("Not Found\nhint: a machine is found by its UUID, or by its name as `Name:rack7`"),
        "{}",
        bare.err
    );
    let filter = server.ask(&["machines", "list", "Nam=5"]);
    assert!(filter.err.contains("hint: `gantry machines indexes` shows"), "{}", filter.err);
    let plain = server.ask(&["-E", &server.endpoint.replace("https", "http"), "info", "get"]);
    assert!(plain.err.contains("hint: the API is spoken over TLS"), "{}", plain.err);
    let kind = server.ask(&["machinez", "list"]);
    assert!(kind.err.contains("a similar subcommand exists: 'machines'"), "{}", kind.err);
}

#[test]
fn a_mistyped_field_is_told_and_ignored() {
    let server = Serving::start();
    let made = server.ask(&["machines", "create", r#"{"Name": "m1", "Descripton": "x"}"#]);
    assert_eq!(made.status, 0, "{}", made.err);
    let warning = "warning: machines have no field `Descripton`, it is ignored; did you mean `Description`?";
    assert_eq!(made.err.trim(), warning);
    let changed = server.ask(&["machines", "update", "Name:m1", "description: lower case is fine"]);
    assert_eq!((changed.status, changed.err.as_str()), (0, ""));
}

#[test]
fn tables_show_what_there_is() {
    let server = Serving::start();
    let none = server.ask(&["machines", "list", "-F", "table"]);
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", "no machines\n"));
    server.tell(&["machines", "create", "m1"]);
    let text = server.tell(&["machines", "list", "-F", "text"]);
    let head: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["Name", "Uuid", "Stage", "BootEnv", "Runnable", "Available"]);
    assert!(server.tell(&["machines", "list"]).starts_with('['), "no terminal, no table");
}

#[test]
fn debug_tells_each_call_beside_the_answer() {
    let server = Serving::start();
    let shown = server.ask(&["-d", "prefs", "list"]);
    assert_eq!(shown.err.trim(), format!("GET {}/api/v3/prefs", server.endpoint));
    assert_eq!(value(&shown.out)["defaultStage"], "none");
}

#[test]
fn help_spells_the_words_in_the_middle() {
    let help = run(GANTRY.as_ref(), &["machines", "set", "--help"], &[]);
    assert!(help.out.contains("Usage: gantry machines set <id> param <key> to <json>"), "{}", help.out);
    let short = run(GANTRY.as_ref(), &["machines", "list", "-h"], &[]);
    assert!(short.out.contains("--endpoint") && !short.out.contains("--trace-token"), "{}", short.out);
    let fields = run(GANTRY.as_ref(), &["subnets", "create", "--help"], &[]);
    assert!(fields.out.contains("ActiveStart"), "{}", fields.out);
}

#[test]
fn subnets_have_words_of_their_own() {
    let server = Serving::start();
    let subnet =
        r#"{"Name": "s1", "Subnet": "192.0.2.0/24", "ActiveStart": "192.0.2.10", "ActiveEnd": "192.0.2.20"}"#;
    server.tell(&["subnets", "create", subnet]);
    server.tell(&["subnets", "range", "s1", "192.0.2.30", "192.0.2.60"]);
    server.tell(&["subnets", "leasetimes", "s1", "120", "7300"]);
    server.tell(&["subnets", "pickers", "s1", "none,nextFree"]);
    let options = |args: &[&str]| value(&server.tell(args))["Options"].as_array().unwrap().len();
    let before = options(&["subnets", "show", "s1"]);
    assert_eq!(options(&["subnets", "set", "s1", "option", "6", "to", "192.0.2.53"]), before + 1);
    assert_eq!(server.tell(&["subnets", "get", "s1", "option", "6"]).trim(), "Option 6: 192.0.2.53");
    assert_eq!(options(&["subnets", "set", "s1", "option", "6", "to", "null"]), before);
    assert!(server.ask(&["subnets", "get", "s1", "option", "6"]).err.contains("subnet s1 has no option 6"));
    let shown = value(&server.tell(&["subnets", "show", "s1"]));
    assert_eq!((&shown["ActiveEnd"], &shown["ActiveLeaseTime"]), (&json!("192.0.2.60"), &json!(120)));
    assert_eq!(shown["Pickers"], json!(["none", "nextFree"]));
}

#[test]
fn a_job_is_asked_for_by_the_name_of_its_machine() {
    let server = Serving::start();
    server.tell(&["tasks", "create", "task1"]);
    server.tell(&["machines", "create", r#"{"Name": "m1", "Tasks": ["task1"]}"#]);
    assert_eq!(value(&server.tell(&["jobs", "create", "m1"]))["Task"], "task1");
    assert!(server.ask(&["jobs", "create", "m2"]).err.contains("machines/Name:m2: Not Found"));
}
