//! The requests, and the results of good answers.

use super::*;

fn id(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

#[tokio::test(start_paused = true)]
async fn a_tenant_is_asked_for_by_id_with_the_token() {
    let server = server_answering(answer(200, &tenant_json(TENANT, "Acme GmbH"))).await;
    let client = client_for(&server);
    let tenant = client.tenant(&tenant_id()).await.unwrap();
    assert_eq!(tenant.value.name, "Acme GmbH");
    assert_eq!(tenant.date, Some("2026-12-01T00:00:00Z".parse().unwrap()));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let token = &requests[0];
    assert_eq!((token.method.as_str(), token.target.as_str()), ("POST", "/api/2/idp/token"));
    assert_eq!(token.body, "grant_type=client_credentials");
    assert_eq!(token.headers["content-type"], "application/x-www-form-urlencoded");
    assert!(token.headers["authorization"].starts_with("Basic "));
    let call = &requests[1];
    assert_eq!((call.method.as_str(), call.target.clone()), ("GET", format!("/api/2/tenants/{TENANT}")));
    assert_eq!(call.headers["authorization"], "Bearer token-0");
    assert!(call.headers["user-agent"].starts_with("tenant-pricing-controller/"));
}

#[tokio::test(start_paused = true)]
async fn another_tenant_than_the_one_asked_for_is_not_taken_for_it() {
    let server = server_answering(answer(200, &tenant_json(OWN_TENANT, "Acme GmbH"))).await;
    assert_eq!(class(client_for(&server).tenant(&tenant_id()).await), ErrorClass::Malformed);
}

#[tokio::test(start_paused = true)]
async fn pricing_gives_mode_and_version() {
    let body = json!({"mode": "trial", "currency": null, "version": 1_596_545_223_000_i64, "production_start_date": null});
    let server = server_answering(answer(200, &body)).await;
    let pricing = client_for(&server).pricing(&tenant_id()).await.unwrap().value;
    assert_eq!(pricing.mode, Mode::Trial);
    assert_eq!(pricing.version, PricingVersion::new(1_596_545_223_000));
    assert_eq!(pricing.production_start, None);
    assert_eq!(server.targets(), [format!("/api/2/tenants/{TENANT}/pricing")]);
}

#[tokio::test(start_paused = true)]
async fn many_tenants_are_asked_for_a_hundred_at_a_time() {
    let server = Server::start(|request, earlier| {
        let ids = request.target.strip_prefix("/api/2/tenants?uuids=")?;
        let items: Vec<_> = ids.split(',').map(|id| tenant_json(id, "x")).collect();
        let body = json!({"timestamp": "t", "items": items}).to_string();
        let head = format!("HTTP/1.1 200 OK\r\nDate: Tue, 01 Dec 2026 00:00:0{} GMT\r\n", 9 - earlier);
        Some(server::raw(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())))
    })
    .await;
    let ids: Vec<TenantId> = (0..250).map(|number| id(number).parse().unwrap()).collect();
    let tenants = client_for(&server).tenants(&ids).await.unwrap();
    assert_eq!(tenants.value.iter().map(|tenant| tenant.id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(tenants.date, Some("2026-12-01T00:00:07Z".parse().unwrap()), "the earliest of three");
    let sizes: Vec<_> = server.targets().iter().map(|target| target.split(',').count()).collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[tokio::test(start_paused = true)]
async fn no_ids_need_no_call() {
    let server = server_answering(answer(500, &json!({}))).await;
    assert_eq!(client_for(&server).tenants(&[]).await.unwrap().value, []);
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn missing_broken_and_foreign_tenants_are_left_out_of_a_batch() {
    let mut broken = tenant_json(&id(2), "no mode");
    broken.as_object_mut().unwrap().remove("pricing_mode");
    let body = json!({"items": [tenant_json(&id(1), "good"), broken, tenant_json(&id(9), "not asked for")]});
    let server = server_answering(answer(200, &body)).await;
    let ids = [1, 2, 3].map(|number| id(number).parse().unwrap());
    let tenants = client_for(&server).tenants(&ids).await.unwrap().value;
    assert_eq!(tenants.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

/// Three pages: 0 → "c 1&" → "c2" → end.
fn paged(request: &Request) -> Option<Vec<Step>> {
    let query = request.target.strip_prefix("/api/2/tenants?")?;
    let (number, after) = match query {
        "after=c%201%26" => (1, json!({"cursors": {"after": "c2"}})),
        "after=c2" => (2, json!({"cursors": {}})),
        _ => (0, json!({"cursors": {"after": "c 1&"}})),
    };
    let items = [tenant_json(&id(number), "x"), tenant_json(&id(0), "seen before")];
    Some(answer(200, &json!({"items": items, "paging": after})))
}

#[tokio::test(start_paused = true)]
async fn a_subtree_is_read_page_by_page_with_nothing_but_the_cursor() {
    let server = Server::start(|request, _| paged(request)).await;
    let tenants = client_for(&server).subtree(&OWN_TENANT.parse().unwrap()).await.unwrap().value;
    let ids: Vec<_> = tenants.iter().map(|tenant| tenant.id.to_string()).collect();
    assert_eq!(ids, [id(0), id(1), id(2)], "each once");
    assert_eq!(
        server.targets(),
        [
            format!("/api/2/tenants?subtree_root_id={OWN_TENANT}&limit=100"),
            "/api/2/tenants?after=c%201%26".to_owned(),
            "/api/2/tenants?after=c2".to_owned(),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_read_page_by_page_too() {
    let server = Server::start(|request, _| paged(request)).await;
    let ids = [0, 1, 2].map(|number| id(number).parse().unwrap());
    assert_eq!(client_for(&server).tenants(&ids).await.unwrap().value.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pages_that_go_round_in_a_circle_are_an_error() {
    let server = Server::start(|request, earlier| {
        let after = format!("c{}", earlier % 3);
        (!request.is_token())
            .then(|| answer(200, &json!({"items": [], "paging": {"cursors": {"after": after}}})))
    })
    .await;
    let error = client_for(&server).subtree(&OWN_TENANT.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Malformed);
    assert_eq!(server.calls().len(), 4, "the first repeated cursor is the last");
}

#[tokio::test(start_paused = true)]
async fn pages_without_end_are_an_error() {
    let server = Server::start(|request, earlier| {
        let after = json!({"items": [], "paging": {"cursors": {"after": format!("c{earlier}")}}});
        (!request.is_token()).then(|| answer(200, &after))
    })
    .await;
    let error = client_for(&server).subtree(&OWN_TENANT.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Malformed);
    assert_eq!(server.calls().len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_followed_up_to_its_longest_and_no_longer() {
    for (length, calls) in [(4096, 2), (4097, 1)] {
        let server = Server::start(move |request, _| {
            let after = json!({"items": [], "paging": {"cursors": {"after": "c".repeat(length)}}});
            (!request.is_token()).then(|| answer(200, &after))
        })
        .await;
        let error = client_for(&server).subtree(&OWN_TENANT.parse().unwrap()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Malformed);
        assert_eq!(server.calls().len(), calls, "a cursor of {length} letters");
    }
}

#[tokio::test(start_paused = true)]
async fn the_own_tenant_is_asked_for_once_per_client_id() {
    let server = Server::start(|request, _| {
        let client = request.target.strip_prefix("/api/2/clients/")?;
        let tenant = if client == CLIENT_ID { OWN_TENANT } else { TENANT };
        Some(answer(200, &json!({"client_id": client, "tenant_id": tenant.to_uppercase()})))
    })
    .await;
    let source = Source::new();
    let client = client_with(&server, &source);
    assert_eq!(client.own_tenant().await.unwrap().value.as_str(), OWN_TENANT);
    assert_eq!(client.own_tenant().await.unwrap().value.as_str(), OWN_TENANT);
    assert_eq!(server.calls().len(), 1);
    source.set(Ok(credentials("another-client")));
    // The token has expired.
    tokio::time::advance(Duration::from_hours(24)).await;
    assert_eq!(client.own_tenant().await.unwrap().value.as_str(), TENANT);
    assert_eq!(server.calls().len(), 2);
}

/// Answers for the own tenant, the search, and the subtree.
fn named(request: &Request, hits: &Value, subtree: &Value) -> Option<Vec<Step>> {
    match request.path() {
        "/api/2/search" => Some(answer(200, &json!({"items": hits}))),
        "/api/2/tenants" => Some(answer(200, &json!({"items": subtree}))),
        path if path.starts_with("/api/2/clients/") => Some(answer(200, &json!({"tenant_id": OWN_TENANT}))),
        _ => None,
    }
}

async fn find(name: &str, hits: Value, subtree: Value) -> (Result<Vec<String>, PlatformError>, Vec<String>) {
    let server = Server::start(move |request, _| named(request, &hits, &subtree)).await;
    let found = client_for(&server).customers_named(name).await;
    let targets = server.targets().split_off(1);
    (found.map(|found| found.value.ids.iter().map(TenantId::to_string).collect()), targets)
}

fn hit(id: &str, name: &str) -> Value {
    json!({"obj_type": "tenant", "id": id, "parent_id": OWN_TENANT, "path": [], "kind": "customer", "name": name})
}

fn hit_with(number: usize, field: &str, value: &Value) -> Value {
    let mut hit = hit(&id(number), "Acme GmbH");
    hit[field] = value.clone();
    hit
}

#[tokio::test(start_paused = true)]
async fn only_customers_of_exactly_the_name_are_found() {
    let hits = json!([
        hit(&id(1), "Acme GmbH"),
        hit(&id(2), "acme gmbh"),
        hit(&id(3), "Acme GmbH & Co"),
        hit_with(4, "kind", &json!("partner")),
        hit_with(5, "obj_type", &json!("user")),
        hit_with(6, "deleted_at", &json!("2026-01-01T00:00:00")),
        hit_with(7, "name", &Value::Null),
        hit(&id(1), "Acme GmbH"),
        hit(OWN_TENANT, "Acme GmbH"),
    ]);
    let (found, targets) = find("Acme GmbH", hits, json!([])).await;
    assert_eq!(found, Ok(vec![id(1)]));
    assert_eq!(targets, [format!("/api/2/search?tenant={OWN_TENANT}&text=Acme%20GmbH&limit=300")]);
}

#[tokio::test(start_paused = true)]
async fn search_alone_says_neither_none_nor_several() {
    let subtree = json!([tenant_json(&id(1), "Acme GmbH")]);
    let hits = [json!([]), json!([hit(&id(8), "Acme GmbH"), hit(&id(9), "Acme GmbH")])];
    for hits in hits {
        let (found, targets) = find("Acme GmbH", hits, subtree.clone()).await;
        assert_eq!((found, targets.len()), (Ok(vec![id(1)]), 2));
    }
}

#[tokio::test(start_paused = true)]
async fn an_own_tenant_that_is_gone_is_asked_for_again() {
    for (name, gone) in [("Acme GmbH", "/api/2/search"), ("Bo", "/api/2/tenants")] {
        let server = Server::start(move |request, earlier| match request.path() {
            path if path == gone && request.target.contains(OWN_TENANT) => {
                Some(answer(404, &error_json(1005)))
            }
            path if path.starts_with("/api/2/clients/") => {
                let tenant = if earlier == 0 { OWN_TENANT.to_owned() } else { id(50) };
                Some(answer(200, &json!({"tenant_id": tenant})))
            }
            _ => named(request, &json!([hit(&id(1), "Acme GmbH")]), &json!([tenant_json(&id(1), "Bo")])),
        })
        .await;
        let client = client_for(&server);
        for _ in 0..2 {
            assert_eq!(client.customers_named(name).await.unwrap().value.ids.len(), 1, "{name}");
        }
        let asked = server.targets().iter().filter(|target| target.contains("/clients/")).count();
        assert_eq!(asked, 2, "once at first, and once more: {:?}", server.targets());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_own_tenant_is_read_only_once_more() {
    let server = Server::start(|request, _| match request.path() {
        "/api/2/search" => Some(answer(404, &error_json(1005))),
        _ => named(request, &json!([]), &json!([])),
    })
    .await;
    let error = client_for(&server).customers_named("Acme GmbH").await.unwrap_err();
    assert_eq!(error.status(), Some(404));
    let searched = server.targets().iter().filter(|target| target.contains("/search")).count();
    assert_eq!(searched, 1, "{:?}", server.targets());
}

#[tokio::test(start_paused = true)]
async fn a_name_cannot_add_to_the_question() {
    let (_, targets) = find("a&b=c#d/e?f+g%h é", json!([]), json!([])).await;
    let text = "a%26b%3Dc%23d%2Fe%3Ff%2Bg%25h%20%C3%A9";
    assert_eq!(targets[0], format!("/api/2/search?tenant={OWN_TENANT}&text={text}&limit=300"));
}

#[tokio::test(start_paused = true)]
async fn a_short_name_is_searched_in_the_subtree() {
    let mut partner = tenant_json(&id(2), "AB");
    partner["kind"] = json!("partner");
    let mut deleted = tenant_json(&id(3), "AB");
    deleted["deleted_at"] = json!("2026-01-01T00:00:00");
    let subtree = json!([
        tenant_json(OWN_TENANT, "AB"),
        tenant_json(&id(1), "AB"),
        partner,
        deleted,
        tenant_json(&id(4), "Ab"),
        {"id": id(5), "name": "broken, but of another name"},
    ]);
    let (found, targets) = find("AB", json!([]), subtree).await;
    assert_eq!(found, Ok(vec![id(1)]));
    assert_eq!(targets, [format!("/api/2/tenants?subtree_root_id={OWN_TENANT}&limit=100")]);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_may_have_cut_something_off_is_not_relied_on() {
    let mut hits: Vec<_> = (0..300).map(|number| hit(&id(number), "Acme GmbH & Co")).collect();
    hits[0] = hit(&id(0), "Acme GmbH");
    let (found, targets) = find("Acme GmbH", json!(hits), json!([tenant_json(&id(7), "Acme GmbH")])).await;
    assert_eq!(found, Ok(vec![id(7)]));
    assert_eq!(targets.len(), 2);
    let (found, targets) = find("Acme GmbH", json!(hits[..299]), json!([])).await;
    assert_eq!(found, Ok(vec![id(0)]));
    assert_eq!(targets.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_broken_second_match_is_not_overlooked() {
    for broken in [json!({"id": id(2), "name": "AB"}), json!({"id": id(2)}), json!(7)] {
        let (found, _) = find("AB", json!([]), json!([tenant_json(&id(1), "AB"), broken])).await;
        assert_eq!(class(found), ErrorClass::Malformed);
    }
    for broken in
        [hit_with(2, "kind", &Value::Null), json!({"obj_type": "tenant", "id": "?", "name": "x"}), json!(7)]
    {
        let (found, _) = find("Acme GmbH", json!([hit(&id(1), "Acme GmbH"), broken]), json!([])).await;
        assert_eq!(class(found), ErrorClass::Malformed);
    }
}
