//! All playbooks: those that come with the program, and those that lie beside the registry, which go before them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Playbook, read};
use crate::registry::{Fault, Faults};

include!(concat!(env!("OUT_DIR"), "/playbooks.rs"));

/// The folders beside the registry that are searched, the strongest last.
const FOLDERS: &[&str] = &[LEARNED, "playbooks"];

/// Where what was learned lies, beside the registry.
pub const LEARNED: &str = "playbooks/learned";

/// Where a playbook comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// With the program.
    Shipped,
    /// From this file.
    File(PathBuf),
}

/// The playbooks by name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    pub books: BTreeMap<String, (Playbook, Origin)>,
}

/// The names and texts of the playbooks that come with the program.
#[must_use]
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    SHIPPED
}

impl Library {
    /// Those that come with the program, and those beside the registry in `folder`. One that cannot be read is left out.
    ///
    /// # Errors
    /// The faults of those that cannot be read, with the library of the rest.
    pub fn load(folder: &Path) -> Result<Self, (Self, Vec<Faults>)> {
        let (mut library, mut faults) = (Self::default(), Vec::new());
        let shipped = SHIPPED
            .iter()
            .map(|(name, text)| (PathBuf::from(format!("{name}.yml")), Ok((*text).to_owned()), Origin::Shipped));
        let own = FOLDERS.iter().flat_map(|name| files(&folder.join(name)));
        let own = own.map(|file| (file.clone(), std::fs::read_to_string(&file), Origin::File(file)));
        for (file, text, origin) in shipped.chain(own) {
            match text.map(|text| read(&text, &file)) {
                Ok(Ok(book)) => drop(library.books.insert(book.name.clone(), (book, origin))),
                Ok(Err(fault)) => faults.push(fault),
                Err(error) => {
                    let mut fault = Fault::new(None, "", "cannot read the file");
                    fault.why(error.to_string());
                    faults.push(Faults { file, list: vec![fault] });
                }
            }
        }
        if faults.is_empty() { Ok(library) } else { Err((library, faults)) }
    }
}

/// The playbooks in a folder, sorted; none when there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<_> = found.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml"));
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> Library {
        Library::load(Path::new("/nowhere")).unwrap_or_else(|(_, faults)| panic!("{}", faults[0]))
    }

    #[test]
    fn every_example_of_what_is_shipped_holds() {
        for (book, _) in library().books.values() {
            let wrong: Vec<_> = book.try_examples().into_iter().filter(|one| one.wrong.is_some()).collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", book.name);
        }
    }

    #[test]
    fn every_shipped_one_has_an_example_that_comes_near_and_must_not_match() {
        let library = library();
        assert!(library.books.len() >= 60, "{}", library.books.len());
        for (book, _) in library.books.values() {
            assert!(book.is_well_tried(), "{}", book.name);
        }
    }

    #[test]
    fn what_a_shipped_one_explains_is_there() {
        let library = library();
        for (book, _) in library.books.values() {
            let missing: Vec<_> = book.explains.iter().filter(|name| !library.books.contains_key(*name)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", book.name);
            assert!(
                book.deeds.is_empty() || book.risk == crate::heal::playbook::Risk::Ask || book.until.is_some(),
                "{}",
                book.name
            );
        }
    }
}
