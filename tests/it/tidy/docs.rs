//! The documentation against the program.

use std::fmt::Write;

use libtest_mimic::Failed;
use portoser::model::FailureKind;
use regex::Regex;

use crate::cases::{expect, root};
use crate::tidy::Text;

pub fn links(texts: &[Text]) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)#\s]+)(#[^)]*)?\)").expect("a pattern");
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.path.ends_with(".md")) {
        for (line, content) in text.lines() {
            for target in link.captures_iter(content).filter_map(|hit| hit.get(1)).map(|hit| hit.as_str()) {
                let outside = target.contains("://") || target.starts_with("mailto:");
                let folder = root().join(&text.path);
                if !outside && !folder.parent().is_some_and(|folder| folder.join(target).exists()) {
                    found.push(format!("{}:{line}: links to `{target}`, which is not there", text.path));
                }
            }
        }
    }
    found
}

/// `path/of/file.rs::name` anywhere in ARCHITECTURE.md must be a test of that name in that file.
pub fn invariants(texts: &[Text]) -> Vec<String> {
    const PAGE: &str = "docs/ARCHITECTURE.md";
    let Some(page) = texts.iter().find(|text| text.path == PAGE) else { return vec![format!("{PAGE}: is missing")] };
    let mut found = Vec::new();
    let held = Regex::new(r"`((?:src|tests)/[\w/.-]+)::(\w+)`").expect("a pattern");
    for (line, content) in page.lines() {
        for hit in held.captures_iter(content) {
            let (path, name) = (&hit[1], &hit[2]);
            match texts.iter().find(|text| text.path == path) {
                None => found.push(format!("{PAGE}:{line}: names `{path}`, which is not there")),
                Some(text)
                    if ![format!("fn {name}("), format!("\"{name}\"")].iter().any(|is| text.text.contains(is)) =>
                {
                    found.push(format!("{PAGE}:{line}: `{path}` has no test `{name}`"));
                }
                Some(_) => {}
            }
        }
    }
    let numbered = Regex::new(r"^\| *(\d+) *\|").expect("a pattern");
    let table = page.lines().skip_while(|(_, line)| *line != "## Invariants");
    let numbers: Vec<u32> =
        table.filter_map(|(_, line)| numbered.captures(line)?.get(1)?.as_str().parse().ok()).collect();
    if numbers != (1..=12).collect::<Vec<_>>() {
        found.push(format!("{PAGE}: its table of invariants must have the rows 1 to 12, and has {numbers:?}"));
    }
    found
}

/// Every playbook is the root in a fault of the lab, or the lab's page says why there is none.
pub fn faults(texts: &[Text]) -> Vec<String> {
    const PAGE: &str = "tests/lab/README.md";
    let Some(page) = texts.iter().find(|text| text.path == PAGE) else { return vec![format!("{PAGE}: is missing")] };
    let root = Regex::new(r"[\[ ]([a-z-]+) [a-z]+[,\]]").expect("a pattern");
    let faults = texts.iter().filter(|text| text.path.starts_with("tests/lab/faults/"));
    let lines = faults.flat_map(Text::lines).filter_map(|(_, line)| line.strip_prefix("roots:"));
    let roots: Vec<&str> =
        lines.flat_map(|line| root.captures_iter(line)).filter_map(|hit| hit.get(1)).map(|hit| hit.as_str()).collect();
    let books = texts.iter().filter_map(|text| text.path.strip_prefix("playbooks/")?.strip_suffix(".yml"));
    let said = |name: &str| page.text.contains(&format!("\n- `{name}`: "));
    let say = |name: &str| match (roots.contains(&name), said(name)) {
        (false, false) => Some(format!("playbooks/{name}.yml: is the root in no fault, and {PAGE} says not why")),
        (true, true) => Some(format!("{PAGE}: says that {name} is the root in no fault, and it is")),
        _ => None,
    };
    books.filter_map(say).collect()
}

/// The pages that are written from the program itself. `UPDATE=1` writes them.
pub fn commands() -> Result<(), Failed> {
    let path = root().join("docs/commands.md");
    let page = std::fs::read_to_string(&path)?;
    let page = replace(&page, "verbs", &verbs())?;
    let page = replace(&page, "global options", &global_options())?;
    let page = replace(&page, "exit codes", &exit_codes())?;
    expect(&path, &page)
}

/// The page with what stands between `<!-- begin WHAT -->` and `<!-- end WHAT -->` replaced.
fn replace(page: &str, what: &str, by: &str) -> Result<String, Failed> {
    let (begin, end) = (format!("<!-- begin {what} -->\n"), format!("<!-- end {what} -->"));
    let missing = || Failed::from(format!("docs/commands.md: has no `{}`", begin.trim_end()));
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}{by}{end}{after}"))
}

fn exit_codes() -> String {
    let mut text = "| code | meaning |\n| ---: | --- |\n| 0 | done, or nothing to do |\n".to_owned();
    for kind in FailureKind::ALL {
        let _ = writeln!(text, "| {} | {} |", kind.code(), kind.says());
    }
    text
}

fn verbs() -> String {
    let mut command = portoser::cli::command();
    command.build();
    let mut text = String::new();
    for verb in command.get_subcommands() {
        describe(&mut text, verb, "portoser");
    }
    text
}

fn describe(text: &mut String, verb: &clap::Command, above: &str) {
    if verb.is_hide_set() {
        return;
    }
    let name = format!("{above} {}", verb.get_name());
    let about = verb.get_long_about().or(verb.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "### `{name}`\n\n{}.\n\n```text\n{}\n```\n\n", about.trim_end_matches('.'), usage(verb));
    text.push_str(&options(verb.get_arguments().filter(|argument| !argument.is_global_set())));
    for verb in verb.get_subcommands().filter(|verb| verb.get_name() != "help") {
        describe(text, verb, &name);
    }
}

fn global_options() -> String {
    let mut command = portoser::cli::command();
    command.build();
    options(command.get_arguments())
}

/// A table of options; nothing when there is none.
fn options<'a>(arguments: impl Iterator<Item = &'a clap::Arg>) -> String {
    let named = |argument: &&clap::Arg| !matches!(argument.get_id().as_str(), "help" | "version");
    let mut rows = String::new();
    for argument in arguments.filter(named).filter(|argument| !argument.is_hide_set()) {
        let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
        let default: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let flag = !argument.get_action().takes_values();
        let default =
            if default.is_empty() || flag { String::new() } else { format!(" (default: `{}`)", default.join(" ")) };
        let variable = argument.get_env().map(|name| format!(" (variable: `{}`)", name.to_string_lossy()));
        let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let name = argument.to_string().replace('|', "\\|");
        let help = help.replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(rows, "| `{short}{name}` | {help}{default}{} |", variable.unwrap_or_default());
    }
    if rows.is_empty() { rows } else { format!("| option | meaning |\n| --- | --- |\n{rows}\n") }
}

fn usage(verb: &clap::Command) -> String {
    let usage = verb.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").lines().map(str::trim).collect::<Vec<_>>().join("\n")
}
