use std::{num::NonZeroU32, sync::Arc};

use futures::future;

use super::*;
use crate::{
    clock::Clock,
    platform::{
        AllowedHosts, ClientOptions, CredentialError, CredentialSource, Credentials, ErrorClass, History,
        Origin, Resolver, install_tls_provider,
    },
    simulator::{
        Fault, FaultAction, LoggedRequest, Operation, Simulator, SimulatorOptions, TenantKind, TenantSpec,
    },
};

struct Source(Credentials);

impl CredentialSource for Source {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialError>> {
        future::ready(Ok(self.0.clone())).boxed()
    }
}

async fn simulator(latency: Duration) -> Simulator {
    Simulator::start(SimulatorOptions { latency, ..SimulatorOptions::default() }).await.unwrap()
}

fn names(simulator: &Simulator) -> NameResolver {
    names_by(simulator, Clock::system())
}

fn names_by(simulator: &Simulator, clock: Clock) -> NameResolver {
    names_with(simulator, clock, History::default())
}

fn names_with(simulator: &Simulator, clock: Clock, history: History) -> NameResolver {
    install_tls_provider();
    let options = ClientOptions {
        origin: Origin::parse(&simulator.url()).unwrap(),
        allowed_hosts: AllowedHosts::parse(&simulator.url()).unwrap(),
        ca_bundle: None,
        proxy: None,
        resolver: Resolver::default(),
        requests_per_second: NonZeroU32::MAX,
        metrics: None,
        clock: clock.clone(),
        history,
    };
    let credentials =
        Credentials { client_id: simulator.client_id(), client_secret: simulator.client_secret().into() };
    NameResolver::start(PlatformClient::new(options, Arc::new(Source(credentials))).unwrap(), clock)
}

async fn find_all(names: &NameResolver, wanted: &[String]) -> Vec<Vec<String>> {
    let found = future::try_join_all(wanted.iter().map(|name| names.find(name))).await.unwrap();
    let ids = |answer: Answer<NameMatches>| answer.value.ids.iter().map(ToString::to_string).collect();
    found.into_iter().map(ids).collect()
}

fn of(simulator: &Simulator, operation: Operation) -> Vec<LoggedRequest> {
    simulator.requests().into_iter().filter(|request| request.operation == operation).collect()
}

fn searched(simulator: &Simulator) -> Vec<String> {
    let text = |request: LoggedRequest| request.query.into_iter().find(|(key, _)| key == "text");
    of(simulator, Operation::Search).into_iter().filter_map(text).map(|(_, name)| name).collect()
}

/// The most requests of this kind that were in flight at the same time.
fn most_at_once(requests: &[LoggedRequest]) -> usize {
    let in_flight = |at| {
        let at_the_time = |other: &&LoggedRequest| {
            other.started_after <= at && other.finished_after.is_none_or(|finished| finished > at)
        };
        requests.iter().filter(at_the_time).count()
    };
    requests.iter().map(|request| in_flight(request.started_after)).max().unwrap_or_default()
}

#[tokio::test]
async fn equal_names_share_one_search() {
    let simulator = simulator(Duration::from_millis(5)).await;
    let acme = simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let wanted = vec!["Acme GmbH".to_owned(); 500];
    let found = find_all(&names(&simulator), &wanted).await;
    assert!(found.iter().all(|ids| *ids == [acme.clone()]), "{found:?}");
    assert_eq!(searched(&simulator), ["Acme GmbH"]);
    assert_eq!(of(&simulator, Operation::FetchTenants).len(), 0);
}

#[tokio::test]
async fn a_few_names_are_searched_one_by_one_in_order_of_request() {
    let simulator = simulator(Duration::from_millis(5)).await;
    let wanted: Vec<String> = (0..30).map(|number| format!("Customer {number:02}")).collect();
    let tenants: Vec<String> =
        wanted.iter().map(|name| simulator.add_tenant(TenantSpec::customer(name))).collect();
    let found = find_all(&names(&simulator), &wanted).await;
    assert_eq!(found.concat(), tenants);
    assert_eq!(searched(&simulator), wanted);
    assert_eq!(most_at_once(&of(&simulator, Operation::Search)), 1);
}

