//! What `--json` prints is one document, and the page tells of each key that is in it.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::verbs::{Place, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("documents::one_says_all_and_all_is_told", all)]
}

/// A run that ends as a whole, and one that did its work: a program reads one document, and each of its keys is in the page.
fn all(place: &Place) -> Result<(), Failed> {
    place.want(0, &["deploy", "--all", "--quiet"])?;
    let refused = place.document(9, &["remove", "--all"])?;
    assert_eq!((&refused["verb"], &refused["code"]), (&Value::from("remove"), &Value::from(9)), "{refused}");
    assert_eq!(refused["error"]["kind"], "refused", "{refused}");
    let plan: Value = serde_json::from_str(&place.want(0, &["plan", "--events"])?.out)?;
    assert_eq!(plan["changes"][0]["action"], "nothing", "{plan}");
    std::fs::remove_file(place.folder.join("good"))?;
    let unwell = place.document(8, &["restart", "above"])?;
    let page = std::fs::read_to_string(crate::cases::root().join("docs/commands.md"))?;
    let part = |from: &str, to: &str| {
        let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("no `{from}`"));
        rest.split_once(to).unwrap_or_else(|| panic!("no `{to}`")).0.to_owned()
    };
    let (run, line) = (part("\nA run (", "\nThe verbs that read"), part("\n| `plan` |", "\n"));
    for (document, told) in [(&refused, &run), (&unwell, &run), (&plan, &line)] {
        let mut lacks = Vec::new();
        untold(document, told, &mut lacks);
        assert!(lacks.is_empty(), "docs/commands.md tells nothing of {lacks:?}");
    }
    // The words come from what reads them.
    let all = serde_json::from_value::<portoser::model::Outcome>("?".into()).expect_err("none").to_string();
    let all: Vec<&str> = all.split('`').skip(3).step_by(2).collect();
    assert!(all.contains(&"unhealthy"), "{all:?}");
    assert!(
        all.iter().all(|outcome| run.contains(&format!("`{outcome}`"))),
        "docs/commands.md: `outcome` is one of {all:?}"
    );
    place.want(0, &["remove", "--all", "--yes", "--quiet"])?;
    // Whoever cannot be reached is told of within the run.
    place.write_registry("127.0.0.1, port: 1")?;
    let down = place.document(4, &["deploy", "--all"])?;
    assert_eq!((&down["code"], &down["error"]["code"]), (&Value::from(4), &Value::from(4)), "{down}");
    Ok(())
}

/// The keys of a document of which a text says nothing. What an error has is told elsewhere.
fn untold(document: &Value, told: &str, lacks: &mut Vec<String>) {
    match document {
        Value::Array(all) => all.iter().for_each(|one| untold(one, told, lacks)),
        Value::Object(all) => {
            for (key, value) in all {
                if !told.contains(&format!("`{key}`")) && !told.contains(&format!("`{key}[")) {
                    lacks.push(key.clone());
                }
                if key != "error" {
                    untold(value, told, lacks);
                }
            }
        }
        _ => {}
    }
}
