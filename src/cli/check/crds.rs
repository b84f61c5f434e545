//! Checks that the CRDs are installed, established, and those of this program.

mod difference;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};

use self::difference::{Comparison, compare};
use super::{findings::Findings, list::Check, unread::Unread};
use crate::api::{GROUP, custom_resource_definitions};

/// How the CRDs are installed and upgraded.
const APPLY: &str =
    "Upgrade the chart, or run: tenant-pricing-controller crds | kubectl apply --server-side -f -";

/// How many fields a finding names.
const NAMED: usize = 3;

/// The state of one CRD in the cluster.
pub(crate) enum Stored {
    /// As the cluster has it.
    Definition(Box<CustomResourceDefinition>),
    /// There is none.
    Absent,
    /// The user may not read CRDs. Whether the API server serves the kind is known.
    Hidden {
        /// Whether the API server serves the kind.
        is_served: bool,
    },
    /// It could not be read, for this reason.
    Unread(Unread),
}

/// Reads a CRD.
pub(crate) async fn read(client: &Client, known: &CustomResourceDefinition) -> Stored {
    match Api::<CustomResourceDefinition>::all(client.clone()).get_opt(&known.name_any()).await {
        Ok(Some(stored)) => Stored::Definition(Box::new(stored)),
        Ok(None) => Stored::Absent,
        // Discovery is open to every user.
        Err(kube::Error::Api(status)) if status.code == 403 => match served(client, known).await {
            Ok(is_served) => Stored::Hidden { is_served },
            Err(error) => Stored::Unread(Unread::of(&error)),
        },
        Err(error) => Stored::Unread(Unread::of(&error)),
    }
}

