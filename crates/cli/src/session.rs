//! Who is calling which server, and how the answer is to look: global flags and environment (reference: network.md §5.1).

use std::collections::HashMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use gantry_client::{Client, Credentials, Endpoint};
use http::header::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::Error;
use crate::input;
use crate::output::{self, Format};

/// Where the API listens unless it was told otherwise.
const API_PORT: u16 = 8092;

/// The process environment, as a value.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    terminal: bool,
}

impl Environment {
    /// From variables, and from `~/.drpclirc`, whose lines win over them.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut variables: HashMap<_, _> = variables.into_iter().collect();
        let home = variables.get("HOME").map(PathBuf::from);
        // Having no such file is the ordinary case.
        let text =
            home.and_then(|home| std::fs::read_to_string(home.join(".drpclirc")).ok()).unwrap_or_default();
        let lines = text.lines().map(|line| line.trim().trim_start_matches("export "));
        let pairs = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        variables
            .extend(pairs.map(|(name, value)| (name.trim().to_owned(), unquote(value.trim()).to_owned())));
        Self { variables, terminal: false }
    }

    /// Says whether people read the output: then lists are tables unless something else is asked for.
    #[must_use]
    pub fn on_terminal(self, terminal: bool) -> Self {
        Self { terminal, ..self }
    }

    /// The value of a variable, if it is set to something.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn unquote(text: &str) -> &str {
    ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(text)
}

/// The global flags. They are hidden from the help of every command, which would show little else; [`command`] tells about them.
pub(crate) fn flags() -> Vec<Arg> {
    all_flags().into_iter().map(|arg| arg.hide(true)).collect()
}

/// The foot of the help of commands that talk to a server.
pub(crate) const SEE: &str = "Server, credentials and form of the output: see `gantry help options`";

/// `gantry options`
pub(crate) fn command() -> Command {
    Command::new("options")
        .about(
            "Show the options of every command that talks to a server: where, who, and how the answer looks",
        )
        .after_help(options())
}

/// The global flags with what they mean.
pub(crate) fn options() -> String {
    let lines = all_flags().into_iter().map(|arg| {
        let (short, long) = (arg.get_short().unwrap_or(' '), arg.get_long().unwrap_or_default().to_owned());
        let value = if arg.get_action().takes_values() { " <value>" } else { "" };
        format!(
            "  -{short}, --{:<24} {}",
            long + value,
            arg.get_help().map(ToString::to_string).unwrap_or_default()
        )
    });
    format!(
        "They stand anywhere on the line; a variable in brackets does the same.\n\n{}",
        lines.collect::<Vec<_>>().join("\n")
    )
}

fn all_flags() -> Vec<Arg> {
    let value = |short, long: &'static str, help: &'static str| {
        Arg::new(long).short(short).long(long).num_args(1).global(true).help(help)
    };
    let switch = |short, long: &'static str, help: &'static str| {
        Arg::new(long).short(short).long(long).action(ArgAction::SetTrue).global(true).help(help)
    };
    vec![
        value(
            'E',
            "endpoint",
            "The server: host, host:port or URL; a host alone means port 8092 [RS_ENDPOINT; default https://127.0.0.1:8092]",
        ),
        value('U', "username", "User name [RS_USERNAME, or RS_KEY=user:password; default rocketskates]"),
        value('P', "password", "Password [RS_PASSWORD, or RS_KEY=user:password]"),
        value('T', "token", "Token, instead of user name and password [RS_TOKEN]"),
        switch('x', "no-token", "Accepted for drpcli's sake: no token is kept on disk"),
        value(
            'F',
            "format",
            "json, yaml, text or table [RS_FORMAT; default json, but table for lists on a terminal]",
        ),
        value('J', "print-fields", "Columns of text and table, comma separated [RS_PRINT_FIELDS]"),
        switch('H', "no-header", "Text and table without a head line [RS_NO_HEADER]"),
        value('j', "truncate-length", "Longest text of a table's cell [RS_TRUNCATE_LENGTH; default 40]"),
        switch('f', "force", "Skip the soft checks of the server"),
        value(
            'r',
            "ref",
            "The object as it was last seen (JSON, YAML, file or -): refuse if it has changed since",
        ),
        value(
            'u',
            "url-proxy",
            "Path in front of the API, for a manager that passes calls on [RS_URL_PROXY]",
        ),
        value('t', "trace", "Log level of the server for this call: debug logs it, see `gantry logs get`"),
        value('Z', "trace-token", "Text by which the server's log line of this call is found"),
        switch('d', "debug", "Tell what is called"),
        switch(
            'X',
            "exit-early",
            "End with status 1 when the answer is an object with errors [RS_OBJECT_ERRORS_ARE_FATAL]",
        ),
        switch('N', "no-color", "Accepted for drpcli's sake: nothing is coloured"),
        value('C', "colors", "Accepted for drpcli's sake: nothing is coloured"),
        value('c', "catalog", "Accepted for drpcli's sake: no catalogue is asked"),
        value('D', "download-proxy", "Accepted for drpcli's sake: nothing is downloaded from a catalogue"),
    ]
}

