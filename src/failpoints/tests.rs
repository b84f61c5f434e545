//! The table of side effects is complete: no request leaves the program outside it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::*;

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
    ("Command::new(", &["cli/plan/base.rs", "cli/run/deployed.rs", "cluster/access/plugin.rs"]),
    ("hyper::client", &[]),
    ("legacy::Client", &[]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The simulator is another program, and tests are not part of this one.
        let is_other = ["tests", "simulator", "bin", "tests.rs"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_other {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_other {
            found.push(path);
        }
    }
}

/// The code of a source file, without its tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let mut code = Vec::new();
    while let Some(mut line) = lines.next() {
        if line == "#[cfg(test)]" {
            line = lines.next().unwrap_or_default();
            // The tests of a file are its last module. One in a file of its own may stand before code.
            if line.starts_with("mod ") && line.ends_with('{') {
                break;
            }
            if line.ends_with(';') {
                continue;
            }
        }
        code.push(line.split("//").next().unwrap_or_default());
    }
    code.join("\n")
}

#[test]
fn nothing_leaves_the_program_outside_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "the scan has found the sources");
    for (way, places) in WAYS_OUT {
        let found = files.iter().filter(|path| code(path).contains(way));
        let found: BTreeSet<String> =
            found.map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect();
        let allowed: BTreeSet<String> = places.iter().map(ToString::to_string).collect();
        assert_eq!(found, allowed, "where {way:?} stands");
    }
}

#[test]
fn each_kubernetes_client_is_limited_in_its_writes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for path in files.iter().filter(|path| !path.starts_with(root.join("platform"))) {
        let code = code(path);
        let built = code.matches("ClientBuilder::").count();
        let limits = ["with_layer(&CountWrites::new(", "with_layer(&LimitWrites::to("];
        let limited: usize = limits.iter().map(|limit| code.matches(limit).count()).sum();
        assert_eq!(built, limited, "{}: a client whose writes nothing limits", path.display());
    }
}
