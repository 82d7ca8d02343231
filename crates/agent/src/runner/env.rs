//! The environment of scripts (engine.md §5.5 step 5).

use super::{Config, files, proxy};
use crate::wire::Job;
use std::collections::BTreeMap;
use std::path::Path;

/// Marks every process of a job, so that a restarted agent finds what its predecessor left running.
pub const JOB_MARK: &str = "GANTRY_JOB";

/// What all jobs have in common.
#[derive(Clone, Debug)]
pub struct Environment {
    base: BTreeMap<String, String>,
}

impl Environment {
    /// From the agent's own environment and its configuration.
    pub fn new(config: &Config) -> Self {
        let mut base: BTreeMap<String, String> = std::env::vars().collect();
        let path = base.get("PATH").filter(|path| !path.is_empty()).cloned();
        let path =
            path.unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
        let tools = files::tools_dir(&config.runner_dir);
        base.insert("PATH".into(), format!("{path}:{}", tools.display()));
        base.entry("HOME".into()).or_insert_with(|| config.runner_dir.display().to_string());
        base.insert("RS_ENDPOINT".into(), config.endpoint.url.clone());
        base.insert("RS_ENDPOINTS".into(), config.endpoint.url.clone());
        if let Some(pin) = config.endpoint.pin {
            let digits: String = pin.iter().map(|byte| format!("{byte:02x}")).collect();
            base.insert("GANTRY_TLS".into(), format!("sha256:{digits}"));
        }
        let runner = config.runner_dir.display().to_string();
        base.insert("TMPDIR".into(), runner.clone());
        base.insert("TMP".into(), runner.clone());
        base.insert("RS_RUNNER_DIR".into(), runner);
        let socket = proxy::socket(&config.runner_dir);
        if socket.exists() {
            base.insert("RS_LOCAL_PROXY".into(), socket.display().to_string());
        }
        base.insert("GANTRY_STATE_DIR".into(), config.state_dir.display().to_string());
        Self { base }
    }

    /// For one job in its folder.
    pub fn of_job(&self, job: &Job, uuid: &str, token: &str, task_dir: &Path) -> BTreeMap<String, String> {
        let mut all = self.base.clone();
        let token = if job.token.is_empty() { token } else { job.token.expose() };
        let own = [
            ("RS_UUID", uuid),
            ("RS_TOKEN", token),
            ("RS_JOB_UUID", &job.uuid),
            ("RS_TASK", &job.task),
            ("RS_CONTEXT", &job.context),
            (JOB_MARK, &job.uuid),
        ];
        all.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        all.insert("RS_TASK_DIR".into(), task_dir.display().to_string());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_job_with_rights_of_its_own_has_its_own_token() {
        let token = |job: &Job| {
            let environment = Environment { base: BTreeMap::new() };
            environment.of_job(job, "u", "the machine's", Path::new("/task"))["RS_TOKEN"].clone()
        };
        assert_eq!(token(&Job::default()), "the machine's");
        assert_eq!(token(&Job { token: Secret::new("the job's"), ..Job::default() }), "the job's");
    }
}
