//! The checks of templates in the write path, and the origins of parameters.

use std::sync::Arc;

use gantry_boot::rules::TemplateRules;
use gantry_boot::{Renderer, param};
use gantry_model::{Error, Kind, Machine, Now, Time, Tx, View};
use serde_json::{Value, json};

use crate::support::{furnished, id};

fn tx(view: View) -> Tx {
    Tx::new(view, Now::new(Time::ZERO, [5; 32]))
        .with_rules(Arc::new(TemplateRules(Arc::new(Renderer::new()))))
}

fn refusal(kind: Kind, value: Value) -> String {
    match tx(furnished()).create(kind, value) {
        Err(Error::Invalid { messages, .. }) => messages.join("|"),
        other => format!("{other:?}"),
    }
}

#[test]
fn templates_must_parse_and_paths_must_render() {
    let inline = |contents: &str, path: &str| json!([{"Name": "x", "Path": path, "Contents": contents}]);
    let table = [
        (
            Kind::Template,
            json!({"ID": "broken", "Contents": "{{if}}"}),
            "Parse error for template broken: template: broken:1: ",
        ),
        (
            Kind::Task,
            json!({"Name": "tt", "Templates": inline("{{nope 1}}", "")}),
            "Error parsing inline templates: template: inline:tt:1: function \"nope\" not defined",
        ),
        (
            Kind::Stage,
            json!({"Name": "ss", "Templates": inline("x", "{{")}),
            "Error compiling path template 0 ({{): template: ",
        ),
        (
            Kind::BootEnv,
            json!({"Name": "be", "BootParams": "{{"}),
            "Error compiling boot parameter template: ",
        ),
        (
            Kind::BootEnv,
            json!({"Name": "be", "OS": {"Name": "o", "SupportedArchitectures": {"amd64": {"Kernel": "k", "BootParams": "{{"}}}}),
            "Error compiling boot parameter template for arch amd64: ",
        ),
    ];
    for (kind, value, expected) in table {
        let message = refusal(kind, value.clone());
        assert!(message.starts_with(expected), "{value}: {message}");
    }
    let mut tx = tx(furnished());
    let templates = inline("x", "{{.Machine.Path}}/{{.Param \"dir\"}}");
    tx.create(Kind::Stage, json!({"Name": "ss", "Templates": templates})).unwrap();
    let error = tx.create(Kind::Machine, json!({"Name": "mm", "Stage": "ss"})).unwrap_err().to_string();
    assert!(
        error.contains("Error rendering template x path {{.Machine.Path}}/{{.Param \"dir\"}}: "),
        "{error}"
    );
    tx.create(Kind::Machine, json!({"Name": "mm", "Stage": "ss", "Params": {"dir": "d"}})).unwrap();
}

#[test]
fn packs_are_checked_as_a_whole() {
    let rules = TemplateRules(Arc::new(Renderer::new()));
    assert_eq!(rules.check_view(&furnished()), Vec::<String>::new());
    let pack = json!({"meta": {"Name": "pack"}, "sections": {
        "templates": {"t": {"ID": "bad.tmpl", "Contents": "{{end}}"}},
        "tasks": {"k": {"Name": "kk", "Templates": [{"Name": "x", "Contents": "{{nope}}"}]}},
    }});
    let (view, _) = furnished().put_layer(gantry_model::Layer::from_value(pack).unwrap(), 9).unwrap();
    let messages = rules.check_view(&view);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0]
            .starts_with("Unable to load bad.tmpl templates: template: bad.tmpl:1: unexpected {{end}}")
    );
    assert!(messages[1].contains("function \"nope\" not defined"));
}

#[test]
fn every_value_says_where_it_comes_from() {
    let view = furnished();
    let machine = view.object::<Machine>(&id(1)).unwrap();
    let explained = param::explain(&view, Some(&machine));
    let show = |name: &str| {
        explained[name].iter().map(|found| format!("{} [{}]", found.value, found.origin)).collect::<Vec<_>>()
    };
    assert_eq!(show("own"), ["\"mine\" [machine]", "\"theirs\" [profile p1]"]);
    assert_eq!(
        show("deep"),
        ["{\"b\":2} [profile p1]", "{\"b\":3,\"c\":3} [profile p1 > p2]", "{\"a\":1} [profile global]"]
    );
    assert_eq!(show("staged"), ["\"in st\" [stage st]"]);
    assert_eq!(show("defaulted"), ["\"by default\" [default of the parameter]"]);
    assert_eq!(param::find(&view, None, "site").unwrap().origin.to_string(), "profile global");
    assert_eq!(param::find(&view, None, "own"), None);
}
