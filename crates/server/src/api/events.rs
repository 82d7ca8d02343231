//! Events: posting them, and the websocket that delivers them (reference: api.md §16).
//!
//! A connection follows two sources: the ordered events of `state` by revision, and the bus, which may lose. While the client
//! does not read, nothing is queued for it: `state` keeps a bounded history, and a reader that comes back later than that gets
//! an event of type `gap` which says what it missed, and goes on from there. Each event carries its revision; connecting
//! with `?from=<revision>` brings what happened since, so a reader that was cut off misses nothing either. What was missed goes
//! through the filters that are registered when it is delivered: a reader with several gives them in the URL, too
//! (`&register=type.action.key`, each), so that all are in effect from the first event on.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use gantry_api::claim::Wanted;
use gantry_api::{Error, Event, Filter, lenient};
use gantry_model::{Change, Kind};
use gantry_state::{Lost, Subscription};
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior};

use super::answer::{self, Answer};
use super::jobs::ASKED;
use super::{Ask, body};
use crate::auth::Caller;
use crate::core::Core;
use crate::{clock, trace};

/// The longest frame that a client may send: registrations are short.
const LONGEST_FRAME: usize = 64 * 1024;
/// Registrations of one connection; more are acknowledged but match nothing.
const MOST_FILTERS: usize = 1_000;
/// A reader is asked for a sign of life so often; this also keeps proxies between from closing a quiet connection.
const BEAT: Duration = Duration::from_secs(30);
/// A reader of whom nothing came after so many pings, for 90 s after the first of them, is gone.
const MOST_UNANSWERED: u32 = 3;

/// `POST /events`
pub(super) async fn post(mut ask: Ask) -> Answer {
    let given = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!({})).await?;
    let event: Event =
        lenient::from_value(given).map_err(|error| Error::malformed("POST", error.to_string()))?;
    note_milestone(&ask, &event);
    ask.api.bus.publish(Event { principal: ask.caller.principal, revision: 0, ..event });
    Ok(answer::nothing())
}

/// What a machine's own agent says of it is part of its boot trace.
fn note_milestone(ask: &Ask, event: &Event) {
    let Some(uuid) = ask.caller.machine() else { return };
    if let Some(note) = trace::milestone(event, uuid) {
        ask.api.note_of(&ask.view, uuid, Some(ask.remote()), note);
    }
}

/// `GET /ws`
pub(super) async fn stream(mut ask: Ask) -> Answer {
    let from = match ask.query.get("from") {
        Some(text) => {
            let wrong = |_| {
                Error::malformed("GET", format!("from is `{text}`; it must be a revision, a whole number"))
            };
            Some(text.parse::<u64>().map_err(wrong)?)
        }
        None => None,
    };
    let mut request = Request::new(());
    *request.headers_mut() = std::mem::take(&mut ask.headers);
    *request.extensions_mut() = std::mem::take(&mut ask.upgrade);
    let (mut parts, ()) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return Ok(no_upgrade());
    };
    let (api, caller) = (ask.api.clone(), ask.caller.clone());
    let registered = ask.query.pairs().iter().filter(|(name, _)| name == "register");
    let filters: Vec<Filter> =
        registered.filter_map(|(_, text)| Filter::parse(text)).take(MOST_FILTERS).collect();
    let waiting = from.is_some() && filters.is_empty();
    let changes = api.state.subscribe(from);
    let connection = Connection { bus: api.bus.listen(), changes, filters, waiting, caller, api };
    Ok(upgrade.max_message_size(LONGEST_FRAME).on_upgrade(|socket| connection.run(socket)))
}

fn no_upgrade() -> Response<Body> {
    let mut reply = Response::new(Body::from("this path wants a websocket\n"));
    *reply.status_mut() = StatusCode::BAD_REQUEST;
    answer::header(&mut reply, CONTENT_TYPE, "text/plain; charset=utf-8");
    reply
}

/// One reader.
struct Connection {
    api: Arc<Core>,
    caller: Caller,
    bus: broadcast::Receiver<Arc<Event>>,
    changes: Subscription,
    filters: Vec<Filter>,
    /// A resumed reader has not registered yet: what it missed waits for its first filter.
    waiting: bool,
}

