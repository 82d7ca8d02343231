//! What a machine gets: which files, with which contents, from which parameters, and why.
//!
//! - [`Renderer`]: compiled templates. [`Renderer::file`] answers a path of the virtual file tree (TFTP, HTTP),
//!   [`Renderer::job_actions`] what the agent runs for a job.
//! - [`param`]: values of parameters with the [`Origin`](gantry_model::params::Origin) of each: [`param::find`],
//!   [`param::compose`], [`param::explain`].
//! - [`bootenv`]: a boot environment as one machine sees it (`bootenv-customize`), and its files.
//! - [`survey`]: everything that is rendered for a machine now, with what went wrong and which parameter was read last.
//! - [`memo`]: results of a survey by what their renders read, so that a survey of a changed View renders only what changed.
//! - [`rules::TemplateRules`]: the checks of templates, to be composed into every write.
//! - [`Server`] says under which addresses the asking machine reaches us, [`Host`] makes tokens, opens sealed values, and is
//!   the template language's world.
//!
//! Everything is a function of a View, an input and a host. Nothing waits; nothing is written to disk: a file of the tree is
//! rendered when it is read. A path that names a machine (UUID, MAC, address in either form, name) leads to that machine's
//! candidates, confirmed by rendering their path templates; see [`tree`].

mod actions;
mod asker;
pub mod bootenv;
mod compile;
mod dot;
mod host;
mod install_tree;
pub mod memo;
mod object;
pub mod param;
mod reads;
mod repo;
pub mod rules;
mod scene;
pub mod survey;
pub mod tree;
pub mod yaml;

pub use actions::JobAction;
pub use compile::Renderer;
pub use host::{Host, Server};
pub use tree::{File, Rendered, Source};

/// Why something could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The object that a job or file needs is gone: `Task x does not exist`.
    #[error("{0}")]
    Missing(String),
    /// Parameters that the task requires have no value, one sentence for each.
    #[error("{}", .0.join("; "))]
    Required(Vec<String>),
    /// Templates that do not compile or fail, one message of the template engine for each.
    #[error("{}", .0.join("; "))]
    Render(Vec<String>),
}

impl Error {
    /// The sentences, for a wire body.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        match self {
            Self::Missing(message) => vec![message.clone()],
            Self::Required(messages) | Self::Render(messages) => messages.clone(),
        }
    }
}
