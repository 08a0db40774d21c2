//! JSON as the readers need it: a pull parser, the keys of an object in their usual order, and a
//! small document tree for shapes that are too varied to pull.

pub(crate) mod cursor;
pub(crate) mod document;
pub(crate) mod elements;
pub(crate) mod error;
pub(crate) mod keys;
mod paths;
mod personal;
pub(crate) mod row;
pub(crate) mod string;
pub(crate) mod target;
pub(crate) mod unknown;
