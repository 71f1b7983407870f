//! How image registries know us, and where a secret is found. What the secret is, only the room `secrets` reads.

use std::fmt;
use std::path::PathBuf;

/// Where a secret is found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// In this variable of the environment.
    Env(String),
    /// In this file, absolute; a line break at its end is no part of it.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// How an image registry knows us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLogin {
    pub user: String,
    pub password: SecretRef,
}

/// The registry that an image is fetched from, by its reference: what stands before the first `/`, where that can be a name of a
/// machine (github.com/distribution/reference).
#[must_use]
pub fn server_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// The registry of references that name none.
const HUB: &str = "docker.io";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_an_image() {
        for (reference, server) in [
            ("nginx:1", "docker.io"),
            ("library/nginx", "docker.io"),
            ("docker.io/library/nginx", "docker.io"),
            ("ghcr.io/a/b@sha256:1", "ghcr.io"),
            ("localhost/x", "localhost"),
            ("127.0.0.1:5000/x:y", "127.0.0.1:5000"),
        ] {
            assert_eq!(server_of(reference), server, "{reference}");
        }
    }
}
