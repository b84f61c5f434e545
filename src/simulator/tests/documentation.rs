//! The user documentation and the code know the same faults.

use std::collections::BTreeSet;

use super::*;
use crate::simulator::{Fault, FaultAction, TenantsFile};

const PAGE: &str = include_str!("../../../docs/simulator.md");

/// The fenced blocks in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .collect()
}

/// The names in backquotes that begin a row of a table.
fn first_cells() -> BTreeSet<String> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

/// Every fault in the code, from the refusal of an unknown one.
fn known() -> BTreeSet<String> {
    let refusal = serde_json::from_str::<FaultAction>(r#"{"type": "?"}"#).unwrap_err().to_string();
    let names = refusal.split('`').skip(1).step_by(2).filter(|name| *name != "?");
    names.map(str::to_owned).collect()
}

#[test]
fn every_fault_is_documented_and_every_documented_fault_exists() {
    let known = known();
    assert!(known.len() > 30, "{known:?}");
    let faults: BTreeSet<String> =
        first_cells().into_iter().filter(|name| name.starts_with(char::is_uppercase)).collect();
    assert_eq!(faults, known);
}

#[test]
fn every_fault_in_a_table_has_an_example_that_is_taken() {
    for line in PAGE.lines().filter(|line| line.starts_with("| `") && line.contains("{\"type\"")) {
        let example = line.split('`').find(|part| part.starts_with("{\"type\"")).unwrap();
        let action: FaultAction =
            serde_json::from_str(example).unwrap_or_else(|error| panic!("{error}: {example}"));
        Fault::new(action).check().unwrap();
        let name = line.split('`').nth(1).unwrap();
        assert!(example.contains(&format!("\"{name}\"")), "{line}");
    }
}

#[test]
fn every_tenants_file_on_the_page_is_taken() {
    let files =
        blocks("yaml").into_iter().filter(|block| block.contains("tenants:") || block.contains("customers:"));
    let files: Vec<_> = files.collect();
    assert!(!files.is_empty());
    for file in files {
        TenantsFile::parse(file).unwrap_or_else(|error| panic!("{error}\n{file}"));
    }
}

#[tokio::test]
async fn every_curl_on_the_page_is_answered_as_it_should() {
    let caller = Caller::new().await;
    caller.simulator.add_tenant(TenantSpec::customer("Acme").id("0fcd4a69-8a40-4de8-b711-d9c83dc000f7"));
    let mut tried = 0;
    for line in blocks("sh").iter().flat_map(|block| block.lines()).filter(|line| line.starts_with("curl ")) {
        let (method, rest) = match line.split_once("-X ") {
            Some((_, rest)) => rest.split_once(' ').unwrap(),
            None => ("GET", line),
        };
        let path = rest.split_once("$SIMULATOR").unwrap().1.split([' ', '\'', '"']).next().unwrap();
        let body =
            line.split_once("-d '").map(|(_, rest)| rest.split('\'').next().unwrap()).unwrap_or_default();
        let method: reqwest::Method =
            if body.is_empty() || method != "GET" { method } else { "POST" }.parse().unwrap();
        let url = format!("{}{path}", caller.simulator.url());
        let heard = Heard::from(caller.http.request(method, url).body(body).send().await.unwrap()).await;
        assert_eq!(heard.status, 200, "{line}\n{}", heard.text);
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
}
