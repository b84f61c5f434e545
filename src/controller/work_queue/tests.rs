use futures::FutureExt;

use super::*;

#[derive(Debug, Default, PartialEq)]
struct Words(Vec<&'static str>);

impl Merge for Words {
    fn merge(&mut self, newer: Self) {
        self.0.extend(newer.0);
    }

    fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }
}

fn key(name: &str) -> Key {
    Key::new("team", name)
}

fn queue() -> Queue<Words> {
    Queue::default()
}

impl Queue<Words> {
    fn call(&self, name: &str, priority: QueuePriority) {
        self.push(&key(name), priority, Words::default());
    }

    async fn next(&self) -> Job<Words> {
        self.take_next(&Slots::new(1000), |_| key("connection")).await.0
    }

    async fn next_turn(&self) -> Job<Words> {
        self.take_next_switch(&Slots::new(1000), |_| key("connection")).await.0
    }

    /// The next object with its slot, if there is one now. The name of an object begins with that of its connection.
    fn with_slot(&self, slots: &Slots) -> Option<(String, Slot)> {
        let connection = |object: &Key| key(&object.name()[..1]);
        let (job, slot) = self.take_next(slots, connection).now_or_never()?;
        Some((job.key.name().to_owned(), slot))
    }

    /// The name of the next object, if there is one now.
    fn now(&self) -> Option<String> {
        self.next().now_or_never().map(|job| job.key.name().to_owned())
    }
}

#[tokio::test]
async fn interactive_work_comes_before_background_work() {
    let queue = queue();
    for (name, priority) in [
        ("a", QueuePriority::Background),
        ("b", QueuePriority::Interactive),
        ("c", QueuePriority::Background),
        ("d", QueuePriority::Interactive),
    ] {
        queue.call(name, priority);
    }
    assert_eq!((queue.depth(QueuePriority::Background), queue.depth(QueuePriority::Interactive)), (2, 2));
    let order: Vec<_> = std::iter::from_fn(|| queue.now()).collect();
    assert_eq!(order, ["b", "d", "a", "c"]);
    assert_eq!((queue.depth(QueuePriority::Background), queue.depth(QueuePriority::Interactive)), (0, 0));
}

#[tokio::test]
async fn an_object_waits_once_in_its_highest_priority() {
    let queue = queue();
    queue.call("a", QueuePriority::Background);
    queue.call("b", QueuePriority::Background);
    queue.call("b", QueuePriority::Interactive);
    queue.call("b", QueuePriority::Background);
    assert_eq!(queue.depth(QueuePriority::Background) + queue.depth(QueuePriority::Interactive), 2);
    assert_eq!(std::iter::from_fn(|| queue.now()).collect::<Vec<_>>(), ["b", "a"]);
}

