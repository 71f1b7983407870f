//! `portoser playbook test`.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::playbook::{anywhere, failure, unknown};
use crate::cli::{Exit, Face, Failure, safe};
use crate::heal::playbook::{Playbook, read};
use crate::model::FailureKind;

/// Try the examples of playbooks; ends with 3 when one does not hold
#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// Names, or files; all that are known, if none is given
    #[arg(value_name = "NAME|FILE")]
    names: Vec<String>,
}

impl Test {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let books = self.books(face)?;
        let tried: Vec<_> =
            books.iter().flat_map(|book| book.try_examples().into_iter().map(move |one| (book, one))).collect();
        let wrong = tried.iter().filter(|(_, one)| one.wrong.is_some()).count();
        if face.flags.json || face.flags.events {
            let one = |(book, one): &(&Playbook, crate::heal::playbook::Tried)| json!({ "playbook": book.name, "example": one.example, "holds": one.wrong.is_none(), "wrong": one.wrong });
            face.document(&json!({ "examples": tried.iter().map(one).collect::<Vec<_>>() }));
        } else {
            for (book, one) in &tried {
                match &one.wrong {
                    Some(wrong) => face.data(safe(&format!("WRONG  {}: {}: {wrong}", book.name, one.example))),
                    None if face.flags.verbose > 0 => {
                        face.data(safe(&format!("holds  {}: {}", book.name, one.example)))
                    }
                    None => {}
                }
            }
            face.data(format!("{} examples of {} playbooks: {wrong} wrong", tried.len(), books.len()));
        }
        Ok(if wrong == 0 { Exit::DONE } else { Exit(FailureKind::Invalid.code()) })
    }

    fn books(&self, face: &Face) -> Result<Vec<Playbook>, Failure> {
        let (files, names): (Vec<&String>, Vec<&String>) =
            self.names.iter().partition(|name| name.contains('/') || name.ends_with(".yml") || name.ends_with(".yaml"));
        let mut books = Vec::new();
        for file in files.into_iter().map(PathBuf::from) {
            let text = std::fs::read_to_string(&file);
            let doing = || format!("reading {}", file.display());
            let text = text.map_err(|error| Failure::new(FailureKind::Invalid, &error).doing(doing()))?;
            books.push(read(&text, &file).map_err(|faults| failure(&[faults]))?);
        }
        if books.is_empty() || !names.is_empty() {
            let library = anywhere(face)?;
            for name in &names {
                let (book, _) = library.books.get(*name).ok_or_else(|| unknown(&library, name))?;
                books.push(book.clone());
            }
            if names.is_empty() {
                books.extend(library.books.into_values().map(|(book, _)| book));
            }
        }
        Ok(books)
    }
}
