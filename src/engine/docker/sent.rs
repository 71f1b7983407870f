//! Images that are sent from the controller: which of them a host gets.

use std::collections::BTreeMap;

use crate::host::Record;
use crate::host::push::{Image, is_digest};
use crate::plan::{Refused, Subject};
use crate::registry::Docker;

/// In the place of a pull policy: the image is sent, and known by its id.
pub(super) const PUSH: &str = "push";

/// The images that this host gets; none where they are not sent.
pub(super) fn images(subject: &Subject<'_>, docker: &Docker) -> Result<Vec<Image>, Refused> {
    let all = subject.sources.images.get(&subject.service.name).filter(|_| docker.push.is_some());
    let mut names: BTreeMap<&str, Vec<&Image>> = BTreeMap::new();
    for image in all.into_iter().flatten() {
        names.entry(&image.reference).or_default().push(image);
    }
    names.into_iter().map(|(name, made)| fitting(&subject.facts.machine, name, &made).cloned()).collect()
}

/// Of an image that is made for several platforms, the one for this host.
fn fitting<'a>(machine: &str, name: &str, all: &[&'a Image]) -> Result<&'a Image, Refused> {
    all.iter().find(|one| runs_on(&one.architecture, machine)).copied().ok_or_else(|| {
        let made: Vec<String> = all.iter().map(|one| one.platform()).collect();
        Refused::new(
            format!("the image `{name}` is made for {}, and the host is {machine}", made.join(", ")),
            "build it for the host's processor: `docker build --platform ...`",
        )
    })
}

/// The image of this name among those that are sent.
pub(super) fn named<'a>(sent: &'a [Image], reference: &str) -> Result<&'a Image, Refused> {
    sent.iter().find(|image| image.reference == reference).ok_or_else(|| {
        Refused::new(format!("the image `{reference}` was not read on this machine"), "see `docker images` here")
    })
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

/// The ids of the images that were sent for a release.
pub(super) fn ids(record: &Record) -> impl Iterator<Item = &str> {
    let pins = record.summary.iter().filter(|(key, _)| key.starts_with("pin "));
    let ids = pins.filter_map(|(_, value)| value.strip_prefix(PUSH)?.strip_prefix(' '));
    // The record is the host's, and the id becomes the name of a folder that is removed.
    ids.filter(|id| is_digest(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_gets_what_is_made_for_it_or_is_told_what_there_is() {
        let made =
            |architecture: &str| Image { os: "linux".into(), architecture: architecture.into(), ..Image::default() };
        let (intel, arm) = (made("amd64"), made("arm64"));
        let told = |machine: &str, all: &[&Image]| {
            fitting(machine, "a/b:1", all).map(|one| one.architecture.clone()).map_err(|why| why.what)
        };
        let both = [&intel, &arm];
        assert_eq!(["x86_64", "aarch64"].map(|machine| told(machine, &both).expect("its own")), ["amd64", "arm64"]);
        assert_eq!(told("x86_64", &both[..1]).as_deref(), Ok("amd64"));
        let none = "the image `a/b:1` is made for linux/amd64, and the host is aarch64";
        assert_eq!(told("aarch64", &both[..1]), Err(none.to_owned()));
        assert!(told("riscv64", &both).is_err_and(|why| why.contains("linux/amd64, linux/arm64")));
    }
}
