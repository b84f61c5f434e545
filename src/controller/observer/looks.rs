//! One look, from the request to whom it concerns.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use rand::RngExt;
use tokio::time::Instant;

use super::{ALONE, Observer};
use crate::controller::{agenda::Wish, queue::Lane};
use crate::{
    cluster::Key,
    connections::Handle,
    platform::{Lane as PlatformLane, PlatformError, TenantId},
    pricing::{self, Brought, Glance, Look, Taken, Target},
};

/// Periodic looks pause for so long after the first failure of the way; it doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// And so long at most, since the first look that works ends the pause of all.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Observer {
    pub(super) async fn look_at(
        self: &Arc<Self>,
        ids: Vec<(Key, TenantId)>,
        number: u32,
        handle: Option<Handle>,
        lane: PlatformLane,
    ) {
        let begun = Instant::now();
        let Some(handle) = handle else {
            for (key, _) in &ids {
                self.call(key, number, false);
            }
            return;
        };
        let word = if lane == PlatformLane::Urgent { "urgent" } else { "bulk" };
        self.shared.context.metrics.looked(word, ids.len() as u64);
        let asked = ids.iter().map(|(_, id)| id.clone()).collect();
        match handle.look_together(asked, lane).await {
            Ok(together) => {
                self.went_well();
                let mut alone = Vec::new();
                for (key, id) in ids {
                    match together.found.get(&id) {
                        Some(answer) => {
                            let look = pricing::seen(&handle, answer.clone(), None).await;
                            self.deliver(&key, (number, false), look, begun).await;
                        }
                        None => alone.push((key, id)),
                    }
                }
                if !alone.is_empty() {
                    // Apart: one tenant that takes its time must not keep the next batch waiting.
                    tokio::spawn(self.clone().look_alone(alone, number, handle));
                }
            }
            Err(error) => self.failed(ids, number, error, begun).await,
        }
    }

    async fn look_alone(self: Arc<Self>, ids: Vec<(Key, TenantId)>, number: u32, handle: Handle) {
        let looks = stream::iter(ids).for_each_concurrent(ALONE, |(key, id)| {
            let (observer, handle) = (&self, &handle);
            async move {
                let Ok(_turn) = observer.alone.acquire().await else { return };
                // There may be a hundred of them: whoever stands by asks the platform nothing.
                if observer.closed.is_cancelled() {
                    return;
                }
                let begun = Instant::now();
                let look = match handle.noting(handle.client.in_lane(PlatformLane::Bulk).tenant(&id).await) {
                    Ok(answer) => pricing::seen(handle, answer, None).await,
                    Err(error) => Look::Failed(error),
                };
                observer.deliver(&key, (number, false), look, begun).await;
            }
        });
        looks.await;
    }

    /// Looks at what a name leads to.
    pub(super) async fn look_for(
        self: &Arc<Self>,
        key: Key,
        number: u32,
        name: String,
        handle: Option<Handle>,
    ) {
        let begun = Instant::now();
        let Some(handle) = handle else { return self.call(&key, number, true) };
        let look = match pricing::found(handle.noting(handle.find(&name).await)) {
            Err(look) => look,
            Ok(id) => {
                // The tenant itself is looked at together with others.
                let asked = self.lock().agenda.looked(&key, number, true);
                if let Some((_, wish)) = asked {
                    let wish = wish.unwrap_or(Wish::Wanted);
                    self.want(&key, Target::Id(id), wish, handle);
                }
                return;
            }
        };
        self.deliver(&key, (number, true), look, begun).await;
    }

    fn went_well(&self) {
        let mut state = self.lock();
        state.failures = 0;
        state.paused_until = None;
    }

    /// The way failed. Objects that need the platform are told; for the others there is nothing to say.
    async fn failed(&self, ids: Vec<(Key, TenantId)>, number: u32, error: PlatformError, begun: Instant) {
        if !error.class().concerns_connection() {
            for (key, _) in &ids {
                self.deliver(key, (number, false), Look::Failed(error.clone()), begun).await;
            }
            return;
        }
        let until = {
            let mut state = self.lock();
            state.failures = state.failures.saturating_add(1);
            let ceiling = FIRST_PAUSE.saturating_mul(1 << state.failures.min(6)).min(LONGEST_PAUSE);
            let pause = rand::rng().random_range(FIRST_PAUSE / 2..=ceiling);
            let until = Instant::now() + pause.max(error.retry_after().unwrap_or_default());
            state.paused_until = Some(until);
            until
        };
        for (key, _) in &ids {
            let asked = self.lock().agenda.looked(key, number, false);
            match asked {
                Some((_, Some(wish))) => self.hand_over(key, wish, Look::Failed(error.clone()), begun),
                Some((target, None)) => self.lock().agenda.rest_until(key, target, until),
                None => {}
            }
        }
    }

    /// Hands a look to whom it concerns.
    async fn deliver(&self, key: &Key, (number, by_name): (u32, bool), look: Look, begun: Instant) {
        let asked = self.lock().agenda.looked(key, number, by_name);
        match asked {
            Some((_, Some(wish))) => self.hand_over(key, wish, look, begun),
            Some((_, None)) => match pricing::glance(key, &self.connection, look, &self.shared.context).await
            {
                Glance::Rest(rest) => {
                    if let Some(pause) = self.shared.settle(key, rest) {
                        self.shared.queue.push_after(key, pause);
                    }
                }
                Glance::Wake(look) => self.hand_over(key, Wish::Wanted, look, begun),
                Glance::Gone => self.forget(key),
            },
            None => {}
        }
    }

    fn hand_over(&self, key: &Key, wish: Wish, look: Look, begun: Instant) {
        let brought = Brought {
            look: Some(Taken { look, begun, came: Instant::now(), through: self.connection.clone() }),
            ..Brought::default()
        };
        self.shared.queue.push(key, lane(wish), brought);
    }

    /// Has an object worked on without a look.
    fn call(&self, key: &Key, number: u32, by_name: bool) {
        let asked = self.lock().agenda.looked(key, number, by_name);
        if let Some((_, wish)) = asked {
            self.shared.queue.push(key, lane(wish.unwrap_or(Wish::Wanted)), Brought::default());
        }
    }
}

fn lane(wish: Wish) -> Lane {
    match wish {
        Wish::Urgent => Lane::Urgent,
        Wish::Wanted => Lane::Bulk,
    }
}
