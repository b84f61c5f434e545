//! Tokens, clients, and who may see what.

use jiff::SignedDuration;
use reqwest::Method;

use super::*;
use crate::simulator::TenantKind;

#[tokio::test]
async fn client_credentials_yield_a_token_with_all_fields() {
    let caller = Caller::new().await;
    let heard = caller.fetch_token().await;
    let token = heard.json();
    assert_eq!(heard.status, 200);
    assert_eq!(token["token_type"], "bearer");
    assert_eq!(token["expires_in"], 7200);
    let lives = token["expires_on"].as_i64().unwrap() - caller.simulator.now().as_second();
    assert!((7190..=7200).contains(&lives), "{lives}");
    assert!(token["id_token"].is_string());
}

#[tokio::test]
async fn an_invalid_token_request_is_refused_in_the_token_shape() {
    let caller = Caller::new().await;
    let (id, secret) = (caller.simulator.client_id(), caller.simulator.client_secret());
    let post = || caller.http.post(caller.url("/idp/token"));
    let form = [("grant_type", "client_credentials")];
    let requests = [
        (post().basic_auth(&id, Some("wrong")).form(&form), 401, "invalid_client"),
        (post().form(&form), 401, "invalid_client"),
        (
            post().basic_auth(&id, Some(&secret)).form(&[("grant_type", "password")]),
            400,
            "unsupported_grant_type",
        ),
        (post().basic_auth(&id, Some(&secret)).form(&[("scope", "x")]), 400, "invalid_request"),
        (post().basic_auth(&id, Some(&secret)).json(&json!({})), 415, "invalid_request"),
    ];
    for (request, status, error) in requests {
        let heard = Heard::from(request.send().await.unwrap()).await;
        assert_eq!((heard.status, heard.json()["error"].as_str().unwrap()), (status, error));
        assert!(heard.json()["error_description"].is_string());
    }
}

#[tokio::test]
async fn a_bad_expired_or_revoked_token_is_answered_401() {
    let mut caller = Caller::new().await;
    let acme = caller.add("Acme");
    let path = format!("/tenants/{acme}");
    assert_eq!(caller.get(&path).await.status, 200);
    let without = caller.http.get(caller.url(&path)).send().await.unwrap();
    assert_eq!(Heard::from(without).await.error(), (401, 401));

    caller.simulator.advance(SignedDuration::from_hours(2));
    assert_eq!(caller.get(&path).await.error(), (401, 401));
    caller.token = caller.new_token().await;
    assert_eq!(caller.get(&path).await.status, 200);
    caller.simulator.revoke_tokens();
    assert_eq!(caller.get(&path).await.error(), (401, 401));
}

#[tokio::test]
async fn the_client_says_which_tenant_it_acts_in() {
    let caller = Caller::new().await;
    let id = caller.simulator.client_id();
    let client = caller.get(&format!("/clients/{id}")).await.json();
    assert_eq!(client["tenant_id"], json!(caller.simulator.root_tenant()));
    for field in [
        "client_id",
        "client_secret_expires_at",
        "type",
        "token_endpoint_auth_method",
        "created_at",
        "created_by",
        "last_access_at",
        "last_access_from_ip",
        "status",
    ] {
        assert!(client.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(caller.get("/clients/0fcd4a69-8a40-4de8-b711-d9c83dc000f7").await.error(), (404, 404));
    assert_eq!(caller.get("/clients/me").await.error(), (400, 400));
}

#[tokio::test]
async fn the_contract_also_takes_the_client_s_own_id_and_secret() {
    let caller = Caller::new().await;
    let id = caller.simulator.client_id();
    let request = caller.http.get(caller.url(&format!("/clients/{id}")));
    let request = request.basic_auth(&id, Some(caller.simulator.client_secret()));
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_rotated_secret_ends_the_old_one_but_no_token() {
    let caller = Caller::new().await;
    let old = caller.simulator.client_secret();
    let new = caller.simulator.rotate_credentials();
    assert_ne!(old, new);
    assert_eq!(caller.simulator.client_secret(), new);
    assert_eq!(caller.fetch_token().await.status, 200);
    let post =
        caller.http.post(caller.url("/idp/token")).basic_auth(caller.simulator.client_id(), Some(&old));
    let refused = post.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let root = caller.simulator.root_tenant();
    assert_eq!(caller.get(&format!("/tenants/{root}")).await.status, 200);
}

#[tokio::test]
async fn a_client_sees_nothing_outside_its_own_tenant() {
    let mut caller = Caller::new().await;
    let partner = caller.simulator.add_tenant(TenantSpec::partner("Other Partner"));
    let below = caller.simulator.add_tenant(TenantSpec::customer("Below").below(&partner));
    let beside = caller.add("Beside");
    let other = caller.simulator.add_client(&partner);
    let post = caller.http.post(caller.url("/idp/token"));
    let post = post.basic_auth(&other.client_id, Some(&other.client_secret));
    let token = post.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    caller.token = Heard::from(token).await.json()["access_token"].as_str().unwrap().to_owned();

    assert_eq!(caller.get(&format!("/tenants/{below}")).await.status, 200);
    assert_eq!(caller.get(&format!("/tenants/{beside}")).await.error(), (403, 1002));
    assert_eq!(caller.get(&format!("/tenants/{beside}/pricing")).await.error(), (403, 1002));
    assert_eq!(caller.put(&beside, json!({"version": 1})).await.error(), (403, 1002));
    assert_eq!(caller.ids(&format!("uuids={below},{beside}")).await, [below]);
}

#[tokio::test]
async fn every_secret_given_out_is_known_afterwards() {
    let caller = Caller::new().await;
    let answer = caller.fetch_token().await.json();
    let issued = caller.simulator.issued_secrets();
    for secret in [&caller.simulator.client_secret(), &caller.token] {
        assert!(issued.contains(secret));
    }
    for field in ["access_token", "id_token"] {
        assert!(issued.iter().any(|secret| *secret == answer[field].as_str().unwrap()));
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_get_a_platform_error() {
    let caller = Caller::new().await;
    assert_eq!(caller.get("/nothing").await.error(), (404, 404));
    let elsewhere = caller.http.get(format!("{}/tenants", caller.simulator.url())).send().await.unwrap();
    assert_eq!(Heard::from(elsewhere).await.error(), (404, 404));
    let root = caller.simulator.root_tenant();
    let deletion = caller.request(Method::DELETE, &format!("/tenants/{root}")).send().await.unwrap();
    assert_eq!(Heard::from(deletion).await.error(), (405, 405));
    assert!(caller.simulator.tenant(&root).is_some_and(|root| root.kind == TenantKind::Partner));
}

#[tokio::test]
async fn a_simulator_that_is_shut_down_answers_no_more() {
    let caller = Caller::new().await;
    let url = caller.url("/tenants");
    soon(caller.simulator.clone().shutdown()).await;
    assert!(caller.http.get(url).send().await.unwrap_err().is_connect());
}
