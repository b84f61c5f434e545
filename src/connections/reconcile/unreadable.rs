//! Reports a connection that this version cannot read. Nothing is sent through it.

use std::time::Duration;

use kube::{
    Api,
    api::{ApiResource, DynamicObject},
    runtime::controller::Action,
};
use serde_json::{Value, json};

use super::{ConnectionContext, Error, STANDBY};
use crate::{
    api::{
        ConditionStatus, ConditionType, ConnectionReason, PlatformConnection, PlatformConnectionSpec,
        PlatformConnectionStatus,
    },
    cluster::{self, CACHE_CATCH_UP, Key, RawStatus, Written, unreadable_field},
    connections::ConnectionProblem,
    failpoints::SideEffect,
};

/// The pause after a read that failed.
const RETRY: Duration = Duration::from_secs(30);

/// Reconciles a connection that cannot be read. Does nothing if its status says so already.
///
/// # Errors
/// The status could not be written. The caller retries.
pub(super) async fn report(key: &Key, context: &ConnectionContext) -> Result<Action, Error> {
    if !context.leads.is_leading() {
        return Ok(Action::requeue(STANDBY));
    }
    let kind = ApiResource::erase::<PlatformConnection>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), key.namespace(), &kind);
    let stored = match cluster::in_time(api.get_opt(key.name())).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(Action::await_change()),
        Err(_) => return Ok(Action::requeue(RETRY)),
    };
    // It can be read by now. The watch shows it.
    let Some(error) = error(&stored) else { return Ok(Action::await_change()) };
    let message = sentence(&ConnectionProblem::Unreadable(error).to_string());
    let Some(fields) = fields(&RawStatus::of(&stored, context.clock.now()), &message) else {
        return Ok(Action::await_change());
    };
    if !context.leads.is_leading() {
        return Ok(Action::requeue(STANDBY));
    }
    let effect = SideEffect::ConnectionStatus;
    match cluster::write_fields::<PlatformConnection>(&context.client, &stored, &fields, effect).await {
        Written::Stored(_) => Ok(Action::await_change()),
        Written::Conflict => Ok(Action::requeue(CACHE_CATCH_UP)),
        Written::Refused(error) => Err(Error::Refused(error)),
        Written::Unknown(error) => Err(Error::Uncertain(error)),
    }
}

/// The field that cannot be read, and why.
fn error(stored: &DynamicObject) -> Option<String> {
    let needed = json!({"url": "", "credentialsSecretRef": {"name": ""}});
    let (spec, status) = (&stored.data["spec"], &stored.data["status"]);
    unreadable_field::<PlatformConnectionSpec>("spec", spec, &needed).or_else(|| {
        unreadable_field::<PlatformConnectionStatus>("status", status, &json!({"observedGeneration": 0}))
    })
}

/// The problem as a message of its own.
fn sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!(
        "{}{} Nothing is sent through this connection.",
        first.map(String::from).unwrap_or_default(),
        letters.as_str()
    )
}

fn fields(status: &RawStatus<'_>, message: &str) -> Option<Value> {
    let reason = ConnectionReason::Unreadable.as_str();
    status.with_conditions::<PlatformConnectionStatus>(vec![
        status.condition(ConditionType::Ready, ConditionStatus::False, reason, message),
        status.condition(ConditionType::Stalled, ConditionStatus::True, reason, message),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        fixtures::{self, NOW, instant},
        states::States,
    };

    fn stored(status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
            "metadata": {"name": "eu2", "namespace": "team", "generation": 2}, "status": status,
        }))
        .unwrap()
    }

    fn written(object: &DynamicObject) -> Option<Value> {
        fields(&RawStatus::of(object, instant(NOW)), "why")
    }

    #[test]
    fn an_unreadable_connection_is_reported_once() {
        let theirs = json!({
            "type": "example.com/Audited", "status": "True", "reason": "Done", "message": "",
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        });
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "CredentialsAccepted", "message": "",
            "lastTransitionTime": "2026-11-23T10:00:00Z", "observedGeneration": 1,
        });
        let mut object = stored(&json!({"observedGeneration": 1, "conditions": [ready, theirs]}));
        let fields = written(&object).unwrap();
        let types: Vec<_> =
            fields["conditions"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
        assert_eq!(types, ["Ready", "Stalled", "example.com/Audited"]);
        assert_eq!(fields["conditions"][0]["status"], "False");
        assert_eq!(fields["observedGeneration"], 2);
        object.data["status"] = fields;
        assert_eq!(written(&object), None);
    }

    #[test]
    fn the_message_names_the_field_and_the_way_out() {
        let problem =
            ConnectionProblem::Unreadable("spec.allowedNamespaces.from: unknown variant `None`".to_owned());
        let message = sentence(&problem.to_string());
        assert!(
            message.starts_with("This version of the controller cannot read it: spec.allowedNamespaces.from")
        );
        assert!(
            message.contains("run that version") && message.ends_with("through this connection."),
            "{message}"
        );
    }
    #[test]
    fn the_golden_file_has_a_connection_that_cannot_be_read() {
        let mut object = stored(&json!({"observedGeneration": 1}));
        object.data["spec"] = json!(fixtures::connection(crate::api::AllowedNamespaces::default()).spec);
        object.data["status"] = written(&object).unwrap();
        let mut states = States::default();
        states.add(&object);
        states.compare("unreadable-platformconnections");
    }
}
