//! Words of a person that may take away what nobody brings back, or shut somebody out. Such words are never run without a person,
//! however often they helped. The list errs on the side of asking; that it knows all that destroys is not claimed.

use std::sync::LazyLock;

use regex::Regex;

const GRAVE: &str = "volume --volumes dd tee reboot shutdown poweroff halt fdisk sfdisk parted userdel groupdel iptables ip6tables nft \
                     ufw firewall-cmd rsync unlink rmdir crontab";

/// The same as a part of a word, as in `dropDatabase` and `lvremove`.
const GRAVE_PARTS: &str = "drop delete destroy remove erase truncate flush prune purge shred wipe mkfs clean uninstall";

/// What empties a file, or takes it where it is soon forgotten.
static EMPTIES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let nothing = r"(?:^|[;&|(\n])\s*(?:(?::|true)\s*)?>";
    let null = r"\b(?:cp|cat|install)\s+(?:-\S+\s+)*/dev/null";
    Regex::new(&format!(r"{nothing}|{null}|\bmv\b[^;&|\n]*\s/(?:var/)?tmp\b")).ok()
});

/// Whether only a person may run these words.
pub(super) fn is_grave(words: &[String]) -> bool {
    // What stands in the text of a script counts like a word.
    let parts = || words.iter().flat_map(|word| word.split(|c: char| c.is_whitespace() || ";&|()\"'".contains(c)));
    let recursive = |word: &str| {
        word == "--recursive" || word.starts_with('-') && !word.starts_with("--") && word.contains(['r', 'R'])
    };
    let name = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    // A removal is plain when it names its files: no folder, no pattern, nothing that another program gives it.
    let wide = |word: &str| {
        recursive(word)
            || word.contains(['*', '?', '[', '$', '`', '+'])
            || matches!(&*name(word), "xargs" | "-exec" | "-execdir" | "-ok" | "docker" | "podman")
    };
    let removes = parts().any(|word| name(word) == "rm") && parts().any(wide);
    let takes_volumes = parts().any(|word| word == "down") && parts().any(|word| word == "-v");
    let named = |word: &str| {
        let word = name(word).to_ascii_lowercase();
        GRAVE.split_whitespace().any(|grave| grave == word)
            || GRAVE_PARTS.split_whitespace().any(|part| word.contains(part))
    };
    let empties = |text: &str| EMPTIES.as_ref().is_none_or(|empties| empties.is_match(text));
    let emptied = words.iter().any(|word| word.contains(char::is_whitespace) && empties(word));
    removes || takes_volumes || emptied || empties(&words.join(" ")) || parts().any(named)
}

#[cfg(test)]
mod tests {
    use crate::heal::playbook::{Deed, Risk};

    #[test]
    fn words_that_may_destroy_are_for_persons_only() {
        let risk =
            |words: &[&str]| Deed::of_words(words.iter().map(|word| (*word).to_owned()).collect(), Vec::new()).risk();
        for words in [
            &["rm", "-rf", "/x"][..],
            &["/bin/rm", "x", "--recursive"],
            &["sh", "-c", "cd /x && rm -fr *"],
            &["docker", "volume", "rm", "x"],
            &["/sbin/mkfs", "/dev/sda"],
            &["mongosh", "--eval", "db.dropDatabase()"],
            &["zfs", "destroy", "tank/x"],
            &["lvremove", "-f", "vg/x"],
            &["sh", "-c", ": > /srv/x.db"],
            &["sh", "-c", "cd /srv; >x.db"],
            &["cp", "/dev/null", "x"],
            &["mv", "x", "/tmp/y"],
            &["iptables", "-F"],
            &["tee", "x"],
        ] {
            assert_eq!(risk(words), Risk::Ask, "{words:?}");
        }
        for words in [
            &["rm", "-f", "/x/lock"][..],
            &["systemctl", "restart", "x"],
            &["sh", "-c", "printf on >/x/pump 2>/dev/null"],
            &["sh", "-c", "mkdir -p /x/old && mv /x/in/* /x/old/"],
        ] {
            assert_eq!(risk(words), Risk::Safe, "{words:?}");
        }
    }
}
