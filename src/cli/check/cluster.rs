//! Checks that the cluster is found, that its API server answers and is new enough, and that its clock agrees.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::client::Body;

use super::{findings::Findings, list::Check};
use crate::{
    cli::cluster::{Cluster, ClusterArguments, writes::Writes},
    clock::Clock,
    cluster::explain,
};

/// The metadata of the chart. `kubeVersion` in it is the oldest version that the chart admits.
const CHART: &str = include_str!("../../../charts/tenant-pricing-controller/Chart.yaml");

/// The largest difference of the clocks that is no warning. NTP keeps machines within a second.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(5);

/// The answer of the API server about itself.
struct Answer {
    version: Info,
    /// The header `Date`, in whole seconds.
    date: Option<Timestamp>,
    /// When the request was sent, and when its answer had come.
    sent: Timestamp,
    received: Timestamp,
}

/// Finds the cluster. `None`: there is none, or it does not answer.
pub(super) async fn find(arguments: &ClusterArguments, findings: &mut Findings) -> Option<Cluster> {
    let cluster = match arguments.find_for(Writes::Reviews).await {
        Ok(cluster) => cluster,
        Err(error) => {
            let remedy = "Name a cluster with --kubeconfig and --context, or with the variable KUBECONFIG.";
            findings.error(Check::Kubeconfig, None, format!("{error}."), remedy);
            return None;
        }
    };
    let (server, namespace) = (&cluster.server, &cluster.namespace);
    findings.ok(Check::Kubeconfig, None, format!("The cluster is {server}, the namespace {namespace}."));
    match ask(&cluster).await {
        Ok(answer) => {
            let version = &answer.version.git_version;
            findings.ok(Check::ApiServer, None, format!("The API server answers: {version}."));
            check_version(&answer.version, findings);
            check_clock(answer.date, (answer.sent, answer.received), findings);
            Some(cluster)
        }
        Err(why) => {
            let message = format!("The API server {server} cannot be used: {why}.");
            let remedy = "Check the network, and your credentials with: kubectl version";
            findings.error(Check::ApiServer, None, message, remedy);
            None
        }
    }
}

/// Asks the API server for its version.
async fn ask(cluster: &Cluster) -> Result<Answer, String> {
    let request =
        axum::http::Request::get("/version").body(Body::empty()).map_err(|error| error.to_string())?;
    let clock = Clock::system();
    let sent = clock.now();
    let answer = cluster.client.send(request).await.map_err(|error| explain(&error))?;
    let received = clock.now();
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status()));
    }
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).and_then(instant);
    let body = answer.into_body().collect_bytes().await.map_err(|error| explain(&error))?;
    let version = serde_json::from_slice(&body).map_err(|_| "its answer is no version".to_owned())?;
    Ok(Answer { version, date, sent, received })
}

/// The instant of a header `Date`.
fn instant(date: &str) -> Option<Timestamp> {
    let seconds =
        httpdate::parse_http_date(date).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Timestamp::from_second(seconds.try_into().ok()?).ok()
}

/// The oldest version of Kubernetes that the chart admits, as major and minor.
fn oldest() -> Option<(u32, u32)> {
    let line = CHART.lines().find_map(|line| line.strip_prefix("kubeVersion:"))?;
    let version = line.trim().trim_matches('"').strip_prefix(">=")?;
    let mut parts = version.split(['.', '-']);
    Some((number(parts.next()?)?, number(parts.next()?)?))
}

/// The digits that a number begins with: some API servers say `36+`.
fn number(text: &str) -> Option<u32> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn check_version(version: &Info, findings: &mut Findings) {
    let found = number(&version.major).zip(number(&version.minor));
    let (Some(found), Some(oldest)) = (found, oldest()) else {
        let message = format!("The version {:?} cannot be compared.", version.git_version);
        findings.skipped(Check::ApiServerVersion, None, message);
        return;
    };
    let needed = format!("Kubernetes {}.{} or newer", oldest.0, oldest.1);
    if found >= oldest {
        findings.ok(Check::ApiServerVersion, None, format!("The chart needs {needed}."));
    } else {
        let found = format!("This is Kubernetes {}.{}, and the chart needs {needed}.", found.0, found.1);
        let message = format!("{found} Rules of the CRDs may not hold.");
        findings.error(Check::ApiServerVersion, None, message, "Upgrade Kubernetes before you install.");
    }
}

