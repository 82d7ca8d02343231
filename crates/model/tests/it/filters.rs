//! List queries: the truth table of operators, parameters, sorting, paging, and every refusal.

use gantry_model::filter::Query;
use gantry_model::{Kind, Tx, View};
use serde_json::json;

use crate::support::{create, draft, id};

fn view() -> View {
    let mut tx = draft();
    create(&mut tx, Kind::Param, json!({"Name": "num", "Schema": {"type": "number", "default": 5}}));
    create(&mut tx, Kind::Param, json!({"Name": "word", "Schema": {"type": "string"}}));
    create(&mut tx, Kind::Param, json!({"Name": "flag", "Schema": {"type": "boolean"}}));
    create(&mut tx, Kind::Profile, json!({"Name": "p1", "Params": {"num": 10, "word": "from p1"}}));
    create(&mut tx, Kind::Profile, json!({"Name": "p2", "Profiles": ["p1"]}));
    let mut machine = |n: u32, extra: serde_json::Value| {
        let mut value = json!({"Name": format!("m{n}"), "Uuid": id(n), "Address": format!("10.0.0.{n}")});
        value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        create(&mut tx, Kind::Machine, value);
    };
    machine(1, json!({}));
    machine(2, json!({"Profiles": ["p1"], "Params": {"flag": true}, "Meta": {"site": "north"}}));
    machine(
        3,
        json!({"Profiles": ["p2", "global"], "Params": {"word": "own", "flag": false}, "Meta": {"site": "south"}}),
    );
    machine(
        4,
        json!({"Profiles": ["p1", "p2"], "Params": {"num": 2.0, "extra": null}, "Description": "a,b"}),
    );
    create(
        &mut tx,
        Kind::Subnet,
        json!({"Name": "net", "Subnet": "10.0.0.0/24", "ActiveStart": "10.0.0.100", "ActiveEnd": "10.0.0.200"}),
    );
    end(tx)
}

fn end(tx: Tx) -> View {
    tx.into_parts().0
}

fn run(view: &View, kind: Kind, query: &str) -> Result<String, String> {
    let pairs: Vec<(&str, &str)> =
        query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, ""))).collect();
    let query = Query::parse(view, kind, pairs).map_err(|error| error.to_string())?;
    let found = query.run_all(view);
    let names: Vec<String> = found
        .records
        .iter()
        .map(|r| r.value()["Name"].as_str().unwrap_or_default().trim_start_matches('m').to_owned())
        .collect();
    Ok(names.join(""))
}

#[test]
fn operators_follow_their_truth_table() {
    let view = view();
    let table = [
        ("", "1234"),
        ("Name=m2", "2"),
        ("Name=Eq(m2)", "2"),
        ("Name=Ne(m2)", "134"),
        ("Name=In(m1,m3,zz)", "13"),
        ("Name=Nin(m1,m3)", "24"),
        ("Name=Lt(m2)", "1"),
        ("Name=Lte(m2)", "12"),
        ("Name=Gt(m2)", "34"),
        ("Name=Gte(m2)", "234"),
        ("Name=Between(m2,m3)", "23"),
        ("Name=Except(m2,m3)", "14"),
        ("Name=Re([13]$)", "13"),
        ("Name=eq(m2)", ""),
        ("Name=m1&Name=m2", "12"),
        ("Name=In(m1,m2)&BootEnv=local", "12"),
        ("Name=m1&BootEnv=other", ""),
        ("Profiles=p1", "24"),
        ("Profiles=Eq(p1,p2)", "4"),
        ("Profiles=Ne(p1,p2)", "123"),
        ("Profiles=In(p1,global)", "234"),
        ("Profiles=Nin(p1,global)", "1"),
        ("Params=flag", "23"),
        ("Params=Eq(num,extra)", "4"),
        ("Params=In(word,num)", "34"),
        ("Available=true", "1234"),
        ("Available=false", ""),
        ("Runnable=Ne(false)", "1234"),
        ("ReadOnly=false", "1234"),
        ("Address=10.0.0.3", "3"),
        ("Address=Gt(10.0.0.2)", "34"),
        ("Description=a,b", "4"),
        ("Meta.site=north", "2"),
        ("Meta.site=Ne(north)", "134"),
        ("Meta.site=Re(^s)", "3"),
        ("Workflow=", "1234"),
        ("HardwareAddr=00:00:00:00:00:01", ""),
    ];
    for (query, expected) in table {
        assert_eq!(run(&view, Kind::Machine, query), Ok(expected.to_owned()), "{query}");
    }
}

#[test]
fn parameters_are_compared_by_their_aggregated_value() {
    let view = view();
    let table = [
        ("num=5", "1"),
        ("num=10", "23"),
        ("num=2", "4"),
        ("num=Gt(4)", "123"),
        ("num=Between(2,5)", "14"),
        ("num=1e1", "23"),
        ("num=Lt(10)", "14"),
        ("word=own", "3"),
        ("word=from p1", "24"),
        ("word=Ne(own)", "124"),
        ("word=Lt(a)", "1"),
        ("flag=true", "2"),
        ("flag=false", "134"),
    ];
    for (query, expected) in table {
        assert_eq!(run(&view, Kind::Machine, query), Ok(expected.to_owned()), "{query}");
    }
    assert_eq!(run(&view, Kind::Profile, "num=10"), Ok("p1p2".to_owned()));
}

