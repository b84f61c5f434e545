//! Who the client is: its credentials, the access token for them, and when the next token may be fetched.

pub(super) mod credentials;
pub(super) mod history;
pub(super) mod token;
