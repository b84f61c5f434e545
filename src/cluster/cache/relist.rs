//! Hands on the objects of a list only when the cache shows them.

use futures::{Stream, StreamExt, stream};
use kube::runtime::watcher::{Error, Event};

/// Holds back the objects of a list until the list is complete; its end event comes after them. Put it behind the
/// reflector, which shows a list only as a whole, at its end.
///
/// A long list comes in pages. A reconcile for an object of an early page would run on the cache from before the list.
/// Nothing would trigger another one, because the event is already consumed.
pub(crate) fn deliver_after_list<K>(
    events: impl Stream<Item = Result<Event<K>, Error>>,
) -> impl Stream<Item = Result<Event<K>, Error>> {
    let mut held = Vec::new();
    events.flat_map(move |event| {
        let passed_on = match event {
            Ok(Event::InitApply(_)) => {
                held.push(event);
                Vec::new()
            }
            Ok(Event::InitDone) => {
                held.push(event);
                std::mem::take(&mut held)
            }
            // A list that starts again delivers everything once more.
            Ok(Event::Init) => {
                held.clear();
                vec![event]
            }
            Ok(Event::Apply(_) | Event::Delete(_)) | Err(_) => vec![event],
        };
        stream::iter(passed_on)
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        ResourceExt,
        runtime::{
            WatchStreamExt,
            reflector::{self, ObjectRef, Store},
        },
    };
    use tokio::sync::mpsc;

    use super::*;

    fn object(name: &str, version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.into());
        object.metadata.resource_version = Some(version.into());
        object
    }

    fn shown(store: &Store<ConfigMap>, name: &str) -> Option<String> {
        store.get(&ObjectRef::new(name)).and_then(|object| object.resource_version())
    }

    #[test]
    fn an_object_of_a_list_is_handed_on_when_the_cache_shows_it() {
        let (store, writer) = reflector::store::<ConfigMap>();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let source = stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut objects = Box::pin(deliver_after_list(source.reflect(writer)).applied_objects());
        let mut handed_on = || {
            let mut handed_on = Vec::new();
            while let Some(Some(Ok(object))) = objects.next().now_or_never() {
                let version = object.resource_version();
                assert_eq!(shown(&store, &object.name_any()), version, "the cache is behind");
                handed_on.push(format!("{}@{}", object.name_any(), version.unwrap()));
            }
            handed_on
        };
        let send = |event| sender.send(Ok(event)).unwrap();
        send(Event::Init);
        send(Event::InitApply(object("a", "1")));
        send(Event::InitDone);
        assert_eq!(handed_on(), ["a@1"]);
        // In a second list the pages come one after another.
        send(Event::Init);
        send(Event::InitApply(object("a", "2")));
        assert_eq!(handed_on(), [""; 0], "the cache still shows the first list");
        send(Event::InitApply(object("b", "3")));
        assert_eq!(handed_on(), [""; 0]);
        send(Event::InitDone);
        assert_eq!(handed_on(), ["a@2", "b@3"]);
        send(Event::Apply(object("a", "4")));
        assert_eq!(handed_on(), ["a@4"]);
    }

    #[test]
    fn a_list_that_was_broken_off_is_handed_on_once_it_is_complete() {
        let events = [
            Ok(Event::Init),
            Ok(Event::InitApply("a1")),
            Err(Error::NoResourceVersion),
            Ok(Event::Init),
            Ok(Event::InitApply("a2")),
            Ok(Event::InitApply("b2")),
            Ok(Event::InitDone),
            Ok(Event::Delete("a2")),
        ];
        let handed_on: Vec<_> = deliver_after_list(stream::iter(events))
            .map(|event| match event {
                Ok(Event::InitApply(object)) => object,
                Ok(Event::Init) => "begin",
                Ok(Event::InitDone) => "end",
                Ok(Event::Delete(_)) => "delete",
                Ok(Event::Apply(_)) => "apply",
                Err(_) => "error",
            })
            .collect()
            .now_or_never()
            .unwrap();
        assert_eq!(handed_on, ["begin", "error", "begin", "a2", "b2", "end", "delete"]);
    }
}
