//! Which writes a command may send to the cluster. In every build, all others are refused before they leave the
//! program.
//!
//! The writes of the controller are in the table of side effects (`failpoints`), since a test must be able to end the
//! controller before and after each. A command sends one edit for each object, and does nothing after it but wait. So
//! an end of the process at any point leaves the whole edit or none, and the table would gain points that no controller
//! reaches.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::http::{Method, Request, Response, Uri};
use kube::Resource;
use tower::{BoxError, Layer, Service};

use crate::api::{PlatformConnection, TenantPricing};

/// What a command may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    /// Nothing: the command only reads.
    Nothing,
    /// Reviews, which ask about rights. The API server answers from its rules and stores nothing.
    Reviews,
    /// Patches of the spec or the metadata of a `TenantPricing`, never of its status.
    Edits,
    /// The same as a dry run: the API server checks the patch and stores nothing.
    DryRuns,
    /// Dry runs of creating and replacing a `TenantPricing` or a `PlatformConnection`.
    Validations,
}

/// The paths of the reviews about the rights of the user, and of others.
const REVIEWS: [&str; 2] = [
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
];

/// A write that the command may not send.
#[derive(Debug, thiserror::Error)]
#[error(
    "{method} {path} was not sent: this command may not write it. This is a bug of kubectl-tenantpricing"
)]
struct NotPermitted {
    method: Method,
    path: String,
}

impl Writes {
    fn permits(self, method: &Method, uri: &Uri) -> bool {
        if method.is_safe() {
            return true;
        }
        let is_edit = *method == Method::PATCH && is_tenant_pricing(uri.path());
        match self {
            Self::Nothing => false,
            Self::Reviews => *method == Method::POST && REVIEWS.contains(&uri.path()),
            Self::Edits => is_edit,
            Self::DryRuns => is_edit && is_dry_run(uri.query().unwrap_or_default()),
            Self::Validations => {
                is_validation(method, uri.path()) && is_dry_run(uri.query().unwrap_or_default())
            }
        }
    }
}

/// Whether a path is that of one `TenantPricing`:
/// `/apis/<group>/<version>/namespaces/<namespace>/tenantpricings/<name>`.
fn is_tenant_pricing(path: &str) -> bool {
    let plural = TenantPricing::plural(&());
    matches!(after_namespaces(path).as_slice(), [_, kind, name] if *kind == plural && !name.is_empty())
}

/// Whether a request creates or replaces an object of a kind of this program.
fn is_validation(method: &Method, path: &str) -> bool {
    let is_ours = |kind: &str| kind == TenantPricing::plural(&()) || kind == PlatformConnection::plural(&());
    match after_namespaces(path).as_slice() {
        [_, kind] => *method == Method::POST && is_ours(kind),
        [_, kind, name] => *method == Method::PUT && is_ours(kind) && !name.is_empty(),
        _ => false,
    }
}

/// The parts of a path after `/apis/<group>/<version>/namespaces/`, with the group and version of this program.
fn after_namespaces(path: &str) -> Vec<&str> {
    let rest = path.strip_prefix(&format!("/apis/{}/namespaces/", TenantPricing::api_version(&())));
    rest.map(|rest| rest.split('/').collect()).unwrap_or_default()
}

/// Whether a query asks for a dry run, and for nothing else.
fn is_dry_run(query: &str) -> bool {
    let values = query.split('&').filter_map(|part| part.strip_prefix("dryRun="));
    values.collect::<Vec<_>>() == ["All"]
}

/// A layer of a Kubernetes client that refuses every write but the given ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitWrites(Writes);

impl LimitWrites {
    /// Creates a layer that lets only these writes pass.
    pub(crate) fn to(writes: Writes) -> Self {
        Self(writes)
    }
}

impl<S> Layer<S> for LimitWrites {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, writes: self.0 }
    }
}

/// A service whose writes are limited.
#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    inner: S,
    writes: Writes,
}

