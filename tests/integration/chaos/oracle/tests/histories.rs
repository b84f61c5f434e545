//! What was sent, and what was stored.

use serde_json::{Value, json};
use tenant_pricing_controller::simulator::{Outcome, TenantKind, TenantRecord};

use super::{CONNECTION, Forged, What, announcing};

#[test]
fn a_sound_history_is_found_sound() {
    Forged::empty().is_sound();
    Forged::sound().is_sound();
}

#[test]
fn a_put_without_an_announcement_of_its_own_is_noticed() {
    let mut forged = Forged::empty();
    forged.put(100.0, 200, true);
    forged.is_refused_for("was not announced");
    let mut forged = Forged::sound();
    forged.put(200.0, 400, false);
    forged.is_refused_for("was not announced");
    // What is announced later announced nothing.
    let mut forged = Forged::empty();
    forged.put(99.0, 200, true);
    forged.announce("acme", "one", 100.0);
    forged.is_refused_for("was not announced");
}

#[test]
fn a_put_that_its_object_did_not_ask_for_is_noticed() {
    let spoils = [
        (json!({"mode": "trial"}), "did not ask for production"),
        (json!({"mode": null}), "did not ask for production"),
        (json!({"suspend": true}), "was suspended"),
        (json!({"switch": {"notBefore": "2027-01-01T00:00:00Z"}}), "before notBefore"),
        (json!({"tenant": {"id": "7e4a4700-0000-4000-8000-000000000002"}}), "not the tenant of the spec"),
    ];
    for (spoil, words) in spoils {
        let mut forged = Forged::sound();
        for (field, value) in spoil.as_object().unwrap() {
            forged.object()["spec"][field] = value.clone();
        }
        forged.is_refused_for(words);
    }
    let mut forged = Forged::sound();
    forged.object()["status"]["switch"]["intentGeneration"] = json!(0);
    forged.is_refused_for("for another edit");
    let mut forged = Forged::sound();
    forged.object()["metadata"]["deletionTimestamp"] = json!("2026-11-20T12:00:00Z");
    forged.is_refused_for("being deleted");
}

#[test]
fn a_put_before_its_time_is_noticed_by_either_clock() {
    let mut forged = Forged::sound();
    forged.object()["status"]["switch"]["intentAt"] = json!("2026-11-20T11:59:59Z");
    forged.is_refused_for("by the controller's clock");
    let mut forged = Forged::sound();
    forged.record.puts[0].started = "2026-11-20T11:59:59Z".parse().unwrap();
    forged.is_refused_for("by the platform's clock");
    // The clock went back since.
    forged.holds(What::PlatformClock, 99.0, 120.0);
    forged.is_sound();
}

#[test]
fn a_put_after_an_uncertain_announcement_is_noticed() {
    for answer in [None, Some(500), Some(409)] {
        let mut forged = Forged::sound();
        forged.record.noted[1].answered = answer.map(|status| (forged.at(100.02), status));
        forged.is_refused_for("no certain answer");
    }
    let mut forged = Forged::sound();
    forged.record.noted[1].answered = Some((forged.at(100.2), 200));
    forged.is_refused_for("no certain answer");
}

/// A process that was stopped meanwhile is excused, and one whose test stood still, but each second counts once.
#[test]
fn a_put_long_after_its_announcement_is_found() {
    let late = || {
        let mut forged = Forged::empty();
        forged.announce("acme", "one", 100.0);
        forged.noted(None, 106.9, Some(200));
        forged.put(107.0, 200, true);
        forged
    };
    late().is_refused_for("long after it was announced");
    let mut stopped = late();
    stopped.holds(What::Stopped { life: 1 }, 101.0, 106.0);
    stopped.is_sound();
    let mut stalled = late();
    stalled.holds(What::Stalled, 102.0, 103.0);
    stalled.is_sound();
    let mut both = late();
    both.holds(What::Stopped { life: 1 }, 101.9, 102.2);
    both.holds(What::Stalled, 101.9, 102.2);
    both.is_refused_for("long after it was announced");
    let mut another = late();
    another.holds(What::Stopped { life: 2 }, 101.0, 106.0);
    another.is_refused_for("long after it was announced");
}

