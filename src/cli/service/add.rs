//! Adding a service.

use serde_json::{Map, Value, json};

use crate::cli::list::label;
use crate::cli::{Exit, Face, Failure};
use crate::model::{HostName, ServiceName};
use crate::registry::Edit;

/// Add a service to the registry
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["unit", "run"]))]
#[command(group = clap::ArgGroup::new("place").required(true).args(["host", "on"]))]
pub(super) struct Add {
    /// Its name
    name: ServiceName,
    /// A host that it runs on; several for several
    #[arg(long, value_name = "HOST")]
    host: Vec<HostName>,
    /// It runs on all hosts with this label
    #[arg(long, value_name = "KEY=VALUE", value_parser = label, conflicts_with = "host")]
    on: Vec<(String, String)>,
    /// What it needs; in one deploy that is proven before it
    #[arg(long, value_name = "SERVICE")]
    needs: Vec<ServiceName>,
    /// A folder or file that is sent along, relative to the registry's file
    #[arg(long, value_name = "PATH", conflicts_with = "unit")]
    source: Option<String>,
    /// The port that it binds
    #[arg(long, short)]
    port: Option<u16>,
    /// A path that must answer over HTTP
    #[arg(long, value_name = "PATH", requires = "port")]
    http: Option<String>,
    /// Whom it runs as: a user of the host, or of the image, there also by number and with `:` and a group
    #[arg(long, short, conflicts_with = "unit")]
    user: Option<String>,
    /// A unit that exists on the host; only its state is managed
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// The command, as words, after `--`
    #[arg(last = true, value_name = "WORD")]
    run: Vec<String>,
}

impl Add {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let mut service = Map::from_iter([("type".to_owned(), json!("native"))]);
        let mut put = |key: &str, value: Option<Value>| service.extend(value.map(|value| (key.to_owned(), value)));
        match self.host.as_slice() {
            [] => {}
            [one] => put("host", Some(json!(one))),
            several => put("hosts", Some(json!(several))),
        }
        let on: Map<String, Value> = self.on.into_iter().map(|(key, value)| (key, value.into())).collect();
        put("on", (!on.is_empty()).then_some(Value::Object(on)));
        put("needs", (!self.needs.is_empty()).then(|| json!(self.needs)));
        put("source", self.source.map(Value::from));
        put("run", (!self.run.is_empty()).then(|| json!(self.run)));
        put("unit", self.unit.map(Value::from));
        put("port", self.port.map(Value::from));
        put("checks", self.http.map(|path| json!([{ "http": path }])));
        put("user", self.user.map(Value::from));
        let name = self.name;
        let edit = Edit::AddService { name: name.clone(), service: Value::Object(service) };
        face.edit(&edit, &format!("added the service `{name}`; `portoser plan {name}` shows what its deploy would do"))
    }
}
