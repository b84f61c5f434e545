//! Checks what the user who installs and the controller may do. The API server is asked by reviews, which store
//! nothing.

pub mod list;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    authorization::v1::{
        ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
        SubjectAccessReviewSpec,
    },
    core::v1::Namespace,
};
use kube::{Api, Client, api::PostParams};

use self::list::{
    CONTROLLER, INSTALLER_CLUSTER, INSTALLER_NAMESPACE, INSTALLER_NEW_NAMESPACE, Place, Right, USERS,
};
use super::{
    controller::{Found, installation::Installation},
    findings::Findings,
    list::Check,
    unread::Unread,
};
use crate::{cli::cluster::Cluster, cluster::Key};

/// How many reviews are asked for at the same time.
const AT_ONCE: usize = 8;

/// How many missing rights a finding names. A role with many of them was never bound.
const NAMED: usize = 5;

/// A question to the API server.
struct Question {
    right: Right,
    /// The namespace. `None`: the whole cluster.
    namespace: Option<String>,
    /// The name of the object. `None`: all objects.
    name: Option<String>,
}

impl Question {
    fn in_namespace(right: Right, namespace: &str) -> Self {
        Self { right, namespace: Some(namespace.to_owned()), name: None }
    }

    fn in_the_cluster(right: Right) -> Self {
        Self { right, namespace: None, name: None }
    }

    fn attributes(&self) -> ResourceAttributes {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ResourceAttributes {
            verb: given(self.right.verb),
            group: Some(self.right.group.to_owned()),
            resource: given(self.right.resource),
            subresource: given(self.right.subresource),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            ..ResourceAttributes::default()
        }
    }

    /// The right, and where it is missing.
    fn in_words(&self) -> String {
        let right = self.right;
        match (&self.namespace, &self.name) {
            (None, _) => format!("{right} in the cluster"),
            (Some(namespace), None) => format!("{right} in namespace {namespace}"),
            (Some(namespace), Some(name)) => format!("{right} {namespace}/{name}"),
        }
    }
}

/// Who is asked about.
#[derive(Clone, Copy)]
enum Subject<'a> {
    /// The user of this program.
    Own,
    /// The `ServiceAccount` of a controller.
    Account(&'a Key),
}

/// Checks that the user of this program may install the chart into a namespace.
pub(super) async fn check_installer(cluster: &Cluster, namespace: &str, findings: &mut Findings) {
    // A user who may not get the namespace knows whether it is there.
    let found = Api::<Namespace>::all(cluster.client.clone()).get_metadata_opt(namespace).await;
    let is_new = matches!(found, Ok(None));
    let beside: &[Right] = if is_new { INSTALLER_NEW_NAMESPACE } else { &[] };
    let questions = INSTALLER_CLUSTER.iter().chain(beside).map(|right| Question::in_the_cluster(*right));
    let inside = INSTALLER_NAMESPACE.iter().map(|right| Question::in_namespace(*right, namespace));
    let questions: Vec<Question> = questions.chain(inside).collect();
    let count = questions.len();
    match missing(&cluster.client, Subject::Own, questions).await {
        Ok(missing) if missing.is_empty() => {
            let new = if is_new { " It does not exist: install with --create-namespace." } else { "" };
            let message = format!("You have all {count} rights to install into namespace {namespace}.{new}");
            findings.ok(Check::InstallerRights, None, message);
        }
        Ok(missing) => {
            let message = format!("You may not {}.", joined(&missing));
            let remedy = "Ask an administrator of the cluster to install the chart, or for these rights.";
            findings.error(Check::InstallerRights, None, message, remedy);
        }
        Err(unread) => findings.unread(Check::InstallerRights, None, &unread, unread.why.clone()),
    }
    check_grants(&cluster.client, namespace, findings).await;
}

/// Kubernetes lets a user grant only rights that the user has, unless the user may escalate.
async fn check_grants(client: &Client, namespace: &str, findings: &mut Findings) {
    const CHECK: Check = Check::InstallerGrants;
    let escalate = Right {
        verb: "escalate",
        group: "rbac.authorization.k8s.io",
        resource: "clusterroles",
        subresource: "",
        place: Place::Cluster,
    };
    let may_escalate = missing(client, Subject::Own, vec![Question::in_the_cluster(escalate)]).await;
    if may_escalate.is_ok_and(|missing| missing.is_empty()) {
        findings.ok(CHECK, None, "You may grant any right.");
        return;
    }
    let question = |right: &Right| match right.place {
        Place::Watched | Place::Cluster => Question::in_the_cluster(*right),
        Place::AnyLease | Place::OwnLease | Place::Release => Question::in_namespace(*right, namespace),
    };
    let granted = CONTROLLER.iter().chain(USERS).map(question).collect();
    match missing(client, Subject::Own, granted).await {
        Ok(missing) if missing.is_empty() => {
            findings.ok(CHECK, None, "You have every right that the chart grants.");
        }
        Ok(missing) => {
            let message = format!(
                "The API server lets you grant only rights that you have. You may not {}.",
                joined(&missing)
            );
            let remedy = "Ask for these rights or for escalate on clusterroles, or set rbac.create: false and have the \
                          rights granted.";
            findings.error(CHECK, None, message, remedy);
        }
        Err(unread) => findings.unread(CHECK, None, &unread, unread.why.clone()),
    }
}

