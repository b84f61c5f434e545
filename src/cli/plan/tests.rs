//! What a plan says, decided on made-up facts.

mod apply;
mod indirect;
mod trees;
mod unread;

use std::collections::HashMap;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Policy, document,
    document::{Change, ComparedWith, Entry, Note, Outcome, Plan, SCHEMA, Source, Summary},
    formats, input, outcome,
    outcome::Knowledge,
    stored::applied,
    subject::Subject,
    summary,
};
use crate::{
    api::{AllowedNamespaces, DesiredMode, NamespacesFrom, Phase, SwitchAt, SwitchSpec, TenantPricing},
    cli::{
        manifests::{self, Position},
        output,
        platform::facts::access,
    },
    cluster::Key,
    connections::Admission,
    platform::{Mode, TenantKind},
    pricing::facts::{Proof, Seen, TenantRead},
    testing::{
        fixtures::{self, DECEMBER, NOW, Scene, instant},
        golden, schemas,
    },
};

/// A state of files, cluster and platform, in which every object is a customer in trial unless a test says otherwise.
struct Desk {
    subjects: Vec<Subject>,
    others: Vec<TenantPricing>,
    knowledge: Knowledge,
}

impl Desk {
    fn new() -> Self {
        let mut knowledge = Knowledge::default();
        let allowed = AllowedNamespaces { from: NamespacesFrom::All, selector: None };
        let mut connection = fixtures::connection(allowed);
        connection.metadata.namespace = Some("team".to_owned());
        connection.metadata.name = Some("default".to_owned());
        for links in [&mut knowledge.before, &mut knowledge.after] {
            links.connections.insert(Key::new("team", "default"), connection.clone());
        }
        Self { subjects: Vec::new(), others: Vec::new(), knowledge }
    }

    fn budget(mut self, count: u32) -> Self {
        for links in [&mut self.knowledge.before, &mut self.knowledge.after] {
            for connection in links.connections.values_mut() {
                connection.spec.switch.budget.count = count;
            }
        }
        self
    }

    /// Adds an object that asks for production at once, after a change.
    fn object(&mut self, name: &str, change: impl FnOnce(&mut TenantPricing, &mut Seen)) {
        let (object, read) = made(name, change);
        self.know(&object, read);
        self.subject(name, None, Some(applied(None, object)));
    }

    fn subject(&mut self, name: &str, before: Option<TenantPricing>, after: Option<TenantPricing>) {
        let source = Some(Source { file: format!("{name}.yaml"), line: 1, column: 1, rendered: None });
        let key = Key::new("team", name);
        let subject = Subject { key, before, after, source, rejected: None, is_given: true, unread: None };
        self.subjects.push(subject);
    }

    fn know(&mut self, object: &TenantPricing, read: Seen) {
        let connection = object.connection_key();
        let key = (Key::of(object), connection.clone());
        for links in [&mut self.knowledge.before, &mut self.knowledge.after] {
            let Some(found) = links.connections.get(&connection) else { continue };
            let access = access(found, Admission::Admitted);
            links.access.insert(key.clone(), access);
        }
        if let Some(name) = &object.spec.tenant.name {
            let proof = Proof::Customers(vec![read.tenant.id.clone()]);
            self.knowledge.proofs.insert((connection, name.clone()), proof);
        }
        self.knowledge.reads.insert(key, TenantRead::Seen(Box::new(read)));
    }

    fn plan(&self) -> Plan {
        let now = instant(NOW);
        let objects = outcome::entries(&self.subjects, &self.others, &self.knowledge, now, Instant::now());
        schemas::valid(plan(objects))
    }

    fn entries(&self) -> HashMap<String, Entry> {
        self.plan().objects.into_iter().map(|entry| (entry.name.clone(), entry)).collect()
    }
}

fn plan(objects: Vec<Entry>) -> Plan {
    Plan {
        schema: SCHEMA.to_owned(),
        now: instant(NOW),
        compared_with: ComparedWith::Nothing,
        platform_read: true,
        summary: Summary::default(),
        objects,
        notes: Vec::new(),
    }
    .complete()
}

