//! Images that are sent from the controller: which of them a host gets.

use crate::host::Record;
use crate::host::push::{Image, is_digest};
use crate::plan::{Refused, Subject};
use crate::registry::{Docker, Project};

/// In the place of a pull policy: the image is sent, and known by its id.
pub(super) const PUSH: &str = "push";

/// The image that this host gets; none where it is not sent.
pub(super) fn image(subject: &Subject<'_>, docker: &Docker) -> Result<Option<Image>, Refused> {
    let (Some(_), Project::Image(image)) = (&docker.push, &docker.project) else { return Ok(None) };
    let all = subject.sources.images.get(&subject.service.name).map(Vec::as_slice).unwrap_or_default();
    let fits = |one: &&Image| runs_on(&one.architecture, &subject.facts.machine);
    if let Some(image) = all.iter().find(fits) {
        return Ok(Some(image.clone()));
    }
    let made: Vec<String> = all.iter().map(Image::platform).collect();
    Err(Refused::new(
        format!(
            "the image `{}` is made for {}, and the host is {}",
            image.reference,
            made.join(", "),
            subject.facts.machine
        ),
        "build it for the host's processor: `docker build --platform ...`",
    ))
}

/// Whether a machine (`uname -m`) may have an engine for images of this architecture. That it is the one is proven when the
/// engine itself is asked: the same processor may run a system of 32 bits.
fn runs_on(architecture: &str, machine: &str) -> bool {
    match machine {
        "x86_64" => matches!(architecture, "amd64" | "386"),
        "i386" | "i686" => architecture == "386",
        "aarch64" | "arm64" => matches!(architecture, "arm64" | "arm"),
        machine if machine.starts_with("armv") => architecture == "arm",
        "riscv64" | "ppc64le" | "s390x" | "loongarch64" | "mips64" => architecture == machine,
        // What is not known is no reason to refuse.
        _ => true,
    }
}

/// The id of the image that was sent for a release.
pub(super) fn id(record: &Record) -> Option<&str> {
    let mut pins = record.summary.iter().filter(|(key, _)| key.starts_with("pin "));
    let id = pins.find_map(|(_, value)| value.strip_prefix(PUSH)?.strip_prefix(' '));
    // The record is the host's, and the id becomes the name of a folder that is removed.
    id.filter(|id| is_digest(id))
}
