//! Paths of the far end as text: nothing is asked of any file system.

/// A path as one from this folder, without a slash before it. What leads out of the root stays there; an absolute path is one of the
/// folder's, too.
pub(crate) fn within(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_root() {
        assert_eq!(within("/srv/shop", "./data"), "srv/shop/data");
        assert_eq!(within("/srv/shop", "../all//x/."), "srv/all/x");
        assert_eq!(within("a", "../../../etc"), "etc");
    }
}
