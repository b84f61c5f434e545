//! What a plan says where the cluster may not be read.

use std::collections::HashMap;

use super::*;
use crate::cli::plan::{
    connections::{ConnectionChange, bystanders},
    platforms,
    stored::State,
};

fn forbidden_namespace(name: &str) -> State {
    let mut state = State::default();
    state.unread.namespaces.insert(name.to_owned());
    state
}

fn forbidden_connection(namespace: &str, name: &str) -> State {
    let mut state = State::default();
    state.unread.forbidden.insert(Key::new(namespace, name));
    state
}

fn manifests(text: &str, notes: &mut Vec<Note>) -> input::Input {
    let paths = [std::path::PathBuf::from(manifests::STANDARD_INPUT)];
    let options = manifests::ReadOptions::default();
    input::of(manifests::read(&paths, &options, &mut text.as_bytes()), notes)
}

fn manifest(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {{name: {name}, namespace: team}}\n\
         spec: {{tenant: {{id: 0fcd4a69-8a40-4de8-b711-d9c83dc000f7}}{spec}}}\n---\n"
    )
}

/// The plan of manifests whose stored objects are not known.
fn planned(text: &str, base: Option<&str>, state: &State) -> Plan {
    let mut notes = Vec::new();
    let mut input = manifests(text, &mut notes);
    let base = base.map(|base| manifests(base, &mut notes));
    let mut desk = Desk::new();
    desk.subjects = input::subjects(&mut input, base.as_ref(), state, &mut notes);
    assert_eq!(notes.len(), 0, "{notes:?}");
    desk.plan()
}

fn applies(policy: &str, plan: &Plan) -> bool {
    policy.parse::<Policy>().unwrap().applies(plan)
}

#[test]
fn an_object_whose_stored_state_is_not_known_is_not_new() {
    let state = forbidden_namespace("team");
    // The mode, and whether the object may be switched.
    for (spec, may_switch) in [
        (", mode: production", true),
        (", mode: production, switch: {at: MonthStart}", true),
        // Others may have set the mode, and an apply leaves it.
        ("", true),
        (", mode: trial", false),
        (", mode: production, suspend: true", false),
    ] {
        let plan = planned(&manifest("acme", spec), None, &state);
        let entry = &plan.objects[0];
        assert_eq!((entry.change, entry.outcome), (Change::Unknown, Outcome::Unknown), "{spec}");
        let why = "you may not list tenantpricings in namespace team. Ask for that right";
        assert!(entry.message.contains(why), "{}", entry.message);
        assert_eq!(plan.summary.unknown, 1, "{spec}");
        assert!(plan.has_changes() && applies("unknown", &plan), "{spec}");
        for policy in ["immediate-switch", "any-switch", "switches>0"] {
            assert_eq!(applies(policy, &plan), may_switch, "{spec}: {policy}");
        }
        for text in [formats::for_terminal(&plan), formats::as_annotations(&plan)] {
            assert!(text.contains(why), "{text}");
        }
        assert!(formats::as_markdown(&plan).contains("Not known (1)"), "{spec}");
    }
    // What another namespace holds is known, and what is invalid stays refused.
    let plan = planned(&manifest("acme", ", mode: production"), None, &forbidden_namespace("other"));
    assert_eq!((plan.objects[0].change, plan.objects[0].outcome), (Change::Create, Outcome::Refused));
    let plan = planned(&manifest("acme", ", mode: paid"), None, &state);
    assert_eq!((plan.objects[0].change, plan.objects[0].outcome), (Change::Unknown, Outcome::Refused));
}

