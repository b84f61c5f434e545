//! Parses the platform's JSON. A missing or odd value is never guessed.

use std::{borrow::Cow, time::Duration};

use jiff::Timestamp;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

use super::{model::printable_word, time::parse_timestamp};
use crate::platform::{Lock, Mode, Pricing, PricingVersion, Tenant, TenantId, TenantKind};

/// The maximum length of an error code, in characters.
const MAX_CODE_CHARS: usize = 64;

/// The maximum length of a tenant's name, in bytes. A name in a manifest has at most 255 characters, of four bytes
/// each. Names are stored in ten thousand statuses, so an endless one must not fill the store.
pub(in crate::platform) const MAX_NAME_BYTES: usize = 1024;

/// An answer of the token endpoint.
#[derive(Deserialize)]
pub(in crate::platform) struct TokenWire {
    pub(in crate::platform) access_token: SecretString,
    #[serde(default)]
    pub(in crate::platform) expires_in: Option<Value>,
    #[serde(default)]
    pub(in crate::platform) expires_on: Option<Value>,
}

/// `GET /clients/{client_id}`.
#[derive(Deserialize)]
pub(in crate::platform) struct ClientWire {
    pub(in crate::platform) tenant_id: TenantId,
}

/// One page of tenants.
pub(in crate::platform) struct TenantPage {
    pub(in crate::platform) items: Vec<Result<Tenant, BrokenTenant>>,
    /// The cursor of the next page, if there is one.
    pub(in crate::platform) after: Option<String>,
}

/// A tenant that cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::platform) struct BrokenTenant {
    /// Its name, if that can be read.
    pub(in crate::platform) name: Option<String>,
}

/// A hit of the search.
#[derive(Deserialize)]
pub(in crate::platform) struct SearchHit {
    pub(in crate::platform) obj_type: String,
    pub(in crate::platform) id: TenantId,
    #[serde(default)]
    pub(in crate::platform) name: Option<String>,
    #[serde(default)]
    pub(in crate::platform) kind: Option<String>,
    #[serde(default)]
    pub(in crate::platform) deleted_at: Option<IgnoredAny>,
}

/// The answer of the search.
#[derive(Deserialize)]
pub(in crate::platform) struct SearchWire {
    pub(in crate::platform) items: Vec<SearchHit>,
}

/// Values that may be anything stay unparsed until they matter: a page has a hundred tenants with many fields, and few
/// of those are read.
#[derive(Deserialize)]
struct PageWire<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    #[serde(default)]
    paging: Option<PagingWire>,
}

#[derive(Deserialize)]
struct PagingWire {
    #[serde(default)]
    cursors: Option<CursorsWire>,
}

#[derive(Deserialize)]
struct CursorsWire {
    #[serde(default)]
    after: Option<String>,
}

#[derive(Deserialize)]
struct TenantWire<'a> {
    id: TenantId,
    name: String,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    enabled: bool,
    #[serde(default)]
    deleted_at: Option<IgnoredAny>,
    #[serde(default, borrow)]
    parent_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pricing_mode: Cow<'a, str>,
    #[serde(default, borrow)]
    update_lock: Option<&'a RawValue>,
    #[serde(default, borrow)]
    production_start_date: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LockWire<'a> {
    enabled: bool,
    #[serde(default, borrow)]
    owner_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PricingWire<'a> {
    #[serde(borrow)]
    mode: Cow<'a, str>,
    version: serde_json::Number,
    #[serde(default, borrow)]
    production_start_date: Option<&'a RawValue>,
}

/// Parses a body, which must be an object. The parser's error is dropped because it may quote the body.
pub(in crate::platform) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    // Serde would also accept a list, with the fields in the order of their declaration.
    if !is_object(body) {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Whether a body starts as an object does. Every answer of the platform is one.
pub(in crate::platform) fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// Whether the body of a 2xx is clearly foreign text, such as a login page. After byte order marks and blanks, it is
/// neither empty nor JSON. Truncated JSON counts as JSON.
pub(in crate::platform) fn is_other_text(body: &[u8]) -> bool {
    let mut body = body.trim_ascii_start();
    while let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        body = rest.trim_ascii_start();
    }
    match body.first() {
        None | Some(b'{' | b'[' | b'"') => false,
        // A single number or word is JSON.
        Some(_) => serde_json::from_slice::<Value>(body).is_err(),
    }
}

