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
    fn call(&self, name: &str, lane: Lane) {
        self.push(&key(name), lane, Words::default());
    }

    /// The name of the next one, if there is one now.
    fn now(&self) -> Option<String> {
        self.next().now_or_never().map(|job| job.key.name().to_owned())
    }
}

#[tokio::test]
async fn what_somebody_waits_for_comes_before_what_nobody_waits_for() {
    let queue = queue();
    for (name, lane) in [("a", Lane::Bulk), ("b", Lane::Urgent), ("c", Lane::Bulk), ("d", Lane::Urgent)] {
        queue.call(name, lane);
    }
    assert_eq!((queue.depth(Lane::Bulk), queue.depth(Lane::Urgent)), (2, 2));
    let order: Vec<_> = std::iter::from_fn(|| queue.now()).collect();
    assert_eq!(order, ["b", "d", "a", "c"]);
    assert_eq!((queue.depth(Lane::Bulk), queue.depth(Lane::Urgent)), (0, 0));
}

#[tokio::test]
async fn an_object_waits_once_and_in_the_fastest_lane_it_was_called_by() {
    let queue = queue();
    queue.call("a", Lane::Bulk);
    queue.call("b", Lane::Bulk);
    queue.call("b", Lane::Urgent);
    queue.call("b", Lane::Bulk);
    assert_eq!(queue.depth(Lane::Bulk) + queue.depth(Lane::Urgent), 2);
    assert_eq!(std::iter::from_fn(|| queue.now()).collect::<Vec<_>>(), ["b", "a"]);
}

#[tokio::test]
async fn an_object_is_never_worked_on_twice_at_a_time() {
    let queue = queue();
    queue.call("a", Lane::Bulk);
    assert_eq!(queue.now().as_deref(), Some("a"));
    queue.call("a", Lane::Urgent);
    assert_eq!(queue.now(), None, "it is being worked on");
    queue.push(&key("a"), Lane::Turn, Words::default());
    assert!(queue.next_turn().now_or_never().is_none(), "it is being worked on");
    queue.done(&key("a"), None);
    assert!(queue.next_turn().now_or_never().is_some(), "and is once more, for what was called meanwhile");
    queue.done(&key("a"), None);
    assert_eq!(queue.now(), None);
    assert!(queue.lock().entries.is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn what_is_carried_along_comes_together_and_once() {
    let queue = queue();
    queue.push(&key("a"), Lane::Bulk, Words(vec!["one"]));
    queue.push(&key("a"), Lane::Urgent, Words(vec!["two"]));
    let job = queue.next().await;
    assert_eq!(job.brought, Words(vec!["one", "two"]));
    queue.push(&key("a"), Lane::Urgent, Words(vec!["three"]));
    queue.done(&key("a"), None);
    assert_eq!(queue.next().await.brought, Words(vec!["three"]));
}

#[tokio::test(start_paused = true)]
async fn a_timer_calls_when_its_time_has_come_and_the_last_one_set_counts() {
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
async fn what_is_called_for_does_not_wait_for_a_timer() {
    let queue = std::sync::Arc::new(queue());
    queue.push_after(&key("late"), Duration::from_secs(3600));
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await.key }
    });
    tokio::task::yield_now().await;
    queue.call("now", Lane::Bulk);
    assert_eq!(waiting.await.unwrap(), key("now"));
}

#[tokio::test(start_paused = true)]
async fn nothing_calls_for_an_object_that_is_gone() {
    let queue = queue();
    queue.call("a", Lane::Urgent);
    queue.push_after(&key("a"), Duration::from_secs(1));
    queue.forget(&key("a"));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(queue.now(), None);
    assert_eq!(queue.depth(Lane::Urgent), 0);
    assert!(queue.lock().entries.is_empty());
    // Gone while it is worked on: what it still does is in order, and it is not worked on again.
    queue.call("b", Lane::Urgent);
    queue.call("b", Lane::Urgent);
    assert_eq!(queue.now().as_deref(), Some("b"));
    queue.call("b", Lane::Urgent);
    queue.forget(&key("b"));
    queue.done(&key("b"), None);
    assert_eq!(queue.now(), None);
}
