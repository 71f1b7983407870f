//! ssh_config(5), the part of it that leads to a host. What this reader does not understand and cannot ignore (`Match`,
//! canonical names) is left to `ssh -G`; without an ssh program it is refused, never guessed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pattern;
use crate::transport::Lost;

/// How deep files may include files, as in OpenSSH.
const DEPTH: usize = 16;

/// The keywords that decide how a host is reached. All others may stand anywhere and are ignored.
const RELEVANT: &[&str] = &[
    "canonicalizehostname",
    "certificatefile",
    "connecttimeout",
    "globalknownhostsfile",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "port",
    "proxycommand",
    "proxyjump",
    "revokedhostkeys",
    "serveraliveinterval",
    "user",
    "userknownhostsfile",
];

/// One setting, with the `Host` lines that it stands under, outermost first.
#[derive(Debug)]
struct Entry {
    under: Vec<Vec<String>>,
    keyword: String,
    words: Vec<String>,
}

/// The settings of the user's and the machine's files, in the order in which the first value wins.
#[derive(Debug, Default)]
pub struct Config {
    entries: Vec<Entry>,
    /// Where a `Match` block decides something that matters: `file:line`.
    pub undecided: Option<String>,
}

/// What the configuration says about one alias; `None` and empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub hostname: Option<String>,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity: Vec<String>,
    pub certificates: Vec<String>,
    pub identities_only: bool,
    pub agent: Option<String>,
    pub jump: Option<String>,
    pub user_known_hosts: Option<Vec<String>>,
    pub global_known_hosts: Option<Vec<String>>,
    pub host_key_alias: Option<String>,
    pub connect_timeout: Option<Duration>,
    pub alive_interval: Option<Duration>,
    /// Canonical names are switched on: only `ssh -G` knows what becomes of the alias.
    pub canonical: bool,
    /// A setting that decides how the host is reached, and that is not supported.
    pub unsupported: Option<String>,
}

impl Config {
    /// Reads the user's file, then the machine's. A file that does not exist is an empty one.
    ///
    /// # Errors
    /// A file that cannot be read, or a line in it that is not a setting.
    pub fn read(user: &Path, system: &Path, home: &Path) -> Result<Self, Lost> {
        let mut config = Self::default();
        config.read_file(user, &home.join(".ssh"), home, &[], 0)?;
        let folder = system.parent().unwrap_or(Path::new("/etc/ssh")).to_path_buf();
        config.read_file(system, &folder, home, &[], 0)?;
        Ok(config)
    }

    fn read_file(
        &mut self,
        file: &Path,
        folder: &Path,
        home: &Path,
        under: &[Vec<String>],
        depth: usize,
    ) -> Result<(), Lost> {
        if depth > DEPTH {
            return Err(fault(file, 0, "files include each other without end"));
        }
        let text = match std::fs::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fault(file, 0, &error.to_string())),
        };
        let mut reader = Reader { file, folder, home, outer: under, block: Block::Always, depth };
        for (index, line) in text.lines().enumerate() {
            reader.take(self, line, index + 1)?;
        }
        Ok(())
    }

    /// Reads what `ssh -G` prints, or any text without `Include`.
    ///
    /// # Errors
    /// A line that is not a setting.
    pub fn from_text(text: &str) -> Result<Self, Lost> {
        let mut config = Self::default();
        let nowhere = Path::new("ssh_config");
        let mut reader =
            Reader { file: nowhere, folder: nowhere, home: nowhere, outer: &[], block: Block::Always, depth: DEPTH };
        for (index, line) in text.lines().enumerate() {
            reader.take(&mut config, line, index + 1)?;
        }
        Ok(config)
    }

    /// What is said about `alias`. For each setting the first value wins; key files add up.
    #[must_use]
    pub fn about(&self, alias: &str) -> Said {
        let mut said = Said::default();
        let mut seen: Vec<&str> = Vec::new();
        let applies = |entry: &&Entry| {
            entry.under.iter().all(|patterns| pattern::list_matches(patterns.iter().map(String::as_str), alias))
        };
        for entry in self.entries.iter().filter(applies) {
            let adds_up = matches!(entry.keyword.as_str(), "identityfile" | "certificatefile");
            if adds_up || !seen.contains(&entry.keyword.as_str()) {
                seen.push(&entry.keyword);
                said.take(entry);
            }
        }
        said
    }
}

impl Said {
    fn take(&mut self, entry: &Entry) {
        let first = || entry.words.first().cloned();
        let yes = || matches!(entry.words.first().map(String::as_str), Some("yes" | "true" | "always"));
        let unless_none = || first().filter(|word| !word.eq_ignore_ascii_case("none"));
        match entry.keyword.as_str() {
            "hostname" => self.hostname = first(),
            "user" => self.user = first(),
            "port" => self.port = first().and_then(|word| word.parse().ok()),
            "identityfile" => self.identity.extend(first()),
            "certificatefile" => self.certificates.extend(first()),
            "identitiesonly" => self.identities_only = yes(),
            "identityagent" => self.agent = first(),
            "proxyjump" => self.jump = unless_none(),
            // ProxyJump and ProxyCommand are two ways to say one thing; the first of them wins.
            "proxycommand" if self.jump.is_some() => {}
            "proxycommand" => self.refuse("ProxyCommand", unless_none()),
            "revokedhostkeys" => self.refuse("RevokedHostKeys", unless_none()),
            "userknownhostsfile" => self.user_known_hosts = Some(entry.words.clone()),
            "globalknownhostsfile" => self.global_known_hosts = Some(entry.words.clone()),
            "hostkeyalias" => self.host_key_alias = first(),
            "connecttimeout" => self.connect_timeout = first().and_then(|word| time(&word)),
            "serveraliveinterval" => self.alive_interval = first().and_then(|word| time(&word)),
            "canonicalizehostname" => self.canonical = yes(),
            _ => {}
        }
    }
}

