//! Reads several tenants in one request.

use std::collections::HashMap;

use crate::{
    connections::ConnectionHandle,
    platform::{Answer, PlatformError, Priority, Tenant, TenantId},
};

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
    ) -> Result<HashMap<TenantId, Answer<Tenant>>, PlatformError> {
        ids.sort();
        ids.dedup();
        match self.track(self.client.with_priority(priority).tenants(&ids).await) {
            Ok(Answer { value, date }) => Ok(value
                .into_iter()
                .map(|tenant| (tenant.id.clone(), Answer { value: tenant, date }))
                .collect()),
            Err(error) if error.class().concerns_connection() || ids.len() == 1 => Err(error),
            Err(_) => Ok(HashMap::new()),
        }
    }
}