/// An object and its tenant, which have an id of their own.
fn made(name: &str, change: impl FnOnce(&mut TenantPricing, &mut Seen)) -> (TenantPricing, Seen) {
    let scene = Scene::new();
    let mut object = scene.object.clone();
    let TenantRead::Seen(seen) = scene.read else { unreachable!("a scene has a tenant") };
    let mut seen = *seen;
    let number: u64 = name.bytes().fold(7, |sum, byte| (sum * 131 + u64::from(byte)) % 1_000_000_000_000);
    let id = format!("00000000-0000-4000-8000-{number:012}");
    object.metadata.name = Some(name.to_owned());
    object.metadata.uid = None;
    object.spec.tenant.id = Some(id.clone());
    seen.tenant.id = id.parse().unwrap();
    change(&mut object, &mut seen);
    (object, seen)
}

fn at_month_start(object: &mut TenantPricing) {
    object.spec.switch = Some(SwitchSpec { at: Some(SwitchAt::MonthStart), not_before: None });
}

#[test]
fn each_kind_of_object_has_its_outcome() {
    let mut desk = Desk::new();
    desk.object("now", |_, _| {});
    desk.object("later", |object, _| at_month_start(object));
    desk.object("done", |_, seen| seen.tenant.mode = Mode::Production);
    desk.object("observed", |object, _| object.spec.mode = None);
    desk.object("back", |object, seen| {
        object.spec.mode = Some(DesiredMode::Trial);
        seen.tenant.mode = Mode::Production;
    });
    desk.object("partner", |_, seen| seen.tenant.kind = TenantKind::Partner);
    desk.object("held", |object, _| object.spec.suspend = true);
    let entries = desk.entries();
    let outcomes = [
        ("now", Outcome::SwitchNow, "Switching", Some("2026-11")),
        ("later", Outcome::SwitchLater, "SwitchScheduled", Some("2026-12")),
        ("done", Outcome::NoSwitch, "InSync", None),
        ("observed", Outcome::NoSwitch, "Observed", None),
        ("back", Outcome::Refused, "ReversalRefused", None),
        ("partner", Outcome::Refused, "NotACustomerTenant", None),
        ("held", Outcome::Suspended, "Suspended", None),
    ];
    for (name, outcome, reason, month) in outcomes {
        let entry = &entries[name];
        assert_eq!((entry.outcome, entry.reason.as_str()), (outcome, reason), "{name}: {}", entry.message);
        assert_eq!(entry.billed_month.as_deref(), month, "{name}");
        assert_eq!(entry.change, Change::Create, "{name}");
    }
    assert_eq!(entries["later"].at, Some(instant(DECEMBER)));
    assert_eq!(entries["later"].in_days, Some(8));
    assert!(entries["now"].message.contains("November 2026"), "{}", entries["now"].message);
}

#[test]
fn the_budget_delays_those_that_have_no_room() {
    let mut desk = Desk::new().budget(2);
    for name in ["a", "b", "c", "d", "e"] {
        desk.object(name, |_, _| {});
    }
    let entries = desk.entries();
    let now = instant(NOW);
    let hours = |entry: &Entry| {
        let wait = entry.at.unwrap().duration_since(now);
        assert!(wait.as_secs() % 3600 < 10, "{wait:?}");
        wait.as_hours()
    };
    let waits: Vec<i64> = ["a", "b", "c", "d", "e"].iter().map(|name| hours(&entries[*name])).collect();
    assert_eq!(waits, [0, 0, 1, 1, 2]);
    assert_eq!(entries["b"].outcome, Outcome::SwitchNow);
    assert_eq!(entries["c"].outcome, Outcome::SwitchLater);
    assert_eq!(entries["c"].reason, "SwitchBudgetExhausted");
    assert_eq!(desk.plan().summary.switches_now, 2);
}

/// A budget of zero or a stop held them back: the window begins when it is lifted.
#[test]
fn lifting_a_stop_admits_no_more_than_the_budget() {
    let mut desk = Desk::new().budget(1);
    let since = ["2026-11-20T09:00:00Z", "2026-10-02T09:00:00Z", "2026-11-23T09:59:59Z"];
    for (name, since) in ["second", "first", "third"].iter().zip(since) {
        let (object, read) = made(name, |object, _| {
            let mut status = Scene::new().journaled(Phase::Scheduled).object.status.unwrap();
            status.switch.as_mut().unwrap().scheduled_for = Some(fixtures::time(since));
            object.status = Some(status);
        });
        desk.know(&object, read);
        desk.subject(name, Some(object.clone()), Some(object));
    }
    let entries = desk.entries();
    let waits = ["first", "second", "third"].map(|name| {
        let wait = entries[name].at.unwrap().duration_since(instant(NOW));
        (entries[name].outcome, wait.as_hours())
    });
    assert_eq!(waits, [(Outcome::SwitchNow, 0), (Outcome::SwitchLater, 1), (Outcome::SwitchLater, 2)]);
}

