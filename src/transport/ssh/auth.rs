//! Proving who we are: certificates, the agent, key files, and what a person types. Each attempt counts against the
//! server's MaxAuthTries, so what is most likely right goes first. russh asks whether a key is known before it signs with it,
//! which is a round trip that we cannot save.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey, load_openssh_certificate};
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::transport::Lost;

use super::client::{Client, Seen};
use super::keys::{Held, KeyFile, Keys, Prompter, Proof, Question};
use super::target::Target;

/// How long the server or the agent may take over one attempt. A person's own time is not counted.
const ATTEMPT: Duration = Duration::from_secs(15);

/// How often a server may ask on; one that asks for ever would hold a person for ever.
const QUESTIONS: u32 = 16;

/// sshd hangs up after MaxAuthTries failures, 6 by default.
const MOST_TRIES: usize = 6;

/// How often the server's questions are answered wrongly before we give up.
const ROUNDS: usize = 3;

type Agent = AgentClient<UnixStream>;

/// One connection's way through authentication.
pub(super) struct Login<'a> {
    pub(super) handle: &'a mut Handle<Client>,
    pub(super) target: &'a Target,
    pub(super) keys: &'a Keys,
    pub(super) prompter: Option<&'a Prompter>,
    seen: &'a Mutex<Seen>,
    tried: Vec<String>,
    offered: MethodSet,
    tries: usize,
    rsa: Option<Option<HashAlg>>,
    /// How long the agent did not answer.
    mute: Option<Duration>,
}

impl<'a> Login<'a> {
    pub(super) fn new(
        handle: &'a mut Handle<Client>,
        target: &'a Target,
        keys: &'a Keys,
        prompter: Option<&'a Prompter>,
        seen: &'a Mutex<Seen>,
    ) -> Self {
        let offered = MethodSet::client_supported();
        Self { handle, target, keys, prompter, seen, tried: Vec::new(), offered, tries: 0, rsa: None, mute: None }
    }

    /// Tries each way in turn; returns the one that let us in.
    ///
    /// # Errors
    /// `Lost::Authentication` with what was tried, `Lost::TimedOut`, or `Lost::Link`.
    pub(super) async fn run(mut self) -> Result<String, Lost> {
        self.enter().await?;
        // What was tried last is what the server took.
        Ok(self.tried.pop().unwrap_or_default())
    }

    async fn enter(&mut self) -> Result<(), Lost> {
        let mut files = Vec::new();
        for path in &self.target.identity {
            files.extend(self.keys.file(path).await);
        }
        let mut agent = self.agent().await;
        let held = self.held(agent.as_mut()).await;
        for (name, proof) in self.proofs(&files, &held) {
            if self.with(name, &proof, agent.as_mut()).await? {
                return Ok(());
            }
        }
        for file in files.iter().filter(|file| file.open.is_none()) {
            if self.encrypted(file).await? {
                return Ok(());
            }
        }
        if self.prompter.is_some() && self.typed().await? {
            return Ok(());
        }
        // Where the link was cut before anything was tried there, nobody refused us.
        Err(if self.tries == 0 && self.handle.is_closed() { self.gone() } else { self.failed() })
    }

    fn failed(&self) -> Lost {
        let offered = match self.tries {
            0 => Vec::new(),
            _ => self.offered.iter().map(String::from).collect(),
        };
        Lost::Authentication { user: self.target.user.clone(), tried: self.tried.clone(), offered, mute: self.mute }
    }

    /// The connection is gone: by the server's word, which is its answer to too many tries, or without one.
    fn gone(&self) -> Lost {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.hung_up {
            return self.failed();
        }
        seen.ended.clone().unwrap_or_else(|| Lost::Link { what: "the connection was closed".into() })
    }

    async fn agent(&mut self) -> Option<Agent> {
        let socket = self.target.agent.as_ref()?;
        match timeout(ATTEMPT, AgentClient::connect_uds(socket)).await {
            Ok(Ok(agent)) => Some(agent),
            // An agent that is gone is no reason to fail while there may be key files.
            _ => None,
        }
    }

    /// What the agent holds. One that is forwarded over a link that is gone does not answer, and that is told where nothing else lets
    /// us in.
    async fn held(&mut self, agent: Option<&mut Agent>) -> Vec<AgentIdentity> {
        let Some(agent) = agent else { return Vec::new() };
        match timeout(ATTEMPT, agent.request_identities()).await {
            Ok(held) => held.unwrap_or_default(),
            Err(_) => {
                self.mute = Some(ATTEMPT);
                Vec::new()
            }
        }
    }

