//! What the unit tests of all modules share, and tests of the sources themselves.

#[cfg(test)]
pub(crate) mod adversarial;
#[cfg(test)]
pub(crate) mod all_cases;
#[cfg(test)]
pub(crate) mod api_server;
#[cfg(test)]
mod architecture;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod golden;
#[cfg(test)]
#[cfg(feature = "cli")]
pub(crate) mod schemas;
#[cfg(test)]
pub(crate) mod sources;
#[cfg(test)]
pub(crate) mod states;

#[cfg(all(feature = "cli", feature = "test-support"))]
pub use crate::cli::check::rights::list as rights;
/// The client that the commands of `kubectl-tenantpricing` read the platform with.
///
/// It reads:
///
/// ```
/// use tenant_pricing_controller::testing::PlatformClient;
///
/// async fn call(client: &PlatformClient) {
///     let _ = client.verify().await;
/// }
/// ```
///
/// It leads to no write. With either step towards a switch in place of the read, the same program does not compile:
///
/// ```compile_fail,E0599
/// use tenant_pricing_controller::testing::PlatformClient;
///
/// async fn call(client: &PlatformClient) {
///     let _ = client.ready_to_put().await;
/// }
/// ```
///
/// ```compile_fail,E0599
/// use tenant_pricing_controller::testing::PlatformClient;
///
/// async fn call(client: &PlatformClient) {
///     let _ = client.can_put();
/// }
/// ```
#[cfg(feature = "test-support")]
pub use crate::platform::PlatformClient;
