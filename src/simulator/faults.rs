//! What can go wrong: the faults, what each of them does, and those that are in force.

pub(crate) mod action;
pub(crate) mod book;
pub(crate) mod fault;
