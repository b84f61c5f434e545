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
