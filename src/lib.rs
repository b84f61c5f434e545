//! Kubernetes controller that switches tenants of Acronis Cyber Protect Cloud from trial to production.
//!
//! A `TenantPricing` says which tenant should be in production, and from when. A `PlatformConnection` says with which
//! credentials to reach the platform. The controller reads the tenant, decides, and sends one `PUT` when the switch is
//! due. The platform then bills the tenant, and there is no way back. So every rule of this crate serves one promise: a
//! tenant is switched only if an object asks for it, and no request is sent twice.
//!
//! This library exists for the three binaries, the tests and the benchmarks. It has no stable API.
//!
//! # The floors
//!
//! A module uses only modules on the floors below its own. The test `architecture` checks that, and prints the graph:
//! `cargo test --all-features --lib architecture -- --nocapture`.
//!
//! | floor | module | what it does |
//! |---|---|---|
//! | 8 | [`cli`] | flags, settings and start of the controller; the commands of `kubectl-tenantpricing` |
//! | 7 | `controller` | informers, work queue, pollers, queue of due switches, leadership, shutdown |
//! | 6 | `pricing` | the reconcile of one `TenantPricing`: observe, decide, switch, status |
//! | 5 | `connections` | one client for each `PlatformConnection`, who may use it, its status |
//! | 4 | `telemetry` | log, metrics, probes |
//! | 3 | `index` | claims, open attempts and budgets, from all stored objects |
//! | 2 | `platform`, `cluster` | the platform's HTTP API; caches, status writes and the Lease in Kubernetes |
//! | 1 | [`api`] | the two kinds, the journal, conditions, admission rules in CEL |
//! | 0 | [`clock`], `calendar`, `backoff`, `string_enum`, [`failpoints`] | leaves that every module may use |
//!
//! Beside the floors stand three modules. `simulator` imitates the platform, and shares no code with `platform`. The
//! tests use `testing` (fixtures, golden files) and `model` (an exhaustive model of the switch).
//!
//! # The life of one object
//!
//! 1. **Event.** An informer in `controller` receives a watch event. It updates the cache and the index, and enqueues
//!    the object.
//! 2. **First reconcile.** A worker calls `pricing`. Nothing is known about the tenant yet, so the reconcile returns an
//!    action: read the tenant. It never waits for the platform.
//! 3. **Read.** The poller of the connection reads up to a hundred tenants in one request, through the one rate limit
//!    of the connection in `platform`. Then it enqueues the object again.
//! 4. **Second reconcile.** The rules in `pricing::decide` see all facts, and decide that the switch is due. The action
//!    is: wait for admission.
//! 5. **Admission.** The queue of due switches admits the object when rate limit and switch budget have room.
//! 6. **Third reconcile.** It reads the stored object and the tenant once more, decides again, and stores the attempt
//!    in the status as a journal entry. Only then it sends the `PUT`, once, and reads the tenant back.
//! 7. **Status.** The outcome, its conditions and its event are written. The poller reads the tenant from then on, and
//!    enqueues the object when something has changed.
//!
//! `docs/architecture.md` has the same path as a diagram. `docs/safety.md` says what happens when a step fails.
//!
//! # Where a change belongs
//!
//! | change | place |
//! |---|---|
//! | a field of the spec, an admission rule | [`api`] |
//! | when a tenant is switched, stalled or left alone | a rule in `pricing::decide` |
//! | the text of a condition or an event | the rule that decides it, `pricing::status` |
//! | the steps of the switch | `pricing::switch` and `model` |
//! | how an answer of the platform is classified | `platform::ErrorClass` |
//! | timeouts, pauses, rate limits | `platform::net`, `platform::flow` |
//! | what an event enqueues, how often tenants are read | `controller` |
//! | who leads, and until when | `cluster::lease` |
//! | who may use a connection | `connections::namespaces` |
//! | a metric, a log format | `telemetry` |
//! | a write or request of a new kind | [`failpoints::SideEffect`] first, then the module that sends it |
//!
//! # Conventions
//!
//! - A decision is pure: it takes facts, and uses no client, no clock and no tokio. A pure file says so in its header,
//!   and the test `architecture` checks it.
//! - A write whose answer is lost is never repeated. It is resolved by a read.
//! - A label of a metric holds only words of this program, never a name or a text from outside.
//! - `unwrap`, `expect` and `panic!` are denied outside tests, and unsafe code everywhere.

pub mod api;
pub(crate) mod backoff;
pub(crate) mod calendar;
pub mod cli;
pub mod clock;
pub(crate) mod cluster;
pub(crate) mod connections;
pub(crate) mod controller;
pub mod failpoints;
pub(crate) mod index;
#[cfg(test)]
mod model;
pub(crate) mod platform;
pub(crate) mod pricing;
#[cfg(feature = "simulator")]
pub mod simulator;
mod string_enum;
pub(crate) mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;

pub use platform::install_tls_provider;