/// GitHub and GitLab show what follows `</details>` as it is, up to an empty line.
#[test]
fn a_remark_after_a_folded_section_is_a_list_item() {
    let mut desk = Desk::new();
    for number in 0..30 {
        desk.object(&format!("customer-{number}"), |_, _| {});
    }
    let mut plan = desk.plan();
    plan.notes.push(note(false, "It concerns the input."));
    let comment = formats::as_markdown(&plan);
    assert!(comment.contains("</details>\n\n- **"), "{comment}");
}

#[test]
fn a_budget_of_zero_switches_nothing() {
    let mut desk = Desk::new().budget(0);
    desk.object("a", |_, _| {});
    let entry = &desk.entries()["a"];
    assert_eq!((entry.outcome, entry.at), (Outcome::InProgress, None), "{}", entry.message);
    assert!(entry.message.contains("stays in trial"), "{}", entry.message);
}

#[test]
fn a_month_start_without_budget_is_held_back_and_counted() {
    let mut desk = Desk::new().budget(0);
    desk.object("a", |object, _| at_month_start(object));
    let plan = desk.plan();
    let entry = &plan.objects[0];
    assert_eq!((entry.outcome, entry.at, &*entry.reason), (Outcome::SwitchLater, None, "SwitchScheduled"));
    assert!(entry.message.contains("stays in trial"), "{}", entry.message);
    assert_eq!(summary::line(&plan), "1 held back by a budget.");
    assert!(formats::for_terminal(&plan).contains("Until the budget is raised"));
    assert_eq!(summary::line(&Desk::new().plan()), "No TenantPricing was found.");
}

#[test]
fn the_second_object_for_a_tenant_is_a_duplicate() {
    let mut desk = Desk::new();
    let (one, seen) = made("one", |_, _| {});
    desk.object("two", |object, other| {
        object.spec.tenant.id.clone_from(&one.spec.tenant.id);
        other.tenant.id = seen.tenant.id.clone();
    });
    desk.know(&one, seen);
    desk.subject("one", None, Some(applied(None, one)));
    let entries = desk.entries();
    assert_eq!(entries["one"].outcome, Outcome::SwitchNow);
    assert_eq!(
        (entries["two"].outcome, entries["two"].reason.as_str()),
        (Outcome::Refused, "DuplicateTenant")
    );
}

#[test]
fn an_older_object_of_the_cluster_owns_the_tenant() {
    let mut desk = Desk::new();
    let (mut stored, seen) = made("stored", |_, _| {});
    stored.metadata.creation_timestamp = Some(fixtures::time("2026-01-01T00:00:00Z"));
    desk.object("new", |object, other| {
        object.spec.tenant.id.clone_from(&stored.spec.tenant.id);
        other.tenant.id = seen.tenant.id.clone();
    });
    let status = crate::api::TenantPricingStatus {
        tenant_id: Some(seen.tenant.id.to_string()),
        ..crate::api::TenantPricingStatus::default()
    };
    stored.status = Some(status);
    desk.know(&stored, seen);
    desk.others.push(stored);
    let entry = &desk.entries()["new"];
    assert_eq!((entry.outcome, entry.reason.as_str()), (Outcome::Refused, "DuplicateTenant"));
    assert!(entry.message.contains("team/stored"), "{}", entry.message);
}

#[test]
fn a_plan_that_is_taken_back_is_cancelled() {
    let mut desk = Desk::new();
    let (mut before, seen) = made("a", |object, _| at_month_start(object));
    before = applied(None, before);
    let mut after = before.clone();
    after.spec.mode = Some(DesiredMode::Trial);
    desk.know(&before, seen.clone());
    desk.subject("a", Some(before.clone()), Some(applied(Some(&before), after)));
    let (gone, seen) = made("gone", |object, _| at_month_start(object));
    let gone = applied(None, gone);
    desk.know(&gone, seen);
    desk.subject("gone", Some(gone), None);
    let entries = desk.entries();
    for name in ["a", "gone"] {
        assert_eq!(entries[name].outcome, Outcome::Cancelled, "{name}: {}", entries[name].message);
        assert!(entries[name].message.contains("nothing is billed"), "{}", entries[name].message);
    }
    assert_eq!(entries["gone"].change, Change::Delete);
    assert!(entries["gone"].message.contains("Without pruning it stays"), "{}", entries["gone"].message);
    assert_eq!(summary::line(&desk.plan()), "2 cancelled (1 only if the cluster loses the object too).");
}

