//! The journal of this machine, for the verbs.

use crate::cli::{Face, Failure};
use crate::journal::{Journal, JournalError, usual_folder};
use crate::model::FailureKind;

impl Face {
    /// Opens the journal in the state folder: `--state`, `PORTOSER_STATE`, or the platform's.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn journal(&self) -> Result<Journal, Failure> {
        let folder = self.flags.state.clone().map_or_else(usual_folder, Ok)?;
        Ok(Journal::open(&folder)?)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let kind = match error {
            JournalError::Unknown { .. } | JournalError::Ambiguous { .. } => FailureKind::Usage,
            _ => FailureKind::Internal,
        };
        Self::new(kind, &error).hint(error.hint())
    }
}
