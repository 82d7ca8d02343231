//! The table of flags and variables, and the command line made of it.

use clap::{Arg, ArgAction, Command};

/// One flag.
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) env: &'static str,
    pub(super) takes: Takes,
    doc: &'static str,
}

pub(super) enum Takes {
    /// A value, with its default; an empty default means none.
    Value(&'static str),
    /// Values, comma separated or the flag repeated.
    Values,
    /// Nothing: present or not.
    Switch,
    /// Not there yet. The text says what to use.
    Missing(&'static str),
}

use self::Takes::{Missing, Switch, Value, Values};

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
pub(super) static FLAGS: &[Flag] = &[
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
    flag("fake-pinger", "RS_FAKE_PINGER", Switch, "Offer fresh addresses without asking the network whether somebody has them"),
    flag("static-ip", "RS_STATIC_IP", Value(""), "Address to advertise when the client's connection does not tell"),
    flag("force-static", "RS_FORCE_STATIC", Switch, "Advertise --static-ip always"),
    flag("dhcp-ifs", "RS_DHCP_INTERFACES", Values, "Interfaces that DHCP answers on; none given means all"),
    flag("router-advertisement", "GANTRY_ROUTER_ADVERTISEMENT", Switch, "Tell each subnet by IPv6 that there is no router, so that iPXE does not wait for one. A subnet decides for itself by `router-advertisement` in its Meta: `true` or `false`"),
    flag("tls-cert", "RS_TLS_CERT_FILE", Value("server.crt"), "Certificate of the API, PEM; made at the first start"),
    flag("tls-key", "RS_TLS_KEY_FILE", Value("server.key"), "Key of the API, PEM; made at the first start"),
    flag("static-tls-cert", "RS_STATIC_TLS_CERT_FILE", Value(""), "Certificate of files over HTTPS; that of the API when not given"),
    flag("static-tls-key", "RS_STATIC_TLS_KEY_FILE", Value(""), "Key of files over HTTPS; that of the API when not given"),
    flag("cert-type", "RS_CURVE_OR_BITS", Value("P384"), "Curve of certificates made here: P256 or P384"),
    flag("drp-id", "RS_DRP_ID", Value(""), "Name of this server; its first interface's MAC when not given"),
    flag("ha-id", "RS_HA_ID", Value(""), "Name of the cluster; that of the server when not given"),
    flag("ui-url", "RS_UI_URL", Value(""), "A user interface that / and /ui lead to, with the address of this server; none when not given"),
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
    flag("cleanup", "RS_CLEANUP_CORRUPT", Missing("the store checks itself when it opens, and sets aside what it cannot read; leave the flag out"), ""),
    flag("no-watcher", "RS_NO_WATCHER", Missing("the server does not watch its own file; leave the flag out"), ""),
];

/// Environment variables without a flag whose function is not there yet.
pub(super) static MISSING_VARIABLES: &[(&str, &str)] = &[
    ("RS_EXIT_ON_CHANGE", "the server does not watch its own file; unset it"),
    ("RS_CREATE_SELF", "create the machine with `gantry machines create`; unset it"),
    ("RS_START_RUNNER", "run gantry-agent as a service; unset it"),
];

/// Preferences that a flag may set at the first start.
pub(super) static PREFERENCES: &[(&str, &str)] = &[
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
    Command::new(name)
        .about("Run the server: DHCP, TFTP, files and the API")
        .args(FLAGS.iter().map(Flag::arg))
}

/// The flags that say where the store is and what it builds on.
const OF_THE_STORE: [&str; 4] = ["base-root", "data-root", "backend", "content"];

/// The same flags for a command that works on the store of a server that is not running: whoever types them may repeat the
/// server's command line, and is shown those that matter.
pub fn for_recovery(name: &'static str) -> Command {
    let args = FLAGS.iter().map(|flag| flag.arg().hide(!OF_THE_STORE.contains(&flag.name)));
    Command::new(name).args(args)
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

impl Flag {
    fn arg(&self) -> Arg {
        let arg = Arg::new(self.name).long(self.name);
        match self.takes {
            Switch => arg.action(ArgAction::SetTrue).help(self.help()),
            Value(_) => arg.num_args(1).help(self.help()),
            Values => arg.num_args(1).action(ArgAction::Append).help(self.help()),
            Missing(_) => arg.num_args(0..=1).action(ArgAction::Append).hide(true),
        }
    }

    fn help(&self) -> String {
        match self.takes {
            Value(default) if !default.is_empty() => {
                format!("{} [{}; default {default}]", self.doc, self.env)
            }
            _ => format!("{} [{}]", self.doc, self.env),
        }
    }
}
