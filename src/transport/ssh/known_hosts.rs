//! known_hosts as OpenSSH reads it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): hashed names, patterns, ports, authorities,
//! revocation. russh's own reader accepts revoked keys and refuses wildcards, so it is not used.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, ssh_key};

use super::pattern;

/// What the known_hosts files say about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A line names this very key, or the authority that signed its certificate.
    Trusted,
    /// No line of any file is about this host.
    Unknown,
    /// Lines are about this host, and none names this key; the first such line.
    Changed { file: PathBuf, line: usize },
    /// A `@revoked` line names this key.
    Revoked { file: PathBuf, line: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    Authority,
    Revoked,
}

#[derive(Debug)]
struct Line {
    file: PathBuf,
    number: usize,
    mark: Mark,
    hosts: HostPatterns,
    key: PublicKey,
}

/// The lines of several known_hosts files.
#[derive(Debug, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
    /// Lines that could not be read, as `file:line: why`; they are skipped.
    pub warnings: Vec<String>,
}

impl KnownHosts {
    /// Reads the files in order. A file that does not exist is an empty one; one that cannot be read is a warning, as it
    /// can only lead to a question or a refusal.
    #[must_use]
    pub fn read(files: &[PathBuf]) -> Self {
        let mut known = Self::default();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => known.add(file, &String::from_utf8_lossy(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => known.warnings.push(format!("{}: {error}", file.display())),
            }
        }
        known
    }

    /// Adds the lines of `text`.
    pub fn add(&mut self, file: &Path, text: &str) {
        for (index, text) in text.lines().enumerate() {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let number = index + 1;
            match parse(text) {
                Some((mark, hosts, key)) => self.lines.push(Line { file: file.into(), number, mark, hosts, key }),
                None => self.warnings.push(format!("{}:{number}: not a known_hosts line", file.display())),
            }
        }
    }

    /// Judges a plain key of `name` at `port`. `name` is the address as the user wrote it, or the HostKeyAlias.
    #[must_use]
    pub fn judge(&self, name: &str, port: u16, key: &PublicKey) -> Verdict {
        let same = |line: &&Line| line.key.key_data() == key.key_data();
        if let Some(line) = self.about(name, port, Mark::Revoked).find(same) {
            return Verdict::Revoked { file: line.file.clone(), line: line.number };
        }
        if self.about(name, port, Mark::None).any(|line| same(&line)) {
            return Verdict::Trusted;
        }
        match self.about(name, port, Mark::None).next() {
            Some(line) => Verdict::Changed { file: line.file.clone(), line: line.number },
            // As OpenSSH: a line without a port vouches for the host's other ports too, but does not accuse them.
            None if port != 22 && self.judge(name, 22, key) == Verdict::Trusted => Verdict::Trusted,
            None => Verdict::Unknown,
        }
    }

    /// Judges a host certificate: signed by an authority of this host, valid now, made for `name`, without critical
    /// options. A certificate of nobody's is judged as the plain key in it, as OpenSSH does.
    #[must_use]
    pub fn judge_certificate(&self, name: &str, port: u16, certificate: &Certificate) -> Verdict {
        let key = PublicKey::from(certificate.public_key().clone());
        let signer = PublicKey::from(certificate.signature_key().clone());
        for revocable in [&key, &signer] {
            let same = |line: &&Line| line.key.key_data() == revocable.key_data();
            if let Some(line) = self.about(name, port, Mark::Revoked).find(same) {
                return Verdict::Revoked { file: line.file.clone(), line: line.number };
            }
        }
        let by_ours = self.about(name, port, Mark::Authority).any(|line| line.key.key_data() == signer.key_data());
        let fingerprint = signer.fingerprint(HashAlg::Sha256);
        let made_for = certificate.valid_principals().iter().any(|principal| pattern::matches(principal, name));
        let good = by_ours
            && certificate.cert_type() == ssh_key::certificate::CertType::Host
            && certificate.critical_options().is_empty()
            && made_for
            && certificate.validate([&fingerprint]).is_ok();
        if good { Verdict::Trusted } else { self.judge(name, port, &key) }
    }

    /// The key algorithms of the lines about this host, in their order: the server is asked for these first, or a host that
    /// is known by one type would show a key of another and look unknown.
    #[must_use]
    pub fn algorithms(&self, name: &str, port: u16) -> Vec<Algorithm> {
        self.about(name, port, Mark::None).map(|line| line.key.algorithm()).collect()
    }

    /// Whether an authority is named for this host, so that the server is asked for a certificate.
    #[must_use]
    pub fn has_authority(&self, name: &str, port: u16) -> bool {
        self.about(name, port, Mark::Authority).next().is_some()
    }

    fn about<'a>(&'a self, name: &str, port: u16, mark: Mark) -> impl Iterator<Item = &'a Line> {
        let written = written(name, port);
        self.lines.iter().filter(move |line| line.mark == mark && matches(&line.hosts, &written))
    }
}

/// How a host stands in a known_hosts line: the name in lower case, with the port in brackets unless it is 22.
fn written(name: &str, port: u16) -> String {
    let name = name.to_ascii_lowercase();
    if port == 22 { name } else { format!("[{name}]:{port}") }
}

