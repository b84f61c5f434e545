//! Everything goes wrong at once: replicas, servers, the platform, the network, the clocks and the users. A seed
//! decides the order. Whatever happens, no tenant is switched twice or unasked. In the end everything is where it
//! belongs.
//!
//! ```sh
//! make chaos                       # some minutes, with a new seed that it prints
//! make chaos SEED=7 MINUTES=30     # that plan again, over half an hour
//! SEED=7 cargo test --all-features --test integration chaos::in_short   # the short one of every `make test`
//! ```
//!
//! A seed and a length always make the same plan. What happens also depends on races. So a run that fails keeps its
//! plan, its history, every request and every stored version in a folder that it names.

mod action;
mod driver;
mod environment;
mod faults;
mod history;
mod oracle;
mod plan;
mod replicas;
mod report;
mod requests;
mod store;
mod traffic;
mod users;
mod verdict;

use std::time::Duration;

use self::plan::{Plan, Shape};

/// The plan that is asked for by `SEED`.
fn seed() -> Option<u64> {
    let text = std::env::var("SEED").ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("SEED={text} is no number")))
}

/// The plan of the short run: what fails today fails tomorrow.
const SHORT_SEED: u64 = 3;

fn minutes() -> u64 {
    std::env::var("MINUTES")
        .ok()
        .map_or(5, |text| text.parse().unwrap_or_else(|_| panic!("MINUTES={text} is no number of minutes")))
}

/// How it goes in every `make test`.
const SHORT: Shape = Shape {
    lasts: Duration::from_secs(40),
    // Used only until enough has happened, which takes long on a loaded machine.
    extra: Duration::from_secs(200),
    replicas: 3,
    objects: 40,
    disruptions: Duration::from_secs(5),
    servers: Duration::from_secs(14),
    secrets: Duration::from_secs(28),
};

/// Nothing is switched twice or without a request.
#[tokio::test(flavor = "multi_thread")]
async fn in_short_every_invariant_holds_and_the_fleet_converges() {
    verdict::run(Plan::new(seed().unwrap_or(SHORT_SEED), SHORT), traffic::Least::SHORT).await;
}

/// Nothing is switched twice or without a request.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn for_long_every_invariant_holds_and_the_fleet_converges() {
    let lasts = Duration::from_secs(60 * minutes());
    let shape = Shape {
        lasts,
        extra: Duration::ZERO,
        objects: 80,
        disruptions: Duration::from_secs(9),
        servers: Duration::from_secs(40),
        secrets: Duration::from_secs(60),
        ..SHORT
    };
    let seed = seed().unwrap_or_else(|| rand::random_range(0..1_000_000));
    // In minutes not every fault of every call gets its turn.
    let least = if minutes() < 20 { traffic::Least::SOME_MINUTES } else { traffic::Least::LONG };
    verdict::run(Plan::new(seed, shape), least).await;
}

#[test]
fn a_seed_always_makes_the_same_plan() {
    assert_eq!(Plan::new(7, SHORT).to_string(), Plan::new(7, SHORT).to_string());
    assert_ne!(Plan::new(7, SHORT).to_string(), Plan::new(8, SHORT).to_string());
}
