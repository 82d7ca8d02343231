//! Limits: whatever a template says, its render ends with a clear error.

use gantry_template::{Error, ErrorKind, Host, Limits, NoHost, Set, Value};
use std::thread;
use std::time::Duration;

fn render_with(limits: &Limits, host: &dyn Host, text: &str) -> Result<usize, Error> {
    let mut set = Set::new();
    set.parse("main", text)?;
    let mut out = Vec::new();
    set.render("main", &Value::Nil, limits, host, &mut out)?;
    Ok(out.len())
}

#[track_caller]
fn check(limits: &Limits, text: &str, want: &str) {
    let error = render_with(limits, &NoHost::default(), text).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit, "{error}");
    assert!(error.message.ends_with(want), "{error}");
}

#[test]
fn endless_recursion_ends() {
    let limits = Limits { depth: 20, ..Limits::default() };
    check(
        &limits,
        "{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}",
        "exceeded maximum template depth (20)",
    );
}

#[test]
fn deep_recursion_meets_the_stack_limit_before_the_stack_ends() {
    let limits = Limits { depth: usize::MAX, stack: 256 << 10, ..Limits::default() };
    check(&limits, "{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}", "bytes of stack");
}

#[test]
fn endless_output_ends() {
    let limits = Limits { output: 1000, ..Limits::default() };
    check(&limits, "{{range until 1000000}}0123456789{{end}}", "exceeded the limit of 1000 bytes of output");
}

#[test]
fn endless_work_ends() {
    let limits = Limits { steps: 10_000, ..Limits::default() };
    check(&limits, "{{range 100000000000}}{{end}}", "exceeded the limit of 10000 steps");
}

