//! The packet codec: bytes and text both ways, against an independent decoder, and against garbage.

use gantry_netboot::dhcp::option::{TABLE, form, from_text, row, to_text};
use gantry_netboot::dhcp::packet::{DEFAULT_MAX, Error, Hardware, MIN, Packet};
use gantry_netboot::dhcp::{Form, Message, Options, sub, text};
use proptest::prelude::*;

fn header() -> Vec<u8> {
    let mut bytes = vec![1, 1, 6, 0, 0, 0, 0, 9];
    bytes.resize(28, 0);
    bytes.extend_from_slice(&[0x52, 0x54, 0, 1, 0, 1]);
    bytes.resize(236, 0);
    bytes.extend_from_slice(&[99, 130, 83, 99]);
    bytes
}

fn with_options(options: &[u8]) -> Vec<u8> {
    [header(), options.to_vec()].concat()
}

#[test]
fn order_and_duplicates_survive_and_pads_do_not_matter() {
    let packet =
        Packet::decode(&with_options(&[12, 1, b'b', 0, 0, 53, 1, 1, 12, 1, b'a', 200, 0, 255, 9, 9]))
            .unwrap();
    let raw: Vec<_> = packet.options.iter().map(|(c, v)| (c, v.to_vec())).collect();
    assert_eq!(raw, [(12, b"b".to_vec()), (53, vec![1]), (12, b"a".to_vec()), (200, vec![])]);
    assert_eq!(packet.options.get(12).unwrap().as_ref(), b"ba", "RFC 3396: pieces of one option are joined");
    assert_eq!(packet.options.codes(), [12, 53, 200]);
    assert_eq!(packet.message(), Some(Message::Discover));
}

#[test]
fn overloaded_areas_hold_options_and_no_names() {
    let mut bytes = with_options(&[52, 1, 3, 43, 1, 1, 255]);
    bytes[108..113].copy_from_slice(&[43, 1, 2, 255, 7]);
    bytes[44..48].copy_from_slice(&[43, 1, 3, 255]);
    let packet = Packet::decode(&bytes).unwrap();
    assert_eq!(packet.options.get(43).unwrap().as_ref(), [1, 2, 3], "options, then file, then sname");
    assert!(packet.file.is_empty() && packet.sname.is_empty());
}

#[test]
fn what_is_no_packet_is_named() {
    assert_eq!(Packet::decode(&[1; 239]), Err(Error::TooSmall(239)));
    let mut long = header();
    long[2] = 17;
    assert_eq!(Packet::decode(&long), Err(Error::InvalidHlen(17)));
    assert_eq!(
        Packet::decode(&with_options(&[53, 1, 1, 12, 9, b'x'])),
        Err(Error::Truncated { code: 12, want: 9, have: 1 })
    );
    assert_eq!(Packet::decode(&with_options(&[12])), Err(Error::Truncated { code: 12, want: 1, have: 0 }));
    assert!(Packet::decode(&with_options(&[53, 1, 1])).is_ok(), "a forgotten end mark is forgiven");
    let mut bootp = header();
    bootp[236] = 0;
    assert!(Packet::decode(&bootp).unwrap().options.is_empty(), "BOOTP without cookie");
}

#[test]
fn a_long_value_is_split_and_a_small_packet_is_padded() {
    let mut packet = Packet::default();
    assert_eq!(packet.encode(DEFAULT_MAX).bytes.len(), MIN);
    packet.options.push(67, vec![b'u'; 300]);
    let bytes = packet.encode(1472).bytes;
    assert_eq!(&bytes[240..242], [67, 255]);
    assert_eq!(&bytes[497..499], [67, 45]);
    assert_eq!(Packet::decode(&bytes).unwrap().options.get(67).unwrap().len(), 300);
}

#[test]
fn what_finds_no_room_goes_into_empty_name_fields_or_is_dropped_whole() {
    let mut packet = Packet { sname: b"10.0.0.1".to_vec(), ..Packet::default() };
    for code in 200..=206 {
        packet.options.push(code, vec![code; 60]);
    }
    let encoded = packet.encode(DEFAULT_MAX);
    assert!(encoded.bytes.len() <= DEFAULT_MAX, "{}", encoded.bytes.len());
    assert_eq!(encoded.dropped, [206], "four in the options, two in file; sname is taken");
    let back = Packet::decode(&encoded.bytes).unwrap();
    assert_eq!(back.sname, b"10.0.0.1");
    assert_eq!(back.options.get(205).unwrap().as_ref(), [205; 60]);
    assert_eq!(back.options.byte(52), Some(1));
}

#[test]
fn the_size_of_an_answer_follows_the_client_within_reason() {
    let asked = |size: u16| {
        let mut packet = Packet::default();
        packet.options.push(57, size.to_be_bytes());
        packet.max_reply()
    };
    assert_eq!((asked(0), asked(576), asked(1260), asked(65535)), (548, 548, 1232, 1472));
    assert_eq!(Packet::default().max_reply(), 548);
}

