//! The decision on one object, by the controller's own rules. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::Knowledge;
use crate::{
    api::{ReadyReason, TenantPricing},
    cli::{plan::connections::Links, platform::facts::assumed},
    cluster::Key,
    connections::{ConnectionProblem, needs_a_person},
    index::{Index, TenantKey, Via},
    platform::{Mode, Origin, TenantId},
    pricing::{
        decide::{self, Decision, JournalStep, Requeue, Verdict},
        facts::{Access, Circumstances, Facts, Proof, TenantRead},
        observe::siblings::{self, KnownAttempts},
    },
};

/// A decision on an object.
pub(super) struct Decided<'a> {
    pub object: &'a TenantPricing,
    pub decision: Decision,
    /// The decision if the tenant, which was not read, is a customer in trial.
    pub if_in_trial: Option<Decision>,
    pub read: TenantRead,
    pub access: Access,
    pub circumstances: Circumstances,
}

impl Decided<'_> {
    /// The facts at `now`.
    pub(super) fn facts(&self, now: Timestamp) -> Facts<'_> {
        let Self { object, read, access, circumstances, .. } = self;
        Facts { object, access, read, circumstances, now }
    }
}

pub(super) fn decide_one<'a>(
    object: &'a TenantPricing,
    (index, guessed): (&Index, Option<&Index>),
    (knowledge, links): (&Knowledge, &Links),
    now: Timestamp,
) -> Decided<'a> {
    let (access, read) = (links.access(object), knowledge.read(object));
    let own = object.connection_key();
    let via = |connection: &Key, other: &Key| {
        let found = links.connections.get(connection)?;
        let pair = (other.clone(), connection.clone());
        // A suspended connection keeps its claims.
        let is_refused = match links.access.get(&pair) {
            Some(Access::Unusable(problem)) => !matches!(problem, ConnectionProblem::Suspended),
            Some(Access::NotAllowed | Access::NotFound) => true,
            _ => false,
        };
        // What has read the tenant for this object works, although its status may not say so.
        if is_refused || (*connection != own && needs_a_person(found)) {
            return None;
        }
        Some(Via {
            platform: Origin::parse(&found.spec.url).ok()?,
            uid: found.metadata.uid.clone().unwrap_or_default(),
            suspended: found.spec.suspend,
            has_just_read: *connection == own
                || matches!(knowledge.reads.get(&pair), Some(TenantRead::Seen(_))),
        })
    };
    // This process has made no attempt, so it remembers none.
    let remembered = |proof: Proof, tenant: Option<&TenantId>, index: &Index| {
        let tenant = match &access {
            Access::Open(connection) => {
                tenant.map(|tenant| TenantKey { platform: connection.origin.clone(), tenant: tenant.clone() })
            }
            _ => None,
        };
        let circumstances = Circumstances { proof, ..Circumstances::default() };
        siblings::with_siblings(circumstances, object, tenant, index, |_| KnownAttempts::default(), via, now)
    };
    let circumstances = remembered(knowledge.proof(object), read.tenant(), index);
    let mut decision =
        decide::decide(&Facts { object, access: &access, read: &read, circumstances: &circumstances, now });
    if decision.verdict == Verdict::Unchanged && !matches!(access, Access::Open(_)) {
        // An object at rest does not report the trouble of its connection, and a plan does.
        let mut edited = object.clone();
        *edited.metadata.generation.get_or_insert_default() += 1;
        decision = decide::decide(&Facts {
            object: &edited,
            access: &access,
            read: &read,
            circumstances: &circumstances,
            now,
        });
    }
    let if_in_trial =
        guessed.filter(|_| is_unread(&read) && matches!(access, Access::Open(_))).and_then(|index| {
            let name = object.spec.tenant.name.clone().unwrap_or_default();
            let seen = assumed(guessed_id(object)?, name, Mode::Trial, now);
            let proof = Proof::Customers(vec![seen.tenant.id.clone()]);
            let circumstances = remembered(proof, Some(&seen.tenant.id), index);
            let read = TenantRead::Seen(Box::new(seen));
            Some(decide::decide(&Facts {
                object,
                access: &access,
                read: &read,
                circumstances: &circumstances,
                now,
            }))
        });
    Decided { object, decision, if_in_trial, read, access, circumstances }
}

/// Whether a read says nothing about the tenant.
pub(super) fn is_unread(read: &TenantRead) -> bool {
    matches!(read, TenantRead::NotRead | TenantRead::Failed(_))
}

/// The tenant that an object would have if the platform were read. One that is only named gets an id made of its name,
/// so that two objects with one name have one tenant.
pub(super) fn guessed_id(object: &TenantPricing) -> Option<TenantId> {
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.as_deref());
    let known = object.spec.tenant.id.as_deref().or(pinned).map(str::to_owned);
    let id = known.unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        object.spec.tenant.name.hash(&mut hasher);
        format!("00000000-0000-4000-8000-{:012x}", hasher.finish() & 0xffff_ffff_ffff)
    });
    id.parse().ok()
}

pub(super) fn plans_a_switch(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Switch { .. } | Verdict::Ready(ReadyReason::SwitchScheduled))
        || (decision.requeue == Requeue::WhenAdmitted)
}

/// When a switch is due: now, or at the time that it is scheduled for.
pub(super) fn due_at(decision: &Decision) -> Option<Timestamp> {
    match (decision.verdict, decision.journal) {
        (Verdict::Switch { scheduled_for }, _) => Some(scheduled_for),
        (Verdict::Ready(ReadyReason::SwitchScheduled), JournalStep::Schedule(at)) => Some(at),
        _ => None,
    }
}
