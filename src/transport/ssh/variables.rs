//! Environment variables in the SSH configuration, in the settings where ssh_config(5) allows them: `${NAME}`, and `$NAME` for the agent.

use super::config::Said;
use crate::transport::Lost;

impl Said {
    /// The same with the values of variables in their places. `IdentityAgent $NAME` without a value means no agent, as for ssh.
    ///
    /// # Errors
    /// A variable in braces that is not set.
    pub(super) fn filled(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Lost> {
        if let Some(agent) = &mut self.agent
            && let Some(name) = agent.strip_prefix('$').filter(|rest| !rest.starts_with('{'))
        {
            *agent = variable(name).map_or_else(|| "none".to_owned(), |value| literal(&value));
        }
        let known = self.user_known_hosts.iter_mut().flatten();
        let all = self.identity.iter_mut().chain(&mut self.certificates).chain(&mut self.agent).chain(known);
        for text in all.filter(|text| text.contains("${")) {
            *text = fill(text, &variable).map_err(|name| {
                Lost::Config(
                    format!("the SSH configuration has `{text}`, and there is no variable `{name}`"),
                    format!("set `{name}`, or write the path in full"),
                )
            })?;
        }
        Ok(self)
    }
}

/// Puts values in the place of `${NAME}`; fails with the name of one that has none.
fn fill(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, (name, after))) =
        rest.split_once("${").and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        filled.push_str(before);
        filled.push_str(&literal(&variable(name).ok_or(name)?));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Tokens are replaced after variables, and a value has none.
fn literal(value: &str) -> String {
    value.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;

    #[test]
    fn variables_have_their_values_where_ssh_allows_them() {
        let variable = |name: &str| (name == "KEYS").then(|| "/k%h".to_owned());
        let said = |text: &str| Config::from_text(text).expect("readable").about("web").filled(variable);
        let all = said(
            "IdentityFile ${KEYS}/%h\nCertificateFile a${KEYS}${KEYS}\nUserKnownHostsFile ~/x ${KEYS}/known\n\
             IdentityAgent $KEYS\nHostName ${KEYS}",
        )
        .expect("all are set");
        assert_eq!((&all.identity[0], &all.certificates[0]), (&"/k%%h/%h".to_owned(), &"a/k%%h/k%%h".to_owned()));
        assert_eq!(all.user_known_hosts.as_deref(), Some(&["~/x".to_owned(), "/k%%h/known".to_owned()][..]));
        assert_eq!((all.agent.as_deref(), all.hostname.as_deref()), (Some("/k%%h"), Some("${KEYS}")));
        assert_eq!(said("IdentityAgent ${KEYS}/s").expect("set").agent.as_deref(), Some("/k%%h/s"));
        assert_eq!(said("IdentityAgent $NONE").expect("no agent").agent.as_deref(), Some("none"));
        let fault = said("IdentityFile ${NONE}/key").expect_err("not set").to_string();
        assert!(fault.contains("`${NONE}/key`") && fault.contains("`NONE`"), "{fault}");
    }
}