fn parse(text: &str) -> Option<(Mark, HostPatterns, PublicKey)> {
    let mut fields = text.split([' ', '\t']).filter(|field| !field.is_empty());
    let mut first = fields.next()?;
    let mark = match first {
        "@cert-authority" => Mark::Authority,
        "@revoked" => Mark::Revoked,
        other if other.starts_with('@') => return None,
        _ => Mark::None,
    };
    if mark != Mark::None {
        first = fields.next()?;
    }
    let hosts = HostPatterns::from_str(first).ok()?;
    let (kind, blob) = (fields.next()?, fields.next()?);
    Some((mark, hosts, PublicKey::from_openssh(&format!("{kind} {blob}")).ok()?))
}

fn matches(hosts: &HostPatterns, written: &str) -> bool {
    match hosts {
        HostPatterns::Patterns(patterns) => pattern::list_matches(patterns.iter().map(String::as_str), written),
        HostPatterns::HashedName { salt, hash } => digest(salt, written) == Some(*hash),
    }
}

/// HMAC-SHA1 of the name, keyed with the salt, as `HashKnownHosts` has it. It hides names; it protects nothing.
fn digest(salt: &[u8], written: &str) -> Option<[u8; 20]> {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(salt).ok()?;
    mac.update(written.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

/// Appends a line that trusts `key`, under an exclusive lock and with the bytes on the disk before it returns. The folder is
/// made (0700) when it is missing.
pub fn trust(file: &Path, name: &str, port: u16, key: &PublicKey) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        make_private(folder)?;
    }
    let mut plain = key.clone();
    plain.set_comment("");
    let line = format!("{} {}\n", written(name, port), plain.to_openssh().map_err(io::Error::other)?.trim_end());
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut known = options.open(file)?;
    known.lock()?;
    if !ends_with_line_break(&mut known)? {
        known.write_all(b"\n")?;
    }
    known.write_all(line.as_bytes())?;
    known.sync_all()
}

fn make_private(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn ends_with_line_break(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn verdict(text: &str, name: &str, port: u16) -> Verdict {
        let mut known = KnownHosts::default();
        known.add(Path::new("known_hosts"), text);
        known.judge(name, port, &PublicKey::from_openssh(KEY).expect("a key"))
    }

    #[test]
    fn names_are_compared_without_case_and_with_their_port() {
        assert_eq!(verdict(&format!("web.example {KEY}"), "WEB.example", 22), Verdict::Trusted);
        assert_eq!(verdict(&format!("[web.example]:2222 {KEY}"), "web.example", 2222), Verdict::Trusted);
        assert_eq!(verdict(&format!("[web.example]:2222 {KEY}"), "web.example", 22), Verdict::Unknown);
        assert_eq!(verdict(&format!("[::1]:2222 {KEY} a comment"), "::1", 2222), Verdict::Trusted);
    }

    #[test]
    fn a_revoked_key_is_refused_wherever_the_line_stands() {
        let revoked = format!("@revoked * {KEY}");
        let file = PathBuf::from("known_hosts");
        assert_eq!(
            verdict(&format!("web {KEY}\n{revoked}"), "web", 22),
            Verdict::Revoked { file: file.clone(), line: 2 }
        );
        assert_eq!(verdict(&revoked, "web", 22), Verdict::Revoked { file, line: 1 });
    }

    #[test]
    fn a_hashed_name_is_found() {
        let salt = [7_u8; 20];
        let hash = digest(&salt, "web.example").expect("a hash");
        let hashed = HostPatterns::HashedName { salt: salt.to_vec(), hash };
        assert_eq!(verdict(&format!("{} {KEY}", hashed.to_string()), "web.example", 22), Verdict::Trusted);
        assert_eq!(verdict(&format!("{} {KEY}", hashed.to_string()), "other.example", 22), Verdict::Unknown);
    }

    #[test]
    fn lines_that_cannot_be_read_are_told_and_skipped() {
        let mut known = KnownHosts::default();
        known.add(Path::new("k"), &format!("junk\n@unknown web {KEY}\nweb ssh-ed25519 !!\n# fine\n\nweb {KEY}\n"));
        assert_eq!(known.warnings.len(), 3, "{:?}", known.warnings);
        assert_eq!(known.lines.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "(@revoked |@cert-authority |)[ -~\t\n]{0,80}", name in "[ -~]{0,20}") {
            let mut known = KnownHosts::default();
            known.add(Path::new("k"), &text);
            let _ = known.judge(&name, 22, &PublicKey::from_openssh(KEY).expect("a key"));
        }

        #[test]
        fn what_is_trusted_is_found_again(name in "[a-zA-Z0-9.-]{1,20}", port in 1_u16..) {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("deep/known_hosts");
            let key = PublicKey::from_openssh(KEY).expect("a key");
            trust(&file, &name, port, &key).expect("written");
            trust(&file, "another", port, &key).expect("written");
            prop_assert_eq!(KnownHosts::read(&[file]).judge(&name, port, &key), Verdict::Trusted);
        }
    }
}
