//! What the shell is given, and what it says, held by examples.

use super::*;
use proptest::prelude::*;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The bytes that an ear's marker has on the wire.
fn marker(ear: &Ear, number: usize) -> Vec<u8> {
    [&ear.begin[number].head, &b"4711"[..], &ear.begin[number].tail].concat()
}

#[test]
fn noise_is_dropped_however_the_bytes_are_split() {
    let whole = Order::new(&words(&["true"]), &Rights::Plain, "me").expect("an order");
    let told = [&b"rc file says p1234\n"[..], &marker(&whole.ear, 0), b"the command"].concat();
    for size in 1..told.len() {
        let mut ear = Order::new(&words(&["true"]), &Rights::Plain, "me").expect("an order").ear;
        let begin = marker(&ear, 0);
        let told = [&b"rc file says p1234\n"[..], &begin, b"the command"].concat();
        let mut heard = Vec::new();
        for piece in told.chunks(size) {
            if let Some(Said::Out(bytes)) = ear.out(piece.to_vec()) {
                heard.extend(bytes);
            }
        }
        assert_eq!(heard, b"the command", "in pieces of {size}");
        assert_eq!(ear.group(), Some(4711));
    }
}

#[test]
fn an_end_before_the_beginning_is_judged() {
    let end = End::Code(1);
    let mut ear = Order::new(&words(&["true"]), &Rights::Sudo(None), "me").expect("an order").ear;
    ear.err(b"This account is currently not available.\n".to_vec());
    assert!(matches!(ear.end(end.clone()), Said::Lost(Lost::NoShell { says, .. }) if says.contains("not available")));
    let begin = marker(&ear, 0);
    ear.err(begin);
    ear.err(b"sudo: a password is required\n".to_vec());
    assert!(matches!(ear.end(end.clone()), Said::Lost(Lost::SudoPassword { .. })));
    let begin = marker(&ear, 1);
    ear.err(begin);
    assert!(matches!(ear.end(end), Said::End(End::Code(1))), "the command's own failure");
}

#[test]
fn a_line_holds_nothing_that_shells_disagree_on() {
    let order = Order::new(&words(&["a'b", "c\\d!", "e\nf", "$g`h`\"i\""]), &Rights::Sudo(None), "me");
    let line = order.expect("an order").line;
    let inner = line.split("' '\\\\'").next().expect("the script");
    for hostile in ['\\', '!', '\n'] {
        assert!(!inner.contains(hostile), "{inner}");
    }
    assert_eq!(inner.matches('\'').count(), 1, "{inner}");
}

#[test]
fn what_is_too_long_is_refused() {
    let lost = Order::new(&words(&["echo", &"x".repeat(200_000)]), &Rights::Plain, "me").err();
    assert!(matches!(lost, Some(Lost::TooLong { .. })));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a real shell ends the line")]
fn a_host_without_sudo_is_told_apart() {
    for password in [None, Some(Secret::new(b"x".to_vec()))] {
        let mut order = Order::new(&words(&["true"]), &Rights::Sudo(password), "me").expect("an order");
        let mut shell = std::process::Command::new("/bin/sh");
        let shell = shell.args(["-c", &order.line]).env("PATH", "/nowhere").stdin(std::process::Stdio::null());
        let output = shell.output().expect("a shell");
        order.ear.out(output.stdout);
        order.ear.err(output.stderr);
        let code = output.status.code().and_then(|code| u32::try_from(code).ok()).expect("a code");
        let said = order.ear.end(End::Code(code));
        assert!(matches!(&said, Said::Lost(Lost::SudoMissing { user }) if user == "me"), "{said:?}");
    }
}

#[test]
fn a_password_is_not_in_the_line() {
    let password = Secret::new(b"correct horse".to_vec());
    let order = Order::new(&words(&["id"]), &Rights::Sudo(Some(password)), "me").expect("an order");
    assert!(!order.line.contains("correct"));
    assert_eq!(order.ahead, b"correct horse\n");
    assert!(Order::new(&words(&["id"]), &Rights::Sudo(Some(Secret::new(b"a\nb".to_vec()))), "me").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_shell_runs_the_very_words(word in "[^\0]{0,60}", other in "[ -~\n]{0,60}") {
        let order = Order::new(&words(&["printf", "%s|", &word, &other]), &Rights::Plain, "me").expect("an order");
        #[expect(clippy::disallowed_methods, reason = "a real shell judges")]
        let output = std::process::Command::new("/bin/sh").arg("-c").arg(&order.line).output().expect("a shell");
        let mut ear = order.ear;
        let heard = match ear.out(output.stdout) {
            Some(Said::Out(bytes)) => bytes,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(String::from_utf8_lossy(&heard), format!("{word}|{other}|"));
    }
}
