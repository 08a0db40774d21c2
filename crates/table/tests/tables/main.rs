//! Tables over doubles of the ports: a folder, and a catalog that can refuse and lose replies.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod commits;
mod deletes;
mod evolution;
mod files;
mod lake;
mod maintenance;
mod relocation;
mod verification;
