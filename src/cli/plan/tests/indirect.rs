//! What the input brings about for objects that stay as they are, with the platform read.

use super::*;
use crate::{
    api::{PlatformConnection, PlatformConnectionStatus, TenantSelector},
    cli::plan::{
        connections::{Effect, SecretChange, bystanders, compare},
        stored::State,
        watch::{Watch, Watched},
    },
};

impl Desk {
    /// Changes the connection as it will be.
    fn connection(&mut self, change: impl FnOnce(&mut PlatformConnection)) {
        let connection = self.knowledge.after.connections.get_mut(&Key::new("team", "default")).unwrap();
        change(connection);
        let (before, after) = (&self.knowledge.before.connections, &self.knowledge.after.connections);
        self.knowledge.changes = compare(before, after, |_| SecretChange::None);
    }

    /// Adds an object that is there already and stays as it is.
    fn unchanged(&mut self, name: &str, change: impl FnOnce(&mut TenantPricing, &mut Seen)) {
        let (object, read) = made(name, change);
        let object = applied(None, object);
        self.know(&object, read);
        self.subject(name, Some(object.clone()), Some(object));
    }
}

#[test]
fn an_ended_emergency_stop_announces_every_switch() {
    let mut desk = Desk::new();
    desk.knowledge.before.connections.values_mut().for_each(|connection| connection.spec.suspend = true);
    desk.connection(|connection| connection.spec.requests_per_second = 11);
    desk.unchanged("now", |_, _| {});
    desk.unchanged("later", |object, _| at_month_start(object));
    desk.unchanged("done", |_, seen| seen.tenant.mode = Mode::Production);
    desk.unchanged("held", |object, _| object.spec.suspend = true);
    let plan = desk.plan();
    let entries = desk.entries();
    assert_eq!((entries["now"].change, entries["now"].outcome), (Change::Indirect, Outcome::SwitchNow));
    assert_eq!((entries["later"].change, entries["later"].outcome), (Change::Indirect, Outcome::SwitchLater));
    for name in ["done", "held"] {
        assert_eq!(entries[name].change, Change::None, "{name}");
    }
    assert_eq!((plan.summary.switches_now, plan.summary.switches_later), (1, 1));
    for policy in ["immediate-switch", "any-switch", "switches>1"] {
        assert!(policy.parse::<Policy>().unwrap().applies(&plan), "{policy}");
    }
    assert!(formats::for_terminal(&plan).contains("PlatformConnection team/default changes"));
}

#[test]
fn a_budget_and_a_time_of_the_connection_announce_switches() {
    let mut budget = Desk::new();
    budget.knowledge.before.connections.values_mut().for_each(|found| found.spec.switch.budget.count = 0);
    budget.connection(|_| {});
    budget.unchanged("a", |_, _| {});
    assert_eq!(budget.entries()["a"].outcome, Outcome::SwitchNow);
    assert_eq!(budget.entries()["a"].change, Change::Indirect);
    let mut time = Desk::new();
    time.knowledge
        .before
        .connections
        .values_mut()
        .for_each(|found| found.spec.switch.at = SwitchAt::MonthStart);
    time.connection(|_| {});
    time.unchanged("a", |_, _| {});
    assert_eq!(
        (time.entries()["a"].change, time.entries()["a"].outcome),
        (Change::Indirect, Outcome::SwitchNow)
    );
    // More room than is used changes nothing.
    let mut more = Desk::new();
    more.connection(|found| found.spec.switch.budget.count = 500);
    more.unchanged("a", |_, _| {});
    assert_eq!(more.entries()["a"].change, Change::None);
}

