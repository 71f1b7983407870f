//! Rules for source files.

use std::collections::{BTreeMap, HashMap};

use regex::Regex;

use crate::tidy::Text;

/// The most lines of a file, in `src/` and `tests/`.
const LONGEST: usize = 400;
/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

pub fn short_files(texts: &[Text]) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.is_rust()) {
        let lines = text.text.lines().count();
        let excepted = LONGER.iter().any(|(path, _)| *path == text.path);
        match (lines > LONGEST, excepted) {
            (true, false) => found.push(format!("{}: {lines} lines; {LONGEST} is the most", text.path)),
            (false, true) => found.push(format!("{}: is short now; take it off the list of longer files", text.path)),
            _ => {}
        }
    }
    for (path, _) in LONGER.iter().filter(|(path, _)| !texts.iter().any(|text| text.path == *path)) {
        found.push(format!("{path}: is gone; take it off the list of longer files"));
    }
    found
}

/// The most lines of a function in `src/`, its heading counted: what a screen shows.
const SCREEN: usize = 62;

pub fn short_functions(texts: &[Text]) -> Vec<String> {
    let heading = Regex::new(r"^(\s*)(?:pub(?:\([a-z]+\))? )?(?:const |async )*fn (\w+)").expect("a pattern");
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.is_rust() && text.path.starts_with("src/")) {
        let lines: Vec<_> = text.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let Some(hit) = heading.captures(line) else { continue };
            // The formatter puts the closing brace under the beginning of the heading.
            let end = format!("{}}}", &hit[1]);
            let length = lines[start..].iter().position(|line| *line == end).map_or(1, |length| length + 1);
            // A function of one line has no such brace; what follows it is another item.
            if length > SCREEN && !line.ends_with('}') && !line.ends_with(';') {
                let (path, at, name) = (&text.path, start + 1, &hit[2]);
                found.push(format!("{path}:{at}: `{name}` has {length} lines; {SCREEN} are the most"));
            }
        }
    }
    found
}

pub fn module_docs(texts: &[Text]) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.is_rust()) {
        match text.text.lines().take_while(|line| line.starts_with("//!")).count() {
            0 => found.push(format!("{}:1: does not begin with what it is for (`//! ...`)", text.path)),
            1..=5 => {}
            lines => found.push(format!("{}:1: takes {lines} lines to say what it is for; 5 are the most", text.path)),
        }
    }
    found
}

pub fn every_file_is_a_module(texts: &[Text]) -> Vec<String> {
    let by_path: BTreeMap<_, _> = texts.iter().map(|text| (text.path.as_str(), text.text.as_str())).collect();
    let roots = ["src/lib.rs", "src/main.rs", "tests/it/main.rs", "build.rs"];
    let modules = texts.iter().filter(|text| text.is_rust()).filter(|text| {
        let elsewhere = ["src/bin/", "tests/fuzz/", "tests/bench/"].iter().any(|root| text.path.starts_with(root));
        !elsewhere && !roots.contains(&text.path.as_str())
    });
    let mut found = Vec::new();
    for text in modules {
        let path = text.path.strip_suffix("/mod.rs").or(text.path.strip_suffix(".rs")).unwrap_or(&text.path);
        let Some((folder, name)) = path.rsplit_once('/') else { continue };
        let parents = [
            format!("{folder}/mod.rs"),
            format!("{folder}.rs"),
            format!("{folder}/lib.rs"),
            format!("{folder}/main.rs"),
        ];
        let listed = Regex::new(&format!(r"(?m)^\s*(pub(\([a-z]+\))? )?mod {name};")).expect("a pattern");
        let parents: Vec<_> = parents.iter().filter_map(|parent| by_path.get(parent.as_str())).collect();
        if !parents.iter().any(|parent| listed.is_match(parent)) {
            found.push(format!("{}: no `mod {name};` names it, so nothing of it is compiled", text.path));
        }
    }
    found
}