#[tokio::test]
async fn many_names_are_found_by_one_listing() {
    let simulator = simulator(Duration::from_millis(5)).await;
    let mut wanted = Vec::new();
    let mut tenants = Vec::new();
    for number in 0..500 {
        let name = format!("Customer {number:03}");
        tenants.push(vec![simulator.add_tenant(TenantSpec::customer(&name))]);
        wanted.push(name);
    }
    // Names that must not match: another case, another kind.
    simulator.add_tenant(TenantSpec::customer("customer 007"));
    simulator.add_tenant(TenantSpec { kind: TenantKind::Partner, ..TenantSpec::customer("Customer 008") });
    // Two customers of one name, and a name without a customer.
    tenants[9].push(simulator.add_tenant(TenantSpec::customer("Customer 009")));
    wanted.push("Missing".to_owned());
    tenants.push(Vec::new());
    let mut found = find_all(&names(&simulator), &wanted).await;
    found.iter_mut().chain(&mut tenants).for_each(|ids| ids.sort());
    assert_eq!(found, tenants);
    assert!(searched(&simulator).len() <= 1, "{:?}", searched(&simulator));
    let pages = of(&simulator, Operation::FetchTenants);
    assert_eq!((pages.len(), most_at_once(&pages)), (6, 1), "504 tenants, 100 on a page");
}

#[tokio::test]
async fn names_too_short_for_a_search_share_a_listing() {
    let simulator = simulator(Duration::from_millis(5)).await;
    let tenants = ["A", "BB", "Ö"].map(|name| simulator.add_tenant(TenantSpec::customer(name)));
    let found = find_all(&names(&simulator), &["A", "BB", "Ö"].map(str::to_owned)).await;
    assert_eq!(found.concat(), tenants);
    assert_eq!((of(&simulator, Operation::FetchTenants).len(), searched(&simulator).len()), (1, 0));
}

#[tokio::test]
async fn while_a_listing_is_under_way_a_single_name_is_searched() {
    let simulator = simulator(Duration::ZERO).await;
    let held = simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchTenants).once());
    simulator.add_tenant(TenantSpec::customer("A"));
    let acme = simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let names = names(&simulator);
    let short = tokio::spawn({
        let names = names.clone();
        async move { names.find("A").await }
    });
    simulator.wait_for_hits(held, 1).await;
    assert_eq!(find_all(&names, &["Acme GmbH".to_owned()]).await, [[acme]]);
    assert!(!short.is_finished());
    simulator.release(held);
    assert_eq!(short.await.unwrap().unwrap().value.ids.len(), 1);
}

#[tokio::test]
async fn a_name_without_waiters_is_not_resolved() {
    let simulator = simulator(Duration::ZERO).await;
    let held = simulator.inject(Fault::new(FaultAction::hold()).on(Operation::Search).once());
    let names = names(&simulator);
    let first = tokio::spawn({
        let names = names.clone();
        async move { names.find("First").await }
    });
    simulator.wait_for_hits(held, 1).await;
    let (answer, given_up) = oneshot::channel();
    drop(given_up);
    names.requests.send(Request::Find { name: "Given up".to_owned(), answer }).unwrap();
    simulator.release(held);
    first.await.unwrap().unwrap();
    names.find("Third").await.unwrap();
    assert_eq!(searched(&simulator), ["First", "Third"]);
}

#[tokio::test]
async fn a_failed_lookup_is_answered_to_its_waiters_and_not_cached() {
    let simulator = simulator(Duration::from_millis(5)).await;
    simulator.inject(Fault::new(FaultAction::error(403, 1002)).on(Operation::FetchTenants).once());
    let names = names(&simulator);
    let wanted: Vec<String> = (0..200).map(|number| format!("Customer {number:03}")).collect();
    let found = future::join_all(wanted.iter().map(|name| names.find(name))).await;
    let failed = found.iter().filter(|found| found.is_err()).count();
    assert!(failed >= 199, "{failed}: all but the one whose search had begun");
    assert!(
        found
            .iter()
            .filter_map(|found| found.as_ref().err())
            .all(|error| { error.class() == ErrorClass::AccessDenied })
    );
    assert_eq!(of(&simulator, Operation::FetchTenants).len(), 1, "it is not repeated at once");
    tokio::time::sleep(listings::FIRST_PAUSE).await;
    find_all(&names, &wanted).await;
}

/// The number of pages that were listed.
fn pages(simulator: &Simulator) -> usize {
    of(simulator, Operation::FetchTenants).len()
}