#[test]
fn an_equal_spec_is_no_change() {
    let mut desk = Desk::new();
    let (object, seen) = made("a", |_, _| {});
    let object = applied(None, object);
    desk.know(&object, seen);
    desk.subject("a", Some(object.clone()), Some(applied(Some(&object), object.clone())));
    let plan = desk.plan();
    assert_eq!((plan.summary.unchanged, plan.summary.switches_now), (1, 0));
    assert!(!plan.has_changes());
    assert_eq!(summary::line(&plan), "1 unchanged.");
}

#[test]
fn what_was_not_read_is_unknown_with_its_possible_bill() {
    let mut desk = Desk::new();
    desk.object("a", |object, _| at_month_start(object));
    desk.knowledge.reads.clear();
    desk.knowledge.is_offline = true;
    let entry = &desk.entries()["a"];
    assert_eq!((entry.outcome, entry.at), (Outcome::Unknown, Some(instant(DECEMBER))));
    assert_eq!(entry.billed_month.as_deref(), Some("2026-12"));
    assert!(
        entry.message.contains("--offline") && entry.message.contains("December 2026"),
        "{}",
        entry.message
    );
}

#[test]
fn the_line_reads_as_a_sentence() {
    let mut desk = Desk::new();
    for name in ["a", "b"] {
        desk.object(name, |_, _| {});
    }
    desk.object("c", |object, _| at_month_start(object));
    desk.object("d", |_, seen| seen.tenant.kind = TenantKind::Partner);
    desk.object("e", |object, _| object.spec.mode = None);
    assert_eq!(
        summary::line(&desk.plan()),
        "2 switches now (November 2026 is billed), 1 on 1 December 2026, 1 refused, 1 changed without a switch."
    );
}

#[test]
fn a_policy_applies_to_what_it_names() {
    let mut desk = Desk::new();
    desk.object("a", |_, _| {});
    desk.object("b", |object, _| at_month_start(object));
    let plan = desk.plan();
    let policies = [
        ("immediate-switch", true),
        ("any-switch", true),
        ("unknown", false),
        ("switches>1", true),
        ("switches>2", false),
    ];
    for (text, applies) in policies {
        let policy: Policy = text.parse().unwrap();
        assert_eq!(policy.to_string(), text);
        assert_eq!(policy.applies(&plan), applies, "{text}");
    }
    for text in ["", "switches", "switches>", "switches>-1", "all"] {
        assert!(text.parse::<Policy>().is_err(), "{text}");
    }
}

/// A gate must not open for what could not be read. What asks for no switch does not close it.
#[test]
fn to_a_policy_the_unknown_is_the_switch_it_may_be() {
    let applies = |change: &dyn Fn(&mut TenantPricing), policies: [bool; 4]| {
        let mut desk = Desk::new();
        desk.object("a", |object, _| change(object));
        desk.knowledge.reads.clear();
        desk.knowledge.is_offline = true;
        let plan = desk.plan();
        let names = ["immediate-switch", "any-switch", "switches>0", "switches>1"];
        let found = names.map(|name| name.parse::<Policy>().unwrap().applies(&plan));
        assert_eq!(found, policies, "{names:?}: {:#?}", plan.objects);
        // Without its connection, not even the time is known.
        desk.knowledge.failures.insert(Key::new("team", "default"), "It is not in the input.".to_owned());
        desk.knowledge.after.access.clear();
        desk.knowledge.before.access.clear();
        let plan = desk.plan();
        let at_any_time = [policies[1], policies[1], policies[2], policies[3]];
        let found = names.map(|name| name.parse::<Policy>().unwrap().applies(&plan));
        assert_eq!(found, at_any_time, "{names:?}: {:#?}", plan.objects);
    };
    applies(&|_| {}, [true, true, true, false]);
    applies(&at_month_start, [false, true, true, false]);
    applies(&|object| object.spec.mode = Some(DesiredMode::Trial), [false; 4]);
    applies(&|object| object.spec.mode = None, [false; 4]);
    applies(&|object| object.spec.suspend = true, [false; 4]);
}

#[test]
fn an_unchanged_object_that_is_unknown_meets_no_policy() {
    let mut desk = Desk::new();
    let (object, _) = made("a", |_, _| {});
    let object = applied(None, object);
    desk.subject("a", Some(object.clone()), Some(object));
    for name in ["immediate-switch", "any-switch", "switches>0"] {
        assert!(!name.parse::<Policy>().unwrap().applies(&desk.plan()), "{name}");
    }
}

