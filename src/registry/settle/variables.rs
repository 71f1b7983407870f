//! The variables of commands, environments and templates: `${NAME}` in words, `{{ NAME }}` in templates.

use std::collections::BTreeSet;

use crate::registry::checked::VARIABLES;
use crate::registry::fault::{Fault, Place, nearest, shown};
use crate::registry::read::{Field, List, Map, Reader};
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
/// variables of `VARIABLES`.
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

/// What a template may name beside the variables and the environment: `env` and `labels`, as mappings.
const IN_TEMPLATES: [&str; 2] = ["env", "labels"];

/// What is defined for a service.
pub(super) struct Known<'a> {
    /// Whether there is a port.
    pub(super) port: bool,
    /// The names of its environment variables, which templates may name.
    pub(super) env: BTreeSet<&'a str>,
    /// Its labels, which templates may name.
    pub(super) labels: BTreeSet<&'a str>,
}

impl Known<'_> {
    /// Whether `${NAME}` is defined.
    fn has(&self, name: &str) -> bool {
        VARIABLES.contains(&name) && (name != "PORT" || self.port)
    }

    /// Whether a template may name this: a variable, or one of a mapping, as `env.NAME`.
    pub(super) fn in_template(&self, name: &str) -> bool {
        match name.split_once('.') {
            None => self.has(name) || self.env.contains(name) || IN_TEMPLATES.contains(&name),
            Some(("env", name)) => self.env.contains(name) || (name == "PORT" && self.port),
            Some(("labels", name)) => self.labels.contains(name),
            Some(_) => false,
        }
    }

    /// Tells a variable of a template that nothing defines.
    pub(super) fn undefined_in_template(&self, name: &str, place: Place, at: &Trail<'_>, to: &mut Reader) {
        let fault = to.fault(place, at, format!("the template names `{}`, which nothing defines", shown(name)));
        match name.split_once('.') {
            None => {
                let all = VARIABLES.iter().copied().chain(self.env.iter().copied());
                self.explain(name, all, "and the variables of `env`", fault);
            }
            Some((mapping @ ("env" | "labels"), of)) => {
                let all = if mapping == "env" { &self.env } else { &self.labels };
                let near = nearest(of, all.iter().copied());
                fault.hint(match near {
                    Some(near) => format!("did you mean `{mapping}.{near}`?"),
                    None => format!("the service has no such {}", if mapping == "env" { "variable" } else { "label" }),
                });
            }
            Some(_) => {
                let whole = VARIABLES.join(", ");
                fault.hint(format!(
                    "only `env` and `labels` have parts; as a whole there are {whole} and the variables of `env`"
                ));
            }
        }
    }

    fn explain<'b>(&self, name: &str, all: impl Iterator<Item = &'b str>, more: &str, fault: &mut Fault) {
        if name == "PORT" {
            fault.why("there is no `port`");
        } else if let Some(near) = nearest(name, all) {
            fault.hint(format!("did you mean `{near}`?"));
        } else {
            fault.hint(format!("there are {} {more}", VARIABLES.join(", ")).trim_end());
        }
    }

    /// Words whose variables are defined.
    pub(super) fn texts(&self, words: &List<Word>, at: &Trail<'_>, to: &mut Reader) -> Vec<String> {
        for (index, word) in words.iter() {
            self.text(&word.value.0, word.place, &at.index(index), to);
        }
        words.values().map(|word| word.0.clone()).collect()
    }

    /// The words of a command, whose variables are defined.
    pub(super) fn words(&self, words: &List<Word>, at: &Trail<'_>, to: &mut Reader) -> Vec<String> {
        let texts = self.texts(words, at, to);
        if let Some((_, first)) = words.iter().next()
            && !Program::good(&first.value.0)
        {
            refuse::<Program>(&first.value.0, first.place, &at.index(0), to);
        }
        texts
    }

    /// Holds the variables of environment variables against what is defined.
    pub(super) fn env(&self, env: &Field<Map<Variable, Word>>, at: &Trail<'_>, to: &mut Reader) {
        self.variables(env, &at.key("env"), to);
    }

    /// The same, where they stand under another key.
    pub(super) fn variables(&self, env: &Field<Map<Variable, Word>>, at: &Trail<'_>, to: &mut Reader) {
        for named in env.value().map(|map| map.0.iter()).into_iter().flatten() {
            if let Some(word) = named.field.given() {
                self.text(&word.value.0, word.place, &at.key(&named.name), to);
            }
        }
    }

    /// Holds the variables of one text against what is defined.
    pub(super) fn text(&self, text: &str, place: Place, at: &Trail<'_>, to: &mut Reader) {
        if !text.contains("${") {
            return;
        }
        let mut unknown = BTreeSet::new();
        let read = expand(text, |name| {
            if !self.has(name) {
                unknown.insert(name.to_owned());
            }
            Some(String::new())
        });
        for name in unknown {
            let fault = to.fault(place, at, format!("nothing defines the variable `{}`", shown(&name)));
            self.explain(&name, VARIABLES.iter().copied(), "", fault);
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
