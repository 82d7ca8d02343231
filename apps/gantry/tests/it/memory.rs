//! What hostile clients leave in the memory of a server: measured of the server's process, which nobody else shares.

use bytes::Bytes;
use gantry_client::{Client, Credentials, Endpoint};
use reqwest::Method;

use crate::program::Serving;

static SPACES: Bytes = Bytes::from_static(&[b' '; 1 << 20]);
/// Rounds after the first, which fills the server's pools.
const ROUNDS: u64 = 8;
const PATHS: [&str; 4] = ["/profiles", "/machines", "/jobs", "/whoami"];

/// Uploads that are refused or break off, over and over: what they brought does not stay.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_uploads_do_not_stay_in_memory() {
    let server = Serving::start();
    let client = client(&server.endpoint);
    assault(&client).await;
    let before = server.resident();
    for _ in 0..ROUNDS {
        assault(&client).await;
    }
    let grown = server.resident().saturating_sub(before);
    // Each refused body held up to 16 MiB: 512 MiB in all. A server that kept an eighth of it would fail.
    assert!(grown < 64 << 20, "{} MiB more in memory", grown >> 20);
}

/// JSON without end, and JSON without bottom.
async fn assault(client: &Client) {
    for path in PATHS {
        let endless = futures_util::stream::iter((0..64).map(|_| Ok::<_, std::io::Error>(SPACES.clone())));
        let giant = reqwest::Body::wrap_stream(endless);
        // The server may close while the rest is being sent; its refusal is what counts, when it is heard.
        if let Ok(answer) = json(client, path, giant).send().await {
            assert_eq!(answer.status(), 413, "{path}");
        }
        let deep = json(client, path, "[".repeat(1 << 20).into()).send().await.unwrap();
        assert_eq!(deep.status(), 400, "{path}");
    }
}

fn json(client: &Client, path: &str, body: reqwest::Body) -> reqwest::RequestBuilder {
    client.request(Method::POST, path, &[]).header("content-type", "application/json").body(body)
}

fn client(url: &str) -> Client {
    let credentials = Credentials::Password("rocketskates".into(), "r0cketsk8ts".into());
    Client::new(Endpoint { url: url.into(), credentials, proxy: String::new(), headers: Vec::new() }).unwrap()
}
