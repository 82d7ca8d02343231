//! Jobs on real machines whose server or agent is killed in the middle: nothing is lost, nothing runs twice.

use gantry_lab::{Machine, MachineSpec};
use gantry_testkit::{Options, Scenario};
use http::Method;
use serde_json::{Value, json};

use crate::{DEADLINE, artifacts, firmware_starts, ok};

/// A workflow of its own for machines that register: one stage in the discovery OS with these tasks.
fn offer(scenario: &Scenario, tasks: &[(&str, &str)]) {
    for (name, text) in tasks {
        crate::task(scenario, name, text);
    }
    let names: Vec<&str> = tasks.iter().map(|(name, _)| *name).collect();
    crate::offer(scenario, &[("trial", "sledgehammer", &names)]);
}

/// A machine without a disk.
fn power_on(scenario: &Scenario) -> Machine {
    let machine = scenario.lab().machine(MachineSpec { memory_mib: 512, ..MachineSpec::new("m1") }).unwrap();
    machine.power_on().unwrap();
    machine
}

/// Waits until a script on the machine has set the parameter to true.
fn wait_param(scenario: &Scenario, machine: &Machine, key: &str, name: &str) {
    let path = format!("/machines/{key}/params/{name}");
    let look = || Ok(scenario.get(&path, &[]).ok().filter(|value| *value == true));
    ok(scenario.wait(machine, &format!("{name} to be set"), DEADLINE, look));
}

/// `task=state` of every job but markers, oldest first.
fn told(scenario: &Scenario, key: &str) -> Vec<String> {
    let mut jobs = ok(scenario.jobs(key));
    jobs.retain(|job| !job["Task"].as_str().unwrap().contains(':'));
    jobs.sort_by_key(|job| job["StartTime"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
    let text = |job: &Value, field: &str| job[field].as_str().unwrap().to_owned();
    jobs.iter().map(|job| format!("{}={}", text(job, "Task"), text(job, "State"))).collect()
}

fn logs(scenario: &Scenario, key: &str, task: &str) -> String {
    ok(scenario.task_log(key, task))
}

#[test]
fn server_killed_while_a_job_runs() {
    let Some(artifacts) = artifacts("server_killed_while_a_job_runs") else { return };
    let scenario = ok(Scenario::start(&artifacts, &Options::default()));
    let long = r#"echo run >> /run/runs
echo "run $(wc -l < /run/runs)"
drpcli machines set "$RS_UUID" param started to true > /dev/null || exit 1
n=0
until [ "$(drpcli machines get "$RS_UUID" param go 2> /dev/null)" = true ]; do n=$((n+1)); echo "line $n"; sleep 0.1; done
echo "lines $n""#;
    offer(&scenario, &[("before", "echo before"), ("long", long), ("after", "echo after")]);
    let machine = power_on(&scenario);
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    wait_param(&scenario, &machine, &key, "started");
    ok(scenario.kill_server());
    ok(scenario.start_server());
    ok(scenario.call(Method::POST, &format!("/machines/{key}/params/go"), &[], &json!(true)));
    ok(scenario.wait_complete(&key, &machine, DEADLINE));

    assert_eq!(told(&scenario, &key), ["before=finished", "long=finished", "after=finished"]);
    let log = logs(&scenario, &key, "long");
    assert_eq!(log.matches("run 1\n").count(), 1, "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (1..=lines.len()).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, expected, "each line once and in order");
    assert!(log.contains(&format!("\nlines {}\n", lines.len())), "{log}");
    ok(scenario.stop());
}

/// Also: a task that restarts the machine (exit code 64) is done once, and no boot, as unknown or as known machine,
/// carries a token on its kernel command line.
#[test]
fn agent_killed_while_a_job_runs() {
    let Some(artifacts) = artifacts("agent_killed_while_a_job_runs") else { return };
    let scenario = ok(Scenario::start(&artifacts, &Options::default()));
    // The script's parent is the agent's session; process 1 starts another one. What is still in the pipe dies with it.
    let victim = r#"echo run >> /run/runs
runs=$(wc -l < /run/runs)
echo "run $runs"
[ "$runs" = 1 ] || exit 0
until grep -q "^run 1" /run/gantry/agent/logs/*.log; do sleep 0.1; done
kill -9 $PPID
sleep 600"#;
    let cmdline = "cat /proc/cmdline; dmesg | grep 'Command line'; ls -l /run/gantry";
    let tasks =
        [("unknown", cmdline), ("victim", victim), ("restart", "echo restart; exit 64"), ("known", cmdline)];
    offer(&scenario, &tasks);
    let machine = power_on(&scenario);
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    // Its first run counts as failed, which `wait_complete` would not forgive.
    ok(scenario.wait(&machine, "the workflow to complete", DEADLINE, || scenario.completed(&key)));

    assert_eq!(
        told(&scenario, &key),
        ["unknown=finished", "victim=failed", "victim=finished", "restart=finished", "known=finished"]
    );
    let log = logs(&scenario, &key, "victim");
    assert!(log.contains("run 1\n") && log.contains("run 2\n") && !log.contains("run 3"), "{log}");
    assert_eq!(logs(&scenario, &key, "restart").matches("\nrestart\n").count(), 1);
    let console = machine.serial().unwrap().text().unwrap();
    assert!(console.contains("session ended (killed), starting it again"), "{console}");
    assert_eq!(firmware_starts(&console), 2, "one restart, by the task:\n{console}");

    let (first, second) = (logs(&scenario, &key, "unknown"), logs(&scenario, &key, "known"));
    for log in [&first, &second] {
        assert!(!log.contains("token") && log.contains("gantry.config=https://"), "{log}");
    }
    assert!(second.contains(&format!("machines/{key}/gantry.json")), "{second}");
    assert!(
        !console.contains("asking as an unknown machine"),
        "the machine was not given its own file:\n{console}"
    );
    // The file of the known machine is not for others: this asks from the server's own address.
    let port = ok(scenario.get("/info", &[]))["file_port"].as_u64().unwrap();
    let ask = format!(
        "exec 3<> /dev/tcp/192.168.124.1/{port} && printf 'GET /machines/{key}/gantry.json HTTP/1.0\\r\\n\\r\\n' >&3 \
         && head -n 1 <&3 | grep ' 500 '"
    );
    let bash = gantry_lab::Program::new("bash").args(["-c", &ask]);
    let end = scenario.lab().spawn(&bash).unwrap().wait(DEADLINE).unwrap().unwrap();
    assert!(end.is_success(), "somebody else was not refused: {end}");
    ok(scenario.stop());
}
