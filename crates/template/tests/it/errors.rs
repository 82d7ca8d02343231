//! Errors: Go's words, and the position beside them.

use super::render;
use gantry_template::{ErrorKind, NoHost, Set, Value};
use serde_json::json;

#[test]
fn an_execution_error_names_template_line_and_column() {
    let error = render("one\ntwo {{ .a.b }}", &json!({"a": 1})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Exec);
    assert_eq!((error.template.as_str(), error.line, error.column), ("main", 2, 9));
    assert_eq!(
        error.message,
        r#"template: main:2:9: executing "main" at <.a.b>: can't evaluate field b in type interface {}"#
    );
}

#[test]
fn an_error_in_a_called_template_names_the_text_it_came_from() {
    let mut set = Set::new();
    set.parse("lib", "{{define \"inner\"}}\n{{ .x.y }}{{end}}").unwrap();
    set.parse("main", "{{template \"inner\" .}}").unwrap();
    let data = Value::map([("x", Value::from(1.5))]);
    let error = set.render_to_string("main", &data, &NoHost::default()).unwrap_err();
    assert_eq!((error.template.as_str(), error.line), ("lib", 2));
    assert!(error.message.starts_with("template: lib:2:5: executing \"inner\" at <.x.y>:"), "{error}");
}

#[test]
fn a_parse_error_names_the_line() {
    let error = render("a\n{{ if }}", &json!(null)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Parse);
    assert_eq!((error.line, error.message.as_str()), (2, "template: main:2: missing value for if"));
}

#[test]
fn a_missing_template_is_its_own_kind() {
    let error = Set::new().render_to_string("x", &Value::Nil, &NoHost::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
    assert_eq!(error.message, "template: no template \"x\" associated with template \"\"");
}

#[test]
fn what_was_written_before_an_error_stays() {
    let mut set = Set::new();
    set.parse("main", "head {{ fail \"stop\" }} tail").unwrap();
    let mut out = Vec::new();
    let result = set.render("main", &Value::Nil, &Default::default(), &NoHost::default(), &mut out);
    assert_eq!(
        result.unwrap_err().message,
        "template: main:1:8: executing \"main\" at <fail \"stop\">: error calling fail: stop"
    );
    assert_eq!(out, b"head ");
}

#[test]
fn functions_that_are_removed_do_not_parse() {
    for name in ["env", "expandenv", "now", "ago"] {
        let error = render(&format!("{{{{ {name} }}}}"), &json!(null)).unwrap_err();
        assert_eq!(error.message, format!("template: main:1: function \"{name}\" not defined"));
    }
}