#[test]
fn values_as_operators_write_them() {
    for (code, value, bytes) in [
        (53, "ofr", vec![2]),
        (1, "255.255.255.0", vec![255, 255, 255, 0]),
        (6, "10.0.0.1,10.0.0.2", vec![10, 0, 0, 1, 10, 0, 0, 2]),
        (12, "node7", b"node7".to_vec()),
        (51, "7200", vec![0, 0, 0x1c, 0x20]),
        (93, "7", vec![0, 7]),
        (93, "16,7", vec![0, 16, 0, 7]),
        (19, "1", vec![1]),
        (43, "6,1,8,255", vec![6, 1, 8, 255]),
    ] {
        assert_eq!(from_text(code, value).as_ref(), Ok(&bytes), "{code} {value}");
        assert_eq!(to_text(code, &bytes), value, "{code}");
    }
    assert_eq!(from_text(43, "string:abc"), Ok(b"abc".to_vec()));
    assert_eq!(from_text(3, "10.0.0.1, 10.0.0.2").unwrap().len(), 8, "blanks after commas are human");
    assert_eq!(to_text(51, &[1, 2, 3]), "1,2,3", "a value without its form is printed as bytes");
}

#[test]
fn a_wrong_value_names_what_would_be_right() {
    for (code, value, want) in [
        (1, "10.0.0", "option 1: `10.0.0` is no value for it: want one IPv4 address"),
        (26, "70000", "option 26: `70000` is no value for it: want a number up to 65535"),
        (23, "256", "option 23: `256` is no value for it: want a number up to 255"),
        (
            43,
            "1,x",
            "option 43: `1,x` is no value for it: want decimal bytes separated by commas, or `string:` and text",
        ),
        (
            53,
            "hello",
            "option 53: `hello` is no value for it: want one of dis, ofr, req, dec, ack, nak, rel, inf",
        ),
    ] {
        assert_eq!(from_text(code, value).unwrap_err().to_string(), want);
    }
}

#[test]
fn the_table_has_the_forms_of_the_reference() {
    let with = |want: Form| TABLE.iter().filter(|r| r.form == want).map(|r| r.code).collect::<Vec<_>>();
    assert_eq!(with(Form::Address), [1, 16, 28, 32, 50, 54]);
    assert_eq!(with(Form::U32), [2, 24, 35, 38, 51, 58, 59]);
    assert_eq!(with(Form::U16), [13, 22, 26, 57, 93]);
    assert_eq!(with(Form::U8), [19, 20, 23, 27, 29, 30, 31, 34, 36, 37, 39, 46, 52]);
    assert_eq!(with(Form::Text), [12, 14, 15, 17, 18, 40, 47, 56, 60, 64, 66, 67, 77, 100, 101]);
    let lists: Vec<u8> = (3..=11).chain([21, 33, 41, 42, 44, 45, 48, 49, 65]).chain(68..=76).collect();
    assert_eq!(with(Form::Addresses), lists);
    assert!(TABLE.windows(2).all(|w| w[0].code < w[1].code), "sorted, no code twice");
    assert_eq!(form(250), Form::Bytes);
    assert_eq!(row(67).unwrap().name, "boot-file-name");
}

#[test]
fn sub_options_stop_at_the_first_fault() {
    let list = [0, 19, 1, 1, 36, 1, 0, 235, 3, 1, 0, 0, 255, 24, 1, 1];
    let read: Vec<_> = sub::read(&list).map(|(c, v)| (c, v.to_vec())).collect();
    assert_eq!(read, [(19, vec![1]), (36, vec![0]), (235, vec![1, 0, 0])], "nothing behind the end mark");
    assert_eq!(sub::read(&[5, 4, 10, 0]).count(), 0);
    assert_eq!(sub::read(&[5]).count(), 0);
    assert_eq!(sub::find(&sub::IPXE_NO_PROXY_DHCP, 176), Some(&[1][..]));
    assert_eq!(sub::ipxe_name(176), Some("no-pxedhcp"));
}

#[test]
fn a_packet_reads_as_it_prints() {
    let printed = r#"proto:dhcp4 iface:eno1 ifaddr:0.0.0.0:68 lport:67
op:0x01 htype:0x01 hlen:0x06 hops:0x00 xid:0xdeadbeef secs:0x0004 flags:0x8000
ci:0.0.0.0 yi:0.0.0.0 si:0.0.0.0 gi:0.0.0.0 ch:52:54:00:01:00:01
file:"a\"b\x01"
option:code:053 val:"dis"
option:code:055 val:"1,3,66,67"
option:code:060 val:"PXEClient:Arch:00007:UNDI:003000"
"#;
    let (seen, packet) = text::parse(printed).unwrap();
    assert_eq!(text::print(&seen, &packet), printed);
    assert_eq!(packet.xid, 0xdead_beef);
    let wrong = text::parse("op:0x01\nbanana:1").unwrap_err();
    assert_eq!(wrong, "line 2: `banana:1`: unknown word `banana`");
}

