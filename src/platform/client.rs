//! The client that the rest of the program uses.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::gate::Gate;
use super::put::PutTransport;
use super::token::{Need, Token, Tokens, bearer};
use super::transport::{Reply, Transport};
use super::wire::{self, ClientWire};
use super::{
    AllowedHosts, Answer, CredentialSource, ErrorClass, Origin, PlatformError, Pricing, Tenant, TenantId,
};

/// What a client is made of.
#[derive(Clone)]
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

/// A client for one platform with one set of credentials. Cheap to clone; clones share everything: the
/// connections, the token, and the pause that the platform asked for.
#[derive(Clone)]
pub struct PlatformClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    origin: Origin,
    transport: Transport,
    pub(super) put: PutTransport,
    pub(super) tokens: Tokens,
    /// The client id last seen, and the tenant that it acts in.
    own_tenant: Mutex<Option<(String, TenantId)>>,
}

/// What a read brought: the body of a 2xx answer, and the platform's time.
pub(super) struct Read {
    pub(super) body: Vec<u8>,
    pub(super) date: Option<Timestamp>,
    status: u16,
}

impl PlatformClient {
    /// Builds a client. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorClass::HostNotAllowed`] when the allow-list does not admit the origin,
    /// [`ErrorClass::InvalidConfiguration`] for a bad certificate bundle or proxy.
    pub fn new(options: ClientOptions, source: Arc<dyn CredentialSource>) -> Result<Self, PlatformError> {
        options.allowed_hosts.check(&options.origin).map_err(|error| {
            PlatformError::new("preparing the connection", ErrorClass::HostNotAllowed)
                .with_detail(error.to_string())
        })?;
        let gate = Arc::new(Gate::default());
        let transport = Transport::for_reads(&options, Arc::clone(&gate))?;
        let put = PutTransport::new(&options, gate)?;
        let tokens = Tokens::new(&options.origin, transport.clone(), source);
        let own_tenant = Mutex::new(None);
        Ok(Self { inner: Arc::new(Inner { origin: options.origin, transport, put, tokens, own_tenant }) })
    }

    /// The platform this client talks to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// The tenant in which the credentials act. Remembered as long as the client id stays the same.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn own_tenant(&self) -> Result<Answer<TenantId>, PlatformError> {
        let token = self.inner.tokens.obtain(Need::READ).await?;
        let remembered = self.inner.own_tenant.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((client_id, tenant)) = remembered
            && client_id == token.client_id()
        {
            return Ok(Answer { value: tenant, date: None });
        }
        self.verify().await
    }

    /// Tries the credentials with a request of its own, whatever is remembered, and returns the tenant in
    /// which they act.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn verify(&self) -> Result<Answer<TenantId>, PlatformError> {
        let operation = "reading the client's own tenant";
        let url = |token: &Token| self.url(&format!("/clients/{}", token.client_id()));
        let (read, token) = self.get_as(operation, url).await?;
        let client: ClientWire = wire::parse(&read.body).ok_or_else(|| read.malformed(operation))?;
        let remembered = (token.client_id().to_owned(), client.tenant_id.clone());
        *self.inner.own_tenant.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
        Ok(Answer { value: client.tenant_id, date: read.date })
    }

    /// One tenant.
    ///
    /// # Errors
    /// Any class that a read can end in; [`ErrorClass::Malformed`] also when another tenant came back, or one
    /// that lacks what decides over a switch.
    pub async fn tenant(&self, id: &TenantId) -> Result<Answer<Tenant>, PlatformError> {
        let operation = format!("reading tenant {id}");
        let read = self.get(&operation, self.url(&format!("/tenants/{id}"))).await?;
        match wire::tenant(&read.body).filter(|tenant| tenant.id == *id) {
            Some(value) => Ok(Answer { value, date: read.date }),
            None => Err(read.malformed(&operation)),
        }
    }

    /// The pricing settings of one tenant.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn pricing(&self, id: &TenantId) -> Result<Answer<Pricing>, PlatformError> {
        let operation = format!("reading the pricing settings of tenant {id}");
        let read = self.get(&operation, self.url(&format!("/tenants/{id}/pricing"))).await?;
        match wire::pricing(&read.body) {
            Some(value) => Ok(Answer { value, date: read.date }),
            None => Err(read.malformed(&operation)),
        }
    }

    /// The address of a resource: `path` starts with a slash and holds nothing that needs escaping.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/api/2{path}", self.inner.origin)
    }

    /// Reads `url`.
    pub(super) async fn get(&self, operation: &str, url: String) -> Result<Read, PlatformError> {
        self.get_as(operation, |_| url.clone()).await.map(|(read, _)| read)
    }

    /// Reads an address that may depend on who asks. A read that is answered 401 is repeated once, with a
    /// new token; nothing else is ever repeated here.
    async fn get_as(
        &self,
        operation: &str,
        url: impl Fn(&Token) -> String,
    ) -> Result<(Read, Arc<Token>), PlatformError> {
        let tokens = &self.inner.tokens;
        self.inner.transport.gate().check(operation)?;
        let mut token = tokens.obtain(Need::READ).await?;
        let mut reply = self.send(operation, &url(&token), &token).await?;
        if reply.status == 401 {
            tokens.answered_401(&token);
            token = tokens.obtain(Need::READ).await?;
            reply = self.send(operation, &url(&token), &token).await?;
        }
        let (status, date) = (reply.status, reply.date);
        let body = reply.into_body(operation, token.secret()).inspect_err(|error| {
            if error.class() == ErrorClass::Credentials {
                tokens.reject(&token, error.clone().renamed("calling the platform"));
            }
        })?;
        Ok((Read { body, date, status }, token))
    }

    async fn send(&self, operation: &str, url: &str, token: &Token) -> Result<Reply, PlatformError> {
        let transport = &self.inner.transport;
        transport.gate().check(operation)?;
        let mut request = transport.http().get(url);
        if let Some(value) = bearer(token.secret()) {
            request = request.header(reqwest::header::AUTHORIZATION, value);
        }
        transport.send(request).await.map_err(|failure| failure.into_error(operation))
    }
}

impl Read {
    /// The error for a body that makes no sense.
    pub(super) fn malformed(&self, operation: &str) -> PlatformError {
        PlatformError::new(operation, ErrorClass::Malformed).with_status(self.status)
    }
}

impl fmt::Debug for ClientOptions {
    /// Leaves out the proxy, whose URL may hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientOptions")
            .field("origin", &self.origin)
            .field("allowed_hosts", &self.allowed_hosts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PlatformClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PlatformClient").field("origin", &self.inner.origin).finish_non_exhaustive()
    }
}
