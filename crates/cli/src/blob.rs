//! Files and ISOs.

use gantry_client::Error as ClientError;
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use serde_json::Value;

use crate::run::Typed;
use crate::{Error, output};

type Answer = Result<Option<Value>, Error>;

fn path(typed: &Typed<'_>, index: usize) -> String {
    format!("/{}/{}", typed.noun, typed.word(index).trim_start_matches('/'))
}

pub(crate) async fn list(typed: &Typed<'_>) -> Answer {
    let mut query: Vec<(&str, &str)> = typed.optional(0).map(|path| ("path", path)).into_iter().collect();
    if typed.switch("recurse") {
        query.push(("all", "true"));
    }
    Ok(Some(typed.get(&format!("/{}", typed.noun), &query).await?))
}

pub(crate) async fn exists(typed: &Typed<'_>) -> Answer {
    let client = &typed.session.client;
    let reply = client.send(client.request(Method::HEAD, &path(typed, 0), &[])).await?;
    let sum = reply.headers().get(HeaderName::from_static("x-drp-sha256sum"));
    let sum = sum.and_then(|value| value.to_str().ok()).unwrap_or_default();
    output::print(&format!("{}: {sum}", typed.word(0)));
    Ok(None)
}

pub(crate) async fn upload(typed: &Typed<'_>) -> Answer {
    let name = typed.word(0);
    let query: Vec<(&str, &str)> =
        if typed.switch("explode") { vec![("explode", "true")] } else { Vec::new() };
    let client = &typed.session.client;
    let request = client
        .request(Method::POST, &path(typed, 1), &query)
        .header(CONTENT_TYPE, "application/octet-stream");
    let request = if name == "-" {
        request.body(crate::input::text("-").await?)
    } else {
        let failed = |source| Error::File { file: name.to_owned(), source };
        let file = tokio::fs::File::open(name).await.map_err(failed)?;
        let size = file.metadata().await.map_err(failed)?.len();
        request.header(CONTENT_LENGTH, size).body(file)
    };
    let reply = client.send(request).await?;
    let unreadable =
        |error: reqwest::Error| ClientError::Unreadable { url: path(typed, 1), reason: error.to_string() };
    Ok(Some(reply.json().await.map_err(unreadable)?))
}

pub(crate) async fn download(typed: &Typed<'_>) -> Answer {
    // `download x to file`, `download x file` and `download x`.
    let target = match (typed.optional(1), typed.optional(2)) {
        (Some("to"), file) => file,
        (file, _) => file,
    };
    let client = &typed.session.client;
    let mut reply = client.send(client.request(Method::GET, &path(typed, 0), &[])).await?;
    let broken =
        |error: reqwest::Error| ClientError::Unreachable { url: path(typed, 0), reason: error.to_string() };
    let Some(target) = target.filter(|target| *target != "-") else {
        while let Some(piece) = reply.chunk().await.map_err(broken)? {
            write_out(&piece);
        }
        return Ok(None);
    };
    let failed = |source| Error::File { file: target.to_owned(), source };
    let mut file = tokio::fs::File::create(target).await.map_err(failed)?;
    while let Some(piece) = reply.chunk().await.map_err(broken)? {
        tokio::io::AsyncWriteExt::write_all(&mut file, &piece).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)?;
    Ok(None)
}

pub(crate) async fn destroy(typed: &Typed<'_>) -> Answer {
    typed.send(Method::DELETE, &path(typed, 0), None).await?;
    output::print(&format!("Deleted {} {}", typed.noun.trim_end_matches('s'), typed.word(0)));
    Ok(None)
}

/// Bytes to standard output as they are. A reader that went away is no failure.
pub(crate) fn write_out(bytes: &[u8]) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    drop(out.write_all(bytes).and_then(|()| out.flush()));
}
