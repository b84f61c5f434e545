//! Generators and the corpus for tests with adversarial input.
//!
//! A property is tried on random inputs, which differ in each run (`PROPTEST_CASES=100000` sets their number). It is
//! always tried on the files below `tests/corpus` as well: inputs that failed once, and inputs that are known to be
//! difficult. What a run finds belongs there, under a name that says what it is. The folders have the layout of
//! cargo-fuzz.

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value};

/// Marks text that must not be repeated. No error code can look like it.
pub(crate) const MARK: &str = "LEAK~5eed";

/// The number of cases per property, unless the environment sets it.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { usual };
    // Failing inputs are kept in the corpus by hand, with a name.
    ProptestConfig { cases, failure_persistence: None, ..default }
}

/// The files of one folder of the corpus, with their names.
pub(crate) fn corpus(of: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(of);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    assert!(!files.is_empty(), "{of} has no corpus");
    files.sort();
    files
}

/// The same for input that can only be text.
pub(crate) fn corpus_texts(of: &str) -> Vec<(String, String)> {
    let text = |(name, bytes): (String, Vec<u8>)| (name, String::from_utf8_lossy(&bytes).into_owned());
    corpus(of).into_iter().map(text).collect()
}

/// Texts: random ones, and words with a meaning somewhere.
pub(crate) fn text() -> impl Strategy<Value = String> + Clone {
    const WORDS: &[&str] = &[
        "",
        " ",
        "0",
        "-1",
        "trial",
        "production",
        "suspended",
        "customer",
        "tenant",
        "InFlight",
        "Scheduled",
        "Completed",
        "True",
        "False",
        "Unknown",
        "Ready",
        "Production",
        "Stalled",
        "Reconciling",
        "null",
        "0fcd4a69-8a40-4de8-b711-d9c83dc000f7",
        "11111111-2222-4333-8444-555555555555",
        "9999-12-31T23:59:59Z",
        "-009999-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2026-12-01T00:00:00",
        "0000-00-00T00:00:00Z",
        "+262143-01-01T00:00:00Z",
        "2026-11-23T10:00:00.999999999Z",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "https://eu2-cloud.acronis.com",
        "http://[::1]:0",
        "1001",
        "2562047h47m16s",
        "1s-5s",
        "1e999h",
        "NaNs",
        "99999999999999999999999999h",
        "0x10",
        "\u{0}",
        "\u{1b}[31m",
        "\u{202e}",
        "\r\n",
        MARK,
    ];
    prop_oneof![
        3 => select(WORDS).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => "[ -~]{0,40}",
        1 => (select(WORDS), 1_usize..3000).prop_map(|(word, times)| word.repeat(times)),
    ]
}

fn leaf() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(&[0_i64, 1, -1, 253_402_207_200, -377_705_023_201, i64::MAX, i64::MIN][..])
            .prop_map(Value::from),
        text().prop_map(Value::from),
    ]
}

/// Any JSON.
pub(crate) fn json() -> impl Strategy<Value = Value> + Clone {
    leaf().prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((text(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A document in which up to three values are missing or replaced.
pub(crate) fn nearly(document: Value) -> impl Strategy<Value = Value> + Clone {
    vec((any::<prop::sample::Index>(), prop::option::of(json())), 0..=3).prop_map(move |edits| {
        let mut document = document.clone();
        for (place, replacement) in edits {
            let pointers = pointers(&document);
            let pointer = &pointers[place.index(pointers.len())];
            match (replacement, pointer.rsplit_once('/')) {
                (None, Some((parent, field))) => {
                    if let Some(Value::Object(fields)) = document.pointer_mut(parent) {
                        fields.remove(&field.replace("~1", "/").replace("~0", "~"));
                    }
                }
                (replacement, _) => *document.pointer_mut(pointer).unwrap() = replacement.unwrap_or_default(),
            }
        }
        document
    })
}

fn pointers(value: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let below = |step: &str, value: &Value| {
        let step = step.replace('~', "~0").replace('/', "~1");
        pointers(value).into_iter().map(move |pointer| format!("/{step}{pointer}")).collect::<Vec<_>>()
    };
    match value {
        Value::Array(items) => {
            all.extend(items.iter().enumerate().flat_map(|(index, item)| below(&index.to_string(), item)));
        }
        Value::Object(fields) => all.extend(fields.iter().flat_map(|(name, value)| below(name, value))),
        _ => {}
    }
    all
}

/// Bodies: random bytes, random JSON, and truncated JSON.
pub(crate) fn body() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        vec(any::<u8>(), 0..300),
        json().prop_map(|value| value.to_string().into_bytes()),
        (json(), any::<prop::sample::Index>()).prop_map(|(value, end)| {
            let mut bytes = value.to_string().into_bytes();
            bytes.truncate(end.index(bytes.len() + 1));
            bytes
        }),
    ]
}
