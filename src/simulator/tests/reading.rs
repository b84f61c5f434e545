//! Batches, lists, single tenants and search.

use super::*;
use crate::simulator::{Fault, FaultAction, TenantKind};

/// What the contract requires of a tenant at the full level of detail, in a batch.
const FULL: [&str; 25] = [
    "id",
    "parent_id",
    "version",
    "created_at",
    "updated_at",
    "deleted_at",
    "contacts",
    "offering_items",
    "name",
    "kind",
    "enabled",
    "customer_type",
    "brand_id",
    "brand_uuid",
    "brand_enabled",
    "barrier",
    "internal_tag",
    "language",
    "has_children",
    "default_idp_id",
    "update_lock",
    "ancestral_access",
    "mfa_status",
    "pricing_mode",
    "contact",
];

#[tokio::test]
async fn a_batch_carries_all_that_the_contract_requires() {
    let caller = Caller::new().await;
    let owner = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
    let acme = caller.simulator.add_tenant(TenantSpec::customer("Acme").locked_by(owner));
    let batch = caller.get(&format!("/tenants?uuids={acme}")).await.json();
    assert_eq!(batch["timestamp"].as_str().unwrap().len(), 19);
    let item = &batch["items"][0];
    for field in FULL {
        assert!(item.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(item["name"], "Acme");
    assert_eq!(item["kind"], "customer");
    assert_eq!(item["pricing_mode"], "trial");
    assert_eq!(item["update_lock"], json!({"enabled": true, "owner_id": owner}));
    assert_eq!(item["production_start_date"], "2027-01-01T00:00:00");
    assert!(item.get("pricing_version").is_none(), "the pricing version comes with GET pricing only");

    let one = caller.get(&format!("/tenants/{acme}")).await.json();
    for field in FULL.into_iter().filter(|field| !matches!(*field, "offering_items" | "barrier")) {
        assert_eq!(one[field], item[field], "{field}");
    }
}

#[tokio::test]
async fn the_level_of_detail_is_kept() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let fields = async |detail: &str| {
        let batch = caller.get(&format!("/tenants?uuids={acme}&lod={detail}")).await.json();
        batch["items"][0].as_object().unwrap().len()
    };
    assert_eq!((fields("stamps").await, fields("basic").await), (8, 11));
    assert!(fields("full").await >= FULL.len());
}

#[tokio::test]
async fn a_batch_omits_unknown_deleted_and_invisible_tenants() {
    let caller = Caller::new().await;
    let seen = caller.add("Seen");
    let deleted = caller.add("Deleted");
    caller.simulator.update_tenant(&deleted, |tenant| tenant.deleted_at = Some(tenant.created_at));
    let hidden = caller.add("Hidden");
    caller.simulator.update_tenant(&hidden, |tenant| tenant.hidden = true);
    let omitted = caller.add("Omitted");
    caller.simulator.inject(Fault::new(FaultAction::OmitTenant).tenant(&omitted).times(1));
    let unknown = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
    let all = format!("uuids={seen},{deleted},{hidden},{omitted},{unknown}");
    assert_eq!(caller.ids(&all).await, std::slice::from_ref(&seen));
    let mut again = vec![seen, omitted.clone()];
    again.sort();
    assert_eq!(caller.ids(&all).await, again, "the omission was for one request");

    let status = async |id: &str| caller.get(&format!("/tenants/{id}")).await;
    assert_eq!(status(&deleted).await.error(), (404, 1005));
    assert_eq!(status(unknown).await.error(), (404, 1005));
    assert_eq!(status(&hidden).await.error(), (403, 1002));
    assert_eq!(status(&omitted).await.status, 200);
    assert_eq!(caller.get(&format!("/tenants/{deleted}?allow_deleted=true")).await.status, 200);
    assert_eq!(caller.ids(&format!("uuids={deleted}&allow_deleted=true")).await, [deleted]);
}

#[tokio::test]
async fn a_list_that_breaks_the_contract_is_refused() {
    let caller = Caller::new().await;
    let id = caller.add("Acme");
    let too_many = vec![id.clone(); 101].join(",");
    for query in [
        String::new(),
        "lod=full".to_owned(),
        format!("uuids={id}&parent_id={id}"),
        format!("uuids={id}&subtree_root_id={id}"),
        format!("parent_id={id}&subtree_root_id={id}"),
        format!("uuids={too_many}"),
        format!("uuids={}", id.to_uppercase()),
        format!("uuids={id},"),
        "uuids=".to_owned(),
        format!("uuids={id}&lod=everything"),
        format!("uuids={id}&limit=0"),
        format!("uuids={id}&allow_deleted=yes"),
        format!("uuids={id}&updated_since=yesterday"),
        format!("subtree_root_id={id}&include_relative_path=true"),
        "after=nonsense".to_owned(),
    ] {
        assert_eq!(caller.get(&format!("/tenants?{query}")).await.error(), (400, 400), "{query}");
    }
    let hundred = vec![id.clone(); 100].join(",");
    assert_eq!(caller.ids(&format!("uuids={hundred}")).await, [id]);
}

#[tokio::test]
async fn a_subtree_is_listed_level_by_level_and_page_by_page() {
    let caller = Caller::new().await;
    let root = caller.simulator.root_tenant();
    let partner = caller.simulator.add_tenant(TenantSpec::partner("Partner"));
    let deep = caller.simulator.add_tenant(TenantSpec::customer("Deep").below(&partner));
    let mut expected = vec![root.clone(), partner.clone()];
    expected.extend(caller.simulator.add_customers(7, "shop"));
    expected.push(deep.clone());

    let mut ids = Vec::new();
    let mut query = format!("subtree_root_id={root}&limit=4");
    let mut pages = 0;
    loop {
        let page = caller.get(&format!("/tenants?{query}")).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 4);
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["paging"]["cursors"]["after"].as_str() {
            Some(cursor) => query = format!("after={cursor}"),
            None => break,
        }
    }
    assert_eq!((ids, pages), (expected, 3));
    assert_eq!(caller.ids(&format!("subtree_root_id={partner}")).await, [partner.clone(), deep.clone()]);
    assert_eq!(caller.ids(&format!("parent_id={partner}")).await, std::slice::from_ref(&deep));
    let children = caller.get(&format!("/tenants/{partner}/children")).await.json();
    assert_eq!(children["items"], json!([deep]));
}

