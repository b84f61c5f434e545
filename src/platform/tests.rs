//! The client against a scripted server on loopback, under a clock that only the test moves.

mod adversarial;
mod foreign;
mod limits;
mod metrics;
mod outage;
mod properties;
mod put;
mod rate_limiter;
mod reads;
mod resolver;
mod server;
mod tls;
mod tokens;

use std::{
    future::Future,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::{Value, json};

use self::server::{Request, Server, Step, json as answer};
use super::*;

const CLIENT_ID: &str = "c1c1c1c1-0000-4000-8000-00000000000c";
const CLIENT_SECRET: &str = "the-client-secret-that-must-not-leak";
const OWN_TENANT: &str = "0a0a0a0a-0000-4000-8000-00000000000a";
const TENANT: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

/// The tests call what reads and what switches on one client.
impl std::ops::Deref for SwitchClient {
    type Target = PlatformClient;

    fn deref(&self) -> &PlatformClient {
        self.reads()
    }
}

/// A source whose answer a test can change. It counts its calls.
#[derive(Clone)]
struct Source {
    answer: Arc<Mutex<Result<Credentials, CredentialError>>>,
    asked: Arc<AtomicUsize>,
}

impl Source {
    fn new() -> Self {
        Self { answer: Arc::new(Mutex::new(Ok(credentials(CLIENT_ID)))), asked: Arc::default() }
    }

    fn set(&self, answer: Result<Credentials, CredentialError>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl CredentialSource for Source {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move { answer })
    }
}

fn credentials(client_id: &str) -> Credentials {
    Credentials { client_id: client_id.to_owned(), client_secret: CLIENT_SECRET.into() }
}

pub(super) fn options(url: &str) -> ClientOptions {
    install_tls_provider();
    ClientOptions {
        origin: Origin::parse(url).unwrap(),
        allowed_hosts: AllowedHosts::parse(url).unwrap(),
        ca_bundle: None,
        proxy: None,
        resolver: Resolver::default(),
        // The rate limit must not affect a test of something else.
        requests_per_second: NonZeroU32::MAX,
        metrics: None,
        clock: crate::clock::Clock::system(),
        history: History::default(),
    }
}

fn now() -> crate::clock::Moment {
    crate::clock::Clock::system().moment()
}

fn client_for(server: &Server) -> SwitchClient {
    client_with(server, &Source::new())
}

fn client_with(server: &Server, source: &Source) -> SwitchClient {
    SwitchClient::new(options(&server.url()), Arc::new(source.clone())).unwrap()
}

fn tenant_id() -> TenantId {
    TENANT.parse().unwrap()
}

fn tenant_json(id: &str, name: &str) -> Value {
    json!({
        "id": id, "name": name, "kind": "customer", "enabled": true, "deleted_at": null,
        "parent_id": OWN_TENANT, "pricing_mode": "trial", "update_lock": {"enabled": false, "owner_id": null},
        "production_start_date": "2026-12-31T00:00:00"
    })
}

fn token_json(token: &str, expires_in: u64) -> Value {
    json!({"access_token": token, "token_type": "bearer", "id_token": "", "expires_in": expires_in})
}

/// The body of the platform's errors.
fn error_json(code: u32) -> Value {
    json!({"error": {"code": code, "message": "m", "domain": "d", "details": {}, "context": {}}})
}

/// An error of the platform without a code.
fn refusal(status: u16) -> Vec<Step> {
    answer(status, &json!({"error": {"message": "m"}}))
}

/// A server that answers every call but the token's with these steps.
async fn server_answering(steps: Vec<Step>) -> Server {
    Server::start(move |request, _| (!request.is_token()).then(|| steps.clone())).await
}

/// Lets everything else run until the condition holds. The clock stands still meanwhile.
async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        pause().await;
    }
    panic!("waited in vain for {what}");
}

/// Lets everything else run for a moment of real time, without moving the clock.
async fn pause() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    std::thread::sleep(Duration::from_millis(1));
}

/// Moves the clock by `seconds`, in steps small enough for every timer in between to fire in order.
async fn advance(seconds: u64) {
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        pause().await;
    }
}

/// Runs a call while the clock moves, and says how long it took by that clock.
async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let started = tokio::time::Instant::now();
    let clock = async {
        loop {
            pause().await;
            tokio::time::advance(Duration::from_millis(250)).await;
        }
    };
    tokio::select! {
        biased;
        value = call => (value, started.elapsed()),
        () = clock => unreachable!("the clock never ends"),
    }
}

fn class<T: std::fmt::Debug>(result: Result<T, PlatformError>) -> ErrorClass {
    result.unwrap_err().class()
}
