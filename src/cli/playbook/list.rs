//! `portoser playbook list`.

use serde_json::json;

use crate::cli::playbook::anywhere;
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::heal::playbook::{Origin, Playbook, Risk};

/// List the known problems
#[derive(Debug, clap::Args)]
pub(super) struct List {}

impl List {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let library = anywhere(face)?;
        if face.flags.json || face.flags.events {
            let one = |(book, origin): &(Playbook, Origin)| {
                json!({ "name": book.name, "risk": book.risk, "about": about(book), "from": from(origin),
                        "symptom": book.symptom, "latent": book.latent })
            };
            face.document(&json!({ "playbooks": library.books.values().map(one).collect::<Vec<_>>() }));
            return Ok(Exit::DONE);
        }
        let row = |(book, origin): &(Playbook, Origin)| {
            let steps: Vec<String> = book.deeds.iter().map(|deed| format!("{deed:?}")).collect();
            let steps = if steps.is_empty() { "-".to_owned() } else { steps.join(", ") };
            [book.name.clone(), about(book).to_owned(), risk(book).to_owned(), steps, from(origin)]
        };
        let rows: Vec<_> = library.books.values().map(row).collect();
        table(face, ["NAME", "ABOUT", "RISK", "DOES", "FROM"], &rows);
        Ok(Exit::DONE)
    }
}

fn about(book: &Playbook) -> &'static str {
    if book.is_about_services() { "service" } else { "host" }
}

fn risk(book: &Playbook) -> &'static str {
    match (book.deeds.is_empty(), book.risk) {
        (true, _) => "-",
        (_, Risk::Safe) => "safe",
        (_, Risk::Disruptive) => "disruptive",
        (_, Risk::Ask) => "ask",
    }
}

pub(super) fn from(origin: &Origin) -> String {
    match origin {
        Origin::Shipped => "portoser".into(),
        Origin::File(file) => file.display().to_string(),
    }
}
