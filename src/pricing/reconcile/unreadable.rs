//! Reports an object that this version cannot read.
//!
//! Nothing is decided or sent for it. Only its conditions are written: a newer version may have written the journal.

use std::time::Duration;

use kube::{
    Api,
    api::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};

use crate::{
    api::{
        ConditionStatus, ConditionType, ProductionReason, StalledReason, TenantPricing, TenantPricingStatus,
    },
    cluster::{self, CACHE_CATCH_UP, Key, RawStatus, TrimmedTenantPricing, Unreadable, Written},
    failpoints::SideEffect,
    pricing::{action::Action, context::Context, status::events::EventSpec},
};

/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(30);

/// Reconciles an object that cannot be read. Does nothing if it is gone, or if its status says so already.
pub(super) async fn report(key: &Key, context: &Context) -> Action {
    if !context.objects.is_unreadable(key) {
        return Action::AwaitChange;
    }
    context.reconcile_state.own_statuses().leave_foreign(key);
    let kind = ApiResource::erase::<TenantPricing>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), key.namespace(), &kind);
    let stored = match cluster::in_time(api.get_opt(key.name())).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Action::AwaitChange,
        Err(_) => return Action::Requeue(RETRY),
    };
    let unreadable = match serde_json::from_value::<TrimmedTenantPricing>(json!(stored)) {
        Ok(TrimmedTenantPricing { object: Err(unreadable), .. }) => unreadable,
        // The object can be read by now. The watch delivers it.
        Ok(TrimmedTenantPricing { object: Ok(_), .. }) => return Action::Requeue(CACHE_CATCH_UP),
        Err(_) => return Action::AwaitChange,
    };
    let message = message(&unreadable);
    let Some(fields) = fields(&RawStatus::of(&stored, context.clock.now()), &message) else {
        return Action::AwaitChange;
    };
    if !context.term.has_time_for(Duration::ZERO) {
        return Action::Requeue(CACHE_CATCH_UP);
    }
    let effect = SideEffect::TenantPricingStatus;
    match cluster::write_fields::<TenantPricing>(&context.client, &stored, &fields, effect).await {
        Written::Stored(_) => {}
        Written::Conflict => return Action::Requeue(CACHE_CATCH_UP),
        Written::Unknown(_) => return Action::Requeue(RETRY),
        Written::Refused(error) => {
            let (namespace, name) = (key.namespace(), key.name());
            tracing::warn!(namespace, name, %error, "the status of an object that cannot be read was refused");
            // A repeat of what is invalid is refused as well. Other refusals may pass.
            let is_gone = matches!(&error, kube::Error::Api(status) if status.code == 404);
            if !is_gone && !cluster::is_invalid(&error) {
                return Action::Requeue(RETRY);
            }
        }
    }
    let reason = StalledReason::Unreadable.to_string();
    context
        .events
        .publish(&unreadable.rest, vec![EventSpec { is_warning: true, reason, action: "Refuse", message }]);
    Action::AwaitChange
}

fn message(unreadable: &Unreadable) -> String {
    let status = unreadable.rest.status.as_ref();
    let open = if status.is_some_and(TenantPricingStatus::is_in_flight) {
        " A switch was asked for, and its outcome is not known: the tenant may be in production and billed."
    } else {
        ""
    };
    format!(
        "This version of the controller cannot read {}. Nothing is sent for this object, and its tenant is not \
         read.{open} Correct the field. If a newer version of the controller wrote it, run that version.",
        unreadable.error
    )
}

/// The fields of the status to write, or `None` if it says so already. The `Production` condition stays.
fn fields(status: &RawStatus<'_>, message: &str) -> Option<Value> {
    let reason = StalledReason::Unreadable.as_str();
    let production = status.find(ConditionType::Production).cloned().unwrap_or_else(|| {
        let not_seen = ProductionReason::NotSeen.as_str();
        status.condition(
            ConditionType::Production,
            ConditionStatus::Unknown,
            not_seen,
            "The tenant has not been seen yet.",
        )
    });
    status.with_conditions::<TenantPricingStatus>(vec![
        status.condition(ConditionType::Ready, ConditionStatus::False, reason, message),
        production,
        status.condition(ConditionType::Stalled, ConditionStatus::True, reason, message),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::Phase,
        testing::{
            fixtures::{NOW, Scene, instant},
            states::States,
        },
    };

    fn stored() -> Value {
        json!(Scene::new().journaled(Phase::Completed).mode("production").stored().object.status)
    }

    fn written(status: &Value) -> Option<Value> {
        let object = serde_json::from_value(json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
            "metadata": {"name": "acme", "namespace": "team", "generation": 2}, "status": status,
        }));
        fields(&RawStatus::of(&object.unwrap(), instant(NOW)), "why")
    }

    fn merged(mut status: Value, fields: &Value) -> Value {
        for (name, value) in fields.as_object().unwrap() {
            status[name] = value.clone();
        }
        status
    }

    #[test]
    fn an_unreadable_object_is_reported_once() {
        for status in [stored(), json!({"observedGeneration": -1}), json!({"switch": {"by": "Reseller"}})] {
            let fields = written(&status).unwrap();
            assert_eq!(written(&merged(status, &fields)), None);
        }
    }

    #[test]
    fn ready_goes_and_production_and_the_journal_stay() {
        let before = stored();
        let after = merged(before.clone(), &written(&before).unwrap());
        let of = |status: &Value, kind: &str| {
            status["conditions"].as_array().unwrap().iter().find(|one| one["type"] == kind).cloned()
        };
        assert_eq!(of(&after, "Ready").unwrap()["status"], "False");
        assert_eq!(of(&after, "Stalled").unwrap()["reason"], "Unreadable");
        assert_eq!(of(&after, "Production"), of(&before, "Production"));
        assert_eq!(after["switch"], before["switch"]);
        assert_eq!(after["observedGeneration"], 2);
    }

    #[test]
    fn of_a_newer_status_only_the_conditions_are_written() {
        let mut status = stored();
        status["switch"]["by"] = json!("Reseller");
        let theirs = json!({"type": "example.com/Audited", "status": "Maybe"});
        status["conditions"].as_array_mut().unwrap().push(theirs.clone());
        let fields = written(&status).unwrap();
        assert_eq!(fields.as_object().unwrap().len(), 1);
        assert!(fields["conditions"].as_array().unwrap().contains(&theirs), "as it stands");
    }
    #[test]
    fn the_golden_file_has_an_object_that_cannot_be_read() {
        let mut states = States::default();
        let new = json!(Scene::new().object);
        for status in [new["status"].clone(), stored()] {
            let mut object = new.clone();
            object["metadata"]["generation"] = json!(2);
            object["status"] = merged(status.clone(), &written(&status).unwrap());
            states.add(&object);
        }
        states.compare("unreadable-tenantpricings");
    }
}
