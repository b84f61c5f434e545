use std::{num::NonZeroU32, sync::Arc};

use futures::future;

use super::*;
use crate::{
    clock::Clock,
    platform::{
        AllowedHosts, ClientOptions, CredentialError, CredentialSource, Credentials, ErrorClass, Lookup,
        Origin, install_tls_provider,
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

fn names(simulator: &Simulator) -> Names {
    install_tls_provider();
    let options = ClientOptions {
        origin: Origin::parse(&simulator.url()).unwrap(),
        allowed_hosts: AllowedHosts::parse(&simulator.url()).unwrap(),
        ca_bundle: None,
        proxy: None,
        lookup: Lookup::default(),
        requests_per_second: NonZeroU32::MAX,
        watching: None,
        clock: Clock::system(),
        history: crate::platform::History::default(),
    };
    let credentials =
        Credentials { client_id: simulator.client_id(), client_secret: simulator.client_secret().into() };
    Names::start(PlatformClient::new(options, Arc::new(Source(credentials))).unwrap())
}

async fn find_all(names: &Names, wanted: &[String]) -> Vec<Vec<String>> {
    let found = future::try_join_all(wanted.iter().map(|name| names.find(name))).await.unwrap();
    let ids = |answer: Answer<Vec<TenantId>>| answer.value.iter().map(ToString::to_string).collect();
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
async fn a_few_names_are_searched_one_after_the_other_in_the_order_asked() {
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
    // What is not looked for: another case, another kind.
    simulator.add_tenant(TenantSpec::customer("customer 007"));
    simulator.add_tenant(TenantSpec { kind: TenantKind::Partner, ..TenantSpec::customer("Customer 008") });
    // Two of one name, and a name that nobody bears.
    tenants[9].push(simulator.add_tenant(TenantSpec::customer("Customer 009")));
    wanted.push("Nobody".to_owned());
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
    assert_eq!(short.await.unwrap().unwrap().value.len(), 1);
}

#[tokio::test]
async fn a_name_that_nobody_waits_for_any_more_is_not_looked_up() {
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
    names.asked.send(Asked { name: "Given up".to_owned(), answer }).unwrap();
    simulator.release(held);
    first.await.unwrap().unwrap();
    names.find("Third").await.unwrap();
    assert_eq!(searched(&simulator), ["First", "Third"]);
}

#[tokio::test]
async fn a_lookup_that_fails_is_answered_to_all_who_wait_for_it_and_to_nobody_later() {
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
    find_all(&names, &wanted).await;
}