impl Said {
    fn refuse(&mut self, keyword: &str, value: Option<String>) {
        if value.is_some() {
            self.unsupported.get_or_insert(keyword.into());
        }
    }
}

/// A time as sshd_config(5), TIME FORMATS, has it: `10`, `1m30s`.
fn time(word: &str) -> Option<Duration> {
    let (mut total, mut number) = (0_u64, None::<u64>);
    for c in word.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    let total = total.checked_add(number.unwrap_or(0))?;
    (total > 0).then(|| Duration::from_secs(total.min(86_400)))
}

/// What the lines that follow stand under.
enum Block {
    Always,
    Hosts(Vec<String>),
    /// A `Match` whose condition is not ours to judge. Its lines are only looked at for whether they matter.
    Match,
}

struct Reader<'a> {
    file: &'a Path,
    folder: &'a Path,
    home: &'a Path,
    outer: &'a [Vec<String>],
    block: Block,
    depth: usize,
}

impl Reader<'_> {
    fn take(&mut self, config: &mut Config, line: &str, number: usize) -> Result<(), Lost> {
        let Some((keyword, words)) = split(line).map_err(|what| fault(self.file, number, what))? else {
            return Ok(());
        };
        match keyword.as_str() {
            "host" => self.block = Block::Hosts(words),
            "match" if matches!(words.as_slice(), [all] if all.eq_ignore_ascii_case("all")) => {
                self.block = Block::Always;
            }
            "match" => self.block = Block::Match,
            "include" => return self.include(config, &words, number),
            _ if !RELEVANT.contains(&keyword.as_str()) => {}
            _ => match &self.block {
                Block::Match => {
                    config.undecided.get_or_insert_with(|| format!("{}:{number}", self.file.display()));
                }
                _ => config.entries.push(Entry { under: self.under(), keyword, words }),
            },
        }
        Ok(())
    }

    fn under(&self) -> Vec<Vec<String>> {
        let mut under = self.outer.to_vec();
        if let Block::Hosts(patterns) = &self.block {
            under.push(patterns.clone());
        }
        under
    }

    fn include(&self, config: &mut Config, words: &[String], number: usize) -> Result<(), Lost> {
        for word in words {
            let path = match word.strip_prefix("~/") {
                Some(rest) => self.home.join(rest),
                None => self.folder.join(word),
            };
            for file in glob(&path) {
                let mut inner = Config::default();
                inner.read_file(&file, self.folder, self.home, &self.under(), self.depth + 1)?;
                let matters = inner.undecided.is_some() || !inner.entries.is_empty();
                if matches!(self.block, Block::Match) && matters {
                    config.undecided.get_or_insert_with(|| format!("{}:{number}", self.file.display()));
                    continue;
                }
                config.entries.append(&mut inner.entries);
                config.undecided = config.undecided.take().or(inner.undecided);
            }
        }
        Ok(())
    }
}

fn fault(file: &Path, line: usize, what: &str) -> Lost {
    let at = if line == 0 { file.display().to_string() } else { format!("{}:{line}", file.display()) };
    Lost::Config(format!("cannot read the SSH configuration: {at}: {what}"), format!("mend {at}"))
}

/// The keyword, in lower case, and its words; nothing for blank lines and comments.
fn split(line: &str) -> Result<Option<(String, Vec<String>)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let words = words(rest)?;
    if words.is_empty() {
        return Err("a keyword without a value");
    }
    Ok(Some((keyword.to_ascii_lowercase(), words)))
}

/// Words between blanks; quotes hold blanks; a `#` that begins a word begins a comment.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next_if(|c| quote.is_some() || !c.is_ascii_whitespace()) {
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                ('\\', _) => match chars.next_if(|next| matches!(next, '"' | '\'' | '\\')) {
                    Some(escaped) => word.push(escaped),
                    None => word.push('\\'),
                },
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return Err("a quote that is not closed");
        }
        words.push(word);
    }
}

/// The files that a path with `*` and `?` names, sorted; hidden ones only when the pattern says the dot.
fn glob(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let part = part.as_os_str();
        let Some(text) = part.to_str().filter(|text| text.contains(['*', '?'])) else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        found = found.iter().flat_map(|folder| children(folder, text)).collect();
    }
    found
}

fn children(folder: &Path, wanted: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| pattern::matches_exactly(wanted, name) && (!name.starts_with('.') || wanted.starts_with('.')));
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

#[cfg(test)]
mod tests;
