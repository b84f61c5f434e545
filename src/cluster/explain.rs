//! Explains a failed request to the API server, in words for a log line.

use std::error::Error;

/// Says why a request to the API server failed.
///
/// kube's own text prints an answer twice, and omits why a connection failed.
#[must_use]
pub fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            let message = if status.message.is_empty() { &status.reason } else { &status.message };
            format!("the API server answers {}: {message}", status.code)
        }
        kube::Error::Service(cause) => chain(cause.as_ref()),
        error => chain(error),
    }
}

/// The error and its causes, each once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Connect(#[source] std::io::Error);

    #[test]
    fn an_answer_is_quoted_once_and_a_failure_has_its_cause() {
        let status = Status::failure("no such thing", "NotFound").with_code(404);
        let said = explain(&kube::Error::Api(status.boxed()));
        assert_eq!(said, "the API server answers 404: no such thing");
        let refused = std::io::Error::other("Connection refused");
        let said = explain(&kube::Error::Service(Box::new(Connect(refused))));
        assert_eq!(said, "client error (Connect): Connection refused");
    }
}