fn check_clock(date: Option<Timestamp>, local: (Timestamp, Timestamp), findings: &mut Findings) {
    let Some(date) = date else {
        findings.skipped(Check::ApiServerClock, None, "The answer of the API server has no time.");
        return;
    };
    let difference = difference(date, local);
    if difference.abs() <= CLOCKS_DIFFER {
        findings.ok(Check::ApiServerClock, None, "The clocks agree.");
        return;
    }
    let (seconds, side) =
        (difference.abs().as_secs(), if difference.is_positive() { "ahead of" } else { "behind" });
    let message = format!(
        "The clock of the API server is {seconds} s {side} the clock of this machine. Times that plan and status show \
         may be wrong."
    );
    findings.warning(Check::ApiServerClock, None, message, "Correct the clock that is wrong, with NTP.");
}

/// How far a clock is ahead. `date` is its time in whole seconds, at some instant between the two local times.
fn difference(date: Timestamp, (before, after): (Timestamp, Timestamp)) -> SignedDuration {
    let end = date.saturating_add(SignedDuration::from_secs(1)).unwrap_or(date);
    if date > after {
        date.duration_since(after)
    } else if end < before {
        end.duration_since(before)
    } else {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::document::Verdict;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn verdict(check: Check, run: impl FnOnce(&mut Findings)) -> (Verdict, String) {
        let mut findings = Findings::default();
        run(&mut findings);
        let report = findings.report(true, Timestamp::UNIX_EPOCH);
        let found = report.findings.iter().find(|finding| finding.id == check.as_str()).unwrap();
        (found.verdict, found.message.clone())
    }

    #[test]
    fn an_api_server_older_than_the_chart_admits_is_an_error() {
        assert_eq!(oldest(), Some((1, 32)));
        for (major, minor, expected) in [
            ("1", "36", Verdict::Ok),
            ("1", "32+", Verdict::Ok),
            ("2", "0", Verdict::Ok),
            ("1", "31", Verdict::Error),
            ("1", "9", Verdict::Error),
            ("", "", Verdict::Skipped),
        ] {
            let info = Info { major: major.into(), minor: minor.into(), ..Info::default() };
            let (verdict, message) = verdict(Check::ApiServerVersion, |found| check_version(&info, found));
            assert_eq!(verdict, expected, "{major}.{minor}: {message}");
        }
    }

    #[test]
    fn clocks_that_differ_are_a_warning() {
        let local = (at("2026-12-01T00:00:00.9Z"), at("2026-12-01T00:00:03.1Z"));
        for (date, expected) in [
            ("2026-12-01T00:00:00Z", Verdict::Ok),
            ("2026-12-01T00:00:08Z", Verdict::Ok),
            ("2026-12-01T00:00:09Z", Verdict::Warning),
            ("2026-11-30T23:59:55Z", Verdict::Ok),
            ("2026-11-30T23:59:54Z", Verdict::Warning),
        ] {
            let (verdict, message) =
                verdict(Check::ApiServerClock, |found| check_clock(Some(at(date)), local, found));
            assert_eq!(verdict, expected, "{date}: {message}");
        }
        let (_, ahead) = verdict(Check::ApiServerClock, |found| {
            check_clock(Some(at("2026-12-01T01:00:03Z")), local, found);
        });
        assert!(ahead.contains("3599 s ahead of"), "{ahead}");
        let (none, _) = verdict(Check::ApiServerClock, |found| check_clock(None, local, found));
        assert_eq!(none, Verdict::Skipped);
    }

    #[test]
    fn the_header_date_is_read() {
        assert_eq!(instant("Tue, 01 Dec 2026 00:00:00 GMT"), Some(at("2026-12-01T00:00:00Z")));
        assert_eq!(instant("soon"), None);
    }
}
