//! Credentials of the platform, each bound to the one origin that it may go to.
//!
//! A manifest under review may name any URL. Credentials that were given for one platform must never go to another one.
//! So every source of credentials here knows its origin before a manifest is read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures::{FutureExt, future::BoxFuture};
use secrecy::SecretString;

use crate::{
    cli::output::escape,
    platform::{CredentialError, CredentialSource, Credentials, Origin, stored_value},
};

/// The variable with the client id.
pub(crate) const CLIENT_ID_VARIABLE: &str = "TENANT_PRICING_CLIENT_ID";

/// The variable with the client secret.
pub(crate) const CLIENT_SECRET_VARIABLE: &str = "TENANT_PRICING_CLIENT_SECRET";

/// The most bytes of a file with a credential. The platform's are below a hundred.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Why there are no credentials for a platform. A sentence for the person who runs the command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The credentials are for another platform. Nothing is sent.
    #[error(
        "the credentials are for {given}, and {asked} was asked for: nothing is sent there. Give --url {asked} with \
         credentials of that platform, or correct spec.url"
    )]
    OtherOrigin {
        /// The origin of the credentials.
        given: Origin,
        /// The origin that a manifest or a flag names.
        asked: Origin,
    },
    /// There are none, or they cannot be read.
    #[error("{0}")]
    Unread(String),
}

/// Credentials for one origin.
#[derive(Clone)]
pub(crate) struct BoundCredentials {
    credentials: Credentials,
    origin: Origin,
}

impl BoundCredentials {
    /// Credentials for this origin.
    pub(crate) fn new(credentials: Credentials, origin: Origin) -> Self {
        Self { credentials, origin }
    }

    /// The credentials from the environment, or else from a folder laid out as a mounted Secret, for the origin that
    /// `--url` names. `None` if neither is given.
    ///
    /// # Errors
    /// One of the two variables is missing, or a file cannot be used. The error names it, and no value.
    pub(crate) fn given(folder: Option<&Path>, origin: &Origin) -> Result<Option<Self>, Unavailable> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let found = match (variable(CLIENT_ID_VARIABLE), variable(CLIENT_SECRET_VARIABLE), folder) {
            (Some(id), Some(secret), _) => {
                pair(&value(CLIENT_ID_VARIABLE, &id)?, &value(CLIENT_SECRET_VARIABLE, &secret)?)
            }
            (None, None, Some(folder)) => {
                let (id, secret) = (folder.join("clientId"), folder.join("clientSecret"));
                pair(&file(&id)?, &file(&secret)?)
            }
            (None, None, None) => return Ok(None),
            (id, _, _) => {
                let (set, missing) = if id.is_some() {
                    (CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE)
                } else {
                    (CLIENT_SECRET_VARIABLE, CLIENT_ID_VARIABLE)
                };
                return Err(Unavailable::Unread(format!("{set} is set and {missing} is not; set both")));
            }
        };
        Ok(Some(Self::new(found, origin.clone())))
    }

    /// These credentials, for requests to an origin.
    ///
    /// # Errors
    /// They are for another origin.
    pub(crate) fn for_origin(&self, asked: &Origin) -> Result<FixedCredentials, Unavailable> {
        if self.origin == *asked {
            return Ok(FixedCredentials(self.credentials.clone()));
        }
        Err(Unavailable::OtherOrigin { given: self.origin.clone(), asked: asked.clone() })
    }
}

/// Credentials that do not change while a command runs.
pub(crate) struct FixedCredentials(Credentials);

impl CredentialSource for FixedCredentials {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialError>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

fn pair(id: &str, secret: &str) -> Credentials {
    Credentials { client_id: id.to_owned(), client_secret: SecretString::from(secret) }
}

fn value(name: &str, text: &str) -> Result<String, Unavailable> {
    let unusable = |what: &str| {
        Unavailable::Unread(format!("{name}: the value {what}; store it as the platform showed it"))
    };
    stored_value(text).map(str::to_owned).map_err(unusable)
}

fn file(path: &PathBuf) -> Result<String, Unavailable> {
    let unread = |why: String| {
        Unavailable::Unread(format!("--credentials: {} cannot be used: {why}", escape::path(path)))
    };
    let length = fs::metadata(path).map_err(|error| unread(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(unread(format!("it has {length} bytes")));
    }
    let bytes = fs::read(path).map_err(|error| unread(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unread("it is not text".to_owned()))?;
    value(&escape::path(path), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::parse(url).unwrap()
    }

    #[test]
    fn credentials_go_to_their_own_origin_alone() {
        let bound = BoundCredentials::new(pair("id", "hush"), origin("https://eu.acronis.com"));
        assert!(bound.for_origin(&origin("https://eu.acronis.com")).is_ok());
        for other in ["https://us.acronis.com", "http://eu.acronis.com", "https://eu.acronis.com:8443"] {
            let error = bound.for_origin(&origin(other)).err().unwrap().to_string();
            assert!(error.starts_with("the credentials are for https://eu.acronis.com"), "{error}");
            assert!(error.contains("nothing is sent"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_folder_is_read_as_a_mounted_secret() {
        let folder = tempfile::tempdir().unwrap();
        let platform = origin("https://eu.acronis.com");
        let error = BoundCredentials::given(Some(folder.path()), &platform).err().unwrap().to_string();
        assert!(error.contains("clientId cannot be used"), "{error}");
        fs::write(folder.path().join("clientId"), "the-id\n").unwrap();
        fs::write(folder.path().join("clientSecret"), "hush\r\n").unwrap();
        let bound = BoundCredentials::given(Some(folder.path()), &platform).unwrap().unwrap();
        assert_eq!(bound.credentials.client_id, "the-id");
        fs::write(folder.path().join("clientSecret"), "").unwrap();
        let error = BoundCredentials::given(Some(folder.path()), &platform).err().unwrap().to_string();
        assert!(error.contains("clientSecret: the value is empty"), "{error}");
    }
}
