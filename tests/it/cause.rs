//! What hosts said when a service did not come up, recorded on real hosts (but `systemd-oom`, which is put together from the
//! words in systemd's source, as only cgroup v2 gives them), and what we make of it. A case begins with the service's port, or
//! `-`; UPDATE=1 writes the `.cause` beside it.

use libtest_mimic::{Failed, Trial};
use portoser::host::cause::{cause, distinct};

use crate::cases;

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("cause::what_hosts_said", recorded), Trial::test("cause::nothing_is_made_up", silent)]
}

fn recorded() -> Result<(), Failed> {
    let files = cases::files("cause", "txt");
    assert!(files.len() > 40, "{} cases", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let (port, evidence) = text.split_once('\n').ok_or("a first line")?;
        let port = port.parse().ok();
        let evidence: Vec<String> = evidence.lines().map(str::to_owned).collect();
        let found = cause(&evidence, port).ok_or_else(|| format!("{}: no cause", file.display()))?;
        let lines = distinct(evidence, port).len();
        cases::expect(&file.with_extension("cause"), &format!("{}\n{}\n{lines} lines\n", found.says, found.hint))?;
    }
    Ok(())
}

fn silent() -> Result<(), Failed> {
    for evidence in [&[][..], &["it works"], &["ActiveState=active", "SubState=running", "Result=success"]] {
        let evidence: Vec<String> = evidence.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(cause(&evidence, Some(80)), None, "{evidence:?}");
    }
    Ok(())
}