/// Checks that each controller has its rights.
pub(super) async fn check_controllers(client: &Client, found: &Found, findings: &mut Findings) {
    const CHECK: Check = Check::ControllerRights;
    if let Found::Unknown(why) = found {
        findings.skipped(CHECK, None, why.clone());
    } else if found.installations().is_empty() {
        findings.skipped(CHECK, None, "There is no Deployment.");
    }
    for installation in found.installations() {
        let subject = Some(installation.key.as_str());
        let Some(questions) = questions(installation) else {
            findings.skipped(CHECK, subject, "The settings of the controller are not known.");
            continue;
        };
        let (count, account) = (questions.len(), &installation.account);
        match missing(client, Subject::Account(account), questions).await {
            Ok(missing) if missing.is_empty() => {
                findings.ok(CHECK, subject, format!("ServiceAccount {account} has all {count} rights."));
            }
            Ok(missing) => {
                let message = format!("ServiceAccount {account} may not {}.", joined(&missing));
                let remedy = "Upgrade the chart with rbac.create: true, or grant these rights.";
                findings.error(CHECK, subject, message, remedy);
            }
            Err(unread) => findings.unread(CHECK, subject, &unread, unread.why.clone()),
        }
    }
}

/// The questions about the rights of an installation. `None`: its settings are not known.
fn questions(installation: &Installation) -> Option<Vec<Question>> {
    let watched = &installation.settings.as_ref().ok()?.watch_namespaces;
    let mut questions = Vec::new();
    for right in CONTROLLER {
        match right.place {
            Place::Watched | Place::Cluster if watched.is_empty() => {
                questions.push(Question::in_the_cluster(*right));
            }
            Place::Watched => {
                questions.extend(watched.iter().map(|namespace| Question::in_namespace(*right, namespace)));
            }
            Place::Cluster | Place::Release => {}
            Place::AnyLease | Place::OwnLease => {
                if let Some(lease) = installation.lease() {
                    let name = (right.place == Place::OwnLease).then(|| lease.name().to_owned());
                    questions.push(Question { name, ..Question::in_namespace(*right, lease.namespace()) });
                }
            }
        }
    }
    Some(questions)
}

/// The first rights, and how many more there are.
fn joined(missing: &[String]) -> String {
    let first = missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match missing.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The rights that are missing, in the order of the questions.
///
/// # Errors
/// The API server does not say, for this reason.
async fn missing(
    client: &Client,
    subject: Subject<'_>,
    questions: Vec<Question>,
) -> Result<Vec<String>, Unread> {
    let answers = stream::iter(questions).map(|question| async move {
        let is_allowed = is_allowed(client, subject, question.attributes()).await?;
        Ok((!is_allowed).then(|| question.in_words()))
    });
    let answers: Result<Vec<Option<String>>, kube::Error> = answers.buffered(AT_ONCE).try_collect().await;
    let answers = answers.map_err(|error| {
        let unread = Unread::of(&error);
        if unread.is_forbidden {
            let why = "You may not create subjectaccessreviews, which ask about the rights of others.";
            unread.in_words(|_| why.to_owned())
        } else {
            unread.in_words(|why| format!("The API server does not say: {why}."))
        }
    })?;
    Ok(answers.into_iter().flatten().collect())
}

/// Whether the subject may do something.
async fn is_allowed(
    client: &Client,
    subject: Subject<'_>,
    attributes: ResourceAttributes,
) -> Result<bool, kube::Error> {
    let (parameters, attributes) = (PostParams::default(), Some(attributes));
    let status = match subject {
        Subject::Own => {
            let spec = SelfSubjectAccessReviewSpec {
                resource_attributes: attributes,
                ..SelfSubjectAccessReviewSpec::default()
            };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            Api::all(client.clone()).create(&parameters, &review).await?.status
        }
        Subject::Account(account) => {
            let groups = ["system:serviceaccounts", "system:authenticated"].map(str::to_owned);
            let own = format!("system:serviceaccounts:{}", account.namespace());
            let spec = SubjectAccessReviewSpec {
                resource_attributes: attributes,
                user: Some(format!("system:serviceaccount:{}:{}", account.namespace(), account.name())),
                groups: Some(groups.into_iter().chain([own]).collect()),
                ..SubjectAccessReviewSpec::default()
            };
            let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
            Api::all(client.clone()).create(&parameters, &review).await?.status
        }
    };
    Ok(status.is_some_and(|status| status.allowed))
}
