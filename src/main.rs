//! Runs the controller.

fn main() {}
