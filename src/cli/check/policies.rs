//! Checks the admission policies about switches, if there are any.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchResources, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        ValidatingAdmissionPolicyBindingSpec,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{Api, ResourceExt, api::ListParams};

use super::{findings::Findings, list::Check, unread::Unread};
use crate::{
    api::GROUP,
    cli::cluster::{Cluster, pages::each},
};

/// Checks each policy about a kind of this program.
pub(super) async fn check(cluster: &Cluster, findings: &mut Findings) {
    const CHECK: Check = Check::SwitchPolicy;
    let (policies, bindings) = match read(cluster).await {
        Ok(read) => read,
        Err(error) => {
            let unread = Unread::of(&error);
            let message = if unread.is_forbidden {
                "You may not list ValidatingAdmissionPolicies and their bindings.".to_owned()
            } else {
                format!("Policies could not be read: {}.", unread.why)
            };
            findings.unread(CHECK, None, &unread, message);
            return;
        }
    };
    if policies.is_empty() {
        let message = "It is not installed (switchAuthorization of the chart). Who may write an object may ask for \
                       its switch.";
        findings.skipped(CHECK, None, message);
    }
    for policy in &policies {
        check_policy(policy, bindings.get(&policy.name_any()).map_or(&[], Vec::as_slice), findings);
    }
}

/// The bindings of each policy.
type Bindings = BTreeMap<String, Vec<ValidatingAdmissionPolicyBindingSpec>>;

async fn read(cluster: &Cluster) -> Result<(Vec<ValidatingAdmissionPolicy>, Bindings), kube::Error> {
    let (mut policies, mut bindings) = (Vec::new(), Bindings::new());
    let all: Api<ValidatingAdmissionPolicy> = Api::all(cluster.client.clone());
    each(&all, ListParams::default(), |policy| {
        if is_about_us(&policy) {
            policies.push(policy);
        }
    })
    .await?;
    let all: Api<ValidatingAdmissionPolicyBinding> = Api::all(cluster.client.clone());
    each(&all, ListParams::default(), |binding| {
        let Some(spec) = binding.spec else { return };
        bindings.entry(spec.policy_name.clone().unwrap_or_default()).or_default().push(spec);
    })
    .await?;
    Ok((policies, bindings))
}

/// Whether a policy names the group of this program. One for all groups is about something else.
fn is_about_us(policy: &ValidatingAdmissionPolicy) -> bool {
    let constraints = policy.spec.as_ref().and_then(|spec| spec.match_constraints.as_ref());
    let rules = constraints.and_then(|constraints| constraints.resource_rules.as_ref());
    rules.into_iter().flatten().any(|rule| rule.api_groups.iter().flatten().any(|group| group == GROUP))
}

fn check_policy(
    policy: &ValidatingAdmissionPolicy,
    bindings: &[ValidatingAdmissionPolicyBindingSpec],
    findings: &mut Findings,
) {
    const CHECK: Check = Check::SwitchPolicy;
    const UPGRADE: &str =
        "Install the policies of the chart as they are: upgrade it with switchAuthorization.enabled.";
    let name = policy.name_any();
    let subject = Some(name.as_str());
    let spec = policy.spec.clone().unwrap_or_default();
    let has = |binding: &&ValidatingAdmissionPolicyBindingSpec, action: &str| {
        binding.validation_actions.iter().flatten().any(|found| found == action)
    };
    let denying: Vec<_> = bindings.iter().filter(|binding| has(binding, "Deny")).collect();
    let mut actions: Vec<&String> =
        bindings.iter().flat_map(|binding| binding.validation_actions.iter().flatten()).collect();
    actions.dedup();
    let actions = actions.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let warnings = policy.status.as_ref().and_then(|status| status.type_checking.as_ref());
    let warnings = warnings.and_then(|checking| checking.expression_warnings.as_ref());
    let ignores_faults = spec.failure_policy.as_deref() == Some("Ignore");
    // One that asks for a right is there to refuse. Another may say of itself that it only warns.
    let asks_for_a_right = spec.validations.iter().flatten().any(|one| one.expression.contains("authorizer"));
    let only_warns =
        ignores_faults && !asks_for_a_right && bindings.iter().any(|binding| has(&binding, "Warn"));
    if actions.is_empty() {
        let message = "No binding names this policy, so it has no effect.";
        let remedy = "Create a ValidatingAdmissionPolicyBinding for it, or upgrade the chart.";
        findings.warning(CHECK, subject, message, remedy);
    } else if let Some(warning) = warnings.and_then(|warnings| warnings.first()) {
        let message = format!("The API server warns of {}: {}", warning.field_ref, warning.warning.trim());
        findings.warning(CHECK, subject, message, "Install the policy of the chart that fits the CRDs.");
    } else if denying.is_empty() && only_warns {
        findings.ok(CHECK, subject, format!("It is in force: {actions}. It refuses nothing."));
    } else if denying.is_empty() {
        let message = format!(
            "It refuses nothing: its bindings say {actions}, and none says Deny. Who may write an object may ask for its \
             switch."
        );
        findings.warning(CHECK, subject, message, UPGRADE);
    } else if ignores_faults {
        let message = "A rule of it that cannot be evaluated refuses nothing (failurePolicy: Ignore).";
        findings.warning(CHECK, subject, message, UPGRADE);
    } else if is_limited(spec.match_constraints.as_ref(), false)
        || spec.match_conditions.is_some_and(|conditions| !conditions.is_empty())
        || denying.iter().all(|binding| is_limited(binding.match_resources.as_ref(), true))
    {
        let message =
            "It is in force for a part of the objects: its selectors or conditions leave out others.";
        let remedy = "See that no object is left out by mistake, with: kubectl get validatingadmissionpolicies,\
                      validatingadmissionpolicybindings -o yaml";
        findings.warning(CHECK, subject, message, remedy);
    } else {
        findings.ok(CHECK, subject, format!("It is in force: {actions}."));
    }
}

