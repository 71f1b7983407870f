//! How image registries know us, as written.

use crate::registry::read::draft;
use crate::registry::text::{Line, VariableName};

draft! {
    /// How an image registry knows us.
    struct ImageLogin requires ["user", "password"] {
        /// The name by which it knows us.
        user: Line,
        /// Where the password, or the token in its place, is found on this machine.
        password: SecretFrom,
    }
}

draft! {
    /// Where a secret is found on this machine: one of env and file.
    struct SecretFrom {
        /// A variable of the environment.
        env: VariableName,
        /// A file, relative to this one; a line break at its end is no part of the secret.
        file: Line,
    }
}
