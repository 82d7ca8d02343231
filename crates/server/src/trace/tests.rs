//! Traces with their memory and files, driven as the server drives them.

use std::time::Duration;

use super::files::Bounds;
use super::*;

fn note(kind: &'static str, text: &str) -> Note {
    Note { kind, text: text.into(), ..Note::default() }
}

fn texts(trace: &Trace, wanted: &Wanted) -> Vec<String> {
    read(trace, wanted).into_iter().map(|entry| format!("{} {}", entry.boot, entry.text)).collect()
}

fn read(trace: &Trace, wanted: &Wanted) -> Vec<Entry> {
    trace.read(&mut Reader::new(wanted))
}

fn of_machine(uuid: &str) -> Wanted {
    Wanted { machine: uuid.into(), ..Wanted::default() }
}

fn of_mac(mac: &str) -> Wanted {
    Wanted { macs: vec![mac.into()], ..Wanted::default() }
}

fn discover(mac: &str) -> Note {
    Note {
        mac: Some(mac.into()),
        power_on: true,
        ..note("dhcp", "DISCOVER -> no address: no subnet covers the client's network")
    }
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_happened_before_registration_belongs_to_the_machine() {
    let trace = Trace::new(None);
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let mac = Some("AA:00:00:00:00:01".to_owned());
    trace.note(Note { mac: mac.clone(), power_on: true, ..note("dhcp", "DISCOVER") });
    trace.note(Note { mac, address: Some(address), ..note("dhcp", "ACK") });
    trace.note(Note { address: Some(address), ..note("http", "vmlinuz") });
    trace.note(Note { machine: Some("u-1".into()), ..note("job", "started") });
    trace.note(Note { mac: Some("aa:00:00:00:00:02".into()), ..note("dhcp", "other") });
    let wanted =
        Wanted { machine: "u-1".into(), macs: vec!["aa:00:00:00:00:01".into()], ..Wanted::default() };
    assert_eq!(texts(&trace, &wanted), ["1 DISCOVER", "1 ACK", "1 vmlinuz", "1 started"]);
}

#[test]
fn a_restart_keeps_what_was_flushed_and_goes_on_counting() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted { machine: "u-1".into(), ..Wanted::default() };
    let first = Trace::new(Some(folder.path().into()));
    first.note(Note { machine: Some("u-1".into()), ..note("job", "one") });
    first.flush().unwrap();
    first.flush().unwrap();
    let again = Trace::new(Some(folder.path().into()));
    again.note(Note { machine: Some("u-1".into()), ..note("job", "two") });
    assert_eq!(texts(&again, &wanted), ["1 one", "1 two"]);
}

#[test]
fn memory_is_bounded_and_a_loss_is_told() {
    let trace = Trace::new(None);
    let noted = 40_000;
    for _ in 0..noted {
        trace.note(Note { machine: Some("m".into()), ..note("job", &"x".repeat(200)) });
    }
    let kept = read(&trace, &of_machine("m"));
    assert!(trace.lock().bytes() < 8 << 20, "{}", trace.lock().bytes());
    assert_eq!(kept[0].data.get("Lost"), Some(&Value::from(noted - kept.len())));
    assert!(kept[1..].iter().all(|entry| !entry.data.contains_key("Lost")));
}

#[test]
fn a_flood_of_invented_clients_fills_neither_disk_nor_memory_nor_hides_a_machine() {
    let folder = tempfile::tempdir().unwrap();
    let trace = Trace::new(Some(folder.path().into()));
    trace.note(Note {
        machine: Some("m".into()),
        mac: Some("aa:00:00:00:00:01".into()),
        ..note("job", "before")
    });
    for client in 0..150_000_u32 {
        let [a, b, c, d] = client.to_be_bytes();
        trace.note(discover(&format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")));
        if client % 4_000 == 0 {
            trace.flush().unwrap();
        }
    }
    trace.note(Note {
        machine: Some("m".into()),
        mac: Some("aa:00:00:00:00:01".into()),
        ..note("job", "after")
    });
    trace.flush().unwrap();
    assert!(trace.lock().bytes() < memory::STRANGERS + (1 << 20), "{}", trace.lock().bytes());
    assert_eq!(files(folder.path()), ["aa_00_00_00_00_01.jsonl", "strangers.jsonl", "strangers.old.jsonl"]);
    let sizes =
        ["strangers.jsonl", "strangers.old.jsonl"].map(|f| folder.path().join(f).metadata().unwrap().len());
    assert!(sizes.iter().all(|size| *size < 12 << 20), "{sizes:?}");
    assert_eq!(texts(&trace, &of_mac("aa:00:00:00:00:01")), ["1 before", "1 after"]);
    let last = of_mac("02:00:00:02:49:ef");
    assert_eq!(texts(&trace, &last).len(), 1, "a stranger is found while the memory has it");
    let again = Trace::new(Some(folder.path().into()));
    assert_eq!(texts(&again, &last).len(), 1, "and on disk");
}

#[test]
fn a_stranger_that_registers_takes_its_past_along() {
    let folder = tempfile::tempdir().unwrap();
    let trace = Trace::new(Some(folder.path().into()));
    let mac = "aa:00:00:00:00:01";
    trace.note(discover(mac));
    trace.flush().unwrap();
    assert_eq!(files(folder.path()), ["strangers.jsonl"]);
    trace.note(Note { machine: Some("m".into()), mac: Some(mac.into()), ..note("machine", "registered") });
    trace.flush().unwrap();
    std::fs::remove_file(folder.path().join("strangers.jsonl")).unwrap();
    let again = Trace::new(Some(folder.path().into()));
    assert_eq!(
        texts(&again, &of_mac(mac)),
        ["1 DISCOVER -> no address: no subnet covers the client's network", "1 registered"]
    );
}

#[test]
fn a_trace_goes_with_its_machine() {
    let folder = tempfile::tempdir().unwrap();
    let trace = Trace::new(Some(folder.path().into()));
    let mac = "aa:00:00:00:00:01";
    for (machine, mac) in [("m", Some(mac)), ("m", None), ("other", None)] {
        trace.note(Note { machine: Some(machine.into()), mac: mac.map(str::to_owned), ..note("job", "x") });
    }
    trace.flush().unwrap();
    let wanted = Wanted { macs: vec![mac.into()], ..of_machine("m") };
    assert_eq!(texts(&trace, &wanted).len(), 2);
    trace.forget(&wanted).unwrap();
    assert_eq!(files(folder.path()), ["other.jsonl"]);
    assert!(texts(&trace, &wanted).is_empty());
    assert_eq!(texts(&trace, &of_machine("other")).len(), 1);
}

#[test]
fn old_files_go_and_the_quietest_when_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path().into());
    let now = SystemTime::now();
    for (name, days) in [("a", 100), ("b", 50), ("c", 40), ("strangers", 100)] {
        let file = std::fs::File::create(folder.path().join(format!("{name}.jsonl"))).unwrap();
        file.set_len(10_000).unwrap();
        file.set_modified(now - Duration::from_secs(days * 24 * 3600)).unwrap();
    }
    disk.tidy(BOUNDS, now).unwrap();
    assert_eq!(files(folder.path()), ["b.jsonl", "c.jsonl", "strangers.jsonl"]);
    disk.tidy(Bounds { bytes: 20_000, ..BOUNDS }, now).unwrap();
    assert_eq!(files(folder.path()), ["c.jsonl", "strangers.jsonl"]);
    Disk::new(folder.path().join("none")).tidy(BOUNDS, now).unwrap();
}

