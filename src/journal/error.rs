//! Why the journal could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the journal could not be read or written. A deploy can go on without it; `hint` names the next move.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("this user has no home folder for local state")]
    NoHome,
    #[error("cannot make the state folder `{}`", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot open `{}`", file.display())]
    File {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the journal `{}` is damaged: {says}", file.display())]
    Damaged { file: PathBuf, says: String },
    #[error("the journal `{}` was written by a newer portoser (schema {found}, this one knows {known})", file.display())]
    Newer { file: PathBuf, found: i64, known: i64 },
    #[error("another portoser has held the journal `{}` for more than {seconds} s", file.display())]
    Busy { file: PathBuf, seconds: u64 },
    #[error("cannot bring the journal `{}` to the present schema", file.display())]
    Migrate {
        file: PathBuf,
        #[source]
        source: rusqlite_migration::Error,
    },
    #[error("cannot use the journal `{}`", file.display())]
    Sql {
        file: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("no run and no release begins with `{prefix}`")]
    Unknown { prefix: String },
    #[error("more than one run or release begins with `{prefix}`: {}", found.join(", "))]
    Ambiguous { prefix: String, found: Vec<String> },
}

impl JournalError {
    /// The next move.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoHome | Self::Folder { .. } | Self::File { .. } => {
                "name a folder that you can write with `--state DIR` or PORTOSER_STATE".into()
            }
            Self::Damaged { file, .. } => format!(
                "move it away with its `-wal` and `-shm` files (`mv {0} {0}.damaged`) and a new one is begun; the hosts \
                 keep their own records",
                file.display()
            ),
            Self::Newer { .. } => {
                "use that portoser, or give this one a state folder of its own with `--state DIR`".into()
            }
            Self::Busy { .. } => "end the other portoser, or try again".into(),
            Self::Migrate { .. } | Self::Sql { .. } => {
                "is the disk full, or the state folder not writable? `--state DIR` names another one".into()
            }
            Self::Unknown { .. } => "`portoser runs` and `portoser history` list them".into(),
            Self::Ambiguous { .. } => "give more of its letters".into(),
        }
    }

    /// Sorts SQLite's errors by the next move that they ask for.
    pub(super) fn sql(file: &Path, source: rusqlite::Error) -> Self {
        let file = file.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { file, says: source.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy { file, seconds: super::database::PATIENCE.as_secs() }
            }
            _ => Self::Sql { file, source },
        }
    }
}
