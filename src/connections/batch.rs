//! Looks at tenants in batches: looks asked for at about the same time become one request.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt, stream};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::platform::{Answer, PlatformClient, PlatformError, Tenant, TenantId};

/// The platform takes so many ids in one request.
const LARGEST_BATCH: usize = 100;

/// How long the first look of a batch waits for others.
const GATHERING: Duration = Duration::from_millis(10);

/// So many tenants of a batch are looked at alone at the same time.
const ALONE: usize = 4;

type Looked = Result<Answer<Tenant>, PlatformError>;
type Request = (TenantId, oneshot::Sender<Looked>);

/// Takes looks and answers them in batches. Cheap to clone; its task ends with the last clone.
#[derive(Clone, Debug)]
pub struct Batcher {
    requests: mpsc::UnboundedSender<Request>,
    client: PlatformClient,
}

impl Batcher {
    /// Starts the task that sends the batches of one connection.
    #[must_use]
    pub fn start(client: PlatformClient) -> Self {
        let (requests, receiver) = mpsc::unbounded_channel();
        tokio::spawn(gather(client.clone(), receiver));
        Self { requests, client }
    }

    /// Looks at one tenant.
    ///
    /// # Errors
    /// What the platform or the way to it said. A tenant that is missing from a batch's answer is looked at
    /// alone, because missing does not mean deleted; and so are all of a batch that was refused for the sake
    /// of one of them.
    pub async fn look(&self, id: &TenantId) -> Looked {
        let (answer, answered) = oneshot::channel();
        if self.requests.send((id.clone(), answer)).is_err() {
            return self.client.tenant(id).await;
        }
        match answered.await {
            Ok(looked) => looked,
            Err(_) => self.client.tenant(id).await,
        }
    }
}

async fn gather(client: PlatformClient, mut requests: mpsc::UnboundedReceiver<Request>) {
    while let Some(first) = requests.recv().await {
        let mut batch = vec![first];
        let until = Instant::now() + GATHERING;
        while batch.len() < LARGEST_BATCH {
            match timeout_at(until, requests.recv()).await {
                Ok(Some(request)) => batch.push(request),
                Ok(None) | Err(_) => break,
            }
        }
        // In a task of its own, so that a slow answer does not keep the next batch waiting.
        tokio::spawn(answer(client.clone(), batch));
    }
}

async fn answer(client: PlatformClient, batch: Vec<Request>) {
    let mut ids: Vec<TenantId> = batch.iter().map(|(id, _)| id.clone()).collect();
    ids.sort();
    ids.dedup();
    match client.tenants(&ids).await {
        Ok(Answer { value, date }) => {
            let found: HashMap<TenantId, Tenant> =
                value.into_iter().map(|tenant| (tenant.id.clone(), tenant)).collect();
            let mut missing = Vec::new();
            for (id, waiting) in batch {
                match found.get(&id) {
                    Some(tenant) => drop(waiting.send(Ok(Answer { value: tenant.clone(), date }))),
                    None => missing.push((id, waiting)),
                }
            }
            look_alone(&client, missing).await;
        }
        Err(error) if error.class().concerns_connection() || ids.len() == 1 => {
            for (_, waiting) in batch {
                drop(waiting.send(Err(error.clone())));
            }
        }
        Err(_) => look_alone(&client, batch).await,
    }
}

/// Looks at each tenant in a request of its own, a few at a time.
async fn look_alone(client: &PlatformClient, batch: Vec<Request>) {
    let looks = stream::iter(batch).for_each_concurrent(ALONE, |(id, waiting)| async move {
        drop(waiting.send(client.tenant(&id).await));
    });
    looks.await;
}

#[cfg(test)]
#[cfg(feature = "simulator")]
mod tests;
