//! The table of side effects is complete: no request leaves the program outside it.

use std::collections::BTreeSet;

use super::*;
use crate::testing::sources::{Source, sources};

#[test]
fn each_point_has_a_unique_name_that_the_crate_fail_accepts() {
    let points = Point::all();
    let names: BTreeSet<String> = points.iter().map(ToString::to_string).collect();
    assert_eq!((names.len(), points.len()), (2 * SideEffect::ALL.len() + 1, names.len()));
    let plain =
        |name: &String| name.chars().all(|letter| letter.is_ascii_lowercase() || "._".contains(letter));
    assert!(names.iter().all(plain), "{names:?}");
}

/// Ways out of the program, and the only files that may use each. A request from a new place must run inside
/// [`side_effect`]. A new Kubernetes client must have the layer `CountWrites`, which refuses everything else, or
/// `LimitWrites` if it is that of a command.
const WAYS_OUT: &[(&str, &[&str])] = &[
    (".send()", &["platform/net/transport.rs"]),
    (".execute(", &["cli/plugin.rs", "main.rs"]), // of the command lines
    ("reqwest::get", &[]),
    ("reqwest::Client::", &["platform/net/transport.rs"]),
    ("ClientBuilder", &["cli/cluster.rs", "cli/run.rs", "platform/net/transport.rs"]),
    ("Client::try_from", &["testing/api_server.rs"]), // for unit tests alone
    ("Client::try_default", &[]),
    ("kube::Client::new", &[]),
    ("TcpStream::connect", &[]),
    ("UdpSocket", &[]),
    ("process::Command", &["cluster/access/plugin.rs"]), // auth plugins of the kubeconfig
    // Git, the parser of the controller's flags, and auth plugins.
    ("Command::new(", &["cli/plan/input/git.rs", "cli/run/deployed.rs", "cluster/access/plugin.rs"]),
    ("hyper::client", &[]),
    ("legacy::Client", &[]),
];

/// The sources of the controller and of the plugin. The simulator is another program.
fn own_sources() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| !["simulator/", "bin/"].iter().any(|other| source.name.starts_with(other)));
    sources
}

#[test]
fn nothing_leaves_the_program_outside_the_table() {
    let sources = own_sources();
    for (way, places) in WAYS_OUT {
        let found = sources.iter().filter(|source| source.code.contains(way));
        let found: BTreeSet<String> = found.map(|source| source.name.clone()).collect();
        let allowed: BTreeSet<String> = places.iter().map(ToString::to_string).collect();
        assert_eq!(found, allowed, "where {way:?} stands");
    }
}

#[test]
fn each_kubernetes_client_is_limited_in_its_writes() {
    for Source { name, code } in own_sources().iter().filter(|source| !source.name.starts_with("platform/")) {
        let built = code.matches("ClientBuilder::").count();
        let limits = ["with_layer(&CountWrites::new(", "with_layer(&LimitWrites::to("];
        let limited: usize = limits.iter().map(|limit| code.matches(limit).count()).sum();
        assert_eq!(built, limited, "{name}: a client whose writes nothing limits");
    }
}
