//! `gantry template render`: no server, files in, text out.

use std::path::Path;

use tempfile::TempDir;

use crate::program::{GANTRY, Ran, run};

/// Renders `main.tmpl` in a folder of files.
fn render(files: &[(&str, &str)], flags: &[&str]) -> Ran {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    files.iter().for_each(|(name, text)| std::fs::write(path(name), text).unwrap());
    let mut args = vec!["template".to_owned(), "render".to_owned(), path("main.tmpl")];
    args.extend(
        flags.iter().map(|flag| if files.iter().any(|f| f.0 == *flag) { path(flag) } else { (*flag).into() }),
    );
    run(Path::new(GANTRY), &args.iter().map(String::as_str).collect::<Vec<_>>(), &[])
}

#[test]
fn data_are_yaml_or_json_and_numbers_are_go_s_floats() {
    let main = (
        "main.tmpl",
        "{{ range .hosts }}{{ .name | upper }} {{ .mem }}\n{{ end }}{{ printf \"%T\" .count }}\n",
    );
    let yaml = render(
        &[main, ("d.yaml", "count: 1\nhosts:\n- {name: a, mem: 1500000}\n- name: b\n")],
        &["--data", "d.yaml"],
    );
    assert_eq!(
        (yaml.status, yaml.out.as_str(), yaml.err.as_str()),
        (0, "A 1.5e+06\nB <no value>\nfloat64\n", "")
    );
    let json = render(&[main, ("d.json", r#"{"count": 1, "hosts": []}"#)], &["--data", "d.json"]);
    assert_eq!(json.out, "float64\n");
}

#[test]
fn data_of_which_a_part_would_be_passed_over_are_refused() {
    for (data, words) in [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "d.yaml:4: the key `c` is there again; data are one document"),
        ("a: 1\n---\nb: 1\n", "d.yaml:2: a further document begins; data are one document"),
        ("{\"a\": 1,\n\"a\": 2}", "d.yaml:2: the key `a` is there again"),
    ] {
        let ran = render(&[("main.tmpl", "{{ .a }}"), ("d.yaml", data)], &["--data", "d.yaml"]);
        assert!(ran.status == 1 && ran.err.contains(words), "{data}: {}{}", ran.out, ran.err);
    }
    // What a merge brings is there to be overruled.
    let merged = "x: &x {a: 1}\n<<: *x\na: 2\n...\n";
    let ran = render(&[("main.tmpl", "{{ .a }}"), ("d.yaml", merged)], &["--data", "d.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "2"), "{}", ran.err);
}

#[test]
fn other_templates_can_be_called_and_an_error_follows_what_was_rendered() {
    let files =
        [("main.tmpl", "one\n{{ template \"lib.tmpl\" }}\n{{ .x.y }}"), ("lib.tmpl", "two"), ("d", "x: 5")];
    let ran = render(&files, &["--with", "lib.tmpl", "--data", "d"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, "one\ntwo\n"));
    let want = "Error: template: main.tmpl:3:5: executing \"main.tmpl\" at <.x.y>: can't evaluate field y in type interface {}\n";
    assert_eq!(ran.err, want);
}

#[test]
fn a_missing_key_is_what_was_asked_for() {
    let files = [("main.tmpl", "{{ .x }}"), ("d", "{}")];
    assert_eq!(render(&files, &["--data", "d"]).out, "<no value>");
    let strict = render(&files, &["--data", "d", "--missingkey", "error"]);
    assert!(strict.err.ends_with("map has no entry for key \"x\"\n"), "{}", strict.err);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ran = render(&[("main.tmpl", "x")], &["--data", "/nowhere/d.yaml"]);
    assert_eq!((ran.status, ran.err.contains("/nowhere/d.yaml")), (1, true), "{}", ran.err);
}
