use super::document::{ControllerVersion, CrdVersion, Versions, for_terminal};
use crate::{cli::output::escape, testing::golden};

fn versions(crds: &[Option<bool>], controllers: &[Option<bool>]) -> Versions {
    let mut versions = Versions::of_client("1.2.3");
    let crd = |fits: &Option<bool>| CrdVersion { name: "a.b".into(), state: "as it is".into(), fits: *fits };
    let controller = |fits: &Option<bool>| ControllerVersion {
        deployment: "system/a".into(),
        version: fits.map(|_| "1.2.3".into()),
        fits: *fits,
    };
    versions.crds = crds.iter().map(crd).collect();
    versions.controllers = controllers.iter().map(controller).collect();
    versions.conclude();
    versions
}

#[test]
fn one_misfit_decides_and_an_unknown_one_leaves_it_open() {
    for (crds, controllers, fits) in [
        (vec![Some(true)], vec![Some(true)], Some(true)),
        (vec![Some(true)], vec![], Some(true)),
        (vec![Some(true), Some(false)], vec![None], Some(false)),
        (vec![Some(true)], vec![Some(true), Some(false)], Some(false)),
        (vec![Some(true)], vec![None], None),
        (vec![None], vec![Some(true)], None),
    ] {
        assert_eq!(versions(&crds, &controllers).fits, fits, "{crds:?} {controllers:?}");
    }
}

#[test]
fn lines_for_a_terminal_name_each_part() {
    assert_eq!(for_terminal(&Versions::of_client("1.2.3")), "Client:     1.2.3\n");
    let text = for_terminal(&versions(&[Some(true)], &[Some(true)]));
    assert_eq!(
        text,
        "Client:     1.2.3\nCRD:        a.b is as it is\nController: 1.2.3 (system/a)\nThey fit.\n"
    );
    let text = for_terminal(&versions(&[Some(false)], &[]));
    assert!(
        text.ends_with("none was found\nThey do not fit. kubectl-tenantpricing check says what to do.\n")
    );
    let mut hostile = versions(&[], &[None]);
    for name in escape::HOSTILE {
        hostile.controllers[0].version = Some((*name).to_owned());
        let text = for_terminal(&hostile);
        assert!(text.chars().all(|letter| letter == '\n' || !escape::is_disruptive(letter)), "{text:?}");
    }
}

#[test]
fn the_checked_in_schema_is_that_of_the_document() {
    let text = serde_json::to_string_pretty(&schemars::schema_for!(Versions)).unwrap() + "\n";
    golden::compare("schemas/version-v1.json", &text).unwrap_or_else(|error| panic!("{error}"));
}
