//! For any input from outside, nothing panics, memory is bounded, and no request is repeated that must not be.

mod answers;
mod times;
mod urls;

use proptest::prelude::*;

use super::*;
use crate::testing::adversarial::{MARK, body, cases, corpus, corpus_texts, nearly, text};
