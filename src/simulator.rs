//! A strict, stateful simulator of the platform, with a movable clock and injectable faults.
//!
//! It answers the controller's calls as the platform's contract says, and refuses what the contract refuses. It
//! switches trials automatically when the billing rules say so. It logs every request, so that tests can assert on the
//! log. Where the contract leaves something open, a fault chooses the answer.
//!
//! It shares no code with the controller's platform client. Otherwise a misunderstanding could cancel itself out.
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
mod answer;
pub mod cli;
mod faults;
mod handle;
mod http;
mod operation;
mod shared_state;
mod state;
mod times;

#[cfg(test)]
mod tests;

pub use answer::Code;
pub use faults::{
    action::{ExpiryForm, FaultAction},
    book::InjectedFault,
    fault::{Fault, FaultId},
};
pub use handle::{Simulator, SimulatorOptions};
pub use operation::Operation;
pub use state::{
    billing::trial_end,
    log::{KEPT_REQUESTS, LoggedRequest, Outcome},
    tenant::{PRODUCTION, Pricing, TRIAL, TenantError, TenantKind, TenantRecord, TenantSpec},
    tenant_change::TenantChange,
    tenant_store::TenantState,
    tenants_file::{Customers, TenantsFile},
    tokens::Credentials,
};
pub use times::TimeFormat;