/// Everything that a verb needs.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) format: Format,
    pub(crate) force: bool,
    /// An answer that is an object with errors ends the program with status 1.
    pub(crate) errors_are_fatal: bool,
    pub(crate) reference: Option<Value>,
}

impl Session {
    /// From what was typed; `list` says that the answer will be a list of objects.
    pub(crate) async fn open(
        matches: &ArgMatches,
        environment: &Environment,
        list: bool,
    ) -> Result<Self, Error> {
        let text = |flag: &str, variable: &str| {
            let flag = matches.get_one::<String>(flag).map(String::as_str);
            flag.or_else(|| environment.get(variable)).map(str::to_owned)
        };
        let number = text("truncate-length", "RS_TRUNCATE_LENGTH").unwrap_or_else(|| "40".into());
        let longest = number
            .parse()
            .map_err(|_| Error::Usage(format!("--truncate-length is `{number}`; it must be a number")))?;
        let default = if list && environment.terminal { "table" } else { "json" };
        let format = Format::new(
            text("format", "RS_FORMAT").as_deref().unwrap_or(default),
            text("print-fields", "RS_PRINT_FIELDS").as_deref().unwrap_or_default(),
            matches.get_flag("no-header") || environment.get("RS_NO_HEADER").is_some(),
            longest,
        )?;
        let reference = match matches.get_one::<String>("ref") {
            Some(text) => Some(input::value(text).await?),
            None => None,
        };
        Ok(Self {
            client: connect(matches, environment, &text).await?,
            format,
            force: matches.get_flag("force"),
            errors_are_fatal: matches.get_flag("exit-early")
                || environment.get("RS_OBJECT_ERRORS_ARE_FATAL").is_some_and(|word| word == "true"),
            reference,
        })
    }

    /// `force=true` when asked for.
    pub(crate) fn query(&self) -> Vec<(&'static str, &'static str)> {
        if self.force { vec![("force", "true")] } else { Vec::new() }
    }
}

async fn connect(
    matches: &ArgMatches,
    environment: &Environment,
    text: &impl Fn(&str, &str) -> Option<String>,
) -> Result<Client, Error> {
    let credentials = credentials(matches, environment, text);
    let mut headers = Vec::new();
    for (flag, header) in [("trace", "x-log-request"), ("trace-token", "x-log-token")] {
        let Some(value) = matches.get_one::<String>(flag) else { continue };
        let value =
            HeaderValue::from_str(value).map_err(|_| Error::Usage(format!("--{flag} must be plain text")))?;
        headers.push((HeaderName::from_static(header), value));
    }
    let proxy = text("url-proxy", "RS_URL_PROXY").unwrap_or_default();
    let open = |url: String| {
        let url = url_of(&url);
        let credentials = credentials.clone();
        let client =
            Client::new(Endpoint { url, credentials, proxy: proxy.clone(), headers: headers.clone() });
        if matches.get_flag("debug") { client.map(|client| client.telling(output::say)) } else { client }
    };
    if let Some(url) = text("endpoint", "RS_ENDPOINT") {
        return Ok(open(url)?);
    }
    // RS_ENDPOINTS: the first that answers is taken.
    let list = environment.get("RS_ENDPOINTS").unwrap_or_default();
    let mut last = None;
    for url in list.split_whitespace() {
        let client = open(url.to_owned())?;
        match client.get("/info", &[]).await {
            Err(gantry_client::Error::Unreachable { .. }) => last = Some(client),
            _ => return Ok(client),
        }
    }
    match last {
        Some(client) => Ok(client),
        None => Ok(open("https://127.0.0.1:8092".into())?),
    }
}

