//! A state file that is lost or damaged.

/// What to do without a state file that can be read.
pub const LOST_STATE: &str = "\
restore .tarn/lake.sqlite from a copy of the lake. Where there is none, make the lake again from its raw zone: \
move its folder away, make a new one that has the raw/ and the .tarn/keys/ of the old one, and run tarn ingest \
on the raw/ of the new one, then tarn marts (docs/runbooks/lost-state.md)";
