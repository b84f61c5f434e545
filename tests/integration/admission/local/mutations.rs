//! Manifests and edits made at random, from valid ones.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

/// The fields of both specs, and some that are none.
const FIELDS: &[(&str, &str)] = &[
    ("TenantPricing", "/spec/tenant"),
    ("TenantPricing", "/spec/tenant/id"),
    ("TenantPricing", "/spec/tenant/name"),
    ("TenantPricing", "/spec/mode"),
    ("TenantPricing", "/spec/switch"),
    ("TenantPricing", "/spec/switch/at"),
    ("TenantPricing", "/spec/switch/notBefore"),
    ("TenantPricing", "/spec/connectionRef"),
    ("TenantPricing", "/spec/connectionRef/name"),
    ("TenantPricing", "/spec/connectionRef/namespace"),
    ("TenantPricing", "/spec/suspend"),
    ("PlatformConnection", "/spec/url"),
    ("PlatformConnection", "/spec/credentialsSecretRef"),
    ("PlatformConnection", "/spec/credentialsSecretRef/name"),
    ("PlatformConnection", "/spec/allowedNamespaces"),
    ("PlatformConnection", "/spec/allowedNamespaces/from"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector/matchLabels"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector/matchLabels/billing"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector/matchExpressions"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector/matchExpressions/0"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector/matchExpressions/0/key"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector/matchExpressions/0/operator"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector/matchExpressions/0/values"),
    ("PlatformConnection", "/spec/allowedNamespaces/selector/matchExpressions/0/values/0"),
    ("PlatformConnection", "/spec/requestsPerSecond"),
    ("PlatformConnection", "/spec/pollInterval"),
    ("PlatformConnection", "/spec/switch"),
    ("PlatformConnection", "/spec/switch/at"),
    ("PlatformConnection", "/spec/switch/budget"),
    ("PlatformConnection", "/spec/switch/budget/count"),
    ("PlatformConnection", "/spec/switch/budget/window"),
    ("PlatformConnection", "/spec/caBundle"),
    ("PlatformConnection", "/spec/suspend"),
];

/// The fields that are changed in any object, besides those of its spec.
const ANYWHERE: &[&str] = &[
    "/spec",
    "/spec/unknown",
    "/spec/switch/unknown",
    "/spec/tenant/unknown",
    "/spec/allowedNamespaces/selector/unknown",
    "/unknown",
    "/status",
    "/status/unknown",
    "/metadata/labels",
    "/metadata/labels/team",
    "/metadata/labels/example.com~1team",
    "/metadata/labels/-team-",
    "/metadata/labels/Example.com~1team",
    "/metadata/annotations",
    "/metadata/annotations/note",
    "/metadata/annotations/a b",
    "/metadata/annotations/~1team",
    "/metadata/annotations/a~1b~1c",
    "/metadata/finalizers",
    "/metadata/unknown",
];

/// A valid `TenantPricing` in which every field is set. Its metadata is the caller's.
pub(super) fn tenant_pricing() -> Value {
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing", "metadata": {},
        "spec": {
            "tenant": {"name": "Acme GmbH"},
            "mode": "production",
            "switch": {"at": "MonthStart", "notBefore": "2026-12-01T00:00:00Z"},
            "connectionRef": {"name": "eu2", "namespace": "platform"},
            "suspend": false,
        },
    })
}

/// A valid `PlatformConnection` in which every field is set.
pub(super) fn platform_connection() -> Value {
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection", "metadata": {},
        "spec": {
            "url": "https://eu2-cloud.acronis.com",
            "credentialsSecretRef": {"name": "eu2-client"},
            "allowedNamespaces": {"from": "Selector", "selector": {
                "matchLabels": {"billing": "acronis"},
                "matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["sandbox"]}],
            }},
            "requestsPerSecond": 10,
            "pollInterval": "10m",
            "switch": {"at": "Immediately", "budget": {"count": 3, "window": "1h"}},
            "caBundle": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "suspend": true,
        },
    })
}

/// Changes objects at random.
pub(super) struct Mutator {
    random: StdRng,
}

