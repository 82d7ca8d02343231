//! Tables and properties of the session.
