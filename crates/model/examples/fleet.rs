//! What a fleet costs: load time, cost of one edit, memory per machine, cost of lists, at growing sizes.
//!
//! `cargo run --release -p gantry-model --example fleet [sizes..]`, by default 1000 10000 100000.

#![expect(clippy::print_stdout, reason = "the table is the point of the program")]

use gantry_model::filter::Query;
use gantry_model::{Edit, Kind, Now, Record, Time, Tx, View, builtin};
use serde_json::{Value, json};

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 10_000, 100_000] } else { sizes };
    println!(
        "machines  load s  edit us  tx patch us  batch/edit us  KB each  JSON B  list ms  by name us  by param ms"
    );
    for size in sizes {
        measure(size);
    }
}

fn measure(size: usize) {
    let before = resident();
    let started = cpu();
    let records: Vec<Edit> = (0..size)
        .map(|n| Edit::put(Record::from_value(Kind::Machine, machine(n, 0), 1).expect("sound").into()))
        .collect();
    let json: usize = records
        .iter()
        .map(|edit| match &edit.action {
            gantry_model::Action::Put(record) => record.json().len(),
            gantry_model::Action::Delete => 0,
        })
        .sum();
    let (view, _) = base().apply(&records, 1);
    drop(records);
    let load = cpu() - started;
    let memory = resident().saturating_sub(before) as f64 / 1024.0 / size as f64;
    let edit = time(3_000, |n| {
        let record = Record::from_value(Kind::Machine, machine(n * 31 % size, 1), 2).expect("sound");
        view.apply(&[Edit::put(record.into())], 2).0
    });
    let patch =
        gantry_model::patch::Patch::parse(json!([{"op": "replace", "path": "/Description", "value": "x"}]))
            .expect("sound");
    let patched = time(3_000, |n| {
        let mut tx = Tx::new(view.clone(), now());
        tx.patch(Kind::Machine, &format!("Name:node-{:06}", n * 37 % size), &patch).expect("it exists");
        tx
    });
    let mut head = view.clone();
    let batch = time(3_000, |n| {
        let record = Record::from_value(Kind::Machine, machine(n * 41 % size, 2), 3).expect("sound");
        let next = head.apply(&[Edit::put(record.into())], 3).0;
        head = next;
    });
    let list = time(10, |_| {
        let mut text = String::new();
        view.records(Kind::Machine).for_each(|record| record.write_json(&mut text));
        text.len()
    });
    let by_name = time(3_000, |n| query(&view, "Name", &format!("node-{:06}", n % size)));
    let by_param = time(10, |_| query(&view, "rack/unit", "7"));
    println!(
        "{size:>8}  {load:>6.2}  {edit:>7.1}  {patched:>11.1}  {batch:>13.1}  {memory:>7.2}  {:>6}  {:>7.1}  {by_name:>10.1}  {:>11.1}",
        json / size,
        list / 1000.0,
        by_param / 1000.0
    );
}

/// The mean CPU time of one call in microseconds.
fn time<T>(calls: usize, mut call: impl FnMut(usize) -> T) -> f64 {
    let started = cpu();
    for n in 0..calls {
        std::hint::black_box(call(n));
    }
    (cpu() - started) * 1e6 / calls as f64
}

/// CPU seconds that this thread used: what other programs on the machine do does not count.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

fn query(view: &View, name: &str, value: &str) -> usize {
    Query::parse(view, Kind::Machine, [(name, value)]).expect("sound").run_all(view).matched
}

fn now() -> Now {
    Now::new(Time::from_unix(1_700_000_000), [9; 32])
}

fn base() -> View {
    let mut tx = Tx::new(View::base(), now());
    builtin::first_objects(&mut tx, b"hash").expect("sound");
    tx.create(Kind::Param, json!({"Name": "rack/unit", "Schema": {"type": "integer"}})).expect("sound");
    tx.create(Kind::Profile, json!({"Name": "site-north", "Params": {"dns/servers": ["10.0.0.1"]}}))
        .expect("sound");
    tx.into_parts().0
}

fn machine(n: usize, generation: usize) -> Value {
    json!({
        "Name": format!("node-{n:06}"), "Uuid": format!("00000000-0000-4000-8000-{n:012}"), "Stage": "none", "BootEnv": "local",
        "Arch": "amd64", "Pool": "default", "PoolStatus": "Free", "Runnable": true, "Secret": format!("secret-{n:09}"),
        "Address": format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255), "Profiles": ["site-north"],
        "HardwareAddrs": [format!("52:54:00:{:02x}:{:02x}:{:02x}", n >> 16, n >> 8 & 255, n & 255)],
        "Description": format!("generation {generation}"), "Meta": {"feature-flags": "change-stage-v2"},
        "Params": {
            "rack/name": format!("rack-{}", n / 40), "rack/unit": n % 40, "site/name": "north", "owner/mail": "ops@example.org",
            "inventory/serial": format!("SN{n:010}"), "inventory/cpus": 64, "inventory/memory": 549_755_813_888_u64,
            "inventory/disks": [{"name": "sda", "size": 960_197_124_096_u64}], "bmc/address": format!("172.16.{}.{}", n >> 8 & 255, n & 255),
            "image-deploy/image": "debian-12",
        },
    })
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}