#[test]
fn a_refused_update_is_no_deletion() {
    let mut desk = Desk::new();
    let (object, seen) = made("a", |_, _| {});
    let object = applied(None, object);
    desk.know(&object, seen);
    for (before, change) in [(Some(object), Change::Update), (None, Change::Create)] {
        desk.subjects.clear();
        desk.subject("a", before, None);
        desk.subjects[0].rejected = Some("spec.mode: no".to_owned());
        let entry = &desk.entries()["a"];
        assert_eq!((entry.change, entry.outcome), (change, Outcome::Refused));
    }
}

/// A plan with a name that tries to be more than text, and more rows than are shown at once.
fn large(size: usize) -> Plan {
    let mut desk = Desk::new().budget(1_000_000);
    for number in 0..size {
        desk.object(&format!("tenant-{number:05}"), |object, seen| {
            at_month_start(object);
            seen.tenant.name = "a|b `c` <d> @e ::error::\n![x](https://evil.example)".to_owned();
        });
    }
    desk.plan()
}

#[test]
fn a_comment_stays_below_the_limit_and_says_what_is_cut() {
    for (size, is_cut) in [(5, false), (30, false), (2000, true)] {
        let text = formats::as_markdown(&large(size));
        assert!(text.chars().count() <= 60_000, "{} characters", text.chars().count());
        assert_eq!(text.contains("are not shown here"), is_cut, "{size}");
        assert_eq!(text.contains("<details>"), size > 20, "{size}");
        assert!(text.contains(&format!("Switched later ({size})")), "{size}");
        assert!(!text.contains("evil.example"), "{size}");
    }
    assert_eq!(formats::as_markdown(&large(30)), formats::as_markdown(&large(30)));
}

#[test]
fn github_gets_the_worst_first_and_ten_of_each() {
    let mut desk = Desk::new();
    for number in 0..12 {
        desk.object(&format!("z{number}"), |_, seen| seen.tenant.kind = TenantKind::Partner);
        desk.object(&format!("a{number}"), |_, _| {});
    }
    let text = formats::as_annotations(&desk.plan());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with("::error ")).count(), 10);
    assert_eq!(lines.iter().filter(|line| line.starts_with("::warning ")).count(), 10);
    assert!(
        lines[0].starts_with("::error file=z0.yaml,line=1,col=1,title=TenantPricing::team/z0: "),
        "{}",
        lines[0]
    );
    assert!(lines.last().unwrap().starts_with("::notice "));
}

#[test]
fn a_secret_that_nothing_needs_is_no_error() {
    let secret = |name: &str, rest: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: team}}\n{rest}\n---\n")
    };
    let text = secret("sops", "stringData: {clientSecret: 'ENC[AES256_GCM,data:x]'}\nsops: {version: 3.9.0}")
        + &secret("templated", "data: {clientSecret: '${SECRET}'}")
        + &secret("fine", "stringData: {clientSecret: x}");
    let options = manifests::ReadOptions::default();
    let found = manifests::read(&["-".into()], &options, &mut text.as_bytes());
    let mut notes = Vec::new();
    let input = input::of(found, &mut notes);
    let said: Vec<(bool, &str)> = notes.iter().map(|note| (note.is_error, note.message.as_str())).collect();
    assert_eq!(
        said,
        [
            (false, "Secret team/sops cannot be used: it is encrypted by SOPS"),
            (false, "Secret team/templated cannot be used: it is no Secret that the API server accepts"),
        ]
    );
    assert!(input.secrets[&Key::new("team", "fine")].is_ok());
}

#[test]
fn manifests_of_another_namespace_than_the_flag_are_named() {
    let text =
        "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {name: a, namespace: team}\n";
    let options = manifests::ReadOptions { default_namespace: Some("other".to_owned()), recursive: false };
    let text = format!("{text}---\n{}", text.replace("a, namespace: team", "b"));
    let found = manifests::read(&["-".into()], &options, &mut text.as_bytes());
    let input = input::of(found, &mut Vec::new());
    let note = input.in_other_namespaces("other").unwrap();
    assert!(
        note.message.starts_with("TenantPricing team/a names another namespace than -n other"),
        "{note:?}"
    );
    assert_eq!((note.is_error, note.source.unwrap().line), (false, 3));
    assert!(input.in_other_namespaces("team").is_some_and(|note| note.message.contains("other/b")));
}

