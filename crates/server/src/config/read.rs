//! From what was given to a [`Config`], or to all that is wrong with it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::flags::{FLAGS, Flag, MISSING_VARIABLES, PREFERENCES, Takes};
use super::{Config, Curve, Pair, Ports, Services};

/// Reads what [`super::command`] matched, with `env` for what is not on the command line.
///
/// # Errors
/// Every problem, one line each: a value that cannot be used, a function that is not there yet.
pub fn read(matches: &ArgMatches, env: impl Fn(&str) -> Option<String>) -> Result<Config, String> {
    let given = Given { matches, env: &env, problems: Vec::new().into() };
    let config = given.config();
    let problems = given.problems.into_inner();
    if problems.is_empty() { Ok(config) } else { Err(problems.join("\n")) }
}

struct Given<'a> {
    matches: &'a ArgMatches,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: std::cell::RefCell<Vec<String>>,
}

impl Given<'_> {
    fn config(&self) -> Config {
        self.refuse_missing();
        let base = PathBuf::from(self.text("base-root"));
        let base = std::path::absolute(&base).unwrap_or(base);
        let below = |name: &str| base.join(self.text(name));
        let pair = |cert: &str, key: &str| Pair { cert: below(cert), key: below(key) };
        let dhcp = !self.switch("disable-dhcp");
        Config {
            data_root: self.data_root(&base),
            file_root: below("file-root"),
            replace_root: below("replace-root"),
            log_root: below("log-root"),
            trace_root: base.join("traces"),
            content: self.list("content").into_iter().map(PathBuf::from).collect(),
            listen: self.parse("listen", "an IP address").unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            ports: self.ports(),
            services: Services {
                tftp: !self.switch("disable-tftp"),
                files: !self.switch("disable-provisioner"),
                dhcp,
                binl: dhcp && !self.switch("disable-pxe"),
            },
            probe: !self.switch("fake-pinger"),
            static_ip: self.parse("static-ip", "an IPv4 address"),
            force_static: self.switch("force-static"),
            dhcp_interfaces: self.list("dhcp-ifs"),
            router_advertisement: self.switch("router-advertisement"),
            tls: pair("tls-cert", "tls-key"),
            static_tls: (!self.text("static-tls-cert").is_empty())
                .then(|| pair("static-tls-cert", "static-tls-key")),
            curve: self.curve(),
            id: self.text("drp-id"),
            ha_id: self.text("ha-id"),
            ui_url: self.text("ui-url"),
            preferences: self.preferences(),
            log_level: self.level(),
            base_root: base,
        }
    }

    fn refuse_missing(&self) {
        for flag in FLAGS {
            let Takes::Missing(instead) = flag.takes else { continue };
            if self.matches.contains_id(flag.name) {
                self.problem(format!("--{} is not there: {instead}", flag.name));
            }
            if (self.env)(flag.env).is_some() {
                self.problem(format!("{} is not there: {instead}", flag.env));
            }
        }
        for (name, instead) in MISSING_VARIABLES {
            if (self.env)(name).is_some() {
                self.problem(format!("{name} is not there: {instead}"));
            }
        }
    }

    fn data_root(&self, base: &Path) -> Option<PathBuf> {
        let backend = self.text("backend");
        let (word, place) = backend.split_once(':').unwrap_or((&backend, ""));
        match (word, place.trim_matches('/')) {
            ("memory", "") => return None,
            ("file", "") => {}
            ("file" | "memory", place) => self.problem(format!(
                "--backend is `{backend}`; it must be `file` or `memory` without `{place}`: objects are kept below --data-root"
            )),
            _ => self.problem(format!("--backend is `{backend}`; it must be `file` or `memory`")),
        }
        Some(base.join(self.text("data-root")))
    }

    fn ports(&self) -> Ports {
        let port = |name| self.parse(name, "a port number from 0 to 65535").unwrap_or_default();
        Ports {
            api: port("api-port"),
            files: port("static-port"),
            secure_files: port("static-secure-port"),
            tftp: port("tftp-port"),
            dhcp: port("dhcp-port"),
            binl: port("binl-port"),
            metrics: port("metrics-port"),
        }
    }

    fn level(&self) -> String {
        const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "fatal", "panic", "audit"];
        let level = self.text("log-level");
        if !LEVELS.contains(&level.as_str()) {
            self.problem(format!("--log-level is `{level}`; it must be trace, debug, info, warn or error"));
        }
        level
    }

    fn curve(&self) -> Curve {
        match self.text("cert-type").as_str() {
            "P384" => return Curve::P384,
            "P256" => {}
            other => self.problem(format!("--cert-type is `{other}`; it must be P256 or P384")),
        }
        Curve::P256
    }

    fn preferences(&self) -> BTreeMap<&'static str, String> {
        let given =
            PREFERENCES.iter().filter_map(|(flag, preference)| Some((*preference, self.given(flag)?)));
        given.filter(|(_, value)| !value.is_empty()).collect()
    }

    fn text(&self, name: &str) -> String {
        self.given(name).unwrap_or_else(|| match self.flag(name).takes {
            Takes::Value(default) => default.to_owned(),
            _ => String::new(),
        })
    }

    fn given(&self, name: &str) -> Option<String> {
        self.matches.get_one::<String>(name).cloned().or_else(|| (self.env)(self.flag(name).env))
    }

    fn list(&self, name: &str) -> Vec<String> {
        let flags: Vec<String> = self.matches.get_many(name).into_iter().flatten().cloned().collect();
        let given = if flags.is_empty() { Vec::from_iter((self.env)(self.flag(name).env)) } else { flags };
        let words = given.iter().flat_map(|list| list.split(',')).map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn switch(&self, name: &str) -> bool {
        if self.matches.get_flag(name) {
            return true;
        }
        let variable = self.flag(name).env;
        match (self.env)(variable).as_deref() {
            None | Some("" | "0" | "false") => false,
            Some("1" | "true") => true,
            Some(other) => {
                self.problem(format!("{variable} is `{other}`; it must be true or false"));
                false
            }
        }
    }

    fn parse<T: std::str::FromStr>(&self, name: &str, right: &str) -> Option<T> {
        let text = self.text(name);
        if text.is_empty() {
            return None;
        }
        text.parse().map_err(|_| self.problem(format!("--{name} is `{text}`; it must be {right}"))).ok()
    }

    fn flag(&self, name: &str) -> &'static Flag {
        #[expect(
            clippy::expect_used,
            reason = "names are literals of this module, and a test reads every one"
        )]
        FLAGS.iter().find(|flag| flag.name == name).expect("the flag is in the table")
    }

    fn problem(&self, text: String) {
        self.problems.borrow_mut().push(text);
    }
}