#[test]
fn sorting_and_paging() {
    let view = view();
    let table = [
        ("reverse=false", "4321"),
        ("sort=Address&reverse", "4321"),
        ("sort=Description", "1234"),
        ("sort=Description&limit=1&offset=3", "4"),
        ("limit=2", "12"),
        ("offset=1&limit=2", "23"),
        ("limit=0", ""),
        ("offset=9", ""),
        ("reverse&limit=1", "4"),
    ];
    for (query, expected) in table {
        assert_eq!(run(&view, Kind::Machine, query), Ok(expected.to_owned()), "{query}");
    }
    let query = Query::parse(&view, Kind::Machine, [("Name", "Gt(m1)"), ("limit", "1")]).unwrap();
    let found = query.run(&view, &|record| record.key().as_str() != id(2));
    assert_eq!((found.records.len(), found.matched, found.total), (1, 2, 3));
}

#[test]
fn networks_are_selected_by_what_they_contain() {
    let view = view();
    for (query, expected) in [
        ("Address=10.0.0.77", "net"),
        ("Address=10.0.1.77", ""),
        ("ActiveAddress=10.0.0.77", ""),
        ("ActiveAddress=10.0.0.150", "net"),
        ("Subnet=10.0.0.0/24", "net"),
    ] {
        assert_eq!(run(&view, Kind::Subnet, query), Ok(expected.to_owned()), "{query}");
    }
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let view = view();
    let table = [
        (Kind::Machine, "Runnable=maybe", "Runnable must be true or false"),
        (Kind::Machine, "Uuid=x", "Invalid UUID: x"),
        (Kind::Machine, "Address=x", "Invalid address: x"),
        (Kind::Reservation, "Addr=x", "Invalid Address: x"),
        (Kind::Lease, "Addr=x", "Addr must be an IP address"),
        (Kind::Subnet, "Address=x", "Invalid IP address: x"),
        (Kind::Subnet, "Subnet=x", "Invalid subnet CIDR: x"),
        (
            Kind::Job,
            "StartTime=x",
            "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"",
        ),
        (
            Kind::Lease,
            "ExpireTime=x",
            "ExpireTime is not valid: parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"",
        ),
        (Kind::Machine, "limit=-1", "Limit cannot be negative"),
        (Kind::Machine, "offset=-1", "Offset cannot be negative"),
        (Kind::Machine, "limit=x", "Limit not valid: strconv.Atoi: parsing \"x\": invalid syntax"),
        (Kind::Machine, "sort=Runnable", "Not sortable: Runnable"),
        (Kind::Machine, "sort=num", "Not sortable: num"),
        (Kind::Machine, "frob=1", "Filter not found: frob"),
        (Kind::Machine, "extra=1", "Filter not found: extra"),
        (Kind::Task, "num=1", "Filter not found: num"),
        (Kind::Machine, "force=true", "Filter not found: force"),
        (Kind::Machine, "Params=Re(x)", "cannot match via regular expression"),
        (Kind::Machine, "word=Re(x)", "cannot match via regular expression"),
        (Kind::Machine, "Name=Between(a)", "Between takes two values, not 1"),
        (Kind::Machine, "Runnable=Lt(true)", "Runnable cannot be ordered"),
        (Kind::Machine, "num=x", "expected value at line 1 column 1"),
    ];
    for (kind, query, message) in table {
        assert_eq!(run(&view, kind, query), Err(format!("{kind}: {message}")), "{query}");
    }
}

#[test]
fn jobs_are_listed_oldest_first_and_the_other_way_round_on_demand() {
    let mut tx = draft();
    create(&mut tx, Kind::Machine, json!({"Name": "m1", "Uuid": id(1)}));
    for (n, time) in [(9, "2024-01-01T00:00:00Z"), (8, "2024-03-01T00:00:00Z"), (7, "2024-02-01T00:00:00Z")] {
        let job =
            json!({"Uuid": id(n), "Machine": id(1), "Task": "t1", "State": "failed", "StartTime": time});
        create(&mut tx, Kind::Job, job);
    }
    let view = end(tx);
    let keys = |pairs: &[(&str, &str)]| -> String {
        let found = Query::parse(&view, Kind::Job, pairs.iter().copied()).unwrap().run_all(&view);
        found.records.iter().map(|record| record.key().as_str().chars().last().unwrap()).collect()
    };
    assert_eq!(keys(&[]), "978");
    assert_eq!(keys(&[("reverse", "true"), ("limit", "1")]), "8");
    assert_eq!(keys(&[("sort", "Uuid")]), "789");
}
