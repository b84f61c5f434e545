//! What the platform's answers mean: JSON, timestamps, and the types made of them.

pub(super) mod json;
pub(super) mod model;
pub(super) mod time;
