//! What an error of a watch means. Every command that watches has the same answer.

use kube::{core::Status, runtime::watcher};

/// The answers of the API server about a request that may work later, among those that blame the request: a timeout, a
/// conflict, a version that is too old, and too many requests.
const TEMPORARY: [u16; 4] = [408, 409, 410, 429];

/// What an error of a watch means.
#[derive(Debug)]
pub(crate) enum Fault<'a> {
    /// The API server refuses the request, and would refuse it again.
    Refused(&'a kube::Error),
    /// The watch ended as watches do, and goes on: a quiet one ends after `--request-timeout`, and one whose version is
    /// too old begins with a new list.
    Ended,
    /// Something is wrong, and it is tried again. The text says so.
    Interrupted(String),
}

/// What an error of a watch means.
pub(crate) fn fault(error: &watcher::Error) -> Fault<'_> {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(refusal @ kube::Error::Api(status))
        | WatchStartFailed(refusal @ kube::Error::Api(status))
            if is_final(status) =>
        {
            Fault::Refused(refusal)
        }
        WatchFailed(_) => Fault::Ended,
        WatchError(status) if status.code == 410 => Fault::Ended,
        error => Fault::Interrupted(format!("the watch was interrupted, and is tried again: {error}")),
    }
}

fn is_final(status: &Status) -> bool {
    (400..500).contains(&status.code) && !TEMPORARY.contains(&status.code)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn status(code: u16) -> Box<Status> {
        Status::failure("no", "Reason").with_code(code).boxed()
    }

    /// The error of a list that the API server answers so.
    pub(crate) fn unlisted(code: u16) -> watcher::Error {
        watcher::Error::InitialListFailed(kube::Error::Api(status(code)))
    }

    #[test]
    fn a_request_that_is_refused_for_good_ends_the_watch() {
        for code in [400, 401, 403, 404, 405, 406, 415, 422] {
            let start = watcher::Error::WatchStartFailed(kube::Error::Api(status(code)));
            assert!(matches!(fault(&unlisted(code)), Fault::Refused(kube::Error::Api(_))), "{code}");
            assert!(matches!(fault(&start), Fault::Refused(kube::Error::Api(_))), "{code}");
        }
        for code in [408, 409, 410, 429, 500, 502, 503, 504] {
            let Fault::Interrupted(said) = fault(&unlisted(code)) else { panic!("{code}") };
            assert!(said.contains("is tried again"), "{said}");
        }
    }

    #[test]
    fn the_usual_end_of_a_watch_is_no_interruption() {
        let timeout = kube::Error::Service("timeout".into());
        assert!(matches!(fault(&watcher::Error::WatchFailed(timeout)), Fault::Ended));
        assert!(matches!(fault(&watcher::Error::WatchError(status(410))), Fault::Ended));
        assert!(matches!(fault(&watcher::Error::WatchError(status(500))), Fault::Interrupted(_)));
        let unreachable = kube::Error::Service("connection refused".into());
        assert!(matches!(fault(&watcher::Error::WatchStartFailed(unreachable)), Fault::Interrupted(_)));
    }
}
