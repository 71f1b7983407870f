//! The registry of the demo: three small services on one host, each needing the one before.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// The ports of the three services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub db: u16,
    pub api: u16,
    pub web: u16,
}

impl Ports {
    /// Three ports of 127.0.0.1 that are free at this moment.
    ///
    /// # Errors
    /// When this machine has none.
    pub fn free() -> std::io::Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        // All are held until all are known, so that they differ.
        let [db, api, web] = [bind()?, bind()?, bind()?];
        let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        Ok(Self { db: port(&db)?, api: port(&api)?, web: port(&web)? })
    }
}

/// The registry as YAML. `web` is what its program answers as its version, and whether it is healthy.
#[must_use]
pub fn registry(program: &Path, base: &Path, ports: Ports, web: (&str, bool)) -> String {
    // A JSON string is a YAML string, whatever is in it.
    let quoted = |path: &Path| serde_json::Value::from(path.display().to_string()).to_string();
    let (program, base) = (quoted(program), quoted(base));
    let Ports { db, api, web: web_port } = ports;
    let (release, healthy) = web;
    format!(
        r#"# The registry of `portoser demo`: three small services on one host, which is a folder of this machine.
version: 1
hosts:
  box:
    address: portoser-demo           # found through the demo's own ssh_config
    user: demo
    base: {base}
    platform: {{ init: none }}         # this machine's init system is left alone
    heal: {{ unseen: [oom] }}          # the kernel is this machine's, and its log is not the box's to read
defaults:
  check: {{ start_period: 2s, interval: 250ms, timeout: 2s, retries: 3 }}
  deploy: {{ soak: 300ms }}
  heal: {{ policy: full, drafts: true, looks: 1, apart: 250ms }}
services:
  db:
    type: native
    host: box
    run: [{program}, demo-service, --name, db, --port, "${{PORT}}"]
    port: {db}
    checks: [{{ tcp: {db} }}]
  api:
    type: native
    host: box
    needs: [db]                      # proven before api is touched
    run: [{program}, demo-service, --name, api, --port, "${{PORT}}", --needs, "{db}", --jam, "${{SHARED_DIR}}/jam"]
    files: {{ etc/motd: {{ text: "hello" }} }}
    port: {api}
    checks: [{{ http: /health }}]
  web:
    type: native
    host: box
    needs: [api]
    run: [{program}, demo-service, --name, web, --port, "${{PORT}}", --needs, "{api}", --release, "{release}", --healthy, "{healthy}", --jam, "${{SHARED_DIR}}/jam"]
    port: {web_port}
    checks:
      - http: /health
        body: {{ json: {{ pointer: /status, equals: up }} }}
"#
    )
}
