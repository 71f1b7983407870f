//! What clap has to say, in the manner of the house.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};

use crate::cli::flags::{Color, Flags};
use crate::cli::{Exit, Face, Failure};
use crate::model::FailureKind;

/// Whether clap may colour its help; read from the words, as they are not parsed yet.
pub(super) fn color_choice(words: &[OsString]) -> clap::ColorChoice {
    match wished(words) {
        Color::Auto => clap::ColorChoice::Auto,
        Color::Always => clap::ColorChoice::Always,
        Color::Never => clap::ColorChoice::Never,
    }
}

fn wished(words: &[OsString]) -> Color {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--").collect();
    let named = |name: &str, color: Color| {
        let joined = format!("--color={name}");
        (words.contains(&joined.as_str()) || words.windows(2).any(|pair| pair == ["--color", name])).then_some(color)
    };
    named("always", Color::Always).or_else(|| named("never", Color::Never)).unwrap_or_default()
}

/// Answers a wish for help with help, and anything else with what is wrong about the words.
pub(super) fn answer(error: &clap::Error, words: &[OsString]) -> u8 {
    let before_rest = || words.iter().take_while(|word| *word != "--");
    let flags = Flags {
        json: before_rest().any(|word| word == "--json"),
        events: before_rest().any(|word| word == "--events"),
        color: wished(words),
        ..Flags::default()
    };
    let face = Face::new(flags);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let text = if face.color_data() { text.ansi().to_string() } else { text.to_string() };
            face.data(text.trim_end());
            face.close(Ok(Exit::DONE))
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => bare(face, &error.render().to_string()),
        // With a variable such as PORTOSER_STATE set, clap does not count the command line as empty.
        ErrorKind::MissingSubcommand if error.render().to_string().contains("'portoser' requires") => {
            bare(face, &crate::cli::command().render_help().to_string())
        }
        // The nearest name of a verb is `heal`, which is not meant.
        ErrorKind::InvalidSubcommand
            if error.get(ContextKind::InvalidSubcommand).is_some_and(|word| word.to_string() == "help") =>
        {
            let failure = Failure::say(FailureKind::Usage, "there is no verb `help`");
            face.close(Err(failure.hint(format!("see `{} --help`", verb(words)))))
        }
        _ => face.close(Err(failure(&error.render().to_string(), &verb(words)))),
    }
}

/// Answers a command line without a verb with the help, as talk.
fn bare(face: Face, help: &str) -> u8 {
    let lines = help.lines().map(str::to_owned).chain([String::new()]).collect();
    let failure = Failure::say(FailureKind::Usage, "a command is missing").lines(lines);
    face.close(Err(failure.hint("see `portoser --help`")))
}

/// The program and the verb that the words begin with: whose help tells more.
fn verb(words: &[OsString]) -> String {
    let (mut verb, mut at) = ("portoser".to_owned(), crate::cli::command());
    for word in words.iter().skip(1).take_while(|word| *word != "--").filter_map(|word| word.to_str()) {
        if let Some(under) = at.find_subcommand(word).cloned() {
            verb = format!("{verb} {word}");
            at = under;
        }
    }
    verb
}

/// Turns clap's paragraphs (`error: ...`, `tip: ...`, `Usage: ...`) into a failure with hints.
fn failure(text: &str, verb: &str) -> Failure {
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let words: Vec<&str> = first.trim_start_matches("error: ").lines().map(str::trim).collect();
    let mut failure = Failure::say(FailureKind::Usage, words.join(" ").replace('\'', "`"));
    for line in paragraphs.flat_map(str::lines).map(str::trim) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            failure = failure.hint(tip.replace('\'', "`"));
        }
    }
    failure.hint(format!("see `{verb} --help`"))
}
