//! The kinds of failure, and the exit code that each one has. Scripts and people rely on the codes: they never change.

use serde::{Deserialize, Serialize};

/// What kind of failure ended a verb. Each has its own exit code; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A fault of portoser itself, or of the machine that it runs on.
    Internal,
    /// The command line is wrong.
    Usage,
    /// The registry or a playbook is invalid.
    Invalid,
    /// A host could not be reached.
    Unreachable,
    /// It failed; the old version is back, and proven.
    RolledBack,
    /// It failed; the old version is not proven back.
    RollbackFailed,
    /// Another run holds the lock.
    Locked,
    /// A service is not healthy.
    Unhealthy,
    /// Policy or the user refused.
    Refused,
    /// A secret could not be had.
    Secret,
    /// The user stopped it.
    Interrupted,
}

impl FailureKind {
    /// Every kind, in the order of the exit codes.
    pub const ALL: [Self; 11] = [
        Self::Internal,
        Self::Usage,
        Self::Invalid,
        Self::Unreachable,
        Self::RolledBack,
        Self::RollbackFailed,
        Self::Locked,
        Self::Unhealthy,
        Self::Refused,
        Self::Secret,
        Self::Interrupted,
    ];

    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::Unreachable => 4,
            Self::RolledBack => 5,
            Self::RollbackFailed => 6,
            Self::Locked => 7,
            Self::Unhealthy => 8,
            Self::Refused => 9,
            Self::Secret => 10,
            Self::Interrupted => 130,
        }
    }

    /// The kind that has this exit code; none for 0 and for codes that are not ours.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// One line for people.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Internal => "internal: a fault of portoser or of this machine",
            Self::Usage => "usage: the command line is wrong",
            Self::Invalid => "the registry or a playbook is invalid",
            Self::Unreachable => "a host could not be reached, or not all of it seen",
            Self::RolledBack => "failed; the old version is back and proven",
            Self::RollbackFailed => "failed; the old version is not proven back",
            Self::Locked => "another run holds the lock",
            Self::Unhealthy => "unhealthy",
            Self::Refused => "refused by policy or by the user",
            Self::Secret => "a secret could not be had",
            Self::Interrupted => "interrupted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_leads_back_to_its_kind() {
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::of_code(kind.code()), Some(kind));
        }
        assert_eq!(FailureKind::of_code(0), None);
    }
}