/// The URL that an endpoint stands for. A URL is taken as it is, also without a port; a bare host means the API's usual one.
fn url_of(endpoint: &str) -> String {
    if endpoint.contains("://") {
        return endpoint.to_owned();
    }
    let (host, path) = endpoint.find('/').map_or((endpoint, ""), |slash| endpoint.split_at(slash));
    let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    match host.rsplit_once(':') {
        _ if is_v6 => format!("https://[{host}]:{API_PORT}{path}"),
        Some((name, _)) if !name.contains('[') || name.ends_with(']') => format!("https://{endpoint}"),
        _ => format!("https://{host}:{API_PORT}{path}"),
    }
}

/// Whether a URL leaves the port to its scheme.
pub(crate) fn lacks_port(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| url.port().is_none())
}

fn credentials(
    matches: &ArgMatches,
    environment: &Environment,
    text: &impl Fn(&str, &str) -> Option<String>,
) -> Credentials {
    let flag = |name: &str| matches.get_one::<String>(name).cloned();
    let by_password = flag("username").is_some() || flag("password").is_some();
    if let Some(token) =
        flag("token").or_else(|| environment.get("RS_TOKEN").map(str::to_owned).filter(|_| !by_password))
    {
        return Credentials::Token(token);
    }
    let (user, password) = environment.get("RS_KEY").and_then(|key| key.split_once(':')).unzip();
    let user = flag("username").or(user.map(str::to_owned)).or_else(|| text("username", "RS_USERNAME"));
    let password =
        flag("password").or(password.map(str::to_owned)).or_else(|| text("password", "RS_PASSWORD"));
    Credentials::Password(
        user.unwrap_or_else(|| "rocketskates".into()),
        password.unwrap_or_else(|| "r0cketsk8ts".into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(args: &[&str], env: &[(&str, &str)]) -> Credentials {
        let command = clap::Command::new("x").args(flags());
        let matches = command.try_get_matches_from([&["x"], args].concat()).unwrap();
        let environment = Environment::new(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let text = |flag: &str, variable: &str| {
            matches.get_one::<String>(flag).cloned().or_else(|| environment.get(variable).map(str::to_owned))
        };
        credentials(&matches, &environment, &text)
    }

    #[test]
    fn flags_win_over_variables_and_tokens_over_passwords() {
        let password = |user: &str, password: &str| Credentials::Password(user.into(), password.into());
        assert_eq!(who(&[], &[]), password("rocketskates", "r0cketsk8ts"));
        assert_eq!(who(&[], &[("RS_KEY", "a:b:c")]), password("a", "b:c"));
        assert_eq!(who(&["-U", "x"], &[("RS_KEY", "a:b"), ("RS_TOKEN", "t")]), password("x", "b"));
        assert_eq!(who(&[], &[("RS_KEY", "a:b"), ("RS_TOKEN", "t")]), Credentials::Token("t".into()));
        assert_eq!(who(&["-T", "f"], &[("RS_TOKEN", "t")]), Credentials::Token("f".into()));
    }

    #[test]
    fn a_host_alone_means_the_port_of_the_api() {
        for (given, want) in [
            ("foo", "https://foo:8092"),
            ("foo:9000", "https://foo:9000"),
            ("10.0.0.1", "https://10.0.0.1:8092"),
            ("::1", "https://[::1]:8092"),
            ("[::1]", "https://[::1]:8092"),
            ("[::1]:9000", "https://[::1]:9000"),
            ("foo/below", "https://foo:8092/below"),
            ("https://foo", "https://foo"),
        ] {
            assert_eq!(url_of(given), want);
        }
        assert!(lacks_port("https://foo/api/v3/info") && !lacks_port("https://foo:8092/api/v3/info"));
    }

    #[test]
    fn the_options_are_told_once_with_their_variables() {
        let text = options();
        for part in ["-E, --endpoint <value>", "[RS_ENDPOINT;", "-x, --no-token", "-Z, --trace-token <value>"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(flags().iter().all(Arg::is_hide_set), "no other page repeats them");
    }

    #[test]
    fn the_rc_file_wins_over_variables() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".drpclirc"), "# mine\nRS_FORMAT=yaml\nexport RS_TOKEN=\"t\"\n")
            .unwrap();
        let home = home.path().to_str().unwrap().to_owned();
        let environment = Environment::new([("HOME".to_owned(), home), ("RS_FORMAT".into(), "json".into())]);
        assert_eq!((environment.get("RS_FORMAT"), environment.get("RS_TOKEN")), (Some("yaml"), Some("t")));
    }
}
