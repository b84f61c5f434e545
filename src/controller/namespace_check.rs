//! Checks that the watched namespaces exist. The API server lists a missing namespace as an empty one, so a mistyped
//! name would otherwise go unnoticed.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tokio::time::{Instant, sleep};

use crate::cluster::{ReadError, explain, in_time};

/// How often a missing namespace is read.
const INTERVAL: Duration = Duration::from_secs(15);

/// How often the log reports it.
const WARNING_INTERVAL: Duration = Duration::from_secs(300);

/// Warns about each missing namespace, repeatedly until it exists.
pub(super) async fn run(client: Client, namespaces: Vec<String>) {
    join_all(namespaces.iter().map(|namespace| until_it_exists(&client, namespace))).await;
}

async fn until_it_exists(client: &Client, namespace: &str) {
    let api: Api<Namespace> = Api::all(client.clone());
    let mut warned: Option<Instant> = None;
    loop {
        match in_time(api.get_metadata(namespace)).await {
            Ok(_) => {
                if warned.is_some() {
                    tracing::info!(namespace, "a namespace of --watch-namespaces exists now");
                }
                return;
            }
            Err(ReadError::Unavailable(kube::Error::Api(status))) if status.code == 404 => {
                if warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
                    tracing::warn!(
                        namespace,
                        "a namespace of --watch-namespaces does not exist, so nothing in it is seen. Create it, or \
                         correct the flag"
                    );
                    warned = Some(Instant::now());
                }
            }
            // With rights to namespaced objects only, the check is impossible.
            Err(ReadError::Forbidden(error)) => {
                let reason = explain(&error);
                tracing::debug!(namespace, reason, "whether a watched namespace exists cannot be read");
                return;
            }
            // The watches report why they cannot reach the API server.
            Err(ReadError::Unavailable(error)) => {
                tracing::debug!(namespace, error = explain(&error), "a namespace cannot be read");
            }
            Err(error @ (ReadError::Unreadable(_) | ReadError::Timeout)) => {
                tracing::debug!(namespace, %error, "a namespace cannot be read");
            }
        }
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicU16, Ordering},
        },
    };

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;
    use crate::telemetry::capture::Log;

    /// A client that gets this status in every answer.
    fn answering(status: Arc<AtomicU16>) -> Client {
        let service = service_fn(move |_: Request<Body>| {
            let code = status.load(Ordering::Relaxed);
            let body = if code == 200 {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "here"}})
            } else {
                json!({"kind": "Status", "status": "Failure", "code": code})
            };
            let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
        });
        Client::new(service, "here")
    }

    /// The log while a namespace is checked for this time, until it exists.
    async fn logged(code: u16, then: u16, seconds: u64) -> String {
        let (status, log) = (Arc::new(AtomicU16::new(code)), Log::new());
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(lines);
        let changing = async {
            sleep(Duration::from_secs(seconds)).await;
            status.store(then, Ordering::Relaxed);
        };
        tokio::join!(run(answering(status.clone()), vec!["here".to_owned()]), changing);
        log.text()
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_namespace_is_a_warning_every_five_minutes() {
        let said = logged(404, 200, 700).await;
        assert_eq!(said.matches("WARN").count(), 3, "{said}");
        assert!(said.contains("--watch-namespaces does not exist") && said.contains("exists now"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_right_or_an_answer_nothing_is_inferred() {
        for (code, then) in [(200, 200), (403, 403), (500, 200), (429, 403)] {
            let said = logged(code, then, 700).await;
            assert_eq!(said, "", "{code}");
        }
    }
}
