//! Hosts over SSH, with russh: one connection for each, found through ssh_config, proven by known_hosts, shared by all
//! commands and streams. Nothing here talks to a person; what only a person can decide is asked through callbacks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{Cmd, HostName};

use super::shell::Rights;
use super::{Lost, Running, Stream, Transport};

mod ask_ssh;
mod auth;
mod client;
pub mod config;
mod connection;
mod exec;
mod hand_over;
mod host_key;
mod keys;
pub mod known_hosts;
mod limits;
mod links;
mod pattern;
mod stream;
pub mod target;
mod variables;
mod wire;

pub use host_key::{AskAboutKey, HostKeys, ShownKey};
pub use keys::{Prompter, Question};

pub(super) use hand_over::hand_over;
pub(super) use links::Links;

use connection::Connection;

/// A host over SSH.
pub(super) struct Ssh {
    name: HostName,
    connection: Arc<Connection>,
    root: Rights,
}

#[async_trait]
impl Transport for Ssh {
    fn host(&self) -> &HostName {
        &self.name
    }

    fn proof(&self) -> Option<&str> {
        Some(&self.connection.proof)
    }

    async fn start(&self, cmd: &Cmd, root: bool) -> Result<Running, Lost> {
        let rights = if root { self.root.clone() } else { Rights::Plain };
        exec::start(&self.connection, cmd, rights).await
    }

    async fn dial(&self, address: &str, port: u16, within: Duration) -> Result<Box<dyn Stream>, Lost> {
        self.connection.dial(address, port, within).await
    }

    async fn close(&self) {
        self.connection.close().await;
    }
}
