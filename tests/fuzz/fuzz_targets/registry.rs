//! Any text is read as a registry or refused with at least one fault, in YAML and in TOML, with and without an environment.
//! What is read and shown is read again, and means the same.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portoser::registry::{Format, Place, Registry, load_text, write_host, write_service};
use serde_json::{Value, json};

const FILE: &str = "/nowhere/registry.yml";

/// A registry as `portoser show` prints it, and as it is held.
fn shown(registry: &Registry) -> (String, String) {
    let hosts: Value = registry.hosts.values().map(|host| (host.name.to_string(), write_host(host))).collect();
    let services = registry.services.values();
    let services: Value = services.map(|service| (service.name.to_string(), write_service(service))).collect();
    let written = json!({ "version": 1, "hosts": hosts, "services": services }).to_string();
    // A service's hosts are in the order in which the registry names them; that order is not shown.
    let mut services = registry.services.clone();
    services.values_mut().for_each(|service| service.hosts.sort());
    (written, format!("{:#?}\n{services:#?}", registry.hosts))
}

fuzz_target!(|text: &str| {
    for format in [Format::Yaml, Format::Toml] {
        for env in [None, Some("production")] {
            match load_text(text, format, Path::new(FILE), env) {
                Ok(registry) => {
                    let (written, held) = shown(&registry);
                    let again = load_text(&written, Format::Yaml, Path::new(FILE), None);
                    let again = again.unwrap_or_else(|faults| panic!("shown, and not read: {faults}"));
                    let again = shown(&again).1;
                    let differs = held.lines().zip(again.lines()).find(|(held, again)| held != again);
                    assert!(held == again, "shown, and read as something else: {differs:?}");
                }
                Err(faults) => {
                    // A carriage return alone ends a line of YAML, too (YAML 1.2.2, 5.4), and so does the end of the text.
                    let lines = 2 + text.bytes().filter(|byte| b"\r\n".contains(byte)).count();
                    assert!(!faults.list.is_empty() && !faults.to_string().is_empty());
                    for fault in &faults.list {
                        let within = |place: Place| (1..=lines).contains(&(place.line as usize)) && place.column > 0;
                        assert!(fault.place.is_none_or(within), "{fault:?}");
                    }
                }
            }
        }
    }
});
