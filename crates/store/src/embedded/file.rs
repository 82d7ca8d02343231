//! Opening the file: making it whole or not at all, its format number, and reading the history back.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, Table};

use super::{HISTORY, KEYS, META, codec};
use crate::history::{Bounds, History};
use crate::{Error, Revision};

/// The format that this program writes. 1: the first.
const FORMAT: u64 = 1;

pub(super) fn open(path: &Path, cache: usize) -> Result<Database, Error> {
    if !path.try_exists().map_err(Error::storage("looking for the store's file"))? {
        make(path)?;
    }
    builder(cache).open(path).map_err(|error| open_error(path, error))
}

fn builder(cache: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache);
    builder
}

/// Makes the file under another name, so that one with the right name is always whole.
fn make(path: &Path) -> Result<(), Error> {
    const DOING: &str = "making the store's file";
    let unfinished = unfinished(path);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::storage(DOING)(error)),
        _ => {}
    }
    let database = builder(0).create(&unfinished).map_err(|error| open_error(&unfinished, error))?;
    check_format(&database)?;
    drop(database);
    std::fs::rename(&unfinished, path).map_err(Error::storage(DOING))?;
    sync_directory_of(path).map_err(Error::storage(DOING))
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn open_error(path: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse { path: path.to_owned() },
        error => Error::storage("opening the store's file")(error),
    }
}

/// Gives a new database its tables and format number, and refuses one with another.
pub(super) fn check_format(database: &Database) -> Result<(), Error> {
    const DOING: &str = "preparing the store's file";
    let write = database.begin_write().map_err(Error::storage(DOING))?;
    {
        let mut meta = write.open_table(META).map_err(Error::storage(DOING))?;
        let found = meta.get("format").map_err(Error::storage(DOING))?.map(|format| format.value());
        match found {
            // Dropping the transaction takes nothing back: it has written nothing.
            Some(FORMAT) => return Ok(()),
            Some(found) => return Err(Error::Format { found, known: FORMAT }),
            None => {}
        }
        for (name, number) in [("format", FORMAT), ("revision", 0), ("compacted", 0)] {
            meta.insert(name, number).map_err(Error::storage(DOING))?;
        }
        write.open_table(KEYS).map_err(Error::storage(DOING))?;
        write.open_table(HISTORY).map_err(Error::storage(DOING))?;
    }
    write.commit().map_err(Error::storage(DOING))
}

pub(super) fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, Error> {
    let found = meta.get(name).map_err(Error::storage("reading the store's numbers"))?;
    found
        .map(|number| number.value())
        .ok_or_else(|| Error::Damaged { what: format!("it has no number named {name}") })
}

pub(super) fn set_number(
    meta: &mut Table<'_, &'static str, u64>,
    name: &str,
    number: u64,
) -> Result<(), Error> {
    meta.insert(name, number).map(drop).map_err(Error::storage("noting the store's numbers"))
}

pub(super) fn read_history(database: &Database, bounds: Bounds) -> Result<History, Error> {
    const DOING: &str = "reading the history";
    let snapshot = database.begin_read().map_err(Error::storage(DOING))?;
    let meta = snapshot.open_table(META).map_err(Error::storage(DOING))?;
    let rows = snapshot.open_table(HISTORY).map_err(Error::storage(DOING))?;
    let mut commits = Vec::new();
    for row in rows.iter().map_err(Error::storage(DOING))? {
        let (revision, commit) = row.map_err(Error::storage(DOING))?;
        commits.push(codec::decode(Revision(revision.value()), commit.value())?);
    }
    let history = History::new(bounds, Revision(number(&meta, "compacted")?), commits);
    let revision = Revision(number(&meta, "revision")?);
    if history.newest() != revision {
        let what = format!("its history ends at {}, its keys at {revision}", history.newest());
        return Err(Error::Damaged { what });
    }
    Ok(history)
}
