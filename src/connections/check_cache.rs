//! The results of the last check of each connection.

use std::{collections::HashMap, ops::RangeInclusive, time::Duration};

use parking_lot::Mutex;
use rand::RngExt;
use tokio::time::Instant;

use super::{SpecRevision, status::CheckResult};
use crate::{
    api::{PlatformConnection, reconcile_now},
    cluster::Key,
};

/// A connection that does not work is checked again after this time. A corrected Secret takes effect within it.
const RETRY: Duration = Duration::from_secs(30);

/// The shortest pause before another check, however short a pause the platform asks for.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The Secret of a connection that works is read again after a random time in this range. A deleted or changed Secret
/// is noticed within 30 s, and a thousand connections do not read theirs in the same second.
const SECRET_CHECK_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(27)..=Duration::from_secs(29);

/// The range for the first time is wider, which spreads connections that were checked together.
const FIRST_SECRET_CHECK: RangeInclusive<Duration> = Duration::from_secs(16)..=Duration::from_secs(29);

/// What is known of a connection before a check.
#[derive(Debug)]
pub(super) enum LastCheck {
    /// The last result still holds.
    Holds(CheckResult),
    /// The last result holds if the Secret has not changed.
    WithSecret(CheckResult),
    /// A check is due.
    Nothing,
}

/// The last result for each connection. While it holds, a reconcile for another reason (its counters, its Secret) sends
/// nothing to the platform.
#[derive(Default)]
pub struct CheckCache(Mutex<HashMap<Key, CachedCheck>>);

struct CachedCheck {
    revision: ConnectionRevision,
    result: CheckResult,
    /// When the next check is due if nothing happens.
    next_check: Option<Instant>,
}

/// A new check is due when this changes: the object, its spec, or the requested reconcile.
#[derive(PartialEq, Eq)]
struct ConnectionRevision {
    spec: SpecRevision,
    reconcile_now: Option<String>,
}

impl CheckCache {
    /// The last result, unless a check is due. A check is due in each of these cases:
    /// * The connection is another object, or has another spec.
    /// * A user requests the check.
    /// * A healthy connection has become `unhealthy`.
    /// * The time of the next check has come.
    pub(super) fn last(&self, connection: &PlatformConnection, unhealthy: bool) -> LastCheck {
        let checks = self.0.lock();
        let Some(last) =
            checks.get(&Key::of(connection)).filter(|last| last.revision == revision(connection))
        else {
            return LastCheck::Nothing;
        };
        let is_over = last.next_check.is_some_and(|at| at <= Instant::now());
        match &last.result {
            CheckResult::Failed(_) | CheckResult::Paused(..) if is_over => LastCheck::Nothing,
            CheckResult::Failed(_) | CheckResult::Paused(..) => LastCheck::Holds(last.result.clone()),
            _ if unhealthy => LastCheck::Nothing,
            _ if is_over => LastCheck::WithSecret(last.result.clone()),
            _ => LastCheck::Holds(last.result.clone()),
        }
    }

    /// Records the result of a check.
    pub(super) fn record(&self, connection: &PlatformConnection, result: &CheckResult) {
        let pause = match result {
            CheckResult::Accepted(_) => Some(rand::rng().random_range(FIRST_SECRET_CHECK)),
            CheckResult::Suspended | CheckResult::Unusable(..) => None,
            CheckResult::Failed(error) | CheckResult::Paused(error, _) => {
                Some(error.retry_after().map_or(RETRY, |pause| pause.max(MIN_PAUSE)))
            }
        };
        let next_check = pause.map(|pause| Instant::now() + pause);
        let check = CachedCheck { revision: revision(connection), result: result.clone(), next_check };
        self.0.lock().insert(Key::of(connection), check);
    }

    /// Records that the Secret was read again, and that the last result still holds.
    pub(super) fn secret_unchanged(&self, connection: &PlatformConnection) {
        if let Some(last) = self.0.lock().get_mut(&Key::of(connection)) {
            last.next_check = Some(Instant::now() + rand::rng().random_range(SECRET_CHECK_INTERVAL));
        }
    }

    /// Forgets a connection that is gone.
    pub(super) fn forget(&self, connection: &Key) {
        self.0.lock().remove(connection);
    }

    /// The time until the next check of this connection.
    pub(super) fn pause(&self, connection: &PlatformConnection) -> Option<Duration> {
        let next_check = self.0.lock().get(&Key::of(connection))?.next_check?;
        Some(next_check.saturating_duration_since(Instant::now()))
    }
}