fn proved(names: &NameResolver, name: &str, since: Instant) -> Option<Vec<String>> {
    let ids = names.proof(name, since)?.unwrap();
    Some(ids.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn what_search_shows_is_found_and_proved_by_listing_alone() {
    let simulator = simulator(Duration::ZERO).await;
    let shown = simulator.add_tenant(TenantSpec::customer("Twin AG"));
    let hidden = TenantSpec { ancestral_access: Some(false), ..TenantSpec::customer("Twin AG") };
    let hidden = simulator.add_tenant(hidden);
    let lone = TenantSpec { ancestral_access: Some(false), ..TenantSpec::customer("Lone AG") };
    let lone = simulator.add_tenant(lone);
    simulator.add_tenant(TenantSpec { kind: TenantKind::Partner, ..TenantSpec::customer("Lone AG") });
    let names = names(&simulator);
    let since = Instant::now();
    assert_eq!(find_all(&names, &["Twin AG".to_owned()]).await, [[shown.clone()]]);
    assert_eq!((proved(&names, "Twin AG", since), pages(&simulator)), (None, 0), "a hit is no proof");
    names.list(since).await;
    let mut both = proved(&names, "Twin AG", since).unwrap();
    both.sort();
    let mut expected = [shown, hidden];
    expected.sort();
    assert_eq!(both, expected);
    assert_eq!(proved(&names, "Lone AG", since), Some(vec![lone.clone()]), "a partner does not count");
    assert_eq!(proved(&names, "No One AG", since), Some(Vec::new()));
    // A third customer of the name is in the next listing.
    simulator.add_tenant(TenantSpec::customer("Twin AG"));
    let later = Instant::now();
    assert_eq!(proved(&names, "Twin AG", later), None, "the listing began before it was wanted");
    names.list(later).await;
    assert_eq!(proved(&names, "Twin AG", later).unwrap().len(), 3);
    // One name and a crowd of names have the same result.
    let mut crowd: Vec<String> = (0..150).map(|number| format!("Crowd {number}")).collect();
    assert_eq!(find_all(&names, &["Lone AG".to_owned()]).await, [[lone.clone()]]);
    crowd.push("Lone AG".to_owned());
    assert_eq!(find_all(&names, &crowd).await.pop(), Some(vec![lone]));
}

#[tokio::test]
async fn one_listing_proves_all_names_that_wait_for_it() {
    let simulator = simulator(Duration::from_millis(5)).await;
    let tenants = simulator.add_customers(250, "Customer");
    let names = names(&simulator);
    let since = Instant::now();
    future::join_all((0..200).map(|_| names.list(since))).await;
    assert_eq!(pages(&simulator), 3);
    for tenant in &tenants {
        let name = simulator.tenant(tenant).unwrap().name;
        assert_eq!(proved(&names, &name, since), Some(vec![tenant.clone()]));
    }
    names.list(since).await;
    assert_eq!(pages(&simulator), 3, "it is good for a while");
    // A caller that joins a running listing, and asked after its start, gets a listing of its own.
    let held = simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchTenants).once());
    let first = tokio::spawn({
        let (names, since) = (names.clone(), Instant::now());
        async move { names.list(since).await }
    });
    simulator.wait_for_hits(held, 1).await;
    let since = Instant::now();
    let second = tokio::spawn({
        let names = names.clone();
        async move { names.list(since).await }
    });
    tokio::task::yield_now().await;
    simulator.release(held);
    first.await.unwrap();
    second.await.unwrap();
    assert!(proved(&names, "Customer-00001", since).is_some());
    assert_eq!(pages(&simulator), 9);
    assert_eq!(most_at_once(&of(&simulator, Operation::FetchTenants)), 1);
}

#[tokio::test]
async fn a_listing_proves_nothing_after_ten_minutes() {
    let simulator = simulator(Duration::ZERO).await;
    simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let names = names(&simulator);
    let since = Instant::now();
    names.list(since).await;
    tokio::time::pause();
    tokio::time::advance(listings::LISTING_MAX_AGE.saturating_sub(Duration::from_secs(2))).await;
    assert!(proved(&names, "Acme GmbH", since).is_some());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(proved(&names, "Acme GmbH", since).is_none());
    tokio::time::resume();
    names.list(since).await;
    assert!(proved(&names, "Acme GmbH", since).is_some());
    assert_eq!(pages(&simulator), 2);
}

