//! The source of a watch's objects.

use std::marker::PhantomData;

use futures::{AsyncBufReadExt, StreamExt, stream::BoxStream};
use kube::{
    Client, Resource,
    api::{ListParams, WatchParams},
    core::{Request, WatchEvent},
};
use serde::{Deserialize, de::DeserializeOwned};

/// Serves lists and watches of one kind.
pub trait Source: Send + Sync + 'static {
    /// The type of the objects.
    type Object: Send + 'static;

    /// Starts a watch that the API server ends after this number of seconds.
    fn watch(
        &self,
        start: Start<'_>,
        seconds: u32,
    ) -> impl Future<Output = kube::Result<BoxStream<'static, kube::Result<WatchEvent<Self::Object>>>>> + Send;

    /// Reads one page of a list.
    fn page(&self, token: Option<&str>) -> impl Future<Output = kube::Result<Page<Self::Object>>> + Send;
}

/// Where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// At all objects as they are stored when the request arrives. A bookmark marks their end.
    WithList,
    /// After this version.
    After(&'a str),
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<K> {
    /// Its objects.
    pub objects: Vec<K>,
    /// The token of the next page, if there is one.
    pub next: Option<String>,
    /// The resource version of the whole list.
    pub version: Option<String>,
}

/// The objects of a kind, in one namespace or in all.
#[derive(Clone)]
pub struct Collection<K> {
    client: Client,
    request: Request,
    labels: Option<String>,
    is_metadata: bool,
    kind: PhantomData<fn() -> K>,
}

impl<K> Collection<K>
where
    K: Resource<DynamicType = ()>,
{
    /// The objects of one namespace, or of all.
    #[must_use]
    pub fn new(client: Client, namespace: Option<&str>) -> Self {
        let request = Request::new(K::url_path(&(), namespace));
        Self { client, request, labels: None, is_metadata: false, kind: PhantomData }
    }

    /// Restricts the collection to the objects that these labels select.
    #[must_use]
    pub fn labels(self, labels: Option<&str>) -> Self {
        Self { labels: labels.map(str::to_owned), ..self }
    }

    /// Restricts the objects to their metadata.
    #[must_use]
    pub fn metadata(self) -> Self {
        Self { is_metadata: true, ..self }
    }
}

/// The number of objects on a page of a list.
const PAGE: u32 = 100;

/// A page with more bytes is not read; the next request asks for fewer objects.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct List<K> {
    metadata: ListMetadata,
    items: Vec<K>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl<K> Source for Collection<K>
where
    K: Clone + DeserializeOwned + Send + 'static,
{
    type Object = K;

    async fn watch(
        &self,
        start: Start<'_>,
        seconds: u32,
    ) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<K>>>> {
        let parameters = WatchParams {
            label_selector: self.labels.clone(),
            timeout: Some(seconds),
            bookmarks: true,
            send_initial_events: start == Start::WithList,
            ..WatchParams::default()
        };
        // Without a version a list shows all that was stored when the request arrived. With "0" it may be older.
        let version = match start {
            Start::WithList => "",
            Start::After(version) => version,
        };
        let request = if self.is_metadata {
            self.request.watch_metadata(&parameters, version)
        } else {
            self.request.watch(&parameters, version)
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        Ok(self.client.request_events::<K>(request).await?.boxed())
    }

    async fn page(&self, token: Option<&str>) -> kube::Result<Page<K>> {
        let mut limit = PAGE;
        loop {
            if let Some(text) = self.page_of(limit, token).await? {
                let list: List<K> = serde_json::from_slice(&text).map_err(kube::Error::SerdeError)?;
                let ListMetadata { resource_version, next } = list.metadata;
                let some = |text: Option<String>| text.filter(|text| !text.is_empty());
                return Ok(Page { objects: list.items, next: some(next), version: some(resource_version) });
            }
            limit /= 10;
        }
    }
}

impl<K> Collection<K> {
    /// The text of a page of at most `limit` objects. `None` if it is too long and holds more than one object.
    async fn page_of(&self, limit: u32, token: Option<&str>) -> kube::Result<Option<Vec<u8>>> {
        let parameters = ListParams {
            label_selector: self.labels.clone(),
            limit: Some(limit.max(1)),
            continue_token: token.map(str::to_owned),
            ..ListParams::default()
        };
        let request = if self.is_metadata {
            self.request.list_metadata(&parameters)
        } else {
            self.request.list(&parameters)
        };
        let answer = self.client.request_stream(request.map_err(kube::Error::BuildRequest)?).await?;
        let mut answer = std::pin::pin!(answer);
        let mut text = Vec::new();
        loop {
            let read = answer.fill_buf().await.map_err(kube::Error::ReadEvents)?;
            if read.is_empty() {
                return Ok(Some(text));
            }
            text.extend_from_slice(read);
            let length = read.len();
            answer.consume_unpin(length);
            if text.len() > PAGE_BYTES && limit > 1 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::TrimmedTenantPricing;

    /// An API server that holds this number of objects, each with an annotation of this number of bytes.
    fn holding(objects: usize, bytes: usize) -> (Collection<TrimmedTenantPricing>, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let service = tower::service_fn(move |request: http_request::Request| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            seen.lock().unwrap().push(query.clone());
            async move { Ok::<_, std::convert::Infallible>(answer(&query, objects, bytes)) }
        });
        (Collection::new(Client::new(service, "default"), Some("team")), asked)
    }

    fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
        query
            .split('&')
            .filter_map(|part| part.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|pair| pair.1)
    }

    fn object(number: usize, bytes: usize) -> Value {
        json!({
            "metadata": {
                "name": format!("object-{number}"), "namespace": "team", "uid": format!("u-{number}"),
                "resourceVersion": "7", "annotations": {"example.com/notes": "x".repeat(bytes)},
            },
            "spec": {"tenant": {"name": "Acme GmbH"}},
        })
    }

    fn answer(query: &str, objects: usize, bytes: usize) -> http_request::Response {
        let from: usize = parameter(query, "continue").map_or(0, |token| token.parse().unwrap());
        let limit: usize = parameter(query, "limit").map_or(objects, |limit| limit.parse().unwrap());
        let to = (from + limit).min(objects);
        let items: Vec<_> = (from..to).map(|number| object(number, bytes)).collect();
        let next = if to < objects { to.to_string() } else { String::new() };
        let list = json!({"metadata": {"resourceVersion": "10", "continue": next}, "items": items});
        http_request::Response::new(Body::from(list.to_string().into_bytes()))
    }

    /// The types of requests and answers. kube does not export them.
    mod http_request {
        use kube::client::Body;

        pub type Request = hyper::Request<Body>;
        pub type Response = hyper::Response<Body>;
    }

    async fn all(objects: &Collection<TrimmedTenantPricing>) -> Vec<String> {
        let (mut names, mut next) = (Vec::new(), None::<String>);
        loop {
            let page = objects.page(next.as_deref()).await.unwrap();
            assert_eq!(page.version.as_deref(), Some("10"));
            names.extend(page.objects.iter().filter_map(|listed| listed.meta().name.clone()));
            next = page.next;
            if next.is_none() {
                return names;
            }
        }
    }

    #[tokio::test]
    async fn a_list_is_a_consistent_read() {
        let (objects, asked) = holding(1, 10);
        let objects = objects.labels(Some("shard=a"));
        drop(objects.watch(Start::WithList, 290).await.unwrap());
        drop(objects.watch(Start::After("17"), 40).await.unwrap());
        let _ = objects.page(None).await.unwrap();
        let asked = asked.lock().unwrap().clone();
        let [list, watch, page] = &asked[..] else { panic!("{asked:?}") };
        let expected = [
            ("sendInitialEvents", Some("true")),
            ("resourceVersionMatch", Some("NotOlderThan")),
            ("resourceVersion", Some("")),
            ("allowWatchBookmarks", Some("true")),
            ("timeoutSeconds", Some("290")),
            ("labelSelector", Some("shard%3Da")),
        ];
        for (name, value) in expected {
            assert_eq!(parameter(list, name), value, "{name} in {list}");
        }
        assert_eq!(
            (parameter(watch, "resourceVersion"), parameter(watch, "timeoutSeconds")),
            (Some("17"), Some("40"))
        );
        assert_eq!(parameter(watch, "sendInitialEvents"), None);
        assert_eq!(
            (parameter(page, "resourceVersion"), parameter(page, "labelSelector")),
            (None, Some("shard%3Da"))
        );
    }

    #[tokio::test]
    async fn a_page_that_is_too_long_is_asked_for_with_fewer_objects() {
        // The objects are small, large, and so large that a single one exceeds a page.
        for (count, bytes, limits) in [
            (250, 100, &["100", "100", "100"][..]),
            (25, 400_000, &["100", "10", "100", "10", "100"][..]),
            (2, PAGE_BYTES + 1, &["100", "10", "1", "100", "10", "1"][..]),
        ] {
            let (objects, asked) = holding(count, bytes);
            let names: Vec<_> = (0..count).map(|number| format!("object-{number}")).collect();
            assert_eq!(all(&objects).await, names, "{bytes}");
            let asked: Vec<_> = asked.lock().unwrap().clone();
            let limits_asked: Vec<_> = asked.iter().filter_map(|query| parameter(query, "limit")).collect();
            assert_eq!(limits_asked, limits, "{bytes}");
        }
    }
}
