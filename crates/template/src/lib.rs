//! The language that Digital Rebar content is written in: Go's `text/template` with the functions of
//! [Sprig](https://masterminds.github.io/sprig/) v3.1, byte for byte.
//!
//! ```
//! use gantry_template::{NoHost, Set, Value};
//!
//! let mut set = Set::new();
//! set.parse("greet", "Hello {{ .name | default \"world\" | upper }}!\n")?;
//! let data = Value::map([("name", Value::from("gantry"))]);
//! assert_eq!(set.render_to_string("greet", &data, &NoHost::default())?, "Hello GANTRY!\n");
//! # Ok::<(), gantry_template::Error>(())
//! ```
//!
//! - [`Set`] holds named templates that call each other; clones of it are cheap.
//! - [`Value`] is what templates compute with. [`Object`] adds things with lazily computed fields and
//!   methods, [`Func`] adds functions.
//! - [`Host`] is the world (random, time, names, files, deadline), [`Limits`] ends every render.
//! - [`Error`] reads as Go's and has the position as data.
//! - [`functions`] lists every function with its usage, [`groups`] does so by subject.
//!
//! What is left out on purpose: `env`, `expandenv`, `now` and `ago`, which Digital Rebar removes, and
//! delimiters other than `{{` and `}}`.

mod error;
mod exec;
mod fmt;
mod funcs;
mod host;
mod ledger;
mod limits;
mod object;
mod parse;
mod rune;
mod set;
mod value;

pub use error::{Error, ErrorKind, Fail};
pub use exec::Scope;
pub use fmt::float_text;
pub use funcs::{Group, Row, functions, groups};
pub use host::{Host, NoHost, System};
pub use limits::Limits;
pub use object::{Body, Func, Object, Signature};
pub use set::{MissingKey, Set};
pub use value::{Elem, Entries, Kind, List, Map, Str, Type, Uint, Value};
