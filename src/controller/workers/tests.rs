//! Nothing that belongs to a term outlives it.

use std::{sync::Weak, time::Duration};

use jiff::Timestamp;

use super::*;
use crate::{
    api::TenantPricingStatus,
    platform::TenantId,
    pricing::{Limits, NextPoll, Target, TenantRead, TimedRead, budget::Budget},
    testing::fixtures::Scene,
};

/// Workers with a poller, a switch queue with one waiting and one admitted switch, and a queued object.
async fn workers_at_work() -> Arc<Workers> {
    let workers = Workers::new(Context::silent());
    let (connection, key) = (Key::new("team", "connection"), Key::new("team", "one"));
    let id: TenantId = "6d17ad0c-3f41-4a1c-9e0d-52d18d6a1b44".parse().unwrap();
    workers.pollers.request(&connection, &key, Target::Id(id.clone()), QueuePriority::Background);
    let rest = NextPoll {
        connection: connection.clone(),
        target: Some(Target::Id(id)),
        interval: Some(Duration::from_secs(600)),
        reconcile_after: None,
    };
    assert_eq!(workers.pollers.schedule_next(&key, rest), None);
    let budget = Budget { count: 9, window: Duration::from_secs(60) };
    for name in ["one", "two"] {
        let now = Instant::now();
        let read = TimedRead {
            read: TenantRead::NotRead,
            started_at: now,
            received_at: now,
            through: connection.clone(),
            spec: None,
        };
        let switch = DueSwitch { due: Timestamp::UNIX_EPOCH, said: None, read };
        let limits = Limits { budget, requests_per_second: 1 };
        workers.switches.enter(&connection, &Key::new("team", name), switch, limits);
    }
    workers.queue.push(&key, QueuePriority::Interactive, ReconcileRequest::default());
    settle().await;
    assert_eq!(workers.queue.depth(QueuePriority::Switch), 1, "one is admitted, and carries its permit");
    workers
}

/// Lets all tasks run as far as they can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn weak(workers: &Arc<Workers>) -> (Weak<Workers>, Weak<WorkQueue>) {
    (Arc::downgrade(workers), Arc::downgrade(&workers.queue))
}

#[tokio::test(start_paused = true)]
async fn dropping_the_workers_drops_all_they_started() {
    let workers = workers_at_work().await;
    let (weak_workers, weak_queue) = weak(&workers);
    drop(workers);
    assert!(weak_workers.upgrade().is_none(), "nothing refers back to the workers");
    settle().await;
    assert!(weak_queue.upgrade().is_none(), "the tasks of pollers and dispatchers have ended");
}

/// The tasks of a term end with it, although another part, such as an informer, still holds the workers.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_term_ends_its_tasks() {
    let workers = workers_at_work().await;
    let (weak_workers, weak_queue) = weak(&workers);
    assert!(Arc::strong_count(&workers.queue) > 4, "a poller and a dispatcher hold the queue");
    workers.context.stopping.cancel();
    settle().await;
    // The workers themselves, the pollers with their one poller, the dispatchers, and the proofs.
    assert!(Arc::strong_count(&workers.queue) <= 5);
    drop(workers);
    assert!(weak_workers.upgrade().is_none() && weak_queue.upgrade().is_none());
}

/// A request after the end of a term, from a reconcile that is still in progress, starts nothing that stays.
#[tokio::test(start_paused = true)]
async fn a_task_that_starts_after_the_term_ends_at_once() {
    let workers = Workers::new(Context::silent());
    let (weak_workers, weak_queue) = weak(&workers);
    workers.context.stopping.cancel();
    let (connection, key) = (Key::new("team", "connection"), Key::new("team", "one"));
    workers.pollers.request(&connection, &key, Target::Name("One".into()), QueuePriority::Interactive);
    settle().await;
    drop(workers);
    assert!(weak_workers.upgrade().is_none() && weak_queue.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_gone_takes_its_poller_along() {
    let workers = workers_at_work().await;
    let (connection, key) = (Key::new("team", "connection"), Key::new("team", "one"));
    assert!(workers.pollers.expedite(&connection, &key));
    workers.close(&connection);
    assert!(!workers.pollers.expedite(&connection, &key));
    let before = Arc::strong_count(&workers.queue);
    settle().await;
    assert!(Arc::strong_count(&workers.queue) < before, "their tasks have ended");
}

/// Nothing can be written over the foreign status: repeats would ask the API server without end.
#[tokio::test(start_paused = true)]
async fn what_awaits_a_change_is_not_restored() {
    let (context, key) = (Context::silent(), Key::new("team", "acme"));
    let mut object = Scene::new().stored().object;
    let own_statuses = context.reconcile_state.own_statuses();
    own_statuses.record_written(&key, &object.status.clone().unwrap(), &object);
    let before = object.status.replace(TenantPricingStatus::default());
    let shown = context.reconcile_state.shown_status(&key, before.as_ref(), &object, context.clock.now());
    assert!(shown.is_some() && own_statuses.pause(&key) == Some(Duration::ZERO), "{shown:?}");
    let workers = Workers::new(context);
    let slots = Slots::new(1);
    let take = || workers.queue.take_next(&slots, |_| Key::new("team", "connection"));
    for (action, is_restored) in
        [(Action::AwaitChange, false), (Action::Requeue(Duration::from_mins(1)), true)]
    {
        workers.queue.push(&key, QueuePriority::Interactive, ReconcileRequest::default());
        let (Job { key, priority, .. }, slot) = take().await;
        workers.carry_out(&key, priority, action);
        drop(slot);
        let next = tokio::time::timeout(Duration::from_secs(1), take()).await;
        assert_eq!(next.is_ok(), is_restored);
    }
}
