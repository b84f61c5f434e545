//! cli

pub mod crds;