#[test]
fn new_credentials_announce_a_switch_unless_the_old_ones_work() {
    let status = |ready: &str| {
        let status = serde_json::json!({"observedGeneration": 1, "conditions": [{
            "type": "Ready", "status": ready, "reason": "CredentialsAccepted", "message": "",
            "lastTransitionTime": "2026-11-20T00:00:00Z"}]});
        serde_json::from_value::<PlatformConnectionStatus>(status).unwrap()
    };
    for (ready, change) in [("True", Change::None), ("False", Change::Indirect)] {
        let mut desk = Desk::new();
        for connection in desk.knowledge.before.connections.values_mut() {
            connection.metadata.generation = Some(1);
            connection.status = Some(status(ready));
        }
        desk.connection(|connection| "other".clone_into(&mut connection.spec.credentials_secret_ref.name));
        desk.unchanged("a", |_, _| {});
        assert_eq!(desk.entries()["a"].change, change, "{ready}");
    }
    let mut platform = Desk::new();
    platform.connection(|connection| "https://us5-cloud.acronis.com".clone_into(&mut connection.spec.url));
    assert_eq!(platform.knowledge.changes.values().next().unwrap().effect, Effect::Platform);
    platform.unchanged("a", |_, _| {});
    assert_eq!(platform.entries()["a"].change, Change::Indirect);
}

/// The owner of a tenant goes, and another object of the tenant is switched, though it stays as it is.
#[test]
fn an_object_that_takes_over_is_announced() {
    let mut desk = Desk::new();
    let (one, seen) = made("one", |_, _| {});
    let one = applied(None, one);
    desk.unchanged("two", |object, other| {
        object.spec.tenant.id.clone_from(&one.spec.tenant.id);
        other.tenant.id = seen.tenant.id.clone();
    });
    desk.know(&one, seen);
    desk.subject("one", Some(one.clone()), None);
    let entries = desk.entries();
    assert_eq!((entries["two"].change, entries["two"].outcome), (Change::Indirect, Outcome::SwitchNow));
    assert!(entries["two"].message.starts_with("Its spec stays as it is"), "{}", entries["two"].message);
    desk.subjects[1].after = Some(one);
    assert_eq!(desk.plan().summary.unchanged, 2);
}

/// An object of the cluster, with a status.
fn stored(name: &str, tenant: &str) -> TenantPricing {
    let (mut object, _) = made(name, |object, _| object.spec.tenant.id = Some(tenant.to_owned()));
    let mut status = Scene::new().at(SwitchAt::MonthStart).stored().object.status.unwrap();
    status.tenant_id = Some(tenant.to_owned());
    object.status = Some(status);
    object
}

#[test]
fn objects_outside_the_input_that_a_change_concerns_are_found() {
    let tenant = |digit: u8| format!("00000000-0000-4000-8000-00000000000{digit}");
    let mut state = State::default();
    let by_name = || TenantSelector { id: None, name: Some("Acme".to_owned()) };
    let through = |mut object: TenantPricing, connection: &str| {
        connection.clone_into(&mut object.spec.connection_ref.name);
        object
    };
    let mut named = stored("by-name", &tenant(5));
    named.spec.tenant = by_name();
    let objects = [
        stored("shares", &tenant(1)),
        stored("apart", &tenant(3)),
        through(stored("other-way", &tenant(1)), "other"),
        // The same id and name, on another platform.
        through(stored("other-platform", &tenant(1)), "us5"),
        through(named.clone(), "other"),
        through(TenantPricing { status: None, ..stored("us-name", &tenant(6)) }, "us5"),
    ];
    for object in objects {
        state.objects.insert(Key::of(&object), object);
    }
    let mut desk = Desk::new();
    for links in [&mut desk.knowledge.before, &mut desk.knowledge.after] {
        for (name, url) in [("other", fixtures::PLATFORM), ("us5", "https://us5-cloud.acronis.com")] {
            let mut other = links.connections[&Key::new("team", "default")].clone();
            url.clone_into(&mut other.spec.url);
            links.connections.insert(Key::new("team", name), other);
        }
    }
    let (gone, seen) = made("gone", |object, _| object.spec.tenant.id = Some(tenant(1).to_uppercase()));
    desk.know(&gone, seen);
    desk.subject("gone", Some(gone), None);
    let found = |desk: &Desk| -> Vec<String> {
        let links = [&desk.knowledge.before, &desk.knowledge.after];
        let found = bystanders(&desk.subjects, &state, &desk.knowledge.changes, links);
        found.into_iter().map(|subject| subject.key.name().to_owned()).collect()
    };
    assert_eq!(found(&desk), ["other-way", "shares"]);
    let (named, seen) = made("named", |object, _| {
        object.spec.tenant = by_name();
        object.status = None;
    });
    desk.know(&named, seen);
    desk.subject("named", None, Some(named));
    assert_eq!(found(&desk), ["by-name", "other-way", "shares"]);
    desk.subjects.clear();
    assert_eq!(found(&desk), [""; 0]);
    desk.connection(|connection| connection.spec.suspend = true);
    assert_eq!(found(&desk), ["apart", "shares"]);
}

