//! What ssh_config(5) means, case by case.

use super::*;
use proptest::prelude::*;

fn said(text: &str, alias: &str) -> Said {
    Config::from_text(text).expect("readable").about(alias)
}

#[test]
fn the_first_value_wins_and_key_files_add_up() {
    let said = said("Port 1\nHost web\nPort 2\nIdentityFile a\nHost *\nIdentityFile b\nUser x\nUser y", "web");
    assert_eq!((said.port, said.user.as_deref()), (Some(1), Some("x")));
    assert_eq!(said.identity, ["a", "b"]);
}

#[test]
fn blocks_apply_to_their_patterns() {
    let text = "Host *.example !db.example\nUser a\nHost db.example\n\tUser=b\nHost *\nUser \"c d\" # a comment";
    assert_eq!(said(text, "web.example").user.as_deref(), Some("a"));
    assert_eq!(said(text, "db.example").user.as_deref(), Some("b"));
    assert_eq!(said(text, "other").user.as_deref(), Some("c d"));
}

#[test]
fn keywords_are_read_in_every_spelling() {
    for line in ["Port 2200", "port=2200", "PORT = 2200", "\tPort\t=\t\"2200\"", "Port  2200  "] {
        assert_eq!(said(line, "web").port, Some(2200), "{line:?}");
    }
    assert_eq!(said("ConnectTimeout 1m30s", "web").connect_timeout, Some(Duration::from_secs(90)));
    assert_eq!(said("ConnectTimeout none", "web").connect_timeout, None);
    assert_eq!(said("UserKnownHostsFile \"a b\" c", "web").user_known_hosts, Some(vec!["a b".into(), "c".into()]));
}

#[test]
fn a_match_block_matters_only_when_something_in_it_does() {
    let harmless =
        Config::from_text("Match host web\nForwardAgent yes\nCiphers x\nMatch all\nUser a").expect("readable");
    assert_eq!(harmless.undecided, None);
    assert_eq!(harmless.about("web").user.as_deref(), Some("a"));
    let decisive = Config::from_text("Host web\nUser a\nMatch user b\n  HostName c").expect("readable");
    assert_eq!(decisive.undecided.as_deref(), Some("ssh_config:4"));
    assert_eq!(decisive.about("web").hostname, None, "nothing leaks out of the block");
}

#[test]
fn ways_that_are_not_ours_are_not_ignored() {
    assert_eq!(said("ProxyCommand nc %h %p", "web").unsupported.as_deref(), Some("ProxyCommand"));
    assert_eq!(said("ProxyCommand none", "web").unsupported, None);
    assert_eq!(said("ProxyJump a\nProxyCommand nc %h %p", "web").unsupported, None);
    assert_eq!(said("RevokedHostKeys /etc/ssh/revoked", "web").unsupported.as_deref(), Some("RevokedHostKeys"));
}

#[test]
fn included_files_stay_under_the_block_that_includes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at(".ssh")).expect("a folder");
    std::fs::write(at(".ssh/config"), "Host web\nInclude conf.d/*.conf\nHost *\nUser last").expect("a file");
    std::fs::create_dir(at(".ssh/conf.d")).expect("a folder");
    std::fs::write(at(".ssh/conf.d/10.conf"), "User ten\nHost other\nPort 10").expect("a file");
    std::fs::write(at(".ssh/conf.d/20.conf"), "User twenty\nPort 20").expect("a file");
    std::fs::write(at(".ssh/conf.d/.hidden.conf"), "Port 1").expect("a file");
    let config = Config::read(&at(".ssh/config"), &at("none"), folder.path()).expect("readable");
    let web = config.about("web");
    assert_eq!((web.user.as_deref(), web.port), (Some("ten"), Some(20)));
    assert_eq!((config.about("other").user.as_deref(), config.about("other").port), (Some("last"), None));
    std::fs::write(at(".ssh/conf.d/30.conf"), "Include conf.d/30.conf").expect("a file");
    assert!(Config::read(&at(".ssh/config"), &at("none"), folder.path()).is_err(), "a file that includes itself");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let lost = Config::from_text("User a\nHostName \"open").expect_err("an open quote");
    assert!(lost.to_string().contains("ssh_config:2"), "{lost}");
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "((Host|Match|Port|ProxyJump|IdentityFile|ConnectTimeout)[ =\t]|)[ -~\t\n]{0,60}") {
        if let Ok(config) = Config::from_text(&text) {
            let _ = config.about("web");
        }
    }
}
