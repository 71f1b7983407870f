//! Projects of docker compose (compose-spec of 2024): each service on its own, or the project as a whole.

mod health;
mod interpolate;
mod limits;
mod mounts;
mod ports;
mod project;
mod service;
mod whole;

use serde_json::json;

use super::Around;
use super::entry::Entry;
use super::item::Item;
use super::notes::Notes;
use project::Project;

pub(super) use project::{ADOPT, named};
pub(super) use whole::{alone, stands_for};

/// What to do about a key that only the compose file itself can say.
const KEEP: &str = "let portoser deploy the file as it is: import it with `--whole`";

pub(super) fn entries(top: &Item<'_>, around: &Around<'_>, notes: &mut Notes) -> Vec<Entry> {
    if around.whole {
        return whole::entry(top, around, notes).into_iter().collect();
    }
    let node = interpolate::interpolate(top, notes);
    let top = Item::top(&node);
    let project = Project::new(&top, around, notes);
    rest(&top, &project, notes);
    whole::overridden(&top, around, notes);
    let services = top.get("services").map(|services| services.entries()).unwrap_or_default();
    services.iter().filter_map(|(name, item)| service::entry(name, item, (around, &project), notes)).collect()
}

/// Where the entry runs.
fn place(entry: &mut Entry, around: &Around<'_>) {
    entry.set("type", "docker");
    match around.hosts {
        [one] => entry.set("host", one.as_str()),
        several => entry.set("hosts", json!(several)),
    }
}

