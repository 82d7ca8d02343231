//! What the setup library gives to bash tasks, with the agent's helper beside it and without.

use std::fs;
use std::path::Path;

use gantry_model::Kind;
use serde_json::json;

use super::system::in_namespace;
use super::{Bench, machine, renders, there_is, view};

/// A bash task that begins with the library, as public content does.
fn task(head: &str, body: &str, params: &serde_json::Value) -> String {
    let script = json!({"Name": "script", "Contents": format!("#!/bin/bash\n{head}\n{body}")});
    let view = view(&[(Kind::Task, json!({"Name": "trial", "Templates": [script]}))]);
    let all = renders(&view, Kind::Task, "trial", &machine("it's \"here\"", params));
    String::from_utf8(all.into_iter().next().unwrap().result.unwrap()).unwrap()
}

/// A system with a `drpcli` that says what it was asked.
fn bench(with_helper: bool) -> Bench {
    let bench = Bench::new()
        .with("/etc/os-release", "ID=\"debian\"\nVERSION_ID=12\n")
        .with("/task/x", "")
        .with("/stubs/drpcli", "#!/bin/sh\necho \"drpcli $* as $RS_TOKEN\"\n");
    if with_helper {
        let helper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/src/runner/helper.sh");
        fs::copy(helper, bench.root().join("task/helper")).unwrap();
    }
    bench
}

/// Runs the task as an agent that exports nothing would: in its folder, in a system of its own. None where that is not allowed.
fn run(bench: &Bench, text: &str) -> Option<super::Ran> {
    let root = bench.root().display().to_string();
    let before = format!(
        "mount -t tmpfs none {root}/usr/local; mkdir -p {root}/usr/local/bin; chmod +x {root}/stubs/drpcli; cp \"$(dirname $0)/inner\" {root}/task/inner; \
         exec env -i GANTRY_ROOT= PATH=/stubs:/usr/bin:/bin RS_TASK_DIR=/task /usr/sbin/chroot {root} bash -c 'cd /task && exec bash ./inner' #"
    );
    in_namespace(bench, &before, text)
}

const ASK: &str = "fixup_path /a,/b:/c /usr/bin\nls -d /a /b /c\necho \"arch=$arch family=$osfamily class=$osclass\"\n\
                   echo \"uuid=$RS_UUID endpoint=$RS_ENDPOINT home=$HOME\"\n";

#[test]
fn a_task_finds_its_environment_and_the_helper() {
    if !there_is("jq") {
        return;
    }
    let bench = bench(true);
    let body = format!(
        "{ASK}get_param a/b\nset_param a/b 7\necho \"$OS_FAMILY $(addr_port ::1 80)\"\necho '{{\"a\": 5}}' | drpjq .a\nexit_incomplete_reboot\n"
    );
    let Some(ran) = run(&bench, &task("{{ template \"setup.tmpl\" . }}", &body, &json!({}))) else { return };
    assert_eq!(ran.code, 192, "{}", ran.log);
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    for line in [
        "/a\n/b\n/c\n".to_owned(),
        format!("arch={arch} family=debian class=linux\n"),
        format!("uuid={} endpoint=https://192.0.2.1:8092 home=/task\n", super::UUID),
        format!("drpcli machines get {} param a/b --aggregate as machine-token\n", super::UUID),
        format!("drpcli machines set {} param a/b to 7 as machine-token\n", super::UUID),
        "debian [::1]:80\n5\n".to_owned(),
    ] {
        assert!(ran.log.contains(&line), "no {line:?} in {}", ran.log);
    }
    assert!(bench.exists("/task/.sane-exit-codes"), "the agent is not told that exit codes are sane");
}

#[test]
fn without_helper_and_without_an_argument_it_works_too() {
    let body = format!("{ASK}xiterr 7 it is over\n");
    for (head, uuid) in
        [("{{ template \"setup.tmpl\" . }}", super::UUID), ("{{ template \"setup.tmpl\" }}", "")]
    {
        let text = task(head, &body, &json!({}));
        assert!(!text.contains("<no value>"), "{text}");
        let Some(ran) = run(&bench(false), &text) else { return };
        assert_eq!(ran.code, 7, "{}", ran.log);
        assert!(ran.log.contains("FATAL: it is over"), "{}", ran.log);
        assert!(ran.log.contains(&format!("uuid={uuid} ")), "{}", ran.log);
    }
}

#[test]
fn debugging_can_be_had_and_forbidden() {
    let trace = |params| {
        let text =
            task("{{ template \"setup.tmpl\" . }}", "echo \"debug=${RS_DEBUG_ENABLE:-no}\"\n", &params);
        run(&bench(false), &text).map(|ran| ran.log)
    };
    let Some(log) = trace(json!({"rs-debug-enable": true})) else { return };
    assert!(log.contains("debug=true\n") && log.contains("+ echo debug=true"), "{log}");
    let log = trace(json!({"rs-debug-enable": true, "security/debug-block": true})).unwrap();
    assert!(log.contains("debug=no\n") && log.contains("security/debug-block forbids it"), "{log}");
    assert!(trace(json!({})).unwrap().contains("debug=no\n"));
}
