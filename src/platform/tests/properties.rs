//! Whatever comes from outside: nothing panics, what is kept is bounded, and nothing is repeated that must not be.

mod answers;
mod times;
mod urls;

use proptest::prelude::*;

use super::*;
use crate::testing::adversarial::{MARK, body, cases, corpus, corpus_texts, nearly, text};
