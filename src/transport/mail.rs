//! Letters, by SMTP: over TLS unless the registry says otherwise, and each within its deadline.

use std::error::Error;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tokio::time::timeout;

use crate::model::{Secret, hex, sha256};
use crate::registry::{Mail, MailSecurity};

/// The most of a server's words that is told.
const SAID: usize = 300;

/// What is written in the place of a secret.
const MASK: &str = "[masked]";

/// Shorter parts of what was sent are ordinary words, too, and say nothing.
const SHORTEST: usize = 6;

/// What is written.
pub struct Letter {
    /// One line.
    pub subject: String,
    pub text: String,
}

/// Hands a letter to the mail server, which must take it in time.
///
/// # Errors
/// Why it did not, in one line.
pub async fn mail(mail: &Mail, password: Option<&Secret>, letter: &Letter, within: Duration) -> Result<(), String> {
    let place = format!("{}:{}", mail.server, mail.port);
    let late = || format!("{place} did not take the letter within {} s", within.as_secs());
    let sent = timeout(within, send(mail, password, letter, within)).await.map_err(|_| late())?;
    sent.map_err(|error| {
        let mut says = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let more = next.to_string();
            if !says.contains(&more) {
                says = format!("{says}: {more}");
            }
            cause = next.source();
        }
        let says = match (&mail.login, password) {
            (Some((user, _)), Some(password)) => without(&says, user, password.reveal_for_sending()),
            _ => says,
        };
        format!("{place}: {}", says.chars().filter(|c| !c.is_control()).take(SAID).collect::<String>())
    })
}

/// A server's words without what it was given and may repeat: the password, and any part of it as `AUTH` carries it, which is
/// base64 (RFC 4616 and the older LOGIN).
fn without(says: &str, user: &str, password: &[u8]) -> String {
    if password.is_empty() {
        return says.to_owned();
    }
    let plain = [b"\0", user.as_bytes(), b"\0", password].concat();
    let sent = [BASE64.encode(password), BASE64.encode(plain)];
    let is_sent = |word: &str| word.len() >= SHORTEST && sent.iter().any(|sent| sent.contains(word));
    let says = says.replace(String::from_utf8_lossy(password).as_ref(), MASK);
    let carried = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut shown = String::new();
    for piece in says.split_inclusive(|c| !carried(c)) {
        let word = piece.trim_end_matches(|c| !carried(c));
        shown.push_str(if is_sent(word) { MASK } else { word });
        shown.push_str(&piece[word.len()..]);
    }
    shown
}

async fn send(
    mail: &Mail,
    password: Option<&Secret>,
    letter: &Letter,
    within: Duration,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mailbox =
        |address: &str| Ok::<_, Box<dyn Error + Send + Sync>>(Mailbox::new(None, address.parse::<Address>()?));
    let from = mailbox(&mail.from)?;
    let mark = hex(&sha256(format!("{}\0{}", letter.subject, letter.text).as_bytes()));
    let id = format!("<{}.portoser@{}>", &mark[..32], from.email.domain());
    // Nobody who is away answers it (RFC 3834).
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let subject: String = letter.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut message = Message::builder().from(from).subject(subject).message_id(Some(id)).raw_header(automatic);
    for to in &mail.to {
        message = message.to(mailbox(to)?);
    }
    let message = message.header(ContentType::TEXT_PLAIN).body(letter.text.clone())?;
    let parameters = || TlsParameters::builder(mail.server.clone()).build_rustls();
    let tls = match mail.security {
        MailSecurity::StartTls => Tls::Required(parameters()?),
        MailSecurity::Tls => Tls::Wrapper(parameters()?),
        MailSecurity::Open => Tls::None,
    };
    let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.server.clone());
    let mut server = server.port(mail.port).tls(tls).timeout(Some(within));
    if let (Some((user, _)), Some(password)) = (&mail.login, password) {
        let password = String::from_utf8(password.reveal_for_sending().to_vec())?;
        server = server.credentials(Credentials::new(user.clone(), password));
    }
    server.build::<Tokio1Executor>().send(message).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_repeats_is_masked_in_all_its_forms() {
        let told = |says: &str| without(says, "bot", b"s3cr3t-of-mail");
        assert_eq!(told("535 s3cr3t-of-mail is wrong"), "535 [masked] is wrong");
        assert_eq!(told("501 bad line: AUTH PLAIN AGJvdABzM2NyM3Qtb2YtbWFpbA=="), "501 bad line: AUTH PLAIN [masked]");
        assert_eq!(told("501 <AGJvdABzM2NyM3Qtb2Y> cut"), "501 <[masked]> cut");
        assert_eq!(told("501 czNjcjN0LW9mLW1haWw="), "501 [masked]");
        assert_eq!(
            told("535 5.7.8 Authentication credentials invalid: bot"),
            "535 5.7.8 Authentication credentials invalid: bot"
        );
        assert_eq!(without("all of it", "bot", b""), "all of it");
    }
}
