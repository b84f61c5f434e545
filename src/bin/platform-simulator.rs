//! Runs the platform simulator.

fn main() {}
