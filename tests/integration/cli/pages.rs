//! What the pages show of the command line is what it prints. `TRYCMD=overwrite` writes the new output into them.

use std::{fs, path::Path};

use crate::harness::PLUGIN;

/// The pages with blocks of `console` in which each command is run. Commands that need a cluster stand in other blocks.
const PAGES: &[&str] = &["docs/cli.md", "docs/guides/plan.md"];

#[test]
fn the_pages_show_what_the_program_prints() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("kubectl-tenantpricing", Path::new(PLUGIN));
    // What the machine is set up for does not matter.
    cases.env("KUBECONFIG", "/no-such-file").env("HOME", "/no-such-folder");
    for page in PAGES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        assert!(text.contains("```console\n$ kubectl-tenantpricing "), "{page} shows no command");
        cases.case(page);
    }
    cases.run();
}
