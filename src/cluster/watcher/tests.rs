use std::{collections::VecDeque, sync::Arc};

use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{
    Status, TypeMeta,
    watch::{Bookmark, BookmarkMeta},
};
use parking_lot::Mutex;

use super::*;

/// How a scripted watch ends.
#[derive(Clone, Copy)]
enum Ending {
    /// The API server closes the watch at its timeout.
    InTime,
    /// The connection breaks at once.
    Broken,
    /// The watch stays open and delivers nothing more.
    Deaf,
}

/// What a scripted API server answers to one request.
enum Answer {
    Events(Vec<WatchEvent<ConfigMap>>, Ending),
    Page(Vec<ConfigMap>, Option<&'static str>, &'static str),
    Refusal(u16),
    Silence,
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Self::default();
        script.answers.lock().extend(answers);
        script
    }

    async fn answer(&self, request: String) -> Answer {
        self.asked.lock().push(request);
        let answer = self.answers.lock().pop_front();
        match answer {
            Some(Answer::Silence) | None => std::future::pending().await,
            Some(answer) => answer,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

fn refused(code: u16) -> kube::Error {
    kube::Error::Api(Status::failure("no", "Reason").with_code(code).boxed())
}

impl Source for Script {
    type Object = ConfigMap;

    async fn watch(
        &self,
        start: Start<'_>,
        seconds: u32,
    ) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<ConfigMap>>>> {
        let request = match start {
            Start::WithList => "list".to_owned(),
            Start::After(version) => format!("after {version}"),
        };
        match self.answer(request).await {
            Answer::Events(events, ending) => {
                let end = async move {
                    match ending {
                        Ending::InTime => sleep(Duration::from_secs(seconds.into())).await,
                        Ending::Broken => {}
                        Ending::Deaf => std::future::pending().await,
                    }
                };
                let end = end.into_stream().filter_map(|()| async { None });
                Ok(stream::iter(events.into_iter().map(Ok)).chain(end).boxed())
            }
            Answer::Refusal(code) => Err(refused(code)),
            Answer::Page(..) | Answer::Silence => panic!("a page is no watch"),
        }
    }

    async fn page(&self, token: Option<&str>) -> kube::Result<Page<ConfigMap>> {
        match self.answer(format!("page {}", token.unwrap_or("one"))).await {
            Answer::Page(objects, next, version) => {
                Ok(Page { objects, next: next.map(str::to_owned), version: Some(version.to_owned()) })
            }
            Answer::Refusal(code) => Err(refused(code)),
            Answer::Events(..) | Answer::Silence => panic!("a watch is no page"),
        }
    }
}

fn object(name: &str, version: &str) -> ConfigMap {
    let mut object = ConfigMap::default();
    object.metadata.name = Some(name.into());
    object.metadata.resource_version = Some(version.into());
    object
}

fn added(name: &str, version: &str) -> WatchEvent<ConfigMap> {
    WatchEvent::Added(object(name, version))
}

fn bookmark(version: &str) -> WatchEvent<ConfigMap> {
    let metadata = BookmarkMeta { resource_version: version.into(), annotations: [].into() };
    WatchEvent::Bookmark(Bookmark { types: TypeMeta::default(), metadata })
}

fn end_of_list(version: &str) -> WatchEvent<ConfigMap> {
    let annotations = [(END_OF_LIST.to_owned(), "true".to_owned())].into();
    let metadata = BookmarkMeta { resource_version: version.into(), annotations };
    WatchEvent::Bookmark(Bookmark { types: TypeMeta::default(), metadata })
}

/// A list of one object at version 10.
fn list() -> Answer {
    Answer::Events(vec![added("a", "7"), end_of_list("10")], Ending::Deaf)
}

/// A watch that delivers one object at version 11, and then ends like this.
fn watch(ending: Ending) -> Answer {
    Answer::Events(vec![added("b", "11")], ending)
}

/// The events of the watch, up to this number.
async fn said(script: &Script, events: usize) -> Vec<String> {
    let watcher = Watcher::new(script.clone()).events();
    let said = watcher.take(events).map(|event| match event {
        Ok(Event::Init) => "begin".to_owned(),
        Ok(Event::InitApply(object)) => format!("list {}", object.name_any()),
        Ok(Event::InitDone) => "end".to_owned(),
        Ok(Event::Apply(object)) => format!("apply {}", object.name_any()),
        Ok(Event::Delete(object)) => format!("delete {}", object.name_any()),
        Err(_) => "error".to_owned(),
    });
    said.collect().await
}

const LISTED: [&str; 3] = ["begin", "list a", "end"];

#[tokio::test(start_paused = true)]
async fn a_list_streams_and_the_watch_goes_on_from_its_end() {
    let script =
        Script::of([list(), watch(Ending::InTime), Answer::Events(vec![added("c", "12")], Ending::Deaf)]);
    let said = said(&script, 5).await;
    assert_eq!(said, [&LISTED[..], &["apply b", "apply c"]].concat());
    assert_eq!(script.asked(), ["list", "after 10", "after 11"], "a watch that ended in time is no break");
}

#[tokio::test(start_paused = true)]
async fn a_list_is_announced_before_it_is_requested() {
    let script = Script::of([list()]);
    let mut events = Box::pin(Watcher::new(script.clone()).events());
    assert!(matches!(events.next().await, Some(Ok(Event::Init))));
    assert_eq!(script.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_stream_lists_is_asked_for_pages() {
    for code in [422, 400] {
        let script = Script::of([
            Answer::Refusal(code),
            Answer::Page(vec![object("a", "1")], Some("two"), ""),
            Answer::Page(vec![object("b", "2")], None, "10"),
            Answer::Events(vec![added("c", "11")], Ending::Deaf),
        ]);
        assert_eq!(said(&script, 5).await, ["begin", "list a", "list b", "end", "apply c"], "{code}");
        assert_eq!(script.asked(), ["list", "page one", "page two", "after 10"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_that_does_not_end_comes_in_pages_instead() {
    let gone = Status::failure("not fresh", "Timeout").with_code(504).boxed();
    let deleted = WatchEvent::Deleted(object("a", "8"));
    let unfinished = [
        Answer::Events(vec![added("a", "7")], Ending::Deaf),
        Answer::Events(vec![added("a", "7"), bookmark("9")], Ending::Deaf),
        Answer::Events(vec![added("a", "7")], Ending::Broken),
        Answer::Events(vec![added("a", "7"), WatchEvent::Error(gone)], Ending::Deaf),
        Answer::Events(vec![added("a", "7"), deleted, end_of_list("10")], Ending::Deaf),
    ];
    for unfinished in unfinished {
        let script = Script::of([unfinished, Answer::Page(vec![object("b", "8")], None, "10")]);
        let said = said(&script, 6).await;
        let after: Vec<_> = said.iter().filter(|said| *said != "error").collect();
        assert_eq!(
            after[..5.min(after.len())],
            ["begin", "list a", "begin", "list b", "end"][..after.len().min(5)]
        );
        assert_eq!(script.asked()[..2], ["list", "page one"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_given_up_within_a_minute() {
    let begun = Instant::now();
    let script = Script::of([list(), watch(Ending::Deaf), list()]);
    let said = said(&script, 8).await;
    assert_eq!(said, [&LISTED[..], &["apply b", "error"], &LISTED[..]].concat());
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_is_given_up() {
    for answers in [[Answer::Silence, list()], [list(), Answer::Silence]] {
        let begun = Instant::now();
        let script = Script::of(answers.into_iter().chain([watch(Ending::Deaf)]));
        let mut events = Box::pin(Watcher::new(script.clone()).events());
        while !matches!(events.next().await, Some(Ok(Event::Apply(_)))) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", script.asked());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_break_all_is_read_again_but_not_each_second() {
    let breaks = (0..400).map(|_| watch(Ending::Broken));
    let script = Script::of([list()].into_iter().chain(breaks));
    let mut events = Box::pin(Watcher::new(script.clone()).events());
    let begun = Instant::now();
    let mut lists = Vec::new();
    while lists.len() < 2 {
        if matches!(events.next().await, Some(Ok(Event::Init))) {
            lists.push(begun.elapsed().as_secs());
        }
    }
    assert!((30..32).contains(&lists[1]), "{lists:?}: in between it goes on, and no break is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_break_before_a_watch_that_stands_is_not_forgotten() {
    let script = Script::of([list(), watch(Ending::Broken), Answer::Events(vec![], Ending::Deaf), list()]);
    let mut events = Box::pin(Watcher::new(script.clone()).events());
    assert!(matches!(events.next().await, Some(Ok(Event::Init))));
    let begun = Instant::now();
    while !matches!(events.next().await, Some(Ok(Event::Init))) {}
    assert!((30..32).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_older_state_than_before_is_read_from_the_start() {
    for older in [added("c", "3"), bookmark("3"), WatchEvent::Deleted(object("a", "9"))] {
        let script = Script::of([
            list(),
            watch(Ending::InTime),
            Answer::Events(vec![older], Ending::Deaf),
            Answer::Events(vec![end_of_list("4")], Ending::Deaf),
            Answer::Events(vec![added("d", "5")], Ending::Deaf),
        ]);
        let said = said(&script, 7).await;
        assert_eq!(said, [&LISTED[..], &["apply b", "begin", "end", "apply d"]].concat());
        assert_eq!(script.asked().last().map(String::as_str), Some("after 4"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_version_or_kind_has_everything_read_again() {
    let expired = Status::failure("too old", "Expired").with_code(410).boxed();
    let gone = [
        Answer::Refusal(410),
        Answer::Refusal(404),
        Answer::Events(vec![WatchEvent::Error(expired)], Ending::Deaf),
    ];
    for gone in gone {
        let script = Script::of([list(), gone, list(), watch(Ending::Deaf)]);
        let said = said(&script, 8).await;
        assert_eq!(said, [&LISTED[..], &["error"], &LISTED[..], &["apply b"]].concat());
        assert_eq!(script.asked(), ["list", "after 10", "list", "after 10"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_comes_back_is_noticed_within_ten_seconds() {
    let away = (0..20).map(|_| Answer::Refusal(404));
    let script = Script::of([list()].into_iter().chain(away));
    let mut events = Box::pin(Watcher::new(script.clone()).events());
    while script.answers.lock().len() > 3 {
        events.next().await.unwrap().ok();
    }
    let back = Instant::now();
    *script.answers.lock() = [list(), watch(Ending::Deaf)].into();
    while !matches!(events.next().await, Some(Ok(Event::Apply(_)))) {}
    assert!(back.elapsed() < Duration::from_secs(6), "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_interruption_is_reported_until_the_next_answer() {
    let script = Script::of([list(), Answer::Refusal(503), Answer::Refusal(500), watch(Ending::Deaf)]);
    let sender = watch::Sender::new(None);
    let interrupted: Interrupted = sender.subscribe();
    let mut events = Box::pin(Watcher::new(script.clone()).notify(sender).events());
    for _ in LISTED {
        assert!(events.next().await.unwrap().is_ok());
    }
    assert_eq!(*interrupted.borrow(), None);
    let begun = Instant::now();
    for _ in 0..2 {
        assert!(events.next().await.unwrap().is_err());
        assert_eq!(*interrupted.borrow(), Some(begun));
    }
    assert!(matches!(events.next().await, Some(Ok(Event::Apply(_)))));
    assert_eq!(*interrupted.borrow(), None);
}
