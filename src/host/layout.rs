//! Where our files lie on a host. Every path is made here, from checked names only.

use crate::model::{ReleaseId, ServiceName};

/// The folder inside a release that is ours; the rest is the user's tree.
pub const OURS: &str = ".portoser";

/// The base folder of a host, absolute and without a trailing `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    base: String,
}

impl Layout {
    /// The layout under this base folder.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned() }
    }

    /// The base folder.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What says that deploys and remedies leave the host alone: one line that tells who wants so, since when and why.
    #[must_use]
    pub fn cordon(&self) -> String {
        format!("{}/cordon", self.base)
    }

    /// All that belongs to a service.
    #[must_use]
    pub fn service(&self, service: &ServiceName) -> String {
        self.of(service, &[])
    }

    /// The folder of its releases.
    #[must_use]
    pub fn releases(&self, service: &ServiceName) -> String {
        self.of(service, &["/releases"])
    }

    /// One release: the user's tree, with our folder in it.
    #[must_use]
    pub fn release(&self, service: &ServiceName, id: &ReleaseId) -> String {
        self.of(service, &["/releases/", id.as_str()])
    }

    /// The link to the release that runs.
    #[must_use]
    pub fn current(&self, service: &ServiceName) -> String {
        self.of(service, &["/current"])
    }

    /// The host's own record of the releases that were proven on it.
    #[must_use]
    pub fn proven(&self, service: &ServiceName) -> String {
        self.of(service, &["/proven"])
    }

    /// What says that the service was stopped on purpose: one line that tells by whom.
    #[must_use]
    pub fn stopped(&self, service: &ServiceName) -> String {
        self.of(service, &["/stopped"])
    }

    /// What outlives a release. Nothing of ours ever removes it.
    #[must_use]
    pub fn shared(&self, service: &ServiceName) -> String {
        self.of(service, &["/shared"])
    }

    /// The folder of its virtual environments, which releases share.
    #[must_use]
    pub fn venvs(&self, service: &ServiceName) -> String {
        self.of(service, &["/venvs"])
    }

    /// A virtual environment. It cannot be moved: its programs name its folder.
    #[must_use]
    pub fn venv(&self, service: &ServiceName, id: &ReleaseId) -> String {
        self.of(service, &["/venvs/", id.as_str()])
    }

    /// The folder of the wheels that were sent along.
    #[must_use]
    pub fn wheelhouses(&self, service: &ServiceName) -> String {
        self.of(service, &["/wheels"])
    }

    /// Wheels that were sent along, until the virtual environment is made.
    #[must_use]
    pub fn wheels(&self, service: &ServiceName, id: &ReleaseId) -> String {
        self.of(service, &["/wheels/", id.as_str()])
    }

    /// The folder of a supervised process, on a host without an init system.
    #[must_use]
    pub fn process(&self, service: &ServiceName, instance: u16) -> String {
        self.of(service, &["/process/", &instance.to_string()])
    }

    /// The folder where an image that is sent lies until it is kept. Its id is `sha256:` and digits.
    #[must_use]
    pub fn pushed(&self, id: &str) -> String {
        format!("{}/pushed/{}", self.base, id.rsplit(':').next().unwrap_or(id))
    }

    /// A path of a service. A plan of many services makes many of these, so it is one allocation.
    fn of(&self, service: &ServiceName, rest: &[&str]) -> String {
        let begin = [self.base.as_str(), "/services/", service.as_str()];
        let parts = || begin.iter().chain(rest);
        let mut path = String::with_capacity(parts().map(|part| part.len()).sum());
        parts().for_each(|part| path.push_str(part));
        path
    }
}
