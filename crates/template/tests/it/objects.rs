//! Objects: fields and methods of the embedding program on dot and on values.

use gantry_template::{Fail, MissingKey, NoHost, Object, Scope, Set, Signature, Str, Type, Value};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
struct Machine {
    asked: AtomicUsize,
}

impl Object for Machine {
    fn type_name(&self) -> &'static str {
        "*models.Machine"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Name" => Some("m1".into()),
            "Params" => Some(Value::map([("size", Value::from(2.0))])),
            "Task" => Some(Value::NilPtr("*models.Task")),
            "Lazy" => {
                self.asked.fetch_add(1, Ordering::Relaxed);
                Some(1.into())
            }
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Name", "m1".into()), ("Tags", Value::strings(["a", "b"]))]
    }

    fn method(&self, name: &str) -> Option<Signature> {
        Some(match name {
            "Path" => Signature::exact(&[]),
            "Param" => Signature::exact(&[Type::String]),
            "Sum" => Signature::variadic(&[Type::Int]),
            "CallTemplate" => Signature::exact(&[Type::String, Type::Any]),
            "Expand" => Signature::exact(&[Type::String]),
            _ => return None,
        })
    }

    fn call(&self, name: &str, args: &[Value], scope: &mut Scope<'_>) -> Result<Value, Fail> {
        let text = |value: &Value| match value {
            Value::Str(s) => s.to_string(),
            _ => String::new(),
        };
        Ok(match name {
            "Path" => "machines/1".into(),
            "Param" if text(&args[0]) == "size" => 2.5.into(),
            "Param" => return Err(format!("No such machine parameter {}", text(&args[0])).into()),
            "Sum" => args.iter().map(|v| if let Value::Int(n) = v { *n } else { 0 }).sum::<i64>().into(),
            "CallTemplate" => scope.render(&text(&args[0]), &args[1])?.into(),
            _ => scope.render_text("expand", &text(&args[0]), MissingKey::Error, &Value::Nil)?.into(),
        })
    }
}

#[derive(Debug)]
struct Address;

impl Object for Address {
    fn type_name(&self) -> &'static str {
        "net.IP"
    }

    fn text(&self) -> Option<String> {
        Some("10.0.0.1".to_owned())
    }
}

fn render(text: &str) -> Result<String, String> {
    let mut set = Set::new();
    set.parse("lib", "<{{.}}>").unwrap();
    set.parse("main", text).map_err(|error| error.message)?;
    let dot = Value::map([("m", Value::object(Machine::default())), ("ip", Value::object(Address))]);
    set.render_to_string("main", &dot, &NoHost::default()).map_err(|error| error.message)
}

#[track_caller]
fn check(text: &str, want: &str) {
    assert_eq!(render(text).as_deref(), Ok(want), "{text}");
}

#[track_caller]
fn fails(text: &str, want: &str) {
    let error = render(text).unwrap_err();
    assert!(error.ends_with(want), "{text}: {error}");
}

#[test]
fn fields_and_methods_answer() {
    check(
        "{{.m.Name}} {{.m.Path}} {{.m.Params.size}} {{.m.Param \"size\"}} {{.m.Sum 1 2 3}} {{.m.Sum}}",
        "m1 machines/1 2 2.5 6 0",
    );
    check(
        "{{$m := .m}}{{$m.Param \"size\"}} {{\"size\" | .m.Param}} {{(.m).Sum 1}} {{range $i := until 2}}{{$.m.Sum $i 1}}{{end}}",
        "2.5 2.5 1 12",
    );
}

