//! YAML means the same to the command line as to `kubectl`.

use std::io;

use serde_json::Value;
use tenant_pricing_controller::cli::manifests::{self, ReadOptions};

use crate::harness::Test;

/// Texts whose type is not obvious. Each is the value of a field.
const SCALARS: &[&str] = &[
    "0755",
    "0o17",
    "1_000",
    "0x1F",
    "0b11",
    "-0b11",
    "+1",
    "-0",
    "1.",
    ".5",
    "1e3",
    "1E3",
    "1e-3",
    "12:30:45",
    "190:20:30",
    "0o8",
    "08",
    "09.5",
    "0xZZ",
    "1e20",
    "-9223372036854775808",
    "007",
    "00",
    "0.0",
    "1.0",
    "-.5",
    "1e400x",
    "0777777",
    "-017",
    "_1",
    "0_7",
    "y",
    "Y",
    "yes",
    "Yes",
    "YES",
    "n",
    "N",
    "no",
    "on",
    "On",
    "ON",
    "off",
    "Off",
    "OFF",
    "true",
    "True",
    "TRUE",
    "null",
    "Null",
    "NULL",
    "~",
    "nULL",
    "",
    "2026-12-01",
    "2026-12-01T00:00:00Z",
    "2026-12-01 00:00:00",
    "2001-12-14t21:59:43.10-05:00",
    "\"yes\"",
    "'1'",
    "!!str 1",
    "!!str yes",
    "!!int \"5\"",
    "!!float 1",
    "!!bool \"true\"",
    "!!null \"\"",
    "!!binary aGVsbG8=",
    "! 5",
    "{<<: {a: 1, b: 2}, b: 3}",
    "{<<: [{a: 1}, {a: 2, c: 4}], z: 1}",
    "{1: a, 1.5: b, true: c, 0x10: d}",
    "{a, b: , c: x}",
    ">-\n    folded\n    text",
    "|+\n    kept\n",
    "plain\n    over lines",
    "\"tab\\t\\u00e9 \\x41 \\\n    joined\"",
];

/// Texts that mean another value to `kubectl`, each with both. All of them are numbers or booleans in a notation that
/// YAML does not have, so a person who writes one means a text.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("tRUE", r#""tRUE""#, "true"),
    ("yEs", r#""yEs""#, "true"),
    ("0X1F", "31", r#""0X1F""#),
    ("1__0", "10", r#""1__0""#),
    ("1_0.5", "10.5", r#""1_0.5""#),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_scalar_means_what_it_means_to_kubectl() {
    let test = Test::new("yaml").await;
    let texts: Vec<&str> = SCALARS.iter().copied().chain(DIFFERENT.iter().map(|(text, ..)| *text)).collect();
    let mut manifest =
        "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {name: acme}\nspec:\n"
            .to_owned();
    manifest.extend(texts.iter().enumerate().map(|(number, text)| format!("  v{number}: {text}\n")));

    let arguments = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"];
    let sent = test.kubectl_with(&arguments, &manifest).await.success();
    let sent: Value = serde_json::from_str(&sent).unwrap();
    let options = ReadOptions { default_namespace: Some(test.namespace.clone()), ..ReadOptions::default() };
    let read = manifests::read(&["-".into()], &options, &mut io::Cursor::new(manifest));
    assert_eq!(read.problems, []);
    for (number, text) in texts.iter().enumerate() {
        let field = format!("v{number}");
        let (sent, read) = (&sent["spec"][&field], &read.objects[0].value["spec"][&field]);
        match DIFFERENT.iter().find(|(different, ..)| different == text) {
            Some((_, theirs, ours)) => {
                assert_eq!(
                    (sent.to_string(), read.to_string()),
                    ((*theirs).into(), (*ours).into()),
                    "{text}"
                );
            }
            None => assert_eq!(sent.to_string(), read.to_string(), "{text}"),
        }
    }
    test.abandon();
}
