//! The way from the top of a registry to a value, as a chain on the stack: it costs nothing until a fault is told.

use std::fmt;

/// Where we are.
#[derive(Clone, Copy)]
pub(crate) struct Trail<'a> {
    parent: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Top,
    Key(&'a str),
    Index(usize),
}

impl<'a> Trail<'a> {
    pub(crate) const TOP: Trail<'static> = Trail { parent: None, step: Step::Top };

    /// The way to the value of this key.
    pub(crate) fn key(&'a self, key: &'a str) -> Trail<'a> {
        Trail { parent: Some(self), step: Step::Key(key) }
    }

    /// The way to this item of a list, counted from 0.
    pub(crate) fn index(&'a self, index: usize) -> Trail<'a> {
        Trail { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            first = matches!(parent.step, Step::Top);
        }
        match self.step {
            Step::Top => Ok(()),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write_key(f, key, first),
        }
    }
}

fn write_key(f: &mut fmt::Formatter<'_>, key: &str, first: bool) -> fmt::Result {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.is_empty() || !key.chars().all(plain) {
        return write!(f, "[\"{}\"]", crate::registry::fault::shown(key));
    }
    if !first {
        f.write_str(".")?;
    }
    f.write_str(&crate::registry::fault::shown(key))
}

#[cfg(test)]
mod tests {
    use super::Trail;

    #[test]
    fn a_trail_reads_as_it_would_be_written() {
        let services = Trail::TOP.key("services");
        let web = services.key("web");
        let files = web.key("files");
        let file = files.key("etc/api.toml");
        assert_eq!(file.key("mode").to_string(), "services.web.files[\"etc/api.toml\"].mode");
        assert_eq!(web.key("hosts").index(1).to_string(), "services.web.hosts[1]");
    }
}
