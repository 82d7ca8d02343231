//! Sets: name spaces, clones, functions of the embedding program, and what a set tells about itself.

use gantry_template::{Fail, Func, MissingKey, NoHost, Set, Signature, Type, Value};

fn shown(set: &Set, name: &str) -> String {
    set.render_to_string(name, &Value::Nil, &NoHost::default()).unwrap()
}

#[test]
fn a_clone_shares_templates_and_keeps_its_own() {
    let mut common = Set::new();
    common.parse("greet", "hello {{template \"who\"}}").unwrap();
    common.parse("who", "nobody").unwrap();
    common.freeze();
    let mut own = common.clone();
    own.parse("who", "you").unwrap();
    assert_eq!(shown(&own, "greet"), "hello you");
    assert_eq!(shown(&common, "greet"), "hello nobody");
}

#[test]
fn a_blank_text_does_not_replace_a_template() {
    let mut set = Set::new();
    set.parse("a", "one").unwrap();
    set.parse("a", " \n{{/* nothing */}}").unwrap();
    assert_eq!(shown(&set, "a"), "one");
    set.parse("b", "").unwrap();
    assert_eq!(shown(&set, "b"), "");
}

#[test]
fn a_text_that_does_not_parse_changes_nothing() {
    let mut set = Set::new();
    set.parse("a", "one").unwrap();
    set.parse("a", "{{define \"b\"}}x{{end}}{{ oops }}").unwrap_err();
    assert_eq!(shown(&set, "a"), "one");
    assert!(!set.contains("b"));
}

#[test]
fn inline_templates_as_digital_rebar_builds_them() {
    let mut set = Set::new();
    set.parse("inline", "{{define \"a\"}}A{{template \"b\" .}}{{end}}\\n{{define \"b\"}}B{{end}}\\n")
        .unwrap();
    assert_eq!(shown(&set, "a"), "AB");
}

#[test]
fn the_calls_of_a_template_are_known() {
    let mut set = Set::new();
    set.parse("a", "{{if true}}{{template \"x\" .}}{{else}}{{range 3}}{{template \"y\"}}{{end}}{{end}}")
        .unwrap();
    let calls: Vec<String> = set.calls("a").unwrap().into_iter().collect();
    assert_eq!(calls, ["x", "y"]);
    assert!(set.calls("none").is_none());
    assert_eq!(set.names().into_iter().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn functions_can_be_added_and_replaced() {
    let mut set = Set::new();
    set.add_function(
        "twice",
        Func::new(Signature::exact(&[Type::Int]), |_, args| match args {
            [Value::Int(n)] => Ok(Value::Int(n * 2)),
            _ => Err(Fail::text("want an int")),
        }),
    );
    set.add_function("upper", Func::new(Signature::exact(&[Type::Any]), |_, _| Ok("mine".into())));
    set.parse("a", "{{twice 21}} {{upper \"x\"}}").unwrap();
    assert_eq!(shown(&set, "a"), "42 mine");
    set.parse("c", "{{twice \"x\"}}").unwrap();
    let error = set.render_to_string("c", &Value::Nil, &NoHost::default()).unwrap_err();
    assert!(error.message.ends_with("expected integer; found \"x\""), "{error}");
}

#[test]
fn a_function_named_break_takes_the_word() {
    let mut set = Set::new();
    set.add_function("break", Func::new(Signature::exact(&[]), |_, _| Ok("B".into())));
    set.parse("a", "{{break}}").unwrap();
    assert_eq!(shown(&set, "a"), "B");
}

#[test]
fn missing_keys_follow_the_set_that_renders() {
    let mut set = Set::new();
    set.parse("a", "{{.x}}").unwrap();
    let data = Value::map([("y", Value::Nil)]);
    let host = NoHost::default();
    assert_eq!(set.render_to_string("a", &data, &host).unwrap(), "<no value>");
    let mut strict = set.clone();
    strict.set_missing_key(MissingKey::Error);
    let error = strict.render_to_string("a", &data, &host).unwrap_err();
    assert!(error.message.ends_with("map has no entry for key \"x\""), "{error}");
    assert_eq!(set.render_to_string("a", &data, &host).unwrap(), "<no value>");
}

#[test]
fn without_sprig_slice_is_gos() {
    let mut set = Set::without_sprig();
    set.parse("a", "{{slice \"hello\" 1 3}} {{slice \"hello\"}} {{slice \"hello\" 4}}").unwrap();
    assert_eq!(shown(&set, "a"), "el hello o");
    set.parse("b", "{{trim \"x\"}}").unwrap_err();
    set.parse("c", "{{slice \"hello\" 9}}").unwrap();
    let error = set.render_to_string("c", &Value::Nil, &NoHost::default()).unwrap_err();
    assert!(error.message.ends_with("error calling slice: index out of range: 9"), "{error}");
}
