//! One look at a host and its services: a script that asks everything in one exec, and the reader of its answer.
//! Both are pure. An answer that cannot be read is an error, never a bad state.

mod read;

use crate::host::facts::TOOLS;
use crate::host::run;
use crate::model::{Scope, ServiceName, quote};

pub use read::{LookError, job, process, process_name, read, units};

/// What the look is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The base folder, where the registry names one.
    pub base: Option<String>,
    pub services: Vec<ServiceName>,
    /// Whether the records of the older releases are wanted, too, because one of them may come into force again.
    pub past: bool,
    /// The units to ask the init system for.
    pub units: Vec<(Scope, String)>,
}

const LIBRARY: &str = include_str!("look.sh");

/// The script for `sh -s`.
#[must_use]
pub fn script(question: &Question) -> String {
    let mut script = format!("{LIBRARY}{}", run::peek());
    let mut call = |words: &[&str]| {
        let line: Vec<_> = words.iter().map(|word| quote(word)).collect();
        script.push_str(&line.join(" "));
        script.push('\n');
    };
    let mut host = vec!["host", question.base.as_deref().unwrap_or_default()];
    host.extend(TOOLS);
    call(&host);
    for service in &question.services {
        call(&["service", service.as_str()]);
        if question.past {
            call(&["past", service.as_str()]);
        }
    }
    for (scope, flag) in [(Scope::System, "system"), (Scope::User, "user")] {
        let units: Vec<_> = question.units.iter().filter(|unit| unit.0 == scope).map(|unit| unit.1.as_str()).collect();
        if !units.is_empty() {
            call(&[&["units", flag], units.as_slice()].concat());
        }
    }
    script.push_str("peek \"$base\"\nsay end ''\n");
    script
}
