//! JSON as the readers need it: a pull parser, the keys of an object in their usual order, and a
//! small document tree for shapes that are too varied to pull.

pub mod cursor;
pub mod document;
pub mod error;
pub mod keys;
mod personal;
pub mod row;
pub mod string;
