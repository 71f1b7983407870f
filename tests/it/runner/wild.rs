//! Hostile values: carried exactly, and never run.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use libtest_mimic::Trial;
use portoser::host::run::{self, Compression, Happened, TreeEntry, TreeKind};
use portoser::model::{Cmd, Content, Step};

use super::desk::{Desk, release, stage, tree, trial};

/// Each would leave the file `pwned` somewhere, or lose a part of itself, if any shell read it.
const HOSTILE: &[&str] = &[
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "& touch pwned &",
    "| touch pwned",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "\\'; touch pwned",
    "a\nb; touch pwned",
    "\n",
    "trailing\n\n",
    "-rf",
    "--",
    "-",
    "--help",
    "*",
    "?",
    "[a]",
    "~",
    "~root",
    "$HOME",
    "${IFS}",
    "$$",
    "!!",
    "#",
    "a#b",
    "%s%n%d",
    "%00",
    "%",
    "\\",
    "\\\\",
    "\\n",
    " ",
    "  two  ",
    "\t",
    "'",
    "''",
    "\"",
    "\"\"",
    "'\"'\"'",
    "é",
    "日本語",
    "🦀",
    "\u{202e}rtl",
    "\u{7f}",
    "\u{1b}[31m",
    "\r",
    "a\rb",
    "{a,b}",
    "a=b",
    "=",
    "<(touch pwned)",
    ">pwned",
    ">>pwned",
    "<pwned",
    "2>&1",
    "EOF",
    "\nEOF\n",
    "()",
    "a() { touch pwned; }",
    "@run 1 1.00 end committed",
    "\n@run - received\n",
    "if",
    "done",
    "exit 0",
    "\u{0}",
];

