//! What must be so in the end: each object where its spec asks, or stalled for a reason that is true.
//!
//! Written from the promises, not from the rules of the controller.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tenant_pricing_controller::{
    api::{DesiredMode, Phase, SwitchAt, SwitchBudget, TenantPricing},
    simulator::{PRODUCTION, TRIAL, TenantKind, TenantRecord},
};

/// What is the case when nothing goes wrong any more.
pub struct World {
    pub objects: Vec<TenantPricing>,
    /// What may be expected of a connection, by `namespace/name`; absent where there is none.
    pub connections: BTreeMap<String, Connection>,
    /// The switch budgets of connections, by `namespace/name`.
    pub budgets: BTreeMap<String, SwitchBudget>,
    pub tenants: BTreeMap<String, TenantRecord>,
    /// What the credentials see stands below this.
    pub root: String,
    pub now: Timestamp,
}

/// What a connection is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It works, for everybody or for its own namespace.
    Works { for_all: bool },
    /// A person has to mend it.
    Broken,
}

/// What a status is to say: `Ready` True, or `Stalled`, for this reason.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Ready(&'static str),
    Stalled(&'static str),
}

/// The objects that are not where they belong, and why not.
pub fn unconverged(world: &World) -> Vec<String> {
    world.objects.iter().filter_map(|object| fault(world, object)).collect()
}

fn fault(world: &World, object: &TenantPricing) -> Option<String> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let (expected, status) = (expected(world, object), object.status.clone().unwrap_or_default());
    let condition = |kind: &str| {
        let found = status.conditions.iter().find(|condition| condition.type_ == kind);
        found.map(|condition| (condition.status.as_str(), condition.reason.as_str()))
    };
    let is_so = match expected {
        Expected::Ready(reason) => condition("Ready") == Some(("True", reason)),
        Expected::Stalled(reason) => condition("Stalled") == Some(("True", reason)),
    };
    let seen = status.observed.as_ref().map(|observed| observed.mode.as_str());
    let tenant = tenant(world, object).filter(|_| expected != Expected::Ready("Suspended"));
    let right_mode = match &expected {
        Expected::Ready("InSync" | "Observed" | "SwitchScheduled") => {
            seen == tenant.map(|tenant| tenant.pricing.mode.as_str())
        }
        _ => true,
    };
    let proven = expected != Expected::Ready("InSync")
        || object.spec.mode != Some(DesiredMode::Production)
        || condition("Production").is_some_and(|(status, _)| status == "True");
    let up_to_date = Some(status.observed_generation) == object.metadata.generation;
    (!(is_so && right_mode && proven && up_to_date)).then(|| {
        format!(
            "{name} should be {expected:?} and is Ready {:?}, Stalled {:?}, Production {:?}, mode {seen:?} (really \
             {:?}), generation {} of {:?}",
            condition("Ready"),
            condition("Stalled"),
            condition("Production"),
            tenant.map(|tenant| &tenant.pricing.mode),
            status.observed_generation,
            object.metadata.generation
        )
    })
}

/// Whether an object is to be switched: its tenant should be in production, and is in trial.
pub(super) fn is_to_be_switched(world: &World, object: &TenantPricing) -> bool {
    object.spec.mode == Some(DesiredMode::Production)
        && expected(world, object) == Expected::Ready("InSync")
        && tenant(world, object).is_some_and(|tenant| tenant.pricing.mode == TRIAL)
}

fn expected(world: &World, object: &TenantPricing) -> Expected {
    use Expected::{Ready, Stalled};
    let open = is_open(object);
    if object.spec.suspend && !open {
        return Ready("Suspended");
    }
    match reach(world, object) {
        None if open => return Stalled("OutcomeUnknown"),
        None => return Stalled("ConnectionNotFound"),
        Some(Connection::Broken) => return Stalled("ConnectionNotReady"),
        Some(Connection::Works { for_all }) if !for_all && !is_own(object) => {
            return Stalled("ConnectionNotAllowed");
        }
        Some(Connection::Works { .. }) => {}
    }
    let tenant = match (tenant(world, object), object.spec.tenant.name.as_deref()) {
        (Some(tenant), _) => tenant,
        (None, Some(name)) if of_name(world, name).len() > 1 => return Stalled("TenantNameAmbiguous"),
        (None, _) => return Stalled("TenantNotFound"),
    };
    if tenant.deleted_at.is_some() {
        return Stalled("TenantNotFound");
    }
    if !is_visible(world, tenant) {
        return Stalled("AccessDenied");
    }
    let Some(wanted) = object.spec.mode else { return Ready("Observed") };
    if world.objects.iter().any(|other| comes_before(world, other, object, tenant)) {
        return Stalled("DuplicateTenant");
    }
    match (wanted, tenant.pricing.mode.as_str()) {
        (DesiredMode::Trial, TRIAL) => Ready("InSync"),
        (_, mode) if ![TRIAL, PRODUCTION, "suspended"].contains(&mode) => Stalled("UnknownMode"),
        (DesiredMode::Trial, _) => Stalled("ReversalRefused"),
        (DesiredMode::Production, PRODUCTION) => Ready("InSync"),
        (DesiredMode::Production, "suspended") => Stalled("TenantSuspendedOnPlatform"),
        (DesiredMode::Production, _) => in_trial(world, object, tenant),
    }
}

