//! Letters, by SMTP: over TLS unless the registry says otherwise, and each within its deadline.

use std::error::Error;
use std::time::Duration;

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
        // A server may repeat what it was given.
        let secret = password.map(|secret| String::from_utf8_lossy(secret.reveal_for_sending()).into_owned());
        let says =
            secret.filter(|secret| !secret.is_empty()).map_or(says.clone(), |secret| says.replace(&secret, "[masked]"));
        format!("{place}: {}", says.chars().filter(|c| !c.is_control()).take(SAID).collect::<String>())
    })
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
