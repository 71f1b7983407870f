//! From a playbook as written to one that can be used: every look is known, every pattern compiles, the risk is honest.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;

use super::condition::{Condition, Test};
use super::example::Example;
use super::{Deed, Playbook, draft, learned};
use crate::heal::observe::{look_names, service_looks};
use crate::heal::{Observation, Sight};
use crate::model::{HostName, ServiceName};
use crate::registry::fault::Fault;
use crate::registry::read::{At, Field, Read, Reader};
use crate::registry::tree::{Trail, parse};
use crate::registry::{Faults, format};

/// The host and the service of every example.
const HOST: &str = "one";
const SERVICE: &str = "app";

/// Reads a playbook from its text. `file` is its file's name, which must be the playbook's.
///
/// # Errors
/// All faults at once, each with its place.
pub fn read(text: &str, file: &Path) -> Result<Playbook, Faults> {
    let mut to = Reader::default();
    let node = parse(text, format(file), &mut to.faults);
    let draft = node.and_then(|node| draft::Playbook::read(&node, &Trail::TOP, &mut to));
    let book = draft.and_then(|draft| settle(&draft, file, &mut to));
    match book {
        Some(book) if to.faults.is_empty() => Ok(book),
        _ => {
            if to.faults.is_empty() {
                to.faults.push(Fault::new(None, "", "the playbook is empty"));
            }
            Err(Faults::new(file.to_owned(), to.faults))
        }
    }
}

/// The JSON Schema of playbooks.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(draft::Playbook)
}

fn settle(draft: &draft::Playbook, file: &Path, to: &mut Reader) -> Option<Playbook> {
    let name = draft.name.given()?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    if stem != name.value.0 {
        to.fault(name.place, &Trail::TOP.key("name"), format!("the file is called `{stem}`"))
            .hint("give both one name");
    }
    let mut conditions = |field: &Field<_>, key| settle_conditions(field, key, to);
    let (when, unless) = (conditions(&draft.when, "when"), conditions(&draft.unless, "unless"));
    if let Some(given) = draft.when.given()
        && !when.iter().any(|one| one.is == Some(Sight::Bad))
    {
        to.fault(given.place, &Trail::TOP.key("when"), "nothing in it is bad")
            .why("what is good or unseen is never a reason to act");
    }
    let learned = learned::settle(draft, to);
    if draft.learned.absent() {
        for key in [("when", draft.when.absent()), ("examples", draft.examples.absent())] {
            if key.1 {
                let what = format!("the key `{}` is missing", key.0);
                to.faults.push(Fault::new(Some(name.place), Trail::TOP.to_string(), what));
            }
        }
    }
    let deeds: Vec<_> = draft.deeds.value().map(|deeds| deeds.values().cloned().collect()).unwrap_or_default();
    let risk = draft.risk.given()?;
    for deed in deeds.iter().filter(|deed| deed.risk() > risk.value.0) {
        to.fault(risk.place, &Trail::TOP.key("risk"), format!("`{deed:?}` risks more than this"))
            .hint("give the highest risk of its steps");
    }
    if let Some(given) = draft.deeds.given().filter(|_| draft.learned.absent() && deeds.iter().any(Deed::is_words)) {
        to.fault(given.place, &Trail::TOP.key("do"), "only what was learned runs words of a person")
            .hint("`portoser fix` tries words, and learns them when they helped");
    }
    let examples: Vec<_> = draft.examples.value().map(|all| settle_examples(all, to)).unwrap_or_default();
    Some(Playbook {
        name: name.value.0.clone(),
        when,
        unless,
        because: draft.because.value()?.0.clone(),
        hint: draft.hint.value().map(|hint| hint.0.clone()),
        symptom: draft.symptom.value().is_some_and(|symptom| symptom.0),
        latent: draft.latent.value().is_some_and(|latent| latent.0),
        doubtful: draft.doubtful.value().is_some_and(|doubtful| doubtful.0),
        ladder: draft.ladder.value().is_none_or(|ladder| ladder.0),
        explains: draft
            .explains
            .value()
            .map(|all| all.values().map(|name| name.0.clone()).collect())
            .unwrap_or_default(),
        risk: risk.value.0,
        deeds,
        until: draft.until.value().and_then(|until| settle_until(until, to)),
        tries: draft.tries.value().map_or(1, |tries| tries.get()),
        examples,
        learned,
    })
}