fn any_options() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let code = (1_u8..255).prop_filter("52 belongs to the codec", |c| *c != 52);
    prop::collection::vec((code, prop::collection::vec(any::<u8>(), 0..400)), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, decoding ends, and what was decoded encodes and decodes to the same.
    #[test]
    fn garbage_never_panics(head in prop::collection::vec(any::<u8>(), 0..300), tail in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Packet::decode(&head);
        let mut bytes = head.clone();
        bytes.resize(240, 0);
        bytes[2] %= 17;
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend_from_slice(&tail);
        if let Ok(packet) = Packet::decode(&bytes) {
            let _ = packet.max_reply();
            for (code, value) in packet.options.iter() {
                let _ = (to_text(code, value), sub::read(value).count());
            }
            let seen = text::Seen { interface: "x".into(), peer: "0.0.0.0:68".parse().unwrap(), port: 67 };
            let _ = text::print(&seen, &packet);
        }
    }

    /// Joined values survive a round trip whenever nothing was dropped; the limit always holds.
    #[test]
    fn round_trip(options in any_options(), max in 272_usize..1500, mac in any::<[u8; 6]>(), xid in any::<u32>()) {
        let mut packet = Packet { xid, chaddr: Hardware::new(&mac), ..Packet::default() };
        options.iter().for_each(|(c, v)| packet.options.push(*c, v.clone()));
        let encoded = packet.encode(max);
        prop_assert!(encoded.bytes.len() <= max.max(MIN));
        let back = Packet::decode(&encoded.bytes).unwrap();
        prop_assert_eq!((back.xid, back.chaddr), (packet.xid, packet.chaddr));
        for code in packet.options.codes().into_iter().filter(|c| !encoded.dropped.contains(c)) {
            prop_assert_eq!(back.options.get(code), packet.options.get(code), "option {}", code);
        }
    }

    /// A valid value of each form survives bytes → text → bytes.
    #[test]
    fn text_round_trip(code in 1_u8..255, value in prop::collection::vec(any::<u8>(), 1..32)) {
        let text = to_text(code, &value);
        if let Ok(bytes) = from_text(code, &text) {
            prop_assert_eq!(to_text(code, &bytes), text);
        }
        if form(code) == Form::Bytes {
            prop_assert_eq!(from_text(code, &to_text(code, &value)), Ok(value));
        }
    }

    /// An independent decoder reads what we write, and we read what it writes.
    #[test]
    fn the_oracle_agrees(
        mac in any::<[u8; 6]>(), xid in any::<u32>(), host in "[a-z]{1,12}", lease in any::<u32>(),
        ip in any::<[u8; 4]>(), routers in prop::collection::vec(any::<[u8; 4]>(), 1..5), kind in 1_u8..=8,
    ) {
        oracle(mac, xid, &host, lease, ip, &routers, kind)?;
    }
}

fn oracle(
    mac: [u8; 6],
    xid: u32,
    host: &str,
    lease: u32,
    ip: [u8; 4],
    routers: &[[u8; 4]],
    kind: u8,
) -> Result<(), TestCaseError> {
    use dhcproto::v4::{self, DhcpOption, MessageType, OptionCode};
    use dhcproto::{Decodable as _, Decoder, Encodable as _};

    let mut ours = Packet {
        xid,
        flags: Packet::BROADCAST,
        yiaddr: ip.into(),
        chaddr: Hardware::new(&mac),
        file: b"ipxe.efi".to_vec(),
        ..Packet::default()
    };
    ours.options.push(53, vec![kind]);
    ours.options.push(12, host);
    ours.options.push(51, lease.to_be_bytes());
    ours.options.push(3, routers.concat());
    let theirs = v4::Message::decode(&mut Decoder::new(&ours.encode(1472).bytes)).unwrap();
    prop_assert_eq!(theirs.xid(), xid);
    prop_assert_eq!(theirs.chaddr(), &mac[..]);
    prop_assert_eq!(theirs.yiaddr().octets(), ip);
    prop_assert!(theirs.fname().is_some_and(|f| f.starts_with(b"ipxe.efi")));
    prop_assert!(theirs.flags().broadcast());
    prop_assert_eq!(
        theirs.opts().get(OptionCode::MessageType),
        Some(&DhcpOption::MessageType(MessageType::from(kind)))
    );
    prop_assert_eq!(
        theirs.opts().get(OptionCode::AddressLeaseTime),
        Some(&DhcpOption::AddressLeaseTime(lease))
    );
    let list = routers.iter().map(|r| (*r).into()).collect();
    prop_assert_eq!(theirs.opts().get(OptionCode::Router), Some(&DhcpOption::Router(list)));

    let back = Packet::decode(&theirs.to_vec().unwrap()).unwrap();
    let sorted = |o: &Options| {
        let mut all: Vec<_> = o.codes().into_iter().map(|c| (c, o.get(c).unwrap().into_owned())).collect();
        all.sort();
        all
    };
    prop_assert_eq!(sorted(&back.options), sorted(&ours.options));
    prop_assert_eq!(
        (back.chaddr, back.yiaddr, back.file, back.flags),
        (ours.chaddr, ours.yiaddr, ours.file, ours.flags)
    );
    Ok(())
}
