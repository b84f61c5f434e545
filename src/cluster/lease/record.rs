//! The content of the lease, as it is read and as it is written. Pure: the time is handed in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use tokio::time::Instant;

use super::LEASE_DURATION;

/// The lease as it was last seen to change.
///
/// The own clock when the change was *seen* counts. The timestamps in the lease come from the holder's clock.
#[derive(Debug, Default)]
pub(super) struct Observed {
    seen: Option<(LeaseSpec, Instant)>,
}

impl Observed {
    /// Records that the lease was read at `now`.
    pub(super) fn saw(&mut self, lease: &Lease, now: Instant) {
        let spec = lease.spec.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.seen = Some((spec, now));
        }
    }

    /// When the lease that was last seen can be taken over, unless it changes before.
    pub(super) fn expires(&self) -> Option<Instant> {
        let (spec, since) = self.seen.as_ref()?;
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        // Whatever duration the lease names: every holder counts on at least this one.
        let duration = seconds.map_or(LEASE_DURATION, Duration::from_secs).max(LEASE_DURATION);
        Some(*since + duration)
    }

    /// Whether `identity` may take the lease that was last seen, at `now`. It may if the lease has no holder, if
    /// `identity` holds it, or if it was not renewed for its whole duration.
    pub(super) fn is_free_for(&self, identity: &str, now: Instant) -> bool {
        let Some((spec, _)) = &self.seen else { return true };
        let holder = holder(spec);
        holder.is_empty() || holder == identity || self.expires().is_none_or(|at| at <= now)
    }

    /// The holder of the lease that was last seen.
    pub(super) fn holder(&self) -> &str {
        self.seen.as_ref().map_or("", |(spec, _)| holder(spec))
    }
}

pub(super) fn holder(spec: &LeaseSpec) -> &str {
    spec.holder_identity.as_deref().unwrap_or_default()
}

/// The holder of a lease, alive or not. Empty: no one holds it.
#[must_use]
pub fn holder_of(lease: &Lease) -> &str {
    lease.spec.as_ref().map_or("", holder)
}

/// The apparent holder of a lease, by its timestamps: good enough for a warning, not for taking it over.
#[must_use]
pub fn live_holder(lease: &Lease, now: Timestamp) -> Option<&str> {
    let spec = lease.spec.as_ref()?;
    let age = now.duration_since(spec.renew_time.as_ref()?.0);
    let is_alive = Duration::try_from(age).unwrap_or_default() < LEASE_DURATION;
    Some(holder(spec)).filter(|holder| is_alive && !holder.is_empty())
}

/// Whether the renewal time of a lease lies in the future. Its timestamps then say nothing.
#[must_use]
pub fn is_ahead(lease: &Lease, now: Timestamp) -> bool {
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
    renewed.is_some_and(|renewed| renewed.0.duration_since(now) > CLOCKS_DIFFER)
}

/// Whether the timestamps of a lease show that its holder is alive.
#[must_use]
pub fn is_fresh(lease: &Lease, now: Timestamp) -> bool {
    live_holder(lease, now).is_some() && !is_ahead(lease, now)
}

/// The most by which synchronized clocks of machines may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(2);

/// A new lease.
pub(super) fn created(name: &str, identity: &str, now: Timestamp) -> Lease {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    taken(&Lease { metadata, spec: None }, identity, now)
}

