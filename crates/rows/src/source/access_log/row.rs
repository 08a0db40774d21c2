//! What was read of a line.

use super::trailing::Trailing;

/// The fields of a line; None where the log has `-` or the format has no such field.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Row<'a> {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub event_time: i64,
    /// Minutes east of UTC.
    pub utc_offset_minutes: Option<i32>,
    pub client_ip: Option<&'a [u8]>,
    pub vhost: Option<&'a [u8]>,
    pub server_port: Option<i32>,
    pub ident: Option<&'a [u8]>,
    pub remote_user: Option<&'a [u8]>,
    pub method: Option<&'a [u8]>,
    pub path: Option<&'a [u8]>,
    pub query: Option<&'a [u8]>,
    pub protocol: Option<&'a [u8]>,
    pub raw_request: Option<&'a [u8]>,
    pub status: Option<i32>,
    pub bytes: Option<i64>,
    pub referer: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    pub trailing: Trailing<'a>,
}