#[test]
fn a_put_without_the_lease_is_noticed() {
    let mut forged = Forged::sound();
    forged.record.noted[0].life = 2;
    forged.is_refused_for("did not hold the lease");
    let mut forged = Forged::sound();
    forged.record.noted[0].answered = None;
    forged.is_refused_for("did not hold the lease");
    let mut forged = Forged::sound();
    forged.record.noted[0].arrived = forged.at(93.0);
    forged.is_refused_for("did not hold the lease");
    forged.record.elected = false;
    forged.is_sound();
}

#[test]
fn a_write_with_another_body_is_noticed() {
    let mut forged = Forged::sound();
    forged.record.puts[0].body = Some(json!({"version": 1, "mode": "production", "currency": null}));
    forged.is_refused_for("had the body");
}

/// A second attempt for the tenant of a first one that ended so.
fn second_after(pause: f64, first: Outcome) -> Forged {
    let mut forged = Forged::sound();
    forged.record.puts[0].outcome = Some(first);
    forged.record.puts[0].took_effect = false;
    forged.announce("acme", "two", 100.0 + pause);
    forged.put(100.1 + pause, 200, true);
    forged
}

#[test]
fn a_put_soon_after_one_whose_outcome_is_open_is_noticed() {
    let open = [200, 408, 499, 500, 504].map(Outcome::Answered);
    for outcome in open.into_iter().chain([Outcome::Dropped, Outcome::ClientGone]) {
        second_after(59.0, outcome).is_refused_for("whose outcome was open");
        second_after(61.0, outcome).is_sound();
    }
    for refused in [302, 400, 401, 409, 423] {
        second_after(5.0, Outcome::Answered(refused)).is_sound();
    }
}

#[test]
fn two_puts_at_once_are_noticed() {
    let mut forged = second_after(61.0, Outcome::Dropped);
    forged.record.puts[0].finished_after = None;
    forged.is_refused_for("in flight at once");
    let mut forged = second_after(5.0, Outcome::Answered(409));
    forged.record.puts[0].finished_after = Some(std::time::Duration::from_secs(106));
    forged.is_refused_for("in flight at once");
}

#[test]
fn two_effects_are_noticed() {
    let mut forged = second_after(61.0, Outcome::Dropped);
    forged.record.puts[0].took_effect = true;
    forged.is_refused_for("2 PUTs for");
}

/// The second attempt is for an object that was deleted and created again.
fn recreated(by_another_process: bool) -> Forged {
    let mut forged = Forged::sound();
    forged.record.puts[0].outcome = Some(Outcome::ClientGone);
    forged.record.puts[0].took_effect = false;
    forged.store("tenantpricings", "acme", None);
    forged.announce("acme", "two", 110.0);
    forged.object()["metadata"]["uid"] = json!("uid-of-another");
    forged.put(110.1, 200, true);
    if by_another_process {
        forged.record.noted[2].life = 2;
        forged.record.noted[3].life = 2;
    }
    forged
}

#[test]
fn only_an_object_recreated_around_a_crash_asks_again() {
    recreated(true).is_sound();
    recreated(false).is_refused_for("whose outcome was open");
    let mut never_deleted = recreated(true);
    never_deleted.record.versions.retain(|stored| stored.object.is_some());
    never_deleted.is_refused_for("whose outcome was open");
    let mut twice = recreated(true);
    twice.record.puts[0].took_effect = true;
    twice.is_refused_for("2 PUTs for");
}

#[test]
fn a_put_for_a_tenant_unfit_at_the_prewrite_read_is_found() {
    type Change = fn(&mut TenantRecord);
    let changes: [(Change, &str); 6] = [
        (|tenant| tenant.kind = TenantKind::Partner, "no customer"),
        (|tenant| tenant.enabled = false, "disabled"),
        (|tenant| tenant.locked_by = Some("another".into()), "locked"),
        (|tenant| tenant.deleted_at = Some(tenant.created_at), "deleted"),
        (|tenant| tenant.hidden = true, "invisible"),
        (|tenant| tenant.pricing.mode = "suspended".into(), "past trial"),
    ];
    for (change, words) in changes {
        let mut forged = Forged::sound();
        forged.tenant_becomes(60.0, change);
        forged.is_refused_for(words);
        // A change between the read and the PUT cannot be known.
        let mut forged = Forged::sound();
        forged.tenant_becomes(99.9, change);
        forged.is_sound();
    }
    let mut forged = Forged::sound();
    forged.object()["spec"]["tenant"] = json!({"name": "Acme AG"});
    forged.is_refused_for("of another name");
}

