//! Calls: one method per thing that the API does, over one that does them all.

use std::sync::Arc;

use gantry_api::operation::BASE;
use gantry_model::Object;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::innermost;
use crate::{Error, tls};

/// Where the server is and who calls.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `https://host:port`, without a path.
    pub url: String,
    /// Who calls.
    pub credentials: Credentials,
    /// Path in front of the API's own, for a manager that passes calls on; empty for none.
    pub proxy: String,
    /// Headers of every call.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// How a caller proves who they are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User name and password.
    Password(String, String),
    /// A token.
    Token(String),
}

/// Never shows what it holds.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password(user, _) => write!(f, "Password({user}, ***)"),
            Self::Token(_) => f.write_str("Token(***)"),
        }
    }
}

/// Calls one server. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) endpoint: Arc<Endpoint>,
    http: reqwest::Client,
    tell: Option<fn(&str)>,
}

impl Client {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when the URL cannot be used.
    pub fn new(endpoint: Endpoint) -> Result<Self, Error> {
        let unusable = |reason: String| Error::Endpoint { endpoint: endpoint.url.clone(), reason };
        let url = reqwest::Url::parse(&endpoint.url).map_err(|error| unusable(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable("it must begin with https://".into()));
        }
        let http = http().map_err(unusable)?;
        Ok(Self { endpoint: Arc::new(endpoint), http, tell: None })
    }

    /// The same client, which tells method and URL of every call before it is made.
    #[must_use]
    pub fn telling(self, tell: fn(&str)) -> Self {
        Self { tell: Some(tell), ..self }
    }

    /// The URL of `path` (below the API's base) with its query.
    pub fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let Endpoint { url, proxy, .. } = &*self.endpoint;
        let proxy = if proxy.is_empty() { String::new() } else { format!("/{}", proxy.trim_matches('/')) };
        let path: String = path.split('/').map(|word| escape(word, false)).collect::<Vec<_>>().join("/");
        let mut whole = format!("{}{proxy}{BASE}{path}", url.trim_end_matches('/'));
        for (index, (name, value)) in query.iter().enumerate() {
            whole.push(if index == 0 { '?' } else { '&' });
            whole += &format!("{}={}", escape(name, true), escape(value, true));
        }
        whole
    }

    /// A request with the caller's credentials, to be completed and sent with [`Client::send`].
    pub fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let request = self.http.request(method, self.url(path, query)).header(ACCEPT, "application/json");
        let request =
            self.endpoint.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        match &self.endpoint.credentials {
            Credentials::Password(user, password) => request.basic_auth(user, Some(password)),
            Credentials::Token(token) => request.bearer_auth(token),
        }
    }

    /// Sends a request; every status from 400 on is an error.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let unreachable = |error: reqwest::Error| Error::Unreachable {
            url: error.url().map_or_else(|| self.endpoint.url.clone(), ToString::to_string),
            reason: innermost(&error),
        };
        let (http, request) = request.build_split();
        let request = request.map_err(unreachable)?;
        if let Some(tell) = self.tell {
            tell(&format!("{} {}", request.method(), request.url()));
        }
        let response = http.execute(request).await.map_err(unreachable)?;
        let status = response.status().as_u16();
        if status < 400 {
            return Ok(response);
        }
        let url = response.url().to_string();
        if status == 401 {
            return Err(Error::Unauthorized { url });
        }
        let is_login = response.headers().contains_key(WWW_AUTHENTICATE);
        let bytes = response.bytes().await.unwrap_or_default();
        if bytes.is_empty() && status == 403 && is_login {
            // The answer to HEAD has no body.
            return Err(Error::Refused(gantry_api::Error::access_denied()));
        }
        Err(Error::Refused(serde_json::from_slice(&bytes).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&bytes);
            gantry_api::Error::new(status, "", format!("status {status} {text}").trim().to_owned())
                .about("", url)
        })))
    }

    /// A call with a JSON body, or none, and a JSON answer; an empty answer is null.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let mut request = self.request(method, path, query).header(CONTENT_TYPE, "application/json");
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        self.read(self.send(request).await?).await
    }

    async fn read<T: DeserializeOwned + Default>(&self, response: Response) -> Result<T, Error> {
        let url = response.url().to_string();
        let bytes = response
            .bytes()
            .await
            .map_err(|error| Error::Unreachable { url: url.clone(), reason: innermost(&error) })?;
        if bytes.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&bytes).map_err(|error| Error::Unreadable { url, reason: error.to_string() })
    }

    /// `GET` of any path.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Error> {
        self.call(Method::GET, path, query, None).await
    }

    /// One object of a kind, by key or `Index:value`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn object<T: Object>(&self, key: &str) -> Result<T, Error> {
        let path = format!("/{}/{key}", T::KIND.prefix());
        let response = self.send(self.request(Method::GET, &path, &[])).await?;
        self.read(response).await
    }

    /// Objects of a kind that pass the filters.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn objects<T: Object>(&self, filters: &[(&str, &str)]) -> Result<Vec<T>, Error> {
        let path = format!("/{}", T::KIND.prefix());
        let response = self.send(self.request(Method::GET, &path, filters)).await?;
        self.read(response).await
    }

    /// Whether an object exists.
    ///
    /// # Errors
    /// See [`Error`]; a missing object is no error.
    pub async fn exists(&self, path: &str) -> Result<bool, Error> {
        match self.send(self.request(Method::HEAD, path, &[])).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// An HTTP client with the TLS settings of this crate, for URLs that are no calls of the API.
///
/// # Errors
/// The reason why there is none, in words.
pub fn http() -> Result<reqwest::Client, String> {
    let config = tls::config(&[b"h2", b"http/1.1"]).map_err(|error| error.to_string())?;
    let built = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build();
    built.map_err(|error| innermost(&error))
}

/// Escapes what would change the meaning of a URL. Paths keep `:` and the like, for keys are `Index:value`.
pub(crate) fn escape(text: &str, query: bool) -> String {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"-._~:@!$*(),;".contains(&byte) || (!query && b"&=+".contains(&byte))
    };
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match plain(byte) {
            true => escaped.push(byte.into()),
            false => escaped += &format!("%{byte:02X}"),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxy: &str) -> Client {
        Client::new(Endpoint {
            url: "https://h:1/".into(),
            credentials: Credentials::Token("secret".into()),
            proxy: proxy.into(),
            headers: Vec::new(),
        })
        .unwrap()
    }

    #[test]
    fn urls_keep_slashes_and_colons_and_escape_the_rest() {
        let check =
            |path: &str, query: &[(&str, &str)], want: &str| assert_eq!(client("").url(path, query), want);
        check("/params/net/conf", &[], "https://h:1/api/v3/params/net/conf");
        check("/machines/Name:a b?", &[], "https://h:1/api/v3/machines/Name:a%20b%3F");
        check("/machines", &[("Name", "Re(^a&b)")], "https://h:1/api/v3/machines?Name=Re(%5Ea%26b)");
    }

    #[test]
    fn a_proxy_stands_before_the_base() {
        assert_eq!(client("site1").url("/info", &[]), "https://h:1/site1/api/v3/info");
    }

    #[test]
    fn credentials_are_never_shown() {
        assert!(!format!("{:?}", client("")).contains("secret"));
    }

    #[test]
    fn a_bad_endpoint_is_named() {
        let endpoint = Endpoint { url: "h:x".into(), ..(*client("").endpoint).clone() };
        assert!(Client::new(endpoint).unwrap_err().to_string().contains("`h:x`"));
    }
}