impl Mutator {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        choices.choose(&mut self.random).unwrap()
    }

    /// A manifest, mostly with one to three faults.
    pub(super) fn manifest(&mut self, name: &str, namespace: &str) -> Value {
        let mut object = if self.random.random() { tenant_pricing() } else { platform_connection() };
        object["metadata"] = json!({"name": name, "namespace": namespace});
        if self.random.random_ratio(1, 20) {
            object["metadata"]["name"] = self.text().into();
        }
        self.change(&mut object);
        object
    }

    /// An edit of a stored object.
    pub(super) fn edited(&mut self, stored: &Value) -> Value {
        let mut object = stored.clone();
        self.change(&mut object);
        object
    }

    fn change(&mut self, object: &mut Value) {
        for _ in 0..self.random.random_range(1..=3) {
            let kind = object["kind"].as_str().unwrap_or_default();
            let own: Vec<&str> =
                FIELDS.iter().filter(|(of, _)| *of == kind).map(|(_, pointer)| *pointer).collect();
            let pointer =
                if self.random.random_ratio(1, 5) { self.one_of(ANYWHERE) } else { self.one_of(&own) };
            let (around, name) = pointer.rsplit_once('/').unwrap();
            let name = name.replace("~1", "/");
            let value = self.value(&name);
            let is_gone = self.random.random_ratio(1, 8);
            match object.pointer_mut(around) {
                Some(Value::Object(fields)) if is_gone => {
                    // Sometimes under a name that is only similar.
                    if let (Some(value), true) = (fields.remove(&name), self.random.random()) {
                        fields.insert(name.to_uppercase(), value);
                    }
                }
                Some(Value::Object(fields)) => {
                    fields.insert(name, value);
                }
                Some(Value::Array(items)) => items.push(value),
                // A change before this one took its place away.
                _ => {}
            }
        }
    }

    /// A value for a field: mostly one that is nearly right, sometimes any.
    fn value(&mut self, name: &str) -> Value {
        if self.random.random_ratio(1, 4) {
            return self.any_value();
        }
        let texts: &[&str] = match name {
            "id" => &[
                "0fcd4a69-8a40-4de8-b711-d9c83dc000f7",
                "0FCD4A69-8A40-4DE8-B711-D9C83DC000F7",
                "0fcd4a69",
                "",
            ],
            "mode" => &["trial", "production", "Production", "suspended", ""],
            "at" => &["Immediately", "MonthStart", "monthstart", ""],
            "from" => &["Same", "All", "Selector", "same"],
            "operator" => &["In", "NotIn", "Exists", "DoesNotExist", "Equals"],
            "notBefore" => return self.time().into(),
            "pollInterval" | "window" => return self.duration().into(),
            "url" => return self.url().into(),
            "requestsPerSecond" | "count" => return self.number(),
            "suspend" => return self.random.random::<bool>().into(),
            "spec" | "tenant" | "switch" | "budget" | "selector" | "connectionRef" | "allowedNamespaces"
            | "0" => {
                return self.mapping();
            }
            "values" | "matchExpressions" | "finalizers" => return self.list(),
            "matchLabels" | "labels" | "annotations" => return self.mapping(),
            _ => return self.text().into(),
        };
        (*self.one_of(texts)).into()
    }

    fn any_value(&mut self) -> Value {
        match self.random.random_range(0..8) {
            0 => Value::Null,
            1 => self.random.random::<bool>().into(),
            2 | 3 => self.number(),
            4 => self.list(),
            5 => self.mapping(),
            _ => self.text().into(),
        }
    }

    fn number(&mut self) -> Value {
        let numbers = [
            json!(0),
            json!(-1),
            json!(1),
            json!(1000),
            json!(1001),
            json!(1_000_001),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(0.5),
            json!(10.0),
            json!(1e21),
            json!(9_007_199_254_740_993.0),
        ];
        self.one_of(&numbers).clone()
    }

    fn list(&mut self) -> Value {
        let text = self.text();
        let lists = [
            json!([]),
            json!([text]),
            json!(["a", "b"]),
            json!([1]),
            json!([null]),
            json!([{}]),
            json!([{"key": "a", "operator": "In", "values": ["b"]}]),
            json!([{"key": "a", "operator": "Exists"}, {"key": "", "operator": "In", "unknown": 1}]),
            json!(vec!["a"; 65]),
            json!(vec![json!({"key": "a", "operator": "Exists"}); 33]),
        ];
        self.one_of(&lists).clone()
    }

    fn mapping(&mut self) -> Value {
        let (first, second) = (self.text(), self.text());
        let many: serde_json::Map<String, Value> =
            (0..33).map(|number| (format!("key-{number}"), "a".into())).collect();
        let mappings = [
            json!({}),
            json!({"a": "b"}),
            json!({"name": first}),
            json!({"id": first, "name": second}),
            json!({first.clone(): second}),
            json!({"matchLabels": {first: "a"}}),
            json!({"at": null, "budget": {"count": null}}),
            json!({"tenant": {"name": second}, "url": "https://a.example", "credentialsSecretRef": {"name": "s"}}),
            many.into(),
        ];
        self.one_of(&mappings).clone()
    }

    fn text(&mut self) -> String {
        let lengths = [62, 63, 64, 253, 254, 255, 256, 317, 318, 1024, 1025, 2049, 16385];
        let texts = [
            "",
            " ",
            "a",
            "acme",
            "Acme GmbH",
            "a.b",
            "a..b",
            "-a",
            "a-",
            "a_b",
            "a/b",
            "a/b/c",
            "/a",
            "a/",
            "A/b",
            "\n",
            "a\tb",
            "\u{7f}",
            "\u{0}",
            "\u{85}",
            "\u{a0}",
            "\u{200b}",
            "ä",
            "e\u{301}",
            "株式会社",
            "\u{1f600}",
            "\u{fffd}",
            "\u{e000}",
            "<a&b>",
            "\"quoted\"",
            "back\\slash",
            "%",
            "true",
            "1",
            "null",
            "https://a.example",
            "10m",
            "{{ a }}",
            "a b",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nPRIVATE KEY-----",
        ];
        if self.random.random_ratio(1, 5) {
            let letter = *self.one_of(&["a", "ä", "株"]);
            return letter.repeat(*self.one_of(&lengths));
        }
        (*self.one_of(&texts)).to_owned()
    }

    fn time(&mut self) -> String {
        let date = *self.one_of(&[
            "2026-12-01",
            "2000-01-01",
            "1999-12-31",
            "2199-12-31",
            "2200-01-01",
            "0000-01-01",
            "9999-12-31",
            "2026-02-29",
            "2028-02-29",
            "2026-13-01",
            "2026-1-1",
            "26-12-01",
            "12026-12-01",
            "",
        ]);
        let between = *self.one_of(&["T", "T", "T", "T", "t", " ", ""]);
        let time = *self
            .one_of(&["00:00:00", "23:59:59", "24:00:00", "23:60:00", "23:59:60", "0:00:00", "00:00", ""]);
        let fraction = *self.one_of(&[
            "",
            "",
            "",
            ".5",
            ",5",
            ".123456789",
            ".1234567890",
            ".",
            "x5",
            "ä5",
            ".5x",
            "\\5",
            "\"5",
        ]);
        let zone = *self.one_of(&[
            "Z", "Z", "Z", "z", "", "+00:00", "-23:59", "+24:00", "-24:60", "+25:00", "+00:61", "+0000",
            "ZtX", "Z ",
        ]);
        format!("{date}{between}{time}{fraction}{zone}")
    }

    fn duration(&mut self) -> String {
        let units = ["h", "m", "s", "ms", "us", "d", ""];
        let numbers =
            ["0", "1", "9", "10", "24", "59", "60", "744", "745", "99999", "100000", "1.5", "-1", "007"];
        let count = self.random.random_range(0..=5);
        (0..count).flat_map(|_| [*self.one_of(&numbers), *self.one_of(&units)]).collect()
    }

    fn url(&mut self) -> String {
        let scheme =
            *self.one_of(&["https://", "https://", "https://", "http://", "HTTPS://", "ftp://", "//", ""]);
        let user = *self.one_of(&["", "", "", "", "a:b@", "@"]);
        let host = *self.one_of(&[
            "eu2-cloud.acronis.com",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "[::1",
            "::1",
            "[a]",
            "[é]",
            "a..b",
            "a.",
            "-a",
            "a-",
            "é.example",
            "xn--9ca.example",
            "a b",
            "a_b",
            "",
        ]);
        let port = *self.one_of(&["", "", "", ":443", ":0", ":65535", ":65536", ":", ":a"]);
        let after = *self.one_of(&["", "", "", "/", "/api", "?a", "#a", "\n", " ", "\\"]);
        format!("{scheme}{user}{host}{port}{after}")
    }
}
