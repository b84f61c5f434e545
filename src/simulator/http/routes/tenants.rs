//! Tenants: by ids, by parent, by subtree, alone, and the ids of children.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::simulator::{
    answer::Answer,
    faults::action::FaultAction,
    http::{
        call::Call,
        context::Context,
        routes::tenant_view::{self, Detail},
    },
    state::tenant::TenantRecord,
};

const MAX_IDS: usize = 100;
const DEFAULT_LIMIT: usize = 5000;

/// The filter of a list.
#[derive(Clone, Serialize, Deserialize)]
enum Source {
    Ids(Vec<String>),
    Parent(String),
    Subtree(String),
}

/// One page of a list. The cursor for the next page is the same value, one page further.
#[derive(Clone, Serialize, Deserialize)]
struct Page {
    source: Source,
    detail: Detail,
    allow_deleted: bool,
    updated_since: Option<Timestamp>,
    limit: usize,
    offset: usize,
}

impl Page {
    fn cursor(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn at_cursor(cursor: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
    }
}

/// Reads many tenants.
pub(crate) fn list(context: &mut Context<'_>, call: &Call) -> Result<Answer, Answer> {
    let page = match call.argument("after") {
        Some(cursor) => follow(context, call, cursor)?,
        None => first_page(context, call)?,
    };
    let ids = match &page.source {
        Source::Ids(ids) => ids.clone(),
        Source::Parent(parent) => {
            context.visible_tenant(parent, page.allow_deleted)?;
            context.tenants.children(parent).to_vec()
        }
        Source::Subtree(root) => {
            context.visible_tenant(root, page.allow_deleted)?;
            context.tenants.subtree(root)
        }
    };
    let limit = context.habits.find(None, |action| match action {
        FaultAction::PageLimit { limit } => Some(*limit),
        _ => None,
    });
    let limit = limit.map_or(page.limit, |most| page.limit.min(most));

    let mut items = Vec::new();
    let mut offset = page.offset.min(ids.len());
    while let Some(id) = ids.get(offset)
        && items.len() < limit
    {
        offset += 1;
        let Some(tenant) = context.tenants.get(id, context.now).cloned() else { continue };
        if belongs(context, &page, &tenant) {
            items.push(tenant_view::item(context, &tenant, page.detail));
        }
    }
    let mut cursors = json!({});
    if offset < ids.len() {
        let repeated = context.habits.has(None, &FaultAction::RepeatedCursor);
        let next = Page { offset: if repeated { page.offset } else { offset }, ..page };
        cursors["after"] = json!(next.cursor());
    }
    let timestamp = context.time(None, context.now);
    Ok(Answer::ok(json!({"timestamp": timestamp, "items": items, "paging": {"cursors": cursors}})))
}

/// A cursor contains every filter. The contract allows no other parameter beside it.
fn follow(context: &mut Context<'_>, call: &Call, cursor: &str) -> Result<Page, Answer> {
    if let Some((other, _)) = call.query.iter().find(|(key, _)| key != "after") {
        return Err(context.refuse(400, 400, &format!("{other}: cannot stand beside after")));
    }
    Page::at_cursor(cursor).ok_or_else(|| context.refuse(400, 400, "after: is not a cursor of this platform"))
}

fn first_page(context: &mut Context<'_>, call: &Call) -> Result<Page, Answer> {
    let ids = call.argument("uuids");
    let parent = call.argument("parent_id");
    let subtree = call.argument("subtree_root_id");
    let source = match (ids, parent, subtree) {
        (Some(ids), None, None) => {
            let ids: Vec<&str> = ids.split(',').collect();
            if ids.len() > MAX_IDS {
                let info = format!("uuids: {} ids are more than {MAX_IDS}", ids.len());
                return Err(context.refuse(400, 400, &info));
            }
            for id in &ids {
                context.check_id("uuids", id)?;
            }
            let mut ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
            // The contract promises no order, so the order of the ids is not kept.
            ids.sort_unstable();
            ids.dedup();
            Source::Ids(ids)
        }
        (None, Some(parent), None) => {
            context.check_id("parent_id", parent)?;
            Source::Parent(parent.to_owned())
        }
        (None, None, Some(root)) => {
            context.check_id("subtree_root_id", root)?;
            Source::Subtree(root.to_owned())
        }
        (None, None, None) => {
            let info = "one of uuids, parent_id, subtree_root_id and after is needed";
            return Err(context.refuse(400, 400, info));
        }
        _ => return Err(context.refuse(400, 400, "uuids, parent_id and subtree_root_id exclude each other")),
    };
    let detail = match call.argument("lod") {
        None | Some("full") => Detail::Full,
        Some("basic") => Detail::Basic,
        Some("stamps") => Detail::Stamps,
        Some(_) => return Err(context.refuse(400, 400, "lod: is not one of stamps, basic, full")),
    };
    let limit = match call.argument("limit").map(str::parse) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit)) if limit >= 1 => limit,
        Some(_) => return Err(context.refuse(400, 400, "limit: is not a number from 1")),
    };
    let updated_since = match call.argument("updated_since").map(str::parse) {
        None => None,
        Some(Ok(since)) => Some(since),
        Some(Err(_)) => return Err(context.refuse(400, 400, "updated_since: is not an RFC 3339 instant")),
    };
    for flag in ["with_contacts", "with_offering_items", "with_infra_offering_items", "expand_offering_items"]
    {
        call.flag(flag)?;
    }
    if call.flag("include_relative_path")? && !matches!(source, Source::Ids(_)) {
        return Err(context.refuse(400, 400, "include_relative_path: goes with uuids only"));
    }
    let allow_deleted = call.flag("allow_deleted")?;
    Ok(Page { source, detail, allow_deleted, updated_since, limit, offset: 0 })
}

/// Whether the tenant is in the list for this caller. Others are omitted silently.
fn belongs(context: &mut Context<'_>, page: &Page, tenant: &TenantRecord) -> bool {
    if !context.sees(tenant) || (tenant.deleted_at.is_some() && !page.allow_deleted) {
        return false;
    }
    let recent = page.updated_since.is_none_or(|since| {
        let counts = tenant.pricing.version > since.as_millisecond()
            && context.habits.has(Some(&tenant.id), &FaultAction::PricingCountsAsUpdate);
        tenant.updated_at > since || counts
    });
    recent && !context.habits.has(Some(&tenant.id), &FaultAction::OmitTenant)
}

/// Reads one tenant.
pub(crate) fn one(context: &mut Context<'_>, call: &Call, id: &str) -> Result<Answer, Answer> {
    call.flag("embed_path")?;
    let tenant = context.visible_tenant(id, call.flag("allow_deleted")?)?;
    let mut item = tenant_view::item(context, &tenant, Detail::Full);
    if let Some(fields) = item.as_object_mut() {
        fields.remove("offering_items");
        fields.remove("barrier");
    }
    Ok(Answer::ok(item))
}

/// Reads the ids of a tenant's direct children.
pub(crate) fn children(context: &mut Context<'_>, call: &Call, id: &str) -> Result<Answer, Answer> {
    let allow_deleted = call.flag("allow_deleted")?;
    context.visible_tenant(id, allow_deleted)?;
    let ids = context.tenants.children(id).to_vec();
    let shown: Vec<String> = ids
        .into_iter()
        .filter(|id| {
            let child = context.tenants.get(id, context.now).cloned();
            child.is_some_and(|child| context.sees(&child) && (allow_deleted || child.deleted_at.is_none()))
        })
        .collect();
    Ok(Answer::ok(json!({ "items": shown })))
}
