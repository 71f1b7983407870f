//! The images that hosts fetch for a service, as far as that is known without compose.

use std::collections::BTreeSet;

use crate::registry::{Docker, Project, Pull, compose_here, compose_parts, part_fetches};

/// What the hosts of this service may have to fetch. What cannot be read is told when its release is planned.
pub(super) fn fetched(docker: &Docker) -> BTreeSet<String> {
    if docker.pull == Pull::Never {
        return BTreeSet::new();
    }
    let (path, part) = match &docker.project {
        Project::Image(image) => {
            return docker.push.is_none().then(|| image.reference.clone()).into_iter().collect();
        }
        Project::Compose { path, part, .. } => (path, part),
    };
    let sent = |name: &String| docker.push.is_some() && part.as_ref().is_none_or(|part| part == name);
    let parts = compose_parts(&compose_here(path).unwrap_or_default());
    let fetched = parts.iter().filter(|(name, _)| !sent(name)).filter_map(|(_, part)| part_fetches(part));
    fetched.map(str::to_owned).collect()
}
