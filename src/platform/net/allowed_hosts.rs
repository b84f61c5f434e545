//! Which hosts the controller may talk to.

use std::{fmt, str::FromStr};

use super::origin::without_secrets;
use crate::platform::Origin;

/// The allow-list of the controller: the hosts that may receive credentials.
///
/// An entry is `host`, `*.domain`, either with `:port`, and either with `http://` before it. Scheme and port
/// count: without `http://` only https is allowed, and without a port only the scheme's own. `*.domain`
/// stands for one or more labels below the domain, not for the domain itself.
///
/// The addresses of a name are checked too: they must be public, unless the entry names exactly one host, by
/// `host:port` or `http://host`. Such an entry admits the host at any address, in a private network or on this machine.
/// An entry that is an address admits that address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHosts(Vec<Entry>);

/// An entry cannot be parsed. The message quotes it (without user-info) and says how to correct it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the allowed host {entry:?} cannot be used: {problem}; an entry is host, *.domain, host:port or http://host:port"
)]
pub struct InvalidAllowedHost {
    entry: String,
    problem: String,
}

/// The origin is not on the allow-list. The message says what to do. It does not show the list, because the readers of
/// a status need not know the internal hosts in it. The log shows the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{origin} is not among the hosts that the controller may talk to; correct the URL, or have the host added with \
     --allowed-hosts"
)]
pub struct HostNotAllowed {
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Whether the entry means the hosts below `origin`'s host instead of that host.
    below: bool,
    /// Whether the entry admits the host at any address, and not only at a public one.
    anywhere: bool,
    origin: Origin,
}

impl AllowedHosts {
    /// Parses a comma-separated list. Spaces around an entry are ignored.
    ///
    /// # Errors
    /// [`InvalidAllowedHost`] for an entry of another form, or an empty one.
    pub fn parse(list: &str) -> Result<Self, InvalidAllowedHost> {
        list.split(',').map(|entry| entry.trim().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Checks an origin.
    ///
    /// # Errors
    /// [`HostNotAllowed`] when no entry admits its scheme, host and port.
    pub fn check(&self, origin: &Origin) -> Result<(), HostNotAllowed> {
        if self.0.iter().any(|entry| entry.admits(origin)) {
            return Ok(());
        }
        Err(HostNotAllowed { origin: origin.clone() })
    }

    /// Whether an entry admits the origin at an address that is not public.
    pub(in crate::platform) fn admits_anywhere(&self, origin: &Origin) -> bool {
        self.0.iter().any(|entry| entry.anywhere && entry.admits(origin))
    }
}

impl Entry {
    fn admits(&self, origin: &Origin) -> bool {
        let host_fits = if self.below {
            origin.host().strip_suffix(self.origin.host()).is_some_and(|labels| labels.ends_with('.'))
        } else {
            origin.host() == self.origin.host()
        };
        host_fits
            && origin.is_encrypted() == self.origin.is_encrypted()
            && origin.port() == self.origin.port()
    }
}

impl FromStr for Entry {
    type Err = InvalidAllowedHost;

    fn from_str(entry: &str) -> Result<Self, InvalidAllowedHost> {
        let refuse = |problem: String| InvalidAllowedHost { entry: without_secrets(entry), problem };
        if entry.is_empty() {
            return Err(refuse("it is empty".to_owned()));
        }
        let (scheme, authority) = entry.split_once("://").unwrap_or(("https", entry));
        let (below, authority) = match authority.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, authority),
        };
        if authority.contains('*') {
            return Err(refuse("a * may only stand for the labels before a domain".to_owned()));
        }
        let origin =
            Origin::parse(&format!("{scheme}://{authority}")).map_err(|error| refuse(error.to_string()))?;
        if below && !origin.host().bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Err(refuse("there is nothing below an address".to_owned()));
        }
        let names_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let anywhere = !below && (names_port || !origin.is_encrypted() || origin.is_address());
        Ok(Self { below, anywhere, origin })
    }
}

impl Default for AllowedHosts {
    /// `*.acronis.com`
    fn default() -> Self {
        let host = "acronis.com".to_owned();
        Self(vec![Entry { below: true, anywhere: false, origin: Origin::from_parts(true, host, 443) }])
    }
}

