//! Edits keep what people wrote, refuse what would not be valid, and leave alone what is tangled.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const TEXT: &str = "\
# top
version: 1   # the version
hosts:
  # the first
  web1: { address: 192.0.2.11 }   # beside

  web2:
    address: 192.0.2.12
# between
services:
  db:   # the database
    type: native
    host: web1       # here
    run: [/bin/db]
  # the api
  api:
    type: native
    hosts: [web1, web2]   # both
    run: [/bin/api]
    needs: [db]
# the end
";

fn service(name: &str) -> ServiceName {
    ServiceName::try_from(name).expect("a name")
}

fn hosts(names: &[&str]) -> Vec<HostName> {
    names.iter().map(|name| HostName::try_from(*name).expect("a name")).collect()
}

fn change(edit: &Edit) -> Result<String, EditError> {
    edited(TEXT, Path::new("/registry.yml"), edit)
}

fn changed_lines(new: &str) -> Vec<String> {
    let old: Vec<&str> = TEXT.lines().collect();
    new.lines().filter(|line| !old.contains(line)).map(str::to_owned).collect()
}

#[test]
fn a_host_is_added_behind_the_others() {
    let host = json!({ "address": "192.0.2.13", "labels": { "tier": "web" } });
    let new = change(&Edit::AddHost { name: hosts(&["web3"]).remove(0), host }).expect("valid");
    assert_eq!(changed_lines(&new), ["  web3:", "    address: 192.0.2.13", "    labels: { tier: web }"]);
    assert!(new.starts_with("# top\nversion: 1   # the version\n"), "{new}");
    assert_eq!(TEXT.lines().filter(|line| !new.contains(line)).count(), 0, "{new}");
}

#[test]
fn a_service_is_moved_where_it_stands() {
    let new = change(&Edit::MoveService { name: service("db"), hosts: hosts(&["web2"]) }).expect("valid");
    assert_eq!(changed_lines(&new), ["    host: web2       # here"]);
    let new = change(&Edit::MoveService { name: service("db"), hosts: hosts(&["web1", "web2"]) }).expect("valid");
    assert_eq!(changed_lines(&new), ["    hosts: [web1, web2]       # here"]);
    let new = change(&Edit::MoveService { name: service("api"), hosts: hosts(&["web2"]) }).expect("valid");
    assert_eq!(changed_lines(&new), ["    hosts: [web2]   # both"]);
}

#[test]
fn a_service_is_removed_unless_it_is_needed() {
    let new = change(&Edit::RemoveService { name: service("api") }).expect("valid");
    assert!(!new.contains("/bin/api") && new.contains("# the end"), "{new}");
    let error = change(&Edit::RemoveService { name: service("db") }).expect_err("api needs it");
    assert!(matches!(error, EditError::After(_)), "{error}");
}

#[test]
fn what_would_not_be_valid_is_refused() {
    let add = |name: &str, value| change(&Edit::AddService { name: service(name), service: value });
    assert!(matches!(add("x", json!({ "type": "native", "host": "no", "run": ["x"] })), Err(EditError::After(_))));
    assert!(matches!(add("db", json!({})), Err(EditError::There { .. })));
    let error = change(&Edit::RemoveService { name: service("apj") }).expect_err("not there");
    assert!(matches!(error, EditError::NotThere { near: Some(near), .. } if near == "api"));
}

#[test]
fn a_first_service_gets_a_place() {
    let value = json!({ "type": "native", "host": "a", "run": ["/bin/x", "-v", "a b"] });
    for text in [
        "version: 1\nhosts: { a: {} }\n",
        "version: 1\nhosts: { a: {} }\nservices: {}\n",
        "{ version: 1, hosts: { a: {} } }\n",
    ] {
        let edit = Edit::AddService { name: service("x"), service: value.clone() };
        let new = edited(text, Path::new("/registry.yml"), &edit);
        assert!(new.is_ok(), "{text}: {new:?}");
    }
}

#[test]
fn a_tangled_text_is_left_alone() {
    let text = "version: 1\nhosts: { a: {}, b: {} }\nservices:\n  x: &x { type: native, host: a, run: [x] }\n  y: *x\n";
    let edit = Edit::MoveService { name: service("y"), hosts: hosts(&["b"]) };
    let error = edited(text, Path::new("/registry.yml"), &edit).expect_err("an alias");
    assert!(matches!(error, EditError::Tangled { .. }), "{error}");
}

proptest! {
    #[test]
    fn edits_keep_all_comments(comments in prop::collection::vec("[ -~]{0,20}", 12), crlf in any::<bool>(), which in 0..5) {
        let mut text: String = TEXT.lines().zip(comments.iter().cycle()).map(|(line, comment)| {
            if line.contains('#') { format!("{line}{comment}\n") } else { format!("{line} # {comment}\n") }
        }).collect();
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let edit = match which {
            0 => Edit::AddHost { name: hosts(&["new"]).remove(0), host: json!({ "address": "a" }) },
            1 => Edit::AddService { name: service("new"), service: json!({ "type": "native", "host": "web1", "run": ["x"] }) },
            2 => Edit::MoveService { name: service("db"), hosts: hosts(&["web2"]) },
            3 => Edit::Add {
                hosts: vec![(hosts(&["new"]).remove(0), json!({ "address": "a" }))],
                services: vec![
                    (service("new"), json!({ "type": "native", "host": "new", "run": ["x"] })),
                    (service("newer"), json!({ "type": "native", "host": "web1", "run": ["x"], "needs": ["new"] })),
                ],
            },
            _ => Edit::MoveService { name: service("api"), hosts: hosts(&["web2"]) },
        };
        let new = edited(&text, Path::new("/registry.yml"), &edit).expect("valid");
        let comments = |text: &str| -> Vec<String> {
            text.lines().filter_map(|line| Some(line[line.find('#')?..].trim_end().to_owned())).collect()
        };
        prop_assert_eq!(comments(&text), comments(&new));
    }
}
