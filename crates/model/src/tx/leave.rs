//! What a machine leaves behind when it is deleted (API §10.8, §10.9). Its jobs stay, as a record of what was done. A job or
//! tenant that today's checks refuse, whatever of it they refuse, stays as it is: it is no reason to keep the machine.

use std::sync::Arc;

use super::Tx;
use crate::{Error, Job, Kind, Machine, Object, Tenant};

impl Tx {
    /// Its newest job is nobody's newest any more, and no tenant counts it among its members.
    pub(super) fn leave(&mut self, machine: &Machine) -> Result<(), Error> {
        let key = machine.uuid.to_string();
        if let Some(job) = self.newest_job(machine, &key) {
            self.save_if_sound(&Job { current: false, ..(*job).clone() })?;
        }
        let prefix = Kind::Machine.prefix();
        let has = |tenant: &Tenant| tenant.members.get(prefix).is_some_and(|keys| keys.contains(&key));
        let tenants: Vec<Arc<Tenant>> =
            self.view.objects::<Tenant>().filter(|tenant| !tenant.read_only && has(tenant)).collect();
        for tenant in tenants {
            let mut tenant = (*tenant).clone();
            tenant.members.entry(prefix.to_owned()).or_default().retain(|member| *member != key);
            self.save_if_sound(&tenant)?;
        }
        Ok(())
    }

    fn save_if_sound<T: Object>(&mut self, object: &T) -> Result<(), Error> {
        match self.save(object) {
            Ok(_) | Err(Error::Invalid { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The job that the machine names, or, after a rewind has cleared that, the one that says so itself.
    fn newest_job(&self, machine: &Machine, key: &str) -> Option<Arc<Job>> {
        let named = self.view.object::<Job>(&machine.current_job.to_string());
        named.filter(|job| job.current).or_else(|| {
            let mut jobs =
                self.view.find(Kind::Job, "Machine", key).filter_map(|key| self.view.object::<Job>(key));
            jobs.find(|job| job.current)
        })
    }
}
