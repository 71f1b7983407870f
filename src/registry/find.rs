//! Where the registry is, when nobody says: here, upward to the root of the repository, then in the user's config folder.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// The file names of a registry, the first one found counts.
pub const FILE_NAMES: [&str; 4] = ["registry.yml", "registry.yaml", "registry.json", "registry.toml"];

/// The registry that holds in a folder, and the folders that were looked into. Above the root of a repository nothing is
/// looked for, and outside of one only the folder itself counts: a file in `/tmp` is nobody's registry.
#[must_use]
pub fn find(folder: &Path) -> (Option<PathBuf>, Vec<PathBuf>) {
    let root = folder.ancestors().find(|folder| folder.join(".git").exists());
    let mut folders: Vec<PathBuf> = match root {
        Some(root) => folder.ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_owned).collect(),
        None => vec![folder.to_owned()],
    };
    folders.extend(config_folder());
    let names = |folder: &PathBuf| FILE_NAMES.map(|name| folder.join(name));
    let found = folders.iter().flat_map(names).find(|path| path.is_file());
    (found, folders)
}

/// The user's config folder for portoser, such as `~/.config/portoser`.
#[must_use]
pub fn config_folder() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.config_dir().join("portoser"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_at_the_root_of_the_repository() {
        let top = tempfile::tempdir().expect("a folder");
        let deep = top.path().join("repository/a/b");
        std::fs::create_dir_all(&deep).expect("folders");
        std::fs::write(top.path().join("registry.yml"), "").expect("a file");
        assert!(!find(&deep).1.contains(&top.path().to_owned()));
        std::fs::create_dir(top.path().join("repository/.git")).expect("a folder");
        assert_eq!(find(&deep).1.len() - usize::from(config_folder().is_some()), 3);
        let ours = top.path().join("repository/registry.toml");
        std::fs::write(&ours, "").expect("a file");
        assert_eq!(find(&deep).0, Some(ours));
    }
}