/// Whether something is left out of what a policy or a binding is about. Only those of a binding have rules about
/// resources that limit it: those of a policy say what it is about.
fn is_limited(resources: Option<&MatchResources>, is_binding: bool) -> bool {
    let Some(resources) = resources else { return false };
    let selects = |selector: &Option<LabelSelector>| {
        selector.as_ref().is_some_and(|selector| *selector != LabelSelector::default())
    };
    let names = |rules: Option<usize>| rules.is_some_and(|count| count > 0);
    selects(&resources.namespace_selector)
        || selects(&resources.object_selector)
        || names(resources.exclude_resource_rules.as_ref().map(Vec::len))
        || is_binding && names(resources.resource_rules.as_ref().map(Vec::len))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::check::document::{Finding, Verdict};

    const RIGHT: &str =
        "authorizer.group('tenantpricing.io').resource('tenantpricings').check('switch').allowed()";

    /// What is found about a policy with this expression and failure policy, and with these bindings.
    fn found(expression: &str, failure: &str, change: &Value, bindings: &[Value]) -> Finding {
        let rules =
            json!([{"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]);
        let mut policy = json!({"metadata": {"name": "policy"}, "spec": {
            "failurePolicy": failure,
            "matchConstraints": {"resourceRules": rules, "namespaceSelector": {}, "objectSelector": {}},
            "validations": [{"expression": expression}],
        }});
        for (pointer, value) in change.as_object().into_iter().flatten() {
            policy["spec"][pointer] = value.clone();
        }
        let policy = serde_json::from_value(policy).unwrap();
        assert!(is_about_us(&policy));
        let bindings: Vec<_> =
            bindings.iter().map(|binding| serde_json::from_value(binding.clone()).unwrap()).collect();
        let mut findings = Findings::default();
        check_policy(&policy, &bindings, &mut findings);
        let report = findings.report(false, Timestamp::UNIX_EPOCH);
        let found: Vec<_> = report.findings.into_iter().filter(|found| found.subject.is_some()).collect();
        let [finding] = found.as_slice() else { panic!("{found:#?}") };
        finding.clone()
    }

    fn binding(actions: &[&str]) -> Value {
        json!({"policyName": "policy", "validationActions": actions})
    }

    #[test]
    fn only_a_policy_that_refuses_is_in_force() {
        for (expression, failure, bindings, verdict, words) in [
            (RIGHT, "Fail", vec![binding(&["Deny"])], Verdict::Ok, "in force: Deny."),
            (RIGHT, "Fail", vec![binding(&["Deny", "Audit"])], Verdict::Ok, "in force: Deny, Audit."),
            (RIGHT, "Fail", vec![binding(&["Warn"]), binding(&["Deny"])], Verdict::Ok, "in force"),
            (RIGHT, "Fail", vec![], Verdict::Warning, "No binding"),
            (RIGHT, "Fail", vec![binding(&[])], Verdict::Warning, "No binding"),
            (
                RIGHT,
                "Fail",
                vec![binding(&["Audit"])],
                Verdict::Warning,
                "refuses nothing: its bindings say Audit",
            ),
            (RIGHT, "Fail", vec![binding(&["Warn", "Audit"])], Verdict::Warning, "say Warn, Audit"),
            (RIGHT, "Ignore", vec![binding(&["Warn"])], Verdict::Warning, "refuses nothing"),
            (RIGHT, "Ignore", vec![binding(&["Deny"])], Verdict::Warning, "failurePolicy: Ignore"),
            // As the chart's own, which warns in the middle of a month.
            ("object.spec.x", "Ignore", vec![binding(&["Warn"])], Verdict::Ok, "It refuses nothing."),
            ("object.spec.x", "Ignore", vec![binding(&["Audit"])], Verdict::Warning, "none says Deny"),
            ("object.spec.x", "Fail", vec![binding(&["Warn"])], Verdict::Warning, "none says Deny"),
        ] {
            let found = found(expression, failure, &json!({}), &bindings);
            assert!(found.verdict == verdict && found.message.contains(words), "{bindings:?}: {found:#?}");
        }
    }

    #[test]
    fn a_policy_for_a_part_of_the_objects_is_a_warning() {
        let team = json!({"matchLabels": {"team": "a"}});
        let limited = |resources: Value| json!({"policyName": "policy", "validationActions": ["Deny"], "matchResources": resources});
        let one = limited(json!({"namespaceSelector": team}));
        let whole = [binding(&["Deny"])];
        for (change, bindings, verdict) in [
            (json!({}), vec![one.clone()], Verdict::Warning),
            (json!({}), vec![limited(json!({"objectSelector": team}))], Verdict::Warning),
            (json!({}), vec![limited(json!({"namespaceSelector": {}, "objectSelector": {}}))], Verdict::Ok),
            (json!({}), vec![one, binding(&["Deny"])], Verdict::Ok),
            (
                json!({"matchConditions": [{"name": "a", "expression": "false"}]}),
                whole.to_vec(),
                Verdict::Warning,
            ),
        ] {
            let found = found(RIGHT, "Fail", &change, &bindings);
            assert_eq!(found.verdict, verdict, "{bindings:?}: {found:#?}");
        }
    }
}