#[tokio::test]
async fn an_object_is_never_reconciled_twice_at_a_time() {
    let queue = queue();
    queue.call("a", QueuePriority::Background);
    assert_eq!(queue.now().as_deref(), Some("a"));
    queue.call("a", QueuePriority::Interactive);
    assert_eq!(queue.now(), None, "it is being worked on");
    queue.push(&key("a"), QueuePriority::Switch, Words::default());
    assert!(queue.next_turn().now_or_never().is_none(), "it is being worked on");
    queue.done(&key("a"), None);
    assert!(queue.next_turn().now_or_never().is_some(), "and is once more, for what was called meanwhile");
    queue.done(&key("a"), None);
    assert_eq!(queue.now(), None);
    assert!(queue.inner.lock().entries.is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn requests_are_merged_and_delivered_once() {
    let queue = queue();
    queue.push(&key("a"), QueuePriority::Background, Words(vec!["one"]));
    queue.push(&key("a"), QueuePriority::Interactive, Words(vec!["two"]));
    let job = queue.next().await;
    assert_eq!(job.request, Words(vec!["one", "two"]));
    queue.push(&key("a"), QueuePriority::Interactive, Words(vec!["three"]));
    queue.done(&key("a"), None);
    assert_eq!(queue.next().await.request, Words(vec!["three"]));
}

#[tokio::test(start_paused = true)]
async fn a_timer_adds_its_object_and_a_later_timer_replaces_it() {
    let queue = queue();
    queue.push_after(&key("a"), Duration::from_secs(5));
    queue.push_after(&key("a"), Duration::from_secs(60));
    queue.push_after(&key("b"), Duration::from_secs(30));
    let before = Instant::now();
    assert_eq!(queue.next().await.key, key("b"));
    assert_eq!(before.elapsed().as_secs(), 30);
    queue.done(&key("b"), Some(Duration::from_secs(10)));
    assert_eq!(queue.next().await.key, key("b"));
    queue.done(&key("b"), None);
    assert_eq!(queue.next().await.key, key("a"));
    assert_eq!(before.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn an_added_object_does_not_wait_for_its_timer() {
    let queue = std::sync::Arc::new(queue());
    queue.push_after(&key("late"), Duration::from_secs(3600));
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await.key }
    });
    tokio::task::yield_now().await;
    queue.call("now", QueuePriority::Background);
    assert_eq!(waiting.await.unwrap(), key("now"));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_is_not_queued_again() {
    let queue = queue();
    queue.call("a", QueuePriority::Interactive);
    queue.push_after(&key("a"), Duration::from_secs(1));
    queue.forget(&key("a"));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(queue.now(), None);
    assert_eq!(queue.depth(QueuePriority::Interactive), 0);
    assert!(queue.inner.lock().entries.is_empty());
    // Deleted during its reconcile: the reconcile runs to its end, and does not run again.
    queue.call("b", QueuePriority::Interactive);
    queue.call("b", QueuePriority::Interactive);
    assert_eq!(queue.now().as_deref(), Some("b"));
    queue.call("b", QueuePriority::Interactive);
    queue.forget(&key("b"));
    queue.done(&key("b"), None);
    assert_eq!(queue.now(), None);
}

#[tokio::test]
async fn an_object_without_a_slot_does_not_block_others() {
    let (queue, slots) = (queue(), Slots::new(4));
    for name in ["a1", "a2", "a3", "a4", "b1", "b2"] {
        queue.call(name, QueuePriority::Background);
    }
    let mut held: HashMap<_, _> = std::iter::from_fn(|| queue.with_slot(&slots)).collect();
    let mut names: Vec<_> = held.keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["a1", "a2", "b1"], "b goes before the third of a");
    assert_eq!(queue.depth(QueuePriority::Background), 3);
    assert_eq!(
        (
            queue.backlog(QueuePriority::Background, &key("a")),
            queue.backlog(QueuePriority::Background, &key("b"))
        ),
        (2, 1)
    );
    assert_eq!(
        queue.backlog(QueuePriority::Background, &key("c")),
        0,
        "they are not in the way of a third connection"
    );
    // An object that is added meanwhile waits behind those already in the queue.
    queue.call("a5", QueuePriority::Background);
    assert!(queue.with_slot(&slots).is_none());
    held.remove("a1");
    held.remove("b1");
    let next: Vec<_> = std::iter::from_fn(|| queue.with_slot(&slots)).collect();
    assert_eq!(next.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a3", "b2"]);
}

#[tokio::test]
async fn a_slot_that_is_given_back_notifies_those_that_wait_for_it() {
    let (queue, slots) = (std::sync::Arc::new(queue()), Slots::new(2));
    queue.call("a1", QueuePriority::Interactive);
    queue.call("a2", QueuePriority::Interactive);
    let (first, slot) = queue.with_slot(&slots).unwrap();
    assert_eq!(first, "a1");
    let waiting = tokio::spawn({
        let (queue, slots) = (queue.clone(), slots.clone());
        async move { queue.take_next(&slots, |_| key("a")).await.0.key }
    });
    tokio::task::yield_now().await;
    drop(slot);
    assert_eq!(waiting.await.unwrap(), key("a2"));
}

#[tokio::test]
async fn a_set_aside_object_changes_its_priority_as_any_other() {
    let (queue, slots) = (queue(), Slots::new(2));
    for name in ["a1", "a2", "a3", "a4"] {
        queue.call(name, QueuePriority::Background);
    }
    let (_, slot) = queue.with_slot(&slots).unwrap();
    assert!(queue.with_slot(&slots).is_none(), "all others are set aside");
    queue.call("a3", QueuePriority::Interactive);
    queue.forget(&key("a2"));
    assert_eq!((queue.depth(QueuePriority::Background), queue.depth(QueuePriority::Interactive)), (1, 1));
    drop(slot);
    let (next, slot) = queue.with_slot(&slots).unwrap();
    assert_eq!(next, "a3", "an edit goes first");
    drop(slot);
    let (next, slot) = queue.with_slot(&slots).unwrap();
    assert_eq!(next, "a4", "nothing calls for the one that is gone");
    drop(slot);
    assert!(queue.with_slot(&slots).is_none());
    let inner = queue.inner.lock();
    assert!(inner.aside.iter().all(HashMap::is_empty) && inner.waiting_aside == [0; 3]);
}

#[tokio::test]
async fn a_set_aside_object_moves_with_its_connection() {
    for priority in [QueuePriority::Background, QueuePriority::Interactive] {
        let (queue, slots) = (queue(), Slots::new(4));
        for name in ["a1", "a2", "a3", "a4", "a5"] {
            queue.call(name, priority);
        }
        let take = |edited: &'static [&'static str]| {
            let connection = move |object: &Key| key(if edited.contains(&object.name()) { "b" } else { "a" });
            let (job, slot) = queue.take_next(&slots, connection).now_or_never()?;
            Some((job.key.name().to_owned(), slot))
        };
        let held: Vec<_> = std::iter::from_fn(|| take(&[])).collect();
        assert_eq!(held.len(), 2, "all others are set aside");
        queue.call("a4", QueuePriority::Background);
        assert!(take(&[]).is_none(), "a call alone changes nothing");
        queue.call("a4", priority);
        let (next, slot) = take(&["a4"]).unwrap();
        assert_eq!(next, "a4", "its connection is another one now");
        assert!(take(&["a4"]).is_none());
        assert_eq!((queue.backlog(priority, &key("a")), queue.backlog(priority, &key("b"))), (2, 0));
        drop(held);
        let rest: Vec<_> = std::iter::from_fn(|| take(&["a4"])).collect();
        let names: Vec<_> = rest.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a3", "a5"], "the others keep their places");
        drop((slot, rest));
        let inner = queue.inner.lock();
        assert!(inner.aside.iter().all(HashMap::is_empty) && inner.waiting_aside == [0; 3]);
        assert!(inner.called_aside.iter().all(Vec::is_empty));
    }
}
