//! Blobs: whole or not at all, within their folder, logs that may be repeated, and no handle left behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use gantry_store::blobs::{Blobs, Error, Name};
use tempfile::TempDir;

fn open() -> (TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    (folder, blobs)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn put(blobs: &Blobs, at: &str, bytes: &[u8]) -> Result<String, Error> {
    let mut upload = blobs.put(&name(at), 1 << 20)?;
    for part in bytes.chunks(7) {
        upload.write(part)?;
    }
    let stored = upload.finish()?;
    assert_eq!(stored.size, bytes.len() as u64);
    Ok(stored.sha256.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn read(blobs: &Blobs, at: &str) -> Result<String, Error> {
    let blob = blobs.read(&name(at))?;
    let mut bytes = vec![0; blob.size() as usize + 1];
    let read = blob.read_at(&mut bytes, 0).unwrap();
    Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

fn listed(blobs: &Blobs, prefix: &str) -> Vec<String> {
    blobs.list(prefix).unwrap().iter().map(|row| format!("{} {}", row.name, row.size)).collect()
}

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder.join(".gantry/uploads")).unwrap().count()
}

#[test]
fn an_upload_is_hashed_and_read_back() {
    let (_folder, blobs) = open();
    let sha256 = put(&blobs, "isos/a.iso", b"hello world").unwrap();
    assert_eq!(sha256, "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
    let blob = blobs.read(&name("isos/a.iso")).unwrap();
    let hashed: String = blob.digest(|| false).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hashed, sha256);
    let mut part = [0; 5];
    assert_eq!((blob.read_at(&mut part, 6).unwrap(), &part), (5, b"world"));
    assert_eq!(blob.read_at(&mut part, 9).unwrap(), 2, "to the end");
    assert_eq!(blob.read_at(&mut part, 99).unwrap(), 0, "beyond the end");
}

#[test]
fn an_upload_appears_only_when_it_is_finished() {
    let (folder, blobs) = open();
    put(&blobs, "a", b"old").unwrap();
    let reader = blobs.read(&name("a")).unwrap();
    let mut upload = blobs.put(&name("a"), 100).unwrap();
    upload.write(b"newer").unwrap();
    assert_eq!((read(&blobs, "a").unwrap(), upload.size()), ("old".into(), 5));
    drop(upload);
    assert_eq!((read(&blobs, "a").unwrap(), files_in(folder.path())), ("old".into(), 0));
    put(&blobs, "a", b"newer").unwrap();
    assert_eq!(read(&blobs, "a").unwrap(), "newer");
    let mut old = [0; 9];
    assert_eq!(
        (reader.read_at(&mut old, 0).unwrap(), &old[..3]),
        (3, &b"old"[..]),
        "a reader keeps what it opened"
    );
}

#[test]
fn an_upload_that_never_ends_stops_at_its_limit() {
    let (folder, blobs) = open();
    let mut upload = blobs.put(&name("big"), 1000).unwrap();
    let refused = (0..).find_map(|_| upload.write(&[0; 300]).err()).unwrap();
    assert_eq!(refused.to_string(), "upload of big is larger than the 1000 bytes that it may have");
    assert_eq!(upload.size(), 900);
    drop(upload);
    assert!(matches!(read(&blobs, "big"), Err(Error::NotFound { .. })));
    assert_eq!(files_in(folder.path()), 0);
}

#[test]
fn one_upload_to_a_name_at_a_time() {
    let (_folder, blobs) = open();
    let first = blobs.put(&name("a"), 100).unwrap();
    assert_eq!(blobs.put(&name("a"), 100).unwrap_err().to_string(), "another upload of a is under way");
    put(&blobs, "b", b"another name").unwrap();
    drop(first);
    let mut again = blobs.put(&name("a"), 100).unwrap();
    again.write(b"x").unwrap();
    let stored = again.finish().unwrap();
    assert_eq!(stored.modified, blobs.read(&name("a")).unwrap().modified());
    put(&blobs, "a", b"replaced").unwrap();
}

#[test]
fn empty_folders_are_listed_and_deleted_and_full_ones_are_not() {
    let (folder, blobs) = open();
    fs::create_dir_all(folder.path().join("files/empty")).unwrap();
    put(&blobs, "files/full/x", b"x").unwrap();
    symlink("full", folder.path().join("files/link")).unwrap();
    assert_eq!(blobs.entries(&name("files")).unwrap(), ["empty/", "full/"]);
    assert!(matches!(blobs.entries(&name("files/nosuch")), Err(Error::NotFound { .. })));
    assert!(matches!(blobs.entries(&name("files/full/x")), Err(Error::Unusable { .. })));
    let refused = blobs.delete(&name("files/full")).unwrap_err().to_string();
    assert_eq!(refused, "blob name files/full cannot be used: it is a folder with something in it");
    assert!(blobs.delete(&name("files/link")).is_err());
    blobs.delete(&name("files/empty")).unwrap();
    blobs.delete(&name("files/full/x")).unwrap();
    assert!(!folder.path().join("files/full").exists());
}

#[test]
fn what_a_crash_left_of_uploads_is_removed_at_the_start() {
    let (folder, blobs) = open();
    let mut upload = blobs.put(&name("a"), 100).unwrap();
    upload.write(b"half").unwrap();
    assert_eq!(files_in(folder.path()), 1);
    std::mem::forget(upload);
    drop(blobs);
    let blobs = Blobs::open(folder.path()).unwrap();
    assert_eq!(files_in(folder.path()), 0);
    put(&blobs, "a", b"whole").unwrap();
    assert_eq!(read(&blobs, "a").unwrap(), "whole");
}

#[test]
fn one_process_has_the_folder() {
    let (folder, blobs) = open();
    assert!(matches!(Blobs::open(folder.path()), Err(Error::InUse { .. })));
    drop(blobs);
    Blobs::open(folder.path()).unwrap();
}

#[test]
fn links_that_lead_out_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let (folder, blobs) = open();
    symlink(outside.path(), folder.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("leak")).unwrap();
    symlink("../../../../../../etc/passwd", folder.path().join("up")).unwrap();
    for at in ["out/secret", "leak", "up"] {
        let error = read(&blobs, at).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("blob name {at} cannot be used: a link on its way leads out of the folder")
        );
        assert!(blobs.append(&name(at), 0, b"x").is_err(), "append {at}");
        assert!(blobs.delete(&name(at)).is_err(), "delete {at}");
    }
    assert!(put(&blobs, "out/new", b"x").is_err());
    assert!(put(&blobs, "out/deep/new", b"x").is_err());
    assert!(blobs.append(&name("out/deep/new"), 0, b"x").is_err());
    put(&blobs, "leak", b"mine").unwrap();
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(listed(&blobs, ""), ["leak 4"], "links are not listed");
}

