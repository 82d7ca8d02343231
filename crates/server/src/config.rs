//! What the operator asked for: flags and environment, and nothing else (there is no configuration file).
//!
//! Names are those of `dr-provision` (reference: network.md §3.1); every flag has an environment variable and wins over it.
//! A flag whose function does not exist here is not swallowed: giving it is an error that says what to use instead.
//! This file and the program's `main` are the only ones that read flags and environment.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};

/// Everything that the server is told at its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folder of everything that this server keeps; relative folders below are joined to it.
    pub base_root: PathBuf,
    /// Where the object store lies, or None to keep objects in memory (`--backend memory`).
    pub data_root: Option<PathBuf>,
    /// Root of the file tree that machines see.
    pub file_root: PathBuf,
    /// Files here are served in place of those under `file_root`.
    pub replace_root: PathBuf,
    /// Job logs.
    pub log_root: PathBuf,
    /// Boot traces.
    pub trace_root: PathBuf,
    /// Folders with content packs to load at start.
    pub content: Vec<PathBuf>,
    /// Address that the TCP servers listen on.
    pub listen: IpAddr,
    /// Ports; 0 lets the system choose.
    pub ports: Ports,
    /// Which services run.
    pub services: Services,
    /// Address to advertise when the client's connection does not tell.
    pub static_ip: Option<Ipv4Addr>,
    /// Advertise `static_ip` always.
    pub force_static: bool,
    /// Interfaces that DHCP answers on; empty for all.
    pub dhcp_interfaces: Vec<String>,
    /// Advertise no router by IPv6 (lifetime 0), so that iPXE does not wait for one.
    pub router_advertisement: bool,
    /// Certificate and key of the API, PEM.
    pub tls: Pair,
    /// Certificate and key of files over HTTPS, PEM.
    pub static_tls: Option<Pair>,
    /// Curve of certificates made here.
    pub curve: Curve,
    /// Name of this server; empty: the MAC of its first interface.
    pub id: String,
    /// Name of the cluster; empty: the same as `id`.
    pub ha_id: String,
    /// Where `/ui` leads.
    pub ui_url: String,
    /// Preferences to set when they have no value yet.
    pub preferences: BTreeMap<&'static str, String>,
    /// Level of the server's own log lines.
    pub log_level: String,
}

/// TCP and UDP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the services")]
pub struct Ports {
    pub api: u16,
    pub files: u16,
    pub secure_files: u16,
    pub tftp: u16,
    pub dhcp: u16,
    pub binl: u16,
    pub metrics: u16,
}

