//! References to secrets, and what they lead to: a variable or a file of this machine. What is read is never shown, and is in memory
//! only as long as somebody holds it.

use std::path::PathBuf;

use crate::model::Secret;
use crate::registry::SecretRef;

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretFault {
    #[error("the variable {name} is not set")]
    Unset { name: String },
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{from} is empty")]
    Empty { from: SecretRef },
    #[error("{from} does not hold one line of text")]
    Lines { from: SecretRef },
}

impl SecretFault {
    /// The next move.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unset { name } => format!("set it for this command, such as `{name}=... portoser ...`"),
            Self::Read { path, .. } => {
                format!("put the secret into {}, for your user alone (mode 0600)", path.display())
            }
            Self::Empty { .. } | Self::Lines { .. } => "it must hold the secret alone, in one line".into(),
        }
    }
}

/// Reads a secret, whatever it holds.
///
/// # Errors
/// When it is not there, cannot be read, or is empty.
pub fn read(from: &SecretRef) -> Result<Secret, SecretFault> {
    let bytes = match from {
        SecretRef::Env(name) => {
            let value = std::env::var_os(name).ok_or_else(|| SecretFault::Unset { name: name.clone() })?;
            value.into_encoded_bytes()
        }
        SecretRef::File(path) => {
            std::fs::read(path).map_err(|source| SecretFault::Read { path: path.clone(), source })?
        }
    };
    if bytes.is_empty() { Err(SecretFault::Empty { from: from.clone() }) } else { Ok(Secret::new(bytes)) }
}

/// Reads a secret of one line; a line break at its end is no part of it.
///
/// # Errors
/// As `read`, and when it is not one line of text.
pub fn line(from: &SecretRef) -> Result<Secret, SecretFault> {
    let all = read(from)?;
    let bytes = all.reveal_for_sending();
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(SecretFault::Empty { from: from.clone() });
    }
    if std::str::from_utf8(line).is_err() || line.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err(SecretFault::Lines { from: from.clone() });
    }
    Ok(Secret::new(line.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_of_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let from = SecretRef::File(path.clone());
        let told = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("a file");
            line(&from).map(|secret| secret.reveal_for_sending().to_vec()).map_err(|fault| fault.to_string())
        };
        assert_eq!(told(b"abc\r\n"), Ok(b"abc".to_vec()));
        assert_eq!(told(b" a c "), Ok(b" a c ".to_vec()));
        assert!(told(b"\n").expect_err("nothing").ends_with("is empty"));
        assert!(told(b"a\nb\n").expect_err("two").ends_with("one line of text"));
        assert!(told(b"\xff").is_err());
        std::fs::remove_file(&path).expect("it goes");
        assert!(line(&from).is_err());
        assert!(line(&SecretRef::Env("PORTOSER_NO_SUCH_VARIABLE".into())).is_err());
    }
}
