//! Lists the playbooks that come with the program, so that a new one is a file and nothing else.

use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("playbooks");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            names.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), path));
        }
    }
    names.sort();
    let mut list = "const SHIPPED: &[(&str, &str)] = &[\n".to_owned();
    for (name, path) in names {
        writeln!(list, "    ({name:?}, include_str!({path:?})),")?;
    }
    list.push_str("];\n");
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("playbooks.rs"), list)?;
    use std::io::Write as _;
    writeln!(std::io::stdout(), "cargo::rerun-if-changed=playbooks")?;
    Ok(())
}
