//! The rules without a server. The integration tests check the answers of a real one.

use std::sync::LazyLock;

use kube::core::cel::Validator;
use serde_json::{Value, json};

use crate::api::custom_resource_definitions;

const PAST_TRIAL: &str = "mode cannot become trial";
const IN_FLIGHT: &str = "mode: production cannot be removed now";

/// The schema of a `TenantPricing` in the installed CRD.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = custom_resource_definitions().remove(0);
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    serde_json::to_value(schema.unwrap()).unwrap()
});

/// The messages of the rules that an edit of an object violates.
fn refusals(before: &Value, after: &Value) -> Vec<String> {
    match Validator::new().validate(&SCHEMA, after, Some(before)) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
    }
}

fn object(mode: Option<&str>, phase: Option<&str>, observed: Option<&str>) -> Value {
    let mut object = json!({
        "apiVersion": "tenantpricing.io/v1alpha1",
        "kind": "TenantPricing",
        "metadata": {"name": "acme"},
        "spec": {"tenant": {"name": "Acme GmbH"}},
        "status": {"observedGeneration": 1},
    });
    if let Some(mode) = mode {
        object["spec"]["mode"] = mode.into();
    }
    if let Some(phase) = phase {
        object["status"]["switch"] = json!({"phase": phase});
    }
    if let Some(observed) = observed {
        object["status"]["observed"] = json!({"mode": observed});
    }
    object
}

/// Every change of mode in every state. The two sentences of the documentation are repeated here on purpose.
#[test]
fn a_mode_edit_is_refused_exactly_past_the_point_of_no_return() {
    const MODES: [Option<&str>; 3] = [None, Some("trial"), Some("production")];
    const PHASES: [Option<&str>; 4] = [None, Some("Scheduled"), Some("InFlight"), Some("Completed")];
    const OBSERVED: [Option<&str>; 5] =
        [None, Some("trial"), Some("production"), Some("suspended"), Some("something new")];

    for before in MODES {
        for after in MODES {
            for phase in PHASES {
                for observed in OBSERVED {
                    let met = refusals(&object(before, phase, observed), &object(after, phase, observed));
                    let case =
                        format!("{before:?} → {after:?}, phase {phase:?}, observed {observed:?}: {met:?}");

                    let becomes_trial = after == Some("trial") && before != after;
                    let loses_production = before == Some("production") && before != after;
                    let past_trial = matches!(phase, Some("InFlight" | "Completed"))
                        || matches!(observed, Some("production" | "suspended"));
                    let refused =
                        (becomes_trial && past_trial) || (loses_production && phase == Some("InFlight"));

                    assert_eq!(!met.is_empty(), refused, "{case}");
                    let messages = |start| met.iter().filter(|message| message.starts_with(start)).count();
                    assert_eq!(messages(PAST_TRIAL) + messages(IN_FLIGHT), met.len(), "{case}");
                    assert_eq!(
                        messages(IN_FLIGHT) == 1,
                        loses_production && phase == Some("InFlight"),
                        "{case}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_object_before_its_first_reconcile_can_be_edited_freely() {
    let mut before = object(Some("production"), None, None);
    before.as_object_mut().unwrap().remove("status");
    for mode in [None, Some("trial")] {
        assert_eq!(refusals(&before, &object(mode, None, None)), Vec::<String>::new());
    }
}

#[test]
fn the_status_in_the_request_does_not_count() {
    let before = object(Some("production"), Some("InFlight"), Some("trial"));
    let after = object(Some("trial"), None, Some("trial"));
    assert_eq!(refusals(&before, &after).len(), 1);
}

#[test]
fn a_journal_write_is_never_refused() {
    for mode in [None, Some("trial"), Some("production")] {
        for phase in ["Scheduled", "InFlight", "Completed"] {
            let before = object(mode, None, Some("trial"));
            assert_eq!(
                refusals(&before, &object(mode, Some(phase), Some("production"))),
                Vec::<String>::new()
            );
            let before = object(mode, Some("InFlight"), Some("trial"));
            assert_eq!(refusals(&before, &object(mode, Some(phase), Some("trial"))), Vec::<String>::new());
        }
    }
}

#[test]
fn ids_compare_without_case_and_names_with_it() {
    let with_tenant = |tenant: Value| {
        let mut object = object(None, None, None);
        object["spec"]["tenant"] = tenant;
        object
    };
    let lower = with_tenant(json!({"id": "0fcd4a69-8a40-4de8-b711-d9c83dc000f7"}));
    let upper = with_tenant(json!({"id": "0FCD4A69-8A40-4DE8-B711-D9C83DC000F7"}));
    let other = with_tenant(json!({"id": "1fcd4a69-8a40-4de8-b711-d9c83dc000f7"}));
    assert!(refusals(&lower, &upper).is_empty());
    assert_eq!(refusals(&lower, &other).len(), 1);

    let (name, capitals) = (with_tenant(json!({"name": "Acme"})), with_tenant(json!({"name": "ACME"})));
    assert_eq!(refusals(&name, &capitals).len(), 1);
    assert_eq!(refusals(&name, &lower).len(), 1);
}
