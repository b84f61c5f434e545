//! Which requests a fault meets, the replaced answers, and the pauses.

use super::*;
use crate::simulator::{Fault, FaultAction, Operation, Outcome, TenantChange};

#[tokio::test]
async fn a_fault_meets_its_call_its_tenant_and_its_number_of_times() {
    let caller = Caller::new().await;
    let (acme, other) = (caller.add("Acme"), caller.add("Other"));
    let fault = Fault::new(FaultAction::error(500, 1000)).on(Operation::FetchPricing).tenant(&acme);
    let id = caller.simulator.inject(fault.skip(1).times(2));
    let status = async |id: &str, path: &str| caller.get(&format!("/tenants/{id}{path}")).await.status;
    assert_eq!(status(&acme, "/pricing").await, 200, "the first is skipped");
    assert_eq!(status(&acme, "").await, 200, "another call");
    assert_eq!(status(&other, "/pricing").await, 200, "another tenant");
    assert_eq!(status(&acme, "/pricing").await, 500);
    assert_eq!(status(&acme, "/pricing").await, 500);
    assert_eq!(status(&acme, "/pricing").await, 200, "it is used up");
    assert_eq!(caller.simulator.fault_hits(id), 2);
}

#[tokio::test]
async fn a_fault_without_number_lasts_until_it_is_cleared() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let id = caller.simulator.inject(Fault::new(FaultAction::error(403, 1002)).tenant(&acme));
    for _ in 0..3 {
        assert_eq!(caller.get(&format!("/tenants?uuids={acme}")).await.error(), (403, 1002));
    }
    caller.simulator.clear_faults();
    assert_eq!(caller.get(&format!("/tenants?uuids={acme}")).await.status, 200);
    assert_eq!(caller.simulator.fault_hits(id), 3, "the count outlives the fault");
}

#[tokio::test]
async fn only_the_first_fault_replaces_the_answer_and_counts() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let first = caller.simulator.inject(Fault::new(FaultAction::error(500, 1000)).once());
    let second = caller.simulator.inject(Fault::new(FaultAction::error(502, 1000)).once());
    assert_eq!(caller.get(&format!("/tenants/{acme}")).await.status, 500);
    assert_eq!((caller.simulator.fault_hits(first), caller.simulator.fault_hits(second)), (1, 0));
    assert_eq!(caller.get(&format!("/tenants/{acme}")).await.status, 502);
}

#[tokio::test]
async fn any_answer_can_be_given_before_or_after_the_effect() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    for after_effect in [false, true] {
        let headers =
            [("content-type".to_owned(), "text/html".to_owned()), ("x-odd".to_owned(), "1".to_owned())];
        let action = FaultAction::Answer {
            status: 299,
            body: "<p>hello</p>".to_owned(),
            headers: headers.into_iter().collect(),
            after_effect,
        };
        caller.simulator.inject(Fault::new(action).on(Operation::PutPricing).once());
        let heard = caller.switch(&acme).await;
        assert_eq!((heard.status, heard.text.as_str()), (299, "<p>hello</p>"));
        assert_eq!((heard.header("content-type"), heard.header("x-odd")), (Some("text/html"), Some("1")));
        assert_eq!(caller.mode(&acme), if after_effect { "production" } else { "trial" });
    }
    assert_eq!(caller.simulator.effective_puts(), 1);
}

#[tokio::test]
async fn errors_have_numbers_or_texts_and_a_shape_for_tokens() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.simulator.inject(Fault::new(FaultAction::error(400, "version_mismatch")).once());
    let text = caller.get(&format!("/tenants/{acme}")).await.json();
    assert_eq!(text["error"]["code"], "version_mismatch");
    let action =
        FaultAction::Error { status: 503, code: 1000.into(), retry_after: Some(7), after_effect: false };
    caller.simulator.inject(Fault::new(action).once());
    let numbered = caller.get(&format!("/tenants/{acme}")).await;
    assert_eq!((numbered.error(), numbered.header("retry-after")), ((503, 1000), Some("7")));
    caller.simulator.inject(Fault::new(FaultAction::error(403, "totp_required")).on(Operation::Token));
    assert_eq!(caller.fetch_token().await.json()["error"], "totp_required");
}