/// For an object that asks for production of a tenant that is in trial.
fn in_trial(world: &World, object: &TenantPricing, tenant: &TenantRecord) -> Expected {
    use Expected::{Ready, Stalled};
    let switch = object.spec.switch.clone().unwrap_or_default();
    let not_before = switch.not_before.is_some_and(|limit| limit.0 > world.now);
    let scheduled = object.status.as_ref().and_then(|status| status.switch.as_ref()?.scheduled_for.clone());
    let month = switch.at == Some(SwitchAt::MonthStart) && scheduled.is_some_and(|at| at.0 > world.now);
    if tenant.kind != TenantKind::Customer {
        Stalled("NotACustomerTenant")
    } else if !tenant.enabled {
        Stalled("TenantDisabled")
    } else if tenant.locked_by.is_some() {
        Stalled("TenantLocked")
    } else if object.spec.tenant.name.as_ref().is_some_and(|name| *name != tenant.name) {
        Stalled("TenantChanged")
    } else if not_before || month {
        Ready("SwitchScheduled")
    } else if world.objects.iter().any(|other| is_lost(world, other, object, tenant)) {
        Stalled("OutcomeUnknown")
    } else if tenant.parent_disabled {
        Stalled("PlatformRefused")
    } else {
        // There is no excuse.
        Ready("InSync")
    }
}

/// The tenant that an object stands for: the pinned one, the one of its id, or the only one of its name.
fn tenant<'a>(world: &'a World, object: &TenantPricing) -> Option<&'a TenantRecord> {
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.as_ref());
    if let Some(id) = pinned.or(object.spec.tenant.id.as_ref()) {
        return world.tenants.get(id);
    }
    match of_name(world, object.spec.tenant.name.as_deref()?).as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

fn of_name<'a>(world: &'a World, name: &str) -> Vec<&'a TenantRecord> {
    let bears = |tenant: &&TenantRecord| {
        tenant.name == name
            && tenant.kind == TenantKind::Customer
            && tenant.deleted_at.is_none()
            && is_visible(world, tenant)
    };
    world.tenants.values().filter(bears).collect()
}

fn is_visible(world: &World, tenant: &TenantRecord) -> bool {
    !tenant.hidden && tenant.parent_id == world.root
}

fn reach(world: &World, object: &TenantPricing) -> Option<Connection> {
    world.connections.get(&connection(object)).copied()
}

pub(super) fn connection(object: &TenantPricing) -> String {
    let reference = &object.spec.connection_ref;
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    format!("{}/{}", reference.namespace.as_deref().unwrap_or(own), reference.name)
}

fn is_own(object: &TenantPricing) -> bool {
    let own = object.metadata.namespace.as_deref();
    object.spec.connection_ref.namespace.as_deref().is_none_or(|namespace| Some(namespace) == own)
}

fn is_open(object: &TenantPricing) -> bool {
    let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
    journal.is_some_and(|journal| journal.phase == Phase::InFlight)
}

/// Whether another object's attempt for the same tenant is open, and its connection cannot show how it ended.
fn is_lost(world: &World, other: &TenantPricing, this: &TenantPricing, of: &TenantRecord) -> bool {
    is_open(other) && !can_be_read(world, other) && is_another_of(world, other, this, of)
}

fn can_be_read(world: &World, object: &TenantPricing) -> bool {
    match reach(world, object) {
        Some(Connection::Works { for_all }) => for_all || is_own(object),
        _ => false,
    }
}

fn is_another_of(world: &World, other: &TenantPricing, this: &TenantPricing, of: &TenantRecord) -> bool {
    other.metadata.uid != this.metadata.uid && tenant(world, other).is_some_and(|tenant| tenant.id == of.id)
}

/// Whether another object owns the tenant before this one: one that asks for a mode, that can, and that is
/// older; or one that is older and whose attempt is open.
fn comes_before(world: &World, other: &TenantPricing, this: &TenantPricing, of: &TenantRecord) -> bool {
    let age = |object: &TenantPricing| {
        let meta = &object.metadata;
        (meta.creation_timestamp.clone().map(|time| time.0), meta.namespace.clone(), meta.name.clone())
    };
    // An attempt whose outcome cannot be read keeps its place until the connection works again.
    let competes =
        is_open(other) || (other.spec.mode.is_some() && !other.spec.suspend && can_be_read(world, other));
    competes && is_another_of(world, other, this, of) && age(other) < age(this)
}
