//! Dot: what templates see (engine §1.4). Fields `Machine`, `Env`, `Task`, `Stage`, `Info`; everything else is a method and
//! computed when a template asks for it.

mod env;
mod machine;

use std::sync::Arc;

use gantry_model::shape::{Type as ShapeType, Wire};
use gantry_model::{Info, Stage, Task};
use gantry_template::{Elem, Fail, MissingKey, Object, Scope, Signature, Type, Value};
use serde_json::Value as Json;

use crate::asker;
use crate::object::{Struct, fail, text_arg};
use crate::scene::{Scene, json_of};

pub(crate) use env::{EnvDot, boot_params, path_for};
pub(crate) use machine::MachineDot;

/// The root of a render.
#[derive(Debug)]
pub(crate) struct Dot(pub(crate) Arc<Scene>);

const NONE: Signature = Signature::exact(&[]);
const TEXT: Signature = Signature::exact(&[Type::String]);
const TEXTS: Signature = Signature::variadic(&[Type::String]);
const ANY: Signature = Signature::exact(&[Type::Any]);

/// Every method of dot with its parameters.
const METHODS: &[(&str, Signature)] = &[
    ("ApiHostURL", NONE),
    ("ApiURL", NONE),
    ("BootParams", NONE),
    ("BootParamsFor", TEXT),
    ("CallTemplate", Signature::exact(&[Type::String, Type::Any])),
    ("ComposeParam", TEXT),
    ("GenerateBootToken", NONE),
    ("GenerateInfiniteToken", NONE),
    ("GenerateProfileToken", Signature::exact(&[Type::String, Type::Int])),
    ("GenerateToken", NONE),
    ("InstallRepos", NONE),
    ("MachineRepos", NONE),
    ("NetmaskToCIDR", TEXT),
    ("ObjectExpand", ANY),
    ("Param", TEXT),
    ("ParamAsJSON", TEXT),
    ("ParamAsYAML", TEXT),
    ("ParamCompose", TEXT),
    ("ParamComposeExpand", TEXT),
    ("ParamExists", TEXT),
    ("ParamExpand", TEXT),
    ("ParseURL", Signature::exact(&[Type::String, Type::String])),
    ("ParseUrl", Signature::exact(&[Type::String, Type::String])),
    ("ProvisionerAddress", NONE),
    ("ProvisionerHostURL", NONE),
    ("ProvisionerURL", NONE),
    ("Repos", TEXTS),
    ("SecureProvisionerHostURL", NONE),
    ("SecureProvisionerURL", NONE),
    ("StringExpand", TEXT),
];