#[tokio::test]
async fn throttling_gives_its_pause_in_both_forms() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let path = format!("/tenants/{acme}");
    caller.simulator.inject(Fault::new(FaultAction::RetryAfterSeconds { status: 429, seconds: 3 }).once());
    let seconds = caller.get(&path).await;
    assert_eq!((seconds.status, seconds.header("retry-after")), (429, Some("3")));
    caller.simulator.set_clock(instant("2026-11-15T10:00:00Z"));
    caller.simulator.inject(Fault::new(FaultAction::RetryAfterDate { status: 503, seconds: 3600 }).once());
    let date = caller.get(&path).await;
    assert_eq!(date.status, 503);
    assert!(date.header("retry-after").unwrap().starts_with("Sun, 15 Nov 2026 11:0"));
}

#[tokio::test]
async fn a_redirect_leads_away_and_carries_nothing_out() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let location = "http://127.0.0.1:1/elsewhere".to_owned();
    let action = FaultAction::Redirect { status: 307, location: location.clone() };
    caller.simulator.inject(Fault::new(action).on(Operation::PutPricing));
    let heard = caller.switch(&acme).await;
    assert_eq!((heard.status, heard.header("location")), (307, Some(location.as_str())));
    assert_eq!(caller.mode(&acme), "trial");
}

#[tokio::test]
async fn a_connection_can_be_dropped_before_or_after_the_effect() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let version = caller.pricing(&acme).await["version"].clone();
    let body = json!({"version": version, "mode": "production"});
    caller.simulator.inject(Fault::new(FaultAction::DropBefore).on(Operation::PutPricing).once());
    assert!(caller.try_put(&acme, body.clone()).await.is_err());
    assert_eq!(caller.mode(&acme), "trial");
    caller.simulator.inject(Fault::new(FaultAction::DropAfterEffect).on(Operation::PutPricing).once());
    assert!(caller.try_put(&acme, body).await.is_err());
    assert_eq!(caller.mode(&acme), "production");

    let log = caller.simulator.requests();
    let puts: Vec<_> = log.iter().filter(|entry| entry.operation == Operation::PutPricing).collect();
    assert_eq!(puts.iter().map(|put| put.outcome).collect::<Vec<_>>(), [Some(Outcome::Dropped); 2]);
    assert_eq!(puts.iter().map(|put| put.took_effect).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_held_put_takes_effect_when_it_is_released_and_not_before() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let simulator = caller.simulator.clone();
    let hold = simulator.inject(Fault::new(FaultAction::hold()).on(Operation::PutPricing).once());
    let read = async {
        simulator.wait_for_hits(hold, 1).await;
        assert_eq!(caller.mode(&acme), "trial");
        assert!(simulator.requests().last().unwrap().outcome.is_none());
        assert!(simulator.release(hold));
    };
    let (heard, ()) = soon(async { tokio::join!(caller.switch(&acme), read) }).await;
    assert_eq!(heard.status, 200);
    assert_eq!(caller.mode(&acme), "production");
}

#[tokio::test]
async fn an_answer_can_be_held_after_the_request_took_effect() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let hold = Fault::new(FaultAction::hold_after_effect()).on(Operation::PutPricing);
    let hold = caller.simulator.inject(hold);
    let read = async {
        caller.simulator.wait_for_requests(|log| log.iter().any(|entry| entry.took_effect)).await;
        assert_eq!(caller.mode(&acme), "production");
        caller.simulator.clear_faults();
    };
    let (heard, ()) = soon(async { tokio::join!(caller.switch(&acme), read) }).await;
    assert_eq!((heard.status, caller.simulator.fault_hits(hold)), (200, 1));
}

