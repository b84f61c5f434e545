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
    /// Reads up to 100 tenants in one request. If it was refused for the sake of one of them, all count as
    /// missing.
    ///
    /// # Errors
    /// What the platform or the way to it said, where that is not about any one of the tenants.
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
