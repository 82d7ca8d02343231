//! What must hold whatever clients do, whichever write is lost.

use std::collections::BTreeMap;

use gantry_netboot::dhcp::Message;
use gantry_netboot::dhcp::engine::Durability;
use proptest::prelude::*;

use super::world::World;

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    /// A client sends a line; `{}` is an address of the pool.
    Say(u8, &'static str, u8),
    /// Time passes.
    Wait(i64),
    /// The server forgets what is not durable.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let line = prop::sample::select(vec![
        "dis",
        "dis",
        "dis 50={}",
        "req 50={} 54=10.0.0.1",
        "req 50={} 54=10.0.0.1",
        "req ci={}",
        "req 50={}",
        "rel ci={}",
        "dec 50={}",
        "inf ci={}",
        "dis pxe prl=67",
        "req 50={} 54=10.0.0.2",
    ]);
    prop_oneof![
        12 => (1_u8..7, line, 9_u8..14).prop_map(|(mac, line, host)| Step::Say(mac, line, host)),
        3 => (1_i64..70).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// One address is never promised to two clients, also across restarts, expiry, releases and declines; late writes that
    /// are lost in a crash change nothing about that.
    #[test]
    fn one_address_is_never_promised_to_two_clients(steps in prop::collection::vec(step(), 1..80), in_use in any::<bool>()) {
        let mut world = World::lab();
        if in_use {
            world.in_use = vec!["10.0.0.11".parse().unwrap()];
        }
        // Address → client and the end of what was promised to it.
        let mut promised: BTreeMap<String, (u8, i64)> = BTreeMap::new();
        let mut durable = world.view.clone();
        for step in steps {
            match step {
                Step::Wait(seconds) => world.now += seconds,
                Step::Restart => {
                    world.view = durable.clone();
                    world.memory = gantry_netboot::dhcp::engine::Memory::new();
                }
                Step::Say(mac, line, host) => {
                    let address = format!("10.0.0.{host}");
                    let line = format!("{} mac={mac}", line.replace("{}", &address));
                    world.say(&line);
                    let first = world.last.iter().all(|o| o.durability != Durability::AfterAnswer);
                    if first {
                        durable = world.view.clone();
                    }
                    judge(&world, mac, &line, &address, &mut promised)?;
                }
            }
        }
    }
}

fn judge(
    world: &World,
    mac: u8,
    line: &str,
    address: &str,
    promised: &mut BTreeMap<String, (u8, i64)>,
) -> Result<(), TestCaseError> {
    if (line.starts_with("rel") || line.starts_with("dec"))
        && promised.get(address).is_some_and(|p| p.0 == mac)
    {
        promised.remove(address);
    }
    for answer in world.last.iter().flat_map(|o| &o.answers) {
        let given = answer.packet.yiaddr.to_string();
        if answer.packet.message() != Some(Message::Ack) || answer.packet.yiaddr.is_unspecified() {
            continue;
        }
        if let Some((owner, until)) = promised.get(&given) {
            prop_assert!(*owner == mac || *until < world.now, "{given} given to {mac}, promised to {owner}");
        }
        let host = answer.packet.yiaddr.octets()[3];
        prop_assert!((10..=12).contains(&host), "{given} is outside the pool");
        let seconds =
            answer.packet.options.get(51).and_then(|v| Some(u32::from_be_bytes(v.as_ref().try_into().ok()?)));
        promised.insert(given, (mac, world.now + i64::from(seconds.unwrap_or(0))));
    }
    Ok(())
}
