//! TLS for http checks: this machine's authorities, or those of one pinned file and no others. There is no way to skip
//! the proof; a service with a self-signed certificate pins that certificate.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Verdict;
use crate::model::Tls;

type Verifier = Arc<dyn ServerCertVerifier>;

/// The TLS stream over `stream`, once the certificate is proven.
pub(super) async fn wrap<S: AsyncRead + AsyncWrite + Send + Unpin>(
    tls: &Tls,
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
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| failed(&error, &tls.name))
}

/// The same for whoever is no check; the machine's authorities prove the certificate.
pub async fn over_tls<S: AsyncRead + AsyncWrite + Send + Unpin>(name: &str, stream: S) -> Result<TlsStream<S>, String> {
    let tls = Tls { name: name.to_owned(), ca: None };
    wrap(&tls, stream).await.map_err(|verdict| format!("{name}: {}", verdict.says()))
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