fn revision(connection: &PlatformConnection) -> ConnectionRevision {
    ConnectionRevision {
        spec: SpecRevision::of(connection),
        reconcile_now: reconcile_now(&connection.metadata).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::{advance, pause};

    use super::*;
    use crate::{
        api::{ConnectionReason, RECONCILE_NOW},
        platform::ErrorClass,
        testing::fixtures::{TENANT, error, tenant_id},
    };

    fn connection(generation: i64) -> PlatformConnection {
        serde_json::from_value(json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
            "metadata": {"namespace": "platform", "name": "eu2", "uid": "1", "generation": generation},
            "spec": {"url": "https://eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "eu2"}},
        }))
        .unwrap()
    }

    #[test]
    fn a_healthy_connection_is_checked_after_an_edit_or_a_failure() {
        let checks = CheckCache::default();
        assert!(matches!(checks.last(&connection(1), false), LastCheck::Nothing));
        checks.record(&connection(1), &CheckResult::Accepted(tenant_id(TENANT)));
        assert!(matches!(checks.last(&connection(1), false), LastCheck::Holds(_)));
        assert!(
            matches!(checks.last(&connection(1), true), LastCheck::Nothing),
            "something went wrong since"
        );
        assert!(matches!(checks.last(&connection(2), false), LastCheck::Nothing), "it was edited");
        let mut requested = connection(1);
        requested.metadata.annotations = Some([(RECONCILE_NOW.to_owned(), "now".to_owned())].into());
        assert!(matches!(checks.last(&requested, false), LastCheck::Nothing), "somebody asks");
        let mut another = connection(1);
        another.metadata.uid = Some("2".to_owned());
        assert!(
            matches!(checks.last(&another, false), LastCheck::Nothing),
            "it is another one of the same name"
        );
        checks.forget(&Key::of(&connection(1)));
        assert!(matches!(checks.last(&connection(1), false), LastCheck::Nothing));
    }

    #[tokio::test]
    async fn an_unhealthy_connection_is_checked_again_in_its_time() {
        pause();
        let checks = CheckCache::default();
        checks.record(&connection(1), &CheckResult::Failed(error(ErrorClass::SecretNotFound)));
        assert!(matches!(checks.last(&connection(1), true), LastCheck::Holds(_)));
        assert_eq!(checks.pause(&connection(1)), Some(RETRY));
        advance(RETRY).await;
        assert!(matches!(checks.last(&connection(1), true), LastCheck::Nothing));
        let held = CheckResult::Unusable(ConnectionReason::SelectorInvalid, String::new());
        checks.record(&connection(1), &held);
        assert_eq!(checks.pause(&connection(1)), None, "only an edit helps");
    }

    #[tokio::test]
    async fn the_secret_of_a_healthy_connection_is_read_within_30_s() {
        pause();
        let checks = CheckCache::default();
        let limit = Duration::from_secs(30);
        for _ in 0..100 {
            checks.record(&connection(1), &CheckResult::Accepted(tenant_id(TENANT)));
            for least in [16, 27, 27] {
                let wait = checks.pause(&connection(1)).unwrap();
                assert!(wait >= Duration::from_secs(least) && wait < limit, "{wait:?}");
                assert!(matches!(checks.last(&connection(1), false), LastCheck::Holds(_)));
                advance(wait).await;
                assert!(matches!(checks.last(&connection(1), false), LastCheck::WithSecret(_)));
                assert!(
                    matches!(checks.last(&connection(1), true), LastCheck::Nothing),
                    "it is tried as a whole"
                );
                checks.secret_unchanged(&connection(1));
            }
        }
        checks.record(&connection(1), &CheckResult::Suspended);
        assert_eq!(checks.pause(&connection(1)), None, "no call at all");
    }

    #[tokio::test]
    async fn a_thousand_connections_do_not_ask_in_the_same_second() {
        pause();
        let checks = CheckCache::default();
        let mut seconds = std::collections::HashMap::<u64, u32>::new();
        for _ in 0..1000 {
            checks.record(&connection(1), &CheckResult::Accepted(tenant_id(TENANT)));
            *seconds.entry(checks.pause(&connection(1)).unwrap().as_secs()).or_default() += 1;
        }
        assert!(seconds.values().all(|number| *number < 200), "{seconds:?}");
    }
}
