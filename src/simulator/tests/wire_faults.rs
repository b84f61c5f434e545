//! The true answer, distorted on the wire.

use super::*;
use crate::simulator::{Fault, FaultAction};

async fn spoilt(action: FaultAction) -> reqwest::Result<Heard> {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.simulator.inject(Fault::new(action));
    caller.try_get(&format!("/tenants/{acme}")).await
}

#[tokio::test]
async fn the_date_follows_the_platform_s_clock() {
    let caller = Caller::new().await;
    caller.simulator.set_clock(instant("2027-02-28T23:59:00Z"));
    let refused = caller.get("/tenants").await;
    assert!(refused.header("date").unwrap().starts_with("Sun, 28 Feb 2027 23:59:"));
}

#[tokio::test]
async fn the_date_can_be_missing_or_off() {
    assert_eq!(spoilt(FaultAction::MissingDate).await.unwrap().header("date"), None);
    let late = spoilt(FaultAction::DateOffset { seconds: -3600 }).await.unwrap();
    assert!(late.header("date").unwrap().starts_with("Sun, 15 Nov 2026 09:0"));
}

#[tokio::test]
async fn malformed_json_arrives_whole_and_is_no_json() {
    let heard = spoilt(FaultAction::MalformedJson).await.unwrap();
    assert_eq!((heard.status, heard.header("content-type")), (200, Some("application/json")));
    assert!(serde_json::from_str::<Value>(&heard.text).is_err());
    assert!(heard.text.contains("Acme"));
}

#[tokio::test]
async fn a_truncated_body_breaks_the_connection() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.simulator.inject(Fault::new(FaultAction::TruncatedBody));
    let response = caller.request(reqwest::Method::GET, &format!("/tenants/{acme}")).send().await.unwrap();
    let promised = response.content_length().unwrap();
    assert!(promised > 100);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn a_body_can_be_empty_or_plain_text_or_wrongly_labelled() {
    let empty = spoilt(FaultAction::EmptyBody).await.unwrap();
    assert_eq!((empty.status, empty.text.as_str()), (200, ""));
    let plain = spoilt(FaultAction::PlainText { text: "bad gateway".to_owned() }).await.unwrap();
    assert_eq!((plain.text.as_str(), plain.header("content-type")), ("bad gateway", Some("text/plain")));
    let action = FaultAction::WrongContentType { content_type: "text/html".to_owned() };
    let labelled = spoilt(action).await.unwrap();
    assert_eq!(
        (labelled.header("content-type"), labelled.json()["name"].as_str()),
        (Some("text/html"), Some("Acme"))
    );
}

#[tokio::test]
async fn an_oversized_body_is_as_long_as_asked_and_still_true() {
    let ten_mebibytes = 10 * 1024 * 1024 + 1;
    let heard = spoilt(FaultAction::Oversized { bytes: ten_mebibytes }).await.unwrap();
    assert!(heard.text.len() as u64 > ten_mebibytes);
    let body = heard.json();
    assert_eq!(
        (body["padding"].as_str().unwrap().len() as u64, body["name"].as_str()),
        (ten_mebibytes, Some("Acme"))
    );
}

#[tokio::test]
async fn an_oversized_body_of_nothing_is_an_object_of_padding() {
    let caller = Caller::new().await;
    caller.simulator.inject(Fault::new(FaultAction::answer(200, "")));
    caller.simulator.inject(Fault::new(FaultAction::Oversized { bytes: 5 }));
    assert_eq!(caller.get("/tenants").await.json(), json!({"padding": "xxxxx"}));
}

#[tokio::test]
async fn a_dripping_body_is_logged_as_ended_when_it_ends() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.simulator.inject(Fault::new(FaultAction::Drip { milliseconds: 20, bytes: 200 }));
    let mut response =
        caller.request(reqwest::Method::GET, &format!("/tenants/{acme}")).send().await.unwrap();
    assert!(caller.simulator.requests().pop().unwrap().finished.is_none());
    let mut pieces = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        assert!(piece.len() <= 200);
        pieces += 1;
    }
    assert!(pieces >= 3, "{pieces}");
    let ended = |log: &[crate::simulator::LoggedRequest]| log[0].status() == Some(200);
    soon(caller.simulator.wait_for_requests(ended)).await;
    let read = caller.simulator.requests().pop().unwrap();
    assert!(read.lasted().unwrap() >= Duration::from_millis(60));
}
