use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use super::*;
use crate::cli::check::document::{Finding, Verdict};

/// A Deployment of the chart in namespace `system`, with these arguments.
fn installation(name: &str, arguments: &[&str]) -> Installation {
    let arguments = [&["run"], arguments].concat();
    let container = json!({"name": "controller", "args": arguments});
    let deployment = json!({
        "metadata": {"name": name, "namespace": "system",
                     "labels": {"app.kubernetes.io/name": "tenant-pricing-controller"}},
        "spec": {"replicas": 1, "selector": {}, "template": {"spec": {"containers": [container]}}},
    });
    Installation::of(&serde_json::from_value::<Deployment>(deployment).unwrap()).unwrap()
}

/// The one thing that is found about the elections of these installations, beside Leases of others.
fn found(installations: &[Installation], others: Result<Vec<(Key, String)>, Unread>) -> Finding {
    let found = all_found(installations, others);
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    finding.clone()
}

fn all_found(installations: &[Installation], others: Result<Vec<(Key, String)>, Unread>) -> Vec<Finding> {
    let mut findings = Findings::default();
    check_elections(installations, &Leases { own: BTreeMap::new(), others }, &mut findings);
    let report = findings.report(false, Timestamp::UNIX_EPOCH);
    report.findings.into_iter().filter(|found| found.id == Check::OneElection.as_str()).collect()
}

#[test]
fn elections_with_unknown_settings_may_share_objects() {
    let (known, unknown) =
        (installation("known", &["--lease-name=a"]), installation("new", &["--from-the-future"]));
    assert!(unknown.settings.is_err());
    for pair in
        [[known, unknown], [installation("new", &["--from-the-future"]), installation("other", &["--odd"])]]
    {
        let finding = found(&pair, Ok(Vec::new()));
        assert_eq!(finding.verdict, Verdict::Warning, "{finding:#?}");
        let words =
            ["may watch the same objects", "the settings of system/new are not known", "could both switch"];
        assert!(words.iter().all(|word| finding.message.contains(word)), "{finding:#?}");
    }
}

#[test]
fn elections_are_compared_by_what_they_watch() {
    let watching = |name: &str, namespaces: &str| {
        installation(name, &[&format!("--lease-name={name}"), &format!("--watch-namespaces={namespaces}")])
    };
    for (one, other, verdict, words) in [
        ("a", "b", Verdict::Ok, "share no object"),
        ("a,b", "b,c", Verdict::Error, "both watch the namespaces b."),
        ("a", "a", Verdict::Error, "both watch the namespaces a."),
    ] {
        let finding = found(&[watching("one", one), watching("other", other)], Ok(Vec::new()));
        assert!(finding.verdict == verdict && finding.message.contains(words), "{finding:#?}");
    }
    let shared = [installation("one", &["--lease-name=a"]), installation("other", &["--lease-name=a"])];
    assert_eq!(found(&shared, Ok(Vec::new())).verdict, Verdict::Ok, "one Lease is one election");
}

/// Its own Lease cannot be told from that of another process.
#[test]
fn a_lease_beside_unknown_settings_may_be_the_own_one() {
    let lease = || Ok(vec![(Key::new("system", LEASE_NAME), "pod-1".to_owned())]);
    let known = found(&[installation("known", &["--lease-name=a"])], lease());
    assert!(
        known.verdict == Verdict::Error && known.message.contains("no Deployment was found"),
        "{known:#?}"
    );
    let new = [installation("new", &["--from-the-future"])];
    let more = [lease().unwrap(), vec![(Key::new("other", LEASE_NAME), "pod-2".to_owned())]].concat();
    let report = all_found(&new, Ok(more));
    assert!(
        report.iter().all(|finding| finding.verdict == Verdict::Error) && report.len() == 2,
        "{report:#?}"
    );
    let unknown = found(&new, lease());
    assert!(unknown.verdict == Verdict::Warning && unknown.message.contains("may be that of system/new"));
}

#[test]
fn leases_that_cannot_be_listed_are_a_fault() {
    let unread = |code| {
        let status = kube::core::Status::failure("no", "Reason").with_code(code);
        Err(Unread::of(&kube::Error::Api(status.boxed())))
    };
    let one = [installation("known", &["--lease-name=a"])];
    assert_eq!(found(&one, unread(403)).verdict, Verdict::Skipped);
    for code in [429, 500, 503] {
        assert_eq!(found(&one, unread(code)).verdict, Verdict::Error, "{code}");
    }
}
