//! What is to be seen of machines by the API, and waiting for it.

use std::time::{Duration, Instant};

use gantry_lab::Machine;
use http::Method;
use serde_json::Value;

use super::{LOOK, Scenario, call, deadline, tail};
use crate::error::{Error, Result};

impl Scenario {
    /// Waits until the machine has registered; returns its key in the API.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the end of its serial console, [`Error::Server`] when the server has ended.
    pub fn wait_registered(&self, machine: &Machine, timeout: Duration) -> Result<String> {
        let what = format!("{} to register", machine.name());
        self.wait(machine, &what, timeout, || self.registered(machine))
    }

    /// The machine's key, once it has registered. It is known by the address of its first interface.
    ///
    /// # Errors
    /// If the lab or the server does not answer.
    pub fn registered(&self, machine: &Machine) -> Result<Option<String>> {
        let mac = machine.status()?.spec.mac(0).to_string();
        let machines = self.get("/machines", &[])?;
        let has = |known: &&Value| {
            let macs = known.get("HardwareAddrs").and_then(Value::as_array);
            macs.into_iter()
                .flatten()
                .any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(&mac)))
        };
        let found = machines.as_array().into_iter().flatten().find(has);
        Ok(found.and_then(|found| found.get("Uuid")).and_then(Value::as_str).map(str::to_owned))
    }

    /// The name of a machine, by its key.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn name_of(&self, key: &str) -> Result<String> {
        Ok(field(&self.get(&format!("/machines/{key}"), &[])?, "Name").to_owned())
    }

    /// Waits until the machine's workflow is complete; returns the machine as it is then.
    ///
    /// # Errors
    /// [`Error::Job`] as soon as a job has failed, [`Error::Deadline`] with the end of the serial console.
    pub fn wait_complete(&self, key: &str, machine: &Machine, timeout: Duration) -> Result<Value> {
        let what = format!("the workflow of {} to complete", machine.name());
        self.wait(machine, &what, timeout, || {
            self.check_jobs(&self.jobs(key)?, machine.name())?;
            self.completed(key)
        })
    }

    /// The machine, if its workflow is complete.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn completed(&self, key: &str) -> Result<Option<Value>> {
        let object = self.get(&format!("/machines/{key}"), &[])?;
        let is_complete = object.get("WorkflowComplete").and_then(Value::as_bool).unwrap_or_default();
        Ok(is_complete.then_some(object))
    }

    /// All jobs of a machine.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn jobs(&self, key: &str) -> Result<Vec<Value>> {
        Ok(list(self.get("/jobs", &[("Machine", key)])?))
    }

    /// The boot trace of a machine's latest power-on. Before it has registered, its MAC is its key.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn trace(&self, key: &str) -> Result<Vec<Value>> {
        Ok(list(self.get(&format!("/machines/{key}/trace"), &[])?))
    }

    /// The boot trace of a machine, all its power-ons.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn whole_trace(&self, key: &str) -> Result<Vec<Value>> {
        Ok(list(self.get(&format!("/machines/{key}/trace"), &[("boot", "all")])?))
    }

    /// The log of a job.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn job_log(&self, job: &str) -> Result<String> {
        let path = format!("/jobs/{job}/log");
        let fetch = async {
            let response = self.client.send(self.client.request(Method::GET, &path, &[])).await?;
            let unreadable =
                |error: String| gantry_client::Error::Unreadable { url: path.clone(), reason: error };
            response.text().await.map_err(|error| unreadable(error.to_string()))
        };
        self.runtime.block_on(fetch).map_err(call(format!("read the log of job {job}")))
    }

    /// The log of the job that runs now, empty when none does. `jobs` are those of [`Scenario::jobs`].
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn running_log(&self, jobs: &[Value]) -> Result<String> {
        let running = jobs.iter().find(|job| field(job, "State") == "running");
        running.map_or(Ok(String::new()), |job| self.job_log(field(job, "Uuid")))
    }

    /// The logs of all jobs of a machine that ran this task, one after another.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn task_log(&self, key: &str, task: &str) -> Result<String> {
        let jobs = self.jobs(key)?;
        let of_task = jobs.iter().filter(|job| field(job, "Task") == task);
        of_task.map(|job| self.job_log(field(job, "Uuid"))).collect()
    }

    /// Fails if one of these jobs of a machine has failed.
    ///
    /// # Errors
    /// [`Error::Job`] with the job's log, or [`Error::Call`].
    pub fn check_jobs(&self, jobs: &[Value], machine: &str) -> Result<()> {
        let Some(failed) = jobs.iter().find(|job| field(job, "State") == "failed") else { return Ok(()) };
        Err(Error::Job {
            task: field(failed, "Task").to_owned(),
            machine: machine.to_owned(),
            log: self.job_log(field(failed, "Uuid"))?,
        })
    }

    /// Looks until there is an answer; returns it.
    ///
    /// # Errors
    /// What `look` fails with, [`Error::Deadline`] with the end of the machine's serial console, [`Error::Server`] when the
    /// server has ended.
    pub fn wait<T>(
        &self,
        machine: &Machine,
        what: &str,
        timeout: Duration,
        look: impl Fn() -> Result<Option<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            self.check_server()?;
            if began.elapsed() > timeout {
                let serial = machine.serial().and_then(|serial| serial.text()).unwrap_or_default();
                let seen = format!("console:\n{}\nserver:\n{}", tail(&serial), self.server_tail());
                return Err(deadline(what, timeout, seen));
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn field<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}