/// Whether a body is an error of the platform: an object with an object `error`, whose fields may all be missing.
/// The token endpoint may also send a word as its `error`. The name of an HTTP status without a description is a
/// gateway's word: frameworks answer `{"status": 403, "error": "Forbidden"}`.
pub(in crate::platform) fn is_error(body: &[u8], of_token_endpoint: bool) -> bool {
    let body: Option<Value> = parse(body);
    let Some(body) = body else { return false };
    let is_described = body.get("error_description").is_some();
    match body.get("error") {
        Some(Value::Object(_)) => true,
        Some(Value::String(word)) => {
            of_token_endpoint && !word.is_empty() && (is_described || !is_name_of_status(word))
        }
        _ => false,
    }
}

fn is_name_of_status(word: &str) -> bool {
    let names = (400..600).filter_map(|code| StatusCode::from_u16(code).ok()?.canonical_reason());
    names.into_iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Parses a part of a body, which must be an object.
fn part<'a, T: Deserialize<'a>>(part: &'a RawValue) -> Option<T> {
    parse(part.get().as_bytes())
}

/// The error code of a body: a number or a word at `error.code`, or `error` itself as the token endpoint sends it.
///
/// It is harmless by construction: reduced to ASCII letters, digits, `-`, `_` and `.`, and dropped when it is longer
/// than 64 characters.
pub(in crate::platform) fn error_code(body: &[u8]) -> Option<String> {
    let body: Value = parse(body)?;
    let error = body.get("error")?;
    let word = match error.get("code").unwrap_or(error) {
        Value::String(word) => word.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!word.is_empty() && word.len() <= MAX_CODE_CHARS).then(|| printable_word(&word))
}

/// Parses the answer about the client itself.
pub(in crate::platform) fn client(body: &[u8]) -> Option<ClientWire> {
    parse(body)
}

/// Parses the answer of the search.
pub(in crate::platform) fn search(body: &[u8]) -> Option<SearchWire> {
    parse(body)
}

/// Parses one tenant.
pub(in crate::platform) fn tenant(body: &[u8]) -> Option<Tenant> {
    parse(body).and_then(TenantWire::into_tenant)
}

/// Parses the pricing settings of one tenant.
pub(in crate::platform) fn pricing(body: &[u8]) -> Option<Pricing> {
    let wire: PricingWire = parse(body)?;
    Some(Pricing {
        mode: Mode::from(wire.mode.as_ref()),
        version: PricingVersion::from_json(&wire.version)?,
        production_start: instant(wire.production_start_date),
    })
}

/// Parses one page of tenants. A tenant that cannot be understood does not affect the others.
pub(in crate::platform) fn tenant_page(body: &[u8]) -> Option<TenantPage> {
    let page: PageWire<'_> = parse(body)?;
    let after = page.paging.and_then(|paging| paging.cursors).and_then(|cursors| cursors.after);
    let item = |item: &RawValue| {
        let tenant = part(item).and_then(TenantWire::into_tenant);
        tenant.ok_or_else(|| BrokenTenant { name: readable_name(item) })
    };
    Some(TenantPage {
        items: page.items.into_iter().map(item).collect(),
        after: after.filter(|cursor| !cursor.is_empty()),
    })
}

/// The lifetime of a token. `expires_in` is preferred because it needs no clock. `expires_on` is measured against
/// `answered`, the platform's own time. `None` when neither is usable.
pub(in crate::platform) fn token_life(token: &TokenWire, answered: Option<Timestamp>) -> Option<Duration> {
    let seconds = |value: &Option<Value>| match value {
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    let relative = seconds(&token.expires_in);
    let absolute = || Some(seconds(&token.expires_on)?.saturating_sub(answered?.as_second()));
    let life = relative.filter(|life| *life > 0).or_else(absolute)?;
    u64::try_from(life).ok().filter(|life| *life > 0).map(Duration::from_secs)
}

/// The name of a tenant that cannot be understood, if it has exactly one.
fn readable_name(item: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct NameWire {
        name: String,
    }
    part(item).map(|item: NameWire| item.name)
}

impl TenantWire<'_> {
    fn into_tenant(self) -> Option<Tenant> {
        if self.name.len() > MAX_NAME_BYTES {
            return None;
        }
        let lock: Option<LockWire> = match self.update_lock {
            Some(lock) => Some(part(lock)?),
            None => None,
        };
        Some(Tenant {
            id: self.id,
            name: self.name,
            kind: TenantKind::from(self.kind.as_ref()),
            enabled: self.enabled,
            // Any value but null means deleted, even if its time cannot be read.
            deleted: self.deleted_at.is_some(),
            parent_id: id(self.parent_id),
            mode: Mode::from(self.pricing_mode.as_ref()),
            lock: lock.filter(|lock| lock.enabled).map(|lock| Lock { owner: id(lock.owner_id) }),
            production_start: instant(self.production_start_date),
        })
    }
}

fn id(value: Option<&RawValue>) -> Option<TenantId> {
    text(value?)?.parse().ok()
}

/// An instant that is only displayed and decides nothing. One that cannot be read counts as missing.
fn instant(value: Option<&RawValue>) -> Option<Timestamp> {
    parse_timestamp(&text(value?)?)
}

/// The text of a value, if it is a string.
fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    // Only a string with an escape cannot be borrowed.
    let borrowed = serde_json::from_str(value.get()).map(Cow::Borrowed);
    borrowed.or_else(|_| serde_json::from_str(value.get()).map(Cow::Owned)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

    fn full() -> Value {
        json!({
            "id": ID, "name": "Acme GmbH", "kind": "customer", "enabled": true, "deleted_at": null,
            "parent_id": "a3b2c1d0-0000-4000-8000-000000000001", "pricing_mode": "trial", "version": 7,
            "update_lock": {"enabled": false, "owner_id": null}, "brand_id": null, "contacts": [],
            "production_start_date": "2026-12-31T00:00:00"
        })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut tenant = full();
        tenant[field] = value;
        tenant
    }

    fn read(value: &Value) -> Option<Tenant> {
        tenant(value.to_string().as_bytes())
    }

    #[test]
    fn a_tenant_is_read_with_all_that_matters() {
        let tenant = read(&full()).unwrap();
        assert_eq!(tenant.id.as_str(), ID);
        assert_eq!(tenant.name, "Acme GmbH");
        assert_eq!(tenant.kind, TenantKind::Customer);
        assert_eq!(tenant.mode, Mode::Trial);
        assert!(tenant.enabled && !tenant.deleted && tenant.lock.is_none());
        assert_eq!(tenant.production_start, parse_timestamp("2026-12-31T00:00:00Z"));
    }

    #[test]
    fn what_decides_over_a_switch_is_never_guessed() {
        for field in ["id", "name", "kind", "enabled", "pricing_mode"] {
            let mut tenant = full();
            tenant.as_object_mut().unwrap().remove(field);
            assert_eq!(read(&tenant), None, "without {field}");
            for odd in [Value::Null, json!(7), json!({}), json!([])] {
                assert_eq!(read(&with(field, odd.clone())), None, "{field}: {odd}");
            }
        }
        for lock in
            [json!("yes"), json!([false]), json!({}), json!({"enabled": "yes"}), json!({"owner_id": ID})]
        {
            assert_eq!(read(&with("update_lock", lock.clone())), None, "update_lock: {lock}");
        }
    }

    #[test]
    fn an_overlong_name_is_not_kept() {
        let longest = "\u{1f310}".repeat(255);
        assert_eq!(read(&with("name", json!(longest))).unwrap().name, longest);
        let overlong = json!("x".repeat(MAX_NAME_BYTES + 1));
        assert_eq!(read(&with("name", overlong.clone())), None);
        let page = json!({"items": [with("name", overlong), full()]});
        let page = tenant_page(page.to_string().as_bytes()).unwrap();
        assert!(page.items[0].is_err() && page.items[1].is_ok());
    }

    #[test]
    fn a_list_is_not_taken_for_an_object() {
        assert!(
            pricing(br#"["trial",7,null]"#).is_none()
                && pricing(br#" {"mode":"trial","version":7}"#).is_some()
        );
        let tenant = json!([ID, "Acme GmbH", "customer", true, null, null, "trial", null, null]);
        assert!(read(&tenant).is_none());
        let page = tenant_page(json!({"items": [tenant]}).to_string().as_bytes()).unwrap();
        assert_eq!(page.items, [Err(BrokenTenant { name: None })]);
    }

    #[test]
    fn any_deletion_time_means_deleted() {
        for time in [json!("2026-01-01T00:00:00"), json!("yesterday"), json!(0), json!(false)] {
            assert!(read(&with("deleted_at", time)).unwrap().deleted);
        }
    }

    #[test]
    fn a_lock_without_a_readable_owner_is_another_tenants() {
        let lock = |owner: Value| {
            read(&with("update_lock", json!({"enabled": true, "owner_id": owner}))).unwrap().lock
        };
        assert_eq!(lock(Value::Null), Some(Lock { owner: None }));
        assert_eq!(lock(json!("somebody")), Some(Lock { owner: None }));
        assert_eq!(lock(json!(ID.to_uppercase())), Some(Lock { owner: ID.parse().ok() }));
    }

    #[test]
    fn a_start_date_that_cannot_be_read_is_no_error() {
        for date in [Value::Null, json!(""), json!("soon"), json!(1_600_000_000)] {
            assert_eq!(read(&with("production_start_date", date)).unwrap().production_start, None);
        }
    }

    #[test]
    fn one_broken_tenant_does_not_take_the_others_with_it() {
        let page = json!({"timestamp": "x", "items": [full(), {"id": 7, "name": "Broken"}, 7, full()]});
        let page = tenant_page(page.to_string().as_bytes()).unwrap();
        let names: Vec<_> = page.items.into_iter().map(|item| item.map(|tenant| tenant.name)).collect();
        assert_eq!(
            names,
            [
                Ok("Acme GmbH".to_owned()),
                Err(BrokenTenant { name: Some("Broken".to_owned()) }),
                Err(BrokenTenant { name: None }),
                Ok("Acme GmbH".to_owned()),
            ]
        );
    }

    #[test]
    fn a_cursor_that_cannot_be_read_is_not_taken_for_the_end() {
        let after = |paging: Value| {
            let page = json!({"items": [], "paging": paging});
            tenant_page(page.to_string().as_bytes()).map(|page| page.after)
        };
        for end in [Value::Null, json!({}), json!({"cursors": null}), json!({"cursors": {"after": ""}})] {
            assert_eq!(after(end), Some(None));
        }
        assert_eq!(after(json!({"cursors": {"after": "c1"}})), Some(Some("c1".to_owned())));
        for odd in [json!(7), json!({"cursors": "c1"}), json!({"cursors": {"after": 7}})] {
            assert_eq!(after(odd.clone()), None, "{odd}");
        }
    }

    #[test]
    fn a_version_is_any_whole_number_of_64_bits() {
        let version = |text: &str| {
            let body = format!(
                r#"{{"mode":"trial","currency":null,"version":{text},"production_start_date":null}}"#
            );
            pricing(body.as_bytes()).map(|pricing| pricing.version)
        };
        for text in ["1596545223000", "-1", "0", "9223372036854775807", "18446744073709551615"] {
            assert_eq!(version(text).unwrap().to_string(), text);
        }
        for text in ["1.5", "1e3", "18446744073709551616", r#""7""#, "null"] {
            assert_eq!(version(text), None, "{text}");
        }
    }

    #[test]
    fn an_error_code_is_read_from_either_form_and_made_harmless() {
        let code = |body: &str| error_code(body.as_bytes());
        assert_eq!(code(r#"{"error":{"code":1001,"message":"m"}}"#).as_deref(), Some("1001"));
        assert_eq!(code(r#"{"error":{"code":"1001"}}"#).as_deref(), Some("1001"));
        assert_eq!(
            code(r#"{"error":"invalid_client","error_description":"d"}"#).as_deref(),
            Some("invalid_client")
        );
        assert_eq!(code(r#"{"error":{"code":"a\u001b[31m b"}}"#).as_deref(), Some("a??31m?b"));
        for body in [
            "",
            "Bad gateway",
            "{",
            "[]",
            "{}",
            r#"{"error":{}}"#,
            r#"{"error":null}"#,
            r#"{"error":{"code":null}}"#,
            r#"{"error":{"code":{}}}"#,
            r#"{"error":""}"#,
        ] {
            assert_eq!(code(body), None, "{body}");
        }
        let long = format!(r#"{{"error":{{"code":"{}"}}}}"#, "x".repeat(65));
        assert_eq!(code(&long), None);
    }

    #[test]
    fn the_life_of_a_token_is_read_from_either_form() {
        let answered = Some(Timestamp::from_second(1_000_000).unwrap());
        let life = |extra: &str, answered| {
            let token: TokenWire = parse(format!(r#"{{"access_token":"t"{extra}}}"#).as_bytes()).unwrap();
            token_life(&token, answered).map(|life| life.as_secs())
        };
        assert_eq!(life(r#","expires_in":7200"#, None), Some(7200));
        assert_eq!(life(r#","expires_in":"7200""#, None), Some(7200));
        assert_eq!(life(r#","expires_on":1007200"#, answered), Some(7200));
        assert_eq!(life(r#","expires_in":60,"expires_on":1007200"#, answered), Some(60));
        assert_eq!(life(r#","expires_in":null,"expires_on":1007200"#, answered), Some(7200));
        assert_eq!(life(r#","expires_on":1007200"#, None), None);
        assert_eq!(life(r#","expires_on":5"#, answered), None);
        assert_eq!(life(r#","expires_in":0"#, answered), None);
        assert_eq!(life(r#","expires_in":-5,"expires_on":"soon""#, answered), None);
        assert_eq!(life("", answered), None);
    }
}
