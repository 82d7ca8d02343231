//! The cases of `tests/cases/objects.txt`: a Go struct with methods, as an [`Object`]. The answers were recorded from Go over the
//! struct of the same shape in `tools/oracle/objects.go`.

use super::goldens::{Dot, check};
use gantry_template::{Elem, Fail, Func, List, Map, Object, Scope, Signature, Type, Value};
use std::any::Any;
use std::sync::Arc;

#[derive(Debug)]
struct Unit {
    pointer: bool,
    n: i64,
}

impl Object for Unit {
    fn type_name(&self) -> &'static str {
        if self.pointer { "*main.Unit" } else { "main.Unit" }
    }
    fn field(&self, name: &str) -> Option<Value> {
        (name == "N").then(|| self.n.into())
    }
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("N", self.n.into())]
    }
    fn method(&self, name: &str) -> Option<Signature> {
        (name == "String").then_some(Signature::exact(&[]))
    }
    fn call(&self, _: &str, _: &[Value], _: &mut Scope<'_>) -> Result<Value, Fail> {
        Ok(self.text().into())
    }
    fn text(&self) -> Option<String> {
        Some(format!("unit {}", self.n))
    }
}

#[derive(Debug)]
struct Person {
    pointer: bool,
    name: &'static str,
    age: i64,
}

impl Object for Person {
    fn type_name(&self) -> &'static str {
        if self.pointer { "*main.Person" } else { "main.Person" }
    }
    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find(|(have, _)| *have == name).map(|(_, value)| value)
    }
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Name", self.name.into()), ("Age", self.age.into())]
    }
    fn method(&self, name: &str) -> Option<Signature> {
        (name == "Greet").then_some(Signature::exact(&[Type::String]))
    }
    fn call(&self, _: &str, args: &[Value], _: &mut Scope<'_>) -> Result<Value, Fail> {
        Ok(format!("{} {}", text(&args[0]), self.name).into())
    }
    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any().and_then(<dyn Any>::downcast_ref::<Person>)?;
        Some((self.name, self.age) == (other.name, other.age))
    }
    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

#[derive(Debug)]
struct Fault;

impl Object for Fault {
    fn type_name(&self) -> &'static str {
        "*errors.errorString"
    }
    fn method(&self, name: &str) -> Option<Signature> {
        (name == "Error").then_some(Signature::exact(&[]))
    }
    fn call(&self, _: &str, _: &[Value], _: &mut Scope<'_>) -> Result<Value, Fail> {
        Ok("too hot".into())
    }
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("s", "too hot".into())]
    }
    fn text(&self) -> Option<String> {
        Some("too hot".to_owned())
    }
}

#[derive(Debug)]
struct Rack {
    owner: Value,
}

impl Rack {
    fn new() -> Self {
        Self { owner: Value::object(Person { pointer: true, name: "ann", age: 30 }) }
    }
}

const OWNER: Type = Type::Named("*main.Person");

impl Object for Rack {
    fn type_name(&self) -> &'static str {
        "*main.Rack"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let counts = [("one", Value::from(1)), ("two", 2.into())];
        Some(match name {
            "Name" => "r1".into(),
            "Size" => 42.into(),
            "Load" => 2.5.into(),
            "On" => true.into(),
            "Tags" => Value::strings(["a", "b"]),
            "Slots" => List::of(Elem::Int, vec![3.into(), 4.into(), 5.into()]).into(),
            "None" => List::nil(Elem::String).into(),
            "Counts" => Map::of(Elem::Int, counts.into_iter().map(|(k, v)| (k.into(), v)).collect()).into(),
            "Words" => Map::of(Elem::String, [("k".into(), "v".into())].into()).into(),
            "Owner" => self.owner.clone(),
            "Nobody" => Value::NilPtr("*main.Person"),
            "Guest" => Value::object(Person { pointer: false, name: "bob", age: 40 }),
            "Unit" => Value::object(Unit { pointer: false, n: 7 }),
            "UnitAt" => Value::object(Unit { pointer: true, n: 8 }),
            "Fault" => Value::object(Fault),
            "Twice" => Value::Func(Func::new(Signature::exact(&[Type::Int]), |_, args| {
                Ok((2 * int(&args[0])).into())
            })),
            "Join" => Value::Func(Func::new(Signature::variadic(&[Type::String]), |_, args| {
                Ok(args.iter().map(text).collect::<Vec<_>>().join("-").into())
            })),
            "Broken" => {
                Value::Func(Func::new(Signature::exact(&[]), |_, _| Err("out of order".to_owned().into())))
            }
            _ => return None,
        })
    }

    fn method(&self, name: &str) -> Option<Signature> {
        Some(match name {
            "Path" | "Self" => Signature::exact(&[]),
            "Param" => Signature::exact(&[Type::String]),
            "Sum" => Signature::variadic(&[Type::Int]),
            "Pick" => Signature::exact(&[Type::Int, Type::String, Type::Float64, Type::Bool]),
            "Show" => Signature::exact(&[Type::Any]),
            "Owned" => Signature::exact(&[OWNER]),
            "Labels" => Signature::exact(&[Type::List(Elem::String)]),
            "Wide" => Signature::exact(&[Type::Int64]),
            _ => return None,
        })
    }

    fn call(&self, name: &str, args: &[Value], scope: &mut Scope<'_>) -> Result<Value, Fail> {
        Ok(match name {
            "Path" => "racks/r1".into(),
            "Self" => Value::object(Rack { owner: self.owner.clone() }),
            "Param" => return param(&text(&args[0])),
            "Sum" => args.iter().map(int).sum::<i64>().into(),
            "Wide" => Value::Int64(int(&args[0]) * 2),
            "Labels" => match &args[0] {
                Value::List(tags) => tags.iter().map(text).collect::<Vec<_>>().join("+").into(),
                other => panic!("{other:?}"),
            },
            "Owned" => match (&args[0], &self.owner) {
                (Value::Object(by), Value::Object(owner)) => Arc::ptr_eq(by, owner).into(),
                _ => false.into(),
            },
            // Both print with the rules that the crate itself has for print.
            "Show" => shown("{{printf \"%v\" .}}", &args[0], scope)?,
            _ => shown(
                "{{print (index . 0) (index . 1) (index . 2) (index . 3)}}",
                &Value::list(args.to_vec()),
                scope,
            )?,
        })
    }
}

fn shown(template: &str, value: &Value, scope: &mut Scope<'_>) -> Result<Value, Fail> {
    Ok(scope.render_text("shown", template, Default::default(), value)?.into())
}

fn param(key: &str) -> Result<Value, Fail> {
    Ok(match key {
        "size" => 2.5.into(),
        "list" => Value::list(vec![1.0.into(), "two".into()]),
        "map" => Value::map([("k", Value::from("v"))]),
        "nil" => Value::Nil,
        _ => return Err(format!("No such parameter {key}").into()),
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::Str(s) => s.to_string(),
        other => panic!("the signature lets only strings through: {other:?}"),
    }
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(n) | Value::Int64(n) => *n,
        other => panic!("the signature lets only integers through: {other:?}"),
    }
}

#[test]
fn structs_and_methods_are_gos() {
    let rack: &Dot = &|_| Value::object(Rack::new());
    check(include_str!("../cases/objects.txt"), include_str!("../cases/objects.golden"), rack);
}
