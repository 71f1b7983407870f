//! The folder that the demo lives in: the disk of its host, and on the other side the keys, the registry and the state of
//! its operator. Nothing outside of it is written.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::{LineEnding, PrivateKey};
use russh::keys::{Algorithm, key::safe_rng};

use super::DemoError;

/// The name under which the demo's host is known, so that its key is pinned whatever port it listens on.
const HOST_KEY_NAME: &str = "portoser-demo";
/// The environment variable by which every process of the demo's host is known.
pub(super) const MARK: &str = "PORTOSER_DEMO";

/// The tools that the host has. There is no init system among them, so that the demo leaves the one of this machine alone.
const TOOLS: &[&str] = &[
    "awk",
    "basename",
    "cat",
    "chmod",
    "chown",
    "cksum",
    "cmp",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "du",
    "env",
    "expr",
    "false",
    "find",
    "grep",
    "gzip",
    "head",
    "hostname",
    "id",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "nohup",
    "od",
    "printf",
    "ps",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "setsid",
    "sh",
    "sha256sum",
    "shasum",
    "sleep",
    "sort",
    "stat",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "uname",
    "uniq",
    "wc",
    "xargs",
    "zstd",
];
/// The tools without which nothing can be deployed.
const NEEDED: &[&str] = &["cat", "id", "mkdir", "mv", "ps", "rm", "sh", "sleep", "tar", "uname"];

/// The demo's folder. It is not removed by itself.
#[derive(Clone, Debug)]
pub struct Sandbox {
    root: PathBuf,
}

impl Sandbox {
    /// Makes a sandbox in this folder, which is new or empty. `program` is what its services run.
    ///
    /// # Errors
    /// When a file cannot be made, or this machine lacks a tool.
    pub fn make(root: &Path, program: &Path) -> Result<Self, DemoError> {
        let sandbox = Self { root: root.to_owned() };
        for folder in ["host", "host/bin", "host/home", "host/tmp", "operator", "operator/state"] {
            folder_of_ours(&root.join(folder))?;
        }
        sandbox.link_tools()?;
        link(program, &sandbox.program())?;
        for name in ["host_key", "id"] {
            let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(DemoError::Key)?;
            let text = key.to_openssh(LineEnding::LF).map_err(DemoError::Key)?;
            write(&sandbox.operator(name), text.as_bytes())?;
        }
        let key = sandbox.host_key()?.public_key().to_openssh().map_err(DemoError::Key)?;
        write(&sandbox.operator("known_hosts"), format!("{HOST_KEY_NAME} {key}\n").as_bytes())?;
        Ok(sandbox)
    }

    /// The sandbox of an earlier demo.
    ///
    /// # Errors
    /// When the folder holds none.
    pub fn open(root: &Path) -> Result<Self, DemoError> {
        let sandbox = Self { root: root.to_owned() };
        sandbox.host_key()?;
        Ok(sandbox)
    }

    /// Writes the ssh_config with which a client finds the host on this port, and trusts no other.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn listen_on(&self, port: u16) -> Result<(), DemoError> {
        let path = |name: &str| self.operator(name).display().to_string();
        let text = format!(
            "Host *\n  HostName 127.0.0.1\n  Port {port}\n  User demo\n  HostKeyAlias {HOST_KEY_NAME}\n  IdentityFile \"{}\"\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile \"{}\"\n  GlobalKnownHostsFile none\n",
            path("id"),
            path("known_hosts"),
        );
        write(&self.ssh_config(), text.as_bytes())
    }

    /// The whole folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The ssh_config file of `listen_on`.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        self.operator("ssh_config")
    }

    /// Where the registry belongs.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.operator("registry.yml")
    }

    /// Where the operator's state belongs.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.operator("state")
    }

    /// The base folder on the host.
    #[must_use]
    pub fn base(&self) -> PathBuf {
        self.root.join("host/base")
    }

    /// What the host's services run.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.root.join("host/bin/tiny")
    }

    /// The processes that run on the host now, and what they left running.
    pub async fn running(&self) -> Vec<u32> {
        super::processes::marked(&self.mark()).await
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("host/home")
    }

    /// The environment of the host's commands: nothing of this process's is in it.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.root.join(name).display().to_string();
        vec![
            ("HOME", path("host/home")),
            ("TMPDIR", path("host/tmp")),
            ("PATH", path("host/bin")),
            ("USER", "demo".into()),
            ("LOGNAME", "demo".into()),
            ("SHELL", "/bin/sh".into()),
            (MARK, self.mark()),
        ]
    }

    /// What tells the processes of this sandbox from all others.
    pub(super) fn mark(&self) -> String {
        self.root.display().to_string()
    }

    pub(super) fn host_key(&self) -> Result<PrivateKey, DemoError> {
        PrivateKey::read_openssh_file(self.operator("host_key")).map_err(DemoError::Key)
    }

    pub(super) fn client_key(&self) -> Result<PrivateKey, DemoError> {
        PrivateKey::read_openssh_file(self.operator("id")).map_err(DemoError::Key)
    }

    fn operator(&self, name: &str) -> PathBuf {
        self.root.join("operator").join(name)
    }

    fn link_tools(&self) -> Result<(), DemoError> {
        let ours = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        let folders: Vec<PathBuf> = usual.into_iter().chain(std::env::split_paths(&ours)).collect();
        for &tool in TOOLS {
            let found =
                folders.iter().map(|folder| folder.join(tool)).find(|path| path.is_absolute() && path.is_file());
            match found {
                Some(path) => link(&path, &self.root.join("host/bin").join(tool))?,
                None if NEEDED.contains(&tool) => return Err(DemoError::Tool(tool)),
                None => {}
            }
        }
        Ok(())
    }
}

fn folder_of_ours(path: &Path) -> Result<(), DemoError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| DemoError::File { path: path.to_owned(), source })
}

fn link(to: &Path, path: &Path) -> Result<(), DemoError> {
    symlink(to, path).map_err(|source| DemoError::File { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    let open = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        std::io::Write::write_all(&mut file, bytes)
    };
    open().map_err(|source| DemoError::File { path: path.to_owned(), source })
}
