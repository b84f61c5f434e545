//! A periodic look: judged without I/O, so that only an object about which there is something to say is worked on.

use super::facts::target;
use super::{
    action::Rest,
    context::Context,
    decide::{Again, Verdict},
    facts::Look,
    journal::open_attempt,
    observe::{self, Observation},
    reconcile::{Waits, judge, poll_interval},
};
use crate::{api::PlatformConnection, cluster::Key};

/// What a periodic look comes to.
#[derive(Debug)]
pub enum Glance {
    /// All that it shows is known: nothing is to be said or done.
    Rest(Rest),
    /// A pass is called for; the look is handed back for it.
    Wake(Look),
    /// The object is gone, cannot be read, or leads elsewhere by now.
    Gone,
}

/// Judges what a periodic look at an object's tenant showed. `connection` is the one that it went through, as it was
/// when the request was sent.
pub async fn glance(
    key: &Key,
    (connection, spec): (&Key, &PlatformConnection),
    look: Look,
    context: &Context,
) -> Glance {
    let Some(object) = context.objects.get(key) else { return Glance::Gone };
    if object.connection_key() != *connection {
        return Glance::Gone;
    }
    if open_attempt(&object).is_some() {
        return Glance::Wake(look);
    }
    let way = observe::way_through(context, &object, spec).await;
    if way.handle.is_none() {
        return Glance::Wake(look);
    }
    let observation = Observation { look, ..way };
    observation.record_tenant(context, &object);
    let judged = judge(context, &object, &observation, Waits::default());
    let is_switch = matches!(judged.decision.verdict, Verdict::Switch { .. });
    let proves = judged.decision.again == Again::Proof;
    if is_switch || proves || object.status.as_ref() != Some(&judged.status) {
        return Glance::Wake(observation.look);
    }
    Glance::Rest(Rest {
        connection: connection.clone(),
        target: target(&object),
        poll: poll_interval(observation.connection.as_ref()),
        again: judged.decision.again,
        failures: 1,
        written: false,
    })
}