impl fmt::Display for AllowedHosts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{entry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stars = if self.below { "*." } else { "" };
        match self.origin.as_str().split_once("://") {
            Some(("http", authority)) => write!(formatter, "http://{stars}{authority}")?,
            Some((_, authority)) => write!(formatter, "{stars}{authority}")?,
            None => {}
        }
        // Without its port the entry would have another meaning.
        let counts = self.anywhere && self.origin.is_encrypted() && !self.origin.is_address();
        if counts && self.origin.port() == 443 { formatter.write_str(":443") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(list: &str, url: &str) -> bool {
        AllowedHosts::parse(list).unwrap().check(&Origin::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn the_default_admits_only_the_vendors_data_centres() {
        let default = AllowedHosts::default();
        assert_eq!(default, AllowedHosts::parse("*.acronis.com").unwrap());
        for url in
            ["https://eu2-cloud.acronis.com", "https://a.b.acronis.com", "https://EU2.ACRONIS.COM:443/"]
        {
            assert_eq!(default.check(&Origin::parse(url).unwrap()), Ok(()), "{url}");
        }
        for url in [
            "https://acronis.com",
            "https://evil-acronis.com",
            "https://eu2.acronis.com.evil.test",
            "https://acronis.com.evil.test",
            "https://eu2.acronis.co",
            "http://eu2-cloud.acronis.com",
            "https://eu2-cloud.acronis.com:8443",
            "http://eu2-cloud.acronis.com:443",
            "https://127.0.0.1",
        ] {
            assert!(default.check(&Origin::parse(url).unwrap()).is_err(), "{url}");
        }
    }

    #[test]
    fn scheme_and_port_count() {
        assert!(admits("eu2.test", "https://eu2.test"));
        assert!(!admits("eu2.test", "http://eu2.test"));
        assert!(!admits("eu2.test", "https://eu2.test:8443"));
        assert!(!admits("eu2.test", "https://a.eu2.test"));
        assert!(admits("eu2.test:8443", "https://eu2.test:8443"));
        assert!(!admits("eu2.test:8443", "https://eu2.test"));
        assert!(!admits("eu2.test:8443", "http://eu2.test:8443"));
        assert!(admits("http://127.0.0.1:8080", "http://127.0.0.1:8080"));
        assert!(!admits("http://127.0.0.1:8080", "https://127.0.0.1:8080"));
        assert!(!admits("http://127.0.0.1:8080", "http://127.0.0.1:8081"));
        assert!(admits("http://localhost", "http://localhost"));
        assert!(admits("http://[::1]:8080", "http://[::1]:8080"));
        assert!(admits("*.lab.test:8443", "https://eu2.lab.test:8443"));
    }

    #[test]
    fn only_an_entry_for_exactly_one_host_admits_private_addresses() {
        let anywhere = |list: &str, url: &str| {
            AllowedHosts::parse(list).unwrap().admits_anywhere(&Origin::parse(url).unwrap())
        };
        for (list, url) in [
            ("eu2.lab.test:443", "https://eu2.lab.test"),
            ("eu2.lab.test:8443", "https://eu2.lab.test:8443"),
            ("http://eu2.lab.test", "http://eu2.lab.test"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("10.0.0.7", "https://10.0.0.7"),
            ("[fd00::7]", "https://[fd00::7]"),
            ("*.lab.test,eu2.lab.test:443", "https://eu2.lab.test"),
        ] {
            assert!(anywhere(list, url), "{list} {url}");
        }
        for (list, url) in [
            ("eu2.lab.test", "https://eu2.lab.test"),
            ("*.lab.test", "https://eu2.lab.test"),
            ("*.lab.test:443", "https://eu2.lab.test"),
            ("*.lab.test:8443", "https://eu2.lab.test:8443"),
            ("http://*.lab.test", "http://eu2.lab.test"),
            ("*.lab.test,eu1.lab.test:443", "https://eu2.lab.test"),
            ("eu2.lab.test,eu2.lab.test:8443", "https://eu2.lab.test"),
            ("eu2.lab.test:443", "https://eu2.lab.test:8443"),
            ("eu2.lab.test:443", "http://eu2.lab.test:443"),
        ] {
            assert!(!anywhere(list, url), "{list} {url}");
        }
        let list = "eu2.lab.test:443,eu2.lab.test,*.lab.test,http://a.test,10.0.0.7,[fd00::7]:8443";
        assert_eq!(AllowedHosts::parse(list).unwrap().to_string(), list, "shown as it counts");
    }

    #[test]
    fn any_entry_is_enough_and_case_is_ignored() {
        let list = "*.acronis.com, http://127.0.0.1:8080 ,EU2.Test";
        assert!(admits(list, "https://eu2.test"));
        assert!(admits(list, "http://127.0.0.1:8080"));
        assert!(!admits(list, "https://other.test"));
        assert_eq!(
            AllowedHosts::parse(list).unwrap().to_string(),
            "*.acronis.com,http://127.0.0.1:8080,eu2.test"
        );
    }

    #[test]
    fn an_entry_that_is_too_wide_or_malformed_is_refused() {
        for list in [
            "",
            " ",
            "*",
            "*.",
            "*:443",
            "http://*",
            "*acronis.com",
            "eu2.*.com",
            "*.*.acronis.com",
            "*.acronis.com,",
            "*.127.0.0.1",
            "*.acronis.com.",
            "acronis.com/api",
            "user@acronis.com",
            "ftp://acronis.com",
            "acronís.com",
            "acronis.com:port",
        ] {
            let error = AllowedHosts::parse(list).expect_err(list);
            assert!(error.to_string().contains("an entry is host, *.domain"), "{error}");
        }
    }

    #[test]
    fn a_refusal_names_the_host_and_the_option_but_not_the_list() {
        let origin = Origin::parse("http://evil.test:81").unwrap();
        assert_eq!(
            AllowedHosts::default().check(&origin).unwrap_err().to_string(),
            "http://evil.test:81 is not among the hosts that the controller may talk to; correct the URL, or have \
             the host added with --allowed-hosts"
        );
    }
}
