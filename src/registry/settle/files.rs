//! What a service takes from this machine's disk: its source, its files, its templates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::Site;
use super::variables::Known;
use crate::registry::checked::{FileSource, ManagedFile};
use crate::registry::draft;
use crate::registry::fault::{Place, shown};
use crate::registry::read::{At, Reader};
use crate::registry::text::Line;
use crate::registry::tree::Trail;

/// What must stand at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    File,
    Folder,
    FileOrFolder,
}

/// A path on this machine; a fault when nothing of the wanted kind is there.
pub(super) fn on_disk(site: &Site<'_>, line: &At<Line>, want: Want, at: &Trail<'_>, to: &mut Reader) -> PathBuf {
    let path = site.path(&line.value.0);
    match std::fs::metadata(&path) {
        Ok(found) if (found.is_file() && want != Want::Folder) || (found.is_dir() && want != Want::File) => {}
        Ok(_) => {
            let wanted = if want == Want::Folder { "folder" } else { "file" };
            to.fault(line.place, at, format!("`{}` is not a {wanted}", shown(&line.value.0)));
        }
        Err(error) => {
            let why = if error.kind() == std::io::ErrorKind::NotFound {
                "it is not there".to_owned()
            } else {
                error.to_string()
            };
            let fault = to.fault(line.place, at, format!("cannot read `{}`", shown(&line.value.0)));
            fault.why(why).hint(format!("it is looked for at {}", shown(&path.display().to_string())));
        }
    }
    path
}

/// The files that a service writes into its release.
pub(super) fn make(
    site: &Site<'_>,
    service: &draft::Service,
    known: &Known<'_>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> BTreeMap<String, ManagedFile> {
    let at = at.key("files");
    let mut files = BTreeMap::new();
    for named in service.files.value().map(|map| map.0.iter()).into_iter().flatten() {
        let at = at.key(&named.name);
        let Some(file) = named.field.given() else { continue };
        let mode = file.value.mode.value().map_or(0o644, |mode| mode.0);
        let source = source(site, file, known, &at, to);
        files.extend(source.map(|source| (named.name.clone(), ManagedFile { source, mode })));
    }
    refuse_files_in_files(&files, service, &at, to);
    files
}

/// `a` cannot be a file and the folder of `a/b`.
fn refuse_files_in_files(
    files: &BTreeMap<String, ManagedFile>,
    service: &draft::Service,
    at: &Trail<'_>,
    to: &mut Reader,
) {
    let entries = service.files.value().map(|map| map.0.iter()).into_iter().flatten();
    for named in entries {
        let folders = named.name.match_indices('/').map(|(slash, _)| &named.name[..slash]);
        if let Some(folder) = folders.into_iter().find(|folder| files.contains_key(*folder)) {
            let what = format!("`{}` would be a file and a folder", shown(folder));
            to.fault(named.place, &at.key(&named.name), what);
        }
    }
}

fn source(
    site: &Site<'_>,
    file: &At<draft::File>,
    known: &Known<'_>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Option<FileSource> {
    let draft::File { template, copy, text, .. } = &file.value;
    let written = [template.written(), copy.written(), text.written()];
    if written.iter().filter(|written| **written).count() != 1 {
        to.fault(file.place, at, "one of template, copy and text is needed");
        return None;
    }
    if let Some(text) = text.value() {
        return Some(FileSource::Text(text.0.clone()));
    }
    if let Some(line) = copy.given() {
        return Some(FileSource::Copy(on_disk(site, line, Want::File, &at.key("copy"), to)));
    }
    let line = template.given()?;
    let at = at.key("template");
    let before = to.faults.len();
    let path = on_disk(site, line, Want::File, &at, to);
    if to.faults.len() == before {
        check_template(site, &path, line.place, known, &at, to);
    }
    Some(FileSource::Template(path))
}

/// What is known about a template file: the variables that it names, or why it cannot be read.
pub(super) type Template = Result<Vec<String>, String>;

fn check_template(site: &Site<'_>, path: &Path, place: Place, known: &Known<'_>, at: &Trail<'_>, to: &mut Reader) {
    let mut templates = site.templates.lock().unwrap_or_else(PoisonError::into_inner);
    let template = templates.entry(path.to_owned()).or_insert_with(|| look_into(path));
    match template {
        Ok(names) => {
            for name in names.iter().filter(|name| !known.in_template(name)) {
                known.undefined_in_template(name, place, at, to);
            }
        }
        Err(why) => {
            to.fault(place, at, "the template cannot be used").why(why.clone());
        }
    }
}

fn look_into(path: &Path) -> Template {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let environment = minijinja::Environment::new();
    let template = environment.template_from_str(&text).map_err(|error| {
        let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{line}{}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
    })?;
    let globals: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
    let is_own = |name: &String| globals.iter().any(|global| name.split('.').next() == Some(global));
    let mut names: Vec<String> = template.undeclared_variables(true).into_iter().filter(|name| !is_own(name)).collect();
    // What stands under a condition, or has a value of its own, may be missing; the strict rendering of a plan says when it is.
    let is_open = text.split(|c: char| !c.is_alphanumeric()).any(|word| matches!(word, "if" | "default" | "d"));
    names.retain(|name| !name.contains('.') || !is_open);
    names.sort();
    Ok(names)
}
