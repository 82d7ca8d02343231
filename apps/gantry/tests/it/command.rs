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
        ["boot 1 at ", "registered as m1", "workflow flow1", "job for task1 handed out", "is finished"]
    {
        assert!(trace.contains(part), "{part} in:\n{trace}");
    }
}

#[test]
fn tasks_are_added_where_drpcli_adds_them_and_what_ran_is_shown() {
    let server = Serving::start();
    for task in ["one", "two", "three", "four"] {
        server.tell(&["tasks", "create", task]);
    }
    server.tell(&["stages", "create", "{\"Name\": \"first\", \"Tasks\": [\"one\"]}"]);
    server.tell(&["stages", "create", "{\"Name\": \"last\", \"Tasks\": [\"two\"]}"]);
    server.tell(&["workflows", "create", "{\"Name\": \"flow\", \"Stages\": [\"first\", \"last\"]}"]);
    let uuid = value(&server.tell(&["machines", "create", "m1"]))["Uuid"].as_str().unwrap().to_owned();
    server.tell(&["machines", "workflow", &uuid, "flow"]);
    server.tell(&["machines", "jobs", "create", &uuid]);
    let tasks = |words: &[&str]| {
        let all = [&["machines", "tasks", "add", uuid.as_str()], words].concat();
        value(&server.tell(&all))["Tasks"].clone()
    };
    assert_eq!(tasks(&["three"]), json!(["stage:first", "one", "three", "stage:last", "two"]));
    assert_eq!(
        tasks(&["at", "0", "four", "three"]),
        json!(["stage:first", "one", "four", "three", "three", "stage:last", "two"])
    );
    let wrong = server.ask(&["machines", "tasks", "add", &uuid, "at", "soon", "four"]);
    assert_eq!(
        (wrong.status, wrong.err.trim()),
        (1, "Error: the offset is `soon`; it must be a number from 0 on")
    );
    assert_eq!(server.ask(&["machines", "tasks", "add", &uuid, "at", "0"]).status, 1);
    server.tell(&["machines", "jobs", "state", &uuid, "to", "running"]);
    let seen = |words: &[&str]| {
        let all = [&["machines", "inspect"], words].concat();
        let jobs = value(&server.tell(&all));
        jobs.as_array()
            .unwrap()
            .iter()
            .map(|job| job["Task"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = seen(&["jobs", &uuid]);
    assert_eq!(all.last().map(String::as_str), Some("one"), "{all:?}");
    assert_eq!(seen(&["jobs", &uuid, "0"]), all[..1]);
    assert_eq!(seen(&["tasks", "Name:m1", "one"]), ["one"]);
    assert!(seen(&["tasks", &uuid, "two"]).is_empty() && seen(&["jobs", &uuid, "99"]).is_empty());
    let full = value(&server.tell(&["machines", "inspect", "tasks", &uuid, "one", "--full"]));
    assert!(full[0]["Meta"]["log"].as_str().unwrap().starts_with("Log for Job: "), "{full}");
}

#[test]
fn drpcli_s_small_verbs_and_flags_are_there() {
    let server = Serving::start();
    assert!(server.tell(&["version"]).starts_with("Version: v4."));
    assert_eq!(value(&server.tell(&["info", "check"])), json!({ "active": true }));
    let status = value(&server.tell(&["info", "status"]));
    let port: u64 = server.endpoint.rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(status["API"], json!({ "Alive": true, "Enabled": true, "Port": port }));
    for service in ["Static", "TFTP"] {
        assert_eq!(status[service]["Alive"], status[service]["Enabled"], "{service}: {status}");
    }
    // What drpcli hashes with scrypt logs in here.
    let hash = server.tell(&["users", "passwordhash", "a word"]);
    assert!(hash.starts_with("16384$8$1$") && hash.trim().len() == 10 + 32 + 1 + 64, "{hash}");
    let plain = ["-N", "-C", "0=32", "-c", "https://x", "-D", "http://x"];
    assert_eq!(server.tell(&[&plain[..], &["profiles", "exists", "global"]].concat()), "");
    // An object with errors is stored; whoever asks for it ends then.
    let stage = "{\"Name\": \"lost\", \"BootEnv\": \"nowhere\"}";
    let ended = server.ask(&["-X", "stages", "create", stage]);
    assert_eq!(ended.status, 1, "{}", ended.err);
    assert!(
        ended.out.contains("\"Name\": \"lost\"") && ended.err.contains("the object has errors"),
        "{}",
        ended.err
    );
    assert_eq!(server.ask(&["stages", "show", "lost"]).status, 0);
    let job = server.ask(&["jobs", "plugin_actions", "nosuch"]);
    assert!(job.err.contains("GET: jobs/nosuch: Not Found"), "{}", job.err);
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
    for page in [
        &["machines", "list", "-h"][..],
        &["machines", "list", "--help"],
        &["serve", "--help"],
        &["lab", "up", "--help"],
    ] {
        let page = run(GANTRY.as_ref(), page, &[]);
        assert!(page.out.contains("Usage: ") && !page.out.contains("--endpoint"), "{}", page.out);
    }
    assert!(help.out.contains("see `gantry help options`"), "{}", help.out);
    let options = run(GANTRY.as_ref(), &["help", "options"], &[]);
    assert!(
        options.out.contains("-E, --endpoint <value>") && options.out.contains("--trace-token"),
        "{}",
        options.out
    );
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

/// What worked and yet is not as it was meant is told on standard error; the exit status is drpcli's.
#[test]
fn what_was_saved_but_cannot_be_used_is_a_warning() {
    let server = Serving::start();
    server.tell(&["machines", "create", "m1"]);
    let saved = server.ask(&["machines", "update", "Name:m1", r#"{"Profiles": ["nope"]}"#]);
    assert_eq!((saved.status, &value(&saved.out)["Available"]), (0, &json!(false)));
    let want = "warning: machines/m1 was saved, but it cannot be used as it is:\n  ";
    assert!(
        saved.err.starts_with(want) && saved.err.contains("Profile nope (at 0) does not exist"),
        "{}",
        saved.err
    );
    let healed = server.ask(&["machines", "update", "Name:m1", r#"{"Profiles": []}"#]);
    assert_eq!((healed.status, healed.err.as_str()), (0, ""));
    server.tell(&["profiles", "create", "prof1"]);
    for words in [
        &["profiles", "update", "prof1", r#"{"Parms": {"a": 1}}"#][..],
        &["profiles", "patch", "prof1", r#"[{"op": "add", "path": "/Parms", "value": {}}]"#],
        &["profiles", "create", r#"{"Name": "prof2", "Parms": {}}"#],
    ] {
        let told = server.ask(words);
        let want = "warning: profiles have no field `Parms`, it is ignored; did you mean `Params`?\n";
        assert_eq!((told.status, told.err.as_str()), (0, want), "{words:?}");
    }
}

#[test]
fn a_name_that_is_refused_is_explained() {
    let server = Serving::start();
    let refused = server.ask(&["profiles", "create", "{\"Name\": \"a:b\"}"]);
    assert_eq!(refused.status, 1);
    let want = "Error: ValidationError: profiles/a:b\n  a:b: Invalid Name `a:b`\n  `a:b` is refused because a name begins with a letter";
    assert!(refused.err.starts_with(want) && refused.err.contains("`a-b` would do"), "{}", refused.err);
}

#[test]
fn a_wait_whose_time_is_over_says_what_is_there_and_ends_as_drpcli_does() {
    let server = Serving::start();
    server.tell(&["machines", "create", "m1"]);
    let over = server.ask(&["machines", "wait", "Name:m1", "Stage", "other", "0"]);
    assert_eq!((over.status, over.out.trim()), (0, "timeout"));
    assert_eq!(over.err.trim(), "timeout: after 0ns Stage of machines/Name:m1 is \"none\", not `other`");
    let wrong = server.ask(&["machines", "wait", "Name:m1", "Stge", "other", "0"]);
    assert!(wrong.err.contains("machines/Name:m1 has no field Stge"), "{}", wrong.err);
}

#[test]
fn an_unknown_type_of_events_is_refused_with_the_known_ones() {
    let server = Serving::start();
    let refused = server.ask(&["events", "watch", "nope"]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.err.contains("`nope` is no type of events") && refused.err.contains(" machines "),
        "{}",
        refused.err
    );
}

#[test]
fn a_host_without_a_port_is_asked_at_the_port_of_the_api() {
    let asked = run(GANTRY.as_ref(), &["-E", "127.0.0.254", "-d", "info", "get"], &[]);
    assert!(asked.err.starts_with("GET https://127.0.0.254:8092/api/v3/info"), "{}", asked.err);
    let asked = run(GANTRY.as_ref(), &["-E", "https://127.0.0.254", "info", "get"], &[]);
    assert!(asked.err.contains("hint: a URL without a port means 443"), "{}", asked.err);
}

#[test]
fn a_trace_of_what_nobody_has_heard_of_says_so() {
    let server = Serving::start();
    let unheard = server.ask(&["machines", "trace", "52:54:00:00:00:99"]);
    let want = "Error: nothing has been heard of 52:54:00:00:00:99: no DHCP packet, no file, no agent";
    assert_eq!((unheard.status, unheard.err.trim()), (1, want));
    let unknown = server.ask(&["machines", "trace", "m1"]);
    assert!(unknown.status == 1 && unknown.err.contains("by its name as `Name:m1`"), "{}", unknown.err);
}

#[test]
fn jobs_are_listed_oldest_first() {
    let server = Serving::start();
    server.tell(&["tasks", "create", "task1"]);
    for name in ["m1", "m2", "m3", "m4"] {
        server.tell(&["machines", "create", &json!({ "Name": name, "Tasks": ["task1"] }).to_string()]);
        server.tell(&["jobs", "create", name]);
    }
    let listed = value(&server.tell(&["jobs", "list"]));
    let times: Vec<&str> =
        listed.as_array().unwrap().iter().map(|job| job["StartTime"].as_str().unwrap()).collect();
    assert!(times.len() == 4 && times.is_sorted(), "{times:?}");
}