impl Object for Dot {
    fn type_name(&self) -> &'static str {
        "*renderer.RenderData"
    }

    fn method(&self, name: &str) -> Option<Signature> {
        find_method(METHODS, name)
    }

    fn call(&self, name: &str, args: &[Value], scope: &mut Scope<'_>) -> Result<Value, Fail> {
        let scene = &self.0;
        let text = |at: usize| text_arg(args, at);
        let port =
            |port: i64, scheme: &str, host: String| Ok(Value::from(format!("{scheme}://{host}:{port}")));
        let info = &scene.server.info;
        match name {
            "ProvisionerAddress" => Ok(Value::from(scene.server.address.to_string())),
            "ProvisionerURL" => port(info.file_port, "http", scene.server.bracketed()),
            "ProvisionerHostURL" => port(info.file_port, "http", scene.server.named()),
            "SecureProvisionerURL" => port(info.secure_file_port, "https", scene.server.bracketed()),
            "SecureProvisionerHostURL" => port(info.secure_file_port, "https", scene.server.named()),
            "ApiURL" => port(info.api_port, "https", scene.server.bracketed()),
            "ApiHostURL" => port(info.api_port, "https", scene.server.named()),
            "Param" => Ok(Value::from_json_live(&self.param(&text(0))?)),
            "ParamExists" => Ok(Value::Bool(scene.has_param(&text(0)))),
            "ParamExpand" => self.expand(self.param(&text(0))?, scope),
            "ParamCompose" | "ComposeParam" => Ok(Value::from_json_live(&self.composed(&text(0))?)),
            "ParamComposeExpand" => self.expand(self.composed(&text(0))?, scope),
            "ParamAsJSON" => self.param(&text(0)).map(|value| Value::from(go_json(&value) + "\n")),
            "ParamAsYAML" => self.param(&text(0)).map(|value| Value::from(yaml(&value))),
            "StringExpand" => self.expand_text(&text(0), scope),
            "ObjectExpand" => self.expand_value(&args[0], scope),
            "CallTemplate" => scope.render(&text(0), &args[1]).map(Value::Str),
            "BootParams" => boot_params(scene, scene.arch(), scope),
            "BootParamsFor" => boot_params(scene, &text(0), scope),
            "GenerateBootToken" => self.boot_token(),
            "GenerateToken" | "GenerateInfiniteToken" | "GenerateProfileToken" => Ok(self.token(name, args)),
            "ParseURL" | "ParseUrl" => parse_url(&text(0), &text(1)),
            "NetmaskToCIDR" => netmask_to_cidr(&text(0)),
            "Repos" => crate::repo::tagged(scene, &(0..args.len()).map(text).collect::<Vec<_>>()),
            "MachineRepos" => crate::repo::of_machine(scene),
            "InstallRepos" => crate::repo::for_install(scene),
            _ => fail(format!("no method {name}")),
        }
    }

    fn field(&self, name: &str) -> Option<Value> {
        let scene = &self.0;
        let struct_of = |shape: &'static ShapeType, json: Json| match shape {
            ShapeType::Struct(shape) => Struct::value(shape, json),
            _ => Value::Nil,
        };
        Some(match name {
            "Machine" if scene.machine.is_some() => Value::object(MachineDot(Arc::clone(scene))),
            "Machine" => Value::NilPtr("*renderer.Machine"),
            "Env" if scene.env.is_some() => Value::object(EnvDot(Arc::clone(scene))),
            "Env" => Value::NilPtr("*renderer.BootEnv"),
            "Stage" => match &scene.stage {
                Some(stage) => struct_of(<Stage as Wire>::TYPE, json_of(&**stage)),
                None => Value::NilPtr("*renderer.Stage"),
            },
            "Task" => match &scene.task {
                Some(task) => Value::object(TaskDot {
                    inner: struct_of(<Task as Wire>::TYPE, json_of(&**task)),
                    scene: Arc::clone(scene),
                }),
                None => Value::NilPtr("*renderer.Task"),
            },
            "Info" => struct_of(<Info as Wire>::TYPE, json_of(&*scene.server.info)),
            _ => return None,
        })
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        ["Machine", "Env", "Task", "Stage", "Info"]
            .into_iter()
            .filter_map(|name| Some((name, self.field(name)?)))
            .collect()
    }
}

/// The signature of a method in a table.
fn find_method(table: &[(&str, Signature)], name: &str) -> Option<Signature> {
    table.iter().find(|(known, _)| *known == name).map(|(_, signature)| *signature)
}

impl Dot {
    fn param(&self, name: &str) -> Result<Json, Fail> {
        match self.0.param(name) {
            Some(found) => Ok(found.value),
            None => fail(format!("No such machine parameter {name}")),
        }
    }

    fn composed(&self, name: &str) -> Result<Json, Fail> {
        self.0.composed(name).map_or_else(|| fail(format!("No such machine parameter {name}")), Ok)
    }

    /// Every string inside, however deep, rendered with the same dot.
    fn expand(&self, value: Json, scope: &mut Scope<'_>) -> Result<Value, Fail> {
        let expanded = self.expand_json(value, scope)?;
        Ok(Value::from_json_live(&expanded))
    }

