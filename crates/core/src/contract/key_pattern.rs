//! Glob patterns over raw keys.
