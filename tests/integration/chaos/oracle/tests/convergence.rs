//! Where objects are in the end.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{DesiredMode, TenantPricing},
    simulator::{TenantKind, TenantRecord},
};

use super::{
    super::{Connection, World, held_back, unconverged},
    CONNECTION, NOON, TENANT, announcing, condition, tenant,
};

/// A world with one object that asks for production, and whose status has this condition.
fn world(mode: &str, conditions: &[Value]) -> World {
    let mut object = announcing("acme", "one");
    object["status"]["switch"] = Value::Null;
    object["status"]["observed"]["mode"] = json!(mode);
    object["status"]["conditions"] = json!(conditions);
    World {
        objects: vec![serde_json::from_value(object).unwrap()],
        connections: BTreeMap::from([(CONNECTION.to_owned(), Connection::Works { for_all: false })]),
        budgets: BTreeMap::new(),
        tenants: BTreeMap::from([(TENANT.to_owned(), tenant())]),
        root: "root".to_owned(),
        now: NOON.parse().unwrap(),
    }
}

fn in_sync() -> World {
    let mut world = world(
        "production",
        &[condition("Ready", "True", "InSync"), condition("Production", "True", "SwitchedByController")],
    );
    really(&mut world, |tenant| tenant.pricing.mode = "production".to_owned());
    world
}

fn stalled(reason: &str) -> World {
    let conditions = [
        condition("Ready", "False", reason),
        condition("Production", "False", "Trial"),
        condition("Stalled", "True", reason),
    ];
    world("trial", &conditions)
}

/// Another object for the same tenant, stalled for this reason.
fn younger(reason: &str) -> TenantPricing {
    let mut younger = stalled(reason).objects.remove(0);
    younger.metadata.name = Some("beta".to_owned());
    younger.metadata.uid = Some("another".to_owned());
    younger
}

fn open_attempt(object: &mut TenantPricing) {
    let open = json!({"phase": "InFlight", "attempts": 1});
    object.status.as_mut().unwrap().switch = Some(serde_json::from_value(open).unwrap());
}

fn really(world: &mut World, change: impl FnOnce(&mut TenantRecord)) {
    change(world.tenants.get_mut(TENANT).unwrap());
}

#[track_caller]
fn is_where_it_belongs(world: &World) {
    assert_eq!(unconverged(world), [""; 0]);
}

#[track_caller]
fn is_not_where_it_belongs(world: &World) {
    assert_eq!(unconverged(world).len(), 1, "{:?}", world.objects);
}

#[test]
fn what_is_done_and_said_is_where_it_belongs() {
    is_where_it_belongs(&in_sync());
}

#[test]
fn in_sync_of_a_tenant_that_is_still_in_trial_is_a_lie() {
    let mut world = in_sync();
    really(&mut world, |tenant| tenant.pricing.mode = "trial".to_owned());
    is_not_where_it_belongs(&world);
}

#[test]
fn what_still_waits_has_not_arrived() {
    for reason in ["OutcomeUnknown", "PlatformUnavailable", "Progressing"] {
        let conditions = [
            condition("Ready", "False", reason),
            condition("Production", "False", "Trial"),
            condition("Reconciling", "True", reason),
        ];
        is_not_where_it_belongs(&world("trial", &conditions));
    }
    is_not_where_it_belongs(&world("trial", &[]));
}

#[test]
fn a_status_of_an_earlier_edit_has_not_arrived() {
    let mut world = in_sync();
    world.objects[0].metadata.generation = Some(2);
    is_not_where_it_belongs(&world);
}

#[test]
fn a_reason_to_be_stalled_has_to_be_true() {
    type Change = fn(&mut TenantRecord);
    let truths: [(&str, Change); 8] = [
        ("TenantLocked", |tenant| tenant.locked_by = Some("another".into())),
        ("TenantDisabled", |tenant| tenant.enabled = false),
        ("NotACustomerTenant", |tenant| tenant.kind = TenantKind::Partner),
        ("TenantNotFound", |tenant| tenant.deleted_at = Some(tenant.created_at)),
        ("AccessDenied", |tenant| tenant.parent_id = "elsewhere".into()),
        ("UnknownMode", |tenant| tenant.pricing.mode = "frozen".into()),
        ("TenantSuspendedOnPlatform", |tenant| tenant.pricing.mode = "suspended".into()),
        ("PlatformRefused", |tenant| tenant.parent_disabled = true),
    ];
    for (reason, change) in truths {
        let mut world = stalled(reason);
        is_not_where_it_belongs(&world);
        really(&mut world, change);
        is_where_it_belongs(&world);
        // And what is stalled for another reason does not say the true one.
        let mut world = stalled("UnexpectedTrial");
        really(&mut world, change);
        is_not_where_it_belongs(&world);
    }
}