#[test]
fn a_put_through_a_closed_connection_is_noticed() {
    let closed = || What::Closed { connection: CONNECTION.to_owned() };
    let mut forged = Forged::sound();
    forged.holds(closed(), 60.0, 120.0);
    forged.is_refused_for("which was closed");
    for (from, until) in [(98.0, 120.0), (60.0, 99.0)] {
        let mut forged = Forged::sound();
        forged.holds(closed(), from, until);
        forged.is_sound();
    }
}

#[test]
fn an_attempt_without_effect_leaves_its_room_to_others() {
    let with_a_third = |becomes: Value| {
        let mut forged = Forged::empty();
        for name in ["one", "two"] {
            forged.announce(name, name, 100.0);
        }
        if !becomes.is_null() {
            let mut one = announcing("one", "one");
            one["status"]["switch"]["phase"] = becomes;
            forged.store("tenantpricings", "one", Some(one));
        }
        forged.announce("three", "three", 100.0);
        forged.record.faults()
    };
    let has_no_room =
        |faults: Vec<String>| faults.iter().any(|fault| fault.contains("no room in the budget"));
    assert!(has_no_room(with_a_third(Value::Null)), "it is open");
    assert!(has_no_room(with_a_third(json!("Completed"))), "it took effect");
    assert!(!has_no_room(with_a_third(json!("Scheduled"))), "it is closed");
}

#[test]
fn a_journal_that_others_wiped_leaves_no_room() {
    let with_a_third = |is_foreign: bool, life: usize| {
        let mut forged = Forged::empty();
        for name in ["one", "two"] {
            forged.announce(name, name, 100.0);
        }
        let mut wiped = announcing("one", "one");
        wiped["status"]["switch"] = Value::Null;
        if is_foreign {
            let mark = super::condition(crate::chaos::action::MARK, "True", "Marked");
            wiped["status"]["conditions"].as_array_mut().unwrap().push(mark);
        }
        forged.store("tenantpricings", "one", Some(wiped));
        forged.announce("three", "three", 200.0);
        forged.record.noted.last_mut().unwrap().life = life;
        forged.record.faults().iter().any(|fault| fault.contains("no room in the budget"))
    };
    assert!(with_a_third(true, 1), "the process that announced it remembers it");
    assert!(!with_a_third(true, 2), "another one may have begun since");
    assert!(!with_a_third(false, 1), "it was cancelled");
}

#[test]
fn an_announcement_without_a_request_leaves_its_room() {
    let with_a_third = |status: Option<u16>| {
        let mut forged = Forged::empty();
        forged.announce("one", "one", 100.0);
        forged.store("tenantpricings", "two", Some(announcing("two", "two")));
        forged.noted(Some("two"), 100.0, status);
        forged.announce("three", "three", 100.0);
        forged
    };
    with_a_third(Some(200)).is_refused_for("no room in the budget");
    with_a_third(Some(504)).is_sound();
    with_a_third(None).is_sound();
}

#[test]
fn what_a_clock_ahead_announced_counts_for_one_window() {
    let with_a_third = |seconds: f64| {
        let mut forged = Forged::empty();
        for name in ["one", "two"] {
            forged.announce(name, name, 100.0);
            forged.object()["status"]["switch"]["intentAt"] = json!("2027-11-20T12:00:00Z");
        }
        forged.announce("three", "three", seconds);
        forged
    };
    with_a_third(3699.0).is_refused_for("no room in the budget");
    with_a_third(3701.0).is_sound();
}

#[test]
fn an_announcement_beyond_the_budget_is_noticed() {
    let mut forged = Forged::empty();
    for name in ["one", "two"] {
        forged.announce(name, name, 100.0);
    }
    forged.is_sound();
    let mut third = announcing("three", "three");
    forged.store("tenantpricings", "three", Some(third.clone()));
    forged.is_refused_for("no room in the budget");
    // Nothing is sent for one whose writer heard of it too late, or never: it may have landed at any time.
    forged.noted(Some("three"), 100.0, None);
    forged.is_sound();
    forged.record.noted.pop();
    // An hour later by the clock there is room.
    third["status"]["switch"]["intentAt"] = json!("2026-11-20T13:00:01Z");
    *forged.object() = third;
    forged.is_sound();
}

