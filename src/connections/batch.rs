//! Reads several tenants in one request.

use std::collections::HashMap;

use crate::{
    connections::ConnectionHandle,
    platform::{Answer, PlatformError, Priority, Tenant, TenantId},
};

/// What one request for several tenants showed.
#[derive(Debug)]
pub struct BatchRead {
    /// The tenants that were in the answer.
    pub found: HashMap<TenantId, Answer<Tenant>>,
    /// Those that were not. Missing does not mean deleted: each is to be read singly.
    pub missing: Vec<TenantId>,
}

impl ConnectionHandle {
    /// Reads up to 100 tenants in one request. Returns those in the answer.
    ///
    /// A tenant that is missing need not be deleted, so read it singly. If the platform refused the request because of
    /// one tenant, all are missing.
    ///
    /// # Errors
    /// The error of the platform or the network, unless it concerns a single tenant among several.
    pub async fn read_batch(
        &self,
        mut ids: Vec<TenantId>,
        priority: Priority,
    ) -> Result<BatchRead, PlatformError> {
        ids.sort();
        ids.dedup();
        match self.track(self.client.with_priority(priority).tenants(&ids).await) {
            Ok(Answer { value, date }) => {
                let found: HashMap<_, _> = value
                    .into_iter()
                    .map(|tenant| (tenant.id.clone(), Answer { value: tenant, date }))
                    .collect();
                ids.retain(|id| !found.contains_key(id));
                Ok(BatchRead { found, missing: ids })
            }
            Err(error) if error.class().concerns_connection() || ids.len() == 1 => Err(error),
            Err(_) => Ok(BatchRead { found: HashMap::new(), missing: ids }),
        }
    }
}
