//! Who is told of news, as written.

use crate::registry::draft::SecretFrom;
use crate::registry::notify::{MailSecurity, NewsKind};
use crate::registry::number::{Choice, Named, Port, Time};
use crate::registry::read::{List, Many, draft};
use crate::registry::text::{Line, MailAddress, Word};

draft! {
    /// One who is told when something went bad, was healed, was given up, or was learned: a command, a webhook or people, by mail.
    struct Notify {
        /// A program of this machine and its words; it gets the news as JSON on its standard input.
        command: List<Word>,
        /// A URL that the news are posted to as JSON.
        webhook: Line,
        /// A file with the key by which a webhook's text is signed: `X-Portoser-Signature: sha256=` and its HMAC-SHA256.
        key_file: Line,
        /// People who are written to.
        mail: Mail,
        /// What is told: went-bad, healed, gave-up, learned; all, if not given.
        news: Many<Choice<NewsKind>>,
        /// The same is not told again within this time; 1h, if not given.
        cooldown: Time,
        /// How long it may take; 10s, if not given.
        timeout: Time,
    }
}

draft! {
    /// A mail server, and whom it brings the news.
    struct Mail requires ["server", "from", "to"] {
        /// The server's name, as its certificate has it, or an address.
        server: Line,
        /// Its port; if not given, 587 for starttls, 465 for tls, 25 for none.
        port: Port,
        /// How the way there is closed to others: starttls, if not given; tls from the first byte; or none.
        security: Choice<MailSecurity>,
        /// The sender, such as portoser@example.net.
        from: MailAddress,
        /// One who gets it, or a list of them.
        to: Many<MailAddress>,
        /// The name by which the server knows us, where it asks for one.
        user: Line,
        /// Where its password is found on this machine.
        password: SecretFrom,
    }
}

impl Named for MailSecurity {
    const WHAT: &'static str = "how a mail server is reached";
    const NAMES: &'static [(&'static str, Self)] =
        &[("starttls", Self::StartTls), ("tls", Self::Tls), ("none", Self::Open)];
}

impl Named for NewsKind {
    const WHAT: &'static str = "a kind of news";
    const NAMES: &'static [(&'static str, Self)] =
        &[("went-bad", Self::WentBad), ("healed", Self::Healed), ("gave-up", Self::GaveUp), ("learned", Self::Learned)];
}