    /// What can be tried without asking anybody, the most likely first.
    fn proofs(&self, files: &[KeyFile], held: &[AgentIdentity]) -> Vec<(String, Proof)> {
        let mut proofs = Vec::new();
        self.certificates(files, held, &mut proofs);
        let agent_has = |public: &PublicKey| {
            held.iter().any(|held| matches!(held, AgentIdentity::PublicKey { key, .. } if same(key, public)))
        };
        for file in files {
            match (&file.open, &file.public) {
                (Some(key), _) => proofs.push((name_of(file), Proof::Key(key.clone()))),
                (None, Some(public)) if agent_has(public) => {
                    proofs.push((format!("agent {}", file.path.display()), Proof::AgentKey(public.clone())));
                }
                _ => {}
            }
        }
        if !self.target.identities_only {
            for identity in held {
                let AgentIdentity::PublicKey { key, comment } = identity else { continue };
                let named = files.iter().any(|file| file.public.as_ref().is_some_and(|public| same(public, key)));
                if !named {
                    proofs.push((format!("agent {comment}"), Proof::AgentKey(key.clone())));
                }
            }
        }
        proofs
    }

    /// Certificates beside the keys, those that the configuration names, and those that the agent holds.
    fn certificates(&self, files: &[KeyFile], held: &[AgentIdentity], proofs: &mut Vec<(String, Proof)>) {
        let named = self.target.certificates.iter().filter_map(|path| load_openssh_certificate(path).ok());
        let beside = files.iter().flat_map(|file| file.certificates.iter().cloned());
        for certificate in named.chain(beside) {
            let public = PublicKey::from(certificate.public_key().clone());
            let name = format!("certificate {}", certificate.key_id());
            let ours = files.iter().filter_map(|file| file.open.as_ref()).find(|key| same(key.public_key(), &public));
            let in_agent =
                held.iter().any(|held| matches!(held, AgentIdentity::PublicKey { key, .. } if same(key, &public)));
            match ours {
                Some(key) => proofs.push((name, Proof::Certificate(key.clone(), Box::new(certificate)))),
                None if in_agent => proofs.push((name, Proof::AgentCertificate(Box::new(certificate)))),
                None => {}
            }
        }
        for identity in held {
            let AgentIdentity::Certificate { certificate, .. } = identity else { continue };
            let public = PublicKey::from(certificate.public_key().clone());
            let named = files.iter().any(|file| file.public.as_ref().is_some_and(|key| same(key, &public)));
            if named || !self.target.identities_only {
                let name = format!("agent certificate {}", certificate.key_id());
                proofs.push((name, Proof::AgentCertificate(Box::new(certificate.clone()))));
            }
        }
    }

    /// One attempt with one proof; true when it let us in.
    async fn with(&mut self, name: String, proof: &Proof, agent: Option<&mut Agent>) -> Result<bool, Lost> {
        if !self.may(MethodKind::PublicKey) {
            return Ok(false);
        }
        let user = self.target.user.clone();
        let what = format!("authentication with {name}");
        let algorithm = match proof {
            Proof::Key(key) | Proof::Certificate(key, _) => key.algorithm(),
            Proof::AgentKey(key) => key.algorithm(),
            Proof::AgentCertificate(certificate) => certificate.algorithm(),
        };
        let hash = self.hash_for(&algorithm).await?;
        self.tried.push(name);
        let attempt = async {
            match (proof, agent) {
                (Proof::Key(key), _) => {
                    let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
                    self.handle.authenticate_publickey(user, key).await.map_err(|error| error.to_string())
                }
                (Proof::Certificate(key, certificate), _) => {
                    // russh's own way with a certificate signs with SHA-1 when the key is RSA.
                    let certificate = certificate.as_ref().clone();
                    let mut held = Held(key.clone());
                    let attempt = self.handle.authenticate_certificate_with(user, certificate, hash, &mut held);
                    attempt.await.map_err(|error| error.to_string())
                }
                (Proof::AgentKey(key), Some(agent)) => {
                    let attempt = self.handle.authenticate_publickey_with(user, key.clone(), hash, agent);
                    attempt.await.map_err(|error| error.to_string())
                }
                (Proof::AgentCertificate(certificate), Some(agent)) => {
                    let certificate = certificate.as_ref().clone();
                    let attempt = self.handle.authenticate_certificate_with(user, certificate, hash, agent);
                    attempt.await.map_err(|error| error.to_string())
                }
                (_, None) => Err("the agent is gone".into()),
            }
        };
        match timeout(ATTEMPT, attempt).await {
            Err(_) => Err(Lost::TimedOut { what, after: ATTEMPT }),
            Ok(Ok(result)) => self.judge(result),
            Ok(Err(says)) => {
                // The agent would not sign (locked, or a person said no). The server has not counted it.
                if let Some(name) = self.tried.last_mut() {
                    *name = format!("{name} ({says})");
                }
                if self.handle.is_closed() { Err(self.gone()) } else { Ok(false) }
            }
        }
    }