#[test]
fn a_bystander_is_in_the_plan_only_if_something_happens_to_it() {
    let mut desk = Desk::new();
    let (other, seen) = made("other", |_, _| {});
    let other = applied(None, other);
    desk.know(&other, seen);
    desk.subjects.push(Subject::bystander(other));
    assert_eq!(desk.plan().objects.len(), 0);
    desk.knowledge.before.access.clear();
    assert_eq!((desk.plan().objects.len(), desk.plan().summary.switches_now), (1, 1));
}

/// A duplicate through another connection, which no subject uses.
#[test]
fn an_older_object_of_another_connection_owns_the_tenant() {
    let mut desk = Desk::new();
    let tenant = made("stored", |_, _| {}).1.tenant.id.to_string();
    let mut object = stored("stored", &tenant);
    object.metadata.creation_timestamp = Some(fixtures::time("2026-01-01T00:00:00Z"));
    "other".clone_into(&mut object.spec.connection_ref.name);
    desk.others.push(object.clone());
    desk.object("new", |new, other| {
        new.spec.tenant.id = Some(tenant.clone());
        other.tenant.id = tenant.parse().unwrap();
    });
    assert_eq!(desk.entries()["new"].outcome, Outcome::SwitchNow, "its connection is not known");
    for links in [&mut desk.knowledge.before, &mut desk.knowledge.after] {
        let mut other = links.connections[&Key::new("team", "default")].clone();
        other.metadata.name = Some("other".to_owned());
        // A suspended connection keeps its claims.
        other.spec.suspend = true;
        let access = access(&other, Admission::Admitted);
        links.add(&object, Some(other), Some(access));
    }
    let entry = &desk.entries()["new"];
    assert_eq!((entry.outcome, &*entry.reason), (Outcome::Refused, "DuplicateTenant"), "{}", entry.message);
}

/// A controller outside of the chart may watch it, so its switch is still announced.
#[test]
fn an_object_that_no_controller_watches_is_named() {
    let mut desk = Desk::new();
    desk.object("new", |_, _| {});
    let (object, seen) = made("labelled", |_, _| {});
    let before = applied(None, object);
    let mut after = before.clone();
    after.metadata.labels = Some([("shard".to_owned(), "a".to_owned())].into());
    desk.know(&before, seen);
    desk.subject("labelled", Some(before), Some(after));
    let selector: kube::core::Selector = [("shard", "a")].into_iter().collect();
    let watched = Watched {
        name: Key::new("system", "controller"),
        namespaces: Vec::new(),
        selector: Some(("shard=a".to_owned(), selector)),
    };
    assert_eq!(desk.entries()["labelled"].change, Change::None);
    desk.knowledge.watch = Watch::of(vec![watched]);
    let entries = desk.entries();
    let new = &entries["new"];
    assert_eq!((new.outcome, new.not_watched.is_some()), (Outcome::SwitchNow, true));
    assert!(new.message.contains("only objects with the labels shard=a"), "{}", new.message);
    assert!(formats::for_terminal(&desk.plan()).contains("No controller of the chart watches"));
    let labelled = &entries["labelled"];
    assert_eq!((labelled.change, labelled.outcome), (Change::Indirect, Outcome::SwitchNow));
    assert!(labelled.not_watched.is_none() && labelled.message.contains("its labels change"), "{labelled:?}");
}

#[test]
fn the_time_of_a_plan_is_that_of_both_clocks() {
    let mut desk = Desk::new();
    let day_before = fixtures::instant("2026-11-22T10:00:00Z");
    desk.object("a", |object, seen| {
        at_month_start(object);
        seen.date = Some(day_before);
    });
    assert_eq!(desk.entries()["a"].reason, "ClockSkew");
    desk.knowledge.set_platform_clocks(instant(NOW));
    assert_eq!(desk.entries()["a"].outcome, Outcome::SwitchLater);
}
