//! SHA-256, by which files and releases are told apart. It is the cryptographic library that SSH brings along: without the
//! processor's own SHA instructions it takes about half the time of a portable one.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256.
pub type Sha256 = [u8; 32];

/// The SHA-256 of these bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Sha256 {
    fixed(digest(&SHA256, bytes).as_ref())
}

/// The SHA-256 of bytes that come piece by piece.
pub struct Hash(Context);

impl Default for Hash {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hash {
    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// What all pieces make.
    #[must_use]
    pub fn finish(self) -> Sha256 {
        fixed(self.0.finish().as_ref())
    }
}

fn fixed(bytes: &[u8]) -> Sha256 {
    let mut hash = [0; 32];
    hash.copy_from_slice(bytes);
    hash
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from(b"0123456789abcdef"[usize::from(number)]);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of FIPS 180-4's secure hash standard.
    #[test]
    fn it_is_sha_256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&sha256(b"abc")), abc);
        let mut hash = Hash::default();
        hash.update(b"a");
        hash.update(b"bc");
        assert_eq!(hex(&hash.finish()), abc);
    }
}