fn settle_conditions(
    field: &Field<crate::registry::read::List<draft::Condition>>,
    key: &str,
    to: &mut Reader,
) -> Vec<Condition> {
    let Some(all) = field.value() else { return Vec::new() };
    let at = Trail::TOP.key(key);
    all.iter().filter_map(|(number, one)| condition(&one.value, &at.index(number), to)).collect()
}

fn condition(draft: &draft::Condition, at: &Trail<'_>, to: &mut Reader) -> Option<Condition> {
    let looks: Vec<String> = draft.look.value()?.0.iter().filter_map(|(_, given)| look(given, at, to)).collect();
    let mut values = Vec::new();
    for named in draft.place.value().into_iter().flat_map(|map| &map.0) {
        let Some(given) = named.field.given() else { continue };
        let mut tests = Vec::new();
        for text in given.value.0.values() {
            match Test::parse(&text.0) {
                Ok(test) => tests.push(test),
                Err(why) => {
                    to.fault(given.place, at, why);
                }
            }
        }
        values.push((named.name.clone(), tests));
    }
    let pattern =
        |field: &Field<crate::registry::text::Pattern>| field.value().and_then(|text| Regex::new(&text.0).ok());
    let usual = if looks.iter().any(|look| look == "log") { None } else { Some(Sight::Bad) };
    Some(Condition {
        is: draft.is.value().map_or(usual, |is| Some(is.0)),
        values,
        says: pattern(&draft.says),
        lines: pattern(&draft.lines),
        looks,
    })
}

/// The name of a look that there is.
fn look(given: &At<crate::registry::text::Line>, at: &Trail<'_>, to: &mut Reader) -> Option<String> {
    let name = &given.value.0;
    if look_names().contains(&name.as_str()) {
        return Some(name.clone());
    }
    to.fault(given.place, &at.key("look"), format!("there is no look `{name}`")).nearest(name, look_names());
    None
}

fn settle_until(until: &draft::Until, to: &mut Reader) -> Option<(Vec<String>, std::time::Duration)> {
    let at = Trail::TOP.key("until");
    let looks = until.good.value()?.0.iter().filter_map(|(_, given)| look(given, &at, to)).collect();
    Some((looks, until.within.value()?.0))
}

fn settle_examples(all: &crate::registry::read::List<draft::Example>, to: &mut Reader) -> Vec<Example> {
    let at = Trail::TOP.key("examples");
    let mut examples = Vec::new();
    for (number, example) in all.iter() {
        let at = at.index(number);
        let Some(name) = example.value.name.value() else { continue };
        let given = example.value.given.value().into_iter().flat_map(|given| given.iter());
        examples.push(Example {
            name: name.0.clone(),
            given: given.filter_map(|(number, one)| given_one(&one.value, &at.index(number), to)).collect(),
            expect: example.value.expect.value().map(|text| text.0.clone()),
        });
    }
    examples
}

/// An observation of an example.
fn given_one(draft: &draft::Given, at: &Trail<'_>, to: &mut Reader) -> Option<Observation> {
    let look = look(draft.look.given()?, at, to)?;
    let line =
        |field: &Field<crate::registry::text::Line>| field.value().map(|line| line.0.clone()).unwrap_or_default();
    let values = draft.values.value().into_iter().flat_map(|map| &map.0);
    let value = |named: &crate::registry::read::Named<crate::registry::text::Word>| {
        Some((named.name.clone(), named.field.value()?.0.clone()))
    };
    let service = service_looks().contains(&look.as_str()).then(|| ServiceName::try_from(SERVICE).ok()).flatten();
    Some(Observation {
        host: HostName::try_from(HOST).ok()?,
        service,
        of: line(&draft.of),
        sight: draft.is.value().map_or(Sight::Bad, |is| is.0),
        says: line(&draft.says),
        values: values.filter_map(value).collect::<BTreeMap<_, _>>(),
        lines: draft.lines.value().map(|lines| lines.values().map(|line| line.0.clone()).collect()).unwrap_or_default(),
        look,
    })
}

#[cfg(test)]
mod tests;
