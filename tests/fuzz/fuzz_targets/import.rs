//! A file of another tool becomes entries that a registry takes, or is refused with a fault; every note names a place in it.
#![no_main]

use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use portoser::model::HostName;
use portoser::registry::{Around, Format, Origin, fit, import};

const REGISTRY: &str = "version: 1\nhosts: { h: {} }\nservices: { db: { type: native, host: h, unit: db.service } }\n";

fuzz_target!(|text: &str| {
    let hosts = [HostName::try_from("h").expect("a name")];
    // What else may be given, by turns.
    let more = text.len() % 2 == 1;
    let around = Around {
        file: Path::new("in.yml"),
        folder: Some(PathBuf::from("/nowhere")),
        from: more.then(|| &hosts[0]),
        there: more.then_some("/srv/app"),
        settings: None,
        registry: Path::new("/nowhere/registry.yml"),
        hosts: &hosts,
        variables: more.then_some("production"),
        whole: more,
    };
    for origin in [Origin::Compose, Origin::Ecosystem, Origin::Portoser] {
        match import(origin, text, Format::Yaml, &around) {
            Err(faults) => assert!(!faults.list.is_empty() && !faults.to_string().is_empty()),
            Ok(import) => {
                // What is found to fit was tried: the registry is valid with it.
                let fitted = fit(import, REGISTRY, Path::new("/nowhere/registry.yml"))
                    .unwrap_or_else(|error| panic!("{origin:?}: {error}: {:?}", std::error::Error::source(&error)));
                assert!(fitted.notes.iter().all(|note| note.place.line > 0 && note.place.column > 0));
            }
        }
    }
});
