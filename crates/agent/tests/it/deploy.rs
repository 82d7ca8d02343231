//! Image deploy over the loopback interface to a file that plays the disk.

use super::runner::TempDir;
use super::server::{Request, Response, Server};
use gantry_agent::deploy::spec::Spec;
use gantry_agent::deploy::{Error, open_image, write_image};
use std::path::PathBuf;
use std::sync::Mutex;

const DISK: usize = 12 << 20;

/// 5 MiB and a bit: text, zeros, noise.
fn image() -> Vec<u8> {
    let mut image = vec![0; (5 << 20) + 1234];
    let mut x = 1u32;
    for (i, byte) in image.iter_mut().enumerate() {
        if !(1 << 20..3 << 20).contains(&i) {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (x >> 24) as u8 & 0x1f;
        }
    }
    image
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Serves a file with ranges.
fn file(request: &Request, bytes: &[u8]) -> Response {
    let etag = ("ETag".to_owned(), "\"1\"".to_owned());
    match request.range() {
        None => Response { code: 200, headers: vec![etag], body: bytes.to_vec(), cut: None },
        Some(from) => Response {
            code: 206,
            headers: vec![
                etag,
                ("Content-Range".into(), format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
            ],
            body: bytes[from..].to_vec(),
            cut: None,
        },
    }
}

struct Run {
    result: Result<(), Error>,
    lines: Vec<String>,
    disk: Vec<u8>,
    _dir: TempDir,
}

fn deploy(server: &Server, sha256: &str) -> Run {
    let dir = TempDir::new();
    let path: PathBuf = dir.path().join("disk");
    std::fs::write(&path, vec![0xee; DISK]).expect("disk");
    let spec = Spec { url: format!("{}/image", server.url()), sha256: sha256.to_owned(), ..Spec::default() };
    let mut lines = Vec::new();
    let mut say = |line: &str| lines.push(line.to_owned());
    let image = open_image(&spec, "", &mut say);
    let result = image.and_then(|image| write_image(&spec, image, &path, &mut say)).map(drop);
    Run { result, lines, disk: std::fs::read(&path).expect("disk"), _dir: dir }
}

#[test]
fn raw_and_packed_images() {
    let image = image();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &image).expect("gz");
    let packed =
        [image.clone(), gz.finish().expect("gz"), zstd::stream::encode_all(&image[..], 1).expect("zst")];
    for bytes in packed {
        let sum = sha256(&bytes);
        let server = Server::start(move |request| file(&request, &bytes));
        let run = deploy(&server, &sum);
        run.result.expect("deployed");
        assert!(run.disk[..image.len()] == image[..], "the image is on the disk");
        assert!(run.lines.iter().any(|line| line.ends_with("as promised")), "{:?}", run.lines);
    }
}

#[test]
fn broken_downloads_go_on_where_they_broke() {
    let image = image();
    let bytes = zstd::stream::encode_all(&image[..], 1).expect("zst");
    let sum = sha256(&bytes);
    let served = Mutex::new(Vec::new());
    let server = Server::start(move |request| {
        let mut served = served.lock().expect("served");
        served.push(request.range());
        let mut response = file(&request, &bytes);
        match served.len() {
            1 => response.cut = Some(bytes.len() / 3),
            2 => response = Response::hang_up(),
            3 => response = Response { code: 503, ..Response::default() },
            4 => response.cut = Some(1000),
            _ => {}
        }
        response
    });
    let run = deploy(&server, &sum);
    run.result.expect("deployed");
    assert!(run.disk[..image.len()] == image[..]);
    assert!(run.lines.iter().any(|line| line.contains("resumed")), "{:?}", run.lines);
}

#[test]
fn a_server_without_ranges_is_read_again_from_the_start() {
    let image = image();
    let bytes = image.clone();
    let count = Mutex::new(0);
    let server = Server::start(move |_| {
        let mut count = count.lock().expect("count");
        *count += 1;
        Response { cut: (*count == 1).then_some(2 << 20), ..Response::bytes(bytes.clone()) }
    });
    let run = deploy(&server, &sha256(&image));
    run.result.expect("deployed");
    assert!(run.disk[..image.len()] == image[..]);
}

#[test]
fn wrong_bytes_wipe_the_disk() {
    let image = image();
    let server = Server::start(move |request| file(&request, &image));
    let run = deploy(&server, &"0".repeat(64));
    let error = run.result.expect_err("wrong hash").to_string();
    assert!(error.contains("damaged or was exchanged") && error.contains("was wiped"), "{error}");
    assert!(run.disk[..1 << 20].iter().all(|byte| *byte == 0));
}

#[test]
fn an_exchanged_file_is_noticed() {
    let image = image();
    let count = Mutex::new(0);
    let server = Server::start(move |request| {
        let mut count = count.lock().expect("count");
        *count += 1;
        let mut response = file(&request, &image);
        response.headers[0].1 = format!("\"{}\"", *count);
        response.cut = (*count == 1).then_some(1 << 20);
        response
    });
    let error = deploy(&server, "").result.expect_err("exchanged").to_string();
    assert!(error.contains("the file changed while it was being read"), "{error}");
}

#[test]
fn refusals_are_clear() {
    let server = Server::start(|_| Response { code: 404, ..Response::default() });
    let error = deploy(&server, "").result.expect_err("missing").to_string();
    assert!(error.contains("/image: the server answers 404"), "{error}");
    let large = vec![1; DISK + 1];
    let server = Server::start(move |request| file(&request, &large));
    let error = deploy(&server, "").result.expect_err("too large").to_string();
    assert!(error.contains("larger than the disk of 12.0 MiB"), "{error}");
    let mut packed = zstd::stream::encode_all(&image()[..], 1).expect("zst");
    packed.truncate(packed.len() / 2);
    let server = Server::start(move |request| file(&request, &packed));
    let run = deploy(&server, "");
    assert!(matches!(run.result, Err(Error::Write { .. })), "{:?}", run.result);
    assert!(run.disk[..1 << 20].iter().all(|byte| *byte == 0), "half an image is wiped");
}