/// Whether the API server serves the kind of a CRD.
async fn served(client: &Client, known: &CustomResourceDefinition) -> Result<bool, kube::Error> {
    for version in &known.spec.versions {
        match client.list_api_group_resources(&format!("{GROUP}/{}", version.name)).await {
            Ok(list) if list.resources.iter().any(|resource| resource.name == known.spec.names.plural) => {}
            Ok(_) => return Ok(false),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Checks both CRDs. Returns whether the API server serves both kinds.
pub(super) async fn check(client: &Client, before_installation: bool, findings: &mut Findings) -> bool {
    let mut are_served = true;
    for known in custom_resource_definitions() {
        let name = known.name_any();
        let stored = read(client, &known).await;
        are_served &= check_served(&name, &stored, before_installation, findings);
        check_content(&name, &known, &stored, findings);
    }
    are_served
}

/// Checks that a CRD is there and established.
fn check_served(name: &str, stored: &Stored, before_installation: bool, findings: &mut Findings) -> bool {
    const CHECK: Check = Check::CrdServed;
    let missing = "The API server does not know this kind, so it takes no object of it.";
    match stored {
        Stored::Absent | Stored::Hidden { is_served: false } if before_installation => {
            findings.ok(CHECK, Some(name), "It is not installed yet. The chart installs it.");
        }
        Stored::Absent | Stored::Hidden { is_served: false } => {
            findings.error(CHECK, Some(name), missing, APPLY);
        }
        Stored::Hidden { is_served: true } => {
            findings.ok(CHECK, Some(name), "The API server serves this kind.");
            return true;
        }
        Stored::Unread(unread) => {
            findings.unread(CHECK, Some(name), unread, format!("It could not be read: {}.", unread.why));
            // Without the right to ask, the kind may be served. Its objects show it.
            return unread.is_forbidden;
        }
        Stored::Definition(stored) => match fault(stored) {
            None => {
                findings.ok(CHECK, Some(name), "It is established.");
                return true;
            }
            Some(why) => {
                let message = format!("The API server does not serve this kind yet: {why}.");
                findings.error(CHECK, Some(name), message, format!("See: kubectl describe crd {name}"));
            }
        },
    }
    false
}

/// Why a CRD is not in use.
fn fault(stored: &CustomResourceDefinition) -> Option<String> {
    let conditions =
        stored.status.as_ref().and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    let mut conditions = conditions.map(|condition| {
        let says = condition.message.clone().or_else(|| condition.reason.clone()).unwrap_or_default();
        (condition.type_.as_str(), condition.status.as_str(), says)
    });
    if stored.metadata.deletion_timestamp.is_some() {
        return Some("it is being deleted, and all objects of it".to_owned());
    }
    let all: Vec<_> = conditions.by_ref().collect();
    let find = |kind: &str| all.iter().find(|(found, ..)| *found == kind);
    if let Some((.., says)) = find("NamesAccepted").filter(|(_, status, _)| *status != "True") {
        return Some(format!("its names are not accepted ({says})"));
    }
    match find("Established") {
        Some((_, "True", _)) => None,
        Some((.., says)) => Some(format!("it is not established ({says})")),
        None => Some("it is not established".to_owned()),
    }
}

/// Checks that a CRD is the one of this program.
fn check_content(name: &str, known: &CustomResourceDefinition, stored: &Stored, findings: &mut Findings) {
    const CHECK: Check = Check::CrdMatches;
    let stored = match stored {
        Stored::Definition(stored) => stored,
        Stored::Absent | Stored::Hidden { is_served: false } => {
            findings.skipped(CHECK, Some(name), "It is not installed.");
            return;
        }
        Stored::Hidden { is_served: true } => {
            findings.skipped(CHECK, Some(name), "You may not get CRDs, so it cannot be compared.");
            return;
        }
        Stored::Unread(unread) => {
            findings.skipped(CHECK, Some(name), format!("It could not be read: {}.", unread.why));
            return;
        }
    };
    match compare(known, stored) {
        Comparison::Same => findings.ok(CHECK, Some(name), "It is the one of this program."),
        Comparison::Texts(fields) => {
            let message = format!("It differs from this program's in texts alone: {}.", shown(&fields));
            findings.warning(CHECK, Some(name), message, APPLY);
        }
        Comparison::Older(fields) => {
            let message = format!(
                "It is older than this program. It lacks {}. The API server does not check or keep what it lacks.",
                shown(&fields)
            );
            findings.error(CHECK, Some(name), message, APPLY);
        }
        Comparison::Newer(fields) => {
            let message = format!("It is newer than this program, which does not know {}.", shown(&fields));
            findings.warning(CHECK, Some(name), message, "Install the version of this program that fits.");
        }
        Comparison::Different(fields) => {
            let message = format!("It differs from this program's: {}.", shown(&fields));
            let remedy = format!("Use one version of chart and program. {APPLY}");
            findings.error(CHECK, Some(name), message, remedy);
        }
    }
}

/// The first fields, and how many more there are.
fn shown(fields: &[String]) -> String {
    let text = fields.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match fields.len().saturating_sub(NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// How a stored CRD compares with that of this program in a few words, and whether it fits it if that is known.
pub(crate) fn in_words(known: &CustomResourceDefinition, stored: &Stored) -> (&'static str, Option<bool>) {
    match stored {
        Stored::Absent | Stored::Hidden { is_served: false } => ("not installed", Some(false)),
        Stored::Hidden { is_served: true } => ("served, and you may not get CRDs", None),
        Stored::Unread(_) => ("not known", None),
        Stored::Definition(stored) => match compare(known, stored) {
            Comparison::Same => ("the one of this program", Some(true)),
            Comparison::Texts(_) => ("the one of this program, but for texts", Some(true)),
            Comparison::Older(_) => ("older than this program", Some(false)),
            Comparison::Newer(_) => ("newer than this program", Some(false)),
            Comparison::Different(_) => ("different from this program's", Some(false)),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What is wrong with a CRD that has these conditions: type, status and message.
    fn fault_of(metadata: &Value, conditions: &[(&str, &str, &str)]) -> Option<String> {
        let condition = |(kind, status, message): &(&str, &str, &str)| json!({"type": kind, "status": status, "message": message});
        let mut crd = serde_json::to_value(custom_resource_definitions().remove(0)).unwrap();
        crd["status"]["conditions"] = conditions.iter().map(condition).collect();
        for (field, value) in metadata.as_object().unwrap() {
            crd["metadata"][field] = value.clone();
        }
        fault(&serde_json::from_value(crd).unwrap())
    }

    #[test]
    fn a_crd_that_is_not_in_use_says_why() {
        let (none, deleted) = (json!({}), json!({"deletionTimestamp": "2026-12-01T00:00:00Z"}));
        let sound = [("NamesAccepted", "True", ""), ("Established", "True", "")];
        assert_eq!(fault_of(&none, &sound), None);
        for (metadata, conditions, expected) in [
            (&deleted, &sound[..], "it is being deleted, and all objects of it"),
            (&none, &[], "it is not established"),
            (&none, &[("Established", "False", "it waits")], "it is not established (it waits)"),
            (
                &none,
                &[("NamesAccepted", "False", "tp is taken"), ("Established", "True", "")],
                "its names are not accepted (tp is taken)",
            ),
        ] {
            assert_eq!(fault_of(metadata, conditions).as_deref(), Some(expected), "{conditions:?}");
        }
    }

    #[test]
    fn an_unread_crd_is_a_fault_unless_a_right_is_missing() {
        for (code, is_fault) in [(403, false), (500, true), (503, true), (429, true), (504, true)] {
            let status = kube::core::Status::failure("no", "Reason").with_code(code);
            let stored = Stored::Unread(Unread::of(&kube::Error::Api(status.boxed())));
            let mut findings = Findings::default();
            let goes_on = check_served("tenantpricings", &stored, false, &mut findings);
            let report = findings.report(false, jiff::Timestamp::UNIX_EPOCH);
            // What depends on it is skipped only beside an error, so no report looks sound by mistake.
            assert_eq!((report.errors, goes_on), (usize::from(is_fault), !is_fault), "{code}: {report:#?}");
        }
    }

    #[test]
    fn at_most_three_fields_are_named() {
        let fields = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(shown(&fields[..3]), "a, b, c");
        assert_eq!(shown(&fields), "a, b, c and 2 more");
    }
}
