//! The command line: parse, one call below, render. It decides nothing about hosts and services.
//! A verb is one file, its `mod` line, and one line in the list of verbs.

mod face;
mod failure;
mod flags;
mod prompt;
mod registry;
mod render;
mod runtime;
mod said;
mod session;
mod state;
mod table;
mod usage;

mod adopt;
mod attach;
mod bundle;
mod completions;
mod demo;
mod demo_service;
mod deploy;
mod diagnose;
mod discover;
mod exec;
mod fix;
mod graph;
mod heal;
mod history;
mod host;
mod impact;
mod import;
mod init;
mod lessons;
mod list;
mod logs;
mod order;
mod plan;
mod playbook;
mod resume;
mod rollback;
mod run;
mod runs;
mod schema;
mod service;
mod show;
mod ssh;
mod status;
mod stream;
mod sweep;
mod turn;
mod validate;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

pub use face::{Face, Format};
pub use failure::{Exit, Failure};
pub use flags::Flags;
pub use render::{document, render, replay, safe, safe_json, write_json};
pub use runtime::{Stop, block_on};

/// Makes the enum of verbs, or of the verbs under a verb, from a list of `file::Type`. Each type is a `clap::Args` whose
/// doc comment is its help, with `fn run(self, face: &Face) -> Result<Exit, Failure>`.
macro_rules! verbs {
    ($(#[$doc:meta])* $name:ident { $($file:ident :: $verb:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, clap::Subcommand)]
        enum $name {
            $($verb($file::$verb),)*
        }

        impl $name {
            fn run(self, face: &$crate::cli::Face) -> Result<$crate::cli::Exit, $crate::cli::Failure> {
                match self {
                    $(Self::$verb(verb) => verb.run(face),)*
                }
            }
        }
    };
}
use verbs;

verbs! {
    /// The verbs, in alphabetical order.
    Verb {
        attach::Attach,
        completions::Completions,
        demo::Demo,
        demo_service::DemoService,
        deploy::Deploy,
        diagnose::Diagnose,
        discover::Discover,
        adopt::Adopt,
        exec::Exec,
        fix::Fix,
        graph::Graph,
        heal::Heal,
        history::History,
        host::Host,
        impact::Impact,
        import::Import,
        init::Init,
        lessons::Lessons,
        list::List,
        logs::Logs,
        order::Order,
        plan::Plan,
        playbook::Playbook,
        turn::Reload,
        turn::Remove,
        turn::Restart,
        resume::Resume,
        rollback::Rollback,
        run::Run,
        runs::Runs,
        schema::Schema,
        service::Service,
        show::Show,
        ssh::Ssh,
        turn::Start,
        status::Status,
        turn::Stop,
        sweep::Sweep,
        validate::Validate,
        watch::Watch,
    }
}

/// Deploys services over plain SSH, proves that they are healthy, and keeps them healthy.
#[derive(Debug, clap::Parser)]
#[command(name = "portoser", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done or nothing to do, 1 internal, 2 usage, 3 registry or playbook invalid, \
    4 host unreachable, 5 failed and the old version is back and proven or was never touched, 6 failed and the old version is not proven \
    back, 7 locked, 8 unhealthy, 9 refused by policy or by the user, 10 secret unavailable, 130 interrupted";

/// Runs the program with this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    // Answered before anything is built, as scripts ask it often.
    if let [_, only] = words.as_slice()
        && (only == "--version" || only == "-V")
    {
        let face = Face::plain();
        face.data(concat!("portoser ", env!("CARGO_PKG_VERSION")));
        return ExitCode::from(face.close(Ok(Exit::DONE)));
    }
    ExitCode::from(run(&words))
}

/// Runs these words, the program's own name before them, and gives the exit code.
fn run(words: &[OsString]) -> u8 {
    let parsed = command()
        .color(usage::color_choice(words))
        .try_get_matches_from(words)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(Cli { flags, verb }) => {
            let face = Face::new(flags);
            let ended = verb.run(&face);
            face.close(ended)
        }
        Err(error) => usage::answer(&error, words),
    }
}

/// The whole command, as clap knows it; for completions and for the tests that hold the documentation to it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_is_sound() {
        super::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_exit_code() {
        for kind in crate::model::FailureKind::ALL {
            let word = format!("{} ", kind.code());
            assert!(super::EXIT_CODES.contains(&word), "{word}");
        }
    }
}
