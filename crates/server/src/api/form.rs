//! Uploads as browsers send them: the field `file` of a form (multipart/form-data, RFC 7578), as a body of its own.
//!
//! `multer` reads the form. It takes what it is given into memory until it finds what it looks for, so it is given one piece
//! at a time, and no more than [`AHEAD`] without having come on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use gantry_api::Error;
use multer::{Field, Multipart};

use super::body::{PATIENCE, Upload};

/// Heads of parts, other fields and what stands before the first part may have so many bytes together. More than the
/// largest piece that hyper reads at once.
const AHEAD: usize = 1 << 20;

/// The file of a form: the name that it has with the sender, without folders, and its bytes.
pub(super) struct File {
    pub(super) name: String,
    pub(super) body: Upload,
}

/// What separates the parts, if this content type is that of a form.
pub(super) fn boundary(content_type: &str) -> Option<Result<String, Error>> {
    match multer::parse_boundary(content_type) {
        Ok(boundary) => Some(Ok(boundary)),
        Err(multer::Error::NoBoundary) => {
            Some(Err(Error::malformed("POST", format!("Content-type {content_type} has no boundary"))))
        }
        Err(_) => None,
    }
}

/// Reads up to the field `file`.
pub(super) async fn file(upload: Upload, boundary: String) -> Result<File, Error> {
    let allowance = Arc::new(AtomicUsize::new(AHEAD));
    let mut form = Multipart::new(pieces(upload, allowance.clone()), boundary);
    let found = tokio::time::timeout(PATIENCE, field(&mut form)).await;
    let field = found.map_err(|_| Error::stalled("POST", PATIENCE.as_secs()))??;
    let name = field.file_name().unwrap_or_default();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let bytes = field.inspect(move |_| allowance.store(AHEAD, Ordering::Relaxed));
    Ok(File { name, body: Upload::new(Body::from_stream(bytes), "POST", PATIENCE) })
}

async fn field(form: &mut Multipart<'static>) -> Result<Field<'static>, Error> {
    while let Some(field) = form.next_field().await.map_err(|error| refused(&error))? {
        if field.name() == Some("file") {
            return Ok(field);
        }
    }
    Err(Error::malformed("POST", "http: no such file").and("Cannot find multipart file"))
}

/// The body piece by piece, with a pause after each, and an end when too much came without anything to show for it.
fn pieces(
    upload: Upload,
    allowance: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    stream::try_unfold((upload, allowance), |(mut upload, allowance)| async move {
        tokio::task::yield_now().await;
        let Some(piece) = upload.next().await? else { return Ok(None) };
        let left = allowance.load(Ordering::Relaxed).checked_sub(piece.len());
        let left =
            left.ok_or_else(|| Error::too_large("POST", AHEAD as u64).and("beside the field `file`"))?;
        allowance.store(left, Ordering::Relaxed);
        Ok(Some((piece, (upload, allowance))))
    })
}

/// What `multer` says, or what the body said to it.
fn refused(error: &multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(source) => match source.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::malformed("POST", error.to_string()),
        },
        other => Error::malformed("POST", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn upload(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Upload {
        let pieces = stream::iter(pieces.map(Ok::<_, std::io::Error>));
        Upload::new(Body::from_stream(pieces), "POST", Duration::from_secs(5))
    }

    async fn read(form: &'static str, size: usize) -> Result<(String, String), Error> {
        let pieces = form.as_bytes().chunks(size).map(Bytes::from_static);
        let mut file = file(upload(pieces), "b".into()).await?;
        let mut all = String::new();
        while let Some(piece) = file.body.next().await? {
            all.push_str(std::str::from_utf8(&piece).unwrap());
        }
        Ok((file.name, all))
    }

    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nx\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\dir\\\\a b.txt\"\r\n\
        Content-Type: text/plain\r\n\r\none\r\n--cee\r\n\r\n--b--\r\n";

    #[tokio::test]
    async fn the_field_file_is_found_however_the_form_is_cut() {
        for size in [1, 2, 3, 7, 50, 1000] {
            let read = read(FORM, size).await.unwrap();
            assert_eq!(read, ("a b.txt".to_owned(), "one\r\n--cee\r\n".to_owned()), "{size}");
        }
    }

    #[tokio::test]
    async fn forms_without_it_and_broken_forms_are_refused() {
        let other = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--\r\n";
        let error = read(other, 9).await.unwrap_err();
        assert_eq!((error.code, error.messages.len()), (400, 2), "{error}");
        assert_eq!(error.messages, ["http: no such file", "Cannot find multipart file"]);
        assert_eq!(read("", 1).await.unwrap_err().code, 400);
        let cut = FORM.split("--cee").next().unwrap();
        assert!(read(cut, 9).await.unwrap_err().to_string().contains("Body was cut off"));
        assert_eq!(boundary("multipart/form-data").unwrap().unwrap_err().code, 400);
        assert!(boundary("text/plain").is_none());
        assert_eq!(boundary("multipart/form-data; boundary=\"a b\"").unwrap().unwrap(), "a b");
    }

    #[tokio::test]
    async fn endless_heads_and_fields_are_given_up() {
        let endless = [
            "",
            "--b\r\nContent-Disposition: form-data; name=\"",
            "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n",
        ];
        for begin in endless {
            let pieces = std::iter::once(Bytes::from_static(begin.as_bytes()))
                .filter(|piece| !piece.is_empty())
                .chain(std::iter::repeat_with(|| Bytes::from(vec![b'x'; 100_000])));
            let error = file(upload(pieces), "b".into()).await.err().unwrap();
            assert_eq!(error.code, 413, "{begin}: {error}");
        }
    }
}
