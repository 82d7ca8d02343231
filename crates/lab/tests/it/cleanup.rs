//! Nothing stays behind, whoever dies.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use gantry_lab::{Config, Files, Lab, Lifetime, MachineSpec, Program};

use crate::{LONG, config, lab};

/// The processes of a lab have its folder on their command line, or this marker.
fn processes(marker: &str) -> Vec<String> {
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        path.file_name()?.to_str()?.parse::<i32>().ok().filter(|pid| *pid != std::process::id() as i32)?;
        let line = fs::read(path.join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(marker)).collect()
}

fn await_no_process(marker: &str) {
    let deadline = Instant::now() + LONG;
    loop {
        let left = processes(marker);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still there: {left:?}");
        std::thread::yield_now();
    }
}

fn await_no_file(path: &Path) {
    let deadline = Instant::now() + LONG;
    while path.exists() {
        assert!(Instant::now() < deadline, "{} is still there", path.display());
        std::thread::yield_now();
    }
}

/// A lab with a machine that is on and a program that ignores every wish to end.
fn busy(lab: &Lab, marker: &str) -> (gantry_lab::Machine, gantry_lab::Process) {
    let machine = lab.machine(MachineSpec { memory_mib: 64, ..MachineSpec::new(marker) }).unwrap();
    machine.power_on().unwrap();
    let script = format!(
        ": {marker}; trap '' TERM HUP INT; (setsid sh -c ': {marker}; sleep 1000; :' &) ; sleep 1000; :"
    );
    let process = lab.spawn(&Program::new("sh").args(["-c", &script])).unwrap();
    let deadline = Instant::now() + LONG;
    while processes(marker).len() < 2 {
        assert!(Instant::now() < deadline, "machine and program are to run: {:?}", processes(marker));
        std::thread::yield_now();
    }
    (machine, process)
}

fn marker() -> String {
    Config::default().name.replace('t', "mark")
}

#[test]
fn a_stopped_lab_leaves_nothing() {
    let (lab, marker) = (lab(), marker());
    let _busy = busy(&lab, &marker);
    let folder = lab.folder().to_owned();
    lab.stop().unwrap();
    assert!(processes(&marker).is_empty() && !folder.exists(), "at once, not some day");
}

#[test]
fn a_dropped_lab_leaves_nothing() {
    let (lab, marker) = (lab(), marker());
    let folder = lab.folder().to_owned();
    drop(busy(&lab, &marker));
    drop(lab);
    assert!(processes(&marker).is_empty() && !folder.exists(), "at once, not some day");
}

#[test]
fn a_lab_may_keep_its_files_until_they_are_cleaned() {
    let root = PathBuf::from(format!("/tmp/gantry-lab-{}", marker()));
    let lab = Lab::start(Config { files: Files::Keep, root: root.clone(), ..config() }).unwrap();
    let folder = lab.folder().to_owned();
    lab.stop().unwrap();
    assert!(folder.join("lab.log").exists());
    gantry_lab::clean(&root);
    assert!(!folder.exists());
    fs::remove_dir(&root).unwrap();
}

/// The owner of a lab, for the test below: runs it and waits to be killed. Nothing to do in a run of all tests.
#[test]
fn owner_that_is_killed() {
    let Ok(marker) = std::env::var("GANTRY_LAB_TEST_OWNER") else { return };
    let lab = lab();
    let busy = busy(&lab, &marker);
    fs::write(format!("/tmp/{marker}"), lab.folder().to_str().unwrap()).unwrap();
    busy.1.wait(LONG).unwrap();
}

#[test]
fn a_lab_ends_when_its_owner_is_killed() {
    let marker = marker();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cleanup::owner_that_is_killed"])
        .env("GANTRY_LAB_TEST_OWNER", &marker)
        .spawn()
        .unwrap();
    let note = PathBuf::from(format!("/tmp/{marker}"));
    let deadline = Instant::now() + LONG;
    let folder = loop {
        match fs::read_to_string(&note) {
            Ok(text) if !text.is_empty() => break PathBuf::from(text),
            _ => assert!(
                Instant::now() < deadline && owner.try_wait().unwrap().is_none(),
                "the owner did not start its lab"
            ),
        }
        std::thread::yield_now();
    };
    fs::remove_file(&note).unwrap();
    assert!(folder.exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    await_no_process(&marker);
    await_no_file(&folder);
}

fn pid(folder: &Path, who: &str) -> i32 {
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("lab.json")).unwrap()).unwrap();
    record[who]["pid"].as_i64().unwrap() as i32
}

