//! A secret: it can be sent, and cannot be shown.

use std::fmt;
use zeroize::Zeroizing;

/// Bytes that never appear in a log, an error, JSON or a debug print. Cleared from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the stream that carries them. The name is long so that each use is seen in a review.
    #[must_use]
    pub fn reveal_for_sending(&self) -> &[u8] {
        &self.0
    }
}

/// How an image registry lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The registry's name.
    pub server: String,
    pub user: String,
    pub password: Secret,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
