//! A stateful, strict stand-in for the platform, with a clock that can be moved and faults that can be
//! injected.
//!
//! It answers the calls that the controller makes as the platform's contract says, refuses what the
//! contract refuses, switches trials by itself when the billing rules say so, and keeps a log of every
//! request that tests assert against. Where the contract leaves something open, a fault chooses the answer.
//!
//! Nothing here shares code with the controller's own platform client: a misunderstanding in one must not
//! cancel itself out in the other.
//!
//! ```no_run
//! # use tenant_pricing_controller::simulator::{Fault, FaultAction, Operation, Simulator, SimulatorOptions, TenantSpec};
//! # async fn example() -> std::io::Result<()> {
//! let simulator = Simulator::start(SimulatorOptions::default()).await?;
//! let acme = simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
//! simulator.inject(Fault::new(FaultAction::DropAfterEffect).on(Operation::PutPricing).tenant(&acme).once());
//! // … point a controller at `simulator.url()` …
//! assert_eq!(simulator.puts(&acme), 1);
//! # Ok(())
//! # }
//! ```

mod admin;
mod admin_tenants;
mod answer;
mod billing;
pub mod cli;
mod clock;
mod core;
mod exchange;
mod fault_action;
mod fault_book;
mod faults;
mod handle;
mod log;
mod operation;
mod routes;
mod routes_access;
mod routes_pricing;
mod routes_search;
mod routes_tenants;
mod server;
mod tenant_change;
mod tenant_store;
mod tenant_view;
mod tenants;
mod tenants_file;
mod times;
mod tokens;
mod wire;

#[cfg(test)]
mod tests;

pub use answer::Code;
pub use billing::trial_end;
pub use fault_action::{ExpiryForm, FaultAction};
pub use fault_book::InjectedFault;
pub use faults::{Fault, FaultId};
pub use handle::{Simulator, SimulatorOptions};
pub use log::{KEPT_REQUESTS, LoggedRequest, Outcome};
pub use operation::Operation;
pub use tenant_change::TenantChange;
pub use tenant_store::TenantState;
pub use tenants::{PRODUCTION, Pricing, TRIAL, TenantError, TenantKind, TenantRecord, TenantSpec};
pub use tenants_file::{Customers, TenantsFile};
pub use times::TimeFormat;
pub use tokens::Credentials;