fn kill(pid: i32) {
    // SAFETY: a system call without pointers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
}

#[test]
fn everything_ends_with_the_supervisor() {
    let (lab, marker) = (lab(), marker());
    let _busy = busy(&lab, &marker);
    kill(pid(lab.folder(), "supervisor"));
    await_no_process(&marker);
    await_no_file(lab.folder());
    let error = lab.machines().unwrap_err().to_string();
    assert!(error.contains("has it ended?"), "{error}");
}

#[test]
fn everything_ends_with_the_guardian_and_the_next_lab_removes_the_folder() {
    let (first, marker) = (lab(), marker());
    let _busy = busy(&first, &marker);
    kill(pid(first.folder(), "guardian"));
    await_no_process(&marker);
    let next = lab();
    assert!(!first.folder().exists());
    next.stop().unwrap();
}

#[test]
fn a_lab_that_cannot_start_leaves_nothing_and_says_why() {
    let networks = vec![gantry_lab::Network { interface: "a/b".into(), ..gantry_lab::Network::default() }];
    assert!(Lab::start(Config { networks, ..config() }).is_err());
    let config = Config { helper: gantry_lab::Helper::at("/bin/false"), ..config() };
    let folder = config.folder();
    let error = Lab::start(config).unwrap_err().to_string();
    assert!(error.contains("the lab"), "{error}");
    assert!(!folder.exists());
}

fn gantry_lab(root: &Path, words: &[&str]) -> Output {
    Command::new(crate::helper()).arg("--root").arg(root).args(words).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_lab_from_the_command_line() {
    let root = PathBuf::from(format!("/tmp/gantry-lab-{}", marker()));
    let run = |words: &[&str]| gantry_lab(&root, words);
    said(&run(&["up", "--address", "10.9.8.1/24"]));
    assert!(!run(&["up"]).status.success(), "one lab of a name");
    assert_eq!(said(&run(&["list"])), "lab\n");
    said(&run(&["add", "m1", "--memory", "64", "--disk", "nvme:1M"]));
    said(&run(&["on", "m1"]));
    assert!(said(&run(&["wait", "m1", "SeaBIOS", "--timeout", "120s"])).contains("SeaBIOS"));
    assert!(said(&run(&["console", "m1", "--times"])).contains("] SeaBIOS"));
    said(&run(&["impair", "m1.0", "--lose", "10%", "--way", "to"]));
    let status: serde_json::Value = serde_json::from_str(&said(&run(&["status", "--json"]))).unwrap();
    assert_eq!(status["ports"][0]["to"]["lose"], 0.1);
    assert_eq!(status["machines"][0]["power"], "On");
    let exec = run(&["exec", "--", "sh", "-c", "ip -brief address show srv0; exit 7"]);
    assert_eq!(exec.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&exec.stdout).contains("10.9.8.1/24"));
    // Whoever calls is who the program belongs to: variables, also those that the lab does not have, and the folder.
    let script = "echo $WORD $PWD $LISTEN_FDS:$LISTEN_FDNAMES";
    let words = ["exec", "--api=127.0.0.1:0", "--", "sh", "-c", script];
    let mut command = Command::new(crate::helper());
    command.arg("--root").arg(&root).args(words).env_clear().env("PATH", "/usr/bin:/bin").env("WORD", "mine");
    assert_eq!(said(&command.current_dir("/usr").output().unwrap()), "mine /usr 1:api\n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = format!("--api={}", taken.local_addr().unwrap());
    let refused = run(&["exec", &api, "--", "true"]);
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("of the host, as --api says"), "{text}");
    assert!(said(&run(&["status"])).contains("machine m1"));
    said(&run(&["off", "m1"]));
    said(&run(&["remove", "m1"]));
    let unknown = run(&["on", "m1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).starts_with("error: there is no machine named \"m1\""));
    said(&run(&["down"]));
    assert_eq!(said(&run(&["list"])), "");
    assert!(!run(&["down"]).status.success());
    fs::remove_dir(&root).unwrap();
}

#[test]
fn a_detached_lab_outlives_its_owner_value() {
    let config = Config { lifetime: Lifetime::Detached, ..config() };
    let (root, name) = (config.root.clone(), config.name.clone());
    drop(Lab::start(config).unwrap());
    let lab = Lab::attach(&root, &name).unwrap();
    assert!(Lab::names(&root).contains(&name));
    let folder = lab.folder().to_owned();
    lab.stop().unwrap();
    assert!(!folder.exists());
    assert!(Lab::attach(&root, &name).is_err());
}
