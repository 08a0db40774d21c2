//! The client of a request, and what logs write where there is no value.

use super::fault::{Fault, fault};
use super::place::{address_of, client_is_valid, is_address};

/// The client; of a list of addresses the first. None for a placeholder.
#[inline]
pub(super) fn read_client(field: &[u8]) -> Result<Option<&[u8]>, Fault> {
    if is_address(field) {
        return Ok(Some(field));
    }
    read_other_client(field)
}

fn read_other_client(field: &[u8]) -> Result<Option<&[u8]>, Fault> {
    let wrong = || {
        let expected = "an IPv4 or IPv6 address or a host name";
        fault("client_ip", expected, field)
    };
    let mut all = field.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let first = all.next().unwrap_or_default();
    if all.clone().next().is_some() {
        let is_forwarded =
            |one: &[u8]| one == b"unknown" || is_placeholder(one) || address_of(one).is_some();
        return if all.all(is_forwarded) && is_forwarded(first) {
            Ok(address_of(first))
        } else {
            Err(wrong())
        };
    }
    if first == b"unknown" || (is_placeholder(first) && !first.is_empty()) {
        return Ok(None);
    }
    if let Some(address) = address_of(first) {
        return Ok(Some(address));
    }
    if client_is_valid(first) {
        Ok(Some(first))
    } else {
        Err(wrong())
    }
}

/// Whether a field stands for no value: nginx and Apache write `-`, Apache `""` for an empty user, and some formats
/// nothing.
#[inline]
pub(super) fn is_placeholder(field: &[u8]) -> bool {
    matches!(field, b"-" | b"" | b"\"\"" | b"\"-\"")
}
