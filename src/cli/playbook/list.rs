//! `portoser playbook list`.

use serde_json::{Value, json};

use crate::cli::playbook::anywhere;
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::heal::playbook::{Learned, Origin, Playbook, Record, Risk, word};

/// List the known problems
#[derive(Debug, clap::Args)]
pub(super) struct List {}

impl List {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let library = anywhere(face)?;
        if face.flags.json || face.flags.events {
            let one = |(book, origin): &(Playbook, Origin)| {
                json!({ "name": book.name, "risk": book.risk, "about": about(book), "from": from(book, origin),
                        "symptom": book.symptom, "latent": book.latent, "doubtful": book.doubtful, "learned": book.learned.as_ref().map(learned_document) })
            };
            face.document(&json!({ "playbooks": library.books.values().map(one).collect::<Vec<_>>() }));
            return Ok(Exit::DONE);
        }
        let row = |(book, origin): &(Playbook, Origin)| {
            let steps: Vec<String> = book.deeds.iter().map(|deed| format!("{deed:?}")).collect();
            let steps = if steps.is_empty() { "-".to_owned() } else { steps.join(", ") };
            [book.name.clone(), about(book).to_owned(), risk(book).to_owned(), steps, from(book, origin)]
        };
        let rows: Vec<_> = library.books.values().map(row).collect();
        table(face, ["NAME", "ABOUT", "RISK", "DOES", "FROM"], &rows);
        Ok(Exit::DONE)
    }
}

fn about(book: &Playbook) -> &'static str {
    match (&book.learned, book.is_about_services()) {
        (Some(_), false) => "what it solves",
        (_, true) => "service",
        (None, false) => "host",
    }
}

fn risk(book: &Playbook) -> &'static str {
    match (book.deeds.is_empty(), book.risk) {
        (true, _) => "-",
        (_, Risk::Safe) => "safe",
        (_, Risk::Disruptive) => "disruptive",
        (_, Risk::Ask) => "ask",
    }
}

fn from(book: &Playbook, origin: &Origin) -> String {
    match (origin, &book.learned) {
        (Origin::Shipped, _) => "portoser".into(),
        (Origin::File(_), Some(learned)) => format!("learned, {}", word(learned.state)),
        (Origin::File(file), None) => file.display().to_string(),
    }
}

/// What was learned, as a document.
pub(in crate::cli) fn learned_document(learned: &Learned) -> Value {
    let Record { worked, failed, last, median, .. } = &learned.record;
    json!({
        "state": learned.state, "solves": learned.solves, "by": learned.by, "from": learned.source,
        "first_seconds": learned.took.map(|time| time.as_secs_f64()), "worked": worked, "failed": failed,
        "median_seconds": median.map(|time| time.as_secs_f64()), "last": last.map(|time| time.to_string()),
    })
}