#[test]
fn an_object_that_this_version_cannot_read_is_not_new() {
    let mut state = State::default();
    state.unread.objects.insert(Key::new("team", "acme"), "unknown variant `paid`".to_owned());
    let text = manifest("acme", ", mode: production") + &manifest("bolt", ", mode: trial");
    let plan = planned(&text, None, &state);
    let changes: HashMap<&str, Change> =
        plan.objects.iter().map(|entry| (&*entry.name, entry.change)).collect();
    assert_eq!(changes, HashMap::from([("acme", Change::Unknown), ("bolt", Change::Create)]));
    let notes = state.unread.notes(&[].into());
    assert!(notes[0].message.contains("cannot read the stored TenantPricing team/acme"), "{notes:?}");
}

/// The base says what the manifests change. What the status says is still not known.
#[test]
fn with_a_base_only_the_outcome_is_not_known() {
    let state = forbidden_namespace("team");
    let base = manifest("acme", ", mode: trial") + &manifest("gone", ", mode: production");
    let plan = planned(&manifest("acme", ", mode: production"), Some(&base), &state);
    let entries: HashMap<&str, &Entry> = plan.objects.iter().map(|entry| (&*entry.name, entry)).collect();
    let (acme, gone) = (entries["acme"], entries["gone"]);
    assert_eq!((acme.change, acme.outcome), (Change::Update, Outcome::Unknown), "{acme:?}");
    assert_eq!((gone.change, gone.outcome), (Change::Delete, Outcome::Unknown), "{gone:?}");
    assert!(gone.message.contains("Without pruning the object stays"), "{}", gone.message);
}

#[test]
fn what_goes_through_an_unread_connection_is_unknown() {
    let state = forbidden_connection("team", "default");
    let mut desk = Desk::new();
    desk.object("acme", |_, _| {});
    desk.object("held", |object, _| object.spec.suspend = true);
    for links in [&mut desk.knowledge.before, &mut desk.knowledge.after] {
        links.access.clear();
    }
    let mut notes = Vec::new();
    platforms::resolve(&state, &desk.subjects, &[], None, &mut desk.knowledge, &mut notes);
    let entries = desk.entries();
    assert_eq!(entries["acme"].outcome, Outcome::Unknown, "{:?}", entries["acme"]);
    let why = "PlatformConnection team/default is not known: you may not get platformconnections in namespace team.";
    assert!(entries["acme"].message.contains(why), "{}", entries["acme"].message);
    assert!(applies("unknown", &desk.plan()) && applies("immediate-switch", &desk.plan()));
    assert_eq!(entries["held"].outcome, Outcome::Suspended);
}

/// It may lead to the same platform.
#[test]
fn objects_that_may_share_a_tenant_are_found_despite_it() {
    let mut state = forbidden_connection("team", "hidden");
    let mut desk = Desk::new();
    let (gone, seen) = made("gone", |_, _| {});
    let mut other = made("other", |_, _| {}).0;
    other.spec.tenant.id.clone_from(&gone.spec.tenant.id);
    "hidden".clone_into(&mut other.spec.connection_ref.name);
    state.objects.insert(Key::of(&other), other);
    desk.know(&gone, seen);
    desk.subject("gone", Some(gone), None);
    let links = [&desk.knowledge.before, &desk.knowledge.after];
    let found = bystanders(&desk.subjects, &state, &desk.knowledge.changes, links);
    assert_eq!(found.len(), 1);
    state.unread.forbidden.clear();
    assert_eq!(bystanders(&desk.subjects, &state, &desk.knowledge.changes, links).len(), 0);
}

/// Around a connection that changes, every object counts. So a plan without them is not complete.
#[test]
fn a_namespace_with_a_changed_connection_must_be_read() {
    let state = forbidden_namespace("team");
    let change =
        |namespace: &str| (Key::new(namespace, "default"), ConnectionChange::unknown("it cannot be read"));
    let is_error = |changes: &[(Key, ConnectionChange)]| {
        let notes = state.unread.notes(&changes.iter().cloned().collect());
        assert!(notes[0].message.contains("you may not list tenantpricings in namespace team"), "{notes:?}");
        notes[0].is_error
    };
    assert!(is_error(&[change("team")]));
    assert!(!is_error(&[change("other")]) && !is_error(&[]));
}