#[tokio::test]
async fn a_put_whose_client_has_gone_takes_effect_nevertheless() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let version = caller.pricing(&acme).await["version"].clone();
    let hold = caller.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::PutPricing));
    let put = caller.try_put(&acme, json!({"version": version, "mode": "production"}));
    tokio::select! {
        _ = put => panic!("a held request was answered"),
        () = soon(caller.simulator.wait_for_hits(hold, 1)) => {}
    }
    caller.simulator.clear_faults();
    let ended = |log: &[crate::simulator::LoggedRequest]| log.last().is_some_and(|put| put.outcome.is_some());
    soon(caller.simulator.wait_for_requests(ended)).await;
    let put = caller.simulator.requests().pop().unwrap();
    assert_eq!((put.operation, put.took_effect), (Operation::PutPricing, true));
    assert_eq!(caller.mode(&acme), "production");
}

#[tokio::test]
async fn a_delay_comes_before_or_after_the_effect() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let pause = Duration::from_millis(150);
    caller.simulator.inject(Fault::new(FaultAction::delay(pause)).on(Operation::FetchTenant).once());
    caller.get(&format!("/tenants/{acme}")).await;
    let read = caller.simulator.requests().pop().unwrap();
    assert!(read.lasted().unwrap() >= pause);
    assert!(read.finished.unwrap() > read.started);
}

#[tokio::test]
async fn latency_is_added_to_every_call() {
    let latency = Duration::from_millis(50);
    let options = SimulatorOptions { latency, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let caller = Caller { simulator, http: http(), token: String::new() };
    caller.fetch_token().await;
    let token = caller.simulator.requests().pop().unwrap();
    assert!(token.lasted().unwrap() >= latency);
}

#[test]
fn a_fault_that_cannot_be_carried_out_is_refused_with_its_field() {
    let headers = [("bad name".to_owned(), "x".to_owned())].into_iter().collect();
    let odd = FaultAction::Answer { status: 200, body: String::new(), headers, after_effect: false };
    for (action, part) in [
        (FaultAction::error(99, 1), "action.status: 99"),
        (FaultAction::VersionConflict { status: 1000 }, "action.status: 1000"),
        (odd, "bad name"),
        (FaultAction::Redirect { status: 302, location: "a\nb".to_owned() }, "a\\nb"),
        (FaultAction::Drip { milliseconds: 1, bytes: 0 }, "action.bytes"),
        (FaultAction::PageLimit { limit: 0 }, "action.limit"),
    ] {
        let problem = Fault::new(action).check().unwrap_err();
        assert!(problem.contains(part), "{problem}");
    }
}

#[tokio::test]
async fn a_change_happens_between_the_read_and_its_answer() {
    let caller = Caller::new().await;
    caller.simulator.keep_tenant_history();
    let (acme, other) = (caller.add("Acme"), caller.add("Other"));
    let change = TenantChange { mode: Some("production".into()), ..TenantChange::default() };
    let action = FaultAction::Change { change, while_in: Some("trial".into()) };
    let id = caller.simulator.inject(Fault::new(action));
    caller.get(&format!("/tenants?uuids={acme},{other}")).await;
    assert_eq!(caller.simulator.fault_hits(id), 0, "it would not know which of the two");
    let read = caller.get(&format!("/tenants/{acme}/pricing")).await.json();
    assert_eq!((read["mode"].as_str(), caller.mode(&acme).as_str()), (Some("trial"), "production"));
    let stale = json!({"version": read["version"], "mode": "production"});
    assert_eq!(caller.put(&acme, stale).await.error().1, 1001);
    let modes = caller.simulator.tenant_history().into_iter().filter(|state| state.tenant.id == acme);
    let modes: Vec<_> = modes.map(|state| state.tenant.pricing.mode).collect();
    assert_eq!(modes, ["trial", "production"]);
    // It is in another mode now.
    caller.simulator.update_tenant(&acme, |tenant| tenant.pricing.mode = "suspended".into());
    caller.get(&format!("/tenants/{acme}")).await;
    assert_eq!(caller.mode(&acme), "suspended");
}
