//! What is asked of a person, on a real terminal: what the question says, and what each answer does.

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use portoser::model::quote;

use crate::cli::portoser;
use crate::fixture::sshd::{Sshd, command, keygen, missing};
use crate::fixture::terminal::Terminal;
use crate::verbs::{Place, trial};

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let reason = missing();
    let passphrase = Trial::test("terminal::a_passphrase_is_asked_once_in_a_run", passphrase);
    vec![
        trial("terminal::an_unknown_host_key_is_asked_about", unknown_key),
        trial("terminal::nothing_is_written_over_a_question", undisturbed),
        trial("terminal::what_is_protected_wants_its_name_typed", protected),
        trial("terminal::what_goes_back_is_told_by_the_plan_that_is_carried_out", raced),
        trial("terminal::what_is_removed_wants_its_name_typed", removed),
        trial("terminal::a_watch_tells_how_it_stands_and_leaves_the_screen_in_order", watched),
        passphrase.with_ignored_flag(reason.is_some()),
        Trial::test("terminal::ctrl_c_at_a_hidden_question_leaves_the_terminal_as_it_was", left)
            .with_ignored_flag(reason.is_some()),
        trial("terminal::a_question_about_one_host_is_not_written_over_by_another", apart),
        Trial::test("terminal::a_first_registry_is_asked_for", first_registry),
    ]
}

/// An ssh_config by which no key is known, and the file where they would be pinned.
fn with_other_keys(place: &Place) -> Result<(String, String), Failed> {
    let (known, config) = (place.at("other_known_hosts"), place.at("other_config"));
    let usual = std::fs::read_to_string(place.folder.join("operator/ssh_config"))?;
    let usual_known = place.at("operator/known_hosts");
    assert!(usual.contains(&usual_known), "{usual}");
    std::fs::write(&config, usual.replace(&usual_known, &known))?;
    Ok((config, known))
}

/// The fingerprint stands in the question. Who says no gets nowhere, and who says yes is not asked again.
fn unknown_key(place: &Place) -> Outcome {
    let (config, known) = with_other_keys(place)?;
    let words = ["--ssh-config", &config, "run", "--host", "box", "--", "echo", "it runs"];
    // Who leaves gets the cursor back, which the question hides.
    let run = outlived(&place.command(&words), "[ $code != 0 ]");
    let mut terminal = Terminal::start(&run);
    let said = terminal.shows("shall the key be pinned?").hides("\x03").ends(0);
    let (times, hidden) = terminal.cursor();
    assert!(times > 0 && !hidden, "hidden {times} times: {said}");
    for (answer, code) in [("n", 4), ("y", 0)] {
        let mut terminal = Terminal::start(&place.command(&words));
        terminal.shows("SHA256:").shows("is this the right fingerprint, and shall the key be pinned?").types(answer);
        let said = terminal.ends(code);
        // In the question once; and in the refusal, where it is one.
        assert_eq!(said.matches("SHA256:").count(), if code == 0 { 1 } else { 2 }, "{said}");
        assert_eq!(Path::new(&known).exists(), code == 0, "{said}");
        assert_eq!(said.contains("it runs"), code == 0, "{said}");
    }
    let said = Terminal::start(&place.command(&words)).ends(0);
    assert!(said.contains("it runs") && !said.contains("fingerprint"), "{said}");
    Ok(())
}

/// While a run shows what it does, the question stands alone until it is answered.
fn undisturbed(place: &Place) -> Outcome {
    let (config, _) = with_other_keys(place)?;
    let mut terminal = Terminal::start(&place.command(&["--ssh-config", &config, "deploy", "--all"]));
    terminal.shows("looking").shows("shall the key be pinned? [y/N] ");
    assert_eq!(terminal.goes_on(), "");
    let said = terminal.types("y").shows("looking").ends(0);
    assert!(said.contains("done in"), "{said}");
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
}

