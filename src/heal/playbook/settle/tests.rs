//! Playbooks that are good, and faults of those that are not.

use std::path::Path;

use super::read;

const GOOD: &str = "version: 1\nname: full\nwhen:\n  - look: disk\n    where: { free_percent: '< 3' }\n\
    unless:\n  - { look: mounts }\nbecause: '{mount} on {host} is full'\nrisk: safe\ndo:\n  - prune: releases\n\
    until: { good: disk, within: 1m }\nexamples:\n  - name: full\n    given: [{ look: disk, values: { mount: /, free_percent: 0 } }]\n\
    \n    expect: / on one is full\n  - name: read-only, too\n    given: [{ look: disk, values: { mount: /, free_percent: 0 } }, { look: mounts }]\n";

fn faults(text: &str) -> String {
    read(text, Path::new("full.yml")).map_or_else(|faults| faults.to_string(), |_| "none".to_owned())
}

#[test]
fn a_good_one_is_read_and_its_examples_hold() {
    let book = read(GOOD, Path::new("full.yml")).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(book.try_examples().iter().all(|tried| tried.wrong.is_none()), "{:?}", book.try_examples());
    assert!(book.is_well_tried() && !book.is_about_services());
    assert_eq!(book.deeds[0].to_string(), "remove old releases of ours, never the rollback's");
}

#[test]
fn faults_are_told_with_place_and_hint() {
    assert_eq!(
        faults(&GOOD.replace("look: disk\n", "look: disc\n")),
        "full.yml:4:11: when[0].look: there is no look `disc` (hint: did you mean `disk`?)"
    );
    assert!(faults(&GOOD.replace("prune: releases", "prun: releases")).contains("`prun` is not a verb of playbooks"));
    assert!(
        faults(&GOOD.replace("prune: releases", "prune: volumes"))
            .contains("`volumes` cannot be what `prune` is done to")
    );
    assert!(faults(&GOOD.replace("prune: releases", "restart: unit")).contains("`restart unit` risks more than this"));
    assert!(faults(&GOOD.replace("where:", "is: good\n    where:")).contains("nothing in it is bad"));
    assert!(faults(&GOOD.replace("'< 3'", "'< x'")).contains("`x` is not a number to compare with"));
    assert!(faults(&GOOD.replace("name: full\nwhen", "name: empty\nwhen")).contains("the file is called `full`"));
    assert!(faults("").contains("the playbook is empty"));
}

#[test]
fn an_example_that_does_not_hold_is_told() {
    let book = read(&GOOD.replace("expect: / on", "expect: /x on"), Path::new("full.yml")).expect("a playbook");
    let wrong = book.try_examples()[0].wrong.clone();
    assert_eq!(wrong.as_deref(), Some("it says: / on one is full; and must say: /x on one is full"));
}
