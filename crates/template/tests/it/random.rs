//! Functions whose result is no function of their input: only its shape can be checked.

use super::{check, render};
use gantry_template::{Host, NoHost, Set, Value};
use serde_json::Value as Json;
use std::time::Duration;

fn shown(text: &str) -> String {
    render(text, &Json::Null).unwrap()
}

#[test]
fn random_texts_have_their_length_and_alphabet() {
    for (name, fine) in [
        ("randAlpha", (|c: char| c.is_ascii_alphabetic()) as fn(char) -> bool),
        ("randNumeric", |c| c.is_ascii_digit()),
        ("randAlphaNum", |c| c.is_ascii_alphanumeric()),
        ("randAscii", |c| (' '..='~').contains(&c)),
    ] {
        let text = shown(&format!("{{{{{name} 200}}}}"));
        assert_eq!(text.len(), 200, "{name}");
        assert!(text.chars().all(fine), "{name}: {text}");
    }
    check("{{randAlpha 0}}{{randAlpha -3}}", "");
}

#[test]
fn uuids_are_of_version_four() {
    let text = shown("{{uuidv4}}");
    assert_eq!(text.len(), 36);
    assert_eq!(&text[14..15], "4");
    assert!("89ab".contains(&text[19..20]), "{text}");
    assert_ne!(text, shown("{{uuidv4}}{{uuidv4}}")[36..]);
}

#[test]
fn a_shuffle_keeps_the_characters() {
    let mut got: Vec<char> = shown("{{shuffle \"hello é\"}}").chars().collect();
    let mut want: Vec<char> = "hello é".chars().collect();
    got.sort_unstable();
    want.sort_unstable();
    assert_eq!(got, want);
}

#[test]
fn what_is_encrypted_can_be_decrypted() {
    for text in ["x", "exactly 16 bytes", "a longer text with é and\\nlines"] {
        check(
            &format!("{{{{ encryptAES \"key\" \"{text}\" | decryptAES \"key\" }}}}"),
            &text.replace("\\n", "\n"),
        );
    }
}

#[test]
fn htpasswd_lines_are_bcrypt() {
    let line = shown("{{htpasswd \"bob\" \"secret\"}}");
    assert!(line.starts_with("bob:$2a$10$"), "{line}");
    assert_eq!(line.len(), 64);
    check("{{htpasswd \"a:b\" \"x\"}}", "invalid username: a:b");
}

#[test]
#[cfg_attr(not(feature = "keys"), ignore = "built without the feature keys")]
fn elliptic_keys_are_pem() {
    let key = shown("{{genPrivateKey \"ecdsa\"}}");
    assert!(
        key.starts_with("-----BEGIN EC PRIVATE KEY-----\n")
            && key.ends_with("-----END EC PRIVATE KEY-----\n")
    );
    check("{{genPrivateKey \"x\"}}", "Unknown type x");
}

#[test]
#[cfg_attr(not(feature = "keys"), ignore = "built without the feature keys")]
fn certificates_are_signed_by_their_authority() {
    let text = "{{$ca := genCA \"my-ca\" 365}}{{$c := genSignedCert \"host\" (list \"10.0.0.1\") (list \"a.example\") 30 $ca}}{{$c.Cert}}{{$c.Key}}{{$ca.Cert}}{{$b := buildCustomCert (b64enc $ca.Cert) (b64enc $ca.Key)}}{{eq $b.Cert $ca.Cert}}";
    let shown = shown(text);
    assert_eq!(shown.matches("-----BEGIN CERTIFICATE-----").count(), 2);
    assert_eq!(shown.matches("-----BEGIN RSA PRIVATE KEY-----").count(), 1);
    assert!(shown.ends_with("true"));
}

#[test]
#[cfg_attr(not(feature = "keys"), ignore = "built without the feature keys")]
fn certificates_refuse_bad_names() {
    let error = render("{{genSelfSignedCert \"x\" (list \"nope\") nil 1}}", &Json::Null).unwrap_err();
    assert!(error.message.ends_with("error calling genSelfSignedCert: error parsing ip: nope"), "{error}");
    let error = render("{{genSelfSignedCert \"x\" (list 1) nil 1}}", &Json::Null).unwrap_err();
    assert!(error.message.ends_with("error parsing ip: 1 is not a string"), "{error}");
}

struct Clock;

impl Host for Clock {
    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(1);
    }
    fn now(&self) -> Duration {
        Duration::from_secs(1_589_673_600)
    }
    fn time_zone(&self) -> &str {
        "Europe/Berlin"
    }
    fn resolve(&self, name: &str) -> Vec<String> {
        if name == "known" { vec!["10.1.2.3".to_owned()] } else { Vec::new() }
    }
}

#[test]
fn clock_zone_and_names_come_from_the_host() {
    let mut set = Set::new();
    set.parse("main", "{{date \"2006-01-02 15:04 MST\" \"now\"}} {{getHostByName \"known\"}} {{toDate \"2006-01-02 15:04\" \"2020-07-01 12:00\"}}").unwrap();
    let shown = set.render_to_string("main", &Value::Nil, &Clock).unwrap();
    assert_eq!(shown, "2020-05-17 02:00 CEST 10.1.2.3 2020-07-01 12:00:00 +0200 CEST");
    set.parse("main", "{{getHostByName \"unknown\"}}").unwrap();
    assert!(set.render_to_string("main", &Value::Nil, &Clock).is_err());
    assert!(set.render_to_string("main", &Value::Nil, &NoHost::default()).is_err());
}