fn protected(place: &Place) -> Outcome {
    let file = place.at("registry.yml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("  below:\n", "  below:\n    protected: true\n"))?;
    let deploy = place.command(&["deploy", "--all"]);
    let mut terminal = Terminal::start(&deploy);
    terminal.shows("`below` is protected; type its name to go on").types("bellow\n");
    let said = terminal.ends(9);
    assert!(said.contains("--approve below"), "{said}");
    place.want(8, &["status"])?;
    // Who leaves instead has refused nothing.
    let said = Terminal::start(&deploy).shows("type its name to go on").hides("\x03").ends(130);
    assert!(said.contains("nothing was changed"), "{said}");
    place.want(8, &["status"])?;
    let mut terminal = Terminal::start(&deploy);
    terminal.shows("type its name to go on").types("below\n");
    terminal.ends(0);
    place.want(0, &["status"])?;
    place.want(0, &["remove", "--all", "--yes", "--approve", "below"])?;
    Ok(())
}

/// While the question stands, somebody else gives a way back to what had none: it goes back with the rest, unless nobody approved that.
fn raced(place: &Place) -> Outcome {
    let file = place.at("registry.yml");
    let plain = std::fs::read_to_string(&file)? + "defaults: { deploy: { soak: 0s } }\n";
    let write = |plain: &str, version: &str| {
        let text = plain.replace("  above:\n", "  above:\n    protected: true\n").replace("it's $(me)", version);
        std::fs::write(&file, text.replacen("echo up;", &format!("echo {};", &version[..1]), 1))
    };
    let deploy =
        |words: &[&str]| place.want(0, &[&["deploy", "--approve", "above", "--approve", "below"], words].concat());
    let greets = || place.want(0, &["exec", "above", "--", "sh", "-c", "echo $GREETING"]).map(|said| said.out);
    for (plain, code) in [(plain.clone(), 0), (plain.replace("  below:\n", "  below:\n    protected: true\n"), 9)] {
        write(&plain, "1")?;
        deploy(&["--all"])?;
        write(&plain, "12")?;
        deploy(&["above"])?;
        let mut back = Terminal::start(&place.command(&["rollback", "--all"]));
        back.shows("`above` is protected; type its name to go on");
        write(&plain, "2")?;
        deploy(&["--all"])?;
        let said = back.types("above\n").ends(code);
        assert!(!said.contains("nothing was done for"), "{said}");
        assert_eq!(said.contains("`below` is protected, and would change only since"), code == 9, "{said}");
        assert_eq!(greets()?, if code == 0 { "12\n" } else { "2\n" }, "{said}");
        place.want(0, &["remove", "--all", "--yes", "--approve", "above", "--approve", "below"])?;
    }
    Ok(())
}

fn removed(place: &Place) -> Outcome {
    place.want(0, &["deploy", "--all"])?;
    let remove = place.command(&["remove", "above"]);
    let mut terminal = Terminal::start(&remove);
    terminal.shows("remove above on box? type its name (`above`) to go on").types("\n");
    terminal.ends(9);
    place.want(0, &["status"])?;
    let mut terminal = Terminal::start(&remove);
    terminal.shows("to go on").types("above\n");
    terminal.ends(0);
    let mut terminal = Terminal::start(&place.command(&["remove", "--all"]));
    terminal.shows("to go on").types("below\n");
    terminal.ends(0);
    Ok(())
}

/// The last line lives: it tells that all is well, what is done, and is gone in the end. News stand as they were written.
fn watched(place: &Place) -> Outcome {
    let (file, good) = (place.at("registry.yml"), place.at("good"));
    let text = std::fs::read_to_string(&file)?.replace("  down: { address: 127.0.0.1, port: 1 }\n", "");
    let (head, above) = text.split_once("  above:").ok_or("a service")?;
    // To start it again makes it well.
    let above = above.replace("echo up;", &format!("touch {good};"));
    let heal = "defaults: { heal: { apart: 50ms, policy: full, cooldown: 1s } }\n";
    std::fs::write(&file, format!("{head}  above:{above}{heal}"))?;
    place.want(0, &["deploy", "--all"])?;
    let mut terminal = Terminal::start(&place.command(&["watch", "--interval", "1s"]));
    terminal.shows("looking").shows("1 host: all is well, score 100 of 100; every 1 s");
    std::fs::remove_file(&good)?;
    terminal
        .shows("remedy: restart the unit")
        .shows("HEALED   above on box: ")
        .shows("check-failing: restart the unit, ");
    terminal.shows("1 host: all is well, score 100 of 100; every 1 s").types("\x03");
    let said = terminal.ends(130);
    let (lines, cursor) = terminal.screen();
    assert!(cursor && !said.contains("GAVE UP"), "{said}");
    let news = lines.iter().position(|line| line.starts_with("HEALED   above on box: ")).ok_or("the news")?;
    // The news may be too long for one line of the screen.
    let done = |line: &String| line.starts_with("         check-failing: restart the unit, ");
    assert!(lines[news + 1..].iter().take(2).any(done), "{lines:?}");
    let left = lines.iter().find(|line| ["looking", "all is well", "remedy:"].iter().any(|word| line.contains(word)));
    assert_eq!(left, None, "{lines:?}");
    place.want(0, &["status"])?;
    place.want(0, &["remove", "--all", "--yes"])?;
    Ok(())
}

/// A server that takes one key, which has a passphrase, and the words that reach it by three names.
fn locked(words: &[&str]) -> Result<(Sshd, std::process::Command), Failed> {
    let sshd = Sshd::start("");
    let locked = keygen(sshd.folder(), "locked", &["-t", "ed25519"], "open sesame");
    std::fs::copy(locked.with_extension("pub"), sshd.folder().join("authorized_keys"))?;
    sshd.options("");
    let at = |name: &str| sshd.folder().join(name);
    let host = |name: &str| format!("  {name}: {{ address: 127.0.0.1, port: {} }}\n", sshd.port());
    let hosts: String = ["one", "two", "three"].map(host).concat();
    let service = "services: { sleeps: { type: native, host: one, run: [sleep, '9'] } }\n";
    let text = format!("version: 1\ndefaults: {{ identity: {} }}\nhosts:\n{hosts}{service}", locked.display());
    std::fs::write(at("registry.yml"), text)?;
    let mut run = portoser(&at("state"), words);
    run.env("PORTOSER_REGISTRY", at("registry.yml")).env("PORTOSER_SSH_CONFIG", at("ssh_config"));
    run.env("PATH", "/usr/bin:/bin");
    Ok((sshd, run))
}

/// The words by a shell that Ctrl-C does not end, and what it does afterwards with their `code`.
fn outlived(run: &std::process::Command, then: &str) -> std::process::Command {
    let all = std::iter::once(run.get_program()).chain(run.get_args());
    let all: Vec<String> = all.map(|word| quote(&word.to_string_lossy()).into_owned()).collect();
    let shell = format!("trap : INT; {}; code=$?; {then}", all.join(" "));
    let mut outer = command("/bin/sh");
    outer.args(["-c", &shell]).env_clear();
    outer.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

/// What is typed at such a question is hidden by the terminal; who leaves instead finds it as it was, and is not asked to go on.
fn left() -> Outcome {
    for (words, question) in [
        (["run", "--all", "--", "true"].as_slice(), "passphrase of "),
        (&["deploy", "--all"], "passphrase of "),
        (&["--ask-become-pass", "deploy", "--all"], "password for sudo"),
    ] {
        let (_sshd, run) = locked(words)?;
        let mut terminal = Terminal::start(&outlived(&run, "stty -a; exit $code"));
        let said = terminal.shows(question).hides("\x03").ends(130);
        assert!(said.contains(" echo ") && !said.contains("-echo "), "{words:?}: {said}");
    }
    Ok(())
}

/// One host's key is not known, and the other one answers at once: its words wait until the question is answered.
fn apart(place: &Place) -> Outcome {
    let (config, _) = with_other_keys(place)?;
    let known = std::fs::read_to_string(place.folder.join("operator/known_hosts"))?;
    // The same server by a name that is known, and by one that is not.
    let usual = std::fs::read_to_string(&config)?;
    std::fs::write(place.at("other_known_hosts"), &known)?;
    std::fs::write(&config, format!("Host stranger\n  HostName 127.0.0.1\n  HostKeyAlias stranger\n{usual}"))?;
    let file = place.folder.join("registry.yml");
    let text = std::fs::read_to_string(&file)?;
    let down = "down: { address: 127.0.0.1, port: 1 }";
    assert!(text.contains(down), "{text}");
    std::fs::write(&file, text.replace(down, &format!("down: {{ address: stranger, port: {} }}", place.port)))?;
    let said_by = place.at("said");
    let words = format!("echo it runs here; echo done >>{said_by}");
    let run = ["--ssh-config", &config, "run", "--all", "--", "sh", "-c", &words];
    let mut terminal = Terminal::start(&place.command(&run));
    terminal.shows("shall the key be pinned? [y/N] ");
    // The other host has answered by now, or does so while nobody reads the question.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !Path::new(&said_by).exists() {
        assert!(std::time::Instant::now() < until, "the other host says nothing");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let rest = terminal.goes_on();
    assert_eq!(rest, "", "over the question");
    let said = terminal.types("y").ends(0);
    assert_eq!(said.matches("it runs here").count(), 2, "{said}");
    Ok(())
}

fn passphrase() -> Outcome {
    let (_sshd, run) = locked(&["run", "--all", "--", "echo", "it runs"])?;
    let question = "passphrase of ";
    let count = |said: &str| (said.matches("[hidden]").count(), said.matches("it runs").count());
    let mut terminal = Terminal::start(&run);
    let said = terminal.shows(question).hides("open sesame\n").ends(0);
    assert_eq!(count(&said), (1, 3), "{said}");
    assert!(!said.contains("sesame"), "{said}");
    // A slip of the finger is not the end.
    let mut terminal = Terminal::start(&run);
    terminal.shows(question).hides("open\n").shows("that did not fit; passphrase of ").hides("open sesame\n");
    let said = terminal.ends(0);
    assert_eq!(count(&said), (2, 3), "{said}");
    Ok(())
}

fn first_registry() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("registry.yml");
    let state = folder.path().join("state");
    let words = ["--registry", &file.display().to_string(), "init"];
    let init = portoser(&state, &words);
    let mut terminal = Terminal::start(&init);
    terminal.shows("Deploy to this machine first?").types("n");
    terminal.shows("Name of the first host").types("Web_1\n").shows("is not a host name");
    terminal.types("\x15web7\n").shows("Its address").types("192.0.2.7\n");
    terminal.shows("Login user").types("deploy\n").shows("Use sudo there?").types("y");
    terminal.shows("wrote ").shows("next: portoser service add NAME --host web7");
    terminal.ends(0);
    let text = std::fs::read_to_string(&file)?;
    for word in ["web7", "192.0.2.7", "deploy", "sudo"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let valid = portoser(&state, &["--registry", words[1], "validate"]).output()?;
    assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stderr));
    // What is there is left as it is, and nothing is asked.
    Terminal::start(&init).ends(9);
    assert_eq!(std::fs::read_to_string(&file)?, text);
    Ok(())
}
