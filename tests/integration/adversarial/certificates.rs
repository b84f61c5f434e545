//! Certificates that are not those of the platform, and a private authority that is.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;
use tenant_pricing_controller::{api::PlatformConnection, simulator::TenantSpec};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::the_rest_goes_on;
use crate::harness::{Test, has, reason, until_connection};

/// An authority that the system does not know.
pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// A new authority of this name.
pub(crate) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a server shows: for this name, signed by the authority, or self-signed.
pub(crate) fn certificate(name: &str, expired: bool, authority: Option<&Authority>) -> ServerConfig {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match authority {
        Some(authority) => params.signed_by(&key, authority),
        None => params.self_signed(&key),
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![certificate.unwrap().der().clone()];
    ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap()
}

/// The simulator behind TLS. Ends with the test's runtime.
pub(crate) async fn behind_tls(simulator: SocketAddr, config: ServerConfig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate disconnects here.
                let Ok(mut from) = acceptor.accept(stream).await else { return };
                let Ok(mut to) = TcpStream::connect(simulator).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    format!("https://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_server_is_refused_with_its_reason() {
    let test = Test::new("certificates").await;
    let simulator = test.simulator.address();
    let ours = authority("Our Own Authority");
    let bundle = ours.pem();
    // All but the last are trusted as far as the authority goes: only what is named is wrong with them.
    let cases = [
        ("wrong-name", certificate("eu2.lab.test", false, Some(&ours)), "is for another host"),
        ("expired", certificate("127.0.0.1", true, Some(&ours)), "has expired"),
        ("self-signed", certificate("127.0.0.1", false, None), "comes from an unknown authority"),
        (
            "another-authority",
            certificate("127.0.0.1", false, Some(&authority("Another"))),
            "comes from an unknown authority",
        ),
    ];
    let mut options = test.controller_options();
    test.connection("right", json!({})).await;
    let mut expected = Vec::new();
    for (name, config, words) in cases {
        let url = behind_tls(simulator, config).await;
        options.allowed_hosts.push(url.trim_start_matches("https://").to_owned());
        test.connection(name, json!({"url": url, "caBundle": bundle})).await;
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        test.production(name, &tenant, json!({"connectionRef": {"name": name}})).await;
        expected.push((name, words));
    }
    test.controller_with(&options).await;
    the_rest_goes_on(&test, "meanwhile").await;
    for (name, words) in expected {
        let said = until_connection(&test, name, "PlatformUnavailable").await;
        assert!(said.contains(&format!("the server's certificate {words}")), "{name}: {said}");
        assert!(!said.contains("lab.test"), "no text of the certificate is repeated: {said}");
        let object = test.until(name, "reports it", |object| has(object, "Reconciling", "True")).await;
        assert_eq!(reason(&object, "Reconciling"), "PlatformUnavailable", "{name}");
    }
    assert_eq!(test.simulator.tokens(), 1, "credentials went through the one that is right");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_while_it_is_in_the_bundle() {
    let test = Test::new("ca-bundle").await;
    let (ours, another) = (authority("Our Own Authority"), authority("Another"));
    let url = behind_tls(test.simulator.address(), certificate("127.0.0.1", false, Some(&ours))).await;
    let mut options = test.controller_options();
    options.allowed_hosts.push(url.trim_start_matches("https://").to_owned());
    test.connection("private", json!({"url": url, "caBundle": another.pem()})).await;
    test.connection("right", json!({})).await;
    test.controller_with(&options).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("private"));
    test.production("private", &tenant, json!({"connectionRef": {"name": "private"}})).await;
    let said = until_connection(&test, "private", "PlatformUnavailable").await;
    assert!(said.contains("comes from an unknown authority"), "{said}");

    let bundle = async |bundle: &str| {
        test.edit::<PlatformConnection>("private", json!({"spec": {"caBundle": bundle}})).await;
    };
    // Text that the API server accepts, because only a reader of the whole text sees the mistake.
    let garbage = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    bundle(&format!("{}{garbage}", ours.pem())).await;
    let object =
        test.until("private", "reports it", |object| reason(object, "Stalled") == "ConnectionNotReady").await;
    let said = until_message(&test, "certificate 2 of spec.caBundle cannot be read").await;
    assert!(said.contains("must be PEM text"), "{said}");
    let message = &object.status.as_ref().unwrap().conditions[0].message;
    assert!(message.contains("spec.caBundle") && message.contains("PEM text"), "{message}");
    the_rest_goes_on(&test, "meanwhile").await;
    let private_key = format!("{}-----BEGIN PRIVATE KEY-----", ours.pem());
    let too_long = format!("{}{}", ours.pem(), "#".repeat(16 * 1024));
    for refused in ["no PEM text", "/etc/ssl/certs/private.pem", &private_key, &too_long] {
        let patch = json!({"spec": {"caBundle": refused}}).to_string();
        let said = test.kubectl(&["patch", "pconn", "private", "--type=merge", "-p", &patch]).await.failure();
        assert!(said.contains("spec.caBundle"), "{said}");
    }

    bundle(&format!("# Another, then ours.\n{}\n{}", another.pem(), ours.pem())).await;
    test.until("private", "is switched", |object| has(object, "Production", "True")).await;
    until_connection(&test, "private", "CredentialsAccepted").await;

    bundle(&another.pem()).await;
    until_connection(&test, "private", "PlatformUnavailable").await;
    the_rest_goes_on(&test, "later").await;
    test.finish().await;
}

/// Waits until the first condition of the connection `private` has these words, and returns its whole message.
async fn until_message(test: &Test, words: &str) -> String {
    let said = |connection: &PlatformConnection| {
        let status = connection.status.as_ref()?;
        status.conditions.first().map(|condition| condition.message.clone())
    };
    let has_words =
        |connection: &PlatformConnection| said(connection).is_some_and(|message| message.contains(words));
    said(&test.until_connection("private", words, has_words).await).unwrap()
}