/// What is no service.
fn rest(top: &Item<'_>, project: &Project, notes: &mut Notes) {
    for (key, item) in top.entries() {
        match key {
            "version" => notes.needless(&item, "compose itself takes no notice of it"),
            "name" => notes.needless(&item, "each service is a project of its own, and has its name"),
            "volumes" => project.volumes(top, &item, notes),
            "networks" => project::networks(&item, notes),
            "secrets" | "configs" | "include" | "models" => {
                notes.lost(&item, "services of an image have no such thing", KEEP)
            }
            key if key.starts_with("x-") => notes.needless(&item, "it says nothing but what is used of it"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use std::path::Path;

    use super::*;
    use crate::model::HostName;
    use crate::registry::import::{Origin, fit, import};
    use crate::registry::tree::Format;

    /// The entries of a compose file, and the ways of what is not mapped.
    fn read(text: &str, whole: bool) -> (Value, Vec<String>) {
        let hosts = [HostName::try_from("h").expect("a name")];
        let around = Around {
            file: Path::new("stack/compose.yml"),
            folder: Some("/srv/reg/stack".into()),
            from: None,
            there: None,
            settings: None,
            registry: Path::new("/srv/reg/registry.yml"),
            hosts: &hosts,
            variables: None,
            whole,
        };
        let import = import(Origin::Compose, text, Format::Yaml, &around).expect("a compose file");
        let entries = import.entries.iter().map(|entry| (entry.name.clone(), fit::value(entry))).collect();
        let lost = import.notes.iter().filter(|note| note.is_lost()).map(|note| note.path.clone()).collect();
        (entries, lost)
    }

    #[test]
    fn what_lies_beside_a_file_on_its_host_stays_there() {
        let text = "services: { web: { image: a, volumes: [./data:/d, '../all:/a:ro', { type: bind, source: conf, target: /c }, ~/x:/x] } }";
        let hosts = ["h", "other"].map(|name| HostName::try_from(name).expect("a name"));
        let volumes = |there, hosts: &[HostName]| {
            let around = Around {
                file: Path::new("h:compose.yml"),
                folder: None,
                from: Some(&hosts[0]),
                there,
                settings: None,
                registry: Path::new("/srv/reg/registry.yml"),
                hosts,
                variables: None,
                whole: false,
            };
            let import = import(Origin::Compose, text, Format::Yaml, &around).expect("a compose file");
            let lost =
                import.notes.iter().filter(|note| note.is_lost()).map(|note| note.path.clone()).collect::<Vec<_>>();
            (fit::value(&import.entries[0])["volumes"].clone(), lost)
        };
        let (stay, lost) = volumes(Some("/srv/shop"), &hosts[..1]);
        assert_eq!(stay, json!(["/srv/shop/data:/d", "/srv/all:/a:ro", "/srv/shop/conf:/c"]));
        assert_eq!(lost, ["services.web.volumes[3]"]);
        // They lie on neither host for sure.
        for (there, hosts) in [(None, &hosts[..1]), (Some("/srv/shop"), &hosts)] {
            assert_eq!(volumes(there, hosts).0, Value::Null);
        }
    }

    const SHOP: &str = "
name: shop
x-common: &common { restart: unless-stopped, logging: { driver: local } }
services:
  Web_1:
    <<: *common
    image: nginx:${TAG:-1.27}
    command: nginx -g 'daemon off;'
    ports: ['8080:80', '127.0.0.1:9000:9000/udp', '443', { target: 81, published: 8081, mode: host }]
    environment: [A=1, B, 'C=x=y']
    depends_on: { db: { condition: service_healthy }, init: { condition: service_completed_successfully } }
    volumes: [data:/data, ./conf:/etc/nginx:ro, '/srv/x:/x:z,rw', /anonymous, { type: volume, source: data, target: /e, volume: { nocopy: true } }, { type: bind, source: /a, target: /b, read_only: true }]
    networks: { front: { aliases: [www] } }
    labels: { traefik.enable: 'true' }
    healthcheck: { test: curl -f localhost, interval: 1m30s, retries: 3 }
    deploy: { replicas: 2, resources: { limits: { memory: 512M, cpus: '0.50', pids: 100 }, reservations: { memory: 64M } } }
    stop_grace_period: 30s
    user: 1000:1000
    pull_policy: always
  db:
    image: postgres:${PG}
  worker:
    build: .
volumes: { data: , other: { driver: nfs } }
networks: { front: {} }
";

    #[test]
    fn a_service_becomes_one_of_its_image() {
        let (entries, lost) = read(SHOP, false);
        assert_eq!(
            entries,
            json!({ "web-1": {
                "type": "docker", "host": "h", "needs": ["db"],
                "restart": { "policy": "always" },
                "image": "nginx:1.27",
                "command": ["nginx", "-g", "daemon off;"],
                "ports": ["8080:80", "127.0.0.1:9000:9000/udp", "8081:81"],
                "env": { "A": "1", "C": "x=y" },
                "volumes": ["data:/data", "/srv/x:/x", "data:/e", "/a:/b:ro"],
                "pull": "always",
                "networks": ["shop-front"],
                "labels": { "traefik.enable": "true" },
                "healthcheck": { "test": ["CMD-SHELL", "curl -f localhost"], "interval": "1m30s", "retries": 3 },
                "instances": 2,
                "limits": { "memory": "512MiB", "cpu": 0.5, "tasks": 100 },
                "stop": { "timeout": "30s" },
                "user": "1000:1000",
            } })
        );
        let told = |path: &str| lost.iter().any(|lost| lost == path);
        for path in [
            "volumes.data",
            "volumes.other",
            "services.Web_1.logging",
            "services.Web_1.ports[2]",
            "services.Web_1.ports[3].mode",
            "services.Web_1.environment[1]",
            "services.Web_1.depends_on.init",
            "services.Web_1",
            "services.Web_1.volumes[1]",
            "services.Web_1.volumes[2]",
            "services.Web_1.volumes[4].volume",
            "services.Web_1.volumes[3]",
            "services.Web_1.networks.front.aliases",
            "services.Web_1.deploy.resources.reservations",
            "services.db",
            "services.worker",
            "volumes.other.driver",
        ] {
            assert!(told(path), "{path} is not told: {lost:?}");
        }
        assert_eq!(lost.len(), 17, "{lost:?}");
    }

    #[test]
    fn a_whole_project_loses_nothing_but_what_lies_beside_its_file() {
        let text = "services: { web: { build: URL, privileged: true } }\nvolumes: { x: { driver: nfs } }\n";
        let (entries, lost) =
            read(&format!("name: shop\n{}", text.replace("URL", "'https://example.net/a.git'")), true);
        assert_eq!(entries, json!({ "shop": { "type": "docker", "host": "h", "compose": "stack/compose.yml" } }));
        assert_eq!(lost, Vec::<String>::new());
        // Here no folder is on disk that the file could stand for; and under another name the project has other volumes.
        assert_eq!(read(&text.replace("URL", "."), true).1, ["services.web.build", "volumes.x"]);
    }
}
