//! Checks the admission policies about switches, if there are any.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::{Api, ResourceExt, api::ListParams};

use super::{findings::Findings, list::Check};
use crate::{
    api::GROUP,
    cli::cluster::{Cluster, pages::each},
    cluster::explain,
};

/// Checks each policy about a kind of this program.
pub(super) async fn check(cluster: &Cluster, findings: &mut Findings) {
    const CHECK: Check = Check::SwitchPolicy;
    let (policies, bindings) = match read(cluster).await {
        Ok(read) => read,
        Err(kube::Error::Api(status)) if status.code == 403 => {
            findings.skipped(CHECK, None, "You may not list ValidatingAdmissionPolicies and their bindings.");
            return;
        }
        Err(error) => {
            findings.skipped(CHECK, None, format!("Policies could not be read: {}.", explain(&error)));
            return;
        }
    };
    if policies.is_empty() {
        let message = "It is not installed (switchAuthorization of the chart). Who may write an object may ask for \
                       its switch.";
        findings.skipped(CHECK, None, message);
    }
    for policy in &policies {
        check_policy(policy, bindings.get(&policy.name_any()), findings);
    }
}

/// The actions of all bindings of each policy.
type Actions = BTreeMap<String, Vec<String>>;

async fn read(cluster: &Cluster) -> Result<(Vec<ValidatingAdmissionPolicy>, Actions), kube::Error> {
    let (mut policies, mut actions) = (Vec::new(), Actions::new());
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
        let actions = actions.entry(spec.policy_name.unwrap_or_default()).or_default();
        actions.extend(spec.validation_actions.into_iter().flatten());
    })
    .await?;
    Ok((policies, actions))
}

/// Whether a policy names the group of this program. One for all groups is about something else.
fn is_about_us(policy: &ValidatingAdmissionPolicy) -> bool {
    let constraints = policy.spec.as_ref().and_then(|spec| spec.match_constraints.as_ref());
    let rules = constraints.and_then(|constraints| constraints.resource_rules.as_ref());
    rules.into_iter().flatten().any(|rule| rule.api_groups.iter().flatten().any(|group| group == GROUP))
}

fn check_policy(policy: &ValidatingAdmissionPolicy, actions: Option<&Vec<String>>, findings: &mut Findings) {
    const CHECK: Check = Check::SwitchPolicy;
    let name = policy.name_any();
    let subject = Some(name.as_str());
    let warnings = policy.status.as_ref().and_then(|status| status.type_checking.as_ref());
    let warnings = warnings.and_then(|checking| checking.expression_warnings.as_ref());
    let Some(actions) = actions.filter(|actions| !actions.is_empty()) else {
        let message = "No binding names this policy, so it has no effect.";
        findings.warning(
            CHECK,
            subject,
            message,
            "Create a ValidatingAdmissionPolicyBinding for it, or upgrade the chart.",
        );
        return;
    };
    if let Some(warning) = warnings.and_then(|warnings| warnings.first()) {
        let message = format!("The API server warns of {}: {}", warning.field_ref, warning.warning.trim());
        findings.warning(CHECK, subject, message, "Install the policy of the chart that fits the CRDs.");
        return;
    }
    findings.ok(CHECK, subject, format!("It is in force: {}.", actions.join(", ")));
}
