//! What `portoser demo` stands on: a host that is an SSH server inside this process with a sandbox for a disk, and the tiny
//! HTTP program that its services run. It knows nothing of deploying: the demo uses the same road as every host.

#[cfg(unix)]
mod exec;
#[cfg(unix)]
mod processes;
pub mod registry;
#[cfg(unix)]
mod sandbox;
#[cfg(unix)]
mod server;
pub mod service;

#[cfg(unix)]
pub use sandbox::Sandbox;
#[cfg(unix)]
pub use server::Server;

/// Why the demo's host cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("making `{}`", .path.display())]
    File {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("making a key")]
    Key(#[source] russh::keys::ssh_key::Error),
    #[error("opening port {port} on 127.0.0.1")]
    Port {
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("finding this program's own file")]
    Program(#[source] std::io::Error),
    #[error("this machine has no `{0}` for the demo's host")]
    Tool(&'static str),
}