impl<S, Body, Answer> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<Answer>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !self.writes.permits(request.method(), request.uri()) {
            let refusal =
                NotPermitted { method: request.method().clone(), path: request.uri().path().to_owned() };
            return Box::pin(async move { Err(refusal.into()) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::ready};

    use tower::service_fn;

    use super::*;

    const OBJECT: &str = "/apis/tenantpricing.io/v1alpha1/namespaces/team/tenantpricings/acme";

    /// Sends a request through the layer to a server that accepts everything. The error is that of the layer.
    async fn send(writes: Writes, method: Method, uri: &str) -> Result<(), String> {
        let answers = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
        let mut service = LimitWrites::to(writes).layer(answers);
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        service.call(request).await.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn each_command_may_read() {
        for writes in [Writes::Nothing, Writes::Reviews, Writes::Edits, Writes::DryRuns, Writes::Validations]
        {
            for uri in [OBJECT, "/api/v1/namespaces/team/secrets/eu2", "/apis/events.k8s.io/v1/events"] {
                assert_eq!(send(writes, Method::GET, uri).await, Ok(()), "{writes:?}: {uri}");
            }
        }
    }

    #[tokio::test]
    async fn only_an_edit_of_a_tenant_pricing_passes() {
        let dry = format!("{OBJECT}?dryRun=All&fieldManager=tenantpricing-cli");
        for (writes, uri) in [(Writes::Edits, OBJECT), (Writes::Edits, &dry), (Writes::DryRuns, &dry)] {
            assert_eq!(send(writes, Method::PATCH, uri).await, Ok(()), "{writes:?}: {uri}");
        }
        let not_dry = [
            OBJECT.to_owned(),
            format!("{OBJECT}?dryRun="),
            format!("{OBJECT}?dryRun=All&dryRun="),
            format!("{OBJECT}?x=dryRun=All"),
        ];
        for uri in &not_dry {
            let refusal = send(Writes::DryRuns, Method::PATCH, uri).await.unwrap_err();
            assert!(refusal.contains(&format!("PATCH {OBJECT} was not sent")), "{uri}: {refusal}");
        }
        assert!(send(Writes::Nothing, Method::PATCH, &dry).await.is_err());
    }

    #[tokio::test]
    async fn only_the_two_reviews_pass_as_reviews() {
        for uri in REVIEWS {
            assert_eq!(send(Writes::Reviews, Method::POST, uri).await, Ok(()), "{uri}");
            assert!(send(Writes::Nothing, Method::POST, uri).await.is_err(), "{uri}");
            for method in [Method::PUT, Method::PATCH, Method::DELETE] {
                assert!(send(Writes::Reviews, method.clone(), uri).await.is_err(), "{method} {uri}");
            }
        }
        for uri in [
            "/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/name",
            "/apis/tenantpricing.io/v1alpha1/namespaces/a/subjectaccessreviews",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            "/apis/tenantpricing.io/v1alpha1/namespaces/team/tenantpricings",
        ] {
            assert!(send(Writes::Reviews, Method::POST, uri).await.is_err(), "{uri}");
        }
        assert!(send(Writes::Reviews, Method::PATCH, OBJECT).await.is_err());
    }

    #[tokio::test]
    async fn only_dry_runs_of_whole_objects_pass_as_validations() {
        let all = "/apis/tenantpricing.io/v1alpha1/namespaces/team/platformconnections";
        let one = format!("{all}/eu2");
        for (method, path) in [(Method::POST, all), (Method::PUT, &one), (Method::PUT, OBJECT)] {
            let (dry, bare) = (format!("{path}?dryRun=All&fieldValidation=Strict"), path.to_owned());
            assert_eq!(send(Writes::Validations, method.clone(), &dry).await, Ok(()), "{method} {path}");
            assert!(
                send(Writes::Validations, method.clone(), &bare).await.is_err(),
                "{method} {path} would be stored"
            );
            assert!(send(Writes::DryRuns, method.clone(), &dry).await.is_err(), "{method} {path}");
        }
        let others = [
            (Method::PATCH, OBJECT.to_owned()),
            (Method::DELETE, OBJECT.to_owned()),
            (Method::POST, OBJECT.to_owned()),
            (Method::PUT, all.to_owned()),
            (Method::PUT, format!("{OBJECT}/status")),
            (Method::PUT, "/api/v1/namespaces/team/secrets/eu2".to_owned()),
        ];
        for (method, path) in others {
            let dry = format!("{path}?dryRun=All");
            assert!(send(Writes::Validations, method.clone(), &dry).await.is_err(), "{method} {path}");
        }
    }

    #[tokio::test]
    async fn every_other_write_is_refused() {
        let others = [
            format!("{OBJECT}/status"),
            format!("{OBJECT}/"),
            OBJECT.replace("tenantpricings", "platformconnections"),
            OBJECT.replace("/acme", "/"),
            OBJECT.replace("/acme", ""),
            OBJECT.replace("v1alpha1", "v1"),
            "/apis/apps/v1/namespaces/team/tenantpricings/acme".to_owned(),
            "/api/v1/namespaces/team/secrets/tenantpricings".to_owned(),
        ];
        for uri in &others {
            assert!(send(Writes::Edits, Method::PATCH, uri).await.is_err(), "{uri}");
        }
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            assert!(send(Writes::Edits, method.clone(), OBJECT).await.is_err(), "{method}");
        }
    }
}
