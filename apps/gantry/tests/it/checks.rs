//! What a check of a content pack tells, and what an upload and a bundle say of the same.

use std::path::Path;

use crate::packs::write;
use crate::program::{GANTRY, Serving, run};

/// A file that cannot be read hides nothing of the others, and one fault of an object not the next.
#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    let broken = "Templates:\n- Name: a\n  Contents: \"{{ if }}\"\n- Name: b\n  ID: nope.tmpl\n";
    let files = [
        ("meta.yaml", "Name: bad\n"),
        ("tasks/unread.yaml", "Name: [open\n"),
        ("tasks/t1.yaml", &format!("Name: t1\n{broken}")),
        ("tasks/t2.yaml", "Name: t2\nPrerequisites: 5\n"),
        ("profiles/p.yaml", "Name: pp\nParams:\n  hostname: [1]\n  users/account: []\n"),
    ];
    write(folder.path(), &files);
    let unread = "bad/tasks/unread.yaml:1: unclosed bracket '['";
    let parse = "bad/tasks/t1.yaml:5: tasks/t1: Templates/0/Contents: Error parsing inline templates: template: inline:t1:1: missing value for if";
    let number = "bad/tasks/t2.yaml:2: tasks/t2: Prerequisites: must be a list, not 5";
    let value = "bad/profiles/p.yaml:3: profiles/pp: Params/hostname: does not suit its parameter: (root): Invalid type. Expected: string, given: array";
    let name = "Params/users~1account: no parameter of this name is defined; did you mean `users/accounts`?";
    let check = || run(Path::new(GANTRY), &["content", "check", at], &[]).out;
    let out = check();
    assert!([unread, parse, number, value, name].iter().all(|line| out.contains(line)), "{out}");
    // Whether the other file has the template is not known.
    assert!(out.contains(" 5 problems") && !out.contains("nope.tmpl"), "{out}");
    let refused = Serving::start().ask(&["content", "upload", at]);
    assert!(
        refused.err.contains("nothing was uploaded")
            && [unread, parse, number].iter().all(|line| refused.err.contains(line)),
        "{}",
        refused.err
    );
    std::fs::remove_file(folder.path().join("tasks/unread.yaml")).unwrap();
    std::fs::remove_file(folder.path().join("tasks/t2.yaml")).unwrap();
    let out = check();
    let missing = "Templates/1: Templates[1]: No common template for nope.tmpl";
    assert!([parse, value, name, missing].iter().all(|line| out.contains(line)), "{out}");
    assert!(out.contains(" 4 problems"), "{out}");
}

/// Content reads parameters that nobody defines, on purpose or by a slip: that is told, and is no fault.
#[test]
fn parameters_that_nobody_defines_are_noted_with_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    let script = "{{ .Param \"two/greting\" }} {{ .Param \"two/set\" }} {{ .Param (printf \"%s/x\" (.Param \"two/greeting\")) }}\n      {{ if .ParamExists \"two/asked\" }}{{ .Param \"two/asked\" }}{{ end }}";
    let task = |name: &str, lists: &str| {
        format!("Name: {name}\n{lists}Templates:\n  - Name: t\n    Contents: |\n      {script}\n")
    };
    write(
        folder.path(),
        &[
            ("meta.yaml", "Name: two\n"),
            ("params/g.yaml", "Name: two/greeting\nSchema: {type: string}\n"),
            ("profiles/p.yaml", "Name: pp\nParams: {two/set: 1}\n"),
            (
                "tasks/a.yaml",
                &task("aa", "RequiredParams: [two/nope, two/greeting]\nOptionalParams: [two/gone]\n"),
            ),
            ("tasks/b.yaml", &task("bb", "OptionalParams: [two/gone]\n")),
        ],
    );
    let at = folder.path().to_str().unwrap();
    let ran = run(Path::new(GANTRY), &["content", "check", at], &[]);
    let notes: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("note: ")).collect();
    assert_eq!(
        notes,
        [
            "note: two/tasks/a.yaml:2: tasks/aa: RequiredParams/0: nobody defines the parameter two/nope",
            "note: two/tasks/a.yaml:3: tasks/aa: OptionalParams/0: nobody defines the parameter two/gone (and 1 more)",
            "note: two: tasks/aa: t:1:3: nobody defines the parameter two/greting; did you mean `two/greeting`? (and 1 more)",
        ],
        "{}",
        ran.out
    );
    assert_eq!((ran.status, ran.out.contains(" 0 problems")), (0, true), "{}", ran.out);
}

/// Digital Rebar lets the later one count, and packs rely on it.
#[test]
fn of_two_files_with_one_key_the_one_that_is_passed_over_is_told() {
    let (server, folder) = (Serving::start(), tempfile::tempdir().unwrap());
    let pack = folder.path().join("p");
    write(
        &pack,
        &[
            ("meta.yaml", "Name: twice\n"),
            ("tasks/t2.yaml", "Name: t2\nDescription: first\n"),
            ("tasks/t3.yaml", "Name: t2\nDescription: second\n"),
        ],
    );
    let at = pack.to_str().unwrap();
    let line = "twice/tasks/t3.yaml: tasks/t2: tasks/t2.yaml has the same key and is passed over";
    let check = run(Path::new(GANTRY), &["content", "check", at], &[]);
    assert!(check.status == 1 && check.out.contains(line), "{}", check.out);
    let bundle = folder.path().join("b.yaml");
    let bundled = run(Path::new(GANTRY), &["content", "bundle", at, bundle.to_str().unwrap()], &[]);
    assert!(bundled.status == 0 && bundled.err.contains(line), "{}", bundled.err);
    let uploaded = server.ask(&["content", "upload", at]);
    assert!(uploaded.status == 0 && uploaded.err.contains(line), "{}", uploaded.err);
    assert!(server.tell(&["tasks", "show", "t2"]).contains("second"));
}

#[test]
fn a_preview_of_a_file_with_one_object_says_what_it_misses() {
    let (server, folder) = (Serving::start(), tempfile::tempdir().unwrap());
    write(folder.path(), &[("north.yaml", "Name: north\nParams: {}\n")]);
    let file = folder.path().join("north.yaml");
    let file = file.to_str().unwrap();
    let refused = server.ask(&["content", "preview", file]);
    assert!(
        refused.err.contains("a bundle is a map with `meta` and `sections`")
            && refused.err.contains("hint: for a file of one object add what it is: `--kind profiles`"),
        "{}",
        refused.err
    );
    let preview = server.tell(&["content", "preview", file, "--kind", "profiles"]);
    assert!(preview.contains("0 machines looked at"), "{preview}");
}