/// Server-side apply leaves a condition that another manager owns, and the write that removes it may be lost.
#[test]
fn a_condition_is_excused_if_others_own_it() {
    let with_reconciling_of = |manager: &str, operation: &str| {
        let mut forged = Forged::sound();
        let mut marked = forged.object().clone();
        let mark = super::condition(crate::chaos::action::MARK, "True", "Marked");
        marked["status"]["conditions"].as_array_mut().unwrap().push(mark);
        forged.store("tenantpricings", "acme", Some(marked.clone()));
        let mut applied = marked;
        applied["status"]["conditions"][0] = super::condition("Ready", "True", "InSync");
        applied["status"]["switch"] = Value::Null;
        let owned = |types: &[&str]| -> Value {
            let keys = types.iter().map(|kind| (format!("k:{}", json!({"type": kind})), json!({})));
            json!({"f:status": {"f:conditions": keys.collect::<serde_json::Map<_, _>>()}})
        };
        applied["metadata"]["managedFields"] = json!([
            {
                "manager": "tenant-pricing-controller", "operation": "Apply",
                "fieldsV1": owned(&["Ready", "Production"]),
            },
            {"manager": manager, "operation": operation, "fieldsV1": owned(&["Reconciling"])},
        ]);
        forged.store("tenantpricings", "acme", Some(applied));
        forged
    };
    with_reconciling_of("foreign", "Update").is_sound();
    // The merge patch that removes what others own sets conditions as well.
    with_reconciling_of("tenant-pricing-controller", "Update").is_sound();
    let faults = with_reconciling_of("tenant-pricing-controller", "Apply").record.faults();
    assert!(faults.iter().any(|fault| fault.contains("Ready is True beside Reconciling")), "{faults:?}");
}

/// It contradicts itself or an earlier status.
#[test]
fn a_contradictory_status_is_found() {
    let mut forged = Forged::sound();
    forged.object()["status"]["conditions"][2]["type"] = json!("Stalled");
    assert_ne!(forged.record.faults(), [""; 0]);
    let mut forged = Forged::sound();
    let mut backwards = forged.object().clone();
    backwards["status"]["switch"]["attempts"] = json!(0);
    backwards["status"]["switch"]["phase"] = json!("Scheduled");
    forged.store("tenantpricings", "acme", Some(backwards));
    forged.is_refused_for("attempts went from 1 to 0");
    let mut forged = Forged::sound();
    forged.object()["metadata"]["finalizers"] = json!(["tenantpricing.io/held"]);
    forged.is_refused_for("finalizer");
}

/// The controller put an earlier status back in place of its own later one.
#[test]
fn a_generation_that_goes_back_is_found_beside_a_mark() {
    let mut forged = Forged::sound();
    let mut marked = forged.object().clone();
    let mark = super::condition(crate::chaos::action::MARK, "True", "Marked");
    marked["status"]["conditions"].as_array_mut().unwrap().push(mark);
    marked["metadata"]["generation"] = json!(2);
    forged.store("tenantpricings", "acme", Some(marked.clone()));
    let of_generation = |generation: i64, reason: &str| {
        let mut version = marked.clone();
        version["status"]["observedGeneration"] = json!(generation);
        for condition in version["status"]["conditions"].as_array_mut().unwrap().iter_mut().take(3) {
            condition["observedGeneration"] = json!(generation);
            if condition["type"] != "Production" {
                condition["reason"] = json!(reason);
            }
        }
        version["metadata"]["managedFields"] = json!([{
            "manager": "tenant-pricing-controller", "operation": "Apply",
            "fieldsV1": {"f:status": {"f:conditions": {
                r#"k:{"type":"Ready"}"#: {}, r#"k:{"type":"Production"}"#: {}, r#"k:{"type":"Reconciling"}"#: {},
            }}},
        }]);
        version
    };
    forged.store("tenantpricings", "acme", Some(of_generation(1, "PlatformUnavailable")));
    forged.store("tenantpricings", "acme", Some(of_generation(2, "Progressing")));
    forged.is_sound();
    forged.store("tenantpricings", "acme", Some(of_generation(1, "PlatformUnavailable")));
    forged.is_refused_for("observedGeneration 1 after 2");
}