#[tokio::test]
async fn a_listing_proves_nothing_after_the_machine_slept() {
    let simulator = simulator(Duration::ZERO).await;
    let offset = std::env::temp_dir().join(format!("names-clock-{}", std::process::id()));
    std::fs::write(&offset, "0").unwrap();
    let names = names_by(&simulator, Clock::from_file(offset.clone()));
    let since = Instant::now();
    names.list(since).await;
    assert!(names.proof("Acme GmbH", since).is_some());
    std::fs::write(&offset, "601").unwrap();
    assert!(names.proof("Acme GmbH", since).is_none());
    std::fs::remove_file(&offset).unwrap();
}

#[tokio::test]
async fn a_listing_that_fails_half_way_proves_nothing() {
    let simulator = simulator(Duration::ZERO).await;
    simulator.add_customers(250, "Customer");
    let fault = Fault::new(FaultAction::error(403, 1002)).on(Operation::FetchTenants).skip(1).once();
    simulator.inject(fault);
    let names = names(&simulator);
    let since = Instant::now();
    for _ in 0..20 {
        names.list(since).await;
        let error = names.proof("Customer-00001", since).unwrap().unwrap_err();
        assert_eq!(error.class(), ErrorClass::AccessDenied);
    }
    assert_eq!(pages(&simulator), 2, "it is not repeated at once");
    tokio::time::sleep(listings::FIRST_PAUSE).await;
    assert!(names.proof("Customer-00001", since).is_none());
    names.list(since).await;
    assert_eq!(proved(&names, "Customer-00001", since).unwrap().len(), 1);
    assert_eq!(pages(&simulator), 5);
}

#[tokio::test]
async fn names_that_no_search_can_find_are_listed() {
    let simulator = simulator(Duration::ZERO).await;
    let wanted = ["!!! ???", "***", " A ", "X1", "\u{1F355}\u{1F355}\u{1F355}"].map(str::to_owned);
    let tenants = wanted.clone().map(|name| simulator.add_tenant(TenantSpec::customer(name)));
    let found = find_all(&names(&simulator), &wanted).await;
    assert_eq!(found.concat(), tenants);
    assert_eq!((pages(&simulator), searched(&simulator).len()), (1, 0));
}

#[tokio::test]
async fn a_name_that_differs_only_in_writing_is_named() {
    let simulator = simulator(Duration::ZERO).await;
    let names = names(&simulator);
    for (wanted, present, differs_in) in [
        ("Trailing Space Ltd", "Trailing Space Ltd ", "blanks"),
        ("Caf\u{E9} Z\u{FC}rich", "Cafe\u{301} Zu\u{308}rich", "Unicode form"),
        ("acme gmbh", "Acme GmbH", "case"),
        ("!!!  ???", "!!! ???", "blanks"),
    ] {
        let id = simulator.add_tenant(TenantSpec::customer(present));
        let found = names.find(wanted).await.unwrap().value;
        let similar = found.similar.unwrap();
        assert_eq!(found.ids, []);
        assert_eq!((similar.id.as_str(), similar.name.as_str()), (id.as_str(), present));
        assert_eq!(similar.differs_in, differs_in, "{wanted:?}");
    }
    let found = names.find("Another Ltd").await.unwrap().value;
    assert_eq!(found, NameMatches::default());
}

#[tokio::test]
async fn a_missing_name_that_is_asked_for_again_costs_one_listing() {
    let simulator = simulator(Duration::ZERO).await;
    let names = names(&simulator);
    for _ in 0..10 {
        assert_eq!(names.find("Missing Ltd").await.unwrap().value.ids, []);
    }
    assert_eq!((searched(&simulator).len(), pages(&simulator)), (10, 1));
    // A name that search shows is found at once.
    let tenant = simulator.add_tenant(TenantSpec::customer("Missing Ltd"));
    assert_eq!(find_all(&names, &["Missing Ltd".to_owned()]).await, [[tenant]]);
    assert_eq!(pages(&simulator), 1);
}

#[tokio::test]
async fn a_name_that_search_gets_wrong_is_listed_from_then_on() {
    let simulator = simulator(Duration::ZERO).await;
    let right = simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let hit = r#"{"items":[{"obj_type":"tenant","id":"0fcd4a69-8a40-4de8-b711-d9c83dc000f7","name":"Acme GmbH","kind":"customer"}]}"#;
    simulator.inject(Fault::new(FaultAction::answer(200, hit)).on(Operation::Search));
    let names = names(&simulator);
    let wanted = ["Acme GmbH".to_owned()];
    assert_eq!(find_all(&names, &wanted).await, [["0fcd4a69-8a40-4de8-b711-d9c83dc000f7"]]);
    assert!(names.distrust("Acme GmbH"));
    for _ in 0..3 {
        assert_eq!(find_all(&names, &wanted).await, [[right.clone()]]);
        assert!(!names.distrust("Acme GmbH"), "that is known");
    }
    assert_eq!((searched(&simulator).len(), pages(&simulator)), (1, 1));
}

