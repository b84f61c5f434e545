//! Something changes between the pre-write read and the journal write, or before the cache shows it. No switch is sent
//! that is no longer wanted.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::{
        Fault, FaultAction, FaultId, LoggedRequest, Operation, Simulator, SimulatorOptions, TenantRecord,
        TenantSpec,
    },
};

use super::{announced, at_work, attempts, connected, hold_prewrite_read, is_switched, journal};
use crate::harness::{ApiProxy, PATIENCE, Test, WriteFault, has, reason};

/// Two objects that are due at the same time.
const DUE: [&str; 2] = ["one", "other"];

/// A change that an administrator makes on the platform.
type Change = Box<dyn FnOnce(&mut TenantRecord)>;

/// A tenant whose object asks for production and stands at its pre-write read.
async fn at_its_prewrite_read(test: &Test, name: &str, connection: &str) -> (String, FaultId) {
    let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
    let held = hold_prewrite_read(test, &tenant);
    test.production(name, &tenant, json!({"connectionRef": {"name": connection}})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a pre-write read");
    (tenant, held)
}

/// Waits until a journal write for the object was refused with this HTTP status.
async fn until_write_refused(test: &Test, name: &str, code: u16) {
    test.wait_for(&format!("a status write of {name} is answered {code}"), PATIENCE, async || {
        let writes = test.controller_writes().await;
        writes.iter().any(|write| write.name == name && write.code == code).then_some(())
    })
    .await;
}

/// The edit makes the journal write conflict.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_after_the_prewrite_read_sends_nothing() {
    let test = at_work("edited-meanwhile").await;
    let edits = [
        ("trial", json!({"spec": {"mode": "trial"}}), "InSync"),
        ("observe", json!({"spec": {"mode": null}}), "Observed"),
        ("suspend", json!({"spec": {"suspend": true}}), "Suspended"),
        ("later", json!({"spec": {"switch": {"notBefore": "2199-01-01T00:00:00Z"}}}), "SwitchScheduled"),
    ];
    for (name, edit, expected) in edits {
        let (tenant, held) = at_its_prewrite_read(&test, name, "default").await;
        test.edit::<TenantPricing>(name, edit).await;
        test.simulator.release(held);
        let object = test.until(name, "shows the edit", |object| has(object, "Ready", "True")).await;
        assert_eq!((reason(&object, "Ready"), attempts(&object)), (expected, 0), "{name}");
        until_write_refused(&test, name, 409).await;
        assert_eq!(announced(&test, name), [""; 0], "{name}");
        assert_eq!(test.simulator.puts(&tenant), 0, "{name}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_changes_nothing_of_the_request_only_delays_it() {
    let test = at_work("labelled-meanwhile").await;
    let (tenant, held) = at_its_prewrite_read(&test, "acme", "default").await;
    test.edit::<TenantPricing>("acme", json!({"metadata": {"labels": {"team": "a"}}})).await;
    test.simulator.release(held);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!((attempts(&object), test.simulator.puts(&tenant)), (1, 1));
    until_write_refused(&test, "acme", 409).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_deleted_after_the_prewrite_read_is_not_switched() {
    let test = at_work("deleted-meanwhile").await;
    let api: Api<TenantPricing> = Api::namespaced(test.client.clone(), &test.namespace);
    let (tenant, held) = at_its_prewrite_read(&test, "gone", "default").await;
    api.delete("gone", &DeleteParams::default()).await.unwrap();
    test.simulator.release(held);
    until_write_refused(&test, "gone", 404).await;
    assert_eq!(test.simulator.puts(&tenant), 0);
    // One of the same name in its place is another request, here none at all.
    let (tenant, held) = at_its_prewrite_read(&test, "replaced", "default").await;
    api.delete("replaced", &DeleteParams::default()).await.unwrap();
    test.tenant_pricing("replaced", json!({"tenant": {"id": tenant}, "mode": "trial"})).await;
    test.simulator.release(held);
    until_write_refused(&test, "replaced", 409).await;
    let object = test.until("replaced", "is read", |object| has(object, "Ready", "True")).await;
    assert!(journal(&object).is_none());
    assert_eq!(test.simulator.puts(&tenant), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_changed_during_the_prewrite_read_applies() {
    let test = Test::new("connection-meanwhile").await;
    let elsewhere = Simulator::start(SimulatorOptions::default()).await.unwrap();
    let cases = [
        ("stopped", json!({"spec": {"suspend": true}}), "ConnectionNotReady"),
        ("forbidden", json!({"spec": {"url": "https://example.com"}}), "ConnectionNotReady"),
        (
            "closed",
            json!({"spec": {"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}}}),
            "ConnectionNotAllowed",
        ),
    ];
    for (name, ..) in &cases {
        test.connection(name, json!({})).await;
    }
    test.connection("moved", json!({})).await;
    test.connection("removed", json!({})).await;
    let mut options = test.controller_options();
    options.allowed_hosts.push(elsewhere.url());
    test.controller_with(&options).await;
    for (name, edit, expected) in cases {
        let (tenant, held) = at_its_prewrite_read(&test, name, name).await;
        test.edit::<PlatformConnection>(name, edit).await;
        test.simulator.release(held);
        let object = test.until(name, "is stopped", |object| has(object, "Stalled", "True")).await;
        assert_eq!((reason(&object, "Stalled"), announced(&test, name).len()), (expected, 0), "{name}");
        assert_eq!(test.simulator.puts(&tenant), 0, "{name}");
    }
    let (tenant, held) = at_its_prewrite_read(&test, "removed", "removed").await;
    let api: Api<PlatformConnection> = Api::namespaced(test.client.clone(), &test.namespace);
    api.delete("removed", &DeleteParams::default()).await.unwrap();
    test.simulator.release(held);
    let object = test.until("removed", "is stopped", |object| has(object, "Stalled", "True")).await;
    assert_eq!((reason(&object, "Stalled"), test.simulator.puts(&tenant)), ("ConnectionNotFound", 0));
    // The other platform does not know these credentials, so no request succeeds there.
    let (tenant, held) = at_its_prewrite_read(&test, "moved", "moved").await;
    test.edit::<PlatformConnection>("moved", json!({"spec": {"url": elsewhere.url()}})).await;
    test.simulator.release(held);
    let object = test.until("moved", "is stopped", |object| has(object, "Stalled", "True")).await;
    assert_eq!((reason(&object, "Stalled"), announced(&test, "moved").len()), ("ConnectionNotReady", 0));
    assert_eq!((test.simulator.puts(&tenant), elsewhere.total_puts()), (0, 0));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_lowered_during_the_prewrite_read_applies() {
    let test = at_work("budget-meanwhile").await;
    let budget = |count: u32| json!({"spec": {"switch": {"budget": {"count": count, "window": "1h"}}}});
    let (tenant, held) = at_its_prewrite_read(&test, "acme", "default").await;
    test.edit::<PlatformConnection>("default", budget(0)).await;
    test.simulator.release(held);
    let has_to_wait = |object: &TenantPricing| reason(object, "Reconciling") == "SwitchBudgetExhausted";
    test.until("acme", "has to wait", has_to_wait).await;
    assert_eq!((announced(&test, "acme").len(), test.simulator.puts(&tenant)), (0, 0));
    test.edit::<PlatformConnection>("default", budget(1)).await;
    test.until("acme", "is switched", is_switched).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_lost_during_the_prewrite_read_applies() {
    let test = Test::new("label-meanwhile").await;
    let namespaces: Api<Namespace> = Api::all(test.client.clone());
    let label = async |value: serde_json::Value| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"pricing": value}}}));
        namespaces.patch(&test.namespace, &PatchParams::default(), &patch).await.unwrap();
    };
    label(json!("allowed")).await;
    let selector = json!({"matchLabels": {"pricing": "allowed"}});
    test.connection("default", json!({"allowedNamespaces": {"from": "Selector", "selector": selector}}))
        .await;
    test.controller().await;
    let (tenant, held) = at_its_prewrite_read(&test, "acme", "default").await;
    label(json!(null)).await;
    test.simulator.release(held);
    let object = test.until("acme", "is stopped", |object| has(object, "Stalled", "True")).await;
    assert_eq!((reason(&object, "Stalled"), announced(&test, "acme").len()), ("ConnectionNotAllowed", 0));
    label(json!("allowed")).await;
    test.request_reconcile("acme", "1").await;
    test.until("acme", "is switched", is_switched).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_not_yet_in_the_caches_apply() {
    let test = Test::new("stale-caches").await;
    test.set_time("2026-11-23T12:00:00Z".parse().unwrap());
    let proxy = test.api_proxy().await;
    let elsewhere = Simulator::start(SimulatorOptions::default()).await.unwrap();
    let names = ["edited", "stopped", "moved", "unchanged"];
    let due: Timestamp = "2026-11-25T08:30:00Z".parse().unwrap();
    let mut tenants = Vec::new();
    for name in names {
        // Read again every ten seconds, and by nothing else: the watches are frozen.
        test.connection(name, json!({"pollInterval": "10s"})).await;
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        let spec = json!({"connectionRef": {"name": name}, "switch": {"notBefore": due.to_string()}});
        test.production(name, &tenant, spec).await;
        tenants.push(tenant);
    }
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    options.allowed_hosts.push(elsewhere.url());
    test.controller_with(&options).await;
    for name in names {
        test.until(name, "is scheduled", |object| reason(object, "Ready") == "SwitchScheduled").await;
    }
    proxy.freeze_watches();
    test.edit::<TenantPricing>("edited", json!({"spec": {"mode": "trial"}})).await;
    test.edit::<PlatformConnection>("stopped", json!({"spec": {"suspend": true}})).await;
    test.edit::<PlatformConnection>("moved", json!({"spec": {"url": elsewhere.url()}})).await;
    test.set_time(due);
    let object = test.until("edited", "is cancelled", |object| reason(object, "Ready") == "InSync").await;
    assert!(journal(&object).is_none());
    let object = test.until("stopped", "is stopped", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotReady");
    test.until("unchanged", "is switched", is_switched).await;
    // A switch for the moved one is decided again and again, and never announced.
    let was_read = |requests: &[LoggedRequest]| {
        let path = format!("/api/2/tenants/{}", tenants[2]);
        requests.iter().filter(|request| request.path == path).count() >= 2
    };
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_requests(was_read))
        .await
        .expect("two pre-write reads");
    let puts: Vec<usize> = tenants.iter().map(|tenant| test.simulator.puts(tenant)).collect();
    assert_eq!((puts, elsewhere.total_puts()), (vec![0, 0, 0, 1], 0));
    proxy.thaw_watches();
    test.until("moved", "is stopped", |object| has(object, "Stalled", "True")).await;
    test.finish().await;
}

/// Two objects that become due at the same time, with a budget for one of them, and watches that bring nothing from
/// then on.
async fn due_with_a_budget_of_one(name: &str, at_the_first: Option<WriteFault>) -> (Test, ApiProxy) {
    let test = Test::new(name).await;
    test.set_time("2026-11-23T12:00:00Z".parse().unwrap());
    let proxy = test.api_proxy().await;
    let budget = json!({"budget": {"count": 1, "window": "1h"}});
    test.connection("default", json!({"pollInterval": "10s", "switch": budget})).await;
    let due: Timestamp = "2026-11-25T08:30:00Z".parse().unwrap();
    let tenants = DUE.map(|name| test.simulator.add_tenant(TenantSpec::customer(name)));
    for (name, tenant) in DUE.iter().zip(&tenants) {
        test.production(name, tenant, json!({"switch": {"notBefore": due.to_string()}})).await;
    }
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    test.controller_with(&options).await;
    for name in DUE {
        test.until(name, "is scheduled", |object| reason(object, "Ready") == "SwitchScheduled").await;
    }
    proxy.freeze_watches();
    if let Some(fault) = at_the_first {
        // The order is open: the status of the other one tells what it waits for.
        for name in DUE {
            proxy.at_next_status_write(name, fault);
        }
    }
    test.set_time(due);
    (test, proxy)
}

/// One of the two is switched, and no other. Returns the one that is not.
async fn only_one_is_switched(test: &Test) -> &'static str {
    let first = async || {
        let put = test.simulator.requests().into_iter().find(|put| put.operation == Operation::PutPricing)?;
        let tenant = test.simulator.tenant(&put.tenants[0])?;
        DUE.iter().position(|name| *name == tenant.name)
    };
    let waiting = DUE[1 - test.wait_for("one of them is switched", PATIENCE, first).await];
    // Longer than a permit is valid: a pre-write read and a switch would have had their time.
    let before = test.simulator.reads();
    let was_read =
        async || (test.simulator.reads() >= before + 3 || test.simulator.total_puts() > 1).then_some(());
    test.wait_for("it is read again", 2 * PATIENCE, was_read).await;
    assert_eq!(test.simulator.total_puts(), 1, "there was no room for {waiting}");
    waiting
}

fn has_to_wait(object: &TenantPricing) -> bool {
    reason(object, "Reconciling") == "SwitchBudgetExhausted"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_not_yet_in_the_cache_counts_in_the_budget() {
    let (test, proxy) = due_with_a_budget_of_one("stale-budget", None).await;
    let waiting = only_one_is_switched(&test).await;
    test.until(waiting, "has to wait", has_to_wait).await;
    proxy.thaw_watches();
    test.reconcile_now(waiting, "thawed").await;
    assert_eq!(test.simulator.total_puts(), 1, "it counts on when the watch has brought it");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_without_a_request_keeps_no_place() {
    // Stored or not, no answer confirms it, and nothing is sent.
    for (name, fault) in
        [("unsure-budget", WriteFault::AnswerWith(504)), ("unheard-budget", WriteFault::LoseRequest)]
    {
        let (test, proxy) = due_with_a_budget_of_one(name, Some(fault)).await;
        let waiting = only_one_is_switched(&test).await;
        proxy.thaw_watches();
        test.until(waiting, "has to wait", has_to_wait).await;
        assert_eq!(test.simulator.total_puts(), 1);
        test.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_stuck_before_our_last_write_blocks_no_object() {
    let test = Test::new("stuck-watch").await;
    test.set_time("2026-11-23T12:00:00Z".parse().unwrap());
    let proxy = test.api_proxy().await;
    test.connection("default", json!({"pollInterval": "10s"})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchTenants).once());
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    test.controller_with(&options).await;
    let due: Timestamp = "2026-11-25T08:30:00Z".parse().unwrap();
    test.production("acme", &tenant, json!({"switch": {"notBefore": due.to_string()}})).await;
    test.simulator.wait_for_hits(held, 1).await;
    proxy.freeze_watches();
    test.simulator.release(held);
    test.until("acme", "is scheduled", |object| reason(object, "Ready") == "SwitchScheduled").await;
    test.set_time(due);
    test.until("acme", "is switched", is_switched).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    proxy.thaw_watches();
    test.finish().await;
}

/// A status that is written over an edit of another client is refused: the edit is read first.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_stuck_before_a_foreign_edit_blocks_no_object() {
    let test = Test::new("stuck-foreign").await;
    let proxy = test.api_proxy().await;
    test.connection("default", json!({"pollInterval": "10s"})).await;
    let by_id = test.simulator.add_tenant(TenantSpec::customer("By Id GmbH"));
    let by_name = test.simulator.add_tenant(TenantSpec::customer("By Name GmbH"));
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    test.controller_with(&options).await;
    test.tenant_pricing("by-id", json!({"tenant": {"id": by_id}})).await;
    test.tenant_pricing("by-name", json!({"tenant": {"name": "By Name GmbH"}})).await;
    for name in ["by-id", "by-name"] {
        test.until(name, "is ready", |object| has(object, "Ready", "True")).await;
    }
    proxy.freeze_watches();
    let before = test.simulator.reads();
    for (name, tenant) in [("by-id", &by_id), ("by-name", &by_name)] {
        test.edit::<TenantPricing>(name, json!({"metadata": {"labels": {"team": "a"}}})).await;
        test.simulator.update_tenant(tenant, |tenant| tenant.pricing.mode = "production".into());
        test.until(name, "shows the switch", |object| has(object, "Production", "True")).await;
    }
    // Each was read when it was polled, and once more after the edit: a search would be another read.
    let reads = test.simulator.reads() - before;
    assert!(reads <= 12, "{reads} reads of two tenants");
    proxy.thaw_watches();
    test.finish().await;
}

/// The first read showed it fit.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_changed_before_the_prewrite_read_is_not_switched() {
    let test = connected("tenant-meanwhile").await;
    test.controller().await;
    let stranger = test.simulator.add_tenant(TenantSpec::partner("Another partner"));
    let locked: Change = Box::new(move |tenant| tenant.locked_by = Some(stranger));
    let cases: [(&str, &str, Change); 5] = [
        ("locked", "TenantLocked", locked),
        ("disabled", "TenantDisabled", Box::new(|tenant| tenant.enabled = false)),
        (
            "suspended",
            "TenantSuspendedOnPlatform",
            Box::new(|tenant| tenant.pricing.mode = "suspended".into()),
        ),
        ("deleted", "TenantNotFound", Box::new(|tenant| tenant.deleted_at = Some(Timestamp::UNIX_EPOCH))),
        ("unheard", "UnknownMode", Box::new(|tenant| tenant.pricing.mode = "freemium".into())),
    ];
    for (name, expected, change) in cases {
        let (tenant, held) = at_its_prewrite_read(&test, name, "default").await;
        test.simulator.update_tenant(&tenant, change);
        test.simulator.release(held);
        let object = test.until(name, "is stalled", |object| has(object, "Stalled", "True")).await;
        assert_eq!((reason(&object, "Stalled"), announced(&test, name).len()), (expected, 0), "{name}");
        assert_eq!(test.simulator.puts(&tenant), 0, "{name}");
    }
    let (tenant, held) = at_its_prewrite_read(&test, "switched", "default").await;
    test.simulator.update_tenant(&tenant, |tenant| tenant.pricing.mode = "production".into());
    test.simulator.release(held);
    let object = test.until("switched", "is in production", is_switched).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByPlatform");
    assert_eq!(test.simulator.total_puts(), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prewrite_read_older_than_two_seconds_is_repeated() {
    let test = at_work("old-read").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let slow = Fault::new(FaultAction::hold()).on(Operation::FetchPricing).tenant(&tenant).once();
    let held = test.simulator.inject(slow);
    test.production("acme", &tenant, json!({})).await;
    // The tenant was read, and then disabled, while its pricing settings are still being read.
    let tenant_read = |requests: &[LoggedRequest]| {
        requests.iter().any(|it| it.operation == Operation::FetchTenant && it.status() == Some(200))
    };
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_requests(tenant_read))
        .await
        .expect("a pre-write read");
    test.simulator.wait_for_hits(held, 1).await;
    test.simulator.update_tenant(&tenant, |tenant| tenant.enabled = false);
    tokio::time::sleep(Duration::from_millis(2100)).await; // the age of the read is what is tested
    test.simulator.release(held);
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!((reason(&object, "Stalled"), announced(&test, "acme").len()), ("TenantDisabled", 0));
    assert_eq!(test.simulator.puts(&tenant), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_whose_reads_take_longer_than_two_seconds_switches() {
    use Operation::{FetchPricing, FetchTenant};
    let test = at_work("slow-reads").await;
    let cases: [(&str, &[(Operation, u64)]); 4] = [
        ("tenant", &[(FetchTenant, 2500)]),
        ("pricing", &[(FetchPricing, 2500)]),
        ("both", &[(FetchTenant, 2500), (FetchPricing, 2500)]),
        ("apart", &[(FetchTenant, 4500), (FetchPricing, 2200)]),
    ];
    let mut tenants = Vec::new();
    for (name, delays) in cases {
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        for (operation, milliseconds) in delays {
            let slow = FaultAction::delay(Duration::from_millis(*milliseconds));
            test.simulator.inject(Fault::new(slow).on(*operation).tenant(&tenant));
        }
        test.production(name, &tenant, json!({})).await;
        tenants.push((name, tenant));
    }
    for (name, tenant) in tenants {
        test.until(name, "is switched", |object| has(object, "Production", "True")).await;
        assert_eq!(test.simulator.puts(&tenant), 1, "{name}");
    }
    test.finish().await;
}
