//! TLS for checks: this machine's authorities, or those of one pinned file and no others. There is no way to skip
//! the proof; a service with a self-signed certificate pins that certificate.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Term, Verdict, certificate};
use crate::model::Tls;

type Verifier = Arc<dyn ServerCertVerifier>;

/// The certificate of a port that speaks TLS from its first byte. Nothing is said beyond the handshake.
pub(super) async fn shaken<S>(tls: &Tls, stream: S, until: Instant, within: Duration) -> Verdict
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    match timeout_at(until, wrap(tls, &[], stream)).await {
        Ok(Ok(mut stream)) => {
            // Whoever does not take the farewell has shown its certificate all the same.
            let _ = timeout_at(until, stream.shutdown()).await;
            Verdict::good(format!("the certificate for `{}` is good", tls.name)).lasting(term(&stream))
        }
        Ok(Err(verdict)) => verdict,
        Err(_) => unended(within.as_secs_f64()),
    }
}

pub(super) fn unended(secs: f64) -> Verdict {
    Verdict::bad(format!("connected, but the TLS handshake did not end within {secs} s"))
}

/// When the certificate that the other side showed is good.
pub(super) fn term<S>(stream: &TlsStream<S>) -> Option<Term> {
    certificate::term(stream.get_ref().1.peer_certificates()?.first()?)
}

/// The TLS stream over `stream`, once the certificate is proven; within it one of these protocols is spoken, or any.
pub(super) async fn wrap<S: AsyncRead + AsyncWrite + Send + Unpin>(
    tls: &Tls,
    protocols: &[&[u8]],
    stream: S,
) -> Result<TlsStream<S>, Verdict> {
    let name = ServerName::try_from(tls.name.clone())
        .map_err(|_| Verdict::Unseen(format!("{:?} cannot be the name of a certificate", tls.name)))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(tls.ca.as_deref(), &provider).map_err(Verdict::Unseen)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Verdict::Unseen(format!("TLS cannot be set up here: {e}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| failed(&error, &tls.name))
}

/// The same for whoever is no check; the machine's authorities prove the certificate.
pub async fn over_tls<S: AsyncRead + AsyncWrite + Send + Unpin>(name: &str, stream: S) -> Result<TlsStream<S>, String> {
    let tls = Tls { name: name.to_owned(), ca: None };
    wrap(&tls, &[b"http/1.1"], stream).await.map_err(|verdict| format!("{name}: {}", verdict.says()))
}

/// Who proves the certificate: the authorities in the file, or the machine's.
fn verifier(ca: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Verifier, String> {
    // Reading the machine's authorities takes milliseconds, and a gate asks many times.
    static MACHINE: OnceLock<Verifier> = OnceLock::new();
    if let Some(file) = ca {
        return pinned(file, provider);
    }
    if let Some(verifier) = MACHINE.get() {
        return Ok(verifier.clone());
    }
    let verifier: Verifier = Arc::new(
        rustls_platform_verifier::Verifier::new(provider.clone())
            .map_err(|e| format!("this machine's certificate authorities cannot be read: {e}"))?,
    );
    Ok(MACHINE.get_or_init(|| verifier).clone())
}

fn pinned(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Verifier, String> {
    let told = |e: &dyn std::fmt::Display| format!("cannot read the authorities in {}: {e}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| told(&e))? {
        roots.add(certificate.map_err(|e| told(&e))?).map_err(|e| told(&e))?;
    }
    if roots.is_empty() {
        return Err(told(&"it holds no certificate"));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    Ok(verifier.build().map_err(|e| told(&e))?)
}

/// A handshake that failed is seen: the service answered, and not as it must.
fn failed(error: &std::io::Error, name: &str) -> Verdict {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let cause = match inner {
        Some(Error::InvalidCertificate(fault)) => match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".into(),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".into(),
            CertificateError::UnknownIssuer => "its issuer is not trusted".into(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("it is not for `{name}`")
            }
            other => other.to_string(),
        },
        Some(Error::InvalidMessage(_)) => return Verdict::bad_with("does not speak TLS", vec![error.to_string()]),
        _ => return Verdict::bad_with("the TLS handshake failed", vec![error.to_string()]),
    };
    Verdict::bad(format!("the certificate is refused: {cause}"))
}
