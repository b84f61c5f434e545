//! Classifies the API server's answers to requests for the Lease. Pure.

use k8s_openapi::api::coordination::v1::Lease;

use crate::cluster::{Key, explain};

/// What a request does with the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Reads the Lease.
    Get,
    /// Creates the Lease.
    Create,
    /// Acquires, renews or releases the Lease.
    Update,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
        }
    }
}

/// An answer that says something about the Lease.
#[derive(Debug)]
pub(super) enum Answer {
    /// The Lease as the API server stores it.
    Stored(Box<Lease>),
    /// The Lease does not exist.
    Missing,
    /// Another writer was faster: the Lease already exists, or has another resource version.
    Changed,
}

/// An answer that says nothing about the Lease, or none at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The kind of the failure. A new kind is worth a warning.
    pub kind: &'static str,
    /// A sentence for the person who runs the controller.
    pub reason: String,
    /// The API server refused the request for good, and a person must act.
    pub is_refusal: bool,
}

impl Failure {
    fn refusal(kind: &'static str, reason: String) -> Self {
        Self { kind, reason, is_refusal: true }
    }

    fn passing(kind: &'static str, reason: String) -> Self {
        Self { kind, reason, is_refusal: false }
    }

    /// The API server did not answer in time.
    pub(super) fn timeout(seconds: u64) -> Self {
        Self::passing("timeout", format!("the API server does not answer within {seconds} s"))
    }

    /// Another writer changes the Lease again and again.
    pub(super) fn changed() -> Self {
        Self::passing("changed", "another client changed the Lease at the same time".to_owned())
    }
}

/// Classifies an answer to a request for a Lease.
pub(super) fn read(verb: Verb, lease: &Key, answer: kube::Result<Lease>) -> Result<Answer, Failure> {
    let error = match answer {
        Ok(lease) => return Ok(Answer::Stored(Box::new(lease))),
        Err(error) => error,
    };
    let kube::Error::Api(status) = &error else {
        return Err(Failure::passing("unreachable", explain(&error)));
    };
    let said = status.message.as_str();
    let (namespace, name) = (lease.namespace(), lease.name());
    Err(match (status.code, verb) {
        (404, Verb::Get | Verb::Update) => return Ok(Answer::Missing),
        (409, Verb::Create | Verb::Update) => return Ok(Answer::Changed),
        (404, Verb::Create) => {
            let of_namespace = status.details.as_ref().is_some_and(|details| details.kind == "namespaces");
            Failure::refusal(
                "missing",
                if of_namespace || said.contains("namespaces") {
                    format!(
                        "namespace {namespace:?} does not exist, so Lease {name:?} cannot be created in it. \
                         Create the namespace, or correct --lease-namespace"
                    )
                } else {
                    format!("the API server serves no Leases of coordination.k8s.io: {said}")
                },
            )
        }
        (403, _) if said.contains("is being terminated") => Failure::refusal(
            "terminating",
            format!(
                "namespace {namespace:?} is being deleted, so Lease {name:?} cannot be created in it. Wait until \
                 the namespace exists again, or correct --lease-namespace"
            ),
        ),
        (403, verb) => Failure::refusal(
            "forbidden",
            format!(
                "the API server does not allow to {} Lease {namespace}/{name}: {said}. Grant get, create, update \
                 and watch on leases of coordination.k8s.io in namespace {namespace:?}, or correct \
                 --lease-namespace",
                verb.as_str(),
            ),
        ),
        (401, _) => Failure::refusal(
            "unauthorized",
            format!("the API server does not accept the credentials of this process: {said}"),
        ),
        (400 | 422, _) => Failure::refusal(
            "invalid",
            format!(
                "the API server takes Lease {namespace}/{name} for invalid: {said}. Correct --lease-name or \
                 --lease-namespace"
            ),
        ),
        (code, verb) => Failure {
            kind: "status",
            reason: format!(
                "the API server answers {code} to {} of Lease {namespace}/{name}: {said}",
                verb.as_str()
            ),
            // 429 and 5xx say only that the API server cannot answer now.
            is_refusal: code != 429 && code < 500,
        },
    })
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answered(verb: Verb, code: u16, message: &str) -> Result<Answer, Failure> {
        let status = Status::failure(message, "Reason").with_code(code);
        read(verb, &Key::new("here", "lease"), Err(kube::Error::Api(status.boxed())))
    }

    #[test]
    fn a_missing_lease_is_news_and_a_missing_namespace_a_refusal() {
        for verb in [Verb::Get, Verb::Update] {
            let answer = answered(verb, 404, "leases.coordination.k8s.io \"lease\" not found");
            assert!(matches!(answer, Ok(Answer::Missing)), "{verb:?}");
        }
        let failure = answered(Verb::Create, 404, "namespaces \"here\" not found").unwrap_err();
        assert!(failure.is_refusal);
        assert!(failure.reason.contains("namespace \"here\" does not exist"), "{}", failure.reason);
        assert!(failure.reason.contains("--lease-namespace"), "{}", failure.reason);
        let failure = answered(Verb::Create, 404, "the server could not find the requested resource");
        assert!(failure.unwrap_err().reason.contains("serves no Leases"));
    }

    #[test]
    fn a_conflict_says_that_another_writer_was_faster() {
        for verb in [Verb::Create, Verb::Update] {
            assert!(matches!(answered(verb, 409, "conflict"), Ok(Answer::Changed)), "{verb:?}");
        }
        assert!(answered(Verb::Get, 409, "odd").unwrap_err().is_refusal);
    }

    #[test]
    fn each_refusal_names_the_lease_and_the_remedy() {
        for (verb, code, message, kind, word) in [
            (Verb::Get, 403, "leases is forbidden", "forbidden", "does not allow to get Lease here/lease"),
            (Verb::Update, 403, "leases is forbidden", "forbidden", "Grant get, create, update"),
            (
                Verb::Create,
                403,
                "unable to create new content in namespace here because it is being terminated",
                "terminating",
                "is being deleted",
            ),
            (Verb::Create, 422, "metadata.name: Invalid value", "invalid", "--lease-name"),
            (Verb::Get, 400, "the name is odd", "invalid", "--lease-name"),
            (Verb::Get, 401, "Unauthorized", "unauthorized", "does not accept the credentials"),
            (Verb::Update, 405, "method not allowed", "status", "answers 405 to update"),
        ] {
            let failure = answered(verb, code, message).unwrap_err();
            assert_eq!((failure.kind, failure.is_refusal), (kind, true), "{code}");
            assert!(failure.reason.contains(word), "{code}: {}", failure.reason);
        }
    }

    #[test]
    fn an_overloaded_api_server_refuses_nothing() {
        for code in [429, 500, 503, 504] {
            let failure = answered(Verb::Update, code, "later").unwrap_err();
            assert!(!failure.is_refusal, "{code}");
        }
        let broken = kube::Error::Service("connection refused".into());
        let failure = read(Verb::Get, &Key::new("here", "lease"), Err(broken)).unwrap_err();
        assert_eq!((failure.kind, failure.is_refusal), ("unreachable", false));
        assert!(failure.reason.contains("connection refused"));
    }
}