fn note(is_error: bool, message: &str) -> Note {
    Note { is_error, source: None, message: message.to_owned() }
}

#[test]
fn github_gets_what_starts_billing_before_the_rest() {
    let mut desk = Desk::new();
    for number in 0..11 {
        desk.object(&format!("a{number}"), |object, _| object.spec.mode = None);
        desk.object(&format!("b{number}"), |object, _| at_month_start(object));
    }
    desk.knowledge.reads.clear();
    desk.object("c", |object, _| at_month_start(object));
    desk.object("d", |_, _| {});
    desk.object("unread", |_, _| {});
    let read = (Key::new("team", "unread"), Key::new("team", "default"));
    desk.knowledge.reads.remove(&read);
    let mut plan = desk.plan();
    for number in 0..11 {
        plan.notes.push(note(false, &format!("a remark {number}")));
    }
    plan.notes.push(note(true, "a file cannot be read"));
    let text = formats::as_annotations(&plan);
    let of = |command: &str| -> Vec<&str> {
        let start = format!("::{command} ");
        text.lines().filter(|line| line.starts_with(&start)).collect()
    };
    assert!(of("error").len() == 1 && of("error")[0].contains("a file cannot be read"), "{text}");
    let warnings = of("warning");
    for (warning, name) in warnings.iter().zip(["d", "unread", "c", "b0"]) {
        assert!(warning.contains(&format!("::team/{name}: ")), "{name}: {warning}");
    }
    let notices = of("notice");
    assert_eq!((warnings.len(), notices.len()), (10, 10), "{text}");
    assert!(notices[0].contains("a remark 0"), "{text}");
    let cut = "Not annotated, since GitHub shows ten of each kind: 15 warnings, 2 notices.";
    assert!(notices[9].contains("1 switch now") && notices[9].ends_with(cut), "{}", notices[9]);
}

#[test]
fn an_error_is_called_one_and_comes_before_remarks() {
    let mut plan = large(1);
    plan.notes = vec![note(false, "a remark"), note(true, "a fault")];
    let place = Source { file: "a.yaml".to_owned(), line: 0, column: 0, rendered: None };
    plan.notes[1].source = Some(place);
    let terminal = formats::for_terminal(&plan);
    assert!(terminal.contains("\nerror: a.yaml: a fault\nnote: a remark\n"), "{terminal}");
    let markdown = formats::as_markdown(&plan);
    assert!(
        markdown.contains("- **error:** <code>a&#46;yaml</code>&#58; a fault\n- **note:** a remark\n"),
        "{markdown}"
    );
    let annotations = formats::as_annotations(&plan);
    assert!(annotations.contains("::error file=a.yaml,title=plan::a fault\n"), "{annotations}");
}

#[test]
fn a_rendered_manifest_has_two_places() {
    let mut desk = Desk::new();
    desk.object("a", |_, seen| seen.tenant.kind = TenantKind::Partner);
    let position = Position {
        file: "standard input".to_owned(),
        line: 12,
        column: 3,
        rendered_from: Some("chart/a.yaml".to_owned()),
    };
    desk.subjects[0].source = Some(input::source(&position));
    let plan = desk.plan();
    let terminal = formats::for_terminal(&plan);
    assert!(terminal.contains("team/a (chart/a.yaml (rendered at standard input:12:3)): "), "{terminal}");
    let annotations = formats::as_annotations(&plan);
    assert!(
        annotations.starts_with("::error file=chart/a.yaml,line=1,col=1,title=TenantPricing::"),
        "{annotations}"
    );
    assert!(annotations.contains(" (rendered at standard input:12:3)\n"), "{annotations}");
}

#[test]
fn a_hostile_name_stays_text_in_every_format() {
    let plan = large(1);
    for text in [formats::for_terminal(&plan), formats::as_markdown(&plan), formats::as_annotations(&plan)] {
        assert!(
            !text.contains('\u{1b}') && !text.contains("\n![") && !text.contains("\n::error::"),
            "{text}"
        );
    }
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_plan() {
    let schema = schemars::schema_for!(document::Plan);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    golden::compare("schemas/plan-v1.json", &text).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn an_instant_is_written_in_rfc_3339() {
    let json: serde_json::Value = serde_json::from_str(&output::json(&large(1)).unwrap()).unwrap();
    assert_eq!(json["schema"], SCHEMA);
    let at: Timestamp = json["objects"][0]["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(at, instant(DECEMBER));
}
