//! Switches from the manifest to the platform: at once, on the first of a month, and by name.

mod months;
mod names;
mod scenarios;
