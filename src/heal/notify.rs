//! Who is told of news: programs and webhooks of the registry, side by side, each with its deadline. One who cannot be told stops
//! nothing and delays nobody.

use std::error::Error as _;
use std::sync::Arc;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinSet;

use crate::heal::news::{News, due, news};
use crate::heal::{HealFault, Healing};
use crate::journal::Journal;
use crate::model::hex;
use crate::registry::{Notify, NotifyTo, Registry};
use crate::secrets;
use crate::transport::{hand, post};

/// How often one is told who does not listen at first.
const TRIES: u32 = 2;

/// Tells what a healing brought that is new, and keeps it in the journal. What is new comes back, and who could not be told.
///
/// # Errors
/// When the journal cannot be read or written.
pub async fn notify(
    registry: &Registry,
    journal: &Journal,
    healing: &Healing,
    now: Timestamp,
) -> Result<(Vec<News>, Vec<String>), HealFault> {
    let name = registry.file.display().to_string();
    let before = journal.troubles(&name)?;
    let (all, mut after) = news(&before, healing, now);
    let mut tasks = JoinSet::new();
    for to in &registry.notify {
        let due = due(&all, &mut after, to, now);
        if !due.is_empty() {
            let text = document(registry, &due, now);
            let to = to.clone();
            tasks.spawn(async move { tell(&to, text).await });
        }
    }
    let mut complaints = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(told) => complaints.extend(told.err()),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    complaints.sort();
    // They are told before it is written that they were: told twice is better than not at all.
    if after != before {
        journal.keep_troubles(&name, &after)?;
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

async fn tell(to: &Notify, text: Arc<str>) -> Result<(), String> {
    let mut told = Ok(());
    for _ in 0..TRIES {
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
    fn the_signature_is_that_of_rfc_4231() {
        let signed = signature(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
