//! `server-flags.md`: what `gantry serve` can be told, and what it refuses.

use gantry_server::config::{self, Described};

use super::{code, table};

/// The page.
pub(crate) fn page() -> String {
    let (works, missing): (Vec<_>, Vec<_>) =
        config::described().partition(|row| matches!(row, Described::Works { .. }));
    let head = ["Flag", "Environment", "Default", "Meaning"];
    let refused = ["Flag", "Environment", "Instead"];
    format!(
        "# Flags of the server\n\n{INTRODUCTION}\n{}## What is refused\n\n{REFUSED}\n{}",
        table(&head, works.into_iter().map(row)),
        table(&refused, missing.into_iter().map(row)),
    )
}

const INTRODUCTION: &str = "\
`gantry serve` is told everything by flags and by environment variables; there is no configuration file. A flag wins over its variable.
Names are those of `dr-provision`, and `GANTRY_…` where that has none. Relative folders are joined to `--base-root`. Port 0 lets the system
choose; the line `ready …` on standard output names the ports.
";

const REFUSED: &str = "\
These flags and variables of `dr-provision` do nothing here. So that nobody relies on them, the server does not start when one is given,
and says what to use instead.
";

fn row(described: Described) -> Vec<String> {
    match described {
        Described::Works { flag, env, default, doc } => {
            vec![code(&format!("--{flag}")), code(env), code(default), doc.to_owned()]
        }
        Described::Refused { flag, env, instead } => {
            let flag = flag.map(|flag| code(&format!("--{flag}"))).unwrap_or_default();
            vec![flag, code(env), instead.to_owned()]
        }
    }
}
