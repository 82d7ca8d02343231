//! A server of its own for every test, and short words to talk to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gantry_client::{Client, Credentials, Endpoint};
use gantry_server::app::App;
use gantry_server::config;
use gantry_server::core::Core;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const ROOT: (&str, &str) = ("rocketskates", "r0cketsk8ts");

pub(crate) struct Server {
    app: Option<App>,
    folder: TempDir,
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) metrics: String,
    pub(crate) files: String,
    pub(crate) secure_files: String,
}

/// What came back: status, headers, body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The error's five fields in one line.
    pub(crate) fn error(&self) -> String {
        let error: gantry_api::Error =
            serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}", self.text()));
        assert_eq!(error.code, self.status);
        format!("{} {error}", error.code)
    }
}

impl Server {
    /// A fresh server that keeps its objects in memory.
    pub(crate) async fn start() -> Self {
        Self::start_with(&["--backend", "memory"]).await
    }

    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), flags).await
    }

    /// A server that also serves listeners that were bound before it.
    pub(crate) async fn start_with_inherited(inherited: Vec<(String, std::net::TcpListener)>) -> Self {
        Self::start_from(tempfile::tempdir().unwrap(), &["--backend", "memory"], inherited).await
    }

    /// A server in a folder that may have been another server's.
    pub(crate) async fn start_in(folder: TempDir, flags: &[&str]) -> Self {
        Self::start_from(folder, flags, Vec::new()).await
    }

    async fn start_from(
        folder: TempDir,
        flags: &[&str],
        inherited: Vec<(String, std::net::TcpListener)>,
    ) -> Self {
        let base = folder.path().to_str().unwrap().to_owned();
        let mut args = vec!["serve", "--base-root", &base, "--listen", "127.0.0.1", "--cert-type", "P256"];
        for port in ["--api-port", "--static-port", "--static-secure-port", "--metrics-port", "--tftp-port"] {
            args.extend([port, "0"]);
        }
        args.extend(["--drp-id", "Fred"]);
        if !flags.contains(&"--dhcp-port") {
            args.push("--disable-dhcp");
        }
        args.extend(flags);
        let matches = config::command("serve").try_get_matches_from(args).unwrap();
        let app = App::start(config::read(&matches, |_| None).unwrap(), inherited).await.unwrap();
        let ports = app.ports();
        let url = format!("https://127.0.0.1:{}", ports.api);
        Self {
            client: client(&url, password(ROOT.0, ROOT.1)),
            metrics: format!("http://127.0.0.1:{}/metrics", ports.metrics),
            files: format!("http://127.0.0.1:{}", ports.files),
            secure_files: format!("https://127.0.0.1:{}", ports.secure_files),
            url,
            app: Some(app),
            folder,
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        self.app.as_ref().unwrap().core()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops the server and gives back its folder.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.app.take().unwrap().stop().await;
        self.folder
    }

    pub(crate) fn as_token(&self, token: &str) -> Client {
        client(&self.url, Credentials::Token(token.to_owned()))
    }

    pub(crate) fn as_user(&self, user: &str, word: &str) -> Client {
        client(&self.url, password(user, word))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        ask(&self.client, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        ask(&self.client, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        ask(&self.client, Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        ask(&self.client, Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        ask(&self.client, Method::DELETE, path, None).await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        ask(&self.client, Method::HEAD, path, None).await
    }

    /// Any URL, without credentials.
    pub(crate) async fn plain(&self, url: &str) -> Reply {
        send(gantry_client::http().unwrap().get(url)).await
    }

    /// Creates an object and gives it back.
    pub(crate) async fn create(&self, kind: &str, body: Value) -> Value {
        let reply = self.post(&format!("/{kind}"), body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()
    }

    /// The UUID of a fresh machine.
    pub(crate) async fn machine(&self, name: &str) -> String {
        let made = self.create("machines", serde_json::json!({ "Name": name })).await;
        made["Uuid"].as_str().unwrap().to_owned()
    }
}

/// Looks until there is something, and gives up when it takes so long that nothing will come.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("it comes to be")
}

/// Waits until bytes of an upload have arrived.
pub(crate) async fn uploading(server: &Server) {
    eventually(async || (server.core().metrics.uploaded.get() > 0).then_some(())).await;
}

/// A client of the first user at another address.
pub(crate) fn root_at(url: &str) -> Client {
    client(url, password(ROOT.0, ROOT.1))
}

fn password(user: &str, word: &str) -> Credentials {
    Credentials::Password(user.to_owned(), word.to_owned())
}

fn client(url: &str, credentials: Credentials) -> Client {
    Client::new(Endpoint { url: url.to_owned(), credentials, proxy: String::new(), headers: Vec::new() })
        .unwrap()
}

/// One call; `path` may hold a query.
pub(crate) async fn ask(client: &Client, method: Method, path: &str, body: Option<Value>) -> Reply {
    let mut request = raw(client, method, path).header("content-type", "application/json");
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    send(request).await
}

/// A request that the test completes.
pub(crate) fn raw(client: &Client, method: Method, path: &str) -> reqwest::RequestBuilder {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    client.request(method, path, &pairs)
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Reply {
    let reply = request.send().await.unwrap();
    Reply {
        status: reply.status().as_u16(),
        headers: reply.headers().clone(),
        bytes: reply.bytes().await.unwrap().to_vec(),
    }
}
