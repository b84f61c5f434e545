//! The simulator's own interface, as curl sees it.

use reqwest::Method;

use super::*;
use crate::simulator::Operation;

impl Caller {
    async fn steer(&self, method: Method, path: &str, body: Option<Value>) -> Heard {
        let request = self.http.request(method, format!("{}/simulator{path}", self.simulator.url()));
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        Heard::from(request.send().await.unwrap()).await
    }

    async fn refusal(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let heard = self.steer(method, path, Some(body)).await;
        (heard.status, heard.json()["error"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn the_index_names_every_path() {
    let caller = Caller::new().await;
    let index = caller.steer(Method::GET, "", None).await;
    assert_eq!(index.status, 200);
    for path in ["summary", "requests", "tenants", "clock", "faults", "credentials/rotate", "tokens/revoke"] {
        assert!(index.text.contains(&format!("/simulator/{path}")), "{path}");
    }
}

#[tokio::test]
async fn tenants_are_added_read_changed_and_deleted() {
    let caller = Caller::new().await;
    let added = caller.steer(Method::POST, "/tenants", Some(json!({"name": "Acme"}))).await.json();
    let acme = added["ids"][0].as_str().unwrap().to_owned();
    let many = json!([{"name": "A"}, {"name": "B", "mode": "production"}]);
    assert_eq!(
        caller.steer(Method::POST, "/tenants", Some(many)).await.json()["ids"].as_array().unwrap().len(),
        2
    );
    let bulk = json!({"count": 3, "prefix": "shop"});
    assert_eq!(
        caller.steer(Method::POST, "/tenants", Some(bulk)).await.json()["ids"].as_array().unwrap().len(),
        3
    );
    let id = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
    let put = caller.steer(Method::PUT, &format!("/tenants/{id}"), Some(json!({"name": "C"}))).await;
    assert_eq!(put.json()["id"], id);

    let found = caller.steer(Method::GET, "/tenants?name=Acme", None).await.json();
    assert_eq!(found[0]["id"], json!(acme));
    let producing = caller.steer(Method::GET, "/tenants?mode=production", None).await.json();
    assert_eq!(producing.as_array().unwrap().len(), 1);

    let change = json!({"name": "Acme AG", "lockedBy": id, "mode": "suspended", "productionStartDate": null});
    let changed = caller.steer(Method::PATCH, &format!("/tenants/{acme}"), Some(change)).await.json();
    assert_eq!(changed["name"], "Acme AG");
    assert_eq!(changed["pricing"]["mode"], "suspended");
    assert_eq!(changed["pricing"]["productionStartDate"], Value::Null);
    let unlocked =
        caller.steer(Method::PATCH, &format!("/tenants/{acme}"), Some(json!({"lockedBy": null}))).await;
    assert_eq!(unlocked.json()["lockedBy"], Value::Null);
    assert_eq!(unlocked.json()["name"], "Acme AG", "a field left out stays");

    caller.steer(Method::DELETE, &format!("/tenants/{acme}"), None).await;
    assert!(caller.simulator.tenant(&acme).unwrap().deleted_at.is_some());
}

#[tokio::test]
async fn the_clock_is_read_set_and_moved() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let set = json!({"now": "2026-12-31T23:59:00Z"});
    assert_eq!(caller.steer(Method::PUT, "/clock", Some(set)).await.status, 200);
    let now = caller.steer(Method::GET, "/clock", None).await.json();
    assert!(now["now"].as_str().unwrap().starts_with("2026-12-31T23:59:0"));
    caller.steer(Method::PUT, "/clock", Some(json!({"advance": "1d 2h"}))).await;
    assert_eq!(caller.mode(&acme), "production");
}

#[tokio::test]
async fn faults_are_injected_listed_released_and_cleared() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let fault = json!({
        "operation": "FetchTenant",
        "tenant": acme,
        "times": 1,
        "action": {"type": "Error", "status": 503, "code": 1000, "retryAfter": 5},
    });
    let ids = caller
        .steer(Method::POST, "/faults", Some(json!([fault, {"action": {"type": "Hold"}}])))
        .await
        .json();
    let (error, hold) = (ids["ids"][0].as_u64().unwrap(), ids["ids"][1].as_u64().unwrap());
    assert_eq!(caller.steer(Method::POST, &format!("/faults/{hold}/release"), None).await.status, 200);
    let refused = soon(caller.get(&format!("/tenants/{acme}"))).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    let list = caller.steer(Method::GET, "/faults", None).await.json();
    assert_eq!(
        (&list[0]["id"], &list[0]["hits"], &list[0]["action"]["type"]),
        (&json!(error), &json!(1), &json!("Error"))
    );
    assert_eq!(caller.steer(Method::DELETE, &format!("/faults/{error}"), None).await.status, 200);
    assert_eq!(caller.steer(Method::DELETE, &format!("/faults/{error}"), None).await.status, 404);
    caller.steer(Method::DELETE, "/faults", None).await;
    assert!(caller.simulator.faults().is_empty());
}

#[tokio::test]
async fn summary_and_log_say_what_was_asked_of_the_platform() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.add("Other");
    caller.switch(&acme).await;
    let summary = caller.steer(Method::GET, "/summary", None).await.json();
    assert_eq!(summary["customers"], json!({"production": 1, "trial": 1}));
    assert_eq!(summary["puts"]["byTenant"], json!({ acme.clone(): 1 }));
    assert_eq!(summary["puts"]["tookEffect"], 1);
    assert_eq!(summary["puts"]["overlapping"], 0);
    let puts = caller
        .steer(Method::GET, &format!("/requests?operation=PutPricing&tenant={acme}"), None)
        .await
        .json();
    assert_eq!(puts.as_array().unwrap().len(), 1);
    assert_eq!(puts[0]["body"]["mode"], "production");
    assert!(puts[0]["finishedAfter"].as_f64() >= puts[0]["startedAfter"].as_f64());
    assert_eq!(puts[0]["outcome"], json!({"answered": 200}));
    let last = puts[0]["sequence"].as_u64().unwrap();
    let later = caller.steer(Method::GET, &format!("/requests?after={last}"), None).await.json();
    assert_eq!(later, json!([]));
    caller.steer(Method::DELETE, "/requests", None).await;
    assert!(caller.simulator.requests().iter().all(|entry| entry.operation != Operation::PutPricing));
}

#[tokio::test]
async fn credentials_are_rotated_and_tokens_revoked() {
    let caller = Caller::new().await;
    let rotated = caller.steer(Method::POST, "/credentials/rotate", None).await.json();
    assert_eq!(rotated["clientSecret"], json!(caller.simulator.client_secret()));
    caller.steer(Method::POST, "/tokens/revoke", None).await;
    assert_eq!(caller.get("/tenants").await.status, 401);
}

#[tokio::test]
async fn bad_input_is_refused_naming_field_value_and_remedy() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let tenant = format!("/tenants/{acme}");
    let taken = format!("/tenants/{}", caller.simulator.root_tenant());
    for (method, path, body, status, parts) in [
        (Method::POST, "/tenants", json!({}), 400, vec!["name"]),
        (Method::POST, "/tenants", json!([{"name": "a", "enabled": "yes"}]), 400, vec!["[0].enabled", "yes"]),
        (
            Method::POST,
            "/tenants",
            json!({"name": "a", "createdAt": "then"}),
            400,
            vec!["createdAt", "\"then\""],
        ),
        (Method::POST, "/tenants", json!({"name": ""}), 400, vec!["name", "not empty", "none was added"]),
        (
            Method::POST,
            "/tenants",
            json!([{"name": "a"}, {"name": "b", "id": "B"}]),
            400,
            vec!["tenant 1", "\"B\""],
        ),
        (Method::POST, "/tenants", json!({"count": 1_000_001}), 400, vec!["count", "1000001"]),
        (Method::PUT, taken.as_str(), json!({"name": "x"}), 409, vec!["exists already"]),
        (Method::PATCH, tenant.as_str(), json!({"colour": "red"}), 400, vec!["colour", "expected one of"]),
        (Method::PATCH, tenant.as_str(), json!({"parentId": "x"}), 400, vec!["parentId", "no tenant x"]),
        (Method::PATCH, "/tenants/x", json!({}), 404, vec!["no tenant x", "?name="]),
        (Method::PUT, "/clock", json!({}), 400, vec!["either now or advance"]),
        (
            Method::PUT,
            "/clock",
            json!({"now": "soon"}),
            400,
            vec!["now: ", "\"soon\"", "2026-12-01T00:00:00Z"],
        ),
        (
            Method::PUT,
            "/clock",
            json!({"advance": "1 month"}),
            400,
            vec!["advance", "1 month", "weeks at most"],
        ),
        (
            Method::POST,
            "/faults",
            json!({"action": {"type": "Explode"}}),
            400,
            vec!["Explode", "`DropBefore`"],
        ),
        (
            Method::POST,
            "/faults",
            json!({"action": {"type": "VersionConflict", "status": 9}}),
            400,
            vec!["9", "200 to 999"],
        ),
        (
            Method::POST,
            "/faults",
            json!({"operation": "Put", "action": {"type": "Hold"}}),
            400,
            vec!["Put", "PutPricing"],
        ),
        (
            Method::POST,
            "/faults",
            json!({"once": true, "action": {"type": "Hold"}}),
            400,
            vec!["once", "times"],
        ),
        (Method::DELETE, "/faults/x", json!(null), 400, vec!["\"x\""]),
        (Method::GET, "/requests?operation=Put", json!(null), 400, vec!["operation", "PutPricing"]),
        (Method::GET, "/requests?operations=Put", json!(null), 400, vec!["operations", "tenant"]),
        (Method::GET, "/nothing", json!(null), 404, vec!["GET /simulator/nothing", "GET /simulator says"]),
    ] {
        let (given, text) = caller.refusal(method, path, body.clone()).await;
        assert_eq!(given, status, "{path} {body}: {text}");
        for part in parts {
            assert!(text.contains(part), "{path} {body}: {part:?} is missing in {text:?}");
        }
    }
    assert_eq!(caller.simulator.customers().len(), 1);
}
