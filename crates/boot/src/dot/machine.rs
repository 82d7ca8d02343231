//! `.Machine` (engine §1.4.2).

use std::sync::Arc;

use gantry_model::Kind;
use gantry_template::{Fail, Object, Scope, Signature, Type, Value};

use super::{NONE, find_method};
use crate::object::{self, fail, text_arg};
use crate::scene::Scene;

/// The machine of a render. Only made when there is one.
#[derive(Debug)]
pub(crate) struct MachineDot(pub(crate) Arc<Scene>);

const METHODS: &[(&str, Signature)] = &[
    ("HasProfile", Signature::exact(&[Type::String])),
    ("HexAddress", NONE),
    ("Key", NONE),
    ("KeyName", NONE),
    ("MacAddr", Signature::variadic(&[Type::String])),
    ("Path", NONE),
    ("Prefix", NONE),
    ("ShortName", NONE),
    ("UUID", NONE),
    ("Url", NONE),
];

impl Object for MachineDot {
    fn type_name(&self) -> &'static str {
        "*renderer.Machine"
    }

    fn method(&self, name: &str) -> Option<Signature> {
        find_method(METHODS, name)
    }

    fn call(&self, name: &str, args: &[Value], _scope: &mut Scope<'_>) -> Result<Value, Fail> {
        let fields: &[&str] = match name {
            "ShortName" => &["Name"],
            "HexAddress" => &["Address"],
            "HasProfile" => &["Profiles"],
            "KeyName" | "MacAddr" | "Prefix" => &[],
            _ => &["Uuid"],
        };
        let Some(machine) = self.0.machine(fields) else { return fail("there is no machine") };
        let text = match name {
            "HasProfile" => return Ok(Value::Bool(machine.profiles.contains(&text_arg(args, 0)))),
            "Key" | "UUID" => machine.uuid.to_string(),
            "KeyName" => "Uuid".to_owned(),
            "Prefix" => Kind::Machine.prefix().to_owned(),
            "ShortName" => machine.name.split('.').next().unwrap_or_default().to_owned(),
            "Path" => format!("machines/{}", machine.uuid),
            "Url" => format!("{}/machines/{}", self.0.files_url(), machine.uuid),
            "HexAddress" => machine.address.hex(),
            "MacAddr" => mac_text(self.0.mac.as_deref().unwrap_or_default(), &text_arg(args, 0)),
            _ => return fail(format!("no method {name}")),
        };
        Ok(Value::from(text))
    }

    fn field(&self, name: &str) -> Option<Value> {
        let machine = || self.0.machine(&[name]);
        // The ones that every template asks for, without turning the whole machine into JSON.
        Some(match name {
            "Name" => Value::from(machine()?.name.as_str()),
            "Arch" => Value::from(machine()?.arch.as_str()),
            "BootEnv" => Value::from(machine()?.boot_env.as_str()),
            "Stage" => Value::from(machine()?.stage.as_str()),
            "CurrentTask" => Value::Int(machine()?.current_task),
            "Address" => object::printed("net.IP", &machine()?.address.to_string(), "<nil>"),
            "Uuid" => object::printed("uuid.UUID", &machine()?.uuid.to_string(), ""),
            name => object::field_of(&self.0, Kind::Machine, name)?,
        })
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        // Posted as JSON by tasks: what Digital Rebar has, without what is only here.
        let own = |(name, _): &(&'static str, Value)| *name != "PoolWorkflow";
        object::fields_of(&self.0, Kind::Machine).into_iter().filter(own).collect()
    }
}

/// A MAC address in the form that a loader asks for.
fn mac_text(mac: &str, form: &str) -> String {
    match form {
        // Without a card the prefix stays: a stage's path is `st/01-`.
        "pxelinux" => format!("01-{}", mac.replace(':', "-")),
        "rpi4" => mac.replace(':', "-"),
        _ => mac.to_owned(),
    }
}
