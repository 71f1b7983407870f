//! What names the packages of a Python project.

/// What names the packages of a Python project. It lies at the top of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// `uv.lock`, beside its `pyproject.toml`.
    Uv,
    /// `requirements.txt`.
    Requirements,
    /// The dependencies of `pyproject.toml`, which are no lock.
    Project,
    /// The source is a wheel.
    Wheel,
}

/// Why nothing names the packages, and what to do.
pub type NoLock = (String, Option<&'static str>);

/// Locks of other tools, and how each is made one of ours.
const FOREIGN: &[(&str, &str)] = &[
    ("poetry.lock", "convert it with `uvx migrate-to-uv`, or write `poetry export -o requirements.txt`"),
    ("Pipfile.lock", "write `pipenv requirements > requirements.txt`"),
    ("Pipfile", "write `pipenv lock` and `pipenv requirements > requirements.txt`"),
    ("pdm.lock", "convert it with `uvx migrate-to-uv`, or write `pdm export -o requirements.txt`"),
    ("pixi.lock", CONDA),
    ("conda-lock.yml", CONDA),
    ("environment.yml", CONDA),
    ("environment.yaml", CONDA),
];

const CONDA: &str = "write what it takes from PyPI into requirements.txt; conda's own packages cannot be installed";

/// The first of what names packages among the files at the top of a folder. The error is what is wrong, and what to do.
pub fn lock_of(has: impl Fn(&str) -> bool) -> Result<Lock, NoLock> {
    match () {
        () if has("uv.lock") && has("pyproject.toml") => Ok(Lock::Uv),
        () if has("uv.lock") => Err(("beside its `uv.lock` there is no `pyproject.toml`".into(), None)),
        () if has("requirements.txt") => Ok(Lock::Requirements),
        () => match FOREIGN.iter().find(|(name, _)| has(name)) {
            Some((name, hint)) => Err((format!("`{name}` is another tool's"), Some(hint))),
            None if has("pyproject.toml") => Ok(Lock::Project),
            None => Err((
                "nothing in it names the packages that it needs".into(),
                Some("write a `requirements.txt` (it may be empty), or a `pyproject.toml` and `uv lock`"),
            )),
        },
    }
}