#[test]
fn what_cannot_be_written_is_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traces");
    std::fs::write(&path, "in the way").unwrap();
    let trace = Trace::new(Some(path.clone()));
    trace.note(Note { machine: Some("m".into()), ..note("job", "one") });
    trace.note(discover("02:00:00:00:00:01"));
    trace.flush().unwrap_err();
    std::fs::remove_file(&path).unwrap();
    trace.flush().unwrap();
    let again = Trace::new(Some(path));
    assert_eq!(texts(&again, &of_machine("m")), ["1 one"]);
    assert_eq!(texts(&again, &of_mac("02:00:00:00:00:01")).len(), 1);
}

#[test]
fn a_reader_looks_into_the_files_once_and_keeps_counting_boots() {
    let folder = tempfile::tempdir().unwrap();
    let first = Trace::new(Some(folder.path().into()));
    let mac = "aa:00:00:00:00:01";
    let of = |machine: &str, text| Note {
        machine: Some(machine.into()),
        mac: Some(mac.into()),
        ..note("dhcp", text)
    };
    first.note(Note { power_on: true, ..of("m", "one") });
    first.flush().unwrap();
    let trace = Trace::new(Some(folder.path().into()));
    let mut reader = Reader::new(&of_mac(mac));
    assert_eq!(trace.read(&mut reader).len(), 1);
    std::fs::remove_dir_all(folder.path()).unwrap();
    trace.note(of("m", "two"));
    let two = trace.read(&mut reader);
    assert_eq!((two.len(), two[0].boot, two[0].text.as_str()), (1, 1, "two"));
    assert!(trace.read(&mut reader).is_empty());
}

#[test]
fn renewals_are_one_entry_with_a_count_on_disk_too() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted { machine: "u-1".into(), ..Wanted::default() };
    let trace = Trace::new(Some(folder.path().into()));
    let renewal =
        || Note { machine: Some("u-1".into()), repeats: true, ..note("dhcp", "REQUEST -> ACK 192.0.2.7") };
    for _ in 0..5 {
        trace.note(renewal());
        trace.flush().unwrap();
    }
    trace.note(Note { machine: Some("u-1".into()), ..note("job", "done") });
    trace.note(renewal());
    trace.flush().unwrap();
    let times = |trace: &Trace| -> Vec<Value> {
        read(trace, &wanted)
            .iter()
            .map(|entry| entry.data.get("Times").cloned().unwrap_or_default())
            .collect()
    };
    assert_eq!(times(&trace), [Value::from(5), Value::Null, Value::Null]);
    assert_eq!(times(&Trace::new(Some(folder.path().into()))), [Value::from(4), Value::Null, Value::Null]);
}

#[test]
fn boots_are_told_apart_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted { macs: vec!["aa:00:00:00:00:01".into()], ..Wanted::default() };
    let discover =
        || Note { mac: Some("aa:00:00:00:00:01".into()), power_on: true, ..note("dhcp", "DISCOVER") };
    let file = || Note {
        mac: Some("aa:00:00:00:00:01".into()),
        data: [("Status".to_owned(), "SUCCESS".into())].into_iter().collect(),
        ..note("tftp", "loader")
    };
    for _ in 0..2 {
        let trace = Trace::new(Some(folder.path().into()));
        for event in [discover(), file(), discover(), file()] {
            trace.note(event);
        }
        trace.flush().unwrap();
    }
    let trace = Trace::new(Some(folder.path().into()));
    let want = [
        "1 DISCOVER",
        "1 loader",
        "2 DISCOVER",
        "2 loader",
        "3 DISCOVER",
        "3 loader",
        "4 DISCOVER",
        "4 loader",
    ];
    assert_eq!(texts(&trace, &wanted), want);
}

#[tokio::test]
async fn a_waiting_reader_wakes() {
    let trace = Trace::new(None);
    let seen = trace.newest();
    let (_, ()) = tokio::join!(trace.changed_since(seen), async {
        trace.note(note("job", "x"));
    });
}
