//! The lake's ports on AWS.
