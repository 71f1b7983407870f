//! Who is told of news: programs, webhooks and people of the registry, side by side, each with its deadline. One who cannot be told stops
//! nothing and delays nobody.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinSet;

use crate::heal::news::{News, news, stands, word};
use crate::heal::owed::{due, told};
use crate::heal::{HealFault, Healing};
use crate::journal::{Journal, Trouble};
use crate::model::hex;
use crate::registry::{NewsKind, Notify, NotifyTo, Registry};
use crate::secrets;
use crate::transport::{Letter, hand, mail, post};

/// How often one is told who does not listen at first.
const TRIES: u32 = 2;

/// Whether a healing gives something up that none before it gave up.
///
/// # Errors
/// When the journal cannot be read.
pub fn gives_up(registry: &Registry, journal: &Journal, healing: &Healing, now: Timestamp) -> Result<bool, HealFault> {
    let before = journal.troubles(&registry.file.display().to_string())?;
    Ok(news(&before, healing, now).0.iter().any(|one| one.kind == NewsKind::GaveUp))
}

/// Tells what a healing brought that is new, and keeps it in the journal. What is new comes back, and who could not be told.
/// Where a bundle was left, those who hear that something was given up hear where it lies.
///
/// # Errors
/// When the journal cannot be read or written.
pub async fn notify(
    registry: &Registry,
    journal: &Journal,
    (healing, bundle): (&Healing, Option<&Path>),
    now: Timestamp,
) -> Result<(Vec<News>, Vec<String>), HealFault> {
    let name = registry.file.display().to_string();
    let before = journal.troubles(&name)?;
    let (mut all, mut after) = news(&before, healing, now);
    for one in all.iter_mut().filter(|one| one.kind == NewsKind::GaveUp) {
        one.says.extend(bundle.map(|file| format!("all that was seen: {}", file.display())));
    }
    let mut tasks = JoinSet::new();
    for to in &registry.notify {
        let due = due(&all, &mut after, |one| stands(one, healing), to, now);
        if !due.is_empty() {
            let news: Vec<News> = due.iter().map(|(_, news)| news.clone()).collect();
            // Who did not listen before is not waited for twice, and not complained about again.
            let fresh = news.iter().any(|one| all.contains(one));
            let (text, letter) = (document(registry, &news, now), letter(registry, &news, now));
            let to = to.clone();
            tasks.spawn(async move {
                let ended = tell(&to, text, &letter, if fresh { TRIES } else { 1 }).await;
                (to, due, ended.map_err(|why| fresh.then_some(why)))
            });
        }
    }
    let mut complaints = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((to, due, Ok(()))) => told(&due, &mut after, &to, now),
            Ok((.., Err(why))) => complaints.extend(why),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    complaints.sort();
    // They are told before it is written that they were: told twice is better than not at all.
    let changed: Vec<&Trouble> = after.iter().filter(|one| !before.contains(one)).collect();
    if !changed.is_empty() {
        journal.note_troubles(&name, &changed)?;
    }
    Ok((all, complaints))
}

fn document(registry: &Registry, news: &[News], now: Timestamp) -> Arc<str> {
    let document = json!({
        "portoser": env!("CARGO_PKG_VERSION"),
        "at": now.to_string(),
        "registry": registry.file,
        "environment": registry.environment,
        "news": news,
    });
    document.to_string().into()
}

/// The same for people. Names and words come from hosts: what could end a line of the head is never in it.
fn letter(registry: &Registry, news: &[News], now: Timestamp) -> Letter {
    let kind = |one: &News| word(one.kind).replace('-', " ");
    let about = |one: &News| {
        let service = one.service.as_ref().map(|name| format!("{name} on ")).unwrap_or_default();
        format!("{service}{}", one.host)
    };
    let more = if news.len() > 1 { format!(" (and {} more)", news.len() - 1) } else { String::new() };
    let first = news.first().map(|one| format!("{} {}", about(one), kind(one))).unwrap_or_default();
    let environment = registry.environment.as_ref().map(|name| format!("[{name}] ")).unwrap_or_default();
    let mut text = String::new();
    for one in news {
        text += &format!("{} {}: {}\n", about(one), kind(one), plain(&one.because));
        one.says.iter().for_each(|says| text += &format!("  {}\n", plain(says)));
    }
    text += &format!("\n{}, portoser {}, {}\n", now, env!("CARGO_PKG_VERSION"), registry.file.display());
    Letter { subject: format!("{environment}portoser: {first}{more}"), text }
}

/// One line of a text.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

async fn tell(to: &Notify, text: Arc<str>, letter: &Letter, tries: u32) -> Result<(), String> {
    let mut told = Ok(());
    for _ in 0..tries {
        told = match &to.to {
            NotifyTo::Command(words) => hand(words, &text, to.timeout).await,
            NotifyTo::Webhook { url, key } => {
                let mut headers = Vec::new();
                if let Some(file) = key {
                    let key = secrets::read(file).map_err(|fault| {
                        let why = fault.source().map(|why| format!(": {why}")).unwrap_or_default();
                        format!("nobody is told at {}: the key by which it is signed: {fault}{why}", url.place())
                    })?;
                    let key = key.reveal_for_sending().trim_ascii();
                    headers.push(("X-Portoser-Signature", signature(key, text.as_bytes())));
                }
                post(url, &headers, text.to_string(), to.timeout).await
            }
            NotifyTo::Mail(server) => {
                let password = server.login.as_ref().map(|(_, from)| secrets::line(from));
                let password = password.transpose().map_err(|fault| {
                    let why = fault.source().map(|why| format!(": {why}")).unwrap_or_default();
                    format!("nobody is written to by {}: its password: {fault}{why}", server.server)
                })?;
                mail(server, password.as_ref(), letter, to.timeout).await
            }
        };
        if told.is_ok() {
            break;
        }
    }
    told.map_err(|why| format!("not told: {why}"))
}

/// `sha256=` and the HMAC-SHA256 (RFC 2104) of the text in hexadecimal.
fn signature(key: &[u8], text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    format!("sha256={}", hex(hmac::sign(&key, text).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_one_line_for_each_thing_however_hostile() {
        let file = Path::new("/registry.yml");
        let text = "version: 1\nhosts: { web1: {} }\nservices: {}\n";
        let registry = crate::registry::load_text(text, crate::registry::Format::Yaml, file, None).expect("valid");
        let news = News {
            kind: NewsKind::WentBad,
            host: "web1".try_into().expect("a name"),
            service: Some("api".try_into().expect("a name")),
            problem: "unknown".into(),
            because: "it said\r\nBcc: all@example.net\r\n.\r\n".into(),
            says: vec!["tried\nthis".into()],
        };
        let letter = letter(&registry, &[news.clone(), news], Timestamp::UNIX_EPOCH);
        assert_eq!(letter.subject, "portoser: api on web1 went bad (and 1 more)");
        let lines: Vec<&str> = letter.text.split('\n').collect();
        assert_eq!(lines[..2], ["api on web1 went bad: it said  Bcc: all@example.net  .  ", "  tried this"]);
        assert_eq!((lines.len(), letter.text.contains('\r')), (7, false), "{lines:?}");
    }

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let signed = signature(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
