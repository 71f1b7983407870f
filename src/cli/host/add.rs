//! Adding a host.

use serde_json::{Map, Value, json};

use crate::cli::list::label;
use crate::cli::{Exit, Face, Failure};
use crate::model::HostName;
use crate::registry::Edit;

/// Add a host to the registry
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Its name in the registry
    name: HostName,
    /// A host name, an address, or an alias of the SSH configuration [default: the name]
    #[arg(long, short)]
    address: Option<String>,
    /// The login user
    #[arg(long, short)]
    user: Option<String>,
    /// The SSH port
    #[arg(long, short)]
    port: Option<u16>,
    /// The host that it is reached through; several in order
    #[arg(long, short, value_name = "HOST")]
    jump: Vec<HostName>,
    /// A label
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// The folder on the host under which everything of ours lies
    #[arg(long, value_name = "FOLDER")]
    base: Option<String>,
    /// Commands run as root, through sudo
    #[arg(long)]
    sudo: bool,
    /// It is this very machine
    #[arg(long, conflicts_with_all = ["address", "user", "port", "jump"])]
    local: bool,
}

impl Add {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let mut host = Map::new();
        let mut put = |key: &str, value: Option<Value>| host.extend(value.map(|value| (key.to_owned(), value)));
        put("connection", self.local.then(|| json!("local")));
        // Written out even when it is the name, so that the entry reads by itself.
        let address = self.address.unwrap_or_else(|| self.name.to_string());
        put("address", (!self.local).then(|| address.into()));
        put("user", self.user.map(Value::from));
        put("port", self.port.map(Value::from));
        put(
            "jump",
            match self.jump.as_slice() {
                [] => None,
                [one] => Some(json!(one)),
                several => Some(json!(several)),
            },
        );
        put("become", self.sudo.then(|| json!("sudo")));
        put("base", self.base.map(Value::from));
        let labels: Map<String, Value> = self.label.into_iter().map(|(key, value)| (key, value.into())).collect();
        put("labels", (!labels.is_empty()).then_some(Value::Object(labels)));
        let name = self.name;
        face.edit(&Edit::AddHost { name: name.clone(), host: Value::Object(host) }, &format!("added the host `{name}`"))
    }
}
