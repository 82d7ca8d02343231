//! The workflow engine at its border: objects in, objects out.

mod change;
mod next;
mod pool;
mod properties;
mod report;
mod retention;
mod world;
