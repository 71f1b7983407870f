//! The flags that every verb understands.

use std::path::PathBuf;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Always,
    Never,
}

/// The flags that every verb understands.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Flags {
    /// The registry to use [default: ./registry.yml and upward, then the user's]
    #[arg(long, short, global = true, env = "PORTOSER_REGISTRY", value_name = "FILE", hide_env_values = true)]
    pub registry: Option<PathBuf>,
    /// The environment of the registry whose overlay applies
    #[arg(long = "env", global = true, value_name = "NAME")]
    pub environment: Option<String>,
    /// Say only what went wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice for every detail
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print one JSON document on standard output
    #[arg(long, global = true, conflicts_with = "events")]
    pub json: bool,
    /// Print what happens as JSON lines on standard output
    #[arg(long, global = true)]
    pub events: bool,
    /// Answer yes to every question that may be answered in advance
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Ask once for the password that sudo needs on the hosts
    #[arg(long, short = 'K', global = true)]
    pub ask_become_pass: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// The folder of the journal and other local state [default: the platform's]
    #[arg(long, global = true, env = "PORTOSER_STATE", value_name = "DIR", hide_env_values = true)]
    pub state: Option<PathBuf>,
    /// The ssh_config to read instead of the user's and the machine's, as `ssh -F`
    #[arg(long, short = 'F', global = true, env = "PORTOSER_SSH_CONFIG", value_name = "FILE", hide_env_values = true)]
    pub ssh_config: Option<PathBuf>,
}
