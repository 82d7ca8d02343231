//! Hostile texts, as bounded property tests: garbage, and the recorded cases with damage. `make test-nightly` runs the same
//! bodies under cargo-fuzz.

mod bodies;

use proptest::prelude::*;
use std::sync::LazyLock;

const CASES: [&str; 3] = [
    include_str!("../../cases/language.txt"),
    include_str!("../../cases/printf.txt"),
    include_str!("../../cases/sprig.txt"),
];

static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let lines = CASES.iter().flat_map(|file| file.lines());
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.replace('⏎', "\n"))
        .collect()
});

/// What breaks templates best.
const JUNK: [&str; 24] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    "{{end}}",
    "{{else}}",
    "{{if .s}}",
    "{{range .l}}",
    "{{define \"d\"}}",
    "(",
    ")",
    "|",
    ".",
    "$",
    "$x",
    ":=",
    "\"",
    "`",
    "'",
    "/*",
    "*/",
    "\0",
    "é",
    "999999999999",
];

#[derive(Debug, Clone)]
enum Damage {
    Remove(f64, usize),
    Junk(f64, &'static str),
    Splice(f64, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0.0..1.0;
    prop_oneof![
        (place.clone(), 1_usize..6).prop_map(|(at, len)| Damage::Remove(at, len)),
        (place.clone(), prop::sample::select(JUNK.to_vec())).prop_map(|(at, junk)| Damage::Junk(at, junk)),
        (place, any::<usize>()).prop_map(|(at, other)| Damage::Splice(at, other)),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> String {
    let mut runes: Vec<char> = text.chars().collect();
    for damage in damages {
        let place = |at: f64| (at * runes.len() as f64) as usize;
        match *damage {
            Damage::Remove(at, len) => {
                let at = place(at);
                runes.drain(at..runes.len().min(at + len));
            }
            Damage::Junk(at, junk) => {
                let at = place(at);
                runes.splice(at..at, junk.chars());
            }
            Damage::Splice(at, other) => {
                let at = place(at);
                runes.splice(at..at, TEXTS[other % TEXTS.len()].chars());
            }
        }
    }
    runes.into_iter().collect()
}

#[test]
fn the_cases_themselves() {
    let data = serde_json::from_str(bodies::DATA).unwrap();
    assert!(TEXTS.len() > 300);
    for text in TEXTS.iter().filter(|text| !text.contains("gen")) {
        bodies::parse(text);
        bodies::render(text, &data);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_parses_or_is_refused(text in "(\\PC|[{}()|.$:=\"`' \n-])*") {
        bodies::parse(&text);
        bodies::parse(&format!("{{{{{text}}}}}"));
    }

    #[test]
    fn any_damaged_case_renders_or_fails(case in any::<usize>(), damages in prop::collection::vec(damage(), 1..8)) {
        let text = damaged(&TEXTS[case % TEXTS.len()], &damages);
        let data = serde_json::from_str(bodies::DATA).unwrap();
        bodies::parse(&text);
        bodies::render(&text, &data);
    }
}

/// Where a value lies in memory would differ from run to run, and is not for whoever reads what was rendered.
#[test]
fn addresses_are_not_told() {
    let data = &serde_json::from_str(bodies::DATA).expect("the data is a constant");
    for text in
        ["{{printf \"%p+v|%#v|% v\" .l .0 .l}}", "{{printf \"%p %p\" .l .m}}", "{{printf \"%d\" .upper}}"]
    {
        bodies::render(text, data);
    }
}