#[test]
fn a_pattern_is_as_much_work_as_the_characters_that_it_names() {
    let limits = Limits { steps: 20_000, ..Limits::default() };
    let render = |text: &str| render_with(&limits, &NoHost::default(), text);
    assert_eq!(render(r#"{{range until 5}}{{mustRegexMatch `^\pL+\p{Greek}$` "aβ"}}{{end}}"#), Ok(20));
    let wanted = "exceeded the limit of 20000 steps";
    check(&limits, r#"{{mustRegexMatch (repeat 50 `\pL`) "x"}}"#, wanted);
    check(&limits, r#"{{range until 50}}{{mustRegexMatch `\pL` "x"}}{{end}}"#, wanted);
    check(&limits, &format!("{{{{mustRegexMatch (repeat 2 `(?i)[a-{}]`) `x`}}}}", char::MAX), wanted);
}

/// Where it is found only when all is compiled, minutes go by and hundreds of megabytes.
#[test]
fn a_pattern_of_too_many_characters_is_refused_before_it_is_compiled() {
    for pattern in [
        r"repeat 33333 `\pL`".to_owned(),
        r"repeat 10000 `\P{Greek}`".to_owned(),
        r"print `[` (repeat 33333 `\pN`) `]`".to_owned(),
        format!("print `(?i)` (repeat 10000 `[a-{}]`)", char::MAX),
        r"print `(?i)` (repeat 10000 `\P{Cs}`)".to_owned(),
    ] {
        let text = format!("{{{{mustRegexMatch ({pattern}) `x`}}}}");
        let error = render_with(&Limits::default(), &NoHost::default(), &text).unwrap_err();
        assert!(error.message.contains("error parsing regexp: expression too large: `"), "{pattern}");
    }
}

#[test]
fn huge_values_are_refused_before_they_are_made() {
    let limits = Limits { produced: 1 << 20, ..Limits::default() };
    for text in [
        "{{repeat 2000000000 \"x\"}}",
        "{{until 9000000000}}",
        "{{seq 9000000000}}",
        "{{indent 2000000000 \"x\"}}",
        "{{$x := \"0123456789\"}}{{range 100}}{{$x = cat $x $x}}{{end}}",
        "{{$x := list 1}}{{range 100}}{{$x = concat $x $x}}{{end}}",
        "{{$x := \"ab\"}}{{range 100}}{{$x = replace \"\" $x $x}}{{end}}",
        "{{range 100}}{{$_ := printf \"%1000000d\" 1}}{{end}}",
        "{{randAlpha 2000000000}}",
    ] {
        let error = render_with(&limits, &NoHost::default(), text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit, "{text}: {error}");
    }
}

#[test]
fn what_a_loop_lets_go_of_does_not_count() {
    for (text, want) in [
        ("{{$l := list}}{{range until 6000}}{{$l = append $l .}}{{end}}{{len $l}}", "6000"),
        (
            "{{$s := \"\"}}{{range until 10000}}{{$s = print $s \"sixteen bytes...\"}}{{end}}{{len $s}}",
            "160000",
        ),
        (
            "{{$s := \"\"}}{{range until 5000}}{{$s = printf \"%s\\n10.0.0.%d host%d\" $s . .}}{{end}}{{$s | splitList \"\\n\" | len}}",
            "5001",
        ),
        ("{{range until 2000}}{{$x := repeat 1000000 \"x\"}}{{end}}done", "done"),
    ] {
        assert_eq!(render_with(&Limits::default(), &NoHost::default(), text), Ok(want.len()), "{text}");
    }
}

#[test]
fn what_a_loop_holds_counts_however_it_is_held() {
    let limits = Limits { produced: 32 << 20, ..Limits::default() };
    for hold in [
        "repeat 100000 \"x\"",
        "until 10000",
        "append (until 10000) 1",
        "split \",\" (print (repeat 100000 \"x\") \",\" .)",
        "first (splitList \",\" (print (repeat 100000 \"x\") \",\" .))",
        "index (dict \"k\" (repeat 100000 \"x\")) \"k\"",
        "replace \"a\" (repeat 1000 \"x\") (repeat 1000 \"a\")",
        "deepCopy (until 10000)",
        "printf \"%3000d\" .",
    ] {
        let text =
            format!("{{{{$l := list}}}}{{{{range until 20000}}}}{{{{$l = append $l ({hold})}}}}{{{{end}}}}");
        let error = render_with(&limits, &NoHost::default(), &text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit, "{hold}: {error}");
        assert!(!error.message.ends_with("steps"), "{hold}: {error}");
    }
}

#[test]
fn a_map_that_contains_itself_prints_an_error() {
    for show in ["{{$d}}", "{{deepCopy $d}}", "{{deepEqual $d (dict \"d\" $d)}}{{printf \"%s\" $d}}"] {
        let text = format!("{{{{$d := dict}}}}{{{{$_ := set $d \"d\" $d}}}}{show}");
        let error = render_with(&Limits::default(), &NoHost::default(), &text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit, "{show}: {error}");
    }
}

#[test]
fn a_map_that_contains_itself_has_no_json() {
    let show = "{{$d := dict}}{{$_ := set $d \"d\" (list $d)}}<{{toJson $d}}>{{mustToJson $d}}";
    let render = move || {
        let limits = Limits { stack: 15 << 20, ..Limits::default() };
        render_with(&limits, &NoHost::default(), show).unwrap_err()
    };
    let error = thread::Builder::new().stack_size(16 << 20).spawn(render).unwrap().join().unwrap();
    let want =
        "error calling mustToJson: json: unsupported value: encountered a cycle via map[string]interface {}";
    assert!(error.message.ends_with(want), "{error}");
    assert_eq!(error.kind, ErrorKind::Exec);
}

#[test]
fn values_nest_as_deep_as_the_stack_allows() {
    let deep = |levels: usize, show: &str| {
        let text = format!("{{{{$x := 1}}}}{{{{range {levels}}}}}{{{{$x = list $x}}}}{{{{end}}}}{show}");
        render_with(&Limits::default(), &NoHost::default(), &text)
    };
    for show in ["{{$x}}", "{{toJson $x}}", "{{deepCopy $x | len}}", "{{deepEqual $x (list $x)}}"] {
        assert!(deep(300, show).is_ok(), "{show}");
        let error = deep(100_000, show).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit, "{show}: {error}");
    }
}

#[test]
fn what_nests_hundreds_of_thousands_deep_is_let_go_of() {
    for (levels, grow) in [
        (300_000, "$x = list $x"),
        (300_000, "$x = dict \"a\" $x"),
        (300_000, "$x = list (dict \"a\" $x)"),
        // So large that the render keeps account of each.
        (20_000, "$x = append $p $x"),
        (20_000, "$x = prepend $p $x"),
        (20_000, "$x = append $p (dict \"a\" $x)"),
    ] {
        let text = format!(
            "{{{{$x := 1}}}}{{{{$p := until 64}}}}{{{{range {levels}}}}}{{{{{grow}}}}}{{{{end}}}}done"
        );
        assert_eq!(render_with(&Limits::default(), &NoHost::default(), &text), Ok(4), "{grow}");
    }
}

#[derive(Debug)]
struct Late;

impl Host for Late {
    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
    fn now(&self) -> Duration {
        Duration::ZERO
    }
    fn expired(&self) -> bool {
        true
    }
}

#[test]
fn the_hosts_deadline_ends_a_render() {
    let error = render_with(&Limits::default(), &Late, "{{range 100000}}{{end}}").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.ends_with("exceeded the time limit"), "{error}");
}

#[test]
fn deeply_nested_templates_do_not_overflow_the_parser() {
    let nested = |n: usize, open: &str, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
    for text in [
        format!("{{{{{}}}}}", nested(100_000, "(", ")")),
        nested(100_000, "{{if 1}}", "{{end}}"),
        nested(100_000, "{{range 1}}", "{{end}}"),
        format!("{{{{if 1}}}}{}{{{{end}}}}", "{{else if 1}}".repeat(100_000)),
    ] {
        let error = Set::new().parse("main", &text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Parse);
        assert!(error.message.ends_with("max expression depth exceeded"), "{error}");
    }
}

#[test]
fn a_hundred_levels_are_fine() {
    let text = format!("{}x{}", "{{if true}}".repeat(40), "{{end}}".repeat(40));
    assert_eq!(render_with(&Limits::default(), &NoHost::default(), &text).unwrap(), 1);
    let text =
        "{{define \"r\"}}{{if gt . 0}}x{{template \"r\" (int (sub . 1))}}{{end}}{{end}}{{template \"r\" 50}}";
    assert_eq!(render_with(&Limits::default(), &NoHost::default(), text).unwrap(), 50);
}
