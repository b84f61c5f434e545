//! Each value is explained, checked and tried: no file of the chart knows a value that another one lacks.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, future, stream};
use serde_json::Value;

use super::{
    AT_ONCE, CHART,
    values::{ALTERNATIVES, EVERYTHING, file},
};
use crate::harness::{Output, Test};

/// A value of the chart: its path, its default, and the comment above it.
struct Documented {
    default: Value,
    comment: Option<String>,
}

/// The values of `values.yaml` that a user sets, by their paths. A map is one value if it has a comment of its own or
/// is empty; otherwise its parts are the values.
fn documented() -> BTreeMap<String, Documented> {
    let text = file("charts/tenant-pricing-controller/values.yaml");
    let comments = comments(&text);
    let mut found = BTreeMap::new();
    collect(&serde_saphyr::from_str(&text).unwrap(), "", &comments, &mut found);
    assert!(found.len() > 70, "only {} values were found", found.len());
    found
}

fn collect(
    value: &Value,
    path: &str,
    comments: &BTreeMap<String, String>,
    found: &mut BTreeMap<String, Documented>,
) {
    for (name, default) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}").trim_start_matches('.').to_owned();
        let comment = comments.get(&path).cloned();
        let has_parts = default.as_object().is_some_and(|parts| !parts.is_empty());
        if has_parts && comment.is_none() {
            collect(default, &path, comments, found);
        } else {
            found.insert(path, Documented { default: default.clone(), comment });
        }
    }
}

/// What helm-docs takes as the description of each value: the lines of the comment that begins with `# --`.
fn comments(text: &str) -> BTreeMap<String, String> {
    let (mut found, mut parents, mut comment) = (BTreeMap::new(), Vec::<String>::new(), None::<String>);
    for line in text.lines() {
        let written = line.trim_start();
        if let Some(first) = written.strip_prefix("# -- ") {
            comment = Some(first.to_owned());
        } else if let Some(next) = written.strip_prefix("# ") {
            if let (Some(comment), false) = (&mut comment, next.starts_with('@')) {
                comment.push(' ');
                comment.push_str(next);
            }
        } else {
            if let Some((name, _)) = written.split_once(':').filter(|_| !written.starts_with('-')) {
                parents.truncate((line.len() - written.len()) / 2);
                parents.push(name.to_owned());
                if let Some(comment) = comment.take() {
                    found.insert(parents.join("."), comment);
                }
            }
            comment = None;
        }
    }
    found
}

/// The part of the schema for a value.
fn schema_of<'a>(schema: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(schema, |schema, name| &schema["properties"][name])
}

/// The paths of everything that the schema lets a user write as an object's property, and has not renamed.
fn properties(schema: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if property["deprecated"] != true {
            let path = format!("{path}.{name}").trim_start_matches('.').to_owned();
            properties(property, &path, found);
            found.insert(path, property.clone());
        }
    }
}

fn schema() -> Value {
    serde_json::from_str(&file("charts/tenant-pricing-controller/values.schema.json")).unwrap()
}

/// The JSON pointer of a path.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

#[test]
fn the_schema_says_of_each_value_what_its_comment_says() {
    let schema = schema();
    for (path, value) in documented() {
        let comment = value.comment.unwrap_or_else(|| panic!("values.yaml: {path} has no comment `# --`"));
        let described = schema_of(&schema, &path)["description"].as_str().unwrap_or_default().to_owned();
        assert_eq!(described, comment, "values.schema.json (left) and values.yaml (right): {path}");
    }
}

#[test]
fn the_schema_knows_no_value_that_the_chart_lacks() {
    let (mut all, documented) = (BTreeMap::new(), documented());
    properties(&schema(), "", &mut all);
    for (path, property) in all {
        let text = property["description"].as_str().unwrap_or_default();
        assert!(text.len() > 10, "values.schema.json: {path} has no description");
        let is_a_part = documented.keys().any(|value| path.starts_with(&format!("{value}.")));
        let is_a_parent = documented.keys().any(|value| value.starts_with(&format!("{path}.")));
        // Helm alone reads it, in a parent chart.
        let is_known = documented.contains_key(&path) || is_a_part || is_a_parent || path == "enabled";
        assert!(is_known, "values.yaml lacks {path}, which values.schema.json admits");
    }
}

/// What `helm template` makes of these values, which are written to a file of this name.
async fn rendered(test: &Test, values: &Value, file: &str) -> Output {
    let path = test.directory().join(file);
    std::fs::write(&path, values.to_string()).unwrap();
    test.helm(&["template", "release", CHART, "--values", path.to_str().unwrap()]).await
}

/// The values without the one at `path`, which is there.
fn without(values: &Value, path: &str) -> Value {
    let (parent, name) = path.rsplit_once('.').map_or(("", path), |(parent, name)| (parent, name));
    let pointer = if parent.is_empty() { String::new() } else { pointer(parent) };
    let mut values = values.clone();
    values.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    values
}

/// A value that is set to its default, or changes nothing, proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn each_value_is_tried_and_changes_the_manifests() {
    let test = Test::new("chart-coverage").await;
    let defaults = documented();
    let mut untried: BTreeSet<&String> = defaults.keys().collect();
    for file in [EVERYTHING, ALTERNATIVES] {
        let values: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let with_all = rendered(&test, &values, "all.json").await.success();
        let is_set =
            |path: &str| values.pointer(&pointer(path)).is_some_and(|set| *set != defaults[path].default);
        let matters = async |path| {
            // Others may depend on it: a refusal is a difference.
            let output = rendered(&test, &without(&values, path), &format!("without-{path}.json")).await;
            (output.code != 0 || output.stdout != with_all).then_some(path)
        };
        let set: Vec<&String> = untried.iter().copied().filter(|path| is_set(path)).collect();
        let mattering = stream::iter(set).map(|path| matters(path)).buffer_unordered(AT_ONCE);
        let mattering: Vec<_> = mattering.filter_map(future::ready).collect().await;
        untried.retain(|path| !mattering.contains(&path.as_str()));
    }
    assert!(
        untried.is_empty(),
        "neither everything.yaml nor alternatives.yaml sets them to something that matters: {untried:?}"
    );
}