pub fn forbidden_words(texts: &[Text]) -> Vec<String> {
    // They are put together here so that this file does not hold them.
    let words: [(String, &str); 6] = [
        (["down", " -v"].concat(), "removes volumes: user data is never deleted"),
        (["down", " --volumes"].concat(), "removes volumes: user data is never deleted"),
        (["volume", " prune"].concat(), "removes volumes: user data is never deleted"),
        (["system", " prune --volumes"].concat(), "removes volumes: user data is never deleted"),
        (["StrictHostKeyChecking", "=no"].concat(), "host keys are pinned"),
        (["/wor", "k/"].concat(), "is a path of one machine"),
    ];
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.path != "Cargo.lock") {
        for (line, content) in text.lines() {
            for (word, why) in words.iter().filter(|(word, _)| content.contains(word.as_str())) {
                found.push(format!("{}:{line}: `{word}` {why}", text.path));
            }
        }
    }
    found
}

pub fn names(texts: &[Text]) -> Vec<String> {
    let kinds = Regex::new(r"\b(struct|enum|trait|type|mod) (\w+)").expect("a pattern");
    let vague = Regex::new(r"(Manager|Helper|Util)|^(managers?|helpers?|utils?|misc|common)$").expect("a pattern");
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.is_rust()) {
        for (line, content) in text.code() {
            for name in kinds.captures_iter(content).filter_map(|hit| hit.get(2)) {
                if vague.is_match(name.as_str()) {
                    found.push(format!("{}:{line}: `{}` says nothing; name what it is", text.path, name.as_str()));
                }
            }
        }
    }
    found
}

pub fn lints(texts: &[Text]) -> Vec<String> {
    let allow = Regex::new(r"#!?\[allow\(").expect("a pattern");
    let expect = Regex::new(r"#!?\[expect\([^\]]*\]").expect("a pattern");
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.is_rust()) {
        for (line, _) in text.code().filter(|(_, content)| allow.is_match(content)) {
            found.push(format!("{}:{line}: `allow` outlives its cause; use `expect` with a reason", text.path));
        }
        for hit in expect.find_iter(&text.text).filter(|hit| !hit.as_str().contains("reason")) {
            let line = text.text[..hit.start()].matches('\n').count() + 1;
            found.push(format!("{}:{line}: `expect` without a reason", text.path));
        }
    }
    found
}

/// A case that no trial reads proves nothing: the code that reads its folder must name the folder and the extension.
pub fn cases(texts: &[Text]) -> Vec<String> {
    let code: Vec<_> = texts.iter().filter(|text| text.is_rust() && !text.path.contains("/tidy/")).collect();
    let (mut found, mut known) = (Vec::new(), HashMap::new());
    for text in texts {
        let Some((folder, file)) = text.path.strip_prefix("tests/cases/").and_then(|path| path.split_once('/')) else {
            continue;
        };
        let extension = file.rsplit_once('.').map_or(file, |(_, extension)| extension);
        let folders = [format!("\"{folder}\""), format!("cases/{folder}"), format!("\"{folder}/")];
        let names = [format!("\"{extension}\""), format!(".{extension}\"")];
        let any = |code: &str, words: &[String]| words.iter().any(|word| code.contains(word));
        // Many cases share folder and extension, and the code is long.
        let read = *known
            .entry((folder, extension))
            .or_insert_with(|| code.iter().any(|text| any(&text.text, &folders) && any(&text.text, &names)))
            || code.iter().any(|text| text.text.contains(file) && any(&text.text, &folders));
        if !read && !named_by_a_case(texts, text, folder, file) {
            found.push(format!("{}: no code reads `{folder}` and `{extension}`, so nothing tries it", text.path));
        }
    }
    found
}

/// Whether another case of the folder names this file, or a folder that it lies in.
fn named_by_a_case(texts: &[Text], of: &Text, folder: &str, file: &str) -> bool {
    let names: Vec<&str> = file.match_indices('/').map(|(end, _)| &file[..end]).chain([file]).collect();
    let others = texts.iter().filter(|text| text.path.starts_with(&format!("tests/cases/{folder}/")));
    others.filter(|text| text.path != of.path).any(|text| names.iter().any(|name| text.text.contains(name)))
}
