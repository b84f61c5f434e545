//! Which certificates are trusted: the system's roots, read once for the whole program, and those of a connection.

use std::sync::{Arc, OnceLock};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;

/// The size of the cache of TLS sessions. A client talks to one server, so a small cache is enough. Clients do not
/// share it, because a resumed session is not verified again.
const MAX_TLS_SESSIONS: usize = 8;

/// The system's roots. A thousand connections with a store each would take a hundred mebibytes.
static SYSTEM: OnceLock<Arc<Verifier>> = OnceLock::new();

fn system(provider: &Arc<CryptoProvider>) -> Result<Arc<Verifier>, Error> {
    if let Some(system) = SYSTEM.get() {
        return Ok(Arc::clone(system));
    }
    // A failure is not remembered: its cause may be temporary, such as too many open files.
    let read = Arc::new(Verifier::new(Arc::clone(provider))?);
    Ok(Arc::clone(SYSTEM.get_or_init(|| read)))
}

/// The configuration of a client that trusts the system's roots and `bundle`.
pub(in crate::platform) fn config(
    bundle: Option<Vec<CertificateDer<'static>>>,
) -> Result<ClientConfig, Error> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .ok_or_else(|| Error::General("no TLS provider is installed".to_owned()))?;
    let system = system(&provider);
    let verifier: Arc<dyn ServerCertVerifier> = match bundle {
        None => system?,
        Some(certificates) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                roots.add(certificate)?;
            }
            let bundle = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
            let bundle = bundle.build().map_err(|error| Error::General(error.to_string()))?;
            // A bundle also works where the system has no roots.
            Arc::new(WithBundle { system: system.ok(), bundle })
        }
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(MAX_TLS_SESSIONS);
    Ok(config)
}

/// Trusts the system's roots and those of one connection.
#[derive(Debug)]
struct WithBundle {
    system: Option<Arc<Verifier>>,
    bundle: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for WithBundle {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by = |verifier: &dyn ServerCertVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let Some(of_system) = self.system.as_deref().map(|system| by(system)) else {
            return by(&*self.bundle);
        };
        of_system.or_else(|of_system| match by(&*self.bundle) {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Err(of_system),
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.bundle.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.bundle.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.bundle.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_roots_are_read_once() {
        crate::platform::install_tls_provider();
        let provider = CryptoProvider::get_default().unwrap();
        let (Ok(one), Ok(other)) = (system(provider), system(provider)) else { return };
        assert!(Arc::ptr_eq(&one, &other));
    }
}