#[tokio::test]
async fn a_cursor_stands_alone() {
    let caller = Caller::new().await;
    caller.simulator.add_customers(3, "shop");
    let root = caller.simulator.root_tenant();
    let page = caller.get(&format!("/tenants?subtree_root_id={root}&limit=2")).await.json();
    let cursor = page["paging"]["cursors"]["after"].as_str().unwrap();
    assert_eq!(caller.get(&format!("/tenants?after={cursor}&limit=2")).await.error(), (400, 400));
    assert_eq!(caller.ids(&format!("after={cursor}")).await.len(), 2);
}

#[tokio::test]
async fn updated_since_does_not_notice_a_change_of_pricing() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let renamed = caller.add("Before");
    let since = caller.simulator.now();
    caller.switch(&acme).await;
    caller.simulator.update_tenant(&renamed, |tenant| tenant.name = "After".to_owned());
    let root = caller.simulator.root_tenant();
    assert_eq!(caller.ids(&format!("parent_id={root}&updated_since={since}")).await, [renamed]);
}

#[tokio::test]
async fn search_matches_beginnings_of_words_and_mixes_in_users() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme GmbH");
    caller.add("The ACME, Ltd");
    caller.add("Pacmen");
    caller.simulator.add_tenant(TenantSpec::partner("Acme GmbH"));
    let root = caller.simulator.root_tenant();
    let search = async |text: &str| {
        let answer = caller.get(&format!("/search?tenant={root}&text={text}&limit=300")).await.json();
        let items = answer["items"].as_array().unwrap().clone();
        items
            .into_iter()
            .filter(|item| item["obj_type"] == "tenant")
            .map(|item| format!("{} {}", item["kind"].as_str().unwrap(), item["name"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(search("acm").await, ["customer Acme GmbH", "customer The ACME, Ltd", "partner Acme GmbH"]);
    assert_eq!(search("Acme%20gmb").await, ["customer Acme GmbH", "partner Acme GmbH"]);
    assert!(search("cme").await.is_empty());
    assert!(search("%26%26%26").await.is_empty());

    let all = caller.get(&format!("/search?tenant={root}&text=Acme%20GmbH")).await.json();
    let users: Vec<&Value> =
        all["items"].as_array().unwrap().iter().filter(|item| item["obj_type"] == "user").collect();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["parent_id"], json!(acme));
    assert_eq!(users[0]["name"], "Acme GmbH", "a careless reader takes it for the tenant");
    assert!(all["items"][1].get("pricing_mode").is_none());
}

#[tokio::test]
async fn search_is_capped_and_skips_tenants_closed_to_parents() {
    let caller = Caller::new().await;
    caller.simulator.add_customers(200, "shop");
    let shut = caller.add("shop shut");
    caller.simulator.update_tenant(&shut, |tenant| tenant.ancestral_access = false);
    let root = caller.simulator.root_tenant();
    let hits = async |query: &str| {
        let answer = caller.get(&format!("/search?tenant={root}&text=shop{query}")).await.json();
        answer["items"].as_array().unwrap().len()
    };
    assert_eq!(hits("").await, 10);
    assert_eq!(hits("&limit=300").await, 300);
    assert_eq!(hits("%20shut").await, 0);
    assert_eq!(caller.ids(&format!("uuids={shut}")).await, [shut]);
}

#[tokio::test]
async fn a_search_that_breaks_the_contract_is_refused() {
    let caller = Caller::new().await;
    let root = caller.simulator.root_tenant();
    for query in [
        format!("tenant={root}&text=ab"),
        format!("tenant={root}"),
        "text=acme".to_owned(),
        format!("tenant={root}&text=acme&limit=0"),
        format!("tenant={root}&text=acme&limit=301"),
        "tenant=root&text=acme".to_owned(),
    ] {
        assert_eq!(caller.get(&format!("/search?{query}")).await.error(), (400, 400), "{query}");
    }
}

#[tokio::test]
async fn a_moved_tenant_is_found_at_its_new_place() {
    let caller = Caller::new().await;
    let partner = caller.simulator.add_tenant(TenantSpec::partner("Partner"));
    let acme = caller.add("Acme");
    caller.simulator.update_tenant(&acme, |tenant| tenant.parent_id.clone_from(&partner));
    assert_eq!(caller.ids(&format!("parent_id={partner}")).await, std::slice::from_ref(&acme));
    assert_eq!(
        caller.ids(&format!("parent_id={}", caller.simulator.root_tenant())).await,
        std::slice::from_ref(&partner)
    );

    // A circle, which a person can make by mistake, ends the walk as well.
    caller.simulator.update_tenant(&partner, |tenant| tenant.parent_id.clone_from(&acme));
    assert_eq!(caller.get(&format!("/tenants/{acme}")).await.error(), (403, 1002));
    let kinds = caller.simulator.customers().into_iter().map(|tenant| tenant.kind);
    assert_eq!(kinds.collect::<Vec<_>>(), [TenantKind::Customer]);
}
