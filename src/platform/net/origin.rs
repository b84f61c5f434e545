//! The origin of a platform: scheme, host and port.

use std::{fmt, net::Ipv4Addr};

use serde::{Serialize, Serializer};
use url::{Host, Url};

/// One platform: scheme, lower-case host, and port unless it is the scheme's own.
///
/// Two connections talk to the same platform exactly when their origins are equal, whatever their
/// credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    text: String,
    encrypted: bool,
    host: String,
    port: u16,
}

/// The text is not an origin. The message quotes it (without user-info) and says how to correct it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL {shown:?} cannot be used: {problem}")]
pub struct InvalidUrl {
    shown: String,
    problem: String,
}

impl Origin {
    /// Reads a data-centre URL such as `https://eu2-cloud.acronis.com`.
    ///
    /// Only the plain form is accepted. A URL parser tolerates much: percent-encoded hosts, backslashes for slashes,
    /// octal addresses, international names. Each of those is a way to write a host that a person misreads.
    ///
    /// # Errors
    /// [`InvalidUrl`] for a scheme other than `http` and `https`, user-info, a path beyond `/`, a query, or a fragment.
    /// Also for a host that is empty or international, ends with a dot, or is not written in the plain form.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let refuse = |problem: String| Err(InvalidUrl { shown: without_secrets(url), problem });
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse(
                "it has characters other than printable ASCII; write a plain host name, not an international one"
                    .to_owned(),
            );
        }
        if url.contains('@') {
            return refuse("it has user-info before an @; credentials belong in the Secret".to_owned());
        }
        let parsed = match Url::parse(url) {
            Ok(parsed) => parsed,
            Err(error) => return refuse(format!("{error}; write it as https://host")),
        };
        let encrypted = match parsed.scheme() {
            "https" => true,
            "http" => false,
            _ => return refuse("its scheme is neither https nor http; write it as https://host".to_owned()),
        };
        let (Some(host), Some(port)) = (parsed.host(), parsed.port_or_known_default()) else {
            return refuse("it has no host; write it as https://host".to_owned());
        };
        if let Host::Domain(domain) = &host
            && let Some(problem) = problem_with_domain(domain)
        {
            return refuse(problem);
        }
        let host = host.to_string();
        let origin = Self::from_parts(encrypted, host, port);
        if parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
            return refuse(format!(
                "it has a path, a query or a fragment; write the data centre's address alone, {origin}"
            ));
        }
        if origin.is_written_as(url) { Ok(origin) } else { refuse(format!("write it as {origin}")) }
    }

    /// The origin as text, such as `https://eu2-cloud.acronis.com`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme is `https`.
    pub(in crate::platform) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The host in lower case; an IPv6 address is in brackets.
    pub(in crate::platform) fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is an IP address rather than a name.
    pub(in crate::platform) fn is_address(&self) -> bool {
        self.host.starts_with('[') || self.host.parse::<Ipv4Addr>().is_ok()
    }

    /// The port, explicit or the default of the scheme.
    pub(in crate::platform) fn port(&self) -> u16 {
        self.port
    }

    pub(in crate::platform) fn from_parts(encrypted: bool, host: String, port: u16) -> Self {
        let (scheme, default_port) = if encrypted { ("https", 443) } else { ("http", 80) };
        let text = if port == default_port {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{port}")
        };
        Self { text, encrypted, host, port }
    }

    /// Whether `url` is a plain spelling of this origin: any case, with or without the default port, with or without a
    /// slash at the end.
    fn is_written_as(&self, url: &str) -> bool {
        let url = url.to_ascii_lowercase();
        let url = url.strip_suffix('/').unwrap_or(&url);
        let scheme = if self.encrypted { "https" } else { "http" };
        url == self.text || url == format!("{scheme}://{}:{}", self.host, self.port)
    }
}

/// The problem of a host name that the URL parser accepted, if any.
fn problem_with_domain(domain: &str) -> Option<String> {
    if domain.ends_with('.') {
        return Some(format!("its host ends with a dot; write {}", domain.trim_end_matches('.')));
    }
    let plain = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if domain.len() > 253 || !domain.split('.').all(plain) {
        return Some("its host is not a plain host name".to_owned());
    }
    if domain.split('.').any(|label| label.starts_with("xn--")) {
        return Some("its host is an international name, which is not supported".to_owned());
    }
    None
}

