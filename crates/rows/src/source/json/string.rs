//! Strings as JSON writes them: their escapes, and where they end.

use super::error::Fault;

/// A string as it is written between its quotes. Its escapes have been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Str<'a> {
    /// The bytes between the quotes.
    pub raw: &'a [u8],
    /// Whether there are escapes in them.
    pub escaped: bool,
}

impl<'a> Str<'a> {
    /// The text; `scratch` holds it where it had to be unescaped.
    #[inline]
    pub(crate) fn text<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if !self.escaped {
            return self.raw;
        }
        scratch.clear();
        self.unescape_into(scratch);
        scratch
    }

    /// Appends the text.
    pub(crate) fn unescape_into(&self, text: &mut Vec<u8>) {
        let mut rest = self.raw;
        while let Some(backslash) = next_backslash(rest) {
            let (plain, escape) = rest.split_at(backslash);
            text.extend_from_slice(plain);
            let (plain, used) = match escape.get(1) {
                Some(b'n') => (b'\n', 2),
                Some(b't') => (b'\t', 2),
                Some(b'r') => (b'\r', 2),
                Some(b'b') => (0x08, 2),
                Some(b'f') => (0x0c, 2),
                Some(b'u') => {
                    // The cursor has checked the pair, or lets half of one pass.
                    let (character, used) = unicode_escape(escape).unwrap_or(('\u{fffd}', 6));
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = escape.get(used..).unwrap_or_default();
                    continue;
                }
                Some(&other) => (other, 2),
                None => return,
            };
            text.push(plain);
            rest = escape.get(used..).unwrap_or_default();
        }
        text.extend_from_slice(rest);
    }
}

/// The place of the next backslash. Escapes come in runs, so the nearest bytes are looked at one by one.
#[inline]
fn next_backslash(bytes: &[u8]) -> Option<usize> {
    for (at, &byte) in bytes.iter().take(8).enumerate() {
        if byte == b'\\' {
            return Some(at);
        }
    }
    memchr::memchr(b'\\', bytes.get(8..)?).map(|at| at + 8)
}

/// The code unit of `\uXXXX` at the start of `bytes`.
#[inline]
fn code_unit(bytes: &[u8]) -> Option<u16> {
    let [b'\\', b'u', digits @ ..] = bytes.first_chunk::<6>()? else {
        return None;
    };
    let mut unit = 0u16;
    for &digit in digits {
        unit = unit << 4 | u16::from(HEX_VALUE[usize::from(digit)] & 0xF);
        if HEX_VALUE[usize::from(digit)] == NO_HEX {
            return None;
        }
    }
    Some(unit)
}

const NO_HEX: u8 = 0xFF;

/// The value of a hexadecimal digit.
const HEX_VALUE: [u8; 256] = {
    let mut values = [NO_HEX; 256];
    let mut digit = 0;
    while digit < 10 {
        values[b'0' as usize + digit] = digit as u8;
        digit += 1;
    }
    let mut letter = 0;
    while letter < 6 {
        values[b'a' as usize + letter] = 10 + letter as u8;
        values[b'A' as usize + letter] = 10 + letter as u8;
        letter += 1;
    }
    values
};

/// The character of one `\uXXXX`, or of a surrogate pair of two, and the bytes that it takes.
#[inline]
pub(super) fn unicode_escape(bytes: &[u8]) -> Result<(char, usize), Fault> {
    let unit = code_unit(bytes).ok_or(Fault::BadEscape)?;
    if let Some(character) = char::from_u32(u32::from(unit)) {
        return Ok((character, 6));
    }
    let low = bytes
        .get(6..)
        .and_then(code_unit)
        .ok_or(Fault::LoneSurrogate)?;
    match char::decode_utf16([unit, low]).next() {
        Some(Ok(character)) => Ok((character, 12)),
        _ => Err(Fault::LoneSurrogate),
    }
}

/// Marks, by the high bit of their bytes, the quote, the backslash and control characters in eight
/// bytes. The lowest mark is right; those above it may be wrong, since subtraction borrows upwards.
#[inline]
pub(super) fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & (ONES * 0x80)
}
