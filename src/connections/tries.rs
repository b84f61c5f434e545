//! How the connections were found when they were last tried.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::ResourceExt;
use tokio::time::Instant;

use super::report::Tried;
use crate::{
    api::{PlatformConnection, reconcile_now},
    cluster::Key,
};

/// A connection that does not work is tried again so often: a corrected Secret works within this time.
const RETRY: Duration = Duration::from_secs(30);

/// Nor sooner than this, however short a pause is asked for.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What was found last, of each connection. As long as it holds, a pass that is due for another reason (its
/// counters) sends nothing to the platform.
#[derive(Default)]
pub struct Tries(Mutex<HashMap<Key, Try>>);

struct Try {
    asked: Asked,
    tried: Tried,
    /// When it is tried again if nothing happens.
    again: Option<Instant>,
}

/// What calls for a new try when it changes: the object, its spec, and the wish for it.
type Asked = (Option<String>, Option<i64>, Option<String>);

impl Tries {
    /// What was found last, unless it is to be tried anew: because it is another object or has another spec,
    /// because somebody asks for it, because it was in order and then something went wrong (`in_trouble`), or
    /// because it is time to.
    pub(super) fn last(&self, connection: &PlatformConnection, in_trouble: bool) -> Option<Tried> {
        let tries = self.tries();
        let last = tries.get(&Key::of(connection))?;
        let holds = match last.again {
            None => !in_trouble,
            Some(again) => Instant::now() < again,
        };
        (holds && last.asked == asked(connection)).then(|| last.tried.clone())
    }

    /// This was found just now.
    pub(super) fn found(&self, connection: &PlatformConnection, tried: &Tried) {
        let again = match tried {
            Tried::Accepted(_) | Tried::Suspended | Tried::Unusable(..) => None,
            Tried::Failed(error) | Tried::Paused(error, _) => {
                Some(Instant::now() + error.retry_after().map_or(RETRY, |pause| pause.max(LEAST_PAUSE)))
            }
        };
        let last = Try { asked: asked(connection), tried: tried.clone(), again };
        self.tries().insert(Key::of(connection), last);
    }

    /// A connection is gone.
    pub(super) fn forget(&self, connection: &Key) {
        self.tries().remove(connection);
    }

    /// How long it is until this connection is tried again.
    pub(super) fn pause(&self, connection: &PlatformConnection) -> Option<Duration> {
        let again = self.tries().get(&Key::of(connection))?.again?;
        Some(again.saturating_duration_since(Instant::now()))
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<Key, Try>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn asked(connection: &PlatformConnection) -> Asked {
    let wish = reconcile_now(&connection.metadata).map(str::to_owned);
    (connection.uid(), connection.metadata.generation, wish)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::{advance, pause};

    use super::*;
    use crate::{
        api::{ConnectionReason, RECONCILE_NOW},
        platform::ErrorClass,
        pricing::scenes::{TENANT, error, tenant_id},
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
    fn a_connection_in_order_is_tried_anew_when_it_is_edited_asked_for_or_in_trouble() {
        let tries = Tries::default();
        assert!(tries.last(&connection(1), false).is_none());
        tries.found(&connection(1), &Tried::Accepted(tenant_id(TENANT)));
        assert!(tries.last(&connection(1), false).is_some());
        assert!(tries.last(&connection(1), true).is_none(), "something went wrong since");
        assert!(tries.last(&connection(2), false).is_none(), "it was edited");
        let mut asked = connection(1);
        asked.metadata.annotations = Some([(RECONCILE_NOW.to_owned(), "now".to_owned())].into());
        assert!(tries.last(&asked, false).is_none(), "somebody asks");
        let mut another = connection(1);
        another.metadata.uid = Some("2".to_owned());
        assert!(tries.last(&another, false).is_none(), "it is another one of the same name");
        assert_eq!(tries.pause(&connection(1)), None);
        tries.forget(&Key::of(&connection(1)));
        assert!(tries.last(&connection(1), false).is_none());
    }

    #[tokio::test]
    async fn a_connection_in_trouble_is_tried_anew_when_its_time_has_come() {
        pause();
        let tries = Tries::default();
        tries.found(&connection(1), &Tried::Failed(error(ErrorClass::SecretNotFound)));
        assert!(tries.last(&connection(1), true).is_some());
        assert_eq!(tries.pause(&connection(1)), Some(RETRY));
        advance(RETRY).await;
        assert!(tries.last(&connection(1), true).is_none());
        let held = Tried::Unusable(ConnectionReason::SelectorInvalid, String::new());
        tries.found(&connection(1), &held);
        assert_eq!(tries.pause(&connection(1)), None, "only an edit helps");
    }
}
