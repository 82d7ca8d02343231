//! The switch with sockets at its ports.

use std::os::unix::net::UnixDatagram;

use super::frame::tests::frame;
use super::*;
use crate::mac::Mac;

const LONG: Duration = Duration::from_secs(10);

fn plug(switch: &Handle, name: &str) -> UnixDatagram {
    let (station, port) = UnixDatagram::pair().unwrap();
    station.set_read_timeout(Some(LONG)).unwrap();
    switch.add_port(name, Vlan::default(), Some(port.into())).unwrap();
    station
}

fn receive(station: &UnixDatagram) -> Vec<u8> {
    let mut buffer = vec![0; 2000];
    let length = station.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn port(switch: &Handle, name: &str) -> Port {
    switch.ports().unwrap().into_iter().find(|port| port.name == name).unwrap()
}

#[test]
fn frames_go_from_socket_to_socket() {
    let (switch, _) = start(1).unwrap();
    let (a, b) = (plug(&switch, "a"), plug(&switch, "b"));
    let hello = frame(Mac::BROADCAST, Mac::numbered(1), b"hello");
    a.send(&hello).unwrap();
    assert_eq!(receive(&b), hello);
    assert_eq!(port(&switch, "b").counters.to_frames, 1);
}

#[test]
fn a_delayed_frame_comes_later() {
    let (switch, _) = start(1).unwrap();
    let (a, b) = (plug(&switch, "a"), plug(&switch, "b"));
    let delay = Duration::from_millis(40);
    switch.impair("b", Way::To, Impairment { delay, ..Impairment::default() }).unwrap();
    let begin = Instant::now();
    a.send(&frame(Mac::BROADCAST, Mac::numbered(1), b"slow")).unwrap();
    receive(&b);
    assert!(begin.elapsed() >= delay, "{:?}", begin.elapsed());
}

#[test]
fn a_station_that_leaves_is_noticed_and_may_come_back() {
    let (switch, _) = start(1).unwrap();
    let (a, b) = (plug(&switch, "a"), plug(&switch, "b"));
    drop(b);
    let hello = frame(Mac::BROADCAST, Mac::numbered(1), b"anyone?");
    let deadline = Instant::now() + LONG;
    while port(&switch, "b").connected {
        assert!(Instant::now() < deadline);
        a.send(&hello).unwrap();
    }
    let (again, end) = UnixDatagram::pair().unwrap();
    again.set_read_timeout(Some(LONG)).unwrap();
    switch.connect("b", end.into()).unwrap();
    a.send(&hello).unwrap();
    assert_eq!(receive(&again), hello);
}

#[test]
fn a_station_that_does_not_read_costs_its_own_frames_only() {
    let (switch, _) = start(1).unwrap();
    let (a, lazy, c) = (plug(&switch, "a"), plug(&switch, "lazy"), plug(&switch, "c"));
    let hello = frame(Mac::BROADCAST, Mac::numbered(1), &[0; 100]);
    let total = BACKLOG as u64 + 500;
    for _ in 0..total {
        a.send(&hello).unwrap();
        receive(&c);
    }
    let counters = port(&switch, "lazy").counters;
    assert!(counters.overrun > 0 && counters.overrun <= 500, "{counters:?}");
    let kept = total - counters.overrun;
    for _ in 0..kept {
        receive(&lazy);
    }
    assert_eq!(port(&switch, "c").counters.overrun, 0);
}

#[test]
fn a_capture_names_the_port_and_what_was_lost() {
    let path = std::env::temp_dir().join(format!("gantry-lab-{}.pcapng", uuid::Uuid::new_v4()));
    let (switch, _) = start(1).unwrap();
    let (a, b) = (plug(&switch, "a"), plug(&switch, "b"));
    switch.capture(path.clone(), 65_535).unwrap();
    switch.impair("a", Way::From, Impairment { lose_first: 1, ..Impairment::default() }).unwrap();
    let frames =
        [frame(Mac::BROADCAST, Mac::numbered(1), b"one"), frame(Mac::BROADCAST, Mac::numbered(1), b"two")];
    for frame in &frames {
        a.send(frame).unwrap();
    }
    assert_eq!(receive(&b), frames[1]);
    switch.end_capture().unwrap();
    let read = capture::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let shown: Vec<_> =
        read.iter().map(|c| (c.port.as_str(), c.frame.clone(), c.remark.as_deref())).collect();
    assert_eq!(shown, [("a", frames[0].clone(), Some("lost by the lab")), ("a", frames[1].clone(), None)]);
}

#[test]
fn unknown_ports_and_taken_names_are_refused() {
    let (switch, _) = start(1).unwrap();
    let _a = plug(&switch, "a");
    let error = switch.impair("x", Way::To, Impairment::default()).unwrap_err();
    assert_eq!(error.to_string(), "there is no port named \"x\" (there are: a)");
    assert!(switch.add_port("a", Vlan::default(), None).is_err());
    assert!(switch.set_vlan("a", Vlan::Access(0)).is_err());
    switch.remove_port("a").unwrap();
    assert!(switch.remove_port("a").is_err());
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let (switch, thread) = start(1).unwrap();
    let other = switch.clone();
    drop(switch);
    other.ports().unwrap();
    drop(other);
    thread.join().unwrap();
}
