//! Leader election on a `Lease`, as client-go does it: of several replicas one acts, and the others stand by.
//!
//! Written here, and not taken from a crate, for what a switch needs to know: leadership is a *deadline*
//! ([`Term::has_time_for`]) and no flag. It is counted by the process's own clocks, of
//! which the one that says more counts, from the *start* of the last renewal that succeeded, so that the one that takes the
//! lease over has waited longer than that: it counts from when it saw the renewal. A process that was paused, or cannot
//! reach the API server, knows by its own clocks alone that its time is over.

mod age;
mod elector;
mod elsewhere;
mod record;
mod refusal;
mod term;
mod warnings;

use std::time::Duration;

pub(crate) use age::has_time;
pub use elector::{Elector, LeadershipState, identity};
pub use elsewhere::{Held, elsewhere, is_renewed};
pub use record::{is_ahead, live_holder};
pub use term::{LeadershipFlag, Term};

/// A lease that was not renewed for so long may be taken over. The duration of client-go's components.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);

/// A leader that could not renew for so long stops leading. It goes on as a candidate.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// The pause between two tries to get the lease or to renew it.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// What may not be repeated ends so long before the lease can be taken over.
const MARGIN: Duration = Duration::from_secs(2);

/// How long one request about the lease may take: several of them fit into [`RENEW_DEADLINE`].
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