#[test]
fn a_link_within_the_folder_works() {
    let (folder, blobs) = open();
    put(&blobs, "trees/bookworm/Release", b"12").unwrap();
    symlink("bookworm", folder.path().join("trees/stable")).unwrap();
    assert_eq!(read(&blobs, "trees/stable/Release").unwrap(), "12");
}

#[test]
fn a_name_is_a_file_or_a_folder_but_not_both() {
    let (folder, blobs) = open();
    put(&blobs, "a/b", b"1").unwrap();
    assert_eq!(put(&blobs, "a", b"2").unwrap_err().to_string(), "blob name a cannot be used: it is a folder");
    assert_eq!(
        put(&blobs, "a/b/c", b"2").unwrap_err().to_string(),
        "blob name a/b/c cannot be used: a part of it is a file"
    );
    assert!(blobs.append(&name("a"), 0, b"2").is_err());
    assert!(matches!(blobs.read(&name("a")), Err(Error::Unusable { .. })));
    assert!(matches!(blobs.read(&name("a/b/c")), Err(Error::NotFound { .. })));
    assert!(matches!(blobs.delete(&name("a")), Err(Error::Unusable { .. })));
    assert_eq!((read(&blobs, "a/b").unwrap(), files_in(folder.path())), ("1".into(), 0));
}

#[test]
fn lists_name_what_begins_with_a_prefix() {
    let (_folder, blobs) = open();
    for at in ["isos/b.iso", "isos/a.iso", "isos/sub/c.iso", "isos2/d", "files/e"] {
        put(&blobs, at, at.as_bytes()).unwrap();
    }
    assert_eq!(listed(&blobs, "isos/"), ["isos/a.iso 10", "isos/b.iso 10", "isos/sub/c.iso 14"]);
    assert_eq!(listed(&blobs, "isos"), ["isos/a.iso 10", "isos/b.iso 10", "isos/sub/c.iso 14", "isos2/d 7"]);
    assert_eq!(listed(&blobs, "isos/s"), ["isos/sub/c.iso 14"]);
    assert_eq!(listed(&blobs, "").len(), 5);
    for nothing in ["none/", "../", "/", "isos/a.iso/", "a/../"] {
        assert_eq!(listed(&blobs, nothing), [""; 0], "{nothing}");
    }
}

