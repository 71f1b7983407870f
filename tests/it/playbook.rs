//! The verbs for what was learned, on files beside a registry.

use std::path::Path;

use libtest_mimic::{Failed, Trial};

use crate::cli::portoser;

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn(&Path) -> Outcome| {
        Trial::test(format!("playbook::{name}"), move || body(tempfile::tempdir()?.path()))
    };
    vec![
        trial("what_was_learned_is_promoted_demoted_edited_and_removed", life),
        trial("what_was_learned_may_not_say_what_it_likes", refused),
    ]
}

const LEARNED: &str = "# by hand\nversion: 1\nname: latch\nstate: draft\nbecause: \"web on pi1 failed\"\nrisk: safe\ndo:\n  \
    - { run: [rm, -f, \"{shared}/latch\"] }\n  - { start: unit }\nrecord: { worked: 1, failed: 0 }\nlearned:\n  \
    solves: \"0123456789abcdef\"\n  by: ann@desk\n  from: fix\n  took: 31s\n";

/// Runs the binary beside a registry in this folder: its exit code and what it says.
fn run(folder: &Path, words: &[&str], editor: &str) -> (Option<i32>, String) {
    let mut portoser = portoser(&folder.join("state"), words);
    portoser.env("PORTOSER_REGISTRY", folder.join("registry.yml")).env("PATH", "/usr/bin:/bin").env("EDITOR", editor);
    let output = portoser.output().expect("portoser starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

fn begin(folder: &Path, text: &str) -> Result<std::path::PathBuf, Failed> {
    std::fs::write(folder.join("registry.yml"), "version: 1\nhosts: { pi1: { connection: local } }\n")?;
    let file = folder.join("playbooks/learned/latch.yml");
    std::fs::create_dir_all(file.parent().expect("a folder"))?;
    std::fs::write(&file, text)?;
    Ok(file)
}

fn life(folder: &Path) -> Outcome {
    let file = begin(folder, LEARNED)?;
    let said = |words: &[&str], editor: &str, code: i32| {
        let (ended, text) = run(folder, words, editor);
        assert_eq!(ended, Some(code), "{words:?}: {text}");
        text
    };
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    assert!(said(&["playbook", "list"], "", 0).contains("learned, draft"));
    assert!(said(&["playbook", "show", "latch"], "", 0).contains("{shared}/latch"));
    said(&["playbook", "test"], "", 0);
    assert!(said(&["lessons"], "", 0).contains("31"));
    said(&["playbook", "promote", "latch"], "", 0);
    // What it did before the person spoke says nothing against that word.
    let spoken = LEARNED.replace("failed: 0 }", "failed: 0, before: 1 }");
    assert_eq!(text(), spoken.replace("state: draft", "state: promoted"));
    said(&["playbook", "demote", "latch"], "", 0);
    assert_eq!(text(), spoken);
    said(&["playbook", "demote", "latch"], "", 0);
    assert_eq!(text(), spoken.replace("draft", "retired"));
    // An editor that breaks it changes nothing, and what was typed is kept.
    let broken = said(&["playbook", "edit", "latch"], "sed -i s/risk:/rusk:/", 3);
    assert!(broken.contains("what was typed is in"), "{broken}");
    assert_eq!(text(), spoken.replace("draft", "retired"));
    said(&["playbook", "edit", "latch"], "sed -i s/retired/draft/", 0);
    assert_eq!(text(), spoken);
    // One that comes with portoser is copied beside the registry, and goes before it then.
    said(&["playbook", "edit", "unit-stopped"], "sed -i s/30s/31s/", 0);
    assert!(std::fs::read_to_string(folder.join("playbooks/unit-stopped.yml"))?.contains("31s"));
    said(&["playbook", "promote", "unit-stopped"], "", 2);
    said(&["playbook", "promote", "unit-failed"], "", 2);
    said(&["playbook", "promote", "nobody"], "", 2);
    // Without a terminal nothing is removed unless it was asked for.
    said(&["playbook", "rm", "latch"], "", 9);
    assert!(file.exists());
    said(&["playbook", "rm", "latch", "--yes"], "", 0);
    assert!(!file.exists());
    Ok(())
}

fn refused(folder: &Path) -> Outcome {
    let without = LEARNED.split("record:").next().unwrap_or_default().replace("state: draft\n", "");
    for (text, says) in [
        (LEARNED.replace("[rm, -f,", "[rm, -rf,"), "risks more than this"),
        (LEARNED.replace("start: unit", "start: volume"), "cannot be what `start` is done to"),
        (LEARNED.replace("state: draft", "state: trusted"), "is not a state of what was learned"),
        (LEARNED.replace("worked: 1", "worked: -1"), "worked"),
        (LEARNED.replace("from: fix", "from: heaven"), "is not a way to learn"),
        (without, "the key `when` is missing"),
        (LEARNED.split("learned:").next().unwrap_or_default().to_owned(), "only what was learned has this"),
    ] {
        begin(folder, &text)?;
        let (code, said) = run(folder, &["playbook", "list"], "");
        assert_eq!(code, Some(3), "{text}\n{said}");
        assert!(said.contains(says), "{says}: {said}");
    }
    Ok(())
}