/// The URL as it may be displayed: without the text before an `@` and after a `?` or `#`, and not too long.
pub(super) fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    // An @ after the start of the query may still end a user-info with a ? in its password.
    let (prefix, rest) = match url.rfind('@') {
        Some(at) if at >= end => ("…", ""),
        Some(at) => ("…@", &url[at + 1..end]),
        None => ("", &url[..end]),
    };
    let shown: String = rest.chars().take(100).collect();
    let dots = if shown.len() < rest.len() { "…" } else { "" };
    format!("{prefix}{shown}{dots}")
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_one_origin_are_equal() {
        let origin = Origin::parse("https://eu2-cloud.acronis.com").unwrap();
        assert_eq!(origin.to_string(), "https://eu2-cloud.acronis.com");
        for spelling in [
            "https://eu2-cloud.acronis.com/",
            "https://eu2-cloud.acronis.com:443",
            "https://eu2-cloud.acronis.com:443/",
            "HTTPS://EU2-Cloud.Acronis.COM",
        ] {
            assert_eq!(Origin::parse(spelling).as_ref(), Ok(&origin), "{spelling}");
        }
        for other in [
            "http://eu2-cloud.acronis.com",
            "https://eu2-cloud.acronis.com:8443",
            "http://eu2-cloud.acronis.com:443",
        ] {
            assert_ne!(Origin::parse(other).unwrap(), origin, "{other}");
        }
    }

    #[test]
    fn plain_addresses_are_taken() {
        for (url, text) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("http://localhost:80", "http://localhost"),
            ("https://127.0.0.1", "https://127.0.0.1"),
        ] {
            assert_eq!(Origin::parse(url).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_url_that_can_be_misread_is_refused() {
        for url in [
            "",
            "eu2-cloud.acronis.com",
            "//eu2-cloud.acronis.com",
            "ftp://eu2-cloud.acronis.com",
            "file:///etc/passwd",
            "https://",
            "https:///",
            "https:eu2-cloud.acronis.com",
            "https:/eu2-cloud.acronis.com",
            "https:\\\\eu2-cloud.acronis.com",
            "https://eu2-cloud.acronis.com\\",
            "https://eu2-cloud.acronis.com\\.evil.test",
            "https://eu2-cloud.acronis.com/api/2",
            "https://eu2-cloud.acronis.com//",
            "https://eu2-cloud.acronis.com/.",
            "https://eu2-cloud.acronis.com?",
            "https://eu2-cloud.acronis.com/#",
            "https://eu2-cloud.acronis.com#@evil.test",
            "https://eu2-cloud.acronis.com.",
            "https://eu2-cloud..acronis.com",
            "https://.acronis.com",
            "https://*.acronis.com",
            "https://eu2-cloud.acronis.com@evil.test",
            "https://user:pass@eu2-cloud.acronis.com",
            "https://@eu2-cloud.acronis.com",
            "https://eu2-cloud.acronis.com:",
            "https://eu2-cloud.acronis.com:0443",
            "https://eu2-cloud.acronis.com:99999",
            "https://eu2-cloud.acronis.com:8443:443",
            "https://eu2-cloud.%61cronis.com",
            "https://evil.test%2f.acronis.com",
            "https://eu2-cloud.acrónis.com",
            "https://eu2-cloud.acronis。com",
            "https://ｅu2-cloud.acronis.com",
            "https://xn--eu2-cloud-x2a.acronis.com",
            " https://eu2-cloud.acronis.com",
            "https://eu2-cloud.acronis.com\n",
            "https://eu2-cloud.acro\tnis.com",
            "http://0x7f.1",
            "http://0177.0.0.1",
            "http://2130706433",
            "http://[0:0:0:0:0:0:0:1]",
            "http://[::1",
            "http://[fe80::1%25eth0]",
        ] {
            assert!(Origin::parse(url).is_err(), "{url:?} was taken as {:?}", Origin::parse(url));
        }
    }

    #[test]
    fn a_refusal_names_the_value_and_the_remedy() {
        let message = Origin::parse("https://eu2-cloud.acronis.com/api/2").unwrap_err().to_string();
        assert_eq!(
            message,
            "the URL \"https://eu2-cloud.acronis.com/api/2\" cannot be used: it has a path, a query or a \
             fragment; write the data centre's address alone, https://eu2-cloud.acronis.com"
        );
    }

    #[test]
    fn a_host_is_no_longer_than_a_name_can_be() {
        let url = |last: usize| format!("https://{}.{}", vec!["a".repeat(63); 3].join("."), "a".repeat(last));
        assert!(Origin::parse(&url(61)).is_ok(), "253 letters and dots");
        for last in [62, 63] {
            assert!(Origin::parse(&url(last)).is_err());
        }
    }

    #[test]
    fn a_refusal_shows_the_text_after_a_password_and_marks_cuts() {
        assert_eq!(without_secrets("https://user:hunter2@evil.test/x?y"), "…@evil.test/x");
        assert_eq!(without_secrets(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(without_secrets(&"a".repeat(101)), format!("{}…", "a".repeat(100)));
    }

    #[test]
    fn a_refusal_never_shows_what_may_be_a_password() {
        for url in [
            "https://user:hunter2@eu2-cloud.acronis.com",
            "https://user:hunter2@eu2-cloud.acronis.com@evil.test",
            "https://user:a?hunter2@eu2-cloud.acronis.com",
            "https://user:a#hunter2@eu2-cloud.acronis.com",
            "https://eu2-cloud.acronis.com?password=hunter2",
            "https://eu2-cloud.acronis.com/#hunter2",
            "hunter2@é",
        ] {
            let message = Origin::parse(url).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