#[test]
fn deleting_takes_empty_folders_along() {
    let (folder, blobs) = open();
    put(&blobs, "a/b/c", b"1").unwrap();
    put(&blobs, "a/d", b"1").unwrap();
    blobs.delete(&name("a/b/c")).unwrap();
    assert!(!folder.path().join("a/b").exists() && folder.path().join("a").exists());
    blobs.delete(&name("a/d")).unwrap();
    assert!(!folder.path().join("a").exists() && folder.path().exists());
    assert_eq!(blobs.delete(&name("a/d")).unwrap_err().to_string(), "there is no blob a/d");
    put(&blobs, "a/d", b"2").unwrap();
}

#[test]
fn an_append_may_be_repeated() {
    let (_folder, blobs) = open();
    let log = name("jobs/1");
    assert_eq!(blobs.append(&log, 0, b"one ").unwrap(), 4);
    assert_eq!(blobs.append(&log, 4, b"two ").unwrap(), 8);
    assert_eq!(blobs.append(&log, 4, b"two ").unwrap(), 8, "the answer was lost, so it came again");
    assert_eq!(blobs.append(&log, 0, b"one two three").unwrap(), 13, "and again with more behind it");
    assert_eq!(blobs.append(&log, 2, b"e").unwrap(), 13);
    assert_eq!(blobs.append(&log, 13, b"").unwrap(), 13);
    assert_eq!(read(&blobs, "jobs/1").unwrap(), "one two three");
    let hole = blobs.append(&log, 14, b"x").unwrap_err().to_string();
    assert_eq!(hole, "append to jobs/1 at offset 14, but it ends at 13; send what is between first");
    let differs = blobs.append(&log, 4, b"2").unwrap_err().to_string();
    assert_eq!(differs, "append to jobs/1 at offset 4 repeats bytes, but not the ones that are there");
    assert!(blobs.append(&log, u64::MAX, b"x").is_err());
    assert_eq!(read(&blobs, "jobs/1").unwrap(), "one two three", "refused appends change nothing");
    blobs.sync().unwrap();
}

#[test]
fn a_long_repetition_is_compared_to_its_end() {
    let (_folder, blobs) = open();
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let log = name("log");
    blobs.append(&log, 0, &bytes).unwrap();
    assert_eq!(blobs.append(&log, 1, &bytes[1..]).unwrap(), 200_000);
    let mut other = bytes.clone();
    other[199_999] ^= 1;
    assert!(matches!(blobs.append(&log, 0, &other), Err(Error::Differs { .. })));
}

#[test]
fn many_writers_of_many_logs_lose_nothing() {
    let (_folder, blobs) = open();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let blobs = &blobs;
            scope.spawn(move || {
                for line in 0..50_u64 {
                    let text = format!("{writer}:{line:03}\n");
                    blobs.append(&name(&format!("jobs/{writer}")), line * 6, text.as_bytes()).unwrap();
                    if line % 10 == 0 {
                        put(blobs, &format!("deep/{line}/{writer}"), b"x").unwrap();
                        blobs.delete(&name(&format!("deep/{line}/{writer}"))).unwrap();
                    }
                }
            });
        }
    });
    for writer in 0..4 {
        let expected: String = (0..50).map(|line| format!("{writer}:{line:03}\n")).collect();
        assert_eq!(read(&blobs, &format!("jobs/{writer}")).unwrap(), expected);
    }
    assert_eq!(listed(&blobs, "deep/"), [""; 0]);
}

#[test]
fn no_handle_is_left_behind() {
    let (folder, blobs) = open();
    for number in 0..100 {
        let log = name(&format!("jobs/{number}"));
        blobs.append(&log, 0, b"line").unwrap();
        put(&blobs, &format!("files/{number}"), b"file").unwrap();
        drop(blobs.put(&log, 1).unwrap());
        drop(blobs.read(&log).unwrap());
        drop(blobs.append(&log, 9, b"hole"));
    }
    blobs.sync().unwrap();
    let kept = blobs.read(&name("jobs/0")).unwrap();
    assert_eq!(handles_in(folder.path()), 3, "the folder, its lock, and the one blob that is held");
    drop(kept);
}

/// Open handles of this process below a folder.
fn handles_in(folder: &Path) -> usize {
    let links =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    links.filter(|target| target.starts_with(folder)).count()
}
