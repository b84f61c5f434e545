//! A periodic read: judged without I/O, so that only an object with news is reconciled.

use super::{
    action::NextPoll,
    context::Context,
    decide::{Requeue, Verdict},
    facts::{TenantRead, target},
    journal::open_attempt,
    observe::{self, Observation},
    reconcile::{Waits, judge, poll_interval},
};
use crate::{api::PlatformConnection, cluster::Key};

/// The result of a periodic read.
#[derive(Debug)]
pub enum PeriodicCheck {
    /// The status says all that the read shows.
    Unchanged(NextPoll),
    /// The object has to be reconciled with this read.
    Changed(TenantRead),
    /// The object is gone, cannot be read, or names another connection by now.
    Gone,
}

/// Judges a periodic read of an object's tenant. `connection` is the one that was used, as it was when the request was
/// sent.
pub async fn check_periodic(
    key: &Key,
    connection: &PlatformConnection,
    read: TenantRead,
    context: &Context,
) -> PeriodicCheck {
    let Some(object) = context.objects.get(key) else { return PeriodicCheck::Gone };
    let connection_key = object.connection_key();
    if connection_key != Key::of(connection) {
        return PeriodicCheck::Gone;
    }
    if open_attempt(&object).is_some() {
        return PeriodicCheck::Changed(read);
    }
    let route = observe::route_through(context, &object, connection).await;
    if route.handle.is_none() {
        return PeriodicCheck::Changed(read);
    }
    let observation = Observation { route, read };
    observation.record_tenant(context, &object);
    let judged = judge(context, &object, &observation, Waits::default());
    let is_switch = matches!(judged.decision.verdict, Verdict::Switch { .. });
    let proves = judged.decision.requeue == Requeue::WhenProved;
    if is_switch || proves || object.status.as_ref() != Some(&judged.status) {
        return PeriodicCheck::Changed(observation.read);
    }
    let (requeue, poll) = (judged.decision.requeue, poll_interval(observation.route.connection.as_ref()));
    PeriodicCheck::Unchanged(NextPoll::new(connection_key, target(&object), requeue, 0, poll))
}