pub fn trials(shell: &'static str) -> Vec<Trial> {
    vec![
        trial(shell, "an_environment_may_name_any_variable", |desk| {
            let (folder, out) = (desk.at("world/release"), desk.at("world/environ"));
            fs::create_dir_all(format!("{folder}/.portoser")).map_err(|error| error.to_string())?;
            let text = "export user='x'\nexport text='a\n b'\nexport uid='9'\nset -- /usr/bin/env UID='7 7' \"$@\"\nexport file=''\n";
            fs::write(format!("{folder}/.portoser/env.sh"), text).map_err(|error| error.to_string())?;
            let words = ["/bin/cp", "/proc/self/environ", &out].map(str::to_owned);
            // The shell of this desk plays the host's.
            let mut words = run::within("hook", &folder, None, &words).words().to_vec();
            words[0] = "sh".into();
            let step = Step::Run { cmd: Cmd::from_words(words).expect("words"), undo: None };
            desk.commit(&desk.run(1, vec![stage(None, None, vec![step])]), &[])?;
            let told = fs::read_to_string(&out).map_err(|error| error.to_string())?;
            for variable in ["user=x", "text=a\n b", "uid=9", "UID=7 7", "file="] {
                if !told.split('\0').any(|one| one == variable) {
                    return Err(format!("{variable:?} is not in {told:?}"));
                }
            }
            Ok(())
        }),
        trial(shell, "hostile_values_are_carried_exactly", |desk| {
            let mut all: Vec<String> =
                HOSTILE.iter().map(|text| (*text).to_owned()).filter(|text| text != "\0").collect();
            all.push("x".repeat(60_000));
            let mut steps = vec![Step::Folder { path: desk.at("world/x"), mode: 0o755, owner: None }];
            for (index, text) in all.iter().enumerate() {
                let words = "printf '%s' \"$2\" >\"$1\"";
                let out = desk.at(&format!("world/word{index}"));
                let cmd = Cmd::new("sh").args(["-c", words, "wild"]).arg(out).arg(text);
                steps.push(Step::Run { cmd: cmd.clone(), undo: Some(cmd) });
                let short: String = text.replace('/', "|").chars().take(50).collect();
                let name = desk.at(&format!("world/x/n{index}{short}"));
                steps.push(Step::Put {
                    path: name.clone(),
                    content: Content::open(text.clone()),
                    mode: 0o644,
                    owner: None,
                });
                let link: String = text.chars().take(1000).collect();
                steps.push(Step::Link { path: format!("{name}.link"), target: link.clone() });
                steps.push(Step::Link { path: format!("{name}.again"), target: "before".into() });
                steps.push(Step::Link { path: format!("{name}.again"), target: link });
                steps.push(Step::Folder { path: format!("{name}.d/e"), mode: 0o750, owner: None });
                steps.push(Step::Remove { path: name.clone() });
                steps.push(Step::Put { path: name, content: Content::open(text.clone()), mode: 0o644, owner: None });
            }
            let mut run = desk.run(1, vec![stage(None, None, steps)]);
            run.who = "$(touch pwned) % \n who".into();
            let session = desk.commit(&run, &[])?;
            if session.events()[0] != (Happened::Run { stages: 1, who: run.who.clone() }) {
                return Err(format!("who is {:?}", session.events()[0]));
            }
            let mut told = session.events().into_iter().filter_map(|event| match event {
                Happened::Begin { what, .. } => Some(what),
                _ => None,
            });
            if !told.by_ref().zip(&run.stages[0].steps).all(|(what, step)| what == step.to_string()) {
                return Err("a step was told in other words".into());
            }
            for (index, text) in all.iter().enumerate() {
                let short: String = text.replace('/', "|").chars().take(50).collect();
                let name = desk.at(&format!("world/x/n{index}{short}"));
                let link: String = text.chars().take(1000).collect();
                let same = fs::read_to_string(desk.at(&format!("world/word{index}"))).is_ok_and(|got| got == *text)
                    && fs::read_to_string(&name).is_ok_and(|got| got == *text)
                    && fs::read_link(format!("{name}.again")).is_ok_and(|got| got.as_os_str() == link.as_str())
                    && fs::read_link(format!("{name}.link")).is_ok_and(|got| got.as_os_str() == link.as_str());
                if !same {
                    return Err(format!("not carried exactly: {text:?}"));
                }
            }
            innocent(desk)
        }),
        trial(shell, "hostile_values_are_undone", |desk| {
            let names: Vec<String> =
                HOSTILE.iter().filter(|text| **text != "\0").map(|text| text.replace('/', "|")).collect();
            for name in &names {
                symlink(name, desk.at(&format!("world/l{name}"))).map_err(|error| error.to_string())?;
                fs::write(desk.at(&format!("world/f{name}")), name).map_err(|error| error.to_string())?;
            }
            let before = desk.picture();
            let mut steps = Vec::new();
            for name in &names {
                let path = |kind: &str| desk.at(&format!("world/{kind}{name}"));
                steps.push(Step::Link { path: path("l"), target: "elsewhere".into() });
                steps.push(Step::Put { path: path("f"), content: Content::open("new"), mode: 0o600, owner: None });
                steps.push(Step::Remove { path: path("f") });
                steps.push(Step::Folder { path: format!("{}/a/{name}", path("d")), mode: 0o700, owner: None });
            }
            steps.push(Step::Run { cmd: Cmd::new("false"), undo: None });
            let mut session = desk.open(&desk.run(1, vec![stage(None, None, steps)]), &[]);
            session.ends(run::End::RolledBack)?;
            super::road::same(&before, desk.picture())?;
            innocent(desk)
        }),
        trial(shell, "hostile_names_in_a_tree_are_carried", |desk| {
            let mut tree = tree('a');
            for (index, text) in HOSTILE.iter().filter(|text| **text != "\0").enumerate() {
                let name = format!("{index}{}/f{}", text.replace('/', "|"), text.replace('/', "|"));
                let kind = TreeKind::Made { content: Content::open(*text), mode: 0o644 };
                tree.entries.push(TreeEntry { path: name, kind });
            }
            tree.entries.push(TreeEntry {
                path: format!("{}/{}", "deep/".repeat(30), "y".repeat(200)).replace("//", "/"),
                kind: TreeKind::Made { content: Content::open("deep"), mode: 0o644 },
            });
            let into = desk.at("world/release");
            let steps = vec![Step::Unpack { release: release('a'), into: into.clone(), owner: None, from: None }];
            desk.commit(&desk.run(1, vec![stage(None, None, steps)]), std::slice::from_ref(&tree))?;
            for entry in &tree.entries {
                let TreeKind::Made { content, .. } = &entry.kind else { continue };
                if fs::read(format!("{into}/{}", entry.path)).ok().as_deref() != Some(&*content.bytes) {
                    return Err(format!("not carried exactly: {:?}", entry.path));
                }
            }
            innocent(desk)
        }),
        trial(shell, "what_no_host_could_be_given_is_refused", |desk| {
            let open = |step| run::open(&desk.run(1, vec![stage(None, None, vec![step])]), &[], Compression::None);
            let nul = || "a\0b".to_owned();
            for step in [
                Step::Remove { path: nul() },
                Step::Link { path: nul(), target: "x".into() },
                Step::Link { path: "x".into(), target: nul() },
                Step::Run { cmd: Cmd::new("x").arg(nul()), undo: None },
                Step::Run { cmd: Cmd::new("x"), undo: Some(Cmd::new("y").arg(nul())) },
                Step::Put { path: "x".into(), content: Content::open(""), mode: 0o644, owner: Some(nul()) },
                Step::HoldProcess { folder: nul() },
            ] {
                if open(step.clone()).is_ok() {
                    return Err(format!("not refused: {step:?}"));
                }
            }
            for path in ["../x", "/x", "a/../b", "a//b", "", "a/", "."] {
                let mut tree = tree('a');
                tree.entries.push(TreeEntry { path: path.into(), kind: TreeKind::Folder });
                if run::open(&desk.run(1, Vec::new()), &[tree], Compression::None).is_ok() {
                    return Err(format!("not refused: {path:?}"));
                }
            }
            Ok(())
        }),
        trial(shell, "the_same_run_makes_the_same_bytes", |desk| {
            for pack in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let bytes = || {
                    let run = desk.run(1, vec![stage(None, None, super::desk::steps(desk, 'a'))]);
                    let mut bytes = Vec::new();
                    let opening = run::open(&run, &[tree('a')], pack);
                    opening.map(|mut opening| opening.payload.read_to_end(&mut bytes)).ok();
                    bytes
                };
                if bytes().is_empty() || bytes() != bytes() {
                    return Err(format!("{pack:?} differs"));
                }
            }
            Ok(())
        }),
    ]
}

fn innocent(desk: &Desk) -> Result<(), String> {
    for folder in ["", "world", "world/x", "base"] {
        if fs::symlink_metadata(desk.at(&format!("{folder}/pwned"))).is_ok() {
            return Err(format!("a hostile value was run in {folder}"));
        }
    }
    if fs::symlink_metadata("pwned").is_ok() || fs::symlink_metadata("/pwned").is_ok() {
        return Err("a hostile value was run".into());
    }
    Ok(())
}