#[test]
fn a_stall_that_names_the_connection_has_to_be_true() {
    let with = |reason: &str, connection: Option<Connection>| {
        let mut world = stalled(reason);
        world.connections = connection.into_iter().map(|it| (CONNECTION.to_owned(), it)).collect();
        world
    };
    is_where_it_belongs(&with("ConnectionNotFound", None));
    is_where_it_belongs(&with("ConnectionNotReady", Some(Connection::Broken)));
    for reason in ["ConnectionNotFound", "ConnectionNotReady", "ConnectionNotAllowed"] {
        is_not_where_it_belongs(&with(reason, Some(Connection::Works { for_all: true })));
    }
}

#[test]
fn of_two_for_one_tenant_the_younger_is_stalled_and_only_it() {
    let mut world = in_sync();
    world.objects.push(younger("DuplicateTenant"));
    is_where_it_belongs(&world);
    world.objects[0].spec.suspend = true;
    assert_eq!(unconverged(&world).len(), 2, "the older one should be Suspended, the younger InSync");
    // But not while the older one's attempt is open.
    open_attempt(&mut world.objects[0]);
    assert!(!unconverged(&world).iter().any(|fault| fault.contains("beta")), "{:?}", unconverged(&world));
}

#[test]
fn beside_an_unresolvable_attempt_the_older_one_is_stalled() {
    let mut world = stalled("OutcomeUnknown");
    is_not_where_it_belongs(&world);
    let mut younger = younger("OutcomeUnknown");
    younger.spec.connection_ref.name = "gone".to_owned();
    open_attempt(&mut younger);
    world.objects.push(younger);
    is_where_it_belongs(&world);
    // Once it can be resolved, both have to get on.
    world.objects[1].spec.connection_ref.name = "default".to_owned();
    assert_eq!(unconverged(&world).len(), 2);
}

#[test]
fn what_waits_for_its_day_is_where_it_belongs_until_then() {
    let conditions =
        [condition("Ready", "True", "SwitchScheduled"), condition("Production", "False", "Trial")];
    let mut world = world("trial", &conditions);
    is_not_where_it_belongs(&world);
    let spec = json!({"notBefore": "2026-12-24T00:00:00Z"});
    world.objects[0].spec.switch = Some(serde_json::from_value(spec).unwrap());
    is_where_it_belongs(&world);
    world.now = "2026-12-24T00:00:01Z".parse().unwrap();
    is_not_where_it_belongs(&world);
}

/// A world with this many objects that are to be switched, each with a tenant of its own.
fn to_be_switched(objects: usize, count: u32) -> World {
    let mut world = stalled("SwitchBudgetExhausted");
    let one = world.objects.remove(0);
    for number in 0..objects {
        let (mut object, mut tenant) = (one.clone(), tenant());
        tenant.id = format!("7e4a4700-0000-4000-8000-{number:012}");
        object.metadata.name = Some(format!("object-{number}"));
        object.metadata.uid = Some(format!("uid-{number}"));
        object.spec.tenant.id = Some(tenant.id.clone());
        object.status.as_mut().unwrap().tenant_id = Some(tenant.id.clone());
        world.tenants.insert(tenant.id.clone(), tenant);
        world.objects.push(object);
    }
    let budget = json!({"count": count, "window": "1m"});
    world.budgets.insert(CONNECTION.to_owned(), serde_json::from_value(budget).unwrap());
    world
}

#[test]
fn what_is_left_to_switch_waits_for_its_windows() {
    let window = Duration::from_secs(61);
    for (objects, count, windows) in [(61, 30, 4), (60, 30, 3), (31, 30, 3), (30, 30, 0), (5, 1, 6)] {
        assert_eq!(held_back(&to_be_switched(objects, count)), window * windows, "{objects} of {count}");
    }
}

#[test]
fn what_is_not_to_be_switched_uses_no_budget() {
    let mut world = to_be_switched(9, 2);
    world.objects[0].spec.suspend = true;
    world.objects[1].spec.mode = None;
    world.objects[2].spec.mode = Some(DesiredMode::Trial);
    let id = |number: usize| format!("7e4a4700-0000-4000-8000-{number:012}");
    world.tenants.get_mut(&id(3)).unwrap().locked_by = Some("another".into());
    world.tenants.get_mut(&id(4)).unwrap().pricing.mode = "production".to_owned();
    assert_eq!(held_back(&world), Duration::from_secs(61) * 3, "four are left");
    world.connections.clear();
    assert_eq!(held_back(&world), Duration::from_secs(61), "none can be switched");
}

#[test]
fn the_slowest_connection_counts() {
    let mut world = to_be_switched(9, 9);
    let narrow = json!({"count": 1, "window": "1m"});
    world.budgets.insert("chaos-platform/narrow".to_owned(), serde_json::from_value(narrow).unwrap());
    world.connections.insert("chaos-platform/narrow".to_owned(), Connection::Works { for_all: true });
    for object in &mut world.objects[..3] {
        object.spec.connection_ref.namespace = Some("chaos-platform".to_owned());
        object.spec.connection_ref.name = "narrow".to_owned();
    }
    assert_eq!(held_back(&world), Duration::from_secs(61) * 4);
}
