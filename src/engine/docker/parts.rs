//! What a release of containers is: its files, its project and its record.

use std::collections::BTreeMap;

use super::{Docker, Rendered, caller, data, own, render, sent, word};
use crate::engine::{process, release};
use crate::host::push::Image;
use crate::host::run::{TreeEntry, TreeKind};
use crate::host::{FORMAT, OURS, Record, Supervisor, UnitFile};
use crate::model::{Content, ReleaseId, Scope, Sha256, sha256, spread};
use crate::plan::{self, Engine as _, Refused, Subject, Wanted};
use crate::registry::{Kind, Project};

/// What a release does, for some id: its files, their marks, and its project.
pub(super) struct Parts {
    entries: Vec<TreeEntry>,
    files: BTreeMap<String, String>,
    rendered: Rendered,
    /// The images that are sent from this machine.
    sent: Vec<Image>,
}

impl Parts {
    pub(super) fn new(subject: &Subject<'_>, id: &ReleaseId) -> Result<Self, Refused> {
        let Kind::Docker(docker) = &subject.service.kind else {
            return Err(Refused::new("it is no docker service", "see `portoser schema`"));
        };
        let mut entries = plan::tree(subject, id)?;
        let sent = sent::images(subject, docker)?;
        let rendered = match &docker.project {
            Project::Image(image) => {
                let reference = match docker.push {
                    Some(_) => sent::named(&sent, &image.reference)?.id.clone(),
                    None => render::pinned(subject, &image.reference, docker.pull)?,
                };
                render::render(subject, image, reference, (id, &entries))?
            }
            Project::Compose { path, .. } => own::render(subject, docker, (path, &sent), &entries)?,
        };
        data::make_way(&mut entries, &rendered.links);
        entries.push(TreeEntry { path: OURS.into(), kind: TreeKind::Folder });
        entries.extend(rendered.links.iter().cloned());
        entries.extend(rendered.ours.iter().cloned());
        let env = plan::environment(subject, &plan::variables(subject, id, 1));
        entries.push(plan::ours("env.sh", Content::secret(process::env_file(&env)), 0o600));
        let own = matches!(docker.project, Project::Compose { .. });
        entries.push(plan::ours("compose.sh", Content::open(caller::script(&rendered, own)), 0o644));
        let images: String = rendered.images.iter().map(|(tag, image)| format!("{tag} {image}\n")).collect();
        entries.push(plan::ours("images", Content::open(images), 0o644));
        let marked = entries.iter().filter_map(|entry| Some((entry.path.clone(), plan::mark(&entry.kind)?)));
        Ok(Self { files: marked.collect(), entries, rendered, sent })
    }

    /// What a release does is in its files. Checks, hooks and summary are left out: when only they change, nothing needs to be
    /// restarted.
    pub(super) fn digest(&self, subject: &Subject<'_>) -> Sha256 {
        let all = (FORMAT, Docker.name(), &subject.service.name, &self.files, &self.rendered.images);
        let mut text = Vec::with_capacity(4096);
        // Nothing in it can fail to be written.
        let _ = serde_json::to_writer(&mut text, &all);
        sha256(&text)
    }

    pub(super) fn finish(self, subject: &Subject<'_>, id: ReleaseId) -> Wanted {
        let service = subject.service;
        let variables = plan::variables(subject, &id, 1);
        let unit = |part: &String| UnitFile {
            name: format!("{}/{part}", self.rendered.name),
            path: None,
            enable: None,
            text: String::new(),
        };
        let mut summary = release::described(subject);
        if let Kind::Docker(docker) = &service.kind {
            for (tag, image) in &self.rendered.images {
                let sent = self.sent.iter().find(|sent| sent.id == *image);
                let how = if sent.is_some() { sent::PUSH } else { word(docker.pull) };
                summary.insert(format!("pin {tag}"), format!("{how} {image}"));
                let one = matches!(docker.project, Project::Image(_));
                let key = if one { "image".to_owned() } else { format!("image {tag}") };
                summary.extend(sent.map(|sent| (key, sent.reference.clone())));
            }
        }
        summary.extend(self.rendered.networks.iter().map(|name| (format!("network {name}"), "shared".to_owned())));
        let adopted = self.rendered.folder.iter().map(|folder| format!("{} in {folder}", self.rendered.name));
        summary.extend(adopted.map(|project| ("project".to_owned(), project)));
        summary.extend(self.rendered.beside.then(|| ("beside".to_owned(), "the release before".to_owned())));
        summary.extend(self.rendered.mounted.iter().map(|all| ("mounts".to_owned(), all.join(":"))));
        summary.extend(self.rendered.main.iter().map(|part| ("part".to_owned(), part.clone())));
        let record = Record {
            format: FORMAT,
            service: service.name.clone(),
            engine: Docker.name().into(),
            supervisor: Supervisor::Compose,
            scope: Scope::System,
            units: self.rendered.parts.iter().map(unit).collect(),
            user: None,
            checks: spread(&service.checks, service.port, service.instances),
            hooks: release::hooks(subject, &variables),
            stop: plan::long_stop(service.stop.timeout.max(self.rendered.grace.unwrap_or_default())),
            venv: None,
            once: None,
            summary,
            files: self.files,
            release: id,
        };
        Wanted { record, files: self.entries, besides: None, images: self.sent }
    }
}
