use std::sync::Arc;

use futures::{FutureExt, future, future::BoxFuture};

use super::*;
use crate::{
    platform::{
        AllowedHosts, ClientOptions, CredentialError, CredentialSource, Credentials, ErrorClass, Origin,
        install_tls_provider,
    },
    simulator::{Fault, FaultAction, LoggedRequest, Operation, Simulator, SimulatorOptions},
};

struct Source(Credentials);

impl CredentialSource for Source {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialError>> {
        future::ready(Ok(self.0.clone())).boxed()
    }
}

fn batcher(simulator: &Simulator) -> Batcher {
    install_tls_provider();
    let options = ClientOptions {
        origin: Origin::parse(&simulator.url()).unwrap(),
        allowed_hosts: AllowedHosts::parse(&simulator.url()).unwrap(),
        ca_bundle: None,
        proxy: None,
        requests_per_second: std::num::NonZeroU32::MAX,
        watching: None,
        clock: crate::clock::Clock::system(),
    };
    let credentials =
        Credentials { client_id: simulator.client_id(), client_secret: simulator.client_secret().into() };
    Batcher::start(PlatformClient::new(options, Arc::new(Source(credentials))).unwrap())
}

async fn look(batcher: &Batcher, tenants: &[String]) -> Vec<Looked> {
    let looks = tenants.iter().map(|tenant| async move { batcher.look(&tenant.parse().unwrap()).await });
    future::join_all(looks).await
}

fn count(requests: &[LoggedRequest], operation: Operation) -> usize {
    requests.iter().filter(|request| request.operation == operation).count()
}

/// The most reads of single tenants that were in flight at the same time.
fn most_at_once(requests: &[LoggedRequest]) -> usize {
    let alone = || requests.iter().filter(|request| request.operation == Operation::FetchTenant);
    let in_flight = |at| {
        alone()
            .filter(|other| {
                other.started_after <= at && other.finished_after.is_none_or(|finished| finished > at)
            })
            .count()
    };
    alone().map(|request| in_flight(request.started_after)).max().unwrap_or_default()
}

#[tokio::test]
async fn a_batch_refused_for_one_tenant_is_held_against_that_one_alone() {
    for (status, class) in
        [(400, ErrorClass::Refused), (403, ErrorClass::AccessDenied), (404, ErrorClass::NotFound)]
    {
        let options = SimulatorOptions { latency: Duration::from_millis(5), ..SimulatorOptions::default() };
        let simulator = Simulator::start(options).await.unwrap();
        let tenants = simulator.add_customers(30, "Customer");
        let refusal = || FaultAction::error(status, i64::from(status));
        simulator.inject(Fault::new(refusal()).on(Operation::FetchTenants).tenant(&tenants[7]));
        simulator.inject(Fault::new(refusal()).on(Operation::FetchTenant).tenant(&tenants[7]));
        let looked = look(&batcher(&simulator), &tenants).await;
        for (number, (tenant, looked)) in tenants.iter().zip(&looked).enumerate() {
            match looked {
                Ok(answer) => assert_eq!((answer.value.id.as_str(), number == 7), (tenant.as_str(), false)),
                Err(error) => assert_eq!((error.class(), number), (class, 7), "{error}"),
            }
        }
        let requests = simulator.requests();
        assert_eq!(count(&requests, Operation::FetchTenant), 30, "each alone, once");
        assert!(most_at_once(&requests) <= ALONE, "{} at once", most_at_once(&requests));
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn trouble_with_the_connection_is_not_asked_for_once_more_for_each_tenant() {
    let simulator = Simulator::start(SimulatorOptions::default()).await.unwrap();
    let tenants = simulator.add_customers(30, "Customer");
    simulator.inject(Fault::new(FaultAction::error(500, 500)).on(Operation::FetchTenants));
    for looked in look(&batcher(&simulator), &tenants).await {
        assert_eq!(looked.unwrap_err().class(), ErrorClass::Unavailable);
    }
    assert_eq!(count(&simulator.requests(), Operation::FetchTenant), 0);
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_refusal_of_a_batch_of_one_tenant_is_its_own() {
    let simulator = Simulator::start(SimulatorOptions::default()).await.unwrap();
    let tenant = simulator.add_customers(1, "Customer").remove(0);
    simulator.inject(Fault::new(FaultAction::error(403, 403)).on(Operation::FetchTenants));
    for looked in look(&batcher(&simulator), &[tenant.clone(), tenant]).await {
        assert_eq!(looked.unwrap_err().class(), ErrorClass::AccessDenied);
    }
    assert_eq!(count(&simulator.requests(), Operation::FetchTenant), 0);
    simulator.shutdown().await;
}