/// Which services run beside the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the services")]
pub struct Services {
    pub tftp: bool,
    pub files: bool,
    pub dhcp: bool,
    pub binl: bool,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// Curves of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "standard names")]
pub enum Curve {
    P256,
    P384,
}

/// One flag.
struct Flag {
    name: &'static str,
    env: &'static str,
    takes: Takes,
    doc: &'static str,
}

enum Takes {
    /// A value, with its default; an empty default means none.
    Value(&'static str),
    /// Values, comma separated or the flag repeated.
    Values,
    /// Nothing: present or not.
    Switch,
    /// Not there yet. The text says what to use.
    Missing(&'static str),
}

use Takes::{Missing, Switch, Value, Values};

const fn flag(name: &'static str, env: &'static str, takes: Takes, doc: &'static str) -> Flag {
    Flag { name, env, takes, doc }
}

const ONE_STORE: &str =
    "objects live in one file below --data-root; leave the flag out, or use --backend memory";
const CONTENT: &str = "use --content DIR for packs on disk, or upload them with `gantry contents upload`";
const CLUSTER: &str = "this server stands alone; leave the flag out";
const PUSH: &str = "let Prometheus read `http://SERVER:8080/metrics` (--metrics-port)";

/// Every flag, in the order of the help text.
#[rustfmt::skip]
static FLAGS: &[Flag] = &[
    flag("base-root", "RS_BASE_ROOT", Value("/var/lib/dr-provision"), "Folder of everything that the server keeps; relative folders are joined to it"),
    flag("data-root", "RS_DATA_ROOT", Value("digitalrebar"), "Folder of the object store"),
    flag("file-root", "RS_FILE_ROOT", Value("tftpboot"), "Root of the files that machines see"),
    flag("replace-root", "RS_REPLACE_ROOT", Value("replace"), "Files here are served in place of those below --file-root"),
    flag("log-root", "RS_LOG_ROOT", Value("job-logs"), "Folder of job logs"),
    flag("backend", "RS_BACKEND_TYPE", Value("file"), "`file`: one file below --data-root; `memory`: nothing is kept"),
    flag("content", "GANTRY_CONTENT", Values, "Folder with a content pack, or with folders of them, to load at start"),
    flag("listen", "GANTRY_LISTEN", Value("0.0.0.0"), "Address that the TCP servers listen on"),
    flag("api-port", "RS_API_PORT", Value("8092"), "TCP port of the API"),
    flag("static-port", "RS_STATIC_PORT", Value("8091"), "TCP port of files over HTTP"),
    flag("static-secure-port", "RS_STATIC_SECURE_PORT", Value("8090"), "TCP port of files over HTTPS"),
    flag("tftp-port", "RS_TFTP_PORT", Value("69"), "UDP port of TFTP"),
    flag("dhcp-port", "RS_DHCP_PORT", Value("67"), "UDP port of DHCP"),
    flag("binl-port", "RS_BINL_PORT", Value("4011"), "UDP port of boot-server discovery"),
    flag("metrics-port", "RS_METRICS_PORT", Value("8080"), "TCP port of metrics"),
    flag("disable-tftp", "RS_DISABLE_TFTP_SERVER", Switch, "Serve no TFTP"),
    flag("disable-provisioner", "RS_DISABLE_PROVISIONER", Switch, "Serve no files over HTTP and HTTPS"),
    flag("disable-dhcp", "RS_DISABLE_DHCP", Switch, "Serve no DHCP and no boot-server discovery"),
    flag("disable-pxe", "RS_DISABLE_BINL", Switch, "Serve no boot-server discovery"),
    flag("static-ip", "RS_STATIC_IP", Value(""), "Address to advertise when the client's connection does not tell"),
    flag("force-static", "RS_FORCE_STATIC", Switch, "Advertise --static-ip always"),
    flag("dhcp-ifs", "RS_DHCP_INTERFACES", Values, "Interfaces that DHCP answers on; none given means all"),
    flag("router-advertisement", "GANTRY_ROUTER_ADVERTISEMENT", Switch, "Tell each subnet by IPv6 that there is no router, so that iPXE does not wait for one"),
    flag("tls-cert", "RS_TLS_CERT_FILE", Value("server.crt"), "Certificate of the API, PEM; made at the first start"),
    flag("tls-key", "RS_TLS_KEY_FILE", Value("server.key"), "Key of the API, PEM; made at the first start"),
    flag("static-tls-cert", "RS_STATIC_TLS_CERT_FILE", Value(""), "Certificate of files over HTTPS; that of the API when not given"),
    flag("static-tls-key", "RS_STATIC_TLS_KEY_FILE", Value(""), "Key of files over HTTPS; that of the API when not given"),
    flag("cert-type", "RS_CURVE_OR_BITS", Value("P384"), "Curve of certificates made here: P256 or P384"),
    flag("drp-id", "RS_DRP_ID", Value(""), "Name of this server; its first interface's MAC when not given"),
    flag("ha-id", "RS_HA_ID", Value(""), "Name of the cluster; that of the server when not given"),
    flag("ui-url", "RS_UI_URL", Value(""), "Where /ui leads; the server's own pages when not given"),
    flag("default-stage", "RS_DEFAULT_STAGE", Value(""), "First value of preference defaultStage"),
    flag("default-boot-env", "RS_DEFAULT_BOOTENV", Value(""), "First value of preference defaultBootEnv"),
    flag("unknown-boot-env", "RS_UNKNOWN_BOOTENV", Value(""), "First value of preference unknownBootEnv"),
    flag("unknown-token-timeout", "RS_UNKNOWN_TOKEN_TIMEOUT", Value(""), "First value of preference unknownTokenTimeout, in seconds"),
    flag("known-token-timeout", "RS_KNOWN_TOKEN_TIMEOUT", Value(""), "First value of preference knownTokenTimeout, in seconds"),
    flag("base-token-secret", "RS_BASE_TOKEN_SECRET", Value(""), "First value of preference baseTokenSecret: 32 characters"),
    flag("system-grantor-secret", "RS_SYSTEM_GRANTOR_SECRET", Value(""), "First value of preference systemGrantorSecret"),
    flag("debug-bootenv", "RS_DEBUG_BOOTENV", Value(""), "First value of preference debugBootEnv"),
    flag("debug-dhcp", "RS_DEBUG_DHCP", Value(""), "First value of preference debugDhcp"),
    flag("debug-renderer", "RS_DEBUG_RENDERER", Value(""), "First value of preference debugRenderer"),
    flag("debug-frontend", "RS_DEBUG_FRONTEND", Value(""), "First value of preference debugFrontend"),
    flag("debug-plugins", "RS_DEBUG_PLUGINS", Value(""), "First value of preference debugPlugins"),
    flag("log-level", "RS_DEFAULT_LOG_LEVEL", Value("warn"), "Level of log lines: trace, debug, info, warn, error"),

    flag("secrets", "RS_SECRETS_TYPE", Missing(ONE_STORE), ""),
    flag("secrets-root", "RS_SECRETS_ROOT", Missing(ONE_STORE), ""),
    flag("local-content", "RS_LOCAL_CONTENT", Missing(CONTENT), ""),
    flag("default-content", "RS_DEFAULT_CONTENT", Missing(CONTENT), ""),
    flag("saas-content-root", "RS_SAAS_CONTENT_ROOT", Missing(CONTENT), ""),
    flag("plugin-root", "RS_PLUGIN_ROOT", Missing("plugins are not there yet; leave the flag out"), ""),
    flag("plugin-comm-root", "RS_PLUGIN_COMM_ROOT", Missing("plugins are not there yet; leave the flag out"), ""),
    flag("local-ui", "RS_LOCAL_UI", Missing("put the files of a user interface below --file-root/files/ux"), ""),
    flag("use-old-ciphers", "RS_USE_OLD_CIPHERS", Missing("TLS 1.2 and 1.3 with current ciphers are served; leave the flag out"), ""),
    flag("tls-min-version", "RS_TLS_MIN_VERSION", Missing("TLS 1.2 and 1.3 are served; leave the flag out"), ""),
    flag("tls-cipher-list", "RS_TLS_CIPHER_LIST", Missing("current ciphers are served; leave the flag out"), ""),
    flag("tls-ciphers-available", "RS_TLS_CIPHERS_AVAILABLE", Missing("current ciphers are served; leave the flag out"), ""),
    flag("ha-enabled", "RS_HA_ENABLED", Missing(CLUSTER), ""),
    flag("ha-address", "RS_HA_ADDRESS", Missing(CLUSTER), ""),
    flag("ha-interface", "RS_HA_INTERFACE", Missing(CLUSTER), ""),
    flag("ha-passive", "RS_HA_PASSIVE", Missing(CLUSTER), ""),
    flag("ha-token", "RS_HA_TOKEN", Missing(CLUSTER), ""),
    flag("ha-join", "RS_HA_JOIN", Missing(CLUSTER), ""),
    flag("ha-interface-script", "RS_HA_INTERFACE_SCRIPT", Missing(CLUSTER), ""),
    flag("ha-consensus-addr", "RS_HA_CONSENSUS_ADDR", Missing(CLUSTER), ""),
    flag("ha-load-balanced", "RS_HA_LOAD_BALANCED", Missing(CLUSTER), ""),
    flag("prometheus-gateway-url", "RS_PROM_GW_URL", Missing(PUSH), ""),
    flag("prometheus-interval", "RS_PROM_INTERVAL", Missing(PUSH), ""),
    flag("cleanup", "RS_CLEANUP_CORRUPT", Missing("the store checks itself when it opens; leave the flag out"), ""),
    flag("fake-pinger", "RS_FAKE_PINGER", Missing("set preference or subnet pickers instead; leave the flag out"), ""),
    flag("no-watcher", "RS_NO_WATCHER", Missing("the server does not watch its own file; leave the flag out"), ""),
];

/// Environment variables without a flag whose function is not there yet.
static MISSING_VARIABLES: &[(&str, &str)] = &[
    ("RS_EXIT_ON_CHANGE", "the server does not watch its own file; unset it"),
    ("RS_CREATE_SELF", "create the machine with `gantry machines create`; unset it"),
    ("RS_START_RUNNER", "run gantry-agent as a service; unset it"),
];

/// Preferences that a flag may set at the first start.
static PREFERENCES: &[(&str, &str)] = &[
    ("default-stage", "defaultStage"),
    ("default-boot-env", "defaultBootEnv"),
    ("unknown-boot-env", "unknownBootEnv"),
    ("unknown-token-timeout", "unknownTokenTimeout"),
    ("known-token-timeout", "knownTokenTimeout"),
    ("base-token-secret", "baseTokenSecret"),
    ("system-grantor-secret", "systemGrantorSecret"),
    ("debug-bootenv", "debugBootEnv"),
    ("debug-dhcp", "debugDhcp"),
    ("debug-renderer", "debugRenderer"),
    ("debug-frontend", "debugFrontend"),
    ("debug-plugins", "debugPlugins"),
    ("log-level", "logLevel"),
];

/// The command with all flags, for help and completion.
pub fn command(name: &'static str) -> Command {
    let args = FLAGS.iter().map(|flag| {
        let arg = Arg::new(flag.name).long(flag.name);
        match flag.takes {
            Switch => arg.action(ArgAction::SetTrue).help(help(flag)),
            Value(_) => arg.num_args(1).help(help(flag)),
            Values => arg.num_args(1).action(ArgAction::Append).help(help(flag)),
            Missing(_) => arg.num_args(0..=1).action(ArgAction::Append).hide(true),
        }
    });
    Command::new(name).about("Run the server: DHCP, TFTP, files and the API").args(args)
}

/// What can be given to the server, for the reference page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Described {
    /// A flag and its variable.
    Works {
        /// Without its dashes.
        flag: &'static str,
        /// The environment variable.
        env: &'static str,
        /// The value when none is given; empty for none.
        default: &'static str,
        /// What it is for.
        doc: &'static str,
    },
    /// A flag or variable that the server refuses to start with.
    Refused {
        /// Without its dashes; none for what is a variable alone.
        flag: Option<&'static str>,
        /// The environment variable.
        env: &'static str,
        /// What to use.
        instead: &'static str,
    },
}

/// Every flag and variable in the order of the help text, then those that are refused.
pub fn described() -> impl Iterator<Item = Described> {
    let flags = FLAGS.iter().map(|flag| match flag.takes {
        Missing(instead) => Described::Refused { flag: Some(flag.name), env: flag.env, instead },
        Value(default) => Described::Works { flag: flag.name, env: flag.env, default, doc: flag.doc },
        Switch | Values => Described::Works { flag: flag.name, env: flag.env, default: "", doc: flag.doc },
    });
    flags.chain(MISSING_VARIABLES.iter().map(|(env, instead)| Described::Refused {
        flag: None,
        env,
        instead,
    }))
}

fn help(flag: &Flag) -> String {
    match flag.takes {
        Value(default) if !default.is_empty() => format!("{} [{}; default {default}]", flag.doc, flag.env),
        _ => format!("{} [{}]", flag.doc, flag.env),
    }
}

/// Reads what [`command`] matched, with `env` for what is not on the command line.
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
            log_level: self.text("log-level"),
            base_root: base,
        }
    }

    fn refuse_missing(&self) {
        for flag in FLAGS {
            let Missing(instead) = flag.takes else { continue };
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
        match backend.split(':').next().unwrap_or_default() {
            "memory" => return None,
            "file" => {}
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
            Value(default) => default.to_owned(),
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
        #[expect(clippy::expect_used, reason = "names are literals of this file, and a test reads every one")]
        FLAGS.iter().find(|flag| flag.name == name).expect("the flag is in the table")
    }

    fn problem(&self, text: String) {
        self.problems.borrow_mut().push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
        let matches = command("serve").try_get_matches_from([&["serve"], args].concat()).unwrap();
        read(&matches, |name| {
            env.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_are_those_of_dr_provision() {
        let config = parse(&[], &[]).unwrap();
        assert_eq!(config.base_root, Path::new("/var/lib/dr-provision"));
        assert_eq!(config.data_root.as_deref(), Some(Path::new("/var/lib/dr-provision/digitalrebar")));
        assert_eq!(config.file_root, Path::new("/var/lib/dr-provision/tftpboot"));
        assert_eq!((config.ports.api, config.ports.files, config.ports.secure_files), (8092, 8091, 8090));
        assert!(config.services.dhcp && config.services.binl && config.preferences.is_empty());
    }

    #[test]
    fn flags_win_over_the_environment_and_absolute_folders_stay() {
        let env = [("RS_API_PORT", "1"), ("RS_FILE_ROOT", "/srv/files"), ("RS_DISABLE_DHCP", "true")];
        let config = parse(&["--api-port", "2", "--drp-id=Fred"], &env).unwrap();
        assert_eq!((config.ports.api, config.id.as_str()), (2, "Fred"));
        assert_eq!(config.file_root, Path::new("/srv/files"));
        assert!(!config.services.dhcp && !config.services.binl);
    }

    #[test]
    fn first_values_of_preferences_come_only_from_what_was_given() {
        let config = parse(&["--default-stage", "discover"], &[("RS_KNOWN_TOKEN_TIMEOUT", "5")]).unwrap();
        let want =
            BTreeMap::from([("defaultStage", "discover".to_owned()), ("knownTokenTimeout", "5".to_owned())]);
        assert_eq!(config.preferences, want);
    }

    #[test]
    fn what_is_not_there_refuses_and_names_what_to_use() {
        let error = parse(&["--ha-enabled", "--local-content", "x"], &[("RS_CREATE_SELF", "1")]).unwrap_err();
        assert!(error.contains("--ha-enabled is not there: this server stands alone"), "{error}");
        assert!(error.contains("--local-content is not there: use --content DIR"), "{error}");
        assert!(error.contains("RS_CREATE_SELF is not there: create the machine with"), "{error}");
    }

    #[test]
    fn all_bad_values_are_named_at_once() {
        let error =
            parse(&["--api-port", "x", "--cert-type=RSA", "--backend", "directory"], &[]).unwrap_err();
        assert_eq!(error.lines().count(), 3, "{error}");
        assert!(error.contains("--api-port is `x`; it must be a port number"), "{error}");
    }
}
