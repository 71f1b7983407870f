//! Where the files of a service come from.

use std::path::PathBuf;

use super::Site;
use super::files::{Want, on_disk};
use crate::registry::draft::SourceText;
use crate::registry::fault::Place;
use crate::registry::read::{At, Reader};
use crate::registry::source::{Git, Source, is_path};
use crate::registry::text::Line;
use crate::registry::tree::Trail;

/// The source; a fault where it is on this machine's disk and not there.
pub(super) fn make(site: &Site<'_>, written: &At<SourceText>, at: &Trail<'_>, to: &mut Reader) -> Option<Source> {
    let mut here = |path: &str, place: Place, at: &Trail<'_>| -> PathBuf {
        let line = At { value: Line(path.to_owned()), place };
        on_disk(site, &line, Want::FileOrFolder, at, to)
    };
    match &written.value {
        SourceText::Here(line) => Some(Source::Here(here(&line.0, written.place, at))),
        SourceText::Git(git) => {
            let repository = git.git.given()?;
            let mut url = repository.value.0.clone();
            if is_path(&url) {
                url = here(&url, repository.place, &at.key("git")).to_string_lossy().into_owned();
            }
            Some(Source::Git(Git {
                url,
                reference: git.reference.value().map(|name| name.0.clone()),
                path: git.path.value().map(|path| path.0.clone()),
            }))
        }
    }
}
