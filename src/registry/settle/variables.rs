//! The variables of commands, environments and templates: `${NAME}` in words, `{{ NAME }}` in templates.

use std::collections::BTreeSet;

use crate::registry::checked::VARIABLES;
use crate::registry::fault::{Place, nearest, shown};
use crate::registry::read::{List, Reader};
use crate::registry::text::{Gate, Program, Variable, Word, refuse};
use crate::registry::tree::Trail;

/// Why a text cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVariable {
    /// `${` does not begin a variable. A literal one is written `$${`.
    #[error("`${{` does not begin a variable like `${{PORT}}`")]
    Shape,
    /// Nothing defines this variable.
    #[error("nothing defines the variable `{0}`")]
    Unknown(String),
}

/// Replaces each `${NAME}` in a text by what `value` says. `$${` stands for a literal `${`, and any other `$` for itself.
/// What is put in is not expanded again.
///
/// # Errors
/// When a `${` does not begin a variable, or `value` does not know one. In a checked registry neither happens for the
/// variables of `VARIABLES` and of `env`.
pub fn expand(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> Result<String, BadVariable> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, found) = rest.split_at(at);
        let after = &found[2..];
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (name, tail) = after.split_once('}').ok_or(BadVariable::Shape)?;
        if !Variable::good(name) {
            return Err(BadVariable::Shape);
        }
        expanded.push_str(&value(name).ok_or_else(|| BadVariable::Unknown(name.to_owned()))?);
        rest = tail;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// What is defined for a service.
pub(super) struct Known<'a> {
    /// Whether the service has a port.
    pub(super) port: bool,
    /// The names of its environment variables.
    pub(super) env: BTreeSet<&'a str>,
}

impl Known<'_> {
    /// Whether a variable is defined; those of the environment count only where `env` is allowed.
    fn has(&self, name: &str, env: bool) -> bool {
        let ours = VARIABLES.contains(&name) && (name != "PORT" || self.port);
        ours || (env && self.env.contains(name))
    }

    /// Tells a variable that nothing defines.
    pub(super) fn undefined(&self, name: &str, place: Place, at: &Trail<'_>, what: &str, to: &mut Reader) {
        let near = nearest(name, VARIABLES.iter().copied().chain(self.env.iter().copied()));
        let fault = to.fault(place, at, format!("{what} names `{}`, which nothing defines", shown(name)));
        if name == "PORT" {
            fault.why("the service has no `port`");
        } else if let Some(near) = near.filter(|near| self.has(near, true) && *near != name) {
            fault.hint(format!("did you mean `{near}`?"));
        } else {
            fault.hint(format!("there are {}, and the variables of `env`", VARIABLES.join(", ")));
        }
    }

    /// Whether a template may name this.
    pub(super) fn in_template(&self, name: &str) -> bool {
        self.has(name, true)
    }

    /// The words of a command, whose variables are defined.
    pub(super) fn words(&self, words: &List<Word>, at: &Trail<'_>, to: &mut Reader) -> Vec<String> {
        for (index, word) in words.iter() {
            self.text(&word.value.0, word.place, &at.index(index), true, to);
        }
        if let Some((_, first)) = words.iter().next()
            && !Program::good(&first.value.0)
        {
            refuse::<Program>(&first.value.0, first.place, &at.index(0), to);
        }
        words.values().map(|word| word.0.clone()).collect()
    }

    /// Holds the variables of one text against what is defined.
    pub(super) fn text(&self, text: &str, place: Place, at: &Trail<'_>, env: bool, to: &mut Reader) {
        let mut unknown = BTreeSet::new();
        let read = expand(text, |name| {
            if !self.has(name, env) {
                unknown.insert(name.to_owned());
            }
            Some(String::new())
        });
        for name in unknown {
            self.undefined(&name, place, at, "this", to);
        }
        if read.is_err() {
            to.fault(place, at, "`${` does not begin a variable like `${PORT}`").hint("write `$${` for a literal `${`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn variables_are_replaced_once() {
        let value = |name: &str| (name == "PORT").then(|| "${HOST}".to_owned());
        assert_eq!(expand("a ${PORT} $b $${PORT} $", value).as_deref(), Ok("a ${HOST} $b ${PORT} $"));
        assert_eq!(expand("${NO}", value), Err(BadVariable::Unknown("NO".into())));
        for bad in ["${", "${}", "${a b}", "${PORT"] {
            assert_eq!(expand(bad, value), Err(BadVariable::Shape), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_written_so_that_it_stays(text in ".{0,40}") {
            prop_assume!(!text.contains("$${"));
            let written = text.replace("${", "$${");
            prop_assert_eq!(expand(&written, |_| None), Ok(text));
        }
    }
}
