//! Actions of jobs.

use gantry_boot::survey::World;
use gantry_boot::{Error, JobAction, Renderer};
use gantry_model::{Job, Kind, Machine, View};
use serde_json::{Value, json};

use crate::support::{furnished, host, id, machine, server, with};

fn actions(view: &View, task: &str, os: &str) -> Result<Vec<JobAction>, Error> {
    let job = Job {
        machine: id(1).parse().unwrap(),
        task: task.to_owned(),
        stage: "st".to_owned(),
        ..Job::default()
    };
    Renderer::new().job_actions(view, &job, os, &server(), &host())
}

fn house(task: Value) -> View {
    let mut machine = machine();
    machine["Params"]["pass"] = json!({"Key": "k", "Nonce": "n", "Payload": "p"});
    with(&furnished(), &[(Kind::Task, task), (Kind::Machine, machine)])
}

#[test]
fn scripts_and_files_are_rendered_in_order() {
    let view = house(json!({"Name": "tt", "Templates": [
        {"Name": "run", "Contents": "#!/bin/sh\necho {{.Task.Name}} {{.Stage.Name}} {{.Param \"staged\"}} {{.Env.Name}} {{.Param \"pass\"}}\n", "Meta": {"Interpreter": "sh"}},
        {"Name": "Install/config it", "Path": "/etc/{{.Machine.ShortName}}", "ID": "common.tmpl"},
    ]}));
    let expected = json!([
        {"Name": "run", "Path": "", "Content": format!("#!/bin/sh\necho tt st in st debian-12-install opened of machines/{}\n", id(1)), "Meta": {"Interpreter": "sh"}},
        {"Name": "common.tmpl", "Path": "/etc/rack7-u3", "Content": "common for rack7-u3", "Meta": {}},
    ]);
    assert_eq!(serde_json::to_value(actions(&view, "tt", "").unwrap()).unwrap(), expected);
}

#[test]
fn only_templates_for_the_asking_system_are_rendered() {
    let view = house(json!({"Name": "tt", "Templates": [
        {"Name": "unix", "Contents": "{{.Task.TargetOS}}", "Meta": {"OS": "linux, darwin"}},
        {"Name": "win", "Contents": "{{.Param \"only on windows\"}}", "Meta": {"OS": "windows"}},
        {"Name": "all", "Contents": "x", "Meta": {"OS": "any"}},
    ]}));
    let names = |os: &str| {
        actions(&view, "tt", os).map(|list| {
            list.iter().map(|a| format!("{}={}", a.name, a.content)).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(names("linux").unwrap(), "unix=linux all=x");
    assert_eq!(names("darwin").unwrap(), "unix=darwin all=x");
    assert!(matches!(names("windows"), Err(Error::Render(messages)) if messages.len() == 1));
    assert!(names("").is_err());
}

#[test]
fn a_check_renders_what_only_other_systems_get_too() {
    let view = house(json!({"Name": "tt", "Templates": [
        {"Name": "unix", "Contents": "{{.Task.TargetOS}}", "Meta": {"OS": "darwin,linux"}},
        {"Name": "esxi", "Contents": "{{.Nope}}", "Meta": {"OS": "esxi"}},
        {"Name": "win", "Contents": "{{.Task.TargetOS}}", "Meta": {"OS": "windows, esxi"}},
        {"Name": "none", "Contents": "{{.Nope}}", "Meta": {"OS": ""}},
    ]}));
    let record = view.record(Kind::Task, "tt").unwrap();
    let mut seen = Vec::new();
    let machine = view.object(&id(1)).unwrap();
    Renderer::new().survey_object(&view, record, &machine, &World::default(), &mut |render| {
        seen.push(match render.result {
            Ok(bytes) => format!("{}={}", render.template, String::from_utf8(bytes).unwrap()),
            Err(failure) => format!("{} fails in line {}", render.template, failure.line),
        });
    });
    assert_eq!(seen, ["unix=linux", "esxi fails in line 1", "win=windows"]);
}

#[test]
fn what_is_missing_is_named() {
    let view = house(json!({"Name": "tt", "RequiredParams": ["own", "defaulted", "undefaulted"]}));
    assert_eq!(
        actions(&view, "tt", ""),
        Err(Error::Required(vec!["Missing required parameter undefaulted for tasks tt".to_owned()]))
    );
    assert_eq!(actions(&view, "gone", ""), Err(Error::Missing("Task gone does not exist".to_owned())));
    let job = Job { machine: id(9).parse().unwrap(), task: "tt".to_owned(), ..Job::default() };
    assert_eq!(
        Renderer::new().job_actions(&view, &job, "", &server(), &host()),
        Err(Error::Missing(format!("Machine {} does not exist", id(9))))
    );
}

#[test]
fn a_job_sees_the_stage_that_it_was_made_in() {
    let mut moved = machine();
    moved["Stage"] = "none".into();
    let task = json!({"Name": "tt", "Templates": [{"Name": "x", "Contents": "{{.Param \"staged\"}}"}]});
    let view = with(&furnished(), &[(Kind::Machine, moved), (Kind::Task, task)]);
    assert_eq!(actions(&view, "tt", "").unwrap()[0].content, "in st");
    assert_eq!(view.object::<Machine>(&id(1)).unwrap().stage, "none");
}
