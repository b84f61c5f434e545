use std::{convert::Infallible, future::ready};

use axum::http::Method;
use tower::service_fn;

use super::*;
use crate::failpoints::{SideEffect, side_effect};

/// Paths of requests, with their kind.
const PATHS: [(&str, WriteKind); 9] = [
    ("/apis/tenantpricing.io/v1alpha1/namespaces/a/tenantpricings/b/status", WriteKind::TenantPricingStatus),
    (
        "/apis/tenantpricing.io/v1alpha1/namespaces/a/platformconnections/b/status",
        WriteKind::PlatformConnectionStatus,
    ),
    ("/apis/events.k8s.io/v1/namespaces/a/events", WriteKind::Event),
    ("/apis/coordination.k8s.io/v1/namespaces/a/leases/b", WriteKind::Lease),
    ("/apis/tenantpricing.io/v1alpha1/namespaces/a/tenantpricings/b", WriteKind::Other),
    // Namespaces and objects may have any name.
    ("/api/v1/namespaces/leases", WriteKind::Other),
    (
        "/apis/tenantpricing.io/v1alpha1/namespaces/leases/tenantpricings/events/status",
        WriteKind::TenantPricingStatus,
    ),
    ("/api/v1/namespaces/events/configmaps/leases", WriteKind::Other),
    ("", WriteKind::Other),
];

#[test]
fn the_kind_is_the_resource_and_no_name() {
    for (path, kind) in PATHS {
        assert_eq!(WriteKind::of_path(path), kind, "{path}");
    }
}

#[test]
fn only_a_certain_answer_is_a_known_result() {
    let outcomes = [200, 201, 404, 409, 403, 422, 429, 408, 500, 504].map(WriteResult::of_status);
    let [stored, created, gone, conflict, forbidden, invalid, throttled, late, broken, timeout] = outcomes;
    assert!([stored, created] == [WriteResult::Stored; 2] && [gone, conflict] == [WriteResult::Conflict; 2]);
    assert!([forbidden, invalid] == [WriteResult::Refused; 2] && throttled == WriteResult::Throttled);
    assert_eq!([late, broken, timeout], [WriteResult::Unknown; 3]);
}

const STATUS: &str = "/apis/tenantpricing.io/v1alpha1/namespaces/a/tenantpricings/b/status";

fn request(method: Method) -> Request<()> {
    Request::builder().method(method).uri(STATUS).body(()).unwrap()
}

/// Runs the work as a side effect that is a write of this kind.
async fn announced<Work: Future>(work: Work) -> Work::Output {
    side_effect(SideEffect::TenantPricingStatus, work).await
}

/// The counts that are not zero, as `kind outcome count`.
fn counts(metrics: &Metrics) -> Vec<String> {
    let text = metrics.exposition(crate::telemetry::Format::OpenMetrics).unwrap();
    let series = text.lines().filter_map(|line| line.strip_prefix("tenantpricing_kubernetes_writes_total{"));
    let counted = series.filter(|line| !line.ends_with(" 0"));
    counted.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_write_is_counted_with_its_result_and_a_read_is_not() {
    let metrics = Metrics::default();
    let answers = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::builder().status(409).body(()).unwrap()))
    });
    let mut service = CountWrites::new(metrics.clone()).layer(answers);
    service.call(request(Method::GET)).await.unwrap();
    assert_eq!(counts(&metrics), [""; 0]);
    announced(service.call(request(Method::PATCH))).await.unwrap();
    assert_eq!(counts(&metrics), [r#"resource="tenantpricings/status",result="conflict"} 1"#]);
}

#[tokio::test]
async fn a_write_without_an_answer_is_counted_as_unknown() {
    let metrics = Metrics::default();
    let fails = service_fn(|_: Request<()>| ready(Err::<Response<()>, _>(std::io::Error::other("reset"))));
    let mut service = CountWrites::new(metrics.clone()).layer(fails);
    announced(service.call(request(Method::PATCH))).await.unwrap_err();
    assert_eq!(counts(&metrics), [r#"resource="tenantpricings/status",result="unknown"} 1"#]);

    let hangs = service_fn(|_: Request<()>| std::future::pending::<Result<Response<()>, Infallible>>());
    let mut service = CountWrites::new(metrics.clone()).layer(hangs);
    // The sender no longer waits for the answer, as after a timeout.
    drop(service.call(request(Method::PATCH)));
    assert_eq!(counts(&metrics), [r#"resource="tenantpricings/status",result="unknown"} 2"#]);
}

#[cfg(feature = "test-support")]
mod guard {
    use super::*;

    /// Sends through a service that accepts everything behind it.
    async fn send(path: &str, method: Method) {
        let answers = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
        let mut service = CountWrites::new(Metrics::default()).layer(answers);
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        service.call(request).await.unwrap();
    }

    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/a/leases/b";
    const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/a/events";

    #[tokio::test]
    async fn announced_writes_and_all_reads_are_allowed() {
        send(STATUS, Method::GET).await;
        for (path, method, effect) in [
            (STATUS, Method::PATCH, SideEffect::Journal),
            (STATUS, Method::PATCH, SideEffect::TenantPricingStatus),
            (EVENTS, Method::POST, SideEffect::Event),
            (LEASE, Method::PATCH, SideEffect::LeaseAcquire),
            (LEASE, Method::PATCH, SideEffect::LeaseRenew),
            (LEASE, Method::PATCH, SideEffect::LeaseRelease),
        ] {
            side_effect(effect, send(path, method)).await;
        }
    }

    #[tokio::test]
    #[should_panic(expected = "a write to tenantpricings/status that no side effect")]
    async fn a_write_outside_a_side_effect_is_refused() {
        send(STATUS, Method::PATCH).await;
    }

    #[tokio::test]
    #[should_panic(expected = "a write to events that no side effect")]
    async fn a_write_inside_another_side_effect_is_refused() {
        side_effect(SideEffect::Journal, send(EVENTS, Method::POST)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "a write to other that no side effect")]
    async fn a_write_of_a_kind_outside_the_table_is_refused() {
        side_effect(SideEffect::Event, send("/api/v1/namespaces/a/configmaps/b", Method::DELETE)).await;
    }
}
