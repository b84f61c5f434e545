//! Finds a live Lease in another namespace. Its holder and this process would act at the same time.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client, ResourceExt, api::ListParams};
use tokio::time::{Instant, sleep};

use super::{LEASE_DURATION, record};
use crate::cluster::{Key, ReadError, in_time};

/// The pause between two reads. A holder renews its Lease about every two seconds.
const PAUSE: Duration = Duration::from_secs(1);

/// The pause before a list that failed is repeated, besides the pause between two reads.
const RETRY: Duration = Duration::from_secs(4);

/// How often a running process checks.
const INTERVAL: Duration = Duration::from_secs(30);

/// A live Lease in another namespace: its holder renews it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConflict {
    /// The Lease in the other namespace.
    pub lease: Key,
    /// Who holds it.
    pub holder: String,
}

/// Waits for a live Lease with the name of `own` in another namespace, and returns it.
///
/// `is_first` is for the start: the call returns when it is certain that there is none. A Lease is live when reads show
/// that it changes. Its own timestamps come from another clock, and do not count.
///
/// # Errors
/// Why the check is not possible, in words. Only at a start. A list that fails temporarily is repeated.
pub async fn find_conflicting(
    client: &Client,
    own: &Key,
    is_first: bool,
) -> Result<Option<LeaseConflict>, String> {
    let begun = Instant::now();
    let mut seen: Option<BTreeMap<String, LeaseSpec>> = None;
    loop {
        match held(client, own).await {
            Ok(now) => {
                let renewed = now.iter().find(|(place, spec)| {
                    seen.as_ref().and_then(|seen| seen.get(*place)).is_some_and(|before| before != *spec)
                });
                if let Some((place, spec)) = renewed {
                    return Ok(Some(LeaseConflict {
                        lease: Key::new(place, own.name()),
                        holder: record::holder(spec).to_owned(),
                    }));
                }
                if is_first && (now.is_empty() || begun.elapsed() >= LEASE_DURATION) {
                    return Ok(None);
                }
                if is_first && seen.is_none() {
                    let namespaces = now.keys().cloned().collect::<Vec<_>>().join(", ");
                    tracing::info!(
                        name = own.name(),
                        namespaces,
                        "there are Leases of this name in other namespaces; it takes 15 s to know that no one renews them"
                    );
                }
                seen = Some(now);
            }
            Err(error @ ReadError::Forbidden(_)) if is_first => return Err(error.explain()),
            Err(error) if is_first => {
                tracing::warn!(
                    name = own.name(),
                    error = error.explain(),
                    "the Leases of other namespaces cannot be listed yet, so it is not known whether another process \
                     leads. The controller tries again, and switches nothing until then"
                );
                sleep(RETRY).await;
            }
            Err(_) => {}
        }
        sleep(if is_first { PAUSE } else { INTERVAL }).await;
    }
}

/// The Leases of this name in other namespaces that have a holder.
async fn held(client: &Client, own: &Key) -> Result<BTreeMap<String, LeaseSpec>, ReadError> {
    let leases: Api<Lease> = Api::all(client.clone());
    let parameters = ListParams::default().fields(&format!("metadata.name={}", own.name()));
    let listed = in_time(leases.list(&parameters)).await?;
    let others = listed.items.into_iter().filter_map(|lease| {
        let place = lease.namespace().filter(|place| place != own.namespace())?;
        let spec = lease.spec.filter(|spec| !record::holder(spec).is_empty())?;
        Some((place, spec))
    });
    Ok(others.collect())
}

/// Whether the holder of a Lease renews it: the Lease changes within its duration.
///
/// # Errors
/// The Lease could not be read at the end of that time, so it is not known.
pub async fn is_renewed(leases: &Api<Lease>, seen: &Lease) -> Result<bool, ReadError> {
    let (begun, name) = (Instant::now(), seen.name_any());
    loop {
        sleep(PAUSE).await;
        let read = in_time(leases.get_opt(&name)).await;
        let is_over = begun.elapsed() >= LEASE_DURATION;
        match read {
            Ok(Some(now)) if now.spec != seen.spec => return Ok(true),
            Ok(_) if is_over => return Ok(false),
            Err(error) if is_over => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        },
    };

    use axum::http::{Request, Response};
    use jiff::Timestamp;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// A client that lists a Lease in each of these namespaces; each request finds it renewed by `step` seconds.
    fn listing(holders: &'static [(&str, &str)], step: i64, status: u16) -> Client {
        let count = Arc::new(AtomicI64::new(0));
        let service = service_fn(move |_: Request<Body>| {
            let renewed = at(count.fetch_add(step, Ordering::Relaxed));
            let items: Vec<Value> = holders
                .iter()
                .map(|(namespace, holder)| {
                    let mut lease = record::created("lease", holder, renewed);
                    lease.metadata.namespace = Some((*namespace).to_owned());
                    serde_json::to_value(lease).unwrap()
                })
                .collect();
            let list = json!({"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "metadata": {}, "items": items});
            let refused =
                json!({"kind": "Status", "status": "Failure", "code": status, "message": "no right"});
            let body = if status == 200 { list } else { refused };
            let answer = Response::builder().status(status).body(Body::from(body.to_string().into_bytes()));
            std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
        });
        Client::new(service, "here")
    }

    async fn at_a_start(client: &Client) -> (Result<Option<LeaseConflict>, String>, Duration) {
        let begun = Instant::now();
        (find_conflicting(client, &Key::new("here", "lease"), true).await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_renewed_elsewhere_is_found_at_once() {
        let (found, took) = at_a_start(&listing(&[("here", "me"), ("there", "other")], 2, 200)).await;
        let conflict = LeaseConflict { lease: Key::new("there", "lease"), holder: "other".to_owned() };
        assert_eq!(found, Ok(Some(conflict.clone())));
        assert!(took < Duration::from_secs(3), "{took:?}");
        let later = listing(&[("there", "other")], 2, 200);
        let later = find_conflicting(&later, &Key::new("here", "lease"), false).await;
        assert_eq!(later, Ok(Some(conflict)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_no_one_renews_delays_a_start_by_its_duration() {
        let (found, took) = at_a_start(&listing(&[("there", "dead")], 0, 200)).await;
        assert_eq!(found, Ok(None));
        assert!((15..18).contains(&took.as_secs()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn free_leases_and_the_own_one_delay_nothing() {
        for holders in [&[] as &[(&str, &str)], &[("here", "me")], &[("there", ""), ("here", "")]] {
            let (found, took) = at_a_start(&listing(holders, 2, 200)).await;
            assert_eq!((found, took), (Ok(None), Duration::ZERO), "{holders:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_right_to_list_it_says_so() {
        let (found, took) = at_a_start(&listing(&[], 0, 403)).await;
        assert!(found.unwrap_err().contains("no right"));
        assert_eq!(took, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_temporary_failure_is_repeated_at_a_start() {
        for status in [401, 429, 500] {
            let refused = listing(&[], 0, status);
            let start = tokio::time::timeout(Duration::from_hours(1), at_a_start(&refused));
            assert!(start.await.is_err(), "{status}: it starts, and does not know who leads");
        }
    }
}
