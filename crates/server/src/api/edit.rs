//! Writes on behalf of a caller: one closure in one transaction, its refusal in the words of the wire.

use std::sync::Arc;

use axum::body::Body;
use gantry_api::Error;
use gantry_api::claim::Wanted;
use gantry_api::refusal::{Asked, Target};
use gantry_model::{How, Kind, Tx, View};
use gantry_state::Failure;

use super::Ask;
use super::body::{PATIENCE, Upload};
use crate::auth::Subject;
use crate::{clock, incident};

/// What a write came to.
#[derive(Debug)]
pub(super) struct Written<T> {
    /// What the closure gave back.
    pub(super) value: T,
    /// A View that shows the write.
    pub(super) view: Arc<View>,
}

impl Ask {
    /// Takes the body out, once.
    pub(super) fn take_body(&mut self) -> Upload {
        std::mem::replace(
            &mut self.body,
            Upload::new(Body::empty(), self.route.operation.method.as_str(), PATIENCE),
        )
    }

    /// Runs `work` in a transaction in the caller's name; returns when it is durable and visible. The closure may run more
    /// than once, so it must not do anything but change the draft.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        action: &'static str,
        target: Target,
        work: impl Fn(&mut Tx) -> Result<T, gantry_model::Error> + Send + Sync + 'static,
    ) -> Result<Written<T>, Error> {
        let how = self.how();
        let written = self.api.write(&self.caller.principal, action, move |tx| {
            tx.set_how(how);
            work(tx)
        });
        match written.await {
            Ok(written) => Ok(Written { value: written.value, view: written.view }),
            Err(Failure::Refused(error)) => Err(self.refuse(error, target)),
            Err(Failure::Failed(gantry_state::Error::Panicked)) => incident::write_panicked(),
            Err(Failure::Failed(error)) => {
                tracing::error!(%error, path = %self.path, "write failed");
                Err(Error::unavailable(self.method, "the store refused the write"))
            }
        }
    }

    /// Runs `work` on the objects as the caller sees them and stores nothing: for what turns out to change nothing.
    pub(super) fn look<T>(
        &self,
        target: Target,
        work: impl FnOnce(&mut Tx) -> Result<T, gantry_model::Error>,
    ) -> Result<Written<T>, Error> {
        let mut tx = Tx::new(View::clone(&self.view), clock::dice());
        tx.set_how(self.how());
        let value = work(&mut tx).map_err(|error| self.refuse(error, target))?;
        Ok(Written { value, view: self.view.clone() })
    }

    fn how(&self) -> How {
        let step = || Wanted::new("machines", "updateTaskList", self.specific());
        How {
            force: self.query.flag("force"),
            locks: matches!(self.caller.subject, Subject::User(_)),
            keeps_place: self.route.kind == "machines" && !self.caller.may(&step()),
        }
    }

    /// The wire form of a refusal of the model.
    pub(super) fn refuse(&self, error: gantry_model::Error, target: Target) -> Error {
        Error::from_model(error, Asked { method: self.method, key: &self.route.key, target })
    }

    /// Whether the caller may know that the object exists.
    pub(super) fn may_see(&self, kind: Kind, specific: &str) -> bool {
        self.caller.may(&Wanted::new(kind.prefix(), "get", specific))
    }
}
