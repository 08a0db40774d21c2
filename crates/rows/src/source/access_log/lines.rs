//! How a log's lines are laid out: as the contract says, or else each by itself.

use tarn_contract::LogFormat;

use super::alb::{self, Alb};
use super::fault::Fault;
use super::layout::Layout;
use super::parse::{Memory, cut, may_be_cut, parse_line};
use super::row::Row;
use super::w3c::W3c;

/// A line as it was read.
// A row lives on the stack from one line to the next.
#[allow(clippy::large_enum_variant)]
pub(super) enum Read<'a> {
    Row(Row<'a>),
    /// A line about the lines after it.
    Directive,
}

/// The layouts of a log.
pub(super) enum Layouts {
    Said(Box<Layout>),
    Recognised(Box<Recognised>),
}

/// What is kept from line to line.
#[derive(Default)]
pub(super) struct Recognised {
    memory: Memory,
    w3c: W3c,
    alb: Alb,
}

impl Layouts {
    pub fn new(format: Option<&LogFormat>) -> Self {
        match format {
            Some(format) => Layouts::Said(Box::new(Layout::new(format.clone()))),
            None => Layouts::Recognised(Box::default()),
        }
    }

    /// Takes note of a directive.
    pub fn note(&mut self, line: &[u8]) {
        if let Layouts::Recognised(log) = self {
            log.w3c.note(line);
        }
    }

    /// Reads a line without its end; `utf8` says that it is known to be valid UTF-8, `is_ended` that an end follows.
    ///
    /// # Errors
    /// A [`Fault`] for the first field, from the left, that is not as the layout says.
    #[inline]
    pub fn read<'a>(
        &'a mut self,
        line: &'a [u8],
        utf8: bool,
        is_ended: bool,
    ) -> Result<Read<'a>, Fault> {
        let log = match self {
            Layouts::Recognised(log) => log,
            Layouts::Said(layout) => return layout.read(line, utf8, is_ended).map(Read::Row),
        };
        if line.first() == Some(&b'#') && W3c::is_directive(line) {
            log.w3c.note(line);
            return Ok(Read::Directive);
        }
        if log.w3c.has_fields() {
            return log.w3c.read(line, utf8, is_ended).map(Read::Row);
        }
        if alb::is_line(line) {
            return log.alb.read(line, utf8, is_ended).map(Read::Row);
        }
        let row = parse_line(line, utf8, &mut log.memory)?;
        if !is_ended && may_be_cut(line) {
            return Err(cut(&row, line));
        }
        Ok(Read::Row(row))
    }
}
