//! A first registry.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::json;

use crate::cli::{Exit, Face, Failure, prompt};
use crate::model::{FailureKind, HostName};
use crate::registry::{self, FirstHost};

/// Write a first registry; asks on a terminal, and asks nothing elsewhere
#[derive(Debug, clap::Args)]
pub(super) struct Init {}

impl Init {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let file = face.flags.registry.clone().unwrap_or_else(|| PathBuf::from(registry::FILE_NAMES[0]));
        let shown = file.display();
        if file.symlink_metadata().is_ok() {
            return Err(Failure::say(FailureKind::Refused, format!("{shown} is there already, and is left as it is"))
                .hint("`portoser host add` and `portoser service add` change it"));
        }
        let host = if face.can_ask() && !face.flags.yes { ask()? } else { here()? };
        registry::create(&file, &host)?;
        let (name, what) = match &host.address {
            Some(address) => (&host.name, format!("at {address}")),
            None => (&host.name, "which is this machine".to_owned()),
        };
        if face.flags.json || face.flags.events {
            face.document(&json!({ "wrote": file.display().to_string(), "host": name }));
        }
        face.talk(format!("wrote {shown} with one host, `{name}`, {what}"));
        face.talk(format!("next: portoser service add NAME --host {name} --port 8080 -- /path/to/program"));
        Ok(Exit::DONE)
    }
}

fn here() -> Result<FirstHost, Failure> {
    let name = HostName::try_from("here").map_err(|error| Failure::new(FailureKind::Internal, &error))?;
    Ok(FirstHost::here(name))
}

fn ask() -> Result<FirstHost, Failure> {
    if prompt::is_so("Deploy to this machine first?", false)? {
        return here();
    }
    let name: HostName = question("Name of the first host in the registry", Some("web1"))?;
    let address: String = question("Its address, host name or SSH alias", Some(name.as_str()))?;
    let user: String = question("Login user (empty: as SSH is configured)", None)?;
    let sudo = prompt::is_so("Use sudo there?", true)?;
    Ok(FirstHost { name, address: Some(address), user: Some(user).filter(|user| !user.is_empty()), sudo })
}

fn question<T>(words: &str, usual: Option<&str>) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: Display,
{
    let good = |text: &str| text.parse::<T>().map(drop).map_err(|error| error.to_string());
    let text = prompt::good_line(words, usual, good)?;
    text.parse().map_err(|error: T::Err| Failure::say(FailureKind::Usage, error.to_string()))
}