#[tokio::test]
async fn searches_that_wait_are_not_sent_after_the_stop() {
    for how in ["suspended", "replaced", "no longer leads"] {
        let simulator = simulator(Duration::ZERO).await;
        let history = History::default();
        let names = names_with(&simulator, Clock::system(), history.clone());
        let held = simulator.inject(Fault::new(FaultAction::hold()).on(Operation::Search).once());
        let wanted: Vec<String> = (0..30).map(|number| format!("Customer {number:02}")).collect();
        let all = tokio::spawn({
            let names = names.clone();
            async move { future::join_all(wanted.iter().map(|name| names.find(name))).await }
        });
        simulator.wait_for_hits(held, 1).await;
        match how {
            "suspended" => history.stop(true),
            "replaced" => names.stop(),
            _ => names.give_up(),
        }
        let before = simulator.requests().len();
        simulator.release(held);
        let found = all.await.unwrap();
        assert!(found.iter().skip(1).all(Result::is_err), "{how}");
        assert_eq!((simulator.requests().len(), searched(&simulator).len()), (before, 1), "{how}");
    }
}

#[tokio::test]
async fn a_page_that_fails_is_asked_for_again() {
    let throttled = FaultAction::RetryAfterSeconds { status: 429, seconds: 1 };
    for (action, times) in [
        (FaultAction::error(500, 1000), 2),
        (throttled, 3),
        (FaultAction::answer(200, r#"{"items": 7}"#), 1),
        (FaultAction::answer(200, "<html>a proxy</html>"), 1),
    ] {
        let simulator = simulator(Duration::ZERO).await;
        simulator.add_customers(350, "Customer");
        let words = format!("{action:?}");
        simulator.inject(Fault::new(action).on(Operation::FetchTenants).skip(2).times(times));
        let names = names(&simulator);
        let since = Instant::now();
        names.list(since).await;
        assert_eq!(proved(&names, "Customer-00300", since).map(|ids| ids.len()), Some(1), "{words}");
        assert_eq!(pages(&simulator), 4 + times as usize, "{words}");
    }
}

#[tokio::test]
async fn a_page_that_goes_on_failing_fails_the_listing() {
    let simulator = simulator(Duration::ZERO).await;
    simulator.add_customers(350, "Customer");
    let throttled = FaultAction::RetryAfterSeconds { status: 429, seconds: 1 };
    simulator.inject(Fault::new(throttled).on(Operation::FetchTenants).skip(2));
    let names = names(&simulator);
    let since = Instant::now();
    names.list(since).await;
    let error = names.proof("Customer-00300", since).unwrap().unwrap_err();
    assert_eq!((error.class(), error.is_lasting()), (ErrorClass::Throttled, false));
    assert_eq!(pages(&simulator), 2 + 5);
}

#[tokio::test]
async fn a_tenant_without_a_name_is_a_lasting_cause() {
    let simulator = simulator(Duration::ZERO).await;
    let page = r#"{"items":[{"id":"0fcd4a69-8a40-4de8-b711-d9c83dc000f7","kind":"customer"}]}"#;
    simulator.inject(Fault::new(FaultAction::answer(200, page)).on(Operation::FetchTenants));
    let names = names(&simulator);
    let since = Instant::now();
    names.list(since).await;
    let error = names.proof("Acme GmbH", since).unwrap().unwrap_err();
    assert!(error.is_lasting(), "{error}");
    assert_eq!(pages(&simulator), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_cause_is_not_retried_for_ten_minutes() {
    let known = ListingCache::new(Clock::system());
    let error = PlatformError::of_class(ErrorClass::Malformed);
    known.failed(error.clone());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(known.failure().is_none(), "what may end without help is");
    known.failed(error.lasting());
    tokio::time::advance(listings::LISTING_MAX_AGE.saturating_sub(Duration::from_secs(1))).await;
    assert!(known.failure().is_some());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(known.failure().is_none());
}
