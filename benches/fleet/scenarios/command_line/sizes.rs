//! How large the programs are, as they are released.

use std::fs;

use crate::{
    Measured,
    bench::Bench,
    measurements::{Amount, Measurement},
};

/// In MiB.
const LIMIT: f64 = 20.0;

/// The sizes of the two files.
pub fn sizes(bench: &mut Bench) -> Measured<()> {
    let plugin = Amount::bytes(fs::metadata(&bench.programs.plugin)?.len());
    bench.add(Measurement::at_most("size of kubectl-tenantpricing", plugin, LIMIT, "≤ 20 MiB"));
    let controller = Amount::bytes(fs::metadata(&bench.programs.controller)?.len());
    bench.add(Measurement::shown("size of the controller", controller));
    Ok(())
}
