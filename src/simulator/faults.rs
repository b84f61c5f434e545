//! Faults: what each does, which requests it meets, and which are active.

pub(crate) mod action;
pub(crate) mod book;
pub(crate) mod fault;
