//! Files and ISOs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Server, raw, send};

async fn upload(server: &Server, path: &str, bytes: &str) -> Reply {
    let request = raw(&server.client, Method::POST, path).header("content-type", "application/octet-stream");
    send(request.body(bytes.to_owned())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_uploaded_is_served_by_range_and_sum() {
    let server = Server::start().await;
    let made = upload(&server, "/files/dir/foo", "0123456789").await;
    assert_eq!((made.status, made.json()), (201, json!({ "Path": "/dir/foo", "Size": 10 })));
    assert_eq!(upload(&server, "/isos/foo.iso", "x").await.json(), json!({ "Path": "foo.iso", "Size": 1 }));
    let whole = server.get("/files/dir/foo").await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    let sum = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
    assert_eq!(whole.header("x-drp-sha256sum"), sum);
    assert_eq!(whole.header("etag"), format!("\"SHA256:{sum}\""));
    let part = send(raw(&server.client, Method::GET, "/files/dir/foo").header("range", "bytes=2-4")).await;
    assert_eq!(
        (part.status, part.text().as_str(), part.header("content-range")),
        (206, "234", "bytes 2-4/10")
    );
    let known =
        raw(&server.client, Method::GET, "/files/dir/foo").header("if-none-match", whole.header("etag"));
    assert_eq!(send(known).await.status, 304);
    assert_eq!(server.head("/files/dir/foo").await.header("x-drp-sha256sum"), sum);
    let machines_see = server.plain(&format!("{}/files/dir/foo", server.files)).await.text();
    assert_eq!(machines_see, "0123456789");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_listed_and_files_deleted() {
    let server = Server::start().await;
    for path in ["/files/a", "/files/dir/b", "/files/dir/deep/c"] {
        assert_eq!(upload(&server, path, "x").await.status, 201);
    }
    assert_eq!(server.get("/files").await.json(), json!(["a", "dir/"]));
    assert_eq!(server.get("/files?path=/dir").await.json(), json!(["b", "deep/"]));
    assert_eq!(server.get("/files?path=dir&all=true").await.json(), json!(["b", "deep/c"]));
    assert_eq!(server.get("/files?path=nosuch").await.status, 404);
    assert_eq!(server.get("/isos").await.json(), json!([]));
    assert_eq!(server.get("/files/dir").await.error(), "404 GET: files//dir: Not a regular file");
    assert_eq!(server.delete("/files/a").await.status, 204);
    assert_eq!(server.delete("/files/a").await.error(), "404 DELETE: files//a: Unable to delete");
    assert_eq!(upload(&server, "/files/dir/b/below", "x").await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_and_directories_are_refused() {
    let server = Server::start().await;
    let typed = raw(&server.client, Method::POST, "/files/x").header("content-type", "text/plain").body("x");
    let text = "400 POST: Want content-type application/octet-stream, not text/plain";
    assert_eq!(send(typed).await.error(), text);
    assert_eq!(
        upload(&server, "/files/dir/", "x").await.error(),
        "403 POST: files//dir: Cannot upload a directory"
    );
    let listed: Value = server.get("/files").await.json();
    assert_eq!(listed, json!([]));
}
