//! The text of CSV as UTF-8, whatever character set it comes in.
//!
//! Where the contract names none, a byte-order mark or zero bytes show UTF-16, and the first character that is not
//! ASCII decides the rest: where it is none of UTF-8, the text is Windows-1252.

use encoding_rs::{
    Decoder, Encoding, ISO_8859_15, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
};
use tarn_contract::Charset;
use tarn_core::Result;
use tarn_core::content::Measure;

use crate::source::bytes::Input;

/// Bytes of other character sets than UTF-8 that are decoded at once.
const RAW_BYTES: usize = 256 * 1024;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// Reads an object's text.
pub(super) struct TextReader {
    input: Input,
    form: Form,
    /// Bytes that were read and are text now.
    pub text: Vec<u8>,
    /// Up to here the text was looked at for its character set.
    checked: usize,
    /// Whether a byte-order mark may come.
    begins: bool,
    pub ended: bool,
}

/// How bytes become text.
enum Form {
    /// Nothing but ASCII so far.
    Undecided,
    Utf8,
    Bytes(Decoder),
    Utf16(Decoder),
}

impl TextReader {
    /// A reader of an object in this character set, or, without one, in that which its beginning shows. `input` may
    /// be at a later place of it.
    ///
    /// # Errors
    /// Those of [`Input::fill`].
    pub fn new(mut input: Input, charset: Option<Charset>) -> Result<Self> {
        let shown = utf16(input.beginning());
        let decoder = |encoding: &'static Encoding| encoding.new_decoder_without_bom_handling();
        let form = match charset {
            Some(Charset::Utf8) => Form::Utf8,
            Some(Charset::Windows1250) => Form::Bytes(decoder(WINDOWS_1250)),
            Some(Charset::Windows1251) => Form::Bytes(decoder(WINDOWS_1251)),
            Some(Charset::Windows1252) => Form::Bytes(decoder(WINDOWS_1252)),
            Some(Charset::Iso8859_15) => Form::Bytes(decoder(ISO_8859_15)),
            Some(Charset::Utf16) => Form::Utf16(decoder(shown.unwrap_or(UTF_16LE))),
            None => match shown {
                Some(encoding) => Form::Utf16(decoder(encoding)),
                None => Form::Undecided,
            },
        };
        if matches!(form, Form::Utf16(_)) && input.text_bytes() % 2 == 1 {
            // The place is after the first byte of a line end, which has two.
            input.skip(input.text_bytes() + 1)?;
        }
        Ok(TextReader {
            begins: input.text_bytes() == 0,
            input,
            form,
            text: Vec::new(),
            checked: 0,
            ended: false,
        })
    }

    /// The bytes of the object that come before the text.
    pub fn offset(&self) -> u64 {
        self.input.text_bytes()
    }

    /// Whole lines of the object that were skipped.
    pub fn skipped_lines(&self) -> u64 {
        self.input.whole_lines().0
    }

    pub fn measured(&mut self) -> Option<Measure> {
        self.input.measured()
    }

    /// Reads until the text has this many bytes, or ends. Returns the bytes of a byte-order mark that was skipped.
    pub fn fill(&mut self, wanted: usize) -> Result<u64> {
        while !self.ended && self.text.len() < wanted {
            match &mut self.form {
                Form::Undecided | Form::Utf8 => {
                    self.ended = !self.input.fill(&mut self.text, wanted)?;
                }
                Form::Bytes(decoder) | Form::Utf16(decoder) => {
                    let mut raw = Vec::new();
                    self.ended = !self.input.fill(&mut raw, RAW_BYTES)?;
                    decode(decoder, &raw, &mut self.text, self.ended);
                }
            }
            if matches!(self.form, Form::Undecided) {
                self.decide();
            }
        }
        let mut skipped = 0;
        if std::mem::take(&mut self.begins) && self.text.starts_with(BOM) {
            skipped = self.stored_bytes(BOM);
            self.text.drain(..BOM.len());
            self.checked = self.checked.saturating_sub(BOM.len());
        }
        Ok(skipped)
    }

    /// Gives out the first bytes of the text, which were read.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.text[length..].to_vec();
        let mut taken = std::mem::replace(&mut self.text, rest);
        taken.truncate(length);
        self.checked = self.checked.saturating_sub(length);
        taken
    }

    /// How many bytes of the object this text is.
    pub fn stored_bytes(&self, text: &[u8]) -> u64 {
        let characters = || text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        let bytes = match self.form {
            Form::Undecided | Form::Utf8 => text.len(),
            Form::Bytes(_) => characters(),
            // Characters of four bytes in UTF-8 are pairs in UTF-16.
            Form::Utf16(_) => {
                2 * (characters() + text.iter().filter(|&&byte| byte >= 0xf0).count())
            }
        };
        bytes as u64
    }

    /// Looks at the first character that is not ASCII.
    fn decide(&mut self) {
        let unseen = &self.text[self.checked..];
        let Some(ascii) = unseen.iter().position(|byte| !byte.is_ascii()) else {
            self.checked = self.text.len();
            return;
        };
        self.checked += ascii;
        let first = &self.text[self.checked..self.text.len().min(self.checked + 4)];
        match std::str::from_utf8(first) {
            Ok(_) => self.form = Form::Utf8,
            Err(error) if error.valid_up_to() > 0 => self.form = Form::Utf8,
            // It may go on after what was read.
            Err(error) if error.error_len().is_none() && !self.ended => {}
            Err(_) => {
                let raw = self.text.split_off(self.checked);
                let mut decoder = WINDOWS_1252.new_decoder_without_bom_handling();
                decode(&mut decoder, &raw, &mut self.text, self.ended);
                self.form = Form::Bytes(decoder);
            }
        }
    }
}

fn decode(decoder: &mut Decoder, raw: &[u8], text: &mut Vec<u8>, last: bool) {
    let mut decoded = String::new();
    let most = decoder.max_utf8_buffer_length(raw.len());
    decoded.reserve(most.unwrap_or(raw.len() * 3 + 8));
    let mut at = 0;
    loop {
        let (result, read, _) = decoder.decode_to_string(&raw[at..], &mut decoded, last);
        at += read;
        match result {
            encoding_rs::CoderResult::InputEmpty => break,
            encoding_rs::CoderResult::OutputFull => decoded.reserve(raw.len() - at + 64),
        }
    }
    text.extend_from_slice(decoded.as_bytes());
}

/// The byte order of UTF-16 by its mark, or by the zero bytes of its first characters; None for other text.
fn utf16(head: &[u8]) -> Option<&'static Encoding> {
    match head {
        [0xff, 0xfe, ..] => return Some(UTF_16LE),
        [0xfe, 0xff, ..] => return Some(UTF_16BE),
        _ => {}
    }
    let pairs = head.as_chunks::<2>().0;
    let first = pairs.get(..pairs.len().min(100))?;
    let zeros = |at: usize| first.iter().filter(|pair| pair[at] == 0).count();
    let (high, low) = (zeros(0), zeros(1));
    let most = (first.len() * 3 / 4).max(3);
    if low >= most {
        Some(UTF_16LE)
    } else if high >= most {
        Some(UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
#[path = "charset_tests.rs"]
mod tests;
