//! A client of the API.
//!
//! [`Client`] makes calls: generic ones by kind and key with JSON values, typed ones with the structs of `gantry-model`.
//! [`Events`] is the websocket, and [`Client::wait_for`] waits on it until an object is as wanted. Retries are the caller's
//! business, except that idle connections which the server closed are replaced silently (by `reqwest`).

mod call;
mod error;
mod events;
mod seal;
mod tls;
mod wait;

pub use call::{Client, Credentials, Endpoint, http};
pub use error::Error;
pub use events::Events;
pub use seal::dice;
pub use tls::{config as tls_config, provider};
pub use wait::Waited;
