//! URLs, allow-lists, proxies and certificates, as people write them.

use url::Url;

use super::*;
use crate::platform::net::transport::certificates;

/// Texts that resemble a URL. Some contain a marked password.
fn url() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-z0-9.-]{0,20}",
        Just("eu2-cloud.acronis.com".to_owned()),
        Just("[::1]".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("0x7f.1".to_owned()),
        // The host itself is shown.
        text().prop_filter("not a password", |text| !text.contains(MARK)),
    ];
    let scheme =
        prop::sample::select(&["", "http://", "https://", "HTTPS://", "https:", "ftp://", "https:\\\\"][..]);
    let user = prop::sample::select(&["", "user@", "user:LEAK~5eed@", "LEAK~5eed@", "a@b:LEAK~5eed@"][..]);
    let rest = prop::sample::select(
        &[
            "",
            "/",
            ":443",
            ":0",
            ":65536",
            ":8443/",
            "?LEAK~5eed",
            "#LEAK~5eed",
            "/?x=LEAK~5eed",
            "\\",
            "@evil.test#",
        ][..],
    );
    prop_oneof![
        1 => text().prop_filter("not a password", |text| !text.contains(MARK)),
        4 => (scheme, user, host, rest).prop_map(|(scheme, user, host, rest)| format!("{scheme}{user}{host}{rest}")),
    ]
}

/// Checks that text in the place of a password is not shown.
fn hides_passwords(text: &str, shown: &str) {
    let may_be_secret = text.split(['?', '#']).skip(1).chain(text.rsplit_once('@').map(|(before, _)| before));
    for part in may_be_secret {
        assert!(!part.contains(MARK) || !shown.contains(MARK), "{text:?}: {shown}");
    }
}

/// Checks that text in the place of a password is not shown, and that not much of the rest is.
fn hides(text: &str, shown: &str) {
    hides_passwords(text, shown);
    // A hundred characters. Each may be shown as an escape, in both notations.
    assert!(shown.len() < 3000, "{} characters for {text:?}", shown.len());
}

fn try_origin(text: &str) {
    match Origin::parse(text) {
        Ok(origin) => {
            assert_eq!(Origin::parse(origin.as_str()).as_ref(), Ok(&origin), "{text:?}");
            // The checked host is the one that the HTTP library connects to.
            let url = Url::parse(&format!("{origin}/api/2/tenants")).unwrap();
            assert_eq!(url.host_str(), Some(origin.host()), "{text:?}");
            assert_eq!(url.port_or_known_default(), Some(origin.port()), "{text:?}");
            assert_eq!(url.scheme() == "https", origin.is_encrypted(), "{text:?}");
            assert!(url.username().is_empty() && url.password().is_none());
            assert!(text.to_ascii_lowercase().contains(origin.host()), "{text:?} was read as {origin}");
        }
        Err(error) => hides(text, &format!("{error} {error:?}")),
    }
}

fn try_list(text: &str) {
    match AllowedHosts::parse(text) {
        Ok(list) => {
            let shown = list.to_string();
            assert_eq!(AllowedHosts::parse(&shown).as_ref(), Ok(&list), "{text:?} is shown as {shown}");
        }
        Err(error) => hides_passwords(text, &format!("{error} {error:?}")),
    }
}

fn try_proxy(text: &str) {
    match crate::platform::ProxyUrl::parse(text) {
        Ok(proxy) => assert!(!format!("{proxy:?}").contains(MARK)),
        Err(error) => assert!(!format!("{error} {error:?}").contains(MARK)),
    }
}

fn try_bundle(text: &str) {
    match certificates(text) {
        Ok(found) => assert!(!found.is_empty(), "{text}"),
        Err(error) => {
            assert_eq!(error.class(), ErrorClass::InvalidConfiguration);
            let shown = error.to_string();
            assert!(shown.contains("spec.caBundle") && !shown.contains(MARK), "{shown}");
        }
    }
}

#[test]
fn the_corpora_of_urls_allow_lists_and_certificates() {
    for (_, text) in corpus_texts("urls") {
        for text in [&*text, text.trim_end()] {
            try_origin(text);
            try_list(text);
            try_proxy(text);
        }
    }
    for (_, text) in corpus_texts("allow-lists") {
        try_list(text.trim_end());
    }
    install_tls_provider();
    for (_, text) in corpus_texts("certificates") {
        try_bundle(&text);
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_text_is_one_origin_or_is_refused_without_a_password(url in url()) {
        try_origin(&url);
        try_proxy(&url);
    }

    #[test]
    fn any_allow_list_that_is_read_is_shown_as_it_counts(
        entries in prop::collection::vec((prop::sample::select(&["", "*.", "http://", "http://*."][..]), url()), 1..4)
    ) {
        let entries: Vec<_> = entries.into_iter().map(|(prefix, url)| format!("{prefix}{url}")).collect();
        try_list(&entries.join(","));
    }

    #[test]
    fn a_wildcard_admits_only_public_hosts_below_it(
        domain in "[a-z]{1,8}(\\.[a-z]{2,5}){1,2}", host in "[a-z0-9-]{1,9}(\\.[a-z]{1,9}){0,3}", below in any::<bool>(),
    ) {
        let host = if below { format!("{host}.{domain}") } else { host };
        let list = AllowedHosts::parse(&format!("*.{domain}")).unwrap();
        if let Ok(origin) = Origin::parse(&format!("https://{host}")) {
            let expected = host.strip_suffix(&domain).is_some_and(|labels| labels.ends_with('.'));
            prop_assert_eq!(list.check(&origin).is_ok(), expected);
            prop_assert!(!list.admits_anywhere(&origin));
        }
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn any_bundle_is_trusted_as_a_whole_or_refused(
        pieces in prop::collection::vec(prop_oneof![
            Just(include_str!("../tls/authority.pem").to_owned()),
            Just("-----BEGIN CERTIFICATE-----\n".to_owned()),
            Just("-----END CERTIFICATE-----\n".to_owned()),
            Just("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned()),
            "[A-Za-z0-9+/=\n]{0,100}",
            text(),
        ], 0..5),
        cut in any::<prop::sample::Index>(),
    ) {
        install_tls_provider();
        let whole = pieces.concat();
        try_bundle(&whole);
        let end = (0..=cut.index(whole.len() + 1)).rev().find(|end| whole.is_char_boundary(*end)).unwrap();
        try_bundle(&whole[..end]);
    }
}
