//! Files and ISOs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Server, eventually, raw, send, uploading};

async fn upload(server: &Server, path: &str, bytes: &str) -> Reply {
    let request = raw(&server.client, Method::POST, path).header("content-type", "application/octet-stream");
    send(request.body(bytes.to_owned())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_downloads_is_in_its_trace() {
    let server = Server::start().await;
    upload(&server, "/files/dir/foo", "0123456789").await;
    let uuid = server.machine("m1").await;
    let token = server.get(&format!("/machines/{uuid}/token")).await.json()["Token"].clone();
    let machine = server.as_token(token.as_str().unwrap());
    server.get("/files/dir/foo").await;
    // Whoever asks for the head alone downloads nothing.
    assert_eq!(send(raw(&machine, Method::HEAD, "/files/dir/foo")).await.status, 200);
    let part = send(raw(&machine, Method::GET, "/files/dir/foo").header("range", "bytes=2-4")).await;
    assert_eq!(part.text(), "234");
    let path = format!("/machines/{uuid}/trace");
    let fetched = eventually(async || {
        let trace = server.get(&path).await.json();
        let lines = trace.as_array().unwrap().clone();
        let fetched: Vec<Value> = lines.into_iter().filter(|line| line["Kind"] == "https").collect();
        (!fetched.is_empty()).then_some(fetched)
    })
    .await;
    assert_eq!(fetched.len(), 1, "what others download is not the machine's: {fetched:?}");
    let text = fetched[0]["Text"].as_str().unwrap();
    assert!(text.starts_with("https /api/v3/files/dir/foo 206 3 bytes in "), "{text}");
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
async fn a_form_is_an_upload_and_may_bring_its_files_name() {
    let server = Server::start().await;
    let form = |field: &str, bytes: &str| {
        format!(
            "--XX\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n1\r\n--XX\r\n\
             Content-Disposition: form-data; name=\"{field}\"; filename=\"own name.txt\"\r\n\
             Content-Type: text/plain\r\n\r\n{bytes}\r\n--XX--\r\n"
        )
    };
    let send_form = async |path: &str, form: String| {
        let request = raw(&server.client, Method::POST, path);
        send(request.header("content-type", "multipart/form-data; boundary=XX").body(form)).await
    };
    let big = "0123456789".repeat(300_000);
    let made = send_form("/files/dir/foo", form("file", &big)).await;
    assert_eq!((made.status, made.json()), (201, json!({ "Path": "/dir/foo", "Size": 3_000_000 })));
    assert!(server.get("/files/dir/foo").await.text() == big, "every byte, and none of the form's");
    let named = send_form("/files/", form("file", "x")).await;
    assert_eq!((named.status, named.json()), (201, json!({ "Path": "own name.txt", "Size": 1 })));
    assert_eq!(server.get("/files").await.json(), json!(["dir/", "own name.txt"]));
    let without = send_form("/files/foo", form("other", "x")).await;
    assert_eq!(without.error(), "400 POST\n  http: no such file\n  Cannot find multipart file");
    let nameless = send_form("/files/", form("file", "x").replace("own name.txt", "..")).await;
    assert_eq!(nameless.error(), "400 POST: files//..: the path must stay inside, without . and ..");
    let nowhere = send_form("/files", form("file", "x")).await;
    assert_eq!(nowhere.error(), "404 POST: /api/v3/files: No route");
    let folder = send_form("/files/dir/", form("file", "x")).await;
    assert_eq!(folder.error(), "403 POST: files//dir: Cannot upload a directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_that_a_form_brings_is_what_a_claim_is_about() {
    let server = Server::start().await;
    let claim = json!([{ "Scope": "files", "Action": "post", "Specific": ",allowed" }]);
    server.create("roles", json!({ "Name": "uploader", "Claims": claim })).await;
    server.create("users", json!({ "Name": "uploader", "Roles": ["uploader"] })).await;
    server.put("/users/uploader/password", json!({ "Password": "pw" })).await;
    let user = server.as_user("uploader", "pw");
    for (name, status) in [("allowed", 201), ("other", 403)] {
        let form = format!(
            "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\nx\r\n--X--\r\n"
        );
        let request =
            raw(&user, Method::POST, "/files/").header("content-type", "multipart/form-data; boundary=X");
        let reply = send(request.body(form)).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_upload_of_a_file_at_a_time() {
    let server = Server::start().await;
    let (sender, body) = crate::hostile::dripping();
    let request =
        raw(&server.client, Method::POST, "/files/a").header("content-type", "application/octet-stream");
    let first = tokio::spawn(send(request.body(body)));
    sender.send(vec![b'x'; 2 << 20].into()).await.unwrap();
    uploading(&server).await;
    let second = upload(&server, "/files/a", "y").await;
    assert_eq!(second.error(), "409 POST: files//a: Another upload of this file is under way");
    drop(sender);
    assert_eq!(first.await.unwrap().status, 201);
    assert_eq!(upload(&server, "/files/a", "y").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_is_listed_and_can_be_deleted() {
    let server = Server::start().await;
    upload(&server, "/files/dir/b", "x").await;
    std::fs::create_dir_all(server.folder().join("tftpboot/files/empty/below")).unwrap();
    assert_eq!(server.get("/files").await.json(), json!(["dir/", "empty/"]));
    assert_eq!(server.get("/files?path=empty/below").await.json(), json!([]));
    assert_eq!(server.delete("/files/dir").await.error(), "404 DELETE: files//dir: Unable to delete");
    assert_eq!(server.delete("/files/empty/below").await.status, 204);
    assert_eq!(server.get("/files?path=empty").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bytes_of_a_large_file_do_not_wait_for_its_sum() {
    let server = Server::start().await;
    let folder = server.folder().join("tftpboot/files");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::File::create(folder.join("large")).unwrap().set_len(16 << 20).unwrap();
    let ranged = raw(&server.client, Method::GET, "/files/large").header("range", "bytes=0-3");
    let part = send(ranged).await;
    assert_eq!((part.status, part.header("x-drp-sha256sum")), (206, ""));
    let head = server.head("/files/large").await;
    let sum = "080acf35a507ac9849cfcba47dc2ad83e01b75663a516279c8b9d243b719643e";
    assert_eq!(head.header("x-drp-sha256sum"), sum);
    let known = raw(&server.client, Method::GET, "/files/large").header("if-none-match", head.header("etag"));
    assert_eq!(send(known).await.status, 304);
    let ranged = raw(&server.client, Method::GET, "/files/large").header("range", "bytes=0-3");
    assert_eq!(send(ranged).await.header("x-drp-sha256sum"), sum, "once it is known it is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upload_summed_is_not_read_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder, &[]).await;
    let big = "0123456789abcdef".repeat(1 << 20);
    assert_eq!(upload(&server, "/files/big", &big).await.status, 201);
    let sum = server.get("/files/big").await.header("x-drp-sha256sum").to_owned();
    assert_eq!(sum.len(), 64);
    let server = Server::start_in(server.stop().await, &[]).await;
    let ranged = raw(&server.client, Method::GET, "/files/big").header("range", "bytes=0-3");
    assert_eq!(send(ranged).await.header("x-drp-sha256sum"), sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_and_directories_are_refused() {
    let server = Server::start().await;
    let typed = raw(&server.client, Method::POST, "/files/x").header("content-type", "text/plain").body("x");
    let text = "400 POST\n  Want content-type application/octet-stream, not text/plain\n  or multipart/form-data with the file in the field `file`, as browsers send it";
    assert_eq!(send(typed).await.error(), text);
    let untyped = send(raw(&server.client, Method::POST, "/files/x").body("x")).await.error();
    assert_eq!(untyped, text.replace("text/plain", "none"));
    assert_eq!(
        upload(&server, "/files/dir/", "x").await.error(),
        "403 POST: files//dir: Cannot upload a directory"
    );
    let listed: Value = server.get("/files").await.json();
    assert_eq!(listed, json!([]));
}