    fn expand_json(&self, value: Json, scope: &mut Scope<'_>) -> Result<Json, Fail> {
        Ok(match value {
            Json::String(text) if text.contains("{{") => self.render(&text, scope)?.into(),
            Json::Array(items) => Json::Array(
                items.into_iter().map(|item| self.expand_json(item, scope)).collect::<Result<_, _>>()?,
            ),
            Json::Object(map) => Json::Object(
                map.into_iter()
                    .map(|(key, item)| Ok((key, self.expand_json(item, scope)?)))
                    .collect::<Result<_, Fail>>()?,
            ),
            plain => plain,
        })
    }

    fn expand_text(&self, text: &str, scope: &mut Scope<'_>) -> Result<Value, Fail> {
        self.render(text, scope).map(Value::from)
    }

    fn expand_value(&self, value: &Value, scope: &mut Scope<'_>) -> Result<Value, Fail> {
        Ok(match value {
            Value::Str(text) => self.expand_text(&text.to_text(), scope)?,
            Value::List(list) => Value::list(
                list.items().iter().map(|item| self.expand_value(item, scope)).collect::<Result<_, _>>()?,
            ),
            Value::Map(map) => {
                let entries = map.entries();
                let expanded: Result<Vec<_>, Fail> = entries
                    .iter()
                    .map(|(key, item)| Ok((key.clone(), self.expand_value(item, scope)?)))
                    .collect();
                Value::map(expanded?)
            }
            plain => plain.clone(),
        })
    }

    fn render(&self, text: &str, scope: &mut Scope<'_>) -> Result<String, Fail> {
        let rendered = scope.render_text("expand", text, MissingKey::Error, &self.0.dot())?;
        Ok(rendered.to_text().into_owned())
    }

    /// The token of a machine, for its own address only: who asks from another address gets an error and no file.
    fn boot_token(&self) -> Result<Value, Fail> {
        let scene = &self.0;
        let Some(machine) = &scene.machine else { return Ok(self.token("GenerateToken", &[])) };
        let Some(client) = scene.server.client else {
            return fail(format!("the boot token of {} needs an asker with an address", machine.name));
        };
        if !asker::is_machine(&scene.view, machine, client, scene.host.now()) {
            return fail(format!(
                "the boot token of {} is not for {client}: it is not the machine's address",
                machine.name
            ));
        }
        Ok(self.token("GenerateToken", &[]))
    }

    fn token(&self, name: &str, args: &[Value]) -> Value {
        const THREE_YEARS: i64 = 3 * 52 * 7 * 24 * 3600;
        let scene = &self.0;
        let text = match (name, &scene.machine) {
            ("GenerateToken", Some(machine)) => {
                scene.host.machine_token(machine, scene.seconds("knownTokenTimeout"))
            }
            ("GenerateToken", None) => scene.host.unknown_token(scene.seconds("unknownTokenTimeout")),
            ("GenerateInfiniteToken", Some(machine)) => scene.host.machine_token(machine, THREE_YEARS),
            ("GenerateInfiniteToken", None) => String::new(),
            (_, None) => "UnknownMachineTokenNotAllowed".to_owned(),
            (_, Some(machine)) => {
                let profile = text_arg(args, 0);
                if !machine.profiles.contains(&profile) {
                    "InvalidTokenNotAllowedNotOnMachine".to_owned()
                } else if scene.view.object::<gantry_model::Profile>(&profile).is_none() {
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
}

/// A task: its fields, and the operating system that it is rendered for.
#[derive(Debug)]
struct TaskDot {
    inner: Value,
    scene: Arc<Scene>,
}

impl Object for TaskDot {
    fn type_name(&self) -> &'static str {
        "*renderer.Task"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match (&self.inner, name) {
            (_, "TargetOS") if self.scene.target_os.is_empty() => Some(Value::from("linux")),
            (_, "TargetOS") => Some(Value::from(self.scene.target_os.as_str())),
            (Value::Object(inner), name) => inner.field(name),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        match &self.inner {
            Value::Object(inner) => inner.fields(),
            _ => Vec::new(),
        }
    }
}

fn parse_url(part: &str, url: &str) -> Result<Value, Fail> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = if scheme.is_empty() { ("", rest) } else { rest.split_at(end) };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match part {
        "scheme" => Ok(Value::from(scheme)),
        "host" => Ok(Value::from(host)),
        "path" => Ok(Value::from(path.split(['?', '#']).next().unwrap_or_default())),
        other => fail(format!("No idea how to get URL part {other} from {url}")),
    }
}

fn netmask_to_cidr(mask: &str) -> Result<Value, Fail> {
    match mask.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => Ok(Value::Int(i64::from(u32::from(mask).leading_ones()))),
        Err(_) => fail(format!("{mask} is no netmask such as 255.255.255.0")),
    }
}

/// Compact JSON as Go writes it: `<`, `>`, `&` and the two line separators escaped.
fn go_json(value: &Json) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            c => text.push(c),
        }
    }
    text
}

