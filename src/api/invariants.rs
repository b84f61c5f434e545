//! What must hold of every status that is ever stored. Tests run it over everything they see.
