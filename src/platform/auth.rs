//! Who the client is: credentials, the access token that they buy, and when the next one may be fetched.

pub(super) mod credentials;
pub(super) mod history;
pub(super) mod token;
