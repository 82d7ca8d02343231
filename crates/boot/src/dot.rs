//! Dot: what templates see (engine §1.4). Fields `Machine`, `Env`, `Task`, `Stage`, `Info`; everything else is a method and
//! computed when a template asks for it.

mod env;
mod machine;
mod text;
mod token;

use std::sync::Arc;

use gantry_model::Kind;
use gantry_template::{Elem, Fail, MissingKey, Object, Scope, Signature, Type, Value};
use serde_json::Value as Json;

use crate::object::{Part, Struct, fail, text_arg};
use crate::scene::{Scene, json_of};
use crate::yaml;

use env::own_arch;
pub(crate) use env::{EnvDot, boot_params};
pub(crate) use machine::MachineDot;
use text::{json, netmask_to_cidr, parse_url};

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
            "ParamExpand" => self.expand(&text(0), self.param(&text(0))?, scope),
            "ParamCompose" | "ComposeParam" => Ok(Value::from_json_live(&self.composed(&text(0))?)),
            "ParamComposeExpand" => self.expand(&text(0), self.composed(&text(0))?, scope),
            "ParamAsJSON" => json(&self.param(&text(0))?, scope),
            "ParamAsYAML" => Ok(Value::from(yaml::to_yaml(&self.param(&text(0))?))),
            "StringExpand" => self.expand_text(&text(0), scope),
            "ObjectExpand" => self.expand_value(&args[0], scope),
            "CallTemplate" if !scope.has(&text(0)) => fail(format!("Missing template: {}", text(0))),
            "CallTemplate" => scope.render(&text(0), &args[1]).map(Value::Str),
            "BootParams" => boot_params(scene, scene.arch(), scope),
            "BootParamsFor" => boot_params(scene, own_arch(scene, &text(0))?, scope),
            "GenerateBootToken" => token::boot(scene),
            "GenerateToken" | "GenerateInfiniteToken" | "GenerateProfileToken" => {
                Ok(token::make(scene, name, args))
            }
            "ParseURL" | "ParseUrl" => parse_url(&text(0), &text(1), scope),
            "NetmaskToCIDR" => netmask_to_cidr(&text(0)),
            "Repos" => crate::repo::tagged(scene, &(0..args.len()).map(text).collect::<Vec<_>>()),
            "MachineRepos" => crate::repo::of_machine(scene),
            "InstallRepos" => crate::repo::for_install(scene),
            _ => fail(format!("no method {name}")),
        }
    }

    fn field(&self, name: &str) -> Option<Value> {
        let scene = &self.0;
        let part = |kind, type_name| match scene.has(kind) {
            true => Value::object(Part { scene: Arc::clone(scene), kind, type_name }),
            false => Value::NilPtr(type_name),
        };
        Some(match name {
            "Machine" if scene.has(Kind::Machine) => Value::object(MachineDot(Arc::clone(scene))),
            "Machine" => Value::NilPtr("*renderer.Machine"),
            "Env" if scene.has(Kind::BootEnv) => Value::object(EnvDot(Arc::clone(scene))),
            "Env" => Value::NilPtr("*renderer.BootEnv"),
            "Stage" => part(Kind::Stage, "*renderer.Stage"),
            "Task" => part(Kind::Task, "*renderer.Task"),
            "Info" => Struct::pointer(Kind::Info.spec().shape, "*models.Info", json_of(&*scene.server.info)),
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

    /// Every string inside the parameter, however deep, rendered with the same dot.
    fn expand(&self, name: &str, value: Json, scope: &mut Scope<'_>) -> Result<Value, Fail> {
        let expanded = self.expand_json(value, scope);
        let expanded = expanded.map_err(|why| why.while_doing(&format!("Error rendering parameter {name}")));
        expanded.map(|expanded| Value::from_json_live(&expanded))
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
}

/// The element type of lists of strings that methods answer.
pub(crate) fn strings(items: &[String]) -> Value {
    Value::List(gantry_template::List::of(
        Elem::String,
        items.iter().map(|item| Value::from(item.as_str())).collect(),
    ))
}
