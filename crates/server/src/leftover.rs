//! Bodies of requests that are answered before they were read.
//!
//! Over HTTP/2 a body that is dropped resets its stream, and clients that are reset while they still send (curl) forget the answer
//! that came before. What nobody wants is therefore read on beside the answer, up to a bound. Over HTTP/1 hyper does as much by
//! itself, and reading would ask clients that wait for `100 Continue` to send what is refused.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http::{Request, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};

/// So many bytes are read of what nobody wants, and for so long; then the stream is reset.
const MOST: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes the request one whose body may be left unread.
pub(crate) fn kept<B>(request: Request<B>) -> Request<Body>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    match request.version() {
        Version::HTTP_2 => request.map(|body| Body::new(Leftover(Some(body)))),
        _ => request.map(Body::new),
    }
}

/// A body that is read to its end when it is dropped before.
#[derive(Debug)]
struct Leftover<B>(Option<B>)
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static;

impl<B> HttpBody for Leftover<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = self.0.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B> Drop for Leftover<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(PATIENCE, drain(body)));
        }
    }
}

async fn drain(mut body: impl HttpBody<Data = Bytes> + Unpin) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST {
            return;
        }
    }
}
