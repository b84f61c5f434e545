//! The client that the rest of the program uses.

use std::fmt;
use std::sync::Arc;

use super::{
    AllowedHosts, Answer, CredentialSource, ErrorClass, Origin, PlatformError, Pricing, PricingVersion,
    Tenant, TenantId,
};

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The platform to talk to.
    pub origin: Origin,
    /// The controller's allow-list, which must admit the origin.
    pub allowed_hosts: AllowedHosts,
    /// Certificate authorities to trust besides the system's, as PEM.
    pub ca_bundle: Option<String>,
    /// The proxy to use. Without it none is used, whatever the environment says.
    pub proxy: Option<url::Url>,
}

/// What became of a switch that was to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// Proven: no byte of the PUT left. There was no usable token, a pause was on, or no connection came up.
    NotSent(PlatformError),
    /// A complete 2xx head came back. What it did still has to be read.
    Accepted,
    /// A complete 3xx or 4xx head other than 408 and 499 came back: a definite refusal.
    Refused(PlatformError),
    /// Everything else (time limits, resets, 5xx, 408, 499, garbled answers): it may have taken effect.
    Unknown(PlatformError),
}

/// A client for one platform with one set of credentials. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct PlatformClient {
    inner: Arc<Inner>,
}

struct Inner {
    origin: Origin,
}

impl PlatformClient {
    /// Builds a client. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorClass::HostNotAllowed`] when the allow-list does not admit the origin,
    /// [`ErrorClass::InvalidConfiguration`] for a bad certificate bundle or proxy.
    pub fn new(options: ClientOptions, source: Arc<dyn CredentialSource>) -> Result<Self, PlatformError> {
        drop(source);
        Ok(Self { inner: Arc::new(Inner { origin: options.origin }) })
    }

    /// The platform this client talks to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// Forgets a rejection of the credentials, so that the next call tries them again. To be called when
    /// the Secret changed.
    pub fn reset(&self) {}

    /// The tenant in which the credentials act. Remembered as long as the client id stays the same.
    ///
    /// # Errors
    /// Any class that a read can end in.
    #[allow(clippy::unused_async)]
    pub async fn own_tenant(&self) -> Result<Answer<TenantId>, PlatformError> {
        Err(unfinished())
    }

    /// The tenants with these ids. Unknown, deleted and invisible ones are simply missing, and so is one
    /// that the platform described in a way that makes no sense.
    ///
    /// # Errors
    /// Any class that a read can end in.
    #[allow(clippy::unused_async)]
    pub async fn tenants(&self, ids: &[TenantId]) -> Result<Answer<Vec<Tenant>>, PlatformError> {
        let _ = ids;
        Err(unfinished())
    }

    /// One tenant.
    ///
    /// # Errors
    /// Any class that a read can end in.
    #[allow(clippy::unused_async)]
    pub async fn tenant(&self, id: &TenantId) -> Result<Answer<Tenant>, PlatformError> {
        let _ = id;
        Err(unfinished())
    }

    /// All tenants from `root` downwards, `root` included.
    ///
    /// # Errors
    /// Any class that a read can end in.
    #[allow(clippy::unused_async)]
    pub async fn subtree(&self, root: &TenantId) -> Result<Answer<Vec<Tenant>>, PlatformError> {
        let _ = root;
        Err(unfinished())
    }

    /// The pricing settings of one tenant.
    ///
    /// # Errors
    /// Any class that a read can end in.
    #[allow(clippy::unused_async)]
    pub async fn pricing(&self, id: &TenantId) -> Result<Answer<Pricing>, PlatformError> {
        let _ = id;
        Err(unfinished())
    }

    /// The ids of the customers of exactly this name, anywhere below the client's own tenant.
    ///
    /// # Errors
    /// Any class that a read can end in.
    #[allow(clippy::unused_async)]
    pub async fn customers_named(&self, name: &str) -> Result<Answer<Vec<TenantId>>, PlatformError> {
        let _ = name;
        Err(unfinished())
    }

    /// Makes sure that a switch could be sent at once: no pause is on, and a token is held that lives for
    /// another 30 seconds.
    ///
    /// # Errors
    /// Any class that a token fetch can end in, and [`ErrorClass::Throttled`] during a pause.
    #[allow(clippy::unused_async)]
    pub async fn ready_to_put(&self) -> Result<(), PlatformError> {
        Err(unfinished())
    }

    /// Switches a tenant from trial to production. The only function in the program that can send a PUT.
    #[allow(clippy::unused_async)]
    pub async fn switch_to_production(&self, id: &TenantId, version: PricingVersion) -> PutOutcome {
        let _ = (id, version);
        PutOutcome::NotSent(unfinished())
    }
}

impl fmt::Debug for PlatformClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PlatformClient").field("origin", &self.inner.origin).finish_non_exhaustive()
    }
}

fn unfinished() -> PlatformError {
    PlatformError::new("calling the platform", ErrorClass::InvalidConfiguration)
}
