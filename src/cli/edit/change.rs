//! The fields of a spec that a command sets, and the patch that sets them. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::api::{DesiredMode, SwitchAt, TenantPricingSpec};

/// What happens to one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Set<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is set to this value.
    To(T),
    /// It is removed.
    Remove,
}

impl<T> Set<T> {
    /// The value of an optional field after the change.
    fn applied_to(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::To(value) => Some(value),
            Self::Remove => None,
        }
    }
}

/// The fields that a command sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// `spec.mode`.
    pub mode: Set<DesiredMode>,
    /// `spec.switch.at`.
    pub at: Set<SwitchAt>,
    /// `spec.switch.notBefore`.
    pub not_before: Set<Timestamp>,
    /// `spec.suspend`. `None`: it stays as it is.
    pub suspend: Option<bool>,
}

/// A field that a command can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Mode,
    SwitchAt,
    NotBefore,
    Suspend,
}

impl Field {
    const ALL: [Self; 4] = [Self::Mode, Self::SwitchAt, Self::NotBefore, Self::Suspend];

    /// The names from the spec down to the field.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Mode => &["mode"],
            Self::SwitchAt => &["switch", "at"],
            Self::NotBefore => &["switch", "notBefore"],
            Self::Suspend => &["suspend"],
        }
    }

    /// The path for people: `spec.switch.at`.
    pub(super) fn path(self) -> String {
        format!("spec.{}", self.names().join("."))
    }

    /// The JSON pointer to the field in an entry of the managed fields.
    pub(super) fn managed(self) -> String {
        format!("/f:spec/f:{}", self.names().join("/f:"))
    }

    fn value(self, spec: &Value) -> Value {
        spec.pointer(&format!("/{}", self.names().join("/"))).cloned().unwrap_or_default()
    }
}

/// A field whose value changes. `Null` is a field that is not set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    pub field: Field,
    pub from: Value,
    pub to: Value,
}

impl Change {
    /// The spec after the change.
    pub(super) fn applied_to(&self, before: &TenantPricingSpec) -> TenantPricingSpec {
        let mut spec = before.clone();
        spec.mode = self.mode.applied_to(spec.mode);
        spec.suspend = self.suspend.unwrap_or(spec.suspend);
        if (self.at, self.not_before) != (Set::Keep, Set::Keep) {
            let mut switch = spec.switch.unwrap_or_default();
            switch.at = self.at.applied_to(switch.at);
            switch.not_before = self.not_before.applied_to(switch.not_before.map(|time| time.0)).map(Time);
            spec.switch = Some(switch);
        }
        spec
    }

    /// The fields whose values change.
    pub(super) fn differences(&self, before: &TenantPricingSpec) -> Vec<Difference> {
        let as_json = |spec: &TenantPricingSpec| serde_json::to_value(spec).unwrap_or_default();
        let (before, after) = (as_json(before), as_json(&self.applied_to(before)));
        let difference = |field: Field| {
            let (from, to) = (field.value(&before), field.value(&after));
            (from != to).then_some(Difference { field, from, to })
        };
        Field::ALL.into_iter().filter_map(difference).collect()
    }
}

/// The merge patch that makes these differences, if the object still has this resource version.
pub(super) fn patch(differences: &[Difference], resource_version: Option<&str>) -> Value {
    let mut patch = json!({"metadata": {"resourceVersion": resource_version}, "spec": {}});
    for Difference { field, to, .. } in differences {
        let place = field.names().iter().fold(&mut patch["spec"], |place, name| &mut place[*name]);
        place.clone_from(to);
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::Scene;

    fn spec(json: Value) -> TenantPricingSpec {
        let mut object = serde_json::to_value(Scene::new().object).unwrap();
        object["spec"] = json;
        serde_json::from_value::<crate::api::TenantPricing>(object).unwrap().spec
    }

    #[test]
    fn only_what_differs_is_in_the_patch() {
        let before =
            spec(json!({"tenant": {"name": "Acme"}, "mode": "production", "switch": {"at": "MonthStart"}}));
        let change = Change {
            mode: Set::To(DesiredMode::Production),
            at: Set::To(SwitchAt::Immediately),
            ..Change::default()
        };
        let differences = change.differences(&before);
        assert_eq!(
            patch(&differences, Some("7")),
            json!({"metadata": {"resourceVersion": "7"}, "spec": {"switch": {"at": "Immediately"}}})
        );
        assert_eq!(differences[0].field.path(), "spec.switch.at");
        assert_eq!(differences[0].field.managed(), "/f:spec/f:switch/f:at");
    }

    #[test]
    fn a_removed_field_is_null_and_the_others_stay() {
        let not_before = "2031-05-01T00:00:00Z";
        let switch = json!({"at": "MonthStart", "notBefore": not_before});
        let before = spec(json!({"tenant": {"name": "Acme"}, "mode": "production", "switch": switch}));
        let cancel = Change { mode: Set::Remove, ..Change::default() };
        assert_eq!(patch(&cancel.differences(&before), None)["spec"], json!({"mode": null}));
        assert_eq!(cancel.applied_to(&before).switch, before.switch);
        let at_once = Change { not_before: Set::Remove, ..Change::default() };
        let differences = at_once.differences(&before);
        assert_eq!(patch(&differences, None)["spec"], json!({"switch": {"notBefore": null}}));
        assert_eq!(differences[0].from, not_before);
    }

    #[test]
    fn a_change_to_what_is_there_is_none() {
        let before = spec(json!({"tenant": {"name": "Acme"}}));
        let resume = Change { suspend: Some(false), ..Change::default() };
        assert_eq!(resume.differences(&before), []);
        let cancel = Change { mode: Set::Remove, not_before: Set::Remove, ..Change::default() };
        assert_eq!(cancel.differences(&before), []);
        let suspend = Change { suspend: Some(true), ..Change::default() };
        assert_eq!(patch(&suspend.differences(&before), None)["spec"], json!({"suspend": true}));
    }
}
