//! Tokens that templates make.

use gantry_template::{Fail, Value};

use crate::asker;
use crate::object::{fail, text_arg};
use crate::scene::Scene;

/// The token of a machine, for its own address only: who asks from another address gets an error and no file.
pub(super) fn boot(scene: &Scene) -> Result<Value, Fail> {
    let Some(machine) = scene.machine(&["Uuid", "Name", "Secret", "HardwareAddrs", "Address"]) else {
        return Ok(make(scene, "GenerateToken", &[]));
    };
    if scene.host.rehearses() {
        return Ok(make(scene, "GenerateToken", &[]));
    }
    let Some(client) = scene.server.client else {
        return fail(format!("the boot token of {} needs an asker with an address", machine.name));
    };
    // Leases are not among what is noted.
    scene.note_untold();
    if !asker::is_machine(scene.view(), machine, client, scene.host.now()) {
        return fail(format!(
            "the boot token of {} is not for {client}: it is not the machine's address",
            machine.name
        ));
    }
    Ok(make(scene, "GenerateToken", &[]))
}

/// A token as the method `name` makes it. What is not to be had is said in the token's place, as content expects.
pub(super) fn make(scene: &Scene, name: &str, args: &[Value]) -> Value {
    const THREE_YEARS: i64 = 3 * 52 * 7 * 24 * 3600;
    let text = match (name, scene.machine(&["Uuid", "Name", "Secret", "Profiles"])) {
        ("GenerateToken", Some(machine)) => {
            scene.host.machine_token(machine, scene.seconds("knownTokenTimeout"))
        }
        ("GenerateToken", None) => scene.host.unknown_token(scene.seconds("unknownTokenTimeout")),
        ("GenerateInfiniteToken", Some(machine)) => scene.host.machine_token(machine, THREE_YEARS),
        (_, None) => "UnknownMachineTokenNotAllowed".to_owned(),
        (_, Some(machine)) => {
            let profile = text_arg(args, 0);
            if !machine.profiles.contains(&profile) {
                "InvalidTokenNotAllowedNotOnMachine".to_owned()
            } else if !scene.has_profile(&profile) {
                "InvalidTokenNotAllowedNoProfile".to_owned()
            } else {
                let seconds = match args.get(1) {
                    Some(Value::Int(seconds)) if *seconds > 0 => *seconds,
                    _ => 2_000_000_000,
                };
                scene.host.profile_token(&profile, seconds)
            }
        }
    };
    Value::from(text)
}