/// Block YAML with sorted keys, two spaces of indent and a newline at the end.
fn yaml(value: &Json) -> String {
    let mut text = String::new();
    write_yaml(&mut text, value, 0);
    text
}

fn write_yaml(out: &mut String, value: &Json, depth: usize) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (key, item) in map {
                out.push_str(&"  ".repeat(depth));
                out.push_str(&yaml_scalar(key));
                out.push(':');
                write_yaml_item(out, item, depth + usize::from(!item.is_array()));
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&"  ".repeat(depth));
                out.push('-');
                let mut nested = String::new();
                write_yaml_item(&mut nested, item, depth + 1);
                // The first line of a nested block goes behind its dash.
                out.push_str(
                    &nested
                        .strip_prefix('\n')
                        .map_or(nested.clone(), |block| format!(" {}", block.trim_start_matches(' '))),
                );
            }
        }
        plain => {
            out.push_str(&yaml_plain(plain));
            out.push('\n');
        }
    }
}

fn write_yaml_item(out: &mut String, item: &Json, depth: usize) {
    let block = matches!(item, Json::Object(map) if !map.is_empty())
        || matches!(item, Json::Array(items) if !items.is_empty());
    out.push(if block { '\n' } else { ' ' });
    write_yaml(out, item, if block { depth } else { 0 });
}

fn yaml_plain(value: &Json) -> String {
    match value {
        Json::String(text) => yaml_scalar(text),
        other => other.to_string(),
    }
}

/// A string, quoted when it would read as something else.
fn yaml_scalar(text: &str) -> String {
    let words = ["", "true", "false", "yes", "no", "on", "off", "null", "~", "y", "n"];
    let plain = text.chars().all(|c| c.is_alphanumeric() || "-_./ @+=".contains(c))
        && text.starts_with(|c: char| c.is_alphanumeric() || c == '/' || c == '_')
        && !text.ends_with(' ')
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Json::from(text).to_string() }
}

/// The element type of lists of strings that methods answer.
pub(crate) fn strings(items: &[String]) -> Value {
    Value::List(gantry_template::List::of(
        Elem::String,
        items.iter().map(|item| Value::from(item.as_str())).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn urls_are_taken_apart() {
        let part = |part: &str, url: &str| match parse_url(part, url) {
            Ok(Value::Str(text)) => text.to_text().into_owned(),
            _ => "error".to_owned(),
        };
        assert_eq!(part("scheme", "http://user@h.example:80/a/b?q"), "http");
        assert_eq!(part("host", "http://user@h.example:80/a/b?q"), "h.example:80");
        assert_eq!(part("path", "http://user@h.example:80/a/b?q"), "/a/b");
        assert_eq!(part("port", "http://h"), "error");
    }

    #[test]
    fn json_and_yaml_are_those_of_go() {
        assert_eq!(go_json(&json!({"b": "<&>", "a": 1})), r#"{"a":1,"b":"\u003c\u0026\u003e"}"#);
        assert_eq!(
            yaml(&json!({"b": [1, {"x": "why", "z": true}], "a": {"nil": null, "e": []}, "s": "yes"})),
            "a:\n  e: []\n  nil: null\nb:\n- 1\n- x: why\n  z: true\ns: \"yes\"\n"
        );
        assert_eq!(yaml(&json!("text")), "text\n");
    }
}
