//! Programs inside a lab.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gantry_lab::{Base, Lifetime, Output, Program};

use crate::{LONG, lab};

fn shell(script: &str) -> Program {
    Program::new("sh").args(["-c", script])
}

#[test]
fn a_program_runs_as_root_in_the_lab_and_writes_its_log() {
    let lab = lab();
    let process = lab
        .spawn(&shell("id -u; ip -brief address show srv0; echo $WORD >&2; exit 3").env("WORD", "spoken"))
        .unwrap();
    let exit = process.wait(LONG).unwrap().unwrap();
    assert_eq!((exit.code, exit.signal), (Some(3), None));
    let log = fs::read_to_string(process.log().unwrap()).unwrap();
    assert!(log.starts_with("0\n") && log.contains("192.168.124.1/24") && log.ends_with("spoken\n"), "{log}");
}

#[test]
fn a_program_has_the_lab_s_environment_or_none_but_its_own() {
    let lab = lab();
    let said = |base: Base| {
        let script = "echo ${HOME:-no home} $WORD";
        let program = Program { base, ..shell(script).env("PATH", "/usr/bin:/bin").env("WORD", "spoken") };
        let process = lab
            .spawn(&Program { output: Output::Log(format!("{base:?}").to_lowercase()), ..program })
            .unwrap();
        assert!(process.wait(LONG).unwrap().unwrap().is_success());
        fs::read_to_string(process.log().unwrap()).unwrap()
    };
    assert_eq!(said(Base::Nothing), "no home spoken\n");
    let home = std::env::var("HOME").unwrap_or("no home".into());
    assert_eq!(said(Base::Lab), format!("{home} spoken\n"));
}

#[test]
fn a_listener_of_the_host_answers_from_inside() {
    let lab = lab();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = "import os, socket\n\
         assert os.environ['LISTEN_FDS'] == '2' and os.environ['LISTEN_FDNAMES'] == 'other:api'\n\
         assert int(os.environ['LISTEN_PID']) == os.getpid()\n\
         assert sorted(map(int, os.listdir('/proc/self/fd')))[:5] == [0, 1, 2, 3, 4]\n\
         connection, _ = socket.socket(fileno=4).accept()\n\
         connection.sendall(b'hello from ' + socket.if_nameindex()[1][1].encode())\n";
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let program =
        Program::new("python3").args(["-c", server]).listener("other", other).listener("api", listener);
    let process = lab.spawn(&program).unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    let mut text = String::new();
    let read = client.read_to_string(&mut text);
    let log = fs::read_to_string(process.log().unwrap()).unwrap();
    assert!(read.is_ok() && text.starts_with("hello from srv0"), "{text:?} {log}");
    assert!(process.wait(LONG).unwrap().unwrap().is_success());
}

#[test]
fn an_owned_program_ends_with_its_handle_and_a_detached_one_does_not() {
    let lab = lab();
    let mark = |name: &str| lab.folder().join(name);
    let script =
        |name: &str| format!("trap 'exit 0' TERM; read x < {0}; touch {0}.done", mark(name).display());
    for name in ["owned", "detached"] {
        let path = std::ffi::CString::new(mark(name).to_str().unwrap()).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    }
    let owned = lab.spawn(&shell(&script("owned"))).unwrap();
    let detached =
        lab.spawn(&Program { lifetime: Lifetime::Detached, ..shell(&script("detached")) }).unwrap();
    let watcher = lab.spawn(&shell("exec sleep 1000")).unwrap();
    assert_eq!(watcher.wait(Duration::ZERO).unwrap(), None);
    watcher.kill(9).unwrap();
    assert_eq!(watcher.wait(LONG).unwrap().unwrap().signal, Some(9));
    drop((owned, detached));
    fs::OpenOptions::new().write(true).open(mark("detached")).unwrap().write_all(b"go\n").unwrap();
    let deadline = std::time::Instant::now() + LONG;
    while !mark("detached.done").exists() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert!(!mark("owned.done").exists());
}

#[test]
fn what_cannot_be_started_is_told() {
    let lab = lab();
    let error = lab.spawn(&Program::new("no-such-program")).unwrap_err().to_string();
    assert!(error.contains("start no-such-program"), "{error}");
    let plain = lab.folder().join("plain");
    fs::write(&plain, "").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(lab.spawn(&Program::new(&plain)).is_err());
    assert!(lab.spawn(&Program { output: Output::Log("../x".into()), ..shell("true") }).is_err());
    let listening = Program::new("no-such-program").listener("x", TcpListener::bind("127.0.0.1:0").unwrap());
    let late = lab.spawn(&listening).unwrap();
    assert_eq!(
        late.wait(LONG).unwrap().unwrap().code,
        Some(127),
        "with listeners it is the exit code that tells"
    );
}

#[test]
fn orphans_are_collected_and_statuses_are_not_mixed_up() {
    let lab = lab();
    let processes: Vec<_> =
        (0..20).map(|n| lab.spawn(&shell(&format!("(sleep 0.01 &); exit {n}"))).unwrap()).collect();
    for (n, process) in processes.iter().enumerate() {
        assert_eq!(process.wait(LONG).unwrap().unwrap().code, Some(n as i32));
    }
    assert!(lab.spawn(&shell("true")).unwrap().id() > processes[19].id());
}
