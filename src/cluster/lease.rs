//! Leader election on a `Lease`, as client-go does it: one replica acts, and the others stand by.
//!
//! It is written here, and not taken from a crate, because a switch needs more: leadership is a *deadline*
//! ([`Term::has_time_for`]) and not a flag.
//!
//! The term counts from the *start* of the last successful renewal. Both clocks of the process measure it, and the one
//! that shows more time counts. The replica that takes the lease over has always waited longer, because it counts from
//! when it saw the renewal. A process that was paused, or cannot reach the API server, knows from its own clocks alone
//! that its term is over.

mod age;
mod conflict;
mod elector;
mod record;
mod refusal;
mod term;
mod warnings;

use std::time::Duration;

pub(crate) use age::has_time;
pub use conflict::{LeaseConflict, find_conflicting, is_renewed};
pub use elector::{Elector, LeadershipState, identity};
pub use record::{holder_of, is_fresh};
#[cfg(feature = "cli")]
pub use record::{is_ahead, live_holder};
pub use term::{LeadershipFlag, Term};

/// A lease that was not renewed for this long may be taken over. client-go's components use the same duration.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);

/// A leader that cannot renew for this long stops leading, and goes on as a candidate.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// The pause between two tries to acquire or renew the lease.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// A request that must not be repeated ends at least this long before the lease can be taken over.
const MARGIN: Duration = Duration::from_secs(2);

/// The timeout of one request for the lease: two of them fit into [`RENEW_DEADLINE`], as in client-go. An API server
/// under load may take seconds for a write, and a shorter timeout costs it one more TLS handshake for each try.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