/// The pings since a reader was last heard of. Machines vanish without a word: one that is switched off while nothing happens
/// to it would hold its connection for ever. Counting pings, not seconds, a slow reader that did not take what it was sent for
/// a while is not gone: it was not asked meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Pulse(u32);

/// What the silence of a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// A ping, which every reader answers.
    Ping,
    /// The end: pings were not answered.
    Gone,
}

impl Pulse {
    /// What to do at one of the beats, which are [`BEAT`] apart.
    fn beat(&mut self) -> Silence {
        if self.0 >= MOST_UNANSWERED {
            return Silence::Gone;
        }
        self.0 += 1;
        Silence::Ping
    }

    /// Something came of the reader.
    fn heard(&mut self) {
        self.0 = 0;
    }
}

/// What a connection wakes up for.
enum Woken {
    Frame(Option<Result<Message, axum::Error>>),
    Changes(Result<Vec<Arc<gantry_state::Event>>, Lost>),
    Bus(Result<Arc<Event>, broadcast::error::RecvError>),
    Beat,
    Stop,
}

impl Connection {
    async fn run(mut self, mut socket: WebSocket) {
        self.api.metrics.websockets.inc();
        let stop = self.api.stop.clone();
        let mut pulse = Pulse::default();
        let mut beats = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Frames first: a registration that was sent before an event must be in effect for it.
            let woken = tokio::select! {
                biased;
                () = stop.cancelled() => Woken::Stop,
                frame = socket.recv() => Woken::Frame(frame),
                _ = beats.tick() => Woken::Beat,
                events = self.changes.next(), if !self.waiting => Woken::Changes(events),
                event = self.bus.recv(), if !self.waiting => Woken::Bus(event),
            };
            let going_on = match woken {
                Woken::Frame(Some(Ok(message))) => {
                    pulse.heard();
                    self.frame(&mut socket, &message).await
                }
                Woken::Frame(_) => break,
                Woken::Beat => match pulse.beat() {
                    Silence::Ping => socket.send(Message::Ping(Bytes::new())).await,
                    Silence::Gone => break,
                },
                Woken::Changes(events) => self.deliver(&mut socket, events).await,
                Woken::Bus(event) => self.relay(&mut socket, event).await,
                Woken::Stop => {
                    // The client learns of it from the closed connection in any case.
                    drop(socket.send(Message::Close(None)).await);
                    break;
                }
            };
            if going_on.is_err() {
                break;
            }
        }
        self.api.metrics.websockets.dec();
    }

    /// `register <filter>` and `deregister <filter>`; each is acknowledged, once it is in effect. Anything else is ignored.
    async fn frame(&mut self, socket: &mut WebSocket, message: &Message) -> Result<(), axum::Error> {
        let Message::Text(text) = message else { return Ok(()) };
        let Some((word, text)) = text.trim_end().split_once(' ') else { return Ok(()) };
        match word {
            "register" => {
                let known = self.filters.iter().any(|filter| filter.text() == text);
                if !known && self.filters.len() < MOST_FILTERS {
                    self.filters.extend(Filter::parse(text));
                }
                self.waiting = false;
            }
            "deregister" => self.filters.retain(|filter| filter.text() != text),
            _ => return Ok(()),
        }
        let acknowledged = Event {
            time: clock::now().to_string(),
            r#type: "websocket".into(),
            action: word.into(),
            key: text.into(),
            ..Event::default()
        };
        send(socket, &acknowledged).await
    }

    async fn deliver(
        &mut self,
        socket: &mut WebSocket,
        events: Result<Vec<Arc<gantry_state::Event>>, Lost>,
    ) -> Result<(), axum::Error> {
        let events = match events {
            Ok(events) => events,
            Err(Lost::Gap { after, newest, .. }) => {
                self.changes = self.api.state.subscribe(Some(newest.0));
                return self.tell_gap(socket, after.0, newest.0).await;
            }
            Err(_) => return Err(axum::Error::new("the state is closed")),
        };
        for event in &events {
            for change in &event.changes {
                let action = action(event, change);
                if self.wants(change.kind.prefix(), action, &change.key) {
                    let text = write(event, change, action);
                    socket.send(Message::Text(Utf8Bytes::from(text))).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell_gap(&self, socket: &mut WebSocket, after: u64, newest: u64) -> Result<(), axum::Error> {
        self.api.metrics.lost_events.inc();
        let gap = Event {
            time: clock::now().to_string(),
            r#type: "gap".into(),
            action: "lost".into(),
            key: format!("{after}-{newest}"),
            object: json!({ "After": after, "Until": newest }),
            revision: newest,
            ..Event::default()
        };
        send(socket, &gap).await
    }

    async fn relay(
        &mut self,
        socket: &mut WebSocket,
        event: Result<Arc<Event>, broadcast::error::RecvError>,
    ) -> Result<(), axum::Error> {
        match event {
            Ok(event) if self.wants(&event.r#type, &event.action, &event.key) => send(socket, &event).await,
            Ok(_) => Ok(()),
            Err(broadcast::error::RecvError::Lagged(count)) => {
                self.api.metrics.lost_events.inc_by(count);
                let gap = Event {
                    time: clock::now().to_string(),
                    r#type: "gap".into(),
                    action: "lost".into(),
                    key: "bus".into(),
                    object: json!({ "Count": count }),
                    ..Event::default()
                };
                send(socket, &gap).await
            }
            Err(broadcast::error::RecvError::Closed) => Err(axum::Error::new("the server is stopping")),
        }
    }

    /// Registered for, and permitted: to hear of an object takes the right to get it.
    fn wants(&self, r#type: &str, action: &str, key: &str) -> bool {
        self.filters.iter().any(|filter| filter.matches(r#type, action, key))
            && self.may_hear(r#type, action, key)
    }

    fn may_hear(&self, r#type: &str, action: &str, key: &str) -> bool {
        let specific = match Kind::from_prefix(r#type) {
            Some(Kind::Job) => super::auth_key(&self.api.state.view(), Kind::Job, key),
            _ => key.to_owned(),
        };
        let may = |action: &str| self.caller.may(&Wanted::new(r#type, action, &*specific));
        may("get") || may(action)
    }
}

async fn send(socket: &mut WebSocket, event: &Event) -> Result<(), axum::Error> {
    let text = serde_json::to_string(event).map_err(axum::Error::new)?;
    socket.send(Message::Text(Utf8Bytes::from(text))).await
}

/// What a change is called: what the caller did, for the object that it was done to; `save` for everything that followed.
fn action(event: &gantry_state::Event, change: &Change) -> &'static str {
    match (&change.before, &change.after) {
        (None, _) => "create",
        (_, None) => "delete",
        _ if event.audit.action == "update" && event.changes.first() == Some(change) => "update",
        // Whoever asks for a job updates the machine that it is for (reference: api.md §16.1).
        _ if event.audit.action == ASKED && change.kind == Kind::Machine => "update",
        _ => "save",
    }
}

/// One change as a frame. Objects are written from their canonical JSON; nothing is parsed.
fn write(event: &gantry_state::Event, change: &Change, action: &str) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut text = format!(
        "{{\"Time\":\"{}\",\"Type\":{},\"Action\":\"{action}\",\"Key\":{},\"Principal\":{},\"Object\":",
        event.time,
        quoted(change.kind.prefix()),
        quoted(&change.key),
        quoted(&event.audit.principal),
    );
    match change.after.as_ref().or(change.before.as_ref()) {
        Some(record) => record.write_json(&mut text),
        None => text.push_str("null"),
    }
    text.push_str(",\"Original\":");
    match (&change.before, &change.after) {
        (Some(before), Some(_)) => before.write_json(&mut text),
        _ => text.push_str("null"),
    }
    text.push_str(&format!(",\"Revision\":{}}}", event.revision));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_answers_no_ping_is_gone() {
        let mut pulse = Pulse::default();
        let pings = [Silence::Ping; MOST_UNANSWERED as usize];
        assert_eq!(
            pings.map(|_| pulse.beat()),
            pings,
            "however long ago the reader was heard of: it is asked first"
        );
        pulse.heard();
        assert_eq!(pings.map(|_| pulse.beat()), pings, "an answer is a new beginning");
        assert_eq!(pulse.beat(), Silence::Gone);
    }
}
