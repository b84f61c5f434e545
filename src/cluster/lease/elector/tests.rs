//! An elector against a scripted API server.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::http::{Method, Request, Response};
use kube::client::Body;
use serde_json::json;
use tower::service_fn;

use super::*;

const LEASE: &str = "lease";

/// The stored Lease, and what happens to the next requests.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    lease: Option<Lease>,
    version: u64,
    /// The delay of each answer.
    takes: Duration,
    panics: bool,
    /// The client has no rights.
    is_forbidden: bool,
    /// The answer to each write.
    refuses_writes: Option<(u16, &'static str)>,
    /// Another client with this identity writes the Lease just before the next write.
    races: Option<&'static str>,
}

impl Server {
    fn now<T>(&self, change: impl FnOnce(&mut Stored) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn holder(&self) -> Option<String> {
        self.now(|stored| stored.lease.as_ref()?.spec.as_ref()?.holder_identity.clone())
    }

    /// Writes the Lease as another client does.
    fn store(&self, mut lease: Lease) -> Lease {
        self.now(|stored| {
            stored.version += 1;
            lease.metadata.resource_version = Some(stored.version.to_string());
            stored.lease = Some(lease.clone());
            lease
        })
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (takes, panics, is_forbidden) =
            self.now(|stored| (stored.takes, stored.panics, stored.is_forbidden));
        assert!(!panics, "a request that breaks off");
        if is_forbidden {
            return Ok(answered(403, &json!({"kind": "Status", "status": "Failure", "code": 403})));
        }
        let (parts, body) = request.into_parts();
        if parts.uri.query().is_some_and(|query| query.contains("watch=")) {
            return Ok(answered(400, &json!({"kind": "Status", "status": "Failure", "code": 400})));
        }
        let refuses = self.now(|stored| stored.refuses_writes).filter(|_| parts.method != Method::GET);
        if let Some((code, message)) = refuses {
            let status = json!({"kind": "Status", "status": "Failure", "code": code, "message": message});
            return Ok(answered(code, &status));
        }
        if parts.method != Method::GET
            && let Some(holder) = self.now(|stored| stored.races.take())
        {
            self.store(record::created(LEASE, holder, Clock::system().now()));
        }
        let body = body.collect_bytes().await.unwrap();
        let stored = self.now(|stored| stored.lease.clone());
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let answer = match (parts.method, stored) {
            (Method::GET, Some(lease)) => answered(200, &lease),
            (Method::POST, None) => answered(201, &self.store(serde_json::from_slice(&body).unwrap())),
            (Method::POST, Some(_)) => {
                answered(409, &json!({"kind": "Status", "status": "Failure", "code": 409}))
            }
            // The only other request is the one that replaces the Lease.
            (_, Some(lease)) => {
                let written: Lease = serde_json::from_slice(&body).unwrap();
                if version(&written) == version(&lease) {
                    answered(200, &self.store(written))
                } else {
                    answered(409, &json!({"kind": "Status", "status": "Failure", "code": 409}))
                }
            }
            _ => answered(404, &json!({"kind": "Status", "status": "Failure", "code": 404})),
        };
        tokio::time::sleep(takes).await;
        Ok(answer)
    }

    fn elector(&self, identity: &str) -> Elector {
        let server = self.clone();
        let service = service_fn(move |request| server.clone().answer(request));
        let client = Client::new(service, "here");
        Elector::new(client.clone(), client, Key::new("here", LEASE), identity.to_owned(), Clock::system())
    }
}

fn answered(status: u16, body: &impl serde::Serialize) -> Response<Body> {
    Response::builder().status(status).body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()
}

/// Waits until the replica leads, and returns its term.
async fn leading(leadership: &mut watch::Receiver<LeadershipState>) -> Term {
    let now = leadership.wait_for(|now| matches!(now, LeadershipState::Leading(_))).await.unwrap();
    let LeadershipState::Leading(term) = now.clone() else { unreachable!() };
    term
}

#[tokio::test(start_paused = true)]
async fn a_renewal_counts_from_its_start_however_late_its_answer_is() {
    let server = Server::default();
    let elector = server.elector("one");
    let mut leadership = elector.leadership();
    tokio::spawn(elector.run(CancellationToken::new()));
    let term = leading(&mut leadership).await;
    server.now(|stored| stored.takes = Duration::from_millis(4700));
    // At every check, the last renewal began 4.7 s before its answer came. The next one is on its way.
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(term.since_renewal() < RENEW_DEADLINE);
    }
    let mut youngest = Duration::MAX;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        youngest = youngest.min(term.since_renewal());
    }
    assert!(youngest >= Duration::from_millis(4700), "{youngest:?}");
    assert!(!term.ended().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_not_taken_before_it_would_have_expired() {
    let server = Server::default();
    server.store(record::created(LEASE, "one", Clock::system().now()));
    let elector = server.elector("two");
    let mut leadership = elector.leadership();
    tokio::spawn(elector.run(CancellationToken::new()));
    leadership.wait_for(LeadershipState::is_known).await.unwrap();
    let begun = Instant::now();
    server.now(|stored| stored.lease = None);
    leading(&mut leadership).await;
    assert!(begun.elapsed() >= Duration::from_secs(14), "{:?}", begun.elapsed());
    assert_eq!(server.holder().as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn a_holder_creates_a_deleted_lease_again_and_goes_on_leading() {
    let server = Server::default();
    let elector = server.elector("one");
    let mut leadership = elector.leadership();
    tokio::spawn(elector.run(CancellationToken::new()));
    let term = leading(&mut leadership).await;
    server.now(|stored| stored.lease = None);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.holder().as_deref(), Some("one"));
    assert!(!term.ended().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_term_ends_with_its_elector() {
    let server = Server::default();
    let elector = server.elector("one");
    let mut leadership = elector.leadership();
    let at_work = tokio::spawn(elector.run(CancellationToken::new()));
    let term = leading(&mut leadership).await;
    server.now(|stored| stored.panics = true);
    assert!(at_work.await.unwrap_err().is_panic());
    assert!(term.ended().is_cancelled(), "its work would wait for its end for ever");
    assert!(leadership.wait_for(|_| false).await.is_err(), "and no probe would report the process as dead");
}

#[tokio::test(start_paused = true)]
async fn without_a_right_to_the_lease_it_does_not_stand_by() {
    let server = Server::default();
    server.now(|stored| stored.is_forbidden = true);
    let elector = server.elector("one");
    let mut leadership = elector.leadership();
    tokio::spawn(elector.run(CancellationToken::new()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!leadership.borrow().is_known(), "it could never take over");
    server.now(|stored| stored.is_forbidden = false);
    leading(&mut leadership).await;
}

const MISSING: (u16, &str) = (404, "namespaces \"here\" not found");

/// Tries for the lease for a minute against a server that refuses each write. Returns why the replica cannot lead.
async fn refused(code: u16, message: &'static str) -> (LeadershipState, Option<String>) {
    let server = Server::default();
    server.now(|stored| stored.refuses_writes = Some((code, message)));
    let elector = server.elector("one");
    let (leadership, refused) = (elector.leadership(), elector.refused());
    tokio::spawn(elector.run(CancellationToken::new()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    (leadership.borrow().clone(), refused.borrow().clone())
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_created_is_never_standing_by() {
    let (code, message) = MISSING;
    let (leadership, reason) = refused(code, message).await;
    assert!(!leadership.is_known(), "{leadership:?}");
    assert!(reason.unwrap().contains("namespace \"here\" does not exist"));
    for (code, message, word) in [
        (403, "leases is forbidden", "does not allow to create"),
        (403, "namespace here because it is being terminated", "is being deleted"),
        (422, "metadata.name: Invalid value", "--lease-name"),
        (401, "Unauthorized", "credentials"),
    ] {
        let (leadership, reason) = refused(code, message).await;
        assert!(!leadership.is_known(), "{code}: {leadership:?}");
        assert!(reason.as_deref().is_some_and(|reason| reason.contains(word)), "{code}: {reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_cannot_answer_now_refuses_nothing() {
    for code in [429, 500, 503] {
        let (leadership, reason) = refused(code, "later").await;
        assert!(!leadership.is_known() && reason.is_none(), "{code}: {leadership:?} {reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_stands_by_only_when_it_has_read_who_leads() {
    let server = Server::default();
    server.now(|stored| stored.races = Some("faster"));
    let elector = server.elector("one");
    let mut leadership = elector.leadership();
    let holder = server.clone();
    tokio::spawn(elector.run(CancellationToken::new()));
    leadership.wait_for(LeadershipState::is_known).await.unwrap();
    assert!(matches!(*leadership.borrow(), LeadershipState::Standby));
    assert_eq!(holder.holder().as_deref(), Some("faster"));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_over_a_lease_that_no_one_holds_is_tried_again() {
    let server = Server::default();
    server.now(|stored| stored.races = Some(""));
    let elector = server.elector("one");
    let mut leadership = elector.leadership();
    tokio::spawn(elector.run(CancellationToken::new()));
    leadership.wait_for(LeadershipState::is_known).await.unwrap();
    assert!(matches!(*leadership.borrow(), LeadershipState::Leading(_)), "it never stands by");
    assert_eq!(server.holder().as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused_says_so_and_ends_the_term() {
    let server = Server::default();
    let elector = server.elector("one");
    let (mut leadership, mut reasons) = (elector.leadership(), elector.refused());
    tokio::spawn(elector.run(CancellationToken::new()));
    let term = leading(&mut leadership).await;
    server.now(|stored| stored.refuses_writes = Some((403, "leases is forbidden")));
    let reason = reasons.wait_for(Option::is_some).await.unwrap().clone();
    assert!(reason.unwrap().contains("does not allow to update"));
    assert!(!term.ended().is_cancelled(), "it leads until its time is over");
    term.ended().cancelled().await;
    server.now(|stored| stored.refuses_writes = None);
    leading(&mut leadership).await;
    assert_eq!(*reasons.borrow(), None, "it is ready again");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_waits_for_an_answer_ends_at_once() {
    let server = Server::default();
    server.now(|stored| stored.takes = Duration::from_secs(2));
    let (elector, end) = (server.elector("one"), CancellationToken::new());
    let at_work = tokio::spawn(elector.run(end.clone()));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let begun = Instant::now();
    end.cancel();
    at_work.await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(server.holder(), None, "it left no Lease behind");
}
