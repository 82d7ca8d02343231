//! The event stream: a websocket that delivers what it was asked to register for (reference: api.md §16.3).

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use gantry_api::Event;
use gantry_api::operation::BASE;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use crate::call::escape;
use crate::error::innermost;
use crate::{Client, Credentials, Error, tls};

/// An open event stream.
#[derive(Debug)]
pub struct Events {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    url: String,
    /// Events that came while an acknowledgement was waited for.
    early: VecDeque<Event>,
}

impl Client {
    /// Opens the event stream. With `from`, a revision seen earlier, what happened since is delivered after the first
    /// registration, or an event of type `gap` when the server no longer has it. Who has several filters calls
    /// [`Client::resume`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn events(&self, from: Option<u64>) -> Result<Events, Error> {
        self.stream(&from.map(|revision| format!("?from={revision}")).unwrap_or_default()).await
    }

    /// Opens the event stream after the revision `from`, with these filters in effect for all that it brings.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resume(&self, from: u64, filters: &[&str]) -> Result<Events, Error> {
        let mut query = format!("?from={from}");
        filters.iter().for_each(|filter| query += &format!("&register={}", escape(filter, true)));
        self.stream(&query).await
    }

    async fn stream(&self, query: &str) -> Result<Events, Error> {
        let base = self.endpoint.url.trim_end_matches('/').replacen("http", "ws", 1);
        let proxy = self.endpoint.proxy.trim_matches('/');
        let proxy = if proxy.is_empty() { String::new() } else { format!("/{proxy}") };
        let url = format!("{base}{BASE}/ws{proxy}{query}");
        let unreachable = |reason: String| Error::Unreachable { url: url.clone(), reason };
        let mut request =
            url.as_str().into_client_request().map_err(|error| unreachable(error.to_string()))?;
        let authorization = match &self.endpoint.credentials {
            Credentials::Token(token) => format!("Bearer {token}"),
            Credentials::Password(user, password) => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
        };
        let authorization =
            HeaderValue::from_str(&authorization).map_err(|error| unreachable(error.to_string()))?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        let config = tls::config(&[b"http/1.1"]).map_err(|error| unreachable(error.to_string()))?;
        let connector = Connector::Rustls(Arc::new(config));
        let connected =
            tokio_tungstenite::connect_async_tls_with_config(request, None, true, Some(connector)).await;
        let (socket, _) = connected.map_err(|error| unreachable(innermost(&error)))?;
        Ok(Events { socket, url, early: VecDeque::new() })
    }
}

impl Events {
    /// Registers for `type.action.key` and returns when that is in effect.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn register(&mut self, filter: &str) -> Result<(), Error> {
        let text = format!("register {filter}");
        self.socket.send(Message::text(text)).await.map_err(|error| self.broken(innermost(&error)))?;
        loop {
            let event = self.receive().await?;
            if event.r#type == "websocket" && event.action == "register" {
                return Ok(());
            }
            self.early.push_back(event);
        }
    }

    /// The next event that is no acknowledgement.
    ///
    /// # Errors
    /// See [`Error`]; also when the server closes the stream.
    pub async fn next(&mut self) -> Result<Event, Error> {
        if let Some(event) = self.early.pop_front() {
            return Ok(event);
        }
        loop {
            let event = self.receive().await?;
            if event.r#type != "websocket" {
                return Ok(event);
            }
        }
    }

    async fn receive(&mut self) -> Result<Event, Error> {
        loop {
            let message =
                self.socket.next().await.ok_or_else(|| self.broken("the server closed the stream".into()))?;
            match message.map_err(|error| self.broken(innermost(&error)))? {
                Message::Text(text) => {
                    return serde_json::from_str(&text).map_err(|error| Error::Unreadable {
                        url: self.url.clone(),
                        reason: error.to_string(),
                    });
                }
                Message::Close(_) => return Err(self.broken("the server closed the stream".into())),
                // Pings are answered by the library.
                _ => {}
            }
        }
    }

    fn broken(&self, reason: String) -> Error {
        Error::Unreachable { url: self.url.clone(), reason }
    }
}
