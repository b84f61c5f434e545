use std::{convert::Infallible, future::ready};

use axum::http::Method;
use tower::service_fn;

use super::*;

/// A request's path, and the kind it is of.
const PATHS: [(&str, WriteKind); 9] = [
    ("/apis/tenantpricing.io/v1alpha1/namespaces/a/tenantpricings/b/status", WriteKind::TenantPricingStatus),
    (
        "/apis/tenantpricing.io/v1alpha1/namespaces/a/platformconnections/b/status",
        WriteKind::PlatformConnectionStatus,
    ),
    ("/apis/events.k8s.io/v1/namespaces/a/events", WriteKind::Event),
    ("/apis/coordination.k8s.io/v1/namespaces/a/leases/b", WriteKind::Lease),
    ("/apis/tenantpricing.io/v1alpha1/namespaces/a/tenantpricings/b", WriteKind::Other),
    // Namespaces and objects are called what people like.
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
fn only_a_certain_answer_is_a_fate_that_is_known() {
    let fates = [200, 201, 404, 409, 403, 422, 429, 408, 500, 504].map(WriteFate::of_status);
    let [stored, created, gone, conflict, forbidden, invalid, throttled, late, broken, timeout] = fates;
    assert!([stored, created] == [WriteFate::Stored; 2] && [gone, conflict] == [WriteFate::Conflict; 2]);
    assert!([forbidden, invalid] == [WriteFate::Refused; 2] && throttled == WriteFate::Throttled);
    assert_eq!([late, broken, timeout], [WriteFate::Unknown; 3]);
}

const STATUS: &str = "/apis/tenantpricing.io/v1alpha1/namespaces/a/tenantpricings/b/status";

fn request(method: Method) -> Request<()> {
    Request::builder().method(method).uri(STATUS).body(()).unwrap()
}

/// The counts that are not zero, as `kind fate count`.
fn counts(metrics: &Metrics) -> Vec<String> {
    let text = metrics.exposition().unwrap();
    let series = text.lines().filter_map(|line| line.strip_prefix("tenantpricing_kubernetes_writes_total{"));
    let counted = series.filter(|line| !line.ends_with(" 0"));
    counted.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_write_is_counted_with_its_fate_and_a_read_is_not() {
    let metrics = Metrics::default();
    let answers = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::builder().status(409).body(()).unwrap()))
    });
    let mut service = CountWrites::new(metrics.clone()).layer(answers);
    service.call(request(Method::GET)).await.unwrap();
    assert_eq!(counts(&metrics), [""; 0]);
    service.call(request(Method::PATCH)).await.unwrap();
    assert_eq!(counts(&metrics), [r#"kind="tenantpricings/status",fate="conflict"} 1"#]);
}

#[tokio::test]
async fn a_write_without_an_answer_is_counted_as_unknown() {
    let metrics = Metrics::default();
    let fails = service_fn(|_: Request<()>| ready(Err::<Response<()>, _>(std::io::Error::other("reset"))));
    let mut service = CountWrites::new(metrics.clone()).layer(fails);
    service.call(request(Method::PATCH)).await.unwrap_err();
    assert_eq!(counts(&metrics), [r#"kind="tenantpricings/status",fate="unknown"} 1"#]);

    let hangs = service_fn(|_: Request<()>| std::future::pending::<Result<Response<()>, Infallible>>());
    let mut service = CountWrites::new(metrics.clone()).layer(hangs);
    // Somebody waits for it no longer, as after a time limit.
    drop(service.call(request(Method::PATCH)));
    assert_eq!(counts(&metrics), [r#"kind="tenantpricings/status",fate="unknown"} 2"#]);
}
