//! Measures what the issue tracker gives numbers for, side by side in one run, and prints them. It asserts nothing.
//! `cargo bench` runs it; the part on hosts wants a lab (`PORTOSER_LAB`, made by `tests/bench/run`).

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    dead_code,
    unreachable_pub,
    reason = "a benchmark starts programs and prints figures; it shares fixtures with the tests"
)]

#[path = "../it/fixture/delay_proxy.rs"]
mod delay_proxy;
#[path = "../it/fixture/docker_save.rs"]
mod docker_save;
mod hosts;
mod lab;
#[path = "../it/fixture/large_registry.rs"]
mod large_registry;
#[path = "../it/fixture/mixed.rs"]
mod mixed;
mod peers;
mod push;
mod python;
mod registry;
#[path = "../it/fixture/sshd.rs"]
mod sshd;
mod stacks;
mod sweep;

use std::time::Duration;

/// What is measured in this process allocates as the program does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is measured in the lab of this inventory.
type Part = fn(&serde_json::Value);

fn main() {
    // Cargo hands over `--bench` and whatever stands behind `--`; a word picks a part.
    let part = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("registry") {
        registry::run();
    }
    // It takes many minutes, as the thousand hosts are this machine; so it is run by its name only.
    if part.as_deref() == Some("sweep") {
        sweep::run();
    }
    let parts: [(&str, Part); 5] = [
        ("hosts", hosts::run),
        ("push", push::run),
        ("python", python::run),
        ("stacks", stacks::run),
        ("peers", peers::run),
    ];
    for (name, part) in parts.into_iter().filter(|(name, _)| wanted(name)) {
        match std::env::var("PORTOSER_LAB") {
            Ok(inventory) => {
                let text = std::fs::read(inventory).expect("an inventory");
                part(&serde_json::from_slice(&text).expect("JSON"));
            }
            Err(_) => println!("{name}: skipped: PORTOSER_LAB names no lab; tests/bench/run makes one"),
        }
    }
}

/// The smallest, middle and largest of some times, as one column each, in milliseconds.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let millis = |time: &Duration| format!("{:>8.1}", time.as_secs_f64() * 1000.0);
    match (times.first(), times.get(times.len() / 2), times.last()) {
        (Some(least), Some(middle), Some(most)) => format!("{} {} {}", millis(least), millis(middle), millis(most)),
        _ => "no figure".into(),
    }
}

fn row(what: &str, times: Vec<Duration>) {
    println!("{what:<58} {}", spread(times));
}

fn head(what: &str) {
    println!("\n{what:<58} {:>8} {:>8} {:>8}", "min ms", "median", "max");
}
