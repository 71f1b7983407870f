//! The one test binary. Each module gives its trials; a trial that cannot run here is reported as ignored, with the reason.
#![expect(
    unreachable_pub,
    clippy::print_stderr,
    reason = "modules of a test give their trials, and say what was skipped"
)]

mod cases;
mod cause;
mod checks;
mod cli;
mod deadlines;
mod demo;
mod diagnose;
mod documents;
mod fixture;
mod git;
mod heal;
mod hostile;
mod import;
mod interrupted;
mod journal;
mod lab;
mod notify;
mod places;
mod playbook;
mod registry;
mod render;
mod runner;
mod ssh;
mod terminal;
mod tidy;
mod verbs;

use std::num::NonZero;

use libtest_mimic::{Arguments, Trial};

fn main() {
    // Some trials start this program again as one of several real processes.
    if let Some(code) = journal::as_another_process() {
        std::process::exit(code);
    }
    let mut arguments = Arguments::from_args();
    // Most trials wait for hosts more than they compute.
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(processors * 3);
    let mut trials: Vec<Trial> = [
        // One line for each module, in alphabetical order.
        cause::trials(),
        checks::trials(),
        cli::trials(),
        deadlines::trials(),
        documents::trials(),
        demo::trials(),
        diagnose::trials(),
        git::trials(),
        heal::trials(),
        hostile::trials(),
        import::trials(),
        interrupted::trials(),
        journal::trials(),
        lab::trials(),
        notify::trials(),
        places::trials(),
        playbook::trials(),
        registry::trials(),
        render::trials(),
        runner::trials(),
        ssh::trials(),
        terminal::trials(),
        tidy::trials(),
        verbs::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    trials.sort_by_key(|trial| match trial.name().split("::").next() {
        // What mostly waits comes first, and leaves the processors to what is compiled meanwhile.
        Some("deadlines" | "demo" | "interrupted" | "ssh" | "terminal" | "verbs") => 0,
        // Those that kill again and again take longest: one that began last would be waited for alone.
        Some("lab") => {
            if trial.name().contains("::killed_") {
                1
            } else {
                2
            }
        }
        _ if trial.name().contains("::killed_") => 3,
        _ => 4,
    });
    libtest_mimic::run(&arguments, trials).exit();
}
