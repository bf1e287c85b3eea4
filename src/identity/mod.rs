//! Who the person is: sign-in with a password, its throttle, and the login sessions of browsers.
//!
//! Rules only; the pages are next door in [`crate::web`], the rows in [`crate::store`]. The password grant of
//! [`crate::oauth`] signs a person in by the same rule as the login page.

pub mod hashing;
pub mod login;
mod on_demand;
pub mod sign_in;
