//! Clients, their secrets, and their tokens.

use std::{collections::HashMap, fmt::Write as _, io::Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};

/// The credentials of an API client.
#[derive(Clone)]
pub struct Credentials {
    /// The client's id, a UUID.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
}

/// One API client of the platform.
#[derive(Clone)]
pub(crate) struct Client {
    pub secret: String,
    pub tenant_id: String,
    pub created_at: Timestamp,
    pub last_token_at: Option<Timestamp>,
}

struct Token {
    client_id: String,
    expires_at: Timestamp,
}

/// All clients and tokens, and every secret ever issued.
#[derive(Default)]
pub(crate) struct Access {
    clients: HashMap<String, Client>,
    tokens: HashMap<String, Token>,
    issued: Vec<String>,
}

impl Access {
    pub fn add_client(&mut self, credentials: &Credentials, tenant_id: &str, now: Timestamp) {
        self.issued.push(credentials.client_secret.clone());
        let client = Client {
            secret: credentials.client_secret.clone(),
            tenant_id: tenant_id.to_owned(),
            created_at: now,
            last_token_at: None,
        };
        self.clients.insert(credentials.client_id.clone(), client);
    }

    pub fn client(&self, id: &str) -> Option<&Client> {
        self.clients.get(id)
    }

    /// Gives the client a new secret. The old one is refused from now on. Tokens stay valid.
    pub fn rotate(&mut self, client_id: &str) -> Option<String> {
        let client = self.clients.get_mut(client_id)?;
        client.secret = random_secret();
        self.issued.push(client.secret.clone());
        Some(client.secret.clone())
    }

    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// The client that an `Authorization: Basic` header authenticates.
    pub fn basic(&self, header: &str) -> Option<&str> {
        let bytes = BASE64_STANDARD.decode(credentials_of(header, "basic")?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (id, secret) = text.split_once(':')?;
        let (id, client) = self.clients.get_key_value(id)?;
        (client.secret == secret).then_some(id.as_str())
    }

    /// The client that an `Authorization: Bearer` header authenticates at `now`.
    pub fn bearer(&self, header: &str, now: Timestamp) -> Option<&str> {
        let token = self.tokens.get(credentials_of(header, "bearer")?)?;
        (now < token.expires_at).then_some(token.client_id.as_str())
    }

    /// Issues a token that lives for `lifetime`, and drops expired ones.
    pub fn issue(
        &mut self,
        client_id: &str,
        lifetime: SignedDuration,
        now: Timestamp,
    ) -> (String, Timestamp) {
        self.tokens.retain(|_, token| now < token.expires_at);
        let expires_at = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let token = format!("{}.{}", random_secret(), random_secret());
        if let Some(client) = self.clients.get_mut(client_id) {
            client.last_token_at = Some(now);
        }
        self.tokens.insert(token.clone(), Token { client_id: client_id.to_owned(), expires_at });
        self.issued.push(token.clone());
        (token, expires_at)
    }

    /// Records a secret that was issued with a token.
    pub fn record_secret(&mut self, secret: String) {
        self.issued.push(secret);
    }

    pub fn issued(&self) -> &[String] {
        &self.issued
    }
}

/// The credentials after the scheme, which is compared without case.
fn credentials_of<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = header.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

/// A random text. Every secret and token is made of such texts.
pub(crate) fn random_secret() -> String {
    let bytes: [u8; 20] = rand::random();
    let secret = bytes.iter().fold(String::with_capacity(40), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    });
    note_down(&secret);
    secret
}

/// The variable that names a file to record every secret in. `hack/leak-check` searches the output of all tests for
/// them.
const SECRETS_FILE: &str = "PLATFORM_SIMULATOR_SECRETS_FILE";

#[allow(clippy::panic)] // without the secrets, the leak check would find nothing
fn note_down(secret: &str) {
    let Some(path) = std::env::var_os(SECRETS_FILE) else { return };
    let lines = spellings(secret).join("\n") + "\n";
    let mut file = std::fs::OpenOptions::new();
    // One write for each, because many processes share the file.
    let noted =
        file.append(true).create(true).open(&path).and_then(|mut file| file.write_all(lines.as_bytes()));
    if let Err(error) = noted {
        panic!("cannot record a secret in {}: {error}", path.display());
    }
}

/// A secret in plain text, and in Base64 at each possible offset in a longer text.
fn spellings(secret: &str) -> Vec<String> {
    let shifted = |before: usize| {
        let text = BASE64_STANDARD.encode("\0".repeat(before) + secret);
        // Characters that encode a part of a neighbour are not the secret's own.
        let (first, last) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
        text[first..last].to_owned()
    };
    std::iter::once(secret.to_owned()).chain((0..3).map(shifted)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> (Access, Credentials) {
        let credentials = Credentials { client_id: "id".to_owned(), client_secret: "se:cret".to_owned() };
        let mut access = Access::default();
        access.add_client(&credentials, "tenant", Timestamp::UNIX_EPOCH);
        (access, credentials)
    }

    fn basic(id: &str, secret: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
    }

    #[test]
    fn only_the_right_secret_proves_a_client() {
        let (access, _) = access();
        assert_eq!(access.basic(&basic("id", "se:cret")), Some("id"));
        assert_eq!(access.basic(&basic("id", "se")), None);
        assert_eq!(access.basic(&basic("other", "se:cret")), None);
        assert_eq!(access.basic("Basic !!!"), None);
        assert_eq!(access.basic("Basic"), None);
    }

    #[test]
    fn a_secret_is_known_again_in_base64_wherever_it_stands() {
        let secret = random_secret();
        for before in ["", "a", "ab", "abc", "0fcd4a69-8a40-4de8-b711-d9c83dc000f7:"] {
            for after in ["", "x", "xy", "\n"] {
                let text = BASE64_STANDARD.encode(format!("{before}{secret}{after}"));
                let found = spellings(&secret).iter().any(|spelling| text.contains(spelling));
                assert!(found, "{before:?} {after:?}");
            }
        }
        let other = BASE64_STANDARD.encode(random_secret());
        assert!(!spellings(&secret).iter().any(|spelling| other.contains(spelling)));
    }

    #[test]
    fn a_token_ends_when_its_lifetime_does() {
        let (mut access, _) = access();
        let now = Timestamp::UNIX_EPOCH;
        let (token, expires_at) = access.issue("id", SignedDuration::from_secs(10), now);
        let header = format!("Bearer {token}");
        assert_eq!(access.bearer(&header, now), Some("id"));
        assert_eq!(access.bearer(&header, expires_at), None);
        assert_eq!(access.bearer("Bearer x", now), None);
        assert_eq!(access.bearer(&format!("Basic {token}"), now), None);
    }

    #[test]
    fn rotation_ends_the_old_secret_and_revocation_the_tokens() {
        let (mut access, old) = access();
        let now = Timestamp::UNIX_EPOCH;
        let (token, _) = access.issue("id", SignedDuration::from_secs(10), now);
        let new = access.rotate("id").unwrap();
        assert_eq!(access.basic(&basic("id", &old.client_secret)), None);
        assert_eq!(access.basic(&basic("id", &new)), Some("id"));
        assert!(access.bearer(&format!("Bearer {token}"), now).is_some());
        access.revoke_tokens();
        assert!(access.bearer(&format!("Bearer {token}"), now).is_none());
        assert_eq!(access.issued(), [old.client_secret, token, new]);
    }
}