/// The lease with `identity` as its holder, acquired or renewed.
pub(super) fn taken(lease: &Lease, identity: &str, now: Timestamp) -> Lease {
    let before = lease.spec.clone();
    let is_own = before.as_ref().is_some_and(|spec| holder(spec) == identity);
    // As in client-go, the first holder is not a transition.
    let transitions = before
        .as_ref()
        .map_or(0, |spec| spec.lease_transitions.unwrap_or(0).saturating_add(i32::from(!is_own)));
    let acquired = before.as_ref().and_then(|spec| spec.acquire_time.clone()).filter(|_| is_own);
    let spec = LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
        acquire_time: Some(acquired.unwrap_or(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(transitions),
        ..before.unwrap_or_default()
    };
    Lease { spec: Some(spec), ..lease.clone() }
}

/// The lease after its release, so that no other replica has to wait for it.
pub(super) fn released(lease: &Lease, now: Timestamp) -> Lease {
    let spec = LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(now)),
        ..lease.spec.clone().unwrap_or_default()
    };
    Lease { spec: Some(spec), ..lease.clone() }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, pause};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn spec(lease: &Lease) -> LeaseSpec {
        lease.spec.clone().unwrap()
    }

    #[test]
    fn it_is_written_as_client_go_writes_it() {
        let first = created("lease", "one", at(0));
        assert_eq!(spec(&first).lease_transitions, Some(0));
        assert_eq!(spec(&first).lease_duration_seconds, Some(15));
        let renewed = taken(&first, "one", at(2));
        assert_eq!(spec(&renewed).acquire_time, Some(MicroTime(at(0))));
        assert_eq!(spec(&renewed).renew_time, Some(MicroTime(at(2))));
        assert_eq!(spec(&renewed).lease_transitions, Some(0), "it stays the same holder's");
        let second = taken(&renewed, "two", at(20));
        assert_eq!(spec(&second).holder_identity.as_deref(), Some("two"));
        assert_eq!(spec(&second).acquire_time, Some(MicroTime(at(20))));
        assert_eq!(spec(&second).lease_transitions, Some(1));
        let free = released(&second, at(30));
        assert_eq!(spec(&free).holder_identity.as_deref(), Some(""));
        assert_eq!(spec(&free).lease_duration_seconds, Some(1));
        assert_eq!(spec(&free).lease_transitions, Some(1));
        assert_eq!(spec(&taken(&free, "two", at(31))).lease_transitions, Some(2));
    }

    #[tokio::test]
    async fn a_lease_unchanged_for_its_duration_is_free() {
        pause();
        let mut observed = Observed::default();
        assert!(observed.is_free_for("two", Instant::now()), "there is none");
        // The renewal is long ago by the holder's clock, which does not count.
        let mut lease = created("lease", "one", at(-10_000));
        observed.saw(&lease, Instant::now());
        assert_eq!(observed.holder(), "one");
        assert!(observed.is_free_for("one", Instant::now()) && !observed.is_free_for("two", Instant::now()));
        advance(Duration::from_secs(14)).await;
        observed.saw(&lease, Instant::now());
        assert!(!observed.is_free_for("two", Instant::now()), "it has 15 s");
        lease = taken(&lease, "one", at(-9_999));
        observed.saw(&lease, Instant::now());
        advance(Duration::from_secs(14)).await;
        assert!(!observed.is_free_for("two", Instant::now()), "it was renewed");
        advance(Duration::from_secs(1)).await;
        assert!(observed.is_free_for("two", Instant::now()));
        observed.saw(&released(&taken(&lease, "one", at(0)), at(1)), Instant::now());
        assert!(observed.is_free_for("two", Instant::now()), "it was given up");
    }

    #[test]
    fn a_holder_with_a_recent_renewal_seems_alive() {
        let lease = created("lease", "one", at(0));
        assert_eq!(live_holder(&lease, at(14)), Some("one"));
        assert_eq!(live_holder(&lease, at(15)), None);
        assert_eq!(live_holder(&lease, at(-60)), Some("one"), "its clock is ahead");
        assert_eq!(live_holder(&released(&lease, at(3)), at(4)), None);
        assert_eq!(live_holder(&Lease::default(), at(0)), None);
    }

    #[test]
    fn a_renewal_that_has_not_come_yet_says_nothing() {
        let lease = created("lease", "one", at(0));
        assert!(is_ahead(&lease, at(-3600)) && is_ahead(&lease, at(-3)));
        assert!(!is_ahead(&lease, at(-2)) && !is_ahead(&lease, at(0)) && !is_ahead(&lease, at(60)));
        assert!(!is_ahead(&Lease::default(), at(0)));
    }

    #[tokio::test]
    async fn the_duration_that_counts_is_the_holders() {
        pause();
        let mut lease = created("lease", "one", at(0));
        lease.spec.as_mut().unwrap().lease_duration_seconds = Some(40);
        let mut observed = Observed::default();
        observed.saw(&lease, Instant::now());
        advance(Duration::from_secs(39)).await;
        assert!(!observed.is_free_for("two", Instant::now()));
        advance(Duration::from_secs(1)).await;
        assert!(observed.is_free_for("two", Instant::now()));
        // The duration is never less than what every holder counts on.
        lease.spec.as_mut().unwrap().lease_duration_seconds = Some(1);
        observed.saw(&lease, Instant::now());
        advance(LEASE_DURATION.checked_sub(Duration::from_millis(1)).unwrap()).await;
        assert!(!observed.is_free_for("two", Instant::now()));
        advance(Duration::from_millis(1)).await;
        assert!(observed.is_free_for("two", Instant::now()));
    }
}