#[test]
fn wrong_calls_fail_in_gos_words() {
    fails("{{.m.Param}}", "<.m.Param>: wrong number of args for Param: want 1 got 0");
    fails("{{.m.Param 1}}", "<1>: expected string; found 1");
    fails("{{.m.Param .m.Params}}", "wrong type for value; expected string; got map[string]interface {}");
    fails("{{.m.Param \"x\"}}", "<.m.Param>: error calling Param: No such machine parameter x");
    fails("{{.m.Sum \"a\"}}", "expected integer; found \"a\"");
    fails("{{.m.Name 1}}", "Name has arguments but cannot be invoked as function");
    fails("{{.m.Nope}}", "can't evaluate field Nope in type interface {}");
    fails("{{$m := .m}}{{$m.Nope}}", "can't evaluate field Nope in type *models.Machine");
    fails("{{$t := .m.Task}}{{$t.Name}}", "nil pointer evaluating *models.Task.Name");
    fails("{{trim .m}}", "wrong type for value; expected string; got *models.Machine");
    fails("{{range .m}}{{end}}", "range can't iterate over {m1 [a b]}");
}

#[test]
fn objects_print_like_structs_and_stringers() {
    check(
        "{{.m}} {{printf \"%v\" .m}} {{printf \"%+v\" .m}} {{.ip}} {{printf \"%s|%q\" .ip .ip}}",
        "{m1 [a b]} &{m1 [a b]} &{Name:m1 Tags:[a b]} 10.0.0.1 10.0.0.1|\"10.0.0.1\"",
    );
    check(
        "{{toJson .m}} {{typeOf .m}} {{kindOf .m}} {{if .m}}true{{end}}",
        "{\"Name\":\"m1\",\"Tags\":[\"a\",\"b\"]} *models.Machine ptr true",
    );
    check(
        "{{.m.Task}} {{if .m.Task}}x{{else}}nil{{end}} {{eq .m .m}} {{toString .ip}}",
        "<nil> nil true 10.0.0.1",
    );
}

#[test]
fn a_field_is_computed_only_when_asked_for() {
    let machine = std::sync::Arc::new(Machine::default());
    let mut set = Set::new();
    set.parse("main", "{{.Name}}{{if false}}{{.Lazy}}{{end}}").unwrap();
    set.render_to_string("main", &Value::Object(machine.clone()), &NoHost::default()).unwrap();
    assert_eq!(machine.asked.load(Ordering::Relaxed), 0);
    set.parse("main", "{{.Lazy}}").unwrap();
    set.render_to_string("main", &Value::Object(machine.clone()), &NoHost::default()).unwrap();
    assert_eq!(machine.asked.load(Ordering::Relaxed), 1);
}

#[test]
fn methods_can_render() {
    check("{{.m.CallTemplate \"lib\" .m.Name}}", "<m1>");
    check("{{.m.Expand \"a{{ add 1 2 }}\"}}", "a3");
    fails(
        "{{.m.CallTemplate \"none\" .}}",
        "error calling CallTemplate: template: no template \"none\" associated with template \"\"",
    );
    fails(
        "{{.m.Expand \"{{.x.y}}\"}}",
        "error calling Expand: template: expand:1:4: executing \"expand\" at <.x.y>: nil data; no entry for key \"x\"",
    );
    fails("{{.m.Expand \"{{\"}}", "error calling Expand: template: expand:1: unclosed action");
}

#[test]
fn methods_that_render_themselves_end() {
    let mut set = Set::new();
    set.parse("loop", "{{.CallTemplate \"loop\" .}}").unwrap();
    let error =
        set.render_to_string("loop", &Value::object(Machine::default()), &NoHost::default()).unwrap_err();
    assert_eq!(error.kind, gantry_template::ErrorKind::Limit);
}

#[test]
fn frozen_data_is_never_changed() {
    let data = Value::from(serde_json::json!({"m": {"a": 1}}));
    let mut set = Set::new();
    set.parse("main", "{{$n := set .m \"b\" 2}}{{$n}} {{.m}}").unwrap();
    let shown = set.render_to_string("main", &data, &NoHost::default()).unwrap();
    assert_eq!(shown, "map[a:1 b:2] map[a:1]");
}

#[test]
fn strings_are_bytes() {
    let mut set = Set::new();
    set.parse("main", "{{trunc 1 .}}").unwrap();
    let mut out = Vec::new();
    let data = Value::Str(Str::from("é"));
    set.render("main", &data, &Default::default(), &NoHost::default(), &mut out).unwrap();
    assert_eq!(out, b"\xc3");
}
