//! Key and token of this machine, fetched from the file that `gantry.config=` on the kernel command line names.
//!
//! The command line itself must not carry a token: the kernel logs it and every process can read it. The file is JSON
//! with the fields `Uuid` and `Token`. That of a known machine is for the machine alone, which the server judges by
//! the asker's address. Where it says no, the file `gantry.json` at the top of the same server serves instead: it has
//! the token for unknown machines, with which the server recognises us by our hardware. A server that is busy or broken
//! has not said no: it is asked again.

use super::{Config, say};
use crate::http::{self, Fault};
use crate::secret::Secret;
use crate::session::Reply;
use crate::wire::Refusal;
use serde::Deserialize;

/// The file for machines that the server does not know.
const UNKNOWN: &str = "/gantry.json";
/// The file is small; more than this is something else, bytes.
const LIMIT: u64 = 64 << 10;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Credentials {
    uuid: String,
    token: Secret,
}

/// Fetches the file, or the one for unknown machines if this one is refused.
pub(super) fn fetch(config: &Config) -> Result<Reply, Fault> {
    let url = &config.credentials;
    let pin = config.endpoint.pin;
    match read(url, pin) {
        Err(Fault::Refused(refusal)) if !is_answer(&refusal) => {
            Err(Fault::Transport(format!("{url}: {refusal}")))
        }
        Err(Fault::Refused(refusal)) => {
            let other = format!("{}{UNKNOWN}", http::origin(url));
            if *url == other {
                return Err(Fault::Refused(refusal));
            }
            say(&format!("{url}: {refusal}; asking as an unknown machine"));
            read(&other, pin)
        }
        other => other,
    }
}

/// True when the server has judged the request. Files that refuse to be rendered for us are a 500 with these words, too;
/// other errors of its own, and "too many requests", pass.
fn is_answer(refusal: &Refusal) -> bool {
    let renders = |text: &String| text.contains("cannot be rendered");
    match refusal.code {
        429 => false,
        500 => refusal.messages.iter().any(renders),
        code => code < 500,
    }
}

fn read(url: &str, pin: Option<[u8; 32]>) -> Result<Reply, Fault> {
    let bytes = http::fetch(url, pin, LIMIT)?;
    parse(&bytes).map_err(|text| Fault::Nonsense(format!("{url}: {text}")))
}

fn parse(bytes: &[u8]) -> Result<Reply, String> {
    let found: Credentials =
        serde_json::from_slice(bytes).map_err(|error| format!("want JSON with Uuid and Token: {error}"))?;
    if found.token.is_empty() {
        return Err("Token is empty".into());
    }
    Ok(Reply::Credentials { uuid: found.uuid.to_lowercase(), token: found.token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_in_trouble_has_not_refused() {
        let is_answer = |code: u16, body: &str| is_answer(&Refusal::parse(code, body.as_bytes()));
        assert!(is_answer(500, "this file cannot be rendered\n"));
        assert!(is_answer(404, "") && is_answer(403, ""));
        for (code, body) in [(500, "incident 7"), (503, "busy"), (502, ""), (429, "")] {
            assert!(!is_answer(code, body), "{code} {body}");
        }
    }

    #[test]
    fn the_file_has_a_token_and_perhaps_a_key() {
        let reply = |uuid: &str| Reply::Credentials { uuid: uuid.into(), token: Secret::new("t") };
        assert_eq!(parse(br#"{"Uuid":"AB","Token":"t","More":1}"#), Ok(reply("ab")));
        assert_eq!(parse(br#"{"Token":"t"}"#), Ok(reply("")));
        assert!(parse(br#"{"Uuid":"AB"}"#).is_err_and(|text| text.contains("Token is empty")));
        assert!(parse(b"<html>").is_err_and(|text| text.contains("want JSON")));
    }
}
