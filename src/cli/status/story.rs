//! `status NAME`: the story of one object. What happened to it, who asked for that, what was billed, and what happens
//! next.

pub(crate) mod document;
mod formats;
mod next;
pub(crate) mod past;
#[cfg(test)]
mod tests;

pub(super) use formats::for_terminal;
use jiff::Timestamp;

use self::document::{SCHEMA, Story};
use super::fleet::view;
use crate::{
    api::TenantPricing,
    cli::{
        cluster::{Cluster, connection::resolve, object},
        events::{self, record::EventView},
    },
    cluster::explain,
    pricing::{facts::Access, status::report::requested_by},
};

/// Reads one object and everything that is recorded of it.
///
/// # Errors
/// A sentence that says why the object could not be read. What else could not be read is in the story.
pub(super) async fn read(cluster: &Cluster, name: &str, now: Timestamp) -> Result<Story, String> {
    let object = object::read(cluster, name).await?;
    let mut unknown = Vec::new();
    let events = events::about(cluster, &object).await.unwrap_or_else(|error| {
        unknown.push(format!("What the events say: they could not be read ({}).", explain(&error)));
        Vec::new()
    });
    let access = resolve(cluster, &object, &mut unknown).await.access;
    Ok(tell(&object, &events, access.as_ref(), unknown, now))
}

/// The story of an object, with these events and this access to its platform.
fn tell(
    object: &TenantPricing,
    events: &[EventView],
    access: Option<&Access>,
    mut unknown: Vec<String>,
    now: Timestamp,
) -> Story {
    let next = next::next(object, access, now);
    unknown.extend(next.unknown);
    let (bill, billed_month) = past::bill(object, now);
    let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
    let asked = journal.and_then(|journal| journal.requested_by.clone());
    Story {
        schema: SCHEMA.to_owned(),
        now,
        object: view(object),
        requested_by: asked.or_else(|| requested_by(object)),
        past: past::entries(object, events, now),
        bill,
        billed_month,
        next: next.steps,
        unknown,
    }
}