    /// The hash that the server takes for RSA; other keys have none to choose.
    async fn hash_for(&mut self, algorithm: &Algorithm) -> Result<Option<HashAlg>, Lost> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(None);
        }
        if let Some(hash) = self.rsa {
            return Ok(hash);
        }
        let best = self.handle.best_supported_rsa_hash().await;
        let best = best.map_err(|error| Lost::Link { what: error.to_string() })?;
        // A server that does not say is asked for SHA-2 all the same: SHA-1 signatures are not made.
        let hash = best.flatten().or(Some(HashAlg::Sha256));
        self.rsa = Some(hash);
        Ok(hash)
    }

    fn may(&self, method: MethodKind) -> bool {
        self.tries < MOST_TRIES && self.offered.contains(&method) && !self.handle.is_closed()
    }

    fn judge(&mut self, result: AuthResult) -> Result<bool, Lost> {
        self.tries += 1;
        match result {
            AuthResult::Success => Ok(true),
            AuthResult::Failure { remaining_methods, .. } => {
                // russh says "no methods" for a connection that is gone too; keep what the server last offered.
                if !remaining_methods.is_empty() {
                    self.offered = remaining_methods;
                } else if self.handle.is_closed() {
                    return Err(self.gone());
                }
                Ok(false)
            }
        }
    }

    async fn encrypted(&mut self, file: &KeyFile) -> Result<bool, Lost> {
        if !self.may(MethodKind::PublicKey) {
            return Ok(false);
        }
        let Some(key) = self.keys.opened(&file.path, self.prompter).await else {
            self.tried.push(format!("{} (encrypted, no passphrase)", name_of(file)));
            return Ok(false);
        };
        for certificate in &file.certificates {
            let name = format!("certificate {}", certificate.key_id());
            let proof = Proof::Certificate(key.clone(), Box::new(certificate.clone()));
            if self.with(name, &proof, None).await? {
                return Ok(true);
            }
        }
        self.with(name_of(file), &Proof::Key(key), None).await
    }

    /// What a person types: the server's own questions, else the password.
    async fn typed(&mut self) -> Result<bool, Lost> {
        if self.tries == 0 {
            // Nothing was tried yet, so the server has not said what it offers.
            let result = timeout(ATTEMPT, self.handle.authenticate_none(self.target.user.clone())).await;
            if self.answered(result, "authentication")? {
                self.tried.push("nothing".into());
                return Ok(true);
            }
        }
        for round in 0..ROUNDS {
            if self.may(MethodKind::KeyboardInteractive) {
                if self.interactive().await? {
                    return Ok(true);
                }
            } else if self.may(MethodKind::Password) {
                let (user, host) = (self.target.user.clone(), self.target.label.clone());
                let question = Question::Password { user, host, again: round > 0 };
                let Some(password) = self.ask(question).await else { return Ok(false) };
                self.tried.push("password".into());
                let attempt = self.handle.authenticate_password(self.target.user.clone(), password);
                let result = timeout(ATTEMPT, attempt).await;
                if self.answered(result, "authentication by password")? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn answered(
        &mut self,
        result: Result<Result<AuthResult, russh::Error>, Elapsed>,
        what: &str,
    ) -> Result<bool, Lost> {
        match result {
            Ok(Ok(result)) => self.judge(result),
            Ok(Err(error)) => Err(Lost::Link { what: error.to_string() }),
            Err(_) => Err(Lost::TimedOut { what: what.into(), after: ATTEMPT }),
        }
    }

    async fn ask(&self, question: Question) -> Option<String> {
        let prompter = self.prompter?.clone();
        let answer = tokio::task::spawn_blocking(move || prompter(&question)).await.ok().flatten()?;
        String::from_utf8(answer.reveal_for_sending().to_vec()).ok()
    }

    async fn interactive(&mut self) -> Result<bool, Lost> {
        use KeyboardInteractiveAuthResponse as Response;
        let late = || Lost::TimedOut { what: "keyboard-interactive authentication".into(), after: ATTEMPT };
        let lost = |error: russh::Error| Lost::Link { what: error.to_string() };
        self.tried.push("keyboard-interactive".into());
        let start = self.handle.authenticate_keyboard_interactive_start(self.target.user.clone(), None);
        let mut response = timeout(ATTEMPT, start).await.map_err(|_| late())?.map_err(lost)?;
        for _ in 0..QUESTIONS {
            let prompts = match response {
                Response::Success => return Ok(true),
                Response::Failure { remaining_methods, partial_success } => {
                    return self.judge(AuthResult::Failure { remaining_methods, partial_success });
                }
                Response::InfoRequest { prompts, .. } => prompts,
            };
            let mut answers = Vec::new();
            for prompt in prompts {
                let host = self.target.label.clone();
                let question = Question::Server { host, prompt: prompt.prompt, echo: prompt.echo };
                let Some(answer) = self.ask(question).await else {
                    self.offered.remove(MethodKind::KeyboardInteractive);
                    return Ok(false);
                };
                answers.push(answer);
            }
            let respond = self.handle.authenticate_keyboard_interactive_respond(answers);
            response = timeout(ATTEMPT, respond).await.map_err(|_| late())?.map_err(lost)?;
        }
        self.offered.remove(MethodKind::KeyboardInteractive);
        Ok(false)
    }
}

fn name_of(file: &KeyFile) -> String {
    format!("key {}", file.path.display())
}

fn same(one: &PublicKey, other: &PublicKey) -> bool {
    one.key_data() == other.key_data()
}
