//! Tests over HTTP, with a client that does not know the simulator's internals.

mod access;
mod admin;
mod cost;
mod documentation;
mod faults;
mod habits;
mod logging;
mod pricing;
mod reading;
mod wire_faults;

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Simulator, SimulatorOptions, TenantSpec};

/// A simulator and a client of it.
struct Caller {
    simulator: Simulator,
    http: reqwest::Client,
    token: String,
}

/// An answer, read to its end.
struct Heard {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status and error code, or zero where there is no number.
    fn error(&self) -> (u16, i64) {
        (self.status, self.json()["error"]["code"].as_i64().unwrap_or(0))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    async fn from(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }
}

fn http() -> reqwest::Client {
    // A second test finds it installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Caller {
    /// A simulator in the middle of November 2026, and a caller with a token.
    async fn new() -> Self {
        let clock = Some(instant("2026-11-15T10:00:00Z"));
        let options = SimulatorOptions { clock, ..SimulatorOptions::default() };
        let simulator = Simulator::start(options).await.unwrap();
        let mut caller = Self { simulator, http: http(), token: String::new() };
        caller.token = caller.new_token().await;
        caller.simulator.clear_log();
        caller
    }

    async fn new_token(&self) -> String {
        self.fetch_token().await.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn fetch_token(&self) -> Heard {
        let request = self.http.post(self.url("/idp/token"));
        let request = request.basic_auth(self.simulator.client_id(), Some(self.simulator.client_secret()));
        let request = request.form(&[("grant_type", "client_credentials")]);
        Heard::from(request.send().await.unwrap()).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/2{path}", self.simulator.url())
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Heard {
        self.try_get(path).await.unwrap()
    }

    async fn try_get(&self, path: &str) -> reqwest::Result<Heard> {
        Ok(Heard::from(self.request(Method::GET, path).send().await?).await)
    }

    async fn pricing(&self, id: &str) -> Value {
        self.get(&format!("/tenants/{id}/pricing")).await.json()
    }

    async fn put(&self, id: &str, body: Value) -> Heard {
        self.try_put(id, body).await.unwrap()
    }

    async fn try_put(&self, id: &str, body: Value) -> reqwest::Result<Heard> {
        let request = self.request(Method::PUT, &format!("/tenants/{id}/pricing"));
        Ok(Heard::from(request.json(&body).send().await?).await)
    }

    /// Reads the version and requests production.
    async fn switch(&self, id: &str) -> Heard {
        let version = self.pricing(id).await["version"].clone();
        self.put(id, json!({"version": version, "mode": "production"})).await
    }

    /// The ids in a batch answer.
    async fn ids(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/tenants?{query}")).await.json();
        let items = answer["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    fn add(&self, name: &str) -> String {
        self.simulator.add_tenant(TenantSpec::customer(name))
    }

    fn mode(&self, id: &str) -> String {
        self.simulator.tenant(id).unwrap().pricing.mode
    }
}

/// Bounds a wait that would otherwise hang a failing test.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("waited 20 s in vain")
}
