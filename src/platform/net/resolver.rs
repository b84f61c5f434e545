//! Resolves the platform's host name, and checks the addresses.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::not_public;
use crate::platform::{AllowedHosts, Origin};

type Answers = dyn Fn(&str) -> Option<Vec<IpAddr>> + Send + Sync;

/// Resolves host names: by the operating system, unless a test answers in its place.
#[derive(Clone, Default)]
pub struct Resolver(Option<Arc<Answers>>);

/// Resolves the names of one client, and returns only addresses that its origin may have.
///
/// The client connects to the very addresses that were checked. Each TCP connection resolves and checks the name again.
pub(in crate::platform) struct CheckedResolver {
    resolver: Resolver,
    origin: Origin,
    /// Whether the allow-list admits this host at any address.
    anywhere: bool,
}

/// The host has an address that the allow-list does not admit.
///
/// The message contains neither the address nor its kind. Otherwise the readers of a status could explore names in
/// networks that are not theirs.
#[derive(Debug, thiserror::Error)]
#[error(
    "{host} has an address here that is not public. The allow-list admits such an address only for a host that it \
     names with its port. If the address is meant, have {entry} added to --allowed-hosts"
)]
pub(in crate::platform) struct AddressNotAllowed {
    host: String,
    entry: String,
}

impl Resolver {
    /// Asks this function first, and the operating system where it returns `None`.
    #[cfg(any(test, feature = "test-support"))]
    #[must_use]
    pub fn from_function(answers: impl Fn(&str) -> Option<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(answers)))
    }

    /// Asks a file first, which has lines with an address and a name, as `/etc/hosts` has. It is read for each request.
    #[cfg(feature = "test-support")]
    #[must_use]
    pub fn from_file(path: std::path::PathBuf) -> Self {
        Self::from_function(move |name| {
            let lines = std::fs::read_to_string(&path).ok()?;
            let pairs = lines.lines().filter_map(|line| line.split_once(' '));
            let found: Vec<_> =
                pairs.filter(|(_, of)| *of == name).filter_map(|(address, _)| address.parse().ok()).collect();
            (!found.is_empty()).then_some(found)
        })
    }

    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        // The HTTP library sets the port of the URL.
        let found: Vec<_> = match self.0.as_ref().and_then(|answers| answers(name)) {
            Some(found) => found.into_iter().map(|address| SocketAddr::new(address, 0)).collect(),
            None => tokio::net::lookup_host((name, 0)).await?.collect(),
        };
        if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
    }
}

impl CheckedResolver {
    pub(in crate::platform) fn new(resolver: Resolver, origin: Origin, allowed: &AllowedHosts) -> Self {
        let anywhere = allowed.admits_anywhere(&origin);
        Self { resolver, origin, anywhere }
    }

    /// Refuses the name as a whole if one of its addresses is not public. A public service has no such address, so the
    /// other addresses of that answer cannot be trusted either.
    fn check(&self, host: &str, addresses: &[SocketAddr]) -> Result<(), AddressNotAllowed> {
        if self.anywhere {
            return Ok(());
        }
        let refused = |address: &SocketAddr| not_public(address.ip()).map(|kind| (address.ip(), kind));
        let Some((address, kind)) = addresses.iter().find_map(refused) else { return Ok(()) };
        tracing::debug!(host, %address, kind, "the host has an address that the allow-list does not admit");
        let entry = if self.origin.is_encrypted() {
            format!("{}:{}", self.origin.host(), self.origin.port())
        } else {
            self.origin.to_string()
        };
        Err(AddressNotAllowed { host: host.to_owned(), entry })
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let checked =
            Self { resolver: self.resolver.clone(), origin: self.origin.clone(), anywhere: self.anywhere };
        Box::pin(async move {
            let addresses = checked.resolver.addresses(name.as_str()).await?;
            checked.check(name.as_str(), &addresses)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Resolver")
    }
}
